"""Range analysis: what it proves is never refuted, and what goes wrong is never proved."""

import math
import random
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import wengert as wg
from wengert.errors import OperandError, SettingError, UnknownNameError
from wengert.graph.evaluation import node_values
from wengert.graph.store import live_nodes
from wengert.ops import arrays
from wengert.ops import scalar as ops
from wengert.ops.intervals import Interval, interval_of
from wengert.proof.precise import meaning
from wengert.proof.ranges import ranges

ENDS = st.floats(-1e6, 1e6) | st.floats(-3, 3) | st.sampled_from([0.0, 1.0, -1.0, 709.0, 1e300])


def drawn_interval(data):
    ends = sorted([data.draw(ENDS) + 0.0, data.draw(ENDS) + 0.0])
    return Interval(*ends)


def inside(data, interval):
    return data.draw(
        st.floats(interval.low, interval.high) | st.sampled_from([interval.low, interval.high])
    )


@pytest.mark.parametrize("op", ops.ELEMENTWISE.values(), ids=lambda op: op.name)
@given(data=st.data())
def test_the_value_is_in_the_interval(op, data):
    statics = tuple(
        data.draw(st.sampled_from([-2.0, -1.0, 0.0, 0.5, 1.0, 2.0, 3.0, 2.5])) for _ in op.statics
    )
    operands = [drawn_interval(data) for _ in range(op.arity)]
    numbers = [inside(data, interval) for interval in operands]
    found = interval_of(op, operands, statics)
    assert op.evaluate(*numbers, *statics) in found


LOOSE = {"lgamma": 1e-12, "mish": 1e-13, "gelu_exact": 1e-11, "polygamma": 1e-12, "erfc": 2e-14}


@pytest.mark.parametrize("op", ops.ELEMENTWISE.values(), ids=lambda op: op.name)
def test_the_real_value_is_in_the_interval(op):
    import mpmath

    rng = random.Random(op.name)
    statics = op.settings[-1]
    for _ in range(30):
        point = [rng.uniform(low, high) for low, high in op.domain]
        if op is ops.WHERE:
            continue
        found = interval_of(op, [Interval(x, x) for x in point], statics)
        with mpmath.workdps(40):
            exact = meaning(op)(*[mpmath.mpf(x) for x in (*point, *statics)])
            assert found.low <= exact <= found.high
        assert found.high - found.low <= LOOSE.get(op.name, 1e-14) * max(1.0, abs(found.high))


@given(data=st.data())
def test_no_proof_is_refuted_on_random_graphs(data):
    g = wg.Graph()
    leaves = g.inputs("x", 2)
    bounds = {leaf: sorted([data.draw(ENDS) + 0.0, data.draw(ENDS) + 0.0]) for leaf in leaves}
    made = [*leaves, g.constant(0.5), g.constant(-2.0)]
    for _ in range(data.draw(st.integers(1, 12))):
        op = data.draw(st.sampled_from(list(ops.ELEMENTWISE.values())))
        statics = tuple(data.draw(st.sampled_from([-1.0, 0.5, 2.0])) for _ in op.statics)
        made.append(op(*[data.draw(st.sampled_from(made)) for _ in range(op.arity)], *statics))
    analysis = ranges(made[-1], bounds)
    live = live_nodes(g, [made[-1].id])
    for _ in range(3):
        at = {leaf.id: inside(data, Interval(*bounds[leaf])) for leaf in leaves}
        values = node_values(g, live, at)
        for node in live:
            assert values[node] in analysis.intervals[node], g[node]


def test_a_bound_that_is_too_tight_is_refuted():
    wrong = replace(ops.EXP, interval=lambda a: Interval(0.0, 1.0))
    assert ops.EXP.evaluate(1.0) not in interval_of(wrong, [Interval(0.0, 1.0)], ())


