"""The walk-through: its steps are the compiler's, its numbers right, its outputs readable."""

import json
import math
import re
import sys

import pytest
from breaking import other_rules
from hypothesis import given, settings
from hypothesis import strategies as st

from wengert.derive.backward import grad
from wengert.errors import (
    DisconnectedInputError,
    FormulaError,
    MissingInputError,
    NotALeafError,
    OperandError,
    SizeError,
    UnknownNameError,
)
from wengert.explain import explain
from wengert.explain.command import add_arguments, run
from wengert.explain.data import Formula
from wengert.explain.render import equations
from wengert.explain.render.blocks import equation, number, plus, times
from wengert.explain.render.latex import escape as escape_latex
from wengert.explain.render.markdown import escape as escape_markdown
from wengert.explain.walkthrough import Walkthrough
from wengert.graph.evaluation import evaluate
from wengert.graph.expr import Graph
from wengert.graph.formula import escape_latex as escape_formula
from wengert.graph.value import Value
from wengert.notation.formulas import read_formulas
from wengert.notation.parse import parse
from wengert.ops.record import PRODUCT, Notation, Op, call
from wengert.train.nn import MLP, Layer, Neuron

NEURON = {"x1": 2.0, "x2": 0.0, "w1": -3.0, "w2": 1.0, "b": 6.8813735870195432}
HOSTILE = '</script>$\\{}"`|*_[x](y)<b>\n%&#~^'


def neuron(**more: object) -> Walkthrough:
    return explain(read_formulas("o = tanh(x1*w1 + x2*w2 + b)"), at=NEURON, **more)


def olah(**more: object) -> Walkthrough:
    """Olah 2015, "Calculus on Computational Graphs": e = (a + b)(b + 1)."""
    return explain(read_formulas("c = a + b; d = b + 1; e = c*d"), at={"a": 2, "b": 1}, **more)


# -- the numbers ----------------------------------------------------------------------------------


def test_the_notebooks_neuron():
    w = neuron()
    found = {name: w.by_name(name).adjoint for name in NEURON}
    assert found == pytest.approx({"x1": -1.5, "w1": 1.0, "x2": 0.5, "w2": 0.0, "b": 0.5})
    assert w.by_name("o").value == pytest.approx(0.7071067811865476)


def test_olahs_example_adds_over_two_paths():
    w = olah()
    b = w.by_name("b")
    assert b.adjoint == 5.0
    assert [(w.node(a.via).name, a.amount) for a in w.step(f"backward-{b.id}").arrivals] == [
        ("d", 3.0),
        ("c", 2.0),
    ]
    assert w.step(f"backward-{b.id}").total == "3 + 2 = 5, through d and c"
    assert w.step(f"backward-{b.id}").ready == "both consumers, d and c, are done"
    paths = w.step(f"paths-{b.id}")
    assert (paths.count, paths.total, [path.value for path in paths.shown]) == (2, 5.0, [2.0, 3.0])


def test_a_square_has_two_edges():
    w = explain(parse("x*x"), at={"x": 3})
    (top, leaf) = w.part(3)
    assert [c.position for c in top.passes] == [0, 1]
    assert [c.before for c in top.passes] == [0.0, 3.0]
    assert [c.after for c in top.passes] == [3.0, 6.0]
    assert len({c.edge for c in top.passes}) == 2
    assert leaf.ready == "its only consumer, L, which uses it twice, is done"
    assert w.step("paths-n0").count == 2


FORMULAS = [
    "a*b + b*c + a*c",
    "tanh(a*b)*(a + c)",
    "(a - b)**2 / (c*c + 1)",
    "exp(a)*sin(b) - cos(c)*a",
    "relu(a)*b + leaky_relu(b, 0.1)*c",
    "maximum(a, b)*minimum(b, c)",
    "where(a > b, a*c, b*b)",
    "sigmoid(a)*softplus(b) + abs(c)",
    "log(a*a + 1) + sqrt(b*b + 1)*c",
    "a**3 + 2**b - (-c)",
]


