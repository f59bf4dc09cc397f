"""Common factors and shared parts: fewer operations, equal over the reals."""

import random
from fractions import Fraction
from itertools import pairwise

import pytest
import sympy

from wengert.codegen.compiled import compile
from wengert.derive.backward import grad, hessian
from wengert.errors import UnknownNameError
from wengert.graph.expr import Graph
from wengert.graph.rewrite import extract, operations
from wengert.notation.sympy import to_sympy
from wengert.ops import scalar as ops
from wengert.simplify import nary, sharing
from wengert.simplify.engine import PASSES
from wengert.simplify.pipeline import Choice, simplified
from wengert.train.nn import MLP

PASSES_OF_SHARING = [sharing.factor, sharing.share_sums, sharing.share_products]


def polynomial(rng, graph, leaves, terms):
    """A sum of monomials with small whole coefficients, added and subtracted in any grouping."""
    parts, degree = [], rng.randrange(1, 4)
    for _ in range(terms):
        term = rng.choice(leaves)
        for _ in range(rng.randrange(degree)):
            term = term * rng.choice(leaves)
        scale = rng.choice([1, 1, 2, 3, -1, -4])
        parts.append(term if scale == 1 else scale * term)
    if rng.random() < 0.3:
        parts.append(graph.constant(rng.choice([1, -2, 5])))
    while len(parts) > 1:
        i = rng.randrange(len(parts) - 1)
        a, b = parts.pop(i), parts.pop(i)
        parts.insert(i, rng.choice([a + b, a - b, -a + b, a + b]))
    return parts[0]


def random_graph(seed):
    rng = random.Random(seed)
    graph = Graph()
    leaves = [graph.input(name) for name in "abcd"]
    first = polynomial(rng, graph, leaves, rng.randrange(2, 5))
    others = [
        polynomial(rng, graph, [*leaves, first], rng.randrange(2, 9))
        for _ in range(rng.randrange(1, 4))
    ]
    return extract([*others, first * first] if rng.random() < 0.5 else others)


def count(graph):
    return sum(operations(graph).values())


def exact(graph, numbers):
    """The outputs in rational arithmetic, which rounds nothing: they are equal or they are not."""
    values = []
    for node, operands in enumerate(graph.operands):
        if operands:
            made = [values[operand] for operand in operands]
            op = graph.ops[node]
            match op.name:
                case "add":
                    values.append(made[0] + made[1])
                case "sub":
                    values.append(made[0] - made[1])
                case "mul":
                    values.append(made[0] * made[1])
                case "neg":
                    values.append(-made[0])
                case _:
                    raise AssertionError(op)
        elif graph.labels.get(node):
            values.append(numbers[graph.labels[node]])
        else:
            values.append(Fraction(graph.value(node)))
    return [values[node] for node in graph.outputs]


@pytest.mark.parametrize("sharing_pass", PASSES_OF_SHARING, ids=lambda p: p.name)
def test_polynomials_stay_equal_and_get_no_larger(sharing_pass):
    numbers = dict(zip("abcd", map(Fraction, ["3/7", "-5/3", "11/2", "2/9"]), strict=True))
    gained = 0
    for seed in range(150):
        graph = random_graph(seed)
        smaller, images = sharing_pass(graph)
        assert smaller.outputs == tuple(images[root] for root in graph.outputs)
        assert images.keys() <= set(range(len(graph)))
        assert exact(smaller, numbers) == exact(graph, numbers), seed
        assert count(smaller) <= count(graph)
        gained += count(smaller) < count(graph)
    assert gained > 2


@pytest.mark.parametrize("sharing_pass", PASSES_OF_SHARING, ids=lambda p: p.name)
def test_sympy_proves_what_each_pass_did(sharing_pass):
    proved = 0
    for seed in range(200, 225):
        graph = random_graph(seed)
        smaller = sharing_pass(graph).graph
        for old, new in zip(graph.outputs, smaller.outputs, strict=True):
            assert sympy.expand(to_sympy(graph[old]) - to_sympy(smaller[new])) == 0
            proved += 1
    assert proved > 25


def written(make, names="abcd", passes=PASSES_OF_SHARING):
    graph = Graph()
    made = make(*[graph.input(name) for name in names])
    result = PASSES["exact"](extract(made if isinstance(made, list) else [made])).graph
    for step in passes:
        result = step(result).graph
    return [str(result[node]) for node in result.outputs]


