"""`Program`: a graph as straight-line code, the Wengert list, and its reference interpreter.

Every instruction assigns one new name once (SSA form); operands are names or numbers. A program
over a batch has three stages: `once` before the samples, `each` per sample, `after` on the totals.
R. E. Wengert, "A simple automatic derivative evaluation program", CACM 7(8), 1964.
"""

from __future__ import annotations

import contextlib
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from ..errors import InvalidNameError, NonFiniteError, ShapeError, SizeError, not_as_expected
from ..graph.expr import Expr, Graph
from ..graph.store import Origin
from ..graph.written import text
from ..ops.record import Op
from ..ops.scalar import WHERE
from ..ops.shapes import BATCH, Shape, is_row, nested, shape_text
from ..ops.table import OPERATIONS

Operand = str | float
"""The name of a variable, or a number."""

_FLOATS = frozenset((float,))

FORMULA_TERMS = 40
"""How many terms of a formula an error shows."""

_NESTS = (list, tuple, Mapping)
"""What nests outputs."""

MAX_NESTED: Final = 100
"""How deep outputs may be nested: Python reads no more than 200 brackets in each other."""

Nested = Any
"""Outputs as the caller nested them: dicts, lists and tuples of operands."""


class Instruction(NamedTuple):
    """`name = op(*operands, *statics)`; `node` is the node it computes, `origin` that node's."""

    name: str
    op: Op
    operands: tuple[Operand, ...]
    statics: tuple[float, ...]
    section: str
    node: int
    origin: Origin | None = None

    def __str__(self) -> str:
        operands = [str(operand) for operand in (*self.operands, *self.statics)]
        return f"{self.name} = {self.op.name}({', '.join(operands)})"


@dataclass(frozen=True, slots=True)
class Group:
    """One argument: `argument` is its name in the code, `leaves` the variables it fills.

    A scalar group is one number, otherwise a sequence; batched groups have a leading sample axis.
    """

    name: str
    argument: str
    leaves: tuple[str, ...]
    scalar: bool
    batched: bool

    @property
    def row_shape(self) -> Shape:
        """The shape of the argument, or of one of its rows where it is batched."""
        return () if self.scalar else (len(self.leaves),)

    @property
    def whole(self) -> Shape:
        """The shape of the argument as an array, `BATCH` first if it is batched."""
        return (BATCH, *self.row_shape) if self.batched else self.row_shape

    @property
    def shape(self) -> str:
        """What the argument looks like, for error texts and listings."""
        count = len(self.leaves)
        one = "a number" if self.scalar else f"{count} number{'s' * (count != 1)}"
        return f"one row per sample, each {one}" if self.batched else one


@dataclass(frozen=True, slots=True)
class Gather:
    """What a batch collects of `operand` over its samples: a sum, or the list of them all."""

    name: str
    operand: Operand
    stacked: bool


