"""What a graph holds: nodes, names, constants, adopted values; and `evaluate`."""

import math
import operator
from fractions import Fraction
from unittest import mock

import numpy as np
import pytest

from wengert.derive.backward import hvp, jvp
from wengert.errors import (
    DuplicateNameError,
    GraphMismatchError,
    InvalidNameError,
    MissingInputError,
    NotALeafError,
    OperandError,
    ShapeError,
    TruthValueError,
    UnknownNameError,
    WengertError,
)
from wengert.graph.evaluation import evaluate
from wengert.graph.expr import Expr, Graph
from wengert.graph.store import MAX_NAME_LENGTH, is_name, live_nodes
from wengert.graph.value import Value
from wengert.ops import scalar as ops


@pytest.fixture
def g() -> Graph:
    return Graph()


def test_a_repeated_operand_is_two_operands(g):
    x = g.input("x")
    y = x * x
    assert g.operands[y.id] == (x.id, x.id)
    assert y.operands == (x, x)
    assert evaluate(y, {x: 3.0}) == 9.0


@pytest.mark.parametrize(
    ("apply", "expected"),
    [
        (lambda a, b: a - b, 3.0),
        (lambda a, b: b - a, -3.0),
        (lambda a, b: a / b, 2.5),
        (lambda a, b: b / a, 0.4),
        (lambda a, b: a**b, 25.0),
        (lambda a, b: b**a, 32.0),
        (lambda a, b: 1 - a, -4.0),
        (lambda a, b: 2**b, 4.0),
        (lambda a, b: 10 / a, 2.0),
        (lambda a, b: +a, 5.0),
        (lambda a, b: abs(-b), 2.0),
        (lambda a, b: a > b, 1.0),
        (lambda a, b: a <= b, 0.0),
        (lambda a, b: b <= 2, 1.0),
        (lambda a, b: b > 2, 0.0),
    ],
)
def test_operators_keep_the_order_of_their_operands(g, apply, expected):
    a, b = g.input("a"), g.input("b")
    assert evaluate(apply(a, b), {a: 5.0, b: 2.0}) == expected
    assert float(apply(Value(5.0), Value(2.0))) == expected


def test_a_shared_part_is_one_node(g):
    x = g.input("x")
    shared = x.tanh()
    before = len(g)
    y = shared * shared + shared
    assert len(g) == before + 2
    assert live_nodes(g, [y.id]) == [x.id, shared.id, y.id - 1, y.id]


def test_nodes_come_after_their_operands_and_dead_ones_are_not_live(g):
    x = g.input("x")
    dead = x + 1
    y = x * 2
    live = live_nodes(g, [y.id])
    assert dead.id not in live
    assert all(operand < node for node in range(len(g)) for operand in g.operands[node])
    assert live == sorted(live)


def test_equal_constants_are_one_node_but_signed_zeros_are_two(g):
    assert g.constant(2).id == g.constant(2.0).id
    assert g.constant(0.0).id == g.constant(0).id != g.constant(-0.0).id
    assert math.copysign(1.0, g.constant(-0.0).value) == -1.0
    assert math.copysign(1.0, g.constant(0.0).value) == 1.0
    assert g.constant(math.nan).id == g.constant(float("nan")).id
    assert g.constant(math.inf).id != g.constant(-math.inf).id


def test_a_graph_lists_indexes_counts_and_contains(g):
    x, w = g.input("x"), g.parameter("w", 2)
    y = x * w
    assert [node.id for node in g] == [0, 1, 2]
    assert g[2] == y
    assert y in g
    assert y not in Graph()
    assert w.value == 2.0
    assert type(w.value) is float
    assert repr(g) == "<Graph: 3 nodes: 1 input, 1 parameter, 1 operation>"
    assert repr(Graph()) == "<Graph: 0 nodes: empty>"
    for outside in (3, -1):
        with pytest.raises(IndexError, match="graph of 3 nodes"):
            g[outside]


def test_expressions_compare_by_identity_and_hash(g):
    x = g.input("x")
    assert x == Expr(g, 0)
    assert hash(x) == hash(Expr(g, 0))
    assert x != Graph().input("x")
    assert x != "x"
    assert {x: 1}[g[0]] == 1


