"""The walker that copies graphs, what is carried over, and the ways through a graph."""

from graphlib import CycleError
from pathlib import Path

import numpy
import pytest
from hypothesis import given
from strategies import graphs

import wengert
from wengert import Graph, Value, grad
from wengert.graph.evaluation import node_values
from wengert.graph.rewrite import (
    PassRecord,
    add_record,
    extract,
    live_part,
    replay,
    rewritten,
    unchanged,
)
from wengert.graph.store import Origin, consumers, live_nodes, use_counts
from wengert.graph.traversal import depth_first, reachable
from wengert.ops.scalar import ADD, CONSTANT, MUL, NEG, TANH

DEEP = 100_000


def merging():
    """A transform that makes operations that are the same one."""
    known = {}

    def write(walk, node):
        source = walk.source
        operands = tuple(walk.images[operand] for operand in source.operands[node])
        if not operands:
            return None
        key = (source.ops[node], operands, source.statics.get(node, ()))
        return known[key] if key in known else known.setdefault(key, walk.copy(node))

    return write


def moved(origin, images):
    if origin is None:
        return None
    return Origin(
        origin.transform, images.get(origin.primal), origin.role, origin.rule, origin.operand
    )


def numbers(graph):
    """The values of the outputs at some point, as text, so that nan is itself."""
    given = {
        leaf: numpy.full(graph.shapes.get(leaf, ()), 0.3 + len(name))[()]
        for name, leaf in graph.leaves.items()
        if graph.value(leaf) is None
    }
    with numpy.errstate(all="ignore"):
        values = node_values(graph, live_nodes(graph, graph.outputs), given)
    return [repr(values[node]) for node in graph.outputs]


@given(graphs())
def test_a_copy_is_the_same_graph(graph):
    copy, images = rewritten(graph, graph.outputs)
    assert list(images) == live_nodes(graph, graph.outputs)
    assert sorted(images.values()) == list(range(len(copy)))
    assert copy.outputs == tuple(images[root] for root in graph.outputs)
    for node, image in images.items():
        assert copy.ops[image] is graph.ops[node]
        assert copy.operands[image] == tuple(images[n] for n in graph.operands[node])
        assert copy.statics.get(image) == graph.statics.get(node)
        assert copy.shapes.get(image) == graph.shapes.get(node)
        assert copy.labels.get(image) == graph.labels.get(node)
        assert copy.lanes.get(image) == graph.lanes.get(node)
        assert copy.source(image) is graph.source(node)
        assert repr(copy.value(image)) == repr(graph.value(node))
        assert copy.origins[image] == moved(graph.origins[node], images)
    assert copy.leaves == {n: images[leaf] for n, leaf in graph.leaves.items() if leaf in images}
    assert copy.adjoint_of == {
        images[node]: images[primal]
        for node, primal in graph.adjoint_of.items()
        if node in images and primal in images and graph.ops[node] is not CONSTANT
    }
    assert copy.gradients == {
        (images[root], images[leaf]): images[node]
        for (root, leaf), node in graph.gradients.items()
        if {root, leaf, node} <= images.keys()
    }
    assert numbers(copy) == numbers(graph)


@given(graphs())
def test_copying_changes_nothing_in_the_graph(graph):
    before = [list(graph.ops), list(graph.origins), dict(graph.labels), dict(graph.adjoint_of)]
    rewritten(graph, graph.outputs, merging())
    assert before == [graph.ops, graph.origins, graph.labels, graph.adjoint_of]
    assert graph.append(ADD, (0, 0)) == len(before[0])
    assert graph.origins[-1] is None


