"""What is said of lines is true: each claim is looked up in the code, which is carried out."""

import ast
import builtins
import math
import random
from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
import strategies

from wengert.codegen.compiled import compile
from wengert.derive.backward import grad
from wengert.explain import explain
from wengert.graph.expr import Graph
from wengert.graph.rewrite import rewritten
from wengert.notation.formulas import read_formulas
from wengert.ops import ieee
from wengert.ops.scalar import CONSTANT
from wengert.simplify.pipeline import rules_named, simplified

NEURON = {"w1": -3.0, "x1": 2.0, "w2": 1.0, "x2": 0.0, "b": 6.8813735870195432}

FORMULAS = [
    ("tanh(w1*x1 + w2*x2 + b)", NEURON),
    ("c = a + b; d = b + 1; e = c*d", {"a": 2, "b": 1}),
    ("w*relu(x - 3)", {"w": 2, "x": 5}),
    ("log(x - 2) + sqrt(x - 3)", {"x": 5}),
    ("(x > 10)*y", {"x": 12, "y": 3}),
    ("minimum(x, 10) + y", {"x": 12, "y": 1}),
    ("maximum(a, b)*minimum(a, b)", {"a": 2, "b": -1}),
    ("log(exp(a) + exp(b) + exp(c))", {"a": 1, "b": 2, "c": 3}),
    ("exp(z1)/(exp(z1) + exp(z2) + exp(z3))", {"z1": 1, "z2": 2, "z3": 0.5}),
    ("log(1 + exp(x))", {"x": 800}),
    ("log(1 + exp(x))*y", {"x": 2, "y": 3}),
    ("u = a*b; e = exp(u); log(1 + e)*e", {"a": 1, "b": 2}),
    ("u = a*b; s = 1/(1 + exp(-u)); log(s) + s*s", {"a": 1, "b": 2}),
    ("log(1 + exp(x)) + log(1 + exp(x))", {"x": 1}),
    ("x*relu(-y) + log(x - x)", {"x": 2, "y": 1}),
    ("where(x > 0, sqrt(x), 0)*y", {"x": -1, "y": 2}),
    ("where(a > b, a*a, b*c)", {"a": 1, "b": 2, "c": 3}),
    ("x**x", {"x": 2}),
    ("x*x*x", {"x": 3}),
    ("(a + b)/(a - b)", {"a": 3, "b": 1}),
    ("a - a + 0*b + 1*c", {"a": 3, "b": 1, "c": 2}),
    ("tanh(tanh(x) + 0)*1", {"x": 0.3}),
    ("sigmoid(w*x)*stop_gradient(w)", {"w": 0.5, "x": 2}),
    ("abs(x)*leaky_relu(y)", {"x": -2, "y": -1}),
    ("(2*3 + x)**2", {"x": 1}),
]


def random_walk(seed):
    """A walk-through of a random expression, each of whose nodes is named."""
    rng = random.Random(seed)
    points = [[rng.uniform(-2.0, 2.0) for _ in range(3)] for _ in range(2)]
    graph = Graph()
    out = strategies.random_recipe(rng, points, 12).follow(graph.inputs("x", 3))
    for node in range(len(graph)):
        if graph.operands[node]:
            graph.labels[node] = f"p{node}"
    return explain(out, at=dict(zip(("x0", "x1", "x2"), points[0], strict=True)))


WALKS = [
    *(pytest.param(lambda f=f, x=x: explain(read_formulas(f), at=x), id=f) for f, x in FORMULAS),
    *(pytest.param(lambda seed=seed: random_walk(seed), id=f"random-{seed}") for seed in range(30)),
]


# -- the code, carried out ------------------------------------------------------------------------


@cache
def parsed(source):
    """The helpers of a code, and its statements: line, what is assigned, each expression inside."""
    *helpers, function = ast.parse(source).body
    helpers = [helper for helper in helpers if isinstance(helper, ast.FunctionDef)]
    statements = []
    for statement in function.body[1:]:
        parts = [part for part in ast.walk(statement.value) if isinstance(part, ast.expr)]
        codes = [builtins.compile(ast.Expression(part), "part", "eval") for part in parts]
        targets = getattr(statement, "targets", [])
        statements.append((statement.lineno, *[target.id for target in targets], codes))
    return builtins.compile(ast.Module(helpers, []), "helpers", "exec"), statements


def traced(w, point):
    """line → what its statement assigns, the number, and every number computed inside it."""
    # These, and NumPy's numbers, give inf and nan where Python's raise.
    functions = ("exp", "log", "sqrt", "sin", "cos", "log1p", "expm1", "pow")
    careful = {name: getattr(ieee, f"safe_{name}") for name in functions}
    mathematics = {**vars(math), **careful}
    scope = {**vars(builtins), **mathematics, "math": SimpleNamespace(**mathematics)}
    helpers, statements = parsed(w.compiled.source)
    exec(helpers, scope)
    scope["math"] = SimpleNamespace(**mathematics)
    scope.update({name: np.float64(x) for name, x in zip(w.values, point, strict=True)})
    found = {}
    for line, *target, codes in statements:
        numbers = [number for code in codes for number in evaluated(code, scope)]
        if target:
            scope[target[0]] = np.float64(numbers[0])
        found[line] = "".join(target), numbers[0] if target else math.nan, numbers
    return found


