"""The page of a walk-through, in a real headless Chromium."""

import base64
import importlib
import json
import math
import re
from html import escape
from html.parser import HTMLParser
from importlib.resources import files

import browser
import pytest
from breaking import other_rules

from wengert.derive.backward import grad
from wengert.explain import explain
from wengert.explain.data import Backward, Code, Forward, Paths
from wengert.explain.page.page import html, notebook
from wengert.graph.evaluation import evaluate
from wengert.graph.expr import Graph
from wengert.notation.formulas import read_formulas
from wengert.notation.mathml import from_latex
from wengert.notation.parse import parse
from wengert.ops.scalar import TANH, exp, log, relu, tanh, where
from wengert.train.nn import MLP

# One worker starts one browser.
pytestmark = pytest.mark.xdist_group("browser")

# `wengert.explain` is the function; the package of that name is found by import alone.
livejudges = importlib.import_module("wengert.explain.page.programs")

NEURON = {"w1": -3.0, "x1": 2.0, "w2": 1.0, "x2": 0.0, "b": 6.8813735870195432}


@pytest.fixture(scope="module")
def tab():
    with browser.chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def neuron():
    return explain(parse("tanh(w1*x1 + w2*x2 + b)"), at=NEURON)


@pytest.fixture(scope="module")
def colah():
    return explain(read_formulas("c = a + b; d = b + 1; e = c*d"), at={"a": 2, "b": 1})


@pytest.fixture
def shown(tab, tmp_path):
    """Shows a walk-through; afterwards checks that the page was silent and asked for nothing."""
    page = tmp_path / "page.html"

    def show(w, **options):
        page.write_text(html(w), encoding="utf-8")
        tab.open(page, **options)
        return tab

    yield show
    tab.send("Emulation.clearDeviceMetricsOverride")
    assert tab.complaints() == []
    asked, *fonts = tab.requests()
    assert asked == page.as_uri()
    assert all(address.startswith("data:font/woff2;base64,") for address in fonts)


def current(tab):
    return tab.run("document.querySelector('.step.current').id")


def numbers(tab):
    """Every number of the page by its place, unrounded."""
    spots = "[...document.querySelectorAll('[data-n]')]"
    pairs = tab.run(f"{spots}.map((s) => [s.dataset.n, s.dataset.value])")
    found = {}
    for place, value in pairs:
        assert found.setdefault(int(place), value) == value
    return {place: float(value.replace("Infinity", "inf")) for place, value in found.items()}


def move(tab, leaf, value):
    """Type a number into the field of a leaf."""
    field = f"document.querySelector('input[type=number][data-leaf=\"{leaf}\"]')"
    tab.run(f"{field}.value = '{value!r}'")
    tab.run(f"{field}.dispatchEvent(new Event('input', {{bubbles: true}}))")


def row(tab, name):
    """What the table says of a node: its value and its derivative."""
    rows = "[...document.querySelectorAll('.more tbody tr')]"
    text = tab.run(
        f"{rows}.filter((r) => r.children[0].textContent.trim() === '{name}')"
        ".map((r) => [r.children[2].textContent, r.children[3].textContent])[0]"
    )
    return [part.replace("−", "-") for part in text]


def exact(tab, node):
    """What the picture holds for a node, unrounded: its value and its derivative, if any."""
    spots = f"[...document.querySelectorAll('#figure-{node} [data-n]')]"
    found = [
        float(text.replace("Infinity", "inf"))
        for text in tab.run(f"{spots}.map((s) => s.dataset.value)")
    ]
    return [*found, None][:2]


# -- steps ----------------------------------------------------------------------------------------


def test_keys_walk_through_every_step_and_stop_at_the_ends(shown, neuron):
    tab = shown(neuron)
    ids = [f"step-{step.id}" for step in neuron.steps]
    assert current(tab) == ids[0]
    seen = [current(tab)]
    for _ in range(len(ids) + 2):
        tab.press("ArrowRight")
        seen.append(current(tab))
    assert seen == [*ids, ids[-1], ids[-1], ids[-1]]
    tab.press("ArrowLeft")
    assert current(tab) == ids[-2]
    tab.press("Home")
    tab.press("ArrowLeft")
    assert current(tab) == ids[0]
    tab.press("End")
    assert current(tab) == ids[-1]


def test_buttons_the_list_and_links_go_to_steps(shown, colah):
    tab = shown(colah)
    ids = [f"step-{step.id}" for step in colah.steps]
    tab.run("document.getElementById('next').click()")
    tab.run("document.getElementById('next').click()")
    assert current(tab) == ids[2]
    tab.run("document.getElementById('previous').click()")
    assert current(tab) == ids[1]
    assert tab.run("document.getElementById('jump').length") == len(ids)
    tab.run(
        "(() => { const list = document.getElementById('jump'); list.value = '7';"
        "list.dispatchEvent(new Event('change')); })()"
    )
    assert current(tab) == ids[7]
    assert tab.run("location.hash") == f"#{ids[7]}"
    tab.run("document.querySelector('.step.current a[href^=\"#step-\"]').click()")
    assert current(tab) != ids[7]


def test_only_the_step_at_hand_is_seen_and_it_is_announced(shown, neuron):
    tab = shown(neuron)
    tab.press("ArrowRight")
    visible = "[...document.querySelectorAll('.step')].filter((s) => s.offsetHeight > 0).length"
    assert tab.run(visible) == 1
    assert tab.run("document.getElementById('status').textContent") == (
        f"Step 2 of {len(neuron.steps)}, Forward: v1 = w1*x1 = −6"
    )
    assert tab.run("document.getElementById('status').getAttribute('aria-live')") == "polite"


def test_the_picture_shows_what_is_known_so_far(shown, colah):
    tab = shown(colah)
    digits = "[...document.querySelectorAll('svg .number')].map((s) => s.textContent).join(' ')"
    order = [node.name for node in colah.nodes if node.kind != "constant"]
    assert order == ["a", "b", "c", "d", "e"]
    assert tab.run(digits) == "2 — 1 — — — — — — —"
    tab.press("ArrowRight")
    assert tab.run(digits) == "2 — 1 — 3 — — — — —"
    for _ in range(3):
        tab.press("ArrowRight")
    assert tab.run(digits) == "2 — 1 — 3 — 2 — 6 1"
    tab.press("End")
    assert tab.run(digits) == "2 2 1 5 3 2 2 3 6 1"