@given(graphs())
def test_a_rewriting_keeps_provenance(graph):
    small, images = rewritten(graph, graph.outputs, merging())
    firsts = {}
    for node, image in images.items():
        firsts.setdefault(image, []).append(node)
    for image, nodes in firsts.items():
        assert small.origins[image] == moved(graph.origins[nodes[0]], images)
        labels = [graph.labels[node] for node in nodes if node in graph.labels]
        assert small.labels.get(image) == (labels[0] if labels else None)
        primals = [graph.adjoint_of.get(node) for node in nodes]
        known = [images[primal] for primal in primals if primal in images]
        expected = known[0] if known and small.ops[image] is not CONSTANT else None
        assert small.adjoint_of.get(image) == expected
    assert numbers(small) == numbers(graph)


@given(graphs())
def test_the_map_of_two_transforms_is_that_of_both(graph):
    first = rewritten(graph, graph.outputs)
    second = rewritten(first.graph, first.graph.outputs, merging())
    both = first.then(second)
    assert both.graph is second.graph
    assert both.images == {node: second.images[first.images[node]] for node in first.images}
    assert unchanged(graph).then(first) == first
    assert numbers(both.graph) == numbers(graph)


def test_a_node_that_the_second_transform_drops_is_in_no_map():
    g = Graph()
    x = g.input("x")
    y, z = x.tanh(), x * x
    first = rewritten(g, [y.id, z.id])
    second = rewritten(first.graph, first.graph.outputs[1:])
    assert first.then(second).images == {x.id: 0, z.id: 1}


def test_an_origin_whose_primal_node_is_dropped_names_none():
    g = Graph()
    x = g.input("x")
    y = x.tanh() * x
    slope = grad(y, x)
    wanted = [node for node in live_nodes(g, [slope.id]) if g.origins[node] is not None]
    assert any(g.origins[node].primal == y.id for node in wanted)
    small, images = rewritten(g, [slope.id])
    assert y.id not in images
    for node in wanted:
        origin = small.origins[images[node]]
        primal = g.origins[node].primal
        assert origin.primal == (None if primal == y.id else images[primal])
        assert origin.rule == g.origins[node].rule


def test_an_origin_that_moves_stays_one_object():
    g = Graph()
    g.input("unused")
    x = g.input("x")
    g.deriving(Origin("test", x.id, "rule"))
    y = x * x + 1.0  # the constant, which has no origin, comes in between
    g.deriving(None)
    small, images = rewritten(g, [y.id])
    product, total = (small.origins[n] for n in (images[y.id - 2], images[y.id]))
    assert product is total
    assert product == Origin("test", images[x.id], "rule")


def test_what_is_added_to_a_copy_has_no_origin():
    g = Graph()
    x = g.input("x")
    copy, images = rewritten(g, [grad(x.tanh(), x).id])
    assert copy[copy.append(TANH, (images[x.id],))].origin is None


def test_where_nodes_become_one_the_first_that_knows_something_counts():
    g = Graph()
    x = g.input("x")
    first, second, third = x.tanh(), x.tanh(), x.tanh()
    second.label, third.label = "second", "third"
    primal, other = x.exp(), x.sqrt()
    g.adjoint_of |= {second.id: primal.id, third.id: other.id}
    wanted = [e.id for e in (first, second, third, primal, other)]
    small, images = rewritten(g, wanted, merging())
    assert images[first.id] == images[third.id]
    assert small.labels[images[first.id]] == "second"
    assert small.adjoint_of == {images[first.id]: images[primal.id]}


def test_leaves_have_no_origin_however_late_they_turn_up():
    g = Graph()
    x = g.input("x")
    slope = grad(x.tanh() * 1, x)

    def with_constants(walk, node):
        walk.target.constant(float(node) + 0.5)

    small, _ = rewritten(g, [slope.id], with_constants)
    assert any(origin is not None for origin in small.origins)
    assert all(small.origins[n] is None for n in range(len(small)) if small.is_leaf(n))


def test_what_a_transform_appends_gets_the_origin_of_the_node_it_is_for():
    g = Graph()
    x = g.input("x")
    slope = grad(x.tanh(), x)

    def negated_twice(walk, node):
        if walk.source.ops[node] is not MUL:
            return None
        return walk.target.append(NEG, (walk.target.append(NEG, (walk.copy(node),)),))

    small, images = rewritten(g, [slope.id], negated_twice)
    extra = images[slope.id]
    origin = moved(g.origins[slope.id], images)
    assert small.ops[extra] is NEG
    assert [small.origins[node] for node in (extra - 2, extra - 1, extra)] == [origin] * 3


