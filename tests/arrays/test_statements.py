"""Array programs in index notation: what they mean, how they read, and what is no program."""

import math
import random

import numpy as np
import pytest

from wengert.arrays.indexnotation import Inlined, LatexWriter, Writer
from wengert.arrays.interpret import run
from wengert.arrays.statements import LITERAL, Array, ArrayProgram, Home, Output, Statement
from wengert.errors import (
    InvalidNameError,
    MissingInputError,
    OperandError,
    ShapeError,
    UnknownNameError,
)
from wengert.notation.mathml import from_latex
from wengert.ops.points import extended, holds, points
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
from wengert.ops.scalar import ADD, DIV, EXP, LT, MAXIMUM, MUL, NEG, POW_CONST
from wengert.ops.shapes import BATCH

P, T, C, D = Axis("p", 3), Axis("t", 3), Axis("c", 4), Axis("d", 2)
CAUSAL = AtLeast(Affine(0, (("p", 1), ("t", -1))))


def read(name, *axes):
    return Read(name, tuple(along(a) if isinstance(a, str) else a for a in axes))


def array(name, *shape, **fields):
    return Array(name, shape, **fields)


def leaf(name, *shape, **fields):
    return Array(name, shape, "leaf", **fields)


def program(arrays, statements, outputs, arguments=()):
    return ArrayProgram({a.name: a for a in arrays}, tuple(statements), tuple(outputs), arguments)


ATTENTION = program(
    [
        leaf("q", 3, 4),
        leaf("k", 3, 4),
        leaf("v", 3, 2),
        array("s", 3, 3),
        array("e", 3, 3),
        array("total", 3),
        array("a", 3, 3),
        array("m", 3, 2),
    ],
    [
        Statement(
            "s",
            (P, T),
            Reduce(ADD, (Term(1, (read("q", "p", "c"), read("k", "t", "c"), 0.5), (C,)),)),
            domain=(CAUSAL,),
        ),
        Statement("e", (P, T), Apply(EXP, (read("s", "p", "t"),)), domain=(CAUSAL,)),
        Statement("total", (P,), Reduce(ADD, (Term(1, (read("e", "p", "t"),), (T,), (CAUSAL,)),))),
        Statement(
            "a",
            (P, T),
            Apply(DIV, (read("e", "p", "t"), read("total", "p"))),
            domain=(CAUSAL,),
        ),
        Statement(
            "m",
            (P, D),
            Reduce(ADD, (Term(1, (read("a", "p", "t"), read("v", "t", "d")), (T,), (CAUSAL,)),)),
        ),
    ],
    [Output("m")],
)


def test_each_statement_reads_as_index_notation():
    assert list(map(str, ATTENTION.statements)) == [
        "s[p, t] = Σ_c 0.5·q[p, c]·k[t, c]   for t ≤ p",
        "e[p, t] = exp(s[p, t])   for t ≤ p",
        "total[p] = Σ_{t ≤ p} e[p, t]",
        "a[p, t] = e[p, t]/total[p]   for t ≤ p",
        "m[p, d] = Σ_{t ≤ p} a[p, t]·v[t, d]",
    ]


def test_short_formulas_are_listed_where_they_are_read():
    assert str(ATTENTION) == (
        "e[p, t] = exp(Σ_c 0.5·q[p, c]·k[t, c])   for t ≤ p\n"
        "m[p, d] = Σ_{t ≤ p} e[p, t]·v[t, d]/(Σ_{t' ≤ p} e[p, t'])"
    )


def test_latex_and_html_have_every_statement():
    assert ATTENTION.latex().count("&=") == 2
    assert ATTENTION.html().count("<li>") == 2
    assert ATTENTION.statements[2].latex() == (r"{\mathrm{total}}_{p} = \sum_{t \le p} {e}_{p, t}")
    assert ATTENTION.statements[3].html() == from_latex(
        r"{a}_{p, t} = \frac{{e}_{p, t}}{{\mathrm{total}}_{p}} \quad \text{for } t \le p"
    )
    less = Statement("b", (P,), Apply(LT, (read("x", "p"), 0.0)))
    assert "&lt;" in less.html()


def product(*factors, count=1, over=()):
    return Reduce(ADD, (Term(count, factors, over),))


