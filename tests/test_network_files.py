"""Graphs in GraphML, GML and GEXF, written and read by networkx: nothing is lost."""

import io

import networkx
import pytest

import wengert as wg

FORMATS = ["graphml", "gml", "gexf"]


@pytest.fixture
def graph():
    g = wg.Graph()
    x, w = g.input("x"), g.parameter("w", -0.125)
    y = (wg.leaky_relu(x * x - w, 0.3) ** 2.5).tanh() / g.constant(float("inf"))
    y.label = 'a "label" <of> & ümlauts'
    g.outputs = (y.id, x.id, y.id)
    wg.grad(y, [x, w])
    return g


def through(format, graph):
    file = io.BytesIO()
    getattr(networkx, f"write_{format}")(wg.to_networkx(graph), file)
    file.seek(0)
    return getattr(networkx, f"read_{format}")(file)


@pytest.mark.parametrize("format", FORMATS)
def test_a_graph_comes_back_whole(format, graph):
    again = wg.from_networkx(through(format, graph))
    assert wg.to_json(again) == wg.to_json(graph)


@pytest.mark.parametrize("format", FORMATS)
def test_order_and_repeats_of_operands_survive(format):
    g = wg.Graph()
    a, b = g.input("a"), g.input("b")
    e = wg.where(b - a, a, a)
    assert str(wg.from_networkx(through(format, g))[e.id]) == "where(b - a, a, a)"


def test_attributes_are_plain(graph):
    plain = wg.to_networkx(graph)
    for *_, fields in [*plain.nodes(data=True), *plain.edges(data=True)]:
        assert {type(value) for value in fields.values()} <= {str, int, float}


def test_text_that_is_none_of_ours_is_refused(graph):
    plain = wg.to_networkx(graph)
    plain.nodes[1]["value"] = "{"
    with pytest.raises(wg.SaveFileError, match="node 1: its value"):
        wg.from_networkx(plain)
