"""What a compiled function reports: passes, operations, and an estimate of its cost."""

import re
from dataclasses import replace

import pytest

from wengert.codegen import cost
from wengert.codegen.compiled import compile
from wengert.derive.backward import grad
from wengert.graph.expr import Graph
from wengert.graph.rewrite import extract
from wengert.ops import scalar as ops
from wengert.train.choice import work_of
from wengert.train.nn import MLP


def network(**options):
    net = MLP(3, [8, 1], seed=0)
    graph = Graph()
    x = graph.inputs("x", 3)
    loss = (net(x) - 1.0) ** 2
    outputs = {"loss": loss, "grad": grad(loss, net.parameters())}
    return compile({"p": net.parameters(), "x": x}, outputs, **options)


def test_every_pass_has_its_nodes_operations_and_cost():
    lines = network(simplify="real").report().splitlines()
    names = [line.partition(":")[0] for line in lines[:-2]]
    assert names == ["real", "factor", "share-sums", "share-products", "real"]
    for line in lines[:-2]:
        assert re.search(r": [\d,]+ nodes -> [\d,]+.*; about [\d.]+ µs -> [\d.]+ µs$", line)
    assert re.fullmatch(r"[\d,]+ operations: \d+ mul, .*", lines[-2])
    assert re.fullmatch(r"about [\d.]+ µs a call", lines[-1])


def test_a_pass_that_removes_operations_lowers_the_cost():
    graph = Graph()
    x = graph.inputs("x", 20)
    f = compile({"x": x}, sum(a * 1 + 0 for a in x))
    before, after = re.search(r"about ([\d.]+) µs -> ([\d.]+) µs", f.report()).groups()
    assert float(after) < 0.5 * float(before)
    assert float(after) == pytest.approx(19 * 0.007, rel=0.05)


def test_batches_cost_by_the_sample():
    last = network(batch="x").report().splitlines()[-1]
    assert re.fullmatch(r"about [\d.]+ µs a call and [\d.]+ µs a sample", last)
    whole, each = cost.python_microseconds(network(batch="x").program)
    assert each > 10 * 0.007
    assert whole < each + 1.0


def test_arrays_cost_by_how_much_they_hold():
    pytest.importorskip("numpy")
    last = network(batch="x", target="numpy").report().splitlines()[-1]
    assert re.fullmatch(r"about \d+ µs a call with 1 sample, [\d.]+ [µm]s with 1,000", last)
    single = network(target="numpy").report().splitlines()[-1]
    assert re.fullmatch(r"about \d+ µs a call", single)


def test_targets_without_a_table_have_no_estimate():
    assert "about" not in network(target="javascript").report().splitlines()[-1]


def test_operations_on_arrays_leave_a_pass_without_its_cost():
    pytest.importorskip("numpy")
    graph = Graph()
    a = graph.array("A", (3, 3))
    f = compile({"A": a}, (a @ a).T * 1, target="numpy")
    assert "µs ->" not in f.report()
    assert "exact: " in f.report()


def test_every_operation_says_what_it_costs():
    for op in ops.ELEMENTWISE.values():
        assert set(op.cost) == {"python", "numpy"}, op.name
    assert replace(ops.TANH, cost={}).nanoseconds("python") == 30.0


def test_choosing_a_target_and_reporting_use_one_table():
    net = MLP(3, [8, 1], seed=0)
    graph = Graph()
    x = graph.inputs("x", 3)
    outputs = {"loss": ops.TOTAL((net(x) - 1.0) ** 2)}
    work = work_of({"p": net.parameters(), "x": x}, outputs, ["x"])
    counts = {}
    for op in extract(list(outputs.values())).ops:
        if op.arity:
            counts[op.name] = counts.get(op.name, 0) + 1
    assert work.each_time + work.update_time == pytest.approx(cost.counted_microseconds(counts))


def test_what_is_done_once_is_part_of_the_call():
    graph = Graph()
    w, x = graph.input("w"), graph.input("x")
    summed = ops.TOTAL(ops.exp(w) * x)
    short, _ = cost.python_microseconds(compile({"w": w, "x": x}, summed, batch="x").program)
    both = ops.tanh(ops.tanh(summed))
    longer, _ = cost.python_microseconds(compile({"w": w, "x": x}, both, batch="x").program)
    assert longer - short == pytest.approx(2 * 0.027)
    assert short > 0.3 + 0.02
