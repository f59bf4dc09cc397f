"""Rolling by shapes: the same statements for every size, and the same numbers as the scalars."""

import random
from dataclasses import replace
from functools import partial, reduce
from itertools import pairwise

import numpy as np
import pytest
import scalar_programs as programs

import wengert as wg
from wengert.arrays.interpret import run
from wengert.arrays.rolling import roll_if_regular, roll_nodes
from wengert.arrays.statements import Output
from wengert.arrays.unrolling import check_program
from wengert.errors import ShapeError
from wengert.ops.reads import Affine, Apply, AtLeast, Read, along
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
            programs.distances,
            programs.factorization,
            programs.products,
            programs.others,
            programs.total_variation,
            programs.contrastive,
            programs.masked,
            programs.flipped,
            programs.window_attention,
            programs.grouped_attention,
            programs.patches,
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
    "strided-images": (programs.strided_images, (7, 2), (9, 3), None),
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
    "lstm-adam": (programs.lstm, (4, 5), (7, 6), programs.OPTIMIZERS["adam"]),
    "images-adam": (programs.padded_images, (5, 2), (6, 3), programs.OPTIMIZERS["adam"]),
    **{
        f"padded-images-stride{stride}-dilation{dilation}-{pool}": (
            partial(programs.padded_images, stride=stride, dilation=dilation, pool=pool),
            (9, 2),
            (11, 3),
            None,
        )
        for stride, dilation, pool in ((1, 1, "max"), (2, 1, "mean"), (1, 2, "mean"), (2, 2, "max"))
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


def test_a_gradient_of_a_gradient_by_another_element_of_one_array_rolls():
    s = programs.Source()
    (first, second), x = s.weights("w", 2), s.inputs("x", 2)
    inner = wg.grad(wg.tanh(first * x[0]), first)
    outputs = [inner, wg.grad(wg.tanh(second * inner), second)]
    assert_right(rolled(outputs), outputs)


@pytest.mark.parametrize("sizes", [(2, 3), (3, 4)])
def test_second_derivatives_by_an_argument_are_arrays(sizes):
    n, m = sizes
    s = programs.Source()
    w, x = s.weights("w", m, n), s.inputs("x", n)
    loss = sum(wg.tanh(a) for a in programs.linear(x, w))
    hessian = [e for row in wg.hessian(loss, s.parameters) for e in row]
    params = {"params": [p.id for p in s.parameters]}
    program = roll_nodes(s.graph, [e.id for e in hessian], params)
    assert_right(program, hessian)
    assert len(program.statements) == 6


def changed(program, number, **fields):
    statements = list(program.statements)
    statements[number] = replace(statements[number], **fields)
    return replace(program, statements=tuple(statements))


def broken(program):
    """Programs that differ from `program` in one place each, and what that is."""
    for number, statement in enumerate(program.statements):
        value = statement.value
        for axis in () if statement.domain else statement.axes:
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
        partial(programs.attention, 2, 1, heads=2, causal=True),
        partial(programs.convolution, 5, 2, pad=1),
        partial(programs.cross_entropy, 3, 2),
        partial(programs.masked, 3, 2),
    ],
    ids=["attention", "convolution", "cross-entropy", "masked"],
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


def test_a_leaf_that_lies_elsewhere_in_its_argument_is_caught():
    source, loss = programs.mlp(3, 2)
    roots = [output.id for output in source.with_gradient(loss)]
    program = roll_nodes(source.graph, roots, {"params": [p.id for p in source.parameters]})
    assert check_program(source.graph, roots, program)
    for array in program.leaves:
        if array.home is not None:
            home = array.home._replace(places=array.home.places[::-1])
            arrays = {**program.arrays, array.name: replace(array, home=home)}
            wrong = check_program(source.graph, roots, replace(program, arrays=arrays))
            assert not wrong, array.name


