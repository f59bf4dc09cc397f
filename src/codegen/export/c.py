"""Programs as files of C99 that need no more than libm, and check their own gradients."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..build import Derivatives
from ..names import Namespace
from ..program import Group, Instruction, Operand, Program, flatten
from ..scalar.layout import Listing, separated
from .ctext import (
    TAKEN,
    Checked,
    Given,
    defined,
    definitions_of,
    file_text,
    number_text,
    operation_text,
    ranges,
)


def c_text(
    program: Program,
    values: Mapping[str, Sequence[float | None]],
    derivatives: Sequence[Derivatives],
) -> str:
    """The text of a file of C99 with the function of a program and a check of its gradients.

    values       the numbers that the leaves of each group carry, None for an input
    derivatives  which outputs are gradients, of which output, by which group

    Every operation is one of the program's, in its order; where a compiler does not fuse a product
    with a sum (`-ffp-contract=off`) and libm is the same, the numbers are those of the python
    target bit for bit. An operation whose record has no notation for "c" is a `SpellingError`.
    """
    used = [(instruction.op, instruction.statics) for instruction in program.instructions]
    definitions = list(definitions_of(used))
    writer = _Writer.of(program, definitions)
    checked = Checked(
        writer.function,
        tuple(
            [
                Given(g.name, len(g.leaves), g.scalar and not g.batched, g.batched)
                for g in program.groups
            ]
        ),
        {path: position for position, (path, _) in enumerate(writer.results)},
        len(writer.results),
        len(writer.stacks),
    )
    what = f"{writer.function}: {len(program.instructions):,} operations"
    parts = [*definitions, "\n".join(writer.function_lines())]
    return file_text(what, parts, checked, values, derivatives)


@dataclass(frozen=True)
class _Writer:
    """A program on its way to C: names for its variables, and where each result goes."""

    program: Program
    names: Mapping[str, str]
    function: str
    results: Sequence[tuple[tuple[Any, ...], Operand]]
    stacks: Mapping[str, int]

    @classmethod
    def of(cls, program: Program, definitions: Iterable[str]) -> _Writer:
        """A writer for the program; no name is that of a function that comes along."""
        space = Namespace(TAKEN.union(defined(definitions)))
        function = space.take(program.name)
        names: dict[str, str] = {}
        for name in _variables(program):
            if name not in names:
                names[name] = space.take(name)
        stacked = {gather.name for gather in program.gathers if gather.stacked}
        flat = list(flatten(program.outputs))
        results = [(path, operand) for path, operand in flat if operand not in stacked]
        stacks = dict.fromkeys(operand for _, operand in flat if operand in stacked)
        return cls(program, names, function, results, {n: i for i, n in enumerate(stacks)})

    def operand(self, operand: Operand) -> str:
        """A variable or a number."""
        return self.names[operand] if isinstance(operand, str) else number_text(operand)

    def function_lines(self) -> list[str]:
        """The function, after a comment that says what it takes and gives."""
        program, listing = self.program, Listing()
        listing.add("/*", *(f" * {line}" for line in self._described()), " */")
        arguments = [self._argument(group) for group in program.groups]
        arguments += ["size_t n"] * program.batched + ["double *out"]
        listing.enclose(f"void {self.function}(", separated(arguments), ")", 0)
        listing.add("{")
        read = self._read()
        for group in program.groups:
            if not group.batched:
                self._unpack(listing, group, read, "", 1)
        self._stage(listing, program.once, 1)
        if program.batched:
            self._loop(listing, read)
            self._stage(listing, program.after, 1)
        for position, (_, operand) in enumerate(self.results):
            listing.add(f"out[{position}] = {self.operand(operand)};", level=1)
        listing.add("}")
        return listing.lines

    def _described(self) -> Iterator[str]:
        for group in self.program.groups:
            yield f"{self.names[group.argument]}: {group.shape}"
        yield from ranges([path for path, _ in self.results])
        for name, number in self.stacks.items():
            yield (f"out[{len(self.results)} + {number}*n + i]: {self.names[name]}, of sample i")

    def _argument(self, group: Group) -> str:
        name = self.names[group.argument]
        alone = group.scalar and not group.batched
        return f"double {name}" if alone else f"const double *{name}"

    def _read(self) -> set[Operand]:
        """All that anything reads; other leaves get no variable, which compilers would warn of."""
        program = self.program
        read: set[Operand] = {operand for _, operand in self.results}
        read.update(gather.operand for gather in program.gathers)
        for instruction in program.instructions:
            read.update(instruction.operands)
        return read

    def _unpack(
        self, listing: Listing, group: Group, read: set[Operand], start: str, level: int
    ) -> None:
        """The variables of an argument; `start` is where a sample's row begins."""
        argument = self.names[group.argument]
        if group.scalar and not group.batched:
            if group.leaves[0] not in read:
                listing.add(f"(void){argument};", level=level)
            elif group.leaves[0] != group.argument:
                leaf = self.names[group.leaves[0]]
                listing.add(f"const double {leaf} = {argument};", level=level)
            return
        known = [(i, leaf) for i, leaf in enumerate(group.leaves) if leaf in read]
        for i, leaf in known:
            place = f"{start}{i}" if start and len(group.leaves) > 1 else start[:-3] or f"{i}"
            listing.add(f"const double {self.names[leaf]} = {argument}[{place}];", level=level)
        if not known:
            listing.add(f"(void){argument};", level=level)

    def _stage(self, listing: Listing, body: Sequence[Instruction], level: int) -> None:
        section = ""
        for instruction in body:
            if instruction.section != section:
                section = instruction.section
                listing.add(f"/* {section} */", level=level)
            name = self.names[instruction.name]
            listing.add(f"const double {name} = {self._expression(instruction)};", level=level)

    def _expression(self, instruction: Instruction) -> str:
        operands = [self.operand(operand) for operand in instruction.operands]
        return operation_text(instruction.op, operands, instruction.statics)

    def _loop(self, listing: Listing, read: set[Operand]) -> None:
        """The loop over the samples, with its sums before it."""
        program = self.program
        varying = {instruction.name for instruction in program.each}
        varying |= {leaf for g in program.groups if g.batched for leaf in g.leaves}
        looped = [g for g in program.gathers if g.stacked or g.operand in varying]
        for gather in program.gathers:
            name, term = self.names[gather.name], self.operand(gather.operand)
            if gather not in looped:
                listing.add(f"const double {name} = {term} * (double)n;", level=1)
            elif not gather.stacked:
                listing.add(f"double {name} = 0.0;", level=1)
        listing.add("for (size_t i = 0; i < n; i++) {", level=1)
        for group in program.groups:
            if group.batched:
                wide = len(group.leaves)
                self._unpack(listing, group, read, f"{wide}*i + " if wide > 1 else "i + ", 2)
        self._stage(listing, program.each, 2)
        for gather in looped:
            term = self.operand(gather.operand)
            if gather.stacked:
                place = f"{len(self.results)} + {self.stacks[gather.name]}*n + i"
                listing.add(f"out[{place}] = {term};", level=2)
            else:
                listing.add(f"{self.names[gather.name]} += {term};", level=2)
        listing.add("}", level=1)


def _variables(program: Program) -> Iterable[str]:
    yield from (group.argument for group in program.groups)
    for group in program.groups:
        yield from group.leaves
    yield from (instruction.name for instruction in program.instructions)
    yield from (gather.name for gather in program.gathers)