def test_contributions_accumulate_in_the_boxes(shown, colah):
    tab = shown(colah)
    box = f"document.querySelector('#figure-{colah.by_name('b').id} .number.derived').textContent"
    seen = []
    for _ in colah.steps:
        seen.append(tab.run(box))
        tab.press("ArrowRight")
    assert list(dict.fromkeys(seen)) == ["—", "3 …", "5 …", "5"]
    tab.press("Home")
    tab.run("document.getElementById('predict').click()")
    tab.run("location.hash = '#step-backward-n4'")
    tab.run("new Promise((done) => setTimeout(done, 0))")
    assert tab.run(box) == "—"


def test_a_nudge_is_shown_beside_what_the_slope_promises(shown):
    tab = shown(explain(parse("w*w*x"), at={"w": 3, "x": 1}))
    tab.run("document.querySelector('#slope summary').click()")
    tab.run("new Promise((done) => setTimeout(done, 50))")
    said = "document.getElementById('slope-said').textContent"
    assert tab.run(said) == "Nudged by 0.5, the slope 6 promises a change of 3; it is 3.25."
    assert tab.run("document.querySelectorAll('#slope-curve .tangent').length") == 1
    move(tab, 0, 1.0)
    assert "the slope 2 promises a change of 1; it is 1.25" in tab.run(said)
    tab.run("document.getElementById('slope-leaf').value = '1'")
    tab.run("document.getElementById('slope-leaf').dispatchEvent(new Event('input'))")
    assert "the slope 1 promises a change of 0.5; it is 0.5" in tab.run(said)


def test_a_map_over_two_leaves_has_its_boundary_where_the_output_is_0(shown):
    tab = shown(explain(parse("w1*x1 + w2*x2"), at={"x1": 0, "x2": 0, "w1": 1, "w2": 0}))
    tab.run("document.querySelector('#plane summary').click()")
    said = "document.getElementById('plane-said').textContent"
    drawn = "new Promise((done) => setTimeout(done, 400))"
    tab.run(drawn)
    text = (
        "x₁ from −2 to 2 across, x₂ from −2 to 2 up. L goes from −1.95 to 1.95; blue is above 0, "
    )
    assert tab.run(said) == text + "orange below."
    orange = """(() => {
        const copy = new OffscreenCanvas(240, 240).getContext("2d", { willReadFrequently: true });
        copy.drawImage(document.getElementById("plane-map"), 0, 0);
        return [20, 220].map((x) => copy.getImageData(x, 60, 1, 1).data).map((c) => c[0] > c[2]);
    })()"""
    assert tab.run(orange) == [True, False]
    move(tab, 0, -1)
    tab.run(drawn)
    assert tab.run(orange) == [False, True]


def test_each_step_marks_its_node_its_edges_and_its_line(shown, neuron):
    tab = shown(neuron)
    (code,) = [step for step in neuron.steps if isinstance(step, Code)]
    lines = {carried.step: carried.line for carried in code.lines}
    for step in neuron.steps:
        marked = set(tab.run("[...document.querySelectorAll('svg .current')].map((x) => x.id)"))
        expected = {f"figure-{step.node}"}
        if isinstance(step, Backward):
            expected |= {f"figure-{p.edge}" for p in step.passes if p.wanted}
        assert marked == expected, step.id
        dashed = tab.run("[...document.querySelectorAll('svg .turn')].map((x) => x.id)")
        assert dashed == ([f"figure-{step.node}"] if step.part in (2, 3) else []), step.id
        lit = tab.run("[...document.querySelectorAll('.line.lit')].map((x) => x.id)")
        assert lit == ([f"line-{lines[step.id]}"] if lines.get(step.id) else []), step.id
        tab.press("ArrowRight")
    source = tab.run("document.querySelector('.code code').textContent")
    assert source == code.source


def test_a_path_can_be_shown_in_the_picture(shown, colah):
    tab = shown(colah)
    (step,) = [s for s in colah.steps if isinstance(s, Paths) and s.count == 2]
    tab.run(f"location.hash = '#step-{step.id}'")
    tab.run("new Promise((done) => setTimeout(done, 0))")
    assert current(tab) == f"step-{step.id}"
    marked = "[...document.querySelectorAll('svg .on-path')].map((x) => x.id)"
    for i, path in enumerate(step.shown):
        tab.run(f"document.querySelectorAll('.step.current .show-path')[{i}].click()")
        assert set(tab.run(marked)) == {f"figure-{x}" for x in (*path.nodes, *path.edges)}


def test_the_place_is_said_and_the_end_keeps_the_focus(shown, colah):
    tab = shown(colah)
    count = len(colah.steps)
    assert tab.run("document.getElementById('place').textContent") == f"step 1 of {count}"
    tab.run("document.getElementById('next').focus()")
    for _ in range(count + 1):
        tab.press("Enter")
    assert tab.run("document.getElementById('place').textContent") == f"step {count} of {count}"
    assert tab.run("document.activeElement.id") == "next"
    assert tab.run("document.activeElement.getAttribute('aria-disabled')") == "true"


PLACES = ("#next", ".step.current", "#figure svg", "#sliders")


@pytest.mark.parametrize(("width", "height"), [(760, 760), (1100, 700), (640, 450), (390, 844)])
def test_words_come_before_the_picture_where_there_is_no_room_for_both(
    shown, neuron, tmp_path, width, height
):
    tab = shown(neuron)
    tab.run("location.hash = '#step-backward-n9'")
    tab.screenshot(tmp_path / "shot.png", width=width, height=height)
    top = "document.querySelector('{}').getBoundingClientRect().top"
    places = [tab.run(top.format(part)) for part in PLACES]
    assert places == sorted(places)
    heading = tab.run("document.querySelector('.step.current h2').getBoundingClientRect().bottom")
    assert heading < height


