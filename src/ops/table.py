"""The table of all operations: on scalars, then on whole arrays.

Names are read through it, as in files; an operation from elsewhere is given to what reads them, in
`operations=`. Nothing is registered anywhere.
"""

from __future__ import annotations

import copyreg
from collections.abc import Iterable, Mapping
from pickle import PicklingError
from typing import Any, Final

from ..errors import DuplicateNameError, OperandError, kind_of, shorten
from .arrays import ARRAY_OPERATIONS
from .record import Op, lookup
from .scalar import ELEMENTWISE, LEAVES

OPERATIONS: Final[dict[str, Op]] = {**ELEMENTWISE, **{op.name: op for op in ARRAY_OPERATIONS}}
"""Every operation by name."""


def with_own(known: Mapping[str, Op], own: Iterable[Op]) -> dict[str, Op]:
    """`known` and the operations of one's own, by name.

    A name that is taken by another operation is a `DuplicateNameError`.

    >>> from dataclasses import replace
    >>> from wengert.ops.scalar import TANH
    >>> list(with_own({}, [replace(TANH, name="mine")]))
    ['mine']
    """
    if isinstance(own, Op) or not isinstance(own, Iterable):
        raise OperandError(
            f"operations is {shorten(own)}, {kind_of(own)}; expected a sequence of wengert.Op, "
            "such as [SQUARE]"
        )
    found = dict(known)
    for op in own:
        if not isinstance(op, Op):
            raise OperandError(
                f"operations has {shorten(op)}, {kind_of(op)}; expected a wengert.Op"
            )
        taken = found.get(op.name) or OPERATIONS.get(op.name) or LEAVES.get(op.name)
        if taken is not None and taken is not op:
            raise DuplicateNameError(
                f"operations: {op.name!r} is the name of another operation, {taken.signature}; "
                "name yours otherwise"
            )
        found[op.name] = op
    return found


def operation_named(name: str) -> Op:
    """The operation of the table, or the leaf, that is called `name`; so pickles name them.

    >>> operation_named("tanh")
    <operation tanh(x)>
    """
    return lookup({**OPERATIONS, **LEAVES}, name)


def _by_name(op: Op) -> tuple[Any, tuple[str]]:
    if op is not OPERATIONS.get(op.name) and op is not LEAVES.get(op.name):
        raise PicklingError(
            f"the operation {op.signature} is not of wengert's table, by whose names operations "
            "are pickled; where it is needed, make what uses it anew"
        )
    return operation_named, (op.name,)


copyreg.pickle(Op, _by_name)