@dataclass(frozen=True)
class Program:
    """A function as straight-line code; see the module's text for its stages.

    `sizes` names what kinds of leaf there are and how many. Call `run` to interpret it.
    """

    name: str
    groups: tuple[Group, ...]
    once: tuple[Instruction, ...]
    each: tuple[Instruction, ...]
    gathers: tuple[Gather, ...]
    after: tuple[Instruction, ...]
    outputs: Nested

    @property
    def batched(self) -> bool:
        """Whether any argument has a sample axis."""
        return any(group.batched for group in self.groups)

    @property
    def repeated(self) -> frozenset[str]:
        """The sums of what is the same for every sample: so many times as much."""
        varying = {instruction.name for instruction in self.each}
        varying |= {leaf for group in self.groups if group.batched for leaf in group.leaves}
        sums = (gather for gather in self.gathers if not gather.stacked)
        return frozenset(gather.name for gather in sums if gather.operand not in varying)

    @property
    def instructions(self) -> tuple[Instruction, ...]:
        """All stages' instructions in order."""
        return self.once + self.each + self.after

    def counts(self) -> Counter[str]:
        """How many instructions there are of each operation, the most frequent first."""
        return Counter(instruction.op.name for instruction in self.instructions)

    def __repr__(self) -> str:
        arguments = ", ".join(group.name for group in self.groups)
        return f"<Program {self.name}({arguments}): {len(self.instructions):,} instructions>"

    def __str__(self) -> str:
        lines = [f"{self.name}({', '.join(group.argument for group in self.groups)})"]
        for stage, body in (("once", self.once), ("each sample", self.each)):
            if body:
                lines += [f"{stage}:", *(f"  {line}" for line in body)]
        lines += [
            f"  {g.name} {'collects' if g.stacked else '+='} {g.operand}" for g in self.gathers
        ]
        if self.after:
            lines += ["after:", *(f"  {line}" for line in self.after)]
        return "\n".join([*lines, f"return {self.outputs}"])

    def run(self, *arguments: Any, check: bool = False) -> Any:
        """Interpret the program: one operation of the table per instruction, IEEE 754 throughout.

        The reference that every target is compared with. With `check`, the first instruction with a
        result that is not finite is a `NonFiniteError` that names it; what only the branch of a
        `where` that was not taken needs may be anything.
        """
        self.check_arguments(arguments)
        values: dict[str, Any] = {}
        for group, argument in zip(self.groups, arguments, strict=True):
            if not group.batched:
                _bind(values, group, argument)
        self._execute(self.once, values, check)
        repeated, count = self.repeated, 0
        looped = [gather for gather in self.gathers if gather.name not in repeated]
        for gather in looped:
            values[gather.name] = [] if gather.stacked else 0.0
        for place, sample in enumerate(self.samples(arguments)):
            count += 1
            for group, row in sample:
                _bind(values, group, row)
            self._execute(self.each, values, check, f", sample {place}")
            for gather in looped:
                item = _read(values, gather.operand)
                if gather.stacked:
                    values[gather.name].append(item)
                else:
                    values[gather.name] += item
        for gather in self.gathers:
            if gather.name in repeated:
                values[gather.name] = _read(values, gather.operand) * count
        if check:
            self._check_totals(values)
        self._execute(self.after, values, check)
        if check:
            self._check_leaves(values)
        return map_nested(self.outputs, lambda operand: _read(values, operand))

    def _check_totals(self, values: Mapping[str, Any]) -> None:
        """A `NonFiniteError` where finite numbers of the samples have an infinite sum."""
        for gather in self.gathers:
            total = values[gather.name]
            if gather.stacked:
                wrong = [place for place, item in enumerate(total) if not math.isfinite(item)]
                if wrong:
                    raise NonFiniteError(
                        f"{gather.operand} = {total[wrong[0]]!r}, sample {wrong[0]}: an output "
                        "that is not computed is not finite"
                    )
            elif not math.isfinite(total):
                raise NonFiniteError(
                    f"{gather.name}, the sum of {gather.operand} over the samples, is {total!r}; "
                    "the first result that is not finite"
                )

    def _check_leaves(self, values: Mapping[str, Any]) -> None:
        """A `NonFiniteError` where what is an output as it is given or written, is not finite."""
        leaves = {leaf for group in self.groups for leaf in group.leaves}
        for path, operand in flatten(self.outputs):
            if isinstance(operand, float) and not math.isfinite(operand):
                where = "".join(f"[{key!r}]" for key in path)
                raise NonFiniteError(f"output{where} is the constant {operand!r}: not finite")
            if operand in leaves and not math.isfinite(values[operand]):
                raise NonFiniteError(f"{operand} = {values[operand]!r}: an argument is not finite")

    def _execute(
        self, body: Sequence[Instruction], values: dict[str, Any], check: bool, place: str = ""
    ) -> None:
        suspects = []
        for instruction in body:
            arguments = [_read(values, operand) for operand in instruction.operands]
            value = instruction.op.evaluate(*arguments, *instruction.statics)
            values[instruction.name] = value
            if check and not math.isfinite(value):
                suspects.append(instruction)
        if suspects:
            used = self._used(body, values)
            for instruction in suspects:
                if instruction.name in used:
                    raise self._non_finite(instruction, values, place)

    def _used(self, body: Sequence[Instruction], values: Mapping[str, Any]) -> set[str]:
        """The names whose values matter: those behind a branch that was not taken are left out."""
        own = {instruction.name for instruction in body}
        used = {operand for _, operand in flatten(self.outputs) if isinstance(operand, str)}
        used |= {gather.operand for gather in self.gathers if isinstance(gather.operand, str)}
        for instruction in self.instructions:
            if instruction.name not in own:
                used.update(name for name in instruction.operands if isinstance(name, str))
        for instruction in reversed(body):
            if instruction.name not in used:
                continue
            operands = instruction.operands
            if instruction.op is WHERE:
                condition = _read(values, operands[0])
                operands = (operands[0], operands[1 if condition else 2])
            used.update(name for name in operands if isinstance(name, str))
        return used

    def _non_finite(
        self, instruction: Instruction, values: Mapping[str, Any], place: str
    ) -> NonFiniteError:
        given = ", ".join(
            f"{operand} = {values[operand]!r}"
            for operand in instruction.operands
            if isinstance(operand, str)
        )
        lines = [
            f"{instruction} is {values[instruction.name]!r} ({instruction.section} pass{place}) at "
            f"{given or 'its constants'}; the first result that is not finite"
        ]
        formula = self._formula(instruction)
        if formula:
            lines.append(f"formula: {instruction.name} = {formula}")
        lines.append(f"rule: {rule_text(instruction)}")
        return NonFiniteError("\n".join(lines))

    def _formula(self, instruction: Instruction) -> str:
        """What the instruction computes, written out in the function's arguments."""
        wanted = {instruction.name}
        before = [instruction]
        for earlier in reversed(self.instructions):
            if earlier.name in wanted and earlier is not instruction:
                before.append(earlier)
            if earlier.name in wanted:
                wanted.update(name for name in earlier.operands if isinstance(name, str))
        graph = Graph()
        nodes: dict[str, int] = {}
        try:
            for step in reversed(before):
                operands = []
                for operand in step.operands:
                    if isinstance(operand, str) and operand not in nodes:
                        nodes[operand] = graph.input(operand).id
                    operands.append(
                        nodes[operand] if isinstance(operand, str) else graph.node_of(operand)
                    )
                nodes[step.name] = graph.append(step.op, tuple(operands), step.statics)
        except InvalidNameError:
            return ""
        return text(Expr(graph, nodes[instruction.name]), FORMULA_TERMS)

    def samples(self, arguments: Sequence[Any]) -> Iterator[list[tuple[Group, Any]]]:
        """The rows of each sample, with the group each fills; nothing without batched groups."""
        pairs = zip(self.groups, arguments, strict=True)
        batched = [(group, rows) for group, rows in pairs if group.batched]
        for rows in zip(*(rows for _, rows in batched), strict=True):
            yield [(group, row) for (group, _), row in zip(batched, rows, strict=True)]

    def check_arguments(self, arguments: Sequence[Any]) -> None:
        """A `ShapeError` that names the argument, and the row, unless all fit their groups."""
        check_arguments(self.name, self.groups, arguments)


