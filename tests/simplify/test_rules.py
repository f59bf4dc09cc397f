"""Rewrite rules: each proved by sympy, tested on numbers, and applied as it is written."""

import math
from dataclasses import FrozenInstanceError, replace
from itertools import product

import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st
from places import GOLDEN as GOLDEN_FILES

from wengert.graph.evaluation import evaluate
from wengert.graph.expr import Graph
from wengert.graph.rewrite import extract
from wengert.ops.scalar import CONSTANT, NEG, SUB, WHERE, exp, log, maximum, sigmoid, where
from wengert.simplify.engine import FOLD_PASS, Pass
from wengert.simplify.pipeline import simplify
from wengert.simplify.rules import EXACT, REAL, RULE_SETS, STABLE, Rule, prove

ALL = (*EXACT, *REAL, *STABLE)

EDGES = [0.0, 1.0, 0.5, 1 / 3, 5e-324, 1e-300, 2.0**53, 709.0, 745.0, 1e17, 1e308, math.inf]
FLOATS = st.one_of(
    st.sampled_from([*EDGES, *(-edge for edge in EDGES), math.nan]),
    st.floats(-3.0, 3.0),
    st.floats(),
)
TAME = st.floats(0.25, 3.0)

WRONG = [
    Rule("not the difference", lambda a, b: a - b, lambda a, b: b - a, "exact"),
    Rule("not the square", lambda a, b: (a + b) ** 2, lambda a, b: a * a + b * b, "exact"),
    Rule("off by one", lambda x: x + 0, lambda x: x + 1, "exact"),
    Rule(
        "branches traded", lambda p, a, b: where(p, a, b), lambda p, a, b: where(p, b, a), "exact"
    ),
    Rule("right for x > 0", lambda x: maximum(x, 0), lambda x: x, "exact"),
]

every_rule = pytest.mark.parametrize("rule", ALL, ids=lambda rule: rule.name)
every_wrong_rule = pytest.mark.parametrize("rule", WRONG, ids=lambda rule: rule.name)


def both_sides(rule: Rule, numbers: list[float]) -> tuple[float, float]:
    """The values of pattern and result with these numbers for the wildcards."""
    before, after = evaluate(list(rule.sides()), dict(zip(rule.wildcards, numbers, strict=True)))
    return before, after


def same(a: float, b: float) -> bool:
    """The same float, the sign of a zero aside."""
    return a == b or (a != a and b != b)


def close(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=1e-12, abs_tol=1e-12)


def numbers_for(data: st.DataObject, rule: Rule, floats: st.SearchStrategy[float]) -> list[float]:
    return [data.draw(floats, name) for name in rule.wildcards]


def leaves_for(rule: Rule, graph: Graph) -> list:
    """Inputs for the wildcards, and constants for those called k, k1 and k2."""
    constants = {"k": 3.0, "k1": 5.0, "k2": 7.0}
    return [
        graph.constant(constants[name]) if name in constants else graph.input(name)
        for name in rule.wildcards
    ]


def text(graph: Graph) -> str:
    return " | ".join(str(graph[node]) for node in graph.outputs)


@every_rule
def test_the_rule_is_proved(rule):
    assert prove(rule)


@every_wrong_rule
def test_a_wrong_rule_is_not_proved(rule):
    assert not prove(rule)


@pytest.mark.parametrize("rule", EXACT, ids=lambda rule: rule.name)
@given(data=st.data())
def test_an_exact_rule_changes_no_bit(rule, data):
    assert same(*both_sides(rule, numbers_for(data, rule, FLOATS)))


@pytest.mark.parametrize("rule", [*REAL, *STABLE], ids=lambda rule: rule.name)
@given(data=st.data())
def test_the_other_rules_agree_up_to_rounding_on_tame_numbers(rule, data):
    before, after = both_sides(rule, numbers_for(data, rule, TAME))
    assert close(before, after) or not math.isfinite(before)


@pytest.mark.parametrize("comparison", [same, close])
@every_wrong_rule
def test_a_wrong_rule_is_found_by_numbers(rule, comparison):
    tried = product([-2.0, 0.5, 3.0], repeat=len(rule.wildcards))
    assert not all(comparison(*both_sides(rule, list(numbers))) for numbers in tried)


