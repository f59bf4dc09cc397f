"""Every operation of the table: its meaning, its derivative rule, its edge cases."""

import math
import random
import re
import sys
from dataclasses import replace
from itertools import combinations, pairwise, product

import mpmath
import numpy as np
import pytest
import sympy
from strategies import KINKED

from wengert.derive.backward import grad
from wengert.errors import NotDifferentiableError, OperandError
from wengert.graph.evaluation import evaluate
from wengert.graph.expr import Graph
from wengert.graph.written import latex, text
from wengert.notation.sympy import prove_rule
from wengert.ops import carried
from wengert.ops import scalar as ops
from wengert.ops.record import ATOM, COMPARISON, POWER, PRODUCT, SUM, UNARY
from wengert.ops.scalar import COMPARISONS, ELEMENTWISE, LEAVES
from wengert.ops.table import OPERATIONS

TRUTHS = tuple(op for op in ELEMENTWISE.values() if op.truth)
STEPPED = {"floor": 1.0, "ceil": 1.0, "round": 0.5, "hard_tanh": 1.0, "hard_sigmoid": 3.0}
"""Where the operations that are kinked elsewhere than at 0 have their kinks: at multiples."""
CASES = [(op, fixed) for op in ELEMENTWISE.values() for fixed in op.settings]
RULED = [case for case in CASES if not case[0].decreed]
each_case = pytest.mark.parametrize(
    ("op", "statics"), CASES, ids=[f"{op.name}{list(fixed) or ''}" for op, fixed in CASES]
)
each_rule = pytest.mark.parametrize(
    ("op", "statics"), RULED, ids=[f"{op.name}{list(fixed) or ''}" for op, fixed in RULED]
)


def samples(op, statics, count=12):
    """Operands from the domain, off the kinks; for whole exponents from the negative side too."""
    rng = random.Random(op.name)
    found = []
    while len(found) < count:
        operands = [rng.uniform(low, high) for low, high in op.domain]
        if op.name == "pow_const" and float(statics[0]).is_integer() and rng.random() < 0.5:
            operands = [-operands[0]]
        if off_kink(op, operands):
            found.append(operands)
    return found


def off_kink(op, operands):
    """Whether slopes may be taken here: no kink is near."""
    first, *others = operands
    if op.name in STEPPED:
        return abs(first - STEPPED[op.name] * round(first / STEPPED[op.name])) > 0.05
    if op is ops.MOD:
        return abs(first / others[0] - round(first / others[0])) > 0.05
    if op is ops.CLIP:
        gaps = [a - b for a, b in combinations(operands, 2)]
    elif op is ops.HEAVISIDE or op.name.startswith("logical"):
        gaps = operands
    elif op.name in KINKED or op in COMPARISONS:
        gaps = [first - (others[0] if others else 0.0)]
    else:
        gaps = []
    return all(abs(gap) > 0.1 for gap in gaps)


def slope(f, x, h=2**-9):
    """Central differences, extrapolated twice."""
    quotients = [(f(x + s) - f(x - s)) / (2 * s) for s in (h, h / 2, h / 4)]
    a, b = ((4 * fine - coarse) / 3 for coarse, fine in pairwise(quotients))
    return (16 * b - a) / 15


# -- the rules ------------------------------------------------------------------------------------


@pytest.mark.parametrize("op", ELEMENTWISE.values(), ids=ELEMENTWISE)
def test_the_rule_is_proved_with_sympy(op):
    proof = prove_rule(op)
    assert proof, str(proof)
    if op.decreed:
        assert proof.convention
        assert not proof.steps
    else:
        assert {step.operand for step in proof.steps} == set(range(op.arity))


@pytest.mark.parametrize("exponent", [-3, -2, -1, 0, 1, 2, 3, 4, 7])
def test_the_power_rule_is_proved_for_negative_bases_too(exponent):
    assert prove_rule(ops.POW_CONST, (exponent,))


