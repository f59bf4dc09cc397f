"""Pictures: what they show, as the layout program itself reports it, and how they are rendered."""

import copy
import math
import os
import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import graphviz
import numpy as np
import pytest

from wengert.arrays.roll import roll
from wengert.derive.backward import grad
from wengert.draw import picture as rendering
from wengert.draw.boxes import MAX_BOXES, MAX_LABEL, escape
from wengert.draw.draw import draw_dot
from wengert.errors import OperandError, SizeError, UnknownNameError
from wengert.graph.evaluation import evaluate
from wengert.graph.expr import Graph
from wengert.graph.rewrite import extract
from wengert.graph.store import live_nodes
from wengert.graph.value import Value
from wengert.notation.parse import parse
from wengert.ops.arrays import sum_over
from wengert.ops.scalar import maximum, where
from wengert.train.nn import MLP

SVG = "{http://www.w3.org/2000/svg}"
TOOLTIP = "{http://www.w3.org/1999/xlink}title"


@pytest.fixture(autouse=True)
def no_system_dot(monkeypatch, tmp_path):
    """Only graphviz-pure, so that every machine draws with the same program."""
    monkeypatch.setenv("PATH", str(tmp_path))


class Shown:
    """What the SVG shows: the texts and the look of each box, and the edges with their labels."""

    def __init__(self, picture: graphviz.Digraph) -> None:
        svg = ElementTree.fromstring(picture.pipe(format="svg", encoding="utf-8"))
        self.boxes: dict[str, list[str]] = {}
        self.looks: dict[str, dict[str, str]] = {}
        self.edges: list[tuple[str, str, str]] = []
        for part in svg.iter(f"{SVG}g"):
            title = part.findtext(f"{SVG}title")
            texts = [found.text for found in part.iter(f"{SVG}text") if (found.text or "").strip()]
            if part.get("class") == "node":
                self.boxes[title] = texts
                shape = next(x for x in part.iter() if "stroke" in x.attrib)
                links = [link.get(TOOLTIP) for link in part.iter(f"{SVG}a")]
                self.looks[title] = {**shape.attrib, "tooltip": "".join(filter(None, links))}
            elif part.get("class") == "edge":
                tail, _, head = title.partition("->")
                self.edges.append((tail, head, "".join(texts)))

    def box(self, *texts: str) -> str:
        """The name of the one box that shows these texts."""
        (name,) = [name for name, shown in self.boxes.items() if shown == list(texts)]
        return name

    def into(self, name: str) -> list[tuple[str, str]]:
        return [(tail, label) for tail, head, label in self.edges if head == name]


def neuron() -> Value:
    x1, x2 = Value(2.0, label="x1"), Value(0.0, label="x2")
    w1, w2 = Value(-3.0, label="w1"), Value(1.0, label="w2")
    b = Value(6.8813735870195432, label="b")
    x1w1, x2w2 = x1 * w1, x2 * w2
    x1w1.label, x2w2.label = "x1*w1", "x2*w2"
    both = x1w1 + x2w2
    both.label = "x1*w1 + x2*w2"
    n = both + b
    n.label = "n"
    o = n.tanh()
    o.label = "output"
    return o


def test_the_notebook_neuron_after_backward():
    o = neuron()
    o.backward()
    shown = Shown(draw_dot(o))
    assert sorted(texts for texts in shown.boxes.values() if len(texts) == 3) == [
        ["b", "data 6.8814", "grad 0.5000"],
        ["n", "data 0.8814", "grad 0.5000"],
        ["output", "data 0.7071", "grad 1.0000"],
        ["w1", "data -3.0000", "grad 1.0000"],
        ["w2", "data 1.0000", "grad 0.0000"],
        ["x1", "data 2.0000", "grad -1.5000"],
        ["x1*w1", "data -6.0000", "grad 0.5000"],
        ["x1*w1 + x2*w2", "data -6.0000", "grad 0.5000"],
        ["x2", "data 0.0000", "grad 0.5000"],
        ["x2*w2", "data 0.0000", "grad 0.5000"],
    ]
    signs = sorted(texts[0] for texts in shown.boxes.values() if len(texts) == 1)
    assert signs == ["*", "*", "+", "+", "tanh"]
    tanh = shown.box("tanh")
    assert shown.into(tanh) == [(shown.box("n", "data 0.8814", "grad 0.5000"), "")]
    assert shown.into(shown.box("output", "data 0.7071", "grad 1.0000")) == [(tanh, "")]