def check_arguments(name: str, groups: Sequence[Group], arguments: Sequence[Any]) -> None:
    """A `ShapeError` that names the argument, and the row, unless all fit the groups of `name`."""
    if len(arguments) != len(groups):
        expected = ", ".join(f"{group.name} ({group.shape})" for group in groups)
        raise ShapeError(
            f"{name} takes {len(groups)} arguments, got {len(arguments)}; expected {expected}"
        )
    lengths: dict[str, int] = {}
    for group, argument in zip(groups, arguments, strict=True):
        what = f"{name}: argument {group.name!r}"
        if is_array_of(group, argument):
            lengths |= {group.name: len(argument)} if group.batched else {}
            continue
        if len(group.row_shape) > 1:
            _check_array(group, argument, what)
            lengths |= {group.name: len(argument)} if group.batched else {}
            continue
        if not group.batched:
            _check_row(group.row_shape, argument, what)
            continue
        rows = _check_sequence(argument, what, group.shape)
        lengths[group.name] = len(rows)
        for i, row in enumerate(rows):
            _check_row(group.row_shape, row, f"{name}: row {i} of {group.name!r}")
    if len(set(lengths.values())) > 1:
        raise ShapeError(
            f"{name}: batched arguments have different numbers of rows: "
            + ", ".join(f"{name} has {n}" for name, n in lengths.items())
        )


def is_array_of(group: Group, argument: Any) -> bool:
    """Whether the argument is an array of numbers, of the shape that the group has."""
    shape = getattr(argument, "shape", None)
    if shape is None or getattr(getattr(argument, "dtype", None), "kind", "O") not in "biuf":
        return False
    if group.batched:
        return len(shape) > 0 and bool(shape[1:] == group.row_shape)
    return bool(shape == group.row_shape)


