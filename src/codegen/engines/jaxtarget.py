"""The jax target: statements as a pure function of `jax.numpy`, which XLA compiles when called."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from ...errors import MissingExtraError, SettingError
from ..array.function import ArrayFunction
from ..scalar.python import load as load_text
from ..target import Source, Target
from .dialect import Dialect
from .foreign import prepared_with
from .printer import emit_with

DIALECT: Final = Dialect("jax", "jnp", ("import jax", "import jax.numpy as jnp"))


def engine() -> Any:
    """The jax module; a `MissingExtraError` says what to install."""
    try:
        import jax
    except ImportError:
        raise MissingExtraError(
            "target 'jax' computes with JAX, which is not installed: pip install 'wengert[jax]'"
        ) from None
    return jax


def emit(function: ArrayFunction) -> Source:
    """The statements as a pure function on JAX's arrays."""
    engine()
    return emit_with(DIALECT, function)


def load(source: Source) -> Callable[..., Any]:
    """The function, compiled by XLA at its first call for each shape of its arguments.

    JAX keeps constants as it first saw them, so each setting of `jax_enable_x64` has its own.
    """
    jax = engine()
    loaded: dict[bool, Callable[..., Any]] = {}

    def run(*arguments: Any) -> Any:
        setting = jax.config.jax_enable_x64
        if setting not in loaded:
            loaded[setting] = _compiled(jax, load_text(source))
        return loaded[setting](*arguments)

    return run


def _compiled(jax: Any, plain: Callable[..., Any]) -> Callable[..., Any]:
    """The function compiled, with its results nested as they are and keys in their order."""
    nested: list[Any] = []

    def listed(*arguments: Any) -> tuple[Any, ...]:
        results: list[Any] = []
        nested[:] = [_numbered(plain(*arguments), results)]
        return tuple(results)

    compiled = jax.jit(listed)

    def run(*arguments: Any) -> Any:
        results = compiled(*arguments)
        return _nested(nested[0], results)

    return run


def _numbered(nested: Any, results: list[Any]) -> Any:
    """What is nested, with a number for each array, which goes to the end of a list."""
    if isinstance(nested, dict):
        return {key: _numbered(value, results) for key, value in nested.items()}
    if isinstance(nested, list):
        return [_numbered(value, results) for value in nested]
    results.append(nested)
    return len(results) - 1


def _nested(numbered: Any, results: Sequence[Any]) -> Any:
    """The arrays in the places of their numbers."""
    if isinstance(numbered, dict):
        return {key: _nested(value, results) for key, value in numbered.items()}
    if isinstance(numbered, list):
        return [_nested(value, results) for value in numbered]
    return results[numbered]


def prepare(program: ArrayFunction) -> Callable[[Sequence[Any]], Sequence[Any]]:
    """A function that makes arguments arrays that JAX takes: its own stay as they are.

    float64 where JAX is set to make float32 of it is a `SettingError`.
    """
    jax = engine()

    def adopted(array: Any) -> Any:
        return array if str(array.dtype) == program.dtype else array.astype(program.dtype)

    taken = prepared_with(program, jax.Array, adopted, lambda array, given: array)

    def prepared(arguments: Sequence[Any]) -> Sequence[Any]:
        if program.dtype == "float64" and not jax.config.jax_enable_x64:
            raise SettingError(
                f"{program.name} computes in float64, and JAX would make float32 of it, because "
                "jax_enable_x64 is off: jax.config.update('jax_enable_x64', True) when the program "
                "starts, or compile with dtype='float32'"
            )
        return taken(arguments)

    return prepared


def in_float64() -> Any:
    """A context in which JAX computes in float64, whatever it is set to outside."""
    return engine().enable_x64(True)


TARGET: Final = Target(
    "jax",
    emit,
    load,
    prepare=prepare,
    arrays=True,
    rewrites=False,
    engine=True,
    computing=in_float64,
)
