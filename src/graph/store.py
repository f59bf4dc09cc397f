"""The columns of a graph: its nodes by number, one list or dict per attribute.

Nodes are numbered in the order they are made, and operands exist before their consumers, so the
numbers are a topological order. What is written here knows nothing of handles: `expr` gives them.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import chain, compress
from keyword import iskeyword
from numbers import Real
from typing import Any, NamedTuple, Self

from ..errors import (
    DuplicateNameError,
    InvalidNameError,
    OperandError,
    UnknownNameError,
    not_as_expected,
    shorten,
)
from ..ops import scalar as ops
from ..ops.record import Op, plain_number, result_shape
from ..ops.shapes import Shape, frozen_array, is_array, unboxed
from ..storage import damaged, from_pickle

MAX_NAME_LENGTH = 200
"""The longest name of a leaf, in characters."""

_SUFFIX_LENGTH = 20

_DENSE = 16
"""A graph of which more than one node in so many is needed is looked at node by node."""

_OF_LEAVES = (("labels",), ("_numbers", "arrays"))
"""Which columns a leaf is in: one of those on the right if it is a constant."""

_THREADS: Collection[Any] = getattr(threading, "_active", ())
"""The threads that run, as far as Python started them.

The name is private to `threading`. A public question, `active_count`, takes a lock itself, and a
lock at each node makes building a graph a fifth slower, its derivative a tenth. Where a Python has
no such name, every node takes the lock.
"""


class Origin(NamedTuple):
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


class Columns:
    """The nodes of an expression graph, in columns that are for reading.

    `outputs` is set by transforms that make a graph for the sake of some of its nodes. A node
    that is not in `shapes` is a scalar; `arrays` holds the values of array leaves, read-only, and
    `lanes` the names of the scalar leaves that an array leaf was made of, if it was. `one_hot` are
    rows of leaves of which exactly one is not 0, as whoever gives them their numbers has promised.

    Threads may write to one graph, each whole step of a transform under its `lock`.
    """

    def __init__(self) -> None:
        self.ops: list[Op] = []
        self.operands: list[tuple[int, ...]] = []
        self.origins: list[Origin | None] = []
        self.statics: dict[int, tuple[Any, ...]] = {}
        self.shapes: dict[int, Shape] = {}
        self.arrays: dict[int, Any] = {}
        self.lanes: dict[int, tuple[str, ...]] = {}
        self.one_hot: list[tuple[int, ...]] = []
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
        self.lock = threading.RLock()

    def __getstate__(self) -> dict[str, Any]:
        """All columns as they are now, whoever writes to the graph meanwhile.

        What networkx sees of them is made anew, and a lock is nobody else's.
        """
        with self.lock:
            state = {name: _as_it_is(column) for name, column in vars(self).items()}
            state["sweeps"] = list(map(dict, self.sweeps))
        del state["lock"]
        return state | {"view": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        from_pickle("a graph", _check_columns, state)
        vars(self).update(state, lock=threading.RLock())

    def __copy__(self) -> Self:
        """The same columns, with the same numbers of nodes, to be written on apart."""
        made = type(self)()
        vars(made).update(self.__getstate__(), lock=made.lock)
        return made

    def __len__(self) -> int:
        return len(self.ops)

    def value(self, node: int) -> Any:
        """The number or array a leaf carries now, or None: inputs and operations have none.

        >>> from wengert import Graph, Value
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

    def source(self, node: int) -> Any:
        """The `Value` or `ArrayValue` that a parameter node stands for, or None."""
        return self._sources.get(node)

    def is_leaf(self, node: int) -> bool:
        """Whether the node is an input, a parameter or a constant."""
        return self.ops[node].arity == 0

    def append(self, op: Op, operands: tuple[int, ...], statics: tuple[float, ...] = ()) -> int:
        """A new node for `op` on nodes of this graph; the number it got."""
        alone = len(_THREADS) == 1  # and then no other can start meanwhile
        if not alone:
            self.lock.acquire()
        try:
            if self.shapes or op.shape is not None:
                self._infer_shape(op, operands, statics)
            node = len(self.ops)
            self.ops.append(op)
            self.operands.append(operands)
            self.origins.append(self._origin)
            if statics:
                self.statics[node] = statics
            return node
        finally:
            if not alone:
                self.lock.release()

    def deriving(self, origin: Origin | None) -> None:
        """From now on new nodes carry `origin`; transforms set it back to None when they end."""
        self._origin = origin

    def new_leaf(self, op: Op, name: str) -> int:
        """A new input or parameter; a `DuplicateNameError` or `InvalidNameError` for its name."""
        with self.lock:
            self._check_free(name)
            node = self._append_leaf(op)
            self.labels[node] = name
            self.leaves[name] = node
            return node

    def new_constant(self, value: Any) -> int:
        """The node of a number or an array of numbers; equal ones are one node."""
        if is_array(value) and value.shape:
            with self.lock:
                return self._constant_array(value)
        return self._constant(real_number(value, "a constant"))

    def copy_leaf(self, other: Columns, node: int) -> int:
        """A leaf of `other` as a new leaf of this graph: same name, value and source."""
        op = other.ops[node]
        if op is ops.CONSTANT:
            return self.new_constant(other.value(node))
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
        if node is not None:
            return node
        with self.lock:
            node = self._constants.get(key)
            if node is None:
                node = self._append_leaf(ops.CONSTANT)
                self._numbers[node] = number
                self._constants[key] = node
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

    def _free_name(self, label: str) -> str:
        """A name for a `Value`: its label when that is a free identifier, else one made from it."""
        stem = label[: MAX_NAME_LENGTH - _SUFFIX_LENGTH] if is_name(label) else "v"
        if is_name(label) and label not in self.leaves:
            return label
        number = len(self._sources)
        while f"{stem}_{number}" in self.leaves:
            number += 1
        return f"{stem}_{number}"


