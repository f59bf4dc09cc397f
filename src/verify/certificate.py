"""A certificate: what was proved of a gradient, how, and over what domain; printed, saved, read."""

from __future__ import annotations

import hashlib
import json
import os
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from math import isfinite
from pathlib import Path
from typing import Any, Final

from ..errors import shorten
from ..graph.doors import View
from ..proof.check import Check, points_text
from ..storage import (
    PathLike,
    invalid,
    is_finite_number,
    path_text,
    read_document,
    restore,
    write_document,
)

FORMAT: Final = "wengert.certificate"
VERSION: Final = 1
MAX_BYTES: Final = 64 * 2**20
"""A larger file is no certificate."""
MAX_ENTRIES: Final = 100_000
"""More checks, leaves or samples than this are in none."""
MAX_TEXT: Final = 100_000
"""Nor is a longer text."""
MAX_LISTED: Final = 500
"""A certificate lists up to so many leaves one by one."""

_WHAT: Final = "certificate"
_COLUMNS: Final = (14, 15, 19, 14, 7, 6)
"""The widths of the table's columns: 80 characters with the blanks between them."""


@dataclass(frozen=True)
class Sample:
    """The output and its derivatives at one point, by the reference interpreter.

    at        the number of each leaf
    output    the output there
    gradient  its derivative by each leaf that was asked for
    """

    at: Mapping[str, float]
    output: float
    gradient: Mapping[str, float]


@dataclass(frozen=True, repr=False)
class Verification:
    """What `verify` found: its checks, truthy when every one of them held; prints as a table.

    output       the formula of the output
    checks       what was checked
    seed         what the points were drawn from
    points       how many points there were
    conventions  what is taken as a derivative at kinks, for the operations that have some
    domain       (leaf, least, greatest): the numbers that each leaf took at the points
    samples      the points with the numbers found there, where the leaves are few
    not_run      what was not checked, with the reason
    """

    _repr_mimebundle_ = View()
    __setstate__ = restore

    output: str
    checks: tuple[Check, ...]
    seed: int
    points: int
    conventions: tuple[str, ...] = ()
    domain: tuple[tuple[str, float, float], ...] = ()
    samples: tuple[Sample, ...] = ()
    not_run: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.checks) and all(check.held for check in self.checks)

    def __iter__(self) -> Iterator[Check]:
        return iter(self.checks)

    def __len__(self) -> int:
        return len(self.checks)

    @property
    def failures(self) -> tuple[Check, ...]:
        """The checks that did not hold."""
        return tuple(check for check in self.checks if not check.held)

    def data(self) -> dict[str, Any]:
        """The certificate as plain data: what was proved, how, and over what domain.

        Each check says what it is `of`, `by` which means, and `over` which numbers; `domain` has
        the numbers that each leaf took at the points, `conventions` what is taken at kinks, and
        `not_run` what was left out.
        """
        return {
            "output": self.output,
            "held": bool(self),
            "checks": [
                {
                    "check": check.name,
                    "of": check.what,
                    "by": check.method,
                    "over": check.over,
                    "held": check.held,
                    "error": _finite(check.error),
                    "ulps": _finite(check.ulps),
                    "detail": check.detail,
                }
                for check in self.checks
            ],
            "seed": self.seed,
            "points": self.points,
            "domain": {name: [low, high] for name, low, high in self.domain},
            "conventions": list(self.conventions),
            "not_run": list(self.not_run),
            "samples": [
                {"at": dict(s.at), "output": s.output, "gradient": dict(s.gradient)}
                for s in self.samples
            ],
            "wengert": installed_version(),
        }

    def save(self, path: PathLike) -> Path:
        """Write the certificate as JSON, with a digest of it; answer its path. `load` reads it."""
        data = self.data()
        write_document(path, FORMAT, VERSION, {**data, "sha256": _digest(data)}, _WHAT)
        return Path(path_text(path))

    @classmethod
    def load(cls, path: PathLike) -> Verification:
        """A certificate that `save` wrote.

        It says what was found when it was written; nothing is checked again. A file that is no
        certificate, or no longer the one that was written, is a `SaveFileError` that says where it
        is not. (The digest tells of accidents and careless edits; it is no signature.)

        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     path = Verification("x", (), seed=0, points=3).save(f"{folder}/certificate.json")
        ...     Verification.load(path)
        <Verification: 0 checks, 0 FAILED>
        """
        size = os.stat(path_text(path)).st_size
        if size > MAX_BYTES:
            raise invalid(path, _WHAT, f"it has {size:,} bytes, and none has over {MAX_BYTES:,}")
        document = read_document(path, FORMAT, VERSION, _WHAT)
        found = _Reader(path).read(document)
        if document.get("sha256") != _digest(document):
            raise invalid(path, _WHAT, 'its text is not that of its "sha256": it has been changed')
        return found

    def __repr__(self) -> str:
        verdict = "held" if self else f"{len(self.failures)} FAILED"
        return f"<Verification: {len(self)} checks, {verdict}>"

    def __str__(self) -> str:
        lines = _table(self.checks)
        for check in self.failures:
            lines += _wrapped(f"FAILED: {check.name} of {check.what}: {check.detail}")
        for convention in self.conventions:
            lines += _wrapped(f"at kinks: {convention}")
        for reason in self.not_run:
            lines += _wrapped(f"not run: {reason}")
        held = sum(check.held for check in self.checks)
        at = f"{points_text(self.points)} (seed {self.seed})"
        return "\n".join([*lines, f"{held} of {len(self)} checks held, at {at}."])