@pytest.mark.parametrize("formula", ["x**x", "x*x", "a*b - c*a"])
def test_no_label_of_the_picture_covers_another(shown, formula):
    tab = shown(explain(parse(formula)).at(dict.fromkeys(parse(formula).graph.leaves, -2.0)))
    tab.press("End")
    boxes = tab.run(
        "[...document.querySelectorAll('svg text')].map((t) => t.getBoundingClientRect())"
        ".map((b) => [b.left, b.right, b.top, b.bottom])"
    )
    for i, (left, right, top, bottom) in enumerate(boxes):
        for other in boxes[:i]:
            across = min(right, other[1]) - max(left, other[0])
            down = min(bottom, other[3]) - max(top, other[2])
            assert across <= 0 or down <= 2


def test_negative_numbers_stand_in_brackets(shown):
    tab = shown(explain(parse("a*b - a"), at={"a": -3, "b": -2}))
    text = "document.querySelector('#step-forward-n{} .formula').textContent"
    assert tab.run(text.format(2)).endswith("=(−3)·(−2)=6")
    assert tab.run(text.format(3)).endswith("6−(−3)=9")
    move(tab, 0, 5.0)
    assert tab.run(text.format(3)).endswith("=−10−5=−15")


def test_an_edge_that_nothing_passes_has_no_arrowhead(shown):
    tab = shown(explain(parse("relu(x)*2"), at={"x": -1}))
    style = "getComputedStyle(document.querySelector('svg .edge.blocked .back')).markerStart"
    assert tab.run(style) == "none"


def test_a_neuron_prints_on_one_page(shown, neuron):
    tab = shown(neuron)
    pdf = base64.b64decode(tab.send("Page.printToPDF", paperWidth=8.27, paperHeight=11.69)["data"])
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) == 1


def test_a_handout_without_answers(shown, colah):
    tab = shown(colah)
    tab.run("document.getElementById('predict').click()")
    tab.run("dispatchEvent(new Event('beforeprint'))")
    found = tab.run(
        "[...document.querySelectorAll('#steps [data-n], svg [data-n]')].map((s) => s.textContent)"
    )
    assert "?" in found
    total = tab.run("document.querySelector('#step-backward-n1 h2').textContent")
    assert total.endswith("=?")
    tab.run("dispatchEvent(new Event('afterprint'))")


# -- numbers --------------------------------------------------------------------------------------


def cases():
    g = Graph()
    a, b, c = (g.input(name) for name in "abc")
    bent = where(a > b, relu(a * c), exp(b) / (1 + c * c)) + log(abs(a) + 1) ** 3 - a * a
    yield "bent", bent, [a, b, c], [(0.5, -1.0, 2.0), (-0.5, 1.0, 0.25), (-7.5, 0.0, 3.0)]
    x = g.inputs("x", 2)
    loss = (MLP(2, [2, 1], seed=1)(x) - 0.5) ** 2
    yield "network", loss, x, [(0.5, -1.0), (2.0, 0.125)]
    yield "same operand", tanh(a * a + a), [a], [(0.5,), (-1.25,)]


@pytest.mark.parametrize(
    ("output", "leaves", "points"), [c[1:] for c in cases()], ids=[c[0] for c in cases()]
)
def test_sliders_agree_with_the_interpreter(shown, output, leaves, points):
    w = explain(output, at=dict(zip(leaves, points[0], strict=True)))
    sliders = [w.node(id).name for id in w.steps[0].leaves]
    tab = shown(w)
    for point in points:
        at = dict(zip(leaves, point, strict=True))
        for leaf, value in at.items():
            move(tab, sliders.index(leaf.label), value)
        again = explain(output, at=at)
        for node in again.nodes:
            if node.kind != "constant":
                expected = [node.value, node.adjoint]
                for got, right in zip(exact(tab, node.id), expected, strict=True):
                    assert right is None or got == pytest.approx(right, rel=1e-12), (node, point)
        derivatives = grad(output, leaves)
        for leaf, right in zip(leaves, evaluate(derivatives, at), strict=True):
            assert exact(tab, again.by_name(leaf.label).id)[1] == pytest.approx(right, rel=1e-12)


def test_every_number_of_the_page_follows(shown, colah):
    """Against a page made for the new values: the same places, the same numbers, the same text."""
    tab = shown(colah)
    tab.press("End")
    move(tab, 0, -1.5)
    move(tab, 1, 0.75)
    moved = numbers(tab)
    texts = "[...document.querySelectorAll('#steps [data-n]')].map((s) => s.textContent)"
    moved_texts = tab.run(texts)
    fresh = explain(read_formulas("c = a + b; d = b + 1; e = c*d"), at={"a": -1.5, "b": 0.75})
    tab = shown(fresh)
    tab.press("End")
    expected = numbers(tab)
    assert moved.keys() == expected.keys()
    for place, number in expected.items():
        assert moved[place] == pytest.approx(number, rel=1e-12)
    assert moved_texts == tab.run(texts)


def test_script_and_document_write_numbers_alike(shown, tab, tmp_path):
    w = explain(parse("a*1e9 + b/3e7 - c"), at={"a": -1.23456789, "b": 1, "c": 123456.25})
    texts = "[...document.querySelectorAll('[data-n]')].map((s) => s.textContent)"
    still = shown(w, scripts=False).run(texts)
    live = shown(w)
    live.press("End")
    assert live.run(texts) == still
    assert {"−1.23457e+09", "3.33333e−08"} <= set(still)


def test_moving_a_real_slider_by_key_moves_no_step(shown, neuron):
    tab = shown(neuron)
    tab.press("End")
    tab.run("document.getElementById('slider-1').focus()")
    before = row(tab, "L")
    tab.press("ArrowRight")
    assert current(tab) == "step-update"
    assert row(tab, "L") != before
    assert tab.run("document.querySelector('input[type=number][data-leaf=\"1\"]').value") != "2"
    tab.run("document.getElementById('reset').click()")
    assert row(tab, "L") == before