def live_nodes(graph: Columns, roots: Iterable[int], known: Collection[int] = ()) -> list[int]:
    """The nodes that `roots` depend on, and the roots, in topological order.

    Nodes in `known` are left out, and so is what only they depend on.
    """
    operands = graph.operands
    stack = [root for root in roots if root not in known]
    seen = {*stack, *known}
    most = len(operands) if known else max(stack, default=0) // _DENSE
    while stack and len(seen) <= most:
        for operand in operands[stack.pop()]:
            if operand not in seen:
                seen.add(operand)
                stack.append(operand)
    if stack:
        return _dense_nodes(operands, seen)
    return sorted(seen.difference(known)) if known else sorted(seen)


def _dense_nodes(operands: Sequence[tuple[int, ...]], roots: Iterable[int]) -> list[int]:
    """The same where they are many: one look at each node, the last first, which saves sorting."""
    last = max(roots)
    live = bytearray(last + 1)
    for root in roots:
        live[root] = 1
    for node in range(last, -1, -1):
        if live[node]:
            for operand in operands[node]:
                live[operand] = 1
    return list(compress(range(last + 1), live))


def use_counts(graph: Columns, live: Iterable[int], roots: Iterable[int] = ()) -> Counter[int]:
    """How often each node is an operand of `live`, repeats included, or one of `roots`.

    >>> from wengert import Graph
    >>> from wengert import Graph
    >>> g = Graph(); x = g.input("x"); y = x * x
    >>> use_counts(g, [x.id, y.id], [y.id])
    Counter({0: 2, 1: 1})
    """
    operands = graph.operands
    return Counter(chain(roots, chain.from_iterable([operands[node] for node in live])))


