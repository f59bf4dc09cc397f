"""Expressions as text and LaTeX: what is printed is what is computed."""

import ast
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

import wengert as wg
from wengert.arrays.written import written_program
from wengert.cli import main
from wengert.derive.backward import grad
from wengert.graph.evaluation import evaluate
from wengert.graph.expr import Expr, Graph
from wengert.graph.formula import Part, name_latex, number_latex, write
from wengert.graph.numbertext import number_text
from wengert.graph.value import Value
from wengert.graph.written import latex, text
from wengert.notation.parse import parse
from wengert.ops import arrays
from wengert.ops import scalar as ops
from wengert.ops.record import ATOM, SUM, Op, call

NAMES = ("a", "b", "w0_1")
INFIX = {
    ast.Add: ops.ADD,
    ast.Sub: ops.SUB,
    ast.Mult: ops.MUL,
    ast.Div: ops.DIV,
    ast.Mod: ops.MOD,
    ast.Lt: ops.LT,
    ast.LtE: ops.LE,
    ast.Gt: ops.GT,
    ast.GtE: ops.GE,
    ast.Eq: ops.EQ,
    ast.NotEq: ops.NE,
}


def read(tree: ast.expr, g: Graph) -> Expr:
    """The expression that Python's grammar sees in a formula, built anew in `g`."""
    match tree:
        case ast.Constant(value=number):
            return g.constant(number)
        case ast.Name(id=name):
            return g[g.leaves[name]]
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=number)):
            return g.constant(-number)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -read(operand, g)
        case ast.BinOp(left=base, op=ast.Pow(), right=exponent):
            power = read(exponent, g)
            if power.op is ops.CONSTANT:
                return ops.POW_CONST(read(base, g), power.value)
            return ops.POW(read(base, g), power)
        case ast.BinOp(left=left, op=sign, right=right):
            return INFIX[type(sign)](read(left, g), read(right, g))
        case ast.Compare(left=left, ops=[sign], comparators=[right]):
            return INFIX[type(sign)](read(left, g), read(right, g))
        case ast.Call(func=ast.Name(id=name), args=arguments):
            op = ops.ELEMENTWISE[name]
            parts = [read(argument, g) for argument in arguments]
            return op(*parts[: op.arity], *[part.value for part in parts[op.arity :]])
    raise AssertionError(f"not a formula: {ast.dump(tree)}")


def same(left: Expr, right: Expr) -> bool:
    """Whether two expressions have the same tree."""
    pairs = [(left, right)]
    while pairs:
        a, b = pairs.pop()
        if (a.op, a.statics, a.value, len(a.operands)) != (
            b.op,
            b.statics,
            b.value,
            len(b.operands),
        ):
            return False
        if a.is_leaf and a.label != b.label:
            return False
        pairs.extend(zip(a.operands, b.operands, strict=True))
    return True


STEPS = st.lists(
    st.tuples(
        st.sampled_from([*ops.ELEMENTWISE, "constant"]),
        *[st.integers(0, 40)] * 3,
        st.sampled_from([2, 3, -1, 0.5, -1.5, 1e-7, 1e22, 2.0**-40]),
    ),
    min_size=1,
    max_size=12,
)


def built(steps, g: Graph) -> Expr:
    """A random expression in which any operation may stand in any operand of any other."""
    made = [g.input(name) for name in NAMES]
    for name, i, j, k, number in steps:
        if name == "constant":
            made.append(g.constant(number))
            continue
        op = ops.ELEMENTWISE[name]
        operands = [made[n % len(made)] for n in (i, j, k)[: op.arity]]
        # -(3) prints as the constant -3, and x**(3) as the power by the constant 3
        if op is ops.NEG or op is ops.POW:
            operands = [made[0] if o.op is ops.CONSTANT else o for o in operands]
        made.append(op(*operands, *[number for _ in op.statics]))
    return made[-1]


