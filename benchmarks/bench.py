"""Speed beside the named peers, in one run and one process: `make bench`.

    python benchmarks/bench.py                        every case, every peer that is installed
    python benchmarks/bench.py --only notebook,compiler --peers wengert,micrograd,jax
    python benchmarks/bench.py --json results.json --plot results.svg
    python benchmarks/bench.py --from results.json --docs

Progress goes to stderr, results to stdout. Every peer's numbers are compared with the exact ones.
"""

import argparse
import json
import re
import sys
from pathlib import Path

import environment
import peers
import plot
import report
from cases import CASES
from harness import run_case, say

DOCS = Path(__file__).resolve().parents[1] / "docs"
COMPILER = "compiler"
MEASURED = re.compile(r"(?<=<!-- measured -->\n).*?(?=<!-- end -->)", re.DOTALL)


def main(arguments: list[str] | None = None) -> None:
    options = parser().parse_args(arguments)
    if options.source:
        results = json.loads(Path(options.source).read_text(encoding="utf-8"))
    else:
        results = measured(options)
    print(report.text(results), end="")
    if options.json:
        text = json.dumps(results, indent=1, ensure_ascii=False)
        Path(options.json).write_text(text + "\n", encoding="utf-8")
    if options.plot:
        plot.draw(results, Path(options.plot))
    if options.docs:
        plot.draw(results, DOCS / "benchmarks.svg")
        page = DOCS / "benchmarks.md"
        block = f"```text\n{report.text(results)}```\n"
        written = MEASURED.sub(lambda _: block, page.read_text(encoding="utf-8"))
        page.write_text(written, encoding="utf-8")


def parser() -> argparse.ArgumentParser:
    names = [case.name for case in CASES] + [COMPILER]
    options = argparse.ArgumentParser(
        description=(__doc__ or "").partition("\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    options.add_argument("--only", metavar="CASES", help=f"some of {', '.join(names)}")
    options.add_argument("--peers", metavar="NAMES", help="peers or their packages, by comma")
    options.add_argument("--slow", action="store_true", help="also what takes long to get ready")
    options.add_argument("--rounds", type=int, default=25, help="turns of each peer")
    options.add_argument("--sizes", default="10000,100000,1000000", help="nodes, for the compiler")
    options.add_argument("--json", metavar="FILE", help="write the results")
    options.add_argument("--plot", metavar="FILE", help="draw the results (.svg, .png)")
    options.add_argument("--docs", action="store_true", help="write docs/benchmarks.md and .svg")
    options.add_argument(
        "--from", dest="source", metavar="FILE", help="show results of before instead of measuring"
    )
    return options


def measured(options: argparse.Namespace) -> dict:
    """Run what was asked for."""
    wanted = chosen(options.only, [case.name for case in CASES] + [COMPILER], "case")
    every = peers.installed()
    names = {name for peer in every for name in (peer.name, peer.module)}
    known = chosen(options.peers, sorted(names), "peer")
    known |= {case.ours for case in CASES}  # what every ratio is to
    contestants = [p for p in every if p.name in known or p.module in known]
    results: dict = {"environment": environment.describe(), "cases": []}
    for case in CASES:
        if case.name not in wanted:
            continue
        playing = [
            p for p in contestants if case.kind in p.prepare and (options.slow or not p.slow)
        ]
        say(f"{case.name}: {case.title}")
        found, base, operations = run_case(case, playing, options.rounds)
        rows = [row.as_dict() for row in found]
        results["cases"].append(
            {
                "name": case.name,
                "title": case.title,
                "rows": rows,
                "base": base,
                "ours": case.ours,
                "operations": operations,
                "goals": report.goals(rows, case.goals) + report.native_goals(rows, case.native),
            }
        )
    if COMPILER in wanted:
        import compiler

        say(f"{COMPILER}: {options.sizes} nodes")
        results[COMPILER] = compiler.summary([int(size) for size in options.sizes.split(",")])
    return results


def chosen(text: str | None, known: list[str], what: str) -> set[str]:
    """The names in a comma-separated list, all of them when there is none."""
    if text is None:
        return set(known)
    names = {name.strip() for name in text.split(",")}
    for name in sorted(names - set(known)):
        sys.exit(f"no {what} called {name!r} here; there are: {', '.join(known)}")
    return names


if __name__ == "__main__":
    main()