def test_an_optimizer_moves_a_whole_vector_in_one_statement():
    counts = set()
    for sizes in ((3, 2), (4, 6)):
        source, loss = programs.mlp(*sizes)
        state = [
            source.graph.parameter(f"state_{k}", number + (k > 1))
            for k, number in enumerate(programs.Adam().state(len(source.parameters)))
        ]
        grads = wg.grad(loss, source.parameters)
        moved, after = programs.Adam().step(source.parameters, grads, state)
        outputs = [loss, *moved, *after]
        arguments = {
            "params": [p.id for p in source.parameters],
            "state": [s.id for s in state],
        }
        program = roll_nodes(source.graph, [output.id for output in outputs], arguments)
        assert_right(program, outputs)
        assert program.arguments == ("params", "state")
        moving = [s for s in program.statements if any(r.array == "params" for r in s.reads)]
        assert [len(s.axes) for s in moving] == [1]
        assert len(program.outputs) == 5
        counts.add(len(program.statements))
    assert counts == {33}


@pytest.mark.parametrize("optimizer", [*programs.OPTIMIZERS.values(), wg.AdamW(0.01)])
def test_an_optimizer_moves_a_table_whole_whichever_rows_are_picked(optimizer):
    counts = set()
    for width, tokens in ((2, [0, 1, 2]), (1, [5, 1, 5, 1]), (2, [3, 3, 3])):
        source, loss = programs.gpt(len(tokens) - 1, width, tokens=tokens)
        outputs = source.with_step(loss, optimizer)
        program = rolled(outputs)
        counts.add(len(program.statements))
    assert_right(program, outputs)
    assert len(counts) == 1


@pytest.mark.parametrize("picked", [[[0, 1], [2, 3]], [[1, 3], [3, 1]], [[4, 4, 0], [2, 0, 4]]])
def test_a_gradient_of_two_sums_over_rows_is_one_statement_on_the_whole_table(picked):
    source = programs.Source()
    table, w = source.weights("table", 5, 2), source.weights("w", 2)
    means = [[sum(table[t][j] for t in some) / 4 for j in range(2)] for some in picked]
    each = sum(wg.tanh(programs.dot(table[t], w)) for some in picked for t in some)
    outputs = source.with_step(each + sum(programs.dot(m, w) ** 2 for m in means), wg.SGD(0.1))
    program = rolled(outputs)
    assert_right(program, outputs)
    assert [s.array for s in program.statements].count("dtable") == 1


def test_a_gradient_is_one_vector_made_of_the_gradients_of_arrays():
    source, loss = programs.gpt(3, 2)
    outputs = source.with_gradient(loss)
    params = [p.id for p in source.parameters]
    program = roll_nodes(source.graph, [output.id for output in outputs], {"params": params})
    assert_right(program, outputs)
    assert program.outputs[1:] == (Output("dparams"),)
    parts = {part.name: part.home.strides(part.shape) for part in program.parts("dparams")}
    assert parts["dwte"] == (0, (4, 1))
    assert set(parts) == {f"d{part.name}" for part in program.parts("params")}


def test_equal_tokens_change_tables_only():
    listings = set()
    for tokens in ([0, 3, 1, 2], [2, 2, 0, 4], [1, 1, 3, 1]):
        s = programs.Source()
        table, w = s.weights("table", 5, 3), s.weights("w", 2, 3)
        loss = sum(wg.tanh(a) for t in tokens for a in programs.linear(table[t], w))
        outputs = [loss, *wg.grad(loss, [e for row in w for e in row])]
        program = rolled(outputs)
        assert_right(program, outputs)
        listings.add(str(program))
    assert len(listings) == 1


def test_what_is_written_again_for_every_element_is_computed_once():
    s = programs.Source()
    z = s.inputs("z", 5)
    outputs = [wg.exp(a) / sum(wg.exp(b) for b in z) for a in z]
    program = rolled(outputs)
    assert_right(program, outputs)
    assert (
        str(program).splitlines()
        == [
            "t1[i] = exp(z[i])",
            "t2[i] = exp(z[i])",
            "t3 = Σ_i t2[i]",
            "t4[i] = t1[i]/t3",
        ]
        or len(program.statements) <= 4
    )


def test_the_leading_zero_of_sums_changes_nothing():
    def build(add):
        s = programs.Source()
        x, w = s.inputs("x", 4), s.weights("w", 3, 4)
        seen = [add([w[j][i] * x[i] for i in range(j + 1)]) for j in range(3)]
        loss = add([wg.tanh(a) for a in seen])
        return rolled(s.with_gradient(loss))

    assert str(build(sum)) == str(build(lambda terms: reduce(lambda a, b: a + b, terms)))