BROKEN = {
    "tanh": (lambda ct, out, x: ct * (1 - out),),
    "sub": (lambda ct, out, a, b: ct, lambda ct, out, a, b: ct),
    "div": (lambda ct, out, a, b: ct / b, lambda ct, out, a, b: -(ct / b)),
    "mul": (lambda ct, out, a, b: ct * b, None),
    "relu": (lambda ct, out, x: ct,),
    "leaky_relu": (lambda ct, out, x, slope: ops.where(x > 0, ct, 0),),
    "abs": (lambda ct, out, x: ops.where(x > 0, ct, 0),),
    "maximum": tuple(reversed(ELEMENTWISE["maximum"].vjp)),
    "where": (None, lambda ct, out, c, a, b: ct, lambda ct, out, c, a, b: ops.where(c, 0, ct)),
    "lt": (lambda ct, out, a, b: ct, None),
    "pow_const": (lambda ct, out, x, n: ct * (n * x**n),),
    "pow": (ELEMENTWISE["pow"].vjp[0], lambda ct, out, a, b: ct * (out * ops.log(b))),
    "sqrt": (lambda ct, out, x: ct / out,),
    "log1p": (lambda ct, out, x: ct / x,),
    "tan": (lambda ct, out, x: ct * (1 - out * out),),
    "cosh": (lambda ct, out, x: ct * out,),
    "acos": (ELEMENTWISE["asin"].vjp[0],),
    "atan2": tuple(reversed(ELEMENTWISE["atan2"].vjp)),
    "acosh": (lambda ct, out, x: ct / ops.sqrt(x - 1),),
    "log2": (lambda ct, out, x: ct / x,),
    "exp2": (lambda ct, out, x: ct * out,),
    "cbrt": (lambda ct, out, x: ct / (3 * out),),
    "logaddexp": tuple(reversed(ELEMENTWISE["logaddexp"].vjp)),
    "floor": (lambda ct, out, x: ct,),
    "mod": (ELEMENTWISE["mod"].vjp[0], None),
    "clip": (lambda ct, out, x, low, high: ct, None, None),
    "erf": (lambda ct, out, x: ct * ops.exp(-(x * x)),),
    "lgamma": (lambda ct, out, x: ct / x,),
    "polygamma": (lambda ct, out, x, order: ct * ops.polygamma(x, 2),),
    "elu": (lambda ct, out, x, alpha: ops.where(x > 0, ct, ct * ops.exp(x)),),
    "mish": (lambda ct, out, x: ct * ops.tanh(ops.softplus(x)),),
    "softsign": (lambda ct, out, x: ct / (1 + abs(x)),),
    "hard_sigmoid": (lambda ct, out, x: ct / 6,),
    "gelu_exact": (lambda ct, out, x: ct * 0.5 * ops.erfc(-x),),
    "softplus": (lambda ct, out, x: ct * ops.tanh(x),),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_rule_is_not_proved(name):
    broken = replace(ELEMENTWISE[name], vjp=BROKEN[name])
    proof = prove_rule(broken)
    assert not proof
    assert "WRONG" in str(proof)


@each_rule
def test_the_rule_on_floats_is_the_slope(op, statics):
    for operands in samples(op, statics):
        out = op.evaluate(*operands, *statics)
        for position, rule in enumerate(op.vjp):
            if op is ops.WHERE and position == 0:
                continue

            def along(x, position=position, operands=operands):
                moved = [*operands[:position], x, *operands[position + 1 :]]
                return op.evaluate(*moved, *statics)

            share = 0.0 if rule is None else rule(1.5, out, *operands, *statics)
            expected = 1.5 * slope(along, operands[position])
            assert float(share) == pytest.approx(expected, rel=1e-7, abs=1e-7)


@each_rule
def test_first_and_second_derivatives_are_slopes_on_graphs(op, statics):
    g = Graph()
    x = g.inputs("x", op.arity)
    # The square keeps the second derivative of the linear operations from being 0 by itself.
    y = op(*x, *statics) * op(*x, *statics) * 0.5
    if not any(op.vjp):
        # Flat: no path of derivatives, so the graph's derivative is the constant 0.
        assert {str(d) for d in grad(y, x)} == {"0"}
        return
    wrt = x[1:] if op in (ops.WHERE, ops.HEAVISIDE) else x
    first = grad(y, wrt)
    second = [grad(d, wrt, allow_unused=True) for d in first]
    for operands in samples(op, statics, 4):
        at = dict(zip(x, operands, strict=True))
        for i, leaf in enumerate(wrt):

            def along(z, what, leaf=leaf, at=at):
                return evaluate(what, {**at, leaf: z})

            found = evaluate(first[i], at)
            assert found == pytest.approx(
                slope(lambda z: along(z, y), at[leaf]), rel=1e-6, abs=1e-6
            )
            for j, of in enumerate(first):
                expected = slope(lambda z, of=of: along(z, of), at[leaf])
                assert evaluate(second[j][i], at) == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_a_total_has_no_derivative_and_says_so():
    g = Graph()
    x = g.input("x")
    with pytest.raises(NotDifferentiableError, match="sum over the samples"):
        grad(ops.total(x * x), x)


def test_stop_gradient_is_a_constant_to_the_derivative():
    g = Graph()
    x = g.input("x")
    assert evaluate(grad(ops.stop_gradient(x * x) * x, x), {x: 3.0}) == 9.0
    assert evaluate(grad(ops.stop_gradient(x), x), {x: 3.0}) == 0.0


def test_powers_of_zero_have_the_derivatives_of_polynomials():
    g = Graph()
    x = g.input("x")
    y = x**2
    derivatives = [y]
    for _ in range(4):
        derivatives.append(grad(derivatives[-1], x, allow_unused=True))
    assert evaluate(derivatives, {x: 0.0}) == [0.0, 0.0, 2.0, 0.0, 0.0]
    assert evaluate(grad(x**0 + x, x), {x: 0.0}) == 1.0


CONVENTIONS_AT_KINKS = [
    (ops.RELU, (0.0,), (), (0.0,)),
    (ops.LEAKY_RELU, (0.0,), (0.1,), (0.1,)),
    (ops.ABS, (0.0,), (), (0.0,)),
    (ops.MAXIMUM, (1.0, 1.0), (), (1.0, 0.0)),
    (ops.MINIMUM, (1.0, 1.0), (), (1.0, 0.0)),
    (ops.POW_CONST, (0.0,), (2,), (0.0,)),
    (ops.POW_CONST, (0.0,), (1,), (1.0,)),
]


@pytest.mark.parametrize(("op", "operands", "statics", "expected"), CONVENTIONS_AT_KINKS)
def test_kinks_follow_the_stated_convention(op, operands, statics, expected):
    assert op.kink
    out = op.evaluate(*operands, *statics)
    shares = tuple(float(rule(1.0, out, *operands, *statics)) for rule in op.vjp)
    assert shares == expected


def test_every_kink_states_its_convention():
    for op in ELEMENTWISE.values():
        assert bool(op.kink) >= (op.name in KINKED), op.name


# -- the values -----------------------------------------------------------------------------------


UNITS = {
    "lgamma": 10,
    "digamma": 8,
    "polygamma": 12,
    "gelu_exact": 40,
    "mish": 6,
    "erfc": 8,
    "logaddexp": 100,
    "mod": 40,
    "softsign": 6,
    "selu": 6,
    "hard_sigmoid": 40,
}
"""How many halves of a last digit a value may be off, where it is not 4."""


@each_case
def test_values_agree_with_sympy_to_the_last_digits(op, statics):
    extra = [[s * 10.0**e] for e in (-12, -6, -3) for s in (1, -1)] if op.arity == 1 else []
    low = op.domain[0][0]
    for operands in [*samples(op, statics), *(x for x in extra if x[0] > min(low, 0) and low < 1)]:
        exact = [sympy.Rational(x) for x in operands]
        if op.name == "pow":  # sympy takes forever over exact powers of long fractions
            exact = [sympy.Float(x, 60) for x in operands]
        fixed = [sympy.Float(s, 60) if s % 1 else sympy.Integer(s) for s in statics]
        wanted = op.sympy(sympy, *exact, *fixed)
        if op.truth:
            wanted = sympy.Integer(1 if sympy.sympify(wanted).doit() else 0)
        with mpmath.workdps(50):
            reference = mpmath.mpf(sympy.N(wanted, 50))
            found = mpmath.mpf(op.evaluate(*operands, *statics))
            units = UNITS.get(op.name, 4)
            assert abs(found - reference) <= units * 2.0**-53 * abs(reference), operands


NUMPY = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "neg": np.negative,
    "pow": np.power,
    "exp": np.exp,
    "log": np.log,
    "log1p": np.log1p,
    "expm1": np.expm1,
    "sqrt": np.sqrt,
    "sin": np.sin,
    "cos": np.cos,
    "tanh": np.tanh,
    "sigmoid": lambda x: np.exp(-np.logaddexp(0.0, -x)),
    "softplus": lambda x: np.logaddexp(0.0, x),
    "relu": lambda x: np.maximum(x, 0.0),
    "leaky_relu": lambda x: np.where(x <= 0, 0.01 * x, x),
    "abs": np.abs,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "eq": np.equal,
    "ne": np.not_equal,
    **{
        name: getattr(np, name) for name in ("tan", "sinh", "cosh", "log2", "log10", "exp2", "cbrt")
    },
    **{f"a{name}": getattr(np, f"arc{name}") for name in ("sin", "cos", "tan", "sinh", "cosh")},
    "atanh": np.arctanh,
    "atan2": np.arctan2,
    "hypot": np.hypot,
    "logaddexp": np.logaddexp,
    **{name: getattr(np, name) for name in ("sign", "floor", "ceil", "mod", "heaviside", "clip")},
    **{name: getattr(np, name) for name in ("isnan", "isfinite", "logical_and", "logical_or")},
    "round": np.rint,
    "logical_not": np.logical_not,
    "logical_xor": np.logical_xor,
    "elu": lambda x: np.where(x <= 0, np.expm1(x), x),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "hard_tanh": lambda x: np.clip(x, -1, 1),
    "hard_sigmoid": lambda x: np.clip(x / 6 + 0.5, 0, 1),
    "total": np.positive,
    "stop_gradient": np.positive,
}
ODD = [0.0, 1.0, 2.0, 3.0, 0.5, 400.0, 745.2, 1000.0, 1e308, 5e-324, math.inf, math.nan]
ODD += [-x for x in ODD[:-1]]


