"""`Graph` and `Expr`: expressions as an append-only graph, and handles to its nodes.

Nodes are numbered in the order they are made, and operands exist before their consumers, so the
numbers are a topological order. A graph keeps its nodes in columns, one list per attribute;
`Graph.nx` shows the same graph as networkx sees it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar

from ..errors import (
    GraphMismatchError,
    InvalidNameError,
    MissingInputError,
    OperandError,
    ShapeError,
    TruthValueError,
    formula_hint,
    kind_of,
    shorten,
)
from ..ops import scalar as ops
from ..ops.record import Op, plain_number
from ..ops.shapes import Shape, checked_shape, frozen_array, is_array
from ..storage import damaged
from .arithmetic import Arithmetic
from .arraysyntax import ArraySyntax
from .arrayvalue import ArrayValue
from .doors import Door, View
from .formula import formula
from .numpyfunctions import apply_function, apply_ufunc
from .own import OWN, refusal
from .plainfloat import caller, check_plain_float
from .store import (
    Columns,
    Origin,
    check_name,
    leaf_named,
    live_nodes,
    real_number,
    unknown_leaf,
)
from .substitution import substituted
from .value import Value, topological

if TYPE_CHECKING:
    import networkx

__all__ = ["Expr", "Graph", "common_graph"]

_REPR_TERMS = 40
"""How many terms of a formula a `repr`, and with it an error's text, shows."""


