"""Random graphs, and whether everything agrees about them: fuzzing for the package and its users.

`sketches` is a hypothesis strategy for graphs; `check_agreement` runs one through the interpreter,
every target and mpmath; `check_in_node` does so for the javascript target, where Node.js is found.
Every number is judged by a rigorous interval (`wengert.ops.intervals`), so nothing here has a
tolerance to tune: a number is inside, or something is wrong.
`check_operation` does for an operation of your own what the package's tests do for its own.

Needs hypothesis: `pip install "wengert[testing]"`.
"""

from __future__ import annotations

import gc
import math
import random
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any, Final

from ..codegen.compiled import compile
from ..codegen.scalar.javascript import emit
from ..codegen.scalar.node import find_node, run_in_node
from ..codegen.target import find_target, targets
from ..derive.backward import grad
from ..errors import MissingExtraError
from ..graph.evaluation import node_values
from ..graph.expr import Expr, Graph
from ..graph.store import live_nodes
from ..notation.sympy import is_piecewise, prove_rule
from ..ops.intervals import Interval, interval_of
from ..ops.record import Op
from ..ops.scalar import ELEMENTWISE, STOP_GRADIENT, TOTAL
from ..proof.precise import chain_rule, meaning, partial, precise_values
from ..proof.rounding import point_intervals

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from ..codegen.target import Source

SCALAR_OPERATIONS: Final = tuple(op for op in ELEMENTWISE.values() if op is not TOTAL)
"""What sketches are drawn from unless they are told otherwise: all that works on single numbers."""

EXTREMES: Final = (
    *(0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 3.0, -2.5, 0.1),
    *(5e-324, 1e-300, 1e-16, 1e16, -1e300, sys.float_info.max, 709.0, -745.5, 1e4),
    *(math.inf, -math.inf, math.nan),
)
"""Constants of sketches: what is easily forgotten."""

DIGITS: Final = (60, 2500)
"""To how many digits mpmath looks, and looks again before anything is said to be wrong."""

CLOSE: Final = 1e-13
"""How far an operation's value and derivatives may be from mpmath's."""

RUNNABLE: Final = tuple(n for n in targets() if n != "javascript" and not find_target(n).engine)
"""The targets whose functions Python can call; "javascript" may be named too, and needs Node.js,
"jax" and "torch", which round otherwise in places."""


@dataclass(frozen=True)
class Step:
    """Apply `op` to what stands at these positions, `times` times over, each time to its result."""

    op: Op
    operands: tuple[int, ...]
    statics: tuple[float, ...] = ()
    times: int = 1

    def __repr__(self) -> str:
        more = "".join(f", {static}" for static in self.statics)
        return f"{self.op.name}{self.operands}{more}" + f" x{self.times}" * (self.times > 1)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """What hypothesis shows: the operation by its name."""
        printer.text(repr(self))


@dataclass(frozen=True)
class Sketch:
    """A graph that can be built anywhere, and a point to look at it.

    Positions count the inputs first, one per number of `point`, then `constants`, then the results
    of `steps`; the last step is the output.

    >>> Sketch((2.0,), (1.0,), (Step(ELEMENTWISE["add"], (0, 1)),)).build()[0]
    Expr(x0 + 1)
    """

    point: tuple[float, ...]
    constants: tuple[float, ...]
    steps: tuple[Step, ...]

    def follow(self, inputs: Sequence[Any]) -> Any:
        """The output, the inputs being any kind of number that operations take."""
        made = [*inputs, *self.constants]
        for step in self.steps:
            operands = [made[position] for position in step.operands]
            for _ in range(step.times):
                operands[0] = step.op(*operands, *step.statics)
            made.append(operands[0])
        return made[-1]

    def build(self) -> tuple[Expr, list[Expr]]:
        """The output in a new graph, and its inputs x0, x1, ..."""
        graph = Graph()
        inputs = graph.inputs("x", len(self.point))
        return graph[graph.node_of(self.follow(inputs))], inputs


