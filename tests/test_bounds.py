"""Time and memory are bounded: whatever is done to a small graph of enormous size written out.

Every public function and method has a row, or is tried by itself. Each graph has a process of its
own, forked from one that has imported all there is, with a limit on its memory; it does all the
jobs in turn. What hangs is ended; no test asserts a time.
"""

import copy
import gc
import inspect
import os
import pickle
import resource
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from functools import reduce

import pytest

import wengert as wg
from wengert.notation.mathml import mathml
from wengert.ops.record import Op

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs processes to limit")

MEMORY = 4 << 30
HANG = 400
"""Seconds after which a process is taken to hang, on a machine that does other things as well."""


def repeated(step, times):
    """What makes of a leaf a graph by a step that is taken so many times."""
    return lambda x, number: reduce(step, range(times), x[0])


def nines(x, number):
    nine = number(9.0)
    return nine ** (nine**nine) * x[0]


GRAPHS = {
    "doublings": repeated(lambda y, i: y + y, 60),
    "squares": repeated(lambda y, i: y * y, 60),
    "chain": repeated(lambda y, i: wg.tanh(y), 200),
    "diamonds": repeated(lambda y, i: wg.sin(y) * wg.cos(y), 40),
    "cases": repeated(lambda y, i: wg.where(y > i, y * y, y + 1), 30),
    "maxima": repeated(lambda y, i: wg.maximum(y * y, y + i), 30),
    "wide sum": lambda x, number: reduce(lambda a, b: a + b, x),
    "tower": repeated(lambda y, i: y**y, 30),
    "nines": nines,
    "trinomial": lambda x, number: (1 + x[0] + x[0] * x[0]) ** 2000,
}


class Case:
    """A graph, as an expression `y` of the leaves `x`, which are 0.5 in `at`; and as a function."""

    def __init__(self, name):
        g, self.build = wg.Graph(), GRAPHS[name]
        self.x = g.inputs("x", 200 if name == "wide sum" else 1)
        self.y = self.build(self.x, g.constant)
        self.at = dict.fromkeys(self.x, 0.5)
        self.numbers = [0.5] * len(self.x)

    def value(self):
        """The same of `Value`s."""
        return self.build([wg.Value(0.5, label=x.label) for x in self.x], wg.Value)

    def compiled(self, target="python", **options):
        outputs = {"y": self.y, "dy": wg.grad(self.y, self.x)}
        return wg.compile({"x": self.x}, outputs, target=target, **options)


def saved(thing, name):
    with tempfile.TemporaryDirectory() as folder:
        thing.save(f"{folder}/{name}")


def each(*things):
    """Do each of them, whatever became of those before: it may be refused."""
    for do in things:
        with suppress(wg.WengertError):
            do()


LOSSES = """squared_error binary_cross_entropy hinge cross_entropy soft_cross_entropy
    silu gelu floor_divide pick"""


def losses(c):
    y, x = c.y, c.x[0]
    str(wg.squared_error(y, 1.0)), str(wg.binary_cross_entropy(y, 1.0)), str(wg.hinge(y, 1.0))
    str(wg.cross_entropy([y, x], 0)), str(wg.soft_cross_entropy([y, x], [0.5, 0.5]))
    str(wg.silu(y)), str(wg.gelu(y)), str(wg.floor_divide(y, 2.0)), str(wg.pick([y, x], 0))


WALKTHROUGH = """explain Walkthrough Walkthrough.at Walkthrough.by_name Walkthrough.check
    Walkthrough.mistake Walkthrough.node Walkthrough.part Walkthrough.save Walkthrough.step"""


def walked(c):
    w = wg.explain(c.y, at=c.at)
    used(w)
    each(
        lambda: w.at({"x0": 0.25}),
        lambda: w.by_name("x0"),
        lambda: w.check(w.questions[0].id, "1"),
        lambda: w.mistake(w.mistakes[0]),
        lambda: w.node(w.nodes[-1].id),
        lambda: w.part(1),
        lambda: saved(w, "w.html"),
        lambda: w.step(w.steps[-1].id),
        lambda: wg.explain(c.y, wrt=c.x[0], at=c.at, collapse=True).text(),
    )


def traced(c):
    f = wg.function(lambda x: c.build(x, wg.Value))
    x = [wg.Value(0.5) for _ in c.x]
    each(
        lambda: f(x).backward(),
        lambda: f.step("sgd", x),
        lambda: f.value_and_grad(x),
        lambda: used(f),
    )


