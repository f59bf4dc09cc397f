"""How generated Python is laid out: lines as long as they may be, broken only where they must."""

import ast
import random
import re
from dataclasses import replace
from itertools import pairwise

import pytest

import wengert as wg
from wengert.codegen.scalar.layout import INDENT, LINE_LENGTH, Listing
from wengert.codegen.scalar.python import emit
from wengert.ops.record import POWER, UNARY, Notation
from wengert.ops.scalar import MUL

OPENING, CLOSING = "([{", ")]}"


def statements(source):
    """The lines of each simple statement, and of the head of each `for` and `def`."""
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.For, ast.FunctionDef)):
            head = lines[node.lineno - 1 : node.body[0].lineno - 1]
            yield [line for line in head if not line.strip().startswith("#")]
        elif isinstance(node, (ast.Assign, ast.AugAssign, ast.Return)):
            yield lines[node.lineno - 1 : node.end_lineno]


def length_on_one_line(lines):
    """How long the statement would be if there were room."""
    text = lines[0]
    for line in map(str.strip, lines[1:]):
        if line[0] in CLOSING:
            lone = re.search(r"\((\w+),$", text)  # the comma of a tuple of one
            text = (text if lone else text.removesuffix(",")) + line
        else:
            text += line if text[-1] in OPENING or line[0] in "*/" else f" {line}"
    added = lines[0].endswith(("= (", "for (")) and not lines[-1].strip().startswith(") =")
    return len(text) - 2 * added


def check_indentation(lines):
    """That each line of a statement stands as deep as the brackets it is in."""
    depth, indent = 0, len(lines[0]) - len(lines[0].lstrip())
    for line in lines:
        depth -= line.strip()[0] in CLOSING
        assert len(line) - len(line.lstrip()) == indent + depth * len(INDENT), lines
        depth += line[-1] in OPENING
    assert depth == 0


def check_layout(source):
    """That a source is laid out well; how many of its statements are broken."""
    for line in source.splitlines():
        assert len(line) <= LINE_LENGTH, line
        assert line == line.rstrip()
    broken = [lines for lines in statements(source) if len(lines) > 1]
    for lines in broken:
        assert length_on_one_line(lines) > LINE_LENGTH, ("needlessly broken", lines)
        check_indentation(lines)
        for before, line, after in zip(lines, lines[1:], lines[2:], strict=False):
            # Within brackets of names or terms the next one would not have fitted any more.
            if before[-1] in "([" or not set(before + line + after) & {"[", "{", "]", "}"}:
                if before[-1] in OPENING or line[-1] in OPENING or line.strip()[0] in CLOSING:
                    continue
                item = re.match(r"[-+*/<>=]+ \S+|\S+", line.strip())[0]
                blank = not item.startswith(("*", "/"))
                assert len(before) + blank + len(item) > LINE_LENGTH, ("room was left", lines)
    return len(broken)


@pytest.mark.parametrize("seed", range(12))
def test_statements_are_broken_only_where_they_must_be(seed):
    rng = random.Random(seed)
    broken = 0
    for _ in range(12):
        g = wg.Graph()
        stem = "abcdefghijklmnop"[: rng.randint(1, 16)]
        x, w = g.inputs(f"x{stem}", rng.randint(1, 24)), g.inputs(f"w{stem}", 24)
        y, s = g.input("y"), g.input(rng.choice(["s", "z" * 60]))
        total = sum((a * b for a, b in zip(x, w, strict=False)), s)
        loss = (wg.tanh(total) - y) ** 2
        outputs = {
            "loss": loss,
            "gradient": wg.grad(loss, x),
            "inner": {"s": [s * y, {"t": total}]},
        }
        inputs = {"x": x, "w": w, "y": y, f"the_{stem}": s}
        for batch in ((), ("x", "y"), ("y",)):
            for reduce in ("sum", "mean", None):
                f = wg.compile(inputs, outputs, batch=batch, reduce=reduce)
                broken += check_layout(f.source)
    assert broken > 100


@pytest.mark.parametrize("width", range(60, 90))
def test_a_line_of_exactly_the_length_is_not_broken(width):
    """Wherever the boundary is crossed, it is crossed by one character."""
    g = wg.Graph()
    names = [f"{letter}{'x' * 20}" for letter in "abc"]
    last = "d" + "x" * (width - 60)
    x = [g.input(name) for name in (*names, last)]
    output = x[0] * x[1] + x[2] * x[3]
    shared = {"v": output, "w": [output, x[3]]}
    for batch in ((), ("x",)):
        for outputs in (output, shared, {"k": [x[0], x[1], x[2], x[3]]}):
            check_layout(wg.compile({"x": x}, outputs, batch=batch, name=last).source)
    check_layout(wg.compile(dict(zip("abcd", x, strict=True)), shared).source)


