"""How errors are worded: what a thing is, in one line, with its article, and what was meant."""

import math

import numpy
import pytest

import wengert as wg
from wengert.errors import UnknownNameError, WengertError, kind_of, shorten
from wengert.ops.record import Op


@pytest.mark.parametrize(
    ("thing", "kind"),
    [
        (3, "an int"),
        ("x", "a str"),
        ([], "a list"),
        (numpy.int64(3), "an int64"),
        (numpy.uint8(3), "a uint8"),
        (numpy.ones(2), "an ndarray"),
        (wg.Value(1.0), "a Value"),
        (wg.parse("x"), "an Expr"),
    ],
)
def test_a_kind_has_its_article(thing, kind):
    assert kind_of(thing) == kind


@pytest.mark.parametrize(
    "call",
    [
        lambda thing: wg.parse(thing),
        lambda thing: wg.roll([thing, wg.parse("x")]),
        lambda thing: wg.draw_dot(thing),
        lambda thing: wg.simplify(thing),
        lambda thing: wg.tanh(thing),
        lambda thing: wg.from_networkx(thing),
        lambda thing: wg.explain(thing),
        lambda thing: wg.explain(wg.parse("x"), at=thing),
        lambda thing: wg.compile({"x": thing}, wg.parse("x")),
        lambda thing: wg.compile(thing, wg.parse("x")),
        lambda thing: wg.compile({"x": wg.parse("x")}, thing),
        lambda thing: wg.fit(thing, [], []),
        lambda thing: wg.fit(wg.MLP(1, [1], seed=0), [[thing]], [1.0]),
        lambda thing: wg.grad(thing, wg.parse("x")),
        lambda thing: wg.Value(thing),
        lambda thing: wg.squared_error(thing, 1.0),
        lambda thing: wg.MLP(2, [1], seed=0)(thing),
        lambda thing: wg.MLP(2, [1], seed=thing),
        lambda thing: wg.Dense(2, 1, seed=0)(thing),
    ],
)
@pytest.mark.parametrize("thing", [type("Oddity", (), {})(), type("Thing", (), {})()])
def test_whatever_is_given_the_error_says_what_it_is(call, thing):
    with pytest.raises(WengertError) as caught:
        call(thing)
    message = str(caught.value)
    assert kind_of(thing) in message
    assert "a Oddity" not in message
    assert "\n" not in message


def test_what_is_shown_is_one_line():
    assert shorten(numpy.eye(2)) == "array([[1., 0.], [0., 1.]])"
    assert shorten("a\n  b") == repr("a\n  b")
    assert len(shorten(numpy.ones((50, 50)))) == 80
    assert shorten(type("Broken", (), {"__repr__": lambda self: 1 / 0})()) == (
        "<a Broken that cannot be shown>"
    )


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("tnah", "tanh"),
        ("TANH", "tanh"),
        (math.tanh, "tanh"),
        (wg.tanh, "tanh"),
        (wg.SGD, "sgd"),
        ("w", "W"),
    ],
)
def test_a_name_that_is_nearly_known(given, meant):
    error = UnknownNameError.of("thing", given, ["relu", "tanh", "sgd", "W"])
    assert f"did you mean {meant!r}? Known: W, relu" in str(error)


@pytest.mark.parametrize("given", [None, 3, "softmax", [], Op])
def test_a_name_that_is_nothing_like_the_known(given):
    error = UnknownNameError.of("thing", given, ["relu", "tanh"])
    assert str(error) == f"unknown thing {given!r}; known: relu, tanh"
