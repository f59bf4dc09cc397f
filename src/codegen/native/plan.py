"""In what order a stage is computed, and what of it several numbers at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ..program import Instruction
from .words import LANES

Unit = tuple[Instruction, ...]
"""Instructions of one operation that are computed at once, as lanes of a vector."""


def one_by_one(body: Sequence[Instruction]) -> list[Unit]:
    """Every instruction by itself, in the order of the program."""
    return [(instruction,) for instruction in body]


def units(body: Sequence[Instruction], packed: Callable[[Instruction], bool]) -> list[Unit]:
    """The stage as units, each after what it reads.

    Instructions for which `packed` holds share a unit when they are of one operation and equally
    deep, which means that none reads another. A unit comes where its first instruction stood.
    """
    chosen = {i: unit for unit in _groups(body, packed) for i in unit}
    place = {instruction.name: i for i, instruction in enumerate(body)}
    ordered: list[Unit] = []
    done: set[int] = set()
    for start in range(len(body)):
        waiting = [start]
        while waiting:
            first = waiting[-1]
            if first in done:
                waiting.pop()
                continue
            unit = chosen.get(first, (first,))
            before = [
                place[operand]
                for i in unit
                for operand in body[i].operands
                if operand in place and place[operand] not in done
            ]
            if before:
                waiting += reversed(before)
                continue
            waiting.pop()
            done.update(unit)
            ordered.append(tuple(body[i] for i in unit))
    return ordered


def _groups(
    body: Sequence[Instruction], packed: Callable[[Instruction], bool]
) -> Iterator[tuple[int, ...]]:
    """The instructions of each unit of more than one, by their places in the stage."""
    depth: dict[str | float, int] = {}
    alike: dict[tuple[object, ...], list[int]] = {}
    for i, instruction in enumerate(body):
        deep = 1 + max((depth.get(operand, 0) for operand in instruction.operands), default=0)
        depth[instruction.name] = deep
        if packed(instruction):
            alike.setdefault((deep, instruction.op, instruction.statics), []).append(i)
    for places in alike.values():
        for start in range(0, len(places), LANES):
            unit = tuple(places[start : start + LANES])
            if len(unit) > 1:
                yield unit


def chunks(ordered: Sequence[Unit], size: int) -> list[list[Unit]]:
    """The units in pieces of about `size` instructions; one piece, though empty, at least.

    >>> [len(piece) for piece in chunks([("a",), ("b", "c"), ("d",)], 2)]
    [2, 1]
    """
    pieces: list[list[Unit]] = [[]]
    count = 0
    for unit in ordered:
        if count >= size:
            pieces.append([])
            count = 0
        pieces[-1].append(unit)
        count += len(unit)
    return pieces