@pytest.mark.parametrize("size", [5, 8])
def test_zeros_at_the_end_of_sums_change_no_number_of_statements(size):
    """A causal softmax whose weights are written as 0 where nothing is seen."""
    s = programs.Source()
    scores, values = s.inputs("score", size, size), s.weights("value", size)
    seen = []
    for i, row in enumerate(scores):
        e = [wg.exp(a) if j <= i else 0.0 for j, a in enumerate(row)]
        total = sum(e)
        seen.append(sum(a / total * v for a, v in zip(e, values, strict=True)))
    assert len(rolled(s.with_gradient(sum(a * a for a in seen))).statements) <= 18


def test_a_gpt_is_listed_on_two_screens_and_reads_like_the_formulas():
    source, loss = programs.gpt(4, 3)
    text = str(rolled(source.with_gradient(loss)))
    lines = text.splitlines()
    assert len(lines) <= 60
    assert "t1[p, e] = wte[wte_index[p], e] + wpe[p, e]" in lines
    assert "q0[p, q] = Σ_e wq0[q, e]·t11[p, e]" in lines
    scores = "t13[p, h, r] = Σ_i q0[p, 3h + i]·k0[r, 3h + i]/1.7320508075688772   for r ≤ p"
    assert scores in lines
    assert "dwq0[q, e] = Σ_p t11[p, e]·dq0[p, q]" in lines


def test_a_survey_says_what_is_irregular():
    graph, nodes = random_graph(1, 900)
    found = roll_if_regular(graph, [node.id for node in nodes[-400:]])
    assert found.program is None
    assert "too irregular" in str(found)
    source, loss = programs.mlp(4, 5)
    outputs = source.with_gradient(loss)
    found = roll_if_regular(source.graph, [output.id for output in outputs])
    assert found.program is not None
    assert "only ones of their shape" in str(found)


def test_what_has_arrays_in_it_is_not_rolled():
    graph = wg.Graph()
    with pytest.raises(ShapeError, match="unroll it first"):
        roll_nodes(graph, [wg.tanh(graph.array("X", (2, 3))).id])


def test_windows_over_large_grids_have_conditions_and_no_lists_of_points():
    source, loss = programs.convolution(600, 2, pad=1)
    lines = str(rolled(source.with_gradient(loss))).splitlines()
    assert lines[0] == ("t1[i, j] = Σ_{k: 1 ≤ j + k, j + k ≤ 600} x[j + k - 1]·w[i, k] + b[i]")
    assert lines[4] == "dw[i, k] = Σ_{l: l ≤ k + 598, k ≤ l + 1} x[l]·dt1[i, l - k + 1]"


@pytest.mark.parametrize(
    ("build", "lines"),
    [
        (
            programs.factorization,
            ["dv[i, k] = Σ_{i ≤ j} v[j + 1, k]·dt1[i, j] + Σ_{j + 1 ≤ i} v[j, k]·dt1[j, i - 1]"],
        ),
        (programs.products, []),
        (
            programs.others,
            [
                "t8[m, p] = mass[p]·t5[m, p, 0, 0]/t7[m, p]   for p ≠ m",
                "t18[i, s] = tanh(Σ_{j ≠ i} t3[j, s]·t16[i, j])",
            ],
        ),
        (programs.total_variation, ["t1[i, j] = x[i + 1, j] - x[i, j]"]),
        (
            programs.contrastive,
            [
                "t34[i] = t25[i] + Σ_{i ≤ j} t27[i, j] + Σ_{i ≤ j} t29[i, j] + "
                "Σ_{j + 1 ≤ i} t31[i - 1, j] + Σ_{j + 1 ≤ i} t33[i - 1, j]",
                "t36 = Σ_i log(t20[i]) + Σ_i t9[i] - Σ_{i,r} t4[i, 2r + 1] + Σ_i log(t34[i]) + "
                "Σ_i t23[i]",
            ],
        ),
    ],
)
def test_what_is_regular_in_parts_has_conditions_and_no_lists_of_points(build, lines):
    source, loss = build(7, 3)
    found = str(rolled(source.with_gradient(loss)))
    assert ") in points" not in found
    assert all(line in found.splitlines() for line in lines)


