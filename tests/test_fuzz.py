"""The shipped strategies: what they cover, that everything agrees, and that mistakes are found."""

import dataclasses
import math
import random
import subprocess
import sys

import numpy as np
import pytest
from breaking import changed
from hypothesis import given, settings

import wengert as wg
from wengert import testing
from wengert.codegen.array import printer
from wengert.codegen.build import build_once
from wengert.codegen.program import map_nested
from wengert.codegen.scalar.node import find_node
from wengert.graph.store import live_nodes
from wengert.ops import ieee
from wengert.ops import scalar as ops
from wengert.ops.record import call
from wengert.ops.scalar import ELEMENTWISE
from wengert.testing import (
    ArraySketch,
    Sketch,
    Step,
    check_agreement,
    check_arrays,
    check_elements,
    check_gradient,
    check_in_node,
    check_operation,
    fuzz,
    scalars,
    sketches,
)
from wengert.testing.arrays import Question

SECONDS = 4


@pytest.mark.parametrize("seed", range(4))
def test_everything_agrees_for_some_seconds(seed):
    assert fuzz(SECONDS, seed=1000 * seed) > 8


@pytest.mark.parametrize("op", testing.SCALAR_OPERATIONS, ids=lambda op: op.name)
def test_every_operation_keeps_what_its_record_says(op):
    if op in ops.COMPARISONS or op in (ops.WHERE, ops.STOP_GRADIENT):
        pytest.skip("a convention rather than a derivative, or a condition rather than a number")
    check_operation(op)


def test_sketches_are_of_every_operation_deep_shared_and_extreme():
    drawn = []

    @settings(max_examples=800, database=None)
    @given(sketches())
    def collect(sketch):
        drawn.append(sketch)

    collect()
    steps = [step for sketch in drawn for step in sketch.steps]
    assert {step.op for step in steps} == set(testing.SCALAR_OPERATIONS)
    assert any(step.times >= 40 for step in steps)
    assert any(len(set(step.operands)) < len(step.operands) for step in steps)
    assert any(math.isinf(number) for sketch in drawn for number in sketch.constants)
    assert max(len(sketch.steps) for sketch in drawn) >= 10
    assert {len(sketch.point) for sketch in drawn} == {1, 2, 3}


def wrong(monkeypatch, name, **changes):
    """Swap fields of an operation's record for wrong ones."""
    op = ELEMENTWISE[name]
    for field, value in changes.items():
        before = getattr(op, field)
        changed(op, field, value)
        monkeypatch.callback(lambda field=field, before=before: changed(op, field, before))


@pytest.fixture
def mutate():
    undo = []

    class Mutations:
        def callback(self, function):
            undo.append(function)

    def mutated(name, **changes):
        wrong(Mutations(), name, **changes)
        build_once.cache_clear()  # of what was compiled before, with the right record

    yield mutated
    for function in undo:
        function()
    build_once.cache_clear()


SKETCHES = {
    "sin": Sketch((1.0,), (), (Step(ops.SIN, (0,)),)),
    "mul": Sketch((2.0, 3.0), (), (Step(ops.MUL, (0, 1)),)),
    "exp": Sketch((1.0,), (), (Step(ops.EXP, (0,)),)),
}


def test_a_wrong_rule_is_found(mutate):
    check_agreement(SKETCHES["sin"])
    mutate("sin", vjp=(lambda ct, out, x: -(ct * ops.cos(x)),))
    with pytest.raises(AssertionError, match="sympy's derivative"):
        check_agreement(SKETCHES["sin"])


def test_a_wrong_value_is_found(mutate):
    mutate("exp", evaluate=lambda x: math.exp(x) * (1 + 1e-14))
    with pytest.raises(AssertionError, match="the interpreter"):
        check_agreement(SKETCHES["exp"])


def test_a_wrong_spelling_is_found(mutate):
    mutate("exp", notation={**ops.EXP.notation, "python": call("expm1")})
    with pytest.raises(AssertionError, match="python"):
        check_agreement(SKETCHES["exp"], ["python"])


@pytest.mark.skipif(find_node() is None, reason="no Node.js on PATH")
def test_a_wrong_spelling_in_javascript_is_found(mutate):
    cosine = Sketch((1.0,), (), (Step(ops.COS, (0,)),))
    check_agreement(cosine, ["javascript"])
    check_in_node([SKETCHES["mul"], cosine])
    mutate("cos", notation={**ops.COS.notation, "javascript": call("Math.sin")})
    with pytest.raises(AssertionError, match="javascript"):
        check_agreement(cosine, ["javascript"])
    with pytest.raises(AssertionError, match=r"cos\(0,\).*javascript"):
        check_in_node([SKETCHES["mul"], cosine])
    with pytest.raises(AssertionError, match="javascript"):
        fuzz(20.0, [ops.COS], seed=1)


