"""Writing the statements of a program as Python.

A value used once is written where it is used, up to a limit that keeps lines readable and stays far
inside CPython's nesting limit of 200 parentheses; everything else gets a line and a name. What is
too long for one function is written as several, called one after another.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, Final, NamedTuple

from ...ops.record import ATOM, UNARY, Op
from ..names import SHORT, Namespace, Variables
from ..program import Gather, Group, Instruction, Operand, Program, flatten, map_nested
from .layout import INDENT, LINE_LENGTH, Listing, packed, quoted, separated
from .spelling import Form, count_reads, form_of, output_names

MAX_INLINE: Final = 120
"""The longest expression, in characters, that is still written inside another."""

MAX_NESTING: Final = 40
"""The deepest nesting of inlined expressions; CPython refuses 200 parentheses."""

WHOLE: Final = 500_000
"""The longest sequence of instructions that is written as one function.

While CPython compiles a function it needs a kilobyte or so an operation, all of it at once.
"""

PART: Final = 10_000
"""How many instructions of a longer one go into a function."""


class Text(NamedTuple):
    """An expression on its way into the code.

    binds, depth   how tightly it binds, how deep it nests
    reads          the values it reads, as often as it does
    """

    code: str
    binds: int = ATOM
    depth: int = 0
    reads: tuple[str, ...] = ()


@dataclass
class Writer:
    """The state of writing one function: its lines, and the expressions that wait to be used.

    uses        how often each value is read; more than once means that it has a line of its own
    conditions  the comparisons that only decide between branches; other truths must be floats
    parts       the functions that this one calls
    places      the leaves that parts take out of an argument themselves: which, and where it is
    """

    program: Program
    language: str
    uses: Counter[str]
    variables: Variables
    conditions: Collection[str]
    listing: Listing = field(default_factory=Listing)
    parts: list[Listing] = field(default_factory=list)
    places: dict[str, tuple[str, int]] = field(default_factory=dict)
    pending: dict[str, Text] = field(default_factory=dict)
    hosts: dict[str, str] = field(default_factory=dict)
    _opening: int = 0
    _forms: dict[tuple[Op, tuple[float, ...], bool], Form] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        program: Program,
        language: str,
        inline: Collection[str] = (),
        taken: Iterable[str] = (),
    ) -> Writer:
        """A writer for `program`, which decides whether names are reused.

        inline   the keys of outputs that need no line of their own; by default no output does
                 where names are reused, and every output has one where they are not
        taken    names that are used for something else
        """
        uses = count_reads(program, language)
        leaves = [leaf for group in program.groups for leaf in group.leaves]
        outputs = [(path, name) for path, name in flatten(program.outputs) if isinstance(name, str)]
        answered = {name for _, name in outputs}
        kept = sum(uses[i.name] > 1 or i.name in answered for i in program.instructions)
        long = max(len(program.once), len(program.each), len(program.after)) > WHOLE
        reused = long or len(leaves) + kept > SHORT
        for path, name in outputs:
            inlined = path[0] in inline if inline else reused
            uses[name] += 1 if inlined else 2
        conditions = _conditions(program)
        if not reused:
            return cls(program, language, uses, Variables(uses), conditions)
        used = [group.argument for group in program.groups] + [g.name for g in program.gathers]
        space = Namespace(chain((program.name,), taken, leaves, used))
        return cls(program, language, uses, Variables(uses.copy(), space), conditions)

    def open(self) -> None:
        """From here on the function has statements, of which `finish` may have to put the first."""
        self._opening = len(self.listing.lines)

    def stage(self, body: Sequence[Instruction], level: int) -> None:
        """The statements for these instructions; calls of parts where they are too many."""
        if len(body) <= WHOLE:
            self._lines(body, level)
            return
        for start in range(0, len(body), PART):
            self._call_part(body[start : start + PART], level)

    def _lines(self, body: Iterable[Instruction], level: int) -> None:
        """A line per value that is used more than once; the others wait to stand inside another."""
        section = ""
        uses, pending = self.uses, self.pending
        for instruction in body:
            text = self.expression(instruction)
            name = instruction.name
            if uses[name] == 1 and len(text.code) <= MAX_INLINE and text.depth < MAX_NESTING:
                pending[name] = text
                continue
            if instruction.section != section:
                section = instruction.section
                self.listing.add(f"# {section}", level=level)
            variable = self.variables.assign(name, text.reads)
            self.listing.assign(variable, "=", text.code, level, name)

    def _call_part(self, body: Sequence[Instruction], level: int) -> None:
        """A function of its own for these instructions, and the call of it."""
        own = {instruction.name for instruction in body}
        operands = dict.fromkeys(chain.from_iterable(i.operands for i in body))
        given = [value for value in operands if isinstance(value, str) and value not in own]
        passed = [value for value in given if value not in self.places]
        taken = defaultdict(list)
        for argument, position in sorted(self.places[v] for v in given if v in self.places):
            taken[argument].append(position)
        name = self.variables.fresh(f"{self.program.name}_part")
        part = self._part([*taken, *given])
        part.listing.enclose(f"def {name}(", separated([*taken, *passed]), "):", 0)
        part.listing.add(f'"""A part of {self.program.name}."""', level=1)
        for argument, positions in taken.items():
            part.take(argument, positions, 1)
        part._lines(body, 1)
        found = part._answer([instruction.name for instruction in body])
        self.parts += [part.listing]
        arguments = [*taken, *(self._argument(value, name) for value in passed)]
        targets = [self.variables.assign(value) for value in found]
        self.listing.found[name] = len(self.listing.lines) + 1
        self.listing.call(targets, name, arguments, level)

    def _part(self, given: Sequence[str]) -> Writer:
        """A writer for a part of the function; what it is given keeps its name."""
        variables = Variables(self.variables.left, Namespace(given))
        return replace(
            self,
            variables=variables,
            listing=Listing(),
            pending={},
            hosts={},
        )

    def _answer(self, values: Iterable[str]) -> list[str]:
        """The return statement of a part: those of its values that are read elsewhere."""
        for text in self.pending.values():
            self.variables.forget(text.reads)
        found = [v for v in values if v in self.pending or self.variables.holds(v)]
        codes = [self.operand(value, "return").code for value in found]
        self.listing.found["return"] = len(self.listing.lines) + 1
        self.listing.enclose("return (", [f"{code}," for code in codes], ")", 1)
        self._place_inlined()
        del self.listing.found["return"]
        return found

    def _argument(self, value: str, part: str) -> str:
        """What the call of a part gives it for a value, which the part was the last to read."""
        text = self.operand(value, part)
        if text.reads == (value,):
            self.variables.release(value)
        else:
            self.variables.forget(text.reads)
        return text.code

    def expression(self, instruction: Instruction) -> Text:
        """The right-hand side of an instruction, waiting operands written into it."""
        op = instruction.op
        number = op.truth and instruction.name not in self.conditions
        key = op, instruction.statics, number
        form = self._forms.get(key)
        if form is None:
            form = self._forms[key] = form_of(op, instruction.statics, self.language)
            if number:
                number_of = "np.float64" if self.language == "numpy" else "float"
                form = self._forms[key] = form.inside(number_of)
        written: list[str] = []
        reads: list[str] = []
        depth = 0
        pending = self.pending
        for operand, slot, times in zip(
            instruction.operands, form.slots, form.repeats, strict=False
        ):
            if operand.__class__ is str and operand not in pending:  # most are
                written.append(self.variables.name(operand))
                for _ in range(times):
                    reads.append(operand)
                continue
            text = self.operand(operand, instruction.name)
            if text.depth > depth:
                depth = text.depth
            reads += text.reads * times
            written.append(text.code if text.binds >= slot else f"({text.code})")
        return Text(form.fill(written), form.binds, depth + 1, tuple(reads))

    def operand(self, operand: Operand, host: str) -> Text:
        """An operand: a number, a variable, or the expression that was waiting to be used."""
        if not isinstance(operand, str):
            code = repr(float(operand))
            return Text(code, UNARY if code.startswith("-") else ATOM)
        text = self.pending.pop(operand, None)
        if text is None:
            return Text(self.variables.name(operand), reads=(operand,))
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
        whole = f"{INDENT * level}for {' '.join(rows)} in {source}:"
        long = len(whole) > LINE_LENGTH
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
        repeated = program.repeated
        looped = [gather for gather in program.gathers if gather.name not in repeated]
        same = [gather for gather in program.gathers if gather.name in repeated]
        sums = packed([f"{g.name} =" for g in looped if not g.stacked], level + 1)
        listing.add(*(f"{line} 0.0" for line in sums), level=level)
        listing.add(*(f"{g.name} = []" for g in looped if g.stacked), level=level)
        for gather in same:
            text = self.operand(gather.operand, gather.name)
            code = text.code if text.binds > UNARY else f"({text.code})"
            listing.assign(gather.name, "=", f"{code} * len({batched[0].argument})", level)
        return looped

    def inputs(self, level: int) -> None:
        """The variables of the arguments that are the same for all samples."""
        program, start = self.program, len(self.listing.lines)
        stages = program.once, program.each, program.after
        groups = [group for group in program.groups if not group.batched]
        read = set(output_names(program)) | {gather.operand for gather in program.gathers}
        for body in stages:
            if len(body) <= WHOLE:
                read.update(chain.from_iterable(i.operands for i in body))
        for group in groups:
            if not group.scalar and max(map(len, stages)) > WHOLE:
                self.places |= {leaf: (group.argument, i) for i, leaf in enumerate(group.leaves)}
            if group.scalar or not self.places or not read.isdisjoint(group.leaves):
                self.unpack(group, level)
            else:
                self._check_length(group, level)
        if len(self.listing.lines) > start:
            self.listing.insert(start, "# inputs", level=level)

    def _check_length(self, group: Group, level: int) -> None:
        """What unpacking the whole argument would have found out."""
        self.listing.add(
            f"if len({group.argument}) != {len(group.leaves)}:",
            f'    raise ValueError("{group.argument}: expected {len(group.leaves)} numbers")',
            level=level,
        )

    def unpack(self, group: Group, level: int) -> None:
        """The variables of an argument."""
        if not group.scalar:
            names = [f"{leaf}," for leaf in group.leaves]
            self.listing.enclose("(", names, f") = {group.argument}", level)
        elif group.argument != group.leaves[0]:
            self.listing.assign(group.leaves[0], "=", group.argument, level)

    def take(self, argument: str, positions: Sequence[int], level: int) -> None:
        """The variables at these positions of an argument, in ascending order."""
        group = next(group for group in self.program.groups if group.argument == argument)
        start = positions[0]
        for position, after in zip(positions, [*positions[1:], 0], strict=True):
            if after == position + 1:
                continue
            names = [f"{leaf}," for leaf in group.leaves[start : position + 1]]
            piece = f"[{start}:{position + 1}]" if len(names) < len(group.leaves) else ""
            self.listing.enclose("(", names, f") = {argument}{piece}", level)
            start = after

    def results(self, outputs: Any) -> Any:
        """Nested outputs as code."""
        return map_nested(outputs, lambda operand: self.operand(operand, "return").code)

    def finish(self, outputs: Any, level: int) -> list[Listing]:
        """The return statement; answers the parts and the function, all lines noted."""
        listing = self.listing
        listing.add("# outputs", level=level)
        listing.found["return"] = len(listing.lines) + 1
        write_display(listing, "return ", outputs, "", level)
        self._place_inlined()
        first = self.variables.first(sum(len(group.leaves) for group in self.program.groups))
        if first:
            lines = packed([f"{name} =" for name in first], level + 1)
            note = "# names used again and again: the first 256 of a function are the quickest"
            listing.insert(self._opening, note, *(f"{line} 0.0" for line in lines), level=level)
        return [*self.parts, listing]

    def _place_inlined(self) -> None:
        """Note the line of every value that was written inside another."""
        found, hosts, end = self.listing.found, self.hosts, len(self.listing.lines)
        for value in reversed(hosts):  # a host that is inlined itself is so after its guests
            found[value] = found.get(hosts[value], end)


def _conditions(program: Program) -> set[str]:
    """The truth values that are read as nothing else."""
    found = {i.name for i in program.instructions if i.op.truth}
    if not found:
        return found
    for instruction in program.instructions:
        places = instruction.op.conditions
        found.difference_update(o for i, o in enumerate(instruction.operands) if i not in places)
    found.difference_update(gather.operand for gather in program.gathers)
    return found.difference(operand for _, operand in flatten(program.outputs))


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
