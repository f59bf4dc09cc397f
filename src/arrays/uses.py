"""Which leaves are one array where names do not tell: those that the same statement reads alike.

A list of parameters p0, p1, … may hold all matrices of a network. Scalars that one sum adds up are
elements of one array, and so are what such elements are made of in the same way, from the loss down
to the leaves. A sum of something of each leaf alone, such as a penalty on all parameters, tells
nothing, unless there are several such sums that are elements of one array.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from .homes import LeafArray, distinct_names
from .shapes import LEAF, Shapes
from .terms import NONE, Scalars

Slot = tuple[int, ...]
"""Where a scalar is read: the number of an operand, or a term's shape and which factor it is."""

_NUMBER: Final = -2
_SEVERAL: Final = -3
"""What a scalar depends on that depends on no leaf, and one that depends on several."""

TOGETHER, APART, LEAVES = "together", "apart", "leaves"


class Entry(NamedTuple):
    """What a scalar reads in one way: several operands where it adds them up.

    kind  "together": they are elements of one array; "apart": each depends on a leaf of its own, and
          "leaves": each is one, so that they may be elements of different arrays
    """

    slot: Slot
    operands: tuple[int, ...]
    kind: str


def homes_by_use(
    found: Scalars, known: Shapes, homes: Sequence[LeafArray]
) -> Sequence[LeafArray]:
    """The same arrays, but vectors taken apart by what reads their elements."""
    if all(len(home.shape) != 1 for home in homes):
        return homes
    uses = _Uses(found, known)
    result = [array for home in homes for array in _by_use(home, uses, found)]
    return distinct_names(sorted(result, key=lambda array: min(array.nodes)))


class _Uses:
    """Classes of scalars that are elements of one array, and the rows in which they are read.

    rows      scalars that are read one after another, by an element of some array
    combined  leaves that are not only read alone
    """

    def __init__(self, found: Scalars, known: Shapes) -> None:
        self._found, self._known = found, known
        self._parent: dict[int, int] = {}
        self._entries: dict[int, list[Entry]] = {}
        self._first: dict[int, dict[Slot, int]] = {}
        self._queue: list[tuple[int, int]] = []
        self._alone: dict[int, int] = {}
        self.rows: dict[tuple[int, ...], None] = {}
        self.combined: set[int] = set()
        for node in found.order:
            self._note(node)
        self._join_roots()
        self._settle()
        while self._join_separate():
            self._settle()
        self._join_partners()
        self._follow()

    def of(self, node: int) -> int:
        """The scalar that stands for all of its class."""
        parent, root = self._parent, node
        while root in parent:
            root = parent[root]
        while node != root:
            parent[node], node = root, parent[node]
        return root

    def _note(self, node: int) -> None:
        """Keep what a scalar reads that no derivative made, and join what it adds up."""
        entries = self._read(node)
        family = self._known.families[self._known.family[node]]
        if family.kind == LEAF:
            self._alone[node] = node
            return
        below = {self._alone.get(o, _NUMBER) for entry in entries for o in entry.operands}
        below.discard(_NUMBER)
        self._alone[node] = _SEVERAL if len(below) > 1 else next(iter(below), _NUMBER)
        if not entries or self._is_derived(node):
            return
        self._entries[node] = entries
        self._first[node] = {e.slot: e.operands[0] for e in entries if e.kind == TOGETHER}
        for entry in entries:
            if entry.kind == TOGETHER and len(entry.operands) > 1:
                self._join(entry.operands)
                self.rows[entry.operands] = None
            if entry.kind != APART and self._alone[node] == _SEVERAL:
                self.combined.update(entry.operands)

    def _is_derived(self, node: int) -> bool:
        found, origins = self._found, self._found.graph.origins
        origin = origins[node] if node < len(origins) else None
        return node in found.adjoint or (origin is not None and origin.transform != "stable")

    def _read(self, node: int) -> list[Entry]:
        found = self._found
        if node in found.inputs:
            return [Entry((k,), (o,), TOGETHER) for k, o in enumerate(found.inputs[node])]
        if node in found.extremes:
            return [self._entry((), found.extremes[node])]
        if node not in found.sums:
            return []
        family, alone = self._known.family, self._alone
        factors: defaultdict[Slot, list[int]] = defaultdict(list)
        lonely: defaultdict[Slot, bool] = defaultdict(lambda: True)
        for sign, number, first, second in found.sums[node]:
            if first == NONE:
                continue
            if second == NONE:
                key: Slot = (sign, number != NONE, family[first])
                factors[key].append(first)
                lonely[key] &= alone[first] != _SEVERAL
                continue
            if family[first] > family[second]:
                first, second = second, first
            key = (sign, number != NONE, family[first], family[second])
            single = alone[first] != _SEVERAL and alone[second] in (alone[first], _NUMBER)
            for k, factor in enumerate((first, second)):
                factors[*key, k].append(factor)
                lonely[*key, k] &= single
        entries = []
        for slot, operands in factors.items():
            kind = TOGETHER
            if lonely[slot]:
                made = self._known.families[family[operands[0]]]
                kind = LEAVES if len(slot) == 3 and not slot[1] and made.kind == LEAF else APART
            entries.append(Entry(slot, tuple(operands), kind))
        return entries

    def _entry(self, slot: Slot, operands: Sequence[int]) -> Entry:
        single = all(self._alone[operand] != _SEVERAL for operand in operands)
        return Entry(slot, tuple(operands), APART if single else TOGETHER)

    def _join(self, nodes: Iterable[int]) -> None:
        self._queue += pairwise(nodes)

    def _join_roots(self) -> None:
        """Outputs of one shape are elements of one array."""
        by_family: defaultdict[int, list[int]] = defaultdict(list)
        for root in self._found.roots:
            if root in self._entries:
                by_family[self._known.family[root]].append(root)
        for roots in by_family.values():
            self._join(roots)

    def _settle(self) -> None:
        """Join what joined scalars read in the same way, down to the leaves."""
        family, queue, none = self._known.family, self._queue, dict[Slot, int]()
        while queue:
            first, second = map(self.of, queue.pop())
            if first == second or family[first] != family[second]:
                continue
            self._parent[second] = first
            own, other = self._first.get(first, none), self._first.pop(second, none)
            for slot, node in other.items():
                if own.setdefault(slot, node) != node:
                    queue.append((own[slot], node))

    def _join_separate(self) -> bool:
        """Join what several elements of one array each read of leaves alone; whether anything is."""
        classes: defaultdict[tuple[int, Slot], list[Entry]] = defaultdict(list)
        for node, entries in self._entries.items():
            for entry in entries:
                if entry.kind != TOGETHER:
                    classes[self.of(node), entry.slot].append(entry)
        for entries in classes.values():
            if len(entries) < 2:
                continue
            columns = _columns(entries)
            groups = columns or [[o for entry in entries for o in entry.operands]]
            for group in groups:
                self._join(group)
            if columns is None:
                self.rows.update(dict.fromkeys(e.operands for e in entries))
        before = len(self._parent)
        self._settle()
        return len(self._parent) > before

    def _join_partners(self) -> None:
        """Join leaves that the same leaf is multiplied by, unless in one shape of terms."""

    def _follow(self) -> None:
        """Rows of what the elements of rows are made of, down to leaves."""
        known, rows = self._known, list(self.rows)
        while rows:
            row = rows.pop()
            entries = [self._entries.get(node) for node in row]
            if not all(entries):
                continue
            for below in _rows_below(entries):
                if below[0] != below[1] and below not in self.rows:
                    self.rows[below] = None
                    rows.append(below)