def test_an_edge_that_nothing_passes_is_marked_as_such(shown):
    tab = shown(explain(parse("relu(x)*2"), at={"x": 1}))
    blocked = "document.querySelectorAll('svg .edge.blocked').length"
    assert tab.run(blocked) == 0
    move(tab, 0, -1.0)
    assert tab.run(blocked) == 1
    assert tab.run("document.querySelectorAll('.pass.blocked').length") == 1


def test_numbers_that_are_not_finite_are_shown_and_the_first_marked(shown):
    w = explain(parse("exp(x)*0"), at={"x": 1000})
    tab = shown(w)
    assert w.first_non_finite is not None
    step = f"#step-{w.first_non_finite}"
    assert "not finite" in tab.run(f"document.querySelector('{step}').textContent")
    assert row(tab, "L")[0] == "—"
    tab.press("End")
    assert row(tab, "L")[0] == "nan"
    infinite = explain(parse("x*2"), at={"x": math.inf})
    assert row(shown(infinite), "x")[0] == "inf"


def test_what_the_sliders_do_not_move_says_so(shown, colah):
    tab = shown(colah)
    stale = "[...document.querySelectorAll('.stale')].map((note) => note.hidden)"
    assert tab.run(stale) == [True]
    move(tab, 0, 4.0)
    assert tab.run(stale) == [False]


def test_the_first_number_that_is_not_finite_is_found_anew(shown):
    tab = shown(explain(parse("exp(x)*y - x"), at={"x": 1, "y": 1}))
    marks = "[...document.querySelectorAll('.first')].filter((p) => !p.hidden)"
    assert tab.run(f"{marks}.length") == 0
    move(tab, 0, 1000.0)
    fresh = explain(parse("exp(x)*y - x"), at={"x": 1000, "y": 1})
    where = tab.run(f"{marks}.map((p) => p.closest('.step').id)")
    assert where == [f"step-{fresh.first_non_finite}"]
    move(tab, 0, 1.0)
    assert tab.run(f"{marks}.length") == 0


# -- judges ---------------------------------------------------------------------------------------


def cells(tab, what):
    """The cells of the tables of steps 5 and 7 by key: "text" or unrounded "dataset.value"."""
    spots = "[...document.querySelectorAll('[data-live]')]"
    return dict(tab.run(f"{spots}.map((s) => [s.dataset.live, s.{what}])"))


def judged():
    yield "neuron", parse("tanh(w1*x1 + w2*x2 + b)"), NEURON, {"x1": -0.5, "b": 1.25}
    kinks = parse("where(a > b, relu(a*c), exp(b)/(1 + c*c)) + log(abs(a) + 1)**3 - 0.1*a*a")
    yield "kinks", kinks, {"a": 0.5, "b": -1, "c": 2}, {"a": -7.5, "c": 0.25}
    yield "held", parse("stop_gradient(a*b)*a + tanh(b)"), {"a": 2, "b": 0.5}, {"a": -3.0, "b": 1}
    yield "saturated", parse("tanh(a)**2"), {"a": 0.5}, {"a": 400.0}
    yield "overflow", parse("exp(a) + b"), {"a": 1, "b": 2}, {"a": 1000.0}
    yield "long", parse("softplus(a)*sigmoid(b) + maximum(a, b)"), {"a": 1, "b": 2}, {"a": -30.0}
    yield "names", parse("compute*forward + simplified"), {}, {"compute": 2.0, "forward": 3.0}


@pytest.mark.parametrize(
    ("output", "at", "moved"), [c[1:] for c in judged()], ids=[c[0] for c in judged()]
)
def test_the_judges_and_the_update_follow_the_sliders(shown, output, at, moved):
    start = dict.fromkeys(output.graph.leaves, 1.0) | at
    w = explain(output, at=start)
    tab = shown(w)
    before = cells(tab, "textContent")
    for name, value in moved.items():
        move(tab, list(w.values).index(name), float(value))
    fresh = explain(output, at=start | moved)
    agreement, update = fresh.step("agreement"), fresh.step("update")
    texts, values = cells(tab, "textContent"), cells(tab, "dataset.value")

    def number(key):
        return float(values[key].replace("Infinity", "inf")) if values[key] else None

    assert texts["conclusion"] == agreement.conclusion
    for i, row in enumerate(agreement.rows):
        assert number(f"graph-{i}") == pytest.approx(row.graph, rel=1e-12, nan_ok=True)
        assert number(f"compiled-{i}") == pytest.approx(row.compiled, rel=1e-12, nan_ok=True)
        assert number(f"sympy-{i}") == pytest.approx(row.sympy, rel=1e-9, nan_ok=True)
        slope = pytest.approx(row.difference, rel=1e-7, abs=1e-7, nan_ok=True)
        assert number(f"difference-{i}") == slope
        assert texts[f"agree-{i}"] == ("NO" if not row.agrees else "—" if row.note else "yes")
        assert (row.note in texts["notes"]) or not row.note
    for i, rate in enumerate(update.rates):
        assert number(f"new-{i}") == pytest.approx(rate.new_output, rel=1e-12)
        assert number(f"predicted-{i}") == pytest.approx(rate.predicted, rel=1e-12)
        room = 1e-12 * max(1.0, abs(update.before)) if math.isfinite(update.before) else None
        assert number(f"actual-{i}") == pytest.approx(rate.actual, rel=0, abs=room, nan_ok=True)
        assert texts[f"verdict-{i}"] == rate.note
    tab.run("document.getElementById('reset').click()")
    assert cells(tab, "textContent") == before


