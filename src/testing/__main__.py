"""`python -m wengert.testing`: fuzzing for as long as is asked."""

import os
import sys
import time

from .scalars import fuzz


def main() -> int:
    """Fuzz for FUZZ_SECONDS, an hour by default, from FUZZ_SEED, the clock by default."""
    seconds = float(os.environ.get("FUZZ_SECONDS", "3600"))
    seed = int(os.environ.get("FUZZ_SEED", str(int(time.time()))))
    out = sys.stdout
    out.write(f"fuzzing for {seconds:,.0f} s from seed {seed}\n")

    def say(line: str) -> None:
        out.write(line + "\n")
        out.flush()

    checked = fuzz(seconds, seed=seed, say=say)
    out.write(f"{checked:,} graphs, and everything agreed\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