def test_a_gradient_that_is_not_computed_is_a_dash():
    shown = Shown(draw_dot(neuron()))
    assert {texts[2] for texts in shown.boxes.values() if len(texts) == 3} == {"grad —"}


def test_the_notebook_seed_shows_zeros_before_the_first_step():
    o = neuron()
    o.grad = 1.0
    shown = Shown(draw_dot(o))
    assert shown.box("output", "data 0.7071", "grad 1.0000")
    assert shown.box("n", "data 0.8814", "grad 0.0000")
    o._backward()
    assert Shown(draw_dot(o)).box("n", "data 0.8814", "grad 0.5000")


def test_leaf_gradients_of_an_earlier_sweep_stay_visible():
    w, x = Value(2.0, label="w"), Value(3.0, label="x")
    (w * x).backward()
    shown = Shown(draw_dot(w * x))
    assert shown.box("w", "data 2.0000", "grad 3.0000")
    assert shown.box("data 6.0000", "grad —")


def test_an_operand_used_twice_has_two_edges():
    x = Value(3.0, label="x")
    shown = Shown(draw_dot(x * x))
    assert shown.into(shown.box("*")) == [("n0", ""), ("n0", "")]
    g = Graph()
    e = g.input("e")
    shown = Shown(draw_dot(e * e))
    assert shown.into(shown.box("e*e", "—")) == [(shown.box("e", "input", "—"), "")] * 2


@pytest.mark.parametrize(
    ("combine", "sign"),
    [
        (lambda a, b: a - b, "-"),
        (lambda a, b: a / b, "/"),
        (lambda a, b: a**b, "**"),
        (lambda a, b: a < b, "<"),
        (lambda a, b: maximum(a, b), "maximum"),
    ],
)
def test_order_of_operands_is_tagged_where_it_matters(combine, sign):
    a, b = Value(2.0, label="a"), Value(3.0, label="b")
    shown = Shown(draw_dot(combine(a, b)))
    first, second = (shown.box(v.label, f"data {v.data:.4f}", "grad —") for v in (a, b))
    assert sorted(shown.into(shown.box(sign))) == sorted([(first, "0"), (second, "1")])
    swapped = Shown(draw_dot(combine(b, a)))
    first, second = (swapped.box(v.label, f"data {v.data:.4f}", "grad —") for v in (a, b))
    assert sorted(swapped.into(swapped.box(sign))) == sorted([(first, "1"), (second, "0")])


def test_where_has_three_positions_and_a_sum_none():
    g = Graph()
    a, b = g.inputs("x", 2)
    shown = Shown(draw_dot(where(a < b, a, b)))
    assert sorted(tag for _, tag in shown.into(shown.box("where(x0 < x1, x0, x1)", "—"))) == [
        *("0", "1", "2")
    ]
    assert [tag for *_, tag in Shown(draw_dot(a + b)).edges] == ["", ""]


HOSTILE = {
    'say "hi"': 'say "hi"',
    "}": "}",
    "{ a | b }": "{ a | b }",
    "a|b": "a|b",
    "<b>bold</b>": "<b>bold</b>",
    "<": "<",
    "<table><tr><td>x</td></tr></table>": "<table><tr><td>x</td></tr></table>",
    "\\": "\\",
    "\\N \\G \\l \\n": "\\N \\G \\l \\n",
    'end\\"': 'end\\"',
    "&amp; &#65; &lt;": "&amp; &#65; &lt;",
    "two\nlines\tand  more": "two lines and more",
    "\u202eevil\u200f": "[U+202E]evil[U+200F]",
    "bell\x07": "bell[U+0007]",
    "null\x00": "null[U+0000]",
    "lone \ud800": "lone [U+D800]",
    "<f0> port": "<f0> port",
    "]; x -> y [label=": "]; x -> y [label=",
    "häßlich": "häßlich",
    "z" * 500: "z" * (MAX_LABEL - 1) + "…",
}