class Graph(Columns):
    """An expression graph: inputs, parameters, constants and the operations on them.

    >>> g = Graph()
    >>> x, w = g.input("x"), g.parameter("w", 0.5)
    >>> y = (w * x).tanh()
    >>> print(y)
    tanh(w*x)
    >>> g
    <Graph: 4 nodes: 1 input, 1 parameter, 2 operations>

    The columns `ops`, `operands`, `statics`, `labels` and `origins` are for reading. `outputs` is
    set by transforms that make a graph for the sake of some of its nodes. A node that is not in
    `shapes` is a scalar; `arrays` holds the values of array leaves, read-only, and `lanes` the
    names of the scalar leaves that an array leaf was made of, if it was. `sweeps` has, for every
    reverse sweep, the node of the adjoint of each primal node.
    """

    nx: Door[networkx.DiGraph[int]] = Door("nx")
    _repr_mimebundle_ = View()

    def __getitem__(self, node: int | str) -> Expr:
        """The node of this number, or the leaf of this name."""
        if isinstance(node, str):
            return Expr(self, leaf_named(self, node))
        if not isinstance(node, Integral):
            raise OperandError(
                f"{shorten(node)} is {kind_of(node)}; expected the number of a node or the name "
                "of a leaf"
            )
        if not 0 <= node < len(self.ops):
            raise IndexError(f"node {node} of a graph of {len(self.ops)} nodes")
        return Expr(self, int(node))

    def __iter__(self) -> Iterator[Expr]:
        return (Expr(self, node) for node in range(len(self.ops)))

    def __contains__(self, thing: object) -> bool:
        if isinstance(thing, Expr):
            return thing.graph is self
        return isinstance(thing, (Value, ArrayValue)) and thing in self._adopted

    def __repr__(self) -> str:
        kinds = {"input": 0, "parameter": 0, "constant": 0, "operation": 0}
        for op in self.ops:
            kinds[op.name if op.arity == 0 else "operation"] += 1
        parts = [f"{n:,} {kind}{'s' * (n != 1)}" for kind, n in kinds.items() if n]
        return f"<Graph: {len(self):,} node{'s' * (len(self) != 1)}: {', '.join(parts) or 'empty'}>"

    def input(self, name: str) -> Expr:
        """A new leaf that gets its value when the function is called."""
        return self._leaf(ops.INPUT, name)

    def inputs(self, name: str, n: int) -> list[Expr]:
        """`n` new inputs called name0, name1 and so on.

        >>> Graph().inputs("x", 2)
        [Expr(x0), Expr(x1)]
        """
        if isinstance(n, bool) or not isinstance(n, Integral) or n < 0:
            raise ShapeError(
                f"{shorten(n)} inputs called {shorten(name)}; expected a whole number, 0 or more"
            )
        names = [f"{name}{i}" for i in range(n)]
        for new in names:
            self._check_free(new)
        return [self.input(new) for new in names]

    def parameter(self, name: str, value: float) -> Expr:
        """A new leaf that carries a value of its own."""
        number = real_number(value, f"the value of parameter {shorten(name)}")
        leaf = self._leaf(ops.PARAMETER, name)
        self._numbers[leaf.id] = number
        return leaf

    def constant(self, value: Any) -> Expr:
        """The leaf for a number or an array of numbers; equal ones are one node."""
        return Expr(self, self.new_constant(value))

    def array(self, name: str, shape: Any) -> Expr:
        """A new input that is an array. Its first axis may be `BATCH`, of a length not yet known.

        >>> Graph().array("X", (3, 4)).shape
        (3, 4)
        """
        lengths = checked_shape(shape, shorten(name), batched=True)
        leaf = self._leaf(ops.INPUT, name)
        self._set_shape(leaf.id, lengths)
        return leaf

    def array_parameter(self, name: str, value: Any) -> Expr:
        """A new parameter that carries an array, copied and then read-only.

        >>> import numpy as np
        >>> Graph().array_parameter("W", np.eye(2)).value
        array([[1., 0.],
               [0., 1.]])
        """
        array = frozen_array(value, f"the value of parameter {shorten(name)}")
        leaf = self._leaf(ops.PARAMETER, name)
        self._set_shape(leaf.id, array.shape)
        self.arrays[leaf.id] = array
        return leaf

    def node_of(self, thing: Any) -> int:
        """The node of an expression, a `Value` or a number; values and numbers are taken in.

        A leaf `Value` becomes a parameter, once; a computed one is read in with its history.
        """
        if type(thing) is Expr:
            if thing.graph is not self:
                raise GraphMismatchError(
                    f"{thing!r} belongs to another graph ({thing.graph!r}); "
                    "build both expressions in one Graph"
                )
            return thing.id
        if isinstance(thing, Value):
            node = self._adopted.get(thing)
            return self._taken_in(thing, self._adopt) if node is None else node
        if isinstance(thing, Real):
            return self._constant(plain_number(thing))
        if is_array(thing):
            return self.constant(thing).id
        if isinstance(thing, ArrayValue):
            node = self._adopted.get(thing)
            return self._taken_in(thing, self._adopt_array) if node is None else node
        raise OperandError(
            f"{shorten(thing)} is {kind_of(thing)}; expected an Expr, a Value or a number"
            f"{formula_hint(thing)}"
        )

    def adopt(self, value: Value, name: str) -> Expr:
        """A leaf `Value` that is not yet part of this graph, as a parameter of this name.

        >>> g = Graph(); w = Value(0.5)
        >>> g.adopt(w, "w_0_1"), w * g.input("x")
        (Expr(w_0_1), Expr(w_0_1*x))
        """
        leaf = self._leaf(ops.PARAMETER, name)
        self._sources[leaf.id] = value
        self._adopted[value] = leaf.id
        return leaf

    def find(self, thing: Any) -> int | None:
        """The node that already stands for an expression or `Value`, or None; nothing is added."""
        if isinstance(thing, (Value, ArrayValue)):
            return self._adopted.get(thing)
        return thing.id if type(thing) is Expr and thing.graph is self else None

    def _leaf(self, op: Op, name: str) -> Expr:
        return Expr(self, self.new_leaf(op, name))

    def _taken_in(self, value: Any, adopt: Callable[[Any], int]) -> int:
        """The node of a value that had none when it was looked for."""
        with self.lock:
            node = self._adopted.get(value)
            return adopt(value) if node is None else node

    def _adopt_array(self, value: ArrayValue) -> int:
        node = self._leaf(ops.PARAMETER, self._free_name(value.label)).id
        self._set_shape(node, value.shape)
        self._sources[node] = value
        self._adopted[value] = node
        return node

    def _adopt(self, value: Value) -> int:
        adopted = self._adopted
        for item in topological(value, known=adopted):
            if item.op is ops.CONSTANT:
                node = self._constant(real_number(item.data, "the data of a constant Value"))
            elif item.op is None:
                node = self._leaf(ops.PARAMETER, self._free_name(item.label)).id
                self._sources[node] = item
            elif item.op is OWN:
                raise refusal(item.label, item._op)
            else:
                node = self.append(
                    item.op, tuple(adopted[operand] for operand in item.operands), item.statics
                )
                if item.label:
                    self.labels[node] = str(item.label)
            adopted[item] = node
        return adopted[value]


