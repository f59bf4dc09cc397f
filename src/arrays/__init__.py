"""Operations on whole arrays, and `roll`, which finds them in scalar graphs."""

from ..ops.arrays import (
    broadcast_to,
    gather,
    logsumexp,
    matmul,
    max_over,
    mean_over,
    outer,
    reshape,
    scatter_add,
    stack,
    stack_rows,
    sum_over,
    sum_to,
    take,
    transpose,
)

__all__ = [
    "broadcast_to",
    "gather",
    "logsumexp",
    "matmul",
    "max_over",
    "mean_over",
    "outer",
    "reshape",
    "scatter_add",
    "stack",
    "stack_rows",
    "sum_over",
    "sum_to",
    "take",
    "transpose",
]