@pytest.mark.parametrize(("label", "expected"), HOSTILE.items())
def test_hostile_labels_are_shown_as_they_are_and_do_nothing(label, expected):
    x = Value(1.0, label=label)
    y = x * x
    y.label = label
    picture = draw_dot(y)
    shown = Shown(picture)
    assert shown.boxes == {
        "n0": [expected, "data 1.0000", "grad —"],
        "n1": [expected, "data 1.0000", "grad —"],
        "n1_op": ["*"],
    }
    assert len(shown.edges) == 3
    ElementTree.fromstring(picture.pipe(encoding="utf-8"))


@pytest.mark.parametrize(("label", "expected"), HOSTILE.items())
def test_hostile_labels_of_expressions(label, expected):
    g = Graph()
    y = g.input("x") + 1
    y.label = label
    z = y.tanh()
    picture = draw_dot([z, grad(z, g[0])])
    shown = Shown(picture)
    assert shown.box(expected, "x + 1", "—")
    assert shown.box("tanh(x + 1)", "—")
    ElementTree.fromstring(picture.pipe(encoding="utf-8"))


def test_labels_that_are_not_text():
    x = Value(1.0)
    x.label = None
    assert 'label="{  | data 1.0000' in draw_dot(x).source
    x.label = 7
    assert 'label="{ 7 | data 1.0000' in draw_dot(x).source


def test_a_huge_label_is_cut():
    assert len(escape("&" * 10_000_000)) < 10 * MAX_LABEL


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.5, "0.5000"),
        (-1e-9, "-0.0000"),
        (123456.789, "123456.7890"),
        (1e300, "1.0000e+300"),
        (float("inf"), "inf"),
        (float("nan"), "nan"),
    ],
)
def test_numbers_stay_short(number, text):
    assert f"data {text} |" in draw_dot(Value(number)).source


def test_a_number_past_float64_does_not_stop_a_picture():
    x = Value(1.0)
    x.data = -(10**400)
    assert "data -inf |" in draw_dot(x).source


def test_forward_and_backward_in_one_picture():
    y = parse("tanh(w*x + b)")
    g = y.graph
    w = g[g.leaves["w"]]
    dw = grad(y, w)
    shown = Shown(draw_dot([y, dw], at={"w": 1.0, "x": 2.0, "b": 0.5}))
    forward = shown.looks[shown.box("tanh(w*x + b)", "0.9866")]
    assert (forward["stroke"], forward["stroke-width"]) == ("black", "2")
    assert "stroke-dasharray" not in forward
    derived = shown.looks[shown.box("grad w", "*", "0.0532")]
    assert derived["stroke"] == "#d55e00"
    assert "stroke-dasharray" in derived
    assert derived["tooltip"].endswith("*x")
    assert "stroke-width" not in shown.looks[shown.box("w*x", "2.0000")]
    assert "dashed: derived by grad" in draw_dot([y, dw]).source
    assert "derived by grad" not in draw_dot(parse("x*x")).source


def test_labelled_parts_stand_for_themselves_in_formulas():
    g = Graph()
    n = g.input("x") * g.input("w") + g.input("b")
    n.label = "n"
    o = n.tanh()
    o.label = "my output"
    shown = Shown(draw_dot(o + 1 - (-n) ** 2))
    assert shown.box("my output", "tanh(n)", "—")
    assert shown.box("tanh(n) + 1 - (-n)**2", "—")


