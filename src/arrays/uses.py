"""Which leaves are one array where names do not tell: those that the same statement reads alike.

A list of parameters p0, p1, … may hold all matrices of a network. Scalars that one sum adds up are
elements of one array, and so are what such elements are made of in the same way, from the loss down
to the leaves. A sum of something of each leaf alone, such as a penalty on all parameters, tells
nothing, unless there are several such sums that are elements of one array.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, groupby, pairwise
from math import gcd
from typing import Final, NamedTuple, TypeVar

from .classes import Classes
from .homes import LeafArray, distinct_names
from .shapes import LEAF, Shapes
from .terms import NONE, Scalars

Slot = tuple[int, ...]
"""Where a scalar is read: the number of an operand, or a term's shape and which factor it is."""

_NUMBER: Final = -2
_SEVERAL: Final = -3
"""What a scalar depends on that depends on no leaf, and one that depends on several."""

_UNREAD: Final = -4
"""Stands for the class of leaves that nothing reads."""

_T = TypeVar("_T")

TOGETHER, APART, LEAVES = "together", "apart", "leaves"


class Entry(NamedTuple):
    """What a scalar reads in one way: several operands where it adds them up.

    runs  the operands, leaves in runs that follow each other in their list
    kind  "together": all of a run are elements of one array; "apart": each depends on a leaf of its
          own; "leaves": each is one, so that runs may be elements of different arrays
    """

    slot: Slot
    runs: tuple[tuple[int, ...], ...]
    kind: str

    @property
    def operands(self) -> tuple[int, ...]:
        """All that is read."""
        return tuple(chain.from_iterable(self.runs))


def homes_by_use(
    found: Scalars, known: Shapes, homes: Sequence[LeafArray], untold: frozenset[str]
) -> Sequence[LeafArray]:
    """The same arrays, but those named in `untold` taken apart by what reads their elements."""
    uses, rows = _Uses(found, known), defaultdict[str, list[tuple[int, ...]]](list)
    home_of = {node: home.name for home in homes for node in home.nodes}
    for row in uses.rows:
        if row[0] in home_of:
            rows[home_of[row[0]]].append(tuple(dict.fromkeys(row)))
    result: list[LeafArray] = []
    for home in homes:
        if home.name not in untold:
            result.append(home)
        elif len(home.shape) == 1:
            result += _by_use(home, uses, rows[home.name], found.graph.labels)
        else:
            result += _side_by_side(home, uses)
    return distinct_names(sorted(result, key=lambda array: min(array.nodes)))


