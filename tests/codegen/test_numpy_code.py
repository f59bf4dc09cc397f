"""The text of the numpy target, as it was: memory, order and names that no number shows.

tests/golden/numpy.txt holds it; `--update-golden` writes it anew.
"""

import math
import re

import numpy as np
import pytest
from places import GOLDEN as GOLDEN_FILES
from test_arrays import APPLIED, as_leaves, weighted
from test_numpy_target import network
from test_rolled_graphs import CASES

import wengert as wg
from wengert.codegen.compiled import compile
from wengert.derive.backward import grad
from wengert.graph.expr import Graph
from wengert.ops import scalar as ops

GOLDEN = GOLDEN_FILES / "numpy.txt"


def networks():
    """Networks, without a batch and with each way of reducing one."""
    for sizes, activation, loss in (
        ([3, 4, 2], "tanh", "cross_entropy"),
        ([2, 3, 1], "leaky_relu", "squared_error"),
        ([2, 1], "sigmoid", "binary_cross_entropy"),
    ):
        for batch, reduce, dtype in (
            ((), "sum", "float64"),
            (("x", "y"), "sum", "float64"),
            (("x", "y"), "mean", "float32"),
            (("x", "y"), None, "float64"),
            (("x",), "sum", "float64"),
        ):
            net, _, inputs, value = network(sizes, activation, loss)
            outputs = {"loss": value, "grad": grad(value, net.parameters())}
            options = {"batch": batch, "reduce": reduce, "dtype": dtype}
            title = f"{sizes} {activation} {loss} {batch} {reduce} {dtype}"
            yield title, compile(inputs, outputs, target="numpy", **options)


def rolled():
    """Scalar graphs that rolling finds arrays in; their leaves in one argument each array."""
    for case in CASES:
        wanted = case()
        graph = wanted[0].graph
        groups = {}
        for name, node in graph.leaves.items():
            groups.setdefault(name.rstrip("0123456789_"), []).append(graph[node])
        yield case.__name__, compile(groups, wanted, target="numpy")


def arrays():
    """Every operation on arrays, forward and backward."""
    for case, (shapes, function) in APPLIED.items():
        leaves = as_leaves(Graph(), shapes)
        out = function(*leaves)
        outputs = {"out": out, "grad": dict(enumerate(grad(weighted(out), leaves)))}
        yield case, compile({leaf.label: leaf for leaf in leaves}, outputs, target="numpy")


def elementwise():
    """Every operation on numbers, of an array and of a scalar, with its derivative."""
    for op in ops.ELEMENTWISE.values():
        g = Graph()
        for statics in op.settings:
            leaves = [g.array("X", (2, 3)), g.input("s"), g.array("Y", 3)][: op.arity]
            out = op(*leaves, *statics)
            outputs = {"out": out, "mixed": out * 2 + (out > 1)}
            if op.differentiable and op not in ops.COMPARISONS:
                outputs["grad"] = dict(enumerate(grad(weighted(out), leaves, allow_unused=True)))
            inputs = {leaf.label: leaf for leaf in leaves}
            yield f"{op.name} {statics}", compile(inputs, outputs, target="numpy", simplify=False)
            g = Graph()


def listing():
    for programs in (networks, rolled, arrays, elementwise):
        for title, compiled in programs():
            yield f"# ---- {programs.__name__}: {title}"
            yield compiled.source


def test_the_code_is_as_it_was(update_golden):
    found = "\n".join(listing())
    if update_golden:
        GOLDEN.write_text(found, encoding="utf-8")
    assert found == GOLDEN.read_text(encoding="utf-8")


def test_what_is_squared_is_computed_once():
    g = wg.Graph()
    x, y = g.array("x", 4), g.array("y", 4)
    v = wg.tanh(x - y)
    code = wg.compile({"x": x, "y": y}, v @ v, target="numpy").source
    assert code.count("np.tanh") == code.count("x - y") == 1


def test_lines_of_variables_are_counted_from_the_head_of_the_module():
    g = wg.Graph()
    x, w = g.array("x", 3), g.array("w", 3)
    out = wg.sigmoid(x * np.arange(3.0)) @ w
    f = wg.compile({"x": x, "w": w}, {"out": out}, target="numpy")
    lines = f.source.splitlines()
    named = {s.array: f.line_of(s.array) for s in f.program.instructions}
    written = {name: lines[line - 1] for name, line in named.items() if line is not None}
    assert written
    assert min(filter(None, named.values())) > 0
    assert all(line.startswith(f"    {name} = ") for name, line in written.items()), f.source
    assert lines[f.line_of("return") - 1].startswith("    return ")


