"""Mistakes are carried out, not typed in: the wrong numbers come from the wrong method."""

import json

import pytest

from wengert.errors import UnknownNameError
from wengert.explain import explain
from wengert.explain.mistakes import MISTAKES
from wengert.explain.sweeps import breadth_first, eager, naive_recursion, sweep
from wengert.notation.formulas import read_formulas
from wengert.notation.parse import parse

OLAH = "c = a + b; d = b + 1; e = c*d"


def olah():
    return explain(read_formulas(OLAH), at={"a": 2, "b": 1})


def cells(mistake, name):
    """The row whose first cell is `name`, without that cell."""
    (row,) = [row for row in mistake.rows if row.cells[0] == name]
    return list(row.cells[1:])


def test_assign_gives_2_where_5_is_right():
    m = olah().mistake("assign")
    assert m.on == ""
    assert cells(m, "∂e/∂b") == ["2", "5"]
    assert [row.cells[0] for row in m.rows if row.wrong] == ["∂e/∂b"]
    assert m.first_wrong.startswith("c passes 2 to b: = leaves 2 and loses the 3")


def test_assign_shows_on_another_expression_when_it_makes_no_difference():
    m = explain(parse("a*b"), at={"a": 2, "b": 3}).mistake("assign")
    assert m.on == "c = a + b, d = b + 1, e = c*d at a = 2, b = 1"
    assert cells(m, "∂e/∂b") == ["2", "5"]


def test_twice_gives_15_and_not_10():
    m = olah().mistake("twice")
    assert cells(m, "b") == ["5", "15", "10", "5"]
    assert "d still holds 3" in m.first_wrong


def test_order_needs_the_reverse_of_the_forward_order():
    w = explain(read_formulas("s = a*b; t = s + a; L = s*t"), at={"a": 2, "b": 3})
    m = w.mistake("order")
    assert m.on == ""
    assert cells(m, "∂L/∂a") == ["30", "72", "48"]
    assert "s passes on 8 while its total is to become 14" in m.first_wrong


def test_square_without_repetition_is_half():
    m = explain(parse("x*x"), at={"x": 3}).mistake("square")
    assert cells(m, "∂L/∂x") == ["3", "6"]
    assert "operand 0 and operand 1" in m.right_method


def test_zeroing():
    m = explain(read_formulas("p = w*x; L = (p - y)**2"), at={"w": 2, "x": 3, "y": 1}).mistake(
        "zero"
    )
    first, second, third = m.rows
    assert first.cells[1:3] == ("30", "30")
    # w = 2 - 0.01*30 = 1.7, where the gradient is 2*(5.1 - 1)*3 = 24.6
    assert second.cells[1:3] == ("54.6", "24.6")
    assert third.wrong
    assert "still holds the 30 of step 1" in m.first_wrong


def test_local_alone_forgets_what_came_from_above():
    m = explain(read_formulas("p = w*x; L = (p - y)**2"), at={"w": 2, "x": 3, "y": 1}).mistake(
        "local"
    )
    assert cells(m, "∂L/∂w") == ["3", "30"]


def test_grad_boxes_hold_0_before():
    m = olah().mistake("uncomputed")
    assert cells(m, "∂e/∂b") == ["0", "—", "5"]


def test_saturation_at_the_four_points():
    m = olah().mistake("saturation")
    assert [row.cells[3] for row in m.rows] == ["1", "0.5", "0.0706508", "0.000181583"]
    with_tanh = explain(parse("tanh(3*x)"), at={"x": 1}).mistake("saturation")
    assert any(row.cells[0] == "3 (L here)" for row in with_tanh.rows)


def test_overflow_raises_for_real():
    m = olah().mistake("overflow")
    assert m.rows[-1].cells == ("400", "OverflowError: math range error", "1")
    assert [row.wrong for row in m.rows] == [False, False, False, True]


def test_a_dead_relu_passes_nothing():
    m = explain(read_formulas("h = relu(w*x + b)"), at={"w": 1, "x": 2, "b": -5}).mistake(
        "dead-relu"
    )
    assert m.on == ""
    assert cells(m, "∂h/∂w") == ["2", "0"]
    alive = explain(read_formulas("h = relu(w*x + b)"), at={"w": 1, "x": 2, "b": 5})
    assert alive.mistake("dead-relu").on


def test_a_long_step_breaks_the_promise():
    m = explain(parse("x*x"), at={"x": 3}).mistake("rate")
    assert m.rows[0].cells[:3] == ("0.001", "0.036", "0.035964")
    assert [row.wrong for row in m.rows] == [False, False, False, True]
    assert m.rows[-1].cells[2] == "0"


@pytest.mark.parametrize("name", list(MISTAKES))
@pytest.mark.parametrize(
    "walk",
    [
        olah(),
        explain(parse("tanh(w*x + b)")),
        explain(parse("log(x)*x"), at={"x": 0}),
        explain(parse("x"), at={"x": 1}),
        explain(parse("where(x > y, x, y)*0"), at={"x": 1, "y": 2}),
    ],
    ids=["sum", "symbolic", "not finite", "leaf", "flat"],
)
def test_every_mistake_shows_something_wrong_on_any_expression(walk, name):
    m = walk.mistake(name)
    assert m.name == name
    assert any(row.wrong for row in m.rows)
    assert all(len(row.cells) == len(m.columns) for row in m.rows)
    assert m.first_wrong.endswith(".")
    assert not any(brace in str(m.data()["moral"]) + m.right_method for brace in "{}")
    text = m.text(80, False)
    assert "The first wrong step" in text
    assert max(map(len, text.splitlines())) <= 80
    assert json.loads(json.dumps(m.data()))["name"] == name
    assert m.markdown().startswith("# ")


def test_an_unknown_mistake_lists_those_that_exist():
    with pytest.raises(UnknownNameError, match=r"'asign'.*assign.*dead-relu.*rate"):
        olah().mistake("asign")
    assert olah().mistakes == tuple(MISTAKES)


# -- the sweeps themselves ------------------------------------------------------------------------


def test_the_right_sweep_is_the_compilers_gradient():
    w = explain(parse("tanh(a*b)*a + exp(a*b)/b"), at={"a": 0.5, "b": 1.5})
    right, _ = sweep(w.derivation)
    for node in w.nodes:
        if node.adjoint is not None:
            assert right[node.number] == pytest.approx(node.adjoint)


def test_naive_recursion_gives_up_rather_than_run_for_ever():
    y = parse("x")
    for _ in range(40):
        y = y + y
    assert naive_recursion(explain(y, at={"x": 1}).derivation) is None


def test_a_tree_makes_every_order_right():
    d = explain(parse("tanh(a*b) + c"), at={"a": 1, "b": 2, "c": 3}).derivation
    right, _ = sweep(d)
    assert sweep(d, breadth_first(d))[0] == right
    assert naive_recursion(d) == right


def test_eager_values_are_the_same_expression():
    d = explain(parse("tanh(a*b) + c*2"), at={"a": 1, "b": 2, "c": 3}).derivation
    values = eager(d)
    assert d.root in values
    assert all(value.data == d.values[node] for node, value in values.items())
