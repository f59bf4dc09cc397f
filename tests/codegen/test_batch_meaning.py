"""A batch means one thing: sums, means or rows over the samples, whatever an output mentions."""

import numpy as np
import pytest

import wengert as wg
from wengert.codegen.program import flatten, map_nested
from wengert.codegen.scalar.node import find_node, run_in_node
from wengert.codegen.target import find_target

ROWS = {"x": [1.0, 2.0, 4.0], "y": [0.5, -1.0, 3.0]}
POINT = {"w": 2.0, "b": 3.0}


def leaves():
    graph = wg.Graph()
    return graph, {name: graph.input(name) for name in "wbxy"}


def cases():
    """Outputs that mention every sample, some, or none; before or after simplification."""
    yield "prior", lambda g, w, b, x, y: (w * x - y) ** 2 + 0.1 * b**2
    yield "bias", lambda g, w, b, x, y: w * x + b
    yield "gradients", lambda g, w, b, x, y: wg.grad((w * x - y) ** 2 + 0.1 * b**2, [w, b])
    yield "hessian", lambda g, w, b, x, y: wg.hessian(w * w * x + b * b * 3, [w, b])
    yield "jvp", lambda g, w, b, x, y: wg.jvp(3 * x + b * 2, [x, b], [1.0, 1.0])
    yield "constant", lambda g, w, b, x, y: g.constant(2.5)
    yield "leaf", lambda g, w, b, x, y: w
    yield "computed once", lambda g, w, b, x, y: wg.tanh(w * b)
    yield "simplified to a constant", lambda g, w, b, x, y: x**0
    yield "simplified to a leaf", lambda g, w, b, x, y: wg.where(x > 0, w, w)
    yield "simplified to another sample", lambda g, w, b, x, y: wg.where(x > 0, y, y)
    yield "list of both", lambda g, w, b, x, y: [x * w, w * b, x**0]
    yield "list of neither", lambda g, w, b, x, y: [w * b, x**0]
    yield "alike", lambda g, w, b, x, y: {"a": [w, x], "b": w * 1, "c": {"d": [w, b]}}


CASES = dict(cases())


def expected(outputs, reduce):
    """What each output is, from the interpreter at each sample on its own."""
    flat = [out for _, out in flatten(outputs)]
    leaves = flat[0].graph.leaves
    each = []
    for x, y in zip(ROWS["x"], ROWS["y"], strict=True):
        at = {name: n for name, n in {**POINT, "x": x, "y": y}.items() if name in leaves}
        each.append(wg.evaluate(flat, at))
    columns = iter(map(list, zip(*each, strict=True)))
    form = {"sum": sum, "mean": lambda c: sum(c) / len(c), None: list}[reduce]
    return map_nested(outputs, lambda _: form(next(columns)))


def numbers(nested):
    if isinstance(nested, dict):
        return [n for value in nested.values() for n in numbers(value)]
    if isinstance(nested, list):
        return [n for value in nested for n in numbers(value)]
    return np.ravel(nested).tolist()


def compiled(case, target, reduce, simplify=True):
    graph, named = leaves()
    outputs = CASES[case](graph, **named)
    f = wg.compile(
        named, outputs, batch=("x", "y"), reduce=reduce, target=target, simplify=simplify
    )
    return f, expected(outputs, reduce)


@pytest.mark.parametrize("simplify", [True, "real", False])
@pytest.mark.parametrize("reduce", ["sum", "mean", None])
@pytest.mark.parametrize("case", CASES)
def test_python_and_numpy_and_the_interpreter_agree_with_the_samples(case, reduce, simplify):
    f, wanted = compiled(case, "python", reduce, simplify)
    arguments = [POINT["w"], POINT["b"], ROWS["x"], ROWS["y"]]
    for found in (f(*arguments), f.program.run(*arguments)):
        assert [path for path, _ in flatten(found)] == [path for path, _ in flatten(wanted)]
        np.testing.assert_allclose(numbers(found), numbers(wanted), rtol=1e-12)
    for target in ("numpy", "native"):
        f, wanted = compiled(case, target, reduce, simplify)
        np.testing.assert_allclose(numbers(f(*arguments)), numbers(wanted), rtol=1e-12)


