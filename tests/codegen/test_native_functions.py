"""The native target's own functions, against mpmath: within 2 units in the last place."""

import ctypes
import math
import random

import mpmath
import numpy as np
import pytest

pytest.importorskip("llvmlite")

from wengert.codegen.native import host
from wengert.codegen.native.code import library_addresses
from wengert.codegen.native.functions import Functions
from wengert.codegen.native.words import Block
from wengert.ops.scalar import ELEMENTWISE
from wengert.ops.table import OPERATIONS

EXACT = {
    "exp": mpmath.exp,
    "expm1": mpmath.expm1,
    "log": mpmath.log,
    "log1p": mpmath.log1p,
    "tanh": mpmath.tanh,
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "softplus": lambda x: mpmath.log1p(mpmath.exp(-abs(x))) + max(x, 0),
    "sin": mpmath.sin,
    "cos": mpmath.cos,
    "sqrt": mpmath.sqrt,
    "tan": mpmath.tan,
    "sinh": mpmath.sinh,
    "cosh": mpmath.cosh,
    "atan": mpmath.atan,
    "erf": mpmath.erf,
    "erfc": lambda x: mpmath.erfc(max(min(x, 40), -40)),
}
ODD = [0.0, -0.0, 5e-324, -5e-324, 1e-310, 2.2e-308, 1.797e308, -1.797e308, math.inf, -math.inf]
EDGES = [709.78, 709.79, 710.5, -708.4, -745.1, -745.2, -746.5, 37.0, -37.0, 22.0, 19.06, 1.0, -1.0]
PLAIN = host.Host("x86-64", "")


def evaluated(name, lanes, fused, chosen, points, statics=()):
    """What the generated function gives at the points, which are tuples for several operands."""
    functions, block = Functions(fused), Block(fused)
    op = OPERATIONS[name]
    kind = "double" if lanes == 1 else f"<{lanes} x double>"
    given = np.array(points, float).reshape(len(points), op.arity)
    given = np.vstack([given, np.full((-len(points) % lanes, op.arity), 0.5)])
    rows = [given[:, i].copy() for i in range(op.arity)]
    words = [block.assign(f"load {kind}, ptr %p{i}, align 8", "f", lanes) for i in range(op.arity)]
    y = functions.apply(block, op, words, statics)
    needs = sorted(block.intrinsics - functions.intrinsics)
    lines = [*block.lines, f"  store {y.typed}, ptr %q, align 8", "  ret void", "}"]
    pointers = ", ".join([*[f"ptr %p{i}" for i in range(op.arity)], "ptr %q"])
    text = "\n".join([f"define void @g({pointers}) {{", *lines, *functions.text(), *needs])
    asked = [
        ctypes.CFUNCTYPE(ctypes.c_double, *[ctypes.c_double] * op.arity)(
            lambda *v, op=op, fixed=fixed: op.evaluate(*v, *fixed)
        )
        for op, fixed in functions.asked
    ]
    addresses = {
        f"evaluate.{i}": ctypes.cast(c, ctypes.c_void_p).value for i, c in enumerate(asked)
    } | library_addresses(text)
    library = host.link(host.object_code(text, 2, chosen), addresses, ["g"])
    run = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * (op.arity + 1))(library["g"])
    found = np.empty(len(given))
    for at in range(0, len(given), lanes):
        run(*[row[at:].ctypes.data for row in rows], found[at:].ctypes.data)
    return found[: len(points)].tolist()


def samples(name):
    r = random.Random(name)
    signs = (-1, 1)
    points = [*ODD, *EDGES]
    points += [r.uniform(-3, 3) for _ in range(600)]
    points += [r.uniform(-40, 40) for _ in range(500)]
    points += [r.uniform(-750, 750) for _ in range(500)]
    points += [r.choice(signs) * math.ldexp(1 + r.random(), r.randint(-60, 9)) for _ in range(400)]
    points += [
        r.choice(signs) * math.ldexp(1 + r.random(), r.randint(-1074, 1022)) for _ in range(100)
    ]
    points += [-1 + math.ldexp(r.random(), -r.randint(0, 50)) for _ in range(200)]
    points += [1 + r.uniform(-1, 1) * 2.0 ** -r.randint(0, 50) for _ in range(200)]
    turns = [k * math.pi / 2 for k in [*range(1, 60), 1000, 10**5, 10**6]]
    return points + turns + [math.nextafter(turn, 0) for turn in turns]