def test_labels_name_computed_nodes_only(g):
    x = g.input("x")
    y = x + 1
    y.label = "</b> {"
    assert (x.label, y.label, (y * 2).label) == ("x", "</b> {", "")
    with pytest.raises(InvalidNameError, match=r"Expr\(x\) is a leaf"):
        x.label = "z"


@pytest.mark.parametrize(
    "name",
    [
        *("", " ", "a b", "1x", "x-y", "x;import os", "x\n", "{x}", "a.b", "None", "lambda"),
        *("größe", "α", "x" * (MAX_NAME_LENGTH + 1), "__class__", "__x", "\ud800", "x\x00"),
        *(None, 3, b"x", ["x"]),
    ],
)
def test_what_cannot_name_a_leaf(g, name):
    for make in (g.input, lambda n: g.parameter(n, 1.0)):
        with pytest.raises(InvalidNameError, match=r"cannot name a leaf: expected an ASCII ident"):
            make(name)
    assert len(g) == 0
    assert not is_name(name)


@pytest.mark.parametrize("name", ["x", "_", "w0_1", "match", "tanh", "x" * MAX_NAME_LENGTH])
def test_what_can_name_a_leaf(g, name):
    assert g.input(name).label == name


def test_an_error_about_a_huge_name_is_short(g):
    with pytest.raises(InvalidNameError) as caught:
        g.input("x" * 1_000_000)
    assert len(str(caught.value)) < 400


def test_a_name_is_taken_once(g):
    g.parameter("w", 1.0)
    with pytest.raises(DuplicateNameError, match=r"'w' is already a leaf .*\(parameter\)"):
        g.input("w")
    g.input("x1")
    before = len(g)
    with pytest.raises(DuplicateNameError, match="'x1'"):
        g.inputs("x", 3)
    assert len(g) == before


@pytest.mark.parametrize("number", ["1", None, 1j, [1.0], object()])
def test_a_parameter_or_constant_is_a_real_number(g, number):
    with pytest.raises(OperandError, match=r"parameter 'w' is .*expected a number"):
        g.parameter("w", number)
    with pytest.raises(OperandError, match=r"a constant is .*expected a number"):
        g.constant(number)
    assert len(g) == 0


def test_an_integer_past_float64_is_refused(g):
    huge = 10**5000
    x = g.input("x")
    before = len(g)
    for use in (
        lambda: g.constant(huge),
        lambda: g.parameter("w", huge),
        lambda: x + huge,
        lambda: x**huge,
        lambda: evaluate(x, {x: huge}),
        lambda: Value(huge),
        lambda: Value(1.0) * huge,
    ):
        with pytest.raises(OperandError, match=r"too large for float64"):
            use()
    assert len(g) == before


def test_arithmetic_is_that_of_float64_even_on_integers(g):
    x = g.input("x")
    y = x
    for _ in range(10):
        y = y * y
    assert evaluate(y + 0.5, {x: 10}) == math.inf
    assert evaluate(x + 1, {x: 2**53}) == 2.0**53


@pytest.mark.parametrize("other", ["s", None, [1], {}, 1j, object()])
@pytest.mark.parametrize("operate", [operator.add, operator.mul, operator.pow, operator.lt])
def test_operators_refuse_what_is_no_number(g, operate, other):
    for operand in (g.input("x"), Value(1.0)):
        with pytest.raises(TypeError, match=r"not supported|unsupported operand|can.t multiply"):
            operate(operand, other)
        g = Graph()


def test_operations_refuse_what_is_no_number(g):
    with pytest.raises(OperandError, match="'s' is a str; an operand is a number, a Value"):
        ops.TANH("s")
    with pytest.raises(OperandError, match=r"maximum\(a, b\) takes 2 operands, got 1"):
        ops.MAXIMUM(g.input("x"))
    with pytest.raises(OperandError, match=r"is a list; expected an Expr, a Value or a number"):
        g.node_of([1])


def test_graphs_do_not_mix(g):
    x, other = g.input("x"), Graph().input("other")
    for mix in (lambda: x + other, lambda: evaluate([x, other]), lambda: ops.MAXIMUM(x, other)):
        with pytest.raises(GraphMismatchError, match=r"belongs to another graph .*in one Graph"):
            mix()
    assert len(g) == 1


