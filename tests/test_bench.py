"""The benchmark's harness: every peer that is installed answers right, and the arithmetic is right.

Nothing here asserts a time.
"""

import json
import math
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what other packages warn of when they are imported
    import bench
    import cases
    import harness
    import peers
    import problems
    import report
    import scalars

    QUICK = [peer for peer in peers.installed() if not peer.slow]

SMALL = problems.Network(
    sizes=(2, 3, 1),
    params=problems.weights((2, 3, 1), seed=5),
    X=((0.5, -1.0), (1.5, 0.25), (-0.75, 2.0), (0.1, 0.2)),
    Y=((1.0,), (-1.0,), (1.0,), (-1.0,)),
    batch=2,
    rate=0.1,
)
UNDER_WAY = replace(
    SMALL, state=(0.9**3, 0.999**3, *(0.01 * (i - 6) for i in range(13)), *[1e-3, 4e-3] * 6, 2e-3)
)
GPT = scalars.gpt(3, width=4, letters=5, most=4)
LSTM, CONVOLUTION = scalars.lstm(3, 2, 3), scalars.convolution(4, 2, 3, 3)
RESIDUAL, ATTENTION = problems.residual_network(3, 5), problems.attention_head(3, 4)
EXACT = {
    "gpt": (GPT, scalars.exact_scalars),
    "documents": (scalars.documents(3, 2, 4, 5), scalars.exact_scalars),
    "lstm": (LSTM, scalars.exact_scalars),
    "convolution": (CONVOLUTION, scalars.exact_scalars),
    "gradient": (SMALL, problems.exact_gradient),
    "epoch": (SMALL, problems.exact_epoch),
    "step": (SMALL, problems.exact_step),
    "hessian": (SMALL, problems.exact_hessian),
    "adam": (UNDER_WAY, problems.exact_adam),
    "residual": (RESIDUAL, problems.exact_residual),
    "attention": (ATTENTION, problems.exact_attention),
}

KINDS = dict.fromkeys(("gpt", "lstm", "convolution"), "scalars")


def loss(problem, params) -> float:
    layers = problems.split(params, problem.sizes)
    return sum(
        problems.squared_error(problems.forward(layers, x, math.tanh), y)
        for x, y in zip(problem.X, problem.Y, strict=True)
    )


def central(function, point, i, step=1e-5) -> float:
    up, down = list(point), list(point)
    up[i] += step
    down[i] -= step
    return (function(up) - function(down)) / (2 * step)