def consumers(graph: Columns, live: Iterable[int]) -> dict[int, list[int]]:
    """The nodes of `live` that each node is an operand of, in order; twice those of x*x.

    >>> from wengert import Graph
    >>> from wengert import Graph
    >>> g = Graph(); x = g.input("x"); y = x * x
    >>> consumers(g, [x.id, y.id])
    {0: [1, 1], 1: []}
    """
    found: dict[int, list[int]] = {}
    for node in live:
        found.setdefault(node, [])
        for operand in graph.operands[node]:
            found.setdefault(operand, []).append(node)
    return found


def is_name(text: Any) -> bool:
    """Whether `text` can name a leaf: an ASCII identifier, no keyword, no dunder, not too long.

    >>> is_name("w0_2"), is_name("lambda"), is_name("a b")
    (True, False, False)
    """
    return (
        isinstance(text, str)
        and len(text) <= MAX_NAME_LENGTH
        and text.isascii()
        and text.isidentifier()
        and not iskeyword(text)
        and not text.startswith("__")
    )


def check_name(name: Any, what: str) -> None:
    """An `InvalidNameError` unless `name` can name a leaf, a group or a function."""
    if not is_name(name):
        raise InvalidNameError(
            f"{shorten(name)} cannot name a {what}: expected an ASCII identifier such as 'x' or "
            f"'w0_1', at most {MAX_NAME_LENGTH} characters, not a Python keyword and not starting "
            "with '__'"
        )


def listing(names: Iterable[str], limit: int = 12) -> str:
    """The first `limit` names and how many more there are, for the text of an error."""
    names = list(names)
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(shorten(name) for name in names[:limit]) + more or "none"


def leaf_named(graph: Columns, name: str) -> int:
    """The leaf of this name; an `UnknownNameError` lists those there are."""
    node = graph.leaves.get(name)
    if node is None:
        raise unknown_leaf(graph, name)
    return node


def unknown_leaf(graph: Columns, key: object) -> UnknownNameError:
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
    raise OperandError(not_as_expected(number, what, "a number"))


def _as_it_is(column: Any) -> Any:
    """A list or dict that stays what it is now; anything else itself."""
    return type(column)(column) if type(column) in (list, dict) else column


def _check_columns(state: Mapping[str, Any]) -> None:
    """Refuse columns from a pickle that do not fit one another."""
    for name, blank in vars(Columns()).items():
        if name != "lock" and name not in state:
            raise damaged("a graph", f"it has no {name}")
        if isinstance(blank, (list, dict, tuple)) and type(state[name]) is not type(blank):
            raise damaged("a graph", f"its {name} are {shorten(state[name])}")
    count = len(state["ops"])
    if not count == len(state["operands"]) == len(state["origins"]):
        raise damaged("a graph", "its columns are of several lengths")
    for node, (op, read) in enumerate(zip(state["ops"], state["operands"], strict=True)):
        if op.arity not in (len(read), -1) or not all(0 <= operand < node for operand in read):
            raise damaged("a graph", f"node {node} is {op!r} of the nodes {shorten(read)}")
        if len(op.statics) != len(state["statics"].get(node, ())):
            raise damaged("a graph", f"node {node} has no {', '.join(op.statics)}")
        if not read and not any(node in state[name] for name in _OF_LEAVES[op is ops.CONSTANT]):
            raise damaged("a graph", f"node {node} is neither a named leaf nor a number")
    for origin in state["origins"]:
        if not isinstance(origin, (Origin, type(None))):
            raise damaged("a graph", f"the origin of a node is {shorten(origin)}")
    keys = ("statics", "shapes", "arrays", "lanes", "labels", "adjoint_of", "_numbers", "_sources")
    values = ("leaves", "gradients", "stable_forms", "stable_gradients", "plain_gradients")
    nodes = chain(*(state[name] for name in keys), *(state[name].values() for name in values))
    for node in chain(nodes, state["outputs"], *state["one_hot"]):
        if not 0 <= node < count:
            raise damaged("a graph", f"it has no node {node}")
