"""Layers written with whole arrays: the same networks as in `nn`, a matrix at a time."""

from __future__ import annotations

from typing import Any

from ..errors import OperandError, ShapeError, kind_of, shorten
from ..graph.arrayvalue import ArrayValue
from ..graph.expr import Expr
from ..ops.record import Op
from ..ops.shapes import is_array, shape_of, shape_text
from ..storage import restore
from .nn import Layer, activation_of
from .seeds import Seed


class Dense:
    """A layer of neurons as one matrix: `activation(W @ x + b)`.

    nin, nout   how many numbers a row of input has, and how many neurons there are
    activation  a name of `ACTIVATIONS`, or an operation on one number
    init, seed  as for `Layer`, which draws the same numbers
    place       goes into the labels of `W` and `b`, as "0" does for the first layer

    It is called with an array expression of shape (nin,), or with NumPy arrays: a row of `nin`, or
    rows of them. An array of another width is a `ShapeError`, anything but an array an
    `OperandError`.

    >>> import numpy as np
    >>> layer = Dense(3, 2, "relu", seed=0)
    >>> layer, layer(np.zeros(3))
    (Dense(3, 2, 'relu'), array([0., 0.]))
    >>> from wengert import Graph
    >>> print(layer(Graph().array("x", 3)))
    relu(W @ x + b)
    """

    _kept = ("nin", "nout", "activation", "W", "b")
    __setstate__ = restore

    def __init__(
        self,
        nin: int,
        nout: int,
        activation: str | Op = "tanh",
        *,
        init: str = "uniform",
        seed: Seed = None,
        place: str = "",
    ) -> None:
        drawn = Layer(nin, nout, activation, init=init, seed=seed)
        self.nin, self.nout = drawn.nin, drawn.nout
        self.activation = activation
        rows = [[weight.data for weight in neuron.w] for neuron in drawn.neurons]
        self.W = ArrayValue(rows, label=f"W{place}")
        self.b = ArrayValue([neuron.b.data for neuron in drawn.neurons], label=f"b{place}")

    def __call__(self, x: Any) -> Any:
        """The outputs for one row of `nin` numbers, or rows of outputs for rows of them."""
        if not is_array(x) and not isinstance(x, Expr):
            raise OperandError(
                f"{self!r} takes an array, got {shorten(x)}, {kind_of(x)}; "
                "write numpy.array([...]) or graph.array(name, shape), or use a Layer of scalars"
            )
        shape = shape_of(x)
        if shape[-1:] != (self.nin,):
            raise ShapeError(
                f"an array of shape {shape_text(shape)} was given to {self!r}; "
                f"expected ({self.nin},), or rows of {self.nin}"
            )
        weights = x.graph[x.graph.node_of(self.W)] if isinstance(x, Expr) else self.W.data
        n = weights @ x if len(shape) == 1 else x @ weights.T
        return activation_of(self.activation).function(n + self.b)

    def parameters(self) -> list[ArrayValue]:
        """The matrix of weights, a row for each neuron, then the vector of biases."""
        return [self.W, self.b]

    def __repr__(self) -> str:
        name = getattr(self.activation, "name", self.activation)
        return f"Dense({self.nin}, {self.nout}, {name!r})"
