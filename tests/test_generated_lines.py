"""How generated Python is laid out: lines as long as they may be, broken only where they must."""

import ast
import random
import re

import pytest

import wengert as wg
from wengert.codegen.layout import INDENT, LINE_LENGTH

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
