"""Array programs of one sample for a batch of them: the same as sample by sample."""

import numpy as np
import pytest
import scalar_programs as programs

import wengert as wg
from wengert.arrays.batched import batched
from wengert.arrays.interpret import run
from wengert.arrays.rolling import roll_nodes
from wengert.errors import UnknownNameError
from wengert.train.optim import Adam

SAMPLES = 3


def of_one_sample(optimizer=None):
    """A program of a network's loss and its gradient, or a step, totalled over the samples."""
    s = programs.Source()
    x, y = s.inputs("x", 3), s.inputs("y", 2)
    h = [wg.tanh(a) for a in programs.affine(x, s.weights("w", 4, 3), s.weights("b", 4))]
    out = programs.linear(h, s.weights("v", 2, 4))
    loss = programs.squared(out, y)
    grads = [wg.total(g) for g in wg.grad(loss, s.parameters)]
    arguments = {"params": s.parameters, "x": x, "y": y}
    if optimizer is None:
        return s, [wg.total(loss), *grads, *out], arguments
    state = [s.graph.parameter(f"state_{k}", 0.5 + k) for k in range(2 + 2 * len(grads))]
    state[:2] = [s.graph.parameter("first", 0.9), s.graph.parameter("second", 0.99)]
    moved, after = optimizer.step(s.parameters, grads, state)
    return s, [wg.total(loss), *moved, *after], {**arguments, "state": state}


def rolled(s, outputs, arguments):
    nodes = {name: [leaf.id for leaf in leaves] for name, leaves in arguments.items()}
    return roll_nodes(s.graph, [output.id for output in outputs], nodes)


def test_a_batch_is_computed_as_sample_by_sample():
    s, outputs, arguments = of_one_sample()
    program = batched(rolled(s, outputs, arguments), ["x", "y"])
    rng = np.random.default_rng(0)
    given = {"x": rng.normal(size=(SAMPLES, 3)), "y": rng.normal(size=(SAMPLES, 2))}
    values = {name: s.graph.value(node) for name, node in s.graph.leaves.items()}
    values = {name: value for name, value in values.items() if name[0] not in "xy"}
    loss, gradient, out = run(program, {**values, **given})
    each = []
    for n in range(SAMPLES):
        at = {f"x_{i}": given["x"][n, i] for i in range(3)}
        at |= {f"y_{i}": given["y"][n, i] for i in range(2)}
        each.append(wg.evaluate(outputs, at))
    each = np.array(each)
    count = len(s.parameters)
    np.testing.assert_allclose(loss, each[:, 0].sum())
    np.testing.assert_allclose(gradient, each[:, 1 : 1 + count].sum(0))
    np.testing.assert_allclose(out, each[:, 1 + count :])


def test_a_gradient_sums_over_the_samples_where_it_is_computed():
    s, outputs, arguments = of_one_sample()
    lines = str(batched(rolled(s, outputs, arguments), ["x", "y"])).splitlines()
    assert "t2[n, i] = tanh(Σ_j x[n, j]·w[i, j] + b[i])" in lines
    assert "dw[i, j] = Σ_n x[n, j]·dt1[n, i]" in lines
    assert "dv[k, i] = Σ_n t2[n, i]·dt3[n, k]" in lines


def test_what_follows_a_total_is_computed_once():
    s, outputs, arguments = of_one_sample(Adam(0.01))
    program = batched(rolled(s, outputs, arguments), ["x", "y"])
    assert [len(program.arrays[output.array].shape) for output in program.outputs][:2] == [0, 1]
    moving = [s for s in program.statements if any(r.array == "params" for r in s.reads)]
    assert [[axis.length for axis in s.axes] for s in moving] == [[24]]


def test_the_total_of_what_no_sample_has_its_own_of_counts_the_samples():
    g = wg.Graph()
    x, w = g.input("x"), g.input("w")
    outputs = [wg.total(x * w), wg.total(w * 2)]
    program = batched(roll_nodes(g, [output.id for output in outputs]), ["x"])
    product, twice = run(program, {"x": [1.0, 2.0, 4.0], "w": 10.0})
    assert (product, twice) == (70, 60)


def test_only_leaves_can_be_batched():
    g = wg.Graph()
    program = roll_nodes(g, [wg.tanh(g.input("x")).id])
    with pytest.raises(UnknownNameError, match="t1"):
        batched(program, ["t1"])
    assert batched(program, []) is program