@pytest.mark.parametrize(("length", "inlined"), [(119, True), (120, True), (121, False)])
def test_up_to_120_characters_are_written_where_they_are_used(length, inlined):
    g = wg.Graph()
    a, b, c = g.input("a" * (length - 2)), g.input("b"), g.input("c")
    source = wg.compile({"x": [a, b, c]}, wg.exp(a * b) * c).source
    assert (f"exp({'a' * (length - 2)}*b)" in source) is (length < 116)
    product = wg.compile({"x": [a, b, c]}, a * b - c).source
    assert (f"{'a' * (length - 2)}*b-c" in re.sub(r"\s+", "", product)) is inlined


def test_up_to_40_levels_are_nested():
    g = wg.Graph()
    y = x = g.input("x")
    for _ in range(100):
        y = wg.tanh(y) + 0.5
    source = wg.compile({"x": x}, y).source
    tree = ast.parse(source)
    depths = []
    for node in ast.walk(tree):
        if isinstance(node, (ast.Assign, ast.Return)):
            depths.append(ast.unparse(node).count("tanh("))
    assert max(depths) <= 40
    assert sum(depths) == 100
    assert len([depth for depth in depths if depth]) <= 10, "and no more lines than that needs"


def inside(lines):
    """The lines between those of `    y = (` and `    )`, without their indentation."""
    start = lines.index("    y = (")
    return [line.removeprefix(" " * 8) for line in lines[start + 1 : lines.index("    )", start)]]


@pytest.mark.parametrize("length", range(80, 96))
def test_a_term_that_fits_a_line_is_not_broken(length):
    g = wg.Graph()
    s, a, b = g.input("s" * 30), g.input("a" * 30), g.input("b" * (length - 33))
    term = f"+ {'a' * 30}*{'b' * (length - 33)}"
    lines = wg.compile({"x": [s, a, b]}, {"y": s + a * b}).source.splitlines()
    broken = [f"{'s' * 30} + {'a' * 30}", f"*{'b' * (length - 33)}"]
    assert inside(lines) == (["s" * 30, term] if length + 8 <= LINE_LENGTH else broken)


def test_a_sum_that_ends_in_a_call_is_broken_between_its_terms():
    g = wg.Graph()
    s, a, b = g.input("s" * 30), g.input("a" * 30), g.input("b" * 30)
    call = f"tanh({'a' * 30}*{'b' * 30})"
    for y, sign in ((s + wg.tanh(a * b), "+ "), (s * wg.tanh(a * b), "*")):
        lines = wg.compile({"x": [s, a, b]}, {"y": y}).source.splitlines()
        assert inside(lines) == ["s" * 30, f"{sign}{call}"]


def test_sums_are_broken_between_their_terms_and_in_brackets_only_where_they_must_be():
    g = wg.Graph()
    a, b, c, d, e, f = x = [g.input(letter * 20) for letter in "abcdef"]
    lines = wg.compile({"x": x}, {"y": (a + b) * c + (d + e) * f}).source.splitlines()
    assert inside(lines) == [
        f"({a.label} + {b.label})*{c.label}",
        f"+ ({d.label} + {e.label})*{f.label}",
    ]
    terms = [g.input(letter * 8) for letter in "abcdefghij"]
    lines = wg.compile({"x": [a, *terms]}, {"y": a * sum(terms[1:], terms[0])}).source.splitlines()
    names = [term.label for term in terms]
    assert inside(lines) == [
        f"{a.label}*({' + '.join(names[:6])}",
        f"+ {' + '.join(names[6:])})",
    ]


def test_terms_and_factors_are_broken_only_outside_brackets():
    g = wg.Graph()
    a, b, c, d, e, f = x = [g.input(letter * 14) for letter in "abcdef"]
    long = g.input("l" * 60)
    lines = wg.compile({"x": x}, {"y": (a + b) * c + (d + e) * (f - a)}).source.splitlines()
    assert inside(lines) == [
        f"({a.label} + {b.label})*{c.label}",
        f"+ ({d.label} + {e.label})*({f.label} - {a.label})",
    ]
    lines = wg.compile({"x": [*x, long]}, {"y": long * (b * c + d)}).source.splitlines()
    assert inside(lines) == [long.label, f"*({b.label}*{c.label} + {d.label})"]
    lines = wg.compile({"x": [*x, long]}, {"y": (b * c + d) * long}).source.splitlines()
    assert inside(lines) == [f"({b.label}*{c.label} + {d.label})", f"*{long.label}"]


