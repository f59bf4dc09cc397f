"""What a certificate covers, what it says, and that it is read back as it was."""

import json
import math
import re
from dataclasses import replace
from functools import reduce

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wengert as wg
from wengert.derive import backward
from wengert.errors import SaveFileError
from wengert.graph.store import live_nodes
from wengert.proof.adjoints import prove_shares
from wengert.proof.check import Check
from wengert.proof.claim import claim_of
from wengert.proof.nodes import node_checks
from wengert.proof.residues import PRIME, Residue, fingerprints, residue_of
from wengert.verify import certificate
from wengert.verify.arraysteps import Function, _check
from wengert.verify.looks import Look, same_fingerprints


def network(widths=(3, 4, 1), seed=0):
    net = wg.MLP(widths[0], list(widths[1:]), seed=seed)
    g = wg.Graph()
    x, y = g.inputs("x", widths[0]), g.input("y")
    out = net(x)
    return (out - y) ** 2, net.parameters()


def test_the_certificate_says_what_was_proved_and_over_what(tmp_path):
    x, z = (g := wg.Graph()).input("x"), g.input("z")
    y = wg.log(1 + wg.exp(x)) * z.relu() + abs(x)
    verification = wg.verify(y, [x, z])
    assert verification, str(verification)
    path = verification.save(tmp_path / "certificate.json")
    saved = json.loads(path.read_text(encoding="utf-8"))
    assert (saved["format"], saved["version"], saved["held"]) == ("wengert.certificate", 1, True)
    assert {check["check"] for check in saved["checks"]} == {
        *("rule", "stable form", "adjoint", "fingerprint", "simplification", "roll"),
        *("derivative", "finite differences", "compiled"),
    }
    assert saved["conventions"] == ["abs: 0 at 0", "relu: 0 at 0"]
    assert set(saved["domain"]) == {"x", "z"}
    low, high = saved["domain"]["x"]
    assert low < high
    assert all(check["held"] and check["by"] and check["over"] for check in saved["checks"])
    compiled = [check for check in saved["checks"] if check["check"] == "compiled"]
    assert compiled
    assert all(check["ulps"] <= 64 for check in compiled)
    assert [set(sample["at"]) for sample in saved["samples"]] == [{"x", "z"}] * 3


def test_a_certificate_is_read_back_as_it_was(tmp_path):
    x, z = (g := wg.Graph()).input("x"), g.input("z")
    verification = wg.verify((x * z).tanh() * x.relu(), [x, z])
    again = wg.Verification.load(verification.save(tmp_path / "certificate.json"))
    assert again == verification
    assert str(again) == str(verification)
    bad = replace(verification, checks=(replace(verification.checks[0], held=False),))
    assert not wg.Verification.load(bad.save(tmp_path / "bad.json"))


@pytest.fixture(scope="module")
def written():
    x = wg.Graph().input("x")
    return wg.verify(x * x, x)


