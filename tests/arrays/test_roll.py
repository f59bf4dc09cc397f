"""`roll` and `check_roll`: what is found, that it is right, what is caught.

That the statements do not depend on sizes is tested with `roll_nodes`, in test_roll_by_shapes.py.
"""

import math
import random
from dataclasses import FrozenInstanceError, replace
from functools import reduce

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wengert.arrays.canonical import fingerprints
from wengert.arrays.interpret import run
from wengert.arrays.roll import Rolled, check_roll, roll
from wengert.arrays.statements import ArrayProgram
from wengert.codegen.compiled import compile
from wengert.derive.backward import grad
from wengert.errors import OperandError, ShapeError
from wengert.graph.evaluation import evaluate
from wengert.graph.expr import Graph
from wengert.graph.value import Value
from wengert.ops.scalar import (
    MUL,
    SIN,
    STOP_GRADIENT,
    exp,
    log,
    maximum,
    minimum,
    sigmoid,
    sin,
    tanh,
    where,
)
from wengert.simplify.pipeline import simplify
from wengert.train.nn import MLP


def total(things):
    return reduce(lambda a, b: a + b, things)


def dot(a, b):
    return total(x * y for x, y in zip(a, b, strict=True))


def matrix(graph, name, *shape):
    """Nested lists of inputs: name_0_0, name_0_1 and so on."""
    if not shape:
        return graph.input(name)
    return [matrix(graph, f"{name}_{i}", *shape[1:]) for i in range(shape[0])]


def flat(thing):
    return [e for item in thing for e in flat(item)] if isinstance(thing, list) else [thing]


def with_gradients(loss, leaves):
    return [loss, *grad(loss, leaves)]


def values(rolled, at):
    """The outputs, one by one, where leaves have these numbers by name."""
    return np.concatenate([np.ravel(found) for found in run(rolled.program, at)])


def rolled_right(wanted):
    """The rolled graph, after it was compared with the scalar one by structure and by value."""
    rolled = roll(wanted)
    check = check_roll(wanted, rolled)
    assert check, str(check)
    graph, source = wanted[0].graph, random.Random(0)
    at = {name: source.uniform(0.1, 1.0) for name in graph.leaves}
    np.testing.assert_allclose(values(rolled, at), evaluate(wanted, at), rtol=1e-9, atol=1e-12)
    return rolled


def test_a_layer_is_a_sum_of_products_and_prints_as_one():
    g = Graph()
    net = MLP(3, [4], "tanh", seed=0)
    rolled = rolled_right(list(net.layers[0](g.inputs("x", 3))))
    assert str(rolled) == "h0[i] = tanh(b0[i] + Σ_j x[j]·w0[i, j])"
    assert rolled._repr_html_().count("<math>") == 1
    with pytest.raises(FrozenInstanceError):
        rolled.program = None


def test_a_sum_over_part_of_what_it_reads_says_where_it_ends():
    g = Graph()
    x, w = g.inputs("x", 8), g.inputs("w", 8)
    whole, part = roll([sum(v * v for v in x)]), roll([sum(v * v for v in x[2:5]), x[7] * 2])
    assert "Σ_i x[i]·x[i]" in str(whole)
    assert "Σ_{i ≤ 2} x[i + 2]·x[i + 2]" in str(part)
    assert r"\sum_{i \le 2}" in part.program.latex()
    largest = roll([maximum(maximum(x[0], x[1]), x[2]) * w[7]])
    assert "max_{i ≤ 2} x[i]" in str(largest)


def test_outputs_may_be_anything():
    g = Graph()
    x = g.inputs("x", 4)
    rolled_right([x[2], g.constant(3.0), x[0] + 1, x[2], g.constant(3.0), x[1] * 1])
    rolled_right([g.constant(5.0), x[0] / 7, g.constant(7.0)])


def test_a_graph_with_outputs_and_a_value_are_accepted():
    small = simplify([Value(2.0, label="a") * Value(3.0, label="b")])[0].graph
    assert values(roll(small), {"a": 2.0, "b": 3.0}).tolist() == [6.0]
    assert values(roll(Value(2.0, label="a") * 3), {"a": 2.0}).tolist() == [6.0]


def test_what_is_no_scalar_graph_is_refused():
    g = Graph()
    with pytest.raises(ShapeError, match=r"\(3, 4\).*unroll it first"):
        roll([g.array("X", (3, 4)) * 2])
    with pytest.raises(OperandError, match="cannot roll 'loss'"):
        roll("loss")


def test_differences_in_parentheses_keep_their_digits():
    g = Graph()
    z = g.inputs("z", 4)
    shift = STOP_GRADIENT(reduce(maximum, z))
    loss = log(total(exp(e - shift) for e in z)) + (shift - z[1])
    at = dict(zip([e.label for e in z], [3.0, 1e10, 2.0, 1e10], strict=True))
    assert values(roll([loss]), at)[0] == pytest.approx(math.log(2.0), rel=1e-14)
    a, b, c, d = g.inputs("x", 4)
    at = {"x0": 1e-9, "x1": 1e10, "x2": 1e10, "x3": 0.0}
    assert values(roll([a + ((b - c) + d)]), at).tolist() == [1e-9]


def test_factors_and_signs_of_every_kind():
    g = Graph()
    w, a = g.inputs("w", 4), g.inputs("a", 4)
    scaled = [2 * w[0] + 3 * w[1], 5 * w[2] - w[3], w[0] - 4 * w[2], w[1] + 2 * w[1]]
    rolled_right([*scaled, dot(a, w), a[0] * w[1] - a[2] * w[3], total(w), total(w[1:]) - a[0]])
    one = g.constant(1.0)
    rolled_right([a[0] + (-one) * one, a[1] + one * one, a[2] - one * -one, a[3] + (-one) * w[0]])


