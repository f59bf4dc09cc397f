"""What a certificate covers, what it says, and that each of its checks can fail."""

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wengert as wg
from wengert import certificate
from wengert.codegen import numpy as numpy_target
from wengert.codegen import target as target_module
from wengert.graph import backward, ops, passes, stable
from wengert.graph.expr import live_nodes
from wengert.graph.proof.fingerprint import PRIME, Residue, fingerprints, residue_of
from wengert.graph.rules import Rule


def network(widths=(3, 4, 1), seed=0):
    net = wg.MLP(widths[0], list(widths[1:]), seed=seed)
    g = wg.Graph()
    x, y = g.inputs("x", widths[0]), g.input("y")
    out = net(x)
    return (out - y) ** 2, net.parameters()


def failed(verification):
    return {check.name for check in verification.failures}


def test_the_certificate_says_what_was_proved_and_over_what(tmp_path):
    x, z = (g := wg.Graph()).input("x"), g.input("z")
    y = wg.log(1 + wg.exp(x)) * z.relu() + abs(x)
    verification = wg.verify(y, [x, z])
    assert verification, str(verification)
    path = verification.save(tmp_path / "certificate.json")
    saved = json.loads(path.read_text(encoding="utf-8"))
    assert (saved["format"], saved["version"], saved["held"]) == ("wengert.certificate", 1, True)
    assert {check["check"] for check in saved["checks"]} >= {
        *("rule", "stable form", "adjoint", "fingerprint", "simplification"),
        *("derivative", "finite differences", "compiled"),
    }
    assert saved["conventions"] == ["abs: 0 at 0", "relu: 0 at 0"]
    assert set(saved["domain"]) == {"x", "z"}
    low, high = saved["domain"]["x"]
    assert low < high
    assert all(check["held"] and check["by"] for check in saved["checks"])
    assert saved["checks"][-1]["by"].endswith("ulps")


def test_every_node_of_a_network_is_covered():
    loss, parameters = network((20, 40, 10, 1))
    verification = wg.verify(loss, parameters, seconds=0.5)
    assert verification, str(verification)
    (adjoint,) = (check for check in verification if check.name == "adjoint")
    nodes = live_nodes(loss.graph, [loss.id])
    count = int(adjoint.what.split()[0])
    assert count > len(nodes) / 2, "all but the output, the data and what only they need"


def test_the_cost_is_linear():
    import time

    times = []
    for width in (40, 160):
        loss, parameters = network((25, width, 1))
        claim, _ = wg.verify.__globals__["claim_of"](loss, parameters, {})
        point = {leaf: 0.01 for leaf in claim.live if leaf in claim.graph.leaves.values()}
        started = time.process_time()
        outcomes = certificate.node_checks(claim, [point], 0)
        times.append((time.process_time() - started) / len(claim.live))
        assert all(outcome[3] for outcome in outcomes), outcomes
    assert times[1] < 3 * times[0]


# -- each check can fail --------------------------------------------------------------------------


def test_a_wrong_stable_rule_fails(monkeypatch):
    wrong = Rule(
        "softplus", lambda x: wg.log(1 + wg.exp(x)), lambda x: wg.softplus(x) + 1e-9, "stable"
    )
    monkeypatch.setattr(stable, "STABLE_PASS", passes.Pass("stable", (wrong,), share=True))
    x = wg.Graph().input("x")
    assert "stable form" in failed(wg.verify(wg.log(1 + wg.exp(x)) * x, x))


def test_a_wrong_rule_of_an_operation_fails_locally():
    x = wg.Graph().input("x")
    broken = replace(ops.TANH, vjp=(lambda ct, out, x: ct * (1 - out),))
    assert "adjoint" in failed(wg.verify(broken(x * x), x))


