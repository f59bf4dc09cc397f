"""For each kind of check, something that is broken on purpose, and the check that must notice."""

import contextlib
import hashlib
import math
import random
import re
import subprocess
import sys
from dataclasses import replace

import pytest
from breaking import changed

import wengert as wg
from wengert.codegen.array import rewriting, statementpipeline
from wengert.codegen.build import build_once
from wengert.codegen.scalar import node as noderun
from wengert.codegen.scalar import writer
from wengert.derive import backward
from wengert.graph.rewrite import Rewritten, extract
from wengert.notation.sympy import prove_rule
from wengert.ops import scalar as ops
from wengert.ops.arrays import sum_over
from wengert.ops.reads import Reduce
from wengert.ops.record import Notation, ufunc
from wengert.proof import claim
from wengert.simplify import engine as passes
from wengert.simplify import stable
from wengert.simplify.rules import Rule
from wengert.verify import stages


@pytest.fixture(autouse=True)
def built_anew():
    """Functions and proofs are remembered; those of a mutant must not be."""
    build_once.cache_clear()
    prove_rule.cache_clear()
    yield
    build_once.cache_clear()
    prove_rule.cache_clear()


def network(samples=1):
    """A loss that has matrices, kinks, a softplus written out, and data beside parameters."""
    net = wg.MLP(2, [3, 2, 1], seed=0)
    g = wg.Graph()
    loss = g.constant(0)
    for sample in range(samples):
        name = "x" if samples == 1 else f"x{sample}_"
        x, y = g.inputs(name, 2), g.input(f"y{sample}")
        out = net(x)
        loss = loss + (y - out) ** 2 + wg.log(1 + wg.exp(-out * y))
        loss = loss + wg.maximum(out, y).relu() * 0.25
    return loss, net.parameters()


def verified(samples=1):
    loss, parameters = network(samples)
    return wg.verify(loss, parameters, seconds=0.05)


def failed(samples=1):
    """The kinds of check that fail, and what is said of them."""
    verification = verified(samples)
    return {check.name for check in verification.failures}, str(verification)


def wrong_targets():
    """The targets that fail, and with "a batch" the loops over samples; nothing else may."""
    failures = verified().failures
    assert {check.name for check in failures} == {"compiled"}, failures
    return {check.method.removesuffix(" against the interpreter") for check in failures}


def test_nothing_fails_of_what_is_right():
    assert failed()[0] == set()


# -- rules and the backward pass ------------------------------------------------------------------


@contextlib.contextmanager
def record(op, **changes):
    """Another record in the place of an operation's, with everything that knows the operation."""
    before = {name: getattr(op, name) for name in changes}
    for name, thing in changes.items():
        changed(op, name, thing)
    try:
        yield
    finally:
        for name, thing in before.items():
            changed(op, name, thing)


RULES = [
    (ops.TANH, 0, lambda ct, out, x: ct * (1 - out), {"rule", "adjoint", "finite differences"}),
    (ops.RELU, 0, lambda ct, out, x: ct, {"rule"}),
    (ops.MUL, 1, lambda ct, out, a, b: ct * b, {"rule", "adjoint", "fingerprint"}),
    (
        ops.SUB,
        1,
        lambda ct, out, a, b: ct,
        {"rule", "adjoint", "fingerprint", "finite differences"},
    ),
    (ops.MAXIMUM, 0, lambda ct, out, a, b: ct, {"rule"}),
    (ops.ADD, 0, lambda ct, out, a, b: 1.000001 * ct, {"rule", "adjoint", "fingerprint"}),
]


@pytest.mark.parametrize(
    ("op", "position", "wrong", "caught"), RULES, ids=[r[0].name for r in RULES]
)
def test_a_wrong_rule(op, position, wrong, caught):
    rules = list(op.vjp)
    rules[position] = wrong
    with record(op, vjp=tuple(rules)):
        kinds, said = failed()
    assert kinds >= {*caught, "derivative"} - ({"derivative"} if caught == {"rule"} else set()), (
        said
    )


def forgetful(graph, node, found, *more, _before=backward._pull_back):
    """A sweep that keeps the first share of a node and drops the others."""
    known = dict(found)
    _before(graph, node, found, *more)
    for operand in graph.operands[node]:
        if operand in known:
            found[operand] = known[operand]


