"""Vectors put out that consist of many short pieces: a line for each array, not for each piece."""

import numpy as np
import pytest

import wengert as wg


def interleaved(size):
    """Each parameter's new value beside what is remembered of it."""
    g = wg.Graph()
    w, m = g.inputs("w", size), g.inputs("m", size)
    grads = wg.grad(sum(wg.tanh(a) for a in w), w)
    kept = [0.9 * old + d for old, d in zip(m, grads, strict=True)]
    pairs = [e for a, b in zip(w, kept, strict=True) for e in (a - 0.1 * b, b)]
    return {"w": w, "m": m}, {"out": pairs}


def triangular(size):
    """The derivative by a matrix of which what is above the diagonal is not read."""
    g = wg.Graph()
    w = [[g.parameter(f"w_{i}_{j}", 0.5) for j in range(size)] for i in range(size)]
    x = g.inputs("x", size)
    read = [sum(a * b for a, b in zip(r[: i + 1], x, strict=False)) for i, r in enumerate(w)]
    loss = sum(a * a for a in read)
    leaves = [e for row in w for e in row]
    return {"w": leaves, "x": x}, {"out": [loss, *wg.grad(loss, leaves, allow_unused=True)]}


@pytest.mark.parametrize("build", [interleaved, triangular])
def test_many_pieces_of_one_array_are_put_out_at_once(build):
    lines = set()
    for size in (7, 12):
        arguments, outputs = build(size)
        f = wg.compile(arguments, outputs, target="numpy")
        given = [np.linspace(-1, 1, len(leaves)) for leaves in arguments.values()]
        expected = wg.compile(arguments, outputs, target="python")(*map(list, given))["out"]
        np.testing.assert_allclose(f(*given)["out"], expected, rtol=1e-12)
        lines.add(f.source.count("out["))
    assert len(lines) == 1


def test_what_is_not_read_lies_in_the_matrix_of_what_is():
    f = wg.compile(*triangular(6), target="numpy")
    assert "w.reshape(6, 6)" in f.source
