"""The states of a recurrence are rows of one array, and what reads them all is one statement."""

import numpy as np
import pytest
from scalar_programs import OPTIMIZERS, Source, affine, dot, linear, softmax, squared, tanh

import wengert as wg
from wengert.arrays.statements import Array, ArrayProgram, Output, Statement
from wengert.errors import OperandError
from wengert.ops.reads import Affine, Apply, Axis, Read, along
from wengert.ops.scalar import EXP, log


def rnn(steps, width=3, start="zeros"):
    """Outputs and their squared error at every step of a network that begins with some state."""
    s = Source()
    w, u, b = s.weights("w", width, 2), s.weights("u", width, width), s.weights("b", width)
    v, x, y = s.weights("v", 2, width), s.inputs("x", steps, 2), s.inputs("y", steps, 2)
    h = {
        "zeros": lambda: [0.0] * width,
        "leaves": lambda: s.inputs("h0", width),
        "sums": lambda: [0.1 * one + 0.2 for one in b],
        "functions": lambda: [one.sin() for one in b],
    }[start]()
    loss = 0.0
    for now, wanted in zip(x, y, strict=True):
        h = [tanh(a + dot(row, h)) for a, row in zip(affine(now, w, b), u, strict=True)]
        loss = loss + squared(linear(h, v), wanted)
    return s, loss


def lstm(steps, width=3):
    s = Source()
    gates = {k: (s.weights(f"w{k}", width, 2), s.weights(f"u{k}", width, width)) for k in "ifog"}
    x, v = s.inputs("x", steps, 2), s.weights("v", 2, width)
    h, c, loss = [0.0] * width, [0.0] * width, 0.0
    for now in x:
        sums = {
            k: [a + b for a, b in zip(linear(now, w), linear(h, u), strict=True)]
            for k, (w, u) in gates.items()
        }
        i, f, o = ([a.sigmoid() for a in sums[k]] for k in "ifo")
        g = [tanh(a) for a in sums["g"]]
        c = [a * b + d * e for a, b, d, e in zip(f, c, i, g, strict=True)]
        h = [a * tanh(b) for a, b in zip(o, c, strict=True)]
        loss = loss + sum(a * a for a in linear(h, v))
    return s, loss


def translation(steps, width=3, words=4):
    """An encoder, and a decoder that attends to all of the encoder's states at every step."""
    s = Source()
    we, ue = s.weights("we", width, 2), s.weights("ue", width, width)
    wd, ud, cd = (s.weights(n, width, k) for n, k in (("wd", 2), ("ud", width), ("cd", width)))
    v, x, y = s.weights("v", words, width), s.inputs("x", steps, 2), s.inputs("y", steps, 2)
    h, seen, loss = [0.0] * width, [], 0.0
    for now in x:
        h = [tanh(a + dot(row, h)) for a, row in zip(linear(now, we), ue, strict=True)]
        seen.append(h)
    for place, now in enumerate(y):
        weights = softmax([dot(h, one) for one in seen])
        mixed = [dot(weights, column) for column in zip(*seen, strict=True)]
        sums = zip(linear(now, wd), linear(h, ud), linear(mixed, cd), strict=True)
        h = [tanh(a + b + c) for a, b, c in sums]
        loss = loss - log(softmax(linear(h, v))[place % words])
    return s, loss


def heat(steps, width=6):
    """Heat along a rod whose ends stay as they are."""
    s = Source()
    u, k, wanted = s.weights("u", width), s.weights("k", width), s.inputs("wanted", width)
    for _ in range(steps):
        inner = [u[i] + k[i] * (u[i - 1] - 2 * u[i] + u[i + 1]) for i in range(1, width - 1)]
        u = [u[0], *inner, u[-1]]
    return s, squared(u, wanted)


def euler(steps, width=3):
    s = Source()
    w, b, y = s.weights("w", width, width), s.weights("b", width), s.inputs("y", width)
    wanted, loss = s.inputs("wanted", steps, width), 0.0
    for target in wanted:
        y = [a + 0.1 * tanh(q) for a, q in zip(y, affine(y, w, b), strict=True)]
        loss = loss + squared(y, target)
    return s, loss


def outputs(build, *sizes, **options):
    source, loss = build(*sizes, **options)
    return source.with_gradient(loss)


