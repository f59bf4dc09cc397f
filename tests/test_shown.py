"""What notebooks show: something worth reading of every object, and no error where it is not."""

import io
import json
import re

import browser
import graphviz
import pytest

import wengert as wg
from wengert.draw import picture
from wengert.notebook import MAX_LINES, MAX_PARAMETERS, listing
from wengert.terminal import shows_progress


def shown(thing):
    return thing._repr_mimebundle_(include=None, exclude=None)


@pytest.fixture
def y():
    g = wg.Graph()
    return wg.log(1 + wg.exp(g.input("a"))) * 2


def test_a_value_is_a_picture_and_a_leaf_its_text():
    x = wg.Value(2.0, label="x")
    assert shown(x) == {}
    svg = shown((x * x).tanh())["image/svg+xml"]
    assert svg.startswith("<svg")
    assert "data 2.0000" in svg


def test_a_graph_is_drawn_from_its_ends(y):
    svg = shown(y.graph)["image/svg+xml"]
    assert svg.count('class="node"') >= 4
    assert shown(wg.Graph()) == {}


@pytest.mark.parametrize(
    "net",
    [wg.Neuron(3, seed=0), wg.Layer(2, 3, seed=0), wg.MLP(3, [4, 4, 1], seed=0)],
    ids=["neuron", "layer", "mlp"],
)
def test_a_network_is_drawn(net):
    assert "<svg" in shown(net)["image/svg+xml"]


def test_a_large_network_is_drawn_by_layers_and_a_larger_one_not_at_all():
    svg = shown(wg.MLP(8, [24, 10], seed=0))["image/svg+xml"]
    assert svg.count('class="node"') < 10
    net = wg.MLP(64, [80], seed=0)
    assert len(net.parameters()) > MAX_PARAMETERS
    assert shown(net) == {}


def test_what_has_too_many_boxes_is_drawn_in_runs_or_is_text(monkeypatch):
    total = x = wg.Value(1.0, label="x")
    for _ in range(MAX_LINES):
        total = total * x + x
    assert shown(total)["image/svg+xml"].count('class="node"') < 20
    monkeypatch.setattr("wengert.notebook.MAX_LINES", 3)
    assert shown(total) == {}


def test_without_graphviz_there_is_text_and_no_error(monkeypatch, y):
    def missing(*arguments, **options):
        raise graphviz.ExecutableNotFound(["dot"])

    monkeypatch.setattr(picture, "_layout", missing)
    monkeypatch.setattr(picture.shutil, "which", lambda *arguments, **options: None)
    assert shown(y.graph) == {}


def test_a_program_that_fails_to_draw_leaves_the_text(monkeypatch, y):
    def fail(*arguments, **options):
        raise graphviz.CalledProcessError(1, "dot", b"", b"no such font\n")

    monkeypatch.setattr(graphviz.Digraph, "pipe", fail)
    assert shown(y.graph) == {}


def test_a_rolled_graph_is_a_picture_and_index_notation():
    g = wg.Graph()
    rolled = wg.roll([wg.MLP(3, [4, 1], seed=0)(g.inputs("x", 3))])
    html = shown(rolled)["text/html"]
    assert "<svg" in html
    assert "<mo>∑</mo>" in html
    assert "rounded: an array" in wg.draw_dot(rolled).source


def test_statements_are_set_as_maths():
    a = wg.Graph().inputs("a", 3)
    rolled = wg.roll([x.tanh() for x in a])
    markup = shown(rolled.statements[0])["text/html"]
    assert markup.startswith("<math><msub")
    assert markup in shown(rolled)["text/html"]


