"""`verify`: that it holds for what is right, and fails for each kind of thing that can be wrong."""

import functools
import itertools
import random
import re
import sys
import time
from dataclasses import replace

import pytest
from strategies import random_recipe

from wengert.codegen.array import printer as numpy_target
from wengert.codegen.build import build_once
from wengert.codegen.scalar import node as noderun
from wengert.codegen.scalar import python as python_target
from wengert.codegen.target import find_target, targets
from wengert.derive.backward import grad, hessian
from wengert.errors import (
    DisconnectedInputError,
    GraphMismatchError,
    NotALeafError,
    NotDifferentiableError,
    OperandError,
    UnknownNameError,
)
from wengert.graph.expr import Expr, Graph
from wengert.graph.value import Value
from wengert.ops import scalar as ops
from wengert.proof import claim as claim_module
from wengert.proof import nodes, precise, symbolic
from wengert.verify import stages
from wengert.verify.verify import Check, Verification, verify

OTHERS = [name for name in targets() if not find_target(name).engine]
"""The targets that are looked at without being asked for."""

verify_module = sys.modules["wengert.verify.verify"]


def kinds(verification):
    """The names of the checks that failed."""
    return {check.name for check in verification.failures}


def by(verification, name):
    return [check for check in verification if check.name == name]


@pytest.fixture
def leaves():
    g = Graph()
    return g.input("x"), g.input("y")


def network(g, sizes, activation=ops.tanh, seed=0):
    """Parameters and function of a network of scalars."""
    rng = random.Random(seed)
    parameters, layers = [], []
    for depth, (width, count) in enumerate(itertools.pairwise(sizes)):
        layer = []
        for j in range(count):
            w = [g.parameter(f"w{depth}_{j}_{i}", rng.uniform(-1, 1)) for i in range(width)]
            b = g.parameter(f"b{depth}_{j}", rng.uniform(-1, 1))
            layer.append((w, b))
            parameters += [*w, b]
        layers.append(layer)

    def apply(x):
        for layer in layers:
            x = [activation(sum((a * v for a, v in zip(w, x, strict=True)), b)) for w, b in layer]
        return x[0]

    return parameters, apply


# -- what is right --------------------------------------------------------------------------------


def test_every_kind_of_check_is_made(leaves):
    x, y = leaves
    verification = verify((x * y).tanh() + x.relu(), [x, y])
    assert verification, str(verification)
    assert {check.name for check in verification} == {
        "rule",
        "adjoint",
        "fingerprint",
        "simplification",
        "roll",
        "derivative",
        "finite differences",
        "compiled",
    }
    assert {check.what for check in by(verification, "rule")} == {"mul", "tanh", "add", "relu"}
    (derivative,) = by(verification, "derivative")
    assert (derivative.method, derivative.error) == ("sympy, symbolic", None)
    (differences,) = by(verification, "finite differences")
    assert differences.error < 1e-8
    assert "2 of 2 leaves" in differences.detail


def test_the_rules_of_the_stable_form_are_among_those_proved(leaves):
    x, _ = leaves
    verification = verify((x.exp() + 1).log(), x)
    assert verification, str(verification)
    assert {"exp", "add", "log", "softplus"} == {c.what for c in by(verification, "rule")}


def test_the_loss_of_the_notebook_is_proved_in_seconds():
    g = Graph()
    parameters, net = network(g, [2, 4, 4, 1])
    rows = [[2.0, 3.0], [3.0, -1.0], [0.5, 1.0], [1.0, 1.0]]
    loss = sum(((net(x) - y) ** 2 for x, y in zip(rows, [1, -1, -1, 1], strict=True)), 0.0)
    nodes = len(g)
    verification = verify(loss, parameters, seconds=60.0)
    assert verification, str(verification)
    assert len(g) == nodes, "the graph is left as it was"
    (derivative, *rest) = by(verification, "derivative")
    assert not rest
    assert derivative.what == "37 derivatives"


