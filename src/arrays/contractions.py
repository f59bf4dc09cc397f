"""Sums over many lanes at once: dot products, matrix products, sums over an axis, scattered sums.

Each lane is a sum of products a[i]*b[j], or of single elements a[i], from the same arrays as all
others. The places of the left factors of a lane are its left tuple, those of the right ones its
right tuple. If the lanes are all pairs of some left with some right tuples, they are a matrix
product; if they fall into equal blocks of which that is true, a stack of them; else two gathers and
a row-wise dot product. Lanes of different numbers of terms, as at the edges of a convolution, are
added up with a scatter.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import TYPE_CHECKING, Final, NamedTuple

from ..ops.arrays import MATMUL, MAX, SCATTER, SUM, TRANSPOSE
from ..ops.indexing import Index
from ..ops.record import Op
from ..ops.scalar import MUL
from .index_maps import CONSTANTS, Arrangement, Operand, Writer, arrange, identities

if TYPE_CHECKING:
    from .index_maps import Places

FEW_TERMS: Final = 3
"""Up to so many elements of one array are added one by one rather than gathered and summed."""


class Terms(NamedTuple):
    """Sums, one a lane: how many terms each has, and the places of their factors, lane by lane.

    homes   the array of the left factors, and of the right ones unless terms are single elements
    hint    where each lane's result would best stand: the array it is the adjoint of
    """

    homes: tuple[int, ...]
    counts: Places
    places: tuple[Places, ...]
    hint: Operand | None = None

    def of_count(self, count: int) -> Terms:
        """The lanes that have `count` terms, their places as tables of a row per lane."""
        import numpy

        lanes = numpy.flatnonzero(self.counts == count)
        starts = (numpy.cumsum(self.counts) - self.counts)[lanes]
        rows = starts[:, None] + numpy.arange(count)
        hint = self.hint and Operand(self.hint.shape, self.hint.places[lanes])
        tables = tuple(places[rows] for places in self.places)
        return Terms(self.homes, self.counts[lanes], tables, hint)

    def operands(self, writer: Writer) -> list[Operand]:
        """What arranges the lanes: the hint, then the first factors of each; constants do not."""
        firsts = writer.operands(self.homes, [table[:, 0] for table in self.places])
        return [self.hint, *firsts] if self.hint else firsts


class Piece(NamedTuple):
    """An array that was written for some lanes, and the position of each in it."""

    lanes: Places
    node: int
    positions: Places


def write_products(writer: Writer, terms: Terms, parameters: set[int]) -> Iterator[Piece | Places]:
    """The arrays for sums of products, in pieces; lanes of one term, if left over, as they are.

    Lanes with equally many terms are a matrix product or row-wise dot products. Among lanes with
    different numbers of terms only a matrix product with several rows and columns stands alone, and
    single products if they are the most; the rest becomes one array.
    """
    import numpy

    counts = numpy.unique(terms.counts).tolist()
    by_last = terms.homes[0] == CONSTANTS
    if len(counts) == 1:
        some = _in_order(terms.of_count(counts[0]), by_last)
        found = _matrix_product(writer, some, parameters) or _row_wise(writer, some)
        yield Piece(numpy.arange(len(terms.counts)), *found)
        return
    left = numpy.ones(len(terms.counts), bool)
    for count in counts:
        lanes = terms.counts == count
        if count > 1:
            some = _in_order(terms.of_count(count), by_last)
            product = _matrix_product(writer, some, parameters, least=2)
            if product is not None:
                yield Piece(numpy.flatnonzero(lanes), *product)
                left &= ~lanes
    single = left & (terms.counts == 1)
    if 2 * single.sum() > left.sum():
        yield numpy.flatnonzero(single)
        left &= ~single
    if left.any():
        yield Piece(numpy.flatnonzero(left), *_ragged(writer, _chosen(terms, left), by_last))


def _ragged(writer: Writer, terms: Terms, by_last: bool) -> tuple[int, Places]:
    """Lanes that are left over: row-wise if they have equally many terms, or else scattered."""
    count = int(terms.counts[0])
    if (terms.counts == count).all():
        return _row_wise(writer, _in_order(terms.of_count(count), by_last))
    return _scattered(writer, terms)


def write_sums(writer: Writer, terms: Terms, op: Op = SUM) -> Iterator[Piece | Places]:
    """The arrays for sums or maxima of elements, in pieces; lanes of few terms as they are."""
    import numpy

    left = numpy.zeros(len(terms.counts), bool)
    for count in numpy.unique(terms.counts).tolist():
        lanes = numpy.flatnonzero(terms.counts == count)
        some = _in_order(terms.of_count(count), False)
        found = _over_axis(writer, some, op)
        if found is not None:
            yield Piece(lanes, *found)
        elif count <= FEW_TERMS:
            yield lanes
        elif op is MAX:
            yield Piece(lanes, *_gathered(writer, some, op))
        else:
            left[lanes] = True
    if left.any():
        rest = _chosen(terms, left)
        count = int(rest.counts[0])
        if (rest.counts == count).all():
            found = _gathered(writer, _in_order(rest.of_count(count), False), op)
        else:
            found = _scattered(writer, rest)
        yield Piece(numpy.flatnonzero(left), *found)


def _chosen(terms: Terms, lanes: Places) -> Terms:
    """The lanes of a mask, their places still one after the other."""
    import numpy

    kept = numpy.repeat(lanes, terms.counts)
    hint = terms.hint and Operand(terms.hint.shape, terms.hint.places[lanes])
    places = tuple(column[kept] for column in terms.places)
    return Terms(terms.homes, terms.counts[lanes], places, hint)


def _in_order(terms: Terms, by_last: bool) -> Terms:
    """The terms of each lane sorted by the places of their factors: tuples then compare."""
    import numpy

    keys = terms.places if by_last else terms.places[::-1]
    order = numpy.lexsort(keys)
    sorted_tables = tuple(numpy.take_along_axis(table, order, 1) for table in terms.places)
    return terms._replace(places=sorted_tables)


def _row_ids(table: Places) -> Places:
    """A number for each row, equal for equal rows, counted by first appearance."""
    import numpy

    mix = numpy.random.default_rng(0).integers(2**62, size=table.shape[1], dtype=numpy.int64)
    ids = identities([table @ mix], len(table))  # sums wrap around: a hash of the row
    _, first = numpy.unique(ids, return_index=True)
    if numpy.array_equal(table[first][ids], table):
        return ids
    return identities(list(table.T), len(table))


def _matrix_product(
    writer: Writer, terms: Terms, parameters: set[int], least: int = 1
) -> tuple[int, Places] | None:
    """The node and the lanes' positions if the lanes are (at least half of) a matrix product.

    `least` is how many rows and columns it must have, and then it must be one product.
    """
    import numpy

    left, right = terms.places
    if any((table == table[:, :1]).all() for table in terms.places):
        return None
    rows, columns = _row_ids(left), _row_ids(right)
    height, width = int(rows.max()) + 1, int(columns.max()) + 1
    used = len(numpy.unique(rows * width + columns))
    if min(height, width) < least:
        return None
    if height * width >= 2 * used:
        return _stacked_product(writer, terms, rows, columns) if least == 1 else None
    sides = [
        _Side(home, table, ids, _order(home, table, ids, terms.hint))
        for home, table, ids in zip(terms.homes, terms.places, (rows, columns), strict=True)
    ]
    if _turned(sides, terms.hint, parameters):
        sides.reverse()
    node = _product(writer, *sides)
    positions = sides[0].ranks * len(sides[1].table) + sides[1].ranks
    hint = terms.hint
    if hint and hint.is_whole() and numpy.array_equal(positions, hint.places):
        node = writer.reshaped(node, hint.shape)
    return node, positions


class _Side:
    """One factor of a matrix product: a row of places for each distinct tuple, in order."""

    def __init__(self, home: int, table: Places, ids: Places, order: Places) -> None:
        import numpy

        _, first = numpy.unique(ids, return_index=True)
        self.home = home
        self.table = table[first[order]]
        position = numpy.empty_like(order)
        position[order] = numpy.arange(len(order))
        self.ranks = position[ids]


def _order(home: int, table: Places, ids: Places, hint: Operand | None) -> Places:
    """The distinct tuples in the order of their lanes in the hint, or else of first places."""
    import numpy

    keys = numpy.arange(len(ids)) if home == CONSTANTS else table[:, 0]
    if hint:
        keys = hint.places
    least = numpy.full(int(ids.max()) + 1, numpy.iinfo(numpy.int64).max)
    numpy.minimum.at(least, ids, keys)
    return numpy.argsort(least, kind="stable")


def _turned(sides: list[_Side], hint: Operand | None, parameters: set[int]) -> bool:
    """Whether the factors are to be exchanged: to get the order of the hint, or of the lanes.

    If neither order gives that, parameters stand on the right.
    """
    import numpy

    left, right = sides
    wanted = hint.places if hint else numpy.arange(len(left.ranks))
    if numpy.array_equal(left.ranks * len(right.table) + right.ranks, wanted):
        return False
    if numpy.array_equal(right.ranks * len(left.table) + left.ranks, wanted):
        return True
    return left.home in parameters and right.home not in parameters


def _product(writer: Writer, left: _Side, right: _Side) -> int:
    """Matrix times matrix, or with vectors where a factor has one row."""
    if len(left.table) == 1 and len(right.table) == 1:
        vectors = (writer.pick(left.home, left.table[0]), writer.pick(right.home, right.table[0]))
        return writer.emit(MATMUL, vectors)
    if len(left.table) == 1 or len(right.table) == 1:
        matrix, vector = (right, left) if len(left.table) == 1 else (left, right)
        once = writer.pick(vector.home, vector.table[0])
        if writer.is_straight(matrix.home, matrix.table.T):
            return writer.emit(MATMUL, (once, writer.pick(matrix.home, matrix.table.T)))
        return writer.emit(MATMUL, (writer.pick(matrix.home, matrix.table), once))
    first = writer.pick(left.home, left.table)
    return writer.emit(MATMUL, (first, _transposed(writer, right)))


def _transposed(writer: Writer, side: _Side) -> int:
    """The factor with a column for each tuple."""
    if writer.is_straight(side.home, side.table):
        return writer.emit(TRANSPOSE, (writer.pick(side.home, side.table),))
    return writer.pick(side.home, side.table.T)


def _stacked_product(
    writer: Writer, terms: Terms, rows: Places, columns: Places
) -> tuple[int, Places] | None:
    """The product of stacks of matrices, if the lanes are equal blocks that are full products."""
    import numpy

    blocks, again = _blocks(rows, columns), _blocks(columns, rows)
    lanes = len(rows)
    if not numpy.array_equal(identities([blocks], lanes), identities([again], lanes)):
        return None
    block = identities([blocks], lanes)
    row, column = _rank_within(block, rows), _rank_within(block, columns)
    shape = (int(block.max()) + 1, int(row.max()) + 1, int(column.max()) + 1)
    positions = numpy.ravel_multi_index((block, row, column), shape)
    full = len(numpy.unique(positions)) == prod(shape)
    if not full or prod(shape[1:]) == 1 or len(numpy.unique(rows)) != shape[0] * shape[1]:
        return None
    arrangement = Arrangement(shape, positions)
    left = arrangement.table(terms.places[0])[:, :, 0]
    right = arrangement.table(terms.places[1])[:, 0].swapaxes(-1, -2)
    factors = (writer.pick(terms.homes[0], left), writer.pick(terms.homes[1], right))
    return writer.emit(MATMUL, factors), positions


def _blocks(ids: Places, others: Places) -> Places:
    """For each lane the least of the ids that meet the same other as it."""
    import numpy

    least = numpy.full(int(others.max()) + 1, len(ids))
    numpy.minimum.at(least, others, ids)
    return least[others]


def _rank_within(block: Places, ids: Places) -> Places:
    """The rank of each id among the distinct ones of its block."""
    import numpy

    pairs, inverse = numpy.unique(block * (int(ids.max()) + 1) + ids, return_inverse=True)
    of_block = pairs // (int(ids.max()) + 1)
    _, first = numpy.unique(of_block, return_index=True)
    return (numpy.arange(len(pairs)) - first[of_block])[inverse]  # type: ignore[no-any-return]


def _row_wise(writer: Writer, terms: Terms) -> tuple[int, Places]:
    """Products element by element, summed over the last axis: a dot product for each lane."""
    import numpy

    arrangement = _arranged(writer, terms)
    tables = [arrangement.table(table) for table in terms.places]
    if not arrangement.shape and not any((table == table[0]).all() for table in tables):
        factors = [writer.pick(home, t) for home, t in zip(terms.homes, tables, strict=True)]
        return writer.emit(MATMUL, tuple(factors)), arrangement.positions
    factors = [
        writer.pick_for_broadcast(home, table)
        for home, table in zip(terms.homes, tables, strict=True)
    ]
    products = writer.stretched(writer.emit(MUL, tuple(factors)), numpy.shape(tables[0]))
    return writer.emit(SUM, (products,), (len(arrangement.shape),)), arrangement.positions


def _arranged(writer: Writer, terms: Terms) -> Arrangement:
    """The order of lanes that have equally many terms."""
    tuples = [_row_ids(table) for table in terms.places]
    return arrange(terms.operands(writer), len(tuples[0]), tuples)


def _over_axis(writer: Writer, terms: Terms, op: Op) -> tuple[int, Places] | None:
    """The array summed over one axis, or all, if that is what the lanes are."""
    import numpy

    (home,), (table,) = terms.homes, terms.places
    if home == CONSTANTS or table.size != prod(writer.shapes[home]) or table.shape[1] == 1:
        return None
    arrangement = _arranged(writer, terms)
    laid_out = arrangement.table(table)
    if not arrangement.shape and writer.is_straight(home, laid_out):
        return writer.emit(op, (writer.nodes[home],), (None,)), arrangement.positions
    for axis in (len(arrangement.shape), 0):
        view = numpy.moveaxis(laid_out, -1, axis)
        if writer.is_straight(home, view):
            return writer.emit(op, (writer.pick(home, view),), (axis,)), arrangement.positions
    return None


def _gathered(writer: Writer, terms: Terms, op: Op) -> tuple[int, Places]:
    """The terms of each lane gathered into a row, and the rows summed."""
    arrangement = _arranged(writer, terms)
    rows = writer.pick(terms.homes[0], arrangement.table(terms.places[0]))
    return writer.emit(op, (rows,), (len(arrangement.shape),)), arrangement.positions


def _scattered(writer: Writer, terms: Terms) -> tuple[int, Places]:
    """All terms in one array, each added to the place of its lane."""
    import numpy

    lanes, total = len(terms.counts), len(terms.places[0])
    shape, places = Operand((lanes,), numpy.arange(lanes))
    if terms.hint and terms.hint.is_whole():
        shape, places = terms.hint
    owners = numpy.repeat(numpy.arange(lanes), terms.counts)
    operands = writer.operands(terms.homes, terms.places)
    arrangement = arrange(operands, total, [*terms.places, owners, numpy.arange(total)])
    factors = [
        writer.pick_for_broadcast(home, arrangement.table(column))
        for home, column in zip(terms.homes, terms.places, strict=True)
    ]
    node = writer.emit(MUL, tuple(factors)) if len(factors) == 2 else factors[0]
    node = writer.stretched(node, arrangement.shape)
    index = Index(arrangement.table(places[owners]))
    return writer.emit(SCATTER, (node,), (index, shape)), places