@settings(max_examples=60)
@given(
    formula=st.sampled_from(FORMULAS),
    at=st.fixed_dictionaries({name: st.floats(-2, 2) for name in "abc"}),
)
def test_every_step_is_consistent(formula, at):
    """Shares are upstream times local, totals are sums of shares, and paths add up to them."""
    w = explain(parse(formula), at=at)
    expression = parse(formula)
    leaves = [expression.graph[node] for node in expression.graph.leaves.values()]
    for leaf, right in zip(leaves, grad(expression, leaves), strict=True):
        assert w.by_name(leaf.label).adjoint == evaluate(right, at)
    for node in w.nodes:
        if node.kind == "operation":
            assert w.step(f"forward-{node.id}").value == node.value
    for step in [step for step in w.part(3) if step.kind == "backward"]:
        assert step.adjoint == w.node(step.node).adjoint
        if step.arrivals:
            assert math.fsum(a.amount for a in step.arrivals) == pytest.approx(step.adjoint)
        for share in step.passes:
            if share.wanted:
                product = step.adjoint * share.local_value
                assert share.product_value == pytest.approx(product, rel=1e-12, abs=1e-300)
                assert share.after == pytest.approx(share.before + share.product_value)
                assert w.step(share.upstream_step).part in (2, 3)
    for step in [step for step in w.part(4) if step.kind == "paths"]:
        adjoint = w.node(step.node).adjoint
        assert step.total == pytest.approx(adjoint, rel=1e-9, abs=1e-12)
        if not step.capped:
            assert math.fsum(p.value for p in step.shown) == pytest.approx(adjoint, abs=1e-12)


def test_a_nodes_turn_comes_after_its_consumers():
    w = explain(parse("a*b + tanh(a*b)*a"), at={"a": 1, "b": 2})
    place = {step.node: i for i, step in enumerate(w.part(3))}
    for node in w.nodes:
        for operand in node.operands:
            if operand in place:
                assert place[node.id] < place[operand]


def test_the_shares_are_the_compilers_own_nodes():
    """Their formulas are printed from the graph, not derived a second time."""
    w = neuron()
    top = w.part(3)[0]
    assert top.passes[0].product.text == "1*(1 - o*o)"
    number = top.passes[0].product_number
    assert w.graph.origins[number].transform == "grad"
    assert w.graph.origins[number].primal == w.output.id
    assert w.by_name("w1").adjoint_formula.text == "1*(1 - o*o)*x1"


def test_formulas_are_not_rearranged():
    w = explain(parse("b + a + a*1"), at={"a": 1, "b": 2})
    assert w.formula.text == "b + a + a*1"


def test_negative_numbers_stand_in_brackets_after_an_operator():
    w = explain(parse("a*b - c + b"), at={"a": -1, "b": -2, "c": -3})
    shown = [step.substituted.text for step in w.part(1)]
    assert shown == ["(-1)*(-2)", "2 - (-3)", "5 + (-2)"]


def test_a_broken_rule_is_caught_by_the_judges():
    from wengert.ops import scalar as ops

    wrong = (lambda ct, out, x: ct * (1 - out),)
    with other_rules(ops.TANH, wrong):
        step = neuron().step("agreement")
    assert not any(row.agrees for row in step.rows if row.graph)
    assert "sympy and the difference quotient say otherwise" in step.rows[0].note
    assert "disagree" in step.conclusion


def test_four_ways_agree():
    step = neuron().step("agreement")
    assert all(row.agrees for row in step.rows)
    assert {row.judgement for row in step.rows} == {"proved equal"}
    for row in step.rows:
        numbers = (row.sympy, row.difference, row.compiled)
        assert numbers == pytest.approx((row.graph,) * 3, rel=1e-6, abs=1e-9)


def test_a_kink_is_named_where_the_difference_quotient_disagrees():
    (row,) = explain(parse("relu(x)"), at={"x": 0}).step("agreement").rows
    assert not row.agrees
    assert "convention (relu: 0 at 0)" in row.note


