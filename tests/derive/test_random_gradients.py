"""Gradients of seeded random expressions against sympy's, and grad's relatives against grad."""

import random

import pytest
import sympy
from strategies import SMOOTH_OR_KINKED, random_recipe

from wengert.derive.backward import grad, hessian, hvp, jacobian, jvp
from wengert.errors import NotDifferentiableError, SizeError
from wengert.graph.evaluation import evaluate
from wengert.graph.expr import Graph
from wengert.graph.value import Value
from wengert.notation.sympy import to_sympy
from wengert.ops import scalar as ops
from wengert.proof.precise import precise_sympy

COUNT = 200


def drawn(seed):
    """A random recipe and the points it was made for."""
    rng = random.Random(seed)
    leaves = 1 + seed % 3
    points = [
        [rng.uniform(0.3, 2.0) * rng.choice((1, -1)) for _ in range(leaves)] for _ in range(2)
    ]
    return random_recipe(rng, points, 4 + seed % 7), points


def exactly(formulas, symbols, point):
    """Numbers of sympy formulas to 40 digits."""
    return precise_sympy(formulas, dict(zip(symbols, point, strict=True)), 40)


@pytest.mark.parametrize("block", range(10))
def test_gradients_are_sympys(block):
    refused = 0
    for seed in range(block, COUNT, 10):
        recipe, points = drawn(seed)
        g = Graph()
        leaves = g.inputs("x", recipe.leaves)
        output = recipe.follow(leaves)
        gradient = grad(output, leaves)
        symbols = sympy.symbols(f"x:{recipe.leaves}", real=True)
        try:
            formula, derived = to_sympy(output, exact=True), to_sympy(gradient, exact=True)
        except SizeError:  # cases within cases, which sympy would take hours over
            refused += 1
            continue
        wanted = [formula.diff(symbol) for symbol in symbols]
        for point in points:
            numbers = exactly([*wanted, *derived], symbols, point)
            judges, found = numbers[: len(symbols)], numbers[len(symbols) :]
            scale = max(map(abs, judges))
            at = dict(zip(leaves, point, strict=True))
            floats = evaluate(gradient, at)
            values = [Value(x) for x in point]
            recipe.follow(values).backward()
            for judge, exact, number, value in zip(judges, found, floats, values, strict=True):
                assert abs(exact - judge) <= 1e-15 * scale, (seed, point)
                assert abs(number - judge) <= 1e-9 * scale, (seed, point)
                assert abs(value.grad - judge) <= 1e-9 * scale, (seed, point)
    assert refused <= COUNT // 40


def test_the_random_expressions_use_everything():
    used = {op.name for seed in range(COUNT) for op, *_ in drawn(seed)[0].steps}
    assert used >= {op.name for op in SMOOTH_OR_KINKED} | {"where", "lt", "ge"}
    shared = [
        seed
        for seed in range(COUNT)
        if max(
            sum(operands.count(node) for _, operands, _ in drawn(seed)[0].steps)
            for node in range(4, 12)
        )
        > 1
    ]
    assert len(shared) > COUNT // 2, "most expressions use some computed node more than once"
    assert drawn(7)[0] == drawn(7)[0], "the same seed gives the same expression"


def test_a_dropped_term_would_be_found():
    recipe, points = drawn(4)
    g = Graph()
    leaves = g.inputs("x", recipe.leaves)
    output = recipe.follow(leaves)
    wrong = grad(output * leaves[0], leaves[0]) - output
    symbols = sympy.symbols(f"x:{recipe.leaves}", real=True)
    judge = (to_sympy(output, exact=True) * symbols[0]).diff(symbols[0])
    found, wanted = exactly([to_sympy(wrong, exact=True), judge], symbols, points[0])
    assert abs(found - wanted) > 1e-3 * abs(wanted)


@pytest.mark.parametrize("seed", range(0, 60, 3))
def test_second_derivatives_are_sympys(seed):
    rng = random.Random(seed)
    point = [rng.uniform(0.3, 2.0), rng.uniform(-2.0, -0.3)]
    recipe = random_recipe(rng, [point], 5)
    g = Graph()
    leaves = g.inputs("x", 2)
    output = recipe.follow(leaves)
    rows = hessian(output, leaves)
    symbols = sympy.symbols("x:2", real=True)
    formula = to_sympy(output, exact=True)
    wanted = [formula.diff(a).diff(b) for a in symbols for b in symbols]
    # The derivative of a step, which is 0 off the step, as the point is.
    flat = [d.replace(sympy.DiracDelta, lambda *_: sympy.Integer(0)) for d in wanted]
    judges = exactly(flat, symbols, point)
    at = dict(zip(leaves, point, strict=True))
    found = [number for row in rows for number in evaluate(row, at)]
    scale = max(1.0, *map(abs, judges))
    for number, judge in zip(found, judges, strict=True):
        assert abs(number - judge) <= 1e-8 * scale