def sketches(
    operations: Sequence[Op] = SCALAR_OPERATIONS,
    *,
    inputs: int = 3,
    steps: int = 12,
    depth: int = 40,
    constants: Sequence[float] = EXTREMES,
) -> SearchStrategy[Sketch]:
    """A strategy for sketches: every operation, shared parts, chains, constants at extremes.

    operations   those to draw from; give your own to fuzz them among the others
    inputs       at most so many inputs
    steps        at most so many steps
    depth        a step is repeated up to so many times, on its own result
    constants    numbers to draw constants from
    """
    st = _hypothesis().strategies
    numbers = st.sampled_from([c for c in constants if math.isfinite(c)]) | st.floats(-4.0, 4.0)

    def draw_sketch(draw: Callable[[Any], Any]) -> Sketch:
        point = tuple(draw(st.lists(numbers, min_size=1, max_size=inputs)))
        fixed = tuple(draw(st.lists(st.sampled_from(list(constants)), max_size=3)))
        done: list[Step] = []
        for _ in range(draw(st.integers(1, steps))):
            op = draw(st.sampled_from(list(operations)))
            known = len(point) + len(fixed) + len(done)
            recent = st.integers(max(0, known - 3), known - 1) | st.integers(0, known - 1)
            operands = tuple(draw(recent) for _ in range(op.arity))
            statics = tuple(
                draw(_static(st, numbers)) for numbers in zip(*op.settings, strict=True)
            )
            times = draw(st.sampled_from([1, 1, 1, 1, 1, 1, 2, depth]))
            done.append(Step(op, operands, statics, times))
        return Sketch(point, fixed, tuple(done))

    strategy: SearchStrategy[Sketch] = st.composite(draw_sketch)()
    return strategy


def check_agreement(sketch: Sketch, run_on: Sequence[str] = RUNNABLE) -> None:
    """An `AssertionError` unless all agree about the sketch: its value and its derivatives.

    The reference interpreter, each target's function, simplified and not, and mpmath on sympy's
    meaning of each operation, all within the interval of each node; the derivatives also against
    sympy's, by the chain rule, where nothing sits on a kink. Compiled Python gives the very floats
    of the interpreter.
    """
    case = _Case.of(sketch)
    _all_within(case.wanted[0].graph, case.values, case.intervals, "the interpreter")
    for target in run_on:
        for simplify in (False, True):
            case.judge(
                _run(case.wanted, case.inputs, sketch.point, target, simplify), target, simplify
            )
    output, *derivatives = case.wanted
    count = len(case.inputs)
    gradients = [derivatives[:count], derivatives[count:]]
    at = {leaf.id: number for leaf, number in zip(case.inputs, sketch.point, strict=True)}
    _against_mpmath(output, case.inputs, gradients, case.intervals, at)


@dataclass(frozen=True)
class _Case:
    """What a sketch asks: its output and derivatives, stable and plain, and where each must lie."""

    inputs: list[Expr]
    wanted: list[Expr]
    values: Mapping[int, float]
    intervals: Mapping[int, Interval]

    @staticmethod
    def of(sketch: Sketch) -> _Case:
        output, inputs = sketch.build()
        gradient = grad(output, inputs, allow_unused=True)
        plain = grad(output, inputs, allow_unused=True, stable=False)
        wanted = [output, *gradient, *plain]
        live = live_nodes(output.graph, [expr.id for expr in wanted])
        at = {leaf.id: number for leaf, number in zip(inputs, sketch.point, strict=True)}
        intervals = point_intervals(output.graph, live, at, _tried)
        return _Case(inputs, wanted, node_values(output.graph, live, at), intervals)

    def judge(self, found: Sequence[float], target: str, simplify: bool) -> None:
        """An `AssertionError` unless a target's numbers are right."""
        where = f"{target}, {'' if simplify else 'not '}simplified"
        for expr, number in zip(self.wanted, found, strict=True):
            if target == "python" and not simplify:
                reference = self.values[expr.id]
                assert same(number, reference), f"{where}: {expr!r}: {number} is not {reference}"
            elif simplify and _has_zero(self.values):
                continue  # the sign of a zero may differ, and 1/-0 from 1/0
            else:
                inside = number in self.intervals[expr.id]
                assert inside, f"{where}: {expr!r}: {number} not in {self.intervals[expr.id]}"