def test_a_wrong_simplification_is_found(monkeypatch):
    from wengert.simplify import engine as passes
    from wengert.simplify.rules import Rule

    rules = (Rule("wrong", lambda a, b: a * b, lambda a, b: a + b, "exact"),)
    monkeypatch.setitem(passes.PASSES, "exact", passes.Pass("exact", rules))
    with pytest.raises(AssertionError, match="simplified"):
        check_agreement(SKETCHES["mul"])


def square(**changes):
    record = {
        "name": "my_square",
        "arity": 1,
        "evaluate": lambda x: x * x,
        "sympy": lambda sp, x: x**2,
        "vjp": (lambda ct, out, x: ct * (2 * x),),
        "notation": {
            "text": call("my_square"),
            "python": call("pow", "{0}", "2.0"),
            "python-ieee": call("safe_pow", "{0}", "2.0", define=ieee.safe_pow),
        },
        "sentence": "the square passes the cotangent times twice its operand",
        "domain": ((-3.0, 3.0),),
        **changes,
    }
    return wg.Op(**record)


def test_an_operation_of_ones_own():
    check_operation(square())
    assert fuzz(1.0, [square(), ops.ADD, ops.TANH], run_on=["python"]) > 10


@pytest.mark.parametrize(
    "changes",
    [
        {"vjp": (lambda ct, out, x: ct * x,)},
        {"evaluate": lambda x: x * x * (1 + 1e-9)},
        {"sympy": lambda sp, x: x**3},
    ],
)
def test_a_mistake_in_an_operation_of_ones_own_is_found(changes, monkeypatch):
    monkeypatch.setattr(scalars, "RUNNABLE", ("python",))
    with pytest.raises(AssertionError):
        check_operation(square(**changes))


def test_what_leaks_is_found(monkeypatch):
    kept = []
    monkeypatch.setattr(
        scalars,
        "check_agreement",
        lambda s, run_on: kept.extend(s.build()[0].graph for _ in range(20)),
    )
    with pytest.raises(AssertionError, match="graphs are alive"):
        fuzz(240.0, run_on=["python"])  # it ends with the round that finds the leak


@given(sketches(steps=4))
@settings(max_examples=20)
def test_a_sketch_is_the_same_on_any_kind_of_number(sketch):
    output, inputs = sketch.build()
    values = [wg.Value(number) for number in sketch.point]
    found = sketch.follow(values)
    reference = wg.evaluate(output, dict(zip(inputs, sketch.point, strict=True)))
    assert testing.same(float(getattr(found, "data", found)), float(reference))


def test_sketches_print_shortly():
    sketch = SKETCHES["mul"]
    assert repr(sketch) == "Sketch(point=(2.0, 3.0), constants=(), steps=(mul(0, 1),))"
    assert dataclasses.replace(sketch, point=(1.0, 1.0)) != sketch


def test_hypothesis_is_imported_when_used():
    code = "import sys, wengert.testing; sys.exit('hypothesis' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# -- functions of arrays --------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(40))
def test_gradients_of_random_functions_of_arrays_are_what_differences_say(seed):
    check_gradient(ArraySketch(seed, steps=4 + seed % 12))


@pytest.mark.parametrize("target", ["python", "numpy", "native"])
@pytest.mark.parametrize("seed", range(10))
def test_random_functions_of_arrays_element_by_element(seed, target):
    check_elements(ArraySketch(seed, steps=4 + seed % 5), target)


def test_what_is_asked_is_of_every_kind():
    asked = []
    for seed in range(300):
        sketch = ArraySketch(seed)
        built = sketch.build()
        question = Question.draw(random.Random(seed), list(built.arguments), ["float64", "float32"])
        asked.append((built, question))
    questions = [question for _, question in asked]
    assert {q.what for q in questions} == {"value", "gradient", "both", "second"}
    assert {q.form for q in questions} == {"dict", "list", "nested", "one"}
    assert {(q.reduce, bool(q.batched)) for q in questions} == {
        (reduce, batched) for reduce in ("sum", "mean", None) for batched in (False, True)
    }
    assert any(0 < len(q.batched) < len(b.arguments) for b, q in asked)
    assert {q.dtype for q in questions} == {"float64", "float32"}
    assert any(isinstance(leaf, list) for b, _ in asked for leaf in b.arguments.values())
    assert any(b.parameters for b, _ in asked)
    live = [set(live_nodes(b.number.graph, [b.number.id])) for b, _ in asked]
    assert any(leaf.id not in found for (b, _), found in zip(asked, live, strict=True)
               for leaf in b.leaves)  # fmt: skip
    drawn = {op.name for b, _ in asked for op in b.number.graph.ops}
    assert {"matmul", "where", "gather", "scatter_add", "outer", "logsumexp", "stack"} <= drawn


def test_a_wrong_gradient_of_an_array_is_found(mutate):
    sketches_of_arrays = list(map(ArraySketch, range(20)))
    mutate("tanh", vjp=(lambda ct, out, x: ct * (1 + out * out),))
    with pytest.raises(AssertionError, match="by grad, off by"):
        list(map(check_gradient, sketches_of_arrays))


