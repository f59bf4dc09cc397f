"""Functions of many values: names are reused once dead, and very long ones are written in parts."""

import ast
import math
import random
import re
import traceback
from collections import Counter

import pytest

from wengert.codegen.build import build_once
from wengert.codegen.compiled import compile
from wengert.codegen.names import SHORT, Namespace, Variables
from wengert.codegen.scalar import writer
from wengert.codegen.scalar.loop import Loop, take_steps
from wengert.codegen.scalar.python import emit
from wengert.derive.backward import grad
from wengert.errors import ShapeError
from wengert.graph.expr import Graph
from wengert.ops import scalar as ops
from wengert.train.nn import MLP
from wengert.train.optim import Adam
from wengert.train.step import training_step

LT = ops.ELEMENTWISE["lt"]
WIDTH = 4


@pytest.fixture(params=[1, 7, 40, 300])
def part(request, monkeypatch):
    """Functions in parts of so many instructions."""
    monkeypatch.setattr(writer, "WHOLE", request.param)
    monkeypatch.setattr(writer, "PART", request.param)
    build_once.cache_clear()
    yield request.param
    build_once.cache_clear()


def tangle(seed, steps, batched=False):
    """Inputs and outputs of a random expression in which values live for any length of time."""
    rng = random.Random(seed)
    graph = Graph()
    w, x, scalar = graph.inputs("w", WIDTH), graph.inputs("x", WIDTH), graph.input("s")
    made = [*w, *x, scalar, graph.constant(0.5)]
    for _ in range(steps):
        a, b = rng.choice(made), rng.choice(made[-30:])
        kind = rng.randrange(8)
        if kind == 0:
            made.append(ops.tanh(a))
        elif kind == 1:
            made.append(ops.where(LT(a, b), a, b * 0.5))
        elif kind == 2:
            made.append(ops.relu(a - b))
        elif kind == 3:
            made.append(LT(a, b) + a)
        else:
            made.append((a + b) * 0.5 if kind % 2 else a * ops.tanh(b))
    wanted = rng.sample(made[-60:], 20)
    outputs = {
        "first": wanted[0],
        "list": wanted[1:],
        "again": [wanted[3], w[1], graph.constant(2)],
    }
    return {"w": w, "x": x, "s": scalar}, outputs


ROW = [0.3, -0.7, 1.1, 0.2]


def test_random_programs_in_parts_agree_with_the_interpreter(part):
    for seed in range(6):
        inputs, outputs = tangle(seed, 400)
        f = compile(inputs, outputs, simplify=False)
        at = [0.5, -1.0, 0.25, 2.0], ROW, 0.125
        assert f(*at) == f.program.run(*at)
        assert "def f_part0(" in f.source
        careful = f._careful_function()
        assert careful(*at) == f.program.run(*at)


def test_batches_in_parts_agree_with_the_interpreter(part):
    inputs, outputs = tangle(11, 300)
    rows = [ROW, [1.0, 2.0, -0.5, 0.0], [0.0, -0.1, 0.2, -0.3]]
    for batch, reduce in ((("x", "s"), "sum"), (("x",), "mean"), (("x", "s"), None)):
        f = compile(inputs, outputs, batch=batch, reduce=reduce)
        scalar = [0.1, 0.2, 0.3] if "s" in batch else 0.1
        at = [0.5, -1.0, 0.25, 2.0], rows, scalar
        assert f(*at) == f.program.run(*at)


def test_whole_loops_in_parts_do_what_their_steps_do(part):
    net = MLP(2, [6, 1], seed=1)
    step = training_step(net, optimizer=Adam(0.05))
    params = [float(p.data) for p in net.parameters()]
    state = Adam(0.05).state(len(params))
    data = [([[2.0, 3.0], [3.0, -1.0]], [1.0, -1.0])] * 5
    assert Loop(step)(params, state, data) == take_steps(step, params, state, data)


def test_every_value_has_its_line_in_the_text(part):
    inputs, outputs = tangle(3, 200)
    f = compile(inputs, outputs, simplify=False)
    lines = f.source.splitlines()
    for instruction in f.program.instructions:
        line = f.line_of(instruction.name)
        assert 1 <= (line or 0) <= len(lines)
    assert lines[f.line_of("return") - 1].strip().startswith("return")


def test_tracebacks_show_the_line_of_the_part(part):
    graph = Graph()
    x = graph.inputs("x", 3)
    y = x[0]
    for _ in range(400):
        y = ops.tanh(y * x[1] + 0.25)
    f = compile({"x": x}, [y, y / x[2]])
    try:
        f.function([0.5, 1.0, 0.0])
    except ZeroDivisionError as error:
        (frame,) = traceback.extract_tb(error.__traceback__)[-1:]
    assert f.source.splitlines()[frame.lineno - 1].strip() == frame.line
    assert "/" in frame.line
    assert f([0.5, 1.0, 0.0])[1] == math.inf