def check_in_node(drawn: Sequence[Sketch]) -> None:
    """An `AssertionError` unless the javascript target agrees about the sketches: one run for all.

    >>> step = Step(ELEMENTWISE["mul"], (0, 0))
    >>> check_in_node([Sketch((2.0,), (), (step,))] if find_node() else [])
    """
    cases = [_Case.of(sketch) for sketch in drawn]
    jobs = [
        _in_node(_compiled(case.inputs, case.wanted, "javascript", simplify), sketch.point)
        for sketch, case in zip(drawn, cases, strict=True)
        for simplify in (False, True)
    ]
    found = iter(run_in_node(jobs) if jobs else [])
    for sketch, case in zip(drawn, cases, strict=True):
        for simplify in (False, True):
            try:
                case.judge(next(found)[0], "javascript", simplify)
            except AssertionError as error:
                raise AssertionError(f"{sketch}: {error}") from None


def _in_node(function: Any, point: Sequence[float]) -> tuple[Source, list[Any]]:
    return emit(function.program), [[list(point)]]


def check_operation(op: Op, *, samples: int = 50, seed: int = 0) -> None:
    """An `AssertionError` unless an operation of one number or more keeps what its record says.

    Its rules are sympy's derivatives; over its domain its value is mpmath's to `CLOSE`, relative,
    and each derivative, relative to the larger of itself and the value, and the value is within
    its interval; functions compiled for every target that the record has a notation for give what
    it evaluates to (javascript where Node.js is found); and it never raises, on any of `EXTREMES`.

    >>> from wengert.ops.scalar import TANH
    >>> check_operation(TANH)
    """
    defaults = op.defaults or tuple(2.0 for _ in op.statics)
    statics = (*[2.0] * (len(op.statics) - len(defaults)), *defaults)
    proof = prove_rule(op, statics or None)
    assert proof, str(proof)
    rng = random.Random(seed)
    assert op.domain, f"the record of {op.name} does not say where to sample: add domain=((-3, 3),)"
    draws = [tuple(rng.uniform(*pair) for pair in op.domain) for _ in range(samples)]
    for point in draws:
        _check_numbers(op, point, statics)
    points = [*draws[:3], *((extreme,) * op.arity for extreme in EXTREMES)]
    references = [_evaluated(op, point, statics) for point in points]
    for point in draws:
        _check_interval(op, point, statics)
    graph = Graph()
    inputs = graph.inputs("x", op.arity)
    wanted = [op(*inputs, *statics)]
    for target in targets():
        if target not in op.notation or find_target(target).engine:
            continue
        if target == "javascript" and not find_node():
            continue
        for point, reference, found in zip(
            points, references, _each(wanted, inputs, points, target), strict=True
        ):
            near = same(found, reference) or found in _near(reference)
            assert near, f"{op.name}{point} is {reference!r}, and {found!r} on {target}"


def _evaluated(op: Op, point: Sequence[float], statics: Sequence[float]) -> float:
    """The value at a point, where raising is a mistake."""
    try:
        return op.evaluate(*point, *statics)
    except (ArithmeticError, ValueError) as error:
        raise AssertionError(
            f"evaluate of {op.name}{tuple(point)} raises {type(error).__name__}: {error}; expected "
            "inf or nan there, as IEEE arithmetic gives: wengert.ops.ieee has such functions"
        ) from error


def _each(
    wanted: Sequence[Any], inputs: Sequence[Any], points: Sequence[Sequence[float]], target: str
) -> list[float]:
    """The first of `wanted` at each point, by a target."""
    if target != "javascript":
        return [_run(wanted, inputs, point, target, True)[0] for point in points]
    function = _compiled(inputs, wanted, target, True)
    (found,) = run_in_node([(emit(function.program), [[list(point)] for point in points])])
    return [numbers[0] for numbers in found]


def _check_interval(op: Op, point: Sequence[float], statics: Sequence[float]) -> None:
    """The value and what the record says of where it lies, at a point and from there to 0."""
    value = op.evaluate(*point, *statics)
    for ends in ([(x, x) for x in point], [(min(x, 0.0), max(x, 0.0)) for x in point]):
        where = interval_of(op, [Interval(*pair) for pair in ends], statics)
        assert value in where, f"{op.name}{tuple(point)} is {value!r}, not in {where} as it says"


