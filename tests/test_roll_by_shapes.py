"""Rolling by shapes: the same statements for every size, and the same numbers as the scalars."""

from functools import partial

import numpy as np
import pytest
import scalar_programs as programs

import wengert as wg
from wengert.arrays.interpret import run
from wengert.arrays.rolling import roll_nodes
from wengert.arrays.unrolling import check_program

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