class _Uses:
    """Classes of scalars that are elements of one array, and the rows in which they are read.

    rows      scalars that are read one after another, by an element of some array
    combined  leaves that are not only read alone
    """

    def __init__(self, found: Scalars, known: Shapes) -> None:
        self._found, self._known = found, known
        self._classes = Classes[int]()
        self.of = self._classes.of
        self._joined: set[int] = set()
        self._first: dict[int, dict[Slot, int]] = {}
        self._separate: list[tuple[int, Entry]] = []
        self._queue: list[tuple[int, int]] = []
        self._alone: dict[int, int] = {}
        self._products: list[tuple[Slot, int, int]] = []
        self.rows: dict[tuple[int, ...], None] = {}
        self.combined: set[int] = set()
        for node in found.order:
            self._note(node)
        self._join_roots()
        self._settle()
        while self._join_separate():
            continue
        self._find_factors()
        self._follow()

    def _note(self, node: int) -> None:
        """Keep what a scalar reads that no derivative made, and join what it adds up."""
        if self._known.families[self._known.family[node]].kind == LEAF:
            self._alone[node] = node
            return
        if self._is_derived(node):
            self._alone[node] = _SEVERAL
            return
        first = self._first[node] = {}
        family = self._known.family
        self._alone[node] = self._one_of(self._found.operands(node))
        entries = self._read(node)
        for one, other in pairwise(entries):
            leaves = one.runs[0][0], other.runs[0][0]
            are_leaves = all(self._alone.get(leaf) == leaf for leaf in leaves)
            if are_leaves and one.slot[:-1] == other.slot[:-1] != ():
                use = (family[node], *one.slot[:-1])
                self._products += [((*use, 0), *leaves), ((*use, 1), *leaves[::-1])]
        for entry in entries:
            slot, runs, kind = entry
            if kind == TOGETHER and len(runs) == 1:
                first[slot] = runs[0][0]
            else:
                self._separate.append((node, entry))
            for run in runs:
                if len(run) > 1 and kind == TOGETHER:
                    self._queue += pairwise(run)
                    self.rows[run] = None
                if kind != APART and self._alone[node] == _SEVERAL:
                    self.combined.update(run)

    def partners(self, one: int, other: int) -> bool:
        """Whether the same array multiplies two classes of leaves, in no shape of terms both.

        So it does a token at one step of a recurrence and a token at another.
        """
        apart = self._shapes_of[one].isdisjoint(self._shapes_of[other])
        return apart and bool(self._factors[one] & self._factors[other] - {one, other})

    def _find_factors(self) -> None:
        """What the leaves of each class are multiplied by, and in which shapes of terms."""
        self._shapes_of: defaultdict[int, set[Slot]] = defaultdict(set)
        self._factors: defaultdict[int, set[int]] = defaultdict(set)
        for slot, leaf, factor in self._products:
            self._shapes_of[self.of(leaf)].add(slot)
            self._factors[self.of(leaf)].add(self.of(factor))

    def _is_derived(self, node: int) -> bool:
        found, origins = self._found, self._found.graph.origins
        origin = origins[node] if node < len(origins) else None
        return node in found.adjoint or (origin is not None and origin.transform != "stable")

    def _read(self, node: int) -> list[Entry]:
        """What a scalar reads."""
        found, family = self._found, self._known.family
        inputs = found.inputs.get(node)
        if inputs is not None:
            return [Entry((k,), ((operand,),), TOGETHER) for k, operand in enumerate(inputs)]
        extremes = found.extremes.get(node)
        if extremes is not None:
            single = all(self._alone[operand] != _SEVERAL for operand in extremes)
            return [Entry((), (tuple(extremes),), APART if single else TOGETHER)]
        groups: dict[Slot, list[tuple[int, ...]]] = {}
        for sign, number, one, other in found.sums.get(node, ()):
            if other != NONE:
                if family[one] > family[other]:
                    one, other = other, one
                key: Slot = (sign, number != NONE, family[one], family[other])
                groups.setdefault(key, []).append((one, other))
            elif one != NONE:
                groups.setdefault((sign, number != NONE, family[one]), []).append((one,))
        return [entry for slot, terms in groups.items() for entry in self._terms(slot, terms)]

    def _one_of(self, operands: Iterable[int]) -> int:
        """The one leaf that operands depend on, or what says that there is none, or several."""
        found = _NUMBER
        for operand in operands:
            leaf = self._alone.get(operand, _NUMBER)
            if leaf not in (_NUMBER, found):
                if found != _NUMBER or leaf == _SEVERAL:
                    return _SEVERAL
                found = leaf
        return found

    def _terms(self, slot: Slot, terms: Sequence[tuple[int, ...]]) -> Iterator[Entry]:
        """What terms of one shape read, by factor."""
        kinds = [self._known.families[number].kind for number in slot[2:]]
        single = all(self._one_of(term) != _SEVERAL for term in terms)
        runs: Sequence[Sequence[tuple[int, ...]]] = [terms]
        if kinds == ([LEAF] if single else [LEAF, LEAF]):
            runs = _in_runs(terms, self._follows)
        kind = TOGETHER
        if single:
            kind = LEAVES if kinds == [LEAF] and not slot[1] else APART
        for k in range(len(kinds)):
            yield Entry((*slot, k), tuple([tuple([t[k] for t in run]) for run in runs]), kind)

    def _follows(self, before: tuple[int, ...], term: tuple[int, ...]) -> bool:
        """Whether some factor of a term of leaves is after that of the term before in its list."""
        lane = self._known.lane
        return any(lane[f] == lane[e] + 1 for e, f in zip(before, term, strict=True))

    def _join_roots(self) -> None:
        """Outputs of one shape are elements of one array."""
        by_family: defaultdict[int, list[int]] = defaultdict(list)
        for root in self._found.roots:
            if root in self._first:
                by_family[self._known.family[root]].append(root)
        for roots in by_family.values():
            self._queue += pairwise(roots)

    def _settle(self) -> bool:
        """Join what joined scalars read alike, down to the leaves; whether anything is joined."""
        family, queue, joined = self._known.family, self._queue, False
        while queue:
            first, second = map(self.of, queue.pop())
            if first == second or family[first] != family[second]:
                continue
            joined = self._classes.join(first, second)
            self._joined.add(first)
            own = self._first.setdefault(first, {})
            for slot, node in self._first.pop(second, {}).items():
                if own.setdefault(slot, node) != node:
                    queue.append((own[slot], node))
        return joined

    def _join_separate(self) -> bool:
        """Join what several elements of an array each read of leaves alone; whether anything is."""
        classes: defaultdict[tuple[int, Slot], list[Entry]] = defaultdict(list)
        for node, entry in self._separate:
            classes[self.of(node), entry.slot].append(entry)
        for (root, slot), entries in classes.items():
            one = self._first.get(root, {}).get(slot)
            if one is None and len(entries) == 1 and entries[0].kind != TOGETHER:
                continue
            columns = _columns(entries) if one is None else None
            every = [operand for entry in entries for operand in entry.operands]
            if entries[0].kind == APART:  # numbers that are 0 multiply others than those of data
                every = [node for node in every if self.of(node) not in self._joined]
            for group in columns or [every if one is None else [one, *every]]:
                self._queue += pairwise(group)
            if columns is None:
                self.rows.update(dict.fromkeys(e.operands for e in entries if len(e.operands) > 1))
        return self._settle()

    def _follow(self) -> None:
        """Rows of what the elements of rows are made of, down to leaves."""
        rows = list(self.rows)
        while rows:
            row = rows.pop()
            leaf = self._known.families[self._known.family[row[0]]].kind == LEAF
            if leaf or any(map(self._is_derived, row)):
                continue
            for below in _rows_below([self._read(node) for node in row]):
                if below[0] != below[1] and below not in self.rows:
                    self.rows[below] = None
                    rows.append(below)