def test_a_long_chain_is_surveyed_without_recursion():
    graph = wg.Graph()
    x = graph.parameter("x", 0.5)
    y = x
    for _ in range(5_000):
        y = wg.sin(y)
    assert roll_if_regular(graph, [y.id]).program is None


@pytest.mark.parametrize("first", ["first", "0"])
@pytest.mark.parametrize("add", ["+", "-", "right"])
def test_a_loss_is_a_sum_over_positions_however_it_is_added_up(first, add):
    graph = wg.Graph()
    rows = [graph.inputs(f"z_{p}_", 3) for p in range(4)]
    losses = [
        wg.log(sum(map(wg.exp, row))) - row[k] for k, row in zip((2, 0, 1, 1), rows, strict=True)
    ]
    if first == "first":
        total, *losses = losses
        total = -total if add == "-" else total
    else:
        total = 0
    for loss in losses:
        total = total - loss if add == "-" else loss + total if add == "right" else total + loss
    sign = "-" if add == "-" else ""
    assert str(rolled([total])) == f"t5 = {sign}Σ_i (log(Σ_j exp(z[i, j])) - z[i, z_index[i]])"


@pytest.mark.parametrize("tokens", [(1, 5, 5), (2, 2, 5), (3, 1, 4, 1)])
def test_tokens_that_lie_within_bounds_by_chance_are_those_of_their_table(tokens):
    source = programs.Source()
    table, last = source.weights("wte", 7, 3), source.weights("fc", 3)
    rows = [[wg.tanh(a) for a in table[token]] for token in tokens]
    loss = sum(programs.dot(row, last) ** 2 for row in rows)
    lines = str(rolled(source.with_gradient(loss))).splitlines()
    assert any("Σ_{wte_index[i] = t} " in line for line in lines)


def surprise(logits, target):
    return wg.log(sum(wg.exp(z) for z in logits)) - logits[target]


def shifted_surprise(logits, target):
    top = reduce(wg.maximum, logits)
    exponentials = [wg.exp(z - top) for z in logits]
    return -wg.log(exponentials[target] / sum(exponentials))


def skip_gram(s, tokens, loss):
    table, out = s.weights("wte", 7, 2), s.weights("out", 7, 2)
    return [loss(programs.linear(table[a], out), b) for a, b in pairwise(tokens)]


def tied_model(s, tokens, loss):
    table, w = s.weights("wte", 7, 2), s.weights("w", 2, 2)
    hidden = [[wg.tanh(z) for z in programs.linear(table[a], w)] for a in tokens]
    return [loss(programs.linear(h, table), b) for h, b in zip(hidden, tokens[1:], strict=False)]


def two_token_model(s, tokens, loss):
    table, w, out = s.weights("wte", 7, 2), s.weights("w", 3, 4), s.weights("out", 7, 3)
    rows = zip(tokens, tokens[1:], tokens[2:], strict=False)
    hidden = [
        ([wg.tanh(z) for z in programs.linear(table[a] + table[b], w)], c) for a, b, c in rows
    ]
    return [loss(programs.linear(h, out), c) for h, c in hidden]


def recurrent_model(s, tokens, loss):
    table, out = s.weights("wte", 7, 2), s.weights("out", 7, 2)
    w, u = s.weights("w", 2, 2), s.weights("u", 2, 2)
    state, losses = s.weights("h", 2), []
    for a, b in pairwise(tokens):
        both = zip(programs.linear(table[a], w), programs.linear(state, u), strict=True)
        state = [wg.tanh(x + h) for x, h in both]
        losses.append(loss(programs.linear(state, out), b))
    return losses