@given(STEPS)
def test_parentheses_keep_the_order_of_evaluation(steps):
    g = Graph()
    y = built(steps, g)
    shown = text(y, 100_000)
    again = read(ast.parse(shown, mode="eval").body, g)
    assert same(again, y), shown
    at = {"a": 0.7, "b": -1.3, "w0_1": 2.9}
    numbers = evaluate([y, again], at)
    assert repr(numbers[0]) == repr(numbers[1])


@pytest.mark.parametrize(
    ("build", "shown"),
    [
        (lambda a, b: a - (b - a) - b, "a - (b - a) - b"),
        (lambda a, b: a + (b + a), "a + (b + a)"),
        (lambda a, b: a / (b * a), "a/(b*a)"),
        (lambda a, b: a / b * a, "a/b*a"),
        (lambda a, b: a * (b / a), "a*(b/a)"),
        (lambda a, b: (-a) ** 2, "(-a)**2"),
        (lambda a, b: -(a**2), "-a**2"),
        (lambda a, b: (a**2) ** 3, "(a**2)**3"),
        (lambda a, b: a ** (b**a), "a**b**a"),
        (lambda a, b: (a**b) ** a, "(a**b)**a"),
        (lambda a, b: a**-b, "a**-b"),
        (lambda a, b: a**-1, "a**-1"),
        (lambda a, b: -(a * b), "-(a*b)"),
        (lambda a, b: -a * b, "-a*b"),
        (lambda a, b: a * -3, "a*-3"),
        (lambda a, b: a - -b, "a - -b"),
        (lambda a, b: (a < b) * 2, "(a < b)*2"),
        (lambda a, b: (a < b) < a, "(a < b) < a"),
        (lambda a, b: a + b < a, "a + b < a"),
        (lambda a, b: ops.WHERE(a > b, a, 1), "where(a > b, a, 1)"),
        (lambda a, b: ops.LEAKY_RELU(a + b, 0.1), "leaky_relu(a + b, 0.1)"),
        (lambda a, b: 0.1 * a + 2.0, "0.1*a + 2"),
    ],
)
def test_formulas_read_as_one_writes_them(build, shown):
    g = Graph()
    assert str(build(g.input("a"), g.input("b"))) == shown


def test_values_print_through_their_history():
    v = Value(2.0, label="v")
    assert text(v * 3 + 1) == "v*3 + 1"


@pytest.mark.parametrize(
    ("number", "plain", "tex"),
    [
        (2.0, "2", "2"),
        (-3, "-3", "-3"),
        (-0.0, "-0.0", "-0.0"),
        (0.1, "0.1", "0.1"),
        (1e15, "1000000000000000", "1000000000000000"),
        (1e16, "1e+16", r"10^{16}"),
        (-2.5e-7, "-2.5e-07", r"-2.5 \cdot 10^{-7}"),
        (math.inf, "inf", r"\infty"),
        (-math.inf, "-inf", r"-\infty"),
        (math.nan, "nan", r"\mathrm{nan}"),
    ],
)
def test_numbers(number, plain, tex):
    assert (number_text(number), number_latex(number)) == (plain, tex)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_printed_number_is_the_number(number):
    assert repr(float(number_text(number))) == repr(number)


# LaTeX --------------------------------------------------------------------------------------------


def unbalanced(tex: str) -> str:
    r"""What does not match in a LaTeX formula: braces, \left and \right, environments."""
    bare = re.sub(r"\\[{}]", "", tex)
    depth = 0
    for sign in re.findall(r"[{}]", bare):
        depth += 1 if sign == "{" else -1
        if depth < 0:
            return "a } too many"
    if depth:
        return "a { too many"
    if len(re.findall(r"\\left\b", bare)) != len(re.findall(r"\\right\b", bare)):
        return "left and right"
    if bare.count(r"\begin{") != bare.count(r"\end{"):
        return "environments"
    return ""


@given(STEPS)
def test_latex_is_balanced(steps):
    g = Graph()
    y = built(steps, g)
    for expr in (y, grad(y.tanh(), g[0], allow_unused=True) if "total" not in str(y) else y):
        assert not unbalanced(latex(expr)), latex(expr)