def root_of_numpy(x, exponent):
    """Where NumPy takes the square root, which differs from C's pow at -0 and -inf."""
    return exponent == 0.5 and x in (0.0, -math.inf)


@pytest.mark.parametrize("name", NUMPY)
def test_ieee_edge_cases_are_those_of_numpy(name):
    op, reference = ELEMENTWISE[name], NUMPY[name]
    for operands in product(ODD, repeat=op.arity):
        if name == "pow" and root_of_numpy(*operands):
            continue
        with np.errstate(all="ignore"):
            wanted = float(reference(*map(np.float64, operands)))
        found = op.evaluate(*operands, *op.defaults)
        assert found == pytest.approx(wanted, rel=1e-12, abs=1e-320, nan_ok=True), operands
        if wanted == 0.0 and name not in ("maximum", "minimum", "relu", "clip"):  # as versions go
            assert math.copysign(1.0, found) == math.copysign(1.0, wanted), operands


@pytest.mark.parametrize("exponent", [-3, -1, -0.5, 0, 0.5, 1, 2, 3, 401, math.inf, math.nan])
def test_constant_powers_are_those_of_numpy(exponent):
    for x in ODD:
        if root_of_numpy(x, exponent):
            continue
        with np.errstate(all="ignore"):
            wanted = float(np.power(np.float64(x), exponent))
        found = ops.POW_CONST.evaluate(x, exponent)
        assert found == pytest.approx(wanted, rel=1e-15, nan_ok=True), x


