"""The numpy target: straight-line NumPy, as a careful person would have written it.

Transposes, slices and inserted axes are written where they are used; an operation whose operand is
not needed again works in that operand's memory; parts of a flat result are computed in place.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any, Final, NamedTuple

from ..errors import SizeError, SpellingError
from ..graph import arrays
from ..graph.indexing import Index, subscript, subscript_text
from ..graph.operation import ATOM, PRODUCT, SUM, UNARY, Op
from ..graph.ops import (
    ABS,
    ADD,
    COMPARISONS,
    COS,
    DIV,
    EXP,
    EXPM1,
    LEAKY_RELU,
    LOG,
    LOG1P,
    MAXIMUM,
    MINIMUM,
    MUL,
    NEG,
    POW,
    POW_CONST,
    RELU,
    SIGMOID,
    SIN,
    SOFTPLUS,
    SQRT,
    SUB,
    TANH,
    WHERE,
)
from ..graph.shapes import BATCH, MAX_BYTES, Shape, shape_text
from . import numpyparts
from .arrayprogram import ArrayGroup, ArrayProgram, Flat, Piece
from .layout import Listing
from .numpylayout import array_literal, strided_view
from .program import Instruction, Operand, flatten, map_nested
from .python import load
from .target import Source, Target
from .writer import write_display

UFUNCS: Final[dict[Op, str]] = {
    **{ADD: "add", SUB: "subtract", MUL: "multiply", DIV: "divide", NEG: "negative", POW: "power"},
    **{EXP: "exp", LOG: "log", LOG1P: "log1p", EXPM1: "expm1", SQRT: "sqrt", SIN: "sin", COS: "cos"},
    **{TANH: "tanh", ABS: "abs", MAXIMUM: "maximum", MINIMUM: "minimum"},
}
"""NumPy's function for each operation that it has one for."""

SIGNS: Final[dict[Op, tuple[str, int]]] = {
    **{ADD: ("+", SUM), SUB: ("-", SUM), MUL: ("*", PRODUCT), DIV: ("/", PRODUCT)},
    arrays.MATMUL: ("@", PRODUCT),
}
"""Operators, and how tightly they bind."""

FIRST: Final[dict[Op, str]] = {RELU: "maximum", SOFTPLUS: "logaddexp"}
"""Operations that are NumPy's function of 0 and the operand."""

REDUCTIONS: Final[dict[Op, str]] = {arrays.SUM: "add", arrays.MEAN: "add", arrays.MAX: "maximum"}
"""NumPy's function that each reduction folds the axis with."""

OWN: Final[dict[Op, Callable[..., Any]]] = {
    SIGMOID: numpyparts.sigmoid,
    arrays.LOGSUMEXP: numpyparts.logsumexp,
    arrays.FIRST_MAX: numpyparts.first_max,
}
"""Operations that are functions of the generated module."""

_VIEWS: Final = frozenset((arrays.TRANSPOSE, arrays.RESHAPE, arrays.BROADCAST))


class _Text(NamedTuple):
    code: str
    binds: int = ATOM


@dataclass
class _Writer:
    """The state of writing one function.

    last      the number of the last instruction that reads each variable; outputs are read at the end
    base      the variable whose memory a variable shares
    owned     variables in memory of their own, which may be written over
    truths    variables that hold truth values
    pending   expressions that stand where they are used
    names     what a variable is called in the code, when it shares the name of another
    home      where to compute a variable that is part of a flat result
    """

    program: ArrayProgram
    last: dict[str, int] = field(default_factory=dict)
    uses: dict[str, int] = field(default_factory=dict)
    base: dict[str, str] = field(default_factory=dict)
    owned: set[str] = field(default_factory=set)
    truths: set[str] = field(default_factory=set)
    pending: dict[str, _Text] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    heirs: dict[str, str] = field(default_factory=dict)
    home: dict[str, str] = field(default_factory=dict)
    head: Listing = field(default_factory=Listing)
    listing: Listing = field(default_factory=Listing)
    parts: set[str] = field(default_factory=set)


