"""The python target: the same numbers as the interpreter, in code that people can read."""

import ast
import math
import random
import re
import sys
import traceback
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from places import GOLDEN

from wengert.codegen.compiled import compile
from wengert.codegen.scalar.python import emit, emit_careful, load
from wengert.codegen.scalar.spelling import FAST, form_of
from wengert.codegen.scalar.writer import MAX_NESTING
from wengert.derive.backward import grad
from wengert.graph.expr import Graph
from wengert.ops import scalar as ops
from wengert.ops.record import POWER, UNARY, Notation

EXTREMES = [0.0, -0.0, 1.0, -1.0, 0.5, 2.0, -3.0, 1e-300, 1e300, -1e300, 710.0, -746.0]
APPLIED = [op for op in ops.ELEMENTWISE.values() if op.name != "total"]


def random_graph(seed: int, size: int = 25):
    """A graph of `size` operations on three inputs, and four of its nodes as outputs."""
    draw = random.Random(seed)
    graph = Graph()
    inputs = graph.inputs("x", 3)
    nodes = [*inputs, graph.constant(draw.choice(EXTREMES)), graph.constant(0.7)]
    for _ in range(size):
        op = draw.choice(APPLIED)
        statics = [draw.choice([2, 3, -1, 0.5, 1, 0]) for _ in op.statics]
        nodes.append(op(*(draw.choice(nodes[-12:]) for _ in range(op.arity)), *statics))
    return inputs, [nodes[-1], nodes[-2], draw.choice(nodes), nodes[len(nodes) // 2]]


def same(a: float, b: float) -> bool:
    return a == b or (a != a and b != b)


@given(
    seed=st.integers(0, 10**6), point=st.lists(st.sampled_from(EXTREMES), min_size=3, max_size=3)
)
def test_random_graphs_agree_bit_for_bit_with_the_interpreter(seed, point):
    inputs, outputs = random_graph(seed)
    f = compile({"x": inputs}, outputs, simplify=False)
    for got, expected in zip(f(point), f.program.run(point), strict=True):
        assert same(got, expected)
        assert type(got) is float


@given(seed=st.integers(0, 10**6), rows=st.lists(st.floats(-3, 3), min_size=0, max_size=5))
def test_batches_agree_with_the_interpreter(seed, rows):
    (a, b, c), outputs = random_graph(seed)
    for reduce in ("sum", "mean", None):
        f = compile({"a": a, "b": b, "c": c}, outputs, batch=("a", "b"), reduce=reduce)
        arguments = (rows, rows[::-1], 0.5)
        for got, expected in zip(f(*arguments), f.program.run(*arguments), strict=True):
            if isinstance(expected, list):
                assert all(map(same, got, expected))
                assert all(type(number) is float for number in got)
                assert len(got) == len(expected)
            else:
                assert same(got, expected)
                assert type(got) is float


@pytest.mark.parametrize("op", APPLIED, ids=lambda op: op.name)
def test_every_operation_gives_inf_and_nan_where_python_would_raise(op):
    graph = Graph()
    inputs = graph.inputs("x", op.arity)
    for statics in op.settings:
        out = op(*inputs, *statics)
        f = compile({"x": inputs}, out, simplify=False)
        points = [*EXTREMES, math.inf, -math.inf, math.nan]
        draw = random.Random(0)
        for _ in range(60):
            point = [draw.choice(points) for _ in inputs]
            assert same(f(point), f.program.run(point)), point


def test_the_careful_version_is_only_made_when_needed():
    g = Graph()
    x = g.input("x")
    assert emit_careful(compile({"x": x}, ops.tanh(x) * x).program) is None
    assert emit_careful(compile({"x": x}, ops.exp(x)).program) is not None


def notebook_neuron():
    g = Graph()
    w, x = g.inputs("w", 2), g.inputs("x", 2)
    b, y = g.input("b"), g.input("y")
    n = w[0] * x[0] + w[1] * x[1] + b
    n.label = "n"
    out = ops.tanh(n)
    out.label = "o"
    loss = (out - y) ** 2
    loss.label = "loss"
    return g, w, x, b, y, loss


def golden_cases():
    _, w, x, b, y, loss = notebook_neuron()
    groups = {"w": w, "b": b, "x": x, "y": y}
    outputs = {"loss": loss, "grad": grad(loss, [*w, b])}
    yield "neuron", compile(groups, outputs)
    yield "neuron_batch", compile(groups, outputs, batch=("x", "y"), reduce="mean", name="step")
    yield "neuron_rows", compile(groups, {"o": loss}, batch=("x", "y"), reduce=None)
    g = Graph()
    a, c = g.input("a"), g.input("c")
    mixed = ops.where(a > c, ops.exp(a) / c, ops.relu(a - c) ** 0.5) + ops.sigmoid(c) - (a - c)
    yield "mixed", compile({"a": a, "c": c}, {"m": mixed, "da": grad(mixed, a), "gt": a > c})


@pytest.mark.parametrize(("name", "f"), list(golden_cases()))
def test_emitted_code_is_as_it_was(name, f, update_golden):
    path = GOLDEN / f"{name}.py"
    if update_golden:
        path.write_text(f.source, encoding="utf-8")
    assert f.source == path.read_text(encoding="utf-8")


def test_emission_is_deterministic():
    first, second = ([f.source for _, f in golden_cases()] for _ in range(2))
    assert first == second


def test_lines_are_short_and_shallow():
    inputs, outputs = random_graph(3, size=400)
    source = compile({"x": inputs}, outputs, simplify=False).source
    assert max(map(len, source.splitlines())) <= 140
    depth = max(
        sum(1 for c in source[:i] if c == "(") - sum(1 for c in source[:i] if c == ")")
        for i in range(0, len(source), 7)
    )
    assert depth <= MAX_NESTING + 2


def test_values_used_once_are_written_inside_others():
    _, w, x, b, y, loss = notebook_neuron()
    source = compile({"w": w, "b": b, "x": x, "y": y}, loss).source
    assert "o = tanh(" not in source
    assert "tanh(w0*x0 + w1*x1 + b) - y" in source


def test_a_sum_of_a_thousand_terms():
    g = Graph()
    x = g.inputs("x", 1000)
    total = x[0]
    for item in x[1:]:
        total = total + item * 2
    f = compile({"x": x}, total)
    assert f([1.0] * 1000) == 1999.0


def statements(source):
    """Every simple statement of a module's function, by the lines it is on."""
    nodes = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.stmt)]
    simple = [n for n in nodes if not hasattr(n, "body")]
    return {line: ast.unparse(n) for n in simple for line in range(n.lineno, n.end_lineno + 1)}