def test_networks_too_large_for_formulas_are_checked_by_the_chain_rule():
    g = Graph()
    for activation in (ops.relu, ops.tanh):
        g = Graph()
        parameters, net = network(g, [3, 8, 8, 1], activation)
        loss = (net(g.inputs("x", 3)) - 1.0) ** 2
        verification = verify(loss, parameters, seconds=1.0)
        assert verification, str(verification)
        (derivative,) = by(verification, "derivative")
        assert derivative.method == "sympy by the chain rule, 50 digits"
        assert derivative.error < 1e-40


def test_past_a_size_the_chain_rule_is_followed_at_one_point_and_each_value_found_once(
    leaves, monkeypatch
):
    x, asked = leaves[0], []
    whole = precise.precise_values

    def counted(graph, live, given, digits=50, known=None):
        asked.extend(set(live) - set(known or {}))
        return whole(graph, live, given, digits, known)

    for module in (nodes, symbolic, verify_module):
        monkeypatch.setattr(module, "precise_values", counted)
    monkeypatch.setattr(symbolic, "LONG", 300)
    long = verify(functools.reduce(lambda y, _: y.tanh(), range(100), x), x)
    assert long
    assert [check.over for check in by(long, "derivative")] == ["1 point"]
    assert len(asked) == len(set(asked)) > 400
    short = verify(functools.reduce(lambda y, _: y.tanh(), range(70), x), x)
    assert [check.over for check in by(short, "derivative")] == ["3 points"]


@pytest.mark.parametrize("activation", [ops.relu, ops.leaky_relu, ops.softplus, ops.sigmoid])
def test_small_networks_of_every_activation(activation):
    g = Graph()
    parameters, net = network(g, [2, 3, 1], activation)
    verification = verify((net(g.inputs("x", 2)) - 1.0) ** 2, parameters, seconds=0.5)
    assert verification, str(verification)


def test_values_are_verified_like_expressions():
    a, b, c = Value(2.0, label="a"), Value(-3.0), Value(0.5, label="not a name")
    verification = verify((a * b).tanh() * c + a.exp(), [a, b, c])
    assert verification, str(verification)
    assert verify(a * a, a)


def test_second_derivatives_are_verified_too(leaves):
    x, y = leaves
    e = (x * y).tanh() * x + y.relu() * abs(x)
    for row in hessian(e, [x, y]):
        for entry in row:
            assert verify(entry, [x, y]) if not entry.is_leaf else True
    assert verify(grad(grad(x.sin() * x, x), x), x)


@pytest.mark.parametrize("seed", range(24))
def test_random_expressions_are_verified(seed):
    rng = random.Random(seed)
    points = [[rng.uniform(0.3, 2.0), rng.uniform(-2.0, -0.3)]]
    recipe = random_recipe(rng, points, 7)
    g = Graph()
    leaves = g.inputs("x", 2)
    at = dict(zip(leaves, points[0], strict=True))
    verification = verify(recipe.follow(leaves), leaves, at=at, seconds=2.0)
    assert verification, str(verification)


@pytest.mark.parametrize(
    "formula",
    [
        lambda x: x.log() * x.sqrt(),
        lambda x: (x - 1.5).sqrt() + 0 * x.log(),
        lambda x: x**0.3,
        lambda x: (3 * x) ** -1.7,
        lambda x: x**x,
        lambda x: 2.0**x,
        lambda x: x / (x - 1),
        lambda x: ops.log1p(x) + ops.expm1(-x),
        lambda x: (x * 300).exp(),
        lambda x: ops.stop_gradient(x * x) * x,
        lambda x: (x < 0.5) * x,
        lambda x: ops.where(x > 0, x.log(), x * 2),
        lambda x: ops.silu(x) + ops.gelu(x),
        lambda x: 1e-9 * x.sin() + 1e-9,
        lambda x: x * 0 + 1.0,
        lambda x: x.sin() * 1e12,
        lambda x: (x * 1e5).sin(),
    ],
)
def test_domains_scales_and_conventions(formula, leaves):
    verification = verify(formula(leaves[0]), leaves[0])
    assert verification, str(verification)
    assert verification.points == 3


def test_a_long_chain_is_verified_without_recursion(leaves):
    x, _ = leaves
    e = x
    for _ in range(2_000):
        e = e.sin() + 0.25 * e
    verification = verify(e, x, seconds=1.0)
    assert verification, str(verification)


# -- what is wrong --------------------------------------------------------------------------------