def emit(program: ArrayProgram) -> Source:
    """The program as a Python function on NumPy arrays, after the imports that it needs."""
    writer = _Writer(program)
    _read_ahead(writer)
    _share_memory(writer)
    _write_function(writer)
    preamble = ["import numpy as np"]
    parts = [inspect.getsource(getattr(numpyparts, name)) for name in sorted(writer.parts)]
    constants = "\n".join(writer.head.lines)
    blocks = ["\n".join(preamble), *(part.strip() for part in parts), constants]
    head = "\n\n\n".join(block for block in blocks if block)
    offset = head.count("\n") + 3
    lines = {name: line + offset for name, line in writer.listing.found.items()}
    text = head + "\n\n\n" + "\n".join(writer.listing.lines) + "\n"
    return Source(text, program.name, lines)


def _read_ahead(writer: _Writer) -> None:
    """When each variable is read last, and how often."""
    program = writer.program
    for number, instruction in enumerate(program.instructions):
        for operand in instruction.operands:
            if isinstance(operand, str):
                writer.uses[operand] = writer.uses.get(operand, 0) + 1
                writer.last[operand] = number
        if instruction.op in COMPARISONS:
            writer.truths.add(instruction.name)
    end = len(program.instructions)
    for operand in _results(program):
        if isinstance(operand, str):
            writer.uses[operand] = writer.uses.get(operand, 0) + 2
            writer.last[operand] = end
    for number, instruction in reversed(list(enumerate(program.instructions))):
        if _is_view(instruction):
            source = instruction.operands[0]
            if isinstance(source, str):
                until = writer.last.get(instruction.name, number)
                writer.last[source] = max(writer.last[source], until)


def _results(program: ArrayProgram) -> Iterable[Operand]:
    for _, output in flatten(program.outputs):
        if isinstance(output, Flat):
            yield from (piece.operand for piece in output.pieces)
        else:
            yield output


def _is_view(instruction: Instruction) -> bool:
    """Whether NumPy may answer memory of the operand."""
    return instruction.op in _VIEWS or instruction.op in (arrays.GATHER, arrays.GATHER_ROWS)


def _share_memory(writer: _Writer) -> None:
    """Decide which operations work in the memory of an operand that is not needed again."""
    program = writer.program
    for number, instruction in enumerate(program.instructions):
        name = instruction.name
        if _is_view(instruction) or not program.shapes[name]:
            continue
        if name not in writer.truths:
            writer.owned.add(name)
        if not _fills(instruction.op):
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
        while final in writer.heirs:
            final = writer.heirs[final]
        writer.names[name] = final


def _fills(op: Op) -> bool:
    """Whether NumPy's function for the operation can write into given memory of the same shape."""
    return op in UFUNCS or op in FIRST or op is POW_CONST


def _write_function(writer: _Writer) -> None:
    program, listing = writer.program, writer.listing
    arguments = [f"{group.argument}," for group in program.groups]
    listing.enclose(f"def {program.name}(", [*arguments[:-1], arguments[-1][:-1]], "):", 0)
    listing.add('"""Straight-line NumPy, generated by wengert.', "", level=1)
    listing.add(*(f"{g.argument}: array of shape {shape_text(g.whole)}" for g in program.groups), level=1)
    listing.add('"""', level=1)
    for variable, value in program.constants.items():
        _write_constant(writer, variable, value)
    for view in program.views:
        if view.name != view.group.argument:
            code = _view_code(writer, view.group, view.index)
            listing.assign(view.name, "=", code, 1)
    flats = [output for _, output in flatten(program.outputs) if isinstance(output, Flat)]
    for flat in flats:
        _open_flat(writer, flat)
    section = ""
    for number, instruction in enumerate(program.instructions):
        if not _is_inline(writer, instruction) and instruction.section != section:
            section = instruction.section
            listing.add(f"# {section}", level=1)
        _write(writer, number, instruction)
    for flat in flats:
        _close_flat(writer, flat)
    listing.found["return"] = len(listing.lines) + 1
    shown = map_nested(program.outputs, lambda output: _returned(writer, output))
    write_display(listing, "return ", shown, "", 1)


def _write_constant(writer: _Writer, variable: str, value: Any) -> None:
    writer.head.assign(variable, "=", array_literal(value, writer.program.dtype), 0)