def test_the_page_of_a_collapsed_network_is_judged_too(shown):
    g = Graph()
    x = g.inputs("x", 2)
    loss = (MLP(2, [2, 1], seed=1)(x) - 0.5) ** 2
    w = explain(loss, x, at={x[0]: 1.0, x[1]: -2.0}, collapse=True)
    tab = shown(w)
    leaf = list(w.values).index("x0")
    move(tab, leaf, 0.25)
    texts, values = cells(tab, "textContent"), cells(tab, "dataset.value")
    fresh = explain(loss, x, at={x[0]: 0.25, x[1]: -2.0})
    assert texts["conclusion"] == "They agree on every leaf."
    for i, row in enumerate(fresh.step("agreement").rows):
        for way in ("graph", "sympy", "compiled"):
            assert float(values[f"{way}-{i}"]) == pytest.approx(row.graph, rel=1e-9)


def test_steps_downhill_are_taken_by_the_compiled_program(shown):
    w = explain(parse("(w*x - 1)**2"), at={"w": 3, "x": 1}, rates=(0.01, 0.1))
    tab = shown(w)
    tab.press("End")
    tab.run("document.querySelector('.train').click()")
    assert tab.run(
        "document.querySelector('input[type=number][data-leaf=\"0\"]').valueAsNumber"
    ) == (pytest.approx(3 - 0.1 * 2 * 2))
    tab.run("document.querySelectorAll('.train')[1].click()")
    said = tab.run("document.getElementById('trained').textContent")
    assert said.startswith("51 steps: from 4 to ")
    points = tab.run("document.querySelector('#curve polyline').getAttribute('points')").split()
    heights = [float(point.split(",")[1]) for point in points]
    assert len(points) == 52
    assert heights == sorted(heights)
    assert tab.run("document.getElementById('curve').getBoundingClientRect().height") > 0
    tab.run("document.getElementById('start-again').click()")
    assert tab.run("document.getElementById('trained').textContent") == ""
    assert row(tab, "w")[0] == "3"


@pytest.mark.parametrize("level", [1, 2, 3])
def test_practice_is_fresh_and_its_answers_are_right(shown, colah, level):
    tab = shown(colah)
    made = tab.run(
        f"""Array.from({{ length: 8 }}, () => {{
          const found = PRACTICE.fresh({level});
          const line = (n, i) => n.kind ? [`${{n.name}} = ${{PRACTICE.text(found, i)}}`] : [];
          const lines = found.nodes.flatMap(line);
          const leaves = found.nodes.filter((n) => !n.kind).map((n) => [n.name, n.value]);
          return [lines.join("; "), leaves, found.nodes[found.asked].name, found.answer];
        }})"""
    )
    assert len({text for text, *_ in made}) > 4
    for text, leaves, asked, answer in made:
        output = read_formulas(text)
        at = {name: value for name, value in leaves if name in output.graph.leaves}
        assert explain(output, at=at).by_name(asked).adjoint == pytest.approx(answer, rel=1e-9)
        if level > 1:
            assert len(re.findall(rf"\b{asked}\b", text)) > 1


def test_practice_judges_what_is_typed_and_shows_how(shown, colah):
    tab = shown(colah)
    tab.run("document.querySelector('#practice summary').click()")
    tab.run("new Promise((done) => setTimeout(done, 50))")
    typed = (
        "document.getElementById('typed').value = {!r};"
        "document.getElementById('answer').requestSubmit();"
        "document.getElementById('judged').textContent"
    )
    assert tab.run(typed.format("1234567")).startswith("Not 1234567. Which shares arrive at ")
    tab.run("document.getElementById('solve').click()")
    assert tab.run("document.querySelectorAll('#solution li').length") > 4
    last = tab.run("[...document.querySelectorAll('#solution math')].map((m) => m.textContent)")
    name = tab.run("document.getElementById('asked').textContent").strip().split("∂")[2][0]
    answer = next(line for line in last if line.startswith(f"∂L∂{name}=")).split("=")[-1]
    assert tab.run(typed.format(answer)).startswith(f"Right: {answer}. 0 of 1 without looking")


def test_what_is_pointed_at_lights_up_in_the_picture(shown, colah):
    tab = shown(colah)
    tab.run("location.hash = '#step-backward-n5'")
    tab.run("new Promise((done) => setTimeout(done, 0))")
    step = colah.step("backward-n5")
    edge = step.passes[0].edge
    pass_ = f'.step.current [data-edge="{edge}"]'
    event = "new PointerEvent('pointerover', {{bubbles: true}})"
    tab.run(f"document.querySelector('{pass_} dt').dispatchEvent({event.format()})")
    lit = "[...document.querySelectorAll('.pointed')].map((part) => part.id || part.className)"
    assert tab.run(lit) == ["pass pointed", f"figure-{edge}"]
    tab.run(f"document.querySelector('#figure-{edge} path').dispatchEvent({event.format()})")
    assert tab.run(lit) == ["pass pointed", f"figure-{edge}"]
    tab.run(f"document.body.dispatchEvent({event.format()})")
    assert tab.run(lit) == []


def test_it_plays_and_pauses(shown, colah):
    tab = shown(colah)
    name = "document.getElementById('play').textContent"
    tab.run("document.getElementById('play').click()")
    assert tab.run(name) == "Pause"
    tab.press("ArrowRight")
    assert tab.run(name) == "Play"


def test_the_stable_form_follows_the_sliders(shown):
    tab = shown(explain(parse("log(1 + exp(x))"), at={"x": 1}))
    move(tab, 0, 800)
    cells = "[...document.querySelectorAll('#step-stable [data-live]')].map((s) => s.textContent)"
    assert tab.run(cells) == ["nan", "1"]
    # sympy's formula overflows, its stable form does not.
    rows = "[...document.querySelectorAll('#step-agreement tbody td')].map((s) => s.textContent)"
    assert tab.run(rows) == ["nan", "1", "nan", "1", "yes"]
    text = tab.run("document.getElementById('step-agreement').textContent")
    assert "Those that are finite agree." in text
    assert "x: rule by rule it is nan, the others agree." in text
    update = "document.getElementById('step-update')"
    live = f"[...{update}.querySelectorAll('[data-live]')].map((s) => s.textContent)"
    assert tab.run(live)[:6] == ["800", "1", "0.001", "0.001", "799.999", "as predicted, to 1%"]


