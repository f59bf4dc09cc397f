"""Leaves whose names do not tell: the arrays that they are elements of are found by their use."""

import random
from collections import defaultdict
from functools import partial, reduce
from itertools import pairwise, product

import pytest
import scalar_programs as programs

import wengert as wg
from wengert.arrays import rolling
from wengert.arrays.rolling import roll_nodes
from wengert.arrays.unrolling import check_program
from wengert.ops.scalar import minimum

NUMBERINGS = {
    "flat": range(10_000),
    "backwards": range(10_000, 0, -1),
    "shuffled": random.Random(0).sample(range(10_000), 10_000),
}
PROGRAMS = {
    "gpt": (programs.gpt, (3, 1), (4, 3)),
    "mlp": (programs.mlp, (4, 5), (7, 9)),
    "lstm": (programs.lstm, (2, 3), (3, 4)),
    "tied": (programs.tied, (4, 5), (7, 6)),
    "embeddings": (programs.embeddings, (4, 5), (7, 6)),
    "layer-norm": (programs.layer_norm, (4, 5), (7, 6)),
    "attention": (partial(programs.attention, heads=2, causal=True), (3, 2), (5, 4)),
    "flipped": (programs.flipped, (4, 5), (7, 6)),
    "padded-images": (programs.padded_images, (5, 2), (6, 3)),
}


def numbered(numbers):
    """A source of parameters that are one list, the k-th one's number is `numbers[k]`."""

    class Numbered(programs.Source):
        def _parameter(self, name):
            return super()._parameter(f"p{numbers[len(self.parameters)]}")

    return Numbered


def rolled(build, sizes, source, monkeypatch):
    monkeypatch.setattr(programs, "Source", source)
    s, loss = build(*sizes)
    outputs = s.with_gradient(loss)
    program = roll_nodes(s.graph, [output.id for output in outputs])
    return outputs, program


@pytest.mark.parametrize("name", PROGRAMS)
def test_parameters_that_are_one_list_make_the_statements_of_named_matrices(name, monkeypatch):
    build, *sizes = PROGRAMS[name]
    source, counts = programs.Source, set()
    for size in sizes:
        _, named = rolled(build, size, source, monkeypatch)
        outputs, flat = rolled(build, size, numbered(NUMBERINGS["flat"]), monkeypatch)
        assert check_program(outputs[0].graph, [o.id for o in outputs], flat)
        assert len(flat.tables) <= len(named.tables)
        counts |= {len(named.statements), len(flat.statements)}
    assert len(counts) == 1


@pytest.mark.parametrize("numbering", ["backwards", "shuffled"])
@pytest.mark.parametrize("name", ["mlp", "lstm", "attention", "layer-norm", "tied"])
def test_the_order_of_parameters_changes_nothing(name, numbering, monkeypatch):
    build, sizes, _ = PROGRAMS[name]
    _, named = rolled(build, sizes, programs.Source, monkeypatch)
    outputs, flat = rolled(build, sizes, numbered(NUMBERINGS[numbering]), monkeypatch)
    assert check_program(outputs[0].graph, [o.id for o in outputs], flat)
    assert len(flat.statements) == len(named.statements)
    assert not flat.tables


@pytest.mark.parametrize("width", [4, 6])
def test_weights_and_biases_of_neurons_are_arrays_by_their_use(width):
    graph, rng = wg.Graph(), random.Random(0)
    values = [wg.Value(rng.uniform(-1, 1)) for _ in range(6 * width)]
    rows = [values[4 * j : 4 * j + 4] for j in range(width)]
    last = [values[4 * width + k * width :][:width] for k in range(2)]
    x = [graph.parameter(f"x{i}", rng.random()) for i in range(3)]
    h = [wg.tanh(programs.dot(row[:3], x) + row[3]) for row in rows]
    loss = sum(a * a for a in programs.linear(h, last)) + sum(a * a for a in values)
    outputs = [loss, *wg.grad(loss, values)]
    program = roll_nodes(outputs[0].graph, [output.id for output in outputs])
    assert check_program(outputs[0].graph, [o.id for o in outputs], program)
    lines = str(program).splitlines()
    assert "t2[i] = tanh(Σ_j x[j]·v_0[i, j] + v_3[i])" in lines
    assert f"t3[k] = Σ_i t2[i]·v_{4 * width}[k, i]" in lines
    assert {
        "dv_0[i, j] = 2·v_0[i, j] + x[j]·dt1[i]",
        "dv_3[i] = 2·v_3[i] + dt1[i]",
        f"dv_{4 * width}[k, i] = 2·v_{4 * width}[k, i] + t2[i]·dt3[k]",
    }.issubset(lines)