@pytest.mark.parametrize(("name", "f"), list(golden_cases()))
def test_the_line_of_each_variable(name, f):
    """It is assigned there; or else it stands in a statement that reads what it is made of."""
    program, written = f.program, statements(f.source)
    leaves = {leaf for group in program.groups for leaf in group.leaves}
    gathered = {gather.name for gather in program.gathers}
    made = [instruction.name for instruction in program.instructions]
    assigned = {v for v in made if written[f.line_of(v)].startswith(f"{v} = ")}
    assert assigned
    for instruction in program.instructions:
        line = f.line_of(instruction.name)
        for operand in filter(lambda operand: isinstance(operand, str), instruction.operands):
            if operand in leaves | assigned | gathered:
                assert re.search(rf"\b{operand}\b", written[line]), (instruction, written[line])
            else:
                assert written[f.line_of(operand)] == written[line]
    for variable in gathered:
        assert re.match(rf"{variable}( \+?=|\.append)", written[f.line_of(variable)])
    assert written[f.line_of("return")].startswith("return ")


def test_a_traceback_shows_the_generated_line():
    g = Graph()
    x = g.input("x")
    f = compile({"x": x}, ops.log(x) + 1)
    try:
        f.function(-1.0)
    except ValueError:
        shown = traceback.format_exc()
    assert "log(x) + 1.0" in shown
    assert math.isnan(f(-1.0))


@pytest.mark.parametrize(
    "name", ["print", "len", "zip", "tanh", "exp", "float", "f", "match", "e", "inf"]
)
def test_leaves_may_have_the_names_of_functions(name):
    g = Graph()
    x = g.input(name)
    y = g.input("y")
    out = ops.tanh(x) + ops.exp(y) * x
    f = compile({"a": x, "b": y}, {"len": out, "zip": out * y}, batch=("a", "b"))
    expected = math.tanh(0.5) + math.exp(0.25) * 0.5
    assert f([0.5], [0.25])["len"] == pytest.approx(expected, rel=1e-15)
    assert compile({"a": x, "b": y}, out)(0.5, 0.25) == pytest.approx(expected, rel=1e-15)


