"""Neurons, layers and multi-layer perceptrons, written one scalar at a time.

They are called with floats, `Value`s, `Expr`s or sympy symbols, and give back what arithmetic on
those gives. Parameters are leaf `Value`s, labelled so that drawings and generated code read well.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any, Final, NamedTuple

from ..errors import (
    DuplicateNameError,
    OperandError,
    SaveFileError,
    ShapeError,
    UnknownNameError,
    shorten,
)
from ..graph.doors import View
from ..graph.expr import Expr
from ..graph.neuron import ActivatedSum, Row
from ..graph.store import real_number
from ..graph.value import Value, zero_grad
from ..ops import scalar as ops
from ..ops.record import Op, plain_number
from ..ops.table import with_own
from ..storage import (
    PathLike,
    from_pickle,
    invalid,
    is_finite_number,
    read_document,
    restore,
    write_document,
)
from .rows import is_sequence, read_row
from .seeds import Seed, generator


class Activation(NamedTuple):
    """What a neuron does to its weighted sum, and how its `repr` begins."""

    function: Callable[[Any], Any]
    title: str


ACTIVATIONS: Final[dict[str, Activation]] = {
    "tanh": Activation(ops.TANH, "Tanh"),
    "relu": Activation(ops.RELU, "ReLU"),
    "leaky_relu": Activation(ops.LEAKY_RELU, "LeakyReLU"),
    "sigmoid": Activation(ops.SIGMOID, "Sigmoid"),
    "softplus": Activation(ops.SOFTPLUS, "Softplus"),
    "sin": Activation(ops.SIN, "Sin"),
    "silu": Activation(ops.silu, "SiLU"),
    "gelu": Activation(ops.gelu, "GELU"),
    "linear": Activation(lambda x: x, "Linear"),
}
"""Every activation by name."""


def activation_of(chosen: str | Op) -> Activation:
    """What a name of `ACTIVATIONS`, or an operation on one number, does and is called.

    >>> activation_of("relu").title, activation_of(ops.EXPM1).title
    ('ReLU', 'Expm1')
    """
    if isinstance(chosen, Op):
        return Activation(chosen, "".join(word.capitalize() for word in chosen.name.split("_")))
    return ACTIVATIONS[chosen]


def _uniform(source: Any, nin: int, nout: int) -> float:
    """Uniform between -1 and 1, whatever the width, as the notebook draws them."""
    return float(source.uniform(-1, 1))


def _xavier(source: Any, nin: int, nout: int) -> float:
    """Uniform within ±sqrt(6 / (nin + nout)), for tanh: Glorot & Bengio 2010, eq. 16."""
    bound = math.sqrt(6 / (nin + nout))
    return float(source.uniform(-bound, bound))


def _he(source: Any, nin: int, nout: int) -> float:
    """Normal, with standard deviation sqrt(2 / nin), for relu: He et al. 2015, eq. 10."""
    return float(source.gauss(0.0, math.sqrt(2 / nin)))


INITIALISERS: Final[dict[str, Callable[[Any, int, int], float]]] = {
    "uniform": _uniform,
    "xavier": _xavier,
    "he": _he,
}
"""Every way to draw a first weight, by name."""


class Network:
    """What neurons, layers and perceptrons have in common."""

    _repr_mimebundle_ = View()
    _kept: tuple[str, ...] = ()
    __setstate__ = restore

    nin: int
    """How many numbers a row of input has."""

    def parameters(self) -> list[Value]:
        """Every weight and bias: layer by layer, neuron by neuron, weights before the bias."""
        raise NotImplementedError

    def zero_grad(self) -> None:
        """Set the `grad` of every parameter to 0.0, as a training loop does before `backward`."""
        zero_grad(self.parameters())


class Neuron(Network):
    """An activation of a weighted sum: `activation(b + w0*x0 + w1*x1 + …)`.

    nin         how many inputs; a call takes a row of that many numbers and gives one
    activation  a name of `ACTIVATIONS`, or an operation on one number, such as one of your own;
                `nonlin=False` is the notebook's way to say "linear"
    init        how weights are drawn, a name of `INITIALISERS`; the bias starts at 0
    seed        a seed, a `random.Random`, or None to draw from Python's global `random`
    fan_out     how many neurons share the input, for the initialisers that ask
    place       goes into the labels, as "0_2" does for neuron 2 of layer 0

    >>> n = Neuron(2, seed=0)
    >>> n, [p.label for p in n.parameters()]
    (TanhNeuron(2), ['w0', 'w1', 'b'])
    >>> n([2.0, 3.0])
    Value(data=0.9942614794822863, grad=0.0)
    """

    _kept = ("nin", "activation", "place", "w", "b")

    def __init__(
        self,
        nin: int,
        activation: str | bool | Op = "tanh",
        *,
        nonlin: bool = True,
        init: str = "uniform",
        seed: Seed = None,
        fan_out: int = 1,
        place: str = "",
    ) -> None:
        self.nin = _width(nin, "nin, the number of inputs,")
        self.activation = _activation_name(activation, nonlin)
        self.place = place
        draw, source = _initialiser(init), generator(seed) or random
        between = "_" if place else ""
        self.w = [
            Value(draw(source, nin, fan_out), label=f"w{place}{between}{i}") for i in range(nin)
        ]
        self.b = Value(0, label=f"b{place}")

    def __setstate__(self, state: Any) -> None:
        restore(self, state)
        from_pickle("a Neuron", activation_of, self.activation)

    @property
    def nonlin(self) -> bool:
        """Whether the activation is anything but linear."""
        return self.activation != "linear"

    def __call__(self, x: Any) -> Any:
        """The output for one row of `nin` numbers; a `ShapeError` for a row of another width."""
        row = read_row(x, self)
        return self._output(row, _eager(row))

    def _output(self, row: Sequence[Any], eager: Row | None) -> Any:
        """The output for a row that has been looked at, and is at hand for eager sums or is not."""
        chosen = self.activation
        function = chosen if isinstance(chosen, Op) else ACTIVATIONS[chosen].function
        n: Any = self.b
        if eager is not None and type(n) is Value and _VALUES.issuperset(map(type, self.w)):
            if isinstance(function, Op) and not function.statics:
                h = ActivatedSum(n, self.w, eager, function, f"n{self.place}")
                h.label = f"h{self.place}"
                return h
            n = ActivatedSum(n, self.w, eager)
        else:
            for wi, xi in zip(self.w, row, strict=True):
                n = n + wi * xi
        _label(n, f"n{self.place}")
        return _label(function(n), f"h{self.place}")

    def parameters(self) -> list[Value]:
        """The weights, then the bias."""
        return [*self.w, self.b]

    def __repr__(self) -> str:
        return f"{activation_of(self.activation).title}Neuron({self.nin})"


class Layer(Network):
    """Neurons that read the same row: `nin` numbers in, a list of `nout` out, or the one number.

    >>> Layer(2, 3, activation="relu", seed=0)
    Layer of [ReLUNeuron(2), ReLUNeuron(2), ReLUNeuron(2)]
    """

    _kept = ("nin", "nout", "neurons")

    def __init__(
        self,
        nin: int,
        nout: int,
        activation: str | bool | Op = "tanh",
        *,
        nonlin: bool = True,
        init: str = "uniform",
        seed: Seed = None,
        place: str = "",
    ) -> None:
        self.nin = _width(nin, "nin, the number of inputs,")
        self.nout = _width(nout, "nout, the number of neurons,")
        source = generator(seed)
        prefix = f"{place}_" if place else ""
        self.neurons = [
            Neuron(
                nin,
                activation,
                nonlin=nonlin,
                init=init,
                seed=source,
                fan_out=nout,
                place=f"{prefix}{j}",
            )
            for j in range(nout)
        ]

    def __call__(self, x: Any) -> Any:
        """The outputs for one row of `nin` numbers; one neuron gives the number itself."""
        out = self._outputs(read_row(x, self))
        return out[0] if len(out) == 1 else out

    def _outputs(self, row: Sequence[Any]) -> list[Any]:
        """The output of each neuron for a row that has been looked at."""
        eager = _eager(row)
        return [neuron._output(row, eager) for neuron in self.neurons]

    def parameters(self) -> list[Value]:
        """The parameters of each neuron in turn."""
        return [p for neuron in self.neurons for p in neuron.parameters()]

    def __repr__(self) -> str:
        return f"Layer of [{', '.join(map(repr, self.neurons))}]"


class MLP(Network):
    """A multi-layer perceptron: each layer reads the outputs of the one before.

    nin         how many inputs
    nouts       the width of each layer, such as `[4, 4, 1]`
    activation  one for all layers, the last included, or a list of one a layer; each a name or an
                operation, as for `Neuron`
    init, seed  as for `Neuron`; with a seed, the same call gives the same network

    Weight i of neuron j of layer k is labelled `w{k}_{j}_{i}`, its bias `b{k}_{j}`; the sum and the
    output of that neuron `n{k}_{j}` and `h{k}_{j}`.

    >>> net = MLP(3, [4, 4, 1], seed=0)
    >>> net([2.0, 3.0, -1.0])
    Value(data=0.4249612977263935, grad=0.0)
    >>> len(net.parameters()), net.layers[0].neurons[2].w[1].label
    (41, 'w0_2_1')

    A row of another width is an error. (A loop over `zip(w, x)` would drop what is too much.)

    >>> MLP(2, [4, 1])([2.0, 3.0, -1.0])
    Traceback (most recent call last):
        ...
    wengert.errors.ShapeError: a row of 3 was given to a network of 2 inputs: [2.0, 3.0, -1.0]; \