def test_a_step_on_no_samples_changes_nothing():
    net = wg.MLP(3, [4, 2], seed=0)
    step = wg.training_step(net, optimizer=wg.SGD(0.1), reduce="mean", target="numpy")
    params = np.array([parameter.data for parameter in net.parameters()])
    result = step(params, params[:0], np.empty((0, 3)), np.empty((0, 2)))
    assert math.isnan(result["loss"])
    assert np.array_equal(result["params"], params)


def test_the_leaves_of_a_row_may_come_in_another_order():
    g = wg.Graph()
    x = g.inputs("x", 4)
    out = sum(wg.tanh(a) * k for k, a in enumerate(x, 1))
    inputs = {"x": [x[i] for i in (0, 3, 1, 2)]}
    rows = np.linspace(-1.0, 1.0, 12).reshape(3, 4)
    f = wg.compile(inputs, out, batch="x", target="numpy")
    assert f(rows) == pytest.approx(wg.compile(inputs, out, batch="x")(rows.tolist()), rel=1e-14)


def test_a_batch_of_matrices_is_taken_as_it_is():
    g = wg.Graph()
    x = g.array("x", (2, 3))
    f = wg.compile({"x": [x]}, (x @ np.arange(3.0)).sum(), batch="x", target="numpy")
    assert "x.reshape(len(x), 2, 3)" in f.source
    rows = np.linspace(-1.0, 1.0, 12).reshape(2, 6)
    assert f(rows) == pytest.approx((rows.reshape(2, 2, 3) @ np.arange(3.0)).sum(), rel=1e-14)


@pytest.mark.parametrize("place", [(0, 0), (0, 4), (1, 7)])
def test_a_constant_that_is_the_first_share_of_a_gradient_is_not_added_to(place):
    X = wg.Graph().array("X", (2, 8))
    shares = X + X.mean(axis=1, keepdims=True)
    f = wg.compile({"X": X}, wg.grad(shares[place], [X]), target="numpy")
    at = np.zeros((2, 8))
    right = np.zeros((2, 8))
    right[place[0]] = 1 / 8
    right[place] += 1
    for _ in range(3):
        np.testing.assert_allclose(f(at)[0], right)


def test_what_is_done_to_a_whole_vector_has_no_name_of_a_part():
    step = wg.training_step(wg.MLP(3, [4, 1], seed=0), optimizer="adam", target="numpy")
    assert "    new_m = 0.9 * state[2:23]" in step.source
    assert "new_m_w0" not in step.source


def graph_attention(mask):
    """The gradient of attention to the neighbours that a mask has."""
    g = wg.Graph()
    x, w, a = g.array("x", (4, 3)), g.array("w", (2, 3)), g.array("a", (2, 2))
    h = x @ w.T
    scores = wg.leaky_relu((h @ a[0])[:, None] + h @ a[1])
    shares = wg.where(mask > 0, wg.exp(scores - scores.max(1, keepdims=True)), 0.0)
    out = (shares / (shares.sum(1, keepdims=True) + 1e-9)) @ h
    return {"w": w, "a": a, "x": x}, {
        "loss": (out * out).sum(),
        "g": wg.grad((out * out).sum(), [w, a]),
    }


@pytest.mark.parametrize("lonely", [False, True])
def test_what_depends_on_a_mask_alone_is_no_work_of_a_call(lonely):
    mask = np.eye(4) + np.eye(4, k=1) + np.eye(4, k=-1)
    if lonely:  # then what is left of a gradient is an array, and not 1 everywhere
        mask[:, 2] = mask[2] = 0.0
    groups, outputs = graph_attention(mask)
    f = wg.compile(groups, outputs, target="numpy")
    assert not re.search(r"np\.where\([a-z_0-9]+, 1\.0", f.source.partition("def f")[2])
    assert "constants: " in f.report()
    rng = np.random.default_rng(0)
    given = [rng.normal(size=group.shape) for group in groups.values()]
    wanted = wg.compile(groups, outputs, target="numpy", simplify=False)(*given)
    for _ in range(2):
        found = f(*given)
        np.testing.assert_allclose(found["loss"], wanted["loss"], rtol=1e-12)
        for one, other in zip(found["g"], wanted["g"], strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-13)
            one += 1.0  # results are the caller's
