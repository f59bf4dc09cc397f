"""What people write on scalar classes of their own, on `Value`: it works, or it says why."""

import copy
import gc
import math
import pickle
import random
import re
import sys

import numpy as np
import pytest

import wengert as wg
from wengert import Value
from wengert.errors import OperandError, ShapeError
from wengert.graph import history
from wengert.graph.sweep import sweep, topological

# constructors -------------------------------------------------------------------------------------


def tripled(form):
    """3·x as an operation of one's own, made in one of the ways in use; x and the result."""
    x = Value(2.0)
    return x, {
        "positional": lambda: Value(6.0, (x,), (3.0,)),
        "list": lambda: Value(6.0, [x], [3]),
        "children": lambda: Value(6.0, children=(x,), local_grads=(3.0,)),
        "_children": lambda: Value(6.0, _children=(x,), local_grads=(3.0,)),
        "labelled": lambda: Value(6.0, (x,), "*3", "y"),
        "by name": lambda: Value(6.0, _children=(x,), _op="*3", label="y"),
        "a set": lambda: Value(6.0, {x}, "*3"),
    }[form]()


@pytest.mark.parametrize("form", ["positional", "list", "children", "_children"])
def test_local_gradients_in_every_form(form):
    x, y = tripled(form)
    (y * y).backward()
    assert (y.data, x.grad, y._prev, y._children) == (6.0, 36.0, (x,), (x,))
    assert y._local_grads == (3.0,)


@pytest.mark.parametrize("form", ["labelled", "by name", "a set"])
def test_a_step_assigned_afterwards_in_every_form(form):
    x, y = tripled(form)

    def step():
        x.grad += 3 * y.grad

    y._backward = step
    (y * y).backward()
    assert (y.data, x.grad, y._op) == (6.0, 36.0, "*3")
    assert y.label == ("" if form == "a set" else "y")
    y.grad = 1.0
    y._backward()
    assert x.grad == 39.0


def test_a_leaf_in_every_form():
    for leaf in (Value(1.0, ()), Value(1.0, (), ()), Value(1.0, (), "", "w"), Value(1.0, None)):
        assert leaf.is_leaf
        assert (leaf._prev, leaf._op, leaf._local_grads) == ((), "", ())
    assert Value(1.0, (), "", "w").label == Value(1.0, "w").label == "w"


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda x: Value(1.0, 5), OperandError, "the second argument is an int; expected a label"),
        (lambda x: Value(1.0, (2.0,)), OperandError, "computed, it says, from 2.0, a float"),
        (lambda x: Value(1.0, (x,), (1.0, 2.0)), ShapeError, "2 local gradients for 1 operand"),
        (lambda x: Value(1.0, (x,), ("a",)), OperandError, "local gradient 'a' is a str"),
        (lambda x: Value(1.0, (x,), (x,)), OperandError, "local gradient Value"),
        (lambda x: Value(1.0, (), "+"), OperandError, "has '\\+' but no operands"),
        (lambda x: Value(1.0, (), (1.0,)), OperandError, "but no operands"),
    ],
)
def test_what_makes_no_sense_is_refused(make, error, text):
    with pytest.raises(error, match=text):
        make(Value(1.0))


def test_what_has_children_and_no_step_passes_nothing_on():
    x = Value(2.0)
    (Value(6.0, (x,)) * 2).backward()
    assert x.grad == 0.0


def test_a_step_assigned_to_a_computed_value_is_taken():
    x = Value(2.0)
    y = x * x
    y._backward = lambda: setattr(x, "grad", 100.0)
    (y + 0.0).backward()
    assert x.grad == 100.0
    assert y._op == "*"


def test_an_operation_of_ones_own_is_drawn_and_not_compiled():
    x = Value(2.0, label="x")
    y = Value(6.0, (x,), "triple") + 1.0
    assert "triple" in wg.draw_dot(y, format="svg").source
    for use in (
        lambda: wg.compile({"x": x}, y),
        lambda: wg.grad(y, x),
        lambda: wg.to_sympy(y),
        lambda: wg.evaluate(y),
    ):
        with pytest.raises(OperandError, match=r"'triple' is a Value made.*wengert\.Op\(name="):
            use()


