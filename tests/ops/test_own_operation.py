"""Operations, rules and targets made outside the package: a record is all an operation needs."""

import ast
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import wengert as wg
from wengert.arrays import sum_over
from wengert.ops import POWER, PRODUCT, Notation, Op, call, ieee, intervals, ufunc
from wengert.ops import scalar as table
from wengert.ops.intervals import Interval
from wengert.ops.table import OPERATIONS
from wengert.simplify.rules import prove
from wengert.testing import RUNNABLE, check_agreement, check_operation

SQUARE = Op(
    name="square",
    arity=1,
    evaluate=lambda x: x * x,
    sympy=lambda sp, x: x**2,
    vjp=(lambda ct, out, x: ct * (2 * x),),
    notation={
        "latex": Notation("{{{0}}}^2", POWER, (POWER + 1,)),
        **dict.fromkeys(("python", "javascript"), Notation("{0}*{0}", PRODUCT, (PRODUCT + 1,))),
        "numpy": ufunc("square"),
    },
    sentence="the square passes the cotangent times twice its operand",
    domain=((-3.0, 3.0),),
    interval=lambda a: intervals.power(a, 2),
)


def _hypot(a, b):
    try:
        return math.hypot(a, b)
    except OverflowError:
        return math.inf


HYPOT = Op(
    name="span",
    arity=2,
    evaluate=_hypot,
    sympy=lambda sp, a, b: sp.sqrt(a**2 + b**2),
    vjp=(lambda ct, out, a, b: ct * (a / out), lambda ct, out, a, b: ct * (b / out)),
    notation={
        "python": call("hypot", "{0}", "{1}"),
        "javascript": call("Math.hypot", "{0}", "{1}"),
        "numpy": ufunc("hypot", "{0}", "{1}"),
    },
    sentence="each leg gets its share of the length",
    domain=((0.5, 3.0), (0.5, 3.0)),
    absorbs_nan=True,
    commutative=True,
    cost={"python": 40.0},
)


def bent(x, alpha):
    """Python's version, carried by generated code."""
    return x if x > 0.0 else alpha * math.expm1(x)


def bent_of_arrays(x, alpha):
    """NumPy's version."""
    return np.where(x > 0.0, x, alpha * np.expm1(np.minimum(x, 0.0)))


ELU = Op(
    name="bent",
    arity=1,
    evaluate=bent,
    sympy=lambda sp, x, alpha: sp.Piecewise((x, x > 0), (alpha * (sp.exp(x) - 1), True)),
    vjp=(lambda ct, out, x, alpha: table.where(x > 0, ct, ct * (alpha * table.exp(x))),),
    notation={
        "python": call("bent", "{0}", "{alpha}", define=bent),
        "javascript": call(
            "bent",
            "{0}",
            "{alpha}",
            define="function bent(x, alpha) {\n    return x > 0 ? x : alpha * Math.expm1(x);\n}",
        ),
        "numpy": call("bent_of_arrays", "{0}", "{alpha}", define=bent_of_arrays),
    },
    sentence="above 0 the cotangent passes, below it shrinks",
    domain=((-3.0, 3.0),),
    statics=("alpha",),
    defaults=(1.0,),
    kink="the slope from below at 0",
)

HARD_TANH = Op(
    name="bounded",
    arity=1,
    evaluate=lambda x: -1.0 if x < -1.0 else 1.0 if x > 1.0 else x,
    sympy=lambda sp, x: sp.Piecewise((-1, x < -1), (1, x > 1), (x, True)),
    vjp=(lambda ct, out, x: table.where(x < -1, 0, table.where(x > 1, 0, ct)),),
    notation={
        "python": Notation("-1.0 if {0} < -1.0 else 1.0 if {0} > 1.0 else {0}", 1, (PRODUCT,)),
        "javascript": Notation("{0} < -1 ? -1 : {0} > 1 ? 1 : {0}", 1),
        "numpy": ufunc("clip", "{0}", "-1.0", "1.0"),
    },
    sentence="the cotangent passes between -1 and 1",
    domain=((-3.0, 3.0),),
    kink="1 at -1 and 1",
    interval=lambda a: Interval(min(max(a.low, -1.0), 1.0), max(min(a.high, 1.0), -1.0)),
    chooses=True,
)