def _view_code(writer: _Writer, group: ArrayGroup, index: Index) -> str:
    """The part of an argument that a variable is."""
    argument = group.argument
    if not group.batched:
        view = strided_view(argument, index, prod(group.row))
        if view is None:
            view = f"{argument}.ravel()[{_positions(writer, index)}]"
        return view
    key = subscript(index, group.row)
    if key is not None:
        return f"{argument}[{subscript_text((slice(None), *key))}]"
    if index.positions == list(range(prod(group.row))):
        return f"{argument}.reshape({', '.join(['-1', *map(str, index.shape)])})"
    return f"{argument}.reshape(len({argument}), -1)[:, {_positions(writer, index)}]"


def _positions(writer: _Writer, index: Index) -> str:
    """A constant of the module with the positions of an index."""
    name = f"index{sum(line.startswith('index') for line in writer.head.lines)}"
    writer.head.assign(name, "=", array_literal(index.array, "int64"), 0)
    return name


def _open_flat(writer: _Writer, flat: Flat) -> None:
    """Memory for a flat result, and the parts of it that operations write into at once."""
    if flat.stacked:
        return
    dtype = "" if writer.program.dtype == "float64" else f", dtype=np.{writer.program.dtype}"
    writer.listing.add(f"{flat.name} = np.empty({flat.length}{dtype})", level=1)
    for piece in flat.pieces:
        first = _first_of(writer, piece.operand)
        if first is None or first in writer.home or not _is_whole(writer, piece):
            continue
        view = strided_view(flat.name, piece.place, flat.length)
        if view is not None:
            writer.home[first] = view


def _first_of(writer: _Writer, operand: Operand) -> str | None:
    """The variable whose memory became that of `operand`, if it can be computed in place."""
    if operand not in writer.owned:
        return None
    shared = [name for name in writer.owned if writer.names[name] == writer.names[str(operand)]]
    if writer.names[str(operand)] != operand:
        return None
    made = {instruction.name: instruction for instruction in writer.program.instructions}
    first = next(name for name in shared if name not in writer.heirs.values())
    op = made[first].op
    return first if _fills(op) or op is arrays.MATMUL or op in REDUCTIONS else None


def _is_whole(writer: _Writer, piece: Piece) -> bool:
    shape = writer.program.shapes[str(piece.operand)]
    return piece.place.shape == shape and piece.source.positions == list(range(prod(shape)))


def _write(writer: _Writer, number: int, instruction: Instruction) -> None:
    """The statement of an instruction; or its expression, kept for where it is used."""
    if _is_inline(writer, instruction):
        writer.pending[instruction.name] = _expression(writer, instruction)
        return
    listing, name = writer.listing, instruction.name
    called = writer.names.get(name, name)
    for operand, heir in list(writer.heirs.items()):
        if heir == name:
            _write_in_place(writer, instruction, operand, called)
            listing.found[name] = len(listing.lines)
            return
    if name in writer.home:
        listing.add(f"{called} = {writer.home[name]}", level=1)
        listing.add(_filling(writer, instruction, called), level=1)
        listing.found[name] = len(listing.lines)
        return
    listing.assign(called, "=", _expression(writer, instruction).code, 1)
    listing.found[name] = len(listing.lines)


def _is_inline(writer: _Writer, instruction: Instruction) -> bool:
    """Whether the value is written where it is used: views, and scalars that are used once."""
    uses = writer.uses.get(instruction.name, 0)
    if instruction.op in (arrays.TRANSPOSE, arrays.LENGTH):
        return True
    scalar = not writer.program.shapes[instruction.name]
    simple = _is_view(instruction) or (scalar and instruction.op in (*UFUNCS, POW_CONST))
    return simple and uses == 1


def _write_in_place(writer: _Writer, instruction: Instruction, operand: str, called: str) -> None:
    op, operands = instruction.op, instruction.operands
    sign = SIGNS.get(op)
    if sign is not None and (operands[0] == operand or op in (ADD, MUL)):
        other = operands[1] if operands[0] == operand else operands[0]
        code = _operand(writer, other, 0).code
        writer.listing.assign(called, f"{sign[0]}=", code, 1)
    else:
        writer.listing.add(_filling(writer, instruction, called), level=1)