class Expr(Arithmetic, ArraySyntax):
    """One node of a graph; arithmetic on it makes new nodes.

    `==` asks whether two are the same node; `wengert.equal(a, b)` makes the comparison a node.

    >>> g = Graph(); x = g.input("x")
    >>> 2 * x + 1
    Expr(2*x + 1)
    """

    __slots__ = ("graph", "id")
    op_rank: ClassVar[int] = 2
    _sympy_: Door[Callable[[], Any]] = Door("_sympy_")
    _op_priority: ClassVar[float] = 1.0
    """sympy's numbers and symbols leave arithmetic with this to it."""

    def __init__(self, graph: Graph, node: int) -> None:
        self.graph = graph
        self.id = node

    def __reduce__(self) -> Any:
        return _expression, (self.graph, self.id)

    def __array_ufunc__(  # type: ignore[override]
        self, ufunc: Any, method: str, *inputs: Any, **options: Any
    ) -> Any:
        """NumPy's functions, each an operation: `np.tanh(x)` is `wengert.tanh(x)`."""
        return apply_ufunc(ufunc, method, inputs, options)

    def __array_function__(
        self, function: Any, kinds: Any, arguments: Any, options: dict[str, Any]
    ) -> Any:
        """NumPy's functions of arrays: `np.sum(X, axis=0)` is `X.sum(axis=0)`."""
        return apply_function(function, arguments, options)

    def __round__(self, digits: int | None = None) -> Expr:
        """The nearest whole number, of two the even one; with digits, so many after the point."""
        if digits is None:
            return ops.ROUND(self)  # type: ignore[no-any-return]
        scale = 10.0**digits
        return ops.ROUND(self * scale) / scale  # type: ignore[no-any-return]

    def __floor__(self) -> Expr:
        return ops.FLOOR(self)  # type: ignore[no-any-return]

    def __ceil__(self) -> Expr:
        return ops.CEIL(self)  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        return f"Expr({formula(self.graph, self.id, 'text', _REPR_TERMS)})"

    def __str__(self) -> str:
        return formula(self.graph, self.id, "text")

    def _is(self, other: object) -> bool:
        return isinstance(other, Expr) and other.id == self.id and other.graph is self.graph

    def __hash__(self) -> int:
        return hash((id(self.graph), self.id))

    def __bool__(self) -> bool:
        raise TruthValueError(
            f"the truth of {self!r} is not known until it is evaluated; "
            "choose between expressions with wengert.where(condition, a, b)"
        )

    def __float__(self) -> float:
        check_plain_float(caller())
        number = self.graph.value(self.id)
        if number is None:
            raise MissingInputError(
                f"{self!r} has no number until it is evaluated; "
                "compile it, or use wengert.evaluate(expr, {leaf: number})"
            )
        return float(number)

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {formula(self.graph, self.id, 'latex')}$"

    def apply_op(self, op: Op, operands: tuple[Any, ...], statics: tuple[float, ...] = ()) -> Any:
        """A new node for `op`; numbers and `Value`s among the operands are taken in."""
        graph = self.graph
        nodes = []
        for operand in operands:
            if type(operand) is Expr and operand.graph is graph:
                nodes.append(operand.id)
            elif isinstance(operand, (Arithmetic, Real)) or is_array(operand):
                nodes.append(graph.node_of(operand))
            elif type(operand).__module__.partition(".")[0] == "sympy":
                number = real_constant(operand)
                if number is None:  # a symbol or more: the whole is sympy's
                    return op(*[sympified(thing) for thing in operands], *statics)
                nodes.append(graph.node_of(number))
            else:
                return NotImplemented
        return Expr(graph, graph.append(op, tuple(nodes), statics))

    @property
    def op(self) -> Op:
        """The operation, or the kind of leaf."""
        return self.graph.ops[self.id]

    @property
    def operands(self) -> tuple[Expr, ...]:
        """What the operation was applied to, in order, repeats included."""
        return tuple(Expr(self.graph, node) for node in self.graph.operands[self.id])

    @property
    def statics(self) -> tuple[float, ...]:
        """The operation's static arguments, such as a constant exponent."""
        return self.graph.statics.get(self.id, ())

    @property
    def is_leaf(self) -> bool:
        """Whether this is an input, a parameter or a constant."""
        return self.graph.is_leaf(self.id)

    @property
    def shape(self) -> Shape:
        """The lengths of the axes; () for a scalar, and `BATCH` for one that is not known yet."""
        return self.graph.shapes.get(self.id, ())

    @property
    def value(self) -> Any:
        """The number or array a parameter or constant carries now, else None."""
        return self.graph.value(self.id)

    @property
    def origin(self) -> Origin | None:
        """Where a derived node came from; None for what the user wrote."""
        return self.graph.origins[self.id]

    @property
    def free_symbols(self) -> tuple[Expr, ...]:
        """The inputs and parameters that this depends on, in the order in which they were made.

        >>> g = Graph(); x, w = g.input("x"), g.parameter("w", 0.5); g.input("z")
        Expr(z)
        >>> (w * x + 1).free_symbols
        (Expr(x), Expr(w))
        """
        graph = self.graph
        live = live_nodes(graph, [self.id])
        return tuple(
            Expr(graph, node) for node in live if graph.ops[node] in (ops.INPUT, ops.PARAMETER)
        )

    def subs(self, replacements: Mapping[Any, Any]) -> Expr:
        """This with numbers or expressions in the place of leaves, given by name or as leaves.

        All are replaced at once, so that two leaves may change places.

        >>> g = Graph(); x, y = g.input("x"), g.input("y")
        >>> (x - 2 * y).subs({x: y, "y": 3})
        Expr(y - 2*3)
        """
        graph = self.graph
        given = {leaf_of(graph, key): graph.node_of(new) for key, new in replacements.items()}
        for old, new in given.items():
            shapes = [graph.shapes.get(node, ()) for node in (old, new)]
            if shapes[0] != shapes[1]:
                raise ShapeError(
                    f"{Expr(graph, old)!r} has the shape {shapes[0]} and what is to replace it "
                    f"{shapes[1]}; expected the same"
                )
        return Expr(graph, substituted(graph, [self.id], given)[self.id])

    def rename(self, names: Mapping[str, str]) -> Expr:
        """This with leaves of other names, which are made where there are none yet.

        A parameter keeps its value under its new name.

        >>> g = Graph(); x = g.input("x")
        >>> x.exp().rename({"x": "time"})
        Expr(exp(time))
        """
        graph = self.graph
        leaves = {old: Expr(graph, leaf_of(graph, old)) for old in names}
        for new in names.values():
            if new not in graph.leaves:
                check_name(new, "leaf")
        return self.subs({leaves[old]: self._leaf_called(leaves[old], new)
                          for old, new in names.items()})  # fmt: skip

    def _leaf_called(self, like: Expr, name: str) -> Expr:
        """The leaf of this name, or a new one of the kind and shape of another."""
        graph = self.graph
        if name in graph.leaves:
            return graph[name]
        if like.op is ops.PARAMETER:
            make = graph.array_parameter if like.shape else graph.parameter
            return make(name, like.value)
        return graph.array(name, like.shape) if like.shape else graph.input(name)

    @property
    def label(self) -> str:
        """The name of a leaf, or the free text given to a computed node; "" when there is none."""
        return self.graph.labels.get(self.id, "")

    @label.setter
    def label(self, label: str) -> None:
        if self.is_leaf:
            raise InvalidNameError(
                f"{self!r} is a leaf, named when it was made; label a computed node"
            )
        self.graph.labels[self.id] = str(label)


