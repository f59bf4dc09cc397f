"""The javascript target: a function for a web page, one line for each value.

Its text is for a browser or for node; a call from Python runs it in Node.js, to look at.
JavaScript's numbers are IEEE 754 and its functions never raise on them, so there is no careful
version.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from ...errors import SpellingError
from ..arguments import as_floats
from ..names import Namespace, called_elsewhere
from ..program import Instruction, Nested, Operand, Program
from ..target import Source, Target, definitions
from .layout import INDENT, LINE_LENGTH, Listing, quoted, separated
from .node import find_node, run_in_node

_RESERVED: Final = frozenset(
    "arguments async await break case catch class const continue debugger default delete do else "
    "enum eval export extends false finally for function if implements import in instanceof "
    "interface let new null of package private protected public return static super switch this "
    "throw true try typeof undefined var void while with yield Array Infinity Math NaN".split()
)


def emit(program: Program) -> Source:
    """The program as a JavaScript function; its arguments and result are nested arrays and objects.

    >>> from wengert.codegen.compiled import compile
    >>> from wengert.graph.expr import Graph
    >>> g = Graph(); w, x = g.input("w"), g.input("x")
    >>> print(compile({"w": w, "x": x}, {"y": (w * x).tanh()}, target="javascript").source)
    function f(w, x) {
        "use strict";
        // forward
        const t0 = w*x;
        const y = Math.tanh(t0);
        return {"y": y};
    }
    <BLANKLINE>
    """
    space = Namespace(_RESERVED | called_elsewhere(i.op for i in program.instructions))
    names: dict[str, str] = {}
    for name in _variables(program):
        if name not in names:
            names[name] = space.take(name)
    function, row = space.take(program.name), space.take("i")
    listing = Listing()
    arguments = separated([names[group.argument] for group in program.groups])
    listing.enclose(f"function {function}(", arguments, ") {", 0)
    listing.add('"use strict";', level=1)
    used = {(i.op, i.statics) for i in program.instructions}
    for text in definitions([op.spelling("javascript", statics) for op, statics in used]):
        listing.add(*text.split("\n"), level=1)
    for group in program.groups:
        if not group.batched:
            _unpack(listing, group.leaves, names[group.argument], group.scalar, names, 1)
    _write_stage(listing, program.once, names, 1)
    if program.batched:
        _write_loop(listing, program, names, row)
        _write_stage(listing, program.after, names, 1)
    listing.found["return"] = len(listing.lines) + 1
    _write_display(listing, "return ", program.outputs, ";", names, 1)
    listing.add("}")
    return Source("\n".join(listing.lines) + "\n", function, listing.found)


def load(source: Source) -> Callable[..., Any]:
    """A call runs the text in Node.js: some 40 ms each, enough to look at what it gives."""

    def call(*arguments: Any) -> Any:
        if find_node() is None:
            raise SpellingError(
                f"{source.function} is JavaScript, which Python does not run, and there is no "
                "'node' on PATH: install Node.js, take the text, .source, to a browser, or compile "
                "with target='python'"
            )
        return run_in_node([(source, [arguments])])[0][0]

    return call


def _prepare(program: Any) -> Callable[[Sequence[Any]], Sequence[Any]]:
    """What checks arguments: JavaScript takes rows of any width."""
    return partial(as_floats, program)


def _variables(program: Program) -> Iterable[str]:
    """The program's names in order of appearance: arguments first."""
    yield from (group.argument for group in program.groups)
    for group in program.groups:
        yield from group.leaves
    yield from (instruction.name for instruction in program.instructions)
    yield from (gather.name for gather in program.gathers)


def _unpack(
    listing: Listing,
    leaves: tuple[str, ...],
    source: str,
    scalar: bool,
    names: Mapping[str, str],
    level: int,
) -> None:
    """Name the numbers of one argument, or of one row of it."""
    if not scalar:
        items = [f"{names[leaf]}," for leaf in leaves]
        listing.enclose("const [", items, f"] = {source};", level)
    elif names[leaves[0]] != source:
        listing.add(f"const {names[leaves[0]]} = {source};", level=level)