def installed_version() -> str:
    """The installed version; "unknown" for a copy that was never installed."""
    try:
        return version("wengert")
    except PackageNotFoundError:
        return "unknown"


def _finite(number: float | None) -> float | None:
    return number if number is None or isfinite(number) else None


def _table(checks: Sequence[Check]) -> list[str]:
    """The checks in lines of 80 characters; those that differ in what they are of share a row."""
    rows = [("check", "of", "by", "over", "error", "")]
    for check in checks:
        verdict = "ok" if check.held else "FAILED"
        row = (check.name, check.what, check.method, check.over, _error_text(check), verdict)
        before = rows[-1]
        if len(rows) > 1 and check.held and (row[0], *row[2:]) == (before[0], *before[2:]):
            rows[-1] = (row[0], f"{before[1]}, {row[1]}", *row[2:])
        else:
            rows.append(row)
    lines = []
    for row in rows:
        cells = [
            textwrap.wrap(plain(c), w, break_on_hyphens=False) or [""]
            for c, w in zip(row, _COLUMNS, strict=True)
        ]
        for number in range(max(map(len, cells))):
            parts = [cell[number] if number < len(cell) else "" for cell in cells]
            padded = [part.ljust(w) for part, w in zip(parts, _COLUMNS, strict=True)]
            lines.append(" ".join(padded).rstrip())
    lines.insert(1, " ".join("-" * width for width in _COLUMNS))
    return lines


def _digest(data: Mapping[str, Any]) -> str:
    """The SHA-256 digest of what a certificate claims."""
    claimed = {key: data[key] for key in data if key not in ("format", "version", "sha256")}
    return hashlib.sha256(json.dumps(claimed, sort_keys=True).encode()).hexdigest()


def _error_text(check: Check) -> str:
    if check.ulps is not None:
        return f"{check.ulps:.0f} ulp{'s' * (f'{check.ulps:.0f}' != '1')}" if check.held else "far"
    return "" if check.error is None else f"{check.error:.1e}"


def _wrapped(line: str) -> list[str]:
    return textwrap.wrap(plain(line), 80, subsequent_indent="    ")


