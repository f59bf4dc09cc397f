"""Steps 6 and 7: the generated code, and what an update by the gradient does."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Final

from ..codegen.compiled import Compiled
from ..ops.scalar import PARAMETER
from .carried import Lineage, carried_lines
from .data import Code, Moved, PassChange, Rate, Update
from .derivation import Derivation
from .steps import node_id
from .words import counted, finite, listed

RATES: Final = (0.001, 0.01, 0.1)
"""The learning rates tried unless others are asked for."""


def code(d: Derivation, compiled: Compiled, lineage: Lineage) -> Code:
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
        lines=tuple(carried_lines(d, compiled, lineage)),
    )


def update(d: Derivation, compiled: Compiled, rates: Sequence[float]) -> Update:
    """Step 7, by the compiled function: moves what was asked for; else the parameters, no data."""
    moving, data = list(d.wrt), []
    if not d.asked:
        parameters = [n for n in d.wrt if d.graph.ops[n] is PARAMETER]
        data = [] if parameters else [n for n in d.wrt if names_data(d.names[n])]
        moving = parameters or [n for n in d.wrt if n not in data] or moving
        data = [n for n in data if n not in moving]
    start = {node: d.values[node] for node in d.leaves}
    found = compiled(*start.values())
    slopes = dict(zip(d.wrt, found["gradient"], strict=True))
    gradient = {node: slopes[node] for node in moving}
    squared = sum(g * g for g in gradient.values())
    before = found["value"]
    rows = []
    for rate in rates:
        moved = {node: d.values[node] - rate * g for node, g in gradient.items()}
        after = compiled(*(start | moved).values())["value"]
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
            + _staying([d.names[node] for node in data])
        ),
        node=node_id(d.root),
        finite=finite(before, *gradient.values(), *(row.new_output for row in rows)),
        leaves=tuple(Moved(node_id(n), d.values[n], g) for n, g in gradient.items()),
        squared_norm=squared,
        before=before,
        rates=tuple(rows),
    )


def names_data(name: str) -> bool:
    """Whether it is a name that data have, where nothing else says what is a parameter."""
    return re.fullmatch(r"[xyt](_?\d\w*)?", name) is not None


def _staying(names: Sequence[str]) -> str:
    if not names:
        return ""
    which = listed(names) if len(names) <= 6 else f"{', '.join(names[:5])} and others"
    one = len(names) == 1
    return (
        f" {which} stay{'s' * one}: by {'its' if one else 'their'} name{'s' * (not one)} "
        f"{'it is' if one else 'they are'} data. What is named in wrt (--wrt) moves."
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
