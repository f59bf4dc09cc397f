"""Formulas from text: what they mean, what is refused and where the finger points."""

import math
import random

import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from wengert.errors import FormulaError, OperandError, ShapeError
from wengert.graph.evaluation import evaluate
from wengert.graph.expr import Graph
from wengert.notation.parse import FUNCTIONS, MAX_DEPTH, MAX_LENGTH, MAX_NODES, parse
from wengert.ops import scalar as ops

AT = {"a": 0.75, "b": -1.25, "c": 2.0}


def value(text: str, **at: float) -> float:
    expr = parse(text)
    return evaluate(expr, {name: at.get(name, AT.get(name)) for name in expr.graph.leaves})


def refusal(text: str) -> tuple[str, str]:
    """What is said about a text, and the part of it that is pointed at."""
    with pytest.raises(FormulaError) as caught:
        parse(text)
    message, shown, pointer = str(caught.value).splitlines()
    start = pointer.index("^")
    return message, shown[start : start + pointer.count("^")]


operands = st.sampled_from(["a", "b", "c", "2", "3", "0.5", ".25", "1e-1", "4."])


def extended(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("{}{}{}".format, inner, st.sampled_from([" + ", "-", "*", " / ", "**"]), inner),
        st.builds("{}{}".format, st.sampled_from(["-", "+", "--"]), inner),
        st.builds("({})".format, inner),
        st.builds("{}({})".format, st.sampled_from(["tanh", "sin", "exp"]), inner),
    )


@given(st.recursive(operands, extended, max_leaves=8))
def test_meaning_and_precedence_are_those_sympy_reads(text):
    judged = sympy.sympify(text, rational=True).subs(
        {name: sympy.Rational(number) for name, number in AT.items()}
    )
    if judged.has(sympy.zoo, sympy.nan, sympy.oo) or not judged.is_real:
        return
    expected = float(judged.evalf(40))
    found = value(text)
    if 1e-3 < abs(expected) < 1e6 and math.isfinite(found):
        assert found == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-2**2", -4.0),
        ("2**3**2", 512.0),
        ("2**-1", 0.5),
        ("-c**-2", -0.25),
        ("8/4/2", 1.0),
        ("7 - 4 - 2", 1.0),
        ("+c", 2.0),
        ("1_000", 1000.0),
        ("0x10", 16.0),
        ("c > 1", 1.0),
        ("c <= 1", 0.0),
        ("c == 2", 1.0),
        ("c != 2", 0.0),
        ("where(c > 1, 10, 20)", 10.0),
        ("where(c < 1, 10, 20)", 20.0),
        ("maximum(a, c) - minimum(a, c)", 1.25),
        ("abs(b)", 1.25),
        ("leaky_relu(b, 0.2)", -0.25),
        ("leaky_relu(b)", -0.0125),
        ("  c +\n\tc ", 4.0),
        ("(c + c)", 4.0),
    ],
)
def test_value_of_a_formula(text, expected):
    assert value(text) == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_every_function_is_the_operation_of_that_name(name):
    function = FUNCTIONS[name]
    arity = getattr(function, "arity", 1)
    fixed = [2.0] * (len(getattr(function, "statics", ())) - len(getattr(function, "defaults", ())))
    text = f"{name}({', '.join([*'abc'[:arity], *map(str, fixed)])})"
    arguments = [*[AT[letter] for letter in "abc"[:arity]], *fixed]
    if name == "acosh":
        assert value(text, a=1.5) == function(1.5)
    elif name in ("log", "sqrt"):
        assert value(text, a=0.5) == function(0.5)
    else:
        assert value(text) == function(*arguments)


@pytest.mark.parametrize(
    "text",
    [
        "tanh(w*x + b)",
        "(a - b)/(a + b)",
        "a - (b - a)*2",
        "2**x",
        "x**2.5",
        "where(x > 0, x, 0.1*x)",
        "-(x + 1)",
        "x*(-2)",
        "leaky_relu(x, 0.3)",
        "maximum(x, 0) + stop_gradient(y)",
    ],
)
def test_printing_and_parsing_again_gives_the_same_formula(text):
    once = str(parse(text))
    assert str(parse(once)) == once