def test_values_are_shown_where_they_are_known():
    g = Graph()
    w, x = g.parameter("w", 2.0), g.input("x")
    shown = Shown(draw_dot(w * w + x))
    assert shown.box("w", "parameter", "2.0000")
    assert shown.box("x", "input", "—")
    assert shown.box("w*w", "4.0000")
    assert shown.box("w*w + x", "—")
    with pytest.raises(UnknownNameError, match="nope"):
        draw_dot(w * w, at={"nope": 1.0})


def test_a_constant_has_a_box_wherever_it_is_used():
    g = Graph()
    x = g.input("x")
    shown = Shown(draw_dot((x + 1) * (x - 1)))
    assert list(shown.boxes.values()).count(["1"]) == 2
    assert Shown(draw_dot(g.constant(2))).boxes == {"n0": ["constant", "2.0000"]}


def test_values_and_expressions_mix():
    w = Value(2.0, label="w")
    g = Graph()
    x = g.input("x")
    assert Shown(draw_dot([w * x, w])).box("w", "parameter", "2.0000")
    assert Shown(draw_dot(w * w, at={w: 3.0})).box("w*w", "9.0000")


def test_several_values():
    x = Value(3.0, label="x")
    a, b = x + 1, x * 2
    shown = Shown(draw_dot([a, b]))
    assert sum(texts[:1] == ["x"] for texts in shown.boxes.values()) == 1
    assert sum(len(texts) == 1 for texts in shown.boxes.values()) == 2


def test_the_same_expression_gives_the_same_picture():
    assert draw_dot(neuron()).source == draw_dot(neuron()).source
    sources = set()
    for _ in range(2):
        y = parse("tanh(w*x + b)")
        leaves = [y.graph[i] for i in y.graph.leaves.values()]
        sources.add(draw_dot([y, *grad(y, leaves)]).source)
    assert len(sources) == 1


def chain(length: int, start: Value | None = None) -> Value:
    value = start or Value(1.0)
    for _ in range(length):
        value = -value
    return value


def test_a_picture_nobody_can_read_is_refused():
    with pytest.raises(SizeError, match=f"100,001 boxes.*{MAX_BOXES:,}.*one neuron"):
        draw_dot(chain(100_000), collapse=False)
    g = Graph()
    x = g.input("x")
    for _ in range(MAX_BOXES):
        x = x + 1
    with pytest.raises(SizeError, match="4,001 boxes"):
        draw_dot(x, collapse=False)


def test_the_deepest_picture_that_is_drawn():
    assert draw_dot(chain(MAX_BOXES - 1), collapse=False).source.count("record") == MAX_BOXES


def test_what_is_in_no_layer_is_drawn_as_arrays_with_their_backward_passes():
    w, b = Value(0.3, label="w"), Value(0.1, label="b")
    xs = [Value(i / 10, label=f"x{i}") for i in range(40)]
    loss = sum((w * x + b).tanh() for x in xs)
    drawn = draw_dot([loss, *grad(loss, [w, b])]).source
    assert "40 × tanh" in drawn
    assert "x0 to x39" in drawn
    backward = next(line for line in drawn.splitlines() if "backward of 40 × tanh" in line)
    assert "dashed" in backward
    assert drawn.count("shape=record") < 20
    few = sum((w * x + b).tanh() for x in xs[:3])
    assert "3 × tanh" in draw_dot(few, collapse="array").source
    assert "3 × tanh" not in draw_dot(few).source


def test_a_long_chain_is_drawn_in_runs():
    drawn = draw_dot(chain(3_000)).source
    assert "operations 1 to 188" in drawn
    assert drawn.count("record") < 25


@pytest.mark.parametrize("rankdir", ["LEFT", "lr", "", None, 3])
def test_an_unknown_direction_lists_those_there_are(rankdir):
    with pytest.raises(UnknownNameError, match="BT, LR, RL, TB") as caught:
        draw_dot(Value(1.0), rankdir=rankdir)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("format", ["jpgg", "", None, 3])
def test_an_unknown_format_lists_those_there_are(format):
    with pytest.raises(ValueError, match=r"unknown format.*png.*svg"):
        draw_dot(Value(1.0), format=format)