def check_many(target, steps=8):
    for seed in range(20):
        check_arrays(ArraySketch(seed, steps), target)


def mistaken(monkeypatch, mistake):
    """Targets that are wrong: `mistake` gets the question, the function and its arguments."""
    asked = []

    class Recorded(Question):
        @staticmethod
        def draw(*given):
            asked.append(Question.draw(*given))
            return asked[-1]

    def compiled(groups, outputs, **options):
        f = right(groups, outputs, **options)
        return lambda *rows: mistake(asked[-1], f, rows)

    right = testing.arrays.compile
    monkeypatch.setattr(testing.arrays, "Question", Recorded)
    monkeypatch.setattr(testing.arrays, "compile", compiled)


CASES = {
    "the value alone": lambda q: q.what == "value",
    "the gradient alone": lambda q: q.what == "gradient",
    "both": lambda q: q.what == "both",
    "second derivatives": lambda q: q.what == "second",
    "a list": lambda q: q.form == "list",
    "a nested form": lambda q: q.form == "nested",
    "one output": lambda q: q.form == "one",
    "one sample": lambda q: not q.batched,
    "a sum over samples": lambda q: q.batched and q.reduce == "sum",
    "a mean over samples": lambda q: q.batched and q.reduce == "mean",
    "rows": lambda q: q.batched and q.reduce is None,
    "float32": lambda q: q.dtype == "float32",
    "rules over the reals": lambda q: q.simplify == "real",
    "what is written": lambda q: q.simplify is False,
}


@pytest.mark.parametrize("case", CASES)
def test_a_target_that_is_wrong_in_one_case_only_is_found(monkeypatch, case):
    def mistake(question, f, rows):
        off = 1.01 if CASES[case](question) else 1.0
        return map_nested(f(*rows), lambda one: np.asarray(one) * off + (off - 1))

    mistaken(monkeypatch, mistake)
    with pytest.raises(AssertionError, match="expected"):
        check_many("numpy")


def of_results(change):
    return lambda q, f, rows: map_nested(f(*rows), lambda one: change(q, np.asarray(one)))


def overwriting(q, f, rows):
    found = f(*rows)
    for row in rows:
        if isinstance(row, np.ndarray):
            row += 1
    return found


def out_of_order(q, f, rows):
    alike = [k for k, row in enumerate(rows) if np.shape(row) == np.shape(rows[0])]
    swapped = list(rows)
    swapped[alike[-1]], swapped[0] = rows[0], rows[alike[-1]]
    return f(*swapped)


MISTAKES = {
    "axes": of_results(lambda q, one: one[..., None]),
    "nan": of_results(lambda q, one: one * math.nan),
    "samples in another order": of_results(
        lambda q, one: one[::-1] if q.batched and q.reduce is None else one
    ),
    "a sum for a mean": of_results(lambda q, one: one * (3 if q.reduce == "mean" else 1)),
    "one sample for a sum": of_results(
        lambda q, one: one / (3 if q.batched and q.reduce == "sum" else 1)
    ),
    "outputs in another order": lambda q, f, rows: f(*rows)[::-1] if q.form == "list" else f(*rows),
    "arguments in another order": out_of_order,
    "arguments overwritten": overwriting,
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_target_that_is_wrong_in_one_way_is_found(monkeypatch, mistake):
    mistaken(monkeypatch, MISTAKES[mistake])
    with pytest.raises(AssertionError):
        check_many("numpy")


def test_memory_that_is_written_to_before_its_last_reader_is_found(monkeypatch):
    right = printer._Printer._last_uses
    monkeypatch.setattr(
        printer._Printer,
        "_last_uses",
        lambda self: {name: last - 2 for name, last in right(self).items()},
    )
    build_once.cache_clear()
    with pytest.raises(AssertionError, match="expected"):
        check_many("numpy", steps=12)
    build_once.cache_clear()


def test_results_of_the_call_before_that_are_written_to_are_found(monkeypatch):
    kept = {}

    def in_the_same_memory(q, f, rows):
        found = f(*rows)
        numbers = iter(range(100))
        return map_nested(
            found, lambda one: kept.setdefault((f, next(numbers)), one) if np.ndim(one) else one
        )

    mistaken(monkeypatch, in_the_same_memory)
    with pytest.raises(AssertionError, match="results share memory"):
        check_many("numpy")


def test_results_that_share_memory_are_found(monkeypatch):
    def compiled(*given, **options):
        f = right(*given, **options)

        def same_memory(*rows):
            kept = {}
            return map_nested(
                f(*rows), lambda one: kept.setdefault(one.tobytes(), one) if np.ndim(one) else one
            )

        return same_memory

    right = testing.arrays.compile
    monkeypatch.setattr(testing.arrays, "compile", compiled)
    with pytest.raises(AssertionError, match="share memory"):
        check_many("numpy")
