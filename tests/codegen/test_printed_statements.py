"""Statements printed as NumPy code compute what they say, whatever they are."""

import random
from dataclasses import replace
from math import prod

import numpy as np
import pytest

from wengert.arrays.batched import batched
from wengert.arrays.interpret import run
from wengert.arrays.statements import Array, ArrayProgram, Home, Output, Statement
from wengert.codegen.array.domains import tables_named, tightened
from wengert.codegen.array.function import ArrayFunction, ArrayGroup, Element, Vector
from wengert.codegen.array.printer import TARGET
from wengert.codegen.array.rewriting import REWRITES
from wengert.ops import scalar as ops
from wengert.ops.reads import (
    Affine,
    Among,
    Apply,
    AtLeast,
    Axis,
    Equal,
    Read,
    Reduce,
    Table,
    Term,
    Unequal,
    along,
)
from wengert.ops.shapes import BATCH

UNARY = [ops.TANH, ops.SIN, ops.ABS, ops.NEG, ops.RELU, ops.SIGMOID, ops.STOP_GRADIENT]
BINARY = [ops.ADD, ops.SUB, ops.MUL, ops.MAXIMUM, ops.MINIMUM, ops.LT]
SHAPES = [(), (2,), (3,), (4,), (6,), (2, 3), (3, 2), (3, 3), (4, 3), (6, 2), (2, 3, 2), (3, 4, 3)]
PARAMS = 90
"""How many numbers the first argument has; parts of it are arrays."""


@pytest.fixture(autouse=True)
def _without_warnings():
    """Maxima over nothing are infinite, which the interpreter warns of."""
    with np.errstate(all="ignore"):
        yield