# attributes and subclasses ------------------------------------------------------------------------


def test_attributes_of_ones_own():
    p = Value(1.0)
    p.m, p.color = 0.5, "red"
    assert (p.m, (p * p).is_leaf, vars(p)) == (0.5, False, {"m": 0.5, "color": "red"})


def test_a_subclass_with_methods():
    class Mine(Value):
        def cube(self):
            return self * self * self

    x, w = Mine(2.0), Value(3.0)
    for y in (x * w, w * x, x + 1, 1 - x, x.tanh(), x**2, wg.where(x > 0, x, w), sum([x, w])):
        assert type(y) is Mine
    ((x + 1).cube() * w).backward()
    assert (x.grad, w.grad) == (81.0, 27.0)
    assert type(w * w) is Value


def test_a_subclass_that_counts_its_steps():
    calls = []

    class Counting(Value):
        def _backward(self):
            calls.append(self._op)
            super()._backward()

    a, b = Counting(2.0), Counting(3.0)
    (a * b + a).backward()
    assert (a.grad, b.grad) == (4.0, 2.0)
    assert calls == ["+", "*"]


def test_a_subclass_in_the_manner_of_micrograd():
    class Scalar(Value):
        def __init__(self, data, _children=(), _op="", label=""):
            self.data = data
            self.grad = 0.0
            self._backward = lambda: None
            self._prev = set(_children)
            self._op = _op
            self.label = label

        def __mul__(self, other):
            out = Scalar(self.data * other.data, (self, other), "*")

            def _backward():
                self.grad += other.data * out.grad
                other.grad += self.data * out.grad

            out._backward = _backward
            return out

    a, b = Scalar(2.0, label="a"), Scalar(3.0)
    y = a * b
    (y * y).backward()
    assert (a.grad, b.grad) == (36.0, 24.0)
    assert (a.label, a.is_leaf, set(y._prev), y._op) == ("a", True, {a, b}, "*")


def test_a_subclass_that_sets_the_lists_itself():
    class Scalar(Value):
        def __init__(self, data, children=(), local_grads=()):
            self.data = data
            self._children = children
            self._local_grads = local_grads

    a = Scalar(3.0)
    y = Scalar(9.0, (a,), (6.0,))
    (y + y).backward()
    assert (a.grad, y._local_grads, y._children) == (12.0, (6.0,), (a,))


def test_local_gradients_of_what_the_package_computed():
    x, y = Value(3.0), Value(4.0)
    assert (x * y)._local_grads == (4.0, 3.0)
    assert (x - y)._local_grads == (1.0, -1.0)
    assert (x**2)._local_grads == (6.0,)
    total = x * y + x.tanh()
    for value in reversed(list(topological(total))):  # a sweep written by hand
        value.grad = 1.0 if value is total else value.grad
        for child, slope in zip(value._children, value._local_grads, strict=True):
            child.grad += slope * value.grad
    assert x.grad == pytest.approx(4.0 + 1 - math.tanh(3.0) ** 2)


def test_no_gradient_counts_as_zero():
    x, y = Value(2.0), Value(3.0)
    x.grad = y.grad = None
    (x * y + y.exp()).backward()
    assert (x.grad, y.grad) == (3.0, 2.0 + math.exp(3.0))
    x.grad = None
    x.backward()
    assert x.grad == 1.0


# methods ------------------------------------------------------------------------------------------