def trained(c):
    def loss(prediction, target):
        return c.build([prediction] * len(c.x), wg.Value) - target

    net = wg.MLP(1, [1], seed=0)
    each(
        lambda: wg.fit(net, [[0.5]], [0.1], loss=loss, epochs=2, target="python"),
        lambda: wg.training_step(net, 1, loss=loss),
    )


def carried(c):
    y = c.value()
    y.backward()
    wg.zero_grad([y])


JOBS = {
    "text": lambda c: wg.text(c.y),
    "latex": lambda c: wg.latex(c.y),
    "evaluate": lambda c: wg.evaluate(c.y, c.at),
    "grad": lambda c: str(wg.grad(c.y, c.x)),
    "adjoints": lambda c: str(wg.adjoints(c.y)),
    "jvp": lambda c: wg.jvp(c.y, c.x, [1.0] * len(c.x)),
    "hvp": lambda c: wg.hvp(c.y, c.x[:1], [1.0]),
    "hessian": lambda c: wg.hessian(c.y, c.x[:2]),
    "jacobian": lambda c: wg.jacobian([c.y, c.y], c.x[:2]),
    "stable_form": lambda c: str(wg.stable_form(c.y)),
    "simplify": lambda c: str(wg.simplify(c.y)),
    "simplify, real": lambda c: str(wg.simplify(c.y, "real")),
    "simplify, stable": lambda c: str(wg.simplify(c.y, "stable")),
    "compile": lambda c: c.compiled()(c.numbers),
    "compile, real": lambda c: c.compiled(simplify="real")(c.numbers),
    "compile, checked": lambda c: c.compiled(check=True)(c.numbers),
    "compile, javascript": lambda c: c.compiled("javascript").source,
    "compile, numpy": lambda c: c.compiled("numpy", batch="x")([c.numbers] * 2),
    "compile, native": lambda c: c.compiled("native")(c.numbers),
    "Compiled": lambda c: used(c.compiled()),
    "Compiled, numpy": lambda c: used(c.compiled("numpy")),
    "Compiled.save": lambda c: saved(c.compiled(), "f.py"),
    "Compiled.save, c": lambda c: saved(c.compiled("native"), "f.c"),
    "Compiled.save, onnx": lambda c: saved(c.compiled("numpy"), "f.onnx"),
    "Compiled.line_of": lambda c: c.compiled().line_of("x"),
    "Compiled.verify": lambda c: wg.compile({"x": c.x}, c.y).verify(seconds=0.2),
    "function Function Function.step Function.value_and_grad": traced,
    "ranges": lambda c: str(wg.ranges(c.y, dict.fromkeys(c.x, (0, 1)))),
    "roll Rolled": lambda c: used(wg.roll(c.y)),
    "check_roll": lambda c: wg.check_roll([c.y], wg.roll([c.y])),
    "unroll": lambda c: wg.unroll(c.y),
    "to_sympy from_sympy": lambda c: wg.from_sympy(wg.to_sympy(c.y)),
    "to_json from_json": lambda c: wg.from_json(wg.to_json(c.y.graph)),
    "to_networkx from_networkx": lambda c: wg.from_networkx(wg.to_networkx(c.y.graph)),
    "parse": lambda c: wg.parse(str(c.y)),
    "mathml": lambda c: mathml(c.y),
    "draw_dot": lambda c: wg.draw_dot(c.y, backward=True).source,
    "pickle": lambda c: pickle.loads(pickle.dumps(c.y)),
    "deepcopy": lambda c: copy.deepcopy(c.y),
    "verify Verification": lambda c: used(wg.verify(c.y, c.x[:2], seconds=0.2)),
    "Verification.save Verification.load": lambda c: saved(
        wg.verify(c.y, c.x[:1], seconds=0.1), "certificate.json"
    ),
    WALKTHROUGH: walked,
    "Expr": lambda c: used(c.y),
    "Expr.subs": lambda c: str(c.y.subs({c.x[0]: 0.5})),
    "Expr.rename": lambda c: str(c.y.rename({"x0": "z"})),
    "Graph": lambda c: used(c.y.graph),
    "Graph.adopt": lambda c: str(c.y + c.value()),
    "Value": lambda c: used(c.value()),
    "Value.backward zero_grad": carried,
    "arrays": lambda c: wg.arrays.stack([c.y, c.y]).sum(),
    LOSSES: losses,
    "fit training_step": trained,
    "take table Table": lambda c: str(wg.take([[c.y], [c.y]], 0)),
}

