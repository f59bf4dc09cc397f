"""What NumPy code may write over: when values are read last, and which can share memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import prod
from typing import Any, Final, NamedTuple

from ...ops import arrays
from ...ops.indexing import Index
from ...ops.record import ATOM, Notation, Op
from ...ops.scalar import WHERE
from ..program import Instruction, Operand, flatten
from ..scalar.layout import Listing
from .families import JOIN, array_of
from .features import WITH_ONES
from .program import ArrayProgram, Flat, Piece

REDUCTIONS: Final[dict[Op, str]] = {arrays.SUM: "add", arrays.MEAN: "add", arrays.MAX: "maximum"}
"""NumPy's function that each reduction folds the axis with."""

_VIEWS: Final = frozenset(
    (
        *(arrays.TRANSPOSE, arrays.RESHAPE, arrays.BROADCAST),
        *(arrays.GATHER, arrays.GATHER_ROWS, WITH_ONES),
    )
)


class Text(NamedTuple):
    """An expression, and how tightly it binds."""

    code: str
    binds: int = ATOM


@dataclass
class Writer:
    """The state of writing one function.

    last      the number of the last instruction that reads each variable; outputs are read last
    base      the variable whose memory a variable shares
    owned     variables in memory of their own, which may be written over
    truths    variables that hold truth values
    pending   expressions that stand where they are used
    names     what a variable is called in the code, when it shares the name of another
    home      where to compute a variable that is part of a flat result or of a larger matrix
    larger    variable → the matrix that it is computed in, with a row of ones under it
    made      the instruction that computes each variable
    placed    flat results, and the places in them where variables are computed
    opened    such matrices that have their memory
    contiguous  products of two matrices with a home of consecutive elements
    heirs     variable → the one that is computed in its memory
    flattened  arrays made one vector only to be multiplied by itself: vdot takes them as they are
    picked    choices between elements and 0 that are only summed: written as the elements chosen
    parts     the notations that want something defined
    views     variables that share the memory of an argument or constant
    """

    program: ArrayProgram
    last: dict[str, int] = field(default_factory=dict)
    uses: dict[str, int] = field(default_factory=dict)
    base: dict[str, str] = field(default_factory=dict)
    owned: set[str] = field(default_factory=set)
    truths: set[str] = field(default_factory=set)
    pending: dict[str, Text] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    heirs: dict[str, str] = field(default_factory=dict)
    home: dict[str, str] = field(default_factory=dict)
    larger: dict[str, str] = field(default_factory=dict)
    made: dict[str, Instruction] = field(init=False)
    placed: set[tuple[str, Index]] = field(default_factory=set)
    opened: set[str] = field(default_factory=set)
    contiguous: set[str] = field(default_factory=set)
    head: Listing = field(default_factory=Listing)
    listing: Listing = field(default_factory=Listing)
    parts: set[Notation] = field(default_factory=set)
    picked: set[str] = field(default_factory=set)
    flattened: set[str] = field(default_factory=set)
    views: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.made = {instruction.name: instruction for instruction in self.program.instructions}


def read_ahead(writer: Writer) -> None:
    """When each variable is read last, and how often."""
    program = writer.program
    for number, instruction in enumerate(program.instructions):
        for operand in instruction.operands:
            if isinstance(operand, str):
                writer.uses[operand] = writer.uses.get(operand, 0) + 1
                writer.last[operand] = number
        if instruction.op.truth:
            writer.truths.add(instruction.name)
    end = len(program.instructions)
    for operand in _results(program):
        if isinstance(operand, str):
            writer.uses[operand] = writer.uses.get(operand, 0) + 2
            writer.last[operand] = end
    for instruction in program.instructions:
        chosen = writer.made.get(str(instruction.operands[0]))
        if chosen is None:
            continue
        sums_all = instruction.op is arrays.SUM and instruction.statics[0] is None
        if sums_all and _picks(writer, chosen):
            writer.picked.add(chosen.name)
        reshaped = chosen.op is arrays.RESHAPE and writer.uses[chosen.name] == 2
        if reshaped and is_square(writer, instruction):
            writer.flattened.add(chosen.name)
    for number, instruction in reversed(list(enumerate(program.instructions))):
        if is_view(instruction) or instruction.name in writer.picked:
            until = writer.last.get(instruction.name, number)
            for source in instruction.operands:
                if isinstance(source, str):
                    writer.last[source] = max(writer.last[source], until)
    for instruction in program.instructions:
        if instruction.op is JOIN:  # the parts are computed in the vector: all live as long
            together = [instruction.name, *(o for o in instruction.operands if isinstance(o, str))]
            until = max(writer.last.get(name, 0) for name in together)
            writer.last.update(dict.fromkeys(together, until))
    writer.views = {view.name for view in program.views} | set(program.constants)
    for instruction in program.instructions:
        repeats = instruction.op is arrays.BROADCAST
        if repeats or (is_view(instruction) and instruction.operands[0] in writer.views):
            writer.views.add(instruction.name)