def _write_stage(
    listing: Listing, body: tuple[Instruction, ...], names: Mapping[str, str], level: int
) -> None:
    section = ""
    for instruction in body:
        if instruction.section != section:
            section = instruction.section
            listing.add(f"// {section}", level=level)
        listing.found[instruction.name] = len(listing.lines) + 1
        code = _expression(instruction, names)
        listing.add(f"const {names[instruction.name]} = {code};", level=level)


def _write_loop(listing: Listing, program: Program, names: Mapping[str, str], row: str) -> None:
    """The loop over the samples, with its accumulators before it."""
    batched = [group for group in program.groups if group.batched]
    source, repeated = names[batched[0].argument], program.repeated
    looped = [gather for gather in program.gathers if gather.name not in repeated]
    for gather in looped:
        start = "const {} = [];" if gather.stacked else "let {} = 0.0;"
        listing.add(start.format(names[gather.name]), level=1)
    for gather in program.gathers:
        if gather.name in repeated:
            listing.found[gather.name] = len(listing.lines) + 1
            code = f"{_operand(gather.operand, names)} * {source}.length"
            listing.add(f"const {names[gather.name]} = {code};", level=1)
    if not looped:
        return
    listing.add(f"for (let {row} = 0; {row} < {source}.length; {row}++) {{", level=1)
    for group in batched:
        _unpack(
            listing, group.leaves, f"{names[group.argument]}[{row}]", group.scalar, names, level=2
        )
    _write_stage(listing, program.each, names, 2)
    for gather in looped:
        term, name = _operand(gather.operand, names), names[gather.name]
        listing.found[gather.name] = len(listing.lines) + 1
        listing.add(f"{name}.push({term});" if gather.stacked else f"{name} += {term};", level=2)
    listing.add("}", level=1)


def _expression(instruction: Instruction, names: Mapping[str, str]) -> str:
    op, operands, statics = instruction.op, instruction.operands, instruction.statics
    form = op.spelling("javascript", statics)
    fixed = {name: _literal(value) for name, value in zip(op.statics, statics, strict=True)}
    return form.template.format(*(_operand(operand, names) for operand in operands), **fixed)


def _operand(operand: Operand, names: Mapping[str, str]) -> str:
    return names[operand] if isinstance(operand, str) else _literal(operand)


def _literal(number: float) -> str:
    """A number as an operand: JavaScript's spelling, negative ones in parentheses."""
    code = repr(float(number)).replace("inf", "Infinity").replace("nan", "NaN")
    return f"({code})" if code.startswith("-") else code


def _write_display(
    listing: Listing, head: str, outputs: Nested, tail: str, names: Mapping[str, str], level: int
) -> None:
    """Append nested outputs, on one line if it is short enough, else an entry or more a line."""
    flat = head + _flat(outputs, names) + tail
    if len(flat) + len(INDENT) * level <= LINE_LENGTH or not isinstance(
        outputs, (Mapping, list, tuple)
    ):
        listing.add(flat, level=level)
    elif isinstance(outputs, Mapping):
        listing.add(f"{head}{{", level=level)
        for key, value in outputs.items():
            _write_display(listing, f"{_key(key)}: ", value, ",", names, level + 1)
        listing.add(f"}}{tail}", level=level)
    elif all(isinstance(item, (str, float)) for item in outputs):
        items = [f"{_operand(item, names)}," for item in outputs]
        listing.enclose(f"{head}[", items, f"]{tail}", level)
    else:
        listing.add(f"{head}[", level=level)
        for item in outputs:
            _write_display(listing, "", item, ",", names, level + 1)
        listing.add(f"]{tail}", level=level)


def _flat(outputs: Nested, names: Mapping[str, str]) -> str:
    if isinstance(outputs, Mapping):
        entries = [f"{_key(key)}: {_flat(value, names)}" for key, value in outputs.items()]
        return f"{{{', '.join(entries)}}}"
    if isinstance(outputs, (list, tuple)):
        return f"[{', '.join(_flat(item, names) for item in outputs)}]"
    return _operand(outputs, names)


def _key(key: str | int) -> str:
    """A key of an object as text, harmless in a page's script; `__proto__` is a key like others."""
    text = quoted(str(key)).replace("<", r"\u003c")
    return f"[{text}]" if key == "__proto__" else text


TARGET: Final = Target("javascript", emit, load, prepare=_prepare)
"""The target's record."""