@pytest.mark.parametrize("seed", range(20))
def test_forward_and_reverse_agree(seed):
    recipe, points = drawn(seed)
    rng = random.Random(seed)
    g = Graph()
    leaves = g.inputs("x", recipe.leaves)
    output = recipe.follow(leaves)
    vector = [rng.uniform(-1, 1) for _ in leaves]
    at = dict(zip(leaves, points[0], strict=True))
    gradient = evaluate(grad(output, leaves), at)
    along = sum(d * v for d, v in zip(gradient, vector, strict=True))
    assert evaluate(jvp(output, leaves, vector), at) == pytest.approx(along, rel=1e-9, abs=1e-9)
    matrix = [evaluate(row, at) for row in hessian(output, leaves)]
    product = [sum(h * v for h, v in zip(row, vector, strict=True)) for row in matrix]
    scale = max(abs(entry) for row in matrix for entry in row)
    found = evaluate(hvp(output, leaves, vector), at)
    assert found == pytest.approx(product, rel=1e-8, abs=1e-9 * (1 + scale))
    for i in range(len(leaves)):
        for j in range(i):
            assert matrix[i][j] == pytest.approx(matrix[j][i], rel=1e-8, abs=1e-9 * (1 + scale))


def network(x, w):
    """A 2-2-1 network with tanh: 9 parameters in the flat list `w`."""
    hidden = [ops.tanh(w[3 * j] * x[0] + w[3 * j + 1] * x[1] + w[3 * j + 2]) for j in range(2)]
    return ops.tanh(w[6] * hidden[0] + w[7] * hidden[1] + w[8])


def test_the_hessian_of_a_small_network_is_sympys():
    rng = random.Random(1)
    g = Graph()
    w, x = g.inputs("w", 9), g.inputs("x", 2)
    loss = (network(x, w) - 0.5) ** 2
    matrix = hessian(loss, w)
    point = [rng.uniform(-1, 1) for _ in range(11)]
    symbols = sympy.symbols("w:9 x:2", real=True)
    formula = (network(symbols[9:], symbols[:9]) - sympy.Rational(1, 2)) ** 2
    first = [formula.diff(s) for s in symbols[:9]]
    wanted = exactly([d.diff(s) for d in first for s in symbols[:9]], symbols, point)
    at = dict(zip([*w, *x], point, strict=True))
    found = [number for row in matrix for number in evaluate(row, at)]
    assert found == pytest.approx([float(number) for number in wanted], rel=1e-9, abs=1e-12)
    vector = [rng.uniform(-1, 1) for _ in w]
    product = [sum(found[9 * i + j] * vector[j] for j in range(9)) for i in range(9)]
    assert evaluate(hvp(loss, w, vector), at) == pytest.approx(product, rel=1e-9, abs=1e-12)


def test_a_product_with_itself_has_two_operands():
    g = Graph()
    x = g.input("x")
    assert evaluate([grad(x * x, x), grad(x + x, x), grad(x / x, x)], {x: 3.0}) == [6.0, 2.0, 0.0]
    assert evaluate(grad(x - x, x), {x: 3.0}) == 0.0


def test_the_order_of_operands_counts():
    g = Graph()
    a, b = g.inputs("x", 2)
    at = {a: 2.0, b: 4.0}
    assert evaluate(grad(a - b, [a, b]), at) == [1.0, -1.0]
    assert evaluate(grad(a / b, [a, b]), at) == [0.25, -0.125]
    assert evaluate(grad(b - a, [a, b]), at) == [-1.0, 1.0]


def test_shared_parts_collect_from_every_consumer():
    g = Graph()
    a, b = g.inputs("x", 2)
    c, d = a + b, b + 1
    e = c * d
    assert evaluate(grad(e, [a, b]), {a: 2.0, b: 1.0}) == [2.0, 5.0]


def test_grad_of_grad_goes_on():
    g = Graph()
    x = g.input("x")
    y, formula = (
        x.tanh() * x,
        sympy.tanh(sympy.Symbol("x", real=True)) * sympy.Symbol("x", real=True),
    )
    symbol = sympy.Symbol("x", real=True)
    for _ in range(5):
        y, formula = grad(y, x), formula.diff(symbol)
        wanted = exactly([formula], [symbol], [0.7])[0]
        assert evaluate(y, {x: 0.7}) == pytest.approx(float(wanted), rel=1e-12)


def test_a_jacobian_has_a_row_per_output():
    g = Graph()
    a, b = g.inputs("x", 2)
    rows = jacobian([a * b, a.sin(), b], [a, b])
    assert [evaluate(row, {a: 0.0, b: 2.0}) for row in rows] == [[2, 0], [1, 0], [0, 1]]


def test_a_total_stands_in_the_way_of_a_derivative():
    g = Graph()
    x = g.input("x")
    with pytest.raises(NotDifferentiableError, match="total"):
        grad(ops.total(x) * x, x)
    with pytest.raises(NotDifferentiableError, match="total"):
        jvp(ops.total(x), [x], [1.0])
