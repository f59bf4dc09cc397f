"""The certificate of an exported module: what was shown, what was not, and numbers to check it by.

It is a literal in the module's text: read by Python as data, never run. All of its text is ASCII.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from ...errors import SettingError, shorten
from ..build import Derivatives
from ..program import Program, flatten
from ..scalar.layout import INDENT, LINE_LENGTH, Listing
from .evidence import DIGITS, Evidence, arguments_of, evidence, values_of

BLANK: Final = "0" * 64
"""Where the digest of the module's text goes."""
MOST: Final = 40
"""How many entries of a certificate of its own a module lists, a line each; the rest is counted."""
AGREE: Final = 1e-9
"""How far, relative, a function's output may be from the output that a certificate is about."""


def certificate_data(
    program: Program,
    values: Mapping[str, Sequence[float | None]],
    derivatives: Sequence[Derivatives],
    certificate: Any,
) -> dict[str, Any]:
    """The certificate of a program's module; see `module.module_text` for the arguments.

    shown, not shown, failed   what was found when the module was written, a line each
    points                     the numbers that the module is checked with
    """
    data = _plain_data(certificate)
    found = evidence(program, arguments_of(program), values_of(program, values), derivatives)
    shown, missing = list(_shown(found)), list(_missing(found, data))
    failed: list[str] = []
    if data is not None:
        _check_about(program, data)
        for check in data["checks"]:
            line = f"{check['check']} of {check['of']}: {check['by']}; over {check['over']}"
            (shown if check["held"] else failed).append(line.removesuffix("; over "))
        shown = _shortened(shown)
        missing += [f"not run: {reason}" for reason in data["not_run"]]
    written = [i.op for i in program.instructions if i.origin is None]
    conventions = {f"{op.name}: {op.kink}" for op in written if op.kink}
    return {
        "wengert": _version(),
        "sha256": BLANK,
        "of": "" if data is None else data["output"],
        "shown": shown,
        "not shown": missing,
        "failed": failed,
        "kinks": sorted(conventions),
        "domain": {} if data is None else dict(data["domain"]),
        "points": [(point.seed, point.numbers) for point in found.points],
    }


def _plain_data(certificate: Any) -> Mapping[str, Any] | None:
    """The data of a certificate; None where only the numbers are asked for."""
    if certificate is True:
        return None
    if not callable(getattr(certificate, "data", None)):
        raise SettingError(
            f"certificate={shorten(certificate)} is no certificate; give what wengert.verify "
            "answers, or True or False"
        )
    data: Mapping[str, Any] = certificate.data()
    return data


def _shown(found: Evidence) -> Iterator[str]:
    at = f"at {len(found.points)} point{'s' * (len(found.points) != 1)}"
    if found.points and found.derived:
        count = f"{found.derived:,} derivative{'s' * (found.derived != 1)}"
        by = f"by the chain rule with sympy's derivative of each operation, {DIGITS} digits"
        yield f"{count}: {by}, {at}"
    if found.points and found.others:
        count = f"{found.others:,} other output{'s' * (found.others != 1)}"
        yield f"{count}: by sympy's meaning of each operation, {DIGITS} digits, {at}"
    total = found.derived + found.others
    if found.points and len(found.points[0].numbers) < total:
        yield f"of these, {len(found.points[0].numbers):,} of {total:,} numbers are recorded here"


def _missing(found: Evidence, data: Mapping[str, Any] | None) -> Iterator[str]:
    if found.reason:
        yield f"numbers to {DIGITS} digits: {found.reason}"
    if data is None:
        yield "rules and derivatives, symbolically: save with certificate=wengert.verify(...)"


def _shortened(lines: list[str]) -> list[str]:
    if len(lines) <= MOST:
        return lines
    return [*lines[: MOST - 1], f"and {len(lines) - MOST + 1:,} checks more"]


