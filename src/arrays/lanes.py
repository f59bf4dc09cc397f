"""Groups of lanes written as array operations, or lane by lane as scalars where that is cheaper."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ..ops.arrays import GATHER, MATMUL, MAX, OUTER, RESHAPE, SUM
from ..ops.record import Op
from ..ops.scalar import ADD, MAXIMUM, MUL, SUB
from .addresses import Addresses
from .contractions import Piece, Terms, write_products, write_sums
from .grouping import Generations, Group, Key
from .index_maps import CONSTANTS, Operand, arrange, identities, is_flat

if TYPE_CHECKING:
    from .index_maps import Arrangement, Places

FEW_LANES: Final = 4
"""A group of fewer lanes becomes an array only where it goes through the whole of one."""

FEW_PRODUCTS: Final = 8
"""Sums of fewer products altogether become an array only where they go through the whole of one."""

FEW_COEFFICIENTS: Final = 3
"""Up to so many constants that each meet the same elements are coefficients, not data."""


_WORDS: Final = {ADD: "sum", MUL: "product"}


class Finding(NamedTuple):
    """What a node of the array graph computes of the scalar graph: how many nodes of which kind."""

    node: int
    counts: Counter[str]


class Step(NamedTuple):
    """What a group does to its operands: an operation, or a signed sum or maximum of them all."""

    op: Op
    statics: tuple[Any, ...] = ()
    signs: tuple[int, ...] = ()

    def apply(self, emit: Callable[..., int], operands: Sequence[int]) -> int:
        """The node that `emit` makes of it."""
        if not self.signs:
            return emit(self.op, tuple(operands), self.statics)
        node, *others = operands
        for sign, operand in zip(self.signs[1:], others, strict=True):
            node = emit(self.op if sign > 0 else SUB, (node, operand))
        return node

    def tally(self, lanes: int) -> Counter[str]:
        """The nodes of the scalar graph that it stands for."""
        return Counter({_WORDS.get(self.op, self.op.name): lanes})


class LaneWriter:
    """Writes groups and settles their lanes.

    findings  what each array that was written computes of the scalar graph
    """

    def __init__(self, addresses: Addresses, generations: Generations) -> None:
        self.addresses = addresses
        self.writer = addresses.writer
        self.generations = generations
        self.findings: list[Finding] = []

    def write(self, key: Key, group: Group) -> None:
        """Compute the lanes of a group, and give each its address."""
        op = key[0]
        if op is MUL:
            self._write_products(key[1:], group)
        elif op is SUM or op is MAX:
            self._write_elements(op, key[1], group)
        else:
            step, homes = _step(key)
            place = self.addresses.place
            columns = [
                [place[node] for node in group.nodes[i :: len(homes)]] for i in range(len(homes))
            ]
            self._write_lanes(step, homes, group.lanes, columns)

    # -- operations lane by lane -----------------------------------------------------------------

    def _write_lanes(
        self, step: Step, homes: Sequence[int], lanes: Sequence[int], columns: Sequence[list[int]]
    ) -> None:
        """A group of one operation: lane i has the operands at place columns[…][i] of the homes."""
        import numpy

        if self._is_small(homes, lanes):
            for lane, *places in zip(lanes, *columns, strict=True):
                self._write_scalar(step, homes, lane, places)
            return
        tables = [numpy.array(column, numpy.int64) for column in columns]
        parts = _by_coefficient(step.op, homes, tables)
        for part in parts:
            chosen = [lanes[i] for i in part.tolist()]
            some = [table[part] for table in tables]
            if len(parts) > 1:
                self._write_lanes(step, homes, chosen, [table.tolist() for table in some])
            else:
                self._write_array(step, homes, chosen, some)

    def _is_small(self, homes: Sequence[int], lanes: Sequence[int]) -> bool:
        """Whether the lanes are few and not all the elements of something."""
        count = len(lanes)
        return count == 1 or (count < FEW_LANES and not self._is_whole(count, homes, lanes))

    def _is_whole(self, count: int, homes: Sequence[int], lanes: Sequence[int]) -> bool:
        """Whether so many are all elements of an operand, or of what the lanes are adjoints of."""
        sizes = {self.addresses.size(home) for home in homes if home != CONSTANTS}
        if count in sizes or sizes <= {1}:
            return True
        hint = self.addresses.hint(lanes)
        return hint is not None and self.addresses.size(hint[0]) == count

    def _write_scalar(self, step: Step, homes: Sequence[int], lane: int, places: list[int]) -> None:
        """One lane as a scalar operation on elements."""
        addresses, writer = self.addresses, self.writer
        if step.op is MUL and homes[0] == CONSTANTS and writer.numbers[places[0]] == 1.0:
            addresses.home[lane], addresses.place[lane] = homes[1], places[1]
            return
        operands = [writer.element(home, at) for home, at in zip(homes, places, strict=True)]
        if step.signs[1:2] == (1,) and self._reads_better(*operands[:2]):
            operands[:2] = operands[1::-1]
        node = step.apply(writer.graph.append, operands)
        self._settle_scalar(lane, node)

    def _settle_scalar(self, lane: int, node: int) -> None:
        addresses, labels = self.addresses, self.writer.graph.labels
        addresses.home[lane], addresses.place[lane] = self.writer.new_home(node), 0
        label = addresses.source.labels.get(lane)
        if label is not None:
            labels.setdefault(node, label)

    def _write_array(
        self, step: Step, homes: Sequence[int], lanes: Sequence[int], columns: Sequence[Places]
    ) -> None:
        """All lanes as one operation on arrays."""
        writer = self.writer
        if step.op is MUL and homes[0] == CONSTANTS:
            factors = {writer.numbers[place] for place in set(columns[0].tolist())}
            if factors == {1.0}:
                self.addresses.settle(lanes, homes[1], columns[1])
                return
        hint = self._hint(lanes)
        operands = ([hint] if hint else []) + writer.operands(homes, columns)
        others = [
            identities([column], len(lanes)) if home == CONSTANTS else column
            for home, column in zip(homes, columns, strict=True)
        ]
        arrangement = arrange(operands, len(lanes), others)
        node = self._outer(step, homes, columns, arrangement)
        if node is None:
            picked = [
                writer.pick_for_broadcast(home, arrangement.table(column))
                for home, column in zip(homes, columns, strict=True)
            ]
            if step.signs[1:2] == (1,) and self._reads_better(*picked[:2]):
                picked[:2] = picked[1::-1]
            node = writer.stretched(step.apply(writer.emit, picked), arrangement.shape)
        self._settle(lanes, node, arrangement.positions, step.tally(len(lanes)))

    def _outer(
        self, step: Step, homes: Sequence[int], columns: Sequence[Places], arrangement: Arrangement
    ) -> int | None:
        """The outer product, if the lanes are all products of two vectors' elements."""
        if step.op is not MUL or len(arrangement.shape) != 2:
            return None
        tables = [arrangement.table(column) for column in columns]
        if any(home != CONSTANTS and not self.writer.shapes[home] for home in homes):
            return None
        for turned in (False, True):
            first, second = (1, 0) if turned else (0, 1)
            if is_flat(tables[first], 1) and is_flat(tables[second], 0):
                left = self.writer.pick(homes[first], tables[first][:, 0])
                right = self.writer.pick(homes[second], tables[second][0])
                return self.writer.emit(OUTER, (left, right))
        return None

    def _reads_better(self, first: int, second: int) -> bool:
        """Whether people write the second of two terms first, as in x @ W + b."""
        graph = self.writer.graph
        if graph.ops[first] in (GATHER, RESHAPE):
            (first,) = graph.operands[first]
        return graph.is_leaf(first) and graph.ops[second] in (MATMUL, SUM)

    # -- sums ------------------------------------------------------------------------------------

    def _write_products(self, homes: Sequence[int], group: Group) -> None:
        """Sums of products, single products among them."""
        import numpy

        lanes, counts, total = group.lanes, group.counts, len(group.places[0])
        if total == len(lanes):
            self._write_lanes(Step(MUL), homes, lanes, group.places)
            return
        sizes = {self.addresses.size(home) for home in homes if home != CONSTANTS}
        if total < FEW_PRODUCTS and total not in sizes and len(lanes) not in sizes - {1}:
            self._write_scalar_products(homes, group)
            return
        roles = [self.addresses.primal_home(self.addresses.owner(lane)) for lane in lanes]
        if min(counts) < max(counts) and min(roles) < max(roles):
            for role in sorted(set(roles)):
                self._write_products(homes, group.chosen([r == role for r in roles]))
            return
        places = tuple(numpy.array(column, numpy.int64) for column in group.places)
        terms = Terms(tuple(homes), numpy.array(counts), places, self._hint(lanes))
        for found in write_products(self.writer, terms, self.addresses.parameters):
            if isinstance(found, Piece):
                chosen = [lanes[i] for i in found.lanes.tolist()]
                products = int(terms.counts[found.lanes].sum())
                self._settle(chosen, found.node, found.positions, Counter(product=products))
            else:
                chosen = [lanes[i] for i in found.tolist()]
                single = terms.of_count(1)
                columns = [table[:, 0].tolist() for table in single.places]
                self._write_lanes(Step(MUL), homes, chosen, columns)

    def _write_scalar_products(self, homes: Sequence[int], group: Group) -> None:
        """Each lane as a chain of scalar products and additions."""
        writer, start = self.writer, 0
        append = writer.graph.append
        for lane, count in zip(group.lanes, group.counts, strict=True):
            left, right = (column[start : start + count] for column in group.places)
            terms = [
                append(MUL, (writer.element(homes[0], a), writer.element(homes[1], b)))
                for a, b in zip(left, right, strict=True)
            ]
            start += count
            self._settle_scalar(lane, Step(ADD, signs=(1,) * count).apply(append, terms))

    def _write_elements(self, op: Op, home: int, group: Group) -> None:
        """Sums, or maxima, of elements of one array."""
        import numpy

        ends = numpy.cumsum(group.counts).tolist()
        rows = [group.nodes[end - n : end] for end, n in zip(ends, group.counts, strict=True)]
        places = self.addresses.places(group.nodes)
        terms = Terms((home,), numpy.array(group.counts), (places,), self._hint(group.lanes))
        for found in write_sums(self.writer, terms, op):
            if isinstance(found, Piece):
                chosen = [group.lanes[i] for i in found.lanes.tolist()]
                count = int(terms.counts[found.lanes].sum())
                self._settle(chosen, found.node, found.positions, Counter(term=count))
            else:
                for i in found.tolist():
                    self.generations.split(group.lanes[i], rows[i])

    # -- addresses -------------------------------------------------------------------------------

    def _hint(self, lanes: Sequence[int]) -> Operand | None:
        found = self.addresses.hint(lanes)
        return found[1] if found else None

    def _settle(
        self, lanes: Sequence[int], node: int, positions: Places, counts: Counter[str]
    ) -> None:
        """Note that the lanes are elements of `node`, and what they were."""
        addresses = self.addresses
        addresses.settle(lanes, self.writer.new_home(node), positions)
        self.findings.append(Finding(node, counts))
        if lanes[0] < len(addresses.source):
            self._name(lanes, node, positions)

    def settle_whole(self, home: int, sums: Sequence[int]) -> None:
        """Note that sums of one part are what an array holds."""
        node = self.writer.nodes[home]
        self._name(sums, node, self.addresses.places(sums))
        self.findings.append(Finding(node, Counter(sum=len(sums))))

    def _name(self, lanes: Sequence[int], node: int, positions: Places) -> None:
        """Label an array with what its elements are called, or are adjoints of."""
        import numpy

        graph = self.writer.graph
        name = self.addresses.name(lanes)
        if name and not graph.is_leaf(node):
            graph.labels.setdefault(node, name)
        hint = self.addresses.hint(lanes)
        if hint is None or graph.shapes.get(node) != hint[1].shape or not hint[1].is_whole():
            return
        if numpy.array_equal(hint[1].places, positions):
            graph.adjoint_of.setdefault(node, self.writer.nodes[hint[0]])