COVERED = {word for job in JOBS for word in job.split(",")[0].split()}

OF_ONE_NODE = {
    *"Graph.append Graph.array Graph.array_parameter Graph.constant Graph.copy_leaf".split(),
    *"Graph.deriving Graph.find Graph.input Graph.inputs Graph.is_leaf Graph.new_constant".split(),
    *"Graph.new_leaf Graph.node_of Graph.parameter Graph.source Graph.value".split(),
    *"Expr.apply_op Expr.dot Expr.max_with Expr.min_with".split(),
    *"Expr.repeat Expr.softmax Expr.swapaxes Expr.take".split(),
    *"Value.apply_op Value.max_with Value.min_with Value.softmax".split(),
}
"""What takes arguments and makes or reads one node, or a few, whatever the graph."""

OF_NO_GRAPH = {
    *"LOSSES OPERATIONS Op Module Neuron Layer MLP Dense Notation Optimizer Origin Rule".split(),
    *"SGD Momentum Adam AdamW Clipped Decayed History Source Target targets load schedules".split(),
}
"""What has nothing to do with a graph that users made."""

KINDS = (wg.Compiled, wg.Expr, wg.Function, wg.Graph, wg.Rolled, wg.Value, wg.Verification)
KINDS = (*KINDS, wg.Walkthrough)


def needs_arguments(function):
    free = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    found = inspect.signature(function).parameters.values()
    return any(p.default is p.empty and p.kind not in free for p in found)


def public(kind):
    """What users read of it, and call on it; and what notebooks do."""
    return [n for n in dir(kind) if not n.startswith("_") or n.startswith("_repr_")]


def used(thing, *_):
    """Read and call everything that needs no arguments and has no row of its own."""
    str(thing), repr(thing)
    for name in public(type(thing)):
        if f"{type(thing).__name__}.{name}" in COVERED:
            continue
        try:
            found = getattr(thing, name)
            if callable(found) and not needs_arguments(found):
                found()
        except wg.WengertError:
            pass


def work(name):
    """Do every job on a graph, and say how each went."""
    for job, do in JOBS.items():
        print(f"begun {job}", flush=True)
        try:
            do(Case(name))
        except wg.WengertError:
            pass  # refused, and told how else
        except BaseException as error:
            print(f"WRONG {job}: {type(error).__name__}: {str(error)[:200]}", flush=True)
    print("done", flush=True)


def serve():
    """For each name that is read, do the work in a process of its own; and say how that ended."""
    GRAPHS["small"] = repeated(lambda y, i: wg.tanh(y), 1)
    work("small")  # what is imported and remembered here is so in all of them
    gc.freeze()
    for line in sys.stdin:
        child = os.fork()
        if not child:
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            signal.alarm(HANG)
            work(line.strip())
            os._exit(0)
        _, status = os.waitpid(child, 0)
        print(f"ended {os.waitstatus_to_exitcode(status)}", flush=True)


@pytest.fixture(scope="module")
def server():
    command = [sys.executable, __file__]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **pipes, text=True) as process:
        assert read(process, "done")[0] == "begun text"
        yield process
        process.stdin.close()


def read(process, last):
    """The lines up to one that begins so."""
    lines = []
    for line in process.stdout:
        lines.append(line.rstrip("\n"))
        if line.startswith(last):
            break
    return lines


@pytest.mark.parametrize("name", GRAPHS)
def test_whatever_is_done_to_it_ends_or_is_refused(server, name):
    print(name, file=server.stdin, flush=True)
    lines = read(server, "ended")
    assert not [line for line in lines if line.startswith("WRONG")]
    assert lines[-2:] == ["done", "ended 0"], lines[-3:]


def test_every_public_function_is_tried():
    found = {
        name
        for name in wg.__all__
        if not isinstance(thing := getattr(wg, name), Op)
        and not (isinstance(thing, type) and issubclass(thing, BaseException))
    }
    for kind in KINDS:
        methods = {name: getattr(kind, name) for name in public(kind)}
        found |= {
            f"{kind.__name__}.{name}"
            for name, method in methods.items()
            if inspect.isfunction(method) and len(inspect.signature(method).parameters) > 1
            if needs_arguments(method.__get__(object()))
        }
    known = COVERED | OF_ONE_NODE | OF_NO_GRAPH
    assert sorted(found - known) == [], "give it a row in JOBS"
    assert sorted((OF_ONE_NODE | OF_NO_GRAPH) - found) == [], "is no more"


if __name__ == "__main__":
    serve()