POINTS = [-800.0, -720.0, -40.0, -1.25, -1e-9, 1e-20, 0.3, 1.5, 40.0, 720.0, 1e160]
NEARER_SLOPES = {"cosh-inverse-squared", "sinh-inverse-squared"}
"""Rules whose values were right before, see test_spellings for their derivatives."""


@pytest.mark.parametrize("rule", STABLE, ids=lambda rule: rule.name)
def test_a_stable_rule_is_nearer_to_the_truth(rule):
    better = 0
    for numbers in product(POINTS, repeat=len(rule.wildcards)):
        truth = rule.result(*map(sympy.Rational, numbers)).evalf(800)  # exp(-800) beside 1
        if not truth.is_real or abs(truth) > 1e308:
            continue
        before, after = both_sides(rule, list(numbers))
        error_before = abs(before - float(truth)) if math.isfinite(before) else math.inf
        error_after = abs(after - float(truth))
        slack = 4 * math.ulp(float(truth)) + 4 * max(map(math.ulp, numbers)) * (len(numbers) > 1)
        assert error_after <= error_before + slack
        better += error_after < error_before
    assert bool(better) is (rule.name not in NEARER_SLOPES)


def test_names_are_unique():
    names = [rule.name for rule in ALL]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("exactness", RULE_SETS)
def test_rules_are_in_the_set_of_their_exactness(exactness):
    added = RULE_SETS[exactness][len(EXACT) :] or EXACT
    assert {rule.exactness for rule in added} == {exactness}
    assert RULE_SETS[exactness][: len(EXACT)] == EXACT


def test_rules_print_as_what_they_do():
    printed = {rule.name: str(rule) for rule in ALL}
    assert printed["add-zero"] == "add-zero: x + 0 -> x"
    assert printed["where-same"] == "where-same: where(p, a, a) -> a"
    assert printed["softplus"] == "softplus: log(1 + exp(x)) -> softplus(x)"
    assert repr(EXACT[0]) == str(EXACT[0])


def test_rules_are_those_that_are_listed(update_golden):
    """A rule that turned into another one would be just as right, and its own go missing."""
    path = GOLDEN_FILES / "rules.txt"
    listed = "".join(f"{rule.exactness:7}{rule}\n" for rule in ALL)
    if update_golden:
        path.write_text(listed, encoding="utf-8")
    assert listed == path.read_text(encoding="utf-8")


def test_rules_do_not_change_and_are_told_apart():
    rule = EXACT[0]
    with pytest.raises(FrozenInstanceError):
        rule.name = "another"
    with pytest.raises(FrozenInstanceError):
        rule.rewrites[0].name = "another"
    assert Rule(rule.name, rule.pattern, rule.result, rule.exactness) != rule
    assert replace(rule.rewrites[0]) != rule.rewrites[0]
    assert len({*rule.rewrites, *EXACT[2].rewrites}) == len(rule.rewrites + EXACT[2].rewrites)


def test_a_rewrite_says_which_operands_it_may_be_for():
    """What no rule concerns costs one look-up."""
    kinds = {rule.name: [rewrite.kinds for rewrite in rule.rewrites] for rule in ALL}
    assert kinds["add-zero"] == [(None, CONSTANT), (CONSTANT, None)]
    assert kinds["sub-zero"] == [(None, CONSTANT)]
    assert kinds["neg-sub"] == [(SUB,)]
    assert kinds["scale-neg"] == [(CONSTANT, NEG), (NEG, CONSTANT)]
    assert kinds["mul-neg-neg"] == [(NEG, NEG)] * len(kinds["mul-neg-neg"])
    assert kinds["where-where"] == [(None, WHERE, None)]