def test_multiplication_is_taken_out_of_sums():
    assert written(lambda w, a, b, c: w * a + c + w * b, "wabc") == ["w*(a + b) + c"]
    assert written(lambda w, a, b, c: w * a - w * b - w * c, "wabc") == ["w*(a - b - c)"]
    assert written(lambda w, a, b, c: 2 * w + 2 * a + 2 * b + c, "wabc") == ["2*(w + a + b) + c"]
    assert written(lambda w, a, b, c: c - w * a - w * b, "wabc") == ["c - w*(a + b)"]
    assert written(lambda a, b, c, d: a * b * c + a * b * d) == ["a*b*(c + d)"]


def test_a_product_with_another_use_is_not_computed_twice():
    assert written(lambda w, a, b, c: [w * a + w * b, w * a * c], "wabc") == ["w*a + w*b", "w*a*c"]


def test_sums_share_what_they_have_in_common():
    found = written(lambda a, b, c, d: [a + b + c + d, a - d + b])
    assert found == ["a + b + c + d", "a + b - d"]
    graph = Graph()
    a, b, c, d = (graph.input(name) for name in "abcd")
    shared = sharing.share_sums(extract([a + c + b + d, a - d + b, 2 * a + 2 * b - c])).graph
    assert count(shared) == 6  # a + b once, not three times, and doubled once
    assert shared.passes[-1].rewrites == {"share-sums": 3}


def test_pairs_whose_weights_have_no_exact_ratio_are_left():
    graph = Graph()
    a, b, c = (graph.input(name) for name in "abc")
    rows = extract([49 * a + b + c, 49 * a + b - 2 * c, b - c + 49 * a, 49 * a - 5 * c + b])
    numbers = dict(zip("abc", map(Fraction, ["1/7", "5", "3"]), strict=True))
    assert exact(sharing.share_sums(rows).graph, numbers) == exact(rows, numbers)


def test_products_share_what_they_have_in_common():
    graph = Graph()
    a, b, c, d = (graph.input(name) for name in "abcd")
    shared = sharing.share_products(extract([a * c * b, a * d * b, b * d * a * c])).graph
    assert count(shared) < 7
    squares = sharing.share_products(extract([a * b * a, c * a * a, a * d * a])).graph
    assert count(squares) == 4


def test_a_named_node_and_a_difference_that_is_added_stay_whole():
    found = written(lambda a, b, c, d, e: [(a + d) + (b - c), a - e + d], "abcde")
    assert found == ["a + d + (b - c)", "a + d - e"]
    assert written(lambda a, b, c: a - (b + c), "abc") == ["a - (b + c)"]
    graph = Graph()
    w, a, b = (graph.input(name) for name in "wab")
    product = w * a
    product.label = "kept"
    result = sharing.factor(extract([product + w * b])).graph
    assert "kept" in result.labels.values()


def test_what_is_the_same_for_all_samples_is_not_mixed_with_them():
    graph = Graph()
    w, v, x, y, z = (graph.input(name) for name in "wvxyz")
    outputs = [(x + y) + (w + v), z - x - y]
    inputs = {"w": w, "v": v, "x": x, "y": y, "z": z}
    f = compile(inputs, outputs, batch=("x", "y", "z"), reduce=None, simplify="real")
    assert [str(i.op.name) for i in f.program.once] == ["add"]
    assert len(f.program.each) == 3
    assert f(2.0, 3.0, [1.0], [7.0], [0.5]) == [[13.0], [-7.5]]


def test_what_does_not_get_smaller_keeps_every_bit():
    net = MLP(2, [4, 1], seed=0)
    graph = Graph()
    x = graph.inputs("x", 2)
    loss = (net(x) - 1.0) ** 2
    inputs = {"p": net.parameters(), "x": x}
    outputs = {"loss": loss, "grad": grad(loss, net.parameters())}
    at = [p.data for p in net.parameters()], [0.3, -0.7]
    assert compile(inputs, outputs)(*at) == compile(inputs, outputs, simplify="real")(*at)


def test_graphs_without_sums_and_empty_results():
    graph = Graph()
    a = graph.input("a")
    for step in PASSES_OF_SHARING:
        assert str(step(extract([a.tanh()])).graph[1]) == "tanh(a)"
        assert len(step(extract([a])).graph) == 1
    gone = sharing.share_sums(extract([a + 1 - a - 1, a + 1])).graph
    assert exact(gone, {"a": Fraction(3)}) == [0, 4]