def test_the_line_that_carries_a_step_computes_its_number():
    w = neuron()
    step = w.step("code")
    source = step.source.splitlines()
    carried = {line.step: line for line in step.lines}
    o = w.by_name("o").id
    assert carried[f"forward-{o}"].code.startswith("o = tanh(")
    b = w.by_name("b").id
    assert carried[f"backward-{b}"].code == "db = 1.0 - o*o"
    assert carried[f"backward-{o}"].note == "no line: it is the number 1"
    v1 = w.by_name("v1").id
    line = carried[f"forward-{o}"].line
    assert carried[f"forward-{v1}"].note == f"inside line {line}"
    assert carried[f"forward-{v1}"].variable == ""
    for line in step.lines:
        if line.line is not None:
            assert source[line.line - 1].strip() == line.code
    assert len(carried) == len(w.part(1)) + len(w.part(3))


def test_where_the_stable_form_is_compiled_it_is_a_step():
    w = explain(parse("log(1 + exp(x))"), at={"x": 800})
    step = w.step("stable")
    assert [(one.before.text, one.after.text) for one in step.rewritings] == [
        ("log(1 + exp(x))", "softplus(x)")
    ]
    assert step.rules == ("softplus",)
    (slopes,) = step.here
    assert math.isnan(slopes.written)
    assert slopes.compiled == 1.0
    assert not step.point
    assert "v1 = exp(x) is inf" in step.why
    assert step is w.part(3)[-1]
    (row,) = w.step("agreement").rows
    assert row.compared
    assert row.agrees
    assert row.note == "rule by rule it is nan, the others agree"


def test_the_stable_form_is_shown_where_it_makes_a_difference():
    w = explain(
        parse("log(exp(a) + exp(b))*c + log(exp(a) + exp(b) + exp(c))"), at=dict.fromkeys("abc", 1)
    )
    step = w.step("stable")
    assert len(step.rewritings) == 2
    assert step.rewritings[-1].shift.text == "maximum(maximum(a, b), c)"
    assert step.rewritings[-1].after.text == (
        "log(exp(a - max) + exp(b - max) + exp(c - max)) + max"
    )
    assert step.point == {"a": 800.0, "b": 1, "c": 1}
    assert any(math.isnan(slopes.written) for slopes in step.there)
    assert all(math.isfinite(slopes.compiled) for slopes in step.there)
    text = w.text(width=100, color=False)
    assert "The stable form" in text
    assert "At a = 800, b = 1, c = 1:" in text
    assert "The stable form" not in w.text(hide=True)


def test_what_is_not_rewritten_has_no_such_step():
    assert [step.id for step in neuron() if step.kind == "stable"] == []
    assert [step.id for step in olah(wrt="a") if step.kind == "stable"] == []


def test_a_branch_that_was_not_taken_is_guarded():
    w = explain(parse("where(x > 0, sqrt(x), 0)*y"), at={"x": -1, "y": 2})
    step = w.step("stable")
    assert not step.rewritings
    assert "a branch which was not taken" in step.sentence
    assert [slopes.compiled for slopes in step.here] == [0.0, 0.0]


def test_what_is_finite_is_compared_whatever_else_is_not():
    w = explain(parse("x*relu(-y) + log(x - x)"), at={"x": 2, "y": 1})
    rows = {w.node(row.leaf).name: row for row in w.step("agreement").rows}
    assert rows["y"].compared
    assert rows["y"].agrees
    assert not rows["y"].note
    assert w.step("agreement").conclusion != "They agree on every leaf."


def test_a_comparison_is_said_to_be_flat():
    text = explain(parse("(x > 10)*y"), at={"x": 1, "y": 2}).text(width=200, color=False)
    assert "Nothing is passed to x: a comparison is flat on both sides of its step." in text
    text = explain(parse("where(x > 0, x, 2*x)"), at={"x": 1}).text(width=200, color=False)
    assert "Nothing is passed to v1: a condition only decides" in text
    assert "not on the way" not in text


def test_the_update_starts_from_the_stable_form():
    (update,) = explain(parse("log(1 + exp(x))"), at={"x": 800}, rates=[0.1]).part(7)
    assert (update.before, update.squared_norm) == (800, 1)
    assert update.rates[0].note == "as predicted, to 1%"