@pytest.mark.parametrize(
    ("formula", "bounds", "kind"),
    [
        ("exp(x)", (0, 710), "overflow"),
        ("1/x", (-1, 1), "division by zero"),
        ("1/(x*x)", (-1, 1), "division by zero"),
        ("x**-1", (0, 1), "division by zero"),
        ("log(x)", (0, 1), "domain"),
        ("sqrt(x)", (-1e-9, 1), "domain"),
        ("log1p(x)", (-1, 1), "domain"),
        ("x**0.5", (-1, 1), "domain"),
        ("x*x", (0, 1e200), "overflow"),
        ("x + x", (0, 1e308), "overflow"),
    ],
)
def test_what_can_go_wrong_is_named(formula, bounds, kind):
    y = wg.parse(formula)
    found = ranges(y, {"x": bounds})
    assert not found
    assert [hazard.kind for hazard in found] == [kind]
    assert f"can go wrong: {kind}: node " in str(found)


@pytest.mark.parametrize(
    ("formula", "bounds"),
    [
        ("exp(x)", (-1e300, 709)),
        ("1/(x*x + 1)", (-1e100, 1e100)),
        ("log(1 + exp(x))", (-700, 700)),
        ("sqrt(x*x)", (-5, 5)),
        ("sqrt(x - 1)", (1, 2)),
        ("sqrt(log(x))", (1, 2)),
        ("tanh(x)", (-1e308, 1e308)),
        ("1/(1 - tanh(x)*0.5)", (-1e308, 1e308)),
        ("where(x > 0, sqrt(x), 0)", (-1, 1)),
        ("where(x <= 0, 0, log(x))", (-1, 1)),
        ("where(0.001 < x, 1/x, x)", (-1, 1)),
        ("softplus(x)", (-1e300, 1e300)),
        ("x/x", (1, 2)),
        ("sin(x)/(2 + cos(x))", (-10, 10)),
    ],
)
def test_what_cannot_go_wrong_is_proved(formula, bounds):
    y = wg.parse(formula)
    assert ranges(y, {"x": bounds}), str(ranges(y, {"x": bounds}))


def test_the_backward_pass_of_a_network_is_proved():
    net = wg.MLP(3, [4, 4, 1], seed=0)
    g = wg.Graph()
    x, y = g.inputs("x", 3), g.input("y")
    loss = (net(x) - y) ** 2
    gradient = wg.grad(loss, net.parameters())
    bounds = dict.fromkeys([*x, y], (-10.0, 10.0))
    found = ranges([loss, *gradient], bounds)
    assert found
    assert not found.hazards
    assert "operations proved finite" in str(found)
    bounds |= dict.fromkeys(net.parameters(), (-1e200, 1e200))
    assert not ranges([loss, *gradient], bounds)


def test_leaves_without_bounds():
    g = wg.Graph()
    x, w = g.input("x"), g.parameter("w", 3.0)
    assert ranges(w * w)[w] == Interval(3.0, 3.0)
    assert not ranges(x * w)
    assert ranges(x.tanh() * w)


def test_a_total_is_over_so_many_samples():
    g = wg.Graph()
    x = g.input("x")
    y = wg.total(x)
    assert ranges(y, {x: (-1, 2)})[y] == Interval(-1.0, 2.0)
    many = ranges(y, {x: (-1, 2)}, samples=1000)[y]
    assert many.low <= -1000
    assert 2000 <= many.high < 2001


@pytest.mark.parametrize(
    "bounds", [(1, 0), (0, math.inf), (math.nan, 1), 3.0, ("a", "b"), (1, 2, 3)]
)
def test_bounds_that_are_none(bounds):
    with pytest.raises((OperandError, SettingError), match="bounds of x"):
        ranges(wg.parse("x + 1"), {"x": bounds})


def test_other_mistakes():
    with pytest.raises(UnknownNameError, match="'z' is not a leaf"):
        ranges(wg.parse("x + 1"), {"z": (0, 1)})
    with pytest.raises(OperandError, match="no expressions"):
        ranges([])
    with pytest.raises(SettingError, match="samples"):
        ranges(wg.parse("x + 1"), samples=0)


def checked(y, *outputs):
    g = y.graph
    inputs = {name: g[node] for name, node in g.leaves.items()}
    return wg.compile(inputs, [y, *outputs], check=True)