@pytest.mark.parametrize("thing", [3.0, "x", None, [Value(1.0), 3], [], object()])
def test_what_cannot_be_drawn(thing):
    with pytest.raises(OperandError, match="draw"):
        draw_dot(thing)


def test_rendering_without_dot(tmp_path):
    picture = draw_dot(neuron(), format="png")
    assert isinstance(picture, graphviz.Digraph)
    assert picture.pipe().startswith(b"\x89PNG")
    assert "<svg" in picture.pipe(format="svg", encoding="utf-8")
    assert "<svg" in picture.pipe(format="svg", encoding="latin-1")
    assert "<svg" in picture._repr_mimebundle_()["image/svg+xml"]
    assert "<svg" in copy.deepcopy(picture)._repr_image_svg_xml()
    assert picture.render(outfile=tmp_path / "a.svg") == str(tmp_path / "a.svg")
    assert "<svg" in (tmp_path / "a.svg").read_text(encoding="utf-8")
    assert picture.render(tmp_path / "b", cleanup=True) == str(tmp_path / "b.png")
    assert (tmp_path / "b.png").read_bytes().startswith(b"\x89PNG")
    assert not (tmp_path / "b").exists()
    with pytest.raises(FileExistsError):
        picture.render(outfile=tmp_path / "a.svg", raise_if_result_exists=True)
    with pytest.raises(graphviz.CalledProcessError):
        picture.pipe(format="pdf")


def test_rendering_says_nothing_about_character_widths(capfd):
    draw_dot(Value(1.0, label="häßlich")).pipe()
    assert capfd.readouterr() == ("", "")


def test_drawing_leaves_graphviz_as_it_was():
    before = (os.environ["PATH"], graphviz.backend.dot_command.DOT_BINARY)
    draw_dot(neuron()).pipe()
    assert (os.environ["PATH"], graphviz.backend.dot_command.DOT_BINARY) == before
    with pytest.raises(graphviz.ExecutableNotFound):
        graphviz.Digraph().pipe(format="svg")


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in for dot is a shell script")
def test_a_dot_on_the_path_is_used(monkeypatch, tmp_path):
    program = tmp_path / "dot"
    program.write_text('#!/bin/sh\necho "dot $*"; while read -r line; do :; done\n')
    program.chmod(0o755)
    picture = draw_dot(neuron())
    assert picture.pipe(encoding="utf-8") == "dot -Kdot -Tsvg\n"
    assert picture.pipe() == b"dot -Kdot -Tsvg\n"
    picture.render(tmp_path / "drawn")
    assert (tmp_path / "drawn.svg").read_text() == "dot -Kdot -Tsvg\n"


def test_without_any_program_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr(rendering, "_graphviz_pure", lambda: None)
    with pytest.raises(graphviz.ExecutableNotFound, match="pip install graphviz-pure"):
        draw_dot(neuron()).pipe()


def test_the_program_is_found_in_each_place(monkeypatch, tmp_path):
    real = Path(rendering._graphviz_pure())
    assert real.is_file()
    listed = rendering._installed_program()
    assert listed is None or Path(listed).resolve() == real.resolve()
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(rendering, "_installed_program", lambda: None)
    assert rendering._graphviz_pure() is None
    (tmp_path / real.name).symlink_to(real)
    assert rendering._graphviz_pure() == str(tmp_path / real.name)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "elsewhere" / "python"))
    assert rendering._graphviz_pure() == str(tmp_path / real.name)


# -- both passes in one picture -------------------------------------------------------------------


def back_edges(picture):
    """Consumer, operand and label of each dashed edge, by the first cells of the boxes."""
    svg = ElementTree.fromstring(picture.pipe(format="svg", encoding="utf-8"))
    names = {name: texts[0] for name, texts in Shown(picture).boxes.items()}
    found = []
    for part in svg.iter(f"{SVG}g"):
        dashes = [path.get("stroke-dasharray") for path in part.iter(f"{SVG}path")]
        if part.get("class") == "edge" and dashes[0]:
            tail, _, head = part.findtext(f"{SVG}title").partition("->")
            (label,) = [text.text for text in part.iter(f"{SVG}text")]
            found.append((names[head], names[tail], label))
    return sorted(found)