def test_a_broken_rule_fails_by_every_judge_of_the_derivative(leaves):
    x, y = leaves
    broken = replace(ops.TANH, vjp=(lambda ct, out, x: ct * (1 - out),))
    verification = verify(broken(x * y) + x, [x, y])
    assert not verification
    assert kinds(verification) == {"rule", "adjoint", "derivative", "finite differences"}
    assert "FAILED" in str(verification)
    assert "d/d" in str(verification)
    assert "rule - derivative" in str(verification)


def test_a_rule_broken_on_one_side_of_its_kink_fails(leaves):
    x, _ = leaves
    broken = replace(ops.RELU, vjp=(lambda ct, out, x: ct,))
    assert "rule" in kinds(verify(broken(x) * x, x, at={x: 0.5}))
    assert kinds(verify(broken(x) + x, x, at={x: -0.5})) == {
        "rule",
        "adjoint",
        "derivative",
        "finite differences",
    }


def test_a_broken_value_fails_although_the_rule_fits_the_meaning(leaves):
    x, _ = leaves
    broken = replace(ops.SIN, evaluate=lambda x: 1.001 * ops.sin(x))
    assert kinds(verify(broken(x), x)) >= {"finite differences"}


@pytest.mark.parametrize("size", ["small", "large"])
def test_a_gradient_that_drops_a_term_fails(size, monkeypatch):
    g = Graph()
    parameters, net = network(g, [2, 3, 1] if size == "small" else [3, 8, 8, 1])
    loss = net(g.inputs("x", 3 if size == "large" else 2)) ** 2

    def forgetful(output, wrt):
        gradient = grad(output, wrt)
        # One path of several: the last contribution to a sum is left out.
        i = next(i for i, d in enumerate(gradient) if len(d.operands) == 2)
        gradient[i] = gradient[i].operands[0] * 0.5
        return gradient

    monkeypatch.setattr(claim_module, "grad", forgetful)
    verification = verify(loss, parameters)
    assert kinds(verification) == {
        "adjoint",
        "fingerprint",
        "derivative",
        "finite differences",
    }
    assert f"d/d{parameters[0].label}" in by(verification, "derivative")[-1].detail


def test_a_gradient_wrong_in_the_ninth_digit_fails(monkeypatch, leaves):
    def rounded(output, wrt):
        return [d * (1 + 1e-9) for d in grad(output, wrt)]

    monkeypatch.setattr(claim_module, "grad", rounded)
    assert "derivative" in kinds(verify(leaves[0].tanh(), leaves[0]))


@pytest.fixture
def altered(monkeypatch):
    """Have a target's functions answer something else, for the functions built in this test."""

    def alter(module, change):
        before = module.TARGET

        def load(source):
            function = before.load(source)
            return lambda *arguments: change(function(*arguments))

        monkeypatch.setattr(module, "TARGET", replace(before, load=load))
        build_once.cache_clear()

    yield alter
    build_once.cache_clear()


@pytest.mark.parametrize("target", [python_target, numpy_target], ids=["python", "numpy"])
@pytest.mark.parametrize("part", ["output", "gradient"])
def test_a_broken_compiled_function_fails(part, target, altered, leaves):
    x, y = leaves

    def wrong(result):
        if part == "output":
            return {**result, "output": result["output"] * 1.001}
        return {**result, "gradient": [result["gradient"][0], result["gradient"][1] * 1.001]}

    altered(target, wrong)
    verification = verify(x * y.tanh(), [x, y])
    assert kinds(verification) == {"compiled"}
    (check,) = verification.failures
    assert check.method == f"{target.TARGET.name} against the interpreter"
    assert 1e-5 < check.error < 1e-2
    assert check.ulps > 1e9
    assert ("output is" if part == "output" else "d/dy is") in check.detail


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_a_compiled_function_that_answers_nan_fails(wrong, altered, leaves):
    altered(python_target, lambda _: {"output": wrong, "gradient": [wrong]})
    verification = verify(leaves[0].exp(), leaves[0])
    assert kinds(verification) == {"compiled"}
    (check,) = (check for check in verification.data()["checks"] if not check["held"])
    assert check["ulps"] is None, "JSON has no inf"