def test_at_a_kink_the_page_says_what_is_taken(shown):
    tab = shown(explain(parse("relu(x)*2"), at={"x": 1}))
    move(tab, 0, 0.0)
    (row,) = explain(parse("relu(x)*2"), at={"x": 0}).step("agreement").rows
    assert not row.agrees
    assert "convention" in row.note
    assert cells(tab, "textContent")["notes"] == f"x: {row.note}."
    assert tab.run("document.querySelectorAll('tr.wrong [data-live=\"agree-0\"]').length") == 1


def test_a_broken_rule_is_caught_in_the_page(shown):
    wrong = lambda ct, out, x: ct * (1 - out)  # noqa: E731
    with other_rules(TANH, (wrong,)):
        tab = shown(explain(parse("tanh(a*b)"), at={"a": 0.5, "b": 1}))
    move(tab, 0, 1.5)
    found = cells(tab, "textContent")
    assert found["conclusion"] == "They disagree about a and b."
    assert "sympy and the difference quotient say otherwise" in found["notes"]


def test_what_sympy_cannot_print_is_a_dash_once_the_leaves_move(shown, monkeypatch):
    monkeypatch.setattr(livejudges, "too_long", lambda claim: True)
    tab = shown(explain(parse("tanh(a*b)"), at={"a": 0.5, "b": 1}))
    assert cells(tab, "textContent")["sympy-0"] not in ("", "—")
    move(tab, 0, 1.5)
    found = cells(tab, "textContent")
    assert [found["sympy-0"], found["agree-0"]] == ["—", "yes"]
    assert found["conclusion"] == "They agree on every leaf."


# -- the font -------------------------------------------------------------------------------------

EVERY_SIGN = (
    r"\frac{\partial L}{\partial w_{1}} = \left(\sqrt{\frac{a}{b}} - \left|c\right|\right)^{2} "
    r"\cdot \sum_{i} \tanh\left(\alpha + \Omega + h\right) \times \lVert g \rVert \to x \le y "
    r"\ge z \ne 1 \wedge a \vee b, \infty \ldots \begin{cases} x^{\top} & \text{if } a < b \\ [y] "
    r"& \text{otherwise} \end{cases} + \operatorname{leaky\_relu} + 0123456789 - \mathrm{rate\_max}"
    r"\odot a \oslash b \oplus c"
)


def fonts_of(tab, selector):
    """The fonts that the text of an element is drawn with: (family, whether it came along)."""
    for domain in ("DOM", "CSS"):
        tab.send(f"{domain}.enable")
    root = tab.send("DOM.getDocument")["root"]["nodeId"]
    found = set()
    for node in tab.send("DOM.querySelectorAll", nodeId=root, selector=selector)["nodeIds"]:
        used = tab.send("CSS.getPlatformFontsForNode", nodeId=node)["fonts"]
        found |= {(font["familyName"], font["isCustomFont"]) for font in used}
    for domain in ("CSS", "DOM"):
        tab.send(f"{domain}.disable")
    return found


def test_every_sign_of_a_formula_is_in_the_font_that_comes_along(shown, neuron):
    tab = shown(neuron)
    letters = "".join(map(chr, [*range(0x21, 0x7F), *range(0x3B1, 0x3CA)]))
    single = "".join(f"<mi>{escape(c)}</mi>" for c in letters)
    formula = from_latex(EVERY_SIGN).replace("<math>", f'<math id="signs">{single}')
    tab.run(f"document.body.insertAdjacentHTML('beforeend', {json.dumps(formula)})")
    tab.run("document.fonts.ready.then(() => document.fonts.status)")
    assert fonts_of(tab, "#signs, #signs *") == {("Wengert Math", True)}
    assert fonts_of(tab, "math, math *") == {("Wengert Math", True)}


def test_brackets_and_roots_grow(shown):
    tab = shown(explain(parse("tanh(sqrt(a/b)/(1 + a/b))"), at={"a": 1, "b": 2}))
    tab.run("document.fonts.ready.then(() => 1)")
    tall = "(x) => x.getBoundingClientRect().height"
    bracket = tab.run(f"({tall})(document.querySelector('h1 mo[fence]'))")
    letter = tab.run(f"({tall})(document.querySelector('h1 mi'))")
    root = tab.run(f"({tall})(document.querySelector('h1 msqrt'))")
    fraction = tab.run(f"({tall})(document.querySelector('h1 msqrt mfrac'))")
    assert bracket > 2 * letter
    assert root > fraction > letter


def test_the_font_carries_its_name_and_its_licence():
    folder = files("wengert.explain.page")
    font = folder.joinpath("math.woff2").read_bytes()
    licence = folder.joinpath("math.OFL.txt").read_text(encoding="utf-8")
    assert font[:4] == b"wOF2"
    assert "SIL OPEN FONT LICENSE Version 1.1" in licence
    assert "Reserved Font Name TM Math" in licence
    assert "Wengert Math" in licence


# -- predict --------------------------------------------------------------------------------------


def answer(tab, typed, question=0):
    tab.run(
        f"(() => {{ const box = document.querySelectorAll('.question')[{question}];"
        f"box.querySelector('input').value = {json.dumps(typed)};"
        "box.querySelector('button[type=submit]').click(); })()"
    )
    return tab.run(f"document.querySelectorAll('.question')[{question}].lastChild.textContent")


def test_predict_mode_hides_numbers_until_they_are_answered(shown, colah):
    tab = shown(colah)
    tab.run("document.getElementById('predict').click()")
    tab.press("ArrowRight")
    formula = "document.querySelector('.step.current .formula').textContent"
    assert tab.run(formula).endswith("=?")
    hidden = "[...document.querySelectorAll('#slope, #plane')].map((part) => part.hidden)"
    assert tab.run(hidden) == [True, True]
    assert row(tab, "c") == ["?", "—"]
    assert answer(tab, "4").startswith("Not that")
    assert answer(tab, "-3").startswith("Right but for the sign")
    assert answer(tab, "a ^^ b").startswith("That cannot be read")
    assert tab.run(formula).endswith("=?")
    assert answer(tab, "3").startswith("Right:")
    assert tab.run(formula).endswith("=3")