def _columns(entries: Sequence[Entry]) -> list[list[int]] | None:
    """Runs of leaves by their place in each sum; None where these are elements of one array.

    They are those of several where all of one are before all of another, as of a table for tokens
    and one for positions.
    """
    if entries[0].kind == APART or len({len(entry.runs) for entry in entries}) > 1:
        return None
    columns = [list(chain(*runs)) for runs in zip(*[e.runs for e in entries], strict=True)]
    columns.sort(key=min)
    mixed = any(max(before) >= min(after) for before, after in pairwise(columns))
    if mixed or any(min(column) == max(column) for column in columns):
        return None
    return columns


def _rows_below(entries: Sequence[Sequence[Entry]]) -> Iterator[tuple[int, ...]]:
    """What all of some scalars read in the same way, one operand each."""
    by_slot = [{entry.slot: entry for entry in own} for own in entries]
    for slot, entry in by_slot[0].items():
        if entry.kind == TOGETHER and len(entry.operands) > 1:
            continue
        own = [other[slot].operands for other in by_slot if slot in other]
        if len(own) == len(entries) and len({len(operands) for operands in own}) == 1:
            yield from zip(*own, strict=True)


def _side_by_side(home: LeafArray, uses: _Uses) -> list[LeafArray]:
    """A matrix in blocks of rows, where it is several: those of queries, keys and values."""
    if len(home.shape) < 2:
        return [home]
    size = len(home.nodes) // home.shape[0]
    lines = [home.nodes[k : k + size] for k in range(0, len(home.nodes), size)]
    classes = [{uses.of(node) for node in line} for line in lines]
    blocks = [(roots, len(list(same))) for roots, same in groupby(classes)]
    roots = [next(iter(roots)) for roots, _ in blocks]
    several = len({*roots}) == len(roots) > 1
    whole = all(len(own) == 1 and count > 1 for own, count in blocks)
    if not (several and whole) or any(uses.partners(a, b) for a, b in pairwise(roots)):
        return [home]
    found, start = [], 0
    for _, count in blocks:
        nodes = home.nodes[start * size : (start + count) * size]
        found.append(LeafArray(f"{home.name}_{start}", (count, *home.shape[1:]), nodes))
        start += count
    return found


def _by_use(
    home: LeafArray, uses: _Uses, read: Sequence[tuple[int, ...]], labels: Mapping[int, str]
) -> list[LeafArray]:
    """A vector as the arrays that its leaves are elements of."""
    rows: defaultdict[int, list[tuple[int, ...]]] = defaultdict(list)
    for row in read:
        if len({uses.of(node) for node in row}) == 1:
            rows[uses.of(row[0])].append(row)
    classes, arrays = _filled(home, uses, rows), list[LeafArray]()
    for root, nodes in classes.items():
        whole = len(nodes) == len(home.nodes) or (root == NONE and len(nodes) > 1)
        name = home.name if whole else labels[nodes[0]]
        arrays.append(_array(name, nodes, rows.get(root, [])))
    return arrays if len(classes) > (NONE in classes) else [home]


