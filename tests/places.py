"""Where things lie that several tests read."""

from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
GOLDEN = PROJECT / "tests" / "golden"
NOTEBOOK_NUMBERS = PROJECT / "tests" / "transcript.json"
