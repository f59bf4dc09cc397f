"""How operations on whole arrays are written: subscripts as subscripts, axes by name."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from ..ops.arrays import BROADCAST, CONCATENATE, GATHER, RESHAPE, SCATTER, STACK, TRANSPOSE
from ..ops.indexing import Index, subscript, subscript_text
from ..ops.record import ATOM, Notation
from ..ops.shapes import Shape, shape_text
from .numbertext import number_text
from .store import Columns


def array_notation(graph: Columns, node: int, language: str) -> Notation:
    """How the operation of `node`, one on whole arrays, is written; braces stay doubled."""
    op, statics = graph.ops[node], graph.statics.get(node, ())
    shapes = [graph.shapes.get(operand, ()) for operand in graph.operands[node]]
    latex = language == "latex"
    if op is GATHER:
        index, kept = statics
        return _chosen(index, kept, shapes[0], latex)
    if op is STACK:
        return _stacked("stack", statics[0], len(shapes), latex)
    if op is CONCATENATE:
        return _stacked("concatenate", statics[0], len(shapes), latex)
    if op is SCATTER and not statics[-1]:
        statics = (*statics[:-1], None)
    if op is TRANSPOSE and len(shapes[0]) > 2 and not latex:
        return Notation("{0}.mT", ATOM, (ATOM,))
    if op is RESHAPE or op is BROADCAST:
        if latex:
            return _call(op.name, [r"\times ".join(map(_length, statics[0]))], latex)
        if op is RESHAPE:
            inside = ", ".join(map(str, statics[0]))
            return Notation(f"{{0}}.reshape({inside})", ATOM, (ATOM,))
        return _call(op.name, [_escaped(shape_text(statics[0]))], latex)
    if op.statics:
        return _call(op.name, _arguments(op.statics, statics), latex)
    return op.written(language)


def array_text(array: Any, limit: int = 8) -> str:
    """A constant array as a formula shows it: written out when short, or when it counts.

    >>> import numpy as np
    >>> array_text(np.array([1.0, 2.5])), array_text(np.arange(10.0)), array_text(np.zeros((20, 3)))
    ('[1, 2.5]', '[0, 1, ..., 9]', 'array(20x3)')
    """
    if array.size > limit:
        if array.ndim == 1 and _counts(array.tolist()):
            first, second, last = map(_nested, array[[0, 1, -1]].tolist())
            return f"[{first}, {second}, ..., {last}]"
        return f"array({'x'.join(map(str, array.shape))})"
    return _nested(array.tolist())


def _counts(numbers: Sequence[float]) -> bool:
    """Whether each number is one more than the one before."""
    return all(b - a == 1 for a, b in pairwise(numbers))


def _nested(items: Any) -> str:
    if isinstance(items, list):
        return f"[{', '.join(map(_nested, items))}]"
    return number_text(items)


def _chosen(index: Index, kept: int, shape: Shape, latex: bool) -> Notation:
    """Elements by position: as a subscript where slices say it."""
    key = subscript(index, shape[kept:])
    if key is None:
        return _call("gather", _arguments(("index", "kept"), (index, kept or None)), latex)
    inside = subscript_text((*[slice(None)] * kept, *key))
    if latex:
        return Notation(f"{{{{{{0}}}}}}_{{{{{inside}}}}}", ATOM, (ATOM,))
    return Notation(f"{{0}}[{inside}]", ATOM, (ATOM,))


def _stacked(name: str, axis: int, count: int, latex: bool) -> Notation:
    places = [f"{{{i}}}" for i in range(count)]
    slots = (0,) * count
    if latex:
        rows = (" & " if axis else r" \\ ").join(places)
        return Notation(rf"\begin{{{{pmatrix}}}} {rows} \end{{{{pmatrix}}}}", ATOM, slots)
    places += [f"axis={axis}"] if axis else []
    return Notation(f"{name}({', '.join(places)})", ATOM, slots)


def _arguments(names: tuple[str, ...], statics: tuple[Any, ...]) -> list[str]:
    """Static arguments as text: no axis is left out, several arguments are named."""
    return [
        f"{name}={shown}" if name in ("axis", "kept") else shown
        for name, static in zip(names, statics, strict=True)
        if static is not None
        for shown in [_escaped(shape_text(static) if isinstance(static, tuple) else str(static))]
    ]


def _call(name: str, arguments: list[str], latex: bool) -> Notation:
    if latex:
        title = name.replace("_", r"\_")
        below = f"_{{{{{', '.join(arguments)}}}}}" if arguments else ""
        return Notation(rf"\operatorname{{{{{title}}}}}{below}\left({{0}}\right)")
    return Notation(f"{name}({', '.join(['{0}', *arguments])})")


def _escaped(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _length(length: int) -> str:
    return "N" if length == -1 else str(length)
