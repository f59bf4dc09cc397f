"""Operations: one record each, that says everything every other room needs to know."""

from .record import (
    ATOM,
    COMPARISON,
    POWER,
    PRODUCT,
    SUM,
    UNARY,
    Notation,
    Op,
    call,
    infix,
    ufunc,
)

__all__ = [
    "ATOM",
    "COMPARISON",
    "POWER",
    "PRODUCT",
    "SUM",
    "UNARY",
    "Notation",
    "Op",
    "call",
    "infix",
    "ufunc",
]