def test_inputs_are_made_in_order_of_appearance():
    assert list(parse("tanh(w*x + b) - w*y").graph.leaves) == ["w", "x", "b", "y"]


def test_names_are_the_leaves_of_a_given_graph():
    g = Graph()
    w = g.parameter("w", 0.5)
    y = parse("w*x", g)
    assert y.graph is g
    assert y.operands[0] == w
    assert evaluate(y, {"x": 4.0}) == 2.0


def test_numbers_become_nodes_and_are_not_computed():
    y = parse("9**9**9")
    assert y.op is ops.POW
    assert [str(operand) for operand in y.operands] == ["9", "9**9"]


def test_a_written_exponent_is_static():
    assert parse("x**2").op is ops.POW_CONST
    assert parse("x**-2").statics == (-2,)
    assert parse("x**y").op is ops.POW


def test_a_refused_text_changes_nothing():
    g = Graph()
    g.input("x")
    with pytest.raises(FormulaError):
        parse("x + y + new_name*2 + oops(3)", g)
    assert len(g) == 1
    assert list(g.leaves) == ["x"]


@pytest.mark.parametrize(
    ("text", "said", "shown"),
    [
        ("1 + math.sin(x)", "no attributes or modules", "math.sin(x)"),
        ("x.__class__", "no attributes", "x.__class__"),
        ("2*x[0]", "no subscripts", "x[0]"),
        ("__import__('os')", "unknown function '__import__'", "__import__"),
        ("x + eval(y)", "unknown function 'eval'", "eval"),
        ("1 + tahn(x)", "did you mean tan or tanh?", "tahn"),
        ("max(x, 1)", "write maximum(a, b)", "max"),
        ("ln(x)", "write log(x)", "ln"),
        ("x + tanh", "tanh is a function", "tanh"),
        ("(lambda: 3)()", "no lambda", "(lambda: 3)()"),
        ("x if y else z", "write where(condition, a, b)", "x if y else z"),
        ("[i for i in x]", "no comprehension", "[i for i in x]"),
        ("tanh(i for i in x)", "no comprehension", "(i for i in x)"),
        ("tanh(x=3)", "no keyword arguments such as x=", "x=3"),
        ("tanh(**x)", "no keyword arguments such as **", "**x"),
        ("tanh(*x)", "no starred arguments", "*x"),
        ("x, y", "one number, not several", "x, y"),
        ("{x}", "not a set", "{x}"),
        ("(y := x)", "no assignment", "y := x"),
        ("x + 'text'", "no text in quotes", "'text'"),
        ("f'{x}'", "no text in quotes", "f'{x}'"),
        ("x + 2j", "no complex numbers", "2j"),
        ("x * True", "True is not a number; write 1", "True"),
        ("None", "None is not a number", "None"),
        ("x + ...", "... is not a number", "..."),
        ("a < b < c", "no chained comparisons", "a < b < c"),
        ("a is b", "compares with", "a is b"),
        ("x^2", "write ** for a power", "x^2"),
        ("tanh(x, y)", "2 arguments do not fit", "tanh(x, y)"),
        ("leaky_relu(x, y)", "must be a number as written", "y"),
        ("x + 1e999", "too large", "1e999"),
        (f"x + 1{'0' * 309}", "too large", "1" + "0" * 40),
        ("x + " + "a" * 201, "cannot name a leaf", "a" * 40),
        ("x + __x", "cannot name a leaf", "__x"),
        ("x²", "write **2", "²"),
        ("x − 1", "write -", "−"),
        ("\uff58 + 1", "plain ASCII", "\uff58"),
        ("a\u202eb", "U+202E", " "),
        ("x + \x00", "U+0000", " "),
        ("x # + 1", "no #", "#"),
        ("'\\d'", "no \\", "\\"),
        ("1if x else 2", "run together", "1if"),
        ("tanh(x", "never closed", "("),
        ("import os", "not a formula", "i"),
        ("x = 3", "not a formula", "="),
        ("x; y", "not a formula", ";"),
        ("3x", "a product needs its sign", "3x"),
        ("foo(1) + bar(2)", "'foo'", "foo"),
        ("x + " * 300 + "oops(3)", "'oops'", "oops"),
        ("   x + oops(3)", "'oops'", "oops"),
        ("x +\n oops(3)", "'oops'", "oops"),
    ],
)
def test_what_is_refused_and_where_the_finger_points(text, said, shown):
    message, pointed = refusal(text)
    assert said in message
    assert pointed.startswith(shown)