METHODS = {
    "clip": lambda v: v.clip(-0.5, 0.75),
    "gelu": lambda v: v.gelu(),
    "silu": lambda v: v.silu(),
    "elu": lambda v: v.elu(),
    "elu of 2": lambda v: v.elu(2.0),
    "leaky_relu": lambda v: v.leaky_relu(0.2),
    "softplus": lambda v: v.softplus(),
    "max_with": lambda v: v.max_with(0.4),
    "min_with": lambda v: v.min_with(0.4),
    "softmax": lambda v: v.softmax([v * 2.0, v, v * v]),
}


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("at", [-1.5, -0.2, 0.3, 1.7])
def test_methods_and_their_slopes(name, at):
    method, step = METHODS[name], 1e-6
    x = Value(at)
    y = method(x)
    y.backward()
    slope = (method(Value(at + step)).data - method(Value(at - step)).data) / (2 * step)
    assert x.grad == pytest.approx(slope, rel=1e-6, abs=1e-9)
    g = wg.Graph()
    e = g.input("x")
    assert wg.evaluate(method(e), {"x": at}) == y.data


def test_methods_where_their_parts_overflow():
    x = Value(1000.0)
    x.elu().backward()
    assert x.grad == 1.0
    scores = [Value(1000.0), Value(-1000.0)]
    assert [s.softmax(scores).data for s in scores] == [1.0, 0.0]


def test_a_module_finds_its_parameters():
    class Part(wg.Module):
        def __init__(self, n):
            self.n, self.w = n, [Value(1.0 * i) for i in range(n)]
            self.last = self.w[0] * 2  # computed: no parameter

    class Whole(wg.Module):
        def __init__(self):
            self.parts = {"a": Part(2), "b": (Part(1),)}
            self.b = Value(5.0)
            self.again, self.me = self.b, self

    whole = Whole()
    assert [p.data for p in whole.parameters()] == [0.0, 1.0, 0.0, 5.0]
    whole.b.grad = 3.0
    whole.zero_grad()
    assert whole.b.grad == 0.0


# NumPy --------------------------------------------------------------------------------------------


def test_arrays_of_values():
    v, row = Value(2.0), np.array([Value(1.0), Value(2.0), Value(4.0)])
    for product in (row * v, v * row):
        assert [p.data for p in product] == [2.0, 4.0, 8.0]
    assert [p.data for p in v - np.array([1.0, 2.0])] == [1.0, 0.0]
    assert np.std(row).data == pytest.approx(np.std([1.0, 2.0, 4.0]))
    np.var(row).backward()
    assert [r.grad for r in row] == pytest.approx([2 / 3 * (x - 7 / 3) for x in (1, 2, 4)])


# copies and pickles -------------------------------------------------------------------------------


def chain(n):
    x, y = Value(1.0, label="x"), Value(0.5)
    out = x
    for _ in range(n):
        out = out * 1.0001 + y
    return x, out


@pytest.mark.parametrize(
    "again",
    [copy.deepcopy, lambda thing: pickle.loads(pickle.dumps(thing))],
    ids=["deepcopy", "pickle"],
)
def test_long_histories_are_copied_and_shared(again):
    x, out = chain(20_000)
    inner = out.operands[0]
    x2, inner2, out2, same = again([x, inner, out, out])
    assert same is out2
    assert out2.operands[0] is inner2
    out2.backward()
    out.backward()
    assert (x2.grad, x2.label, out2.data) == (x.grad, "x", out.data)
    assert x2 is not x


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickles_of_every_protocol(protocol):
    x = Value(2.0, label="x")
    y = (x**3).leaky_relu(0.1) + wg.where(x > 0, x, 1.0) + Value(4.0, (x,), (2.0,))
    y.note, y.label = ["mine"], "y"
    y.backward()
    z = pickle.loads(pickle.dumps(y, protocol))
    assert (z.data, z.grad, z.label, z.note, z._op) == (y.data, 1, "y", ["mine"], "+")
    z.backward()
    (leaf,) = [v for v in topological(z) if v.label == "x"]
    assert leaf.grad == 2 * x.grad


def test_what_comes_before_a_value_is_pickled_once(monkeypatch):
    lists = []
    whole = history._Earlier

    def counted(values):
        lists.append(len(values))
        return whole(values)

    monkeypatch.setattr(history, "_Earlier", counted)
    y = Value(1.0)
    for _ in range(1001):  # picklers write a thousand items at a time, and the last one by itself
        y = -y
    pickle.dumps(y)
    assert lists == [1001]


