"""`wg.function`: a user's own Python function gives compiled what it gives as plain Python."""

import copy
import json
import math
import pickle
import random
import re
import struct
import threading
import warnings
from collections import namedtuple
from decimal import Decimal
from fractions import Fraction
from functools import partial
from itertools import pairwise

import numpy as np
import pytest

import wengert as wg
from wengert import Value
from wengert.errors import OperandError, ShapeError, SizeError, TracingError
from wengert.trace import function as tracing_function
from wengert.trace import recording
from wengert.train import choice


def close(expected):
    return pytest.approx(expected, rel=1e-12, abs=1e-12)


def weights(*shape, seed=0):
    draw = random.Random(seed)
    if len(shape) == 1:
        return [Value(draw.uniform(-1.0, 1.0)) for _ in range(shape[0])]
    return [weights(*shape[1:], seed=seed * 31 + k + 1) for k in range(shape[0])]


def flat(things):
    return [v for thing in things for v in flat(thing)] if isinstance(things, list) else [things]


def zero(things):
    wg.zero_grad(flat(things))


def grads(things):
    return [v.grad for v in flat(things)]


def agree(plain, parameters, *arguments, target="auto"):
    """Compile a function, and compare it with itself as plain Python; the compiled one."""
    compiled = wg.function(target=target)(plain)
    for _ in range(2):  # once traced, once from what is known
        zero(parameters)
        expected = plain(*arguments)
        expected.backward()
        wanted = grads(parameters)
        zero(parameters)
        found = compiled(*arguments)
        found.backward()
        assert found.data == close(expected.data)
        assert grads(parameters) == close(wanted)
    assert len(compiled.traces) == 1
    return compiled


# what it gives ------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["auto", "python", "numpy"])
def test_a_network_of_ones_own(target):
    w1, w2 = weights(4, 3), weights(4, seed=5)

    def loss(x, y):
        hidden = [sum(a * b for a, b in zip(row, x, strict=True)).tanh() for row in w1]
        return (sum(a * b for a, b in zip(w2, hidden, strict=True)) - y) ** 2

    compiled = agree(loss, [w1, w2], [0.5, -1.0, 2.0], 0.25, target=target)
    assert compiled([1.0, 1.0, 1.0], 0.0).data == close(loss([1.0, 1.0, 1.0], 0.0).data)
    w1[0][0].data = 7.0
    assert compiled([1.0, 1.0, 1.0], 0.0).data == close(loss([1.0, 1.0, 1.0], 0.0).data)
    assert len(compiled.traces) == 1


def test_the_layers_of_the_package():
    net = wg.MLP(2, [4, 1], seed=0)
    agree(lambda x, y: (net(x) - y) ** 2, net.parameters(), [0.5, -1.0], 1.0)


def test_arguments_of_every_kind():
    w = weights(3)
    Point = namedtuple("Point", "x y")

    def loss(pairs, options, point, matrix, flag, name, nothing):
        total = sum(a * b for a, b in pairs) * options["scale"] + w[0] * point.x - w[1] / point.y
        total = total + (np.array(w) @ matrix).sum()
        return total * 2 if flag and name == "on" and nothing is None else total

    agree(
        loss,
        w,
        [(w[0], 2.0), (w[1], 3)],
        {"scale": 0.5},
        Point(1.5, 4.0),
        np.arange(6.0).reshape(3, 2),
        True,
        "on",
        None,
    )


def test_structure_is_traced_anew_and_numbers_are_not():
    w = weights(3)
    loss = wg.function(lambda x, flag=False: sum(a * b for a, b in zip(w, x)) + (1 if flag else 0))  # noqa: B905
    for x in ([1.0], [2.0], [1.0, 2.0], [3.0, 4.0], [3.5, 4.5]):
        assert loss(x).data == close(sum(a.data * b for a, b in zip(w, x, strict=False)))
    assert len(loss.traces) == 2
    assert loss([1.0], flag=True).data == close(loss([1.0]).data + 1)
    assert len(loss.traces) == 3
    assert loss((1.0,)).data == loss([1.0]).data
    assert len(loss.traces) == 4


def test_values_passed_in_get_their_gradient():
    w, a = Value(2.0), Value(3.0)
    f = wg.function(lambda x, y: w * x * x + y)
    f(a, 1.0).backward()
    assert (a.grad, w.grad) == (12.0, 9.0)
    b = Value(5.0)
    inner = b * 2
    f(inner, Value(0.0)).backward()
    assert (b.grad, inner.grad) == (2 * 2 * 10.0 * 2, 40.0)
    assert len(f.traces) == 2  # the second argument is a float here, and a Value there


def test_the_same_value_as_parameter_and_as_argument():
    w = Value(3.0)
    f = wg.function(lambda x: w * x)
    f(w).backward()
    assert w.grad == 6.0
    assert f.value_and_grad(w) == (9.0, {w: 6.0})


