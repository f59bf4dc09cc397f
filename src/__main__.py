"""`python -m wengert`: the same as the `wengert` command."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
