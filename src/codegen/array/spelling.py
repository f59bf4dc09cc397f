"""How each operation is written in NumPy, as an expression or as a call that fills memory."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Any, Final

from ...errors import SpellingError
from ...ops import arrays, carried
from ...ops.indexing import Index, subscript, subscript_text
from ...ops.record import ATOM, PRODUCT, UNARY, Notation, Op, call, infix
from ...ops.shapes import BATCH, Shape
from ..program import Instruction, Operand
from .memory import REDUCTIONS, Text, Writer, is_contiguous, is_square
from .views import array_literal, strided_view

_OWN: Final[dict[Op, Notation]] = {
    arrays.MATMUL: infix(" @ ", PRODUCT),
    arrays.LOGSUMEXP: call("logsumexp", "{0}", "{axis}", define=carried.logsumexp),
    arrays.FIRST_MAX: call("first_max", "{0}", "{axis}", define=carried.first_max),
}
"""Operations on whole arrays that are written as those on elements are."""


def positions_constant(writer: Writer, index: Index) -> str:
    """A constant of the module with the positions of an index."""
    program = writer.program
    taken = {program.name, *program.shapes, *(group.argument for group in program.groups)}
    names = (f"index{i}" for i in count())
    name = next(name for name in names if name not in taken and name not in writer.head.found)
    writer.head.assign(name, "=", array_literal(index.array, "int64"), 0)
    return name


def filling(writer: Writer, instruction: Instruction, called: str) -> str:
    """The call that writes the value into the memory of a variable."""
    op, statics = instruction.op, instruction.statics
    operands = [operand_text(writer, operand, 0, True).code for operand in instruction.operands]
    if op in REDUCTIONS:
        function = "mean" if op is arrays.MEAN else f"{REDUCTIONS[op]}.reduce"
        return f"np.{function}({operands[0]}, axis={statics[0]}, out={called})"
    if op is arrays.MATMUL:  # np.dot costs less a call, and fills contiguous memory only
        name = "dot" if instruction.name in writer.contiguous else "matmul"
        return f"np.{name}({', '.join(operands)}, out={called})"
    form = op.spelling("numpy", statics)
    if form.define is not None:
        writer.parts.add(form)
    return str(form.out).format(*operands, out=called, **_fixed(instruction))


def _fixed(instruction: Instruction) -> dict[str, str]:
    """The static arguments as text."""
    op = instruction.op
    fixed = zip(op.statics, instruction.statics, strict=True)
    return {n: repr(float(s)) if op.shape is None else repr(s) for n, s in fixed}


def operand_text(writer: Writer, operand: Operand, slot: int, truth: bool = False) -> Text:
    """An operand as text; truth values as numbers unless `truth` values will do."""
    if not isinstance(operand, str):
        code = repr(float(operand))
        text = Text(f"np.{code}" if code in ("inf", "nan") else code, ATOM)
        if code.startswith("-"):
            text = Text("-np.inf" if code == "-inf" else code, UNARY)
    else:
        text = writer.pending.get(operand, Text(writer.names.get(operand, operand)))
        if operand in writer.truths and not truth:
            text = _as_numbers(writer, text, bool(writer.program.shapes[operand]))
    return Text(f"({text.code})") if text.binds < slot else text


def _is_pythons(writer: Writer, instruction: Instruction) -> bool:
    """Whether Python's own numbers would compute this, which raise where NumPy's do not.

    How many samples there are is one of those, and there may be none.
    """
    raises = "python-ieee" in instruction.op.notation
    return not any(
        isinstance(operand, str) and not (raises and _is_length(writer, operand))
        for operand in instruction.operands
    )


def _is_length(writer: Writer, operand: str) -> bool:
    made = writer.made.get(operand)
    return made is not None and made.op is arrays.LENGTH


def _of_numpy(writer: Writer, number: Operand) -> str:
    return f"np.{writer.program.dtype}({operand_text(writer, number, 0).code})"


def _as_numbers(writer: Writer, truths: Text, whole: bool) -> Text:
    """Truth values, a whole array of them or one, as 1.0 and 0.0."""
    dtype = f"np.{writer.program.dtype}"
    if not whole:
        return Text(f"{dtype}({truths.code})")
    bare = truths.code if truths.binds == ATOM else f"({truths.code})"
    return Text(f"{bare}.astype({dtype})")


def expression(writer: Writer, instruction: Instruction) -> Text:
    """The value of an instruction as an expression of its operands."""
    op, operands = instruction.op, instruction.operands

    def code(place: int = 0, slot: int = 0, truth: bool = False) -> str:
        return operand_text(writer, operands[place], slot, truth).code

    if is_square(writer, instruction):  # np.vdot and np.dot cost less a call than @
        if operands[0] in writer.flattened:
            (x,) = (operand_text(writer, o, 0).code for o in writer.made[str(operands[0])].operands)
        else:
            x = code()
        return Text(f"np.vdot({x}, {x})")
    if op is arrays.MATMUL and all(is_contiguous(writer, operand) for operand in operands):
        return Text(f"np.dot({code()}, {code(1)})")
    if instruction.name in writer.picked:
        return Text(f"{code(1, ATOM)}[{code(0, 0, True)}]")
    if op in REDUCTIONS:
        return _reduction(writer, instruction, code())
    if op.shape is None or op in _OWN:
        return _by_record(writer, instruction)
    return _on_arrays(writer, instruction, [_typed(writer, operand) for operand in operands])


def _by_record(writer: Writer, instruction: Instruction) -> Text:
    """The value as the operation's record writes it."""
    op, operands = instruction.op, instruction.operands
    form = _OWN.get(op) or op.spelling("numpy", instruction.statics)
    if form.define is not None:
        writer.parts.add(form)
    mixes = bool(form.operator) and not op.truth and _mixes(writer, instruction)
    codes = [
        operand_text(writer, operand, slot, mixes or place in op.conditions).code
        for place, (operand, slot) in enumerate(zip(operands, _slots(form, op), strict=True))
    ]
    values = [place for place in range(len(operands)) if place not in op.conditions]
    if op.conditions and values and not any(isinstance(operands[place], str) for place in values):
        codes[values[0]] = _typed(writer, operands[values[0]])
    if form.binds < ATOM and not op.truth and _is_pythons(writer, instruction):
        codes[0] = _of_numpy(writer, operands[0])
    text = form.template.format(*codes, **_fixed(instruction))
    return Text(text, form.binds)


