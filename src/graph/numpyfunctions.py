"""NumPy's functions of expressions and values: `np.sin(x)` is `wengert.sin(x)`, and recorded so."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from ..errors import OperandError, shorten
from ..ops import arrays
from ..ops import scalar as ops
from ..ops.record import Notation

_CALL: Final = re.compile(r"np\.(\w+)\((.*), out=\{out\}\)")
_COMPARISONS: Final = ("less", "less_equal", "greater", "greater_equal", "equal", "not_equal")
_PAIRS: Final = {"floor_divide": ops.floor_divide, "matmul": arrays.MATMUL}
_METHODS: Final = {"sum": "sum", "mean": "mean", "max": "max", "amax": "max", "reshape": "reshape"}


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


def apply_function(function: Any, arguments: Sequence[Any], options: Mapping[str, Any]) -> Any:
    """What a function of NumPy's that is no ufunc gives of expressions."""
    name = function.__name__
    if name in _METHODS:
        return getattr(arguments[0], _METHODS[name])(*arguments[1:], **options)
    if name == "where" and len(arguments) == 3 and not options:
        return ops.WHERE(*arguments)
    if name == "clip" and len(arguments) == 3 and not options:
        return ops.CLIP(*arguments)
    if name in ("round", "around") and len(arguments) == 1 and not options:
        return ops.ROUND(arguments[0])
    if name in ("dot", "matmul") and len(arguments) == 2 and not options:
        return arrays.MATMUL(*arguments)
    if name == "transpose" and len(arguments) == 1 and not options:
        return arguments[0].T
    if name == "shape":
        return arguments[0].shape
    if name == "ndim":
        return len(arguments[0].shape)
    raise OperandError(
        f"np.{name} of {shorten(arguments[0]) if arguments else 'nothing'} has no operation here; "
        "there are sum, mean, max, reshape, transpose, dot, where, clip and round"
    )