def test_an_expression_is_not_a_condition_nor_a_number(g):
    x = g.input("x")
    with pytest.raises(TruthValueError, match=r"truth of Expr\(x < 1\).*wengert\.where"):
        bool(x < 1)
    with pytest.raises(MissingInputError, match=r"Expr\(x \+ 1\) has no number.*evaluate"):
        float(x + 1)
    assert float(g.parameter("w", 2.5)) == 2.5


def test_every_error_is_also_a_builtin_one():
    for error in WengertError.__subclasses__():
        builtin = error.__mro__[2]
        assert issubclass(builtin, Exception)
        assert builtin.__module__ == "builtins"


def test_the_error_about_a_large_expression_is_short(g):
    y = x = g.input("x")
    for _ in range(1000):
        y = (y * x).tanh()
    with pytest.raises(MissingInputError) as caught:
        float(y)
    assert len(str(caught.value)) < 1000


# evaluate -----------------------------------------------------------------------------------------


def test_evaluate_takes_leaves_values_and_names(g):
    x, w = g.input("x"), Value(3.0, label="w")
    y = x * w
    assert evaluate(y, {x: 2.0}) == 6.0
    assert evaluate(y, {"x": 2.0, "w": 5.0}) == 10.0
    assert evaluate(y, {x: 2.0, w: 7}) == 14.0
    assert evaluate([y, x], {x: 2.0}) == [6.0, 2.0]
    assert evaluate(Value(2.0) * 3) == 6.0


def test_evaluate_names_what_is_missing_unknown_or_no_leaf(g):
    x, z = g.input("x"), g.input("z")
    y = x * z + 1
    with pytest.raises(MissingInputError, match="no value for 'x', 'z'; give each a number"):
        evaluate(y)
    with pytest.raises(UnknownNameError, match=r"'q' is not a leaf of this graph.*'x', 'z'"):
        evaluate(y, {"q": 1.0})
    with pytest.raises(OperandError, match="the value of x is 'a', a str; expected a number"):
        evaluate(y, {x: "a", z: 1.0})
    for inner in (x * z, g.constant(1)):
        with pytest.raises(NotALeafError, match="computed or a constant; give values to leaves"):
            evaluate(y, {inner: 2.0, x: 1.0, z: 1.0})


def test_evaluate_follows_ieee(g):
    x = g.input("x")
    at = {x: 0.0}
    assert evaluate(1 / x, at) == math.inf
    assert evaluate(x.log(), at) == -math.inf
    assert math.isnan(evaluate(x / x, at))
    assert math.isnan(evaluate((x - 8) ** 0.5, at))
    assert evaluate((x + 1000).exp(), at) == math.inf


# values taken into a graph ------------------------------------------------------------------------


def test_a_value_is_taken_in_once(g):
    x, w = g.input("x"), Value(2.0, label="w")
    first, second = x * w, w + x
    assert first.operands[1] == second.operands[0] == g[g.node_of(w)]
    assert g.source(g.node_of(w)) is w
    assert (w in g, Value(2.0) in g, list(g.leaves)) == (True, False, ["x", "w"])


def test_a_graph_sees_the_current_data_of_a_value(g):
    x, w = g.input("x"), Value(2.0, label="w")
    y = x * w
    w.data = 5
    assert y.operands[1].value == 5.0
    assert type(y.operands[1].value) is float
    assert evaluate(y, {x: 3.0}) == 15.0


def test_a_computed_value_brings_its_history(g):
    a, b = Value(2.0, label="a"), Value(3.0, label="b")
    c = a * b
    c.label = "the product"
    y = g.input("x") + c
    node = y.operands[1]
    assert (node.op, node.label, [o.label for o in node.operands]) == (
        ops.MUL,
        "the product",
        ["a", "b"],
    )
    a.data = 10.0
    assert evaluate(y, {"x": 1.0}) == 31.0
    assert g.node_of(c) == node.id


def test_numbers_inside_a_value_become_constants_and_statics_survive(g):
    v = Value(2.0, label="v")
    y = ops.LEAKY_RELU(v**3 - 1, 0.2)
    e = g[g.node_of(y)]
    assert str(e) == "leaky_relu(v**3 - 1, 0.2)"
    assert e.statics == (0.2,)
    assert evaluate(e) == y.data == 7.0