FORMULAS = [
    (product(read("x", "p"), 0.25, count=2), "0.5·x[p]", r"0.5 \, {x}_{p}"),
    (product(0.5, read("x", "p"), count=2), "x[p]", "{x}_{p}"),
    (product(0.1, read("x", "p"), count=3), "3·0.1·x[p]", r"3 \cdot 0.1 \, {x}_{p}"),
    (product(read("x", "p"), read("quarter"), count=2), "x[p]/2", r"\frac{{x}_{p}}{2}"),
    (product(read("x", "p"), read("minus", "p")), "-x[p]·y[p]", r"-{x}_{p} \, {y}_{p}"),
    (product(read("minus", "p"), count=-1), "y[p]", "{y}_{p}"),
    (product(read("over", "p"), read("z", "p")), "0.25·z[p]/y[p]", None),
    (
        product(read("quarter"), Read("below", (along("p"),)), read("z", "p")),
        "z[p]/(4·y[p])",
        r"\frac{{z}_{p}}{4 \, {y}_{p}}",
    ),
    (product(read("all"), count=2), "2·Σ_c x[c]", r"2 \, \sum_{c} {x}_{c}"),
    (product(read("all"), read("y", "p")), "(Σ_c x[c])·y[p]", None),
    (Apply(DIV, (read("y", "p"), read("over", "p"))), "4·y[p]·y[p]", None),
    (Apply(MUL, (float("inf"), read("y", "p"))), "inf·y[p]", r"\infty \, {y}_{p}"),
    (Apply(DIV, (read("y", "p"), 0.0)), "y[p]/0", r"\frac{{y}_{p}}{0}"),
    (
        Reduce(ADD, (Term(1, (0.25,), (), (Equal(along("p"), Affine(1)),)),)),
        "0.25·[p = 1]",
        r"0.25 \, \left[p = 1\right]",
    ),
    (product(read("minus", "c"), over=(C,)), "-Σ_c y[c]", r"-\sum_{c} {y}_{c}"),
    (
        Reduce(MAXIMUM, (Term(1, (read("minus", "c"),), (C,)),)),
        "max_c -y[c]",
        r"\max_{c} -{y}_{c}",
    ),
]
INLINED = {
    "quarter": Inlined((), Apply(DIV, (1.0, 4.0))),
    "minus": Inlined(("i",), Apply(NEG, (read("y", "i"),))),
    "over": Inlined(("i",), Apply(DIV, (0.25, read("y", "i")))),
    "below": Inlined(("i",), Apply(DIV, (1.0, read("y", "i")))),
    "all": Inlined((), product(read("x", "c"), over=(C,))),
}


@pytest.mark.parametrize(("value", "text", "latex"), FORMULAS)
def test_a_product_is_one_number_and_one_fraction(value, text, latex):
    """Numbers are multiplied where that is exact; a sign stands before all."""
    assert Writer(INLINED).value(value) == text
    if latex is not None:
        assert LatexWriter(INLINED).value(value) == latex


def test_brackets_grow_and_a_power_stands_outside_of_them():
    arrays = {name: Array(name, (3,)) for name in ("x", "t1", "dt1", "dx")}
    arrays["dt1"] = Array("dt1", (3,), adjoint="t1")
    arrays["c"] = Array("c", (2,), LITERAL, values=(1.0, 0.0))
    latex, text = LatexWriter({}, arrays), Writer({}, arrays)
    power = Apply(POW_CONST, (read("t1", "p"),), (-1.5,))
    assert latex.value(power) == r"{\left({t}^{(1)}_{p}\right)}^{-1.5}"
    assert latex.value(Apply(POW_CONST, (read("x", "p"),), (2.0,))) == "{{x}_{p}}^{2}"
    assert latex.element("dt1", ["p"]) == r"{\mathrm{d}t}^{(1)}_{p}"
    assert latex.element("dx", ["p"]) == r"{\mathrm{dx}}_{p}"  # of no adjoint
    chosen = Apply(EXP, (read("c", "p"),))
    assert text.value(chosen) == "exp([1, 0][p])"
    assert latex.value(chosen) == r"\exp\left({\left(1, 0\right)}_{p}\right)"


def test_the_primes_of_an_axis_are_one_superscript():
    second, third = Axis("t'", 3), Axis("t''", 3)
    statement = Statement("y", (second, third), Apply(EXP, (read("x", "t'", "t''"),)))
    assert statement.latex() == (
        r"{y}_{t^{\prime}, t^{\prime\prime}} = "
        r"\exp\left({x}_{t^{\prime}, t^{\prime\prime}}\right)"
    )


def test_attention_computes_what_numpy_does():
    rng = np.random.default_rng(0)
    q, k, v = rng.normal(size=(3, 4)), rng.normal(size=(3, 4)), rng.normal(size=(3, 2))
    weights = np.tril(np.exp(q @ k.T / 2))
    expected = weights / weights.sum(1, keepdims=True) @ v
    (m,) = run(ATTENTION, {"q": q, "k": k, "v": v})
    np.testing.assert_allclose(m, expected, rtol=1e-13)


