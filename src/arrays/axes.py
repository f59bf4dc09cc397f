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
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import count
from string import ascii_lowercase
from typing import Any, Final, NamedTuple

from ..ops.reads import (
    Axis,
    Index,
    Reduce,
    Table,
    renamed,
    renamed_axes,
    renamed_condition,
    renamed_index,
    renamed_term,
)
from .statements import LEAF, Array, Statement

_SAMPLES: Final = "n"
"""The letter that the samples of a batch take."""

_BLOCKS: Final = "h"
"""The letter of blocks, such as the heads of attention."""

_UNTOLD: Final = "ijklmrstuvabcdefghpqwxyz"
"""Letters for axes that no name tells, in order, without the one that looks like 0."""

_ACRONYM: Final = 3
"""A word of as many letters, or fewer, is read as initials."""


class _Dimension(NamedTuple):
    """The axis of an array or a table."""

    array: str
    number: int


class _Part(NamedTuple):
    """The axis of the blocks of a width that an axis has, or of the places in a block."""

    of: Thing
    width: int
    blocks: bool


class _Variable(NamedTuple):
    """An axis of a statement, or of one of its terms where `term` is one."""

    statement: int
    term: int
    name: str


Thing = _Dimension | _Part | _Variable
"""What an axis is the index of; some are the same."""


class _Scope(NamedTuple):
    """The axes that are seen from one place: those of a statement, then those of a term."""

    axes: tuple[Axis, ...]
    things: tuple[_Variable, ...]
    indices: tuple[tuple[Index, str, int], ...]


class _Same:
    """Which things are the same: sets that grow together; the first seen stands for the others."""

    def __init__(self) -> None:
        self._parent: dict[Thing, Thing] = {}
        self._order: dict[Thing, int] = {}

    def find(self, thing: Thing) -> Thing:
        """The thing that stands for all that are the same as this one."""
        parent = self._parent
        if thing not in parent:
            parent[thing] = thing
            self._order[thing] = len(parent)
        while parent[thing] != thing:
            parent[thing] = parent[parent[thing]]
            thing = parent[thing]
        return thing

    def merge(self, one: Thing, other: Thing) -> bool:
        """From now on the two are the same; whether that is new."""
        first, second = sorted((self.find(one), self.find(other)), key=self._order.__getitem__)
        self._parent[second] = first
        return first != second

    def blocks(self) -> list[Thing]:
        """The things that are blocks of others, in the order in which they were seen."""
        found = [thing for thing in self._parent if isinstance(thing, _Part) and thing.blocks]
        return [self.find(part) for part in found]


def lettered(statements: Sequence[Statement], arrays: Mapping[str, Array]) -> tuple[Statement, ...]:
    """The statements of a program on some arrays with other names for their axes."""
    scopes = [list(_scopes(k, s)) for k, s in enumerate(statements)]
    same = _merged(arrays, [scope for own in scopes for scope in own])
    used = [[same.find(thing) for thing in scope.things] for own in scopes for scope in own]
    letters = _Letters(arrays, same, used)
    return tuple(
        [
            _relettered(statement, [_names(scope, same, letters) for scope in own])
            for statement, own in zip(statements, scopes, strict=True)
        ]
    )


def _scopes(number: int, statement: Statement) -> Iterable[_Scope]:
    """The scope of a statement itself, and those of its terms."""
    own = tuple([_Variable(number, -1, axis.name) for axis in statement.axes])
    written = [(index, statement.array, k) for k, index in enumerate(statement.target)]
    value = statement.value
    if not isinstance(value, Reduce):
        yield _Scope(statement.axes, own, (*written, *_placed(value.operands)))
        return
    yield _Scope(statement.axes, own, tuple(written))
    for k, term in enumerate(value.terms):
        inner = tuple([_Variable(number, k, axis.name) for axis in term.over])
        indices = tuple(_placed(term.factors))
        yield _Scope((*statement.axes, *term.over), (*own, *inner), indices)


def _placed(operands: Iterable[Any]) -> Iterable[tuple[Index, str, int]]:
    """The indices of reads, each with the array and the axis of it that it is an index into."""
    for operand in operands:
        if not isinstance(operand, float):
            for k, index in enumerate(operand.index):
                yield index, operand.array, k


def _merged(arrays: Mapping[str, Array], scopes: Sequence[_Scope]) -> _Same:
    """Which things are the same: found again until nothing more is, if some are parts of others."""
    same, more, parts = _Same(), True, False
    for array in arrays.values():
        primal = arrays.get(array.adjoint or "")
        if primal is not None and primal.shape == array.shape:
            for k in range(len(array.shape)):
                same.merge(_Dimension(primal.name, k), _Dimension(array.name, k))
    while more:
        more = False
        for scope in scopes:
            lengths = {axis.name: axis.length for axis in scope.axes}
            things = dict(zip(lengths, scope.things, strict=True))
            for index, array_name, number in scope.indices:
                for name, thing in _meant(index, _Dimension(array_name, number), lengths, same):
                    new = same.merge(things[name], thing)
                    parts = parts or isinstance(thing, _Part)
                    more = more or (new and parts)
    return same