def test_the_result_goes_on_in_plain_python():
    w = Value(2.0)
    f = wg.function(lambda x: w * x)
    ((f(3.0) + f(4.0)) ** 2 * 0.5).backward()
    assert w.grad == 14.0 * 7.0
    w.grad = None
    (f(3.0) * 2).backward()
    assert w.grad == 6.0
    assert f(1.0)._prev == (w,)
    assert f(5.0)._local_grads == (5.0,)
    with pytest.raises(OperandError, match="made from its operands by hand"):
        wg.grad(f(1.0), w)


def test_no_gradient_counts_as_zero_among_others():
    a, b, c = Value(1.0), Value(2.0), Value(3.0)
    f = wg.function(lambda x: a * x + b * x + c * x)
    a.grad, b.grad, c.grad = 5.0, None, 7.0
    f(2.0).backward()
    assert (a.grad, b.grad, c.grad) == (7.0, 2.0, 9.0)


def test_several_results_in_the_nesting_they_came_in():
    w, v = Value(2.0), Value(3.0)

    @wg.function
    def both(x):
        return {"a": w * x, "b": [v * v * x, (w + v, x * 2, 7, "text")]}

    found = both(5.0)
    a, (b, (c, d, seven, text)) = found["a"], found["b"]
    assert [a.data, b.data, c.data, d, seven, text] == [10.0, 45.0, 5.0, 10.0, 7, "text"]
    assert type(d) is float
    (a * b + c).backward()
    assert (w.grad, v.grad) == (5.0 * 45.0 + 1, 10.0 * 2 * 3 * 5 + 1)
    wg.zero_grad([w, v])
    b.backward()
    assert (w.grad, v.grad) == (0.0, 30.0)
    wg.zero_grad([w, v])
    c.backward()
    assert (w.grad, v.grad) == (1.0, 1.0)


def test_a_parameter_that_is_used_in_no_way_keeps_its_gradient():
    w, v = Value(2.0), Value(3.0)
    f = wg.function(lambda x: (w * x, v)[0])
    f(1.0).backward()
    assert (w.grad, v.grad) == (1.0, 0.0)
    assert f.traces[0].parameters == (w,)


def test_subclasses_and_their_attributes():
    class Weight(Value):
        def scaled(self):
            return self * self.scale

    w = Weight(2.0)
    w.scale = 3.0
    f = wg.function(lambda x: x.scaled() * w.scaled())
    f(w).backward()
    assert w.grad == 2 * 9 * 2.0


def test_constants_made_inside_are_no_parameters():
    w = Value(2.0)

    @wg.function
    def loss(x):
        total = Value(0.0)
        for _ in range(3):
            total += w * Value(x)
        return total + Value(1.0).data

    assert loss(2.0).data == 13.0
    assert loss(3.0).data == 19.0
    assert loss.traces[0].parameters == (w,)


# integers -----------------------------------------------------------------------------------------


def softmax(logits):
    top = max(v.data for v in logits)
    powers = [(v - top).exp() for v in logits]
    return [p / sum(powers) for p in powers]


@pytest.mark.parametrize("target", ["python", "numpy"])
def test_integers_pick_from_tables(target):
    rows, out = weights(5, 3), weights(5, 3, seed=9)
    embedding = wg.table(rows)

    def loss(tokens):
        total = 0
        for now, after in pairwise(tokens):
            scores = [sum(a * b for a, b in zip(embedding[now], row, strict=True)) for row in out]
            total = total - wg.pick(softmax(scores), after).log()
        return total

    compiled = agree(loss, [rows, out], [0, 3, 3, 1], target=target)
    for tokens in ([4, 4, 4, 4], [-1, 2, 0, 1]):
        zero([rows, out])
        loss(tokens).backward()
        wanted = grads([rows, out])
        zero([rows, out])
        compiled(tokens).backward()
        assert grads([rows, out]) == close(wanted)
    assert len(compiled.traces) == 1
    assert compiled.traces[0].specialised == {}
    assert compiled(np.array([1, 2, 3, 4])).data == close(loss([1, 2, 3, 4]).data)
    for wrong in ([5, 0, 0, 0], [0, 0, 0, -6]):
        with pytest.raises(IndexError, match="of a table of 5 rows"):
            compiled(wrong)


def test_integers_are_computed_with():
    w = weights(6)
    numbers = wg.table([0.5, 1.5, 2.5, 3.5, 4.5, 5.5])
    entries = wg.table(w)

    def loss(i, j):
        return entries[i + 1] * numbers[2 * i - j] + i * entries[j] + 1 / (j + 1.0)

    compiled = agree(loss, w, 2, 1)
    assert compiled(3, 2).data == close(loss(3, 2).data)
    assert len(compiled.traces) == 1