def test_what_a_question_builds_on_is_shown(shown, colah):
    tab = shown(colah)
    tab.run("document.getElementById('predict').click()")
    d = colah.by_name("d")
    while current(tab) != f"step-backward-{d.id}":
        tab.press("ArrowRight")
    box = f"[...document.querySelectorAll('#figure-{d.id} .number')].map((s) => s.textContent)"
    assert tab.run(box) == ["2", "3"]
    edge = f"document.querySelector('#figure-{colah.by_name('b').id}-{d.id}-0 .local').textContent"
    assert tab.run(edge) == "×?"


@pytest.mark.parametrize("typed", ["a + b", "b+a", "2*a/2 − -b", "c", "(a^2 + a*b)/a", "∂e/∂d"])
def test_an_answer_may_be_any_equivalent_formula(shown, colah, typed):
    tab = shown(colah)
    tab.run("document.getElementById('predict').click()")
    tab.press("ArrowRight")
    assert answer(tab, typed).startswith("Right:")


def test_a_formula_that_is_right_by_chance_is_told_apart(shown, colah):
    tab = shown(colah)
    tab.run("document.getElementById('predict').click()")
    tab.press("ArrowRight")
    assert "not in general" in answer(tab, "a*b + 1")


# -- without this, without that -------------------------------------------------------------------


def test_without_a_script_it_is_a_document(shown, colah):
    tab = shown(colah, scripts=False)
    hidden = "[...document.querySelectorAll('.step')].filter((s) => s.offsetHeight === 0).length"
    assert tab.run(hidden) == 0
    assert tab.run("document.querySelectorAll('.step').length") == len(colah.steps)
    text = tab.run("document.body.innerText")
    for said in ("How does e change", "Ready: both consumers", "sympy proves", "return {"):
        assert said in text
    controls = "[...document.querySelectorAll('.script')].every((s) => s.offsetHeight === 0)"
    assert tab.run(controls)
    assert row(tab, "b") == ["1", "5"]


FORMULAS = ["tanh(w*x + b)", "where(a > b, a, b)**3/a", "x", "x*x*x"]


@pytest.mark.parametrize("formula", FORMULAS)
def test_a_page_in_formulas_alone(shown, formula):
    w = explain(parse(formula))
    tab = shown(w)
    tab.press("End")
    assert current(tab) == f"step-{w.steps[-1].id}"
    said = tab.run("document.body.innerText")
    assert "undefined" not in said
    assert tab.run("[...document.querySelectorAll('svg .number')].length") == 0
    still = shown(w, scripts=False)
    assert still.run("document.getElementById('sliders').offsetHeight") == 0


@pytest.mark.parametrize("formula", FORMULAS)
def test_a_page_in_formulas_turns_to_numbers_and_back(shown, formula):
    w = explain(parse(formula))
    tab = shown(w)
    tab.press("ArrowRight")
    # What is out of sight is left out of innerText until it is drawn.
    tab.run(
        "for (const part of document.querySelector('.more').children) "
        "part.style.contentVisibility = 'visible'"
    )
    before = tab.run("document.querySelector('main').innerText")
    point = dict(w.step("agreement").point)
    assert tab.run("document.getElementById('reset').offsetHeight") == 0
    tab.run("document.getElementById('try').click()")
    check_numbers(tab, w.at(point))
    assert tab.run("document.getElementById('try').offsetHeight") == 0
    tab.run("document.getElementById('reset').click()")
    assert tab.run("document.querySelector('main').innerText") == before
    for i, name in enumerate(point):
        move(tab, i, 0.5 + i)
        point[name] = 0.5 + i
    check_numbers(tab, w.at(point))
    assert current(tab) == f"step-{w.steps[1].id}"
    tab.run("document.getElementById('reset').click()")
    assert tab.run("document.querySelector('main').innerText") == before
    assert tab.run("document.querySelectorAll('svg .number').length") == 0


def test_weights_keep_their_values_when_numbers_are_tried(shown):
    g = Graph()
    x = g.inputs("x", 2)
    net = MLP(2, [1], seed=3)
    w = explain(net(x))
    tab = shown(w)
    tab.run("document.getElementById('try').click()")
    carried = {p.label: p.data for p in net.parameters()}
    for name, value in carried.items():
        assert exact(tab, w.by_name(name).id)[0] == value


def check_numbers(tab, w):
    """Every number of the picture and the steps of the page are those of `w`."""
    assert tab.run("document.querySelectorAll('.step').length") == len(w.steps)
    for node in w.nodes:
        if node.kind != "constant":
            for got, right in zip(exact(tab, node.id), [node.value, node.adjoint], strict=True):
                assert right is None or got == pytest.approx(right, rel=1e-12), node
    assert cells(tab, "textContent")["conclusion"] == w.step("agreement").conclusion


HOSTILE = [
    "</script><script>window.hacked = 1</script>",
    "<img src='http://example.org/x' onerror='window.hacked = 1'>",
    '"><svg onload=window.hacked=1>',
    "<!--",
    "javascript:alert(1)",
    "\u202e} | <TABLE><TR><TD/></TR></TABLE>",
]


@pytest.mark.parametrize("label", HOSTILE)
@pytest.mark.parametrize("collapse", [False, True])
def test_labels_are_only_text(shown, label, collapse):
    g = Graph()
    x, y = g.inputs("x", 2)
    inner = tanh(x * y) * x
    inner.label = label
    out = inner * inner + y
    out.label = label[::-1]
    tab = shown(explain(out, at={x: 0.5, y: 2.0}, collapse=collapse))
    tab.press("ArrowRight")
    tab.press("End")
    assert tab.run("window.hacked === undefined")
    assert (
        tab.run("document.querySelectorAll('img, script:not(:last-of-type), table table').length")
        == 0
    )
    assert tab.run("document.querySelectorAll('script').length") == 1
    move(tab, 0, 1.5)