def test_gelu_and_silu_are_those_of_the_papers():
    rng = random.Random(0)
    for x in [-30.0, -1.0, 0.0, 0.5, 1.0, 30.0, *(rng.uniform(-4, 4) for _ in range(40))]:
        with mpmath.workdps(40):
            z = mpmath.mpf(x)
            inner = mpmath.sqrt(2 / mpmath.pi) * (z + mpmath.mpf(0.044715) * z**3)
            gelu = 0.5 * z * (1 + mpmath.tanh(inner))
            assert ops.gelu(x) == pytest.approx(float(gelu), rel=1e-13, abs=1e-15)
            assert ops.silu(x) == pytest.approx(float(z / (1 + mpmath.exp(-z))), rel=1e-14)


@pytest.mark.parametrize("exponent", [3, 0.5, 2.5, -65 / 64, 1 / 128, 0.1, 1 / 65])
def test_exponents_of_few_digits_are_exact_to_sympy(exponent):
    """The others are floats: an exact power of a long fraction takes sympy forever."""
    x = sympy.Symbol("x", positive=True)
    found = ops.POW_CONST.sympy(sympy, x, exponent).exp
    assert found.is_Rational == (exponent not in (1 / 128, 0.1, 1 / 65))
    assert found == sympy.Rational(exponent) or found == sympy.Float(exponent)


