"""Random functions of arrays, and whether a target agrees with the interpreter about them.

`check_arrays` asks a target for a function's value, its gradient, both or its second derivatives;
in one nesting or another, for one sample or a batch of which only some arguments vary, under any
reduction, in either precision. `check_elements` asks for the same with every element a scalar of
its own. The gradients themselves are judged by differences, in `check_gradient`.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from ..codegen.compiled import compile
from ..codegen.program import flatten
from ..codegen.target import Target
from ..derive.backward import grad
from ..graph.evaluation import evaluate
from ..graph.expr import Expr, Graph
from ..graph.store import live_nodes
from ..graph.unroll import unroll
from ..ops import moves
from .arraymoves import ARRAY_MOVES, MAX_ELEMENTS, array_shape, weights

SAMPLES: Final = 3
"""How many samples a batch has."""
CARRIED: Final = 0.7
"""The number of the parameter that no argument names."""
TOLERANCE: Final = {"float64": 1e-9, "float32": 2e-3}
"""How far a number may be off, relative to the largest of its array and to 1."""


@dataclass(frozen=True)
class BuiltSketch:
    """A sketch in a graph.

    arguments   by name a leaf, an array or a list of leaves; a leaf that is a parameter is in none
    array       what was made last
    number      a number that depends on it
    """

    arguments: Mapping[str, Any]
    parameters: tuple[Expr, ...]
    array: Expr
    number: Expr

    @property
    def leaves(self) -> list[Expr]:
        """What derivatives are taken by, in order."""
        named = [leaf for _, leaf in flatten(dict(self.arguments))]
        return [*named, *self.parameters]


@dataclass(frozen=True)
class ArraySketch:
    """A function of arrays that can be built anywhere: what it draws depends on its seed alone.

    steps   how many operations there are, besides those that make shapes fit
    """

    seed: int
    steps: int = 8

    def build(self, graph: Graph | None = None) -> BuiltSketch:
        """The inputs x0, x1, … in a graph, a group s of numbers or none, and what is made of them.

        >>> built = ArraySketch(11).build()
        >>> [leaf.shape for leaf in built.leaves], built.number.shape
        ([(4, 4, 2), (4, 4, 2)], ())
        """
        rng = random.Random(self.seed)
        graph = graph or Graph()
        arguments: dict[str, Any] = {}
        for i in range(rng.randint(1, 3)):
            alike = list(arguments.values())
            shape = alike[0].shape if alike and rng.random() < 0.4 else array_shape(rng)
            arguments[f"x{i}"] = graph.array(f"x{i}", shape) if shape else graph.input(f"x{i}")
        made = list(arguments.values())
        if rng.random() < 0.25:
            arguments["s"] = graph.inputs("s", rng.randint(1, 3))
            made += [moves.stack(*arguments["s"]), arguments["s"][-1]]
        parameters = (graph.parameter("p", CARRIED),) if rng.random() < 0.25 else ()
        made += parameters
        rng.shuffle(made)
        for _ in range(self.steps):
            move = rng.choice(ARRAY_MOVES)
            last = made[-1 - min(len(made) - 1, rng.randrange(3))]
            new = move(rng, last, rng.choice(made))
            if new is not None and 0 < math.prod(new.shape) <= MAX_ELEMENTS:
                made.append(new)
        number = made[-1] if not made[-1].shape else (made[-1] * weights(made[-1].shape)).sum()
        built = BuiltSketch(arguments, parameters, made[-1], number)
        for leaf in built.leaves if rng.random() < 0.7 else built.leaves[:1]:
            number = number + (0.1 * leaf if not leaf.shape else 0.1 * leaf.sum())
        return replace(built, number=number)

    def point(self, sample: int = 0) -> dict[str, Any]:
        """A value for each argument, others for each sample."""
        import numpy

        draw = numpy.random.default_rng([self.seed, sample])
        return {
            name: draw.normal(size=len(leaf))
            if isinstance(leaf, list)
            else draw.normal(size=leaf.shape)
            if leaf.shape
            else float(draw.normal())
            for name, leaf in self.build().arguments.items()
        }


@dataclass(frozen=True)
class Question:
    """What a target is asked about a sketch.

    what      "value", "gradient", "both", or "second": derivatives of the gradient as well
    form      how the outputs are nested: "dict", "list", "nested", or "one" of them by itself
    batched   the arguments that have a row per sample
    """

    what: str
    form: str
    batched: tuple[str, ...]
    reduce: str | None
    dtype: str
    simplify: bool | str

    @staticmethod
    def draw(rng: random.Random, names: Sequence[str], dtypes: Sequence[str]) -> Question:
        """A question about a function of these arguments."""
        batched = tuple([name for name in names if rng.random() < 0.5])
        return Question(
            rng.choice(("value", "gradient", "both", "both", "second")),
            rng.choice(("dict", "list", "nested", "one")),
            rng.choice(((), batched)),
            rng.choice(("sum", "mean", None)),
            rng.choice(dtypes),
            rng.choice((True, True, True, "real", False)),
        )

    def outputs(self, built: BuiltSketch, rng: random.Random) -> Any:
        """The outputs that are asked for, nested as is asked."""
        value = [built.array, built.number]
        if self.what == "value":
            return self._nested(value, [])
        leaves = [leaf for leaf in built.leaves if rng.random() < 0.8] or built.leaves[:1]
        gradient = list(grad(built.number, leaves, allow_unused=True))
        if self.what == "second":
            total = sum((sum_of(one * weights(one.shape)) for one in gradient), 0.0 * built.number)
            gradient += grad(total, leaves, allow_unused=True)
        return self._nested([] if self.what == "gradient" else value, gradient)

    def _nested(self, value: list[Expr], gradient: list[Expr]) -> Any:
        named = {f"d{number}": one for number, one in enumerate(gradient)}
        if self.form == "one":
            return (value or gradient)[0]
        if self.form == "list":
            return [*value, *gradient]
        if self.form == "nested":
            return {
                "a": [{"again": one, "value": one} for one in value],
                "b": [[gradient or value]],
            }
        return {**dict(zip(("array", "number"), value, strict=False)), **named}


def sum_of(x: Any) -> Any:
    """The sum of the elements, of a number itself."""
    return x.sum() if x.shape else x


def check_arrays(
    sketch: ArraySketch,
    target: str | Target,
    *,
    questions: int = 3,
    dtypes: Sequence[str] = ("float64", "float64", "float32"),
) -> None:
    """An `AssertionError` unless a target agrees with the interpreter about a function of arrays.

    questions   how many `Question`s are asked; each is called twice
    dtypes      what precisions are drawn from

    >>> from wengert.codegen.array.printer import TARGET
    >>> check_arrays(ArraySketch(3), TARGET)
    """
    rng = random.Random(sketch.seed)
    names = list(sketch.build().arguments)
    for _ in range(questions):
        question = Question.draw(rng, names, dtypes)
        built = sketch.build()
        outputs = question.outputs(built, rng)
        where = f"{sketch}: {question}"
        arguments, wanted = _expected(sketch, built, outputs, question)
        order = rng.sample(names, len(names))
        f = compile(
            {name: built.arguments[name] for name in order},
            outputs,
            target=target,
            batch=[name for name in order if name in question.batched],
            reduce=question.reduce,
            dtype=question.dtype,
            simplify=question.simplify,
        )
        given = [arguments[name] for name in order]
        found = f(*given)
        again = f(*given)
        _check_near(again, outputs, wanted, f"{where}: the second call", question.dtype)
        _check_near(found, outputs, wanted, where, question.dtype)
        _check_memory(found, [*given, *[one for _, one in flatten(again)]], where)


def check_elements(sketch: ArraySketch, target: str | Target) -> None:
    """An `AssertionError` unless a target agrees, every element being a scalar of its own.

    >>> check_elements(ArraySketch(3), "python")
    """
    rng = random.Random(sketch.seed)
    built = sketch.build()
    question = replace(Question.draw(rng, list(built.arguments), ["float64"]), form="list")
    outputs = question.outputs(built, rng)
    arguments, wanted = _expected(sketch, built, outputs, question)
    scalars = unroll([*outputs, *built.leaves])
    elements = [list(_numbers(one)) for one in scalars]
    named = iter(elements[len(outputs) :])
    groups, given = {}, []
    for name, leaf in built.arguments.items():
        count = len(leaf) if isinstance(leaf, list) else 1
        groups[name] = [one for _ in range(count) for one in next(named)]
        rows = SAMPLES if name in question.batched else 1
        flat = _reshaped(arguments[name], (rows, len(groups[name]))).tolist()
        given.append(flat if name in question.batched else flat[0])
    f = compile(
        groups,
        elements[: len(outputs)],
        target=target,
        batch=question.batched,
        reduce=question.reduce,
        simplify=question.simplify,
    )
    found = f(*given)
    stacked = bool(question.batched) and question.reduce is None
    for number, right in enumerate(wanted):
        mine = _reshaped(found[number], (-1, SAMPLES) if stacked else (-1,))
        mine = mine.T if stacked else mine
        _check_one(_reshaped(mine, right.shape), right, f"{sketch}: {question}: output {number}")


def check_gradient(sketch: ArraySketch) -> None:
    """An `AssertionError` unless the interpreter's gradient is what differences say, along a line.

    >>> check_gradient(ArraySketch(3))
    """
    import numpy

    built, point = sketch.build(), sketch.point()
    leaves = [leaf for leaf in built.leaves if leaf not in built.parameters]
    gradient = grad(built.number, leaves, allow_unused=True)
    at = _leaf_values(built, point)
    draw = numpy.random.default_rng(sketch.seed)
    line = {leaf: draw.normal(size=leaf.shape) for leaf in leaves}
    found = _evaluated(gradient, at)
    for leaf, one in zip(leaves, found, strict=True):
        assert numpy.shape(one) == leaf.shape, f"{sketch}: d{leaf.label}: shape {numpy.shape(one)}"
    slope = sum(float((line[leaf] * one).sum()) for leaf, one in zip(leaves, found, strict=True))
    apart = []
    for step in (1e-4, 1e-6):
        up, down = (
            float(_evaluated([built.number], {x: v + by * line[x] for x, v in at.items()})[0])
            for by in (step, -step)
        )
        apart.append(abs((up - down) / (2 * step) - slope))
    assert min(apart) <= 1e-4 * max(1.0, abs(slope)), f"{sketch}: {slope} by grad, off by {apart}"


def _numbers(nested: Any) -> Any:
    if isinstance(nested, list):
        for one in nested:
            yield from _numbers(one)
    else:
        yield nested


def _reshaped(numbers: Any, shape: tuple[int, ...]) -> Any:
    import numpy

    return numpy.reshape(numpy.asarray(numbers, float), shape)


def _leaf_values(built: BuiltSketch, point: Mapping[str, Any]) -> dict[Expr, Any]:
    """The value of each leaf of the arguments."""
    at: dict[Expr, Any] = {}
    for name, leaf in built.arguments.items():
        if isinstance(leaf, list):
            at.update(zip(leaf, map(float, point[name]), strict=True))
        else:
            at[leaf] = point[name]
    return at


def _evaluated(wanted: Sequence[Expr], at: Mapping[Expr, Any]) -> list[Any]:
    """The interpreter's values, given those of leaves that may not be needed."""
    live = set(live_nodes(wanted[0].graph, [expr.id for expr in wanted]))
    return list(evaluate(wanted, {leaf: v for leaf, v in at.items() if leaf.id in live}))