def _filled(
    home: LeafArray, uses: _Uses, rows: dict[int, list[tuple[int, ...]]]
) -> dict[int, list[int]]:
    """The leaves of each class; those without a class, by `NONE`.

    Leaves that nothing reads are elements of the array before them or of that after them, if they
    are rows of it: those of a table of which only some are picked.
    """
    sizes = Counter(map(uses.of, home.nodes))
    own = {node: NONE if node in uses.combined else _UNREAD for node in home.nodes}
    own.update((node, uses.of(node)) for node in home.nodes if sizes[uses.of(node)] > 1)
    for root, first in _neighbours([r for r in own.values() if r != _UNREAD], uses).items():
        own.update((node, first) for node in home.nodes if own[node] == root)
        rows[first] = [*rows.get(first, ()), *rows.pop(root, ())]
    classes: defaultdict[int, list[int]] = defaultdict(list)
    for node, root in own.items():
        classes[root].append(node)
    shapes = {
        root: _array("", nodes, rows.get(root, ())).shape
        for root, nodes in classes.items()
        if root not in (NONE, _UNREAD)
    }
    blocks = [(root, list(nodes)) for root, nodes in groupby(home.nodes, key=own.__getitem__)]
    found: defaultdict[int, list[int]] = defaultdict(list)
    for k, (root, nodes) in enumerate(blocks):
        beside = [r for r, _ in (*blocks[max(k - 1, 0) : k], *blocks[k + 1 : k + 2])]
        if root == _UNREAD and beside:
            within = beside[0] == beside[-1] and len(shapes.get(beside[0], ())) == 1
            fitting = [r for r in beside if r in shapes and len(nodes) % shapes[r][-1] == 0]
            root = next(iter(beside if within else fitting), NONE)
        found[root if root != _UNREAD else NONE] += nodes
    return found


def _neighbours(roots: Iterable[int], uses: _Uses) -> dict[int, int]:
    """Classes that are part of the one before, partners that nothing else lies between."""
    blocks = [root for root, _ in groupby(roots)]
    count, found, start = Counter(blocks), dict[int, int](), 0
    for end in range(1, len(blocks) + 1):
        if end < len(blocks) and uses.partners(blocks[end - 1], blocks[end]):
            continue
        run = blocks[start:end]
        if sum(count[root] for root in {*run}) == len(run):
            found.update((root, run[0]) for root in run if root != run[0])
        start = end
    return found


def _array(name: str, nodes: Sequence[int], rows: Sequence[tuple[int, ...]]) -> LeafArray:
    """An array with an axis along what it is read in, row by row; in its own order if it can be."""
    if len(nodes) == 1:
        return LeafArray(name, (), tuple(nodes))
    own, *others = [_ordered(name, order, rows) for order in (nodes, *_as_read(nodes, rows))]
    steps = {b - a for row in own.rows for a, b in pairwise(row)}
    best = max([own, *others], key=lambda one: one.consecutive)
    return own.array if len(steps) < 2 and own.axes >= best.axes else best.array


class _Ordered(NamedTuple):
    """Leaves in some order, and the rows that are read as places in it."""

    array: LeafArray
    rows: list[list[int]]

    @property
    def axes(self) -> int:
        """How many axes the array has."""
        return len(self.array.shape)

    @property
    def consecutive(self) -> int:
        """How often the next leaf of a row is the next one of the array."""
        return sum(b == a + 1 for row in self.rows for a, b in pairwise(row))


def _ordered(name: str, order: Sequence[int], rows: Sequence[Sequence[int]]) -> _Ordered:
    place = {node: k for k, node in enumerate(order)}
    places = [[place[node] for node in row] for row in rows]
    return _Ordered(LeafArray(name, _grid(len(order), places), tuple(order)), places)


def _as_read(nodes: Sequence[int], rows: Sequence[tuple[int, ...]]) -> Iterator[list[int]]:
    """The leaves in the order in which they are read, if rows of them do not overlap."""
    longest = max(map(len, rows), default=0)
    order = [node for row in rows if len(row) == longest for node in row]
    if len(order) == len(nodes) == len({*order}):
        yield order


def _grid(count: int, rows: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """The lengths of axes along which places are read; one run of them alone makes no axes."""
    runs = [_in_runs(row, lambda before, place: place == before + 1) for row in rows]
    if len({run[0] for own in runs for run in own}) < 2:
        return (count,)
    width = max((len(run) for own in runs for run in own), default=1)
    steps = [b[0] - a[0] for own in runs for a, b in pairwise(own) if len(a) > 1 and b[0] > a[0]]
    width = min(steps, default=width)
    ends = [(run[0], run[-1] + 1) for own in runs for run in own]
    if any(a // width != (b - 1) // width and (a % width or b % width) for a, b in ends):
        width = gcd(*chain(*ends))
    if width in (1, count) or count % width:
        return (count,)
    again = [list(dict.fromkeys(place // width for run in own for place in run)) for own in runs]
    return (*_grid(count // width, again), width)


def _in_runs(items: Sequence[_T], follows: Callable[[_T, _T], bool]) -> list[list[_T]]:
    """Things in runs of those that each follow the one before."""
    runs = [[items[0]]]
    for before, item in pairwise(items):
        if follows(before, item):
            runs[-1].append(item)
        else:
            runs.append([item])
    return runs
