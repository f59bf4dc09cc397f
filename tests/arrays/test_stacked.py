"""Arrays whose names differ in a number: rows of one, unless they are read as layers are."""

import pytest
import scalar_programs as programs

import wengert as wg
from wengert.arrays.rolling import roll_nodes
from wengert.arrays.unrolling import check_program

SPELLINGS = {
    "rows": lambda name, place: name + "_".join(map(str, place)),
    "letters": lambda name, place: name + "".join(map("_{}{}".format, "rc", place)),
    "cross": lambda name, place: name + "x".join(map(str, place)),
    "underscores": lambda name, place: "__".join([name, *map(str, place)]),
}


def dot(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


class Spelled(programs.Source):
    """Leaves that are named in a way of one's own."""

    def __init__(self, spell):
        super().__init__()
        self._spell = spell

    def _nested(self, name, shape, make, place=()):
        if not shape:
            return make(self._spell(name, place))
        return [self._nested(name, shape[1:], make, (*place, k)) for k in range(shape[0])]


def one_layer(s, n, m):
    w, x = s.weights("weight", m, n), s.inputs("x", n)
    return s.with_gradient(sum(wg.tanh(a) for a in programs.linear(x, w)))


def two_layers(s, n, m):
    x, h = s.inputs("x", 3, n), []
    first, bias = s.weights("first", n, n), s.weights("bias", n)
    second, other = s.weights("second", n, n), s.weights("other", n)
    for row in x:
        seen = [wg.relu(a) for a in programs.affine(row, first, bias)]
        h += [wg.tanh(a) for a in programs.affine(seen, second, other)]
    return s.with_gradient(sum(a * a for a in h))


def columns(s, n, m):
    x, w = s.inputs("x", n, m), s.weights("w", m)
    means = [sum(column) / n for column in zip(*x, strict=True)]
    total = sum((a - b) ** 2 * c for r in x for a, b, c in zip(r, means, w, strict=True))
    return s.with_gradient(total)


def rolled(outputs):
    program = roll_nodes(outputs[0].graph, [e.id for e in outputs])
    assert check_program(outputs[0].graph, [e.id for e in outputs], program)
    return program


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("build", [one_layer, two_layers, columns])
def test_rows_with_names_of_their_own_are_those_of_a_matrix(build, spelling):
    named = rolled(build(programs.Source(), 4, 3))
    assert not named.tables
    for sizes in [(4, 3), (5, 7)]:
        program = rolled(build(Spelled(SPELLINGS[spelling]), *sizes))
        assert len(program.statements) == len(named.statements)
        assert not program.tables


def test_layers_stay_apart():
    """Their weights have one shape, and names which differ in the layer's number."""
    s = programs.Source()
    h = s.inputs("x", 4)
    for layer in range(3):
        h = [
            wg.tanh(a)
            for a in programs.affine(h, s.weights(f"w{layer}", 4, 4), s.weights(f"b{layer}", 4))
        ]
    program = rolled(s.with_gradient(sum(h)))
    assert {array.name for array in program.leaves} == {"x", "w0", "w1", "w2", "b0", "b1", "b2"}


def test_two_numbers_in_a_name_are_two_axes():
    s = programs.Source()
    x = s.inputs("x", 5)
    outputs = [
        wg.exp(sum(a * b for a, b in zip(s.weights(f"w{i}h{k}", 5), x, strict=True)))
        for i in range(3)
        for k in range(2)
    ]
    program = rolled(outputs)
    assert [(array.name, array.shape) for array in program.leaves] == [
        ("x", (5,)),
        ("wh", (3, 2, 5)),
    ]
    assert len(program.statements) == 2


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_inputs_at_the_steps_of_a_recurrence_are_one_array(spelling):
    """Each is read at a depth of its own, but by the same weights."""
    s = Spelled(SPELLINGS[spelling])
    steps, h = s.inputs("x", 5, 2), [0.5] * 3
    w, u = s.weights("w", 3, 2), s.weights("u", 3, 3)
    for x in steps:
        pairs = zip(programs.linear(x, w), programs.linear(h, u), strict=True)
        h = [wg.tanh(a + b) for a, b in pairs]
    program = rolled(s.with_gradient(sum(h)))
    assert sorted(array.shape for array in program.leaves) == [(3, 2), (3, 3), (5, 2)]


def test_rows_of_inputs_are_one_matrix_though_each_is_read_by_others():
    def counted(size):
        g = wg.Graph()
        rows = [[g.input(f"t{i}_{j}") for j in range(3)] for i in range(size + 1)]
        key = [[g.input(f"k{i}_{j}") for j in range(3)] for i in range(3)]
        keys = [[dot(line, row) for line in key] for row in rows[:size]]
        loss = 0.0
        for p in range(size):
            weights = [wg.exp(dot(rows[p], keys[t])) for t in range(p + 1)]
            total = sum(weights)
            mixed = [sum(w * rows[t][j] for t, w in enumerate(weights)) / total for j in range(3)]
            loss = loss + dot(mixed, mixed)
        flat = [x for row in rows for x in row]
        rolled = wg.roll([loss, *wg.grad(loss, flat, allow_unused=True)])
        return len(rolled.statements), [leaf.shape for leaf in rolled.program.leaves]

    (few, shapes), (more, _) = counted(4), counted(6)
    assert few == more
    assert shapes == [(5, 3), (3, 3)]
