"""One step of training as one graph and one function: forward, backward and update together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any, Final, Protocol

from ..codegen.compiled import Compiled
from ..derive.backward import grad
from ..errors import OperandError, SettingError, ShapeError, UnknownNameError, kind_of, shorten
from ..graph.arithmetic import is_operand
from ..graph.arrayvalue import ArrayValue
from ..graph.expr import Expr, Graph
from ..graph.store import live_nodes, real_number
from ..graph.value import Value
from ..ops.scalar import total
from ..ops.shapes import is_array
from ..simplify.stable import stable_form
from .choice import Choice, compile_step
from .losses import Loss, LossName, find_loss
from .optim import Optimizer, OptimizerName, find_optimizer

REDUCTIONS: Final = ("mean", "sum")


class Trainable(Protocol):
    """What can be trained: a call on one row of inputs, and the leaf `Value`s it depends on."""

    def __call__(self, x: Any) -> Any:
        """The prediction for one row of inputs."""

    def parameters(self) -> Iterable[Value]:
        """The leaves that training moves."""


@dataclass(frozen=True)
class Sample:
    """A network and its loss for one sample, as a graph.

    parameters, leaves  what training moves, as `Value`s and as leaves of the graph
    x, y                the inputs that stand for a row of data and for its target
    prediction          what the network gives, a number or a list of them
    outputs             how many outputs the network lists; None for a single number
    loss                the loss, in its stable form
    """

    graph: Graph
    parameters: list[Value]
    leaves: list[Expr]
    x: list[Expr]
    y: Expr | list[Expr]
    prediction: Any
    outputs: int | None
    loss: Expr

    def network(self) -> str:
        """The network in words that tell it from others: its sizes, and how often it does what.

        >>> from wengert.train.nn import MLP
        >>> sample_loss(MLP(3, [4, 1]), 3, find_loss("squared_error")).network()
        '21 parameters and 3 inputs, 16 add, 16 mul, 5 tanh'
        """
        graph, found = self.graph, self.prediction
        outputs = found if isinstance(found, (list, tuple)) else [found]
        live = live_nodes(graph, map(graph.node_of, outputs))
        counts = Counter(graph.ops[node].name for node in live if graph.operands[node])
        parts = "".join(f", {count:,} {name}" for name, count in sorted(counts.items()))
        return f"{len(self.parameters):,} parameters and {len(self.x):,} inputs{parts}"


def training_step(
    net: Trainable,
    nin: int | None = None,
    *,
    loss: LossName | Loss | Callable[[Any, Any], Any] = "squared_error",
    optimizer: OptimizerName | Optimizer = "sgd",
    reduce: str = "sum",
    target: str = "python",
    samples: int = 32,
) -> Compiled:
    """One step of training as one straight-line function: forward, backward and update together.

    The function takes (params, state, X, Y): the parameters in the order of `net.parameters()`, the
    optimizer's state (`optimizer.state(len(params))` before the first step), a row of `nin` numbers
    per sample, and a target per sample. It gives {"loss", "params", "state"}: the loss before the
    update, and the parameters and the state after it. The state of an optimizer that keeps none,
    such as SGD, is empty. The network itself is left as it is.

    With the target "auto", "python" or "numpy" is chosen: the one that is estimated to be faster
    for steps of about so many `samples`. The target "numpy" gives and takes arrays.

    >>> from wengert.train.nn import MLP
    >>> net = MLP(2, [1], "linear", seed=0)
    >>> for p in net.parameters(): p.data = 1.0
    >>> step = training_step(net, optimizer="sgd")
    >>> after = step([1.0, 1.0, 1.0], [], [[1.0, 2.0]], [3.0])
    >>> after["loss"], after["params"]
    (1.0, [0.98, 0.96, 0.98])
    """
    sample = sample_loss(net, _inputs_of(net, nin), find_loss(loss))
    check_count(samples, "samples")
    rule = find_optimizer(optimizer)
    return compile_training(sample, rule, reduce, target, int(samples)).step


def sample_loss(net: Trainable, nin: int, loss: Loss) -> Sample:
    """The loss of one sample of `nin` inputs, the parameters being leaves in their order.

    What cannot be trained, and a loss that is no number, is an `OperandError`.
    """
    graph = Graph()
    x = graph.inputs("x", nin)
    parameters = parameters_of(net)
    leaves = [graph[graph.node_of(parameter)] for parameter in parameters]
    prediction = net(x)
    if is_array(prediction):
        prediction = prediction.tolist()
    outputs = len(prediction) if isinstance(prediction, (list, tuple)) else None
    y: Any = _targets(graph, outputs if loss.paired else None)
    found = loss.function(prediction, y)
    if not is_operand(found):
        raise OperandError(
            f"the loss {loss.name!r} of a sample is {shorten(found)}, {kind_of(found)}; expected "
            "one number, computed from the prediction and the target with operators and operations"
        )
    reached = stable_form(graph[graph.node_of(found)])
    _label(reached, "sample_loss")
    return Sample(graph, parameters, leaves, x, y, prediction, outputs, reached)


def weighted(sample: Sample) -> Sample:
    """The same with a weight behind the numbers of the target, by which the loss is multiplied."""
    weight = sample.graph.input(_free(sample.graph, "weight"))
    y = [*sample.y, weight] if isinstance(sample.y, list) else [sample.y, weight]
    loss = weight * sample.loss
    _label(loss, "weighted_loss")
    return replace(sample, y=y, loss=loss)


def reduction(graph: Graph, reduce: str) -> Callable[[Expr], Any]:
    """The sum over the samples, or their mean; an unknown one is an `UnknownNameError`."""
    if reduce not in REDUCTIONS:
        raise UnknownNameError.of("reduce", reduce, REDUCTIONS)
    if reduce == "sum":
        return total
    samples = total(graph.constant(1.0))
    return lambda expr: total(expr) / samples


def compile_training(
    sample: Sample,
    optimizer: Optimizer,
    reduce: str,
    target: str,
    size: int,
    steps: int | None = None,
) -> Choice:
    """The step for batches of about `size`: gradients of the loss, their total, the update.

    `steps` is how many a loop will take, None where no loop does.

    An unknown target or reduction is an `UnknownNameError`.
    """
    graph, reduced = sample.graph, reduction(sample.graph, reduce)
    gradients = [reduced(g) for g in grad(sample.loss, sample.leaves, allow_unused=True)]
    for leaf, gradient in zip(sample.leaves, gradients, strict=True):
        _label(gradient, f"d{leaf.label}" if reduce == "sum" else f"d{leaf.label}_mean")
    names = _state_names(sample.leaves, optimizer)
    state = [graph.input(_free(graph, name)) for name in names]
    params, new_state = optimizer.step(sample.leaves, gradients, state)
    for leaf, moved in zip([*sample.leaves, *state], [*params, *new_state], strict=True):
        _label(moved, f"new_{leaf.label}")
    return compile_step(
        {"params": sample.leaves, "state": state, "X": sample.x, "Y": sample.y},
        {"loss": reduced(sample.loss), "params": params, "state": new_state},
        target=target,
        batch=("X", "Y"),
        samples=size,
        steps=steps,
    )


def _targets(graph: Graph, outputs: int | None) -> Any:
    """An input for the target, or for that of each output; a parameter may have the name `y`."""
    name = "y"
    if not outputs:
        return graph.input(_free(graph, name))
    while any(f"{name}{k}" in graph.leaves for k in range(outputs)):
        name += "_"
    return graph.inputs(name, outputs)


def _label(expr: Any, label: str) -> None:
    """Name a computed node, for the generated code, unless it has a name."""
    if isinstance(expr, Expr) and not expr.is_leaf and not expr.label:
        expr.label = label


def _state_names(leaves: Sequence[Expr], optimizer: Optimizer) -> list[str]:
    """Names of the state, in its order: shared numbers, then each slot for all parameters."""
    slots = [f"{slot}_{leaf.label}" for slot in optimizer.slots for leaf in leaves]
    return [*optimizer.remembered, *slots]


def _free(graph: Graph, name: str) -> str:
    while name in graph.leaves:
        name += "_"
    return name


def parameters_of(net: Any) -> list[Value]:
    """The parameters of a network, each once, though layers may share them.

    What is no network, or has nothing that can be trained, is an `OperandError`.
    """
    listed = getattr(net, "parameters", None)
    if isinstance(net, type) or not callable(net) or not callable(listed):
        raise OperandError(
            f"{shorten(net)} is {kind_of(net)}; expected a network such as MLP(3, [4, 1]): "
            "called on a row of inputs, with a method parameters()"
        )
    parameters = list(dict.fromkeys(listed()))
    for parameter in parameters:
        if not isinstance(parameter, Value) or not parameter.is_leaf:
            instead = "; write it with Layer or MLP, whose step is made of arrays where that gains"
            raise OperandError(
                f"{shorten(parameter)} among the parameters is not a leaf Value; only those can be "
                f"trained{instead if isinstance(parameter, ArrayValue) else ''}"
            )
    if not parameters:
        raise OperandError(f"{shorten(net)} has no parameters; there is nothing to train")
    return parameters


def numbers_of(parameters: Iterable[Value]) -> list[float]:
    """The numbers that parameters hold; an `OperandError` names the first that holds none."""
    return [
        real_number(parameter.data, f"parameter {i}{_called(parameter)}")
        for i, parameter in enumerate(parameters)
    ]


def _called(parameter: Value) -> str:
    return f", {shorten(parameter.label)}," if parameter.label else ""


def _inputs_of(net: Any, nin: int | None) -> int:
    """How many inputs a network has: what it says, or what the caller says."""
    if nin is not None:
        check_count(nin, "nin")
    known = getattr(net, "nin", nin)
    if known is None:
        raise ShapeError(
            f"{shorten(net)} does not say how many inputs it takes; give training_step(net, nin)"
        )
    if nin is not None and nin != known:
        raise ShapeError(f"nin is {nin}, but the network takes {known} inputs")
    return int(known)


def check_count(number: Any, name: str) -> None:
    """A `SettingError` unless `number` is a whole number, 1 or more."""
    if isinstance(number, bool) or not isinstance(number, Integral) or int(number) < 1:
        raise SettingError(f"{name} is {shorten(number)}; expected a whole number, 1 or more")