@pytest.fixture
def saved(written, tmp_path):
    """The path of a certificate, and what is in it."""
    path = written.save(tmp_path / "certificate.json")
    return path, json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("place", "thing", "said"),
    [
        (("version",), 2, "schema version"),
        (("format",), "wengert.graph", "format"),
        (("held",), False, '"held" is False, expected True'),
        (("held",), "yes", '"held" is'),
        (("output",), 3, '"output" is 3, expected text'),
        (("output",), "x" * 200_000, "text of at most 100,000 characters"),
        (("checks",), {}, '"checks" is {}, expected a list'),
        (("checks",), [[]], "a check is [], expected an object"),
        (("checks",), [None] * 100_001, "at most 100,000 entries"),
        (("checks", 0, "held"), 1, '"held" of a check is 1'),
        (("checks", 0, "by"), None, '"by" is None'),
        (("checks", 0, "error"), -1.0, '"error" is -1.0'),
        (("checks", 0, "error"), 10**400, '"error" is'),
        (("checks", 0, "ulps"), "many", "\"ulps\" is 'many'"),
        (("seed",), 0.5, '"seed" is 0.5'),
        (("seed",), 10**30, '"seed" is'),
        (("points",), True, '"points" is True'),
        (("domain",), [], '"domain" is []'),
        (("domain",), {"x": [1.0]}, "domain of 'x' is [1.0]"),
        (("domain",), {"x": [2.0, 1.0]}, "two numbers, least first"),
        (("domain",), {"x": [math.nan, 1.0]}, "domain of 'x'"),
        (("conventions",), ["a", 1], '"conventions" is 1'),
        (("not_run",), None, '"not_run" is None'),
        (("samples", 0), 7, "a sample is 7"),
        (("samples", 0, "output"), "1", '"output" of a sample'),
        (("samples", 0, "at"), {"x": [1]}, "'x' in \"at\" is [1]"),
    ],
)
def test_what_is_no_certificate_is_refused(place, thing, said, saved):
    path, document = saved
    part = document
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = thing
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(SaveFileError, match=re.escape(said)) as caught:
        wg.Verification.load(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 1_000


def test_files_that_are_no_certificates_at_all(saved, tmp_path, monkeypatch):
    path, _ = saved
    for text in ("", "{", "[]", "[" * 100_000, "null", '{"format": "wengert.certificate"}'):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(SaveFileError):
            wg.Verification.load(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SaveFileError):
        wg.Verification.load(path)
    monkeypatch.setattr(certificate, "MAX_BYTES", 2)
    with pytest.raises(SaveFileError, match="it has 3 bytes, and none has over 2"):
        wg.Verification.load(path)
    with pytest.raises(FileNotFoundError):
        wg.Verification.load(tmp_path / "none.json")


def test_what_does_not_print_is_escaped():
    check = Check("rule\x1b[2J", "a\u202eb", "by\nhand", True)
    shown = str(wg.Verification("x", (check,), 0, 1, ("\r",), not_run=("\x07",)))
    assert all(line.isprintable() for line in shown.split("\n"))
    assert "\\u202e" in shown


def test_kinks_state_their_convention():
    x, y = wg.Graph().inputs("x", 2)
    out = wg.maximum(x, y) + wg.minimum(x, y) * x.relu() + abs(y) + wg.where(x > y, x, y)
    verification = wg.verify(out, [x, y])
    for name in ("maximum", "minimum", "relu", "abs", "where"):
        assert f"at kinks: {name}: " in str(verification)
        assert any(line.startswith(f"{name}: ") for line in verification.data()["conventions"])
    assert "at kinks" not in str(wg.verify(x * y, [x, y]))


def nodes_proved(verification):
    """How many nodes have a symbolic proof of their own, and how many there are."""
    (check,) = (c for c in verification if c.name == "adjoint" and "symbolic" in c.method)
    count, _, total, _ = check.what.split()
    return int(count.replace(",", "")), int(total.replace(",", ""))


def test_every_node_of_a_network_is_proved():
    loss, parameters = network((20, 40, 10, 1))
    verification = wg.verify(loss, parameters, seconds=0.5)
    assert verification, str(verification)
    count, total = nodes_proved(verification)
    nodes = len(live_nodes(loss.graph, [loss.id]))
    assert nodes / 2 < count == total, "all but the output, the data and what only they need"


def test_a_network_of_ten_thousand_nodes_is_verified_whole():
    loss, parameters = network((64, 32, 10, 1))
    verification = wg.verify(loss, parameters, seconds=0.2)
    assert verification, str(verification)
    count, total = nodes_proved(verification)
    assert count == total > 7_000
    assert verification.data()["domain"].keys() == {"all 2,486 leaves"}
    assert verification.data()["samples"] == []
    assert len(json.dumps(verification.data())) < 20_000
    assert any("2,421 derivatives" in check.what for check in verification)


def test_many_operations_have_their_shares_proved():
    x, y = wg.Graph().inputs("x", 2)
    out = wg.where(x > 0, x.log() * y, x * 2) + wg.gelu(x) / y + wg.sqrt(wg.softplus(x * y))
    out = out * wg.maximum(x, y) - abs(out) + (x * 3 + 2.0**y) ** 3
    count, total = nodes_proved(wg.verify(out, [x, y]))
    assert count == total > 20


def test_a_network_costs_few_proofs():
    loss, parameters = network((6, 8, 8, 1))
    claim, _ = claim_of(loss, parameters, {})
    adjoints = backward.reverse_sweep(claim.graph, claim.root, set(claim.leaves))
    proof = prove_shares(claim.graph, claim.primal, adjoints)
    assert proof.proved == proof.nodes > 300
    assert proof.shapes < 12


def test_the_cost_is_linear():
    import time

    times = []
    for width in (40, 160):
        loss, parameters = network((25, width, 1))
        claim, _ = claim_of(loss, parameters, {})
        point = {leaf: 0.01 for leaf in claim.live if leaf in claim.graph.leaves.values()}
        started = time.process_time()
        checks = [check for found in node_checks(claim, [point], 0) for check in found]
        times.append((time.process_time() - started) / len(claim.live))
        assert checks
        assert all(check.held for check in checks), checks
    assert times[1] < 3 * times[0]


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


def test_conditions_the_other_way_round_have_other_fingerprints():
    g = wg.Graph()
    for k in range(12):
        a, b, c, d = g.inputs(f"x{k}_", 4)
        for wrong in (wg.where(b > a, c, d), wg.where(a > b, c, a), wg.where(a > b, b, d)):
            old, new = (Look(g, [e.id], [], 0) for e in (wg.where(a > b, c, d), wrong))
            assert not same_fingerprints(old, new)


def test_a_rewrite_that_is_right_by_chance_is_compared_in_numbers():
    x = wg.Graph().inputs("x", 8)
    points = [{f"x{k}": 1.0 for k in range(8)}]
    kept = reduce(lambda one, gate: wg.where(gate > 0.0, one, 0.0), x, wg.tanh(x[0]))
    lost = reduce(lambda one, gate: wg.where(gate > 0.0, one, 0.0), x, 2 * wg.tanh(x[0]))
    old, new = (Look(x[0].graph, [e.id], points, 3) for e in (kept, lost))
    assert old.chooses
    assert same_fingerprints(old, new)
    assert not _check("simplification", "", old, new, Function(None, points)).held


def test_residues_meet_numbers_and_nothing_else():
    assert (2 * Residue(3, "") - 1).number == 5
    with pytest.raises(TypeError):
        Residue(3, "") + "a"
    assert math.isnan(float("nan"))
    assert residue_of(math.inf, "a") != residue_of(math.inf, "b")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("output", "x + 1"),
        ("points", 300),
        ("seed", 1),
        ("domain", {"x": [-1e9, 1e9]}),
        ("conventions", []),
        ("not_run", []),
        ("samples", []),
        ("checks", []),
        ("wengert", "9.9"),
        ("sha256", None),
        ("note", "added"),
    ],
)
def test_a_certificate_cannot_be_edited_into_another_unnoticed(tmp_path, key, value):
    x = wg.Graph().input("x")
    verification = wg.verify(wg.relu(x) * x, x)
    path = verification.save(tmp_path / "certificate.json")
    document = json.loads(path.read_text(encoding="utf-8"))
    if document.get(key) == value:
        value = ["something"]
    path.write_text(json.dumps({**document, key: value}), encoding="utf-8")
    with pytest.raises(SaveFileError, match=r"it has been changed|as its checks say"):
        wg.Verification.load(path)
    path.write_text(json.dumps(document, indent=2), encoding="utf-8")
    assert wg.Verification.load(path) == verification