def test_the_update_predicts_small_steps_and_not_long_ones():
    w = explain(parse("x*x"), at={"x": 3}, rates=(1e-4, 0.1, 1.5))
    small, middle, long = w.step("update").rates
    assert small.predicted == pytest.approx(36e-4)
    assert small.actual == pytest.approx(small.predicted, rel=1e-3)
    assert middle.new_output == pytest.approx(2.4**2)
    assert long.actual < 0
    assert long.note == "it rose: the step is too long"


def test_only_parameters_move_when_there_are_some():
    g = Graph()
    w, x = g.parameter("w", 2.0), g.input("x")
    step = explain(w * x, at={"x": 3}).step("update")
    assert [moved.value for moved in step.leaves] == [2.0]


def test_data_stay_unless_they_are_asked_for():
    step = neuron().step("update")
    w = neuron()
    assert [w.node(moved.leaf).name for moved in step.leaves] == ["w1", "w2", "b"]
    assert "x1 and x2 stay: by their names they are data." in step.sentence
    asked = neuron(wrt=["w1", "x1"])
    moved = [asked.node(moved.leaf).name for moved in asked.step("update").leaves]
    assert moved == ["x1", "w1"]
    alone = explain(parse("x*x"), at={"x": 3}).step("update")
    assert len(alone.leaves) == 1
    assert "stay" not in alone.sentence


def test_what_takes_time_is_said_where_it_is_asked_for(capsys):
    explain(parse("a*b"), at={"a": 1, "b": 2})
    assert capsys.readouterr().err == ""
    explain(parse("a*b"), at={"a": 1, "b": 2}, progress=True)
    said = capsys.readouterr().err
    assert "asking sympy (1 operation)" in said


def test_sympy_is_asked_rule_by_rule_where_the_whole_would_take_long():
    net = MLP(2, [4, 4, 1], seed=0)
    step = explain((net([0.5, -1.0]) - 1.0) ** 2).step("agreement")
    assert {row.judgement for row in step.rows} == {"by the chain rule, to 50 digits"}
    assert all(row.agrees and row.compared for row in step.rows)


# -- what can be explained ------------------------------------------------------------------------


def test_values_bring_their_data():
    x, w = Value(2.0, label="x"), Value(-3.0, label="w")
    y = x * w
    y.label = "x times w"
    walk = explain(y)
    assert walk.by_name("x").adjoint == -3.0
    assert walk.nodes[-1].label == "x times w"
    assert (x.grad, w.grad) == (0.0, 0.0)


def test_networks():
    net = MLP(2, [2, 1], seed=0)
    loss = (net([2.0, 3.0]) - 1.0) ** 2
    w = explain(loss, net.parameters())
    loss.backward()
    for p in net.parameters():
        assert w.by_name(p.label).adjoint == pytest.approx(p.grad)
    assert explain(Neuron(3, seed=1)([1.0, 2.0, 3.0])).by_name("b").adjoint is not None
    assert explain(Layer(2, 2, seed=1)([1.0, 2.0])[1]).by_name("w1_0").adjoint is not None


def test_wrt_leaves_out_what_is_not_asked():
    w = neuron(wrt="w1")
    assert [w.node(step.node).name for step in w.part(4)] == ["w1"]
    assert w.by_name("b").adjoint is None
    assert w.by_name("w1").adjoint == pytest.approx(1.0)
    g = Graph()
    a, b = g.input("a"), g.input("b")
    assert explain(a * b, [b], {a: 2, b: 3}).by_name("b").adjoint == 2.0


def test_the_users_graph_is_left_as_it_was():
    g = Graph()
    x = g.input("x")
    y = (x * x).tanh()
    explain(y, x, {x: 1.0})
    assert len(g) == 3


def test_symbolic():
    w = explain(read_formulas("o = tanh(w*x + b)"))
    assert w.symbolic
    assert not w.part(7)
    assert {node.value for node in w.nodes} == {None}
    assert all(row.agrees for row in w.step("agreement").rows)
    assert w.part(3)[0].passes[0].local.text == "1 - o*o"
    assert w.by_name("x").adjoint_formula.text == "1*(1 - o*o)*w"
    assert "None" not in w.text(80, False)
    assert "nan" not in w.text(80, False)


