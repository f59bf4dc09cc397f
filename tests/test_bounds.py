"""Time and memory are bounded: whatever is done to a small graph of enormous size written out.

Each graph has a process of its own, with a limit on its memory; it does all the jobs in turn. What
hangs is ended by the alarm; no test asserts a time.
"""

import copy
import os
import pickle
import resource
import signal
import sys
from functools import reduce

import pytest

import wengert as wg

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes to limit")

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
    "f.verify": lambda y, x, at: wg.compile({"x": x}, y).verify(seconds=0.2),
}


def limited(work):
    """What a forked process of limited memory says of its work; how it ended if it does not."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(HANG)
        try:
            for line in work():
                os.write(writer, line.encode() + b"\n")
        finally:
            sys.stdout.flush()
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        lines = stream.read().splitlines()
    _, status = os.waitpid(child, 0)
    return lines, os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


@pytest.mark.parametrize("name", GRAPHS)
def test_whatever_is_done_to_it_ends_or_is_refused(name):
    def work():
        for job, do in JOBS.items():
            yield f"begun {job}"
            y = GRAPHS[name]()
            x = [e for e in y.graph if not e.operands and e.value is None]
            try:
                do(y, x, dict.fromkeys(x, 0.5))
            except wg.WengertError:
                pass  # refused, and told how else
            except BaseException as error:
                yield f"WRONG {job}: {type(error).__name__}: {str(error)[:200]}"
        yield "done"

    lines, ended_by = limited(work)
    assert not [line for line in lines if line.startswith("WRONG")]
    assert (ended_by, lines[-1]) == (0, "done")