@pytest.mark.parametrize("loss", [surprise, shifted_surprise])
@pytest.mark.parametrize("model", [skip_gram, tied_model, two_token_model, recurrent_model])
def test_as_many_statements_for_every_text(model, loss):
    """Whether tokens are alike, in order or evenly spaced is nothing that a program is made of."""
    counts = set()
    for text in ("01234", "31415", "22222", "64201", "12121", "66600"):
        s = programs.Source()
        total = sum(model(s, list(map(int, text)), loss))
        program = rolled(s.with_step(total, wg.SGD(0.1)))
        counts.add(len(program.statements))
    assert len(counts) == 1


@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4], [2, 0, 1], [4, 3, 2], [2, 2, 1, 1], [3, 0, 3]])
def test_rows_of_zeros_in_different_places_are_different_vectors(order):
    graph = wg.Graph()
    p, x = graph.inputs("p", 3), graph.input("x")
    loss = wg.tanh(p[0] * x) * p[1] + p[2] ** 3
    gradient = wg.grad(loss, p)
    rows = [*wg.hessian(loss, p), gradient, wg.grad(loss - p[2] ** 3, p, allow_unused=True)]
    outputs = [rows[k] for k in order]
    at = [0.1, 0.2, 0.3]
    f = wg.compile({"p": p, "x": x}, outputs, target="numpy")
    expected = wg.evaluate(
        [e for row in outputs for e in row], {x: 2.0, **dict(zip(p, at, strict=True))}
    )
    found = [float(number) for row in f(at, 2.0) for number in row]
    assert found == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("zero", [0.0, 0, "product"])
@pytest.mark.parametrize(
    ("stride", "pad", "dilation"), [(1, 1, 1), (2, 1, 1), (1, 2, 2), (3, 2, 1)]
)
def test_zeros_around_what_windows_read_are_those_of_a_wider_array(zero, stride, pad, dilation):
    counts = set()
    for n, m in ((7, 2), (11, 3)):
        s = programs.Source()
        x, w, b = s.inputs("x", n), s.weights("w", m, 3), s.weights("b", m)
        padded = [zero] * pad + x + [zero] * pad
        starts = range(0, n + 2 * pad - 2 * dilation, stride)
        windows = [padded[i : i + 2 * dilation + 1 : dilation] for i in starts]
        loss = 0
        for row, c in zip(w, b, strict=True):
            for window in windows:
                products = [
                    0.0 * a if e == "product" else a * e for a, e in zip(row, window, strict=True)
                ]
                loss = loss + wg.tanh(sum(products) + c)
        outputs = s.with_gradient(loss)
        program = rolled(outputs)
        assert_right(program, outputs)
        assert "x_padded[i] = [" in str(program)
        assert "points" not in str(program)
        counts.add(len(program.statements))
    assert len(counts) == 1


def test_zeros_around_an_image_are_those_of_a_wider_array():
    counts = set()
    for n in (4, 5):
        s = programs.Source()
        x, w = s.inputs("x", 2, n, n), s.weights("w", 2, 2, 3, 3)
        rows = [[[0.0, *row, 0.0] for row in [[0.0] * n, *c, [0.0] * n]] for c in x]
        out = [
            sum(
                w[k][z][a][b] * rows[z][i + a][j + b]
                for z in range(2)
                for a in range(3)
                for b in range(3)
            )
            for k in range(2)
            for i in range(n)
            for j in range(n)
        ]
        outputs = s.with_gradient(sum(wg.tanh(a) for a in out))
        program = rolled(outputs)
        assert_right(program, outputs)
        counts.add(len(program.statements))
    assert counts == {6}


def test_zeros_that_lie_inside_of_what_is_read_are_numbers():
    s = programs.Source()
    x, w = s.weights("x", 7), s.weights("w", 3, 3)
    x = [a if place in (1, 2, 3, 5, 6) else 0.0 for place, a in enumerate(x)]
    loss = wg.tanh(w[0][0] * x[0])  # where the others are sums
    for k in range(3):
        for i in range(3):
            if k or i:
                loss = loss + wg.tanh(sum(w[k][a] * x[i + 2 * a] for a in range(3)))
    outputs = s.with_gradient(loss)
    program = rolled(outputs)
    assert_right(program, outputs)
    assert "padded" not in str(program)