def test_a_vector_that_is_read_alike_stays_one():
    g = wg.Graph()
    x = g.inputs("x", 6)
    differences = [b - a for a, b in pairwise(x)]
    lines = str(wg.roll([sum(d * d for d in differences)])).splitlines()
    assert lines[0] == "t1[i] = x[i + 1] - x[i]"
    assert str(wg.roll([x[0] * wg.sin(x[1]) + x[2] / x[3]])).count("x[") == 4


def test_what_is_read_in_windows_of_a_flat_image_has_two_axes():
    g, n = wg.Graph(), 6
    x, w = g.inputs("x", n * n), g.inputs("w", 4)
    seen = [
        wg.tanh(sum(w[2 * a + b] * x[n * (i + a) + j + b] for a in range(2) for b in range(2)))
        for i in range(n - 1)
        for j in range(n - 1)
    ]
    program = wg.roll(seen).program
    assert program.arrays["x"].shape == (n, n)
    assert not program.tables


def test_what_is_read_nowhere_lies_beside_what_is_or_alone():
    g = wg.Graph()
    x, unread = g.inputs("x", 3), g.inputs("z", 4)
    loss = wg.sin(x[0]) * x[2]
    outputs = [loss, *wg.grad(loss, [*x, *unread], allow_unused=True)]
    rolled = wg.roll(outputs)
    assert wg.check_roll(outputs, rolled)
    assert {n: a.shape for n, a in rolled.program.arrays.items() if n in "xz"} == {"x": (3,)}


@pytest.mark.parametrize("text", ["3141", "2220", "0123"])
def test_tokens_at_different_steps_are_rows_of_one_table(text):
    counts = set()
    for source in (programs.Source, numbered(NUMBERINGS["flat"])):
        s = source()
        table, w, u = s.weights("wte", 5, 3), s.weights("w", 2, 3), s.weights("u", 2, 2)
        state = [0.0, 0.0]
        for token in map(int, text):
            both = zip(programs.linear(table[token], w), programs.linear(state, u), strict=True)
            state = [wg.tanh(a + b) for a, b in both]
        outputs = s.with_gradient(sum(state))
        program = roll_nodes(s.graph, [output.id for output in outputs])
        assert check_program(s.graph, [o.id for o in outputs], program)
        counts.add(len(program.statements))
    assert len(counts) == 1


STARTS = {
    "0": sum,
    "0.0": lambda terms: sum(terms, 0.0),
    "a zero each": lambda terms: sum(terms, wg.Value(0)),
    "none": lambda terms: reduce(lambda a, b: a + b, terms),
    "from the right": lambda terms: reduce(lambda a, b: b + a, terms, wg.Value(0.0)),
}


@pytest.mark.parametrize("named", [True, False])
def test_what_a_sum_starts_with_changes_no_number_of_statements(named):
    counts = set()
    for add, (n, m) in product(STARTS.values(), [(4, 3), (6, 5)]):
        name = "{}".format if named else lambda label: ""
        w = [[wg.Value(0.1 * i - j, label=name(f"w_{j}_{i}")) for i in range(n)] for j in range(m)]
        x = [wg.Value(0.2 * i, label=name(f"x_{i}")) for i in range(n)]
        h = [wg.tanh(add([a * b for a, b in zip(row, x, strict=True)])) for row in w]
        loss = add([a * a for a in h])
        outputs = [loss, *wg.grad(loss, [e for row in w for e in row])]
        rolled = wg.roll(outputs)
        assert wg.check_roll(outputs, rolled)
        counts.add(len(rolled.statements))
    assert counts == {7}


def test_a_state_of_zeros_tells_inputs_and_states_apart():
    counts = defaultdict(set)
    for named, (n, m) in product([True, False], [(3, 4), (5, 6)]):
        name = "{}".format if named else lambda label: ""
        w = [[wg.Value(0.1, label=name(f"w_{j}_{i}")) for i in range(n)] for j in range(m)]
        u = [[wg.Value(0.2, label=name(f"u_{j}_{i}")) for i in range(m)] for j in range(m)]
        state = [0.0] * m
        for step in range(3):
            data = [0.3 * i + step for i in range(n)]
            both = zip(programs.linear(data, w), programs.linear(state, u), strict=True)
            state = [wg.tanh(a + b) for a, b in both]
        loss = sum(a * a for a in state)
        outputs = [loss, *wg.grad(loss, [e for rows in (w, u) for row in rows for e in row])]
        counts[named].add(len(wg.roll(outputs).statements))
    assert [len(found) for found in counts.values()] == [1, 1]


def attention_of(s, wq, wk, wv):
    x = s.inputs("x", 4, 5)
    q, k, v = ([programs.linear(row, w) for row in x] for w in (wq, wk, wv))
    shares = [programs.softmax([programs.dot(a, b) for b in k]) for a in q]
    mixed = [[programs.dot(share, column) for column in zip(*v, strict=True)] for share in shares]
    return sum(wg.tanh(a) for row in mixed for a in row)