def test_a_sweep_that_forgets_a_share_fails(monkeypatch):
    before = backward._pull_back

    def forgetful(graph, node, found, needed, guards):
        known = dict(found)
        before(graph, node, found, needed, guards)
        for operand in graph.operands[node]:
            if operand in known:
                found[operand] = known[operand]

    monkeypatch.setattr(backward, "_pull_back", forgetful)
    x = wg.Graph().input("x")
    verification = wg.verify(x.tanh() * x + x.sin(), x)
    assert failed(verification) >= {"adjoint", "fingerprint", "derivative", "finite differences"}


def test_a_wrong_rule_for_products_fails_the_fingerprint():
    x, y = wg.Graph().inputs("x", 2)
    broken = replace(ops.MUL, vjp=(lambda ct, out, a, b: ct * b, lambda ct, out, a, b: ct * b))
    del broken  # a copy of `mul` is another function; what is wrong in place is found
    before = ops.MUL.vjp
    object.__setattr__(ops.MUL, "vjp", (before[0], lambda ct, out, a, b: ct * b))
    try:
        assert failed(wg.verify(x * y + x, [x, y])) >= {"adjoint", "fingerprint"}
    finally:
        object.__setattr__(ops.MUL, "vjp", before)


def test_a_wrong_simplification_fails(monkeypatch):
    wrong = Rule("wrong", lambda a, b: a * b, lambda a, b: a + b, "exact")
    monkeypatch.setattr(passes.run, "__defaults__", ((passes.Pass("exact", (wrong,)),),))
    x, y = wg.Graph().inputs("x", 2)
    assert failed(wg.verify(x * y * y, [x, y])) >= {"simplification"}


def test_a_target_that_computes_something_else_fails(monkeypatch):
    before = numpy_target.TARGET

    def crooked(source):
        function = before.load(source)
        return lambda *arguments: function(*arguments) * (1 + 1e-8)

    monkeypatch.setattr(numpy_target, "TARGET", replace(before, load=crooked))
    assert target_module.find_target("numpy").load is crooked
    x = wg.Graph().input("x")
    verification = wg.verify(x.tanh() * x, x)
    assert failed(verification) == {"compiled"}
    assert "numpy: node" in verification.failures[0].detail


# -- fingerprints ---------------------------------------------------------------------------------


@given(numbers=st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=2))
def test_residues_add_and_multiply_as_the_rationals_they_are(numbers):
    from fractions import Fraction

    a, b = (Fraction(n) for n in numbers)
    found = residue_of(numbers[0], "") * residue_of(numbers[1], "") + residue_of(numbers[0], "")
    exact = a * b + a
    assert found % PRIME == exact.numerator * pow(exact.denominator, -1, PRIME) % PRIME


def prints(*exprs):
    graph = exprs[0].graph
    found = fingerprints(graph, live_nodes(graph, [e.id for e in exprs]), "seed")
    return [found[e.id] for e in exprs]


def test_the_same_function_has_the_same_fingerprint():
    x, y = wg.Graph().inputs("x", 2)
    same = [
        ((x + y) ** 2, x * x + 2 * x * y + y * y),
        (x / y - y / x, (x - y) * (x + y) / (x * y)),
        (wg.tanh(x * y) + 1, 1 + wg.tanh(y * x)),
        (x**-2, 1 / (x * x)),
    ]
    for a, b in same:
        assert len(set(prints(a, b))) == 1
    assert len(set(prints(x, y, x + y, x - y, wg.tanh(x), wg.sin(x), x * y, x * x))) == 8


@settings(max_examples=50)
@given(bit=st.integers(0, 51))
def test_one_bit_of_one_constant_changes_the_fingerprint(bit):
    x = wg.Graph().input("x")
    a, b = prints((x + 1.0) * x, (x + (1.0 + 2.0**-bit)) * x)
    assert a != b


def test_residues_meet_numbers_and_nothing_else():
    assert (2 * Residue(3, "") - 1).number == 5
    with pytest.raises(TypeError):
        Residue(3, "") + "a"
    assert math.isnan(float("nan"))
    assert residue_of(math.inf, "a") != residue_of(math.inf, "b")
