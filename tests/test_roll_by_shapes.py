"""Rolling by shapes: the same statements for every size, and the same numbers as the scalars."""

import random
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import scalar_programs as programs

import wengert as wg
from wengert.arrays.interpret import run
from wengert.arrays.reads import Affine, Apply, AtLeast, Read, along
from wengert.arrays.rolling import roll_nodes
from wengert.arrays.unrolling import check_program
from wengert.ops.scalar import ADD

MLP = programs.mlp
PROGRAMS = {
    **{
        f"mlp-{name}": (partial(MLP, activation=name), (4, 5), (7, 9), None)
        for name in programs.ACTIVATIONS
    },
    **{
        f"mlp-{name}": (MLP, (4, 5), (7, 9), optimizer)
        for name, optimizer in programs.OPTIMIZERS.items()
    },
    **{
        build.__name__: (build, (4, 5), (7, 6), None)
        for build in (
            programs.unrolled_batch,
            programs.batch_of_numbers,
            programs.residual,
            programs.dense_skips,
            programs.tied,
            programs.embeddings,
            programs.cross_entropy,
            programs.rnn,
            programs.lstm,
            programs.gru,
            programs.layer_norm,
            programs.rms_norm,
            programs.batch_norm,
            programs.vae,
            programs.siamese,
        )
    },
    **{
        f"convolution-stride{stride}-pad{pad}-dilation{dilation}": (
            partial(programs.convolution, stride=stride, pad=pad, dilation=dilation),
            (11, 2),
            (15, 3),
            None,
        )
        for stride, pad, dilation in (
            (1, 0, 1),
            (2, 0, 1),
            (1, 1, 1),
            (2, 1, 1),
            (1, 2, 2),
            (1, 0, 2),
        )
    },
    **{
        f"convolution-2d-{pool}": (
            partial(programs.convolution_2d, pool=pool),
            (6, 2),
            (8, 3),
            None,
        )
        for pool in ("max", "mean")
    },
    **{
        f"attention-{heads}-heads{'-causal' * causal}": (
            partial(programs.attention, heads=heads, causal=causal),
            (3, 2),
            (5, 4),
            None,
        )
        for heads in (1, 3)
        for causal in (False, True)
    },
    **{
        f"gpt-{layers}-layers": (partial(programs.gpt, layers=layers), (3, 2), (5, 4), None)
        for layers in (1, 2)
    },
}


def outputs_of(build, sizes, optimizer):
    source, loss = build(*sizes)
    if optimizer is None:
        return source.with_gradient(loss)
    return source.with_step(loss, optimizer)


def rolled(outputs):
    return roll_nodes(outputs[0].graph, [output.id for output in outputs])


def values(program, graph):
    leaves = {name: graph.value(node) for name, node in graph.leaves.items()}
    return np.concatenate([np.ravel(array) for array in run(program, leaves)])


def assert_right(program, outputs):
    expected = np.array(wg.evaluate(outputs, {}))
    np.testing.assert_allclose(values(program, outputs[0].graph), expected, 1e-12, 1e-12)
    check = check_program(outputs[0].graph, [output.id for output in outputs], program)
    assert check, str(check)


@pytest.mark.parametrize("name", PROGRAMS)
def test_statements_do_not_depend_on_sizes_and_compute_what_the_scalars_do(name):
    build, small, large, optimizer = PROGRAMS[name]
    counts = []
    for sizes in (small, large):
        outputs = outputs_of(build, sizes, optimizer)
        program = rolled(outputs)
        assert_right(program, outputs)
        counts.append(len(program.statements))
    assert counts[0] == counts[1]


def random_graph(seed, size):
    """Any operations on any nodes: nothing regular about it."""
    rng = random.Random(seed)
    graph = wg.Graph()
    nodes = [graph.parameter(f"x_{i}", rng.uniform(0.2, 1)) for i in range(4)]
    nodes += [graph.parameter(f"w_{i}_{j}", rng.uniform(-1, 1)) for i in range(3) for j in range(2)]
    nodes += [graph.parameter("alone", 0.7), graph.constant(0.0), graph.constant(1.0)]
    unary = [wg.tanh, wg.sin, wg.exp, abs, lambda a: -a, lambda a: a * a, wg.relu]
    for _ in range(size):
        a, b, c = (rng.choice(nodes[-30:] + nodes[:12]) for _ in range(3))
        kind = rng.randrange(9)
        if kind < 3:
            node = rng.choice(unary)(wg.sigmoid(a) if kind == 0 else a)
        elif kind == 3:
            node = wg.where(a > b, c, a)
        elif kind == 4:
            node = rng.choice([wg.maximum, wg.minimum])(a, b)
        elif kind == 5:
            node = a / (1 + b * b)
        else:
            node = rng.choice([a + b, a - b, a * b, a * b + c * 0.5, a + a, a * 2 - 3])
        nodes.append(wg.tanh(node) if kind in (1, 2, 7, 8) else node)
    return graph, nodes


