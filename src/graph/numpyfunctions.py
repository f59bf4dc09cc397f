"""NumPy's functions of expressions and values: `np.sin(x)` is `wengert.sin(x)`, and recorded so."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from inspect import signature
from typing import Any, Final

from ..errors import OperandError, shorten
from ..ops import arrays, compositions, moves
from ..ops import scalar as ops
from ..ops.record import Notation

_CALL: Final = re.compile(r"np\.(\w+)\((.*), out=\{out\}\)")
_COMPARISONS: Final = ("less", "less_equal", "greater", "greater_equal", "equal", "not_equal")
_PAIRS: Final = {"floor_divide": ops.floor_divide, "matmul": arrays.MATMUL}
_SAME_NAME: Final = (
    *("argmax", "argmin", "cumsum", "diff", "dot", "expand_dims", "inner", "ravel", "squeeze"),
    *("std", "take", "tensordot", "var", "vdot"),
)
_MOVES: Final = (
    *("array_split", "column_stack", "concatenate", "delete", "diag", "diagflat", "diagonal"),
    *("dsplit", "dstack", "flip", "fliplr", "flipud", "hsplit", "hstack", "moveaxis", "pad"),
    *("repeat", "roll", "rollaxis", "rot90", "split", "swapaxes", "take_along_axis", "tile"),
    *("trace", "transpose", "tril", "triu", "vsplit", "vstack"),
)


@lru_cache(maxsize=1)
def by_ufunc() -> Mapping[str, Any]:
    """The operation of each universal function of NumPy's that records call, by its name.

    >>> by_ufunc()["arcsin"]
    <operation asin(x)>
    """
    found: dict[str, Any] = {name: getattr(ops, name) for name in _COMPARISONS}
    for op in ops.ELEMENTWISE.values():
        form = op.notation.get("numpy")
        match = _CALL.fullmatch(form.out or "") if isinstance(form, Notation) else None
        if match and match[2] == ", ".join(f"{{{i}}}" for i in range(op.arity)):
            found[match[1]] = op
    return found | {"absolute": ops.ABS, "fabs": ops.ABS} | _PAIRS


def apply_ufunc(ufunc: Any, method: str, inputs: Sequence[Any], options: Mapping[str, Any]) -> Any:
    """What a universal function gives of operands among which are expressions."""
    found = by_ufunc().get(ufunc.__name__)
    if method == "__call__" and not options:
        if found is not None:
            return found(*inputs)
        if ufunc.__name__ == "square":
            return inputs[0] * inputs[0]
        if ufunc.__name__ == "positive":
            return inputs[0]
        if ufunc.__name__ == "reciprocal":
            return 1 / inputs[0]
    given = ", ".join(shorten(x) for x in inputs)
    how = "" if method == "__call__" else f".{method}"
    raise OperandError(
        f"np.{ufunc.__name__}{how}({given}) has no operation here"
        f"{' with ' + ', '.join(options) if options else ''}; operators and wengert's functions "
        "are recorded, such as wengert.exp(x)"
    )


@lru_cache(maxsize=1)
def by_function() -> Mapping[str, Callable[..., Any]]:
    """What computes each function of NumPy's that is no ufunc, by its name.

    >>> by_function()["amax"] is by_function()["max"]
    True
    """
    named = {name: getattr(compositions, name) for name in _SAME_NAME}
    named |= {name: getattr(moves, name) for name in _MOVES}
    over = {name: getattr(compositions, f"{name}_over") for name in ("min", "prod", "any", "all")}
    whole = {"sum": arrays.sum_over, "mean": arrays.mean_over, "max": arrays.max_over}
    others = {
        "amax": arrays.max_over,
        "amin": compositions.min_over,
        "around": ops.ROUND,
        "broadcast_to": arrays.broadcast_to,
        "clip": _clip,
        "einsum": lambda *operands, optimize=True: compositions.einsum(*operands),
        "matmul": arrays.MATMUL,
        "ndim": lambda x: len(x.shape),
        "norm": _norm,
        "outer": lambda x, y: arrays.outer(compositions.ravel(x), compositions.ravel(y)),
        "reshape": arrays.reshape,
        "round": ops.ROUND,
        "shape": lambda x: x.shape,
        "size": lambda x: x.size,
        "stack": lambda operands, axis=0: moves.stack(*operands, axis=axis),
        "where": ops.WHERE,
        "append": lambda x, values, axis=None: moves.concatenate([x, values], axis),
        "atleast_1d": lambda x: x if x.shape else arrays.reshape(x, (1,)),
        "atleast_2d": lambda x: x if len(x.shape) > 1 else arrays.reshape(x, (1, -1)),
        "copy": lambda x: x,
        "ptp": lambda x, axis=None: x.max(axis) - x.min(axis),
        "zeros_like": lambda x: _filled(x.shape, 0.0),
        "ones_like": lambda x: _filled(x.shape, 1.0),
    }
    return {**named, **over, **whole, **others}


def _norm(x: Any, ord: None = None, axis: arrays.Axes = None, keepdims: bool = False) -> Any:
    """The square root of the sum of squares, over an axis or several, or of all elements."""
    if ord is not None:
        raise OperandError(
            f"np.linalg.norm with ord {shorten(ord)} has no operation here; the one without is the "
            "root of the sum of squares, and abs(x).sum() and abs(x).max() are others"
        )
    return ops.sqrt(arrays.sum_over(x * x, axis, keepdims))


def _filled(shape: Any, number: float) -> Any:
    import numpy

    return numpy.full(shape, number)


def _clip(x: Any, low: Any, high: Any) -> Any:
    if low is None or high is None:
        return compositions.clip(x, low, high)
    return ops.CLIP(x, low, high)


def apply_function(function: Any, arguments: Sequence[Any], options: Mapping[str, Any]) -> Any:
    """What a function of NumPy's that is no ufunc gives of expressions."""
    name = function.__name__
    found = by_function().get(name)
    given = shorten(arguments[0]) if arguments else "nothing"
    if found is None:
        there = ", ".join(sorted(by_function()))
        raise OperandError(f"np.{name} of {given} has no operation here; there are {there}")
    try:
        signature(found).bind(*arguments, **options)
    except TypeError as error:
        raise OperandError(
            f"np.{name} of {given} as an operation: {error}; it takes {signature(found)}"
        ) from None
    return found(*arguments, **options)