def test_integers_are_computed_with_however_often():
    rows = [Value(float(k)) for k in range(3001)]
    table = wg.table(rows)

    @wg.function
    def last(steps):
        place = 0
        for step in steps:
            place = place + step * 1 - 0
        return table[place] * 2 + place

    assert last([1] * 3000).data == 3 * 3000.0
    assert last([0] * 2999 + [1]).data == 3.0
    assert len(last.traces) == 1


def test_rows_that_hold_numbers_as_well_as_values():
    rows = wg.table([[Value(1.0), 2.0], [Value(3.0), 4.0]])
    f = wg.function(lambda i: rows[i][0] * rows[i][1])
    for i in (0, 1, -1):
        wg.zero_grad([rows[0][0], rows[1][0]])
        out = f(i)
        out.backward()
        assert (out.data, rows[i][0].grad) == (rows[i][0].data * rows[i][1], rows[i][1])
    assert len(f.traces) == 1


def test_an_integer_that_python_needs_is_specialised_on_and_reported():
    w = weights(6)

    @wg.function
    def loss(n, i, x):
        total = sum(v * x for v in w[:n])
        return total * wg.table(w)[i]

    for n, i in ((2, 0), (3, 1), (2, 2), (3, 3)):
        assert loss(n, i, 2.0).data == close(sum(w[k].data * 2 for k in range(n)) * w[i].data)
    assert len(loss.traces) == 2
    report = loss.report()
    assert "for n = 2 alone, needed at test_function.py:" in report
    assert "total = sum(v * x for v in w[:n])" in report
    assert "wengert.table(rows)[i]" in report
    assert "i = " not in report.split("needed")[0]


@pytest.mark.parametrize(
    "use",
    [
        lambda i, w: w[i],
        lambda i, w: w[0] * 2 if i == 1 else w[0],
        lambda i, w: {0: w[0], 1: w[1]}[i],
        lambda i, w: sum(w[k] for k in range(i + 1)),
        lambda i, w: w[0] * (i % 2),
        lambda i, w: w[0] if i else w[1],
        lambda i, w: w[0] * float(i),
        lambda i, w: w[0] * math.sqrt(i),
    ],
)
def test_every_way_in_which_python_needs_an_integer(use):
    w = weights(3)
    f = wg.function(lambda i: use(i, w))
    for i in (0, 1, 0, 1):
        assert f(i).data == close(use(i, w).data)
    assert len(f.traces) == 2
    assert f.traces[0].specialised


def test_a_table_is_a_list_elsewhere():
    rows = [[1.0, 2.0], [3.0, 4.0]]
    assert (wg.table(rows)[1], len(wg.table(rows)), list(wg.table(rows))) == (rows[1], 2, rows)
    assert wg.take(rows, 0) is rows[0]
    assert wg.table(wg.table(rows)).rows is rows
    with pytest.raises(OperandError, match="a table of 3, an int"):
        wg.table(3)


def test_rows_of_an_array_are_arrays():
    rows = np.array([[Value(1.0), Value(2.0)], [Value(3.0), Value(4.0)], [Value(5.0), Value(6.0)]])
    chances = np.array([0.5, 0.25, 0.125])
    embedded, factors = wg.table(rows), wg.table(chances)

    @wg.function
    def f(i, j):
        return ((embedded[i] + embedded[j]) @ np.array([1.0, 10.0])) * factors[j]

    for i, j in ((0, 1), (2, 0), (1, 1)):
        expected = ((rows[i] + rows[j]) @ np.array([1.0, 10.0])) * chances[j]
        assert f(i, j).data == close(expected.data)
    rows[1, 0] = Value(7.0)
    f(0, 1).backward()
    assert [v.grad for v in rows.ravel()] == [0.25, 2.5, 0.25, 2.5, 0.0, 0.0]
    assert len(f.traces) == 1
    assert embedded[1] is not rows[0]
    assert list(embedded[1]) == list(rows[1])
    with pytest.raises(OperandError, match="a table of array"):
        wg.table(np.zeros((2, 2, 2)))


def test_a_table_of_arguments():
    f = wg.function(lambda values, i: wg.table(values)[i] * 2)
    a, b = Value(1.0), Value(5.0)
    assert (f([a, b], 0).data, f([a, b], 1).data, f([b, a], 1).data) == (2.0, 10.0, 2.0)
    f([a, b], 1).backward()
    assert (a.grad, b.grad) == (0.0, 2.0)


# nothing is frozen --------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["python", "numpy"])
def test_what_was_not_picked_passes_nothing_back_even_if_it_is_not_finite(target):
    w = weights(3)

    def picked(x, i, j):
        roots = [(w[0] * x).sqrt(), (w[1] * 0).sqrt() + w[2], (w[2] * x).log()]
        shifted = [root / (w[1] * x - 1.0) for root in roots]
        return wg.pick(roots, i) * wg.pick(shifted, j) + wg.pick([*roots, w[0]], j) * wg.pick(w, i)

    w[0].data, w[1].data, w[2].data = 0.5, 2.0, 0.25
    compiled = wg.function(target=target)(picked)
    for i, j in ((0, 0), (0, 2), (2, 0), (2, 2)):
        for f in (picked, compiled):
            zero(w)
            out = f(2.0, i, j)
            out.backward()
            found = [out.data, *grads(w)]
            if f is picked:
                expected = found
        assert found == close(expected)
        assert all(map(math.isfinite, found))
    assert len(compiled.traces) == 1


