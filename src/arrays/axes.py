"""Letters for axes: one for what an axis is the index of, the same in every statement.

Two axes are over the same thing where they are indices into one array at one place: `e` is the axis
of `wte[t, e]`, of what is computed from it, and of all weights that it meets. Where an index is
made of a block and a place in it, `4h + j`, these are axes of their own. Two axes over the same
thing in one statement have a letter each, everywhere the same two: `p` and `r` in `r ≤ p`.

A thing takes a letter of the names of the leaves that have it, the one that the most of them say.
Short names are read as initials, without the w, u or b of weights and biases: `wpe` says p and e,
`wq` says q. A longer word says its initial, a single letter nothing. Blocks are `h`, as heads are.
What no name tells takes the next letter from i on.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count
from string import ascii_lowercase
from typing import Any, Final

from ..ops.reads import (
    Index,
    Table,
    renamed,
    renamed_axes,
    renamed_condition,
    renamed_index,
)
from .classes import Classes
from .statements import LEAF, Array, Statement

_SAMPLES: Final = "n"
"""The letter that the samples of a batch take."""

_BLOCKS: Final = "h"
"""The letter of blocks, such as the heads of attention."""

_UNTOLD: Final = "ijklmrstuvabcdefghpqwxyz"
"""Letters for axes that no name tells, in order, without the one that looks like 0."""

_ACRONYM: Final = 3
"""A word of as many letters, or fewer, is read as initials."""

Thing = tuple[Any, ...]
"""What an axis is the index of; some are the same.

(array, number)         an axis of an array or a table
(thing, width, word)    of blocks of a width that an axis has: "blocks", or "places" in a block
(number, name)          an axis of a statement, or of its terms
"""


def lettered(statements: Sequence[Statement], arrays: Mapping[str, Array]) -> tuple[Statement, ...]:
    """The statements of a program on some arrays with other names for their axes."""
    same = _merged(statements, arrays)
    letters = _Letters(statements, arrays, same).found
    return tuple([_relettered(n, s, same, letters) for n, s in enumerate(statements)])


def _merged(statements: Sequence[Statement], arrays: Mapping[str, Array]) -> Classes[Thing]:
    """Which things are the same: found again until nothing more is, if some are parts of others."""
    same, more, parts = Classes[Thing](), True, False
    for array in arrays.values():
        primal = arrays.get(array.adjoint or "")
        if primal is not None and primal.shape == array.shape:
            for k in range(len(array.shape)):
                same.join((primal.name, k), (array.name, k))
    while more:
        more = False
        for number, statement in enumerate(statements):
            for name, thing in _meanings(statement, same):
                new = same.join((number, name), thing)
                parts = parts or len(thing) == 3
                more = more or (new and parts)
    return same


def _meanings(statement: Statement, same: Classes[Thing]) -> Iterator[tuple[str, Thing]]:
    """The axes of a statement with what each is the index of, wherever it is one."""
    for scope in statement.scopes:
        lengths = dict(scope.axes)
        for read in scope.reads:
            for k, index in enumerate(read.index):
                yield from _meant(index, (read.array, k), lengths, same)


def _meant(
    index: Index, at: Thing, lengths: Mapping[str, int], same: Classes[Thing]
) -> Iterator[tuple[str, Thing]]:
    """The axes of an index with what each is the index of."""
    if isinstance(index, Table):
        for number, name in enumerate(index.axes):
            yield name, (index.name, number)
        return
    if len(index.terms) == 1:
        ((name, stride),) = index.terms
        if abs(stride) == 1:
            yield name, at
        return
    terms = sorted([(abs(stride), name) for name, stride in index.terms])
    unit = 1
    while len(terms) > 1 and terms[0][0] == unit and terms[1][0] == unit * lengths[terms[0][1]]:
        (_, name), *terms = terms
        yield name, (same.of(at), lengths[name], "places")
        at, unit = (same.of(at), lengths[name], "blocks"), terms[0][0]
    if len(terms) == 1 and terms[0][0] == unit:
        yield terms[0][1], at


class _Letters:
    """The letters of each thing, as many as there are axes over it in one place: `found`."""

    def __init__(
        self, statements: Sequence[Statement], arrays: Mapping[str, Array], same: Classes[Thing]
    ) -> None:
        self._taken = {*arrays, _SAMPLES}
        self.found: defaultdict[Thing, list[str]] = defaultdict(list)
        self._beside: defaultdict[Thing, set[Thing]] = defaultdict(set)
        self._everywhere: set[str] = set()
        counts: Counter[Thing] = Counter()
        for number, statement in enumerate(statements):
            for scope in statement.scopes:
                things = [same.of((number, axis.name)) for axis in scope.axes]
                counts |= Counter(things)
                self._see(things)
        for array in arrays.values():
            self._see([same.of((array.name, k)) for k in range(len(array.shape))])
        said = _said(arrays, same)
        shares = {thing: _largest_share(said.get(thing, ())) for thing in (*said, *counts)}
        for thing in sorted(shares, key=lambda thing: -shares[thing]):
            self._take(thing, self._told(thing, said.get(thing, ())))
        for thing in list(same):
            if thing[-1] == "blocks" and counts[same.of(thing)] and not self.found[same.of(thing)]:
                self._take(same.of(thing), _BLOCKS)
        for thing, times in counts.items():
            while len(self.found[thing]) < times:
                self._take(thing, self._next(thing))

    def _see(self, things: Sequence[Thing]) -> None:
        for thing in things:
            self._beside[thing].update(things)

    def _free(self, thing: Thing, letter: str) -> bool:
        """Whether a letter is no array's and is that of nothing which is seen beside the thing."""
        seen = (thing, *self._beside[thing])
        return letter not in self._taken and not any(letter in self.found[one] for one in seen)

    def _take(self, thing: Thing, letter: str) -> None:
        if letter and self._free(thing, letter):
            self.found[thing].append(letter)
            self._everywhere.add(letter)

    def _told(self, thing: Thing, names: Sequence[str]) -> str:
        """The letter that the most names say, if it is half of them, or no other is said twice."""
        counts = Counter([x for said in names for x in dict.fromkeys(said) if self._free(thing, x)])
        if not counts:
            return ""
        (letter, most), *others = counts.most_common(2)
        alone = most > 1 and not (others and others[0][1] == most)
        return letter if alone or 2 * most >= len(names) else ""

    def _next(self, thing: Thing) -> str:
        """The next letter, of those that nothing has yet where there are any."""
        own = self.found[thing]
        after = ascii_lowercase.partition(own[-1])[2] if own else ""
        usual = [x for x in after + _UNTOLD if x in _UNTOLD and self._free(thing, x)]
        fresh = [x for x in usual if x not in self._everywhere]
        numbered = (f"i{number}" for number in count(1))
        return next((x for x in (*fresh, *usual)), "") or next(
            x for x in numbered if self._free(thing, x)
        )


