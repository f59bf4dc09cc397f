"""Statements in pieces: what holds on a part of an axis only is said of that part only."""

import random
from itertools import pairwise

import numpy as np
import pytest

import wengert as wg
from wengert.arrays.interpret import run
from wengert.arrays.statements import LEAF, Array, ArrayProgram, Output, Statement
from wengert.codegen.array.domains import blocked
from wengert.codegen.array.function import ArrayFunction
from wengert.codegen.array.pieces import in_pieces
from wengert.ops.reads import Affine, Among, AtLeast, Axis, Read, Reduce, Table, Term, along
from wengert.ops.scalar import ADD

J, H = Axis("j", 40), Axis("h", 3)


def from_on(place):
    return AtLeast(Affine(-place, (("j", 1),)))


def before(place):
    return AtLeast(Affine(place - 1, (("j", -1),)))


def rows(name, first, count, size):
    """a[(j - first) // size, h]·b[h, (j - first) % size] in blocks of rows from j = first on."""
    places = [(j - first) if first <= j < first + count * size else -1 for j in range(40)]
    high = Table(f"{name}_row", ("j",), (40,), tuple(p // size if p >= 0 else -1 for p in places))
    low = Table(f"{name}_column", ("j",), (40,), tuple(p % size if p >= 0 else -1 for p in places))
    factors = (Read("a", (high, along("h"))), Read("b", (along("h"), low)))
    return Term(1, factors, (H,), (from_on(first), before(first + count * size)))


def statement(*terms):
    return Statement("y", (J,), Reduce(ADD, terms))


def program(*statements):
    arrays = {name: Array(name, shape, LEAF) for name, shape in (("a", (9, 3)), ("b", (3, 9)))}
    arrays["y"] = Array("y", (40,))
    return ArrayProgram(arrays, statements, (Output("y"),))


def value(statements):
    draw = np.random.default_rng(3)
    leaves = {"a": draw.normal(size=(9, 3)), "b": draw.normal(size=(3, 9))}
    return run(program(*statements), leaves)[0]


def pieces(whole):
    return in_pieces(ArrayFunction("f", (), program(whole), [], {})).instructions


def tables(statements):
    return [i for s in statements for read in s.reads for i in read.index if isinstance(i, Table)]


def test_rows_of_several_arrays_in_one_vector_are_a_statement_each_without_tables():
    whole = statement(rows("u", 0, 4, 5), rows("v", 20, 2, 6), rows("w", 32, 1, 8))
    found = pieces(whole)
    assert [len(s.axes) for s in found] == [2, 2, 1]
    assert not tables(found)
    np.testing.assert_array_equal(value(found), value([whole]))


def test_where_no_term_is_left_there_are_zeros():
    whole = statement(rows("u", 3, 2, 5), rows("v", 20, 2, 6))
    found = pieces(whole)
    assert len(found) == 5
    np.testing.assert_array_equal(value(found), value([whole]))
    assert (value(found)[[0, 2, 13, 19, 32, 39]] == 0).all()


@pytest.mark.parametrize("seed", range(12))
def test_pieces_of_lists_and_bounds_compute_the_same(seed):
    draw = random.Random(seed)
    points = tuple(
        {(draw.randrange(5, 15), draw.randrange(3)) for _ in range(draw.randrange(1, 20))}
    )
    listed = Term(
        -1, (Read("b", (along("h"), Affine(2))),), (H,), (Among("p", ("j", "h"), points),)
    )
    first = draw.randrange(16, 25)
    whole = statement(listed, rows("u", first, draw.randrange(1, 3), draw.randrange(3, 7)))
    found = pieces(whole)
    assert len(found) > 1
    np.testing.assert_allclose(value(found), value([whole]), rtol=1e-15, atol=1e-15)


def test_terms_that_are_nearly_everywhere_stay_together():
    term = Term(1, (Read("b", (along("h"), Affine(2))),), (H,))
    edges = [Term(1, (2.0,), (), (from_on(1),)), Term(1, (3.0,), (), (before(39),))]
    whole = statement(term, *edges)
    assert pieces(whole) == (whole,)


def test_an_axis_in_blocks_says_the_same():
    listed = Among("p", ("j", "h"), ((0, 1), (7, 2), (39, 0)))
    term = Term(1, (Read("b", (along("h"), Affine(2))),), (H,), (listed, from_on(3)))
    whole = statement(term, rows("u", 0, 5, 8))
    found = blocked(whole, "j", 8, "k")
    assert [axis.length for axis in found.axes] == [5, 8]
    np.testing.assert_array_equal(value([found]), value([whole]))


@pytest.mark.parametrize("target", ["numpy", "native"])
def test_layers_whose_parameters_are_one_flat_list_have_statements_of_their_own(target):
    if target == "native":
        pytest.importorskip("llvmlite")
    g, sizes = wg.Graph(), [12, 16, 20, 8]
    count = sum(a * b for a, b in pairwise(sizes))
    p, x = g.inputs("p", count), g.inputs("x", 12)
    used, row = 0, list(x)
    for into, out in pairwise(sizes):
        weights = [p[used + k * into : used + (k + 1) * into] for k in range(out)]
        row = [wg.tanh(sum(a * b for a, b in zip(w, row, strict=True))) for w in weights]
        used += into * out
    loss = sum(row)
    outputs = [loss, *wg.grad(loss, p)]
    f = wg.compile({"p": p, "x": x}, outputs, target=target)
    draw = np.random.default_rng(0)
    given = draw.normal(size=count) * 0.3, draw.normal(size=12)
    assert "@table" not in f.source
    expected = wg.compile({"p": p, "x": x}, outputs)(*[part.tolist() for part in given])
    np.testing.assert_allclose(f(*given), expected, rtol=1e-12, atol=1e-14)