def test_what_becomes_a_leaf_leaves_its_label_behind():
    g = Graph()
    x = g.input("x")
    y = x.tanh() * 0
    y.label = "y"

    def zero(walk, node):
        return walk.target.constant(0).id if node == y.id else None

    small, images = rewritten(g, [x.id, y.id], zero)
    assert small.labels == {images[x.id]: "x"}


def test_a_constant_is_nobodys_adjoint():
    g = Graph()
    x = g.input("x")
    y = x + 0
    g.adjoint_of[g.constant(1.0).id] = y.id
    small, _ = rewritten(g, [y.id, g.constant(1.0).id])
    assert small.adjoint_of == {}


def test_the_walker_alone_copies_leaves():
    """A copier of its own forgets what the next column of the graph will hold."""
    src = Path(wengert.__file__).parent
    found = {
        file.relative_to(src).as_posix()
        for file in src.rglob("*.py")
        if "copy_leaf(" in file.read_text(encoding="utf-8")
    }
    walkers = {"graph/store.py", "graph/rewrite.py"}
    still = {
        "arrays/unrolling.py",
        "explain/collapse.py",
        "explain/page/numbers.py",
        "graph/unroll.py",
        "verify/arraysteps.py",
    }
    assert found - still <= walkers


def test_an_order_says_which_nodes_are_written_and_when():
    g = Graph()
    a, b = g.input("a"), g.input("b")
    y = (a * b).tanh()

    def whole(walk, node):
        if node != y.id:
            return None
        return (walk.target[walk.images[a.id]] - walk.target[walk.images[b.id]]).id

    small, images = rewritten(g, [y.id], whole, order=[b.id, a.id, y.id])
    assert images == {b.id: 0, a.id: 1, y.id: 2}
    assert str(small[images[y.id]]) == "a - b"


def test_a_copy_shares_the_values_it_stands_for():
    w = Value(2.0, label="w")
    g = Graph()
    y = g.input("x") * w
    copy = extract([y])
    w.data = 5.0
    assert copy.value(copy.leaves["w"]) == 5.0
    assert copy.node_of(w) == copy.leaves["w"]


def test_dead_parts_are_left_out():
    g = Graph()
    x = g.input("x")
    g.outputs = (x.tanh().id,)
    x.exp()
    small, images = live_part(g)
    assert (len(small), images) == (2, {0: 0, 1: 1})


def test_replay_writes_on_other_leaves_and_into_the_same_graph():
    g = Graph()
    x, y = g.input("x"), g.input("y")
    loss = (x - y).tanh() * y
    made = replay(g, [loss.id], g, {x.id: y.id, y.id: (x * 2).id})
    assert str(g[made[loss.id]]) == "tanh(y - x*2)*(x*2)"
    assert str(loss) == "tanh(x - y)*y"


def test_replay_leaves_alone_what_only_a_given_node_needs():
    g, target = Graph(), Graph()
    x = g.input("x")
    inner = x.exp()
    y = inner * 2
    made = replay(g, [y.id], target, {inner.id: target.input("held").id})
    assert list(target.leaves) == ["held"]
    assert x.id not in made
    assert str(target[made[y.id]]) == "held*2"


def test_replay_gives_new_nodes_one_origin_and_carries_nothing_else():
    g, target = Graph(), Graph()
    x = g.input("x")
    y = x.tanh() * x
    y.label = "y"
    slope = grad(y, x)
    origin = Origin("test", None, "rule")
    made = replay(g, [y.id, slope.id], target, {}, origin=origin)
    computed = [made[node] for node in made if g.operands[node]]
    assert {target.origins[node] for node in computed} == {origin}
    assert list(target.labels.values()) == ["x"]
    assert (target.adjoint_of, target.gradients, target.outputs) == ({}, {}, ())