PLAIN = Op(
    name="plain_cube",
    arity=1,
    evaluate=lambda x: x * x * x,
    sympy=lambda sp, x: x**3,
    vjp=(lambda ct, out, x: ct * (3 * (x * x)),),
    notation={"python": Notation("{0}*{0}*{0}", PRODUCT, (PRODUCT + 1,))},
    sentence="three times the square",
    domain=((-2.0, 2.0),),
)

FULL = [SQUARE, HYPOT, ELU, HARD_TANH]
OWN = [*FULL, PLAIN]
each = pytest.mark.parametrize("op", OWN, ids=lambda op: op.name)
each_full = pytest.mark.parametrize("op", FULL, ids=lambda op: op.name)


def applied(op):
    """The operation inside a formula, its derivative, and the leaves."""
    g = wg.Graph()
    w, x, b = g.input("w"), g.input("x"), g.input("b")
    y = op(*[w * x + b, x + 2][: op.arity]) * x
    return y, wg.grad(y, w), {"w": w, "x": x, "b": b}


@each
def test_it_keeps_what_its_record_says(op):
    check_operation(op)


@each_full
@pytest.mark.parametrize("target", [*RUNNABLE, "javascript"])
def test_it_compiles_on_every_target(op, target):
    y, dw, leaves = applied(op)
    f = wg.compile(leaves, {"y": y, "dw": dw}, target=target)
    assert "about" in f.report() or target not in ("python", "numpy")
    if target != "javascript":
        at = {"w": 0.5, "x": 0.8, "b": 0.3}
        expected = wg.evaluate([y, dw], at)
        found = f(*at.values())
        assert [float(found["y"]), float(found["dw"])] == pytest.approx(expected)


@each_full
def test_a_batch_of_it_is_an_array(op):
    y, dw, leaves = applied(op)
    arguments = (0.5, [0.1, 0.8, -2.0], 0.3)
    plain, arrays = (
        wg.compile(leaves, {"y": y, "dw": dw}, target=target, batch="x")
        for target in ("python", "numpy")
    )
    expected = plain(*arguments)
    found = arrays(arguments[0], np.array(arguments[1]), arguments[2])
    assert found == {key: pytest.approx(number) for key, number in expected.items()}


@each_full
def test_it_is_verified(op):
    y, _, leaves = applied(op)
    found = wg.verify(y, [leaves["w"], leaves["b"]])
    assert found, str(found)
    judged = " ".join(check.method for check in found)
    assert "numpy against" in judged
    assert "python against" in judged


@each
def test_it_is_told_on_a_page(op):
    y, _, leaves = applied(op)
    page = wg.explain(y, wrt=leaves["w"], at={"w": 0.5, "x": 0.8, "b": 0.3})
    assert op.sentence in " ".join(page.text().split())
    if op is not PLAIN:
        assert op.name in page.html()


def test_a_page_whose_numbers_move_needs_javascript():
    y, _, leaves = applied(PLAIN)
    with pytest.raises(wg.SpellingError, match='"javascript": call'):
        wg.explain(y, wrt=leaves["w"], at={"w": 0.5, "x": 0.8, "b": 0.3}).html()


@each
def test_its_formula_is_read_back(op):
    y, _, _ = applied(op)
    again = wg.parse(str(y), operations=OWN)
    assert str(again) == str(y)
    assert op in again.graph.ops
    with pytest.raises(wg.FormulaError, match="unknown function"):
        wg.parse(str(y))


@each
def test_its_graph_is_read_back(op):
    y, _, _ = applied(op)
    for read in (
        wg.from_json(wg.to_json(y.graph), operations=OWN),
        wg.from_networkx(y.graph.nx, operations=OWN),
    ):
        assert str(read[y.id]) == str(y)
        assert op in read.ops
    with pytest.raises(wg.UnknownNameError, match=r"operations=\[\.\.\.\]"):
        wg.from_json(wg.to_json(y.graph))


@pytest.mark.parametrize("op", [SQUARE, ELU, HARD_TANH, PLAIN], ids=lambda op: op.name)
def test_a_network_takes_it_as_its_activation(op, tmp_path):
    net = wg.MLP(2, [3, 1], activation=op, seed=1)
    assert "Neuron(2)" in repr(net)
    rows, wanted = [[0.1, 0.4], [0.7, -0.2]], [0.2, 0.5]
    before = [value.data for value in net.parameters()]
    history = wg.fit(net, rows, wanted, epochs=2, target="auto")
    assert history.target == "python"
    assert before != [value.data for value in net.parameters()]
    net.save(tmp_path / "net.json")
    assert wg.load(tmp_path / "net.json", operations=[op])(rows[0]).data == net(rows[0]).data
    with pytest.raises(wg.SaveFileError, match="operations="):
        wg.load(tmp_path / "net.json")


