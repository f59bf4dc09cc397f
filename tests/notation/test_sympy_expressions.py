"""Expressions of the kinds that sympy's printers and code generators are tried on.

Each is judged by sympy's own numbers, and so is what comes back from `to_sympy`.
"""

import random

import pytest
import sympy
from sympy.codegen import cfunctions, numpy_nodes, scipy_nodes

import wengert as wg

NAMES = {
    **vars(sympy),
    **{name: sympy.Symbol(name) for name in "a b c x y z".split()},
    **{name: getattr(cfunctions, name) for name in "expm1 log1p exp2 log2 log10 fma".split()},
    **{name: getattr(cfunctions, name) for name in "Sqrt Cbrt hypot".split()},
    **{name: getattr(numpy_nodes, name) for name in ("logaddexp", "logaddexp2")},
    **{name: getattr(scipy_nodes, name) for name in ("cosm1", "powm1")},
}
"""What the expressions are written with."""

ARITHMETIC = """
    x + y; x - y; x*y; x/y; -x; 1/x; x + 1; 2*x; x/2; -x/y; x - (y - z); x/(y/z); x/(y*z)
    x*(y + z); (x + y)*z; -(x + y); 3*x/4; Rational(2, 3)*x; x + Rational(1, 3)
    1.5*x - 2.25; x*1e-20; 1e20*x; x + pi; E*x; pi/2 - x; GoldenRatio*x; Catalan + x
    EulerGamma - x; x + y + z + a + b + c; x*y*z*a*b*c; x - y + z - a; (x + y)*(x - y)
    (a + b)/(a - b - 5); x*(1 - x)*(1 - y); 2*(3*(x + 4) + 5) + 6; x*y/z + z*y/x - 1
    Mul(2, x + 1, evaluate=False); Add(x, x, evaluate=False); Mul(x, 1/y, evaluate=False)
"""

POWERS = """
    x**2; x**3; x**20; x**-1; x**-2; x**-3.5; x**0.5; sqrt(x); 1/sqrt(x); x**Rational(3, 2)
    x**Rational(1, 3); x**Rational(-2, 3); x**y; x**(y**3); x**(-y); 2**x; 10**x; 2**(x*y)
    (x + y)**2; (x*y)**3; (x/y)**2.5; -x**2; (-x)**2; (-x)**3; x**pi; pi**x; sqrt(x + y)
    sqrt(x)/sqrt(y); sqrt(2)*x; sqrt(x**2 + y**2); 1/(1 + x**2); x**2*y**3/z**4; cbrt(x)
    root(x, 5); (x**2)**y; exp(x)**y; x**2.0 + y**3.0; 1/(x**2 + 1)**2; (x + 1)**10
"""

FUNCTIONS = """
    sin(x); cos(x); tan(x); cot(x); sec(x); csc(x); asin(x); acos(x); atan(x); acot(x + 1)
    asec(x + 1); acsc(x + 1); sinh(x); cosh(x); tanh(x); coth(x); sech(x); csch(x); asinh(x)
    acosh(x + 1); atanh(x/2); acoth(x + 1); asech(x); acsch(x); exp(x); exp(-x**2); log(x)
    log(x, 2); log(x, 10); log(x, 3); log(x*y); log(1 + x); exp(x) - 1; erf(x); erfc(x)
    gamma(x); loggamma(x); digamma(x); polygamma(1, x); factorial(x); sinc(x); sign(x); Abs(x)
    Abs(x - y); atan2(y, x); atan2(-y, x - 1); floor(x*10); ceiling(x*10); frac(3*x)
    Mod(10*x, 3); Mod(x, y); beta(x, y); Heaviside(x - y); Heaviside(x, 1); re(x); binomial(x, 2)
    Max(x, y); Min(x, y); Max(x, y, z); Min(x, y, z, 2); Max(x, Min(y, z)); Max(1, x) + 2*Min(0, y)
    LambertW(0) + x; sign(x - y)*sqrt(Abs(x - y)); exp(I*pi)*x; conjugate(3)*x
"""

PIECES = """
    Piecewise((x, x < 1), (x**2, True)); Piecewise((x, x < y), (y, True)) + z
    Piecewise((1, x < 0.3), (x, x <= 0.6), (x**2, True)); 2*Piecewise((x, x > y), (y, True))
    Piecewise((sin(x), x > 0.5), (cos(x), x > 0.3), (tan(x), True))
    Piecewise((Piecewise((x, y > 0.5), (y, True)), z > 0.5), (0, True))
    Piecewise((x, And(x > y, y > 0.2)), (z, True)); Piecewise((x, Or(x > y, z > y)), (y, True))
    Piecewise((x, Not(x > y)), (y, True)); Piecewise((x, Eq(x, y)), (y, True))
    Piecewise((x, Ne(x, y)), (y, True)); Piecewise((x, Xor(x > y, y > z)), (z, True))
    Piecewise((x, Interval(0.2, 0.6).contains(x)), (y, True))
    Piecewise((x, (x > y) & (y > z)), (1, True))
    Piecewise((x, ITE(x > 0.5, y > 0.5, z > 0.5)), (y, True))
    1/Piecewise((x, x > 0.5), (y, True)); Piecewise((x, x < 1), (y, x < 2), (z, True))**2
    sin(Piecewise((x, x > 0.5), (1 - x, True))); Piecewise((exp(-1/x), x > 0), (0, True))
"""

