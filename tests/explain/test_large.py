"""Large expressions: they open as layers, and their page computes, finds, judges and trains."""

import json
import sys

import browser
import pytest

import wengert as wg
from wengert.draw.groups import nesting
from wengert.explain.large.groups import Groups
from wengert.explain.large.page import html


def moons():
    net = wg.MLP(2, [8, 8, 1], seed=0)
    x = [wg.Value(0.5, label="x0"), wg.Value(-0.3, label="x1")]
    return (net(x) - 1.0) ** 2


@pytest.fixture(scope="module")
def loss():
    return moons()


@pytest.fixture(scope="module")
def network(loss):
    return wg.explain(loss)


@pytest.fixture(scope="module")
def tab():
    with browser.chromium() as opened:
        yield opened


@pytest.fixture
def shown(tab, tmp_path):
    """Shows a walk-through; afterwards checks that the page was silent."""
    page = tmp_path / "page.html"

    def show(w, **options):
        page.write_text(html(w), encoding="utf-8")
        tab.open(page, **options)
        return tab

    yield show
    tab.send("Emulation.clearDeviceMetricsOverride")
    assert tab.complaints() == []


def boxes(tab):
    """The names of the boxes that can be seen, groups by their titles."""
    found = tab.run(
        "[...document.querySelectorAll('#graph .node')].map(g => g.getAttribute('data-name'))"
    )
    return list(found)


def press(tab, selector):
    tab.run(
        f"document.querySelector({selector!r})"
        ".dispatchEvent(new MouseEvent('click', { bubbles: true }))"
    )


def find(tab, name):
    """Types a name into the search field and takes the first that is found; all that are."""
    return tab.run(
        f"""(() => {{
          const field = document.getElementById("search");
          field.value = {name!r};
          field.dispatchEvent(new Event("input"));
          const found = [...document.querySelectorAll("#found li")].map((li) => li.textContent);
          field.dispatchEvent(new KeyboardEvent("keydown", {{ key: "Enter", bubbles: true }}));
          return found;
        }})()"""
    )


def heading(tab):
    return tab.run("document.getElementById('heading').textContent")


# -- in Python -------------------------------------------------------------------------------------


def test_steps_are_made_when_they_are_looked_at(loss, network):
    made = network.steps
    assert len(made) > 600
    step = network.step("seed")
    assert step.title == "∂L/∂L = 1"
    assert network.steps[0].kind == "question"
    assert len(made._made) < 10
    ids = [step.id for step in network]
    assert len(set(ids)) == len(made)
    assert [step.id for step in network.part(2)] == ["seed"]


def test_its_numbers_are_those_of_backward(loss, network):
    loss.backward()
    for leaf in ("w0_3_1", "b1_5", "w2_0_7"):
        value = next(v for v in wg.graph.value.topological(loss) if v.label == leaf)
        assert network.by_name(leaf).adjoint == pytest.approx(value.grad, rel=1e-12)


def test_the_text_is_layers_in_order_with_counts_and_index_notation(network):
    text = network.text(width=100, color=False)
    assert text.index("layer 0") < text.index("layer 1") < text.index("layer 2")
    assert "8 neurons, 72 parameters, 136 operations" in text
    assert "h0[i] = tanh(b0[i] + Σ_j w0[i, j]·x[j])" in text
    assert "dw0[i, j] = x[j]·dn0[i]" in text
    assert text.startswith("L = (h2_0 - 1)**2")
    assert len(text.splitlines()) < 60
    assert "layer 0" in network.markdown()
    assert "layer 0" in network.latex()


def test_why_backward_is_counted_on_this_graph():
    w = wg.explain(wg.parse("a*b + a*c"), at={"a": 1, "b": 2, "c": 3})
    from wengert.explain.paths import forward_edges

    assert forward_edges(w.derivation) == w.step("directions").forward


def test_the_first_number_that_is_not_finite_is_named():
    net = wg.MLP(2, [8, 8, 1], seed=0)
    out = net([wg.Value(0.5, label="x0"), wg.Value(0.3, label="x1")])
    w = wg.explain(wg.log(out - out) + out)
    assert w.step(w.first_non_finite).kind == "forward"
    assert "not finite" not in w.step("seed").title
    assert "The first that is not" in w.text(width=100, color=False)