@pytest.mark.parametrize(("op", "target"), [(SQUARE, "numpy"), (PLAIN, "python")])
def test_fit_takes_the_target_that_can(op, target):
    net = wg.MLP(8, [32, 32, 1], activation=op, seed=0)
    rows = [[0.01 * i] * 8 for i in range(64)]
    history = wg.fit(net, rows, [0.0] * 64, epochs=1, optimizer=wg.SGD(1e-6), target="auto")
    assert history.target == target
    assert op is SQUARE or '"numpy": ufunc("plain_cube", "{0}")' in history.reason


def test_an_activation_by_record_is_the_one_by_name(tmp_path):
    assert wg.MLP(2, [1], activation=wg.tanh).layers[0].neurons[0].activation == "tanh"
    net = wg.MLP(2, [1], activation=wg.exp, seed=0)
    net.save(tmp_path / "net.json")
    assert wg.load(tmp_path / "net.json")([1.0, 2.0]).data == net([1.0, 2.0]).data
    with pytest.raises(wg.OperandError, match="expected an operation on one number"):
        wg.MLP(2, [1], activation=HYPOT)
    with pytest.raises(wg.DuplicateNameError):
        wg.MLP(2, [1], activation=replace(SQUARE, name="relu"))


def test_a_name_that_is_taken_is_refused():
    for name in ("tanh", "sum_over", "input"):
        with pytest.raises(wg.DuplicateNameError, match="name yours otherwise"):
            wg.parse("x", operations=[replace(SQUARE, name=name)])
    with pytest.raises(wg.OperandError, match="expected a sequence"):
        wg.parse("x", operations=SQUARE)
    with pytest.raises(wg.OperandError, match=r"expected a wengert\.Op"):
        wg.parse("x", operations=["square"])


@pytest.mark.parametrize(
    ("target", "line"),
    [
        ("numpy", '"numpy": ufunc("plain_cube", "{0}")'),
        ("javascript", '"javascript": call("plain_cube", "{0}")'),
    ],
)
def test_what_a_target_lacks_is_said_with_the_line_to_add(target, line):
    y, dw, leaves = applied(PLAIN)
    with pytest.raises(wg.SpellingError) as caught:
        wg.compile(leaves, [y, dw], target=target)
    assert line in str(caught.value)
    made = {"numpy": ufunc, "javascript": call}[target]("plain_cube", "{0}")
    assert replace(PLAIN, notation={**PLAIN.notation, target: made}).spelling(target) is made


def test_what_is_called_and_not_defined_is_said():
    lost = replace(ELU, notation={"python": call("bent", "{0}", "{alpha}")})
    y, _, leaves = applied(lost)
    with pytest.raises(wg.SpellingError, match="calls bent"):
        wg.compile(leaves, y)
    nowhere = replace(ELU, notation={"python": call("bent", "{0}", define=lambda x: x)})
    y, _, leaves = applied(nowhere)
    with pytest.raises(wg.SpellingError, match="made by def"):
        wg.compile(leaves, y)


def test_a_leaf_called_as_its_function_does_not_hide_it():
    g = wg.Graph()
    elu_leaf, other = g.input("bent"), g.input("bent_of_arrays")
    y = ELU(elu_leaf - 2 * other)
    for target in ("python", "numpy"):
        f = wg.compile({"bent": elu_leaf, "bent_of_arrays": other}, y, target=target)
        assert float(f(0.5, 1.0)) == pytest.approx(math.expm1(-1.5))


def test_python_that_raises_is_written_with_care():
    own = replace(
        SQUARE,
        name="inverse",
        evaluate=lambda x: ieee.divide(1.0, x),
        sympy=lambda sp, x: 1 / x,
        vjp=(lambda ct, out, x: -(ct * (out * out)),),
        notation={
            "python": Notation("1.0/{0}", PRODUCT, (PRODUCT + 1,)),
            "python-ieee": call("divide", "1.0", "{0}", define=ieee.divide),
            "numpy": ufunc("divide", "1.0", "{0}"),
            "javascript": Notation("1/{0}", PRODUCT, (PRODUCT + 1,)),
        },
        domain=((0.5, 3.0),),
        interval=lambda a: intervals.divide(Interval(1.0, 1.0), a),
        undefined=lambda a: "division by zero" if 0.0 in a else "",
    )
    check_operation(own)
    x = wg.Graph().input("x")
    (hazard,) = wg.ranges(own(x), {x: (-1.0, 1.0)})
    assert hazard.kind == "division by zero"