def test_windows_tables_literals_and_places_are_indices():
    i, a = Axis("i", 3), Axis("a", 2)
    y = Reduce(
        ADD,
        (
            Term(1, (read("w", "a"), read("x", Affine(0, (("i", 2), ("a", 1))))), (a,)),
            Term(-2, (read("c", Table("pick", ("i",), (3,), (2, 0, 2))),)),
        ),
    )
    made = program(
        [
            leaf("w", 2),
            leaf("x", 6),
            Array("c", (3,), "literal", values=(1.0, 2.0, 4.0)),
            array("y", 6),
        ],
        [
            Statement("y", (i,), y, place=(Affine(0, (("i", 2),)),)),
            Statement("y", (i,), Apply(EXP, (0.0,)), place=(Affine(1, (("i", 2),)),)),
        ],
        [Output("y"), Output("y", (3, 2))],
    )
    assert str(made.statements[0]) == "y[2i] = Σ_a w[a]·x[2i + a] - 2·c[pick[i]]"
    assert list(made.tables) == ["pick"]
    w, x = np.array([1.0, 10.0]), np.arange(6.0)
    whole, run_of_two = run(made, {"w": w, "x": x})
    np.testing.assert_array_equal(whole, [10 - 8, 1, 32 - 2, 1, 54 - 8, 1])
    np.testing.assert_array_equal(run_of_two, [1, 30])


def test_a_term_under_a_condition_counts_only_where_it_holds():
    g, p = Axis("g", 4), Axis("p", 3)
    token = Table("token", ("p",), (3,), (2, 0, 2))
    here = Equal(token, along("g"))
    made = program(
        [leaf("x", 3), array("dw", 4), array("one", 3, 4)],
        [
            Statement("dw", (g,), Reduce(ADD, (Term(1, (read("x", "p"),), (p,), (here,)),))),
            Statement("one", (p, g), Reduce(ADD, (Term(1, (1.0,), (), (here,)),))),
        ],
        [Output("dw"), Output("one")],
    )
    assert str(made) == "dw[g] = Σ_{token[p] = g} x[p]\none[p, g] = [token[p] = g]"
    dw, one = run(made, {"x": [1.0, 2.0, 4.0]})
    np.testing.assert_array_equal(dw, [2, 0, 5, 0])
    np.testing.assert_array_equal(one, np.eye(4)[[2, 0, 2]])


def test_a_maximum_runs_over_its_axes_and_terms():
    made = program(
        [leaf("x", 3, 4), array("m", 3)],
        [
            Statement(
                "m",
                (P,),
                Reduce(MAXIMUM, (Term(1, (read("x", "p", "c"),), (C,)), Term(1, (0.5,)))),
            )
        ],
        [Output("m")],
    )
    assert str(made) == "m[p] = max(max_c x[p, c], 0.5)"
    x = np.arange(12.0).reshape(3, 4) - 8
    np.testing.assert_array_equal(run(made, {"x": x})[0], [0.5, 0.5, 3])


def test_leaves_come_by_name_by_argument_and_from_scalars():
    names = tuple(f"w_{i}_{j}" for i in range(2) for j in range(2))
    made = program(
        [
            leaf("params", 5, elements=("w_0_0", "w_0_1", "b", "w_1_0", "w_1_1")),
            leaf("w", 2, 2, elements=names, home=Home("params", (0, 1, 3, 4))),
            array("y", 2, 2),
        ],
        [
            Statement(
                "y",
                (Axis("i", 2), Axis("j", 2)),
                Apply(POW_CONST, (read("w", "i", "j"),), (2.0,)),
            )
        ],
        [Output("y")],
        ("params",),
    )
    assert str(made) == "y[i, j] = w[i, j]**2"
    expected = np.array([[1.0, 4.0], [16.0, 25.0]])
    scalars = dict(zip(names, [1.0, 2.0, 4.0, 5.0], strict=True))
    for given in ({"params": [1, 2, 3, 4, 5]}, {"w": [[1, 2], [4, 5]]}, {**scalars, "b": 3}):
        np.testing.assert_array_equal(run(made, given)[0], expected)
    assert made.arrays["w"].home.strides((2, 2)) == (0, (3, 1))
    with pytest.raises(MissingInputError, match="w_0_0"):
        run(made, {})