def test_a_power_of_one_is_what_it_is_a_power_of():
    s = programs.Source()
    x, w = s.inputs("x", 4), s.weights("w", 3, 4)
    outputs = s.with_gradient(sum(a**2 for a in programs.linear(x, w)))
    program = rolled(outputs)
    assert_right(program, outputs)
    assert str(program).splitlines()[-1] == "dw[i, j] = 2·x[j]·t1[i]"


@pytest.mark.parametrize("count", [4, 9])
def test_a_zero_that_is_multiplied_by_what_no_window_reads_is_no_padding(count):
    """As the first state of an LSTM is, which its first forget gates multiply."""
    g = wg.Graph()
    gates = [wg.sigmoid(z) for z in g.inputs("z", 2 * count)]
    news = [wg.tanh(u) for u in g.inputs("u", count)]
    state = [0.0 * gates[count + i] + gates[i] * news[i] for i in range(count)]
    rolled = wg.roll([sum((s * s for s in state), 0.0)])
    assert not any("Σ_{" in str(s) for s in rolled.statements)
    assert wg.check_roll([sum((s * s for s in state), 0.0)], rolled)


def causal_attention(size, softmax):
    g = wg.Graph()
    q, k, v = ([g.inputs(f"{name}_{t}_", 3) for t in range(size)] for name in "qkv")
    out = []
    for t in range(size):
        scores = [sum(a * b for a, b in zip(q[t], k[r], strict=True)) for r in range(t + 1)]
        shares = softmax([wg.exp(score) for score in scores])
        out += [sum(s * row[j] for s, row in zip(shares, v, strict=False)) for j in range(3)]
    return out


@pytest.mark.parametrize("size", [2, 3, 6])
def test_a_sum_that_is_formed_anew_for_each_of_its_terms_is_one(size):
    anew = causal_attention(size, lambda e: [x / sum(e) for x in e])
    total = causal_attention(size, lambda e: [x / once for once in [sum(e)] for x in e])
    rolled = wg.roll(anew)
    assert str(rolled) == str(wg.roll(total))
    assert wg.check_roll(anew, rolled)
    assert not rolled.program.tables


@pytest.mark.parametrize("sizes", [(3, 2), (4, 3), (5, 4)])
@pytest.mark.parametrize("build", [programs.grouped_attention, programs.patches])
def test_blocks_along_several_axes_need_no_tables(build, sizes):
    outputs = programs.plain(build, *sizes)
    program = rolled(outputs)
    assert not program.tables
    assert_right(program, outputs)


def test_gradients_taken_one_by_one_share_what_they_have_in_common():
    def adjoints(groups_of):
        source, loss = programs.mlp(3, 4)
        groups = groups_of(source.parameters)
        outputs = [loss, *[d for group in groups for d in wg.grad(loss, group)]]
        rolled = wg.roll(outputs)
        assert wg.check_roll(outputs, rolled)
        arrays = rolled.program.arrays.items()
        return {name: array.shape for name, array in arrays if array.adjoint}

    together = adjoints(lambda parameters: [parameters])
    apart = adjoints(lambda parameters: [parameters[k::5] for k in range(5)])
    assert apart == together


@pytest.mark.parametrize("words", [4, 40, 400])
def test_a_sum_over_rows_of_a_table_is_one_over_what_picks_them(words):
    g = wg.Graph()
    table = [g.inputs(f"e_{word}_", 2) for word in range(words)]
    picked = [table[word] for word in sorted({0, words // 2, words - 1, 1})]
    bag = [sum(column) for column in zip(*picked, strict=True)]
    rolled = wg.roll(bag)
    assert str(rolled) == "t1[i] = Σ_j e[" + ("j, i]" if words == 4 else "e_index[j], i]")
    assert wg.check_roll(bag, rolled)


@pytest.mark.parametrize("tokens", [[5, 3, 3], [3, 3, 5], [3, 5, 5, 3, 3]])
def test_rows_that_are_equal_by_chance_stay_apart(tokens):
    def found(tokens):
        g = wg.Graph()
        rows = [g.inputs(f"e_{t}_", 2) for t in range(6)]
        return wg.roll([wg.exp(sum(wg.tanh(a) for a in rows[t])) for t in tokens])

    assert str(found(tokens)) == str(found([5, 0, 2, 1, 4][: len(tokens)]))
