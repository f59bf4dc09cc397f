"""Walk-throughs in index notation: the statements, their matrices, their words and numbers."""

import json
import re
import sys

import browser
import numpy as np
import pytest

import wengert as wg
from wengert.explain.arrays.readings import readings

R = np.random.default_rng(0)
AT = {
    "X": R.normal(size=(4, 3)),
    "W": R.normal(size=(2, 3)),
    "b": np.array([0.1, 0.2]),
    "T": R.normal(size=(4, 2)),
}


def layer():
    g = wg.Graph()
    X, W, b, T = g.array("X", (4, 3)), g.array("W", (2, 3)), g.array("b", 2), g.array("T", (4, 2))
    H = wg.tanh(X @ W.T + b)
    H.label = "H"
    E = H - T
    return (E * E).sum(), W, b


def attention():
    g = wg.Graph()
    X = g.array("X", (5, 4))
    weights = [g.array(name, (4, 3)) for name in ("Wq", "Wk", "Wv")]
    Q, K, V = (X @ W for W in weights)
    A = wg.exp(Q @ K.T / 2.0)
    out = (A / A.sum(axis=1, keepdims=True)) @ V
    return (out * out).sum(), weights


@pytest.fixture(scope="module")
def lesson():
    loss, W, b = layer()
    return wg.explain(loss, wrt=[W, b], at=AT)


def step(lesson, array):
    return next(s for s in lesson.steps if s.array == array and s.kind == "backward")


def test_a_weight_matrix_gets_delta_transposed_times_x(lesson):
    found = step(lesson, "W")
    assert found.statement.text == "∂L/∂W[j, k] = Σ_i X[i, k]·δt3[i, j]"
    assert found.matrix.text == "∂L/∂W = δt3ᵀ X"
    (reading,) = found.readings
    assert (reading.element.text, reading.by.text) == ("W[j, k]", "t3[i, j]")
    assert (reading.local.text, reading.over) == ("X[i, k]", ("i",))
    assert "read at every i" in found.sentence


def test_a_bias_is_added_over_the_rows(lesson):
    found = step(lesson, "b")
    assert found.matrix.text == "∂L/∂b = δt3ᵀ 1"
    assert found.readings[0].over == ("i",)
    assert found.readings[0].local.text == "1"


def test_forward_statements_are_written_in_matrices(lesson):
    forms = [s.matrix.text for s in lesson.steps if s.kind == "forward"]
    assert forms == ["t3 = X Wᵀ + 1 bᵀ", "H = tanh(t3)", "t5 = H - T", "L = 1ᵀ (t5 ⊙ t5) 1"]


def test_its_numbers_are_those_of_the_gradient(lesson):
    loss, W, b = layer()
    for leaf, expected in zip("Wb", wg.evaluate(wg.grad(loss, [W, b]), AT), strict=True):
        np.testing.assert_allclose(step(lesson, leaf).values, expected, rtol=1e-12)
    assert all(judged.agrees for judged in lesson.judgements())
    moved = lesson.at({"b": [1.0, 2.0]})
    expected = wg.evaluate(wg.grad(loss, [b]), {**AT, "b": [1.0, 2.0]})[0]
    np.testing.assert_allclose(step(moved, "b").values, expected, rtol=1e-12)


def numpy_text(form):
    """A matrix form as NumPy code: juxtaposition is @."""
    right = form.partition(" = ")[2]
    code = re.sub(r"(?<=[\wᵀ)]) (?=[\w(δ∂])", " @ ", right)
    code = code.replace("⊙", "*").replace("⊘", "/").replace("∂L/∂", "slope_")
    return re.sub(r"ᵀ", ".T", code)


@pytest.mark.parametrize("make", [lambda: layer()[0], lambda: attention()[0]])
def test_every_matrix_form_gives_the_numbers_of_its_statement(make):
    loss = make()
    shapes = {name: loss.graph.shapes[node] for name, node in loss.graph.leaves.items()}
    at = {name: R.normal(size=shape) for name, shape in shapes.items()}
    lesson = wg.explain(loss, at=at)
    known = {"tanh": np.tanh, "exp": np.exp, **at}
    steps = {s.id.partition("-")[2]: s for s in lesson.steps if s.kind != "seed"}
    for name, s in steps.items():
        of = lesson.program.deltas.get(name)
        known[f"δ{of}" if of else name] = np.array(s.values)
    checked = 0
    for s in steps.values():
        code = numpy_text(s.matrix.text) if s.matrix else "1 @"
        if not re.search(r"(?<![\w.])1(\.T)? @|@ 1(?![\w.])", code):  # ones of a length unsaid
            found = eval(code, {"__builtins__": {}}, known)  # noqa: S307
            np.testing.assert_allclose(found, np.array(s.values), rtol=1e-9)
            checked += 1
    assert checked >= 4


