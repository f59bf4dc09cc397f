"""The javascript target: the interpreter's numbers, in a real browser."""

import json
import math
import random
import re
import struct
import sys
from dataclasses import replace

import browser
import pytest
from places import GOLDEN
from strategies import random_recipe
from test_generated_lines import check_indentation, length_on_one_line
from test_python_target import APPLIED, EXTREMES, notebook_neuron

from wengert.codegen.compiled import compile
from wengert.codegen.scalar.javascript import emit
from wengert.codegen.scalar.layout import INDENT, LINE_LENGTH
from wengert.codegen.scalar.node import find_node, run_in_node
from wengert.codegen.target import Source
from wengert.derive.backward import grad
from wengert.errors import ShapeError, SpellingError
from wengert.graph.expr import Graph
from wengert.ops import scalar as ops

POINTS = [*EXTREMES, math.inf, -math.inf, math.nan]

# One worker starts one browser.
pytestmark = pytest.mark.xdist_group("browser")


@pytest.fixture(scope="module")
def tab():
    with browser.chromium() as opened:
        yield opened


def script(number):
    """A number, or nesting of them, as JavaScript."""
    if isinstance(number, (list, tuple)):
        return f"[{', '.join(map(script, number))}]"
    if math.isnan(number):
        return "NaN"
    return repr(float(number)).replace("inf", "Infinity")


def called(tab, f, *argument_lists):
    """What the emitted function gives for each list of arguments; nan and inf survive the way."""
    source = emit(f.program)
    calls = [f"{source.function}({', '.join(map(script, each))})" for each in argument_lists]
    keep = "(_, x) => typeof x === 'number' && !Number.isFinite(x) ? String(x) : x"
    code = f"{source.text}\nreturn JSON.stringify([{', '.join(calls)}], {keep});"
    answer = tab.run(f"(() => {{ {code} }})()")
    names = {"Infinity": math.inf, "-Infinity": -math.inf, "NaN": math.nan}

    def number(thing):
        if isinstance(thing, str):
            return names[thing]
        if isinstance(thing, list):
            return [number(item) for item in thing]
        if isinstance(thing, dict):
            return {key: number(value) for key, value in thing.items()}
        return thing

    return number(json.loads(answer))


def close(a, b):
    if isinstance(b, dict):
        return list(a) == list(b) and all(close(a[key], b[key]) for key in b)
    if isinstance(b, list):
        return len(a) == len(b) and all(map(close, a, b))
    return a == b or (a != a and b != b) or math.isclose(a, b, rel_tol=1e-12, abs_tol=1e-300)


@pytest.mark.parametrize("op", APPLIED, ids=lambda op: op.name)
def test_every_operation_agrees_with_the_table(tab, op):
    graph = Graph()
    inputs = graph.inputs("x", op.arity)
    draw = random.Random(0)
    for statics in (*op.settings, *[(math.inf,)] * (op is ops.POW_CONST)):
        out = op(*inputs, *statics)
        f = compile({"x": inputs}, out, simplify=False)
        points = [[draw.choice(POINTS) for _ in inputs] for _ in range(80)]
        points += [[draw.uniform(-3, 3) for _ in inputs] for _ in range(40)]
        for point, got in zip(points, called(tab, f, *([p] for p in points)), strict=True):
            assert close(got, f.program.run(point)), (point, got)


@pytest.mark.parametrize("seed", range(30))
def test_random_graphs_agree_with_the_interpreter(tab, seed):
    rng = random.Random(seed)
    points = [[rng.uniform(0.3, 2.0) for _ in range(3)] for _ in range(3)]
    g = Graph()
    x = g.inputs("x", 3)
    out = random_recipe(rng, points, 12).follow(x)
    f = compile({"x": x}, {"out": out, "grad": grad(out, x)})
    for point, got in zip(points, called(tab, f, *([p] for p in points)), strict=True):
        assert close(got, f.program.run(point)), point


def test_batches_agree_with_the_interpreter(tab):
    _, w, x, b, y, loss = notebook_neuron()
    groups = {"w": w, "b": b, "x": x, "y": y}
    outputs = {"loss": loss, "grad": grad(loss, [*w, b])}
    rows = ([0.3, -1.0], 0.25, [[1.0, 2.0], [0.5, -1.5], [-2.0, 0.0]], [1.0, -1.0, 0.5])
    empty = (*rows[:2], [], [])
    for reduce in ("sum", "mean", None):
        f = compile(groups, outputs, batch=("x", "y"), reduce=reduce)
        for arguments, got in zip((rows, empty), called(tab, f, rows, empty), strict=True):
            assert close(got, f.program.run(*arguments)), (reduce, got)


