"""Step 4: the derivative as a sum over paths, each the product of the derivatives on its edges."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

from .data import Directions, Factor, Formula, PathProduct, Paths, Sweep
from .derivation import Derivation, Edge
from .steps import edge_id, node_id
from .words import counted, finite

MAX_PATHS: Final = 8
"""How many paths to one leaf are written out."""


def paths(d: Derivation, leaf: int) -> Paths:
    """Step 4, for one asked leaf: its paths, and that their products add up to its derivative."""
    output = d.names[d.root]
    reach = _counts(d, leaf)
    count = reach.get(d.root, 0)
    found = tuple(_written_path(d, edges) for edges in _enumerate(d, leaf, reach))
    total = _sum_over_paths(d, leaf)
    name = d.names[leaf]
    capped = count > len(found)
    sentence = f"{counted(count, 'path')} from {output} to {name}."
    if count > 1:
        sentence += " Multiply along each path, add over the paths."
    if capped:
        sentence += f" The first {len(found)} are shown; the sum is over all {count:,}."
    return Paths(
        id=f"paths-n{leaf}",
        part=4,
        kind="paths",
        title=f"From {output} to {name}: {counted(count, 'path')}",
        sentence=sentence,
        node=node_id(leaf),
        finite=finite(total, *(path.value for path in found)),
        count=count,
        shown=found,
        total=total,
        capped=capped,
    )


def directions(d: Derivation) -> Directions:
    """The last of step 4, where more than one derivative is asked for."""
    output = d.names[d.root]
    sweeps = tuple(
        Sweep(node_id(leaf), _edges_above(d, leaf), _sum_over_paths(d, leaf)) for leaf in d.wrt
    )
    forward = sum(sweep.edges for sweep in sweeps)
    more = " The more leaves, the more that is: training goes backward." * (forward > len(d.shares))
    return Directions(
        id="directions",
        part=4,
        kind="directions",
        title="Why backward",
        sentence=(
            "Forward mode starts at a leaf with 1 and carries the derivative by that leaf up, node "
            "by node, adding where edges meet: the same local derivatives, multiplied from the "
            f"other end. It needs a sweep for each leaf, here {len(sweeps)} sweeps over {forward} "
            f"edges. The backward pass starts at {output} and finds all {len(sweeps)} derivatives "
            f"in one sweep over {counted(len(d.shares), 'edge')}.{more}"
        ),
        node=node_id(d.root),
        finite=finite(*(sweep.value for sweep in sweeps)),
        sweeps=sweeps,
        forward=forward,
        backward=len(d.shares),
    )


def forward_edges(d: Derivation) -> int:
    """How many edges forward mode takes altogether, with a sweep for each asked leaf."""
    behind = {leaf: 1 << place for place, leaf in enumerate(d.wrt)}
    edges = 0
    for node in d.live:
        if node in d.adjoint:
            for _, operand in _open_edges(d, node):
                edges += behind.get(operand, 0).bit_count()
                behind[node] = behind.get(node, 0) | behind.get(operand, 0)
    return edges


def _edges_above(d: Derivation, leaf: int) -> int:
    """How many edges the derivative by a leaf is carried along on the way to the output."""
    above = _above(d, leaf)
    carried = {leaf, *above}
    return sum(operand in carried for node in above for _, operand in _open_edges(d, node))


def _above(d: Derivation, leaf: int) -> list[int]:
    """The nodes that a derivative by a leaf is carried to, operands first."""
    found: set[int] = set()
    stack = [leaf]
    while stack:
        below = stack.pop()
        for node in d.readers.get(below, ()):
            if node in found or node not in d.adjoint:
                continue
            if any(operand == below for _, operand in _open_edges(d, node)):
                found.add(node)
                stack.append(node)
    return sorted(found)


def _open_edges(d: Derivation, node: int) -> list[tuple[int, int]]:
    """The operands of a node with their positions, where a share passes."""
    return [
        (position, operand)
        for position, operand in enumerate(d.graph.operands[node])
        if (node, position) in d.shares
    ]


def _counts(d: Derivation, leaf: int) -> dict[int, int]:
    """How many paths lead from each node to the leaf, counted operands first."""
    counts = {leaf: 1}
    for node in _above(d, leaf):
        counts[node] = sum(counts.get(operand, 0) for _, operand in _open_edges(d, node))
    return counts


def _enumerate(d: Derivation, leaf: int, reach: dict[int, int]) -> Iterator[list[Edge]]:
    """The first paths, each a list of edges from the output down."""
    if d.root not in reach:
        return
    stack: list[tuple[int, list[Edge]]] = [(d.root, [])]
    made = 0
    while stack and made < MAX_PATHS:
        node, path = stack.pop()
        if node == leaf:
            made += 1
            yield path
            continue
        for position, operand in reversed(_open_edges(d, node)):
            if operand in reach:
                stack.append((operand, [*path, (node, position)]))


def _sum_over_paths(d: Derivation, leaf: int) -> float | None:
    """The sum over all paths of the products of local derivatives, from the leaf up.

    This order of summation is forward mode: another way than the backward pass to the same number.
    """
    if d.symbolic:
        return None
    slopes: dict[int, float] = {leaf: 1.0}
    for node in _above(d, leaf):
        slopes[node] = sum(
            slopes[operand] * d.values[d.local[node, position]]
            for position, operand in _open_edges(d, node)
            if operand in slopes
        )
    return slopes.get(d.root, 0.0)


def _written_path(d: Derivation, edges: Sequence[Edge]) -> PathProduct:
    factors = [_factor(d, edge) for edge in edges]
    nodes = [d.root, *(d.graph.operands[node][position] for node, position in edges)]
    values = [factor.value for factor in factors]
    value = None if d.symbolic else math.prod(v for v in values if v is not None)
    return PathProduct(
        nodes=tuple(map(node_id, nodes)),
        edges=tuple(factor.edge for factor in factors),
        factors=tuple(factors),
        product=_times_all(factors),
        value=value,
    )


def _factor(d: Derivation, edge: Edge) -> Factor:
    """What an edge contributes to every path along it."""
    node, position = edge
    operand = d.graph.operands[node][position]
    return Factor(edge_id(operand, node, position), d.local_written(edge), d.value(d.local[edge]))


def _times_all(factors: Sequence[Factor]) -> Formula:
    """The factors of a path multiplied, in brackets where they need them."""
    if not factors:
        return Formula("1", "1")
    plain = [f.local.text for f in factors]
    latex = [f.local.latex for f in factors]
    if len(factors) == 1:
        return factors[0].local
    return Formula(
        " · ".join(f"({t})" if _is_compound(t) else t for t in plain),
        r" \cdot ".join(
            rf"\left({tex}\right)" if _is_compound(t) else tex
            for t, tex in zip(plain, latex, strict=True)
        ),
    )


def _is_compound(text: str) -> bool:
    return text.startswith("-") or " " in text or "*" in text or "/" in text