def _step(key: Key) -> tuple[Step, tuple[int, ...]]:
    """What a group's key says is done, and the homes of the operands."""
    if key[0] is ADD or key[0] is MAXIMUM:
        signs, homes = zip(*key[1], strict=True)
        return Step(key[0], (), signs), homes
    return Step(key[0], key[1]), key[2]


def _by_coefficient(op: Op, homes: Sequence[int], columns: Sequence[Places]) -> list[Places]:
    """The lanes, parted by the constants among their operands where those are coefficients.

    A few constants are, if each meets the same elements, as in 2*x and 3*x for every x, or if they
    scale a few runs of elements. Otherwise they are data, a number for each element.
    """
    import numpy

    lanes = len(columns[0])
    pairs = list(zip(homes, columns, strict=True))
    constants = [column for home, column in pairs if home == CONSTANTS]
    others = [column for home, column in pairs if home != CONSTANTS]
    whole = [numpy.arange(lanes)]
    if not constants or not others:
        return whole
    coefficient, element = identities(constants, lanes), identities(others, lanes)
    count, elements = int(coefficient.max()) + 1, int(element.max()) + 1
    if not 1 < count <= FEW_COEFFICIENTS or elements == 1 or op not in (MUL, ADD):
        return whole
    met = len(numpy.unique(coefficient * elements + element))
    if met == count * elements:
        return [numpy.flatnonzero(coefficient == one) for one in range(count)]
    along = numpy.lexsort(others)
    ends = 1 + numpy.flatnonzero(coefficient[along][1:] != coefficient[along][:-1])
    few = len(ends) < 2 * count and lanes >= 4 * len(ends)
    return numpy.split(along, ends) if few and op is MUL else whole