def test_an_unknown_function_lists_those_that_exist():
    assert ", ".join(sorted(FUNCTIONS)) in refusal("zzz(x)")[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        (" \n\t", "empty"),
        ("x" * (MAX_LENGTH + 1), f"{MAX_LENGTH + 1:,} characters"),
        ("+".join(["x"] * (MAX_DEPTH + 1)), f"more than {MAX_DEPTH:,} deep"),
        ("+".join(["x"] * 5_000), "deep"),
        ("-" * 9_999 + "x", "nested too deeply"),
        ("**".join(["x"] * 3_000), "nested too deeply"),
        ("(" * 4_000 + "x" + ")" * 4_000, "nested"),
        ("tanh(" * 300 + "x" + ")" * 300, "nested"),
        ("+".join(["(x+x+x+x+x+x+x+x+x+x)"] * 300), f"more than {MAX_NODES:,}"),
        ("9" * 5_000, "too many digits"),
    ],
)
def test_limits_are_stated(text, said):
    with pytest.raises(FormulaError) as caught:
        parse(text)
    assert said in str(caught.value)


def test_formulas_within_the_limits_are_read():
    assert value("+".join(["c"] * MAX_DEPTH)) == 2.0 * MAX_DEPTH
    assert value(f"{'1' + '0' * 308}") == 1e308


def test_an_error_about_a_long_text_is_short():
    with pytest.raises(FormulaError) as caught:
        parse("x + " * 900 + "oops(3)")
    assert len(str(caught.value)) < 900


@pytest.mark.parametrize("thing", [3, None, b"x", ["x"]])
def test_only_text_is_a_formula(thing):
    with pytest.raises(OperandError, match="formula as text"):
        parse(thing)


@given(st.text(alphabet="xy_0139.+-*/()<>=!,: []{}'\"\\#aeinorlmbdft\n\x00é\u202e", max_size=40))
def test_any_text_is_read_or_refused(text):
    g = Graph()
    try:
        parse(text, g)
    except FormulaError:
        assert len(g) == 0


def test_arrays_that_do_not_fit_leave_the_graph_as_it_was():
    g = Graph()
    g.array("X", 2), g.array("Y", 3)
    with pytest.raises(ShapeError, match="mul: shapes"):
        parse("new*2 + X*Y", g)
    assert list(g.leaves) == ["X", "Y"]
    assert len(g) == 2
    assert parse("new*2 + X", g).shape == (2,)


# -- what people write ----------------------------------------------------------------------------


def test_pi_inf_and_nan_are_numbers_unless_they_are_leaves():
    y = parse("pi*x + inf - nan")
    assert list(y.graph.leaves) == ["x"]
    assert parse("pi").value == math.pi
    g = Graph()
    leaf = g.input("pi")
    assert parse("2*pi", g).operands[1] == leaf


def test_e_is_refused_unless_it_is_a_leaf():
    with pytest.raises(FormulaError, match=r"Euler's number or a leaf; write exp"):
        parse("e**x")
    g = Graph()
    leaf = g.input("e")
    assert parse("e*2", g).operands[0] == leaf


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("2x", r"write 2\*x"),
        ("a + 3.5 * .5y_1", r"write \.5\*y_1"),
        ("2e3x + 1", r"write 2e3\*x"),
        ("2(x + 1)", r"write a\*\(b\)"),
        ("(x + 1)(x - 1)", r"write a\*\(b\)"),
        ("arcsin(x)", r"write asin\(x\)"),
        ("lg(x)", r"write log10\(x\)"),
        ("sgn(x)", r"write sign\(x\)"),
        ("gamma(x)", "lgamma"),
        ("max(x, y)", "maximum"),
    ],
)
def test_hints_say_what_to_write(text, hint):
    with pytest.raises(FormulaError, match=hint):
        parse(text)