def _filling(writer: _Writer, instruction: Instruction, called: str) -> str:
    """The call that writes the value into the memory of a variable."""
    op, statics = instruction.op, instruction.statics
    operands = [_operand(writer, operand, 0).code for operand in instruction.operands]
    if op is POW_CONST:
        return _power(operands[0], statics[0], called)
    if op in FIRST:
        return f"np.{FIRST[op]}({operands[0]}, 0.0, out={called})"
    if op in REDUCTIONS:
        lines = f"np.{REDUCTIONS[op]}.reduce({operands[0]}, axis={statics[0]}, out={called})"
        return lines if op is not arrays.MEAN else f"np.mean({operands[0]}, axis={statics[0]}, out={called})"
    name = "matmul" if op is arrays.MATMUL else UFUNCS[op]
    return f"np.{name}({', '.join(operands)}, out={called})"


def _power(x: str, exponent: Any, called: str = "") -> str:
    out = f", out={called}" if called else ""
    if exponent == 2:
        return f"np.square({x}{out})"
    if exponent == 0.5:
        return f"np.sqrt({x}{out})"
    if exponent == -1:
        return f"np.divide(1.0, {x}{out})"
    return f"np.power({x}, {float(exponent)!r}{out})"


def _operand(writer: _Writer, operand: Operand, slot: int, truth: bool = False) -> _Text:
    """An operand as text; truth values as numbers unless `truth` values will do."""
    if not isinstance(operand, str):
        code = repr(float(operand))
        text = _Text(f"np.{code}" if code in ("inf", "nan") else code, ATOM)
        if code.startswith("-"):
            text = _Text(f"-np.inf" if code == "-inf" else code, UNARY)
    else:
        text = writer.pending.get(operand, _Text(writer.names.get(operand, operand)))
        if operand in writer.truths and not truth:
            bare = _Text(f"({text.code})") if text.binds < ATOM else text
            shape = writer.program.shapes[operand]
            dtype = "float" if writer.program.dtype == "float64" else f"np.{writer.program.dtype}"
            text = _Text(f"{bare.code}.astype({dtype})" if shape else f"float{bare.code}" if bare.code[0] == "(" else f"float({bare.code})")
    return _Text(f"({text.code})") if text.binds < slot else text


def _expression(writer: _Writer, instruction: Instruction) -> _Text:
    op, operands, statics = instruction.op, instruction.operands, instruction.statics

    def code(place: int = 0, slot: int = 0, truth: bool = False) -> str:
        return _operand(writer, operands[place], slot, truth).code

    if op in SIGNS:
        sign, level = SIGNS[op]
        mixes = op is MUL and not all(operand in writer.truths for operand in operands)
        return _Text(f"{code(0, level, mixes)} {sign} {code(1, level + 1, mixes)}", level)
    if op is NEG:
        return _Text(f"-{code(0, UNARY)}", UNARY)
    if op is POW_CONST:
        return _Text(_power(code(), statics[0]))
    if op in UFUNCS:
        return _Text(f"np.{UFUNCS[op]}({', '.join(code(i) for i in range(len(operands)))})")
    if op in FIRST:
        return _Text(f"np.{FIRST[op]}({code()}, 0.0)")
    if op in COMPARISONS:
        sign = op.notation["text"].template.split()[1]
        return _Text(f"{code(0, SUM)} {sign} {code(1, SUM)}", op.notation["text"].binds)
    if op is WHERE:
        return _Text(f"np.where({code(0, 0, True)}, {code(1)}, {code(2)})")
    if op is LEAKY_RELU:
        x = code(0, PRODUCT)
        return _Text(f"np.where({x} <= 0.0, {float(statics[0])!r} * {x}, {x})")
    if op in REDUCTIONS:
        return _reduction(writer, instruction, code())
    if op in OWN:
        writer.parts.add(OWN[op].__name__)
        return _Text(f"{OWN[op].__name__}({', '.join([code(), *map(repr, statics)])})")
    return _on_arrays(writer, instruction, [code(i, ATOM) for i in range(len(operands))])


def _reduction(writer: _Writer, instruction: Instruction, x: str) -> _Text:
    op, (axis,) = instruction.op, instruction.statics
    if op is arrays.MEAN:
        return _Text(f"np.mean({x}, axis={axis})")
    return _Text(f"np.{REDUCTIONS[op]}.reduce({x}, axis={axis})")