def test_the_policy_lets_no_other_script_or_address_in(tab, tmp_path, neuron):
    page = tmp_path / "page.html"
    text = html(neuron).replace(
        "</main>",
        "<script>window.hacked = 1</script><img src='http://example.org/x' alt=''></main>",
    )
    page.write_text(text, encoding="utf-8")
    tab.open(page)
    assert tab.run("window.hacked === undefined")
    assert len(tab.complaints()) == 2
    assert all("Content Security Policy" in said for said in tab.complaints())
    assert current(tab) == "step-question"


def test_dark_mode_and_contrast(shown, colah):
    tab = shown(colah)
    for theme in ("light", "dark"):
        tab.send(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": theme}],
        )
        style = "getComputedStyle(document.documentElement).getPropertyValue('{}')"
        colours = {
            name: luminance(tab.run(style.format(f"--{name}")).strip())
            for name in ("paper", "panel", "ink", "soft", "forward", "backward", "right")
        }
        assert (colours["paper"] < 0.1) == (theme == "dark")
        for name in ("ink", "soft", "forward", "backward", "right"):
            for ground in ("paper", "panel"):
                low, high = sorted((colours[name], colours[ground]))
                assert (high + 0.05) / (low + 0.05) >= 4.5, (theme, name, ground)
    tab.send("Emulation.setEmulatedMedia", features=[])


def luminance(colour):
    """Relative luminance, WCAG 2.2."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_every_control_has_a_name(shown, neuron):
    tab = shown(neuron)
    tree = tab.send("Accessibility.getFullAXTree")["nodes"]
    roles = {"button", "slider", "spinbutton", "combobox", "checkbox", "link", "image"}
    named = [
        (node["role"]["value"], node.get("name", {}).get("value"))
        for node in tree
        if not node["ignored"] and node["role"]["value"] in roles
    ]
    assert {role for role, _ in named} >= {"button", "slider", "spinbutton", "combobox"}
    assert all(name for _, name in named), named


def test_nothing_sticks_out_on_a_narrow_screen(shown, neuron):
    tab = shown(neuron)
    tab.send(
        "Emulation.setDeviceMetricsOverride",
        width=360,
        height=800,
        deviceScaleFactor=1,
        mobile=False,
    )
    for _ in range(9):
        tab.press("ArrowRight")
    assert tab.run("document.documentElement.scrollWidth") <= 360
    tab.send("Emulation.clearDeviceMetricsOverride")


# -- the text -------------------------------------------------------------------------------------


class Balanced(HTMLParser):
    """Fails unless every element that is opened is closed, in order, and ids are unique."""

    EMPTY = frozenset(("meta", "input", "path", "rect", "wbr"))

    def __init__(self):
        super().__init__()
        self.open, self.ids = [], []

    def handle_starttag(self, tag, attributes):
        if tag not in self.EMPTY:
            self.open.append(tag)
        self.note(attributes)

    def handle_startendtag(self, tag, attributes):
        self.note(attributes)

    def note(self, attributes):
        """An id; what is in a template is no part of the document."""
        place = "template" in self.open
        self.ids += [(place, value) for name, value in attributes if name == "id"]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_one_small_sound_file(neuron, colah):
    for w in (neuron, colah, explain(parse("relu(x) - x"))):
        text = html(w)
        assert len(text.encode()) < 500_000
        assert text == html(w)
        parser = Balanced()
        parser.feed(text)
        assert parser.open == []
        assert len(set(parser.ids)) == len(parser.ids)
        assert set(re.findall(r'https?://[^\s"<)]+', text)) <= {"http://www.w3.org/2000/svg"}
        assert "default-src 'none'" in text
        for step in w.steps:
            if isinstance(step, Forward):
                assert f'id="step-{step.id}"' in text


def test_in_the_frame_of_a_notebook_it_works(tab, tmp_path, neuron):
    page = tmp_path / "cell.html"
    # Without the sandbox, so that the test can look inside.
    page.write_text(
        notebook(neuron.html(), neuron.title).replace(' sandbox="allow-scripts"', ""),
        encoding="utf-8",
    )
    tab.open(page)
    inside = "document.querySelector('iframe').contentDocument"
    tab.run(f"{inside}.getElementById('next').click()")
    assert tab.run(f"{inside}.querySelector('.step.current').id") == f"step-{neuron.steps[1].id}"
    assert tab.complaints() == []


def test_in_a_notebook_it_stays_in_a_frame(neuron):
    framed = notebook(neuron.html(), neuron.title)
    assert framed.startswith("<iframe sandbox=")
    assert framed.count("<") == 2
    assert html(neuron).count("<") == framed.count("&lt;")


def test_a_wide_picture_starts_at_its_left_and_goes_to_the_step(tab, tmp_path, neuron):
    page = tmp_path / "page.html"
    page.write_text(neuron.html(), encoding="utf-8")
    tab.send(
        "Emulation.setDeviceMetricsOverride",
        width=390,
        height=844,
        deviceScaleFactor=1,
        mobile=False,
    )
    tab.open(page)
    scrolled = "document.querySelector('#figure .scroll').scrollLeft"
    assert tab.run(scrolled) == 0
    tab.run("location.hash = 'step-seed'")
    tab.run("new Promise((done) => setTimeout(done, 50))")
    assert tab.run(scrolled) > 100
    tab.send("Emulation.clearDeviceMetricsOverride")


@pytest.mark.parametrize(
    "at", [{"a": math.nan, "b": 1}, {"a": math.inf, "b": 0}, {"a": -1, "b": 2}]
)
def test_pictures_of_what_is_not_finite_say_so_or_have_gaps(shown, at):
    tab = shown(explain(parse("log(a)*b"), at=at))
    for part in ("slope", "plane"):
        tab.run(f"document.querySelector('#{part} summary').click()")
    tab.run("new Promise((done) => setTimeout(done, 100))")
    tab.run("document.querySelector('.train').click()")
    tab.run("new Promise((done) => setTimeout(done, 400))")
    assert tab.run("document.getElementById('plane-said').textContent").startswith("a from ")
    assert "NaN" not in tab.run("document.getElementById('slope-curve').innerHTML")