def test_matrices_side_by_side_in_one_are_one_each():
    counts = set()
    for packed in (True, False):
        s = programs.Source()
        if packed:
            w = s.weights("w", 9, 5)
            parts = [w[:3], w[3:6], w[6:]]
        else:
            parts = [s.weights(name, 3, 5) for name in ("wq", "wk", "wv")]
        outputs = s.with_gradient(attention_of(s, *parts))
        program = roll_nodes(s.graph, [output.id for output in outputs])
        assert check_program(s.graph, [o.id for o in outputs], program)
        counts.add(len(program.statements))
    assert len(counts) == 1


def statements_named_and_flat(build):
    counts = []
    for source in (programs.Source, numbered(NUMBERINGS["flat"])):
        s = source()
        outputs = build(s)
        program = roll_nodes(s.graph, [output.id for output in outputs])
        assert check_program(s.graph, [o.id for o in outputs], program)
        counts.append(len(program.statements))
    return counts


def a_layer(s):
    w, x = s.weights("w", 4, 3), s.inputs("x", 3)
    return [wg.tanh(a) for a in programs.linear(x, w)]


def the_nearest_of_three(s):
    points, centres = s.inputs("x", 4, 2), s.weights("c", 3, 2)
    nearest = [reduce(minimum, [programs.squared(p, c) for c in centres]) for p in points]
    return s.with_gradient(sum(nearest))


def two_tokens_at_a_time(s):
    table, w = s.weights("wte", 5, 2), s.weights("w", 3, 4)
    rows = [programs.linear(table[a] + table[a + 1], w) for a in range(3)]
    return s.with_gradient(sum(wg.tanh(z) for row in rows for z in row))


@pytest.mark.parametrize("build", [a_layer, the_nearest_of_three, two_tokens_at_a_time])
def test_names_change_no_number_of_statements(build):
    named, flat = statements_named_and_flat(build)
    assert named == flat


def test_what_needs_no_tables_stays_as_it_is_named():
    """The first position's sums have one term; the targets are one array for it and the others."""
    g, n = wg.Graph(), 4
    params, x, y = g.inputs("p", 3 * n * n), g.inputs("x", n * n), g.inputs("y", n * n)
    w = [[params[n * (n * k + j) :][:n] for j in range(n)] for k in range(3)]
    q, k, v = ([programs.linear(x[n * p :][:n], some) for p in range(n)] for some in w)
    loss = g.constant(0.0)
    for p in range(n):
        e = [wg.exp(sum(a * b for a, b in zip(q[p], k[t], strict=True))) for t in range(p + 1)]
        total = sum(e[1:], e[0])
        share = [a / total for a in e]
        terms = [[a * v[t][i] for t, a in enumerate(share)] for i in range(n)]
        seen = [sum(some[1:], some[0]) for some in terms]
        loss = loss + sum((a - b) ** 2 for a, b in zip(seen, y[n * p :], strict=False))
    outputs = [loss, *wg.grad(loss, params)]
    program = roll_nodes(g, [e.id for e in outputs], {"p": [e.id for e in params]})
    assert check_program(g, [e.id for e in outputs], program)
    assert [array.size for array in program.leaves if array.name.startswith("y")] == [n * n]
    assert not program.tables


@pytest.mark.parametrize(("source", "times"), [(programs.Source, 2), (numbered(range(999)), 4)])
def test_scalars_are_collapsed_once_whatever_names_tell(source, times, monkeypatch):
    calls = []
    for name in ("scalars", "shapes"):
        own = getattr(rolling, name)
        monkeypatch.setattr(rolling, name, lambda *a, f=own, n=name: calls.append(n) or f(*a))
    rolled(programs.gpt, (3, 2), source, monkeypatch)
    assert calls.count("scalars") == 1
    assert calls.count("shapes") <= times


@pytest.mark.parametrize("name", ["image{}", "x{}c", "x_{}", "sample{}_of"])
def test_inputs_that_are_numbered_and_lie_alike_are_one_array(name):
    def loss_of(images, size):
        g = wg.Graph()
        w = [g.inputs(f"w_{a}_", 2) for a in range(2)]
        given = [
            [g.inputs(f"{name.format(image)}_{i}_", size) for i in range(size)]
            for image in range(images)
        ]
        seen = [
            sum(w[a][b] * x[i + a][j + b] for a in range(2) for b in range(2)).tanh()
            for x in given
            for i in range(size - 1)
            for j in range(size - 1)
        ]
        loss = sum(seen)
        return [loss, *wg.grad(loss, [v for row in w for v in row])]

    found = {}
    for sizes in ((2, 3), (3, 5)):
        outputs = loss_of(*sizes)
        rolled = wg.roll(outputs)
        assert wg.check_roll(outputs, rolled)
        found[len(rolled.statements)] = [leaf.shape for leaf in rolled.program.leaves]
    assert list(found.values()) == [[(2, 2), (3, 5, 5)]]