@every_rule
def test_the_pattern_is_found_and_becomes_the_result(rule):
    written, expected = Graph(), Graph()
    before = rule.pattern(*leaves_for(rule, written))
    after = expected.node_of(rule.result(*leaves_for(rule, expected)))
    found = Pass("one", (rule,), fold=True)(extract([before])).graph
    assert text(found) == text(FOLD_PASS(extract([expected[after]])).graph)
    assert found.passes[-1].rewrites[rule.name] == 1


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (lambda a, b: 1 * a, "a"),
        (lambda a, b: a * 1, "a"),
        (lambda a, b: 0 + a, "a"),
        (lambda a, b: -0.0 + a, "a"),
        (lambda a, b: (-a) + b, "b - a"),
        (lambda a, b: (-a) * b, "-(b*a)"),
        (lambda a, b: NEG(NEG(-a)), "-a"),
        (lambda a, b: a + (-b) * 2, "a + -2*b"),
        (lambda a, b: (-a) + (-b), "-(a + b)"),
        (lambda a, b: (1 + 1) * a, "2*a"),
        (lambda a, b: a ** (3 - 1), "a*a"),
    ],
)
def test_what_exact_rules_make_of_it(written, expected):
    graph = Graph()
    assert str(simplify(written(graph.input("a"), graph.input("b")))) == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (lambda a, b: b * a + a * 3, "a*(b + 3)"),
        (lambda a, b: 2 * (a * 3), "6*a"),
        (lambda a, b: (a + 1) - (a + 1), "0"),
        (lambda a, b: b * (a / b), "a"),
    ],
)
def test_what_real_rules_make_of_it(written, expected):
    graph = Graph()
    assert str(simplify(written(graph.input("a"), graph.input("b")), "real")) == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (lambda a, b: 1 / (exp(-(a - b)) + 1), "sigmoid(a - b)"),
        (lambda a, b: -log(1 - sigmoid(a)), "softplus(a)"),
        (lambda a, b: (exp(2 * a) - 1) / (exp(2 * a) + 1), "tanh(a)"),
        (lambda a, b: exp(a) / (exp(a) + 1), "sigmoid(a)"),
    ],
)
def test_what_stable_rules_make_of_it(written, expected):
    graph = Graph()
    assert str(simplify(written(graph.input("a"), graph.input("b")), "stable")) == expected


def test_a_wildcard_named_twice_is_one_expression():
    graph = Graph()
    p, a, b = (graph.input(name) for name in "pab")
    assert str(simplify(where(p, a, b))) == "where(p, a, b)"
    assert str(simplify(where(p, a + b, a + b))) == "a + b"


def test_a_constant_wildcard_takes_only_constants():
    rule = Rule("scale", lambda k, x: k * NEG(x), lambda k, x: (-k) * x, "exact")
    graph = Graph()
    a, b = graph.input("a"), graph.input("b")
    assert text(Pass("one", (rule,))(extract([a * -b])).graph) == "a*-b"
    assert text(Pass("one", (rule,), fold=True)(extract([2 * -b])).graph) == "-2*b"
    assert text(Pass("one", (rule,), fold=True)(extract([math.inf * -b])).graph) == "inf*-b"


def test_a_rule_does_not_add_work():
    graph = Graph()
    a, b, c = graph.inputs("x", 3)
    negated = -a
    assert str(simplify(negated * b)) == "-(x1*x0)"
    shared = simplify([negated * b, negated * c])
    assert [str(e) for e in shared] == ["-x0*x1", "-x0*x2"]


def test_what_is_folded_is_no_work():
    """A result that has one operation left for the one it replaces may apply to what is shared."""
    graph = Graph()
    x, y = graph.inputs("x", 2)
    inner = 3 * x
    written = [2 * inner, inner * y]
    before = lambda k1, k2, x: k1 * (k2 * x)  # noqa: E731
    folded = Rule("folded", before, lambda k1, k2, x: (k1 * k2 + k1 - k1) * x, "real")
    assert text(Pass("one", (folded,), fold=True)(extract(written)).graph) == "6*x0 | 3*x0*x1"
    more = Rule("more", before, lambda k1, k2, x: k1 * k2 * x + 0 * x, "real")
    assert text(Pass("one", (more,), fold=True)(extract(written)).graph) == "2*(3*x0) | 3*x0*x1"
