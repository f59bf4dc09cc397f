"""What a function is computed as: written alone, in its stable form beside its derivative."""

import re
from functools import cache

import numpy as np
import pytest
from places import PROJECT

import wengert as wg
from wengert.testing import RUNNABLE

ROWS = re.findall(
    r"^\| `(.+?)` \| (\S+) \| ", (PROJECT / "docs" / "stability.md").read_text(), re.MULTILINE
)
AT = [float(at) for _, at in ROWS]
KINDS = {"numbers": {}, "rows": {"batch": "x", "reduce": None}}


def formulas(shape=()):
    """A graph of all formulas of the page, each of an x of its own."""
    graph = wg.Graph()
    leaves = [graph.array(f"x{k}", shape) if shape else graph.input(f"x{k}") for k in range(62)]
    texts = [re.sub(r"\bx\b", f"x{k}", formula) for k, (formula, _) in enumerate(ROWS)]
    return leaves, [wg.parse(text, graph) for text in texts]


@cache
def expected(beside):
    leaves, values = formulas()
    if beside:
        values = [wg.stable_form(value) for value in values]
    return wg.evaluate(values, dict(zip(leaves, AT, strict=True)))


def asked(leaves, values, beside):
    if not beside:
        return {"y": values}
    return {"y": values, "dy": [wg.grad(y, x) for x, y in zip(leaves, values, strict=True)]}


def test_the_page_has_formulas_that_fail_as_they_are_written():
    wrong = [a != b for a, b in zip(expected(False), expected(True), strict=True)]
    assert len(ROWS) == 62
    assert sum(wrong) > 40


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.parametrize("target", [*RUNNABLE, "javascript"])
def test_every_target_computes_the_same_form(target, beside, kind):
    leaves, values = formulas()
    outputs = asked(leaves, values, beside)
    f = wg.compile({"x": leaves}, outputs, target=target, **KINDS[kind])
    call = f if target != "javascript" else f.program.run
    with np.errstate(all="ignore"):
        found = call(np.array(AT) if kind != "rows" else np.array([AT, AT]))["y"]
    last = [column[-1] for column in found] if kind == "rows" else found
    np.testing.assert_allclose(last, expected(beside), rtol=1e-13)


@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.parametrize("target", ["numpy", "native"])
def test_arrays_are_computed_in_the_same_form(target, beside):
    if target not in RUNNABLE:
        pytest.skip("llvmlite is not installed")
    leaves, values = formulas((2,))
    values = [value[1] for value in values]
    f = wg.compile({"x": leaves}, asked(leaves, values, beside), target=target)
    with np.errstate(all="ignore"):
        found = f(np.repeat(AT, 2))["y"]
    np.testing.assert_allclose(found, expected(beside), rtol=1e-13)


@pytest.mark.parametrize("target", ["numpy", "native"])
def test_weights_whose_largest_is_among_numbers_of_two_kinds(target):
    """Attention with a slope: what is 0 away from itself has no slope to subtract."""
    if target not in RUNNABLE:
        pytest.skip("llvmlite is not installed")
    g = wg.Graph()
    rows = [g.inputs(f"a_{i}_", 4) for i in range(4)]
    loss = 0
    for p, row in enumerate(rows):
        powers = [wg.exp(row[t] - (p - t) / 2) for t in range(p + 1)]
        whole = sum(powers)
        loss += sum(power / whole * rows[0][t] for t, power in enumerate(powers))
    leaves = [leaf for row in rows for leaf in row]
    outputs = [wg.stable_form(loss), *wg.grad(loss, leaves, allow_unused=True)]
    given = np.random.default_rng(0).normal(size=16) * 500
    wanted = wg.compile({"a": leaves}, outputs)(given.tolist())
    found = wg.compile({"a": leaves}, outputs, target=target)(given)
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-300)