def test_constants_that_are_not_finite_are_left_alone():
    graph = Graph()
    a = graph.input("a")
    result = sharing.share_sums(extract([a + float("inf") + a, a + float("inf") - 3])).graph
    assert str(result[result.outputs[0]]) == "a + inf + a"


def energy(n):
    graph = Graph()
    p = graph.inputs("p", 3 * n)
    pairs = [(i, j) for i in range(n) for j in range(i)]
    squares = [sum((p[3 * i + k] - p[3 * j + k]) ** 2 for k in range(3)) for i, j in pairs]
    return p, sum(-1 / ops.sqrt(square) for square in squares)


def rosenbrock(n):
    graph = Graph()
    q = graph.inputs("q", n)
    return q, sum(100 * (b - a * a) ** 2 + (1 - a) ** 2 for a, b in pairwise(q))


@pytest.mark.parametrize(
    ("problem", "second", "least"),
    [(energy(4), False, 0.05), (rosenbrock(8), True, 0.2)],
    ids=["energy", "rosenbrock"],
)
def test_derivatives_get_smaller_and_stay_right(problem, second, least):
    leaves, value = problem
    outputs = {"value": value, "grad": grad(value, leaves), "hessian": []}
    if second:
        outputs["hessian"] = hessian(value, leaves)
    exactly = compile({"x": leaves}, outputs)
    really = compile({"x": leaves}, outputs, simplify="real")
    sizes = [len(f.program.instructions) for f in (exactly, really)]
    assert sizes[1] < (1 - least) * sizes[0]
    at = [0.3 + 0.61 * i * i % 1.7 for i in range(len(leaves))]
    old, new = exactly(at), really(at)
    assert new["grad"] == pytest.approx(old["grad"], rel=1e-12, abs=1e-11)
    for row, expected in zip(new["hessian"], old["hessian"], strict=True):
        assert row == pytest.approx(expected, rel=1e-11, abs=1e-10)


def test_the_records_say_what_was_done():
    leaves, value = rosenbrock(4)
    graph = extract([value, *grad(value, leaves)])
    result = simplified(graph, Choice("real")).graph
    assert [record.name for record in result.passes] == [
        *("real", "factor", "share-sums", "share-products", "real")
    ]
    for before, after in pairwise(result.passes):
        assert before.nodes_after == after.nodes_before
        assert before.operations_after == after.operations_before
    assert simplified(graph, Choice("exact")).graph.passes == PASSES["exact"](graph).graph.passes


def test_unknown_simplifications_list_what_there_is():
    graph = Graph()
    x = graph.input("x")
    with pytest.raises(UnknownNameError, match="'rael'; did you mean 'real'"):
        compile({"x": x}, x + 1, simplify="rael")
    assert compile({"x": x}, x * 1, simplify=False).program.counts() == {"mul": 1}
    assert compile({"x": x}, x * 1 + 1, simplify="exact").program.counts() == {"add": 1}


def test_a_sum_of_thousands_of_terms_is_planned_in_time_for_them():
    graph = Graph()
    w, x = graph.inputs("w", 3000), graph.inputs("x", 3000)
    dot = sum(a * b for a, b in zip(w, x, strict=True))
    many = [sum(w[i : i + 40]) for i in range(60)]
    result = simplified(extract([dot, *many]), Choice("real")).graph
    assert count(result) < count(extract([dot, *many]))


def test_pairs_are_not_looked_for_past_a_limit(monkeypatch):
    graph = Graph()
    a = graph.inputs("a", 6)
    rows = extract([sum(a), sum(a[:5]) - a[5], a[0] + a[1] - a[2], a[0] + a[1] + a[3]])
    assert count(sharing.share_sums(rows).graph) < count(rows)
    monkeypatch.setattr(sharing, "PAIRS", 1)
    assert count(sharing.share_sums(rows).graph) == count(rows)


def test_chains_are_read_and_written():
    graph = Graph()
    a, b = graph.input("a"), graph.input("b")
    graph.outputs = ((-(a - 3 * b) - 2 + b).id,)
    (chain,) = nary.sums(nary.Uses.of(graph)).values()
    assert chain.weights == {0: -1.0, 1: 4.0, nary.ONE: -2.0}
    assert chain.operations() == 3