def test_where_its_value_lies_is_what_the_record_says():
    x = wg.Graph().input("x")
    y = SQUARE(x)
    assert wg.ranges(y, {x: (-1.0, 2.0)})[y].low == 0.0
    silent = wg.ranges(HYPOT(x, x), {x: (-1.0, 2.0)})
    assert not silent
    with pytest.raises(AssertionError, match="not in"):
        check_operation(replace(SQUARE, interval=lambda a: Interval(0.0, 1.0)))


def test_what_it_costs_is_what_the_record_says():
    x = wg.Graph().input("x")
    dear, cheap = (replace(SQUARE, cost={"python": n}) for n in (7000.0, 7.0))
    reports = [wg.compile({"x": x}, op(x)).report() for op in (dear, cheap)]
    assert "about 7.3 µs a call" in reports[0]
    assert "about 0.32 µs a call" in reports[1]


def test_its_formula_has_a_default_in_every_notation():
    x = wg.Graph().input("x")
    y = ELU(x, 0.5)
    assert str(y) == "bent(x, 0.5)"
    assert wg.latex(y) == r"\operatorname{bent}\left(x, 0.5\right)"


def test_an_array_operation_that_does_not_say_whether_it_is_linear_is_refused():
    with pytest.raises(wg.OperandError, match="linear is None"):
        replace(OPERATIONS["transpose"], linear=None)
    with pytest.raises(wg.OperandError, match="linear is 'yes'"):
        replace(SQUARE, linear="yes")


def test_a_branch_through_an_array_operation_that_says_nothing_of_places_is_an_error():
    own = replace(OPERATIONS["max_over"], name="top", places=None)
    g = wg.Graph()
    x, c = g.array("x", (2, 3)), g.array("c", (2,))
    wg.grad(sum_over(wg.where(c > 0, OPERATIONS["max_over"](x.sqrt(), 1), 0)), x)
    with pytest.raises(wg.OperandError, match="in `places`"):
        wg.grad(sum_over(wg.where(c > 0, own(x.sqrt(), 1), 0)), x)


# -- rules and targets ----------------------------------------------------------------------------

LOG_SQRT = wg.Rule(
    "log-sqrt", lambda x: wg.log(wg.sqrt(x)), lambda x: 0.5 * wg.log(x), "real", ("x",)
)
SQUARES = wg.Rule("square-of", lambda a: a * a, lambda a: SQUARE(a), "exact")


def test_a_rule_of_ones_own_is_applied():
    assert prove(LOG_SQRT)
    x = wg.Graph().input("x")
    y = x.sqrt().log() * 1
    assert str(wg.simplify(y)) == "log(sqrt(x))"
    assert str(wg.simplify(y, rules=[LOG_SQRT])) == "0.5*log(x)"
    assert str(wg.simplify(y, rules=LOG_SQRT)) == "0.5*log(x)"
    assert str(wg.simplify(y + y, rules=[LOG_SQRT, "real"])) == "log(x)"
    assert str(wg.simplify(x * x, rules=[SQUARES])) == "square(x)"


def test_compile_applies_it_and_keeps_it_apart(tmp_path):
    x = wg.Graph().input("x")
    y = x.sqrt().log()
    plain = wg.compile({"x": x}, y, cache_dir=tmp_path)
    kept = sorted(tmp_path.iterdir())
    own = wg.compile({"x": x}, y, simplify=[LOG_SQRT], cache_dir=tmp_path)
    assert sorted(tmp_path.iterdir()) == kept
    real = wg.compile({"x": x}, y, simplify=["real", LOG_SQRT])
    assert "sqrt" in plain.source
    assert "sqrt" not in own.source + real.source
    assert "1 log-sqrt" in own.report()
    assert own(9.0) == pytest.approx(math.log(3.0))
    again = wg.compile({"x": x}, y, cache_dir=tmp_path)
    assert again.source == plain.source


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (["nope"], "unknown simplification 'nope'"),
        ([3], "unknown simplification 3"),
        (["real", "exact"], "names 2 sets"),
        ("stable", "unknown simplification 'stable'"),
    ],
)
def test_rules_that_are_none_are_refused(wrong, message):
    x = wg.Graph().input("x")
    with pytest.raises(wg.WengertError, match=message):
        wg.compile({"x": x}, x * 1, simplify=wrong)