def _slots(form: Notation, op: Op) -> Sequence[int]:
    """How tightly each operand must bind; a comparison's are sums at the loosest."""
    count = max(op.arity, 0)
    return [*form.slots, *[0] * count][:count]


def _typed(writer: Writer, operand: Operand) -> str:
    """An operand, a number in the type that the program computes in."""
    code = operand_text(writer, operand, ATOM).code
    if isinstance(operand, str) or writer.program.dtype == "float64":
        return code
    return f"np.{writer.program.dtype}({code.strip('()')})"


def _mixes(writer: Writer, instruction: Instruction) -> bool:
    """Whether NumPy turns the truth values among the operands of an operator into numbers."""
    arrays_ = [o for o in instruction.operands if isinstance(o, str) and writer.program.shapes[o]]
    return any(operand not in writer.truths for operand in arrays_)


def _reduction(writer: Writer, instruction: Instruction, x: str) -> Text:
    op, (axis,) = instruction.op, instruction.statics
    if op is arrays.MEAN:
        return Text(f"np.mean({x}, axis={axis})")
    if instruction.operands[0] in writer.picked:
        return Text(f"np.add.reduce({x})")
    return Text(f"np.{REDUCTIONS[op]}.reduce({x}, axis={axis})")


def _on_arrays(writer: Writer, instruction: Instruction, codes: list[str]) -> Text:
    """The operations on whole arrays that rearrange or collect elements."""
    op, x = instruction.op, codes[0]
    statics: tuple[Any, ...] = instruction.statics
    shapes = [writer.program.shapes[o] if isinstance(o, str) else () for o in instruction.operands]
    if op is arrays.TRANSPOSE:
        return Text(f"{x}.T" if len(shapes[0]) == 2 else f"{x}.mT")
    if op is arrays.RESHAPE:
        return Text(_reshaped(x, shapes[0], statics[0]))
    if op is arrays.BROADCAST:
        length = f"(len({x}), " if statics[0][0] == BATCH else "("
        rest = statics[0][1:] if statics[0][0] == BATCH else statics[0]
        return Text(f"np.broadcast_to({x}, {length}{', '.join(map(str, rest))},))")
    if op is arrays.OUTER:
        return Text(f"np.outer({', '.join(codes)})")
    if op is arrays.LENGTH:
        return Text(f"len({x})")
    if op is arrays.STACK:
        return Text(f"np.stack(({', '.join(codes)}))")
    if op is arrays.STACK_ROWS:
        same = len(set(shapes)) == 1
        rows = f"({', '.join(codes)})" if same else f"np.broadcast_arrays({', '.join(codes)})"
        return Text(f"np.stack({rows}, axis=1)")
    if op is arrays.GATHER:
        key = subscript(statics[0], shapes[0])
        if key is not None:
            return Text(f"{x}[{subscript_text(key)}]")
        view = strided_view(x, statics[0], shapes[0][0]) if len(shapes[0]) == 1 else None
        if view is not None:
            return Text(view)
        flat = x if len(shapes[0]) == 1 else f"{x}.ravel()"
        return Text(f"{flat}[{positions_constant(writer, statics[0])}]")
    if op is arrays.GATHER_ROWS:
        key = subscript(statics[0], shapes[0][1:])
        if key is not None:
            return Text(f"{x}[{subscript_text((slice(None), *key))}]")
        flat = x if len(shapes[0]) == 2 else f"{x}.reshape(len({x}), -1)"
        return Text(f"{flat}[:, {positions_constant(writer, statics[0])}]")
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
    return f"{x}.reshape({', '.join(map(str, after)) or '()'})"


def _scattered(writer: Writer, op: Op, x: str, index: Index, shape: Shape) -> Text:
    rows = op is arrays.SCATTER_ROWS
    function = carried.scatter_rows if rows else carried.scatter
    writer.parts.add(call(function.__name__, define=function))
    layers = carried.layers_of(index.positions)
    if len(layers) == 1:
        pairs = f"({positions_constant(writer, Index(layers[0][0]))}, slice(None))"
        code = f"({pairs},)"
    else:
        positions = [
            [positions_constant(writer, Index(part)) for part in layer] for layer in layers
        ]
        pairs_of = [f"({places}, {sources})" for places, sources in positions]
        code = f"({', '.join(pairs_of)},)"
    return Text(f"{function.__name__}({x}, {code}, {shape})")