def test_arguments_of_the_wrong_length_are_errors(part):
    graph = Graph()
    x = graph.inputs("x", 600)
    f = compile({"x": x}, [a * a + b for a, b in zip(x, x[1:] + x[:1], strict=True)])
    assert f([2.0] * 600) == [6.0] * 600
    for wrong in (599, 601):
        with pytest.raises(ShapeError, match="600"):
            f([2.0] * wrong)
        with pytest.raises(ValueError, match=r"600|unpack"):
            f.function([2.0] * wrong)


def chain(steps, width=8):
    graph = Graph()
    state = x = graph.inputs("x", width)
    for _ in range(steps):
        state = [
            a + 0.1 * ops.tanh(b) * a for a, b in zip(state, state[1:] + state[:1], strict=True)
        ]
    return x, state


def test_names_are_reused_where_values_die():
    x, state = chain(200)
    f = compile({"x": x}, state)
    assert len(f.program.instructions) == 200 * 8 * 4
    assert f.function.__code__.co_nlocals < 40
    at = [0.1 * i for i in range(8)]
    assert f(at) == f.program.run(at)


def test_names_are_reused_where_values_die_in_an_operation_that_writes_them_twice():
    x = Graph().input("x")
    y = x
    for _ in range(300):
        y = ops.relu(y + 1.0)
    f = compile({"x": x}, y)
    assert f.function.__code__.co_varnames == ("x", "r0")
    assert f(0.5) == 300.5


def test_names_are_reused_between_parts_too(part):
    x, state = chain(60)
    f = compile({"x": x}, state)
    assert f.function.__code__.co_nlocals < 40


def test_reused_names_come_first_where_the_leaves_alone_are_many():
    graph = Graph()
    x = graph.inputs("x", 400)
    s = sum(x)
    f = compile({"x": x}, [s * a * s for a in x] + [ops.tanh(s), ops.tanh(s) + s])
    assert f.function.__code__.co_varnames[:2] == ("x", "r0")
    x, state = chain(40)
    assert compile({"x": x}, state).function.__code__.co_varnames[1] == "x0"


def test_reused_names_come_first_where_there_are_more_than_256_names():
    found = []
    for leaves in range(246, 256):
        graph = Graph()
        x = graph.inputs("x", leaves)
        shared = [ops.tanh(a) for a in x[:6]]
        f = compile({"x": x}, [s * t for s in shared for t in shared], simplify=False)
        names = f.function.__code__.co_varnames
        first = "# names used again and again" in f.source
        assert first is (len(names) - 1 > SHORT)
        assert first is (names[1] == "r0")
        found.append(len(names) - 1)
    assert {SHORT, SHORT + 1} <= set(found)


def test_each_value_has_its_own_name_while_they_are_few():
    x, state = chain(6)
    code = compile({"x": x}, state).function.__code__
    assert 40 < code.co_nlocals <= SHORT
    assert not any(name.startswith("r") for name in code.co_varnames)
    x, state = chain(40)
    code = compile({"x": x}, state).function.__code__
    assert any(name.startswith("r") for name in code.co_varnames)


def test_leaves_and_arguments_of_parts_may_be_called_as_the_reused_names_are(part):
    graph = Graph()
    leaves, others = [graph.input(f"r{i}") for i in range(1, 9)], graph.inputs("x", 4)
    made = [*leaves, *others]
    for i in range(400):
        made.append(ops.tanh(made[i % 12]) * made[-1] + made[-2])
    f = compile({"r0": leaves, "r9": others}, made[-30:])
    at = [0.1 * i for i in range(8)], [1.0, 0.5, -0.3, 2.0]
    assert f(*at) == f.program.run(*at)


def test_a_leaf_may_be_called_as_the_reused_names_are():
    graph = Graph()
    leaves = [graph.input(f"r{i}") for i in range(300)]
    total = sum(a * a for a in leaves)
    f = compile({"f_part0": leaves}, [total, *(a * total for a in leaves)])
    at = [0.01 * i for i in range(300)]
    assert f(at) == f.program.run(at)


def test_a_program_name_and_leaves_that_look_like_parts(part):
    inputs, outputs = tangle(5, 120)
    graph = inputs["w"][0].graph
    extra = graph.input("f_part0")
    f = compile({**inputs, "p": [extra]}, {**outputs, "more": extra * inputs["w"][0]})
    at = [0.5, -1.0, 0.25, 2.0], ROW, 0.125, [3.0]
    assert f(*at) == f.program.run(*at)


