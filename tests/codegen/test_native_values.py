"""Every value of a program in machine code is within 4 units in the last place of its record's."""

import math
import random
from dataclasses import replace

import pytest

pytest.importorskip("llvmlite")

from test_python_target import APPLIED, EXTREMES, same

import wengert as wg
from wengert.codegen import build
from wengert.codegen.native import native
from wengert.ops import kernels
from wengert.ops import scalar as ops

LOOPS = replace(native.TARGET, name="loops", rolled_from=0)
"""The native target, which makes loops of everything here."""

UNITS = 4
ODD = [5e-324, -2.3e-310, 2.0**-1022, 1.7976931348623157e308, math.inf, -math.inf, math.nan]


def random_graph(draw, size=20):
    """Inputs and operations on them and on each other, each with its operands."""
    graph = wg.Graph()
    inputs = graph.inputs("x", 4)
    nodes = list(inputs)
    for _ in range(size):
        op = draw.choice(APPLIED)
        operands = [draw.choice(nodes[-10:]) for _ in range(op.arity)]
        nodes.append(op(*operands, *draw.choice(op.settings)))
    return (
        graph,
        inputs,
        list({node.id: node for node in nodes if graph.operands[node.id]}.values()),
    )


def number(draw):
    """A number of any kind and size."""
    return draw.choice(
        [
            draw.choice([*EXTREMES, *ODD]),
            draw.uniform(-3, 3),
            draw.uniform(-40, 40),
            draw.uniform(-1, 1) * 10.0 ** draw.randint(-320, 308),
        ]
    )


def assert_near(graph, nodes, inputs, point, values):
    """Each node's value is nearly what its record makes of the values of its operands."""
    known = {i: graph.value(i) for i in range(len(graph)) if not graph.operands[i]}
    known |= {leaf.id: given for leaf, given in zip(inputs, point, strict=True)}
    known |= {node.id: value for node, value in zip(nodes, values, strict=True)}
    for node in nodes:
        op, statics = graph.ops[node.id], graph.statics.get(node.id, ())
        operands = [known[operand] for operand in graph.operands[node.id]]
        got, expected = known[node.id], op.evaluate(*operands, *statics)
        if same(got, expected):
            continue
        assert math.isfinite(got), (op.name, operands, statics, got, expected)
        assert abs(got - expected) <= UNITS * math.ulp(expected), (
            *(op.name, operands, statics, got, expected),
        )


@pytest.mark.parametrize("seed", range(6))
def test_values_of_random_programs(seed, monkeypatch):
    """Straight-line, in lanes with any remainder, and as loops over arrays."""
    monkeypatch.setattr(build, "OFTEN", 0)
    draw = random.Random(seed)
    graph, inputs, nodes = random_graph(draw)
    f = wg.compile({"x": inputs}, nodes, simplify=False, target="native")
    for _ in range(12):
        point = [number(draw) for _ in inputs]
        assert_near(graph, nodes, inputs, point, f(point))
    for target in ("native", LOOPS):
        groups, count = {"x": inputs}, 8 + seed + (target == "native")
        f = wg.compile(groups, nodes, simplify=False, target=target, batch="x", reduce=None)
        rows = [[number(draw) for _ in inputs] for _ in range(count)]
        columns = f(rows)
        for k, row in enumerate(rows):
            assert_near(graph, nodes, inputs, row, [float(column[k]) for column in columns])


def test_a_function_that_is_off_is_found(monkeypatch):
    graph = wg.Graph()
    x = graph.input("x")
    off = replace(ops.TANH, kernel=lambda m, x: kernels.tanh(m, x) * (1.0 + 2.0**-49))
    node = off(x)
    f = wg.compile({"x": x}, node, target="native")
    with pytest.raises(AssertionError, match="tanh"):
        assert_near(graph, [node], [x], [0.7], [f(0.7)])