def test_picks_leave_as_many_statements_at_every_length():
    rows, out = weights(5, 4, seed=1), weights(5, 4, seed=2)
    table = wg.table(rows)

    @wg.function(target="numpy")
    def loss(tokens):
        total = 0.0
        for token, after in pairwise(tokens):
            x = [v.tanh() for v in table[token]]
            logits = [sum(a * b for a, b in zip(x, row, strict=True)) for row in out]
            total = total - wg.pick(softmax(logits), after).log()
        return total

    counts = []
    for length in (4, 6, 9):
        loss([k % 5 for k in range(length)])
        counts.append(len(loss.compiled.program.instructions))
    assert len(set(counts)) == 1, counts
    assert counts[0] < 30
    assert "wher" in loss.source


def test_the_largest_logit_is_found_at_each_call():
    w = [Value(1000.0), Value(0.0), Value(-5.0)]
    f = wg.function(lambda: softmax(w)[0] + softmax(w)[1] * 2)
    assert f().data == close(1.0)
    w[1].data = 3000.0
    assert f().data == close(2.0)


def test_data_is_a_number_that_no_gradient_passes_through():
    w, v = Value(2.0), Value(3.0)

    def loss(x):
        scale = w.data * 2 + 1
        return v * scale * x + w * max(0.0, w.data, x) + min(w.data, 5)

    agree(loss, [w, v], 0.5)


def test_max_of_values_is_recorded():
    w = weights(4)
    f = agree(lambda x: max(w) * x + max(w[0], 0.1) + min(w), w, 2.0)
    w[3].data = 50.0
    assert f(1.0).data == close(50.0 + max(w[0].data, 0.1) + min(v.data for v in w))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (lambda w, x: w if w > 0 else -w, "the truth of"),
        (lambda w, x: w if w.data > 0 else -w, "the truth of"),
        (lambda w, x: w * 2 if x > 0 else w, "the truth of"),
        (lambda w, x: w * math.exp(x), "float() of"),
        (lambda w, x: w * math.exp(w), "float() of"),
        (lambda w, x: w * math.exp(w.data), "float() of"),
        (lambda w, x: w * int(x), "int() of"),
        (lambda w, x: w * round(x), "round() of"),
        (lambda w, x: w if x == 1.0 else -w, "`==` of"),
        (lambda w, x: w if x != 1.0 else -w, "`!=` of"),
        (lambda w, x: {1.0: w}[x], "the hash of"),
        (lambda w, x: w if f"{x:.2f}" == "1.00" else -w, "format '.2f' of"),
        (lambda w, x: sorted([w, -w])[0], "the truth of"),
        (lambda w, x: max([w, -w], key=lambda v: v.data), "the truth of"),
        (lambda w, x: w * w.grad, ".grad"),
        (lambda w, x: (w * x).backward(), "backward()"),
        (lambda w, x: setattr(w, "data", 1.0), "assigning to .data"),
        (lambda w, x: setattr(w, "grad", 0.0), "assigning to .grad"),
        (lambda w, x: w * random.random(), "a random number was drawn"),
        (lambda w, x: w * np.random.rand(), "a random number was drawn"),
    ],
)
def test_what_would_be_frozen_is_refused_with_its_line(body, said):
    w = Value(2.0, label="w")
    f = wg.function(lambda x: body(w, x))
    before = random.getstate()
    with pytest.raises(TracingError) as caught:
        f(1.0)
    text = str(caught.value)
    assert said in text
    assert text.startswith("test_function.py:")
    assert text.splitlines()[0].partition(": ")[2]
    assert random.getstate() == before
    assert (w.data, w.grad, f.traces) == (2.0, 0.0, [])
    assert type(vars(Value)["data"]).__name__ == "member_descriptor"
    assert max is __import__("builtins").max
    assert max([1, 2], key=lambda k: -k) == 1


def test_what_is_refused_says_what_to_write():
    w = Value(2.0)
    for body, instead in (
        (lambda x: x if x > 0 else -x, "wengert.where(condition, a, b)"),
        (lambda x: w * math.exp(x), "wengert.exp(x)"),
        (lambda x: w * round(x), "wengert.round(x)"),
        (lambda x: w if x == 1.0 else -w, "wengert.equal(a, b)"),
        (lambda x: w * [1.0, 2.0][int(x)], "an integer of the arguments"),
        (lambda x: w * [1.0, 2.0][x], "an index or a count from a number that is known only"),
    ):
        with pytest.raises(TracingError, match=re.escape(instead)):
            wg.function(body)(1.0)