def is_square(writer: Writer, instruction: Instruction) -> bool:
    """Whether the value is the sum of the squares of a vector's elements."""
    if instruction.op is not arrays.MATMUL or len(set(instruction.operands)) > 1:
        return False
    return len(writer.program.shapes[str(instruction.operands[0])]) == 1


def _picks(writer: Writer, instruction: Instruction) -> bool:
    """Whether the value is the elements of an array where something holds, and 0 elsewhere."""
    if instruction.op is not WHERE or writer.uses[instruction.name] != 1:
        return False
    condition, taken, left = instruction.operands
    shapes = writer.program.shapes
    return (
        condition in writer.truths
        and isinstance(taken, str)
        and left == 0.0
        and shapes[taken] == shapes[str(condition)] == shapes[instruction.name]
    )


def _results(program: ArrayProgram) -> Iterable[Operand]:
    for _, output in flatten(program.outputs):
        if isinstance(output, Flat):
            yield from (piece.operand for piece in output.pieces)
        else:
            yield output


def is_view(instruction: Instruction) -> bool:
    """Whether NumPy may answer memory of the operand."""
    return instruction.op in _VIEWS


def share_memory(writer: Writer) -> None:
    """Decide which operations work in the memory of an operand that is not needed again."""
    program = writer.program
    for number, instruction in enumerate(program.instructions):
        name = instruction.name
        if is_view(instruction) or not program.shapes[name]:
            continue
        if name not in writer.truths:
            writer.owned.add(name)
        if not fills(instruction):
            continue
        for operand in instruction.operands:
            if (
                isinstance(operand, str)
                and operand in writer.owned
                and writer.last[operand] == number
                and program.shapes[operand] == program.shapes[name]
                and instruction.operands.count(operand) == 1
            ):
                writer.heirs[operand] = name
                break
    for name in writer.owned:
        final = name
        while final in writer.heirs and writer.made[final].op is not JOIN:
            final = writer.heirs[final]
        writer.names[name] = final


def joined(writer: Writer) -> list[Flat]:
    """The vectors that are joined from parts."""
    found = []
    for instruction in writer.program.instructions:
        if instruction.op is JOIN:
            statics: tuple[Any, ...] = instruction.statics
            places, length = statics
            pieces = [
                Piece(operand, Index(array_of(range(prod(place.shape)), place.shape)), place)
                for operand, place in zip(instruction.operands, places, strict=True)
            ]
            found.append(Flat(instruction.name, int(length), tuple(pieces)))
    return found


def alias(program: ArrayProgram, flat: Flat) -> str | None:
    """The variable that is a flat result as it stands, if there is one that nothing else is."""
    (piece, *others) = flat.pieces or (None,)
    if piece is None or others or flat.stacked or not isinstance(piece.operand, str):
        return None
    if (
        program.shapes[piece.operand] != (flat.length,)
        or list(_results(program)).count(piece.operand) > 1
    ):
        return None
    everything = list(range(flat.length))
    same = piece.place.positions == piece.source.positions == everything
    made = next((i for i in program.instructions if i.name == piece.operand), None)
    return piece.operand if same and made is not None and not is_view(made) else None


def fills(instruction: Instruction) -> bool:
    """Whether the record says how to write the value into given memory of its shape."""
    form = instruction.op.spelled("numpy", instruction.statics)
    return form is not None and form.out is not None


def first_of(writer: Writer, operand: Operand) -> str | None:
    """The variable whose memory became that of `operand`, if it can be computed in place."""
    if operand not in writer.owned:
        return None
    shared = [name for name in writer.owned if writer.names[name] == writer.names[str(operand)]]
    if writer.names[str(operand)] != operand:
        return None
    first = next((name for name in shared if name not in writer.heirs.values()), None)
    if first is None:  # it began as a vector that was joined
        return None
    made = writer.made[first]
    known = fills(made) or made.op is arrays.MATMUL or made.op in REDUCTIONS
    return first if known else None


def is_contiguous(writer: Writer, operand: Operand) -> bool:
    """Whether an operand is a matrix without gaps in memory, or the transpose of one."""
    name = str(operand)
    if len(writer.program.shapes.get(name, ())) != 2:
        return False
    made = writer.made.get(name)
    if made is not None:
        if made.op is arrays.TRANSPOSE:
            return is_contiguous(writer, made.operands[0])
        return made.op is WITH_ONES or not is_view(made)
    for view in writer.program.views:
        if view.name == name:
            positions = view.index.positions
            whole = not view.group.batched or view.name == view.group.argument
            return whole and positions == list(range(positions[0], positions[0] + len(positions)))
    return True