@pytest.mark.parametrize("seed", range(40))
def test_irregular_graphs_roll_as_what_they_are(seed):
    graph, nodes = random_graph(seed, 60)
    leaves = [graph[name] for name in graph.leaves]
    loss = sum(nodes[-6:])
    outputs = [loss, *wg.grad(loss, leaves, allow_unused=True), *nodes[-4:], nodes[0], nodes[12]]
    assert_right(rolled(outputs), outputs)


@pytest.mark.parametrize("seed", range(30))
def test_regular_graphs_with_random_breaks_roll_as_what_they_are(seed):
    """A dense layer in which some scalars are computed otherwise, left out or used twice."""
    rng = random.Random(seed)
    s = programs.Source(seed)
    w, x = s.weights("w", 4, 5), s.inputs("x", 3, 5)
    loss = 0.0
    for row in x:
        for j in range(4):
            terms = [w[j][i] * row[i] for i in range(5) if rng.random() < 0.9]
            total = sum(terms) + (w[0][0] if rng.random() < 0.2 else 0)
            loss = loss + (wg.sin(total) if rng.random() < 0.2 else wg.tanh(total)) * total
    outputs = s.with_gradient(loss)
    assert_right(rolled(outputs), outputs)


@pytest.mark.parametrize("seed", range(3))
def test_second_derivatives_roll(seed):
    s = programs.Source(seed)
    w, x = s.weights("w", 3, 2), s.inputs("x", 2)
    loss = sum(wg.tanh(a) for a in programs.linear(x, w))
    hessian = wg.hessian(loss, s.parameters)
    outputs = [loss, *[entry for row in hessian for entry in row]]
    assert_right(rolled(outputs), outputs)
    product = wg.hvp(loss, s.parameters, [0.5] * len(s.parameters))
    assert_right(rolled(product), product)


def changed(program, number, **fields):
    statements = list(program.statements)
    statements[number] = replace(statements[number], **fields)
    return replace(program, statements=tuple(statements))


def broken(program):
    """Programs that differ from `program` in one place each, and what that is."""
    for number, statement in enumerate(program.statements):
        value = statement.value
        for axis in statement.axes:
            fewer = AtLeast(Affine(-1, ((axis.name, 1),)))
            yield "domain", changed(program, number, domain=(*statement.domain, fewer))
        if isinstance(value, Apply):
            for k, operand in enumerate(value.operands):
                for other in broken_reads(operand, statement.axes):
                    operands = (*value.operands[:k], other, *value.operands[k + 1 :])
                    yield "read", changed(program, number, value=replace(value, operands=operands))
            continue
        for k, term in enumerate(value.terms):

            def put(other, k=k, value=value, number=number):
                terms = (*value.terms[:k], *other, *value.terms[k + 1 :])
                return changed(program, number, value=replace(value, terms=terms))

            if value.op is ADD:
                yield "count", put([replace(term, count=term.count + 1)])
                yield "sign", put([replace(term, count=-term.count)])
            if len(value.terms) > 1:
                yield "term", put([])
            if term.domain:
                yield "condition", put([replace(term, domain=term.domain[1:])])
            for n, factor in enumerate(term.factors):
                for other in broken_reads(factor, (*statement.axes, *term.over)):
                    factors = (*term.factors[:n], other, *term.factors[n + 1 :])
                    yield "factor", put([replace(term, factors=factors)])


def broken_reads(read, axes):
    if not isinstance(read, Read):
        yield read + 1.0
        return
    for k, index in enumerate(read.index):
        names = [axis.name for axis in axes if axis.name not in index.axes]
        others = [along(name) for name in names]
        if isinstance(index, Affine):
            others.append(replace(index, offset=index.offset + 1))
        for other in others:
            yield replace(read, index=(*read.index[:k], other, *read.index[k + 1 :]))


@pytest.mark.parametrize(
    "build",
    [
        partial(programs.attention, 3, 2, heads=2, causal=True),
        partial(programs.convolution, 7, 2, pad=1),
        partial(programs.cross_entropy, 4, 3),
        partial(programs.embeddings, 4, 3),
    ],
    ids=["attention", "convolution", "cross-entropy", "embeddings"],
)
def test_a_program_broken_in_one_place_is_caught(build):
    source, loss = build()
    outputs = source.with_gradient(loss)
    roots = [output.id for output in outputs]
    kinds = set()
    for kind, program in broken(rolled(outputs)):
        kinds.add(kind)
        assert not check_program(outputs[0].graph, roots, program), f"{kind}\n{program}"
    assert {"read", "count", "sign", "factor"} <= kinds
