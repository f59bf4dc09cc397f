"""What `wengert demo` shows: the notebook's network, from scalars to a trained function and back.

The network, its parameters and the four samples are those of the lesson the package started from;
the loss it ends with there is what the demonstration is held to.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from .derive.backward import grad
from .graph.expr import Expr, Graph
from .graph.value import Value
from .graph.written import text
from .simplify.pipeline import simplify
from .storage import write_bytes

if TYPE_CHECKING:
    from .codegen.compiled import Compiled
    from .train.nn import MLP

SIZES: Final = (2, 4, 4, 1)
"""Inputs, then neurons per layer; every neuron is tanh."""

INPUTS: Final = ((2.0, 3.0), (3.0, -1.0), (0.5, 1.0), (1.0, 1.0))
"""The lesson's rows, their first two columns: its `zip` dropped the third in silence."""

TARGETS: Final = (1.0, -1.0, -1.0, 1.0)

STEP_SIZE: Final = 0.01
EPOCHS: Final = 503
"""Three by hand and 500 in a loop."""

FIRST_LOSSES: Final = (4.327808007068185, 4.068034285407789, 3.848679490299565, 3.669628717717538)
LAST_LOSS: Final = 0.05806020002354838
"""What the lesson printed: the sum of squared errors in each of the first epochs and the last."""

# fmt: off
PARAMETERS: Final = (
    -0.673960864010662, -0.38743452539884804, 0.0,
    0.32561593380178455, -0.5580979978816389, 0.0,
    0.6317607372645528, -0.7439983704036817, 0.0,
    0.37750263423270947, -0.1828057057974144, 0.0,
    -0.6323050313613767, 0.19580356478801164, 0.6513508779160226, 0.5997935672965788, 0.0,
    -0.6161792945551037, 0.6021054544755415, 0.8008739493751205, -0.06752934140993072, 0.0,
    -0.817863919315788, -0.4657988501524455, -0.04784673373944104, -0.1492091424962394, 0.0,
    -0.21578580784850554, 0.5994948447117934, 0.03839212480101062, -0.224872204653213, 0.0,
    -0.34134057784065863, -0.23645896382875153, -0.4479422121034198, -0.26171802369669317, 0.0,
)
"""The lesson's random numbers, neuron by neuron: the weights, then the bias."""
# fmt: on

NEURON: Final = {"x1": 2.0, "x2": 0.0, "w1": -3.0, "w2": 1.0, "b": 6.881373587019543}
"""The lesson's single neuron, tanh(x1*w1 + x2*w2 + b)."""

Say = Callable[[str], None]
"""Prints a line; an empty one separates."""


class Sample(NamedTuple):
    """The loss of one sample and its derivatives, in one graph."""

    net: MLP
    graph: Graph
    x: list[Expr]
    y: Expr
    loss: Expr
    gradient: list[Expr]


def notebook_network() -> MLP:
    """The lesson's network with the parameters it printed.

    >>> round(notebook_network()([2.0, 3.0]).data, 12)
    -0.217319887686
    """
    from .train.nn import MLP

    net = MLP(SIZES[0], list(SIZES[1:]), seed=0)
    for parameter, number in zip(net.parameters(), PARAMETERS, strict=True):
        parameter.data = number
    return net


def run(folder: Path, say: Say) -> bool:
    """Take the network through every stage, say what happens, and write the files to `folder`.

    False when a check failed: the proof, the losses of training, or the exported module's own.
    """
    folder.mkdir(parents=True, exist_ok=True)
    say("The notebook's network: 2 inputs, layers of 4, 4 and 1 tanh neurons, 37 parameters.")
    sample = _build(notebook_network(), say)
    proved = _prove(sample, say)
    _compile(sample, say)
    learned, curve = _train(sample.net, folder, say)
    exported, module = _export(sample, folder, say)
    pictures = _draw(sample, folder, say)
    say("")
    say(f"Written to {folder}:")
    for path in (module, *pictures, *curve):
        say(f"  {path.name:<22} {path.stat().st_size:>9,} bytes")
    return proved and learned and exported