# By program: how many statements a step is, and how many there are besides.
PER_STEP = {rnn: (4, 9), lstm: (22, 20), translation: (24, 22), heat: (4, 5), euler: (6, 5)}


@pytest.mark.parametrize("build", PER_STEP, ids=lambda build: build.__name__)
def test_a_step_is_as_many_statements_however_many_steps_there_are(build):
    step, besides = PER_STEP[build]
    for steps, sizes in ((5, {}), (8, {"width": 7})):
        wanted = outputs(build, steps, **sizes)
        rolled = wg.roll(wanted)
        assert wg.check_roll(wanted, rolled)
        assert len(rolled.statements) == step * steps + besides, rolled


@pytest.mark.parametrize("start", ["zeros", "leaves", "sums", "functions"])
def test_a_chain_has_its_first_state_in_its_array_whatever_that_is_computed_from(start):
    wanted = outputs(rnn, 5, start=start)
    rolled = wg.roll(wanted)
    assert wg.check_roll(wanted, rolled)
    rows = [s for s in rolled.statements if isinstance(s.value, Apply) and "tanh(" in str(s)]
    assert len({s.array for s in rows}) == 1
    assert sorted(s.target[0].offset for s in rows) == [0, 1, 2, 3, 4]


def test_a_recurrent_network_reads_like_its_formulas():
    assert (
        str(wg.roll(outputs(rnn, 3, start="leaves")))
        == """\
t1_0[i] = Σ_k w[i, k]·x[0, k] + b[i] + Σ_j u[i, j]·h0[j]
t2[0, i] = tanh(t1_0[i])
t1_1[i] = Σ_k w[i, k]·x[1, k] + b[i] + Σ_j u[i, j]·t2[0, j]
t2[1, i] = tanh(t1_1[i])
t1_2[i] = Σ_k w[i, k]·x[2, k] + b[i] + Σ_j u[i, j]·t2[1, j]
t2[2, i] = tanh(t1_2[i])
t4[l, m] = Σ_i v[m, i]·t2[l, i] - y[l, m]
t5 = Σ_{l,m} t4[l, m]·t4[l, m]
dt3[l, m] = 2·t4[l, m]
t6[l, i] = 1 - t2[l, i]·t2[l, i]
dt1[2, i] = (Σ_m v[m, i]·dt3[2, m])·t6[2, i]
dt2_1[i] = Σ_m v[m, i]·dt3[1, m] + Σ_j u[j, i]·dt1[2, j]
dt1[1, i] = dt2_1[i]·t6[1, i]
dt2_0[i] = Σ_m v[m, i]·dt3[0, m] + Σ_j u[j, i]·dt1[1, j]
dt1[0, i] = dt2_0[i]·t6[0, i]
dv[m, i] = Σ_l t2[l, i]·dt3[l, m]
du[i, j] = Σ_l t2[l, j]·dt1[l + 1, i] + h0[j]·dt1[0, i]
db[i] = Σ_l dt1[l, i]
dw[i, k] = Σ_l x[l, k]·dt1[l, i]"""
    )


def by_hand(weights, x, y):
    """The loss of a recurrent network and its gradients, as a person writes them in NumPy."""
    w, u, b, v = weights
    h = np.zeros((len(x) + 1, len(b)))
    for t, now in enumerate(x):
        h[t + 1] = np.tanh(w @ now + u @ h[t] + b)
    off = h[1:] @ v.T - y
    dh, da = 2 * off @ v, np.zeros_like(h[1:])
    for t in reversed(range(len(x))):
        da[t] = dh[t] * (1 - h[t + 1] ** 2)
        if t:
            dh[t - 1] += u.T @ da[t]
    return (off**2).sum(), [da.T @ x, da.T @ h[:-1], da.sum(0), 2 * off.T @ h[1:]]