def _expected(
    sketch: ArraySketch, built: BuiltSketch, outputs: Any, question: Question
) -> tuple[dict[str, Any], list[Any]]:
    """The value of each argument, and what each output should be, in order, for a question."""
    import numpy

    wanted = [expr for _, expr in flatten(outputs)]
    shared = sketch.point()
    if not question.batched:
        return shared, list(map(numpy.asarray, _evaluated(wanted, _leaf_values(built, shared))))
    others = [sketch.point(number) for number in range(1, SAMPLES)]
    varying = [{name: other[name] for name in question.batched} for other in others]
    samples = [shared, *[{**shared, **other} for other in varying]]
    each = [_evaluated(wanted, _leaf_values(built, sample)) for sample in samples]
    arguments = {
        name: numpy.stack([sample[name] for sample in samples])
        if name in question.batched
        else shared[name]
        for name in shared
    }
    reductions: dict[str | None, Callable[[Any], Any]] = {
        "sum": lambda values: values.sum(0),
        "mean": lambda values: values.mean(0),
        None: lambda values: values,
    }
    reduced = reductions[question.reduce]
    return arguments, [numpy.asarray(reduced(numpy.stack(v))) for v in zip(*each, strict=True)]


def _check_near(found: Any, outputs: Any, wanted: Sequence[Any], where: str, dtype: str) -> None:
    for (path, expr), right in zip(flatten(outputs), wanted, strict=True):
        one = found
        for key in path:
            one = one[key]
        _check_one(one, right, f"{where}: {path}: {expr!r}", TOLERANCE[dtype])


def _check_one(found: Any, right: Any, where: str, tolerance: float = 1e-9) -> None:
    import numpy

    size = max(1.0, float(numpy.abs(right).max(initial=0.0)))
    assert numpy.shape(found) == numpy.shape(right), f"{where}: shape {numpy.shape(found)}"
    near = numpy.allclose(found, right, rtol=tolerance, atol=tolerance * size, equal_nan=True)
    assert near, f"{where} is {found}, expected {right}"


def _check_memory(found: Any, given: Sequence[Any], where: str) -> None:
    import numpy

    results = [one for _, one in flatten(found) if isinstance(one, numpy.ndarray)]
    for number, one in enumerate(results):
        assert one.shape, f"{where}: a number is an array"
        assert one.flags.writeable, f"{where}: a result cannot be written to"
        for other in (*results[:number], *[each for each in given if numpy.ndim(each)]):
            assert not numpy.shares_memory(one, other), f"{where}: results share memory"
