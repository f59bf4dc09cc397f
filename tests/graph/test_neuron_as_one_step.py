"""`ActivatedSum`: one step for a neuron, the same as its operations one by one."""

import copy
import gc
import math
import random
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import wengert as wg
from wengert.graph.neuron import ActivatedSum, Row
from wengert.graph.value import Value, topological
from wengert.train import nn

numbers = st.floats(-3, 3)
ACTIVATIONS = ["tanh", "relu", "sigmoid", "softplus", "sin", "leaky_relu", "silu", "gelu", "linear"]


def by_hand(neuron: wg.Neuron, row):
    """The neuron as the notebook writes it: an operation at a time."""
    n = neuron.b
    for w, x in zip(neuron.w, row, strict=True):
        n = n + w * x
    return n, nn.ACTIVATIONS[neuron.activation].function(n)


def network(activation: str, weights) -> wg.MLP:
    net = wg.MLP(2, [2, 1], activation, seed=0)
    for parameter, number in zip(net.parameters(), weights, strict=True):
        parameter.data = number
    return net


def written_by_hand(net: wg.MLP, row):
    for layer in net.layers:
        row = [by_hand(neuron, row)[1] for neuron in layer.neurons]
    return row[0]


def tree(root: Value) -> list[tuple]:
    """What every node is, by its place in the history: numbers to the bit, and with their type."""
    place = {value: i for i, value in enumerate(topological(root))}
    return [
        (value._op, repr(value.data), repr(value.grad), [place[v] for v in value.operands])
        for value in place
    ]


def same_either_way(build, sweep=lambda loss: loss.backward()):
    """`build(forward)` gives a loss and leaves: the same to the bit, in one step or by hand."""
    twins = []
    for forward in (wg.MLP.__call__, written_by_hand):
        loss, leaves = build(forward)
        sweep(loss)
        twins.append(([repr(leaf.grad) for leaf in leaves], tree(loss)))
    assert twins[0] == twins[1]


@pytest.mark.parametrize("as_values", [False, True])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@given(
    weights=st.lists(numbers, min_size=9, max_size=9), row=st.lists(numbers, min_size=2, max_size=2)
)
def test_it_is_the_operations_one_by_one(activation, as_values, weights, row):
    def build(forward):
        net = network(activation, weights)
        given_row = [Value(x) for x in row] if as_values else row
        return (forward(net, given_row) - 1.0) ** 2, net.parameters()

    same_either_way(build)


@given(st.integers(0, 99), st.integers(1, 4), st.integers(1, 4), st.booleans(), st.booleans())
def test_sums_over_samples_and_layers_add_up_in_the_same_order(seed, wide, samples, twice, whole):
    def build(forward):
        net = wg.MLP(3, [wide, 3, 1], ["tanh", "softplus", "linear"], seed=seed)
        source = random.Random(seed)
        if whole:
            for parameter in net.parameters():
                parameter.data = source.randint(-3, 3)
        rows = [[Value(source.uniform(-2, 2)) for _ in range(3)] for _ in range(samples)]
        loss = sum((forward(net, row) - 0.3) ** 2 for row in rows)
        return loss, [*net.parameters(), *(x for row in rows for x in row)]

    def sweeps(loss):
        for _ in range(1 + twice):
            loss.backward()

    same_either_way(build, sweeps)


@given(st.integers(0, 99))
def test_operands_that_a_neuron_reads_several_times(seed):
    def build(forward):
        source = random.Random(seed)
        net = wg.MLP(4, [1], seed=seed)
        x, tied = Value(source.uniform(-2, 2)), Value(source.uniform(-2, 2))
        net.layers[0].neurons[0].w = [tied, tied, Value(0.5), tied]
        return forward(net, [x, x, tied, x]), [x, tied]

    same_either_way(build)


@pytest.mark.parametrize(
    "data",
    [
        (7933578290028847, 6695669738165284, 5, 9),
        (1934964667945533, 7949789811497594, 3, 3),
        (np.float32(0.4), np.float32(0.1), 0.5, 0.2),
        (True, 2, 0.5, 1),
    ],
)
def test_numbers_of_other_kinds_are_rounded_where_the_operations_round_them(data):
    def build(forward):
        net = wg.MLP(2, [1], "linear", seed=0)
        net.parameters()[0].data, net.parameters()[1].data = data[:2]
        return forward(net, [Value(data[2]), Value(data[3])]), []

    same_either_way(build, lambda loss: None)


def test_constants_add_up_over_sweeps_by_the_weights_of_each():
    def build(forward):
        net = wg.MLP(2, [1], seed=0)
        return forward(net, [0.5, -1.5]), net.parameters()

    def sweeps(loss):
        weights = [value for value in leaves_before_looking(loss) if value.label.startswith("w")]
        for _ in range(3):
            for weight in weights:
                weight.data += 0.25
            loss.backward()

    def leaves_before_looking(loss):
        # By way of what is known already: `operands` would write the sum out.
        if isinstance(loss, ActivatedSum):
            return loss._weights
        return [value for value in topological(loss) if value.is_leaf]

    same_either_way(build, sweeps)


def test_a_branch_that_is_no_longer_taken_has_no_gradient_inside():
    def build(forward):
        condition, net = Value(1.0, label="condition"), wg.MLP(2, [1], seed=0)
        loss = wg.where(condition, forward(net, [0.5, -1.5]), 2.0)
        return loss, net.parameters()

    def sweeps(loss):
        loss.backward()
        loss.operands[0].data = 0.0
        loss.backward()

    same_either_way(build, sweeps)