def doubling(graph, node, found, *more, _before=backward._pull_back):
    """A sweep that passes a share back twice, once in a while."""
    _before(graph, node, found, *more)
    if node % 17 == 0:
        for operand in graph.operands[node]:
            if operand in found:
                found[operand] = (graph[found[operand]] + graph[found[operand]]).id


@pytest.mark.parametrize("sweep", [forgetful, doubling])
def test_a_wrong_sweep(sweep, monkeypatch):
    monkeypatch.setattr(backward, "_pull_back", sweep)
    kinds, said = failed()
    assert kinds >= {"adjoint", "fingerprint", "derivative", "finite differences"}, said


def test_a_gradient_that_is_off_in_the_twelfth_digit(monkeypatch):
    before = backward.grad
    monkeypatch.setattr(claim, "grad", lambda y, x: [d * (1 + 1e-12) for d in before(y, x)])
    kinds, said = failed()
    assert kinds >= {"adjoint", "fingerprint", "derivative"}, said


def test_a_value_that_is_not_what_the_operation_means():
    with record(ops.TANH, evaluate=lambda x: 1.001 * math.tanh(x)):
        kinds, said = failed()
    assert "finite differences" in kinds, said


# -- what is rewritten ----------------------------------------------------------------------------


def test_a_wrong_stable_rule(monkeypatch):
    wrong = Rule(
        "softplus", lambda x: wg.log(1 + wg.exp(x)), lambda x: wg.softplus(x) + 1e-9, "stable"
    )
    monkeypatch.setattr(stable, "STABLE_PASS", passes.Pass("stable", (wrong,), share=True))
    x = wg.Graph().input("x")
    verification = wg.verify(wg.log(1 + wg.exp(x)) * x, x)
    assert "stable form" in {check.name for check in verification.failures}


WRONG_RULES = [
    Rule("sum", lambda a, b: a * b, lambda a, b: a + b, "exact"),
    Rule("turned", lambda a, b: a - b, lambda a, b: a + b, "exact"),
    Rule("rounded", lambda a: -a, lambda a: a * (-1 - 2.0**-40), "exact"),
]


@pytest.mark.parametrize("wrong", WRONG_RULES, ids=lambda rule: rule.name)
def test_a_wrong_simplification(wrong, monkeypatch):
    monkeypatch.setattr(stages, "DEFAULT_PIPELINE", (passes.Pass("exact", (wrong,)),))
    kinds, said = failed()
    assert kinds == {"simplification"}, said


def test_a_pass_that_loses_a_constant(monkeypatch):
    def forget(graph):
        after = extract([graph[node] for node in graph.outputs])
        for node, op in enumerate(after.ops):
            if op is ops.MUL and any(after.ops[n] is ops.CONSTANT for n in after.operands[node]):
                kept = [n for n in after.operands[node] if after.ops[n] is not ops.CONSTANT]
                after.operands[node] = (*kept, *kept)[:2] if kept else after.operands[node]
                break
        after.passes = passes.run(graph).graph.passes
        return Rewritten(after, ({},))

    monkeypatch.setattr(stages, "DEFAULT_PIPELINE", (forget,))
    assert failed()[0] == {"simplification"}


# -- arrays ---------------------------------------------------------------------------------------


def quarter():
    """A loss with a factor, of two layers."""
    net = wg.MLP(3, [4, 4, 1], seed=0)
    graph = wg.Graph()
    return 0.25 * (net(graph.inputs("x", 3)) - graph.input("y")) ** 2, net.parameters()


def doubled(program):
    """The program with one term counted once more than it is."""
    statements = list(program.statements)
    place = max(k for k, s in enumerate(statements) if isinstance(s.value, Reduce))
    value = statements[place].value
    first, *rest = value.terms
    more = replace(value, terms=(replace(first, count=first.count + 1), *rest))
    statements[place] = replace(statements[place], value=more)
    return replace(program, statements=tuple(statements))


def array_failures():
    """What is said of the steps to arrays, and the targets, that fail."""
    build_once.cache_clear()
    loss, parameters = quarter()
    failures = wg.verify(loss, parameters, seconds=0.05).failures
    return {
        (check.name, check.what.partition(",")[2].partition(":")[0].strip()) for check in failures
    }


