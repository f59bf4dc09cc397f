"""A sum over windows, of which few reach an element, is one over those few."""

import random
from functools import reduce
from math import prod

import numpy as np
import pytest
import scalar_programs as programs

import wengert as wg
from wengert.arrays.rolling import roll_nodes
from wengert.codegen.array.narrowing import narrowed
from wengert.ops.reads import Reduce, Table

PUT_TOGETHER = {
    "convolution": lambda window, kernel: sum(a * k for a, k in zip(window, kernel, strict=True)),
    "mean": lambda window, kernel: sum(window) / len(window),
    "max": lambda window, kernel: reduce(wg.maximum, window),
}


def slopes(kind, size, stride, width):
    """The leaves of an image and a kernel, and the slopes of what is made of windows by these."""
    g = wg.Graph()
    x, kernel = [g.inputs(f"x_{i}_", size) for i in range(size)], g.inputs("k", width**2)
    y = [[a.tanh() for a in row] for row in x]
    starts, places = range(0, size - width + 1, stride), range(width)
    windows = [[y[i + a][j + b] for a in places for b in places] for i in starts for j in starts]
    made = [PUT_TOGETHER[kind](window, kernel) for window in windows]
    leaves = [leaf for row in x for leaf in row]
    return [*leaves, *kernel], wg.grad(sum(a * a for a in made), leaves)


@pytest.mark.parametrize("kind", PUT_TOGETHER)
@pytest.mark.parametrize(("size", "stride", "width"), [(19, 2, 3), (20, 3, 5), (19, 1, 3)])
def test_the_terms_of_an_element_do_not_grow_with_the_image(kind, size, stride, width):
    leaves, wanted = slopes(kind, size, stride, width)
    found = roll_nodes(leaves[0].graph, [d.id for d in wanted])
    values = [narrowed(s).value for s in found.statements if found.arrays[s.array].size == size**2]
    terms = [term for value in values if isinstance(value, Reduce) for term in value.terms]
    assert max(prod(axis.length for axis in term.over) for term in terms) <= width**2
    numpy, python, native = (
        wg.compile({"x": leaves}, wanted, target=t) for t in ("numpy", "python", "native")
    )
    rng = random.Random(0)
    for pool in (None, [0.0, 1.0]):
        numbers = [rng.choice(pool) if pool else rng.uniform(-1, 1) for _ in leaves]
        for f in (numpy, native):
            np.testing.assert_allclose(f(numbers), python(numbers), 1e-11, 1e-13)


def test_a_matrix_that_is_there_is_read_as_it_is():
    source, loss = programs.window_attention(12, 3)
    found = roll_nodes(source.graph, [output.id for output in source.with_gradient(loss)])
    assert all(narrowed(statement) is statement for statement in found.statements)


def test_an_end_of_a_window_is_no_table():
    leaves, wanted = slopes("mean", 19, 1, 3)
    found = roll_nodes(leaves[0].graph, [d.id for d in wanted])
    made = [narrowed(statement) for statement in found.statements]
    assert made != list(found.statements)
    assert not any(isinstance(i, Table) for s in made for read in s.reads for i in read.index)
