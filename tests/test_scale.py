"""Large graphs: everything is a loop, nothing recurses, and nothing is quadratic."""

import math

import networkx as nx
import pytest

from wengert.derive.backward import adjoints, grad, hvp, jvp
from wengert.graph.evaluation import evaluate
from wengert.graph.expr import Expr, Graph
from wengert.graph.store import live_nodes
from wengert.graph.value import Value, topological
from wengert.graph.written import latex
from wengert.notation.json import from_json, to_json
from wengert.notation.networkx import from_networkx
from wengert.ops import scalar as ops

DEEP = 100_000
WIDE = 10_000


def chain(x, n: int):
    """x, n times: y + 0.5*sin(y); the derivative is a product of n factors."""
    y = x
    for _ in range(n // 3):
        y = y + ops.SIN(y) * 0.5
    return y


def slope(x: float, n: int) -> float:
    """d chain / dx by its recurrence."""
    product = 1.0
    for _ in range(n // 3):
        product *= 1 + 0.5 * math.cos(x)
        x = x + math.sin(x) * 0.5
    return product


@pytest.fixture(scope="module")
def deep() -> tuple[Expr, Expr]:
    g = Graph()
    x = g.input("x")
    return x, chain(x, DEEP)


def test_a_deep_chain_is_evaluated(deep):
    x, y = deep
    assert len(y.graph) >= DEEP
    assert evaluate(y, {x: 0.1}) == chain(0.1, DEEP)


def test_a_deep_chain_is_differentiated(deep):
    x, y = deep
    at = {x: 3.0}
    assert evaluate(grad(y, x), at) == pytest.approx(slope(3.0, DEEP), rel=1e-9, abs=1e-300)


def test_a_deep_chain_prints_within_bounds(deep):
    _, y = deep
    assert "…" in str(y)
    assert len(str(y)) < 10_000
    assert len(repr(y)) < 1_000
    assert len(latex(y)) < 20_000


def test_a_deep_chain_goes_to_networkx_and_back():
    g = Graph()
    chain(g.input("x"), DEEP)
    assert nx.is_directed_acyclic_graph(g.nx)
    again = from_networkx(g.nx)
    assert (again.ops, again.operands) == (g.ops, g.operands)


def test_forward_mode_on_a_long_chain():
    g = Graph()
    x = g.input("x")
    tangent = jvp(chain(x, 30_000), x, 1.0)
    assert evaluate(tangent, {x: 3.0}) == pytest.approx(slope(3.0, 30_000), rel=1e-9, abs=1e-300)


def test_a_chain_given_in_reverse_is_ordered():
    g = Graph()
    y = chain(g.input("x"), 10_000)
    backwards = nx.DiGraph()
    n = len(g)
    backwards.add_nodes_from((n - i, a) for i, a in g.nx.nodes(data=True))
    backwards.add_edges_from((n - a, n - b, e) for a, b, e in g.nx.edges(data=True))
    again = from_networkx(backwards)
    assert evaluate(again[n - 1], {"x": 0.3}) == evaluate(y, {"x": 0.3})


def test_json_of_a_long_chain():
    g = Graph()
    y = chain(g.input("x"), 10_000)
    again = from_json(to_json(g))
    assert again.operands == g.operands
    assert evaluate(again[y.id], {"x": 0.3}) == evaluate(y, {"x": 0.3})


def test_second_derivatives_of_a_long_chain():
    g = Graph()
    x = g.input("x")
    y = chain(x, 3000)
    (product,) = hvp(y, [x], [1.0])
    second = evaluate(grad(grad(y, x), x), {x: 2.9})
    assert evaluate(product, {x: 2.9}) == pytest.approx(second, rel=1e-9)


def test_a_deep_value_goes_backward_and_into_a_graph():
    v = Value(3.0, label="v")
    y = chain(v, DEEP)
    y.backward()
    assert v.grad == pytest.approx(slope(3.0, DEEP), rel=1e-9, abs=1e-300)
    assert sum(1 for _ in topological(y)) >= DEEP
    assert evaluate(y) == y.data
    assert evaluate(grad(y, v)) == pytest.approx(v.grad, rel=1e-12, abs=1e-300)
    del y


def test_a_node_with_many_consumers():
    g = Graph()
    x = g.input("x")
    shared = x * x
    y = sum(shared * float(i) for i in range(WIDE))
    assert len(list(g.nx.successors(shared.id))) >= WIDE
    total = sum(range(WIDE))
    assert evaluate(grad(y, x), {x: 0.5}) == total
    assert evaluate(jvp(y, x, 1.0), {x: 0.5}) == total
    assert len(live_nodes(g, [shared.id])) == 2


def test_a_value_with_many_consumers():
    v = Value(0.5)
    shared = v * v
    sum(shared * float(i) for i in range(WIDE)).backward()
    assert v.grad == sum(range(WIDE))


def test_many_leaves():
    g = Graph()
    leaves = g.inputs("x", WIDE)
    y = sum(x * x for x in leaves)
    at = {f"x{i}": float(i) for i in range(WIDE)}
    assert evaluate(grad(y, leaves), at) == [2.0 * i for i in range(WIDE)]


def test_many_unnamed_values_get_names_without_a_search():
    g = Graph()
    y = sum(Value(float(i), "w") for i in range(WIDE))
    node = g.node_of(y)
    assert len(g.leaves) == WIDE
    assert evaluate(g[node]) == sum(range(WIDE))


def test_a_growing_value_taken_in_at_every_step():
    g = Graph()
    x = g.input("x")
    v, y = Value(0.0), x
    for _ in range(3000):
        v = v + 1.0
        y = y + v
    assert evaluate(y, {x: 0.0}) == sum(range(3001))


def test_a_doubling_expression_costs_a_node_a_step():
    g = Graph()
    x = g.input("x")
    y = x
    for _ in range(1000):
        y = y + y
    assert evaluate(grad(y, x), {x: 0.0}) == 2.0**1000
    assert len(g) < 5000


def test_adjoints_of_a_long_chain():
    g = Graph()
    x = g.input("x")
    y = chain(x, 10_000)
    assert len(adjoints(y)) > 9_000


def test_200_000_nodes_with_their_gradient():
    g = Graph()
    x, w = g.input("x"), g.parameter("w", 1e-9)
    y = x
    for _ in range(100_000):
        y = y * w + x
    dx, dw = grad(y, [x, w])
    assert len(g) > 600_000
    small = evaluate([y, dx, dw], {x: 2.0})
    assert small == pytest.approx([2.0, 1.0, 2.0], rel=1e-6)