def _build(net: MLP, say: Say) -> Sample:
    """Stages 1 and 2: the graph of one sample's loss, and its backward pass in the same graph."""
    start = time.perf_counter()
    graph = Graph()
    x, y = graph.inputs("x", SIZES[0]), graph.input("y")
    loss = (net(x) - y) ** 2
    _title(say, "1. Scalars become a graph", start)
    say(f"   loss = (net(x) - y)**2 for one sample: {graph!r}")
    import networkx

    view = graph.nx
    say(
        f"   graph.nx is a networkx {type(view).__name__}: {view.number_of_nodes()} nodes, "
        f"{view.number_of_edges()} edges, longest path {networkx.dag_longest_path_length(view)}"
    )
    forward = len(graph)
    start = time.perf_counter()
    gradient = grad(loss, net.parameters())
    _title(say, "2. The backward pass is derived as nodes of the same graph", start)
    say(
        f"   grad(loss, parameters): {len(gradient)} derivatives, {len(graph) - forward} nodes more"
    )
    neuron = net.layers[0].neurons[0]
    say("   the first neuron's output by its first weight, simplified:")
    say(f"   {text(simplify(grad(neuron(x), neuron.w[0])))}")
    return Sample(net, graph, x, y, loss, gradient)


def _prove(sample: Sample, say: Say) -> bool:
    """Stage 3: every rule and every derivative against sympy, differences, and the compiler."""
    from .verify.verify import verify

    start = time.perf_counter()
    verification = verify(sample.loss, sample.net.parameters())
    _title(say, "3. The derivatives are checked: sympy, differences, the compiled code", start)
    rules = [check.what for check in verification if check.name == "rule" and check.held]
    say(f"   rules of {', '.join(rules)}: sympy, symbolic: ok")
    for check in verification:
        if check.name != "rule" or not check.held:
            error = "" if check.error is None else f", error {check.error:.0e}"
            verdict = "ok" if check.held else f"FAILED: {check.detail}"
            say(f"   {check.name}, {check.what}: {check.method}{error}: {verdict}")
    return bool(verification)


def _compiled(sample: Sample) -> Compiled:
    from .codegen.compiled import compile

    return compile(
        {"params": sample.net.parameters(), "x": sample.x, "y": sample.y},
        {"loss": sample.loss, "grad": sample.gradient},
        batch=("x", "y"),
        name="loss_and_gradient",
    )


def _compile(sample: Sample, say: Say) -> None:
    """Stage 4: one straight-line function for loss and gradient, and what it saves."""
    start = time.perf_counter()
    function = _compiled(sample)
    _title(say, "4. The graph is compiled to a straight-line Python function", start)
    net, rows, targets = sample.net, [list(row) for row in INPUTS], list(TARGETS)
    parameters = [parameter.data for parameter in net.parameters()]

    def interpret() -> None:
        net.zero_grad()
        sum((net(row) - y) ** 2 for row, y in zip(rows, targets, strict=True)).backward()

    compiled = _seconds(lambda: function(parameters, rows, targets), 200)
    interpreted = _seconds(interpret, 5)
    net.zero_grad()
    say(f"   {function!r}")
    say("   where its forward part ends and its backward part begins:")
    for line in _around(function.source, "# backward"):
        say(f"   | {line.strip()}")
    say(
        f"   loss and gradient of all 4 samples: {compiled * 1e6:.1f} µs; "
        f"node by node: {interpreted * 1e6:.0f} µs, {interpreted / compiled:.0f} times as long"
    )