def plain(text: str) -> str:
    r"""The text with everything that does not print written as an escape.

    >>> plain("x\u202e\x1b[2J")
    'x\\u202e\\x1b[2J'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


@dataclass(frozen=True)
class _Reader:
    """Reads a certificate from a document; whatever is not as it should be is named."""

    path: PathLike

    def read(self, document: Mapping[str, Any]) -> Verification:
        """The certificate that the document holds."""
        checks = [self._check(entry) for entry in self._listed(document, "checks")]
        domain = []
        for name, pair in self._named(document, "domain").items():
            numbers = isinstance(pair, list) and len(pair) == 2 and all(map(is_finite_number, pair))
            if not numbers or pair[0] > pair[1]:
                raise self._wrong(f"domain of {shorten(name)}", pair, "two numbers, least first")
            domain.append((name, float(pair[0]), float(pair[1])))
        found = Verification(
            self._text(document, "output"),
            tuple(checks),
            self._count(document, "seed"),
            self._count(document, "points"),
            tuple(self._texts(document, "conventions")),
            tuple(domain),
            tuple(self._sample(entry) for entry in self._listed(document, "samples")),
            tuple(self._texts(document, "not_run")),
        )
        if document.get("held") is not bool(found):
            raise self._wrong('"held"', document.get("held"), f"{bool(found)}, as its checks say")
        return found

    def _check(self, entry: Any) -> Check:
        if not isinstance(entry, dict):
            raise self._wrong("a check", entry, "an object")
        held = entry.get("held")
        if not isinstance(held, bool):
            raise self._wrong('"held" of a check', held, "true or false")
        name, what, method = (self._text(entry, key) for key in ("check", "of", "by"))
        detail, over = self._text(entry, "detail"), self._text(entry, "over")
        error, ulps = self._size(entry, "error"), self._size(entry, "ulps")
        return Check(name, what, method, held, error, detail, over, ulps)

    def _sample(self, entry: Any) -> Sample:
        if not isinstance(entry, dict):
            raise self._wrong("a sample", entry, "an object")
        output = entry.get("output")
        if output is None or not is_finite_number(output):
            raise self._wrong('"output" of a sample', output, "a finite number")
        return Sample(self._numbers(entry, "at"), float(output), self._numbers(entry, "gradient"))

    def _numbers(self, entry: Mapping[str, Any], key: str) -> dict[str, float]:
        numbers = self._named(entry, key)
        for name, number in numbers.items():
            if not is_finite_number(number):
                raise self._wrong(f'{shorten(name)} in "{key}"', number, "a finite number")
        return {name: float(number) for name, number in numbers.items()}

    def _size(self, entry: Mapping[str, Any], key: str) -> float | None:
        number = entry.get(key)
        if number is None:
            return None
        if not is_finite_number(number) or number < 0:
            raise self._wrong(f'"{key}"', number, "null or a finite number, 0 or more")
        return float(number)

    def _count(self, entry: Mapping[str, Any], key: str) -> int:
        number = entry.get(key)
        if type(number) is not int or abs(number) > 2**63:
            raise self._wrong(f'"{key}"', number, "a whole number")
        return number

    def _text(self, entry: Mapping[str, Any], key: str) -> str:
        return self._a_text(entry.get(key), key)

    def _texts(self, entry: Mapping[str, Any], key: str) -> list[str]:
        return [self._a_text(item, key) for item in self._listed(entry, key)]

    def _a_text(self, thing: Any, key: str) -> str:
        if not isinstance(thing, str) or len(thing) > MAX_TEXT:
            raise self._wrong(f'"{key}"', thing, f"text of at most {MAX_TEXT:,} characters")
        return thing

    def _listed(self, entry: Mapping[str, Any], key: str) -> list[Any]:
        items = entry.get(key)
        if not isinstance(items, list) or len(items) > MAX_ENTRIES:
            raise self._wrong(f'"{key}"', items, f"a list of at most {MAX_ENTRIES:,} entries")
        return items

    def _named(self, entry: Mapping[str, Any], key: str) -> dict[str, Any]:
        items = entry.get(key)
        if not isinstance(items, dict) or len(items) > MAX_ENTRIES:
            raise self._wrong(f'"{key}"', items, f"an object of at most {MAX_ENTRIES:,} entries")
        return items

    def _wrong(self, what: str, found: Any, expected: str) -> Exception:
        return invalid(self.path, _WHAT, f"{what} is {shorten(found)}, expected {expected}")
