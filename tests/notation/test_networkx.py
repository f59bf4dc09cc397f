"""The graph as networkx sees it, the way back, and JSON."""

import json
import math
import subprocess
import sys

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wengert.derive.backward import grad
from wengert.errors import (
    DuplicateNameError,
    InvalidNameError,
    OperandError,
    SaveFileError,
    ShapeError,
    SizeError,
    UnknownNameError,
    WengertError,
)
from wengert.graph.evaluation import evaluate
from wengert.graph.expr import Graph
from wengert.graph.store import Origin
from wengert.graph.value import Value
from wengert.notation import networkx as network
from wengert.notation.json import from_json, to_json
from wengert.notation.networkx import from_networkx
from wengert.ops import scalar as ops


def sample() -> Graph:
    """A graph with everything in it: repeats, order, statics, labels, provenance, odd numbers."""
    g = Graph()
    a, b, w = g.input("a"), g.input("b"), g.parameter("w", 0.1)
    inner = (a - b) * (a - b) + w
    inner.label = 'the "square" </b>'
    y = ops.LEAKY_RELU(inner, 0.2) ** -1.5 + ops.WHERE(a > b, math.inf, a * a) - g.constant(-0.0)
    grad(y, [a, b, w])
    g.outputs = (y.id,)
    return g


def columns(g: Graph) -> tuple:
    """All that describes a graph, comparable: nan equals nan, and -0.0 is not 0.0."""
    numbers = [repr(g.value(node)) for node in range(len(g))]
    statics = {node: repr(numbers) for node, numbers in g.statics.items()}
    return (
        *(g.ops, g.operands, g.origins, statics, g.labels, g.leaves, numbers),
        *(g.adjoint_of, g.gradients, g.outputs),
    )


# the view -----------------------------------------------------------------------------------------


def test_attributes_of_nodes_and_edges():
    g = Graph()
    x = g.input("x")
    y = (x - 2.0) ** 3
    y.label = "cube"
    (_dx,) = grad(y, [x])
    view = g.nx
    assert type(view) is nx.DiGraph
    assert view.nodes[x.id] == {
        "op": "input",
        "name": "x",
        "value": None,
        "shape": (),
        "statics": [],
        "origin": None,
    }
    assert view.nodes[1]["value"] == 2.0
    cube = view.nodes[y.id]
    assert (cube["op"], cube["name"], cube["statics"]) == ("pow_const", "cube", [3])
    assert view.nodes[y.id + 2]["origin"] == {
        "transform": "grad",
        "primal": y.id,
        "role": "rule",
        "rule": "pow_const",
        "operand": 0,
    }
    assert view.edges[0, 2] == {"positions": [0]}
    assert view.edges[1, 2] == {"positions": [1]}
    assert view.nodes[_dx.id]["adjoint_of"] == g.adjoint_of[_dx.id]


def test_repeated_operands_are_one_edge_with_all_positions():
    g = Graph()
    x, c = g.input("x"), g.input("c")
    both = ops.WHERE(x, c, x)
    assert g.nx.edges[x.id, both.id]["positions"] == [0, 2]
    assert g.nx.edges[c.id, both.id]["positions"] == [1]


def test_the_view_is_one_object_that_grows():
    g = Graph()
    x = g.input("x")
    view = g.nx
    assert len(view) == 1
    y = x * x
    assert g.nx is view
    assert list(view) == [0, 1]
    assert list(view.predecessors(y.id)) == [x.id]
    assert g.nx.number_of_edges() == 1


def test_the_view_shows_current_data_and_labels():
    g = Graph()
    w = Value(2.0, label="w")
    y = g.input("x") * w
    assert (g.nx.nodes[1]["value"], g.nx.nodes[2]["name"]) == (2.0, "")
    w.data = 3
    y.label = "product"
    g.outputs = (y.id,)
    assert (g.nx.nodes[1]["value"], g.nx.nodes[2]["name"]) == (3.0, "product")
    assert g.nx.graph["outputs"] == [y.id]


def test_arrays_show_their_shape_and_are_not_written():
    g = Graph()
    total = g.array("X", (2, 3)) * 2.0
    assert [g.nx.nodes[node]["shape"] for node in (0, total.id)] == [(2, 3), (2, 3)]
    with pytest.raises(ShapeError, match=r"node 0 is an array of shape \(2, 3\); only graphs of"):
        to_json(g)