def test_a_batch_is_one_more_axis():
    n, c = Axis("n", BATCH), Axis("c", 2)
    made = program(
        [
            leaf("x", BATCH, 2, elements=("x0", "x1")),
            leaf("w", 2),
            array("y", BATCH),
            array("total"),
        ],
        [
            Statement(
                "y",
                (n,),
                Reduce(ADD, (Term(1, (read("w", "c"), read("x", "n", "c")), (c,)),)),
            ),
            Statement("total", (), Reduce(ADD, (Term(1, (read("y", "n"),), (n,)),))),
        ],
        [Output("y"), Output("total")],
    )
    y, total = run(made, {"x": [[1, 2], [3, 4], [5, 6]], "w": [10, 1]})
    np.testing.assert_array_equal(y, [12, 34, 56])
    assert total == 102


def test_a_vector_that_nothing_writes_consists_of_its_parts():
    made = program(
        [
            array("grad", 3),
            leaf("x", 2),
            array("dw", 2, home=Home("grad", (2, 0))),
            array("db", home=Home("grad", (1,))),
            array("twice", 3),
        ],
        [
            Statement("dw", (D,), Apply(EXP, (read("x", "d"),))),
            Statement("db", (), Apply(EXP, (0.0,))),
            Statement("twice", (P,), Apply(MUL, (2.0, read("grad", "p")))),
        ],
        [Output("grad"), Output("twice")],
    )
    grad, twice = run(made, {"x": [0.0, 1.0]})
    np.testing.assert_allclose(grad, [np.e, 1, 1])
    np.testing.assert_allclose(twice, 2 * grad)


def test_what_no_statement_writes_is_nan():
    made = program(
        [leaf("x", 3), array("y", 3)],
        [Statement("y", (D,), Apply(EXP, (read("x", "d"),)))],
        [Output("y")],
    )
    assert np.isnan(run(made, {"x": [0.0, 0.0, 0.0]})[0]).tolist() == [False, False, True]


def test_points_are_those_where_all_conditions_hold():
    among = Among("some", ("p", "t"), ((0, 0), (2, 1), (1, 2)))
    found = points([P, T], [CAUSAL, among])
    assert found["p"].tolist() == [0, 2]
    assert found["t"].tolist() == [0, 1]


def test_a_sum_over_all_others_reads_as_it_is_written():
    others = Unequal(Affine(0, (("p", 1), ("t", -1))))
    total = Reduce(ADD, (Term(1, (read("s", "p", "t"),), (T,), (others,)),))
    statement = Statement("total", (P,), total)
    assert str(statement) == "total[p] = Σ_{t ≠ p} s[p, t]"
    assert statement.latex() == r"{\mathrm{total}}_{p} = \sum_{t \ne p} {s}_{p, t}"
    assert "<mi>t</mi><mo>≠</mo><mi>p</mi>" in statement.html()


def random_condition(rng, axes):
    def index():
        names = rng.sample([*axes], rng.randint(0, min(3, len(axes))))
        if rng.random() < 0.3:
            lengths = tuple(axes[name] for name in names)
            values = tuple(rng.randint(0, 3) for _ in range(math.prod(lengths)))
            return Table("table", tuple(names), lengths, values)
        return Affine(
            rng.randint(-3, 3), tuple((name, rng.choice([-2, -1, 1, 3])) for name in names)
        )

    kind = rng.randrange(3)
    if kind == 0:
        affine = Affine(rng.randint(-3, 3), tuple((a, rng.choice([-2, 1, 3])) for a in axes))
        return rng.choice([AtLeast, Unequal])(affine)
    if kind == 1:
        return Equal(index(), index())
    names = tuple(rng.sample([*axes], rng.randint(1, len(axes))))
    return Among(
        "points",
        names,
        tuple(tuple(rng.randint(0, 3) for _ in names) for _ in range(rng.choice([0, 5]))),
    )


@pytest.mark.parametrize("seed", range(60))
def test_points_are_those_of_the_grid_in_its_order(seed):
    rng = random.Random(seed)
    axes = {name: rng.randint(1, 4) for name in "abcd"[: rng.randint(1, 4)]}
    domain = [random_condition(rng, axes) for _ in range(rng.randint(1, 3))]
    grid = points([Axis(*axis) for axis in axes.items()])
    chosen = np.all([holds(condition, grid) for condition in domain], axis=0)
    outer = rng.randint(0, len(axes))
    names = [Axis(*axis) for axis in axes.items()]
    known = points(names[:outer])
    found, rows = extended(known, names[outer:], domain)
    for name in axes:
        np.testing.assert_array_equal(found[name], grid[name][chosen])
    for name in known:
        np.testing.assert_array_equal(found[name], known[name][rows])