def test_a_derivative_can_be_explained_in_turn():
    g = Graph()
    x = g.input("x")
    w = explain(grad(x * x * x, x), at={x: 2.0})
    assert w.by_name("x").adjoint == pytest.approx(12.0)


def test_a_part_and_a_collapsed_view():
    net = MLP(2, [3, 1], seed=0)
    loss = (net([2.0, 3.0]) - 1.0) ** 2
    whole, small = explain(loss), explain(loss, collapse=True)
    assert len(small.part(1)) == 5
    for p in net.parameters():
        assert small.by_name(p.label).adjoint == pytest.approx(whole.by_name(p.label).adjoint)
    assert all(row.agrees for row in small.step("agreement").rows)
    part = explain(loss, part="h0_1")
    assert part.nodes[-1].name == "h0_1"
    assert len(part.part(1)) == 5
    with pytest.raises(UnknownNameError, match="h0_1"):
        explain(loss, part="h0_9")


def test_paths_are_counted_without_being_written_out():
    x = parse("x")
    y = x
    for _ in range(60):
        y = y + y
    w = explain(y, at={x: 1.0})
    (step,) = w.part(4)
    assert step.count == 2**60
    assert len(step.shown) == 8
    assert step.capped
    assert step.total == 2.0**60
    assert f"{2**60:,}" in step.sentence


def test_forward_mode_is_counted_beside_the_backward_pass():
    step = neuron().step("directions")
    assert [sweep.edges for sweep in step.sweeps] == [4, 4, 4, 4, 2]
    assert (step.forward, step.backward) == (18, 9)
    assert [sweep.value for sweep in step.sweeps] == pytest.approx([-1.5, 1.0, 0.5, 0.0, 0.5])
    assert "18 edges" in neuron().text(width=200, color=False)
    assert "directions" not in [step.id for step in neuron(wrt="w1")]


def test_a_long_title_stops_at_what_has_a_name():
    net = MLP(2, [4, 4, 1], seed=0)
    title = explain((net([0.5, -1.0]) - 1.0) ** 2).text(width=200, color=False).splitlines()[0]
    assert title == "L = (h2_0 - 1)**2"


def test_non_finite_numbers_are_marked():
    w = explain(parse("log(x)*y"), at={"x": 0, "y": 1})
    assert w.first_non_finite == "forward-n1"
    assert not w.step("forward-n1").finite
    text = w.text(80, False)
    assert "← the first that is not finite" in text
    assert "The first that is not: v1 = log(x)" in text
    assert neuron().first_non_finite is None


def test_behind_a_comparison_nothing_passes():
    w = explain(parse("(x > 1)*y"), at={"x": 2, "y": 3})
    assert (w.by_name("x").adjoint, w.by_name("y").adjoint) == (0.0, 1.0)


# -- bad input ------------------------------------------------------------------------------------


def test_errors_name_what_is_wrong():
    with pytest.raises(MissingInputError, match="no value for b"):
        explain(parse("a*b"), at={"a": 1})
    with pytest.raises(UnknownNameError, match="'q' is not a leaf"):
        explain(parse("a*b"), at={"q": 1})
    with pytest.raises(OperandError, match="the value of a is 'two'"):
        explain(parse("a*b"), at={"a": "two", "b": 1})
    with pytest.raises(UnknownNameError, match="'q'"):
        explain(parse("a*b"), "q")
    with pytest.raises(OperandError, match="one Expr or Value"):
        explain([1, 2])
    with pytest.raises(DisconnectedInputError, match="made of constants"):
        explain(parse("2*3"))
    with pytest.raises(OperandError, match="learning rate 'fast'"):
        explain(parse("a"), at={"a": 1}, rates=("fast",))
    g = Graph()
    a, b = g.input("a"), g.input("b")
    with pytest.raises(DisconnectedInputError, match="does not depend on b"):
        explain(a * a, b)
    with pytest.raises(NotALeafError):
        explain(a * b * a, a * b)