@pytest.mark.parametrize("batch", [(), ("x", "y")])
def test_emitted_code_is_as_it_was(batch, update_golden):
    _, w, x, b, y, loss = notebook_neuron()
    outputs = {"loss": loss, "grad": grad(loss, [*w, b])}
    f = compile({"w": w, "b": b, "x": x, "y": y}, outputs, batch=batch, target="javascript")
    path = GOLDEN / ("neuron_batch.js" if batch else "neuron.js")
    if update_golden:
        path.write_text(f.source, encoding="utf-8")
    assert f.source == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("reduce", ["sum", None])
@pytest.mark.parametrize("batch", [(), ("x", "y")])
def test_the_line_of_each_variable(batch, reduce):
    _, w, x, b, y, loss = notebook_neuron()
    groups, outputs = {"w": w, "b": b, "x": x, "y": y}, {"loss": loss, "grad": grad(loss, w)}
    f = compile(groups, outputs, target="javascript", batch=batch, reduce=reduce)
    lines = [line.strip() for line in f.source.splitlines()]
    for instruction in f.program.instructions:
        line = lines[f.line_of(instruction.name) - 1]
        assert re.match(
            rf"const {instruction.name}(__2)? = ", line
        )  # `do` is a word of the language
    for gather in f.program.gathers:
        opening = f"{gather.name}.push(" if gather.stacked else f"{gather.name} += "
        assert lines[f.line_of(gather.name) - 1].startswith(opening)
    assert lines[f.line_of("return") - 1].startswith("return ")


@pytest.mark.parametrize("name", ["new", "Math", "i", "f", "Infinity", "arguments", "let", "x"])
def test_leaves_may_have_the_names_of_the_language(tab, name):
    g = Graph()
    x, y = g.input(name), g.input("y")
    out = ops.exp(x) * y
    f = compile({"a": x, "b": y}, {"total": out}, batch=("a", "b"))
    assert called(tab, f, ([0.5, 0.25], [2.0, 3.0]))[0] == pytest.approx(
        {"total": math.exp(0.5) * 2 + math.exp(0.25) * 3}, rel=1e-14
    )
    assert close(called(tab, compile({"a": x, "b": y}, out), (0.5, 2.0))[0], math.exp(0.5) * 2)


@pytest.mark.parametrize("key", ["__proto__", "</script><!--", '"', "\\", "\u2028", "constructor"])
def test_output_keys_are_only_text(tab, key):
    g = Graph()
    x = g.input("x")
    f = compile({"x": x}, {key: x * 2, "rest": [{key: x}]})
    assert called(tab, f, (3.0,)) == [{key: 6.0, "rest": [{key: 3.0}]}]
    text = emit(f.program).text
    assert text.isascii()
    assert "<" not in text


def test_negative_numbers_as_operands(tab):
    g = Graph()
    x = g.input("x")
    two = g.constant(-2)
    f = compile({"x": x}, [-two, x - two, two * x, two**3, -g.constant(-0.0)], simplify=False)
    assert called(tab, f, (3.0,)) == [[2.0, 5.0, -6.0, -8.0, 0.0]]


def test_numbers_that_are_not_finite_as_operands(tab):
    g = Graph()
    x = g.input("x")
    outputs = [x + math.inf, x * math.nan, ops.maximum(x, -math.inf), g.constant(-math.inf)]
    f = compile({"x": x}, outputs, simplify=False)
    assert close(called(tab, f, (3.0,))[0], [math.inf, math.nan, 3.0, -math.inf])


@pytest.mark.parametrize("count", [1, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 25, 60])
def test_long_results_are_broken_into_lines(tab, count):
    g = Graph()
    x = g.inputs("x", count)
    outputs = {"a": {"b": [p * 2 for p in x], "d" * (count % 4 + 1): x[0]}, "c": [[p] for p in x]}
    for shown in (outputs, outputs["c"], [outputs], outputs["a"]):
        f = compile({"x": x}, shown, name="n" * count)
        lines = emit(f.program).text.splitlines()
        assert max(map(len, lines)) <= LINE_LENGTH
        start = next(i for i, line in enumerate(lines) if line.lstrip().startswith("return "))
        assert lines[-1] == "}"
        returned = lines[start:-1]
        check_indentation(returned)
        assert len(returned) == 1 or length_on_one_line(returned) > LINE_LENGTH
        point = [0.5 + i for i in range(count)]
        assert close(called(tab, f, (point,))[0], f.program.run(point))


