"""Lists of points become tables that say the same."""

import random

import numpy as np
import pytest

import wengert as wg
from wengert.arrays.interpret import run
from wengert.arrays.statements import LEAF, Array, ArrayProgram, Output, Statement
from wengert.codegen.native.lists import listed_as_tables
from wengert.ops.reads import (
    Affine,
    Among,
    AtLeast,
    Axis,
    Equal,
    Read,
    Reduce,
    Table,
    Term,
    Unequal,
    along,
)
from wengert.ops.scalar import ADD

J, P, COLUMN, K = Axis("j", 7), Axis("p", 2), Axis("i", 9), Axis("k", 5)
GRID = [(j, i, k) for j in range(7) for i in range(9) for k in range(5)]


def summed(draw, count, domain=(), over=(COLUMN, K)):
    """y[j, p] = x[p, j] + Σ_{(j, i, k) in points} a[i + j, k]·b[p, table[k]] and conditions."""
    table = Table("table", ("k",), (5,), tuple(draw.randrange(4) for _ in range(5)))
    listed = Among("points", ("j", "i", "k"), tuple(draw.sample(GRID, count)))
    factors = (
        Read("a", (Affine(0, (("i", 1), ("j", 1))), along("k"))),
        Read("b", (along("p"), table)),
    )
    other = Term(1, (Read("x", (along("p"), along("j"))),))
    term = Term(-2, factors, over, (listed, *domain))
    return Statement("y", (J, P), Reduce(ADD, (other, term)))


def value(statement):
    leaves = {
        name: np.random.default_rng(3).normal(size=shape)
        for name, shape in (("x", (2, 7)), ("a", (15, 5)), ("b", (2, 4)))
    }
    arrays = {name: Array(name, leaf.shape, LEAF) for name, leaf in leaves.items()}
    arrays["y"] = Array("y", (7, 2))
    return run(ArrayProgram(arrays, (statement,), (Output("y"),)), leaves)[0]


def lists(statement):
    return [c for term in statement.value.terms for c in term.domain if isinstance(c, Among)]


EQUAL = Equal(Affine(1, (("i", 1),)), Table("t", ("k",), (5,), (1, 2, 3, 4, 5)))
BELOW = AtLeast(Affine(0, (("j", 1), ("i", -1))))
OTHER = Unequal(BELOW.expression)


@pytest.mark.parametrize("domain", [(), (EQUAL,), (BELOW,), (OTHER,)])
@pytest.mark.parametrize("count", [0, 1, 12, 200])
def test_sums_over_lists_are_sums_over_tables(count, domain):
    statement = summed(random.Random(count), count, domain)
    (found,) = listed_as_tables([statement])
    assert not lists(found)
    assert np.allclose(value(found), value(statement), rtol=1e-15, atol=0)


def test_what_is_read_where_an_element_has_no_point_is_within_the_array():
    (found,) = listed_as_tables([summed(random.Random(1), 12)])
    shapes = {"a": (15, 5), "b": (2, 4), "x": (2, 7)}
    tables = 0
    for read in found.reads:
        for index, length in zip(read.index, shapes[read.array], strict=True):
            if isinstance(index, Table):
                tables += 1
                assert 0 <= min(index.values) <= max(index.values) < length
    assert tables == 3


def test_elements_are_sums_over_no_more_points_than_one_has():
    (found,) = listed_as_tables([summed(random.Random(1), 12)])
    ((axis,),) = [term.over for term in found.value.terms if term.over]
    assert axis.length <= 5
    (found,) = listed_as_tables([summed(random.Random(1), 200)])
    assert found.value.terms[1].over == (COLUMN, K)


@pytest.mark.parametrize("target", ["numpy", "native"])
def test_the_gradient_of_rows_that_are_picked_from_a_flat_list_is_right(target):
    g = wg.Graph()
    p, x = g.inputs("p", 600), g.inputs("x", 40)
    places = [random.Random(5).randrange(0, 15) for _ in range(10)]
    rows = [[p[40 * place + k] for k in range(40)] for place in places]
    loss = sum(
        wg.tanh(sum(a * b for a, b in zip(row, x, strict=True))) * (n + 1)
        for n, row in enumerate(rows)
    )
    outputs = [loss, *wg.grad(loss, p, allow_unused=True)]
    f = wg.compile({"p": p, "x": x}, outputs, target=target)
    given = np.random.default_rng(0).normal(size=(2, 600)) * 0.1
    expected = wg.compile({"p": p, "x": x}, outputs)(given[0].tolist(), given[1][:40].tolist())
    assert np.allclose(f(given[0], given[1][:40]), expected, rtol=1e-12, atol=1e-15)


def test_both_ends_of_edges_are_read_from_tables_of_their_own():
    """The gradient of weights that messages go through: a sum over edges of two ends' product."""
    edges = [(i, (i * i + 1) % 6) for i in range(6)] + [((3 * i + 1) % 6, i) for i in range(6)]
    g = wg.Graph()
    weights = [g.inputs(f"w_{i}_", 5) for i in range(5)]
    nodes = [g.inputs(f"x_{i}_", 5) for i in range(6)]
    total = [[2 * x for x in node] for node in nodes]
    for a, b in edges:
        sent = [sum(c * d for c, d in zip(nodes[a], w, strict=True)) for w in weights]
        total[b] = [r + s for r, s in zip(total[b], sent, strict=True)]
    loss = sum(wg.tanh(r) ** 2 for node in total for r in node)
    w, x = [[leaf for row in rows for leaf in row] for rows in (weights, nodes)]
    outputs = {"loss": loss, "dw": wg.grad(loss, w)}
    given = np.random.default_rng(0).normal(size=55)
    wanted = wg.compile({"w": w, "x": x}, outputs)(given[:25].tolist(), given[25:].tolist())
    f = wg.compile({"w": w, "x": x}, outputs, target="native")
    assert "in points" in str(wg.roll([loss, *wg.grad(loss, w)]))
    assert np.allclose(f(given[:25], given[25:])["dw"], wanted["dw"])
