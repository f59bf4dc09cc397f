"""`ActivatedSum`: one step for a neuron, the same as its operations one by one."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

import wengert as wg
from wengert.graph.activatedsum import ActivatedSum, Row
from wengert.graph.value import Value, topological

numbers = st.floats(-3, 3)
ACTIVATIONS = ["tanh", "relu", "sigmoid", "softplus", "sin", "leaky_relu", "silu", "gelu", "linear"]


def by_hand(neuron: wg.Neuron, row):
    """The neuron as the notebook writes it: an operation at a time."""
    n = neuron.b
    for w, x in zip(neuron.w, row, strict=True):
        n = n + w * x
    return n, wg.nn.ACTIVATIONS[neuron.activation].function(n)


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
    """What every node is, by its place in the history."""
    place = {value: i for i, value in enumerate(topological(root))}
    return [
        (value._op, value.data, value.grad, [place[v] for v in value.operands]) for value in place
    ]


@pytest.mark.parametrize("as_values", [False, True])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@given(
    weights=st.lists(numbers, min_size=9, max_size=9), row=st.lists(numbers, min_size=2, max_size=2)
)
def test_it_is_the_operations_one_by_one(activation, as_values, weights, row):
    twins = []
    for forward in (wg.MLP.__call__, written_by_hand):
        net = network(activation, weights)
        given_row = [Value(x) for x in row] if as_values else row
        loss = (forward(net, given_row) - 1.0) ** 2
        loss.backward()
        twins.append((tree(loss), [p.grad for p in net.parameters()]))
    (ours, gradients), (expected, expected_gradients) = twins
    assert [node[0] for node in ours] == [node[0] for node in expected]
    assert [node[3] for node in ours] == [node[3] for node in expected]
    assert [node[1] for node in ours] == [node[1] for node in expected]
    grads = [node[2] for node in ours], [node[2] for node in expected]
    assert grads[0] == pytest.approx(grads[1], rel=1e-12, abs=1e-12)
    assert gradients == pytest.approx(expected_gradients, rel=1e-12, abs=1e-12)


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
