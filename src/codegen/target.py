"""What a target is, the registry of those that exist, and what their code carries with it."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Final

from ..errors import DuplicateNameError, SpellingError, UnknownNameError, shorten
from ..ops.record import Notation, Op
from ..storage import restore


@dataclass(frozen=True)
class Source:
    """The text a target printed for a program.

    `lines` tells which line (from 1) computes each variable. `cuts` are places in the text, in
    characters, at which it may be divided into pieces that are complete code, one after another.
    `operations` are those, with static arguments, whose record the code asks for values. `binary`
    is what the text was compiled to, where that takes long.
    """

    __setstate__ = restore

    text: str
    function: str
    lines: Mapping[str, int] = field(default_factory=dict)
    cuts: tuple[int, ...] = ()
    operations: tuple[tuple[Op, tuple[float, ...]], ...] = ()
    binary: bytes = b""

    def pieces(self) -> list[str]:
        r"""The text, divided at its cuts.

        >>> Source("a = 1\nb = a\n", "f", cuts=(6,)).pieces()
        ['a = 1\n', 'b = a\n']
        """
        ends = (*self.cuts, len(self.text))
        return [self.text[start:end] for start, end in zip((0, *self.cuts), ends, strict=True)]


def _none(*_: Any) -> None:
    """What a target does not have; a function with a name, so that targets can be pickled."""


def _nothing(_: Any) -> tuple[()]:
    return ()


@dataclass(frozen=True)
class Target:
    """A way to run programs: `emit` prints one, `load` makes the printed function callable.

    `emit_careful` prints the program so that it gives inf and nan where the language would raise;
    it answers None when the plain one never raises. How operations are written stands in their
    records under the target's `name`: `op.spelling(name, statics)`.

    A target with `arrays` prints `ArrayFunction`s. `prepare`, given a program, answers a function
    that makes the caller's arguments those of the printed function, or raises a `ShapeError`.
    Where the function can be given the caller's own, `joined`, given it and what is called instead
    if they have to be prepared, answers one function of both; else None. `machine` says for what
    machine code is made, where that matters.
    Without `rewrites` statements are printed as they are found: what makes them quicker in NumPy is
    for NumPy. An `engine` is a library of its own, so `verify` runs it only when it is asked for;
    `computing` is the context in which the package itself calls its functions.
    One with a number in `rolled_from` prints `ArrayFunction`s where a graph of scalars has as many
    nodes and few statements come of it. `told` says more of the code, in lines for reports.
    """

    __setstate__ = restore

    name: str
    emit: Callable[[Any], Source]
    load: Callable[[Source], Callable[..., Any]]
    emit_careful: Callable[[Any], Source | None] = _none
    prepare: Callable[[Any], Callable[[Sequence[Any]], Sequence[Any]]] | None = None
    arrays: bool = False
    joined: Callable[[Callable[..., Any], Callable[..., Any]], Callable[..., Any] | None] = _none
    machine: Callable[[], str] = str
    rewrites: bool = True
    engine: bool = False
    computing: Callable[[], AbstractContextManager[Any]] = nullcontext
    rolled_from: int | None = None
    told: Callable[[Source], Sequence[str]] = _nothing

    def __reduce__(self) -> str | tuple[Any, ...]:
        """A target of the package is pickled by its name, any other as records are."""
        if self.name in TARGETS and self is find_target(self.name):
            return find_target, (self.name,)
        return super().__reduce__()

    @property
    def takes_statements(self) -> bool:
        """Whether it prints `ArrayFunction`s, always or of large graphs."""
        return self.arrays or self.rolled_from is not None


TARGETS: Final[Mapping[str, str]] = {
    "python": ".scalar.python",
    "numpy": ".array.printer",
    "javascript": ".scalar.javascript",
    "native": ".native.native",
    "jax": ".engines.jaxtarget",
    "torch": ".engines.torchtarget",
}
"""The module of each target; it is imported when used and holds the `Target` as `TARGET`."""


def find_target(name: str | Target) -> Target:
    """The target called `name`; a `Target` of one's own as it is, unless its name is taken.

    >>> find_target("python").name
    'python'
    >>> find_target("pyton")
    Traceback (most recent call last):
        ...
    wengert.errors.UnknownNameError: unknown target 'pyton'; did you mean 'python'? Known: ...
    """
    if isinstance(name, Target):
        if name.name in TARGETS and name != find_target(name.name):
            raise DuplicateNameError(
                f"{name.name!r} is a target of wengert's; name yours otherwise"
            )
        return name
    if name not in TARGETS:
        raise UnknownNameError.of("target", name, TARGETS)
    target: Target = import_module(TARGETS[name], __package__).TARGET
    return target


def targets() -> list[str]:
    """The names of the targets that `compile` can be given.

    >>> "python" in targets()
    True
    """
    return list(TARGETS)


def definitions(forms: Iterable[Notation]) -> list[str]:
    """The texts that notations want defined before them, each once, in order of text.

    Of a function the docstring is cut to its first line; marks for the type checker are left out.
    """
    wanted = {form.define for form in forms if form.define is not None}
    return sorted(_definition(thing) for thing in wanted)


def _definition(thing: Callable[..., Any] | str) -> str:
    if isinstance(thing, str):
        return textwrap.dedent(thing).strip()
    try:
        code = textwrap.dedent(inspect.getsource(thing)).strip()
    except (OSError, TypeError):
        code = ""
    if not code.startswith("def "):
        raise SpellingError(
            f"the text of {shorten(thing)}, which generated code is to carry, is not found; "
            "expected a function made by def in a file; else give define= the text itself"
        )
    code = re.sub(r"  # type: ignore\[[\w-]+\]", "", code)
    return re.sub(r'"""([^\n]*)\n.*?"""', r'"""\1"""', code, flags=re.DOTALL)
