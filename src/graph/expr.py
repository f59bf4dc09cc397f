"""`Graph` and `Expr`: expressions as an append-only graph, and handles to its nodes.

Nodes are numbered in the order they are made, and operands exist before their consumers, so the
numbers are a topological order. A graph keeps its nodes in columns, one list per attribute;
`Graph.nx` shows the same graph as networkx sees it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar

from ..errors import (
    DuplicateNameError,
    GraphMismatchError,
    InvalidNameError,
    MissingInputError,
    OperandError,
    ShapeError,
    TruthValueError,
    UnknownNameError,
    formula_hint,
    kind_of,
    shorten,
)
from ..ops import scalar as ops
from ..ops.record import Op, plain_number
from ..ops.shapes import Shape, checked_shape, frozen_array, is_array, result_shape, unboxed
from .arithmetic import Arithmetic
from .arraysyntax import ArraySyntax
from .arrayvalue import ArrayValue
from .doors import Door
from .leafnames import MAX_NAME_LENGTH, check_name, is_name, listing
from .value import Value, topological

if TYPE_CHECKING:
    import networkx

_SUFFIX_LENGTH = 20
_REPR_TERMS = 40
"""How many terms of a formula a `repr`, and with it an error's text, shows."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a derived node came from: which transform, for which primal node, by which rule.

    primal is None when a later transform dropped that node.
    role is "rule" (a step of a derivative rule) or "sum" (contributions added up); operand is the
    position whose rule it was, or None.
    """

    transform: str
    primal: int | None
    role: str
    rule: str = ""
    operand: int | None = None


class Graph:
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

    def __init__(self) -> None:
        self.ops: list[Op] = []
        self.operands: list[tuple[int, ...]] = []
        self.origins: list[Origin | None] = []
        self.statics: dict[int, tuple[Any, ...]] = {}
        self.shapes: dict[int, Shape] = {}
        self.arrays: dict[int, Any] = {}
        self.lanes: dict[int, tuple[str, ...]] = {}
        self.labels: dict[int, str] = {}
        self.leaves: dict[str, int] = {}
        self.adjoint_of: dict[int, int] = {}
        self.sweeps: list[dict[int, int]] = []
        self.gradients: dict[tuple[int, int], int] = {}
        self.stable_forms: dict[int, int] = {}
        self.stable_gradients: dict[tuple[int, int], int] = {}
        self.plain_gradients: dict[tuple[int, int], int] = {}
        self.outputs: tuple[int, ...] = ()
        self.passes: tuple[Any, ...] = ()
        self._numbers: dict[int, float] = {}
        self._sources: dict[int, Any] = {}
        self._adopted: dict[Any, int] = {}
        self._constants: dict[object, int] = {}
        self._origin: Origin | None = None
        self.view: Any = None

    def __len__(self) -> int:
        return len(self.ops)

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
        if is_array(value) and value.shape:
            return Expr(self, self._constant_array(value))
        return Expr(self, self._constant(real_number(value, "a constant")))

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

    def value(self, node: int) -> Any:
        """The number or array a leaf carries now, or None: inputs and operations have none.

        >>> g = Graph(); w = Value(2.0, label="w"); e = g.input("x") * w
        >>> w.data = 3.0; g.value(1)
        3.0
        """
        source = self._sources.get(node)
        if source is not None:
            data = source.data
            if type(data) is float or node in self.shapes:
                return data
            return real_number(
                data, f"the data of Value {shorten(source.label or self.labels[node])}"
            )
        number = self._numbers.get(node)
        return self.arrays.get(node) if number is None else number

    def source(self, node: int) -> Value | None:
        """The `Value` that a parameter node stands for, if it stands for one."""
        return self._sources.get(node)

    def is_leaf(self, node: int) -> bool:
        """Whether the node is an input, a parameter or a constant."""
        return self.ops[node].arity == 0

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
            return self._adopt(thing) if node is None else node
        if isinstance(thing, Real):
            return self._constant(plain_number(thing))
        if is_array(thing):
            return self.constant(thing).id
        if isinstance(thing, ArrayValue):
            node = self._adopted.get(thing)
            return self._adopt_array(thing) if node is None else node
        raise OperandError(
            f"{shorten(thing)} is {kind_of(thing)}; expected an Expr, a Value or a number"
            f"{formula_hint(thing)}"
        )

    def find(self, thing: Any) -> int | None:
        """The node that already stands for an expression or `Value`, or None; nothing is added."""
        if isinstance(thing, (Value, ArrayValue)):
            return self._adopted.get(thing)
        return thing.id if type(thing) is Expr and thing.graph is self else None

    def append(self, op: Op, operands: tuple[int, ...], statics: tuple[float, ...] = ()) -> int:
        """A new node for `op` on nodes of this graph; the number it got."""
        if self.shapes or op.shape is not None:
            self._infer_shape(op, operands, statics)
        node = len(self.ops)
        self.ops.append(op)
        self.operands.append(operands)
        self.origins.append(self._origin)
        if statics:
            self.statics[node] = statics
        return node

    def deriving(self, origin: Origin | None) -> None:
        """From now on new nodes carry `origin`; transforms set it back to None when they end."""
        self._origin = origin

    def copy_leaf(self, other: Graph, node: int) -> int:
        """A leaf of `other` as a new leaf of this graph: same name, value and source."""
        op = other.ops[node]
        if op is ops.CONSTANT:
            return self.constant(other.value(node)).id
        name = other.labels[node]
        if name in self.leaves:
            self._check_free(name)
        copy = self._append_leaf(op)
        self.labels[copy] = name
        self.leaves[name] = copy
        if node in other.shapes:
            self._set_shape(copy, other.shapes[node])
            for column, others in ((self.arrays, other.arrays), (self.lanes, other.lanes)):
                if node in others:
                    column[copy] = others[node]
        if node in other._numbers:
            self._numbers[copy] = other._numbers[node]
        source = other._sources.get(node)
        if source is not None:
            self._sources[copy] = source
            self._adopted[source] = copy
        return copy

    def _leaf(self, op: Op, name: str) -> Expr:
        self._check_free(name)
        node = self._append_leaf(op)
        self.labels[node] = name
        self.leaves[name] = node
        return Expr(self, node)

    def _check_free(self, name: str) -> None:
        check_name(name, "leaf")
        if name in self.leaves:
            raise DuplicateNameError(
                f"{name!r} is already a leaf of this graph ({self.ops[self.leaves[name]].name}); "
                "give each leaf a name of its own"
            )

    def _append_leaf(self, op: Op) -> int:
        """A new node without operands, and without the origin of the transform it turns up in."""
        origin, self._origin = self._origin, None
        node = self.append(op, ())
        self._origin = origin
        return node

    def _constant(self, number: float) -> int:
        number = float(number)
        key = number if number and number == number else repr(number)
        node = self._constants.get(key)
        if node is None:
            node = self._append_leaf(ops.CONSTANT)
            self._constants[key] = node
            self._numbers[node] = number
        return node

    def _constant_array(self, value: Any) -> int:
        array = frozen_array(value, "a constant")
        key = (array.shape, array.tobytes())
        node = self._constants.get(key)
        if node is None:
            node = self._append_leaf(ops.CONSTANT)
            self._constants[key] = node
            self._set_shape(node, array.shape)
            self.arrays[node] = array
        return node

    def _set_shape(self, node: int, shape: Shape) -> None:
        if shape:
            self.shapes[node] = shape

    def _infer_shape(self, op: Op, operands: tuple[int, ...], statics: tuple[Any, ...]) -> None:
        """Note the shape of the node that is about to be made, or raise before it is."""
        if operands:
            shapes = [self.shapes.get(operand, ()) for operand in operands]
            if op.shape is not None or any(shapes):
                self._set_shape(len(self.ops), result_shape(op, shapes, statics))

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
            else:
                node = self.append(
                    item.op, tuple(adopted[operand] for operand in item.operands), item.statics
                )
                if item.label:
                    self.labels[node] = str(item.label)
            adopted[item] = node
        return adopted[value]

    def _free_name(self, label: str) -> str:
        """A name for a `Value`: its label when that is a free identifier, else one made from it."""
        stem = label[: MAX_NAME_LENGTH - _SUFFIX_LENGTH] if is_name(label) else "v"
        if is_name(label) and label not in self.leaves:
            return label
        number = len(self._sources)
        while f"{stem}_{number}" in self.leaves:
            number += 1
        return f"{stem}_{number}"


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

    def __init__(self, graph: Graph, node: int) -> None:
        self.graph = graph
        self.id = node

    def __repr__(self) -> str:
        from .formula import text

        return f"Expr({text(self, _REPR_TERMS)})"

    def __str__(self) -> str:
        from .formula import text

        return text(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Expr) and other.id == self.id and other.graph is self.graph

    def __hash__(self) -> int:
        return hash((id(self.graph), self.id))

    def __bool__(self) -> bool:
        raise TruthValueError(
            f"the truth of {self!r} is not known until it is evaluated; "
            "choose between expressions with wengert.where(condition, a, b)"
        )

    def __float__(self) -> float:
        number = self.graph.value(self.id)
        if number is None:
            raise MissingInputError(
                f"{self!r} has no number until it is evaluated; "
                "compile it, or use wengert.evaluate(expr, {leaf: number})"
            )
        return float(number)

    def _repr_latex_(self) -> str:
        from .formula import latex

        return f"$\\displaystyle {latex(self)}$"

    def apply_op(self, op: Op, operands: tuple[Any, ...], statics: tuple[float, ...] = ()) -> Any:
        """A new node for `op`; numbers and `Value`s among the operands are taken in."""
        graph = self.graph
        nodes = []
        for operand in operands:
            if type(operand) is Expr and operand.graph is graph:
                nodes.append(operand.id)
            elif isinstance(operand, (Arithmetic, Real)) or is_array(operand):
                nodes.append(graph.node_of(operand))
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


def live_nodes(graph: Graph, roots: Iterable[int]) -> list[int]:
    """The nodes that `roots` depend on, and the roots, in topological order."""
    operands = graph.operands
    stack = list(roots)
    seen = set(stack)
    while stack:
        for operand in operands[stack.pop()]:
            if operand not in seen:
                seen.add(operand)
                stack.append(operand)
    return sorted(seen)


def leaf_named(graph: Graph, name: str) -> int:
    """The leaf of this name; an `UnknownNameError` lists those there are."""
    node = graph.leaves.get(name)
    if node is None:
        raise unknown_leaf(graph, name)
    return node


def unknown_leaf(graph: Graph, key: object) -> UnknownNameError:
    """The error for a key that is no leaf of `graph`."""
    return UnknownNameError(
        f"{shorten(key)} is not a leaf of this graph; its leaves: {listing(graph.leaves)}"
    )


def real_number(number: Any, what: str) -> float:
    """`number` as a float; an `OperandError` that says `what` it is when it is none."""
    if isinstance(number, Real):
        return float(plain_number(number))
    plain = unboxed(number)
    if plain is not number:
        return real_number(plain, what)
    raise OperandError(f"{what} is {shorten(number)}, {kind_of(number)}; expected a number")
