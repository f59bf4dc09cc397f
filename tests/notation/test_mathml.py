"""Formulas as MathML: read back as arithmetic, they are still the same formulas."""

import math
import random
from xml.etree import ElementTree

import pytest
from strategies import SMOOTH_OR_KINKED, random_recipe

from wengert.graph.evaluation import evaluate
from wengert.graph.expr import Graph
from wengert.notation.mathml import from_latex, mathml
from wengert.ops import scalar as ops

FUNCTIONS = {
    "tanh": math.tanh,
    "exp": math.exp,
    "log": math.log,
    "log1p": math.log1p,
    "expm1": math.expm1,
    "sin": math.sin,
    "cos": math.cos,
    "σ": lambda x: 1 / (1 + math.exp(-x)),
    "softplus": lambda x: math.log1p(math.exp(x)),
    "relu": lambda x: max(x, 0),
    "leaky": lambda x: x if x > 0 else 0.25 * x,
    "max": max,
    "min": min,
    "sqrt": math.sqrt,
    "cbrt": math.cbrt,
    **{name: getattr(math, name) for name in ("tan", "sinh", "cosh", "erf", "erfc")},
    "abs": abs,
}
SAME = {"add", "sub", "mul", "div", "neg", "pow", "pow_const", "sigmoid", "leaky_relu", "abs"}
SIGNS = {"·": "*", "−": "-", "≤": "<=", "≥": ">=", "⁡": "", "⁢": "*", "=": "=="}


READ = [
    op for op in SMOOTH_OR_KINKED if op.name in {*FUNCTIONS, *SAME, "maximum", "minimum", "cbrt"}
]


def arithmetic(element):
    """MathML as Python would write it, brackets only where the page shows some."""
    children = list(element)
    tag = element.tag
    if tag == "mfrac":
        return f"(({arithmetic(children[0])})/({arithmetic(children[1])}))"
    if tag == "msqrt":
        return f"sqrt({''.join(map(arithmetic, children))})"
    if tag == "mroot":
        return f"cbrt({arithmetic(children[0])})"
    if tag == "msup":
        return f"{arithmetic(children[0])}**({arithmetic(children[1])})"
    if tag == "msub":
        base, below = ("".join(child.itertext()) for child in children)
        return "leaky" if base == "leaky_relu" else base + below.replace(",", "_")
    if tag == "mtable":
        (then, condition), (otherwise, _) = ([*row] for row in children)
        test = arithmetic(condition)
        return f"(({arithmetic(then)}) if ({test}) else ({arithmetic(otherwise)}))"
    if tag == "mtext":
        return ""
    if tag == "mo" and element.text == "{":
        return ""
    if not children:
        text = element.text or ""
        return SIGNS.get(text, text)
    inner = [arithmetic(child) for child in children]
    if inner[0] == inner[-1] == "|":
        inner = ["abs(", *inner[1:-1], ")"]
    return "".join(inner)


@pytest.mark.parametrize("seed", range(60))
def test_what_is_shown_computes_the_same_number(seed):
    rng = random.Random(seed)
    point = [rng.uniform(0.3, 2.0) for _ in range(3)]
    g = Graph()
    x = g.inputs("x", 3)
    out = random_recipe(rng, [point], 6, READ).follow(x)
    shown = arithmetic(ElementTree.fromstring(mathml(out)))
    names = {f"x{i}": number for i, number in enumerate(point)}
    at = dict(zip(x, point, strict=True))
    assert eval(shown, {**FUNCTIONS, **names}) == pytest.approx(  # noqa: S307
        evaluate([out], at)[0], rel=1e-9
    ), shown


def test_every_operation_is_shown_whole():
    g = Graph()
    for op in ops.ELEMENTWISE.values():
        out = op(*g.inputs(f"{op.name}_", op.arity), *[2.0] * len(op.statics))
        shown = mathml(out)
        ElementTree.fromstring(shown)
        assert "\\" not in shown
        assert shown.count("<mn>") >= op.arity


@pytest.mark.parametrize(
    ("latex", "expected"),
    [
        (r"\frac{1}{2}", "<mfrac><mn>1</mn><mn>2</mn></mfrac>"),
        (r"w_{0,1}", "<msub><mi>w</mi><mrow><mn>0</mn><mo>,</mo><mn>1</mn></mrow></msub>"),
        (r"\mathrm{a\_<b>}", "<mi>a_&lt;b&gt;</mi>"),
        (r"a - -b", '<mi>a</mi><mo>−</mo><mo form="prefix">−</mo><mi>b</mi>'),
        (r"x \left(y\right)", None),
        (r"1.5 \cdot 10^{-7}", None),
        (r"a \odot b \oslash c", "<mi>a</mi><mo>⊙</mo><mi>b</mi><mo>⊘</mo><mi>c</mi>"),
        ("=", '<mo lspace="0.28em" rspace="0.28em">=</mo>'),
        (r"\unknown x", "<mo>unknown</mo><mi>x</mi>"),
        (r"\frac{a", None),
        (r"}}}", ""),
        (r"a_", None),
        (r"\left", None),
        (r"{" * 5000 + "x" + "}" * 5000, "<mi>x</mi>"),
    ],
)
def test_latex_becomes_well_formed_mathml(latex, expected):
    shown = from_latex(latex)
    ElementTree.fromstring(shown)
    if expected is not None:
        assert shown == f"<math>{expected}</math>"


def test_a_product_is_told_from_a_function():
    assert "&#x2062;" in from_latex(r"x \left(y + 1\right)")
    assert "&#x2061;" in from_latex(r"\tanh{\left(y \right)}")
    assert "&#x2061;" in from_latex(r"\tanh^{2}{\left(y \right)}")


def test_a_function_after_a_factor_stands_apart():
    assert "mspace" in from_latex(r"2 x \tanh{\left(y \right)}")
    assert "mspace" not in from_latex(r"\tanh{\left(x \right)} + 2 x")


def test_brackets_grow_around_what_is_tall_alone():
    assert 'stretchy="false"' in from_latex(r"\left(a + b\right)")
    for tall in (r"\frac{a}{b}", r"\sqrt{a}", r"\begin{cases} a & b \\ c & d \end{cases}"):
        assert "stretchy" not in from_latex(rf"\left({tall}\right)")


def test_the_transpose_of_an_array_is_a_sign():
    sign = "\N{DOWN TACK}"
    assert from_latex(r"W^{\top}") == f"<math><msup><mi>W</mi><mi>{sign}</mi></msup></math>"


def test_a_slot_is_bracketed_only_where_a_formula_needs_it():
    asked = []

    def slot(place, bracketed):
        asked.append((place, bracketed))
        return "<mn>s</mn>"

    shown = from_latex(r"\left(\slot{1}\right) \cdot \slot{2} + \tanh\left(\slot{3}\right)", slot)
    ElementTree.fromstring(shown)
    # the last answer for a place is the one that is used
    assert dict(asked) == {"1": True, "2": False, "3": False}
    assert shown.count("<mo fence") == 2


def test_an_index_with_a_prime_and_a_number_above_stand_one_over_the_other():
    markup = from_latex(r"\max_{j^{\prime}} {t}^{(6)}_{i, j^{\prime}}")
    assert "prime" not in markup
    assert markup.count("<mo>′</mo>") == 2
    assert "<msubsup><mi>t</mi><mrow><mi>i</mi>" in markup
    assert '<mspace width="0.17em"></mspace><msubsup>' in markup