def _said(arrays: Mapping[str, Array], same: Classes[Thing]) -> dict[Thing, list[str]]:
    """What the names of leaves say of each thing; names that differ in numbers are one."""
    found: defaultdict[Thing, dict[str, str]] = defaultdict(dict)
    for array in arrays.values():
        name = re.sub("[0-9]+", "0", array.name)
        for number in range(len(array.shape) if array.kind == LEAF else 0):
            found[same.of((array.name, number))][name] = _letters_of(name)
    return {thing: list(said.values()) for thing, said in found.items()}


def _largest_share(names: Sequence[str]) -> float:
    """How large a share of the names says the letter that the most of them say."""
    counts = Counter([letter for said in names for letter in set(said)])
    return max(counts.values(), default=0) / max(1, len(names))


def _letters_of(name: str) -> str:
    """The letters that the name of a leaf says of its axes.

    >>> [_letters_of(name) for name in ("wte", "layer0_attn_wq", "lm_head", "kernel", "x", "w1")]
    ['te', 'q', 'lm', 'k', '', '']
    """
    words = re.findall("[a-z]+", name.lower())
    short = [word for word in words if len(word) <= _ACRONYM]
    word: str = (short or words or [""])[-1]
    if len(word) > _ACRONYM:
        return word[0]
    return word[1:] if word.startswith(("w", "u", "b")) or len(word) == 1 else word


def _relettered(
    number: int, statement: Statement, same: Classes[Thing], letters: Mapping[Thing, Sequence[str]]
) -> Statement:
    """A statement with the letters of its axes: of several over one thing, each its own."""
    names: dict[str, str] = {}
    for scope in statement.scopes:
        seen: Counter[Thing] = Counter()
        for axis in scope.axes:
            thing = same.of((number, axis.name))
            names[axis.name] = letters[thing][seen[thing]]
            seen[thing] += 1
    place = statement.place
    return replace(
        statement,
        axes=renamed_axes(statement.axes, names),
        value=renamed(statement.value, names),
        place=None if place is None else tuple([renamed_index(index, names) for index in place]),
        domain=tuple([renamed_condition(condition, names) for condition in statement.domain]),
    )
