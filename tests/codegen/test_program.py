"""Lowering and the reference interpreter."""

import math

import pytest

from wengert.codegen.compiled import compile
from wengert.codegen.names import Namespace
from wengert.codegen.program import Program
from wengert.derive.backward import grad
from wengert.errors import MissingInputError, NonFiniteError, ShapeError
from wengert.graph.evaluation import evaluate
from wengert.graph.expr import Graph
from wengert.graph.value import Value
from wengert.ops import scalar as ops


def small_network(graph: Graph):
    x, y = graph.inputs("x", 2), graph.input("y")
    w = graph.inputs("w", 3)
    h = ops.tanh(w[0] * x[0] + w[1] * x[1] + w[2])
    loss = (h - y) ** 2
    return x, y, w, loss


def assigned_once_and_before_use(program: Program) -> None:
    known = {leaf for group in program.groups for leaf in group.leaves}
    for stage in (program.once, program.each):
        for instruction in stage:
            assert instruction.name not in known
            assert {o for o in instruction.operands if isinstance(o, str)} <= known
            known.add(instruction.name)
    for gather in program.gathers:
        assert gather.name not in known
        known.add(gather.name)
    for instruction in program.after:
        assert instruction.name not in known
        assert {o for o in instruction.operands if isinstance(o, str)} <= known
        known.add(instruction.name)


@pytest.mark.parametrize("batch", [(), ("x", "y")])
@pytest.mark.parametrize("simplify", [True, False])
def test_programs_are_in_ssa_form(batch, simplify):
    x, y, w, loss = small_network(Graph())
    outputs = {"loss": loss, "grad": grad(loss, w)}
    f = compile({"w": w, "x": x, "y": y}, outputs, batch=batch, simplify=simplify)
    assigned_once_and_before_use(f.program)


def test_interpreter_agrees_with_the_graph():
    x, y, w, loss = small_network(Graph())
    outputs = [loss, *grad(loss, w)]
    program = compile({"w": w, "x": x, "y": y}, outputs).program
    at = {"w0": 0.3, "w1": -0.7, "w2": 0.1, "x0": 1.5, "x1": -2.0, "y": 0.25}
    assert program.run([0.3, -0.7, 0.1], [1.5, -2.0], 0.25) == pytest.approx(
        evaluate(outputs, at), rel=1e-15
    )


def test_stages_of_a_batch():
    g = Graph()
    x, w = g.input("x"), g.input("w")
    shared = ops.exp(w)
    total = ops.total(shared * x)
    f = compile({"w": w, "x": x}, {"t": total * 2}, batch="x")
    assert [i.op.name for i in f.program.once] == ["exp"]
    assert [i.op.name for i in f.program.each] == ["mul"]
    assert [i.op.name for i in f.program.after] == ["mul"]
    assert [i.section for i in f.program.after] == ["update"]
    assert f(0.0, [1.0, 2.0, 4.0]) == {"t": 14.0}


def test_total_without_a_batch_is_the_expression_itself():
    g = Graph()
    x = g.input("x")
    assert compile({"x": x}, ops.total(x * 3))(2.0) == 6.0


def test_mixing_a_sample_with_a_total_is_refused():
    g = Graph()
    x = g.input("x")
    with pytest.raises(ShapeError, match="second pass"):
        compile({"x": x}, x - ops.total(x), batch="x")
    with pytest.raises(ShapeError, match="already is a sum"):
        compile({"x": x}, ops.total(ops.total(x) * 2), batch="x")


def test_leaves_that_no_group_names():
    g = Graph()
    x, w, y = g.input("x"), g.parameter("w", 3.0), g.input("y")
    assert compile({"x": x}, w * x)(2.0) == 6.0
    with pytest.raises(MissingInputError, match=r"depend on y\b"):
        compile({"x": x}, x * y)


def test_values_contribute_their_data_at_compile_time():
    w, x = Value(2.0, label="w"), Value(5.0, label="x")
    y = w * x
    f = compile({"x": x}, y)
    w.data = 100.0
    assert f(3.0) == 6.0
    assert compile({"x": x}, y)(3.0) == 300.0


def test_first_non_finite_instruction_is_named():
    g = Graph()
    x = g.input("x")
    f = compile({"x": x}, ops.exp(x * 2) - ops.exp(x * 2 + 1), check=True)
    assert f(1.0) == pytest.approx(math.exp(2) - math.exp(3))
    with pytest.raises(NonFiniteError, match=r"exp\(t\d\) is inf .* at t\d = 1000") as caught:
        f(500.0)
    assert "forward" in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.0, 2.0], [[1.0, 2.0]], [1.0]), r"argument 'w' has 2 numbers, expected 3"),
        (([1.0] * 3, [[1.0, 2.0], [1.0]], [1.0, 2.0]), r"row 1 of 'x' has 1 number, expected 2"),
        (([1.0] * 3, [[1.0, 2.0, 3.0]], [1.0]), r"row 0 of 'x' has 3 numbers, expected 2"),
        (([1.0] * 3, [[1.0, 2.0]], [1.0, 2.0]), r"x has 1, y has 2"),
        (([1.0] * 3, [[1.0, 2.0]]), r"takes 3 arguments, got 2"),
        (([1.0] * 3, 5.0, [1.0]), r"argument 'x' is 5.0, a float; expected"),
        (([1.0] * 3, [["a", 2.0]], [1.0]), r"row 0 of 'x', entry 0 is 'a', a str; expected a n"),
        (([1.0] * 3, [[1.0, 2.0]], [[1.0]]), r"row 0 of 'y' is .*, a list"),
        (([1.0] * 3, "ab", [1.0]), r"argument 'x' is 'ab', a str"),
    ],
)
def test_arguments_that_do_not_fit(arguments, message):
    x, y, w, loss = small_network(Graph())
    f = compile({"w": w, "x": x, "y": y}, loss, batch=("x", "y"))
    with pytest.raises(ShapeError, match=message):
        f(*arguments)
    with pytest.raises(ShapeError, match=message):
        f.program.run(*arguments)


def test_an_empty_batch_sums_to_zero():
    x, y, w, loss = small_network(Graph())
    f = compile({"w": w, "x": x, "y": y}, loss, batch=("x", "y"))
    assert f([1.0, 1.0, 1.0], [], []) == 0.0


def test_names_are_unique_and_shadow_nothing():
    names = Namespace()
    taken = [
        names.take(wish) for wish in ("x", "x", "x__2", "len", "tanh", "class", "", "1x", "t0")
    ]
    assert len(set(taken)) == len(taken)
    assert taken[:5] == ["x", "x__2", "x__2__2", "len_", "tanh_"]


def test_a_deep_chain_lowers_without_recursion():
    g = Graph()
    x = g.input("x")
    y = x
    for _ in range(20_000):
        y = y * 1.0001 + 0.1
    f = compile({"x": x}, y)
    assert f(1.0) == f.program.run(1.0) == evaluate(y, {"x": 1.0})


def test_what_runs_once_before_the_samples_is_counted_apart():
    g = Graph()
    x, w = g.input("x"), g.input("w")
    source = compile({"w": w, "x": x}, {"t": ops.exp(w) * x}, batch="x").source
    assert "once: 1 operation (1 exp)" in source
    assert "forward: 1 operation a sample (1 mul)" in source
    assert "    # once\n" in source