SUMS = """
    Sum(x**a, (a, 0, 5)); Product(x + a, (a, 1, 4)); Sum(a*x/b, (a, 1, 3), (b, 1, 2))
    Sum(x**a/factorial(a), (a, 0, 10)); Derivative(sin(x)*y, x); Derivative(x**3*y, x, x)
    Derivative(exp(x*y), x, y); Integral(x**2*y, (x, 0, z)); Integral(cos(x), x)
    Limit(sin(a*x)/a, a, 0)
    Subs(x**2 + y, x, z + 1); Matrix([[x, y], [z, 1]]).det(); Matrix([[x, 1], [y, z]]).trace()
    (Matrix([[x, y]])*Matrix([z, 1]))[0]; Matrix([x, y, z]).norm()
    Matrix([x, y]).dot(Matrix([y, z]))
    KroneckerDelta(2, 2)*x; Poly(x**3 + 2*x - 1, x).as_expr(); horner(3*x**3 + x**2 - x + 1)
"""

CODE = """
    expm1(x); log1p(x); exp2(x); log2(x); log10(x); fma(x, y, z); Sqrt(x); Cbrt(x); hypot(x, y)
    logaddexp(x, y); logaddexp2(x, y); cosm1(x); powm1(x, y); expm1(x*y) + log1p(-x/2)
"""

COMPOUND = """
    (sin(x) + cos(y) + tan(z))**7; cos(cos(cos(cos(cos(cos(cos(cos(x + y + z))))))))
    sin(sin(sin(sin(sin(sin(sin(x))))))); exp(-(x - y)**2/(2*z**2))/(z*sqrt(2*pi))
    1/(1 + exp(-x)); log(1 + exp(x)); x/(1 + exp(-x)); log(exp(x) + exp(y))
    tanh(x)*(1 - tanh(x)**2)
    sqrt(x**2 + y**2 + z**2); atan2(sqrt(x**2 + y**2), z); a*exp(-b*x)*cos(c*x)
    (x**2 + y - 11)**2 + (x + y**2 - 7)**2; 100*(y - x**2)**2 + (1 - x)**2
    -20*exp(-0.2*sqrt((x**2 + y**2)/2)) - exp((cos(2*pi*x) + cos(2*pi*y))/2) + 20 + E
    4*a*((b/x)**12 - (b/x)**6); a*(1 - exp(-b*(x - c)))**2
    x*log(x/y) + (1 - x)*log((1 - x)/(1 - y))
    (1 - sqrt(1 - 4*x*y/25))/(2*x); x**3/3 - y**2*x + z; log(sqrt(x)*exp(y)/z)
    expand((x + I*y)*(x - I*y)); expand((x + y)**6); 2*gamma(x - 3)/gamma(-y); beta(x, y - 2)
    factor(x**3 - y**3); simplify(sin(x)**2 + 2*cos(x)**2)
    besselj(0, 0)*x; sin(x)**2/cos(y)**2; sinh(x)/cosh(y) - tanh(z); (x**y)**z; sqrt(sqrt(x))
    x**(1/(1 + y)); erf(x/sqrt(2))/2 + Rational(1, 2); x*(1 + erf(x/sqrt(2)))/2
    sqrt(pi)*erf(x)/2; exp(exp(x/2)/3); log(log(x + 2)); Abs(sin(5*x)); floor(sin(7*x)*3)
    x*Heaviside(x - y) + y*Heaviside(y - x); Max(0, x - y)**2 + Min(0, x - z)**2
    cos(x)*Derivative(x*sin(y), y); series(exp(x), x, 0, 6).removeO(); diff(atan(x*y)*log(z), x)
    diff(x**y, y); integrate(x*exp(x*y), x); solve(x*a**2 - y, a)[1]; pi*x**2*z/3; x % y + y % x
"""

GROUPS = (ARITHMETIC, POWERS, FUNCTIONS, PIECES, SUMS, CODE, COMPOUND)
TEXTS = [text.strip() for group in GROUPS for text in group.replace("\n", ";").split(";")]
TEXTS = [text for text in TEXTS if text]


def number(expression, at):
    """What sympy computes, or None where that is no real number."""
    found = sympy.N(sympy.expand_func(expression.doit()).subs(at), 30)
    return float(found) if found.is_real and found.is_finite else None


def test_there_are_many():
    assert len(TEXTS) == len(set(TEXTS)) > 240


@pytest.mark.parametrize("text", TEXTS)
def test_it_is_read_and_comes_back(text):
    expression = sympy.sympify(text, locals=NAMES)
    found = wg.from_sympy(expression)
    again = wg.from_sympy(wg.to_sympy(found))
    draw, judged = random.Random(text), 0
    for _ in range(3):
        at = {name: draw.uniform(0.1, 0.9) for name in ("a", "b", "c", "x", "y", "z")}
        expected = number(expression, {NAMES[name]: value for name, value in at.items()})
        if expected is None:
            continue
        judged += 1
        for e in (found, again):
            given = {name: at[name] for name in e.graph.leaves}
            assert wg.evaluate(e, given) == pytest.approx(expected, rel=1e-10, abs=1e-13)
    assert judged