def same(a: float, b: float) -> bool:
    """Whether two floats are the same, nan being itself and the sign of a zero counting.

    >>> same(math.nan, math.nan), same(0.0, -0.0)
    (True, False)
    """
    return (a == b and math.copysign(1.0, a) == math.copysign(1.0, b)) or (a != a and b != b)


def fuzz(
    seconds: float,
    operations: Sequence[Op] = SCALAR_OPERATIONS,
    *,
    seed: int = 0,
    run_on: Sequence[str] = RUNNABLE,
    say: Callable[[str], None] | None = None,
) -> int:
    """Check sketches for so many seconds; answers how many. The first that fails is raised, shrunk.

    The javascript target is checked too, where Node.js is installed and `run_on` is not narrowed.
    Each round must take no longer than a minute of computing, and rounds must not leave objects
    behind: those are `AssertionError`s as well.
    """
    hypothesis = _hypothesis()
    end, checked, alive = time.monotonic() + seconds, 0, 0
    drawn: list[Sketch] = []
    for number in range(sys.maxsize):
        if time.monotonic() >= end and number:
            return checked
        started = time.process_time()
        drawn.clear()

        def one_round(sketch: Sketch) -> None:
            nonlocal checked
            checked += 1
            check_agreement(sketch, run_on)
            drawn.append(sketch)

        look = hypothesis.settings(
            max_examples=25,
            deadline=None,
            database=None,
            report_multiple_bugs=False,
            derandomize=False,
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        hypothesis.seed(seed + number)(look(hypothesis.given(sketches(operations))(one_round)))()
        if run_on is RUNNABLE and find_node():
            check_in_node([s for s in drawn if all(_in_javascript(step.op) for step in s.steps)])
        took = time.process_time() - started
        assert took < 60, f"round {number} (seed {seed}) took over a minute"
        del one_round
        alive = _check_no_growth(number, alive)
        if say is not None and number % 20 == 0:
            say(f"{checked:,} graphs, {max(0.0, end - time.monotonic()):,.0f} s left")
    return checked


def _check_no_growth(number: int, before: int) -> int:
    """How many graphs there are, which must not rise from round to round."""
    gc.collect()
    alive = sum(isinstance(thing, Graph) for thing in gc.get_objects()) if number % 10 == 2 else 0
    assert not (before and alive > before + 200), f"{alive} graphs are alive, {before} were before"
    return alive or before


def _run(
    wanted: Sequence[Any],
    inputs: Sequence[Any],
    point: Sequence[float],
    target: str,
    simplify: bool,
) -> list[float]:
    import numpy

    function = _compiled(inputs, wanted, target, simplify)
    if target == "javascript":
        return list(run_in_node([_in_node(function, point)])[0][0])
    with numpy.errstate(all="ignore"):
        return [float(number) for number in function(list(point))]


def _compiled(inputs: Sequence[Any], wanted: Sequence[Any], target: str, simplify: bool) -> Any:
    return compile({"x": list(inputs)}, list(wanted), target=target, simplify=simplify)


def _in_javascript(op: Op) -> bool:
    return "javascript" in op.notation


def _tried(op: Op, within: Sequence[Interval], statics: Sequence[float]) -> Interval:
    """About where an operation from elsewhere lies: its values at the ends, and half as far on."""
    values = [
        op.evaluate(*corner, *statics) for corner in product(*[(i.low, i.high) for i in within])
    ]
    if any(interval.nan for interval in within) or not all(map(math.isfinite, values)):
        return Interval(-math.inf, math.inf, True)
    low, high = min(values), max(values)
    slack = (high - low) / 2
    return Interval(low - slack - 4 * math.ulp(low), high + slack + 4 * math.ulp(high))


def _all_within(
    graph: Graph, values: Mapping[int, float], intervals: Mapping[int, Interval], who: str
) -> None:
    for node, interval in intervals.items():
        number = values[node]
        assert number in interval, f"{who}: {graph[node]!r} is {number!r}, not in {interval}"


def _has_zero(values: Mapping[int, float]) -> bool:
    return any(number == 0.0 or number != number for number in values.values())


def _near(number: float) -> Interval:
    """What an unknown operation may give: the same to nine digits."""
    if not math.isfinite(number):
        return Interval(-math.inf, math.inf, True)
    apart = 1e-9 * abs(number) + 1e-300
    return Interval(number - apart, number + apart)


def _against_mpmath(
    output: Expr,
    inputs: Sequence[Expr],
    gradients: Sequence[Sequence[Expr]],
    intervals: Mapping[int, Interval],
    at: Mapping[int, float],
) -> None:
    graph = output.graph
    live = live_nodes(graph, [output.id])
    claims = {
        expr.id: leaf.id
        for gradient in gradients
        for leaf, expr in zip(inputs, gradient, strict=True)
    }
    kink = _on_kink(graph, live, intervals)
    complaints: list[str] = []
    for digits in DIGITS:  # cancellation may have used up the digits of the first look
        exact = precise_values(graph, live, at, digits)
        complaints = _outside(graph, exact, intervals, "mpmath")
        if not kink and all(map(_is_finite, exact.values())):
            adjoints = chain_rule(graph, live, output.id, exact, digits)
            found = {node: adjoints.get(leaf, 0) for node, leaf in claims.items()}
            complaints += _outside(graph, found, intervals, f"sympy's derivative of {output!r}")
        if not complaints:
            return
    raise AssertionError("\n".join(complaints))


def _outside(
    graph: Graph, exact: Mapping[int, Any], intervals: Mapping[int, Interval], who: str
) -> list[str]:
    from mpmath import mp

    return [
        f"{who}: {graph[node]!r} is {mp.nstr(number, 20)}, not in {interval!r}"
        for node, number in exact.items()
        if _is_finite(number)
        and not (interval := intervals[node]).nan
        and not interval.low <= number <= interval.high
    ]


def _is_finite(number: Any) -> bool:
    from mpmath import mp

    return bool(mp.isfinite(number))


def _on_kink(graph: Graph, live: Sequence[int], intervals: Mapping[int, Interval]) -> bool:
    """Whether an operation may sit on its kink, where the derivative is a matter of convention."""
    for node in live:
        op = graph.ops[node]
        if op.arity == 0 or op is STOP_GRADIENT or not is_piecewise(op):
            # A power at 0, and a root, have no derivative there either.
            edge = bool(op.kink) or (op.arity > 0 and op.domain[:1] and op.domain[0][0] >= 0.0)
            if edge and 0.0 in intervals[graph.operands[node][0]]:
                return True
            continue
        first, *others = (intervals[operand] for operand in graph.operands[node])
        other = others[0] if others and op.name != "where" else Interval(0.0, 0.0)
        if op.name == "where" and first.low == first.high:
            continue
        if first.low <= other.high and other.low <= first.high:
            return True
    return False


def _check_numbers(op: Op, point: Sequence[float], statics: Sequence[float]) -> None:
    from mpmath import mp

    with mp.workdps(50):
        arguments = [mp.mpf(number) for number in (*point, *statics)]
        exact = mp.mpf(meaning(op)(*arguments))
        found = op.evaluate(*point, *statics)
        assert abs(found - exact) <= CLOSE * abs(exact), f"{op.name}{tuple(point)} is {found!r}"
        for position, rule in enumerate(op.vjp):
            share = 0.0 if rule is None else rule(1.0, found, *point, *statics)
            wanted = mp.mpf(partial(op, position)(*arguments))
            apart = abs(float(share) - wanted)
            assert apart <= CLOSE * max(abs(wanted), abs(exact)), (
                f"the rule of operand {position} of {op.name}{tuple(point)} gives {share!r}, "
                f"sympy {mp.nstr(wanted, 17)}"
            )


def _static(st: Any, tried: Sequence[float]) -> Any:
    """What is tried for a static argument, and any number where that is not whole ones alone."""
    known = st.sampled_from(list(tried))
    whole = all(float(number).is_integer() for number in tried)
    return known if whole and len(tried) > 1 else known | st.floats(-2.0, 2.0)


def _hypothesis() -> Any:
    try:
        import hypothesis
        import hypothesis.strategies
    except ImportError:
        raise MissingExtraError(
            'wengert.testing needs hypothesis: pip install "wengert[testing]"'
        ) from None
    return hypothesis