@pytest.mark.skipif(find_node() is None, reason="no Node.js on PATH")
def test_javascript_agrees_with_the_samples():
    jobs, answers = [], []
    for case in CASES:
        for reduce in ("sum", "mean", None):
            f, wanted = compiled(case, "javascript", reduce)
            arguments = (POINT["w"], POINT["b"], ROWS["x"], ROWS["y"])
            jobs.append((find_target("javascript").emit(f.program), [arguments]))
            answers.append(numbers(wanted))
    for (found,), wanted in zip(run_in_node(jobs), answers, strict=True):
        np.testing.assert_allclose(numbers(found), wanted, rtol=1e-12)


@pytest.mark.parametrize("target", ["python", "numpy", "native"])
def test_no_samples_sum_to_nothing_whatever_is_summed(target):
    graph, named = leaves()
    outputs = [named["w"] * named["x"], named["b"], graph.constant(2.5)]
    f = wg.compile(named, outputs, batch=("x", "y"), target=target)
    assert list(f(2.0, 3.0, [], [])) == [0.0, 0.0, 0.0]
    f = wg.compile(named, outputs, batch=("x", "y"), target=target, reduce=None)
    assert np.shape(f(2.0, 3.0, [], [])) == (3, 0)


@pytest.mark.parametrize("target", ["python", "numpy", "native"])
@pytest.mark.parametrize("reduce", ["sum", "mean", None])
def test_what_is_computed_from_a_total_is_not_reduced_again(target, reduce):
    _, named = leaves()
    w, x = named["w"], named["x"]
    f = wg.compile(
        named, {"new": w - 0.1 * wg.total(x)}, batch=("x", "y"), target=target, reduce=reduce
    )
    assert f(2.0, 3.0, [1.0, 2.0], [0.0, 0.0])["new"] == pytest.approx(1.7)


@pytest.mark.parametrize("reduce", ["sum", "mean", None])
def test_arrays_that_no_sample_enters(reduce):
    graph = wg.Graph()
    W, x = graph.array("W", (2, 3)), graph.array("x", 3)
    outputs = {"W": W * 2.0, "y": W @ x, "one": x * 0.0 + 1.0, "dx": wg.grad((W @ x).sum(), x)}
    f = wg.compile({"W": W, "x": x}, outputs, batch="x", target="numpy", reduce=reduce)
    at, rows = np.arange(6.0).reshape(2, 3), np.arange(12.0).reshape(4, 3)
    each = [wg.evaluate(list(outputs.values()), {"W": at, "x": row}) for row in rows]
    for name, column in zip(outputs, zip(*each, strict=True), strict=True):
        stacked = np.stack(column)
        wanted = {"sum": stacked.sum(0), "mean": stacked.mean(0), None: stacked}[reduce]
        np.testing.assert_allclose(f(at, rows)[name], wanted, rtol=1e-12)


def test_verify_and_exported_modules_mean_the_same(tmp_path):
    _, named = leaves()
    w, b, x = (named[name] for name in "wbx")
    loss = w * x + b
    assert wg.verify(loss, [w, b])
    outputs = {"loss": loss, "grad": wg.grad(loss, [w, b])}
    f = wg.compile({"p": [w, b], "x": x}, outputs, batch="x")
    path = f.save(tmp_path / "model.py")
    space = {"__name__": "model"}
    exec(compile(path.read_text(), str(path), "exec"), space)
    assert space["f"]([2.0, 3.0], [1.0, 2.0, 4.0]) == {"loss": 23.0, "grad": [7.0, 3.0]}
    data = (space["ARGUMENTS"], space["VALUES"], space["DERIVATIVES"], space["CERTIFICATE"])
    assert len(space["DERIVATIVES"]) == 1
    assert space["check_module"](space["f"], *data, str(path))


@pytest.mark.parametrize("target", ["python", "numpy", "native"])
def test_a_counter_of_steps_in_a_training_step_counts_steps_not_samples(target):
    net = wg.MLP(2, [2, 1], seed=0)
    step = wg.training_step(net, optimizer="adam", target=target)
    state = wg.Adam().state(len(net.parameters()))
    params = [p.data for p in net.parameters()]
    after = step(params, state, [[1.0, 2.0], [0.5, 1.0], [3.0, 1.0]], [1.0, 0.0, 1.0])
    assert tuple(after["state"][:2]) == wg.Adam().advance(tuple(state[:2]))