def test_the_first_node_that_is_not_finite_is_named_with_its_formula():
    y = wg.parse("exp(3*x)*w")
    f = checked(y)
    assert f(1.0, 2.0)
    with pytest.raises(wg.NonFiniteError) as caught:
        f(300.0, 2.0)
    message = str(caught.value).splitlines()
    assert "exp(t1) is inf (forward pass) at t1 = 900.0" in message[0]
    assert message[1] == "formula: t2 = exp(3*x)"
    assert message[2] == "rule: exp, as it is written"


def test_a_derivative_that_is_not_finite_names_its_rule():
    y = wg.parse("sqrt(x)*2")
    g = y.graph
    f = checked(y, wg.grad(y, g[g.leaves["x"]]))
    with pytest.raises(wg.NonFiniteError) as caught:
        f(0.0)
    assert "is inf (backward pass)" in str(caught.value)
    assert "rule: grad of sqrt, operand 0: the square root divides the cotangent by twice" in str(
        caught.value
    )
    assert "sqrt(x)" in str(caught.value).splitlines()[1]


def test_what_an_untaken_branch_computes_does_not_matter():
    y = wg.parse("where(x > 0, sqrt(x), 0) + 1")
    g = y.graph
    f = checked(y, wg.grad(y, g[g.leaves["x"]]))
    assert f(-1.0) == [1.0, 0.0]
    with pytest.raises(wg.NonFiniteError, match="sqrt"):
        checked(wg.parse("where(x < 0, sqrt(x), 0) + 1"))(-1.0)


BOTH = pytest.mark.parametrize("target", ["python", "numpy"])


def message_of(f, *arguments):
    with pytest.raises(wg.NonFiniteError) as caught:
        f(*arguments)
    return str(caught.value)


@BOTH
@pytest.mark.parametrize("batch", [(), ("x",)])
def test_both_targets_name_formula_rule_operands_and_sample(target, batch):
    y = wg.parse("exp(3*x)*w")
    g = y.graph
    x, w = (g[g.leaves[name]] for name in "xw")
    outputs = {"y": y, "d": wg.grad(y, x)}
    f = wg.compile({"x": x, "w": w}, outputs, target=target, batch=batch, check=True)
    good, bad = ([1.0, 2.0], [1.0, 300.0, 2.0]) if batch else (1.0, 300.0)
    assert f(good, 2.0)
    first, formula, rule = message_of(f, bad, 2.0).splitlines()
    assert re.search(r"exp\(t\d\) is inf \(forward pass.*\) at t\d = 900\.0", first)
    assert ("sample 1" in first) == bool(batch)
    assert re.match(r"formula: t\d = exp\(3\*x", formula)
    assert rule == "rule: exp, as it is written"
    assert " = nan; " in message_of(f, [math.nan] if batch else math.nan, 2.0)


@BOTH
def test_both_targets_name_the_rule_of_a_derivative(target):
    y = wg.parse("sqrt(x)*2")
    x = y.graph[y.graph.leaves["x"]]
    f = wg.compile({"x": x}, [y, wg.grad(y, x)], target=target, check=True)
    assert "rule: grad of sqrt, operand 0" in message_of(f, 0.0)


@BOTH
def test_both_targets_leave_untaken_branches_alone(target):
    y = wg.parse("where(x > 0, sqrt(x), 0) + 1")
    x = y.graph[y.graph.leaves["x"]]
    outputs = [y, wg.grad(y, x)]
    f = wg.compile({"x": x}, outputs, target=target, check=True)
    assert list(f(-1.0)) == [1.0, 0.0]
    f = wg.compile({"x": x}, outputs, target=target, batch="x", reduce=None, check=True)
    assert np.asarray(f([-1.0, 4.0])).tolist() == [[1.0, 3.0], [0.0, 0.25]]
    taken = wg.where(x < 0, wg.sqrt(x), 0)
    f = wg.compile({"x": x}, taken, target=target, batch="x", reduce=None, check=True)
    assert f([1.0, 0.0])[0] == 0.0
    assert "sqrt(x) is nan" in message_of(f, [1.0, -1.0]).replace("x_i", "x")