def test_colliding_and_unusable_labels_get_names_of_their_own(g):
    g.input("w")
    values = [
        Value(float(i), label) for i, label in enumerate(["w", "w", "", "a b", "lambda", "w"])
    ]
    nodes = [g.node_of(value) for value in values]
    names = [g.labels[node] for node in nodes]
    assert len(set(names)) == len(names)
    assert all(is_name(name) for name in names)
    assert [g.value(node) for node in nodes] == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    long = "n" * MAX_NAME_LENGTH
    for label in (long, long):
        g.node_of(Value(1.0, label))
    assert sum(name.startswith("nnn") for name in g.leaves) == 2


def test_names_for_values_are_the_same_every_time():
    def names() -> list[str]:
        g = Graph()
        g.node_of(sum(Value(1.0, label) for label in ["", "w", "w", "", "v_0"]))
        return list(g.leaves)

    assert names() == names()


def test_reading_in_a_growing_value_adds_only_what_is_new(g):
    v = Value(1.0)
    g.node_of(v + 1.0)
    for _ in range(50):
        v = v + 1.0
        before = len(g)
        node = g.node_of(v)
        assert len(g) == before + 1
    assert evaluate(g[node]) == 51.0


def test_copied_leaves_keep_name_value_and_source(g):
    w = Value(2.0, label="w")
    x, p = g.input("x"), g.parameter("p", 4.0)
    nodes = [x.id, p.id, g.node_of(w), g.constant(7).id]
    other = Graph()
    copies = [other.copy_leaf(g, node) for node in nodes]
    assert [other.labels.get(node) for node in copies] == ["x", "p", "w", None]
    assert [other.value(node) for node in copies] == [None, 4.0, 2.0, 7.0]
    assert other.source(copies[2]) is w
    assert other.node_of(w) == copies[2]
    with pytest.raises(DuplicateNameError, match="'x'"):
        other.copy_leaf(g, x.id)


def test_new_nodes_carry_the_origin_of_the_running_transform_except_leaves(g):
    from wengert.graph.store import Origin

    x = g.input("x")
    origin = Origin("test", 0, "rule", "mul", 0)
    g.deriving(origin)
    y = x * 3.0 + Value(1.0)
    g.deriving(None)
    assert y.origin == y.operands[0].origin == origin
    assert [node.origin for node in g if node.is_leaf] == [None] * 3
    assert (x + 1).origin is None


def test_a_leaf_is_looked_up_by_its_name(g):
    x = g.input("x")
    g.input("z")
    assert g["x"] == x == g[0]
    with pytest.raises(UnknownNameError, match=r"'q' is not a leaf of this graph.*'x', 'z'"):
        g["q"]
    for key in (1.5, None, x):
        with pytest.raises(OperandError, match="expected the number of a node or the name"):
            g[key]
    with pytest.raises(IndexError):
        g[2]


@pytest.mark.parametrize("n", [2.0, -1, "2", None, True])
def test_a_count_of_inputs_is_a_whole_number(g, n):
    with pytest.raises(ShapeError, match=r"inputs called 'q'; expected a whole number, 0 or more"):
        g.inputs("q", n)
    assert len(g) == 0
    assert g.inputs("q", 0) == []


@pytest.mark.parametrize(("data", "found"), [(None, "None, a NoneType"), ("a", "'a', a str")])
def test_what_is_no_number_in_a_value_is_named_when_it_is_read(g, data, found):
    x, unnamed = Value(2.0, label="speed"), Value(1.0)
    y = g.input("t") * x + unnamed
    x.data = data
    with pytest.raises(OperandError, match=f"the data of Value 'speed' is {found}; expected a num"):
        evaluate(y, {"t": 1.0})
    x.data = 3
    assert evaluate(y, {"t": 1.0}) == 4.0
    assert type(x.data) is int
    unnamed.data = data
    with pytest.raises(OperandError, match=f"the data of Value 'v_1' is {found}"):
        evaluate(y, {"t": 1.0})