def _meant(
    index: Index, at: Thing, lengths: Mapping[str, int], same: _Same
) -> Iterable[tuple[str, Thing]]:
    """The axes of an index with what each is the index of."""
    if isinstance(index, Table):
        for number, name in enumerate(index.axes):
            yield name, _Dimension(index.name, number)
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
        yield name, _Part(same.find(at), lengths[name], False)
        at, unit = _Part(same.find(at), lengths[name], True), terms[0][0]
    if len(terms) == 1 and terms[0][0] == unit:
        yield terms[0][1], at


class _Letters:
    """The letters of each thing, as many as there are axes over it in one place."""

    def __init__(
        self, arrays: Mapping[str, Array], same: _Same, scopes: Sequence[Sequence[Thing]]
    ) -> None:
        self._taken = {*arrays, _SAMPLES}
        self._beside: defaultdict[Thing, set[Thing]] = defaultdict(set)
        counts: Counter[Thing] = Counter()
        for things in scopes:
            for thing, times in Counter(things).items():
                counts[thing] = max(counts[thing], times)
                self._beside[thing].update(other for other in things if other != thing)
        said = _said(arrays, same)
        for array in arrays.values():
            own = {same.find(_Dimension(array.name, k)) for k in range(len(array.shape))}
            for thing in own:
                self._beside[thing] |= own - {thing}
        shares = {thing: _largest_share(said.get(thing, ())) for thing in (*said, *counts)}
        self._found: defaultdict[Thing, list[str]] = defaultdict(list)
        self._everywhere: set[str] = set()
        for thing in sorted(shares, key=lambda thing: -shares[thing]):
            self._take(thing, self._told(thing, said.get(thing, ())))
        for part in same.blocks():
            if part in counts and not self._found[part]:
                self._take(part, _BLOCKS)
        for thing, times in counts.items():
            while len(self._found[thing]) < times:
                self._take(thing, self._next(thing))

    def __call__(self, thing: Thing) -> Sequence[str]:
        """The letters of a thing."""
        return self._found[thing]

    def _free(self, thing: Thing, letter: str) -> bool:
        """Whether a letter is no array's and is that of nothing which is seen beside the thing."""
        beside = [own for other in self._beside[thing] for own in self._found[other]]
        return letter not in self._taken and letter not in (*beside, *self._found[thing])

    def _take(self, thing: Thing, letter: str) -> None:
        if letter and self._free(thing, letter):
            self._found[thing].append(letter)
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
        own = self._found[thing]
        after = ascii_lowercase.partition(own[-1])[2] if own else ""
        usual = [x for x in after + _UNTOLD if x in _UNTOLD and self._free(thing, x)]
        fresh = [x for x in usual if x not in self._everywhere]
        numbered = (f"i{number}" for number in count(1))
        return next((x for x in (*fresh, *usual)), "") or next(
            x for x in numbered if self._free(thing, x)
        )


def _said(arrays: Mapping[str, Array], same: _Same) -> dict[Thing, list[str]]:
    """What the names of leaves say of each thing; names that differ in numbers are one."""
    found: dict[Thing, dict[str, str]] = {}
    for array in arrays.values():
        if array.kind == LEAF:
            for number in range(len(array.shape)):
                thing = same.find(_Dimension(array.name, number))
                name = re.sub("[0-9]+", "0", array.name)
                found.setdefault(thing, {})[name] = _letters_of(name)
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


def _names(scope: _Scope, same: _Same, letters: _Letters) -> dict[str, str]:
    """The letter of each axis of a scope: of several over one thing, each its own."""
    seen: Counter[Thing] = Counter()
    found = {}
    for axis, variable in zip(scope.axes, scope.things, strict=True):
        thing = same.find(variable)
        found[axis.name] = letters(thing)[seen[thing]]
        seen[thing] += 1
    return found


def _relettered(statement: Statement, names: Sequence[Mapping[str, str]]) -> Statement:
    """A statement with other names for its axes: those of its own, and those of each term."""
    own, *inner = names
    value = statement.value
    if isinstance(value, Reduce):
        terms = [renamed_term(term, also) for term, also in zip(value.terms, inner, strict=True)]
        value = Reduce(value.op, tuple(terms))
    else:
        value = renamed(value, own)

    place = statement.place
    return replace(
        statement,
        axes=renamed_axes(statement.axes, own),
        value=value,
        place=None if place is None else tuple([renamed_index(index, own) for index in place]),
        domain=tuple([renamed_condition(condition, own) for condition in statement.domain]),
    )
