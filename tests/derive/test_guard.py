"""Branches of arrays that were not taken: whatever the shapes, they pass back nothing but 0."""

import math
import random
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from places import GOLDEN as GOLDEN_FILES

import wengert as wg
from wengert.graph.store import live_nodes
from wengert.ops import arrays
from wengert.ops.shapes import shape_of

SHAPES = [(), (3,), (1,), (2, 3), (2, 1), (1, 3)]


def summed(x):
    return arrays.sum_over(x) if shape_of(x) else x


def random_branches(rng):
    """A scalar, its leaves, and a point: roots and logarithms that only some conditions allow."""
    g = wg.Graph()
    leaves, at = [], {}
    for i in range(rng.randint(1, 3)):
        shape = rng.choice(SHAPES)
        leaf = g.array("abc"[i], shape) if shape else g.input("abc"[i])
        leaves.append(leaf)
        count = math.prod(shape)
        # Far enough apart that no comparison turns within the step of a difference quotient.
        steps = rng.sample(range(30), count)
        numbers = [rng.choice([-1, 1, 1]) * (0.3 + step / 17 + i / 91) for step in steps]
        at[leaf] = np.reshape(numbers, shape) if shape else numbers[0]
    pool = list(leaves)

    def reduced(x):
        choices = [x * x, wg.tanh(x) + 1.5, x + x]
        if shape_of(x):
            axis = rng.choice([None, *range(len(shape_of(x)))])
            choices += [
                reduction(x, axis)
                for reduction in (
                    arrays.sum_over,
                    arrays.mean_over,
                    arrays.max_over,
                    arrays.logsumexp,
                )
            ]
            count = math.prod(shape_of(x))
            choices += [
                arrays.reshape(x, (count,)),
                arrays.gather(x, [*rng.sample(range(count), count), 0]),
                arrays.scatter_add(
                    x, np.reshape(np.arange(count) // 2, shape_of(x)), (-(-count // 2),)
                ),
                wg.arrays.stack(x, x * 2),
                arrays.broadcast_to(x, (2, *shape_of(x))),
            ]
        if len(shape_of(x)) == 1:
            choices += [arrays.outer(x, x), x @ x]
        if len(shape_of(x)) == 2:
            choices += [x.T, x @ x.T, arrays.stack_rows(arrays.sum_over(x, 1), arrays.max_over(x))]
        return rng.choice(choices)

    def branch():
        x = rng.choice(pool)
        for _ in range(rng.randint(0, 2)):
            x = reduced(x)
        x = rng.choice([wg.sqrt, wg.log, wg.sqrt, wg.tanh])(x)
        if rng.random() < 0.3:
            other = rng.choice(leaves)
            x = rng.choice([x * other, other / x, x + other, x + other**0])
        for _ in range(rng.randint(0, 2)):
            x = reduced(x)
        return x

    total = 0
    for _ in range(rng.randint(1, 3)):
        condition = rng.choice(leaves) > rng.choice([0, rng.choice(leaves)])
        if rng.random() < 0.3:
            condition = rng.choice(leaves)  # a number that is not 0 counts as true
        try:
            chosen = wg.where(condition, branch(), rng.choice([branch(), rng.choice(pool)]))
        except wg.errors.ShapeError:
            continue
        pool.append(chosen)
        total = total + summed(chosen * chosen)
    return total, leaves, at


def slopes(y, at, leaf, h=2**-12):
    """Central differences of the value, extrapolated once, an element at a time."""
    found = []
    for place in np.ndindex(np.shape(at[leaf])):

        def quotient(step, place=place):
            ends = []
            for sign in (1, -1):
                moved = np.array(at[leaf], dtype=float)
                moved[place] += sign * step
                ends.append(wg.evaluate(y, {**at, leaf: moved if moved.shape else float(moved)}))
            return (ends[0] - ends[1]) / (2 * step)

        found.append((4 * quotient(h / 2) - quotient(h)) / 3)
    return np.reshape(found, np.shape(at[leaf]))


def is_finite(values):
    return all(np.isfinite(value).all() for value in values)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("first", range(0, 400, 40))
def test_a_finite_output_has_the_derivative_of_the_branches_taken(first):
    guarded = 0
    for seed in range(first, first + 40):
        y, leaves, at = random_branches(random.Random(seed))
        if not isinstance(y, wg.Expr) or not abs(wg.evaluate(y, at)) < 1e4:
            continue
        gradient = wg.grad(y, leaves, allow_unused=True)
        values = wg.evaluate(gradient, at)
        for leaf, value in zip(leaves, values, strict=True):
            assert value == pytest.approx(slopes(y, at, leaf), rel=1e-5, abs=1e-6), seed
        outputs = {str(leaf): share for leaf, share in zip(leaves, gradient, strict=True)}
        outputs["all arguments"] = sum(map(summed, leaves), y)
        compiled = wg.compile({str(leaf): leaf for leaf in leaves}, outputs, target="numpy")
        for value, found in zip(values, compiled(*at.values()).values(), strict=False):
            assert found == pytest.approx(value, rel=1e-9, abs=1e-12), seed
        plain = wg.grad(y, leaves, allow_unused=True, stable=False)
        guarded += not is_finite(wg.evaluate(plain, at))
    assert guarded, "some of these are nan without a guard"


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("first", range(0, 200, 40))
def test_forward_mode_keeps_the_branches_out_too(first):
    for seed in range(first, first + 40):
        rng = random.Random(seed)
        y, leaves, at = random_branches(rng)
        if not isinstance(y, wg.Expr) or not abs(wg.evaluate(y, at)) < 1e4:
            continue
        gradient = wg.evaluate(wg.grad(y, leaves, allow_unused=True), at)
        graph = y.graph
        tangents = []
        for i, leaf in enumerate(leaves):  # a number is the tangent of every element
            alike = not leaf.shape or rng.random() < 0.5
            tangent = rng.uniform(-1, 1) if alike else graph.array("xyz"[i], leaf.shape)
            tangents.append(tangent)
            if not alike:
                at[tangent] = np.reshape([rng.uniform(-1, 1) for _ in at[leaf].flat], leaf.shape)
        pairs = zip(gradient, tangents, strict=True)
        wanted = sum(np.sum(part * at.get(tangent, tangent)) for part, tangent in pairs)
        found = wg.evaluate(wg.jvp(y, leaves, tangents), at)
        assert found == pytest.approx(wanted, rel=1e-9, abs=1e-9), seed


def test_one_number_for_every_element():
    """Where an operand's shape is not the value's: what is stretched, and what is summed up."""
    g = wg.Graph()
    x, s = g.array("x", (2, 3)), g.input("s")
    at = {x: np.arange(6.0).reshape(2, 3), s: 2.0}
    y = arrays.sum_over((x + s) * x**0 * s)
    assert wg.evaluate(wg.jvp(y, s, 1.0), at) == 15.0 + 6 * 2 * 2.0
    assert wg.evaluate(wg.jvp(y, x, 1.0), at) == 12.0
    assert wg.evaluate(wg.jvp(x + s, s, 3.0), at).tolist() == [[3.0] * 3] * 2
    assert wg.evaluate(wg.grad(y, x), at).tolist() == [[2.0] * 3] * 2
    assert wg.evaluate(wg.grad(y, s), at) == 39.0
    assert wg.grad(arrays.sum_over(x**0), x).shape == (2, 3)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("transform", ["grad", "jvp"])
def test_whatever_a_derivative_adds_says_which_rule_it_is_of(transform, seed):
    y, leaves, _ = random_branches(random.Random(seed))
    graph = leaves[0].graph
    y = graph[graph.node_of(y)]
    before, live = len(graph), live_nodes(graph, [y.id])
    used = [leaf for leaf in leaves if leaf.id in live]
    if transform == "grad":
        wg.grad(y, used)
    else:
        wg.jvp(y, used, [1.0 for _ in used])
    for expr in list(graph)[before:]:
        if expr.operands and expr.op is not arrays.BROADCAST:
            assert expr.origin is not None
            assert expr.origin.transform in (transform, "stable")
            if expr.origin.role == "rule" and transform == expr.origin.transform:
                assert expr.origin.rule == graph.ops[expr.origin.primal].name


def test_what_guards_the_factors_of_a_product_says_which_product_it_is_of():
    g = wg.Graph()
    a, b = g.array("a", 3), g.array("b", 3)
    product = arrays.outer(wg.sqrt(a), b)
    y = wg.where(a > 0, product, 0)
    before = len(g)
    wg.grad(arrays.sum_over(wg.tanh(y)), [a, b])
    origins = [expr.origin for expr in list(g)[before:]]
    factors = [o for o in origins if o and o.role == "rule" and o.operand is None]
    assert {o.primal for o in factors} == {product.id}
    assert {o.rule for o in factors} == {"outer"}


def nested_branches(rng):
    """A scalar of branches within branches, with parts that several of them share."""
    g = wg.Graph()
    x, y = leaves = g.inputs("x", 2)
    kinds = [lambda a, b: a + b, lambda a, b: wg.sqrt(a) * b, lambda a, b: -(a * 3) / 2]
    conditions = [lambda: x > 0, lambda: y > 0, lambda: x > y, lambda: x, lambda: y < 1]
    pool = [x, y, wg.sqrt(x), wg.log(y), x * 2 - y / 3]
    for _ in range(rng.randint(2, 12)):
        a, b = rng.choice(pool), rng.choice(pool)
        kind = rng.randrange(6)
        if kind < 3:
            pool.append(wg.where(rng.choice(conditions)(), *rng.choice([(a, b), (a, 0), (0, a)])))
        else:
            pool.append(kinds[kind - 3](a, b))
    return sum(pool[-3:], pool[-4]), leaves


def derivatives_added(y, leaves):
    """The operations that the derivatives by the leaves add, counted."""
    before = len(y.graph)
    wg.grad(y, leaves, allow_unused=True)
    added = Counter(expr.op.name for expr in list(y.graph)[before:] if expr.operands)
    return ", ".join(f"{count} {name}" for name, count in sorted(added.items()))


def listing():
    for seed in range(150):
        y, leaves = nested_branches(random.Random(seed))
        yield f"nested {seed}: {derivatives_added(y, leaves)}"
    for seed in range(120):
        y, leaves, _ = random_branches(random.Random(seed))
        if isinstance(y, wg.Expr):
            yield f"arrays {seed}: {derivatives_added(y, leaves)}"


def test_no_more_guards_are_written_than_there_were(update_golden):
    """One too many changes no number; tests/golden/guards.txt holds how many there are."""
    path = GOLDEN_FILES / "guards.txt"
    found = "\n".join(listing()) + "\n"
    if update_golden:
        path.write_text(found, encoding="utf-8")
    assert found == path.read_text(encoding="utf-8")


def test_a_part_of_a_branch_within_eight_others_needs_the_outermost_condition_alone():
    def wheres(depth):
        g = wg.Graph()
        x, root = g.input("x"), wg.sqrt(g.input("y"))
        inner = root * 2
        for i in reversed(range(depth)):
            inner = wg.where(x > i, inner, 0)
        y = inner + wg.where(x > 0, root, 0)
        return derivatives_added(y, [g["y"]])

    counts = [int(wheres(depth).split(", ")[-1].removesuffix(" where")) for depth in range(6, 12)]
    steps = [b - a for a, b in pairwise(counts)]
    assert steps[:3] == [1, 1, 1]
    assert steps[3] == 11, "further out is not looked: the conditions of both, and of either"


@pytest.mark.parametrize("first", range(0, 150, 50))
def test_branches_within_branches_agree_with_finite_differences(first):
    guarded = 0
    for seed in range(first, first + 50):
        rng = random.Random(seed)
        y, leaves = nested_branches(rng)
        for _ in range(4):
            at = {leaf: rng.choice([-1.7, -0.6, 0.7, 1.8]) + rng.uniform(0, 0.3) for leaf in leaves}
            if not math.isfinite(wg.evaluate(y, at)):
                continue
            found = wg.evaluate(wg.grad(y, leaves, allow_unused=True), at)
            for leaf, value in zip(leaves, found, strict=True):
                assert value == pytest.approx(slopes(y, at, leaf), rel=1e-6, abs=1e-7), seed
            plain = wg.grad(y, leaves, allow_unused=True, stable=False)
            guarded += not is_finite(wg.evaluate(plain, at))
    assert guarded > 2, "some of these are nan without a guard"


def test_conditions_that_cancel_are_still_conditions():
    """Any number but 0 counts as true: what they add up to says nothing."""
    g = wg.Graph()
    c, x, p = g.array("c", 2), g.array("x", 2), g.input("p")
    y = arrays.sum_over(wg.where(c, wg.sqrt(p) * x, 0))
    at = {c: np.array([1.0, -1.0]), x: np.array([3.0, 5.0]), p: 4.0}
    assert wg.evaluate(wg.grad(y, p), at) == 8 / 4
    row = arrays.sum_over(wg.where(c, arrays.broadcast_to(wg.sqrt(p), (2,)) * x, 0))
    assert wg.evaluate(wg.grad(row, p), at) == 8 / 4
    at = {**at, c: np.array([0.0, 0.0]), p: -4.0}
    assert wg.evaluate(wg.grad(y, p), at) == 0.0 == wg.evaluate(wg.grad(row, p), at)


NAN_AT_1 = np.array([2.0, -1.0, 3.0])
"""What a root or a logarithm of is no number in the middle."""


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(
    "build",
    [
        lambda a, b, s: wg.where(a > 0, s * wg.log(a), 0),
        lambda a, b, s: wg.where(a > 0, s / wg.sqrt(a), b),
        lambda a, b, s: wg.where(a > 0, wg.log(a) ** 2 - s, b * s),
        lambda a, b, s: wg.where(a > 0, arrays.outer(b, wg.sqrt(a)), s),
        lambda a, b, s: wg.where(arrays.reshape(a, (3, 1)) > 0, arrays.outer(wg.sqrt(a), b * s), 0),
        lambda a, b, s: wg.where(
            a > 0, arrays.broadcast_to(b, (2, 3)) @ arrays.outer(b, wg.sqrt(a)), s
        ),
        lambda a, b, s: wg.where(
            a > 0, arrays.sum_over(arrays.outer(wg.sqrt(a), b), 1), arrays.sum_over(b) * s
        ),
        lambda a, b, s: wg.where(a > 0, wg.arrays.stack(wg.sqrt(a) * s, b * wg.log(a)), b),
        lambda a, b, s: wg.where(a > 0, wg.where(b > s, wg.sqrt(a) * s, wg.log(a)), s * b),
        lambda a, b, s: wg.where(a > 0, wg.where(s > 0, wg.sqrt(a) * s, wg.log(a)), s * b),
        lambda a, b, s: wg.where(a > 0, wg.where(s < 0, b, wg.log(a * s) * s), s * b),
    ],
)
def test_what_is_added_up_is_guarded_before(build):
    g = wg.Graph()
    a, b, s = g.array("a", 3), g.array("b", 3), g.input("s")
    y = arrays.sum_over(build(a, b, s) * b)
    at = {a: NAN_AT_1, b: np.array([0.5, -0.7, 1.5]), s: 0.8}
    found = wg.evaluate(wg.grad(y, [a, b, s], allow_unused=True), at)
    for leaf, value in zip((a, b, s), found, strict=True):
        assert value == pytest.approx(slopes(y, at, leaf), rel=1e-6, abs=1e-7)