CHANGES = {
    "add_node": (5,),
    "add_nodes_from": ([5],),
    "remove_node": (0,),
    "remove_nodes_from": ([0],),
    "add_edge": (0, 1),
    "add_edges_from": ([(0, 1)],),
    "add_weighted_edges_from": ([(0, 1, 2.0)],),
    "remove_edge": (0, 1),
    "remove_edges_from": ([(0, 1)],),
    "clear": (),
    "clear_edges": (),
    "update": ([(0, 1)],),
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_view_refuses_changes(change):
    g = sample()
    before = nx.node_link_data(g.nx.copy(), edges="edges")
    with pytest.raises(nx.NetworkXError, match=r"append-only.*\.copy\(\)"):
        getattr(g.nx, change)(*CHANGES[change])
    assert nx.is_frozen(g.nx)
    assert nx.node_link_data(g.nx.copy(), edges="edges") == before


def test_a_copy_can_be_changed():
    g = sample()
    copy = g.nx.copy()
    copy.add_node("mine")
    copy.remove_node(0)
    assert type(copy) is nx.DiGraph
    assert "mine" not in g.nx
    assert 0 in g.nx


def test_networkx_algorithms_accept_it():
    g = Graph()
    a, b = g.input("a"), g.input("b")
    c = a * b
    d = (c + a) * c
    unused = a + 1
    view = g.nx
    assert nx.is_directed_acyclic_graph(view)
    assert list(nx.lexicographical_topological_sort(view)) == list(range(len(g)))
    assert set(nx.topological_sort(view)) == set(range(len(g)))
    assert nx.ancestors(view, d.id) == {a.id, b.id, c.id, c.id + 1}
    assert unused.id in nx.descendants(view, a.id)
    assert nx.dag_longest_path_length(view) == 3
    assert len(nx.dag_longest_path(view)) == 4
    assert not nx.transitive_reduction(view).has_edge(c.id, d.id)
    assert nx.transitive_closure(view).has_edge(a.id, d.id)
    assert sorted(view.subgraph([a.id, c.id]).edges) == [(a.id, c.id)]
    assert view.reverse().has_edge(d.id, c.id)
    assert view.to_undirected().number_of_edges() == view.number_of_edges()
    assert nx.is_isomorphic(view, view.copy())
    assert len(list(nx.weakly_connected_components(view))) == 1
    assert nx.shortest_path_length(view, b.id, d.id) == 2
    assert nx.DiGraph(view).edges == view.edges


def test_networkx_is_imported_when_it_is_used():
    program = (
        "import sys, wengert.notation.networkx, wengert.notation.json, wengert.derive.backward\n"
        "from wengert.graph.expr import Graph\n"
        "g = Graph(); x = g.input('x'); y = str(x * x)\n"
        "assert 'networkx' not in sys.modules\n"
        "g.nx\n"
        "assert 'networkx' in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# the way back -------------------------------------------------------------------------------------


def test_a_graph_comes_back_whole():
    g = sample()
    for again in (from_networkx(g.nx), from_networkx(g.nx.copy()), from_json(to_json(g))):
        assert columns(again) == columns(g)
        assert again is not g


def test_a_graph_that_came_back_can_be_built_on():
    again = from_json(to_json(sample()))
    w = again[again.leaves["w"]]
    y = again[again.outputs[0]] * w
    inner, step = 1.1, 1e-6
    slope = sum(s * (w.value + s * step) * (inner + s * step) ** -1.5 for s in (1, -1)) / 2 / step
    found = evaluate(grad(y, w), {"a": 1.0, "b": 2.0})
    assert found == pytest.approx(slope + 1.0, rel=1e-6)
    before = len(again)
    assert again.constant(math.inf).value == math.inf
    assert len(again) == before
    with pytest.raises(DuplicateNameError):
        again.input("a")


def test_operand_order_and_repetition_survive():
    g = Graph()
    a, b = g.input("a"), g.input("b")
    nodes = [a - b, b - a, a / b, b / a, a * a, ops.WHERE(b, a, b), ops.WHERE(a, b, a), a**b, b**a]
    again = from_json(to_json(g))
    assert [str(again[n.id]) for n in nodes] == [str(n) for n in nodes]


def test_what_stood_for_a_value_comes_back_with_its_number():
    g = Graph()
    w = Value(2.0, label="w")
    y = g.input("x") * w
    w.data = 4.0
    again = from_json(to_json(g))
    assert evaluate(again[y.id], {"x": 3.0}) == 12.0
    assert again.source(1) is None


@given(
    st.lists(
        st.tuples(st.sampled_from(list(ops.ELEMENTWISE)), *[st.integers(0, 50)] * 3), max_size=30
    ),
    st.lists(st.floats(), min_size=1, max_size=4),
)
def test_random_graphs_come_back_whole(steps, numbers):
    g = Graph()
    made = [g.input("x"), g.parameter("p", numbers[0]), *[g.constant(n) for n in numbers]]
    for name, *picks in steps:
        op = ops.ELEMENTWISE[name]
        operands = [made[pick % len(made)] for pick in picks[: op.arity]]
        made.append(op(*operands, *[numbers[-1] for _ in op.statics]))
    assert columns(from_json(to_json(g))) == columns(g)
    shuffled = nx.DiGraph()
    shuffled.add_nodes_from(reversed(list(g.nx.nodes(data=True))))
    shuffled.add_edges_from(reversed(list(g.nx.edges(data=True))))
    assert columns(from_networkx(shuffled))[:2] == columns(g)[:2]


def test_the_same_graph_gives_the_same_strict_json():
    assert to_json(sample()) == to_json(sample())

    def refuse(name):
        raise AssertionError(name)

    data = json.loads(to_json(sample()), parse_constant=refuse)
    assert (data["format"], data["version"]) == ("wengert graph", 1)
    assert "inf" in [node["value"] for node in data["nodes"]]
    assert list(data["nodes"][0]) == ["op", "name", "value", "shape", "statics", "origin", "id"]


def test_a_part_of_a_graph_is_numbered_anew():
    g = Graph()
    _unused, a, b = g.input("unused"), g.input("a"), g.input("b")
    y = (a - b) * b
    g.outputs = (y.id,)
    dy = grad(y, b)
    part = g.nx.subgraph(nx.ancestors(g.nx, dy.id) | {dy.id, y.id})
    again = from_networkx(part)
    assert len(again) == len(part)
    assert "unused" not in again.leaves
    assert str(again[again.outputs[0]]) == "(a - b)*b"
    (adjoint,) = [node for node, primal in again.adjoint_of.items() if again.labels.get(primal)]
    assert str(again[adjoint]) == str(dy)
    assert again[adjoint].origin.transform == "grad"


def test_provenance_of_what_is_gone_is_forgotten():
    g = Graph()
    x = g.input("x")
    y = x.exp()
    dy = grad(y, x)
    alone = g.nx.subgraph([x.id, y.id, *dy.graph.operands[dy.id], dy.id]).copy()
    alone.nodes[dy.id]["origin"] = {**alone.nodes[dy.id]["origin"], "primal": 99}
    alone.nodes[dy.id]["adjoint_of"] = 98
    again = from_networkx(alone)
    assert again[dy.id].origin == Origin("grad", None, "rule", "exp", 0)
    assert dy.id not in again.adjoint_of


def build(*nodes, edges=()) -> nx.DiGraph:
    """A networkx graph from (id, attributes) and (operand, consumer, positions)."""
    graph = nx.DiGraph()
    graph.add_nodes_from(nodes)
    graph.add_edges_from((a, b, {"positions": p}) for a, b, p in edges)
    return graph


X = ("x", {"op": "input", "name": "x"})
TWO = ("two", {"op": "constant", "value": 2.0})


def test_a_graph_may_be_written_by_hand_with_any_ids():
    g = from_networkx(
        build(("out", {"op": "sub"}), X, TWO, edges=[("x", "out", [1]), ("two", "out", (0,))])
    )
    assert [str(node) for node in g] == ["2", "x", "2 - x"]
    mixed = build(
        (("t", 1), {"op": "neg"}), (3, {"op": "input", "name": "z"}), edges=[(3, ("t", 1), [0])]
    )
    assert [str(node) for node in from_networkx(mixed)] == ["z", "-z"]


def test_equal_constants_become_one():
    g = from_networkx(
        build(
            TWO,
            ("deux", TWO[1]),
            ("s", {"op": "add"}),
            edges=[("two", "s", [0]), ("deux", "s", [1])],
        )
    )
    assert len(g) == 2
    assert g.operands[1] == (0, 0)


def test_long_cycles_are_found_and_named_briefly():
    n = 5000
    ring = build(
        *[(i, {"op": "neg"}) for i in range(n)], edges=[(i, (i + 1) % n, [0]) for i in range(n)]
    )
    with pytest.raises(
        SaveFileError, match=r"node 0: it depends on itself: 0 needs 4999"
    ) as caught:
        from_networkx(ring)
    assert len(str(caught.value)) < 200


NEG = {"op": "neg"}
FAULTS = {
    "unknown operation": (
        build(("n", {"op": "tahn"})),
        UnknownNameError,
        "node 'n': unknown operation 'tahn'; did you mean 'tanh'",
    ),
    "an operation on arrays": (
        build(("n", {"op": "matmul"})),
        SaveFileError,
        "node 'n': matmul works on whole arrays; only graphs of scalars are read",
    ),
    "no operation": (build(("n", {})), SaveFileError, "node 'n': its op is None"),
    "an operation of the wrong type": (
        build(("n", {"op": [1]})),
        SaveFileError,
        r"its op is \[1\]",
    ),
    "missing operand": (build(("n", NEG)), SaveFileError, "node 'n': its operand 0 is missing"),
    "missing second operand": (
        build(X, ("n", {"op": "mul"}), edges=[("x", "n", [0])]),
        SaveFileError,
        "node 'n': its operand 1 is missing; mul takes 2",
    ),
    "duplicate position": (
        build(X, TWO, ("n", NEG), edges=[("x", "n", [0]), ("two", "n", [0])]),
        SaveFileError,
        "node 'n': its operand 0 is both 'x' and 'two'",
    ),
    "position repeated": (
        build(X, ("n", NEG), edges=[("x", "n", [0, 0])]),
        SaveFileError,
        "operand 0 is both 'x' and 'x'",
    ),
    "too many operands": (
        build(X, ("n", NEG), edges=[("x", "n", [0, 1])]),
        SaveFileError,
        "'x' is its operand 1; neg has 1",
    ),
    "negative position": (
        build(X, ("n", NEG), edges=[("x", "n", [-1])]),
        SaveFileError,
        "its operand -1; neg has 1, counted from 0",
    ),
    "a position that is no integer": (
        build(X, ("n", NEG), edges=[("x", "n", [True])]),
        SaveFileError,
        "its operand True",
    ),
    "no positions": (
        build(X, ("n", NEG), edges=[("x", "n", None)]),
        SaveFileError,
        r"node 'n': its edge from 'x' has positions None; expected a list such as \[0\]",
    ),
    "positions as text": (
        build(X, ("n", NEG), edges=[("x", "n", "0")]),
        SaveFileError,
        "has positions '0'",
    ),
    "a leaf with operands": (
        build(X, TWO, edges=[("two", "x", [0])]),
        SaveFileError,
        "'two' is its operand 0; input has none",
    ),
    "a loop": (build(("n", NEG), edges=[("n", "n", [0])]), SaveFileError, "'n' needs 'n'"),
    "a cycle": (
        build(X, ("n", NEG), ("m", NEG), edges=[("n", "m", [0]), ("m", "n", [0])]),
        SaveFileError,
        "it depends on itself: '[mn]' needs '[mn]' needs '[mn]'",
    ),
    "a bad name": (
        build(("n", {"op": "input", "name": "import os"})),
        InvalidNameError,
        "node 'n': 'import os' cannot name a leaf",
    ),
    "no name": (build(("n", {"op": "input"})), InvalidNameError, "node 'n': '' cannot name a leaf"),
    "a name that is no text": (
        build(("n", {"op": "input", "name": 3})),
        SaveFileError,
        "node 'n': its name is 3",
    ),
    "colliding names": (
        build(X, ("n", {"op": "parameter", "name": "x", "value": 1.0})),
        DuplicateNameError,
        "node 'x': 'x' is already a leaf",
    ),
    "a parameter without a number": (
        build(("n", {"op": "parameter", "name": "w", "value": "1"})),
        SaveFileError,
        "node 'n': the value of a parameter is '1'; expected a number",
    ),
    "a constant without a number": (
        build(("n", {"op": "constant", "value": True})),
        SaveFileError,
        "the value of a constant is True",
    ),
    "an absurd number": (
        build(("n", {"op": "constant", "value": 10**400})),
        OperandError,
        "node 'n': .*too large for float64",
    ),
    "a value where none belongs": (
        build(("n", {"op": "input", "name": "x", "value": 1.0})),
        SaveFileError,
        "node 'n': its value is 1.0; only parameters and constants",
    ),
    "an array": (
        build(("n", {"op": "input", "name": "x", "shape": (3,)})),
        SaveFileError,
        r"node 'n': its shape is \(3,\); expected \(\) for a scalar",
    ),
    "missing statics": (
        build(X, ("n", {"op": "pow_const"}), edges=[("x", "n", [0])]),
        SaveFileError,
        "node 'n': its statics are .*; pow_const takes numbers for exponent",
    ),
    "statics of the wrong type": (
        build(X, ("n", {"op": "pow_const", "statics": ["2"]}), edges=[("x", "n", [0])]),
        SaveFileError,
        "its statics are \\['2'\\]",
    ),
    "statics where none belong": (
        build(X, ("n", {"op": "neg", "statics": [2]}), edges=[("x", "n", [0])]),
        SaveFileError,
        "its statics are \\[2\\]; neg takes none",
    ),
    "a bad origin": (
        build((X[0], {**X[1], "origin": {"transform": 1}})),
        SaveFileError,
        "node 'x': its origin is .*expected transform",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_does_not_describe_a_graph_is_refused(fault):
    graph, error, problem = FAULTS[fault]
    with pytest.raises(error, match=problem) as caught:
        from_networkx(graph)
    assert isinstance(caught.value, WengertError)
    assert len(str(caught.value)) < 800


@pytest.mark.parametrize("kind", [nx.Graph, nx.MultiDiGraph, nx.MultiGraph, dict])
def test_only_a_simple_directed_graph_is_read(kind):
    with pytest.raises(SaveFileError, match=r"expected a networkx\.DiGraph, got a "):
        from_networkx(kind())


# JSON ---------------------------------------------------------------------------------------------


def edited(change) -> str:
    """The JSON of `sample` with a change made to its data."""
    data = json.loads(to_json(sample()))
    change(data)
    return json.dumps(data)


def nothing(data) -> None:
    """No change."""


NESTED = "[" * 100_000
TEXTS = {
    "empty": ("", "no JSON of a saved graph.*is it whole"),
    "truncated": (to_json(sample())[:-20], "is it whole"),
    "nested": (NESTED, "no JSON of a saved graph"),
    "a list": ("[]", r"expected a JSON object, got \[\]"),
    "another format": ('{"format": "network", "version": 1}', "the format is 'network'"),
    "another version": (edited(lambda d: d.update(version=2)), "version 2 of the format"),
    "NaN": (to_json(sample()).replace('"inf"', "NaN"), "NaN is not strict JSON"),
    "1e999": (to_json(sample()).replace('"inf"', "1e999"), "1e999' is past the largest float"),
    "digits": (to_json(sample()).replace('"inf"', "1" * 10_000), "no JSON of a saved graph"),
    "no nodes": (edited(lambda d: d.pop("nodes")), "'nodes' is None; expected a list of objects"),
    "nodes as text": (edited(lambda d: d.update(nodes="x")), "'nodes' is 'x'"),
    "edges as numbers": (edited(lambda d: d.update(edges=[1])), r"'edges' is \[1\]"),
    "graph as a list": (edited(lambda d: d.update(graph=[])), r"'graph' is \[\]"),
    "an id of no use": (edited(lambda d: d["nodes"][0].update(id=[1])), r"id of a node is \[1\]"),
    "an id twice": (edited(lambda d: d["nodes"][0].update(id=1)), "node 1: it is there twice"),
    "an edge from nowhere": (
        edited(lambda d: d["edges"][0].update(source=999)),
        "the source of an edge is 999, which is not a node",
    ),
    "an edge to nothing": (
        edited(lambda d: d["edges"][0].pop("target")),
        "target of an edge is None",
    ),
    "an edge twice": (
        edited(lambda d: d["edges"].append(d["edges"][0])),
        "it has two edges from 0; one carries all positions",
    ),
    "outputs as text": (edited(lambda d: d["graph"].update(outputs="x")), "the outputs are 'x'"),
    "outputs as objects": (edited(lambda d: d["graph"].update(outputs=[{}])), "the outputs are"),
    "a short gradient": (
        edited(lambda d: d["graph"].update(gradients=[[1]])),
        r"a gradient is \[1\]",
    ),
    "gradients as objects": (
        edited(lambda d: d["graph"].update(gradients=[[{}, 1, 2]])),
        "gradient",
    ),
    "a value as text": (
        edited(lambda d: d["nodes"][2].update(value="Infinity")),
        "node 2: the value",
    ),
    "origin as text": (edited(lambda d: d["nodes"][0].update(origin="me")), "node 0: its origin"),
    "bytes": (b"{}", "expected the text of a saved graph, got a bytes"),
}


def test_an_edit_that_changes_nothing_is_read():
    assert columns(from_json(edited(nothing))) == columns(sample())


@pytest.mark.parametrize("text", TEXTS)
def test_json_that_is_no_graph_is_refused(text):
    content, problem = TEXTS[text]
    with pytest.raises(SaveFileError, match=problem) as caught:
        from_json(content)
    assert len(str(caught.value)) < 400


def test_hostile_fields_are_ignored():
    text = edited(
        lambda d: (
            d.update(multigraph=True, directed=False, evil=1),
            d["nodes"][0].update(node_for_adding=1, self=2, __class__=3),
            d["edges"][0].update(u_of_edge=1, v_of_edge=2, key=3),
            d["graph"].update(name="x" * 1000),
        )
    )
    assert columns(from_json(text)) == columns(sample())


def test_sizes_past_the_limit_are_refused(monkeypatch):
    g = sample()
    text = to_json(g)
    monkeypatch.setattr(network, "MAX_NODES", len(g) - 1)
    for use in (lambda: to_json(g), lambda: from_json(text), lambda: from_networkx(g.nx)):
        with pytest.raises(SizeError, match=f"graph of {len(g)} nodes; the limit is {len(g) - 1}"):
            use()
    monkeypatch.setattr("wengert.notation.json.MAX_CHARACTERS", 10)
    with pytest.raises(SizeError, match="the limit is 10"):
        from_json(text)


@given(st.data())
def test_damaged_json_is_an_error_of_ours_or_a_graph(data):
    saved = json.loads(to_json(sample()))
    part = data.draw(st.sampled_from(["nodes", "edges"]))
    record = data.draw(st.sampled_from(saved[part]))
    field = data.draw(st.sampled_from(sorted(record)))
    record[field] = data.draw(
        st.sampled_from(
            [None, True, -1, 10**30, 1.5, "", "nan", "x", [], [0], {}, [[]], {"a": [1]}]
        )
    )
    try:
        g = from_json(json.dumps(saved))
    except WengertError:
        return
    assert all(operand < node for node in range(len(g)) for operand in g.operands[node])
    assert all(len(g.operands[node]) == g.ops[node].arity for node in range(len(g)))
    assert columns(from_json(to_json(g))) == columns(g)


def test_only_a_graph_is_written_as_json():
    for thing in (3, None, Graph().input("x")):
        with pytest.raises(OperandError, match=r"expected a Graph, such as expr\.graph"):
            to_json(thing)
    with pytest.raises(OperandError, match=r"^3 is an int;"):
        to_json(3)


def test_derivatives_of_nodes_that_a_number_of_numpy_picked_are_written_too():
    g = Graph()
    x = g.input("x")
    picked = g[np.int64(x.id)]
    assert type(picked.id) is int
    grad(picked * picked, picked)
    assert columns(from_json(to_json(g))) == columns(g)


def test_static_arguments_of_any_library_are_written():
    g = Graph()
    ops.LEAKY_RELU(ops.LEAKY_RELU(g.input("x"), np.float32(0.5)), True)
    assert columns(from_json(to_json(g))) == columns(g)


def test_a_gradient_that_needs_no_new_node_is_in_the_view():
    g = Graph()
    x = g.input("x")
    g.constant(1.0)
    assert g.nx.graph["gradients"] == []
    grad(x, x)
    assert len(g) == 2
    assert g.nx.graph["gradients"] == [[0, 0, 1]]
