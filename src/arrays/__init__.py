"""Operations on whole arrays, and `roll`, which finds them in scalar graphs."""

from ..ops.arrays import (
    broadcast_to,
    gather,
    logsumexp,
    max_over,
    mean_over,
    reshape,
    scatter_add,
    sum_over,
    sum_to,
    take,
)

__all__ = [
    "broadcast_to",
    "gather",
    "logsumexp",
    "max_over",
    "mean_over",
    "reshape",
    "scatter_add",
    "sum_over",
    "sum_to",
    "take",
]