HOSTILE = ['"', "'", "\\", "\n", '"""', "{x}", "__import__('os')", "\u202e", "a" * 10_000, "]", "#"]


@pytest.mark.parametrize("text", HOSTILE)
def test_labels_and_keys_are_only_text(text):
    g = Graph()
    x = g.input("x")
    y = ops.tanh(x * x)
    y.label = text
    f = compile({"x": x}, {text: y, "again": [y, {text: x}]})
    assert f(0.5) == {text: math.tanh(0.25), "again": [math.tanh(0.25), {text: 0.5}]}
    tree = ast.parse(f.source)
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    assert f.source.isascii()


def test_output_keys_must_be_text():
    class Hostile:
        def __repr__(self):
            return "__import__('os').system('echo')"

    g = Graph()
    x = g.input("x")
    with pytest.raises(ValueError, match="keys of outputs are text"):
        compile({"x": x}, {Hostile(): x * x})


def test_non_finite_constants():
    g = Graph()
    x = g.input("x")
    f = compile({"x": x}, [x + math.inf, x * math.nan, ops.maximum(x, -math.inf)], simplify=False)
    got = f(1.0)
    assert got[0] == math.inf
    assert math.isnan(got[1])
    assert got[2] == 1.0


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("batch", [(), ("x",)])
def test_outputs_that_are_no_number_by_themselves(number, batch):
    g = Graph()
    x = g.input("x")
    fixed = g.constant(number)
    plain = [fixed], [fixed, x], {"a": fixed, "b": [x * 2, fixed]}, [fixed * x]
    for outputs in (*plain, [ops.total(fixed)]):
        for reduce in ("sum", None) if batch else ("sum",):
            f = compile({"x": x}, outputs, batch=batch, reduce=reduce, simplify=False)
            argument = [1.0, 2.0] if batch else 1.0
            for got, expected in zip(flat(f(argument)), flat(f.program.run(argument)), strict=True):
                assert same(got, expected)


def flat(outputs):
    if isinstance(outputs, dict):
        outputs = list(outputs.values())
    return [n for part in outputs for n in flat(part)] if isinstance(outputs, list) else [outputs]


def test_the_sum_of_what_is_the_same_for_all_samples():
    g = Graph()
    x, w = g.input("x"), g.input("w")
    same_for_all, row = ops.exp(w), [1.0, 2.0, 4.0]
    outputs = [ops.total(same_for_all), ops.total(x) * same_for_all]
    assert compile({"x": x, "w": w}, outputs, batch="x")(row, 0.0) == [3.0, 7.0]


@pytest.mark.parametrize(
    ("template", "code"),
    [("{0} % {1}", "a % b"), ("{{0: {0}, 1: {1}}}[0]", "{0: a, 1: b}[0]"), ("{1}-{0}", "b-a")],
)
def test_any_python_can_be_a_spelling(template, code):
    op = replace(ops.MUL, notation={"python": Notation(template)})
    assert form_of(op, (), FAST).fill(["a", "b"]) == code
    assert form_of(op, (), FAST).inside("float").fill(["a", "b"]) == f"float({code})"


def test_negative_numbers_stand_in_parentheses_where_their_sign_would_not_bind():
    power = replace(ops.MUL, notation={"python": Notation("{0}**{1}", POWER, (POWER + 1, UNARY))})
    g = Graph()
    x = g.input("x")
    cases = ((-3.0, "x"), "(-3.0)**x"), ((3.0, "x"), "3.0**x"), (("x", -3.0), "x**-3.0")
    for operands, code in cases:
        program = compile({"x": x}, x * 2.0).program
        changed = program.once[0]._replace(op=power, operands=operands)
        assert f" = {code}\n" in emit(replace(program, once=(changed,))).text


def test_loaded_code_leaves_nothing_behind():
    before = set(sys.modules)
    g = Graph()
    x = g.input("x")
    program = compile({"x": x}, x * x).program
    assert load(emit(program))(3.0) == 9.0
    assert set(sys.modules) == before