class Draw:
    """A random program, statement by statement; each is kept if nothing undefined is read."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.arrays = {"params": Array("params", (PARAMS,), "leaf", elements=names("p", PARAMS))}
        self.statements = []
        self.values = {"params": np.random.default_rng(seed).normal(size=PARAMS)}
        self.tables = 0
        for k in range(3):
            self.leaf(f"w{k}")
        c = tuple(self.rng.choice([0.5, -1.0, 2.0]) for _ in range(3))
        self.arrays["c"] = Array("c", (3,), "literal", values=c)
        self.defined = {
            name: np.ones(array.shape, bool)
            for name, array in self.arrays.items()
            if name != "params"
        }

    def leaf(self, name):
        shape = self.rng.choice(SHAPES)
        size = prod(shape)
        start = self.rng.randrange(PARAMS - 2 * size)
        kind = self.rng.randrange(3)
        places = [range(start, start + size), range(start, start + 2 * size, 2)][kind % 2]
        if kind == 2:
            places = self.rng.sample(range(PARAMS), size)
        elements = tuple(f"p{place}" for place in places)
        home = Home("params", tuple(places))
        self.arrays[name] = Array(name, shape, "leaf", elements, home=home)

    def axes(self, most=3):
        lengths = [self.rng.choice([2, 3, 3, 4, 6]) for _ in range(self.rng.randint(0, most))]
        return tuple(Axis(name, n) for name, n in zip("ijkl", lengths, strict=False))

    def index(self, length, axes):
        """An index into an axis of this length, most often the one that fits as it is."""
        rng = self.rng
        alike = [axis for axis in axes if axis.length == length]
        if alike and rng.random() < 0.75:
            return along(rng.choice(alike).name)
        shorter = [axis for axis in axes if axis.length <= length]
        if len(axes) >= 2 and rng.random() < 0.5:
            one, other = rng.sample(axes, 2)
            stride = rng.choice([1, 2, other.length])
            if stride * (one.length - 1) + other.length <= length:
                first = Affine(0, ((one.name, stride), (other.name, 1)))
                last = stride * (one.length - 1) + other.length - 1
                return replace(first, offset=rng.randint(0, length - 1 - last))
        if shorter and rng.random() < 0.6:
            axis = rng.choice(shorter)
            step = rng.choice([1, 1, -1, 2])
            reach = abs(step) * (axis.length - 1)
            if reach < length:
                low = rng.randint(0, length - 1 - reach)
                return Affine(low if step > 0 else low + reach, ((axis.name, step),))
        if axes and rng.random() < 0.5:
            some = rng.sample(axes, rng.randint(1, min(2, len(axes))))
            count = prod(axis.length for axis in some)
            return self.table(some, [rng.randrange(length) for _ in range(count)])
        return Affine(rng.randrange(length))

    def table(self, axes, values):
        self.tables += 1
        lengths = tuple(axis.length for axis in axes)
        return Table(f"table{self.tables}", tuple(a.name for a in axes), lengths, tuple(values))

    def operand(self, axes):
        if self.rng.random() < 0.1:
            return self.rng.choice([0.5, -2.0, 3.0, 0.0])
        recent = list(self.defined)[-6:] + list(self.defined)
        name = self.rng.choice(recent)
        shape = self.arrays[name].shape
        if any(length == 0 for length in shape):
            return 1.0
        return Read(name, tuple(self.index(length, axes) for length in shape))

    def conditions(self, axes):
        rng = self.rng
        found = []
        if axes and rng.random() < 0.3:
            kind = rng.randrange(4)
            one = rng.choice(axes)
            if kind == 0 and len(axes) > 1:
                p, t = rng.sample(axes, 2)
                compared = rng.choice([AtLeast, Unequal])
                found.append(compared(Affine(rng.randint(0, 1), ((p.name, 1), (t.name, -1)))))
            elif kind == 1:
                sign = rng.choice([1, -1])
                found.append(AtLeast(Affine(1 if sign < 0 else -1, ((one.name, sign),))))
            elif kind == 2 and len(axes) > 1:
                p, t = rng.sample(axes, 2)
                values = [rng.randrange(t.length) for _ in range(p.length)]
                found.append(Equal(self.table([p], values), along(t.name)))
            else:
                some = rng.sample(axes, rng.randint(1, min(2, len(axes))))
                points = {
                    tuple(rng.randrange(axis.length) for axis in some)
                    for _ in range(rng.randint(1, 4))
                }
                names_of = tuple(axis.name for axis in some)
                self.tables += 1
                found.append(Among(f"points{self.tables}", names_of, tuple(sorted(points))))
        return tuple(found)

    def value(self, axes):
        rng = self.rng
        kind = rng.randrange(6)
        if kind == 0:
            return Apply(rng.choice(UNARY), (self.operand(axes),))
        if kind == 1:
            operands = (self.operand(axes), self.operand(axes))
            return Apply(rng.choice(BINARY), operands)
        if kind == 2:
            return Apply(ops.WHERE, tuple(self.operand(axes) for _ in range(3)))
        if kind == 3:
            return Reduce(
                rng.choice([ops.MAXIMUM, ops.MINIMUM]),
                tuple(self.term(axes, 1) for _ in range(rng.randint(1, 2))),
            )
        terms = tuple(
            self.term(axes, rng.choice([1, 1, 2, 2, 3])) for _ in range(rng.randint(1, 3))
        )
        return Reduce(
            ops.ADD, tuple(replace(t, count=rng.choice([1, 1, 1, -1, 2, -3])) for t in terms)
        )

    def term(self, axes, factors):
        over = tuple(Axis(f"{axis.name}'", axis.length) for axis in self.axes(2))
        inner = (*axes, *over)
        operands = tuple(self.operand(inner) for _ in range(factors))
        return Term(1, operands, over, self.conditions(inner))

    def program(self, outputs=()):
        return ArrayProgram(dict(self.arrays), tuple(self.statements), outputs, ("params",))

    def add(self):
        """One more array, written by a statement or by two that share it; dropped if undefined."""
        before = dict(self.arrays), list(self.statements)
        name = f"t{len(self.arrays)}"
        axes = self.axes()
        shape = tuple(axis.length for axis in axes)
        made = Statement(name, axes, self.value(axes), None, self.conditions(axes))
        added = [made]
        kind = self.rng.randrange(5)
        if axes and kind == 0:  # every other row, and the rows between
            first = Affine(0, ((axes[0].name, 2),))
            rest = tuple(along(axis.name) for axis in axes[1:])
            other = Statement(name, axes, self.value(axes), (replace(first, offset=1), *rest))
            added = [replace(made, place=(first, *rest)), other]
            shape = (2 * shape[0], *shape[1:])
        elif len(axes) > 1 and kind == 1:  # two axes in one
            i, j = axes[:2]
            rest = tuple(along(axis.name) for axis in axes[2:])
            index = Affine(0, ((i.name, j.length), (j.name, 1)))
            added = [replace(made, place=(index, *rest))]
            shape = (i.length * j.length, *shape[2:])
        elif axes and kind == 2:  # in another order
            order = self.rng.sample(range(axes[0].length), axes[0].length)
            rest = tuple(along(axis.name) for axis in axes[1:])
            added = [replace(made, place=(self.table(axes[:1], order), *rest))]
        self.arrays[name] = Array(name, shape)
        mark = [replace(s, value=Apply(ops.NEG, (1.0,))) for s in added]
        where = self.evaluated(name, mark)
        read = self.evaluated(name, [replace(s, value=everything_read(s.value)) for s in added])
        whole = np.array_equal(np.isfinite(read), np.isfinite(where))
        if not whole or not np.isfinite(where).any():
            self.arrays, self.statements = before
            return
        self.defined[name] = np.isfinite(where)
        self.statements += added

    def evaluated(self, name, statements):
        made = (*self.statements, *statements)
        program = ArrayProgram(self.arrays, made, (Output(name),), ("params",))
        return run(program, self.values)[0]


def everything_read(value):
    """A value that is not finite where anything that is read is not."""
    if isinstance(value, Reduce):
        return replace(value, op=ops.ADD)
    return Reduce(ops.ADD, tuple(Term(1, (operand,)) for operand in value.operands))


def names(stem, count):
    return tuple(f"{stem}{k}" for k in range(count))


def drawn(seed):
    draw = Draw(seed)
    while len(draw.statements) < 8:
        draw.add()
    outputs = []
    for name in [n for n, a in draw.arrays.items() if a.kind == "computed"]:
        if draw.rng.random() < 0.5 or name == list(draw.arrays)[-1]:
            places = tuple(np.flatnonzero(draw.defined[name]).tolist())
            outputs.append((name, places))
    return draw, outputs


def function(program, groups, outputs):
    program = replace(program, statements=tables_named([tightened(s) for s in program.statements]))
    return ArrayFunction("f", groups, program, outputs, {})


def called(made, *arguments):
    source = TARGET.emit(made)
    try:
        return TARGET.load(source)(*arguments), source.text
    except Exception as error:
        raise AssertionError(f"{made.program}\n{source.text}") from error


def assert_close(found, expected, text):
    np.testing.assert_allclose(found, expected, 1e-10, 1e-10, err_msg=text)


def assert_rewritten(made, arguments, expected):
    """Every rewrite, whether it pays or not, leaves the interpreted and the printed values."""
    for name, rewrite in REWRITES:
        made = rewrite(made)
        interpreted, (printed, text) = made.run(*arguments), called(made, *arguments)
        for key, want in expected.items():
            assert_close(interpreted[key], want, f"{name}: {key}\n{made}")
            assert_close(printed[key], want, f"{name}: {key}\n{made}\n{text}")


@pytest.mark.parametrize("seed", range(100))
def test_random_programs(seed):
    draw, outputs = drawn(seed)
    vectors = {name: Vector(name, ((name, places),)) for name, places in outputs}
    program = draw.program(tuple(Output(name) for name in vectors))
    expected = dict(zip(vectors, run(program, draw.values), strict=True))
    group = ArrayGroup("params", "params", names("p", PARAMS), False, False, (PARAMS,))
    made = function(program, (group,), vectors)
    params = draw.values["params"]
    kept = params.copy()
    for _ in range(2):
        found, text = called(made, params)
        for name, places in outputs:
            want = expected[name].reshape(-1)[list(places)]
            assert_close(found[name], want, f"{name}\n{program}\n{text}")
        np.testing.assert_array_equal(params, kept)
    assert_rewritten(made, [params], {n: expected[n].ravel()[list(p)] for n, p in outputs})
    for name, places in outputs:
        want = expected[name].reshape(-1)[list(places)]
        assert_close(made.run(params)[name], want, str(made))


@pytest.mark.parametrize("seed", range(50))
def test_random_programs_of_a_batch(seed):
    """Leaves that differ between samples, and totals over the samples of some arrays."""
    draw, outputs = drawn(seed)
    totals = []
    for name, places in outputs:
        array = draw.arrays[name]
        if len(places) == array.size and draw.rng.random() < 0.6:
            axes = tuple(Axis(f"a{k}", n) for k, n in enumerate(array.shape))
            read = Read(name, tuple(along(axis.name) for axis in axes))
            total = f"total_{name}"
            draw.arrays[total] = Array(total, array.shape)
            draw.statements.append(Statement(total, axes, Apply(ops.TOTAL, (read,))))
            totals.append((total, tuple(range(array.size))))
    outputs = [o for o in outputs if draw.rng.random() < 0.5] + totals
    if not outputs:
        return
    whole = batched(draw.program(tuple(Output(name) for name, _ in outputs)), ["params"])
    rows = np.random.default_rng(seed).normal(size=(3, PARAMS))
    expected = run(whole, {"params": rows})
    nested = {}
    for (name, places), output in zip(outputs, whole.outputs, strict=True):
        stacked = BATCH in whole.arrays[output.array].shape
        nested[name] = Vector(name, ((output.array, places),), stacked)
    group = ArrayGroup("params", "params", names("p", PARAMS), False, True, (PARAMS,))
    made = function(whole, (group,), nested)
    found, text = called(made, rows)
    wanted = {}
    for (name, places), want in zip(outputs, expected, strict=True):
        stacked = nested[name].stacked
        flat = want.reshape(3, -1)[:, list(places)].T if stacked else want.ravel()[list(places)]
        assert_close(found[name], flat, f"{name}\n{whole}\n{text}")
        wanted[name] = flat
    assert_rewritten(made, [rows], wanted)


def test_elements_of_an_array_are_outputs():
    program = ArrayProgram(
        {
            "params": Array("params", (3,), "leaf", elements=names("p", 3)),
            "y": Array("y", (3,)),
        },
        (Statement("y", (Axis("i", 3),), Apply(ops.NEG, (Read("params", (along("i"),)),))),),
        (Output("y"),),
        ("params",),
    )
    group = ArrayGroup("params", "params", names("p", 3), False, False, (3,))
    made = function(program, (group,), [Element("y", 2), {"first": Element("y", 0)}])
    found, _ = called(made, np.array([1.0, 2.0, 4.0]))
    assert found == [-4.0, {"first": -1.0}]


def vectors_of(program, **shapes):
    """A function of vectors, whose outputs are all that the program puts out, as vectors."""
    groups = tuple(
        ArrayGroup(name, name, names(name, size), False, False, (size,))
        for name, size in shapes.items()
    )
    outputs = {
        name: Vector(name, ((name, tuple(range(program.arrays[name].size))),))
        for name, _ in program.outputs
    }
    return function(program, groups, outputs)


def test_what_is_written_where_it_is_read_finds_its_operands_unchanged():
    i = Axis("i", 3)

    def all_of(name):
        return Read(name, (along("i"),))

    arrays = [Array("x", (3,), "leaf", elements=names("x", 3))]
    arrays += [Array(name, (3,)) for name in "atuyz"]
    program = ArrayProgram(
        {array.name: array for array in arrays},
        (
            Statement("a", (i,), Apply(ops.TANH, (all_of("x"),))),
            Statement("t", (i,), Apply(ops.EXP, (all_of("a"),))),
            Statement("u", (i,), Apply(ops.ADD, (all_of("a"), 2.0))),
            Statement("y", (i,), Apply(ops.SUB, (all_of("u"), all_of("t")))),
            Statement("z", (i,), Apply(ops.MUL, (all_of("u"), all_of("x")))),
        ),
        (Output("y"), Output("z")),
        ("x",),
    )
    x = np.array([0.5, -1.0, 2.0])
    found, text = called(vectors_of(program, x=3), x)
    assert "np.exp(a)" in text
    np.testing.assert_allclose(found["y"], np.tanh(x) + 2 - np.exp(np.tanh(x)))
    np.testing.assert_allclose(found["z"], (np.tanh(x) + 2) * x)


def test_a_sum_over_part_of_a_grid_takes_nothing_from_the_rest():
    p, t = Axis("p", 4), Axis("t", 4)
    below = AtLeast(Affine(0, (("p", 1), ("t", -1))))
    read = Read("s", (along("p"), along("t")))
    arrays = [Array("x", (4,), "leaf", elements=names("x", 4)), Array("s", (4, 4))]
    arrays += [Array("y", (4,)), Array("z", (4,))]
    product = Term(1, (Read("x", (along("p"),)), Read("x", (along("t"),))))
    program = ArrayProgram(
        {array.name: array for array in arrays},
        (
            Statement("s", (p, t), Reduce(ops.ADD, (product,)), domain=(below,)),
            Statement("y", (p,), Reduce(ops.ADD, (Term(1, (read,), (t,), (below,)),))),
            Statement("z", (p,), Reduce(ops.MAXIMUM, (Term(1, (read,), (t,), (below,)),))),
        ),
        (Output("y"), Output("z")),
        ("x",),
    )
    x = np.array([0.5, -1.0, 2.0, 3.0])
    found, _ = called(vectors_of(program, x=4), x)
    rows = [np.outer(x, x)[k, : k + 1] for k in range(4)]
    np.testing.assert_allclose(found["y"], [row.sum() for row in rows])
    np.testing.assert_allclose(found["z"], [row.max() for row in rows])
