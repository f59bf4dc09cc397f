"""The page of a walk-through, in a real headless Chromium."""

import json
import math
import re
from html.parser import HTMLParser

import browser
import pytest

from wengert.explain import explain
from wengert.explain.command import read_formulas
from wengert.explain.page import html, notebook
from wengert.explain.walkthrough import Backward, Code, Forward, Paths
from wengert.graph.backward import grad
from wengert.graph.evaluation import evaluate
from wengert.graph.expr import Graph
from wengert.graph.ops import exp, log, relu, tanh, where
from wengert.graph.parse import parse
from wengert.nn import MLP

# One worker starts one browser.
pytestmark = pytest.mark.xdist_group("browser")

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
    assert tab.complaints() == []
    assert tab.requests() == [page.as_uri()]


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
    index = colah.steps.index(step)
    for _ in range(index):
        tab.press("ArrowRight")
    marked = "[...document.querySelectorAll('svg .on-path')].map((x) => x.id)"
    for i, path in enumerate(step.shown):
        tab.run(f"document.querySelectorAll('.step.current .show-path')[{i}].click()")
        assert set(tab.run(marked)) == {f"figure-{x}" for x in (*path.nodes, *path.edges)}


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
    tab.run("document.getElementById('slider-1').focus()")
    before = row(tab, "L")
    tab.press("ArrowRight")
    assert current(tab) == "step-question"
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
    assert row(tab, "L")[0] == "nan"
    infinite = explain(parse("x*2"), at={"x": math.inf})
    assert row(shown(infinite), "x")[0] == "inf"


def test_what_the_sliders_do_not_move_says_so(shown, colah):
    tab = shown(colah)
    stale = "[...document.querySelectorAll('.stale')].map((note) => note.hidden)"
    assert tab.run(stale) == [True, True, True]
    move(tab, 0, 4.0)
    assert tab.run(stale) == [False, False, False]


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
    assert row(tab, "c") == ["?", "?"]
    assert answer(tab, "4").startswith("Not that")
    assert answer(tab, "-3").startswith("Right but for the sign")
    assert answer(tab, "a ^^ b").startswith("That cannot be read")
    assert tab.run(formula).endswith("=?")
    assert answer(tab, "3").startswith("Right:")
    assert tab.run(formula).endswith("=3")


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


@pytest.mark.parametrize("formula", ["tanh(w*x + b)", "where(a > b, a, b)**3/a", "x", "x*x*x"])
def test_a_page_in_formulas_alone(shown, formula):
    tab = shown(explain(parse(formula)))
    tab.press("End")
    assert tab.run("document.querySelectorAll('.sliders').length") == 0
    assert "undefined" not in tab.run("document.body.innerText")


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

    EMPTY = frozenset(("meta", "input", "path", "rect"))

    def __init__(self):
        super().__init__()
        self.open, self.ids = [], []

    def handle_starttag(self, tag, attributes):
        if tag not in self.EMPTY:
            self.open.append(tag)
        self.ids += [value for name, value in attributes if name == "id"]

    def handle_startendtag(self, tag, attributes):
        self.ids += [value for name, value in attributes if name == "id"]

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
    page.write_text(notebook(neuron).replace(' sandbox="allow-scripts"', ""), encoding="utf-8")
    tab.open(page)
    inside = "document.querySelector('iframe').contentDocument"
    tab.run(f"{inside}.getElementById('next').click()")
    assert tab.run(f"{inside}.querySelector('.step.current').id") == f"step-{neuron.steps[1].id}"
    assert tab.complaints() == []


def test_in_a_notebook_it_stays_in_a_frame(neuron):
    framed = notebook(neuron)
    assert framed.startswith("<iframe sandbox=")
    assert framed.count("<") == 2
    assert html(neuron).count("<") == framed.count("&lt;")
