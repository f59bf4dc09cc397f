"""Built functions as text, and back: all but the function itself, which is loaded again."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..arrays.rolling import Survey
from ..graph.rewrite import PassRecord
from ..graph.store import Origin
from ..ops.table import OPERATIONS
from .array.function import ArrayFunction
from .array.functiontext import read, told
from .array.irregular import LeftAlone
from .build import Built, Derivatives
from .program import Gather, Group, Instruction, Nested, Program
from .target import Source

Load = Callable[[Source], Callable[..., Any]]


def text_of(built: Built) -> str:
    """A built program as JSON. Its operations are those of the table, by name."""
    program, source = built.program, built.source
    assert isinstance(program, (Program, ArrayFunction))
    if isinstance(program, ArrayFunction):
        whole: dict[str, Any] = {"function": told(program)}
    else:
        whole = _program_told(program)
    return json.dumps(
        {
            **whole,
            "source": [source.text, source.function, dict(source.lines), source.cuts],
            "asked": [[op.name, statics] for op, statics in source.operations],
            "binary": b64encode(source.binary).decode(),
            "derivatives": [
                [[_key_told(key) for key in d.gradient], d.output, d.group]
                for d in built.derivatives
            ],
            "alone": [
                [p.survey.nodes, p.survey.left, p.survey.shapes, dict(p.survey.alone)]
                for p in built.passes
                if isinstance(p, LeftAlone)
            ],
            "passes": [
                [
                    *(p.name, p.nodes_before, p.nodes_after),
                    *map(dict, (p.operations_before, p.operations_after, p.rewrites)),
                ]
                for p in built.passes
                if isinstance(p, PassRecord)
            ],
        }
    )


def _key_told(key: Any) -> Any:
    """A key of a path; of a slice its ends."""
    return [key.start, key.stop] if isinstance(key, slice) else key


def _key_read(key: Any) -> Any:
    return slice(*key) if isinstance(key, list) else key


def _program_told(program: Program) -> dict[str, Any]:
    origins: dict[Origin | None, int] = {None: 0}
    bodies = [
        [_instruction(i, origins.setdefault(i.origin, len(origins))) for i in body]
        for body in (program.once, program.each, program.after)
    ]
    return {
        "name": program.name,
        "groups": [[g.name, g.argument, g.leaves, g.scalar, g.batched] for g in program.groups],
        "origins": [
            [o.transform, o.primal, o.role, o.rule, o.operand] for o in origins if o is not None
        ],
        "bodies": bodies,
        "gathers": [[g.name, g.operand, g.stacked] for g in program.gathers],
        "outputs": _folded(program.outputs),
    }


def _program_read(data: Mapping[str, Any]) -> Program:
    origins = [None, *(Origin(*origin) for origin in data["origins"])]
    once, each, after = (tuple([_read(item, origins) for item in body]) for body in data["bodies"])
    return Program(
        name=data["name"],
        groups=tuple(
            Group(name, argument, tuple(leaves), scalar, batched)
            for name, argument, leaves, scalar, batched in data["groups"]
        ),
        once=once,
        each=each,
        gathers=tuple(Gather(*gather) for gather in data["gathers"]),
        after=after,
        outputs=_unfolded(data["outputs"]),
    )


def built_of(text: str, load: Load) -> Built:
    """What `text_of` wrote; the function comes from `load`."""
    data = json.loads(text)
    program = read(data["function"]) if "function" in data else _program_read(data)
    written, function, lines, cuts = data["source"]
    asked = tuple((OPERATIONS[op], tuple(statics)) for op, statics in data["asked"])
    source = Source(written, function, lines, tuple(cuts), asked, b64decode(data["binary"]))
    derivatives = tuple(
        Derivatives(tuple(map(_key_read, gradient)), tuple(output), group)
        for gradient, output, group in data["derivatives"]
    )
    alone = [LeftAlone(Survey(*survey)) for survey in data["alone"]]
    passes: tuple[Any, ...] = (*alone, *[PassRecord(*record) for record in data["passes"]])
    if isinstance(program, ArrayFunction):
        passes = (*passes, *program.records)
    return Built(program, source, load(source), derivatives, passes)


def _instruction(i: Instruction, origin: int) -> list[Any]:
    return [i.name, i.op.name, i.operands, i.statics, i.section, i.node, origin]


def _read(item: Iterable[Any], origins: list[Origin | None]) -> Instruction:
    name, op, operands, statics, section, node, origin = item
    return Instruction(
        name, OPERATIONS[op], tuple(operands), tuple(statics), section, node, origins[origin]
    )


def _folded(outputs: Nested) -> Any:
    """Nested outputs as JSON has them, which knows no keys but text."""
    if isinstance(outputs, Mapping):
        return ["dict", [[key, _folded(value)] for key, value in outputs.items()]]
    if isinstance(outputs, list):
        return ["list", [_folded(value) for value in outputs]]
    return ["value", outputs]


def _unfolded(item: Any) -> Nested:
    kind, value = item
    if kind == "dict":
        return {key: _unfolded(inner) for key, inner in value}
    return [_unfolded(inner) for inner in value] if kind == "list" else value