def _expression(graph: Any, node: Any) -> Expr:
    """An expression from a pickle, whose graph may still be empty."""
    if not isinstance(graph, Graph) or not isinstance(node, int) or node < 0:
        raise damaged("an expression", f"it is node {shorten(node)} of {shorten(graph)}")
    if node >= len(vars(graph).get("ops", range(node + 1))):
        raise damaged("an expression", f"its graph has no node {node}")
    return Expr(graph, node)


def leaf_of(graph: Graph, key: Any) -> int:
    """The node of a leaf, given by its name, as an expression or as a `Value`."""
    if isinstance(key, str):
        return leaf_named(graph, key)
    node = graph.find(key)
    if node is None or not graph.is_leaf(node):
        raise unknown_leaf(graph, key)
    return node


def real_constant(thing: Any) -> float | None:
    """The number that a sympy expression without symbols is; None if it is none, or not real.

    >>> import sympy
    >>> real_constant(sympy.sqrt(4) / 3), real_constant(sympy.Symbol("x"))
    (0.6666666666666666, None)
    """
    if not getattr(thing, "is_number", False) or not thing.is_extended_real:
        return None
    return int(thing) if thing.is_Integer and abs(thing) <= 2**53 else float(thing)


def sympified(thing: Any) -> Any:
    """An operand as sympy has it."""
    return thing._sympy_() if isinstance(thing, (Expr, Value)) else thing


def common_graph(things: Iterable[Any]) -> Graph:
    """The graph all the expressions among `things` belong to, or a new one when there is none."""
    graph: Graph | None = None
    for thing in things:
        if type(thing) is Expr:
            if graph is None:
                graph = thing.graph
            elif graph is not thing.graph:
                raise GraphMismatchError(
                    f"{thing!r} belongs to another graph than the expressions before it; "
                    "build them in one Graph"
                )
    return Graph() if graph is None else graph