def test_the_check_of_balance_can_fail():
    faults = [unbalanced(tex) for tex in ("}{", "{", r"\left(x", r"\begin{cases} x", r"x\{")]
    assert faults == ["a } too many", "a { too many", "left and right", "environments", ""]


@pytest.mark.parametrize(
    ("build", "tex"),
    [
        (lambda a, b: (a + b) * a, r"\left(a + b\right) \cdot a"),
        (lambda a, b: (a + b) / (a - b), r"\frac{a + b}{a - b}"),
        (lambda a, b: a ** (b + 1), r"{a}^{b + 1}"),
        (lambda a, b: (-a) ** 2, r"{\left(-a\right)}^{2}"),
        (lambda a, b: a**-1.5, r"{a}^{-1.5}"),
        (lambda a, b: a**1e-20, r"{a}^{10^{-20}}"),
        (lambda a, b: ops.LEAKY_RELU(a, 1e-5).tanh(), None),
        (lambda a, b: ops.SQRT(a + 1), r"\sqrt{a + 1}"),
    ],
)
def test_latex_reads_as_one_writes_it(build, tex):
    g = Graph()
    shown = latex(build(g.input("a"), g.input("b")))
    assert not unbalanced(shown)
    assert tex is None or shown == tex


def test_notebooks_show_the_formula():
    g = Graph()
    assert (g.input("x") / 2)._repr_latex_() == r"$\displaystyle \frac{x}{2}$"


def test_names_in_latex():
    assert name_latex("x") == "x"
    assert name_latex("w12") == "w_{12}"
    assert name_latex("theta0") == r"\theta_{0}"
    assert name_latex("a_b_1") == r"\mathrm{a\_b}_{1}"
    assert name_latex("x_1") == "x_{1}"
    assert name_latex("alpha_2_3") == r"\alpha_{2,3}"
    assert name_latex("lambda_") == r"\lambda"
    assert name_latex("lambda_0") == r"\lambda_{0}"
    assert name_latex("x_") == r"\mathrm{x\_}"
    assert name_latex("x__1") == r"\mathrm{x\_\_}_{1}"
    assert name_latex("_1") == r"\mathrm{\_}_{1}"
    assert name_latex("_") == r"\mathrm{\_}"


HOSTILE = r"\input{/etc/passwd} $%#&~^_ {}} \end{document}"


@pytest.mark.parametrize("name", [HOSTILE, "\n\n\\par", "}" * 9, "\x00\u202e", "é"])
def test_hostile_names_do_nothing_in_latex(name):
    shown = name_latex(name)
    assert not unbalanced(shown)
    commands = set(re.findall(r"\\([a-zA-Z]+)", shown))
    assert commands <= {"mathrm", "textbackslash", "textasciicircum", "textasciitilde"}
    assert "\n" not in shown
    assert not re.search(r"(?<!\\)[$%#&~]", shown)


def test_what_stands_for_a_node_is_bracketed_by_how_tightly_it_binds():
    g = Graph()
    a, b = g.inputs("x", 2)
    product = a * b
    stops = {a.id: Part("-3", SUM), b.id: Part("h", ATOM)}
    assert write(g, product.id, "text", stops.get).written == "(-3)*h"
    assert write(g, product.id, "latex", stops.get).written == r"\left(-3\right) \cdot h"
    # the node that is asked for is written out, whatever stands for it elsewhere
    assert write(g, product.id, "text", {product.id: Part("y")}.get).written == "x0*x1"
    assert write(g, (product + 1).id, "text", {product.id: Part("y")}.get) == Part("y + 1", SUM)


def test_a_number_with_a_power_of_ten_is_bracketed_where_it_is_raised():
    x = Graph().input("x")
    assert latex(1e-7**x) == r"{\left(10^{-7}\right)}^{x}"


def test_operands_past_those_that_a_notation_speaks_of_stand_bare():
    many = Op(
        name="many",
        arity=5,
        evaluate=lambda *numbers: sum(numbers),
        sympy=lambda sp, *symbols: sum(symbols),
        vjp=(None,) * 5,
        notation={"text": call("many", *(f"{{{i}}}" for i in range(5)))},
        sentence="nothing passes",
    )
    g = Graph()
    x = g.input("x")
    made = g.append(many, (x.id, x.id, x.id, (x + 1).id, (-x).id))
    assert text(g[made]) == "many(x, x, x, x + 1, -x)"


