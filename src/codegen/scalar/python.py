"""The python target: straight-line functions of the standard library alone."""

from __future__ import annotations

import builtins
import hashlib
import math
import re
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from types import CodeType
from typing import Any, Final

from ...errors import SpellingError
from ..names import called
from ..program import Program, flatten
from ..target import Source, Target, definitions
from .layout import INDENT, LINE_LENGTH, Listing, separated
from .spelling import CAREFUL, FAST, spelling_of
from .writer import Writer

_BUILTIN: Final = frozenset(dir(builtins))
_DEFINED: Final = re.compile(r"^def (\w+)\(", re.MULTILINE)


def emit(program: Program) -> Source:
    """The program as a Python function, after the imports and definitions that it needs.

    Python raises where IEEE arithmetic gives inf or nan, and so does this function.
    """
    return _source(program, FAST)


def emit_careful(program: Program) -> Source | None:
    """The program as a function that never raises; None when the plain one never does."""
    return _source(program, CAREFUL) if can_raise(program) else None


def can_raise(program: Program) -> bool:
    """Whether Python would raise for some inputs where IEEE arithmetic gives inf or nan."""
    return any(CAREFUL in op.notation for op in {i.op for i in program.instructions})


def load(source: Source) -> Callable[..., Any]:
    """The function of `source`, compiled; tracebacks through it show the generated lines."""
    digest = hashlib.sha256(source.text.encode()).hexdigest()[:8]
    filename = f"<wengert>/{source.function}_{digest}.py"
    namespace: dict[str, Any] = {
        "__name__": f"wengert.generated.{source.function}",
        "__loader__": _TextLoader(source.text),
    }
    line = 0
    for piece in source.pieces():
        exec(_moved(compile(piece, filename, "exec"), line), namespace)
        line += piece.count("\n")
    function: Callable[..., Any] = namespace[source.function]
    return function


def _moved(code: CodeType, lines: int) -> CodeType:
    """The code of a piece of a text that has so many lines before it."""
    if not lines:
        return code
    first = code.co_firstlineno + lines
    inner = [_moved(c, lines) if isinstance(c, CodeType) else c for c in code.co_consts]
    return code.replace(co_firstlineno=first, co_consts=tuple(inner))


def source_of(
    program: Program,
    language: str,
    function: str,
    listings: Sequence[Listing],
    head: str | None = None,
) -> Source:
    """The text of functions, the last of which is wanted, after what they need: `head`."""
    if head is None:
        head = preamble(program, language)
    found: dict[str, int] = {}
    texts = [head] if head else []
    line = head.count("\n") + 3 if head else 0
    for listing in listings:
        for variable, at in listing.found.items():
            found[variable] = at + line
        line += len(listing.lines) + 2
        texts.append("\n".join(listing.lines))
    lengths = accumulate(len(text) + 3 for text in texts[:-1])
    cuts = tuple(lengths) if len(listings) > 1 else ()
    return Source("\n\n\n".join(texts) + "\n", function, found, cuts)


def _source(program: Program, language: str) -> Source:
    return source_of(program, language, program.name, _function(program, language))


class _TextLoader:
    """Lets `linecache` find the text of a function that is in no file, for as long as it lives."""

    def __init__(self, text: str) -> None:
        self._text = text

    def get_source(self, name: str) -> str:
        return self._text


def preamble(program: Program, language: str) -> str:
    """The imports and definitions that the function needs before it."""
    used = {(i.op, i.statics if i.statics else ()) for i in program.instructions}
    forms = [spelling_of(op, language, statics) for op, statics in used]
    names = {name for form in forms for name in called(form)} | set(odd_literals(program))
    bodies = definitions(forms)
    defined = {name for body in bodies for name in _DEFINED.findall(body)}
    imported = sorted(name for name in names - defined if hasattr(math, name))
    missing = names - defined - set(imported) - _BUILTIN
    if missing:
        given = f"; what define= gives is called {', '.join(sorted(defined))}" if defined else ""
        raise SpellingError(
            f"a spelling for the python target calls {', '.join(sorted(missing))}, which is no "
            "function of Python or math: give its Notation define=, a function of that name or its "
            f"text{given}"
        )
    imports = Listing()
    if any("math." in body for body in bodies):
        imports.add("import math")
    line = f"from math import {', '.join(imported)}"
    if len(line) > LINE_LENGTH:
        imports.enclose("from math import (", separated(imported), ")", 0)
    elif imported:
        imports.add(line)
    return "\n\n\n".join(part for part in ("\n".join(imports.lines), *bodies) if part)


def odd_literals(program: Program) -> Iterator[str]:
    """The numbers that Python writes as names."""
    read = [operand for i in program.instructions for operand in (*i.operands, *i.statics)]
    read += [gather.operand for gather in program.gathers]
    read += [operand for _, operand in flatten(program.outputs)]
    for operand in read:
        if not isinstance(operand, str) and not math.isfinite(operand):
            yield "nan" if math.isnan(operand) else "inf"


def _function(program: Program, language: str) -> list[Listing]:
    """The lines of the function, and before it those of its parts if it has any."""
    writer = Writer.of(program, language)
    listing = writer.listing
    arguments = separated([group.argument for group in program.groups])
    listing.enclose(f"def {program.name}(", arguments, "):", 0)
    listing.add(*describe(program, language), level=1)
    writer.open()
    writer.inputs(1)
    writer.stage(program.once, 1)
    if program.batched:
        writer.samples(1)
        writer.stage(program.after, 1)
    return writer.finish(writer.results(program.outputs), 1)


def describe(program: Program, language: str) -> list[str]:
    """What the function takes and how much it computes."""
    counted = Counter([(i.section, i.op) for i in program.instructions])
    sections: dict[str, Counter[str]] = {}
    for (section, op), count in counted.items():
        sections.setdefault(section, Counter())[op.name] += count
    note = " Never raises: gives inf and nan." if language == CAREFUL else ""
    lines = [f'"""Straight-line code, generated by wengert.{note}', ""]
    lines += [f"{group.argument}: {group.shape}" for group in program.groups]
    for section, counts in sections.items():
        each = " a sample" if program.batched and section not in ("once", "update") else ""
        listed = ", ".join(f"{n} {op}" for op, n in counts.most_common())
        count = counts.total()
        line = f"{section}: {count} operation{'s' * (count != 1)}{each} ({listed})"
        lines += textwrap.wrap(line, LINE_LENGTH - len(INDENT), subsequent_indent=INDENT)
    return [*lines, '"""']


TARGET: Final = Target("python", emit, load, emit_careful)
