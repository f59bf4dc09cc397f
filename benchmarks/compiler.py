"""The compiler's own speed: how long, and how much memory, from the first line to a callable.

Each size runs in a process of its own, so that its peak of memory is its own.

    python benchmarks/compiler.py 100000        one size, as JSON
"""

import dataclasses
import gc
import json
import resource
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

from problems import notebook

import wengert as wg

READY_BUDGET = 0.025
"""Seconds from the first line of the notebook step to a callable."""

NODE_BUDGET = 30e-6, 3_000
"""Seconds and bytes a node, everything in all."""

SIZES = (10_000, 100_000, 1_000_000)
STAGES = ("build", "grad", "extract", "simplify", "lower", "emit", "load", "rest of compile")
HIDDEN, OUTPUTS = 50, 10


def time_to_callable(rounds: int = 15) -> list[float]:
    """Seconds from nothing to the notebook's compiled loss and gradient, once a round."""
    from peers.by_wengert import unrolled

    problem = notebook()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        unrolled(problem)
        times.append(time.perf_counter() - start)
    return times


class Stages:
    """Seconds spent in each stage, by wrapping the functions that `compile` calls."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def timed(self, stage: str, function):
        def run(*args, **kwargs):
            start = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                spent = time.perf_counter() - start
                self.seconds[stage] = self.seconds.get(stage, 0.0) + spent

        return run

    @contextmanager
    def inside_compile(self):
        """While this lasts, `wengert.compile` reports the stages that it consists of."""
        from wengert.codegen import build, compiled

        find_target = build.find_target

        def found(name):
            target = find_target(name)
            return dataclasses.replace(
                target,
                emit=self.timed("emit", target.emit),
                load=self.timed("load", target.load),
            )

        wrapped = [
            (compiled, "rewritten", self.timed("extract", compiled.rewritten)),
            (build, "simplified", self.timed("simplify", build.simplified)),
            (build, "lower", self.timed("lower", build.lower)),
            (build, "find_target", found),
        ]
        kept = [(module, name, getattr(module, name)) for module, name, _ in wrapped]
        for module, name, function in wrapped:
            setattr(module, name, function)
        build.build_once.cache_clear()
        try:
            yield
        finally:
            for module, name, function in kept:
                setattr(module, name, function)


def measure(nodes: int) -> dict:
    """A scalar network with its derived backward pass, of about so many nodes, compiled.

    One sample of a 50-10 network of as many inputs as it takes: about 4 nodes a weight.
    """
    stages = Stages()
    inputs = max(1, nodes // (4 * HIDDEN))
    memory = {"start": peak()}
    gc.collect()
    net = wg.MLP(inputs, [HIDDEN, OUTPUTS], seed=0)
    graph, loss = stages.timed("build", build)(net, inputs)
    memory["build"] = peak()
    params = net.parameters()
    gradient = stages.timed("grad", wg.grad)(loss, params)
    memory["grad"] = peak()
    count = len(graph)
    x = [graph[graph.leaves[f"x{i}"]] for i in range(inputs)]
    y = [graph[graph.leaves[f"y{i}"]] for i in range(OUTPUTS)]
    with stages.inside_compile():
        start = time.perf_counter()
        f = wg.compile({"params": params, "x": x, "y": y}, {"loss": loss, "grad": gradient})
        total = time.perf_counter() - start
    memory["compile"] = peak()
    inner = sum(stages.seconds.get(stage, 0.0) for stage in STAGES[2:7])
    stages.seconds["rest of compile"] = total - inner
    f([p.data for p in params], [0.5] * inputs, [0.0] * OUTPUTS)
    return {
        "nodes": count,
        "seconds": {stage: stages.seconds.get(stage, 0.0) for stage in STAGES},
        "bytes": {
            stage: memory[stage] - memory[before]
            for before, stage in (("start", "build"), ("build", "grad"), ("grad", "compile"))
        },
    }


def build(net, inputs: int):
    """The loss of one sample, in a new graph."""
    graph = wg.Graph()
    x, y = graph.inputs("x", inputs), graph.inputs("y", OUTPUTS)
    terms = [(out - target) ** 2 for out, target in zip(net(x), y, strict=True)]
    return graph, sum(terms[1:], terms[0])


def peak() -> int:
    """The most memory this process has had so far, in bytes."""
    status = Path("/proc/self/status")  # Linux counts what the parent had in its ru_maxrss
    if status.exists():
        lines = status.read_text().splitlines()
        return 1024 * int(next(line for line in lines if line.startswith("VmHWM")).split()[1])
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def in_a_process(nodes: int, timeout: float = 600) -> dict:
    """`measure`, in a process of its own; or {"failure": why}."""
    command = [sys.executable, __file__, str(nodes)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired:
        return {"nodes": nodes, "failure": f"no answer within {timeout:.0f} s"}
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return {"nodes": nodes, "failure": f"exit {done.returncode}: {last[:160]}"}
    return json.loads(done.stdout)


def summary(sizes=SIZES) -> dict:
    """Everything, ready for JSON."""
    times = time_to_callable()
    return {
        "ready": {"first": times[0], "median": statistics.median(times), "least": min(times)},
        "sizes": [in_a_process(nodes) for nodes in sizes],
    }


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]))))