def irregular(seed, size, leaves=12):
    """A random graph over leaves of all kinds; its last nodes."""
    source = random.Random(seed)
    g = Graph()
    pool = [
        *g.inputs("x", leaves),
        *flat(matrix(g, "w", 3, 4)),
        g.input("a"),
        g.parameter("k", 0.5),
    ]
    unary = [tanh, sin, sigmoid, lambda e: -e, lambda e: e**2]
    while len(g) < size:
        a, b = source.choice(pool[-40:]), source.choice(pool)
        kind = source.randrange(9)
        if kind < 2:
            new = source.choice(unary)(tanh(a))
        elif kind == 2:
            new = a + b
        elif kind == 3:
            new = a - b
        elif kind == 4:
            new = tanh(a) * b
        elif kind == 5:
            new = maximum(a, b)
        elif kind == 6:
            new = a * source.choice([1.0, 2.0, -1.0, -0.5]) + b
        else:
            new = where(a > b, a, b)
        if kind == 8:
            c, d = source.choice(pool), source.choice(pool)
            new = new + source.choice([-2.0, 1.0, 3.0]) * c - tanh(c) * d + b * d
        pool.append(tanh(new))
    return pool[-4:]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(30, 300))
def test_irregular_graphs(seed, size):
    wanted = irregular(seed, size)
    rolled_right(wanted)
    rolled_right(simplify(wanted))


def test_the_report_says_how_regular_a_graph_is():
    assert "too irregular for arrays" in str(roll(irregular(1, 2000)).report)
    report = roll(sample_network()).report
    assert report.regular
    assert report.nodes > 200
    assert "too irregular" not in str(report)


def test_a_chain_of_many_nodes():
    g = Graph()
    e = x = g.input("x")
    for i in range(3_000):
        e = tanh(e) if i % 3 else e + x
    assert check_roll([e], roll([e]))


def sample_network():
    g = Graph()
    net = MLP(3, [4, 4], seed=0)
    rows = [g.inputs(f"x{s}_", 3) for s in range(3)]
    loss = total((e - 0.5) ** 2 for row in rows for e in net(row))
    return with_gradients(loss, net.parameters())


def test_a_statement_that_is_lost_or_exchanged_is_caught():
    wanted = sample_network()
    rolled = roll(wanted)
    program = rolled.program
    for place, statement in enumerate(program.statements):
        terms = getattr(statement.value, "terms", None)
        if terms is None:
            operands = statement.value.operands
            other = replace(statement.value, op=MUL if len(operands) == 2 else SIN)
        else:
            other = replace(statement.value, terms=tuple([replace(t, count=2) for t in terms]))
        statements = [*program.statements]
        statements[place] = replace(statement, value=other)
        wrong = ArrayProgram(program.arrays, tuple(statements), program.outputs, program.arguments)
        check = check_roll(wanted, Rolled(wrong, rolled.report))
        assert not check, str(statement)
        assert "differ" in str(check)
    assert not check_roll(wanted[::-1], rolled)


def test_what_is_checked_is_what_roll_gave():
    x = Graph().inputs("x", 2)
    with pytest.raises(OperandError, match="3 is an int; expected what `roll` gave"):
        check_roll([x[0] * x[1]], 3)


def different():
    """Pairs of expressions that are not the same up to order."""
    g = Graph()
    a, b, c = g.inputs("x", 3)
    return [
        (a - b, b - a),
        (a * b + c, a * c + b),
        (a + b, a + b + b),
        (a / b, b / a),
        (tanh(a), sin(a)),
        (a**2, a**3),
        (a**-1.0, a**-2.0),
        (a * 0.5, a * 2.0**60),
        (a * math.inf, a * float(hash(math.inf))),
        (g.input("w0_265_30_106855"), g.input("w1_209_55_193964")),
        (maximum(a, b), maximum(a, c)),
        (maximum(a, b), maximum(a + b, 0.0)),
        (minimum(a + b, c), minimum(a, b + c)),
        ((a + b) * c, a + b * c),
        (2 * a, -2 * a),
        (where(a > b, a, b), where(a > b, b, a)),
    ]


@pytest.mark.parametrize("pair", different(), ids=lambda pair: f"{pair[0]} and {pair[1]}")
def test_fingerprints_tell_expressions_apart(pair):
    left, right = (e.id for e in pair)
    found = fingerprints(pair[0].graph, [left, right])
    assert found[left] != found[right]


@settings(max_examples=60)
@given(st.lists(st.integers(-5, 5), min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_fingerprints_do_not_depend_on_order(coefficients, shuffle):
    g = Graph()
    x = g.inputs("x", len(coefficients))
    terms = [(c, e) for c, e in zip(coefficients, x, strict=True) if c]
    if not terms:
        return

    def written(terms):
        result = None
        for c, e in terms:
            product = e * abs(c) if shuffle.random() < 0.5 else abs(c) * e
            if result is None:
                result = product if c > 0 else -product
            else:
                result = result + product if c > 0 else result - product
        return result

    left = tanh(written(terms))
    shuffle.shuffle(terms)
    right = tanh(written(terms))
    found = fingerprints(g, [left.id, right.id])
    assert found[left.id] == found[right.id]


def test_equal_products_of_different_numbers_are_not_one_twice():
    g = Graph()
    x, y = g.input("x"), g.input("y")
    one = g.constant(1.0)
    outputs = [one * 0.25 * x + one * 1.5 * x, (one * 0.5 + one * 3.0) * y]
    assert check_roll(outputs, roll(outputs))
    f = compile({"x": x, "y": y}, outputs, target="numpy", simplify=False)
    assert list(f(2.0, 10.0)) == [3.5, 35.0]