def test_what_conditions_leave_of_a_grid_is_found_without_the_grid():
    i, j, k = (Axis(name, 10**5) for name in "ijk")
    band = [AtLeast(Affine(0, (("i", 1), ("j", -1)))), AtLeast(Affine(2, (("j", 1), ("i", -1))))]
    listed = Among("points", ("k", "j"), ((7, 99_998), (5, 3), (5, 99_999)))
    assert len(points([i, j], band)[""]) == 3 * 10**5 - 3
    found = points([i, j, k], [*band, listed])
    assert found["i"].tolist() == [3, 4, 5, 99_998, 99_999, 99_999]
    assert found["j"].tolist() == [3, 3, 3, 99_998, 99_998, 99_999]
    assert found["k"].tolist() == [5, 5, 5, 7, 7, 5]


X = [leaf("x", 3), array("y", 3)]
READ_X = Apply(EXP, (read("x", "p"),))


@pytest.mark.parametrize(
    ("arrays", "statement", "error", "match"),
    [
        (X, Statement("z", (P,), READ_X), UnknownNameError, "z"),
        (X, Statement("x", (P,), READ_X), OperandError, "is a leaf"),
        (X, Statement("y", (P,), Apply(EXP, (read("u", "p"),))), UnknownNameError, "u"),
        (X, Statement("y", (P,), Apply(EXP, (read("x"),))), ShapeError, "0 indices for x"),
        (X, Statement("y", (P,), Apply(EXP, (read("x", "t"),))), UnknownNameError, "axis"),
        (X, Statement("y", (P,), Apply(EXP, ())), OperandError, "0 operands"),
        (X, Statement("y", (P,), Apply(EXP, ("x",))), OperandError, "neither read nor number"),
        (X, Statement("y", (P,), Reduce(DIV, (Term(1, (1.0,)),))), OperandError, "div of 1"),
        (X, Statement("y", (P,), Reduce(ADD, ())), OperandError, "add of 0 terms"),
        (X, Statement("y", (P,), Reduce(MAXIMUM, (Term(2, (1.0,)),))), OperandError, "once"),
        (X, Statement("y", (P, P), READ_X, (along("p"),)), InvalidNameError, "two axes"),
        (X, Statement("y", (Axis("p", 0),), READ_X), ShapeError, "length 0"),
        (X, Statement("y", (P,), READ_X, domain=(CAUSAL,)), UnknownNameError, "axis"),
        (
            X,
            Statement("y", (P,), Apply(EXP, (read("x", Table("t", ("p",), (3,), (0, 1))),))),
            ShapeError,
            "table t of 2 numbers",
        ),
        (
            X,
            Statement("y", (P,), READ_X, domain=(Among("a", ("p",), ((1, 2),)),)),
            ShapeError,
            "another length",
        ),
        (X, Statement("y", (P,), Apply(EXP, (read("y", "p"),))), OperandError, "before"),
        ([leaf("x", 3, elements=("a",)), array("y", 3)], None, ShapeError, "1 elements"),
        ([*X, Array("c", (2,), "constant")], None, InvalidNameError, "of kind"),
        ([*X, array("w", 2, home=Home("x", (1, 3)))], None, ShapeError, "does not fit"),
        ([leaf("x", BATCH), array("y", 3)], Statement("y", (P,), READ_X), ShapeError, "samples"),
    ],
)
def test_what_is_no_program_is_said(arrays, statement, error, match):
    statement = statement or Statement("y", (P,), READ_X)
    with pytest.raises(error, match=match):
        program(arrays, [statement], [Output("y")])


def test_outputs_are_elements_that_are_computed():
    good = Statement("y", (P,), READ_X)
    with pytest.raises(ShapeError, match="no place 3"):
        program(X, [good], [Output("y", (3,))])
    with pytest.raises(OperandError, match="no statement"):
        program([*X, array("z")], [good], [Output("z")])


def test_two_tables_of_one_name_are_an_error():
    first = read("x", Table("t", ("p",), (3,), (0, 1, 2)))
    other = read("x", Table("t", ("p",), (3,), (2, 1, 0)))
    with pytest.raises(InvalidNameError, match="two tables"):
        program(X, [Statement("y", (P,), Apply(MUL, (first, other)))], [Output("y")])


def test_an_index_past_its_axis_is_an_error():
    shifted = read("x", Affine(1, (("p", 1),)))
    made = program(X, [Statement("y", (P,), Apply(EXP, (shifted,)))], [Output("y")])
    with pytest.raises(ShapeError, match="from 1 to 3 into an axis of length 3"):
        run(made, {"x": [0, 0, 0]})