def _train(net: MLP, folder: Path, say: Say) -> tuple[bool, list[Path]]:
    """Stage 5: training to the loss that the notebook printed, and the curve of it."""
    from .train.fit import fit
    from .train.optim import SGD

    start = time.perf_counter()
    history = fit(net, INPUTS, TARGETS, optimizer=SGD(STEP_SIZE), epochs=EPOCHS, progress=False)
    _title(
        say, f"5. The network is trained: {EPOCHS} epochs, update included in the function", start
    )
    first, last = history.loss[: len(FIRST_LOSSES)], history.loss[-1]
    say(f"   loss {first[0]!r} before the first step, {last!r} before the last")
    say(f"   the notebook printed    {FIRST_LOSSES[0]!r} and {LAST_LOSS!r}")
    same = all(abs(a - b) <= 1e-12 for a, b in zip(first, FIRST_LOSSES, strict=True))
    same = same and abs(last - LAST_LOSS) <= 1e-9
    say("   the same" if same else "   FAILED: not the same")
    path = folder / "loss.png"
    try:
        history.plot(path, log=True)
    except ImportError:
        say("   no loss curve: it is drawn with matplotlib; get it with pip install matplotlib")
        return same, []
    return same, [path]


def _export(sample: Sample, folder: Path, say: Say) -> tuple[bool, Path]:
    """Stage 6: a module of the trained network that needs no wengert, made to check itself."""
    start = time.perf_counter()
    path = _compiled(sample).save(folder / "network.py")
    done = subprocess.run(
        [sys.executable, "-I", str(path)], capture_output=True, text=True, check=False
    )
    _title(say, "6. The trained network is exported; the file checks its own gradient", start)
    for line in (done.stdout + done.stderr).splitlines():
        say(f"   | {line}")
    if done.returncode:
        say(f"   FAILED: exit code {done.returncode}")
    return done.returncode == 0, path


def _draw(sample: Sample, folder: Path, say: Say) -> list[Path]:
    """Stage 7: the lesson's neuron and the whole network, forward, and with the backward pass."""
    import graphviz

    from .draw.draw import draw_dot

    start = time.perf_counter()
    values = {name: Value(number, label=name) for name, number in NEURON.items()}
    output = _neuron(values)
    output.backward()
    graph = Graph()
    leaves = {name: graph.parameter(name, number) for name, number in NEURON.items()}
    neuron = _neuron(leaves)
    at = {**dict(zip(sample.x, INPUTS[0], strict=True)), sample.y: TARGETS[0]}
    named = {leaf.label: number for leaf, number in at.items()}
    pictures: dict[str, tuple[Any, Any]] = {
        "neuron": (output, None),
        "neuron-backward": (simplify([neuron, *grad(neuron, list(leaves.values()))]), None),
        "network": (sample.loss, named),
        "network-backward": (simplify([sample.loss, *sample.gradient]), named),
    }
    paths = []
    for name, (shown, given) in pictures.items():
        path = folder / f"{name}.svg"
        try:
            write_bytes(path, draw_dot(shown, at=given).pipe())
        except graphviz.ExecutableNotFound as missing:
            say(f"   no pictures: {missing}")
            return []
        paths.append(path)
    _title(say, "7. The neuron and the network are drawn, forward and backward", start)
    say("   begin with neuron.svg, then neuron-backward.svg: what grad derived is dashed")
    return paths


def _neuron(leaf: Mapping[str, Any]) -> Any:
    """The lesson's neuron, its parts labelled as there."""
    first, second = leaf["x1"] * leaf["w1"], leaf["x2"] * leaf["w2"]
    first.label, second.label = "x1*w1", "x2*w2"
    both = first + second
    both.label = "x1*w1 + x2*w2"
    n = both + leaf["b"]
    n.label = "n"
    output = n.tanh()
    output.label = "output"
    return output


def _title(say: Say, title: str, start: float) -> None:
    seconds = time.perf_counter() - start
    say("")
    say(f"{title} ({seconds:.1f} s)" if seconds >= 1 else f"{title} ({seconds * 1e3:.1f} ms)")


def _around(source: str, mark: str) -> list[str]:
    """The line before the first one that holds `mark`, that one, and two more."""
    lines = source.splitlines()
    place = next((i for i, line in enumerate(lines) if mark in line), 1)
    return lines[place - 2 : place + 3]


def _seconds(action: Callable[[], object], repeats: int) -> float:
    """Seconds for one `action`, the best of five rounds of `repeats`."""
    rounds = []
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(repeats):
            action()
        rounds.append((time.perf_counter() - start) / repeats)
    return min(rounds)