@BOTH
def test_sums_over_samples_and_arguments_that_are_outputs_are_looked_at(target):
    g = wg.Graph()
    x = g.input("x")
    f = wg.compile({"x": x}, x * 1e308, target=target, batch="x", check=True)
    assert "is inf" in message_of(f, [1.0, 1.0])
    f = wg.compile({"x": x}, {"x": x, "y": x * 2}, target=target, check=True)
    assert f(1.0) == {"x": 1.0, "y": 2.0}
    assert "x = nan" in message_of(f, math.nan)


def test_the_first_element_of_an_array_is_named():
    g = wg.Graph()
    X, b = g.array("X", (2, 3)), g.array("b", 3)
    y = arrays.sum_over(wg.log(X) * b)
    f = wg.compile({"X": X, "b": b}, [y, wg.grad(y, X)], target="numpy", check=True)
    ones = np.ones((2, 3))
    assert f(ones, np.ones(3)) is not None
    first, formula, rule = message_of(f, [[1, 2, 3], [4, 0, 6]], np.ones(3)).splitlines()
    assert "log(X_1_1) is -inf (forward pass) at X_1_1 = 0.0" in first
    assert formula.endswith("= log(X_1_1)")
    assert rule == "rule: log, as it is written"
    y = arrays.sum_over(wg.sqrt(X))
    f = wg.compile({"X": X}, wg.grad(y, X), target="numpy", check=True)
    message = message_of(f, np.zeros((2, 3)))
    assert "rule: grad of sqrt, operand 0: the square root divides" in message
    product = wg.compile({"X": X, "b": b}, X @ b, target="numpy", check=True)
    assert "is nan (forward pass) at X_0_0 = inf, b_0 = 0.0" in message_of(
        product, [[math.inf, 1, 1], [1, 1, 1]], np.zeros(3)
    )


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(
    "arrange",
    [
        lambda root: root,
        lambda root: arrays.reshape(root, (3, 2)),
        lambda root: root.T,
        lambda root: arrays.sum_over(root, 1),
        lambda root: arrays.max_over(root, 0),
        lambda root: arrays.logsumexp(root, 1),
        lambda root: root[1],
        lambda root: root @ np.ones(3),
        lambda root: arrays.broadcast_to(root[0], (2, 3)),
    ],
)
def test_what_only_untaken_elements_need_may_be_anything(arrange):
    """Roots of all the elements, in another layout, of which some are chosen."""
    g = wg.Graph()
    X = g.array("X", (2, 3))
    arranged = arrange(wg.sqrt(X))
    numbers = np.array([[1.0, 2.0, 3.0], [4.0, -1.0, 5.0]])
    hit = np.isnan(wg.evaluate(arranged, {X: numbers}))
    for taken in (~hit, np.ones_like(hit)):
        y = wg.where(taken.astype(float), arranged, 0.0)
        f = wg.compile({"X": X}, y, target="numpy", check=True)
        if (hit & taken).any():
            assert "sqrt(X_1_1) is nan (forward pass) at X_1_1 = -1.0" in message_of(f, numbers)
        else:
            assert np.isfinite(f(numbers)).all()


def test_a_whole_network_is_checked_on_numpy():
    net = wg.MLP(5, [4, 1], seed=0)
    g = wg.Graph()
    x, y = g.inputs("x", 5), g.input("y")
    loss = wg.log(net(x) * 0 + y)
    outputs = {"loss": loss, "grad": wg.grad(loss, net.parameters())}
    inputs = {"p": net.parameters(), "x": x, "y": y}
    options = {"target": "numpy", "batch": ("x", "y")}
    weights, rows = [p.data for p in net.parameters()], np.ones((4, 5))
    f = wg.compile(inputs, outputs, check=True, **options)
    plain = wg.compile(inputs, outputs, **options)
    good = np.array([1.0, 2.0, 3.0, 4.0])
    assert f(weights, rows, good)["loss"] == pytest.approx(plain(weights, rows, good)["loss"])
    assert "sample 2" in message_of(f, weights, rows, [1.0, 2.0, 0.0, 3.0])
    assert "w0_0_0 = nan" in message_of(f, [math.nan, *weights[1:]], rows, good)