def test_too_large_says_how_large_and_what_to_do(monkeypatch):
    monkeypatch.setattr(sys.modules["wengert.explain.derivation"], "MAX_OPERATIONS", 150)
    net = MLP(3, [4, 4, 1], seed=0)
    rows = [[2.0, 3.0, -1.0], [3.0, -1.0, 0.5], [0.5, 1.0, 1.0]]
    loss = sum((net(row) - 1.0) ** 2 for row in rows)
    with pytest.raises(SizeError) as caught:
        explain(loss)
    message = str(caught.value)
    assert "228 operations" in message
    assert "at most 150" in message
    assert "collapse=True" in message
    assert "part='h2_0'" in message
    assert len(explain(loss, part="h2_0").part(1)) < 150
    x = parse("x")
    for _ in range(200):
        x = x + 1
    with pytest.raises(SizeError, match="200 operations"):
        explain(x)


# -- the outputs ----------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [20, 40, 80, 120])
@pytest.mark.parametrize("make", [neuron, olah])
def test_text_fits_any_width(make, width):
    text = make().text(width, False)
    long = [line for line in text.splitlines() if len(line) > width]
    assert not long
    assert "\x1b" not in text


def test_colours_only_where_wanted(monkeypatch):
    w = olah()
    assert "\x1b[" in w.text(80, True)
    assert "\x1b" not in w.text()
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[" in w.text()
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in w.text()


def test_text_says_the_lesson():
    text = olah().text(100, False)
    for line in (
        "e = (a + b)*(b + 1)",
        "c = a + b = 2 + 1 = 3",
        "∂e/∂b so far: nothing yet, so 0 + 3 = 3, through d; 1 share still to come",
        "∂e/∂b so far: 3 + 2 = 5, through d and c",
        "∂e/∂b = 3 + 2 = 5, through d and c",
        "e → c → b:  d · 1 = 2 × 1 = 2",
        "Sum: 5, and the backward pass found ∂e/∂b = 5.",
    ):
        assert line in text


def test_json_is_strict_and_deterministic():
    w = explain(parse("log(x)*y"), at={"x": 0, "y": 1})
    text = w.json()
    assert text == explain(parse("log(x)*y"), at={"x": 0, "y": 1}).json()
    data = json.loads(text, parse_constant=lambda name: pytest.fail(name))
    assert data["nodes"][1]["value"] == "-inf"
    assert [step["part"] for step in data["steps"]] == sorted(s["part"] for s in data["steps"])
    ids = [step["id"] for step in data["steps"]]
    assert len(ids) == len(set(ids))
    known = {node["id"] for node in data["nodes"]}
    for step in data["steps"]:
        assert step["node"] is None or step["node"] in known


def test_markdown_and_latex():
    w = olah()
    assert "- $c = a + b = 2 + 1 = 3$" in w.markdown()
    assert w.markdown().count("$") % 2 == 0
    tex = w.latex()
    assert tex.startswith("\\documentclass")
    assert tex.count("\\begin{itemize}") == tex.count("\\end{itemize}") > 0
    assert tex.count("{") == tex.count("}")


def test_hostile_labels_are_inert():
    x = Value(2.0, label=HOSTILE)
    y = x * x
    y.label = HOSTILE
    w = explain(y)
    for text in (w.text(80, False), w.markdown(), w.latex()):
        assert "</script>" not in text
    assert json.loads(w.json())["nodes"][-1]["label"] == HOSTILE
    assert escape_markdown("<b>*x*|") == "\\<b\\>\\*x\\*\\|"
    assert escape_latex("50%_\\") == "50\\%\\_\\textbackslash{}"


def test_save_goes_by_the_suffix(tmp_path):
    w = olah()
    for suffix, start in (
        (".txt", "e = "),
        (".md", "# "),
        (".tex", "\\documentclass"),
        (".json", "{"),
    ):
        path = w.save(tmp_path / f"walk{suffix}")
        assert path.read_text(encoding="utf-8").startswith(start)
    with pytest.raises(UnknownNameError, match=r"\.md"):
        w.save(tmp_path / "walk.doc")


def test_look_ups_name_what_exists():
    with pytest.raises(UnknownNameError, match="forward-n2"):
        olah().step("forward-n22")
    with pytest.raises(UnknownNameError, match="'q'"):
        olah().by_name("q")


def test_latex_has_the_brackets_that_latex_needs():
    """A case distinction is a call in text and open-ended in LaTeX; a fraction is the reverse."""
    w = explain(parse("where(a > b, a, b)**3 + (a/b)**2"), at={"a": 1, "b": 2})
    assert w.formula.text == "where(a > b, a, b)**3 + (a/b)**2"
    assert r"{\left(\begin{cases} a" in w.formula.latex
    assert r"\end{cases}\right)}^{3} + {\left(\frac{a}{b}\right)}^{2}" in w.formula.latex


def test_the_same_walk_through_at_other_values():
    w = explain(parse("tanh(a*b) + a"))
    assert w.symbolic
    numbers = w.at({"a": 0.5, "b": -1})
    fresh = explain(parse("tanh(a*b) + a"), at={"a": 0.5, "b": -1})
    assert numbers.json() == fresh.json()
    assert numbers.at({"b": 2}).json() == fresh.at({"a": 0.5, "b": 2}).json()
    assert w.symbolic
    with pytest.raises(MissingInputError, match="no value for b"):
        w.at({"a": 1})
    with pytest.raises(UnknownNameError, match="q"):
        w.at({"q": 1})


LIVE = re.compile(r"\\slot\{([^}]*)\}")


def live_numbers(w, formula):
    """What the live numbers of a formula come to: sums of products of nodes."""
    values = w.derivation.values
    return [
        math.fsum(
            math.prod(values[int(node)] for node in product.split("*"))
            for product in slot.split("+")
        )
        for slot in LIVE.findall(formula.live)
    ]


@pytest.mark.parametrize("make", [neuron, olah], ids=["neuron", "sum"])
def test_live_numbers_are_those_that_are_shown(make):
    """A page puts numbers where the text has them: the last of an equation is what it comes to."""
    w = make()
    for step in w.part(1):
        *operands, value = live_numbers(w, equations.forward(w, step))
        assert operands == [w.node(id).value for id in w.node(step.node).operands]
        assert value == step.value
    for step in w.part(3):
        for passed in filter(lambda passed: passed.wanted, step.passes):
            assert live_numbers(w, equations.local(passed))[-1] == passed.local_value
            numbers = live_numbers(w, equations.share(w, step, passed))
            assert numbers == [step.adjoint, passed.local_value, passed.product_value]
    for step in [step for step in w.part(4) if step.kind == "paths"]:
        for path in step.shown:
            _, product = equations.path(w, path)
            *factors, value = live_numbers(w, product)
            assert value == pytest.approx(path.value)
            assert len(path.factors) == 1 or factors == [factor.value for factor in path.factors]


def test_live_numbers_are_no_part_of_the_data():
    assert "slot" not in neuron().json()
    assert "slot" not in neuron().latex()


def test_of_two_sides_that_read_alike_the_one_that_moves_stays():
    moving = number(2.0, 7)
    shown = equation(Formula("x", "x"), Formula("2", "2"), moving)
    assert (shown.text, shown.live) == ("x = 2", r"x = \slot{7}")
    assert equation(moving, None, Formula("2", "2")).text == "2"
    assert times(number(-1.0), number(-2.0)).text == "(-1) × (-2)"
    assert plus(number(-1.0), number(-2.0)).text == "-1 + (-2)"
    assert plus(number(-1.0, 3), number(2.0, 4)).live == r"\slot{3} + \left(\slot{4}\right)"


def test_prose_and_formulas_escape_latex_alike():
    signs = "\\{}$&#%_^~"
    assert escape_latex(signs) == escape_formula(signs)
    assert escape_latex("<×") == r"\ensuremath{<}\ensuremath{\times}"


# -- operations of one's own ----------------------------------------------------------------------


def test_an_operation_from_outside_the_package_is_explained_like_any_other():
    written = Notation("{0}*{0}*{0}", PRODUCT, (PRODUCT + 1,))
    cube = Op(
        name="cube",
        arity=1,
        evaluate=lambda x: x * x * x,
        sympy=lambda sp, x: sp.Pow(x, 3),
        vjp=(lambda ct, out, x: ct * (3 * x * x),),
        notation={"text": call("cube"), "python": written, "javascript": written},
        sentence="the slope of a cube is three squares",
        domain=((-2.0, 2.0),),
    )
    g = Graph()
    x, y = g.inputs("x", 2)
    output = cube(x * y) + x
    for w in (explain(output, at={x: 2.0, y: -1.0}), explain(output)):
        assert all(row.agrees for row in w.step("agreement").rows)
        assert "Rule of cube: the slope of a cube is three squares." in w.text(200, False)
        assert re.search(r"const t\d+ = (t\d+)\*\1\*\1;", w.html())
        assert w.latex().count("{") == w.latex().count("}")
        assert json.loads(w.json())["nodes"][-1]["formula"]["text"] == "v2 + x0"
    output.label = "cubes"
    assert "cubes" in explain(output, at={x: 2.0, y: -1.0}, collapse=True).html()


# -- the command ----------------------------------------------------------------------------------


def command(capsys, *arguments: str) -> str:
    import argparse

    parser = argparse.ArgumentParser()
    add_arguments(parser)
    assert run(parser.parse_args(list(arguments))) == 0
    return capsys.readouterr().out


def test_command(capsys):
    at = ",".join(f"{name}={number!r}" for name, number in NEURON.items())
    formula = "tanh(w1*x1 + w2*x2 + b)"
    assert "∂L/∂w1 = 1" in command(capsys, formula, "--at", at)
    assert "∂L/∂x1" not in command(capsys, formula, "--at", at, "--wrt", "w1")
    assert json.loads(command(capsys, formula, "--at", at, "--json"))["symbolic"] is False
    assert "+=" in command(capsys, formula, "--at", at, "--mistake", "assign")
    listed = command(capsys, formula, "--mistake", "list")
    assert "dead-relu" in listed
    assert "symbolic" in command(capsys, "x*x", "--json")


def test_command_errors_name_the_value():
    with pytest.raises(FormulaError, match="the value of 'x' is 'abc'"):
        read_values_of("x=abc")
    with pytest.raises(FormulaError, match="expected name=number"):
        read_values_of("x")
    with pytest.raises(FormulaError, match="'x' twice"):
        read_values_of("x=1,x=2")


def read_values_of(text: str) -> dict[str, float]:
    from wengert.explain.command import read_values

    return read_values([text])


def test_named_formulas():
    e = read_formulas("c = a + b; d = b + 1; e = c*d")
    assert str(e) == "(a + b)*(b + 1)"
    assert [label for node, label in e.graph.labels.items() if e.graph.operands[node]] == list(
        "cde"
    )
    for bad in (
        "",
        "x; y",
        "c = a; c = b",
        "b*c; c = a",
        "a = b; a*a; c = a",
        "lambda = x",
        "c == d; c",
    ):
        with pytest.raises(FormulaError):
            read_formulas(bad)


def test_plain_characters_where_the_terminal_has_no_others(monkeypatch):
    import io

    from wengert.explain import command as module

    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, encoding="ascii"))
    module._write("∂L/∂x — 2 × 3 ü\n")
    assert raw.getvalue() == b"dL/dx - 2 * 3 ?\n"


def test_names_that_differ_by_an_underscore_are_told_apart():
    w = explain(parse("x1*x_1 + x_1"), at={"x1": 1, "x_1": 2})
    assert r"$L = x_{1} \cdot \mathrm{x\_1} + \mathrm{x\_1}$" in w.latex()
    page = w.html()
    assert "How does L change when x₁ and x_1 change?" in page
    assert '<label for="slider-1">x_1</label>' in page
    assert re.search(r'class="name">x_1</text>', page)


def test_in_a_network_what_is_computed_is_numbered_by_its_neuron():
    net = MLP(3, [8, 8, 1], seed=0)
    w = explain((net([Value(0.5, label=f"x{i}") for i in range(3)]) - 1.0) ** 2)
    names = [node.name for node in w.nodes if node.operands]
    assert names[:3] == ["v0_0_1", "v0_0_2", "v0_0_3"]
    assert names[-3:] == ["h2_0", "v1", "L"]