def test_a_roll_that_counts_a_term_twice(monkeypatch):
    always, regular = statementpipeline.rolled_nodes, statementpipeline.roll_if_regular

    def wrong(*asked):
        program, survey = always(*asked)
        return doubled(program), survey

    def wrong_if_regular(*asked):
        rolling = regular(*asked)
        return replace(rolling, program=doubled(rolling.program))

    monkeypatch.setattr(statementpipeline, "rolled_nodes", wrong)
    monkeypatch.setattr(statementpipeline, "roll_if_regular", wrong_if_regular)
    assert {name for name, _ in array_failures()} == {"roll", "compiled"}


def test_a_batch_that_counts_a_term_twice(monkeypatch):
    before = statementpipeline.batched
    monkeypatch.setattr(statementpipeline, "batched", lambda *asked: doubled(before(*asked)))
    assert array_failures() == {("roll", "batch"), ("compiled", "")}


@pytest.mark.parametrize("wrong", ["factors", "biases"])
def test_a_rewrite_that_counts_a_term_twice(wrong, monkeypatch):
    def broken(step):
        def rewrite(function):
            after = step(function)
            if after is function:
                return function
            return replace(after, program=doubled(after.program))

        return rewrite

    changed = [(n, broken(step) if n == wrong else step) for n, step in rewriting.REWRITES]
    monkeypatch.setattr(rewriting, "REWRITES", changed)
    assert {("simplification", wrong)} <= array_failures()


# -- printers and targets -------------------------------------------------------------------------


SPELLINGS = [
    ("python", ops.SUB, Notation("{1} - {0}", 10, (11, 11))),
    ("python", ops.TANH, Notation("sin({0})")),
    ("javascript", ops.TANH, Notation("Math.tan({0})")),
    ("javascript", ops.SUB, Notation("{0}+{1}", 10, (10, 11))),
    ("javascript", ops.MUL, Notation("{0}*{1}*1.0000000001", 20, (20, 21))),
]


@pytest.mark.parametrize(
    ("target", "op", "notation"), SPELLINGS, ids=[f"{t}-{o.name}" for t, o, _ in SPELLINGS]
)
def test_a_wrong_spelling(target, op, notation):
    if target == "javascript" and noderun.find_node() is None:
        pytest.skip("Node.js is not installed")
    with record(op, notation={**op.notation, target: notation}):
        assert wrong_targets() == {target, f"{target}, a batch,"}


def test_a_printer_that_drops_parentheses():
    loose = Notation(ops.SUB.notation["python"].template, 100, (0, 0))
    with record(ops.SUB, notation={**ops.SUB.notation, "python": loose}):
        assert wrong_targets() == {"python", "python, a batch,"}


def test_a_function_of_numpy_that_is_another(monkeypatch):
    monkeypatch.setitem(ops.TANH.notation, "numpy", ufunc("sin"))
    assert wrong_targets() == {"numpy", "numpy, a batch,"}


def test_a_function_of_numpy_that_is_another_on_whole_arrays(monkeypatch):
    g = wg.Graph()
    a1, d0 = g.array("a1", (2, 3)), g.array("d0", 3)  # names as the check's own, on purpose
    y = wg.tanh(a1 @ d0)
    loss = sum_over(y * y)
    assert wg.verify(loss, [a1, d0])
    monkeypatch.setitem(ops.TANH.notation, "numpy", ufunc("sin"))
    build_once.cache_clear()
    methods = {check.method.split(" against")[0] for check in wg.verify(loss, [a1, d0]).failures}
    assert methods == {"numpy", "numpy, as arrays,"}


def test_a_loop_over_samples_that_starts_anew(monkeypatch):
    before = writer.Writer.samples

    def anew(self, level):
        before(self, level)
        lines = self.listing.lines
        self.listing.lines = [re.sub(r"^( {8}\w+) \+= ", r"\1 = ", line) for line in lines]

    monkeypatch.setattr(writer.Writer, "samples", anew)
    assert wrong_targets() == {"python, a batch,"}


# -- exported files -------------------------------------------------------------------------------


def exported(path, **options):
    loss, parameters = network()
    g = loss.graph
    f = wg.compile(
        {"params": parameters, "x": [g["x0"], g["x1"]], "y": g["y0"]},
        {"loss": loss, "grad": wg.grad(loss, parameters)},
        batch=("x", "y"),
    )
    return f.save(path, **options)