def _emit(program):
    arguments = ", ".join(group.argument for group in program.groups)
    lines = [f"def {program.name}({arguments}):"]
    for i in program.instructions:
        operands = [o if isinstance(o, str) else f"mpf({o!r})" for o in i.operands]
        code = i.op.spelling("mpmath", i.statics).template.format(*operands)
        lines.append(f"    {i.name} = {code}")
    return wg.Source("\n".join([*lines, f"    return {program.outputs}"]) + "\n", program.name)


def _load(source):
    import mpmath

    names = dict(vars(mpmath))
    exec(source.text, names)

    def run(*arguments):
        with mpmath.workdps(40):
            return names[source.function](*map(mpmath.mpf, arguments))

    return run


MPMATH = wg.Target("mpmath", _emit, _load)


def test_a_target_of_ones_own_is_taken(tmp_path):
    own = replace(SQUARE, notation={**SQUARE.notation, "mpmath": Notation("({0}*{0})")})
    x = wg.Graph().input("x")
    f = wg.compile({"x": x}, own(x), target=MPMATH, cache_dir=tmp_path)
    assert f.target == "mpmath"
    found = f(0.1)
    assert found != 0.1 * 0.1  # nearer to the truth
    assert float(found) == pytest.approx(0.01)
    with pytest.raises(wg.SpellingError, match="the mpmath target has no spelling of 'add'"):
        wg.compile({"x": x}, own(x) + 1, target=MPMATH)
    with pytest.raises(wg.DuplicateNameError, match="name yours otherwise"):
        wg.compile({"x": x}, own(x), target=replace(MPMATH, name="python"))


def test_sketches_of_operations_from_outside_agree():
    from hypothesis import given, settings

    from wengert.testing import sketches

    @settings(max_examples=40, deadline=None)
    @given(sketches([SQUARE, HARD_TANH, table.ADD, table.MUL, table.TANH]))
    def agree(sketch):
        check_agreement(sketch)

    agree()


# -- no table by operation elsewhere --------------------------------------------------------------

SRC = Path(wg.__file__).resolve().parent
NAMES = set(table.ELEMENTWISE)
RECORDS = {name for name, thing in vars(table).items() if isinstance(thing, Op) and name.isupper()}

# What looks like one and says nothing that is a property of the operations.
ELSEWHERE = {
    "arrays/canonical.py": "chains of sums, products and maxima, taken apart",
    "arrays/collapse.py": "chains of sums, products and maxima, taken apart",
    "arrays/indexnotation.py": "products and quotients, taken apart",
    "arrays/statements.py": "what may put terms together",
    "arrays/terms.py": "chains of sums and maxima, taken apart",
    "arrays/written.py": "the signs of sums, taken apart",
    "derive/gates.py": "sums and choices, taken apart",
    "graph/operators.py": "Python's signs, and methods",
    "notation/fromsympy.py": "sympy's names",
    "notation/parse.py": "Python's signs",
    "notation/sympy.py": "sums and products, put together for sympy at once",
    "proof/adjoints.py": "chains of sums, taken apart: a judge reads no record",
    "proof/ranges.py": "which comparison is the mirror image, and which the opposite",
    "simplify/exponentials.py": "products and sums of exponentials, taken apart",
    "simplify/norms.py": "products, quotients and roots of sums of squares, taken apart",
    "simplify/powers.py": "products, powers and roots of one thing, taken apart",
    "simplify/stable.py": "which factors rules about products read",
    "trace/wholes.py": "Python's operators on integers",
    "train/nn.py": "how the notebook calls its activations",
    "explain/page/figure.py": "what stands beside an arrow",
    "graph/numpyfunctions.py": "NumPy's names, where they are those of ours",
}


def tables(source: str) -> list[int]:
    """The lines of collections that name three operations on scalars or more."""
    found = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Dict(keys=keys, values=values):
                parts = [*keys, *values]
            case ast.Set(elts=parts) | ast.Tuple(elts=parts):
                pass
            case ast.Match(cases=cases):
                parts = [part for case in cases for part in ast.walk(case.pattern)]
            case _:
                continue
        named = {operation(part) for part in parts} - {None}
        if len(named) >= 3:
            found.append(node.lineno)
    return found


