"""The numbers of a page of statements that follow its sliders, and the program behind them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Final

from ...arrays.statements import Output
from ...arrays.unrolling import unroll_program
from ...codegen.compiled import compile
from .program import Program, computed_arrays

MAX_NUMBERS, MAX_LEAVES = 3_000, 128
"""Numbers that a page computes, and elements of leaves that it lets move."""

FUNCTION: Final = "compute"


@dataclass(frozen=True)
class Leaf:
    """An array that may be moved: its rows of elements, by their places among all of them."""

    name: str
    rows: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Live:
    """A program in JavaScript: the elements of the leaves in, all computed numbers out.

    source  the function
    first   array → the place of its first number among those computed
    output  the place of the output among them
    slopes  element → the place of the derivative by it among them
    given   the numbers of the elements, in the order of the arguments
    """

    source: str
    first: Mapping[str, int]
    output: int
    slopes: Mapping[int, int]
    leaves: tuple[Leaf, ...]
    given: tuple[float, ...]


def live(program: Program, leaves: Mapping[str, Any] | None) -> Live | None:
    """The program of a page; None without numbers, or where there are too many."""
    whole = program.whole
    names = computed_arrays(whole)
    sizes = [whole.arrays[name].size for name in names]
    moved = [array for array in whole.leaves if array.size]
    if leaves is None or sum(sizes) > MAX_NUMBERS or sum(a.size for a in moved) > MAX_LEAVES:
        return None
    graph = unroll_program(replace(whole, outputs=tuple(Output(name) for name in names)))
    place = {name: i for i, name in enumerate(graph.leaves)}
    given = [0.0] * len(place)
    shown = []
    for array in moved:
        points = list(product(*map(range, array.shape)))
        elements = array.elements or ["_".join(map(str, (array.name, *at))) for at in points]
        known = leaves.get(array.name)
        for name, at in zip(elements, points, strict=True):
            if name in place:
                given[place[name]] = float(leaves[name] if name in leaves else _at(known, at))
        long = array.shape[-1] if array.shape else 1
        places = [place.get(name, -1) for name in elements]
        rows = tuple(tuple(places[i : i + long]) for i in range(0, len(places), long))
        shown.append(Leaf(array.name, rows))
    first = dict(zip(names, (sum(sizes[:i]) for i in range(len(sizes))), strict=True))
    arguments = {name: graph[node] for name, node in graph.leaves.items()}
    outputs = [graph[node] for node in graph.outputs]
    made = compile(arguments, outputs, target="javascript", simplify=False, name=FUNCTION)
    slopes = {
        element: first[array] + i
        for array, of in program.slopes.items()
        for leaf in shown
        if leaf.name == of and array in first
        for i, element in enumerate(place for row in leaf.rows for place in row)
        if element >= 0
    }
    output = first[program.output]
    return Live(made.source, first, output, slopes, tuple(shown), tuple(given))


def _at(array: Any, place: tuple[int, ...]) -> Any:
    return array[place] if place else array