def test_remainders_and_whole_quotients_of_floats_are_computed():
    w = Value(2.0)
    f = wg.function(lambda x: w * (x % 1.5) + x // 2)
    assert [f(x).data for x in (2.0, -5.25)] == [1.0 + 1.0, 2.0 * 0.75 - 3.0]


def test_any_exception_leaves_everything_as_it_was():
    w = Value(2.0)

    def loss(x):
        w * x
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        wg.function(loss)(1.0)
    w.data += 1.0
    assert w.data == 3.0


def test_what_is_refused_cannot_be_caught():
    w = Value(2.0)

    @wg.function
    def careful(x):
        try:
            shift = math.log((w * x).data)
        except Exception:
            shift = 0.0
        return w * x + shift

    with pytest.raises(TracingError, match=r"test_function.py:\d+: shift = math.log"):
        careful(1.0)


@pytest.mark.parametrize("copied", [copy.deepcopy, pickle.dumps])
def test_copies_that_no_gradient_passes_through_are_refused(copied):
    w = Value(2.0)
    said = r"test_function.py:\d+(.|\n)*in a function that is being traced"
    with pytest.raises(TracingError, match=said):
        wg.function(lambda x: [w * x, copied(w * x)])(1.0)
    assert copy.deepcopy(w).data == 2.0
    assert wg.function(lambda x: copy.copy(w * x))(3.0).data == 6.0


def test_a_value_made_with_local_gradients_is_traced_through():
    w = Value(2.0)

    def cube(x):
        return Value(x.data**3, (x,), (3 * x.data**2,))

    f = agree(lambda x: cube(w * x) + cube(w), w, 1.5)
    w.data = 4.0
    assert f(1.0).data == close(128.0)
    assert f.value_and_grad(1.0)[1][w] == close(96.0)


def test_a_value_with_a_step_of_its_own_is_refused():
    w = Value(2.0)

    def double(x):
        out = Value(x.data * 2, (x,), "double")
        out._backward = lambda: None
        return out

    with pytest.raises(OperandError, match=r"'double' is a Value made.*wengert\.Op"):
        wg.function(lambda: double(w) + 1)()


# what was assumed ---------------------------------------------------------------------------------

SCALE = 2
PARTS = [Value(1.0)]


def test_what_was_bound_anew_is_traced_anew(monkeypatch):
    w = Value(3.0)
    f = wg.function(lambda: w * SCALE + PARTS[0])
    assert f().data == 7.0
    monkeypatch.setitem(globals(), "SCALE", 10)
    assert f().data == 31.0
    w = Value(5.0)
    assert f().data == 51.0
    monkeypatch.setitem(PARTS, 0, Value(0.5)) if False else PARTS.__setitem__(0, Value(0.5))
    assert f().data == 50.5
    assert len(f.traces) == 1
    assert "compiled anew 1 times because SCALE was bound anew" in f.report()


def test_attributes_and_nested_lists_are_looked_at():
    class Model:
        def __init__(self):
            self.layers = [{"w": [Value(2.0), Value(3.0)]}]
            self.n, self.calls = 2, 0

        def __call__(self, x):
            return sum(v * x for v in self.layers[0]["w"][: self.n])

    model = Model()
    f = wg.function(lambda x: model(x))
    by_argument = wg.function(lambda m, x: m(x))
    bound = wg.function(model.__call__)
    for call in (f, lambda x: by_argument(model, x), bound):
        assert call(1.0).data == 5.0
    model.calls += 1  # in no code that is run
    f(1.0)
    assert "anew" not in f.report()
    model.n = 1
    for call in (f, lambda x: by_argument(model, x), bound):
        assert call(1.0).data == 2.0
    model.layers[0]["w"][0] = Value(7.0)
    for call in (f, lambda x: by_argument(model, x), bound):
        assert call(1.0).data == 7.0


NUMBERS, ARRAY, GENERATOR = [1.0, [2.0]], np.array([1.0, 2.0]), np.random.default_rng(0)
OLD = np.random.RandomState(0)


def test_data_that_is_changed_in_place_is_noticed():
    w, settings = Value(2.0), {"scale": 1.0}
    f = wg.function(
        lambda: w * settings["scale"] * (NUMBERS[0] + NUMBERS[1][0] + float(ARRAY.sum()))
    )
    try:
        for change in (
            lambda: settings.update(scale=2.0),
            lambda: NUMBERS.__setitem__(0, 5.0),
            lambda: NUMBERS[1].__setitem__(0, 7.0),
            lambda: ARRAY.__setitem__(1, 9.0),
        ):
            change()
            scale = settings["scale"] * (NUMBERS[0] + NUMBERS[1][0] + ARRAY.sum())
            assert f().data == close(2.0 * scale)
            assert f().data == close(2.0 * scale)
    finally:
        NUMBERS[0], NUMBERS[1][0], ARRAY[1] = 1.0, 2.0, 2.0


def test_arrays_of_values_are_parameters():
    w = np.array([[Value(1.0), Value(2.0)], [Value(3.0), Value(4.0)]])
    f = wg.function(lambda x: (w * x).sum() + (w @ np.array([1.0, 2.0])).sum())
    f(2.0).backward()
    assert [v.grad for v in w.ravel()] == [3.0, 4.0, 3.0, 4.0]
    assert "w_1_0" in f.source
    w[0, 0] = Value(10.0)
    assert f(1.0).data == close(19.0 + 10.0 + 4.0 + 3.0 + 8.0)


def test_what_was_computed_outside_stays_what_it_was():
    w = Value(2.0)
    h = w * w
    f = wg.function(lambda x: h * x + w)
    for number in (2.0, 5.0):
        w.data = number
        w.grad = 0.0
        out = f(3.0)
        out.backward()
        assert (out.data, h.grad, w.grad) == (12.0 + number, 3.0, 1.0 + 3.0 * 2 * number)
    assert len(f.traces) == 1


def test_generators_of_ones_own_are_watched():
    w, dice = Value(2.0), random.Random(0)
    some = dice.random, lambda: dice.gauss(0, 1), lambda: GENERATOR.normal(), OLD.normal
    for draw in some:
        states = dice.getstate(), GENERATOR.bit_generator.state
        with pytest.raises(
            TracingError, match=r"^test_function\.py:\d+.*\n.*random number was drawn"
        ):
            wg.function(lambda: w * draw())()  # noqa: B023
        assert (dice.getstate(), GENERATOR.bit_generator.state) == states


def test_parameters_have_names_by_where_they_are():
    wte = weights(2, 2)
    f = wg.function(lambda: wte[0][1] * wte[1][0])
    f()
    assert "wte_0_1" in f.source


def test_methods_are_traced_with_their_object():
    class Line:
        def __init__(self, w):
            self.w = Value(w)

        @wg.function
        def loss(self, x):
            return self.w * x

    one, two = Line(2.0), Line(3.0)
    assert (one.loss(2.0).data, two.loss(2.0).data, one.loss(3.0).data) == (4.0, 6.0, 6.0)
    assert len(Line.loss.traces) == 2


def test_callable_objects_and_partial_functions():
    class Line:
        def __init__(self):
            self.w = [Value(2.0)]

        def __call__(self, x, y=1.0):
            return self.w[0] * x + y

    line = Line()
    for f in (wg.function(line), wg.function(partial(line, y=1.0))):
        line.w[0] = Value(2.0)
        assert f(3.0).data == 7.0
        line.w[0] = Value(4.0)
        assert f(3.0).data == 13.0
    assert "Line: 1 compiled" in wg.function(line).report().replace("0 compiled", "1 compiled")


def test_objects_among_the_arguments_are_not_taken_for_those_before_them():
    class Settings:
        def __init__(self, scale):
            self.scales = (scale,)

    w = Value(2.0)
    f = wg.function(lambda settings, x: w * settings.scales[0] * x)
    for scale in (1.0, 2.0, 3.0, 4.0):  # each where the one before it was, if that were gone
        assert f(Settings(scale), 1.0).data == 2.0 * scale


# limits -------------------------------------------------------------------------------------------


def test_too_many_structures_run_as_plain_python_and_say_so(monkeypatch):
    monkeypatch.setattr(tracing_function, "MAX_STRUCTURES", 3)
    w = Value(2.0)
    f = wg.function(lambda x: sum(v * w for v in x))
    for n in range(1, 4):
        assert f([1.0] * n).data == 2.0 * n
    with pytest.warns(RuntimeWarning, match="3 structures of arguments"):
        f([1.0] * 4).backward()
    assert w.grad == 4.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert f([1.0] * 5).data == 10.0
        assert f([1.0] * 2).data == 4.0
    assert "2 calls ran as plain Python" in f.report()


def test_too_many_integers_run_as_plain_python_and_say_where(monkeypatch):
    monkeypatch.setattr(tracing_function, "MAX_SPECIALISATIONS", 2)
    w = weights(5)
    f = wg.function(lambda i: w[i] * 2)
    assert [f(i).data for i in range(2)] == [w[0].data * 2, w[1].data * 2]
    with pytest.warns(RuntimeWarning, match=r"test_function\.py:\d+: f = wg\.function.*table"):
        assert f(4).data == w[4].data * 2


def test_a_function_past_the_size_limit(monkeypatch):
    monkeypatch.setattr(recording, "MAX_NODES", 100)
    w = Value(1.0)
    with pytest.raises(SizeError, match="more than 100 operations"):
        wg.function(lambda: sum(w * k for k in range(200)))()


@pytest.mark.parametrize("result", [None, 3.0, [1, 2], "text", []])
def test_a_function_that_gives_no_value(result):
    with pytest.raises(TracingError, match=r"the function returned .*; expected a Value"):
        wg.function(lambda: result)()


def test_a_function_that_depends_on_nothing():
    with pytest.raises(TracingError, match="depends on no Values"):
        wg.function(lambda x: Value(1.0) * x)(2.0)


def test_arguments_that_are_nested_without_end():
    loop = [1.0]
    loop.append(loop)
    with pytest.raises(ShapeError, match="nested more than 50 deep"):
        wg.function(lambda x: Value(1.0))(loop)


def test_what_is_no_function_and_no_target():
    with pytest.raises(OperandError, match=r"write @wengert\.function above its def"):
        wg.function(3)
    with pytest.raises(ValueError, match="unknown target 'nonsense'"):
        wg.function(target="nonsense")
    with pytest.raises(TracingError, match="has not been called yet"):
        _ = wg.function(lambda: Value(1.0)).source


# other uses ---------------------------------------------------------------------------------------


def test_functions_that_call_functions_and_themselves():
    w = Value(1.5)

    @wg.function
    def inner(x):
        return w * x

    @wg.function
    def power(n):
        return inner(1.0) if n == 0 else w * power(n - 1)

    assert power(3).data == close(1.5**4)
    assert inner.traces == []
    assert inner(2.0).data == 3.0


def test_other_threads_read_while_one_traces():
    w, found = Value(2.0), []

    def elsewhere():
        v = Value(3.0)
        (v * v).backward()
        v.grad += 1.0
        v.data = v.data + v.grad
        found.append((v.data, max(v.data, 1.0), bool(v)))

    def loss(x):
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        return w * x

    assert wg.function(loss)(2.0).data == 4.0
    assert found == [(10.0, 10.0, True)]


def test_threads_trace_and_read_at_the_same_time():
    w, stop, wrong = Value(2.0), threading.Event(), []

    def read():
        v = Value(3.0)
        while not stop.is_set():
            if type(v.data) is not float or (v * 2).data != 6.0 or max(1, v.data) != 3.0:
                wrong.append(v)

    def trace(k):
        f = wg.function(lambda x: sum(w * x for _ in range(k + 1)))
        for _ in range(5):
            if f(1.0).data != 2.0 * (k + 1):
                wrong.append(k)

    reader = threading.Thread(target=read)
    reader.start()
    tracers = [threading.Thread(target=trace, args=(k,)) for k in range(6)]
    for thread in tracers:
        thread.start()
    for thread in tracers:
        thread.join()
    stop.set()
    reader.join()
    assert wrong == []


@pytest.mark.parametrize(
    "rule", [wg.SGD(0.1), wg.Momentum(0.1), wg.Adam(0.1), wg.AdamW(0.1, weight_decay=0.1)]
)
def test_a_step_is_that_of_the_optimizer(rule):
    rows, b = weights(3, 2), Value(0.5)

    def loss(i, x):
        first, second = wg.table(rows)[i]
        return (first * x + second * b - 1.0) ** 2

    compiled, order = wg.function(loss), []
    twins = {v: v.data for v in [*flat(rows), b]}
    state: dict = {}
    shared = rule.start
    for i, x in ((0, 1.0), (2, -1.0), (0, 0.5)):
        zero([rows, b])
        for value, number in twins.items():
            value.data = number
        expected = loss(i, x)
        expected.backward()
        for v in [*rows[i], b]:
            if v not in order:
                order.append(v)
        shared = rule.advance(shared)
        for v in order:
            zeros = (0.0,) * len(rule.slots)
            twins[v], state[v] = rule.update(v.data, v.grad, state.get(v, zeros), shared)
        assert compiled.step(rule, i, x) == close(expected.data)
        assert {v: v.data for v in twins} == close(twins)


@pytest.mark.parametrize("several", [False, True])
def test_what_is_called_often_becomes_machine_code(several, monkeypatch):
    pytest.importorskip("llvmlite")
    monkeypatch.setattr(choice, "_LOADING", 2.5)  # microseconds, of which each call gains one
    monkeypatch.setattr(choice, "_COMPILING", 0.0)
    monkeypatch.setattr(choice.Work, "microseconds", lambda self, samples: 1.0 + self._as_code(1))
    w = Value(0.5)

    def python(x):
        y = (w * x).tanh()
        return [y, y * w] if several else y

    def number_and_slope(found):
        w.grad = 0.0
        out = found[1] if several else found
        out.backward()
        return out.data, w.grad

    f, targets = wg.function(python), []
    for x in (1.0, -2.0, 0.5, 3.0):
        assert number_and_slope(f(x)) == close(number_and_slope(python(x)))
        targets.append(f.compiled.target)
    assert targets == ["python", "python", "native", "native"]
    assert "it has been called 3 times, which pays for machine code" in f.report()
    asked = wg.function(python, target="python")
    for _ in range(5):
        asked(1.0)
    assert asked.compiled.target == "python"


def test_fit_takes_one_as_its_loss():
    rows, targets = [[0.0, 1.0], [1.0, 0.0]], [1.0, -1.0]
    one, two = wg.MLP(2, [3, 1], seed=0), wg.MLP(2, [3, 1], seed=0)

    def huber(p, y):
        return wg.where(abs(p - y) < 1.0, 0.5 * (p - y) ** 2, abs(p - y) - 0.5)

    first = wg.fit(one, rows, targets, loss=wg.function(huber), epochs=3)
    second = wg.fit(two, rows, targets, loss=huber, epochs=3)
    assert first.loss == second.loss


def test_code_is_kept_on_disk(tmp_path):
    w = Value(2.0)
    for _ in range(2):
        f = wg.function(cache_dir=tmp_path)(lambda x: (w * x).tanh())
        assert f(1.0).data == close(math.tanh(2.0))
    assert list(tmp_path.iterdir())


def test_pick_by_an_expression():
    g = wg.Graph()
    k, rows = g.input("k"), [g.inputs("a", 2), g.inputs("b", 2)]
    at = {"k": 1.0, "a0": 1.0, "a1": 2.0, "b0": 3.0, "b1": 4.0}
    assert [wg.evaluate(e, at) for e in wg.take(rows, k)] == [3.0, 4.0]


def test_an_array_cannot_be_indexed_by_unknown_numbers_and_the_cure_works():
    entries = np.array([[wg.Value(0.1 * i + j) for j in range(3)] for i in range(5)])

    @wg.function
    def by_array(tokens):
        return (entries[tokens] ** 2).sum()

    with pytest.raises(TracingError, match=r"^test_function\.py:\d+.*entries\[tokens\].*\n.*table"):
        by_array(np.array([1, 3]))

    rows = wg.table(entries.tolist())

    @wg.function
    def one_by_one(tokens):
        return sum(a * a for i in tokens for a in rows[i])

    for tokens in (np.array([1, 3]), np.array([0, 0])):
        expected = sum(a.data**2 for i in tokens for a in entries[i])
        assert one_by_one(tokens).data == pytest.approx(expected, rel=1e-15)
    assert len(one_by_one.traces) == 1


WRONG_KINDS = {
    "decimal": (lambda w, x: w * x * Decimal("0.5"), "Decimal"),
    "json": (lambda w, x: w * json.loads(json.dumps(x)), "not JSON serializable"),
    "struct": (lambda w, x: w * struct.unpack("d", struct.pack("d", x))[0], "not a float"),
    "fraction": (lambda w, x: w * Fraction(x), "Rational"),
}


@pytest.mark.parametrize("how", WRONG_KINDS)
def test_what_python_refuses_is_said_with_the_line(how):
    plain, said = WRONG_KINDS[how]
    w = Value(2.0)
    with pytest.raises(TracingError, match=rf"^test_function\.py:\d+.*\n.*{said}.*traced"):
        wg.function(lambda x: plain(w, x))(1.5)


def test_text_among_numbers_is_named():
    w = Value(2.0)
    with pytest.raises(TracingError, match=r"xs\[1\] is 'x', a str"):
        wg.function(lambda xs: sum(w * x for x in xs))([1.0, "x"])


def test_what_the_function_raises_itself_stays_as_it_is():
    def refusing(x):
        raise TypeError("of its own")

    with pytest.raises(TypeError, match=r"^of its own$"):
        wg.function(refusing)(1.0)
    with pytest.raises(TypeError, match="missing 1 required"):
        wg.function(refusing)()


@pytest.mark.parametrize("name", ["exp", "tanh", "clip", "data", "grad", "is_integer", "real"])
@pytest.mark.parametrize("number", [1.5, 2])
def test_a_number_has_the_attributes_that_a_float_has(name, number):
    w, seen = Value(2.0), []

    def asks(x):
        seen.append((hasattr(x, name), getattr(x, name, None) is not None))
        try:
            x.tanh()
        except AttributeError:
            return w * x
        return w

    agree(asks, [w], number)
    assert len(set(seen)) == 1
    arrays = agree(lambda xs: w * np.exp(xs).sum() + np.tanh(xs)[0], [w], np.array([0.5, 1.5]))
    assert len(arrays.traces) == 1


def test_an_index_outside_says_what_is_allowed():
    rows = weights(3)
    for pick in (wg.pick, lambda values, k: wg.table(values)[k]):
        with pytest.raises(IndexError, match=r"index 7 of a table of 3 rows; .* from -3 to 2;"):
            pick(rows, 7)
        with pytest.raises(OperandError, match=r"'a', a str, as the index of a table of 3 rows"):
            pick(rows, "a")
    compiled = wg.function(lambda k: 2.0 * wg.pick(rows, k))
    with pytest.raises(IndexError, match=r"^test_function\.py:\d+.*\n.* from -3 to 2"):
        compiled(3)
    compiled(2)
    with pytest.raises(IndexError, match="from -3 to 2"):
        compiled(-4)