def test_local_derivatives_stand_on_the_way_back():
    y = parse("(a + b)*(b + 1)")
    picture = draw_dot(y, backward=True, at={"a": 2, "b": 1})
    assert back_edges(picture) == [
        ("v1 = a + b", "a", "×1"),
        ("v1 = a + b", "b", "×1"),
        ("v2 = b + 1", "b", "×1"),
        ("v3 = v1*v2", "v1 = a + b", "×2"),
        ("v3 = v1*v2", "v2 = b + 1", "×3"),
    ]
    shown = Shown(picture)
    assert shown.box("b", "data 1.0000", "grad 5.0000")
    assert shown.box("v1 = a + b", "data 3.0000", "grad 2.0000")
    assert shown.box("v3 = v1*v2", "data 6.0000", "grad 1.0000")
    assert "multiplies by the local derivative" in picture.source


def test_every_drawn_gradient_is_the_one_that_grad_derives():
    y = parse("tanh(w*x + b)**2/x + relu(w - b)*exp(-x)")
    at = {"w": 0.5, "x": 1.25, "b": -0.75}
    shown = Shown(draw_dot(y, backward=True, at=at))
    leaves = [y.graph[node] for node in y.graph.leaves.values()]
    for leaf, slope in zip(leaves, evaluate(grad(y, leaves), at), strict=True):
        assert shown.box(leaf.label, f"data {at[leaf.label]:.4f}", f"grad {slope:.4f}")


def test_without_numbers_local_derivatives_are_formulas():
    picture = draw_dot(parse("tanh(w*x)"), backward=True)
    assert back_edges(picture) == [
        ("v1 = w*x", "w", "×x"),
        ("v1 = w*x", "x", "×w"),
        ("v2 = tanh(v1)", "v1 = w*x", "×(1 - v2*v2)"),
    ]
    assert Shown(picture).box("w", "data —", "grad —")


def test_only_the_way_to_the_leaves_asked_for_goes_back():
    y = parse("a*b + c")
    a = y.graph[y.graph.leaves["a"]]
    assert [edge[:2] for edge in back_edges(draw_dot(y, backward=a))] == [
        ("v1 = a*b", "a"),
        ("v2 = v1 + c", "v1 = a*b"),
    ]
    assert Shown(draw_dot(y, backward=[a])).box("c", "data —")


def test_an_edge_that_nothing_passes_is_dotted():
    source = draw_dot(parse("relu(x)"), backward=True, at={"x": -1}).source
    assert "style=dotted" in source
    assert "style=dotted" not in draw_dot(parse("relu(x)"), backward=True, at={"x": 1}).source


def test_both_passes_of_a_value_and_its_hostile_labels():
    x = Value(2.0, label="x")
    for label in HOSTILE:
        y = x * x + 1
        y.label = label
        assert Shown(draw_dot(y, backward=True)).box("x", "data 2.0000", "grad 4.0000")


def test_backward_wants_one_scalar_output():
    x = Value(2.0, label="x")
    with pytest.raises(OperandError, match="one output; got 2"):
        draw_dot([x * x, x + 1], backward=True)
    with pytest.raises(OperandError, match="draws scalars"):
        draw_dot(Graph().array("a", (3,)).tanh(), backward=True)


# -- networks and arrays --------------------------------------------------------------------------


def network_loss(sizes=(3, 4, 4, 1)):
    net = MLP(sizes[0], list(sizes[1:]), seed=0)
    g = Graph()
    x, y = g.inputs("x", sizes[0]), g.input("y")
    return net, (net(x) - y) ** 2


