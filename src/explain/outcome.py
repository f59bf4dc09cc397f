"""Steps 6 and 7: the generated code, and what an update by the gradient does."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from typing import Final

from ..codegen.array.function import ArrayFunction
from ..codegen.compiled import Compiled
from ..ops.scalar import PARAMETER
from .data import CarriedLine, Code, Moved, PassChange, Rate, Update
from .derivation import Derivation
from .steps import node_id
from .words import counted, finite, listed, shown

RATES: Final = (0.001, 0.01, 0.1)
"""The learning rates tried unless others are asked for."""

_POINTS: Final = 4


def code(d: Derivation, compiled: Compiled) -> Code:
    """Step 6."""
    passes = tuple(
        PassChange(
            record.name,
            record.nodes_before,
            record.nodes_after,
            dict(record.operations_before),
            dict(record.operations_after),
            dict(record.rewrites),
        )
        for record in compiled.passes
    )
    before = sum(passes[0].operations_before.values()) if passes else 0
    after = len(compiled.program.instructions)
    return Code(
        id="code",
        part=6,
        kind="code",
        title="What is left to compute",
        sentence=(
            f"The value and {counted(len(d.wrt), 'derivative')} took "
            f"{counted(before, 'operation')} as derived; {after} remain after simplification. "
            "Each step is carried by a line of the generated function, or by none where nothing "
            "is left to compute."
        ),
        node=node_id(d.root),
        finite=True,
        passes=passes,
        source=compiled.source,
        lines=tuple(_carried(d, compiled)),
    )


def _carried(d: Derivation, compiled: Compiled) -> list[CarriedLine]:
    """The line for each forward and backward step.

    Simplification renames, shares and drops nodes, so the variable that carries a step is found by
    what it computes: the same numbers at several random points.
    """
    points = _random_points(d)
    by_node = [d.at(point) for point in points]
    by_variable = _variables(d, compiled, points)
    text = compiled.source.splitlines()
    lines = []
    forward = [(f"forward-n{n}", n) for n in d.live if d.graph.operands[n]]
    backward = [(f"backward-n{n}", d.adjoint[n]) for n in d.backward_order]
    for step, number in forward + backward:
        wanted = [values[number] for values in by_node]
        variable = next((v for v, found in by_variable.items() if _same(found, wanted)), "")
        leaf = next((d.names[n] for n in d.leaves if _same([p[n] for p in points], wanted)), "")
        if leaf:
            lines.append(CarriedLine(step, leaf, None, "", f"no line: it is {leaf} itself"))
        elif _same([wanted[0]] * len(wanted), wanted):
            note = f"no line: always {shown(wanted[0])}"
            lines.append(CarriedLine(step, "", None, "", note))
        elif variable:
            line = compiled.line_of(variable)
            shown_code = text[line - 1].strip() if line else ""
            lines.append(CarriedLine(step, variable, line, shown_code, ""))
        else:
            lines.append(CarriedLine(step, "", None, "", "no line: simplified into another"))
    return lines


def _random_points(d: Derivation) -> list[dict[int, float]]:
    rng = random.Random(1)
    return [
        {node: rng.uniform(0.2 if i % 2 else -1.5, 1.5) for node in d.leaves}
        for i in range(_POINTS)
    ]


def _variables(
    d: Derivation, compiled: Compiled, points: Sequence[Mapping[int, float]]
) -> dict[str, list[float]]:
    """The value of each variable of the program at each point."""
    found: dict[str, list[float]] = {}
    program = compiled.program
    assert not isinstance(program, ArrayFunction)
    for point in points:
        values: dict[str, float] = {}
        for group, node in zip(program.groups, d.leaves, strict=True):
            values[group.leaves[0]] = point[node]
        for instruction in program.instructions:
            arguments = [
                values[operand] if isinstance(operand, str) else operand
                for operand in instruction.operands
            ]
            value = instruction.op.evaluate(*arguments, *instruction.statics)
            values[instruction.name] = value
            found.setdefault(instruction.name, []).append(value)
    return found


def _same(found: Sequence[float], wanted: Sequence[float]) -> bool:
    return all(
        a == b or (a != a and b != b) or math.isclose(a, b, rel_tol=1e-12)
        for a, b in zip(found, wanted, strict=True)
    )


def update(d: Derivation, rates: Sequence[float]) -> Update:
    """Step 7: moves the parameters; where there are none among the asked leaves, all of those."""
    parameters = [n for n in d.wrt if d.graph.ops[n] is PARAMETER]
    moving = parameters or list(d.wrt)
    gradient = {node: d.values[d.adjoint[node]] for node in moving}
    squared = sum(g * g for g in gradient.values())
    before = d.values[d.root]
    rows = []
    for rate in rates:
        moved = {node: d.values[node] - rate * g for node, g in gradient.items()}
        point = {node: d.values[node] for node in d.leaves} | moved
        after = d.output_at(point)
        predicted, actual = rate * squared, before - after
        rows.append(Rate(rate, predicted, after, actual, _verdict(predicted, actual)))
    output = d.names[d.root]
    names = [d.names[node] for node in moving]
    which = listed(names) if len(names) <= 6 else f"all {len(names)} leaves"
    return Update(
        id="update",
        part=7,
        kind="update",
        title=f"One step downhill for {output}",
        sentence=(
            f"Move {which} against the gradient: w ← w - lr·g. To first order {output} falls by "
            f"lr·‖g‖²; the smaller the rate, the closer that is to what happens."
        ),
        node=node_id(d.root),
        finite=finite(before, *gradient.values(), *(row.new_output for row in rows)),
        leaves=tuple(Moved(node_id(n), d.values[n], g) for n, g in gradient.items()),
        squared_norm=squared,
        before=before,
        rates=tuple(rows),
    )


def _verdict(predicted: float, actual: float) -> str:
    """How the real decrease compares with the one that the gradient promised."""
    if not math.isfinite(predicted) or not math.isfinite(actual):
        return "not finite"
    if predicted == 0:
        return "the gradient is 0: nothing moves"
    ratio = actual / predicted
    if ratio < 0:
        return "it rose: the step is too long"
    if abs(ratio - 1) <= 0.01:
        return "as predicted, to 1%"
    return f"{ratio:.0%} of the prediction"