def test_a_name_is_free_only_after_the_last_reading():
    variables = Variables(Counter(a=2, b=1, c=1), Namespace(["r1"]))
    assert variables.assign("a") == "r0"
    assert variables.assign("b", ["a"]) == "r2"  # r1 is taken
    assert variables.assign("c", ["a", "b"]) == "r0"
    assert not variables.holds("a")
    assert variables.holds("c")


def test_gradients_of_a_network_of_many_weights():
    net = MLP(5, [12, 8, 3], seed=2)
    graph = Graph()
    x = graph.inputs("x", 5)
    loss = sum((out - 0.5) ** 2 for out in net(x))
    params = net.parameters()
    f = compile({"p": params, "x": x}, {"loss": loss, "grad": grad(loss, params)})
    at = [p.data for p in params], [0.1, -0.4, 0.3, 0.9, -1.0]
    assert f.function.__code__.co_nlocals < len(params) + 80
    assert f(*at) == f.program.run(*at)


def test_a_long_row_of_a_batch_is_taken_apart_on_several_lines():
    graph = Graph()
    x, y = graph.inputs("x", 6), graph.inputs("y", 10)
    total = sum(x) * sum(y)
    f = compile({"x": x, "y": y}, total, batch=("x", "y"))
    assert f([[1.0] * 6, [2.0] * 6], [[1.0] * 10, [0.5] * 10]) == 120.0


def statements(source):
    """The lines of the simple statement, or of the head of the compound one, on each line."""
    found, lines = {}, source.splitlines()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.stmt):
            end = node.body[0].lineno - 1 if hasattr(node, "body") else node.end_lineno
            text = "\n".join(lines[node.lineno - 1 : node.end_lineno]).strip()
            found |= dict.fromkeys(range(node.lineno, end + 1), text)
    return found


def marked(value, factors, start):
    """The hyperbolic tangent again and again, each time of a product with another number."""
    for i in range(factors):
        value = ops.tanh(value * (start + i + 0.5))
    return value


@pytest.mark.parametrize("batch", [(), ("x",)])
def test_the_line_of_each_value_is_that_of_the_statement_which_computes_it(part, batch):
    graph = Graph()
    w, v, x = graph.input("w"), graph.inputs("v", 3), graph.input("x")
    before = [marked(w, 20, 100), v[0] * 150.5]
    each = marked(x * before[0], 60, 200)
    after = marked(ops.total(each * v[2]), 60, 300)
    outputs = {"a": after * before[1] * (w * 400.5), "b": [after, before[0]]}
    f = compile({"w": w, "v": v, "x": x}, outputs, batch=batch, simplify=False)
    written, checked = statements(f.source), 0
    for instruction in f.program.instructions:
        for number in instruction.operands:
            if isinstance(number, float):
                assert repr(number) in written[f.line_of(instruction.name)], instruction
                checked += 1
    assert checked == 142
    assert written[f.line_of("return")].startswith("return {")


def test_the_lines_of_values_are_right_after_names_were_put_first():
    x = Graph().inputs("x", 260)
    shared = [ops.tanh(a) for a in x[:9]]
    values = [s * (i + 0.5) for i, s in enumerate(shared)]
    f = compile({"x": x}, [v * v for v in values] + shared, simplify=False)
    assert "# names used again and again" in f.source
    written = statements(f.source)
    for instruction in f.program.instructions:
        for number in instruction.operands:
            assert isinstance(number, str) or repr(number) in written[f.line_of(instruction.name)]


def test_the_line_of_what_is_given_to_a_part_is_that_of_the_call(part):
    graph = Graph()
    w, x = graph.input("w"), graph.input("x")
    after = marked(ops.total(x), part, 300) + w * 400.5
    f = compile({"w": w, "x": x}, after, batch="x", simplify=False)
    (product,) = f.program.once
    assert re.search(
        r"= f_part\d+\(.*\bw\*400\.5\b", f.source.splitlines()[f.line_of(product.name) - 1]
    )


def test_the_name_of_what_only_a_part_reads_is_free_after_its_call(part):
    graph = Graph()
    w, x = graph.inputs("w", 2), graph.input("x")
    sine = ops.sin(w[0])
    after = marked(ops.total(x), part, 300) + w[0] * sine * (sine + 1.0)
    f = compile({"w": w, "x": x}, after, batch="x", simplify=False)
    if part >= 4:  # what comes before the samples is no part itself
        assert re.search(r"\(r0,\) = f_part\d+\(.*w0\*r0\*\(r0 \+ 1\.0\)\)\n", f.source)
    assert f([0.5, 0.0], [0.25]) == f.program.run([0.5, 0.0], [0.25])