# limits -------------------------------------------------------------------------------------------


def test_past_the_limit_the_deepest_parts_become_an_ellipsis():
    g = Graph()
    x = y = g.input("x")
    for _ in range(50):
        y = y * x + 1
    shown = text(y, 12)
    assert shown.count("…") == 1
    assert shown.endswith("*x + 1)*x + 1")
    assert text(y, 10_000).count("x") == 51
    assert not unbalanced(latex(y, 12))
    assert r"\ldots" in latex(y, 12)
    assert text(x * x, 1) == "x*x"


def test_a_doubling_expression_prints_within_bounds():
    g = Graph()
    y = g.input("x")
    for _ in range(200):
        y = y + y
    assert len(str(y)) < 4000
    assert len(repr(y)) < 400
    assert len(latex(y)) < 8000


@pytest.mark.parametrize(
    ("formula", "shown"),
    [
        ("2*(-3)*x", r"2 \cdot \left(-3\right) \cdot x"),
        ("x - (-1)", r"x - \left(-1\right)"),
        ("x*(-y)", r"x \cdot \left(-y\right)"),
        ("-3*x", r"-3 \cdot x"),
        ("x/(-2)", r"\frac{x}{-2}"),
        ("tanh(-x)", r"\tanh\left(-x\right)"),
    ],
)
def test_a_sign_after_another_is_in_brackets_in_latex(formula, shown):
    assert latex(parse(formula)) == shown


def test_in_latex_a_sign_before_another_has_brackets_between():
    g = Graph()
    assert latex(-g.constant(-2.0)) == r"-\left(-2\right)"
    minus = -g.input("x")
    assert latex(-minus) == r"-\left(-x\right)"


@pytest.mark.parametrize(
    ("names", "written"),
    [
        (("x1", "x_1"), ("x_{1}", r"\mathrm{x\_1}")),
        (("alpha_1", "alpha1"), (r"\mathrm{alpha\_1}", r"\alpha_{1}")),
        (("x1_2", "x_1_2"), ("x_{1,2}", r"\mathrm{x\_1\_2}")),
        (("x_1", "x_2"), ("x_{1}", "x_{2}")),
        (("rate1", "rate_1"), (r"\mathrm{rate}_{1}", r"\mathrm{rate\_1}")),
    ],
)
def test_names_that_would_look_alike_are_told_apart(names, written):
    g = Graph()
    a, b = [g.input(name) for name in names]
    assert (latex(a), latex(b)) == written
    assert latex(a * b) == rf"{written[0]} \cdot {written[1]}"


def test_names_that_would_look_alike_are_told_apart_wherever_they_are_shown(capsys):
    graph = Graph()
    plain, joined = graph.input("x1"), graph.input("x_1")
    explained = wg.explain(plain * joined + plain, {plain: 1.0, joined: 2.0}).latex()
    rows, columns = graph.array("w1", (2,)), graph.array("w_1", (2,))
    total = arrays.sum_over(rows * columns.tanh())
    assert r"v_{1} = x_{1} \cdot \mathrm{x\_1}" in explained
    assert r"\frac{\partial L}{\partial \mathrm{x\_1}}" in explained
    assert r"\frac{\partial L}{\partial \mathrm{w\_1}}" in wg.explain(total).latex()
    assert r"{\mathrm{w\_1}}_{i}" in written_program(graph, [total.id]).latex()
    assert main(["grad", "x1*x_1", "--wrt", "x_1", "--latex"]) == 0
    assert r"\partial \mathrm{x\_1}} = x_{1}" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["_", "_x", "x_", "held", "v1", "L", "math", "np", "lambda_"])
def test_a_page_may_have_any_name_for_a_leaf(name):
    leaf = Graph().input(name)
    assert "<math>" in wg.explain((leaf * leaf).tanh() / leaf, {leaf: 0.5}).html()