def _columns(entries: Sequence[Entry]) -> list[list[int]] | None:
    """Leaves by their place in sums of leaves, where these lie one after another: a table's row and
    another's in each sum; None where all are elements of one array.
    """
    if entries[0].kind != LEAVES or len({len(entry.operands) for entry in entries}) > 1:
        return None
    columns = [list(column) for column in zip(*[e.operands for e in entries], strict=True)]
    columns.sort(key=min)
    if any(max(before) >= min(after) for before, after in pairwise(columns)):
        return None
    return columns


def _rows_below(entries: Sequence[Sequence[Entry]]) -> Iterator[tuple[int, ...]]:
    """What all of some scalars read in the same way, one operand each."""
    for entry in entries[0]:
        for place in range(1 if entry.kind == TOGETHER else len(entry.operands)):
            row = []
            for other in entries:
                own = next((e.operands for e in other if e.slot == entry.slot), ())
                if len(own) == len(entry.operands) and (len(own) == 1 or entry.kind != TOGETHER):
                    row.append(own[place])
            if len(row) == len(entries) and len(row) > 1:
                yield tuple(row)


def _by_use(home: LeafArray, uses: _Uses, found: Scalars) -> list[LeafArray]:
    if len(home.shape) != 1:
        return [home]
    classes: defaultdict[int, list[int]] = defaultdict(list)
    for node in home.nodes:
        classes[uses.of(node)].append(node)
    rows: defaultdict[int, list[tuple[int, ...]]] = defaultdict(list)
    within = set(home.nodes)
    for row in uses.rows:
        if row[0] in within:
            rows[uses.of(row[0])].append(row)
    kept = {root: members for root, members in classes.items() if len(members) > 1}
    labels, arrays = found.graph.labels, []
    rest = [node for root, members in classes.items() if root not in kept for node in members]
    for root, members in kept.items():
        name = home.name if len(members) == len(home.nodes) else labels[members[0]]
        arrays.append(_grid(name, members, rows[root]))
    if rest and kept:
        name = home.name if len(rest) > 1 else labels[rest[0]]
        shape = (len(rest),) if len(rest) > 1 else ()
        arrays.append(LeafArray(name, shape, tuple(rest)))
    return arrays or [home]


def _grid(name: str, nodes: Sequence[int], rows: Sequence[tuple[int, ...]]) -> LeafArray:
    """An array of two axes where it is read in rows or columns, else of one."""
    place = {node: k for k, node in enumerate(nodes)}
    count = len(nodes)
    at = [[place[node] for node in row] for row in rows]
    widths = [len(row) for row in at if row[-1] - row[0] == len(row) - 1]
    width = max(widths, default=1)
    if 1 < width < count and count % width == 0:
        if all(_within_row(row, width) for row in at):
            return LeafArray(name, (count // width, width), tuple(nodes))
    return LeafArray(name, (count,), tuple(nodes))


def _within_row(places: Sequence[int], width: int) -> bool:
    low, high = min(places), max(places)
    return low // width == high // width or (len({p % width for p in places}) == 1)
