"""Running the javascript target's functions in Node.js, where that is installed."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
from collections.abc import Sequence
from typing import Any, Final

from ...errors import MissingExtraError, WengertError
from ..target import Source

PATIENCE: Final = 120.0
"""Seconds that a program gets."""

_NAMES: Final = {"Infinity": math.inf, "-Infinity": -math.inf, "NaN": math.nan, "-0": -0.0}
_KEEP: Final = (
    "(_, x) => Object.is(x, -0) ? '-0' : "
    "typeof x !== 'number' || Number.isFinite(x) ? x : String(x)"
)
"""What JSON has no way to write, as text."""


def find_node() -> str | None:
    """The program of Node.js, if it is on PATH."""
    return shutil.which("node")


def run_in_node(jobs: Sequence[tuple[Source, Sequence[Sequence[Any]]]]) -> list[list[Any]]:
    """What functions of the javascript target give, each for its lists of arguments.

    Arguments are numbers and nested sequences of them; floats go there and back unchanged. Without
    Node.js it is a `MissingExtraError`; a program that fails or takes too long, a `WengertError`.
    """
    node = find_node()
    if node is None:
        raise MissingExtraError("Node.js runs JavaScript, and there is no 'node' on PATH")
    done = "\n".join(f"results.push((() => {{\n{_job(*job)}}})());" for job in jobs)
    code = f"const results = [];\n{done}\nconsole.log(JSON.stringify(results, {_KEEP}));\n"
    try:
        ran = subprocess.run(
            [node, "-"], input=code, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        raise WengertError(f"node did not finish within {PATIENCE:.0f} seconds") from None
    if ran.returncode:
        lines = [line for line in ran.stderr.splitlines() if "Error" in line]
        raise WengertError(f"node failed: {(lines or [ran.stderr[-200:]])[0]}")
    return [_number(thing) for thing in json.loads(ran.stdout, parse_int=float)]


def _job(source: Source, calls: Sequence[Sequence[Any]]) -> str:
    called = [f"{source.function}({', '.join(map(literal, each))})" for each in calls]
    return f"{source.text}\nreturn [{', '.join(called)}];\n"


def literal(thing: Any) -> str:
    """A number, or a nesting of them, in JavaScript.

    >>> literal([0.5, [float("-inf")]])
    '[0.5,[-Infinity]]'
    """
    if isinstance(thing, (list, tuple)):
        return f"[{','.join(map(literal, thing))}]"
    number = float(thing)
    if math.isnan(number):
        return "NaN"
    return repr(number).replace("inf", "Infinity")


def _number(thing: Any) -> Any:
    """What came back, with the numbers that JSON has no way to write."""
    if isinstance(thing, list):
        return [_number(item) for item in thing]
    if isinstance(thing, dict):
        return {key: _number(value) for key, value in thing.items()}
    return _NAMES[thing] if isinstance(thing, str) else thing