@pytest.mark.parametrize("text", ["2e5", "1_000*x", "x2*y3e", "0.5e-3*x"])
def test_numbers_are_no_products(text):
    parse(text)


def test_greek_letters_and_low_digits_are_written_out():
    y = parse("α*x₁ + sin(π*Ω)")
    assert str(y) == f"alpha*x1 + sin({math.pi}*Omega)"
    with pytest.raises(FormulaError, match="plain ASCII"):
        parse("é + 1")


@pytest.mark.parametrize(
    ("text", "at", "wanted"),
    [
        ("x % 3", 7.5, 1.5),
        ("x // 2", -3.0, -2.0),
        ("x > 1 and x < 3", 2.0, 1.0),
        ("x > 1 and x < 3 or x == 7", 7.0, 1.0),
        ("not x", 0.0, 1.0),
        ("where(not x > 1, x, -x)", 2.0, -2.0),
    ],
)
def test_remainders_and_truths(text, at, wanted):
    assert evaluate(parse(text), {"x": at}) == wanted
    again = parse(str(parse(text)))
    assert evaluate(again, {"x": at}) == wanted


@pytest.mark.parametrize(
    ("name", "x", "meaning"),
    [
        ("ln", 2.0, math.log),
        ("square", 3.0, lambda x: x * x),
        ("fabs", -2.0, math.fabs),
        ("expit", 0.3, lambda x: 1 / (1 + math.exp(-x))),
    ],
)
def test_what_is_written_instead_of_a_missing_function_means_the_same(name, x, meaning):
    with pytest.raises(FormulaError) as caught:
        parse(f"{name}(x)")
    written = str(caught.value).partition("write ")[2].splitlines()[0]
    assert evaluate(parse(written), {"x": x}) == pytest.approx(meaning(x), rel=1e-14)


@pytest.mark.parametrize("name", ["erfinv", "trunc", "sech", "isinf", "gamma", "sinc"])
def test_a_function_of_another_meaning_is_no_hint(name):
    with pytest.raises(FormulaError) as caught:
        parse(f"{name}(x)")
    assert "did you mean" not in str(caught.value)


NUMBERS = [0.0, -0.0, 1.0, -1.0, 2.0, -2.5, 1e22, -1e22, 1e-7, 1e300, 5e-324, 0.1, 1e16, -3.0]
STATICS = [2.0, -1.0, 0.5, 3.0, -0.5, 1e-3, 1e22, -2.0, 1.0]


@pytest.mark.parametrize("seed", range(300))
def test_what_is_written_reads_back_and_computes_the_same_floats(seed):
    """Formulas of every elementwise operation, with numbers of every kind in every place."""
    rng = random.Random(seed)
    graph = Graph()
    names = rng.sample(["x", "y", "x_1", "w0_1", "theta", "lambda_", "x1", "a_b_c", "e1"], 2)
    made = [graph.input(name) for name in names]
    for _ in range(rng.randrange(1, 7)):
        op = rng.choice(list(ops.ELEMENTWISE.values()))
        operands = [
            rng.choice(made[-3:]) if rng.random() < 0.7 else graph.constant(rng.choice(NUMBERS))
            for _ in range(op.arity)
        ]
        made.append(op(*operands, *[rng.choice(STATICS) for _ in op.statics]))
    written = str(made[-1])
    read = parse(written)
    assert str(read) == written
    for _ in range(6):
        at = {name: rng.choice([0.0, -0.0, 1.5, -2.0, 0.3]) for name in names}
        wanted = evaluate(made[-1], at)
        found = evaluate(read, {n: x for n, x in at.items() if n in read.graph.leaves})
        assert (found == wanted and math.copysign(1, found) == math.copysign(1, wanted)) or (
            found != found and wanted != wanted
        ), written