def test_an_operation_that_a_target_cannot_spell_is_a_failed_check_if_it_was_asked_for(leaves):
    x, _ = leaves
    strange = replace(ops.TANH, name="strange", notation={"text": ops.TANH.notation["text"]})
    verification = verify(strange(x), x)
    assert {"compiled"} <= kinds(verification)
    assert "SpellingError: " in str(verification)
    others = [name for name in OTHERS if name not in ("python", "native")]  # native asks the record
    assert [reason.split(":")[0] for reason in verification.not_run] == others


def test_without_node_the_certificate_says_so(monkeypatch, leaves):
    x, _ = leaves
    monkeypatch.setattr(noderun, "find_node", lambda: None)
    verification = verify(x * x, x)
    assert verification
    assert "not run: javascript: Node.js runs JavaScript" in str(verification)
    assert verification.data()["not_run"] == list(verification.not_run)
    assert kinds(verify(x * x, x, target="javascript")) == {"compiled"}


def test_large_graphs_go_to_the_target_that_was_asked_for(monkeypatch, leaves):
    x, _ = leaves
    monkeypatch.setattr(stages, "MAX_OTHERS", 3)
    verification = verify((x * x).tanh(), x, target="numpy")
    assert [check.method.split()[0] for check in by(verification, "compiled")] == ["numpy"]
    others = set(OTHERS) - {"numpy"}
    assert {reason.split(":")[0] for reason in verification.not_run} == others


def test_batches_are_compared_too(leaves):
    x, y = leaves
    verification = verify((x * y).sin() * x, x)
    assert verification, str(verification)
    batched = [check for check in by(verification, "compiled") if "a batch" in check.method]
    runnable = [name for name in OTHERS if name != "javascript" or noderun.find_node()]
    assert [check.method.split(",")[0] for check in batched] == runnable
    assert {check.over for check in batched} == {"1 batch of 3 samples"}


def test_a_bar_appears_when_it_is_asked_for(leaves, capsys):
    assert verify(leaves[0].tanh(), leaves[0])
    assert capsys.readouterr().err == ""
    assert verify(leaves[0].tanh(), leaves[0], progress=True)
    assert re.search(r"verify: 6 of 6 .*done", capsys.readouterr().err)