def test_what_is_no_number_in_a_constant_value_is_found_when_it_is_taken_in():
    y = Value(2.0) * 3
    y.operands[1].data = None
    with pytest.raises(OperandError, match="the data of a constant Value is None, a NoneType"):
        evaluate(y)


def test_an_int_that_is_too_large_has_its_article(g):
    with pytest.raises(OperandError, match=r"^an int past 1\.8e308"):
        g.constant(10**400)
    with pytest.raises(OperandError, match="is an object; expected an Expr"):
        g.node_of(object())


@pytest.mark.parametrize("number", [np.array(2.0), np.float32(2), np.int64(2), np.array(2)])
def test_a_number_in_numpys_wrapping_is_a_number(g, number):
    x, v = g.input("x"), Value(3.0)
    assert evaluate(x * number, {x: 3.0}) == evaluate(number * x, {"x": np.array(3.0)}) == 6.0
    assert (v * number).data == (number * v).data == 6.0
    assert ops.MAXIMUM(v, number).data == 3.0
    assert ops.MAXIMUM(1.0, number) == Value(number).data == g.parameter("w", number).value == 2.0


def test_a_truth_of_numpy_counts_as_one_of_python(g):
    x, v = g.input("x"), Value(3.0)
    yes = np.float64(1) > 0
    assert type(yes) is np.bool_
    assert ops.WHERE(yes, v, 1.0).data == (v * yes).data == 3.0
    assert evaluate(ops.WHERE(yes, x, 1.0) * yes, {x: 3.0}) == 3.0


@pytest.mark.parametrize("thing", [Value, mock.MagicMock(), lambda: None, type("Odd", (), {})()])
def test_what_is_no_operand_is_named(thing):
    with pytest.raises(OperandError, match="an operand is a number, a Value, an Expr"):
        ops.TANH(thing)


@pytest.mark.parametrize("slope", [np.float32(0.5), Fraction(1, 2), True, np.int64(1)])
def test_static_arguments_are_kept_as_numbers_of_python(g, slope):
    y = ops.LEAKY_RELU(g.input("x"), slope)
    assert [type(number) for number in y.statics] in ([float], [int])
    assert evaluate(y, {"x": -2.0}) == ops.LEAKY_RELU(-2.0, slope) == -2.0 * float(slope)


def test_a_static_argument_past_the_largest_float_is_refused(g):
    for x in (g.input("x"), Value(-1.0), -1.0):
        with pytest.raises(OperandError, match="too large for float64"):
            ops.LEAKY_RELU(x, 10**400)


def test_only_expressions_are_evaluated():
    assert evaluate(3) == 3.0
    with pytest.raises(OperandError, match="None is a NoneType; expected an Expr"):
        evaluate(None)


def test_directions_of_the_same_leaf_add_up(g):
    x = g.input("x")
    y = x * x
    assert evaluate(jvp(y, [x, x], [1.0, 2.0]), {x: 5.0}) == 30.0
    assert evaluate(hvp(y, [x, x], [1.0, 2.0]), {x: 5.0}) == [6.0, 6.0]


@pytest.mark.parametrize("at", ["x", 3.0, [1.0]])
def test_values_that_no_leaf_is_named_for_are_refused(at):
    x = Graph().input("x")
    with pytest.raises(OperandError, match="expected a dict: leaf, or its name, to its value"):
        evaluate(x * x, at)


def test_values_that_do_not_fit_are_told_where_and_what_to_do():
    graph = Graph()
    x, A = graph.input("x"), graph.array("A", (2, 3))
    for given, said in (
        ({x: [1.0, 2.0]}, "one sample, or compile"),
        ({x: np.ones(2)}, "one sample, or compile"),
        ({A: [[1.0, 2.0], [3.0]]}, r"entry \[1\] has length 1, but entry \[0\] has 2"),
        ({A: [[1.0, 2.0, 3.0], None]}, r"entry \[1\] is None, a NoneType"),
        ({A: [[1.0, 2.0, "3"], [1.0] * 3]}, r"entry \[0, 2\] is '3', a str"),
        ({A: None}, "the value of A is None, a NoneType"),
    ):
        with pytest.raises(OperandError, match=said):
            evaluate([x, A.sum()], {x: 0.5, A: np.ones((2, 3))} | given)