def _check_about(program: Program, data: Mapping[str, Any]) -> None:
    """A `SettingError` unless the function gives the output, or the gradient, of the certificate.

    Compared at the certificate's first sample, where it has one for the leaves of the function.
    """
    for sample in data["samples"][:1]:
        leaves = {leaf for group in program.groups for leaf in group.leaves}
        if not leaves <= sample["at"].keys():
            return
        arguments = []
        for group in program.groups:
            row: Any = [sample["at"][leaf] for leaf in group.leaves]
            row = row[0] if group.scalar else row
            arguments.append([row] if group.batched else row)
        found = [float(number) for number in _flat_numbers(program.run(*arguments))]
        wanted = [sample["output"]], list(sample["gradient"].values())
        if not any(all(_is_among(number, found) for number in numbers) for numbers in wanted):
            raise SettingError(
                f"the certificate is about {shorten(data['output'])}, and neither that nor its "
                f"gradient is what {program.name} computes; verify what was compiled"
            )


def _flat_numbers(result: Any) -> list[Any]:
    return [number for _, number in flatten(result)]


def _is_among(number: float, numbers: Sequence[float]) -> bool:
    return any(math.isclose(number, other, rel_tol=AGREE, abs_tol=1e-300) for other in numbers)


def certificate_text(data: Mapping[str, Any]) -> str:
    """The certificate as a literal of Python, in lines of the module's length."""
    listing = Listing()
    listing.add(
        "# What was found when this file was written, and the numbers that it is checked with: for",
        "# each point its seed, and (position in the result, the number, how far rounding can take",
        "# this code from it). The digest is that of this text without the digest.",
        "CERTIFICATE = {",
    )
    for key, value in data.items():
        if key == "points":
            _write_points(listing, value)
        elif isinstance(value, str):
            _write_text(listing, f'"{key}": ', value, 1)
        elif isinstance(value, Mapping):
            pairs = [f"{n!a}: ({number_text(a)}, {number_text(b)})," for n, (a, b) in value.items()]
            listing.enclose(f'"{key}": {{', pairs, "},", 1)
        elif not value:
            listing.add(f'"{key}": [],', level=1)
        else:
            listing.add(f'"{key}": [', level=1)
            for line in value:
                _write_text(listing, "", line, 2)
            listing.add("],", level=1)
    listing.add("}")
    return "\n".join(listing.lines)


def _write_text(listing: Listing, head: str, text: str, level: int) -> None:
    """A text as a literal; a long one as several that stand one after another."""
    width = LINE_LENGTH - len(INDENT) * level - len(head) - 8
    parts = [text[i : i + width] for i in range(0, len(text), width)] or [""]
    if " " in text:
        parts = textwrap.wrap(
            text, width, drop_whitespace=False, replace_whitespace=False, expand_tabs=False
        )
    if len(parts) == 1:
        listing.add(f"{head}{text!a},", level=level)
        return
    listing.add(f"{head}(", level=level)
    listing.add(*(ascii(part) for part in parts), level=level + 1)
    listing.add("),", level=level)


def _write_points(listing: Listing, points: Sequence[tuple[int, Sequence[Any]]]) -> None:
    listing.add('"points": [' if points else '"points": [],', level=1)
    for seed, numbers in points:
        written = [f"({i}, {number_text(n)}, {number_text(reach)})," for i, n, reach in numbers]
        listing.enclose(f"({seed}, [", written, "]),", 2)
    if points:
        listing.add("],", level=1)


def number_text(number: Any) -> str:
    """A float as a literal, or as a call where there is none.

    >>> number_text(0.5), number_text(float("nan"))
    ('0.5', "float('nan')")
    """
    code = repr(float(number))
    return code if code.strip("-")[0].isdigit() else f"float({code!r})"


def _version() -> str:
    """The installed version; "unknown" for a copy that was never installed."""
    try:
        return version("wengert")
    except PackageNotFoundError:
        return "unknown"