def test_a_bar_appears_by_itself_on_a_terminal_for_a_large_graph(leaves, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert verify(leaves[0].tanh(), leaves[0])
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(verify_module, "LONG", 1)
    assert verify(leaves[0].tanh(), leaves[0], progress=False)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert verify(leaves[0].tanh(), leaves[0])
    assert "verify: 6 of 6" in capsys.readouterr().err


def test_no_point_in_the_domain_is_a_failed_check(leaves):
    x, _ = leaves
    verification = verify((-(x * x) - 1).log(), x)
    assert kinds(verification) == {"point"}
    assert "at={leaf: number}" in str(verification)


def test_on_a_kink_nothing_is_compared_and_that_is_said(leaves):
    x, _ = leaves
    verification = verify(x.relu(), x, at={x: 0.0})
    assert kinds(verification) == {"adjoint", "derivative", "finite differences"}
    assert "nothing compared" in str(verification)
    assert "a matter of convention" in str(verification)


def test_differences_that_cannot_be_trusted_are_not(leaves):
    x, _ = leaves
    verification = verify((x * 1e12).sin(), x)
    assert kinds(verification) == {"finite differences"}
    assert "nothing compared" in str(verification)


def test_digits_lost_to_cancellation_are_made_up_for(leaves):
    x, _ = leaves
    g = Graph()
    parameters, net = network(g, [3, 8, 8, 1], ops.sigmoid)
    assert verify(net(g.inputs("x", 3)), parameters, at={parameters[-1]: 150.0}, seconds=0.5)
    assert verify(x.sigmoid(), x, at={x: 150.0})


def test_kinks_that_are_always_there_do_no_harm(leaves):
    x, y = leaves
    w = Value(0.0, label="w")
    assert verify((x * w).relu() + ops.maximum(x, x) * y, [x, y, w])
    assert verify(ops.where(ops.equal(y, 1.0), x, -x) + abs(x), x, at={y: 1.0})


# -- what is asked --------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_verification(leaves):
    x, y = leaves
    e = (x * y).tanh() * x
    assert verify(e, [x, y], seed=3) == verify(e, [x, y], seed=3)
    assert verify(e, [x, y], seed=3) != verify(e, [x, y], seed=4)


def test_leaves_can_be_fixed_by_name_or_as_they_are(leaves):
    x, y = leaves
    verification = verify(x.log() * y, x, at={x: 2.0, "y": 3.0})
    assert verification
    assert verification.points == 1
    assert verify(x.log() * y, x, at={"y": 3.0}).points == 3
    with pytest.raises(UnknownNameError, match="'z'"):
        verify(x * y, x, at={"z": 1.0})


def test_what_cannot_be_asked_is_refused_and_nothing_is_added(leaves):
    x, y = leaves
    product, other = x * x, Graph().input("x")
    nodes = len(x.graph)
    for wrt, error in [
        (y, DisconnectedInputError),
        (Value(1.0), DisconnectedInputError),
        (product, NotALeafError),
        (other, GraphMismatchError),
        ([2.0], OperandError),
    ]:
        with pytest.raises(error):
            verify(product, wrt)
    with pytest.raises(OperandError):
        verify(2.0, x)
    assert len(x.graph) == nodes
    with pytest.raises(NotDifferentiableError):
        verify(ops.total(x), x)


def test_time_is_bounded_and_the_trace_function_is_put_back(leaves):
    x, y = leaves
    e = x
    for i in range(12):
        e = ops.where(e < y, e * x, ops.where(e * y > x, e + i, e.sin()))
    before = sys.gettrace()
    started = time.perf_counter()
    verification = verify(e, [x, y], seconds=0.2)
    assert time.perf_counter() - started < 10.0
    assert sys.gettrace() is before
    assert verification, str(verification)


def test_it_prints_as_a_table_and_reads_as_a_sequence(leaves):
    x, _ = leaves
    verification = verify(x.tanh(), x)
    table = str(verification).splitlines()
    assert max(map(len, table)) <= 80
    assert table[0].split() == ["check", "of", "by", "over", "error"]
    assert sum(line.rstrip().endswith("ok") for line in table) == len(verification)
    count = len(verification)
    assert table[-1] == f"{count} of {count} checks held, at 3 points (seed 0)."
    names = ["rule", "adjoint", "adjoint", "fingerprint", "simplification", "roll"]
    names += ["derivative", "finite differences"] + ["compiled"] * 4
    assert [check.name for check in verification] == names[: len(verification)]
    assert verification.output == "tanh(x)"
    failed = Verification("x", (Check("rule", "add", "sympy", False, None, "why"),), 0, 1)
    assert repr(failed) == "<Verification: 1 checks, 1 FAILED>"
    assert "FAILED: rule of add: why" in str(failed)
    assert not Verification("x", (), 0, 0), "nothing checked is not a success"


def test_a_leaf_is_its_own_derivative(leaves):
    x, _ = leaves
    assert verify(x, x)
    assert isinstance(x, Expr)


def proved(y, x):
    """How many nodes have a proof, and how many there are."""
    what = by(verify(y, [x]), "adjoint")[0].what
    return tuple(map(int, re.fullmatch(r"(\d+) of (\d+) nodes", what).groups()))


@pytest.mark.parametrize("name", ["exp2", "log2", "log10", "erf", "erfc", "gelu_exact"])
def test_a_rule_with_an_irrational_constant_is_proved_at_every_node(name, leaves):
    x, _ = leaves
    found, nodes = proved(ops.ELEMENTWISE[name](2 * x + 0.5) * x, x)
    assert found == nodes


def test_a_constant_that_is_only_near_proves_nothing(leaves):
    x, _ = leaves
    rule = (lambda ct, out, x: ct * (out * 0.693147180561),)
    found, nodes = proved(replace(ops.EXP2, name="wrong", vjp=rule)(x + 1), x)
    assert found == nodes - 1


def test_scalars_that_are_left_alone_have_no_statements_to_judge():
    x = Graph().input("x")
    chain = x
    for _ in range(300):
        chain = chain.tanh()
    found = verify(chain, [x])
    assert found
    assert "roll" not in {check.name for check in found.checks}