@pytest.mark.parametrize("target", ["python", "numpy", "native"])
@pytest.mark.parametrize("samples", [None, 3])
def test_compiled_it_computes_what_is_written_by_hand(target, samples):
    source, loss = rnn(7, 4)
    leaves = [source.graph[node] for node in source.graph.leaves.values()]
    data = [leaf for leaf in leaves if leaf.label[0] in "xy"]
    wanted = {"loss": loss, "grad": wg.grad(loss, source.parameters)}
    arguments = {"params": source.parameters, "data": data}
    batch = () if samples is None else ("data",)
    f = wg.compile(arguments, wanted, target=target, batch=batch)
    draw = np.random.default_rng(0)
    params = draw.normal(size=len(source.parameters))
    rows = draw.normal(size=(samples or 1, len(data)))
    shapes = [(4, 2), (4, 4), (4,), (2, 4)]
    ends = np.cumsum([np.prod(shape) for shape in shapes])[:-1]
    weights = [part.reshape(s) for part, s in zip(np.split(params, ends), shapes, strict=True)]
    expected = [by_hand(weights, *row.reshape(2, 7, 2)) for row in rows]
    found = f(params, rows if samples else rows[0])
    np.testing.assert_allclose(found["loss"], sum(one for one, _ in expected))
    summed = [sum(parts) for parts in zip(*[parts for _, parts in expected], strict=True)]
    gradient = np.concatenate([part.ravel() for part in summed])
    np.testing.assert_allclose(np.ravel(found["grad"]), gradient)


@pytest.mark.parametrize("build", [rnn, lstm, translation, heat, euler])
@pytest.mark.parametrize("target", ["numpy", "native"])
def test_compiled_chains_agree_with_scalars(build, target):
    source, loss = build(6)
    leaves = [source.graph[node] for node in source.graph.leaves.values()]
    wanted = {"loss": loss, "grad": wg.grad(loss, leaves, allow_unused=True)}
    values = np.random.default_rng(1).normal(size=len(leaves))
    plain = wg.compile({"all": leaves}, wanted)(values.tolist())
    found = wg.compile({"all": leaves}, wanted, target=target)(values)
    np.testing.assert_allclose(found["loss"], plain["loss"], 1e-10)
    np.testing.assert_allclose(found["grad"], plain["grad"], 1e-9, 1e-10)


def test_a_step_of_an_optimizer_adds_nothing_for_a_step_of_the_chain():
    def counted(steps):
        source, loss = rnn(steps)
        wanted = source.with_step(loss, OPTIMIZERS["adam"])
        rolled = wg.roll(wanted)
        assert wg.check_roll(wanted, rolled)
        return len(rolled.statements)

    assert counted(8) - counted(6) == counted(6) - counted(4) == 2 * PER_STEP[rnn][0]


def test_layers_with_weights_of_their_own_are_no_chain():
    s = Source()
    weights = [s.weights(f"w{'abcd'[k]}", 3, 3) for k in range(4)]
    x = s.inputs("x", 3)
    for w in weights:
        x = [tanh(a) for a in linear(x, w)]
    wanted = s.with_gradient(sum(a * a for a in x))
    assert all(statement.place is None for statement in wg.roll(wanted).statements)


def test_a_chain_of_two_is_no_array():
    assert all(s.place is None for s in wg.roll(outputs(rnn, 2)).statements)


def test_an_encoder_and_a_decoder_are_two_chains():
    lines = str(wg.roll(outputs(translation, 6)))
    states = {line.split("[")[0] for line in lines.splitlines() if "tanh(" in line}
    assert len(states) == 2


def rows(*pairs):
    """A program that computes row k of an array from row j of it, for each pair, or from a leaf."""
    i = along("i")
    statements = [
        Statement(
            "h",
            (Axis("i", 2),),
            Apply(EXP, (Read("x", (i,)) if j is None else Read("h", (Affine(j), i)),)),
            (Affine(k), i),
        )
        for k, j in pairs
    ]
    arrays = {"x": Array("x", (2,), "leaf"), "h": Array("h", (3, 2))}
    return ArrayProgram(arrays, tuple(statements), (Output("h"),))


def test_a_row_is_read_after_it_is_written():
    assert len(rows((0, None), (1, 0), (2, 1)).statements) == 3
    assert len(rows((2, None), (1, 2), (0, 2)).statements) == 3
    for wrong in ([(0, None), (1, 2), (2, 1)], [(0, 0), (1, 0), (2, 1)], [(1, 0), (0, None)]):
        with pytest.raises(OperandError, match="not computed before"):
            rows(*wrong)
