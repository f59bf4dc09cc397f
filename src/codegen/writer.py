"""Writing the statements of a program as Python.

A value used once is written where it is used, up to a limit that keeps lines readable and stays far
inside CPython's nesting limit of 200 parentheses; everything else gets a line and a name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, NamedTuple

from ..errors import SpellingError
from ..graph.operation import ATOM, UNARY, Notation, Op
from ..graph.ops import COMPARISONS, WHERE
from .layout import INDENT, LINE_LENGTH, Listing, packed, quoted
from .program import Gather, Group, Instruction, Operand, Program, flatten, map_nested

MAX_INLINE: Final = 120
"""The longest expression, in characters, that is still written inside another."""

MAX_NESTING: Final = 40
"""The deepest nesting of inlined expressions; CPython refuses 200 parentheses."""

FAST, CAREFUL = "python", "python-ieee"


class Text(NamedTuple):
    """An expression on its way into the code: how tightly it binds, how deep it nests."""

    code: str
    binds: int = ATOM
    depth: int = 0


@dataclass
class Writer:
    """The state of writing one function: its lines, and the expressions that wait to be used."""

    program: Program
    language: str
    uses: Counter[str]
    listing: Listing = field(default_factory=Listing)
    pending: dict[str, Text] = field(default_factory=dict)
    hosts: dict[str, str] = field(default_factory=dict)

    @cached_property
    def conditions(self) -> set[str]:
        """The comparisons that only decide between branches; elsewhere a truth must be a float."""
        return _conditions(self.program)

    def stage(self, body: Sequence[Instruction], level: int) -> None:
        """A line per value that is used more than once; the others wait to stand inside another."""
        section = ""
        for instruction in body:
            text = self.expression(instruction)
            name = instruction.name
            if self.uses[name] == 1 and len(text.code) <= MAX_INLINE and text.depth < MAX_NESTING:
                self.pending[name] = text
                continue
            if instruction.section != section:
                section = instruction.section
                self.listing.add(f"# {section}", level=level)
            self.listing.assign(name, "=", text.code, level)

    def expression(self, instruction: Instruction) -> Text:
        """The right-hand side of an instruction, waiting operands written into it."""
        form = _spelling(instruction.op, instruction.statics, self.language)
        if instruction.op in COMPARISONS and instruction.name not in self.conditions:
            form = Notation(f"float({form.template})", ATOM, form.slots)
        written, depth = [], 0
        for operand, slot in zip(instruction.operands, form.slots, strict=False):
            text = self.operand(operand, instruction.name)
            depth = max(depth, text.depth)
            written.append(text.code if text.binds >= slot else f"({text.code})")
        return Text(form.template.format(*written), form.binds, depth + 1)

    def operand(self, operand: Operand, host: str) -> Text:
        """An operand: a number, a variable, or the expression that was waiting to be used."""
        if not isinstance(operand, str):
            code = repr(float(operand))
            return Text(code, UNARY if code.startswith("-") else ATOM)
        text = self.pending.pop(operand, None)
        if text is None:
            return Text(operand)
        self.hosts[operand] = host
        return text

    def samples(self, level: int) -> None:
        """The loop over the samples, with its accumulators before it."""
        looped = self._accumulators(level)
        if not looped:
            return
        batched = [group for group in self.program.groups if group.batched]
        source = batched[0].argument
        if len(batched) > 1:
            source = f"zip({', '.join(group.argument for group in batched)}, strict=True)"
        rows = [part for group in batched for part in _pattern(group)]
        rows[-1] = rows[-1].removesuffix(",")
        long = sum(map(len, rows)) > LINE_LENGTH - len(INDENT) * level - len(source) - 16
        head, tail = ("for (", f") in {source}:") if long else ("for ", f" in {source}:")
        self.listing.enclose(head, rows, tail, level)
        self.stage(self.program.each, level + 1)
        for gather in looped:
            term = self.operand(gather.operand, gather.name).code
            if gather.stacked:
                self.listing.found[gather.name] = len(self.listing.lines) + 1
                self.listing.add(f"{gather.name}.append({term})", level=level + 1)
            else:
                self.listing.assign(gather.name, "+=", term, level + 1)

    def _accumulators(self, level: int) -> list[Gather]:
        """Lines before the loop over the samples; answers what the loop has to add to."""
        program, listing = self.program, self.listing
        batched = [group for group in program.groups if group.batched]
        varying = {instruction.name for instruction in program.each}
        varying |= {leaf for group in batched for leaf in group.leaves}
        looped: list[Gather] = []
        same: list[Gather] = []
        for gather in program.gathers:
            changes = gather.stacked or gather.operand in varying
            (looped if changes else same).append(gather)
        sums = packed([f"{g.name} =" for g in looped if not g.stacked], level + 1)
        listing.add(*(f"{line} 0.0" for line in sums), level=level)
        listing.add(*(f"{g.name} = []" for g in looped if g.stacked), level=level)
        for gather in same:
            text = self.operand(gather.operand, gather.name)
            code = text.code if text.binds > UNARY else f"({text.code})"
            listing.assign(gather.name, "=", f"{code} * len({batched[0].argument})", level)
        return looped

    def unpack(self, group: Group, level: int) -> None:
        """The variables of an argument."""
        if not group.scalar:
            names = [f"{leaf}," for leaf in group.leaves]
            self.listing.enclose("(", names, f") = {group.argument}", level)
        elif group.argument != group.leaves[0]:
            self.listing.assign(group.leaves[0], "=", group.argument, level)

    def results(self, outputs: Any) -> Any:
        """Nested outputs as code."""
        return map_nested(outputs, lambda operand: self.operand(operand, "return").code)

    def finish(self, outputs: Any, level: int) -> Listing:
        """The return statement, and the line of every variable that was written inside another."""
        listing = self.listing
        listing.add("# outputs", level=level)
        listing.found["return"] = len(listing.lines) + 1
        write_display(listing, "return ", outputs, "", level)
        for variable in self.hosts:
            listing.found[variable] = listing.found.get(self._host(variable), len(listing.lines))
        return listing

    def _host(self, name: str) -> str:
        """The variable whose line an inlined one ended up in."""
        while name in self.hosts:
            name = self.hosts[name]
        return name


def _conditions(program: Program) -> set[str]:
    """The comparisons that nothing reads but `where`, as its condition."""
    found = {i.name for i in program.instructions if i.op in COMPARISONS}
    if not found:
        return found
    for instruction in program.instructions:
        found.difference_update(instruction.operands[instruction.op is WHERE :])
    found.difference_update(gather.operand for gather in program.gathers)
    return found.difference(operand for _, operand in flatten(program.outputs))


def count_uses(program: Program, language: str) -> Counter[str]:
    """How often each variable is read, where more than once means that it keeps a line of its own.

    Outputs count twice, as do operands that their operation's spelling repeats, and values from
    before the loop that the loop reads, which must not be computed again for every sample.
    """
    uses: Counter[str] = Counter()
    outside = {instruction.name for instruction in program.once}
    inside = {instruction.name for instruction in program.each}
    for instruction in program.instructions:
        template = spelling_of(instruction.op, language).template
        looped = instruction.name in inside
        for i, operand in enumerate(instruction.operands):
            if isinstance(operand, str):
                uses[operand] += template.count(f"{{{i}}}") + (looped and operand in outside)
    for gather in program.gathers:
        if isinstance(gather.operand, str):
            uses[gather.operand] += 1 + (gather.operand in outside)
    for _, operand in flatten(program.outputs):
        if isinstance(operand, str):
            uses[operand] += 2
    return uses


def spelling_of(op: Op, language: str) -> Notation:
    """How the operation is written in Python; a `SpellingError` when its record does not say."""
    form = op.notation.get(language) or op.notation.get(FAST)
    if form is None:
        raise SpellingError(
            f"the python target has no spelling of {op.name!r}; "
            "give its record a notation for 'python'"
        )
    return form


def _spelling(op: Op, statics: tuple[float, ...], language: str) -> Notation:
    """How the operation is written, its static arguments filled in."""
    form = spelling_of(op, language)
    if not statics:
        return form
    template = form.template
    for name, value in zip(op.statics, statics, strict=True):
        template = template.replace(f"{{{name}}}", repr(float(value)))
    return Notation(template, form.binds, form.slots)


def _pattern(group: Group) -> list[str]:
    """What a row of the group is unpacked into, in pieces that each end in a comma."""
    if group.scalar:
        return [f"{group.leaves[0]},"]
    pieces = [f"{leaf}," for leaf in group.leaves]
    pieces[0] = f"({pieces[0]}"
    pieces[-1] = f"{pieces[-1] if len(pieces) == 1 else pieces[-1][:-1]}),"
    return pieces


def write_display(listing: Listing, head: str, outputs: Any, tail: str, level: int) -> None:
    """Append nested outputs, on one line if it is short enough, else an entry or more a line."""
    flat = f"{head}{_flat(outputs)}{tail}"
    if isinstance(outputs, str) or len(flat) + len(INDENT) * level <= LINE_LENGTH:
        listing.add(flat, level=level)
    elif isinstance(outputs, Mapping):
        listing.add(f"{head}{{", level=level)
        for key, value in outputs.items():
            write_display(listing, f"{quoted(key)}: ", value, ",", level + 1)
        listing.add(f"}}{tail}", level=level)
    elif all(isinstance(item, str) for item in outputs):
        listing.enclose(f"{head}[", [f"{item}," for item in outputs], f"]{tail}", level)
    else:
        listing.add(f"{head}[", level=level)
        for item in outputs:
            write_display(listing, "", item, ",", level + 1)
        listing.add(f"]{tail}", level=level)


def _flat(outputs: Any) -> str:
    if isinstance(outputs, Mapping):
        entries = (f"{quoted(key)}: {_flat(value)}" for key, value in outputs.items())
        return f"{{{', '.join(entries)}}}"
    if isinstance(outputs, list):
        return f"[{', '.join(map(_flat, outputs))}]"
    return str(outputs)