def ran(path):
    """Whether a module is satisfied with itself, and what it says."""
    command = [sys.executable, "-I", "-S", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    path = exported(tmp_path_factory.mktemp("exported") / "model.py")
    good, said = ran(path)
    assert good, said
    return path.read_text(encoding="utf-8")


def signed_again(text):
    """The text with the digest that it would have been written with."""
    digest = re.search(r'"sha256": \'(\w{64})\'', text).group(1)
    return text.replace(digest, hashlib.sha256(text.replace(digest, "").encode()).hexdigest())


def other_digit(text, place):
    return f"{text[:place]}{(int(text[place]) + 5) % 10}{text[place + 1 :]}"


@pytest.mark.parametrize("seed", range(12))
def test_a_file_with_one_digit_altered(seed, module, tmp_path):
    places = [match.start() for match in re.finditer(r"\d", module)]
    text = other_digit(module, random.Random(seed).choice(places))
    path = tmp_path / "altered.py"
    path.write_text(text, encoding="utf-8")
    good, said = ran(path)
    assert not good
    assert "CHANGED" in said or "Error" in said, said


WRITTEN = [
    ("a stored parameter", r"VALUES = \{\s+'params': \[\s*-?0\.\d\d(\d)", "WRONG"),
    ("a constant in the code", r"= .*0\.(2)5", "WRONG"),
    ("a recorded number", r"\(0, -?\d+\.\d{6}(\d)", "WRONG"),
    ("a seed", r'"points": \[\s+\((0),', "WRONG"),
]


FILED = [rule for rule in RULES if not rule[0].kink]


@pytest.mark.parametrize(("pattern", "said"), [w[1:] for w in WRITTEN], ids=[w[0] for w in WRITTEN])
def test_the_numbers_notice_what_a_new_digest_hides(pattern, said, module, tmp_path):
    place = re.search(pattern, module).start(1)
    path = tmp_path / "altered.py"
    path.write_text(signed_again(other_digit(module, place)), encoding="utf-8")
    good, printed = ran(path)
    assert not good, printed
    assert "text: as it was written: ok" in printed
    assert re.search(rf"numbers: \d+ against their 50 digits, .*: {said} in", printed)


@pytest.mark.parametrize(("op", "position", "wrong", "_"), FILED, ids=[r[0].name for r in FILED])
def test_a_file_written_with_a_wrong_rule(op, position, wrong, _, tmp_path):
    rules = list(op.vjp)
    rules[position] = wrong
    with record(op, vjp=tuple(rules)):
        path = exported(tmp_path / "wrong.py")
    good, said = ran(path)
    assert not good
    numbers = next(line for line in said.splitlines() if line.startswith("numbers: "))
    assert "WRONG" in numbers, said


def test_a_file_written_by_a_wrong_printer(tmp_path):
    with record(ops.TANH, notation={**ops.TANH.notation, "python": Notation("sin({0})")}):
        path = exported(tmp_path / "wrong.py")
    good, said = ran(path)
    assert not good
    assert "numbers: " in said
    assert "WRONG" in said


def test_a_certificate_of_something_else_is_refused(tmp_path):
    x, y = wg.Graph().inputs("x", 2)
    f = wg.compile({"x0": x, "x1": y}, {"z": x * y, "d": wg.grad(x * y, [x, y])})
    with pytest.raises(wg.errors.SettingError, match="the certificate is about 'x0 \\+ x1'"):
        f.save(tmp_path / "model.py", certificate=wg.verify(x + y, [x, y]))
    with pytest.raises(wg.errors.SettingError, match="is no certificate"):
        f.save(tmp_path / "model.py", certificate="trust me")
    assert not list(tmp_path.iterdir())


def test_a_certificate_that_did_not_hold_is_not_hidden(tmp_path):
    x = wg.Graph().input("x")
    f = wg.compile({"x": x}, {"y": x * x, "d": wg.grad(x * x, x)})
    verification = wg.verify(x * x, x)
    bad = replace(verification.checks[0], held=False, detail="it does not hold")
    broken = replace(verification, checks=(bad, *verification.checks[1:]))
    good, said = ran(f.save(tmp_path / "model.py", certificate=broken))
    assert not good
    assert "FAILED when written: rule of mul" in said
