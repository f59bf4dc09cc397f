"""Questions before answers, and a judge that accepts every equivalent form."""

import math
from dataclasses import replace

import pytest

import wengert as wg
from wengert.errors import UnknownNameError
from wengert.explain import explain
from wengert.explain.command import ask
from wengert.explain.practice import fresh
from wengert.notation.formulas import read_formulas
from wengert.notation.parse import parse
from wengert.ops import scalar as ops
from wengert.ops.record import call

OLAH = "c = a + b; d = b + 1; e = c*d"
NEURON = {"w": 0.5, "x": 2.0, "b": -0.3}


@pytest.fixture(scope="module")
def olah():
    return explain(read_formulas(OLAH), at={"a": 2, "b": 1})


@pytest.fixture(scope="module")
def neuron():
    return explain(read_formulas("n = w*x + b; o = tanh(n)"), at=NEURON)


@pytest.fixture(scope="module")
def symbolic():
    return explain(read_formulas("n = w*x + b; o = tanh(n)"))


def ending(walk, suffix):
    (question,) = [q.id for q in walk.questions if q.id.endswith(suffix)]
    return question


def of(walk, name, suffix):
    return f"predict-backward-{walk.by_name(name).id}-{suffix}"


def test_every_own_answer_is_right(olah, neuron, symbolic):
    for walk in (olah, neuron, symbolic):
        assert walk.questions
        for question in walk.questions:
            if question.answer is not None:
                assert walk.check(question.id, repr(question.answer)).correct, question
            plain = question.formula.text
            assert walk.check(question.id, plain).correct, question


def test_a_wrong_answer_to_every_question_is_wrong(olah, neuron, symbolic):
    for walk in (olah, neuron, symbolic):
        for question in walk.questions:
            number = 7.77 if question.answer is None else question.answer + 1
            verdict = walk.check(question.id, repr(number))
            assert not verdict.correct
            assert question.hint in verdict.message
            assert not walk.check(
                question.id,
                f"({question.formula.text}) + 0.1*x"
                if walk is not olah
                else f"({question.formula.text}) + 0.1*a",
            ).correct


@pytest.mark.parametrize(
    "typed",
    ["1 - o*o", "1 - o**2", "1-o^2", "(1 - o)*(1 + o)", "1 - tanh(n)**2", "1 − tanh(w*x + b)·o"],
)
def test_equivalent_forms_of_a_local_derivative(neuron, symbolic, typed):
    for walk in (neuron, symbolic):
        question = of(walk, "o", "0-local")
        assert walk.check(question, typed).correct


@pytest.mark.parametrize("typed", ["1 + o*o", "o", "1 - n*n", "x", "2*(1 - o*o)"])
def test_other_forms_are_not(neuron, typed):
    assert not neuron.check(of(neuron, "o", "0-local"), typed).correct


def test_derivatives_by_name(neuron):
    question = of(neuron, "n", "1-product")
    for typed in ("dn", "dn*1", "∂o/∂n", "do/dn", "1 - o*o"):
        assert neuron.check(question, typed).correct, typed


def test_three_digits_are_enough(neuron):
    question = of(neuron, "o", "0-local")
    right = 1 - math.tanh(0.7) ** 2
    assert neuron.check(question, f"{right:.3g}").correct
    assert not neuron.check(question, f"{right * 1.02}").correct
    assert neuron.check(question, "1 - tanh(0.7)**2").correct


def test_messages_help(neuron):
    question = of(neuron, "o", "0-local")
    right = 1 - math.tanh(0.7) ** 2
    assert neuron.check(question, f"{-right}").message.startswith("Right but for the sign.")
    assert "one minus the square" in neuron.check(question, "3").message
    assert "There is no 'q' here; the names are: w, x" in neuron.check(question, "q + 1").message
    unread = neuron.check(question, "1 -").message
    assert unread.startswith("That cannot be read")
    assert not neuron.check(question, "__import__('os')").correct
    value = f"predict-forward-{neuron.by_name('o').id}"
    assert "not in general" in neuron.check(value, "tanh(w*x + b)*x/2").message


def test_an_unknown_question_is_an_error(neuron):
    with pytest.raises(UnknownNameError, match="predict-forward"):
        neuron.check("predict-forward", "1")


def test_sums_are_asked_for(olah):
    question = ending(olah, "-total")
    assert olah.check(question, "5").correct
    assert olah.check(question, "c + d").correct
    assert not olah.check(question, "2").correct


def test_hidden_text_gives_nothing_away():
    walk = explain(parse("(x - 17.25)*x"), at={"x": 3.125})
    hidden = walk.text(80, False, hide=True)
    for node in walk.nodes:
        for number in (node.value, node.adjoint):
            if number not in (None, 1.0, 3.125, 17.25):
                assert f"{number:.6g}" not in hidden
    assert "L = v1*x = ?" in hidden
    assert walk.questions[0].prompt in hidden
    assert "?" in walk.markdown(hide=True)


def test_questions_whose_answer_is_not_finite_are_left_out():
    walk = explain(parse("log(x)*2"), at={"x": 0})
    assert all(math.isfinite(q.answer) for q in walk.questions)


def test_asking(olah, capsys):
    answers = iter(["?", "4", "3", "", "6", "q"])
    assert ask(olah, lambda prompt: next(answers)) == 0
    shown = capsys.readouterr().out
    assert "put the numbers in: 2 + 1" in shown
    assert "Not 4." in shown
    assert "Right. a + b = 3" in shown
    assert "1 of 3 right without looking, 1 after a hint." in shown


def test_asking_ends_with_the_input(olah, capsys):
    def closed(prompt):
        raise EOFError

    assert ask(olah, closed) == 0
    assert "0 of 0" in capsys.readouterr().out


def test_an_answer_may_call_an_operation_from_outside():
    cube = replace(ops.RELU, name="cube", evaluate=lambda x: x * x * x)
    cube = replace(cube, sympy=lambda sp, x: x**3, vjp=(lambda ct, out, x: ct * (3 * x * x),))
    cube = replace(cube, notation={**cube.notation, "text": call("cube")})
    g = wg.Graph()
    x = g.input("x")
    w = explain(cube(x) + 1, at={"x": 2.0})
    (question,) = [q for q in w.questions if q.id == "predict-forward-n1"]
    assert w.check(question.id, "cube(x)").correct
    assert not w.check(question.id, "tanh(x)").correct
    assert "cube: (x) =>" in w.html()


@pytest.mark.parametrize("level", [1, 2, 3])
def test_practice_is_as_hard_as_asked_and_the_same_for_a_seed(level):
    texts = set()
    for seed in range(8):
        w = fresh(level, seed)
        assert w.formula == fresh(level, seed).formula
        assert all(abs(node.value) < 200 for node in w.nodes)
        texts.add(w.formula.text)
        counts = [len(w.derivation.readers[leaf]) for leaf in w.derivation.leaves]
        assert level == 1 or max(counts) > 1
        assert level < 3 or {"tanh", "relu", "exp"} & {node.op for node in w.nodes}
    assert len(texts) > 4


def test_asking_fits_a_narrow_terminal(olah, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    answers = iter(["?", "4", "", "q"])
    ask(olah, lambda prompt: next(answers))
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 40
    assert "nothing to see the" in " ".join(shown.split())