def test_attention_has_its_three_products():
    loss, weights = attention()
    lesson = wg.explain(loss, wrt=weights)
    forms = {s.array: s.matrix.text for s in lesson.steps if s.kind == "backward" and s.matrix}
    assert forms["t3"] == "δt3 = t17ᵀ δt18"
    assert forms["Wv"] == "∂L/∂Wv = Xᵀ δt3"
    assert re.fullmatch(r"∂L/∂Wk = Xᵀ δ\w+ᵀ t1", forms["Wk"])
    assert re.fullmatch(r"δt1 = δ\w+ t2", forms["t1"])
    assert lesson.symbolic
    text = lesson.text(width=200, color=False)
    assert re.search(r"An intermediate result, from which δ\w+ is computed", text)
    headings = re.findall(r"^ *(\d) +[A-Z]", text, re.M)
    assert headings == ["1", "2", "3"]


def test_a_rolled_network_is_explained_layer_by_layer():
    net = wg.MLP(3, [4, 2, 1], seed=0)
    loss = (net([0.5, -0.25, 1.0]) - 1.0) ** 2
    lesson = wg.explain(wg.roll(loss))
    assert step(lesson, "w1").matrix.text.endswith("ᵀ")
    assert re.search(r"∂L/∂w0\[\w, \w\] = ", lesson.text(color=False))
    values = {name: 0.1 * i for i, name in enumerate(lesson.elements.graph.leaves)}
    at = wg.explain(wg.roll(loss), wrt="w1", at=values)
    assert [s.array for s in at.steps if s.array[0] == "w" and s.kind == "backward"] == ["w1"]
    assert all(judged.agrees for judged in at.judgements())
    assert at.elements.by_name("w1_0_1").adjoint == pytest.approx(step(at, "w1").values[0][1])


def test_elements_are_a_walk_through_of_their_own(lesson):
    assert lesson.by_name("W_0_1").adjoint == pytest.approx(step(lesson, "W").values[0][1])
    assert len(lesson.elements.steps) > len(lesson.steps)
    assert lesson.judge().conclusion.startswith("They agree")


def test_an_array_of_any_size_has_the_same_steps():
    def of(rows):
        g = wg.Graph()
        X, W = g.array("X", (rows, 30)), g.array("W", (20, 30))
        return wg.explain((wg.tanh(X @ W.T) ** 2).sum(), wrt=W)

    assert [s.statement.text for s in of(2).steps] == [s.statement.text for s in of(500).steps]


def test_all_formats(lesson, tmp_path):
    for suffix in (".txt", ".md", ".tex", ".json", ".html"):
        text = lesson.save(tmp_path / f"lesson{suffix}").read_text(encoding="utf-8")
        assert "W" in text
    data = json.loads((tmp_path / "lesson.json").read_text(encoding="utf-8"))
    assert {step["array"] for step in data["steps"]} >= {"H", "W", "b"}
    long = [line for line in lesson.text(width=60, color=False).splitlines() if len(line) > 60]
    assert not long


def test_what_cannot_be_explained_names_it():
    loss, _, _ = layer()
    with pytest.raises(wg.UnknownNameError, match="'V'"):
        wg.explain(loss, wrt="V")
    with pytest.raises(wg.MissingInputError, match="no value for W"):
        wg.explain(loss, at={"X": AT["X"], "b": AT["b"], "T": AT["T"]})
    other = loss.graph.array("Z", 3)
    with pytest.raises(wg.DisconnectedInputError, match="does not depend on Z"):
        wg.explain(loss, wrt=other)
    x, y = wg.Graph().inputs("x", 2)
    with pytest.raises(wg.UnknownNameError, match="'z'"):
        wg.explain(wg.roll(x * y), wrt="z")


def test_the_page_shows_a_statement_at_a_time(lesson, tmp_path):
    page = tmp_path / "page.html"
    page.write_text(lesson.html(), encoding="utf-8")
    with browser.chromium() as tab:
        tab.open(page)
        seen = "[...document.querySelectorAll('.step')].filter(s => s.offsetHeight).length"
        assert tab.run(seen) == 1
        tab.press("End")
        tab.press("ArrowLeft")
        assert "∂" in tab.run("document.querySelector('.step.current h2').textContent")
        assert tab.run("document.querySelectorAll('.program .current').length") == 1
        tab.run("location.hash = 'step-seed'")
        tab.run("new Promise((done) => setTimeout(done, 50))")
        assert tab.run("document.querySelector('.step.current').id") == "step-seed"
        assert tab.complaints() == []
        tab.open(page, scripts=False)
        tab.send("Emulation.setScriptExecutionDisabled", value=False)
        assert tab.run(seen) == len(lesson.steps) + 1


def test_what_is_read_through_an_inlined_array_is_found(lesson):
    (found,) = readings(lesson.program, "X")
    assert found.local.text == "W[j, k]"
    assert found.over == ("j",)


