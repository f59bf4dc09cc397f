"""A compiled function as an engine's own: its derivative is the one that was compiled with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import SettingError
from ..program import flatten
from . import jaxtarget, torchtarget


@dataclass(frozen=True)
class Derived:
    """An output of a function, and the outputs that are its derivatives.

    run        the function
    name       what it is called
    arguments  the names of its arguments, in order
    output     the path of the output
    gradients  by the place of an argument, the path of the derivative by it
    """

    run: Callable[..., Any]
    name: str
    arguments: Sequence[str]
    output: tuple[Any, ...]
    gradients: dict[int, tuple[Any, ...]]

    def split(self, arguments: Sequence[Any]) -> tuple[Any, dict[int, Any]]:
        """The output, and the derivatives by the place of an argument."""
        found = self.run(*arguments)
        return _at(found, self.output), {k: _at(found, path) for k, path in self.gradients.items()}

    def refuse(self, place: int) -> None:
        """Say that a derivative is asked for which the function does not compute."""
        if place not in self.gradients:
            argument = self.arguments[place]
            raise SettingError(
                f"{self.name} is to be differentiated by {argument!r}, and does not compute that "
                f"derivative; compile it with wengert.grad(output, {argument}) among the outputs"
            )


def derived(f: Any, output: Any = None) -> Derived:
    """What is known of the derivatives of a compiled function, for the output with a key.

    Without a key there has to be one output that others are derivatives of; else, and where no
    output is the derivative of one, it is a `SettingError`.
    """
    names = [group.name for group in f.program.groups]
    known = {d.output for d in f.derivatives}
    wanted = known if output is None else {path for path in known if path == (output,)}
    if len(wanted) != 1:
        shown = ", ".join(_path_text(path) for path, _ in flatten(f.program.outputs))
        able = ", ".join(map(_path_text, sorted(known, key=repr))) or "none"
        raise SettingError(
            f"{f.program.name} has the outputs {shown or 'one number'}; derivatives are among them "
            f"of: {able}. Name one of these, f.autograd(output), and compile its gradient with it"
        )
    (path,) = wanted
    gradients = {names.index(d.group): d.gradient for d in f.derivatives if d.output == path}
    return Derived(f, f.program.name, names, path, gradients)


def _path_text(path: tuple[Any, ...]) -> str:
    return "".join(f"[{key!r}]" for key in path) or "the output"


def _at(nested: Any, path: Sequence[Any]) -> Any:
    for key in path:
        nested = nested[key]
    return nested


def torch_function(known: Derived) -> Callable[..., Any]:
    """The output as a function that torch differentiates by the derivatives that are known."""
    torch = torchtarget.engine()
    from torch.autograd.function import once_differentiable

    function: Any = torch.autograd.Function

    class Compiled(function):  # type: ignore[misc]
        """One call, whose derivatives are computed with it."""

        @staticmethod
        def forward(call: Any, *arguments: Any) -> Any:
            """The output; the derivatives are kept."""
            output, gradients = known.split(arguments)
            call.places = list(gradients)
            call.count = len(arguments)
            shapes = [getattr(argument, "shape", ()) for argument in arguments]
            call.save_for_backward(
                *[_joined(torch.cat, g).reshape(shapes[k]) for k, g in gradients.items()]
            )
            return output

        @staticmethod
        @once_differentiable  # type: ignore[untyped-decorator]
        def backward(call: Any, cotangent: Any) -> Any:
            """The cotangent times what was kept."""
            kept = dict(zip(call.places, call.saved_tensors, strict=True))
            return tuple([cotangent * kept[k] if k in kept else None for k in range(call.count)])

    def differentiable(*arguments: Any) -> Any:
        for place, argument in enumerate(arguments):
            if getattr(argument, "requires_grad", False):
                known.refuse(place)
        return Compiled.apply(*arguments)

    return differentiable


def jax_function(known: Derived) -> Callable[..., Any]:
    """The output as a function that JAX differentiates by the derivatives that are known."""
    jax = jaxtarget.engine()

    def output(*arguments: Any) -> Any:
        return known.split(arguments)[0]

    def forward(*primals: Any) -> Any:
        for place, primal in enumerate(primals):
            if primal.perturbed:
                known.refuse(place)
        arguments = [jax.numpy.asarray(primal.value) for primal in primals]
        found, gradients = known.split(arguments)
        shaped = {
            k: _joined(jax.numpy.concatenate, g).reshape(arguments[k].shape)
            for k, g in gradients.items()
        }
        return found, [shaped.get(k) for k in range(len(arguments))]

    def backward(kept: Any, cotangent: Any) -> Any:
        return tuple([None if one is None else cotangent * one for one in kept])

    differentiable = jax.custom_vjp(output)
    differentiable.defvjp(forward, backward, symbolic_zeros=True)
    made: Callable[..., Any] = differentiable
    return made


def _joined(join: Callable[[Any], Any], gradient: Any) -> Any:
    """A derivative by several arrays as one vector."""
    if isinstance(gradient, list):
        return join([part.ravel() for part in gradient])
    return gradient