def test_copies_of_a_neuron_and_of_attributes():
    n = wg.Neuron(2, seed=0)
    out = n([1.0, 2.0])
    twin = copy.deepcopy(out)
    out.backward()
    twin.backward()
    expected = [v.grad for v in topological(out)]
    assert [v.grad for v in topological(twin)] == pytest.approx(expected)
    v = Value(1.0)
    v.m = [1]
    shallow, deep = copy.copy(v), copy.deepcopy(v)
    v.m.append(2)
    assert (shallow.m, deep.m) == ([1, 2], [1])
    w = copy.copy(v * 2)
    w.backward()
    assert v.grad == 2.0


def test_what_a_copy_would_get_wrong_is_refused():
    x = Value(1.0)
    y = Value(2.0, (x,), "mine")
    y._backward = lambda: None
    with pytest.raises(OperandError, match=r"_backward.* would add to the gradients of the origin"):
        copy.deepcopy(y)
    with pytest.raises((pickle.PicklingError, AttributeError), match=r"pickle|local object"):
        pickle.dumps(y)
    own = wg.Op("mine", 1, lambda x: x, lambda sp, x: x, (lambda ct, out, x: ct,), {}, "")
    assert copy.deepcopy(own(x)).data == 1.0
    with pytest.raises(pickle.PicklingError, match="is not of wengert's table"):
        pickle.dumps(own(x))


# the sweep ----------------------------------------------------------------------------------------


def by_records(root):
    """The sweep by the rules of the records alone, in any topological order."""
    order = list(topological(root))
    grads = dict.fromkeys(order, 0.0)
    grads[root] = 1.0
    for value in reversed(order):
        if value.operands:
            given = (grads[value], value.data, *(v.data for v in value.operands), *value.statics)
            for operand, rule in zip(value.operands, value.op.vjp, strict=True):
                grads[operand] += 0.0 if rule is None else float(rule(*given))
    return grads


def operation(kind, a, b):
    """One of the forms in which sums and products are written, or of some other operations."""
    results = [
        *(lambda: a + b, lambda: a - b, lambda: a * b),
        *(lambda: a * 2, lambda: 1.5 - a, lambda: 0.25 * a, lambda: 2 + a),
        *(lambda: a.tanh(), lambda: (a * 0.5) ** 2),
    ]
    return results[kind]()


@pytest.mark.parametrize("seed", range(20))
def test_the_written_out_steps_are_those_of_the_records(seed):
    draw = random.Random(seed)
    made = [Value(draw.uniform(-1.0, 1.0)) for _ in range(4)]
    for _ in range(60):
        made.append(operation(draw.randrange(9), draw.choice(made), draw.choice(made)))
    total = sum(made[-8:])
    total.backward()
    assert {value: value.grad for value in by_records(total)} == pytest.approx(by_records(total))


def test_a_sweep_stands_in_no_ones_way():
    x = Value(2.0)
    y = x * x
    z = y * y + y
    sweep(z)
    once = y.grad
    (y * 5).backward()
    assert (once, y.grad, x.grad) == (9.0, 5.0, 36.0 + 20.0)


def test_a_value_takes_less_room_than_a_class_of_lists():
    def size(things):
        return sum(map(sys.getsizeof, things))

    a, b = Value(1.5), Value(2.5)
    y = a * b
    ours = size([y, y.data])
    theirs = 16 + 8 * 4 + 16 + 2 * sys.getsizeof((a, b)) + size([y.data])  # four slots, two tuples
    assert gc.is_tracked(y)
    assert ours < theirs
    assert not any(isinstance(part, (tuple, dict)) for part in gc.get_referents(y))


def test_errors_are_one_line():
    with pytest.raises(OperandError) as caught:
        Value(1.0, object())
    assert not re.search(r"\n", str(caught.value))
