"""What code imports where it runs, inside of a function."""

from __future__ import annotations

import dis
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from importlib.util import resolve_name
from types import CodeType, ModuleType
from typing import Any, NamedTuple


class Import(NamedTuple):
    """A name of a function that an import gives to a module, or to something of one.

    member  what of the module; "" for the module itself
    """

    name: str
    module: ModuleType
    member: str

    @property
    def thing(self) -> Any:
        """What the name stands for."""
        return getattr(self.module, self.member, None) if self.member else self.module


def imports_of(code: CodeType, names: dict[str, Any]) -> list[Import]:
    """The imports that stand in code, with the globals it has; what cannot be imported is left out.

    >>> def f():
    ...     import os.path, time as clock
    ...     from math import pi as number
    >>> [(one.name, one.module.__name__, one.member) for one in imports_of(f.__code__, {})]
    [('os', 'os', ''), ('clock', 'time', ''), ('number', 'math', 'pi')]
    """
    return list(_imports(code, names))


def _imports(code: CodeType, names: dict[str, Any]) -> Iterator[Import]:
    steps = list(dis.get_instructions(code))
    module, member = None, ""
    for k, step in enumerate(steps):
        if step.opname == "IMPORT_NAME":
            level, wanted = steps[k - 2].argval, steps[k - 1].argval
            module, member = _module("." * level + step.argval, names, whole=wanted is not None), ""
        elif step.opname == "IMPORT_FROM":
            member = step.argval
        elif step.opname.startswith("STORE_") and module is not None:
            yield Import(step.argval, module, member)
            member = ""
            after = steps[k + 1 : k + 2]
            if not after or after[0].opname != "IMPORT_FROM":
                module = None


def _module(name: str, names: dict[str, Any], whole: bool) -> ModuleType | None:
    """The module of that name, or the package it is in, as `import a.b` names it."""
    with suppress(Exception):  # whatever a module may raise: it will again where it is imported
        if name.startswith("."):
            name = resolve_name(name, names.get("__package__") or "")
        found = sys.modules.get(name) or import_module(name)
        return found if whole else sys.modules[name.partition(".")[0]]
    return None