def test_a_row_need_not_be_numbered():
    net = wg.MLP(2, [2, 1], seed=0)
    assert net({"a": 1.0, "b": 2.0}.values()).data == net([1.0, 2.0]).data


def test_weights_and_row_are_as_many():
    with pytest.raises(wg.ShapeError, match="1 weights for a row of 2"):
        ActivatedSum(Value(0.0), [Value(1.0)], Row([1.0, 2.0]))


def test_copies_are_whole():
    net = wg.MLP(2, [2, 1], seed=0)
    out = net([1.0, 2.0])
    twin = copy.deepcopy(out)
    twin.backward()
    assert all(value.grad == 0.0 for value in topological(out))
    out.backward()
    assert tree(twin) == tree(out)


def test_nothing_is_left_when_the_output_is_gone():
    net = wg.MLP(2, [2, 1], seed=0)
    out = net([1.0, 2.0])
    out.backward()
    gone = [weakref.ref(value) for value in topological(out) if not value.label.startswith("w")]
    out = None
    gc.disable()
    try:
        assert {r().label for r in gone if r() is not None} == {"b0_0", "b0_1", "b1_0"}
    finally:
        gc.enable()


def test_looking_inside_before_backward_changes_nothing():
    looked, unseen = (wg.MLP(3, [3, 2, 1], seed=4) for _ in range(2))
    out = looked([1.0, -2.0, 0.5])
    assert all(value.grad == 0.0 for value in topological(out))
    out.backward()
    unseen([1.0, -2.0, 0.5]).backward()
    grads = [[p.grad for p in net.parameters()] for net in (looked, unseen)]
    assert grads[0] == pytest.approx(grads[1], rel=1e-12, abs=1e-15)


def test_it_is_one_step_until_somebody_looks():
    net = wg.MLP(3, [4, 1], seed=0)
    h = net([1.0, 2.0, 3.0])
    assert isinstance(h, ActivatedSum)
    assert h.label == "h1_0"
    (n,) = h.operands
    assert (n.label, n._op, h._op) == ("n1_0", "+", "tanh")
    assert h.operands[0] is n


def test_the_numbers_inside_are_those_of_the_time():
    w, x = Value(3.0), Value(2.0)
    h = ActivatedSum(Value(1.0), [w], Row([x]), wg.tanh)
    w.data, x.data = 100.0, 100.0
    (n,) = h.operands
    assert n.data == 7.0
    assert [v.data for v in n.operands] == [1.0, 6.0]


def test_a_list_that_is_changed_later_does_not_change_it():
    net = wg.Neuron(2, "linear", seed=0)
    row, weights = [1.0, 2.0], net.w
    out = net(row)
    row[0], net.w = 50.0, [Value(1.0), Value(1.0)]
    weights[0] = Value(9.0)
    old = [value for value in topological(out) if value.is_leaf]
    out.backward()
    assert sorted(v.data for v in old if v.grad) == sorted(v.data for v in old)
    assert 50.0 not in [v.data for v in old]
    assert 9.0 not in [v.data for v in old]


def test_weights_that_are_computed_get_their_share_passed_on():
    a = Value(2.0)
    neuron = wg.Neuron(2, "tanh", seed=1)
    neuron.w = [a * a, a]
    neuron.b = a + 1
    out = neuron([0.1, 0.2])
    out.backward()
    total = 0.1 * 4 + 0.2 * 2 + 3
    assert out.data == pytest.approx(math.tanh(total))
    assert a.grad == pytest.approx((1 - math.tanh(total) ** 2) * (0.1 * 4 + 0.2 + 1), rel=1e-12)


def test_a_row_of_both_kinds_and_a_row_of_integers_work_too():
    neuron = wg.Neuron(2, seed=1)
    x = Value(0.5)
    mixed, plain, whole = neuron([x, 2.0]), neuron([0.5, 2.0]), neuron([1, 2])
    assert mixed.data == plain.data
    mixed.backward()
    assert x.grad != 0.0
    assert whole.data == neuron([1.0, 2.0]).data


def test_steps_by_hand_from_the_output():
    at_once, by_steps = (wg.Neuron(2, seed=3) for _ in range(2))
    at_once([1.0, -1.5]).backward()
    out = by_steps([1.0, -1.5])
    out.grad = 1.0
    for value in reversed(list(topological(out))):
        value._backward()
    assert [p.grad for p in by_steps.parameters()] == pytest.approx(
        [p.grad for p in at_once.parameters()], rel=1e-12
    )


def test_backward_twice_doubles_the_leaves_looked_at_or_not():
    for look in (False, True):
        net = wg.MLP(2, [2, 1], seed=5)
        loss = net([0.5, -0.5])
        loss.backward()
        once = [p.grad for p in net.parameters()]
        if look:
            list(topological(loss))
        loss.backward()
        assert [p.grad for p in net.parameters()] == pytest.approx([2 * g for g in once])


def test_where_and_infinite_numbers_pass_through_it():
    neuron = wg.Neuron(1, "softplus", seed=0)
    neuron.w[0].data = 1e308
    out = neuron([1e10])
    out.backward()
    assert out.data == math.inf
    x = Value(0.5)
    taken = wg.where(x > 0, wg.Neuron(1, seed=0)([x]), wg.log(x - 0.5))
    taken.backward()
    assert math.isfinite(x.grad)