def test_an_error_while_replaying_leaves_no_origin_behind():
    g, target = Graph(), Graph()
    y = g.input("x").tanh()

    def refuse(walk, node):
        raise RuntimeError(str(walk.source.ops[node]))

    with pytest.raises(RuntimeError):
        replay(g, [y.id], target, {}, refuse, origin=Origin("test", None, "rule"))
    x = target.input("x")
    assert (x * x).origin is None


def test_a_record_says_what_changed_after_those_before():
    g = Graph()
    x = g.input("x")
    g.outputs = ((x * x).id,)
    x.tanh()
    small = live_part(g).graph
    g.passes = ("before",)
    add_record("dead", g, small, {"b": 1, "a": 2})
    expected = PassRecord("dead", 3, 2, {"mul": 1, "tanh": 1}, {"mul": 1}, {"a": 2, "b": 1})
    assert small.passes == ("before", expected)
    assert list(small.passes[1].rewrites) == ["a", "b"]
    assert str(expected) == "dead: 3 nodes -> 2; tanh 1 -> 0; 2 a, 1 b"


def test_a_long_chain_is_copied_replayed_and_walked():
    g = Graph()
    x = y = g.input("x")
    for _ in range(DEEP):
        y = y.tanh()
    copy, images = rewritten(g, [y.id])
    assert len(copy) == DEEP + 1 == len(images)
    made = replay(g, [y.id], copy, {x.id: images[y.id]})
    assert made[y.id] == 2 * DEEP
    assert len(live_nodes(copy, [made[y.id]])) == 2 * DEEP + 1
    assert list(depth_first([y.id], g.operands.__getitem__)) == list(range(DEEP + 1))
    assert len(reachable([y.id], g.operands.__getitem__)) == DEEP + 1


@given(graphs())
def test_uses_and_consumers_are_read_off_the_operands(graph):
    live = live_nodes(graph, graph.outputs)
    uses, readers = use_counts(graph, live, graph.outputs), consumers(graph, live)
    for node in live:
        pairs = [(reader, operand) for reader in live for operand in graph.operands[reader]]
        expected = [reader for reader, operand in pairs if operand == node]
        assert readers[node] == expected
        assert uses[node] == len(expected) + graph.outputs.count(node)
    assert uses.keys() <= readers.keys() == set(live)


@given(graphs())
def test_depth_first_is_an_order_of_what_the_outputs_need(graph):
    order = list(depth_first(graph.outputs, graph.operands.__getitem__))
    assert sorted(order) == live_nodes(graph, graph.outputs)
    assert set(order) == reachable(graph.outputs, graph.operands.__getitem__)
    place = {node: i for i, node in enumerate(order)}
    assert all(place[o] < place[node] for node in order for o in graph.operands[node])


def test_depth_first_keeps_what_belongs_together_and_passes_over_the_known():
    needs = {"y": ["a", "b"], "a": ["c", "d"], "b": ["d"], "c": [], "d": []}
    assert list(depth_first(["y"], needs.__getitem__)) == ["c", "d", "a", "b", "y"]
    known = {"b"}
    found = []
    for thing in depth_first(["y"], needs.__getitem__, known):
        found.append(thing)
        known.add(thing)
    assert found == ["c", "d", "a", "y"]


def test_a_thing_that_needs_itself_is_an_error():
    needs = {"y": ["a"], "a": ["b"], "b": ["a"]}
    with pytest.raises(CycleError):
        list(depth_first(["y"], needs.__getitem__))


def test_live_nodes_stop_at_what_is_known():
    g = Graph()
    x = g.input("x")
    y = x.exp()
    z = y * x.tanh()
    assert live_nodes(g, [z.id], [y.id]) == [x.id, z.id - 1, z.id]
    assert live_nodes(g, [y.id], [y.id]) == []