def test_a_large_network_is_drawn_by_neuron_and_says_so():
    net, loss = network_loss()
    picture = draw_dot([loss, *grad(loss, net.parameters())])
    titles = [texts[0] for texts in Shown(picture).boxes.values()]
    for layer, neurons in enumerate((4, 4, 1)):
        for neuron in range(neurons):
            assert titles.count(f"neuron {neuron} of layer {layer}") == 1
            assert titles.count(f"backward of neuron {neuron} of layer {layer}") == 1
    nodes = len(loss.graph)
    assert f"{nodes} nodes in {len(titles)} boxes" in picture.source


def test_the_counts_in_the_boxes_add_up():
    _, loss = network_loss()
    picture = draw_dot(loss, collapse="neuron")
    contents = [texts[1] for texts in Shown(picture).boxes.values() if texts[0].startswith("neu")]
    # 3 weights, a bias, 3 products, 3 sums and tanh; one more weight, product and sum each later
    assert sorted(contents) == sorted(
        ["11 nodes: 4 parameters, 3 mul, 3 add, 1 tanh"] * 4
        + ["14 nodes: 5 parameters, 4 mul, 4 add, 1 tanh"] * 5
    )


def test_very_large_networks_are_drawn_by_layer():
    _, loss = network_loss((30, 120, 40, 1))
    titles = [texts[0] for texts in Shown(draw_dot(loss)).boxes.values()]
    assert {"x0 to x29", "layer 0", "layer 1", "layer 2"} <= set(titles)
    assert len(titles) < 10


def test_collapsing_can_be_asked_for_and_refused():
    _, loss = network_loss((2, 2, 1))
    assert len(Shown(draw_dot(loss)).boxes) == len(live_nodes(loss.graph, [loss.id]))
    by_layer = Shown(draw_dot(loss, collapse="layer"))
    assert by_layer.box("layer 0", "16 nodes: 6 parameters, 4 mul, 4 add, 2 tanh")
    big = network_loss()[1]
    assert len(Shown(draw_dot(big, collapse=False)).boxes) > 100
    with pytest.raises(UnknownNameError, match="layer, neuron"):
        draw_dot(loss, collapse="branch")


def test_several_samples_share_the_boxes_of_their_neurons():
    net = MLP(3, [4, 4, 1], seed=0)
    samples = [[2.0, 3.0, -1.0], [3.0, -1.0, 0.5], [0.5, 1.0, 1.0], [1.0, 1.0, -1.0]]
    loss = sum((net(x) - 1.0) ** 2 for x in samples)
    shown = Shown(draw_dot(loss))
    assert shown.box("neuron 0 of layer 0", "32 nodes: 12 mul, 12 add, 4 parameters, 4 tanh")
    assert len(Shown(draw_dot(loss, collapse=False)).boxes) > 300


def test_a_graph_of_arrays_is_drawn_as_the_matrices_it_is():
    g = Graph()
    w, x, b = g.array("W", (4, 3)), g.array("x", 3), g.array("b", 4)
    loss = sum_over((w @ x + b).tanh())
    shown = Shown(draw_dot(loss))
    assert shown.box("W", "input", "4 × 3")
    source = draw_dot(loss).source
    assert "rounded: an array" in source
    assert source.count("Mrecord") == len(extract([loss]).shapes)


def test_what_is_rolled_is_drawn_as_its_statements():
    net, loss = network_loss()
    rolled = roll([loss, *grad(loss, net.parameters())])
    shown = Shown(draw_dot(rolled))
    assert shown.box("w0", "4 × 3")
    computed = [str(s) for s in rolled.statements if len(str(s)) <= MAX_LABEL and "<" not in str(s)]
    assert len(computed) > 5
    assert all(any(texts[0] == text for texts in shown.boxes.values()) for text in computed)
    assert draw_dot(rolled).source.count("Mrecord") == len(shown.boxes)


def test_the_formats_listed_are_those_that_can_be_written_here(monkeypatch):
    monkeypatch.setattr(rendering.shutil, "which", lambda name, **_: None)
    with pytest.raises(UnknownNameError, match=r"png.*svg") as caught:
        draw_dot(Value(1.0), format="foo")
    assert "pdf" not in str(caught.value)
    monkeypatch.setattr(rendering.shutil, "which", lambda name, **_: "/usr/bin/dot")
    with pytest.raises(UnknownNameError, match=r"known:.* pdf, "):
        draw_dot(Value(1.0), format="foo")