@pytest.mark.parametrize(
    ("peer", "kind"),
    [
        pytest.param(p, name, id=f"{p.name}-{name}")
        for p in QUICK
        for name in EXACT
        if KINDS.get(name, name) in p.prepare
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_every_installed_peer_gives_the_exact_numbers(peer, kind):
    problem, exact = EXACT[kind]
    prepared = peer.prepare[KINDS.get(kind, kind)](problem)
    prepared.call()
    numbers = prepared.numbers(prepared.call())  # a second call starts from the same numbers
    least = 1e-6 if "float32" in peer.name else 1e-12
    assert harness.difference(numbers, exact(problem)) < least


@pytest.mark.parametrize("case", cases.CASES, ids=lambda case: case.name)
def test_every_case_is_played_by_wengert_on_lists_and_on_arrays(case):
    players = {peer.name for peer in QUICK if case.kind in peer.prepare}
    if case.kind == "classifier":
        assert {"scikit-learn", case.ours} <= players
        return
    assert {"wengert", case.ours} <= players
    assert "wengert numpy" in players or case.kind == "hessian"


@pytest.mark.parametrize("name", ["adam", "adam-deep", "residual", "attention", "convolution"])
def test_a_case_is_measured_with_nothing_but_right_answers(name):
    (case,) = (case for case in cases.CASES if case.name == name)
    playing = [peer for peer in QUICK if peer.name in {"wengert numpy", "numpy by hand"}]
    rows, _, _ = harness.run_case(case, playing, rounds=1, patience=0.01)
    assert {row.peer for row in rows} == {"wengert numpy", "numpy by hand"}
    for row in rows:
        assert not row.failure
        assert row.difference < 1e-9
        assert math.isfinite(row.ratio)


def test_the_exact_gradient_agrees_with_finite_differences():
    value, *gradient = problems.exact_gradient(SMALL)
    assert value == pytest.approx(loss(SMALL, SMALL.params), rel=1e-14)
    for i, slope in enumerate(gradient):
        estimate = central(lambda params: loss(SMALL, params), SMALL.params, i)
        assert slope == pytest.approx(estimate, rel=1e-7, abs=1e-8)


def test_the_exact_epoch_is_a_gradient_step_per_minibatch():
    params = list(SMALL.params)
    for X, Y in SMALL.batches():
        part = problems.Network(SMALL.sizes, tuple(params), X, Y)
        gradient = problems.exact_gradient(part)[1:]
        params = [p - SMALL.rate * g for p, g in zip(params, gradient, strict=True)]
    assert problems.exact_epoch(SMALL) == params


def test_the_exact_step_is_one_on_the_mean_loss():
    value, *gradient = problems.exact_gradient(SMALL)
    loss, *moved = problems.exact_step(SMALL)
    assert loss == value / 4
    for new, old, slope in zip(moved, SMALL.params, gradient, strict=True):
        assert new == pytest.approx(old - 0.1 * slope / 4, rel=1e-15)


def test_the_exact_first_step_of_adam_is_the_rate_against_the_gradient():
    count = len(SMALL.params)
    _, *gradient = problems.exact_gradient(SMALL)
    _, *found = problems.exact_adam(replace(SMALL, state=(1.0, 1.0, *[0.0] * (2 * count))))
    moved, powers = found[:count], found[count : count + 2]
    first, second = found[count + 2 : -count], found[-count:]
    assert powers == [0.9, 0.999]
    for i, slope in enumerate(g / len(SMALL.X) for g in gradient):
        step = 0.1 * slope / (abs(slope) + 1e-8)
        assert moved[i] == pytest.approx(SMALL.params[i] - step, rel=1e-12)
        assert first[i] == pytest.approx(0.1 * slope, rel=1e-12)
        assert second[i] == pytest.approx(0.001 * slope * slope, rel=1e-12)


@pytest.mark.parametrize("kind", ["residual", "attention", *KINDS])
def test_the_exact_gradient_by_matrices_agrees_with_finite_differences(kind):
    problem, exact = EXACT[kind]

    def loss_at(params):
        return exact(replace(problem, params=tuple(params)))[0]

    for i, slope in enumerate(exact(problem)[1:]):
        estimate = central(loss_at, problem.params, i)
        assert slope == pytest.approx(estimate, rel=1e-6, abs=1e-8)


def test_a_residual_network_without_weights_passes_its_input_on():
    problem = replace(RESIDUAL, params=(0.0,) * len(RESIDUAL.params))
    pairs = zip(problem.X, problem.Y, strict=True)
    expected = sum(problems.squared_error(x, y) for x, y in pairs)
    assert problems.exact_residual(problem)[0] == pytest.approx(expected, rel=1e-14)


def test_attention_without_queries_averages_what_came_before():
    identity = [float(i == j) for i in range(3) for j in range(3)]
    problem = replace(ATTENTION, params=(*[0.0] * 18, *identity))
    means = [
        [sum(column) / (p + 1) for column in zip(*problem.X[: p + 1], strict=True)]
        for p in range(len(problem.X))
    ]
    for mean, row in zip(
        means, problems.attention(problem.matrices, problem.X, math.exp), strict=True
    ):
        assert row == pytest.approx(mean, rel=1e-14)
    expected = sum(problems.squared_error(m, y) for m, y in zip(means, problem.Y, strict=True))
    assert problems.exact_attention(problem)[0] == pytest.approx(expected, rel=1e-14)


def test_the_exact_hessian_agrees_with_finite_differences():
    value, *rest = problems.exact_hessian(SMALL)
    gradient, hessian = rest[:2], [rest[2:4], rest[4:]]

    def at(point):
        moved = problems.Network(SMALL.sizes, SMALL.params, (tuple(point),), ((0.0,),))
        return problems.exact_hessian(moved)

    forward = problems.forward(SMALL.layers, SMALL.X[0], math.tanh)[0]
    assert value == pytest.approx(forward, rel=1e-14)  # from Python 3.12 on, sum() rounds less
    for i in range(2):
        estimate = central(lambda point: at(point)[0], SMALL.X[0], i)
        assert gradient[i] == pytest.approx(estimate, rel=1e-7)
        for j in range(2):
            estimate = central(lambda point, j=j: at(point)[1 + j], SMALL.X[0], i)
            assert hessian[i][j] == pytest.approx(estimate, rel=1e-6, abs=1e-8)


def test_parameters_survive_being_split_into_layers_and_joined():
    assert problems.join(SMALL.layers) == list(SMALL.params)
    assert [(len(w), len(b)) for w, b in SMALL.layers] == [(3, 3), (1, 1)]


def test_the_problems_are_what_their_titles_say():
    found = {case.name: case.problem() for case in cases.CASES}
    digits = found.pop("classifier")
    assert (len(digits.X), len(digits.X_held), len(set(digits.labels))) == (1198, 599, 10)
    sizes = {name: (len(p.params), len(p.X)) for name, p in found.items()}
    moons = dict.fromkeys(("moons", "moons-epoch", "hessian"), (337, 200))
    assert sizes == moons | {
        "notebook": (41, 4),
        "narrow-8": (337, 8),
        "narrow-1024": (337, 1024),
        "wide-8": (1377, 8),
        "wide-1024": (1377, 1024),
        "digits": (2410, 32),
        "mnist": (39760, 32),
        "step": (39760, 32),
        "adam": (61, 32),
        "adam-deep": (433, 32),
        "residual": (512, 32),
        "attention": (192, 8),
        "gpt-7": (4192, 1),
        "gpt-16": (4192, 1),
        "gpt-64": (53632, 1),
        "gpt-batch": (4192, 16),
        "lstm": (1600, 1),
        "convolution": (410, 32),
    }
    assert found["moons"] == found["moons-epoch"]
    for case in cases.CASES:
        assert "samples" not in case.title or f"{len(found[case.name].X)} samples" in case.title


def test_both_classifiers_of_handwritten_digits_tell_them_right():
    problem = problems.handwritten((32,), 30)
    playing = [peer for peer in QUICK if "classifier" in peer.prepare]
    for peer in playing:
        prepared = peer.prepare["classifier"](problem)
        assert prepared.numbers(prepared.call()) == problems.all_told(problem)
    few = replace(problem, epochs=1)
    for peer in playing:
        prepared = peer.prepare["classifier"](few)
        assert prepared.numbers(prepared.call())[0] > 0.0


def test_a_difference_is_the_largest_one_and_nan_stays():
    assert harness.difference([1.0, 2.25, 2.5, 4.0], [1.0, 2.0, 3.0, 4.0]) == 0.5
    assert math.isnan(harness.difference([1.0, math.nan], [1.0, 2.0]))
    with pytest.raises(ValueError, match="1 numbers, expected 2"):
        harness.difference([1.0], [1.0, 2.0])


@pytest.mark.parametrize(
    ("one", "base", "call"),
    [
        ((10.0, 1.0), (2.0, 2.0), 10),  # 9 s more to get ready, a second saved a call
        ((1.0, 1.0), (5.0, 2.0), 1),  # ahead from the start
        ((1.0, 3.0), (2.0, 2.0), math.inf),
    ],
)
def test_the_break_even_is_the_first_call_that_is_cheaper_in_all(one, base, call):
    assert harness.break_even(one, base) == call
    if math.isfinite(call) and call > 1:
        spent = [(ready - each + n * each) for n in (call - 1, call) for ready, each in (one, base)]
        assert spent[0] >= spent[1]
        assert spent[2] < spent[3]


def test_ratios_are_paired_by_round():
    assert harness.paired_ratio([2.0, 90.0, 6.0], [1.0, 10.0, 3.0]) == 2.0  # one round disturbed
    assert harness.paired_ratio([3.0, 4.0], [1.0, 1.0, 100.0]) == 3.5


def test_everyone_takes_a_turn_in_every_round():
    order = []
    calls = {name: (lambda name=name: order.append(name)) for name in "ab"}
    times = harness.take_turns(calls, rounds=3)
    assert {name: len(found) for name, found in times.items()} == {"a": 3, "b": 3}
    assert set(order) == {"a", "b"}


def fake_case(**changes):
    settings = {
        "name": "fake",
        "title": "a fake",
        "kind": "gradient",
        "problem": lambda: SMALL,
        "reference": problems.exact_gradient,
        "goals": {"right": 1e9, "wengert": 0.0},
    }
    return harness.Case(**{**settings, **changes})


def answering(numbers, name="right", **settings):
    prepared = harness.Prepared(lambda: numbers, list)
    return harness.Peer(name, "wengert", {"gradient": lambda _: prepared}, **settings)


def test_a_wrong_answer_shows_and_a_failure_is_reported(capsys):
    exact = problems.exact_gradient(SMALL)

    def broken(_):
        raise RuntimeError("no compiler")

    contestants = [
        answering(exact, "wengert"),
        answering([exact[0] + 1, *exact[1:]], "wrong"),
        answering(exact[:-1], "short"),
        harness.Peer("broken", "wengert", {"gradient": broken}),
        answering(exact, "small", largest=1),
    ]
    rows, base, work = harness.run_case(fake_case(), contestants, rounds=2)
    found = {row.peer: row for row in rows}
    assert base in {"wengert", "wrong"}
    assert work == 5 * 9 * 4
    assert found["wengert"].difference == 0.0
    assert found["wengert"].ratio == 1.0
    assert found["wrong"].difference == pytest.approx(1.0)
    assert "expected" in found["short"].failure
    assert found["broken"].failure == "RuntimeError: no compiler"
    assert "small" not in found
    assert "small: left out" in capsys.readouterr().err


def test_rates_and_the_goals_of_machine_code():
    assert report.rate(0, 50.0) == "-"
    assert report.rate(25e9, 50.0) == "25.0 50%"
    assert report.rate(1e8, 50.0) == report.rate(1e8, math.nan) == "0.10"
    rows = [
        {"peer": "wengert native", "median": 2.0, "failure": ""},
        {"peer": "fast", "median": 3.0, "failure": ""},
        {"peer": "faster", "median": 2.5, "failure": ""},
    ]
    assert report.native_goals(rows, {"fast": 1.5, "faster": 1.5, "absent": 1.0}) == [
        "native met: 1.50 × fast (1.50 ×)",
        "native MISSED: 1.50 × faster (1.25 ×)",
    ]
    assert report.native_goals(rows[1:], {"fast": 1.5}) == []


def test_results_become_narrow_tables_and_json_and_a_picture(tmp_path):
    exact = problems.exact_gradient(SMALL)
    contestants = [answering(exact, "wengert"), answering(exact), answering([], "wrong")]
    rows, base, work = harness.run_case(fake_case(), contestants, rounds=2)
    plain = [row.as_dict() for row in rows]
    case = {
        "name": "fake",
        "title": "a fake",
        "rows": plain,
        "base": base,
        "ours": "wengert",
        "operations": work,
        "goals": report.goals(plain, fake_case().goals),
    }
    sizes = [
        {
            "nodes": 10,
            "seconds": dict.fromkeys(("build", "grad", "extract", "simplify"), 1e-5)
            | dict.fromkeys(("lower", "emit", "load", "rest of compile"), 2e-5),
            "bytes": {"build": 1000, "compile": 500},
        },
        {"nodes": 20, "failure": "out of memory"},
    ]
    ready = {"first": 0.02, "median": 0.01, "least": 0.005}
    results = {
        "environment": {"python": "3"},
        "cases": [case],
        "compiler": {"ready": ready, "sizes": sizes},
    }
    source = tmp_path / "results.json"
    source.write_text(json.dumps(results), encoding="utf-8")
    again = json.loads(source.read_text(encoding="utf-8"))
    text = report.text(again)
    assert max(map(len, text.splitlines())) <= report.WIDTH
    assert "wrong failed: ValueError" in text
    assert "MISSED: 1,000,000,000 × right" in text
    assert "met: 0.00 × wengert" in text
    assert "20 nodes failed: out of memory" in text
    assert any(line.split()[-2:] == ["12.0", "-"] for line in text.splitlines() if "in all" in line)
    assert any(line.split()[-2:] == ["150", "-"] for line in text.splitlines() if "bytes" in line)


def test_the_picture_has_a_bar_for_each_peer(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    rows = [
        harness.Row("wengert", 1e-5, 1e-5, 1.0, 1.0, math.inf, 0.0),
        harness.Row("other", 2e-3, 2e-3, 200.0, 1.0, 2.0, 0.0),
        harness.Row("broken", failure="no"),
    ]
    case = {
        "name": "n",
        "title": "t",
        "base": "other",
        "ours": "wengert",
        "goals": [],
        "rows": [row.as_dict() for row in rows],
    }
    source, picture = tmp_path / "results.json", tmp_path / "results.svg"
    source.write_text(json.dumps({"environment": {}, "cases": [case]}), encoding="utf-8")
    bench.main(["--from", str(source), "--plot", str(picture), "--json", str(tmp_path / "2.json")])
    drawn = picture.read_text(encoding="utf-8")
    assert "wengert" in drawn
    assert "2.00 ms" in drawn
    assert "broken" not in drawn
    assert "never" in capsys.readouterr().out
    assert json.loads((tmp_path / "2.json").read_text(encoding="utf-8"))["cases"] == [case]


def test_an_unknown_case_or_peer_is_refused_with_what_there_is():
    with pytest.raises(SystemExit, match="no case called 'moon' here; there are: notebook, moons"):
        bench.main(["--only", "moon"])
    with pytest.raises(SystemExit, match="no peer called 'nobody'"):
        bench.main(["--peers", "nobody"])


@pytest.mark.parametrize(
    ("value", "shown"),
    [(2.5, "2.50 s"), (0.0123, "12.3 ms"), (4.2e-6, "4.20 µs"), (3e-8, "0.03 µs"), (math.nan, "-")],
)
def test_durations_have_three_digits(value, shown):
    assert report.seconds(value) == shown


def test_the_compiler_is_measured_stage_by_stage():
    pytest.importorskip("resource", reason="memory is measured on Unix")
    import compiler

    measured = compiler.measure(400)
    assert measured["nodes"] >= 400
    assert set(measured["seconds"]) == set(compiler.STAGES)
    for stage in ("build", "grad", "extract", "simplify", "lower", "emit", "load"):
        assert measured["seconds"][stage] > 0, stage
    assert set(measured["bytes"]) == {"build", "grad", "compile"}


def test_a_size_that_cannot_be_compiled_is_reported():
    pytest.importorskip("resource", reason="memory is measured on Unix")
    import compiler

    assert "no answer" in compiler.in_a_process(1_000_000, timeout=0.01)["failure"]