def _on_arrays(writer: _Writer, instruction: Instruction, codes: list[str]) -> _Text:
    """The operations on whole arrays that rearrange or collect elements."""
    op, statics, x = instruction.op, instruction.statics, codes[0]
    shapes = [
        writer.program.shapes[o] if isinstance(o, str) else () for o in instruction.operands
    ]
    if op is arrays.TRANSPOSE:
        return _Text(f"{x}.T" if len(shapes[0]) == 2 else f"{x}.mT")
    if op is arrays.RESHAPE:
        return _Text(_reshaped(x, shapes[0], statics[0]))
    if op is arrays.BROADCAST:
        length = f"(len({x}), " if statics[0][0] == BATCH else "("
        rest = statics[0][1:] if statics[0][0] == BATCH else statics[0]
        return _Text(f"np.broadcast_to({x}, {length}{', '.join(map(str, rest))},))")
    if op is arrays.OUTER:
        return _Text(f"np.outer({', '.join(codes)})")
    if op is arrays.LENGTH:
        return _Text(f"len({x})")
    if op is arrays.STACK:
        return _Text(f"np.stack(({', '.join(codes)}))")
    if op is arrays.STACK_ROWS:
        same = len(set(shapes)) == 1
        rows = f"({', '.join(codes)})" if same else f"np.broadcast_arrays({', '.join(codes)})"
        return _Text(f"np.stack({rows}, axis=1)")
    if op is arrays.GATHER:
        key = subscript(statics[0], shapes[0])
        if key is not None:
            return _Text(f"{x}[{subscript_text(key)}]")
        flat = x if len(shapes[0]) == 1 else f"{x}.ravel()"
        return _Text(f"{flat}[{_positions(writer, statics[0])}]")
    if op is arrays.GATHER_ROWS:
        key = subscript(statics[0], shapes[0][1:])
        if key is not None:
            return _Text(f"{x}[{subscript_text((slice(None), *key))}]")
        flat = x if len(shapes[0]) == 2 else f"{x}.reshape(len({x}), -1)"
        return _Text(f"{flat}[:, {_positions(writer, statics[0])}]")
    if op in (arrays.SCATTER, arrays.SCATTER_ROWS):
        return _scattered(writer, op, x, *statics)
    raise SpellingError(f"the numpy target has no spelling of {op.name!r}")


def _reshaped(x: str, before: Shape, after: Shape) -> str:
    """Axes of length 1 as `None`s, other shapes by `reshape`."""
    ones = [length for length in after if length != 1]
    if ones == [length for length in before if length != 1] and len(after) > len(before):
        key: list[str] = []
        rest = list(before)
        for length in after:
            if rest and rest[0] == length and (length != 1 or len(after) - len(key) == len(rest)):
                key.append(":")
                rest.pop(0)
            else:
                key.append("None")
        if not rest:
            return f"{x}[{', '.join(key)}]"
    return f"{x}.reshape({', '.join(map(str, after))})"


def _scattered(writer: _Writer, op: Op, x: str, index: Index, shape: Shape) -> _Text:
    rows = op is arrays.SCATTER_ROWS
    function = numpyparts.scatter_rows if rows else numpyparts.scatter
    writer.parts.add(function.__name__)
    layers = numpyparts.layers_of(index.positions)
    if len(layers) == 1:
        pairs = f"({_positions(writer, Index(layers[0][0]))}, slice(None))"
        code = f"({pairs},)"
    else:
        pairs_of = [
            f"({_positions(writer, Index(places))}, {_positions(writer, Index(sources))})"
            for places, sources in layers
        ]
        code = f"({', '.join(pairs_of)},)"
    return _Text(f"{function.__name__}({x}, {code}, {shape})")


def _close_flat(writer: _Writer, flat: Flat) -> None:
    """The parts of a flat result that were computed elsewhere."""
    listing = writer.listing
    if flat.stacked:
        _write_stacked(writer, flat)
        return
    for piece in flat.pieces:
        if _first_of(writer, piece.operand) in writer.home:
            continue
        code = _operand(writer, piece.operand, 0).code
        view = strided_view(flat.name, piece.place, flat.length)
        if isinstance(piece.operand, str) and writer.program.shapes[piece.operand]:
            bare = _operand(writer, piece.operand, ATOM).code
            if not _is_whole(writer, piece):
                flat_code = f"{bare}.ravel()"
                key = subscript(piece.source, (prod(writer.program.shapes[piece.operand]),))
                inside = subscript_text(key) if key else _positions(writer, piece.source)
                code = f"{flat_code}[{inside}]"
        if view is not None and view.endswith("]"):
            listing.add(f"{view} = {code}", level=1)
        elif view is not None:
            listing.add(f"{view}[:] = {code}", level=1)
        else:
            listing.add(f"{flat.name}[{_positions(writer, piece.place)}] = {code}", level=1)