def _check_array(group: Group, argument: Any, what: str) -> None:
    """A `ShapeError` unless the argument is an array of numbers, or nested lists, of its shape."""
    import numpy

    wanted = (BATCH, *group.row_shape) if group.batched else group.row_shape
    with contextlib.suppress(ValueError, TypeError):
        if is_array_of(group, numpy.asarray(argument)):
            return
    found, entries = nested(argument, what, f"numbers of shape {shape_text(wanted)}", ShapeError)
    fits = len(found) == len(wanted) and all(
        length in (BATCH, given) for length, given in zip(wanted, found, strict=True)
    )
    if not fits and found != (0,) * group.batched:
        raise ShapeError(
            f"{what} has shape {shape_text(found)}, expected {shape_text(wanted)}; "
            "nothing is cut off or filled in"
        )
    for place, number in entries:
        _check_number(number, f"{what}, entry {place}")


def _check_row(shape: Shape, row: Any, what: str) -> None:
    """A `ShapeError` unless `row` is one number, or a row of as many as `shape` says."""
    if not shape:
        _check_number(row, what)
        return
    (count,) = shape
    numbers = _check_sequence(row, what, f"{count} number{'s' * (count != 1)}")
    if not _FLOATS.issuperset(map(type, numbers)):
        for i, number in enumerate(numbers):
            _check_number(number, f"{what}, entry {i}")
    if len(numbers) != count:
        raise ShapeError(
            f"{what} has {len(numbers)} number{'s' * (len(numbers) != 1)}, expected {count}; "
            "nothing is cut off or filled in: give one number for each leaf"
        )


def _check_sequence(rows: Any, what: str, expected: str) -> Sequence[Any]:
    """`rows` if it has a length and an order, else a `ShapeError`."""
    if not is_row(rows):
        raise ShapeError(not_as_expected(rows, what, expected))
    return rows  # type: ignore[no-any-return]


def _check_number(number: Any, what: str) -> None:
    if type(number) is float:
        return
    if hasattr(number, "__float__") and not getattr(number, "shape", ()):
        try:
            float(number)
            return
        except OverflowError:
            raise ShapeError(
                f"{what} is past 1.8e308, too large for float64; expected a number within that "
                "range, or float('inf')"
            ) from None
        except (TypeError, ValueError):
            pass
    raise ShapeError(not_as_expected(number, what, "a number"))


def map_nested(nested: Nested, function: Callable[[Any], Any]) -> Any:
    """`nested` with `function` applied to what is no dict, list or tuple; tuples become lists.

    >>> map_nested({"a": [1, 2]}, lambda n: n * 10)
    {'a': [10, 20]}
    """
    if isinstance(nested, (list, tuple)):
        return [
            map_nested(item, function) if isinstance(item, _NESTS) else function(item)
            for item in nested
        ]
    if isinstance(nested, Mapping):
        return {key: map_nested(value, function) for key, value in nested.items()}
    return function(nested)


def flatten(nested: Nested, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Each item of `nested` with the keys and positions that lead to it.

    >>> list(flatten({"loss": 1, "grad": [2, 3]}))
    [(('loss',), 1), (('grad', 0), 2), (('grad', 1), 3)]
    """
    if len(path) >= MAX_NESTED and isinstance(nested, _NESTS):
        raise SizeError(
            f"outputs are nested more than {MAX_NESTED} deep, or in themselves; give them in fewer "
            "lists or under names"
        )
    if isinstance(nested, (list, tuple)):
        for i, item in enumerate(nested):
            if isinstance(item, _NESTS):
                yield from flatten(item, (*path, i))
            else:
                yield (*path, i), item
    elif isinstance(nested, Mapping):
        for key, value in nested.items():
            yield from flatten(value, (*path, key))
    else:
        yield path, nested


def _bind(values: dict[str, Any], group: Group, row: Any) -> None:
    if group.scalar:
        values[group.leaves[0]] = float(row)
    else:
        values.update(zip(group.leaves, map(float, row), strict=True))


def _read(values: Mapping[str, Any], operand: Operand) -> Any:
    return values[operand] if isinstance(operand, str) else operand


def rule_text(instruction: Instruction) -> str:
    """Where an instruction came from, and what the operation says about derivatives."""
    origin, op = instruction.origin, instruction.op
    if origin is None or origin.role != "rule":
        return (
            f"{op.name}, as it is written"
            if origin is None
            else f"{origin.transform}, {origin.role}"
        )
    known = OPERATIONS.get(origin.rule)
    if known is None:
        return f"{origin.rule} ({origin.transform})"
    place = "" if origin.operand is None else f", operand {origin.operand}"
    return f"{origin.transform} of {known.name}{place}: {known.sentence}"