def exact(name, x):
    """The true value, or what the record says where there is none."""
    record = OPERATIONS[name].evaluate(x)
    if not math.isfinite(x) or not math.isfinite(record):
        return record
    with mpmath.workprec(1200 if name in ("sin", "cos", "tan") and abs(x) > 1e6 else 250):
        return EXACT[name](mpmath.mpf(x))


def ulps(got, true):
    if math.isnan(true) or math.isinf(float(true)):
        return 0.0 if repr(got) == repr(float(true)) else math.inf
    return float(abs(mpmath.mpf(got) - true) / math.ulp(float(true)))


@pytest.fixture(scope="module")
def truth():
    known = {}

    def look(name):
        if name not in known:
            points = samples(name)
            known[name] = points, [exact(name, x) for x in points]
        return known[name]

    return look


@pytest.mark.parametrize(
    ("lanes", "fused", "chosen"), [(1, True, None), (8, True, None), (8, False, PLAIN)]
)
@pytest.mark.parametrize("name", EXACT)
def test_functions_are_within_two_units_in_the_last_place(name, lanes, fused, chosen, truth):
    if chosen is not None and "x86_64" not in host.binding().get_process_triple():
        pytest.skip("a processor of another kind")
    fused = fused and host.host().fused
    points, true = truth(name)
    found = evaluated(name, lanes, fused, chosen, points)
    worst = max(range(len(points)), key=lambda i: ulps(found[i], true[i]))
    assert ulps(found[worst], true[worst]) <= 2, (points[worst], found[worst], true[worst])


@pytest.mark.parametrize("name", EXACT)
def test_functions_pass_nan_on(name):
    assert all(map(math.isnan, evaluated(name, 8, host.host().fused, None, [math.nan] * 3)))


def test_lanes_do_not_change_a_bit():
    points = samples("lanes")
    for name in EXACT:
        one = evaluated(name, 1, host.host().fused, None, points)
        many = evaluated(name, 8, host.host().fused, None, points)
        assert list(map(repr, one)) == list(map(repr, many)), name


FUNCTIONS = {*EXACT, "elu", "selu", "mish", "lgamma", "logaddexp", "gelu_exact", "digamma"}
FUNCTIONS |= {"polygamma", "pow_const", "hypot"}


def zero(arity, r):
    """A point where a function of one or two operands is near 0, or near the least number."""
    if arity > 1:
        a = -r.expovariate(1.0)
        return [a, math.log(-math.expm1(a)) * (1 + r.uniform(-1, 1) * 2.0 ** -r.randint(0, 50)), 0][
            :arity
        ]
    zeros = (1.0, 2.0, 1.4616321449683622, -0.5040830082644554, -2.4570247382208, -2.74768264672)
    zeros += (-19.5, -37.9, -38.3, -712.0, -740.0)
    return [r.choice(zeros) + r.uniform(-0.3, 0.3) * 2.0 ** -r.randint(0, 50)]


@pytest.mark.parametrize("name", [name for name in ELEMENTWISE if name != "total"])
@pytest.mark.parametrize("lanes", [1, 8])
def test_every_operation_is_within_four_units_of_its_record(name, lanes):
    op, r = OPERATIONS[name], random.Random(name)
    odd = [*ODD, *EDGES, math.nan, 0.5, 1.5, -2.5, 1e15 + 0.5, 2.0**52 + 1, -801.0, 21.0]
    points = [[x, *r.choices(odd, k=op.arity - 1)] for x in odd]
    points += [r.choices(odd, k=op.arity) for _ in range(150)]
    points += [[r.uniform(-4, 4) for _ in range(op.arity)] for _ in range(300)]
    points += [[r.uniform(-40, 40)] * op.arity for _ in range(50)]
    points += [zero(op.arity, r) for _ in range(200)]
    for statics in op.settings:
        found = evaluated(name, lanes, host.host().fused, None, points, statics)
        for point, got in zip(points, found, strict=True):
            expected = op.evaluate(*point, *statics)
            room = 4 if name in FUNCTIONS else 0
            assert (
                got == expected
                or (got != got and expected != expected)
                or (abs(got - expected) <= room * math.ulp(expected))
            ), (point, statics, got, expected)
            assert got != got or math.copysign(1, got) == math.copysign(1, expected), point


def test_no_function_of_the_table_is_asked_of_its_record():
    asked = set()
    for op in ELEMENTWISE.values():
        functions, block = Functions(True), Block(True)
        words = [block.number_word(0.5, 1) for _ in range(op.arity)]
        for statics in op.settings:
            functions.apply(block, op, words, statics)
        asked |= {op.name for op, _ in functions.asked}
    assert asked == {"total", "stop_gradient"}