def operation(node):
    match node:
        case ast.MatchValue(value=inner):
            return operation(inner)
        case ast.Constant(value=str(name)) if name in NAMES:
            return name
        case ast.Name(id=name) | ast.Attribute(attr=name) if name in RECORDS:
            return name
    return None


def test_no_table_by_operation_stands_elsewhere():
    files = [file for file in sorted(SRC.rglob("*.py")) if file.parent != SRC / "ops"]
    found = {file.relative_to(SRC).as_posix(): tables(file.read_text("utf-8")) for file in files}
    assert {file for file, lines in found.items() if lines} <= ELSEWHERE.keys()


@pytest.mark.parametrize(
    "code",
    [
        'COST = {"exp": 1, "log": 2, "tanh": 3}',
        "FLAT = frozenset((LT, ops.LE, GT))",
        "match op.name:\n    case 'add' | 'sub':\n        pass\n    case 'mul':\n        pass",
    ],
)
def test_a_table_is_found(code):
    assert tables(code)
    assert not tables("x = (ADD, MUL)")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "my square"}, "its name goes into formulas"),
        ({"vjp": ()}, r"vjp is \(\); expected rules or None, one for each of 1 operand:"),
        ({"vjp": SQUARE.vjp[0]}, "vjp is .*expected rules"),
        ({"vjp": ("2*x",)}, "vjp is .*expected rules"),
        ({"domain": (-3.0, 3.0)}, r"domain is \(-3.0, 3.0\); expected intervals, one for each"),
        ({"domain": ((0.0, 1.0), (0.0, 1.0))}, "expected intervals, one for each of 1 operand:"),
        ({"notation": {"python": "{0}*{0}"}}, 'its notation "python" is .*expected a Notation'),
        ({"notation": {"python": call("abs", "{1}")}}, r"has \{1\}; there is \{0\}$"),
        ({"notation": {"numpy": call("np.abs", "{k}")}}, r'"numpy" has \{k\}; there is \{0\}$'),
    ],
)
def test_a_record_that_nothing_could_read_says_what_to_write(changes, message):
    with pytest.raises(wg.OperandError, match=f"the record of {changes.get('name', 'square')}: .*"):
        replace(SQUARE, **changes)
    with pytest.raises(wg.OperandError, match=message):
        replace(SQUARE, **changes)


def test_an_interval_rule_that_answers_something_else_is_named():
    x = wg.Graph().input("x")
    wrong = replace(SQUARE, interval=lambda a: (0.0, 1.0))
    with pytest.raises(wg.OperandError, match=r"record of square: interval answers \(0.0, 1.0\)"):
        wg.ranges(wrong(x), {x: (0.0, 1.0)})


def test_the_check_says_what_a_record_lacks():
    with pytest.raises(AssertionError, match=r"square does not say where to sample: add domain="):
        check_operation(replace(SQUARE, domain=()))
    with pytest.raises(AssertionError, match=r"evaluate of square.* raises OverflowError.*ieee"):
        check_operation(replace(SQUARE, evaluate=lambda x: x**2))


def test_a_definition_of_another_name_is_told_from_one_that_is_missing():
    notation = {"python": call("other", "{0}", define=bent)}
    x = wg.Graph().input("x")
    with pytest.raises(wg.SpellingError, match=r"calls other.*what define= gives is called bent"):
        wg.compile({"x": x}, replace(SQUARE, notation=notation)(x))


def test_a_rule_says_how_far_it_holds():
    with pytest.raises(wg.SettingError, match="rule 'r': exactness is 'often'; expected one of"):
        wg.Rule("r", lambda a: wg.log(wg.sqrt(a)), lambda a: 0.5 * wg.log(a), "often")


@pytest.mark.parametrize("pattern", [lambda a: a, lambda a: 3.0])
def test_a_rule_has_an_operation_to_look_for(pattern):
    x = wg.Graph().input("x")
    with pytest.raises(
        wg.OperandError, match=r"rule 'r': its pattern is .*; expected an operation"
    ):
        wg.simplify(x * 1, rules=[wg.Rule("r", pattern, lambda a: a * 2, "real")])