def evaluated(code, scope):
    """The number of an expression of the code, if it is one, and if it can be computed alone."""
    try:
        with np.errstate(all="ignore"):
            return [float(eval(code, scope))]  # noqa: S307
    except (TypeError, ArithmeticError, ValueError, NameError):
        return []


def same(a, b):
    return (a != a and b != b) or a == b or math.isclose(a, b, rel_tol=1e-8, abs_tol=1e-13)


def points_of(w):
    """The point that is shown, others on both sides of whatever changes there, and far away."""
    rng = random.Random(3)
    given = list(w.values.values())
    yield given
    for i in range(24):
        reach = (0.5, 3.0, 20.0, 0.01)[i % 4]
        around = given if i % 2 else [0.0] * len(given)
        yield [x + rng.uniform(-reach, reach) for x in around]
    yield [x if abs(x) > 500 else 12.5 for x in given]


def false_statements(w):
    """Every claim about a line that does not hold at one of the points."""
    d = w.derivation
    wrong = []
    for point in points_of(w):
        values = d.at(dict(zip(d.leaves, point, strict=True)))
        lines = traced(w, point)
        for claim in w.step("code").lines:
            node = w.node(w.step(claim.step).node)
            backward = claim.step.startswith("backward")
            number = values[node.adjoint_number if backward else node.number]
            if not math.isfinite(number) and claim.note.endswith("by the stable form"):
                continue  # where the rules give no number, the stable form may
            if not holds(w, claim, number, lines, dict(zip(w.values, point, strict=True))):
                wrong.append((claim, number, point))
    return wrong


def holds(w, claim, number, lines, leaves):
    if claim.line is None:
        said = claim.note.removeprefix("no line: ")
        if said.startswith("it is the number "):
            return same(number, float(said.split()[-1]))
        if said.endswith(" itself"):
            return same(number, leaves[said.split()[2]])
        assert said in NOWHERE
        return True
    target, value, inside = lines[claim.line]
    assert w.compiled.source.splitlines()[claim.line - 1].strip() == claim.code
    how = claim.note.removesuffix("by the stable form").removesuffix(", ")
    if claim.variable:
        return target == claim.variable and same(value, number) and not how
    return how == f"inside line {claim.line}" and any(same(x, number) for x in inside)


NOWHERE = {
    "simplified away",
    "the stable form does without it",
    "no derivative that is asked for needs it",
}


@pytest.mark.parametrize("make", WALKS)
def test_no_statement_about_a_line_is_false(make):
    w = make()
    assert false_statements(w) == []
    steps = [s.id for s in w.steps if s.id.startswith(("forward-", "backward-"))]
    assert [claim.step for claim in w.step("code").lines] == steps


def test_most_steps_have_a_line():
    claims = [claim for seed in range(40) for claim in random_walk(seed).step("code").lines]
    lost = [claim for claim in claims if claim.note.removeprefix("no line: ") in NOWHERE]
    assert len(lost) < len(claims) / 12


# -- the same, from what the nodes say of themselves ----------------------------------------------


@pytest.mark.parametrize("seed", range(40))
def test_lines_are_those_of_the_nodes_origins(seed):
    w = random_walk(seed)
    d = w.derivation
    graph = d.plain
    root, leaves = graph[graph.outputs[0]], [graph[graph.leaves[name]] for name in w.values]
    gradient = grad(root, leaves)
    function = compile(
        dict(zip(w.values, leaves, strict=True)), {"value": root, "gradient": gradient}
    )
    assert function.source == w.compiled.source
    small = rewritten(graph, [root.id, *(slope.id for slope in gradient)]).graph
    left = simplified(small, rules_named(True)).graph
    claims = {claim.step: claim for claim in w.step("code").lines}
    backward = {w.node(s.node).name: claims[s.id] for s in w.part(3) if s.kind == "backward"}
    forward = {w.node(s.node).name: claims[s.id] for s in w.part(1)}
    checked = 0
    for instruction in function.program.instructions:
        line = function.line_of(instruction.name)
        label = left.labels.get(instruction.node)
        if label is not None:
            assert forward[label].line == line
            checked += 1
        # Where a node is one adjoint only, it is that of the node that it says.
        primal = left.adjoint_of.get(instruction.node)
        swept = [p for sweep in left.sweeps for p, a in sweep.items() if a == instruction.node]
        if primal is not None and swept == [primal] and primal in left.labels:
            origin = left.origins[instruction.node]
            assert origin is None or origin.transform in ("grad", "stable")
            assert backward[left.labels[primal]].line in (line, None)
            checked += backward[left.labels[primal]].line == line
    assert checked > 5
    assert all(left.ops[i.node] is i.op for i in function.program.instructions)
    assert all(left.ops[node] is not CONSTANT for node in left.labels if left.operands[node])