@pytest.mark.parametrize(
    ("sizes", "whole"),
    [((40, 40, 40), True), ((20, 20, 70), True), ((1, 75, 20), True), ((50, 40, 10), False)],
)
def test_powers_are_broken_before_their_sign(sizes, whole):
    g = wg.Graph()
    a, b, c = x = [g.input(letter * size) for letter, size in zip("abc", sizes, strict=True)]
    program = wg.compile({"x": x}, {"y": a * b * c}, simplify=False).program
    notation = {"python": Notation("{0}**{1}", POWER, (POWER + 1, UNARY))}
    power = program.once[0]._replace(op=replace(MUL, notation=notation))
    text = emit(replace(program, once=(power, *program.once[1:]))).text
    power, product = f"**{b.label}", f"*{c.label}"
    lines = [a.label + power, product] if whole else [a.label, power + product]
    assert inside(text.splitlines()) == lines


@pytest.mark.parametrize("number", [False, True])
def test_products_of_exactly_40_levels_are_written_in_one_expression(number):
    g = wg.Graph()
    a, b = g.input("a"), g.input("b")
    y = (0.5 if number else a) * b
    for _ in range(99):
        y = y * b
    source = wg.compile({"a": a, "b": b}, y, simplify=False).source
    written = [ast.unparse(node).count("*") for node in ast.parse(source).body[-1].body]
    assert [count for count in written if count] == [40, 40, 20]


def check_starts(source):
    """That variables which start at 0 stand in lines as long as they may be."""
    assert max(map(len, source.splitlines())) <= LINE_LENGTH
    lines = [line for line in source.splitlines() if re.fullmatch(r" +(\w+ = )+0\.0", line)]
    assert len(lines) > 1
    for line, after in pairwise(lines):
        assert len(line) + len(f"{after.split()[0]} = ") > LINE_LENGTH


def test_the_start_of_the_sums_is_written_in_lines_as_long_as_they_may_be():
    for length in range(1, 25):
        g = wg.Graph()
        x = g.input("x")
        p = [g.input(f"p{i}_{'x' * length}") for i in range(length, 20 + length)]
        loss = sum((wg.tanh(x * w) for w in p), x)
        check_starts(wg.compile({"x": x, "p": p}, wg.grad(loss, p), batch="x").source)


def test_the_names_put_first_are_written_in_lines_as_long_as_they_may_be():
    for reused in range(20, 60):
        g = wg.Graph()
        x = g.inputs("x", 260)
        tanhs = [wg.tanh(a) for a in x[:reused]]
        products = [s * wg.tanh(s) for s in tanhs]
        total = sum(tanhs) * sum(products)
        check_starts(
            wg.compile(
                {"x": x}, [total * t * p for t, p in zip(tanhs, products, strict=True)]
            ).source
        )


@pytest.mark.parametrize("count", [1, 7, 10, 13, 25, 60])
def test_long_results_are_broken_into_lines(count):
    g = wg.Graph()
    x = g.inputs("x", count)
    outputs = {"a": {"b": x, "d" * (count % 4 + 1): x[0]}, "c": [[p, {"e": p}] for p in x]}
    for shown in (outputs, outputs["c"], [outputs], outputs["a"], [[x, x], [x[0]]]):
        f = wg.compile({"x": x}, shown)
        broken = check_layout(f.source)
        assert count < 60 or broken
        point = [0.5 + i for i in range(count)]
        assert f(point) == f.program.run(point)


def test_lines_that_are_put_before_others_move_them():
    listing = Listing()
    for name in "abc":
        listing.assign(name, "=", "0.0", 1)
    listing.insert(1, "# one", "# two", level=1)
    assert listing.lines == ["    a = 0.0", "    # one", "    # two", "    b = 0.0", "    c = 0.0"]
    assert listing.found == {"a": 1, "b": 4, "c": 5}


@pytest.mark.parametrize("length", range(80, 100))
@pytest.mark.parametrize("level", [0, 1])
def test_calls_of_exactly_the_length_are_not_broken(length, level):
    arguments = ["a" * (length - 25), "b", "c"]
    listing = Listing()
    listing.call(["t", "u"], "function", arguments, level)
    indent = INDENT * level
    whole = f"{indent}(t, u) = function({arguments[0]}, b, c)"
    assert len(whole) == length + len(indent)
    broken = [f"{indent}(t, u) = function(", f"{indent}    {arguments[0]}, b, c", f"{indent})"]
    assert listing.lines == ([whole] if len(whole) <= LINE_LENGTH else broken)


@pytest.mark.parametrize("length", range(1, 9))
def test_calls_with_many_targets_and_arguments(length):
    targets, arguments = ([f"{letter * length}{i}" for i in range(10, 60)] for letter in "ta")
    listing = Listing()
    listing.call(targets, "function", arguments, 1)
    tree = ast.parse("if True:\n" + "\n".join(listing.lines))
    (call,) = tree.body[0].body
    assert ast.unparse(call) == f"{', '.join(targets)} = function({', '.join(arguments)})"
    check_indentation(listing.lines)
    middle = listing.lines.index("    ) = function(")
    for lines in (listing.lines[1:middle], listing.lines[middle + 1 : -1]):
        assert {len(line) for line in lines[:-1]} <= {LINE_LENGTH - i for i in range(length + 4)}