@pytest.mark.parametrize("whole", [3, 4])
def test_an_argument_is_unpacked_where_it_is_read(monkeypatch, whole):
    monkeypatch.setattr(writer, "WHOLE", whole)
    monkeypatch.setattr(writer, "PART", 3)
    build_once.cache_clear()
    graph = Graph()
    a, b, c, d = (graph.inputs(name, 6) for name in "abcd")
    s, e, x = graph.input("s"), graph.inputs("e", 2), graph.input("x")
    before = a[1] * 2.0 + a[2] * s
    each = x * b[1] * b[4] * 2.0
    after = [ops.total(each), before, c[0], c[1], c[3], *d, s, *e]
    groups = {"s": s, "a": a, "b": b, "c": c, "d": d, "e": e, "x": x}
    f = compile(groups, sum(after), batch="x", simplify=False)
    build_once.cache_clear()
    assert [len(f.program.once), len(f.program.each)] == [3, 3]
    parts, _, body = f.source.partition("\ndef f(")
    unpacked = [
        line.strip() for line in body.splitlines() if re.search(r" = [a-e](\[.*\])?$", line)
    ]
    assert unpacked == ["(a0, a1, a2, a3, a4, a5) = a", "(b0, b1, b2, b3, b4, b5) = b"]
    checked = re.findall(r"    if len\((.)\) != (\d):\n", body)
    assert checked == [("c", "6"), ("d", "6"), ("e", "2")]
    taken = ["(c0,) = c[0:1]", "(c1,) = c[1:2]", "(c3,) = c[3:4]", "(d0,) = d[0:1]"]
    taken += ["(d1, d2, d3) = d[1:4]", "(d4, d5) = d[4:6]", "(e0, e1) = e"]
    assert re.findall(r"    (.* = [a-e](?:\[.*\])?)\n", parts) == taken
    rows = [[float(i + j) for i in range(6)] for j in range(4)]
    at = 0.5, *rows, [-1.0, 4.0], [1.0, 3.0]
    assert f(*at) == f.program.run(*at)


def test_a_part_says_what_it_is_a_part_of(part):
    inputs, outputs = tangle(2, 300 + part)
    source = compile(inputs, outputs, simplify=False, name="step").source
    assert source.count("def step_part") == source.count('"""A part of step."""') >= 2


@pytest.mark.parametrize(("size", "parts"), [(19, 0), (20, 0), (21, 3), (28, 4)])
@pytest.mark.parametrize("batch", [(), ("x",)])
def test_what_is_longer_than_a_whole_function_is_cut_in_equal_parts(
    monkeypatch, size, parts, batch
):
    monkeypatch.setattr(writer, "WHOLE", 20)
    monkeypatch.setattr(writer, "PART", 7)
    build_once.cache_clear()
    x, unread = Graph().inputs("x", 2)
    y = x
    for _ in range(size):
        y = y + y
    f = compile({"x": x, "u": [unread]}, y, batch=batch, simplify=False)
    build_once.cache_clear()
    assert f.source.count("def f_part") == parts
    assert ("r0" in f.function.__code__.co_varnames) is (parts > 0)
    assert ("if len(u) != 1:" in f.source) is (parts > 0)
    assert f([1.0] if batch else 1.0, [2.0]) == 2.0**size


@pytest.mark.parametrize("size", [20, 21])
def test_each_part_is_a_piece_of_the_text_that_can_be_loaded_by_itself(monkeypatch, size):
    monkeypatch.setattr(writer, "WHOLE", 20)
    monkeypatch.setattr(writer, "PART", 5)
    build_once.cache_clear()
    x = Graph().input("x")
    for outputs, head in ((marked(x, 1, 0) * 2.0, 1), (x * 2.0, 0)):
        y = outputs
        while len(compile({"x": x}, y, simplify=False).program.instructions) < size:
            y = y * 2.0
        source = emit(compile({"x": x}, y, simplify=False).program)
        pieces = source.pieces()
        assert len(pieces) == (1 if size == 20 else head + 6)
        assert "".join(pieces) == source.text
        for piece in pieces:
            assert size == 20 or piece.count("def ") + piece.count("import ") == 1
            ast.parse(piece)
        assert source.text.splitlines()[source.lines["return"] - 1].startswith("    return ")
    build_once.cache_clear()


@pytest.mark.parametrize(("others", "reused"), [(1, False), (2, True)])
def test_names_are_reused_where_there_are_more_than_256(others, reused):
    graph = Graph()
    x, unread = graph.inputs("x", 85), graph.inputs("u", others)
    squares = [a * a for a in x]
    f = compile({"x": x, "u": unread}, [ops.tanh(s * s + 1.0) for s in squares], simplify=False)
    names = 2 * 85 + others + 85
    assert (names > SHORT) is reused
    assert ("r0" in f.function.__code__.co_varnames) is reused
    assert sum("= tanh(" in line for line in f.source.splitlines()) == 85 * (not reused)