def test_elements_that_are_read_in_different_places_are_not_said_to_be_added():
    g = wg.Graph()
    x = g.array("x", 4)
    lesson = wg.explain((x[:2] * 3.0).sum() + (x[3] * x[3]), at={"x": [1.0, 2.0, 3.0, 4.0]})
    assert "Some elements are read in 3 places" in step(lesson, "x").sentence
    assert step(lesson, "x").values == [3.0, 3.0, 0.0, 8.0]
    row = g.array("row", (1, 2))
    one = wg.explain((row[0] * 2.0).sum())
    assert step(one, "row").sentence.endswith(
        "Each element is read once, so one product passes back to it."
    )


def test_an_element_that_is_moved_moves_every_number_of_the_page(lesson, tmp_path):
    page = lesson.save(tmp_path / "page.html")
    moved = {**AT, "W": AT["W"].copy()}
    moved["W"][1, 2] = 0.5
    expected = step(lesson.at(moved), "b")
    with browser.chromium() as tab:
        tab.open(page)
        tab.run(f"location.hash = 'step-{expected.id}'")
        tab.run(
            """(() => {
              document.querySelectorAll(".choose")[1].querySelectorAll("button")[5].click();
              const field = document.getElementById("exact");
              field.value = "0.5";
              field.dispatchEvent(new Event("input", { bubbles: true }));
            })()"""
        )
        assert tab.run("document.getElementById('moving').textContent") == "W[1, 2]"
        numbers = f"[...document.querySelectorAll('#step-{expected.id} mn[data-n]')]"
        read = f"{numbers}.map((x) => Number(x.textContent.replace('−', '-')))"
        assert tab.run(read) == pytest.approx(expected.values, rel=1e-5)
        assert not tab.run("document.querySelector('.stale').hidden")
        tab.run("document.getElementById('reset').click()")
        assert tab.run(read) == pytest.approx(step(lesson, "b").values, rel=1e-5)
        tab.run("document.querySelector('.train[data-steps=\"50\"]').click()")
        said = tab.run("document.getElementById('trained').textContent")
        start, end = (float(x) for x in said.removesuffix(".").split("from ")[1].split(" to "))
        assert end < start
        assert tab.run("document.getElementById('curve').getBoundingClientRect().height") > 0
        assert tab.complaints() == []


def test_a_page_without_numbers_or_with_too_many_has_no_sliders(lesson, monkeypatch):
    assert 'id="slider"' not in wg.explain(layer()[0]).html()
    monkeypatch.setattr(sys.modules["wengert.explain.arrays.live"], "MAX_LEAVES", 10)
    assert 'id="slider"' not in lesson.html()


@pytest.mark.parametrize(
    ("write", "lines"),
    [
        (lambda a, b, m: (a * b).sum(), ["∂L/∂a[i] = b[i]", "∂L/∂b[i] = a[i]"]),
        (lambda a, b, m: (a + b).sum(), ["∂L/∂a[i] = 1", "∂L/∂b[i] = ∂L/∂a[i]"]),
        (
            lambda a, b, m: a @ m @ b,
            ["∂L/∂a[j] = Σ_i b[i]·M[j, i]", "∂L/∂M[j, i] = a[j]·b[i]", "∂L/∂b[i] = db[i]"],
        ),
    ],
)
def test_a_derivative_that_is_there_anyway_has_its_line(write, lines):
    g = wg.Graph()
    a, b, m = g.array("a", (2,)), g.array("b", (2,)), g.array("M", (2, 2))
    w = wg.explain(write(a, b, m))
    assert [step.title for step in w.steps if step.part == 3] == lines
    numbers = {
        name: [[1, 2], [3, 4]] if name == "M" else [1, 2] for name in w.program.slopes.values()
    }
    judged = w.at(numbers).judgements()
    assert len(judged) == len(lines)
    assert all(row.agrees for row in judged)


def test_what_is_rolled_has_the_lines_too():
    g = wg.Graph()
    products = [u * v for u, v in zip(g.inputs("u", 3), g.inputs("v", 3), strict=True)]
    w = wg.explain(wg.roll([sum(products)]))
    assert [step.title for step in w.steps if step.part == 3] == [
        "∂L/∂u[i] = v[i]",
        "∂L/∂v[i] = u[i]",
    ]


def test_values_of_another_number_are_refused_by_name():
    rolled = wg.roll([wg.Graph().input("b") * 2 + 1])
    with pytest.raises(wg.ShapeError, match="'b' is 1 numbers, at has 4"):
        wg.explain(rolled, at={"b": np.eye(2)})


def test_a_number_stands_before_the_other_factors():
    g = wg.Graph()
    w, x = g.array("w", (3, 2)), g.array("x", (2,))
    text = wg.explain((w @ x * 0.5).tanh().sum()).latex()
    assert r"0.5 \, {t}^{(1)}_{i}" in text
    assert r"\sum_{j} w_{i, j} \, x_{j}" in text.replace("{w}", "w").replace("{x}", "x")
