"""The benchmark's harness: every peer that is installed answers right, and the arithmetic is right.

Nothing here asserts a time.
"""

import json
import math
import sys
import warnings
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

    QUICK = [peer for peer in peers.installed() if not peer.slow]

SMALL = problems.Network(
    sizes=(2, 3, 1),
    params=problems.weights((2, 3, 1), seed=5),
    X=((0.5, -1.0), (1.5, 0.25), (-0.75, 2.0), (0.1, 0.2)),
    Y=((1.0,), (-1.0,), (1.0,), (-1.0,)),
    batch=2,
    rate=0.1,
)
EXACT = {
    "gradient": problems.exact_gradient,
    "epoch": problems.exact_epoch,
    "step": problems.exact_step,
    "hessian": problems.exact_hessian,
}


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
    [pytest.param(p, kind, id=f"{p.name}-{kind}") for p in QUICK for kind in p.prepare],
)
@pytest.mark.filterwarnings("ignore")
def test_every_installed_peer_gives_the_exact_numbers(peer, kind):
    prepared = peer.prepare[kind](SMALL)
    prepared.call()
    numbers = prepared.numbers(prepared.call())  # a second call starts from the same numbers
    assert harness.difference(numbers, EXACT[kind](SMALL)) < 1e-12


def test_wengert_is_among_the_peers():
    assert "wengert" in {peer.name for peer in QUICK}


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
    assert [len(found[name].params) for name in found] == [41, 337, 337, 337, 2410, 39760, 39760]
    assert [len(found[name].X) for name in found] == [4, 200, 200, 200, 32, 32, 32]
    assert found["moons"] == found["moons-epoch"]
    for case in cases.CASES:
        assert f"{len(found[case.name].X)} samples" in case.title or "samples" not in case.title


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
    rows, base = harness.run_case(fake_case(), contestants, rounds=2)
    found = {row.peer: row for row in rows}
    assert base in {"wengert", "wrong"}
    assert found["wengert"].difference == 0.0
    assert found["wengert"].ratio == 1.0
    assert found["wrong"].difference == pytest.approx(1.0)
    assert "expected" in found["short"].failure
    assert found["broken"].failure == "RuntimeError: no compiler"
    assert "small" not in found
    assert "small: left out" in capsys.readouterr().err


def test_results_become_narrow_tables_and_json_and_a_picture(tmp_path):
    exact = problems.exact_gradient(SMALL)
    contestants = [answering(exact, "wengert"), answering(exact), answering([], "wrong")]
    rows, base = harness.run_case(fake_case(), contestants, rounds=2)
    plain = [row.as_dict() for row in rows]
    case = {
        "name": "fake",
        "title": "a fake",
        "rows": plain,
        "base": base,
        "ours": "wengert",
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