@pytest.mark.parametrize("length", range(80, 100))
def test_a_result_of_exactly_the_length_is_not_broken(length):
    g = Graph()
    x = g.input("x")
    lines = emit(compile({"x": x}, {"k" * (length - 20): [x, x]}).program).text.splitlines()
    returned = [line for line in lines if not line.startswith(("function", "}", '    "use'))]
    whole = f'    return {{"{"k" * (length - 20)}": [x, x]}};'
    assert (returned == [whole]) is (len(whole) <= LINE_LENGTH)


def test_without_node_the_text_is_all_there_is(monkeypatch, tmp_path):
    g = Graph()
    x = g.input("x")
    f = compile({"x": x}, x * x, target="javascript")
    assert f.source.startswith("function f(x) {")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SpellingError, match="JavaScript, which Python does not run"):
        f(2.0)


@pytest.mark.skipif(find_node() is None, reason="no node on PATH")
def test_a_call_runs_in_node_and_refuses_what_the_others_refuse():
    g = Graph()
    x, w = g.input("x"), g.inputs("w", 2)
    outputs = {"y": x / w[0] + w[1], "g": [w[0] * x]}
    f, like = (
        compile({"x": x, "w": w}, outputs, batch="x", target=t) for t in ("javascript", "python")
    )
    for point in ([1.0, 2.0], [3.0, -0.0]), ([1.0, math.inf], [3.0, 4.0]), ([1.0], [0.0, 1.0]):
        assert repr(f(*point)) == repr(like(*point))
    for bad in ("a", [1.0, 2.0]), ([1.0], [1.0, 2.0, 3.0]):
        told = set()
        for function in (f, like):
            with pytest.raises(ShapeError) as raised:
                function(*bad)
            told.add(str(raised.value))
        assert len(told) == 1


def test_a_power_of_a_number_is_written_as_one_call():
    g = Graph()
    x = g.input("x")
    assert "const y = Math.pow(x, 2.5);" in emit(compile({"x": x}, {"y": x**2.5}).program).text


def test_an_operation_without_a_spelling_is_named():
    g = Graph()
    x = g.input("x")
    program = compile({"x": x}, x * x).program
    unknown = program.once[0]._replace(op=replace(ops.MUL, name="swirl", notation={}))
    with pytest.raises(SpellingError, match="no spelling of 'swirl'"):
        emit(replace(program, once=(unknown,)))


@pytest.mark.skipif(find_node() is None, reason="no Node.js on PATH")
def test_floats_come_back_from_node_unchanged():
    numbers = [
        *POINTS,
        -0.0,
        5e-324,
        0.1,
        1e15,
        36472996377170788352.0,
        -(2.0**70),
        sys.float_info.max,
    ]
    echo = Source("function f(x) { return [x, {deep: [x]}]; }\n", "f", {})
    ((*answers,),) = run_in_node([(echo, [[number] for number in numbers])])
    for number, (back, inside) in zip(numbers, answers, strict=True):
        assert type(back) is float
        assert struct.pack("d", back) == struct.pack("d", number)
        assert repr(inside) == repr({"deep": [number]})


@pytest.mark.parametrize("reduce", ["sum", "mean", None])
@pytest.mark.parametrize("width", [1, 3, 40])
def test_every_line_stands_as_deep_as_the_braces_around_it(reduce, width):
    g = Graph()
    x, p, y = g.inputs("x", width), g.inputs("p", width), g.input("y")
    loss = sum((ops.tanh(a * b) for a, b in zip(x, p, strict=True)), y)
    outputs = {"loss": loss, "grad": grad(loss, p), "rest": [[p[0]], {"deep": [p, y]}]}
    f = compile({"x": x, "y": y, "p": p}, outputs, batch="x", reduce=reduce)
    depth = 0
    for line in emit(f.program).text.splitlines():
        depth -= line.strip()[0] in "}])"
        assert len(line) - len(line.lstrip()) == len(INDENT) * depth, line
        depth += line[-1] in "{[("
        assert len(line) <= LINE_LENGTH
    assert depth == 0
