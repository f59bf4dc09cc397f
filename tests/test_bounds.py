"""Time and memory are bounded: whatever is done to a small graph of enormous size written out.

Each graph has a process of its own, with a limit on its memory; it does all the jobs in turn. What
hangs is ended; no test asserts a time.
"""

import copy
import os
import pickle
import resource
import subprocess
import sys
from functools import reduce

import pytest

import wengert as wg
from wengert.codegen.export.c import c_text
from wengert.notation.mathml import mathml

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs processes to limit")

MEMORY = 4 << 30
HANG = 400
"""Seconds after which a process is taken to hang, on a machine that does other things as well."""


def repeated(step, times):
    """A leaf that a step is taken from so many times."""
    y = wg.Graph().input("x")
    for i in range(times):
        y = step(y, i)
    return y


def wide():
    return reduce(lambda a, b: a + b, wg.Graph().inputs("x", 200))


def nines():
    g = wg.Graph()
    nine = g.constant(9)
    return nine ** (nine**nine) * g.input("x")


def trinomial():
    x = wg.Graph().input("x")
    return (1 + x + x * x) ** 2000


GRAPHS = {
    "doublings": lambda: repeated(lambda y, i: y + y, 60),
    "squares": lambda: repeated(lambda y, i: y * y, 60),
    "chain": lambda: repeated(lambda y, i: wg.tanh(y), 300),
    "diamonds": lambda: repeated(lambda y, i: wg.sin(y) * wg.cos(y), 40),
    "cases": lambda: repeated(lambda y, i: wg.where(y > i, y * y, y + 1), 30),
    "maxima": lambda: repeated(lambda y, i: wg.maximum(y * y, y + i), 30),
    "wide sum": wide,
    "tower": lambda: repeated(lambda y, i: y**y, 30),
    "nines": nines,
    "trinomial": trinomial,
}


def compiled(y, leaves, target="python", **options):
    outputs = {"y": y, "dy": wg.grad(y, leaves)}
    return wg.compile({"x": leaves}, outputs, target=target, **options)


JOBS = {
    "str": lambda y, x, at: str(y),
    "repr": lambda y, x, at: repr(y),
    "latex": lambda y, x, at: wg.latex(y),
    "evaluate": lambda y, x, at: wg.evaluate(y, at),
    "grad": lambda y, x, at: str(wg.grad(y, x)),
    "adjoints": lambda y, x, at: str(wg.adjoints(y)),
    "jvp": lambda y, x, at: wg.jvp(y, x, [1.0] * len(x)),
    "hvp": lambda y, x, at: wg.hvp(y, x[:1], [1.0]),
    "stable_form": lambda y, x, at: str(wg.stable_form(y)),
    "exact": lambda y, x, at: str(wg.simplify(y)),
    "real": lambda y, x, at: str(wg.simplify(y, "real")),
    "stable": lambda y, x, at: str(wg.simplify(y, "stable")),
    "compile": lambda y, x, at: compiled(y, x)([0.5] * len(x)),
    "compile real": lambda y, x, at: compiled(y, x, simplify="real")([0.5] * len(x)),
    "javascript": lambda y, x, at: compiled(y, x, "javascript").source,
    "numpy": lambda y, x, at: compiled(y, x, "numpy", batch="x")([[0.5] * len(x)] * 2),
    "report": lambda y, x, at: compiled(y, x).report(),
    "save": lambda y, x, at: compiled(y, x).save(os.devnull),
    "ranges": lambda y, x, at: wg.ranges(y, dict.fromkeys(x, (0, 1))),
    "roll": lambda y, x, at: str(wg.roll(y)),
    "to_sympy": lambda y, x, at: wg.to_sympy(y),
    "json": lambda y, x, at: wg.from_json(wg.to_json(y.graph)),
    "networkx": lambda y, x, at: len(y.graph.nx),
    "draw_dot": lambda y, x, at: wg.draw_dot(y).source,
    "pickle": lambda y, x, at: pickle.loads(pickle.dumps(y)),
    "deepcopy": lambda y, x, at: copy.deepcopy(y),
    "verify": lambda y, x, at: wg.verify(y, x[:2], seconds=0.2),
    "explain": lambda y, x, at: wg.explain(y, at=at).text(),
    "page": lambda y, x, at: wg.explain(y, wrt=x[0], at=at).html(),
    "mathml": lambda y, x, at: mathml(y),
    "parse": lambda y, x, at: wg.parse(str(y)),
    "hessian": lambda y, x, at: wg.hessian(y, x[:2]),
    "jacobian": lambda y, x, at: wg.jacobian([y, y], x[:2]),
    "from_sympy": lambda y, x, at: wg.from_sympy(wg.to_sympy(y)),
    "check": lambda y, x, at: compiled(y, x, check=True)([0.5] * len(x)),
    "check_roll": lambda y, x, at: wg.check_roll([y], wg.roll([y])),
    "native": lambda y, x, at: compiled(y, x, "native")([0.5] * len(x)),
    "c": lambda y, x, at: c_text((f := compiled(y, x)).program, f.values, f.derivatives),
    "subs": lambda y, x, at: str(y.subs({x[0]: 0.5})),
    "f.verify": lambda y, x, at: wg.compile({"x": x}, y).verify(seconds=0.2),
}


def work(name):
    """Do every job on a graph, and say how each went."""
    for job, do in JOBS.items():
        print(f"begun {job}", flush=True)
        y = GRAPHS[name]()
        x = [e for e in y.graph if not e.operands and e.value is None]
        try:
            do(y, x, dict.fromkeys(x, 0.5))
        except wg.WengertError:
            pass  # refused, and told how else
        except BaseException as error:
            print(f"WRONG {job}: {type(error).__name__}: {str(error)[:200]}", flush=True)
    print("done", flush=True)


def limit_memory():
    """This process takes no more than this from now on."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


@pytest.mark.parametrize("name", GRAPHS)
def test_whatever_is_done_to_it_ends_or_is_refused(name):
    command = [sys.executable, __file__, name]
    done = subprocess.run(command, timeout=HANG, capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    assert not [line for line in lines if line.startswith("WRONG")]
    assert (done.returncode, lines[-1]) == (0, "done"), done.stderr[-2000:]


if __name__ == "__main__":
    limit_memory()
    work(sys.argv[1])