def test_the_kinks_of_relu_keep_the_side_they_say():
    assert math.copysign(1.0, ops.relu(-0.0)) == 1.0
    assert math.copysign(1.0, ops.leaky_relu(0.0, -0.5)) == -1.0


def test_where_takes_the_other_branch_for_nothing_but_zero():
    assert [ops.where(c, 1.0, 2.0) for c in (1.0, 0.0, -0.0, 0.5, True)] == [1, 2, 2, 1, 1]


def test_every_operation_is_compared_with_something():
    elsewhere = {"where", "pow_const", "selu", "mish", "polygamma"}
    assert set(NUMPY) | set(SCIPY) | elsewhere == set(ELEMENTWISE)


SCIPY = {
    "erf": lambda scipy, x: scipy.erf(x),
    "erfc": lambda scipy, x: scipy.erfc(x),
    "lgamma": lambda scipy, x: scipy.gammaln(x),
    "digamma": lambda scipy, x: scipy.digamma(x),
    "gelu_exact": lambda scipy, x: x * scipy.ndtr(x),
}


@pytest.mark.parametrize("name", SCIPY)
def test_special_functions_are_those_of_scipy(name):
    scipy = pytest.importorskip("scipy.special")
    for x in [*ODD, 1.5, 1.4616, -0.5, -2.25, 7.0]:
        if x < -1e300 or abs(x) == 5e-324:  # where SciPy's are not the limits
            continue
        with np.errstate(all="ignore"):
            wanted = float(SCIPY[name](scipy, np.float64(x)))
        assert ELEMENTWISE[name].evaluate(x) == pytest.approx(
            wanted, rel=1e-11, abs=1e-14, nan_ok=True
        ), x


