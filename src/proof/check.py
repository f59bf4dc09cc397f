"""One thing that was checked: what the judges answer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """One thing that was checked.

    name    the kind of check, such as "rule", "adjoint" or "compiled"
    what    what was judged
    method  by which means
    held    whether it agreed
    error   the worst relative error found, None where the answer is a proof
    detail  where and how it failed, or what it covers
    over    the domain: for which numbers this is shown
    ulps    the worst error in units in the last place of the largest number, where it was counted
    """

    name: str
    what: str
    method: str
    held: bool
    error: float | None = None
    detail: str = ""
    over: str = ""
    ulps: float | None = None


SMOOTH = "all reals but kinks and poles"
"""The domain of a symbolic proof."""


def points_text(count: int) -> str:
    """So many points, in words.

    >>> points_text(1), points_text(3)
    ('1 point', '3 points')
    """
    return f"{count} point{'s' * (count != 1)}"