def test_judges_are_asked_only_on_request_and_say_how_far_they_are(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    network = wg.explain(moons())
    assert not network.steps.has("agreement")
    judgement = network.judge(progress=True)
    said = capsys.readouterr().err
    assert "taking differences, 100 of" in said
    assert "operations" not in said
    assert network.step("agreement") is judgement
    assert len(judgement.rows) == len(network.derivation.wrt)
    assert all(row.agrees for row in judgement.rows)
    assert judgement.rows[0].judgement == "by the chain rule, to 50 digits"


def test_what_is_in_no_layer_is_with_those_computed_alike():
    w, b = wg.Value(0.3, label="w"), wg.Value(0.1, label="b")
    xs = [wg.Value(i / 10, label=f"x{i}") for i in range(40)]
    lesson = wg.explain(sum((wg.tanh(w * x + b) - 0.5) ** 2 for x in xs))
    titles = [group.title for group in Groups.of(lesson.derivation).groups]
    assert "x0 to x39" in titles
    assert "40 × tanh" in titles
    assert len(titles) < 10


def test_a_long_chain_is_cut_into_runs():
    e = wg.parse("x")
    for k in range(300):
        e = (e * 1.5).tanh() if k % 3 else e + k
    titles = set(nesting(e.graph, range(len(e.graph))).values())
    assert ("operations 1 to 32",) in titles
    assert len(titles) <= 17


# -- the page --------------------------------------------------------------------------------------


def test_it_opens_as_layers_and_expands_in_place(shown, network):
    tab = shown(network)
    assert boxes(tab)[2:5] == ["layer 0", "layer 1", "layer 2"]
    assert "8 neurons" in tab.run("document.getElementById('graph').textContent")
    before = tab.run("document.getElementById('place').textContent")
    press(tab, '#graph [data-name^="layer 1"]')
    assert "neuron 3 of layer 1" in boxes(tab)
    assert tab.run("document.getElementById('place').textContent") != before
    press(tab, '#graph [data-name^="neuron 3 of layer 1"]')
    assert "n1_3" in boxes(tab)
    press(tab, "#close")
    assert "neuron 3 of layer 1" not in boxes(tab)


def test_every_layer_neuron_and_node_is_found_by_name(shown, network):
    tab = shown(network)
    assert find(tab, "n1_3") == ["n1_3 = v1_3_14 + v1_3_15"]
    assert heading(tab).startswith("n1,3=")
    assert tab.run("document.querySelector('.node.current').id") == tab.run(
        "'figure-' + document.querySelector('[data-name=n1_3]').dataset.unit"
    )
    assert len(find(tab, "w1")) == 12
    assert find(tab, "nobody") == ["nothing has that name"]


def test_the_picture_goes_to_the_step(shown, network):
    tab = shown(network)
    find(tab, "h1_7")
    inside = tab.run(
        """(() => {
          const box = document.querySelector(".node.current").getBoundingClientRect();
          const view = document.querySelector("figure .scroll").getBoundingClientRect();
          return box.left >= view.left && box.right <= view.right
            && box.top >= view.top && box.bottom <= view.bottom && box.width > 80;
        })()"""
    )
    assert inside


def test_steps_say_the_same_as_python(shown, network):
    tab = shown(network)
    node = network.by_name("n1_3")
    tab.run(f"location.hash = 'step-backward-{node.id}'")
    tab.run("new Promise((done) => setTimeout(done, 100))")
    said = tab.run("document.getElementById('step').textContent")
    step = network.step(f"backward-{node.id}")
    assert f"{step.adjoint:.6g}".replace("-", "−") in said
    assert step.sentence.split(": ")[1] in said
    for passed in step.passes:
        assert f"{passed.product_value:.6g}".replace("-", "−") in said


def test_a_slider_moves_every_number(shown, network):
    tab = shown(network)
    find(tab, "w0_3_1")
    tab.run(
        """(() => {
          const field = document.querySelector("#sliders [type=number]");
          field.value = "0.25";
          field.dispatchEvent(new Event("input", { bubbles: true }));
        })()"""
    )
    moved = network.at({"w0_3_1": 0.25})
    assert f"{moved.by_name('w0_3_1').adjoint:.6g}".replace("-", "−") in heading(tab)
    press(tab, "#reset")
    assert f"{network.by_name('w0_3_1').adjoint:.6g}".replace("-", "−") in heading(tab)


def test_all_derivatives_are_compared_on_request(shown, network):
    tab = shown(network)
    tab.run("location.hash = 'step-check'")
    tab.run("new Promise((done) => setTimeout(done, 50))")
    assert tab.run("document.getElementById('verdict').textContent") == ""
    press(tab, "#judge")
    said = tab.run(
        """new Promise((done) => {
          const look = () => {
            const text = document.getElementById("verdict").textContent;
            if (/agree|differ/.test(text)) done(text); else setTimeout(look, 20);
          };
          look();
        })"""
    )
    assert said == f"All {len(network.derivation.wrt)} agree."


def test_edges_between_neurons_are_their_weights(shown, network):
    tab = shown(network)
    for group in ("layer 0", "layer 1"):
        tab.run(
            f"document.querySelector('[data-name=\"{group}\"]').dispatchEvent("
            "new MouseEvent('click', {bubbles: true})), 1"
        )
    edges = "[...document.querySelectorAll('.edge.weight')]"
    looks = tab.run(
        f"{edges}.map((e) => [DATA.given[e.dataset.weight], e.style.getPropertyValue('--wide'),"
        " e.classList.contains('below')])"
    )
    assert looks
    assert all((weight < 0) is below for weight, _, below in looks)
    assert max(looks, key=lambda look: abs(look[0]))[1] == "5.0"


def test_it_trains(shown, network):
    tab = shown(network)
    tab.press("End")
    press(tab, '.train[data-steps="50"]')
    said = tab.run("document.getElementById('trained').textContent")
    assert said.startswith("50 steps: from ")
    start, end = (float(x) for x in said.removesuffix(".").split("from ")[1].split(" to "))
    assert end < start == pytest.approx(network.nodes[-1].value, rel=1e-5)


def test_it_asks_for_a_number_before_it_shows_it(shown, network):
    tab = shown(network)
    press(tab, "#predict")
    assert tab.run("document.getElementById('plane').hidden")
    find(tab, "n1_3")
    right = f"{network.by_name('n1_3').value:.6g}".replace("-", "−")
    seen = (
        "document.querySelector('.walk').textContent + document.querySelector('#graph').textContent"
    )
    assert right not in tab.run(seen)

    def answer(typed):
        tab.run(
            f"""(() => {{
              const form = document.querySelector("#step form");
              form.querySelector("input").value = {typed!r};
              form.requestSubmit();
            }})()"""
        )
        return tab.run("document.querySelector('#step [role=status]')?.textContent")

    assert answer("99") == "Not that. Hint: put the numbers in"
    assert answer("1 +").startswith("That cannot be read")
    assert answer(network.by_name("n1_3").formula.text) is None
    assert right in tab.run(seen)
    node = network.by_name("h1_3")
    tab.run(f"location.hash = 'step-backward-{node.id}'")
    tab.run("new Promise((done) => setTimeout(done, 50))")
    (passed,) = network.step(f"backward-{node.id}").passes
    assert answer(str(-passed.product_value)).startswith("Right but for the sign")
    press(tab, "#step .reveal")
    assert f"{passed.product_value:.6g}".replace("-", "−") in tab.run(seen)


def test_a_step_says_its_line_of_code_and_a_leaf_its_paths(shown, network):
    tab = shown(network)
    leaf = network.by_name("w0_3_1")
    tab.run(f"location.hash = 'step-backward-{leaf.id}'")
    tab.run("new Promise((done) => setTimeout(done, 50))")
    line = next(c for c in network.step("code").lines if c.step == f"backward-{leaf.id}")
    assert tab.run("document.querySelector('.line.lit').textContent").strip() == line.code.strip()
    assert network.step(f"paths-{leaf.id}").count == 8
    assert "8 paths lead to it" in tab.run("document.getElementById('step').textContent")


def test_many_leaves_are_asked_for_by_their_arrays(shown, network):
    tab = shown(network)
    said = tab.run("document.getElementById('step').textContent")
    assert "when the 107 elements of b₀, w₀, x, b₁, w₁, b₂ and w₂ change?" in said
    titles = boxes(tab)
    assert "layer 0" in titles
    assert "L = v" in tab.run("document.getElementById('graph').textContent")


def test_keys_walk_and_open(shown, network):
    tab = shown(network)
    tab.press("ArrowRight")
    assert heading(tab) == "layer 0, forward"
    tab.run("document.querySelector('#graph [data-name^=\"layer 0\"]').focus()")
    tab.press("Enter")
    assert heading(tab) == "neuron 0 of layer 0, forward"
    assert tab.run("document.activeElement.getAttribute('aria-expanded')") == "true"


@pytest.mark.parametrize("label", ["<img src=x onerror=alert(1)>", "a&b\"'", "</script>"])
def test_labels_are_only_text(shown, label):
    x = wg.Graph().input("x")
    e = x
    for i in range(160):
        e = wg.tanh(e * x)
        e.label = f"{label}{i}"
    tab = shown(wg.explain(e, at={x: 0.5}))
    assert tab.run("document.querySelectorAll('img').length") == 0
    assert tab.run("document.querySelectorAll('script').length") == 1
    press(tab, "#next")
    assert "operations 1 to" in heading(tab)


def test_without_a_script_it_is_an_overview(shown, network):
    tab = shown(network, scripts=False)
    tab.send("Emulation.setScriptExecutionDisabled", value=False)
    assert tab.run("document.querySelector('#all').open")
    assert tab.run("document.querySelector('.walk').hidden")
    assert "8 neurons, 72 parameters" in tab.run("document.body.innerText")


@pytest.mark.parametrize("width", [1280, 390])
def test_layers_are_all_seen_at_once(shown, network, width):
    tab = shown(network)
    tab.send(
        "Emulation.setDeviceMetricsOverride",
        width=width,
        height=900,
        deviceScaleFactor=1,
        mobile=False,
    )
    tab.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    view = "document.querySelector('figure .scroll')"
    assert tab.run(f"{view}.scrollWidth - {view}.clientWidth") <= 1
    places = tab.run(
        "[...document.querySelectorAll('#graph [data-name^=layer]')].map((layer) => "
        "{ const { x, y } = layer.getBoundingClientRect(); return [x, y]; })"
    )
    assert len(places) == 3
    across, along = zip(*places, strict=True)
    assert len(set(across)) == 1
    assert list(along) == sorted(set(along))


@pytest.mark.parametrize("width", [1280, 760, 390])
def test_nothing_sticks_out(shown, network, width):
    tab = shown(network)
    tab.send(
        "Emulation.setDeviceMetricsOverride",
        width=width,
        height=800,
        deviceScaleFactor=1,
        mobile=False,
    )
    find(tab, "n1_3")
    assert tab.run("document.documentElement.scrollWidth") <= width


def test_the_same_page_every_time(network):
    assert html(network) == html(wg.explain(moons()))


def test_formulas_without_values_start_at_random_numbers(shown):
    e = wg.parse("x")
    for _ in range(160):
        e = wg.tanh(e)
    tab = shown(wg.explain(e))
    assert "No values were given" in tab.run("document.getElementById('step').textContent")
    assert "—" not in heading(tab)


def test_json_has_all_steps():
    x = wg.Value(0.5, label="x")
    e = x
    for _ in range(160):
        e = e * x
    data = json.loads(wg.explain(e).json())
    assert len([step for step in data["steps"] if step["kind"] == "forward"]) == 160


def test_json_of_thousands_of_operations_is_refused_before_any_step_is_made(network, monkeypatch):
    monkeypatch.setattr(sys.modules["wengert.explain.lesson"], "MAX_LISTED", 100)
    made = network.steps._made.copy()
    with pytest.raises(wg.errors.SizeError, match=r"every step of \d+ operations.*\.html.*part=…"):
        network.json()
    assert network.steps._made == made