what is too much is not silently dropped, as zip would: give 2 numbers, or build MLP with nin=3
    """

    _kept = ("nin", "layers")

    def __init__(
        self,
        nin: int,
        nouts: Sequence[int],
        activation: str | Op | Sequence[str | Op] = "tanh",
        *,
        init: str = "uniform",
        seed: Seed = None,
    ) -> None:
        listed = list(nouts) if is_sequence(nouts) else []
        if not listed:
            raise ShapeError(
                "MLP(nin, nouts) takes the width of each layer, such as [4, 4, 1], "
                f"got {shorten(nouts)}"
            )
        widths = [_width(width, f"the width of layer {k}") for k, width in enumerate(listed)]
        self.nin = _width(nin, "nin, the number of inputs,")
        given: Any = activation
        names: list[Any] = list(given) if is_sequence(given) else [given] * len(widths)
        if len(names) != len(widths):
            raise ShapeError(
                f"activations: {len(names)} for {len(widths)} layers, {shorten(names)}; "
                "give one name for all layers, or one for each"
            )
        for name in names:
            _activation_name(name, True)
        source = generator(seed)
        self.layers = [
            Layer(before, width, name, init=init, seed=source, place=str(k))
            for k, (before, width, name) in enumerate(
                zip([self.nin, *widths[:-1]], widths, names, strict=True)
            )
        ]

    @property
    def sizes(self) -> list[int]:
        """The number of inputs, then the width of each layer."""
        return [self.nin, *(len(layer.neurons) for layer in self.layers)]

    def __call__(self, x: Any) -> Any:
        """The output of the last layer for one row of `nin` numbers."""
        out = read_row(x, self)
        for layer in self.layers:
            out = layer._outputs(out)
        return out[0] if len(out) == 1 else out

    def parameters(self) -> list[Value]:
        """The parameters of each layer in turn."""
        return [p for layer in self.layers for p in layer.parameters()]

    def save(self, path: PathLike) -> None:
        """Write sizes, activations and parameters to a JSON file that `load` reads back exactly.

        The file is written whole or not at all; a parameter that is not finite is a
        `SaveFileError`.
        """
        layers = [
            [
                {
                    "activation": getattr(neuron.activation, "name", neuron.activation),
                    "w": [_number_in(weight) for weight in neuron.w],
                    "b": _number_in(neuron.b),
                }
                for neuron in layer.neurons
            ]
            for layer in self.layers
        ]
        write_document(path, FORMAT, VERSION, {"sizes": self.sizes, "layers": layers}, "the MLP")

    def __repr__(self) -> str:
        return f"MLP of [{', '.join(map(repr, self.layers))}]"


FORMAT: Final = "wengert.network"
VERSION: Final = 1


def load(path: PathLike, *, operations: Iterable[Op] = ()) -> MLP:
    """The network that `MLP.save` wrote to `path`: same sizes, activations and numbers.

    `operations` are those of your own that neurons may name as their activation.

    A file that is truncated, foreign, of another version, or holds anything but such a network is a
    `SaveFileError` that names the file and the problem. Nothing in it is executed.

    >>> import os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "net.json")
    >>> net = MLP(2, [2, 1], seed=0); net.save(path)
    >>> load(path)([1.0, 2.0]).data == net([1.0, 2.0]).data
    True
    """
    known: dict[str, Any] = {**_UNARY, **with_own({}, operations), **{n: n for n in ACTIVATIONS}}
    document = read_document(path, FORMAT, VERSION, "network")
    sizes = document.get("sizes")
    if not (isinstance(sizes, list) and len(sizes) > 1 and all(map(_is_width, sizes))):
        raise _invalid(path, f'"sizes" is {shorten(sizes)}, not two whole numbers or more')
    layers = _list_of(path, document.get("layers"), len(sizes) - 1, '"layers"')
    records = []
    for k, (layer, nin, nout) in enumerate(zip(layers, sizes, sizes[1:], strict=False)):
        neurons = _list_of(path, layer, nout, f"layer {k}")
        records += [
            _record(path, neuron, nin, f"neuron {j} of layer {k}", known)
            for j, neuron in enumerate(neurons)
        ]
    net = MLP(sizes[0], sizes[1:], seed=0)
    neurons = [neuron for layer in net.layers for neuron in layer.neurons]
    for neuron, (activation, numbers) in zip(neurons, records, strict=True):
        neuron.activation = activation
        for parameter, number in zip(neuron.parameters(), numbers, strict=True):
            parameter.data = number
    return net


def _record(
    path: PathLike, neuron: Any, nin: int, which: str, known: Mapping[str, str | Op]
) -> tuple[str | Op, list[float]]:
    """The activation and the parameters that a saved file gives for one neuron."""
    if not isinstance(neuron, dict):
        raise _invalid(path, f"{which} is {shorten(neuron)}, not an object")
    activation = neuron.get("activation")
    if not isinstance(activation, str) or activation not in known:
        error = UnknownNameError.of("activation", activation, ACTIVATIONS)
        raise _invalid(path, f"{which}: {error}; one of your own is given in operations=[...]")
    numbers = [*_list_of(path, neuron.get("w"), nin, f'"w" of {which}'), neuron.get("b")]
    for number in numbers:
        if not is_finite_number(number):
            raise _invalid(path, f"{which} has {shorten(number)} where a finite number should be")
    return known[activation], numbers


def _list_of(path: PathLike, thing: Any, length: int, which: str) -> list[Any]:
    if not isinstance(thing, list) or len(thing) != length:
        found = f"a list of {len(thing)}" if isinstance(thing, list) else shorten(thing)
        raise _invalid(path, f"{which} is {found}, not a list of {length} as its sizes say")
    return thing


def _invalid(path: PathLike, problem: str) -> SaveFileError:
    return invalid(path, "network", problem)


_FLOATS: Final = frozenset({float})
_VALUES: Final = frozenset({Value, ActivatedSum})
"""Types of numbers that a neuron sums up at once."""


def _eager(row: Sequence[Any]) -> Row | None:
    """The row for sums that are computed at once, if it is all floats or all `Value`s."""
    kinds = set(map(type, row))
    return Row(row) if kinds and (kinds <= _FLOATS or kinds <= _VALUES) else None


def _number_in(parameter: Value) -> float:
    """What a parameter holds, be it of NumPy's kind, as Python's own number."""
    if isinstance(parameter.data, Real):
        return plain_number(parameter.data)
    return real_number(parameter.data, f"parameter {parameter.label or parameter!r}")


def _label(thing: Any, label: str) -> Any:
    """`thing`, labelled unless it is a leaf or has a label; numbers and sympy pass as they are."""
    if isinstance(thing, (Value, Expr)) and not thing.is_leaf and not thing.label:
        thing.label = label
    return thing


_UNARY: Final = {op.name: op for op in ops.ELEMENTWISE.values() if op.arity == 1}
"""The operations of the table on one number."""


def _activation_name(activation: Any, nonlin: bool) -> str | Op:
    """The name of an activation, or the operation where it has no name here.

    The notebook's `nonlin`, also in the place of a name, is a name.
    """
    if isinstance(activation, Op):
        _check_unary(activation)
        chosen = activation.name if activation.name in ACTIVATIONS else activation
        return chosen if nonlin else "linear"
    if isinstance(activation, bool):
        activation, nonlin = "tanh", activation and nonlin
    if not isinstance(activation, str) or activation not in ACTIVATIONS:
        raise UnknownNameError.of("activation", activation, ACTIVATIONS)
    return activation if nonlin else "linear"


def _check_unary(op: Op) -> None:
    with_own({}, [op])
    named = ACTIVATIONS.get(op.name)
    if named is not None and named.function is not op:
        raise DuplicateNameError(
            f"activation is {op!r}, but {op.name!r} is the name of another; name yours otherwise"
        )
    if op.arity != 1 or op.shape is not None or len(op.defaults) < len(op.statics):
        raise OperandError(
            f"activation is {op!r}; expected an operation on one number that takes nothing else "
            "or has defaults for it"
        )


def _initialiser(name: Any) -> Callable[[Any, int, int], float]:
    if not isinstance(name, str) or name not in INITIALISERS:
        raise UnknownNameError.of("init", name, INITIALISERS)
    return INITIALISERS[name]


def _is_width(thing: Any) -> bool:
    return not isinstance(thing, bool) and isinstance(thing, Integral) and int(thing) >= 1


def _width(thing: Any, what: str) -> int:
    if not _is_width(thing):
        raise ShapeError(f"{what} is {shorten(thing)}; expected a whole number, 1 or more")
    return int(thing)
