"""What `check=True` does on arrays: the first elements that are not finite, and why they matter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from ...errors import NonFiniteError, WengertError
from ...graph.expr import Expr, Graph
from ...graph.traversal import reachable
from ...graph.written import text
from ...ops.arrays import sum_to
from ...ops.scalar import WHERE
from ...ops.shapes import BATCH
from ..program import FORMULA_TERMS, Instruction, Program, flatten, rule_text
from .program import ArrayProgram

MAX_SCALARS: Final = 1_000_000
"""How many numbers may have been computed for them to be looked at one by one."""


def run_checked(
    program: ArrayProgram,
    arguments: tuple[Any, ...],
    scalars: Callable[[], Program] | None = None,
) -> Any:
    """The outputs; a `NonFiniteError` at the first instruction with elements that are not finite.

    It names the element, the formula, the rule and the operands' values there. Elements that only
    branches of `where` need which were not taken may be anything. Where the arrays were found in
    `scalars`, those are asked: they know which rule each of them is of.
    """
    import numpy

    names = [view.name for view in program.views]
    names += [instruction.name for instruction in program.instructions]
    whole = replace(program, outputs=[names, program.outputs])
    with numpy.errstate(all="ignore"):
        found, outputs = whole.run(*arguments)
    values = {**program.constants, **dict(zip(names, found, strict=True))}
    bad = {name: ~numpy.isfinite(value) for name, value in values.items()}
    if any(mask.any() for mask in bad.values()):
        needed = _needed(program, values)
        for instruction in program.instructions:
            places = bad[instruction.name] & needed.get(instruction.name, False)
            if places.any():
                size = sum(numpy.size(values[step.name]) for step in program.instructions)
                if scalars is not None and size <= MAX_SCALARS:
                    scalars().run(*arguments, check=True)
                raise _error(program, instruction, values, places)
        for name in names:
            if (bad[name] & needed.get(name, False)).any():
                raise NonFiniteError(f"{_shown(name, values[name])}: an argument is not finite")
    return outputs


def _needed(program: ArrayProgram, values: Mapping[str, Any]) -> dict[str, Any]:
    """Of each variable, the elements that the outputs depend on with the branches taken."""
    import numpy

    needed: dict[str, Any] = {}

    def need(operand: Any, mask: Any) -> None:
        if isinstance(operand, str):
            needed[operand] = needed.get(operand, False) | numpy.asarray(mask, bool)

    for _, output in flatten(program.outputs):
        for operand in [piece.operand for piece in getattr(output, "pieces", ())] or [output]:
            need(operand, numpy.ones(numpy.shape(values.get(operand, 0.0)), bool))
    for instruction in reversed(program.instructions):
        mask = needed.get(instruction.name)
        if mask is None:
            continue
        operands = [values.get(o, o) if isinstance(o, str) else o for o in instruction.operands]
        shares = _shares(instruction, mask, operands)
        for operand, share in zip(instruction.operands, shares, strict=True):
            need(operand, share)
    return needed


def _shares(instruction: Instruction, mask: Any, operands: list[Any]) -> list[Any]:
    """The elements of each operand that the elements of a result come from."""
    import numpy

    op = instruction.op
    if op.shape is None:
        wanted = [mask] * len(operands)
        if op is WHERE:
            truth = numpy.asarray(operands[0]) != 0
            wanted = [mask, mask & truth, mask & ~truth]
        return [
            numpy.asarray(sum_to(numpy.asarray(part, float), numpy.shape(operand))) > 0
            for part, operand in zip(wanted, operands, strict=True)
        ]
    # An array operation on ones passes back, by its rule, how often each element was used.
    linear = op.places or op
    ones = [numpy.ones(numpy.shape(operand)) for operand in operands]
    result = numpy.asarray(op.evaluate(*ones, *instruction.statics), float)
    counts = [
        rule and rule(numpy.asarray(mask, float), result, *ones, *instruction.statics)
        for rule in linear.vjp
    ]
    used = [numpy.asarray(0.0 if count is None else count, float) != 0 for count in counts]
    return [
        mask if mask.shape == one.shape else one > 0 for mask, one in zip(used, ones, strict=True)
    ]


def _error(
    program: ArrayProgram, instruction: Instruction, values: Mapping[str, Any], places: Any
) -> NonFiniteError:
    import numpy

    value = numpy.asarray(values[instruction.name])
    first = tuple(numpy.argwhere(places)[0].tolist())
    where = ""
    if first:
        shape = program.shapes.get(instruction.name, ())
        sample = f", sample {first[shape.index(BATCH)]}" if BATCH in shape else ""
        count = f"{int(places.sum()):,} of {value.size:,} elements"
        where = f" at {list(first)}{sample}, {count}"
    elementwise = instruction.op.shape is None
    given = []
    for operand in dict.fromkeys(o for o in instruction.operands if isinstance(o, str)):
        part = numpy.asarray(values[operand])
        if elementwise:
            part = numpy.broadcast_to(part, value.shape)[first]
        given.append(_shown(operand, part))
    lines = [
        f"{instruction} is {float(value[first])!r}{where} ({instruction.section} pass) at "
        f"{', '.join(given) or 'its constants'}; the first result that is not finite"
    ]
    formula = _formula(program, instruction, values)
    if formula:
        lines.append(f"formula: {instruction.name} = {formula}")
    lines.append(f"rule: {rule_text(instruction)}")
    return NonFiniteError("\n".join(lines))


def _shown(name: str, value: Any) -> str:
    """A variable with its number; of an array what is not finite, or the extremes."""
    import numpy

    array = numpy.asarray(value, float)
    if not array.shape:
        return f"{name} = {float(array)!r}"
    lost = numpy.argwhere(~numpy.isfinite(array))
    if len(lost):
        place = lost[0].tolist()
        return f"{name}{place} = {float(array[tuple(place)])!r} ({len(lost):,} of {array.size:,})"
    if not array.size:
        return f"{name} has no elements"
    return f"{name} from {float(array.min())!r} to {float(array.max())!r}"


def _formula(program: ArrayProgram, instruction: Instruction, values: Mapping[str, Any]) -> str:
    """What the instruction computes, written out in the function's arguments; "" if it cannot be.

    Each variable has the shape that it had in this call.
    """
    steps = {step.name: step for step in program.instructions}

    def read(name: str) -> list[str]:
        operands = steps[name].operands if name in steps else ()
        return [operand for operand in operands if isinstance(operand, str)]

    wanted = reachable([instruction.name], read)
    graph = Graph()
    nodes: dict[str, int] = {}
    try:
        for name in wanted - steps.keys():
            shape = getattr(values[name], "shape", ())
            nodes[name] = (graph.array(name, shape) if shape else graph.input(name)).id
        for step in program.instructions:
            if step.name in wanted:
                operands = [
                    nodes[o] if isinstance(o, str) else graph.node_of(o) for o in step.operands
                ]
                nodes[step.name] = graph.append(step.op, tuple(operands), step.statics)
    except WengertError:
        return ""
    return text(Expr(graph, nodes[instruction.name]), FORMULA_TERMS)