def test_the_formats_of_graphviz_pure_are_those_it_names():
    with pytest.raises(graphviz.CalledProcessError) as caught:
        rendering._layout("dot", "foo", b"digraph { a -> b }")
    named = caught.value.stderr.decode().partition("Use one of:")[2]
    assert named.split() == list(rendering.PURE_FORMATS)


def test_arrays_that_carry_numbers_are_drawn():
    g = Graph()
    weights = g.array_parameter("W", np.ones((3, 2)))
    loss = sum_over((weights @ g.array_parameter("x", [0.25, 0.25])).tanh())
    shown = Shown(draw_dot([loss, grad(loss, weights)]))
    assert shown.box("tanh(W @ x)", "3")
    assert shown.box("sum_over(tanh(W @ x))", f"{3 * math.tanh(0.5):.4f}")


@pytest.mark.parametrize("wrt", [3, None, "x", ["x"], [2.0]])
def test_backward_is_of_leaves(wrt):
    x = Graph().input("x")
    with pytest.raises(OperandError, match="expected True, a leaf, or a sequence of leaves"):
        draw_dot(x * x, backward=wrt)


def test_a_notebook_shows_a_picture_within_the_page(monkeypatch):
    drawn = draw_dot(Value(1.0, label="a") * Value(2.0, label="b"))
    bundle = drawn._repr_mimebundle_()
    style = '<svg style="font-size-adjust: ch-width 0.556; max-width: max(100%, '
    assert bundle["image/svg+xml"].startswith(style)
    assert bundle["text/html"] == bundle["image/svg+xml"]
    assert repr(drawn) == "<picture of 3 edges>"
    monkeypatch.setattr("wengert.draw.picture._graphviz_pure", lambda: None)
    assert "pictures need Graphviz" in drawn._repr_mimebundle_()["text/plain"]


@pytest.mark.parametrize("samples", [1, 2])
def test_edges_between_neurons_show_their_weights(samples):
    net = MLP(2, [2, 1], seed=0)
    for neuron, (first, second) in zip(
        net.layers[0].neurons, [(4.0, -2.0), (1.0, 0.0)], strict=True
    ):
        neuron.w[0].data, neuron.w[1].data = first, second
    g = Graph()
    outs = [net(g.inputs(f"x{i}_", 2)) for i in range(samples)]
    source = draw_dot(sum(outs), collapse="neuron").source
    looks = re.findall(r'-> .*color="(#\w+)" penwidth=([\d.]+) tooltip="?([-\d.]+)', source)
    assert {
        ("#0072B2", "4", "4"),
        ("#D55E00", "2.2", "-2"),
        ("#0072B2", "1.3", "1"),
        ("#0072B2", "0.4", "0"),
    } < set(looks)
    assert "blue: a weight above 0, orange: below, to ±4 by width" in source


@pytest.mark.parametrize("rankdir", ["LR", "TB"])
def test_the_neurons_of_a_layer_stand_in_order(rankdir):
    net = MLP(3, [6, 5, 1], seed=0)
    out = net(Graph().inputs("x", 3))
    drawn = draw_dot(grad(out * out, net.parameters())[0], collapse="neuron", rankdir=rankdir)
    found = {}
    for line in drawn.pipe(format="plain", encoding="utf-8").splitlines():
        match = re.match(r"node \S+ (\S+) (\S+) .*?(backward of )?neuron (\d+) of (layer \d)", line)
        if match:
            across = float(match[1]) if rankdir == "TB" else -float(match[2])
            found.setdefault((match[3], match[5]), []).append((across, int(match[4])))
    assert len(found) >= 4
    for places in found.values():
        numbers = [number for _, number in sorted(places)]
        assert numbers == sorted(numbers)
