"""The torch target: statements as a function on torch's tensors, on whatever device these are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from ...errors import MissingExtraError
from ..array.function import ArrayFunction
from ..scalar.python import load as load_text
from ..target import Source, Target
from .dialect import Dialect
from .foreign import prepared_with
from .printer import emit_with


def engine() -> Any:
    """The torch module; a `MissingExtraError` says what to install."""
    try:
        import torch
    except ImportError:
        raise MissingExtraError(
            "target 'torch' computes with PyTorch, which is not installed: "
            "pip install 'wengert[torch]'"
        ) from None
    return torch


DIALECT: Final = Dialect(
    "torch",
    "torch",
    ("import torch",),
    decorator="@torch.no_grad()",
    cast="to",
    turn="permute",
    axis="dim",
    largest="amax",
    smallest="amin",
    join="cat",
    constants="torch.as_tensor",
    bring="to({}.device)",
    boxed=True,
    has=lambda name: hasattr(engine(), name),
)


def emit(function: ArrayFunction) -> Source:
    """The statements as a function on torch's tensors."""
    engine()
    return emit_with(DIALECT, function)


def load(source: Source) -> Callable[..., Any]:
    """The function, which torch records nothing of."""
    engine()
    return load_text(source)


def prepare(program: ArrayFunction) -> Callable[[Sequence[Any]], Sequence[Any]]:
    """A function that makes arguments torch's tensors, without a copy where that is possible."""
    torch = engine()
    dtype = getattr(torch, program.dtype)

    def adopted(tensor: Any) -> Any:
        return tensor if tensor.dtype is dtype else tensor.to(dtype)

    def brought(array: Any, own: Sequence[Any]) -> Any:
        import numpy

        array = numpy.asarray(array)
        if not array.flags.writeable or any(step < 0 for step in array.strides):
            array = array.copy()  # torch has no arrays that may only be read, nor backward ones
        tensor = torch.from_numpy(array)
        return tensor.to(own[0].device) if own else tensor

    return prepared_with(program, torch.Tensor, adopted, brought)


TARGET: Final = Target(
    "torch", emit, load, prepare=prepare, arrays=True, rewrites=False, engine=True
)