def test_the_words_of_a_picture_stay_in_their_boxes_in_any_font():
    page = shown(wg.roll([sum(x * x.tanh() for x in wg.Graph().inputs("x", 4))]))
    with browser.chromium() as tab:
        tab.open("about:blank")
        markup = page["text/html"].replace("Helvetica", "DejaVu Sans")
        tab.run(f"document.body.innerHTML = {json.dumps(markup)}, 1")
        over = tab.run(
            """[...document.querySelectorAll("svg .node")].flatMap((node) => {
              const box = node.querySelector("path, polygon").getBoundingClientRect();
              return [...node.querySelectorAll("text")].filter((text) => {
                const words = text.getBoundingClientRect();
                return words.left < box.left || words.right > box.right;
              }).map((text) => text.textContent);
            })"""
        )
    assert over == []


def test_bars_are_seen_in_terminals_and_in_notebooks_with_widgets(monkeypatch):
    monkeypatch.setattr("sys.stderr", io.StringIO())
    assert not shows_progress()
    stream = type("OutStream", (io.StringIO,), {"__module__": "ipykernel.iostream"})()
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setattr("wengert.terminal.find_spec", lambda name: None)
    assert not shows_progress()
    monkeypatch.setattr("wengert.terminal.find_spec", lambda name: name)
    assert shows_progress()


def test_a_compiled_function_is_its_code_in_colours(y):
    (a,) = (y.graph["a"],)
    f = wg.compile({"a": a}, {"y": y, "dy": wg.grad(y, a)})
    html = shown(f)["text/html"]
    assert re.search(r'<span style="color: [^"]*keyword[^"]*">def</span> f\(a\):', html)
    plain = re.sub(r"<span style=\"opacity: 0.5\">[^<]*</span>", "", html)
    text = re.sub("<[^>]+>", "", plain).replace("&quot;", '"').replace("&gt;", ">")
    assert text.replace("&lt;", "<").replace("&#x27;", "'") == f.source
    assert repr(f.report()) == str(f.report())


def test_code_that_is_not_python_is_plain():
    html = listing("function f(a) { return a < 1; }\n")
    assert "a &lt; 1" in html
    assert "keyword" not in html


def test_a_report_is_a_table_and_its_text(y):
    report = wg.compile({"a": y.graph["a"]}, y).report()
    assert report._repr_html_().count("<tr>") == str(report).count("\n") + 1


def test_what_holds_records_says_what_they_are(y):
    rolled = wg.roll([y])
    walk = wg.explain(y)
    assert repr(rolled.statements[0]) == f"<statement {rolled.statements[0]}>"
    assert repr(wg.LOSSES["hinge"]) == "<loss hinge>"
    assert repr(walk.steps[1]) == f"<step {walk.steps[1].id}: {walk.steps[1].title}>"
    assert repr(walk.judge()) == "<step agreement: They agree.>"
    assert "<td>a</td>" in walk.judge()._repr_html_()
    assert repr(walk.nodes[-1]).startswith("<node n")


def test_a_proof_is_a_table(y):
    html = shown(wg.verify(y, y.graph["a"]))["text/html"]
    assert "Every check held" in html
    assert html.count("<tr") > 5
    assert "lies in" in shown(wg.ranges(y, {y.graph["a"]: (-1.0, 1.0)}))["text/html"]


def test_a_mistake_is_a_table(y):
    html = wg.explain(y, at={"a": 1.0}).mistake("order")._repr_html_()
    assert "<table>" in html
    assert "The first wrong step" in html


def test_a_history_is_its_curve():
    history = wg.History([4.0, 2.0, 1.0], "finished", 0.25)
    assert history._repr_png_().startswith(b"\x89PNG")
    assert history.plot()._repr_png_().startswith(b"\x89PNG")
    assert wg.History([], "interrupted", 0.0)._repr_png_() is None


def test_a_traced_function_is_the_code_compiled_last():
    w = wg.Value(2.0)

    @wg.function
    def loss(x):
        return (w * x).tanh()

    assert shown(loss) == {}
    loss(0.5)
    assert "def" in shown(loss)["text/html"]
    assert repr(loss.report()).startswith("loss: 1 compiled")