@pytest.mark.parametrize("name", ["erf", "erfc", "lgamma", "digamma", "polygamma", "gelu_exact"])
def test_numpy_has_them_without_scipy(name, monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.special", None)
    monkeypatch.setattr(carried, "np", np, raising=False)
    op, statics = ELEMENTWISE[name], ELEMENTWISE[name].settings[0]
    points = [x for x in ODD if x == x] + [0.3, 1.4, 1.4616, 2.5, 5.0]
    arrays = op.notation["numpy"].define
    found = arrays(np.array(points), *statics)
    wanted = [op.evaluate(x, *statics) for x in points]
    assert list(found) == pytest.approx(wanted, rel=1e-12, abs=1e-300, nan_ok=True)
    assert type(arrays(np.float64(0.3), *statics)) is np.float64
    assert arrays(np.float32([0.3]), *statics).dtype == np.float32


# -- the records ----------------------------------------------------------------------------------


@pytest.mark.parametrize("op", ELEMENTWISE.values(), ids=ELEMENTWISE)
def test_records_are_complete(op):
    assert len(op.vjp) == op.arity == len(op.domain)
    assert op.sentence
    assert len(op.defaults) <= len(op.statics)
    assert OPERATIONS[op.name] is op
    assert {"text", "latex"} <= set(op.notation)
    assert op.name in op.signature


LEVELS = {COMPARISON, SUM, PRODUCT, UNARY, POWER, ATOM}


@pytest.mark.parametrize("op", OPERATIONS.values(), ids=OPERATIONS)
def test_notations_bind_at_a_level_of_the_scale_or_looser(op):
    for language, fixed in product(op.notation, op.settings):
        notation = op.spelling(language, fixed)
        assert notation.binds in LEVELS | {1}, "1 is what must always be bracketed"
        assert set(notation.slots) <= {0, *LEVELS, *(level + 1 for level in LEVELS)}


ANY, ABOVE_0 = (-3.0, 3.0), (0.2, 5.0)
DOMAINS = {
    **{name: (ANY,) * op.arity for name, op in ELEMENTWISE.items()},
    **dict.fromkeys(("log", "sqrt", "pow_const"), (ABOVE_0,)),
    "log1p": ((-0.8, 3.0),),
    **dict.fromkeys(("log2", "log10", "cbrt", "lgamma", "digamma", "polygamma"), (ABOVE_0,)),
    **dict.fromkeys(("asin", "acos", "atanh"), ((-0.9, 0.9),)),
    **dict.fromkeys(("atan2", "hypot"), (ABOVE_0, ANY)),
    "tan": ((-1.3, 1.3),),
    "acosh": ((1.2, 5.0),),
    "mod": (ANY, (0.3, 3.0)),
    "hard_sigmoid": ((-5.0, 5.0),),
    "div": (ANY, (0.3, 3.0)),
    "pow": (ABOVE_0, ANY),
    "where": ((-1.0, 1.0), ANY, ANY),
}


@pytest.mark.parametrize("op", ELEMENTWISE.values(), ids=ELEMENTWISE)
def test_domains_are_those_that_docs_stability_promises_digits_on(op):
    assert op.domain == DOMAINS[op.name]


def test_names_are_told_apart_from_leaves():
    assert not set(ELEMENTWISE) & set(LEAVES)


def test_a_wrong_number_of_operands_is_an_error():
    with pytest.raises(OperandError, match=r"tanh\(x\) takes 1 operand, got 2"):
        ops.tanh(1.0, 2.0)
    with pytest.raises(OperandError, match="expression"):
        ops.tanh("x")


def test_text_reads_back_as_the_same_value():
    g = Graph()
    x, y = g.input("x"), g.input("y")
    at = {"x": 1.7, "y": 0.6}
    names = {**ELEMENTWISE, **at}
    for e in [
        -(x**2) * -y,
        (-x) ** 2 - (y - x) - (x + y),
        x / (y / x) / (x * y) * x / y,
        (x**y) ** x ** (y**x),
        x**-y - (-x) * 3 + y / -(-1 * x),
        ops.where(x < y, x, ops.where(y <= x, y, -x)) * (ops.less(x, y) + 1),
        ops.leaky_relu(y - x, 0.2) ** 3 - abs(y - x) ** 0.5,
        2.0 ** (x - 1) - (-0.5) * x - (-2.0) ** 2,
    ]:
        read = eval(text(e), {"__builtins__": {}}, names)  # noqa: S307
        assert read == evaluate(e, at), text(e)


COMMANDS = set(
    "Gamma arccos arcsin arctan begin bmod cases cdot cos cosh end exp frac ge lceil le left "
    "lfloor log max min ne neg operatorname oplus psi rceil rfloor right sigma sin sinh sqrt sum "
    "tan tanh text top vee wedge".split()
)
"""Of LaTeX and amsmath: what is typeset without a definition of one's own."""


@pytest.mark.parametrize("op", OPERATIONS.values(), ids=OPERATIONS)
def test_latex_needs_no_definitions(op):
    assert set(re.findall(r"\\([a-zA-Z]+)", op.notation["latex"].template)) <= COMMANDS


def test_leaves_are_called_what_they_are():
    assert {name: (op.name, op.arity) for name, op in LEAVES.items()} == {
        name: (name, 0) for name in ("input", "parameter", "constant")
    }
    assert all(" " in op.sentence for op in LEAVES.values())


def test_latex_brackets_what_would_be_misread():
    g = Graph()
    a, b = g.input("a"), g.input("b")
    assert latex(a * -b) == r"a \cdot \left(-b\right)"
    assert latex(-(a * b)) == r"-a \cdot b"
    assert latex(a - -b) == r"a - \left(-b\right)"
    assert latex(-(a + b)) == r"-\left(a + b\right)"
    assert latex((-a) ** 2) == r"{\left(-a\right)}^{2}"
    assert latex(ops.total(a + b)) == r"\sum_{\text{samples}} \left(a + b\right)"
    assert latex(ops.total(a * b) * a) == (r"\left(\sum_{\text{samples}} a \cdot b\right) \cdot a")


@pytest.mark.parametrize(
    "op", [op for op in OPERATIONS.values() if op.rounded], ids=lambda op: op.name
)
def test_what_is_rounded_is_the_same_number_by_number(op):
    """So that arrays need not be gone through one number at a time."""
    draw = random.Random(0)
    numbers = [draw.uniform(-1, 1) * 10.0 ** draw.randrange(-300, 300) for _ in range(2000)]
    numbers += [0.0, -0.0, math.inf, -math.inf, math.nan, 5e-324]
    rows = [numbers[k:] + numbers[:k] for k in range(op.arity)]
    one_by_one = [repr(op.evaluate(*row)) for row in zip(*rows, strict=True)]
    assert [*map(repr, op(*map(np.array, rows)).tolist())] == one_by_one