def _write_stacked(writer: _Writer, flat: Flat) -> None:
    """A flat result with a row over the samples for each number."""
    batched = next(group for group in writer.program.groups if group.batched)
    dtype = "" if writer.program.dtype == "float64" else f", dtype=np.{writer.program.dtype}"
    size = f"({flat.length}, len({batched.argument}))"
    writer.listing.add(f"{flat.name} = np.empty({size}{dtype})", level=1)
    for piece in flat.pieces:
        code = _operand(writer, piece.operand, ATOM).code
        shape = writer.program.shapes.get(str(piece.operand), ())
        if len(shape) > 1:
            rows = code if len(shape) == 2 else f"{code}.reshape(len({code}), -1)"
            key = subscript(piece.source, (prod(shape[1:]),))
            inside = subscript_text(key) if key else _positions(writer, piece.source)
            code = f"{rows}.T[{inside}]"
        key = subscript(piece.place, (flat.length,))
        inside = subscript_text(key) if key else _positions(writer, piece.place)
        writer.listing.add(f"{flat.name}[{inside}] = {code}", level=1)


def _returned(writer: _Writer, output: Any) -> str:
    if isinstance(output, Flat):
        return output.name
    return _operand(writer, output, 0).code


def prepare(program: ArrayProgram) -> Callable[[Sequence[Any]], list[Any]]:
    """A function that makes arguments the arrays of numbers which the compiled function takes.

    Shapes that do not fit are a `ShapeError`.
    """
    import numpy

    dtype = numpy.dtype(program.dtype)
    wholes = [group.whole for group in program.groups]
    floor = max((8 * prod(s[1:]) for s in program.shapes.values() if s[:1] == (BATCH,)), default=0)
    several = sum(group.batched for group in program.groups) > 1

    def fits(array: Any, whole: Shape) -> bool:
        shape = array.shape
        if whole and whole[0] == BATCH:
            return len(shape) == len(whole) and shape[1:] == whole[1:]
        return bool(shape == whole)

    def prepared(arguments: Sequence[Any]) -> list[Any]:
        if len(arguments) != len(wholes):
            program.check_arguments(arguments)
        result = []
        samples = None
        for argument, whole in zip(arguments, wholes, strict=True):
            array = argument
            if type(array) is not numpy.ndarray or array.dtype != dtype:
                array = _as_array(argument, dtype, program, arguments)
            if not fits(array, whole):
                program.check_arguments(arguments)
            if whole[:1] == (BATCH,):
                if samples is None:
                    samples = len(array)
                    if samples * floor > MAX_BYTES:
                        raise _too_large(program, samples, floor)
                elif several and samples != len(array):
                    program.check_arguments(arguments)
            result.append(array if whole else array[()])
        return result

    return prepared


def _as_array(argument: Any, dtype: Any, program: ArrayProgram, arguments: Sequence[Any]) -> Any:
    import numpy

    try:
        if isinstance(argument, (list, tuple)) and argument and hasattr(argument[0], "op_rank"):
            argument = [getattr(item, "data", item) for item in argument]
            if any(numpy.ndim(item) for item in argument):
                argument = numpy.concatenate([numpy.ravel(item) for item in argument])
        elif hasattr(argument, "op_rank"):
            argument = argument.data
        return numpy.asarray(argument, dtype)
    except (TypeError, ValueError):
        program.check_arguments(arguments)
        raise


def _too_large(program: ArrayProgram, samples: int, floor: int) -> SizeError:
    return SizeError(
        f"{program.name}: {samples:,} samples need an array of {samples * floor:,} bytes; the limit "
        f"for one array is {MAX_BYTES:,} bytes: pass fewer samples at a time"
    )


TARGET: Final = Target("numpy", emit, lambda program: None, load, prepare, arrays=True)
