"""What a traced function reads from outside of it is looked at again at every call."""

import array
import collections
import copy
import importlib
import os
import random
import sys
import time
from types import ModuleType

import pytest

import wengert as wg
from wengert import Value
from wengert.errors import TracingError

MODULE = """
from wengert import Value
scale = 2.0
weights = [Value(3.0), Value(4.0)]

def scaled(x):
    return x * scale

class Net:
    factor = 3.0

    def __init__(self):
        self.w = Value(1.0)

    @property
    def twice(self):
        return self.w * 2

    def __call__(self, x):
        return self.twice * x * self.factor
"""


@pytest.fixture
def model(tmp_path, monkeypatch):
    (tmp_path / "a_model.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("a_model")
    del sys.modules["a_model"]


def test_what_a_module_holds_is_looked_at_and_reloading_it_is_noticed(model, tmp_path):
    w = Value(1.0)
    f = wg.function(lambda x: model.scaled(w * x) + model.weights[0])
    assert f(1.0).data == 5.0
    model.scale = 5.0
    assert f(1.0).data == 8.0
    model.scaled = lambda x: x * 100.0
    assert f(1.0).data == 103.0
    (tmp_path / "a_model.py").write_text(MODULE.replace("2.0", "7.25").replace("3.0", "0.5"))
    importlib.reload(model)
    assert f(1.0).data == 7.75
    assert "bound anew" in f.report()


def test_parameters_in_a_module_have_names(model):
    f = wg.function(lambda x: model.weights[0] * x + model.weights[1])
    f(1.0)
    assert list(f.compiled.recipe.graph.leaves)[:2] == ["weights_0", "weights_1"]


def test_what_a_class_holds_is_looked_at(model):
    net = model.Net()
    f = wg.function(lambda x: net(x))
    assert f(1.0).data == 6.0
    model.Net.factor = 4.0
    assert f(1.0).data == 8.0
    model.Net.twice = property(lambda self: self.w * 3)
    assert f(1.0).data == 12.0
    assert len(f.traces) == 1


class Slotted:
    __slots__ = ("scale", "w")

    def __init__(self):
        self.w, self.scale = Value(2.0), 3.0


def test_attributes_in_slots_are_looked_at():
    thing = Slotted()
    f = wg.function(lambda: thing.w * thing.scale)
    assert f().data == 6.0
    thing.scale = 4.0
    assert f().data == 8.0
    thing.w = Value(5.0)
    assert f().data == 20.0
    assert next(iter(f.compiled.recipe.graph.leaves)) == "thing_w"


def test_a_module_of_python_is_not_looked_into():
    module = ModuleType("math")
    module.scale = 2.0
    w = Value(1.0)
    f = wg.function(lambda: w * module.scale)
    f()
    assert "scale" not in [name for _, _, name in f.traces[0].assumptions]


class Weight(Value):
    """A Value with a method and an operator of its own."""

    def __init__(self, data, color):
        super().__init__(data)
        self.color = color

    def doubled(self):
        return self * 2

    def __matmul__(self, other):
        return self * other + 1


@pytest.mark.parametrize("several", [False, True])
def test_what_comes_back_has_the_methods_of_its_class(several):
    w = Weight(3.0, "red")
    f = wg.function(lambda x: [w * x, w @ w] if several else w * x)
    out = f(2.0)
    if several:
        out, other = out
        assert (other.data, (other @ other).data) == (10.0, 101.0)
    assert isinstance(out, Weight)
    assert out.doubled().data == 12.0
    assert type(out + 1.0) is Weight
    out.doubled().backward()
    assert w.grad == 4.0
    assert type(f.__wrapped__(2.0)[0] if several else f.__wrapped__(2.0)) is Weight


CHANGED = {
    "a set": ({1.0, 2.0}, lambda s: s.add(9.0)),
    "a deque": (collections.deque([1.0]), lambda s: s.append(9.0)),
    "bytes": (bytearray(b"ab"), lambda s: s.append(9)),
    "an array of Python's": (array.array("d", [1.0]), lambda s: s.append(9.0)),
    "a list of a class": (collections.UserList([1.0]), lambda s: s.append(9.0)),
}


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("kind", CHANGED)
def test_whatever_holds_numbers_is_looked_at(kind, given):
    thing, change = CHANGED[kind]
    w, thing = Value(2.0), copy.copy(thing)
    f = wg.function((lambda s: w * sum(s)) if given else (lambda: w * sum(thing)))
    arguments = (thing,) if given else ()
    assert f(*arguments).data == 2.0 * sum(thing)
    change(thing)
    assert f(*arguments).data == 2.0 * sum(thing)


def scaled(x, by=2.0):
    return x * by * scaled.more


def test_defaults_and_attributes_of_functions_are_looked_at(monkeypatch):
    scaled.more = 1.0
    w = Value(3.0)
    f = wg.function(lambda: scaled(w))
    assert f().data == 6.0
    scaled.more = 2.0
    assert f().data == 12.0
    monkeypatch.setattr(scaled, "__defaults__", (5.0,))
    assert f().data == 30.0


@pytest.mark.parametrize("read", [lambda: os.environ["A_SCALE"], lambda: os.getenv("A_SCALE")])
def test_the_environment_is_looked_at(read, monkeypatch):
    w = Value(1.0)
    f = wg.function(lambda: w * float(read()))
    for scale in ("2", "3"):
        monkeypatch.setenv("A_SCALE", scale)
        assert f().data == float(scale)


@pytest.mark.parametrize("things", [iter([1.0, 2.0]), (x for x in [1.0]), map(float, [1])])
def test_an_iterator_from_outside_is_refused(things):
    w = Value(1.0)
    f = wg.function(lambda: w * next(things))
    with pytest.raises(TracingError, match=r"test_outside.py:\d+.*\n.*reads from things, a"):
        f()


class Batches:
    """Has a method that reads from an iterator."""

    def __init__(self):
        self.w, self.batches = Value(1.0), iter([3.0, 4.0])

    def loss(self, x):
        return self.w * x

    def next_loss(self):
        return self.loss(next(self.batches))


def test_an_iterator_of_an_object_is_said():
    thing = Batches()
    f = wg.function(thing.loss)
    with pytest.warns(RuntimeWarning, match="may read from batches"):
        assert f(5.0).data == 5.0
    assert thing.next_loss().data == 3.0


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (lambda w: w * time.time(), "reads the clock"),
        (lambda w: w * random.Random().random(), "draws a random number"),
        (lambda w: w * len(os.urandom(2)), "draws a random number"),
        (lambda w: w * len(globals()), "names that are put together"),
    ],
)
def test_what_answers_differently_each_time_is_said_with_its_line(body, said):
    w = Value(1.0)
    f = wg.function(lambda: body(w))
    with pytest.warns(RuntimeWarning, match=rf"test_outside.py:\d+.*\n.*{said}") as warned:
        f()
    f()
    assert len(warned) == 1
    assert said in f.report()


def test_a_generator_with_a_seed_is_no_reason_to_warn():
    w = Value(1.0)
    f = wg.function(lambda: w * random.Random(0).random())
    assert f().data == f().data == random.Random(0).random()
