"""Large networks as pictures that can be read: one box for each neuron, or each layer.

The labels say where a node belongs: `w0_2_1` and `b0_2` are parameters of neuron 2 of layer 0, and
`n0_2` and `h0_2` are computed by it. What only a neuron uses is inside it; what `grad` derived for
a node goes with the backward pass of its neuron. The same neuron at several samples is one box.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from ..arrays.homes import name_and_place
from ..graph.expr import Graph
from ..ops.scalar import ADD, CONSTANT, LEAVES, MUL, PARAMETER
from .boxes import DERIVED, caption, check_size, escape, record, weight_style

if TYPE_CHECKING:
    import graphviz

MANY_NODES: Final = 150
"""More nodes are drawn by neuron, and with more neurons by layer; without these, by array."""

MANY_ALONE, MANY_INSIDE = 16, 40
"""How many operations may have boxes of their own beside layers, and inside a neuron."""

IN_A_ROW: Final = 16
"""Into how many runs a computation without layers or arrays is divided."""

_PLACE: Final = re.compile(r"[wbnh](\d+)_(\d+)(?:_\d+)*")
_NUMBERED: Final = re.compile(r"(.*?)_?\d+")
_MANY_LEAVES: Final = 4

Place = tuple[int, int]
"""A layer, and a neuron in it."""


def groups_of(
    graph: Graph, live: Sequence[int], roots: Sequence[int], by: bool | str | None
) -> dict[int, str]:
    """The title of the box that each node goes into; empty where each has a box of its own.

    by  "neuron", "layer", "array", or None to collapse as much as is needed, if at all
    """
    if by is None and len(live) <= MANY_NODES:
        return {}
    places = neuron_places(graph, live)
    found: dict[int, str] = {}
    for kind in ("neuron", "layer") if places else ():
        if by not in (None, kind):
            continue
        primal = {node: _title(place, kind) for node, place in places.items()}
        found = _leaf_groups(graph, live, places) | _with_backward(graph, live, primal)
        if _boxes(live, found) <= MANY_NODES:
            break
    if by == "array" or (by is None and not places):
        found = _arrays(graph, live, roots)
    if by is None and places and _boxes(live, found) > MANY_NODES:
        for node in live:
            if node not in found and graph.operands[node] and node not in roots:
                found[node] = (
                    "the rest of it" if graph.origins[node] is None else "the rest, backward"
                )
    return found


def _arrays(graph: Graph, live: Sequence[int], roots: Sequence[int]) -> dict[int, str]:
    """What is computed alike, or else one after the other, with its backward pass."""
    forward = [n for n in live if graph.operands[n] and graph.origins[n] is None]
    inner = [node for node in forward if node not in roots]
    titles = _gathered(graph, _keys(graph, [n for n in live if graph.origins[n] is None]), inner, 0)
    found = _leaf_groups(graph, live, ()) | _with_backward(graph, live, titles)
    alone = [n for n in live if graph.origins[n] is not None and n not in found and n not in roots]
    return found | dict.fromkeys(alone, "the rest, backward") if len(alone) > MANY_ALONE else found


def _with_backward(graph: Graph, live: Sequence[int], titles: Mapping[int, str]) -> dict[int, str]:
    """The titles of nodes, and for what `grad` derived for them those of their backward passes."""
    found = dict(titles)
    for node in live:
        origin = graph.origins[node]
        if origin is not None and origin.primal is not None and origin.primal in titles:
            found[node] = f"backward of {titles[origin.primal]}"
    return found


def nesting(graph: Graph, live: Sequence[int]) -> dict[int, tuple[str, ...]]:
    """The titles of the boxes that each node of a forward pass is inside, the outermost first.

    A node of a network is in a layer, and there in a neuron. What is in no neuron is with those
    that are computed alike, if it is much; and if that still leaves many boxes, with those that are
    computed next to it. A node without an entry has a box of its own.

    >>> g = Graph(); x, w = g.input("x"), g.parameter("w0_1_0", 1.0)
    >>> nesting(g, [x.id, w.id, (w * x).id])
    {1: ('layer 0', 'neuron 1 of layer 0')}
    """
    places, keys = neuron_places(graph, live), _keys(graph, live)
    found: dict[int, tuple[str, ...]] = {
        node: (title,) for node, title in _leaf_groups(graph, live, places).items()
    }
    for node, place in places.items():
        found[node] = _title(place, "layer"), _title(place, "neuron")
    rest = [node for node in live if node not in found and graph.operands[node]]
    found.update(
        {node: (title,) for node, title in _gathered(graph, keys, rest, MANY_ALONE).items()}
    )
    neurons: dict[Place, list[int]] = {}
    for node in live:
        if node in places:
            neurons.setdefault(places[node], []).append(node)
    for place, nodes in neurons.items():
        computed = [node for node in nodes if graph.operands[node]]
        inside = _gathered(graph, keys, computed, MANY_INSIDE)
        if inside:
            inside.update(_leaf_groups(graph, nodes, ()))
        for node, title in inside.items():
            found[node] = *found[node], f"{title} of {_title(place, 'neuron')}"
    return found


def _gathered(
    graph: Graph, keys: Mapping[int, int], nodes: Sequence[int], most: int
) -> dict[int, str]:
    """The title for each of more than `most` nodes; none for fewer."""
    if len(nodes) <= most:
        return {}
    alike = _alike(graph, keys, nodes)
    boxes = len(set(alike.values())) + len(nodes) - len(alike)
    return alike if boxes <= MANY_INSIDE else _in_a_row(nodes)


def _keys(graph: Graph, live: Sequence[int]) -> dict[int, int]:
    """A number for each node, the same for those that differ only in elements of the same leaves.

    A sum is known by the set of its terms, however many there are.
    """
    keys: dict[object, int] = {}
    found: dict[int, int] = {}
    terms: dict[int, frozenset[int]] = {}
    for node in live:
        op, operands = graph.ops[node], graph.operands[node]
        key: object
        if op is CONSTANT:
            key = "number"
        elif not operands:
            key = op, name_and_place(graph.labels[node])[0]
        elif op is ADD:
            added = [terms.get(operand, frozenset((found[operand],))) for operand in operands]
            terms[node] = frozenset.union(*added)
            key = tuple(sorted(terms[node]))
        else:
            key = op, graph.statics.get(node, ()), tuple(found[operand] for operand in operands)
        found[node] = keys.setdefault(key, len(keys))
    return found


def _alike(graph: Graph, keys: Mapping[int, int], nodes: Sequence[int]) -> dict[int, str]:
    """The titles of those of the nodes that are computed like others of them."""
    members: dict[int, list[int]] = {}
    for node in nodes:
        members.setdefault(keys[node], []).append(node)
    return {
        node: f"{len(nodes)} × {_kind(graph, nodes[0])}" + f" ({number})" * (number > 1)
        for nodes, number in _numbered_groups(graph, members.values())
        for node in nodes
    }


def _numbered_groups(
    graph: Graph, groups: Iterable[Sequence[int]]
) -> Iterator[tuple[Sequence[int], int]]:
    """The groups of several, and for each which it is among those that read the same."""
    seen: Counter[str] = Counter()
    for nodes in groups:
        if len(nodes) > 1:
            title = f"{len(nodes)} × {_kind(graph, nodes[0])}"
            seen[title] += 1
            yield nodes, seen[title]


def _kind(graph: Graph, node: int) -> str:
    """What is said of nodes that are computed alike: their name, or their operation."""
    label = graph.labels.get(node, "")
    op = graph.ops[node]
    return name_and_place(label)[0] if label else "sum" if op is ADD else op.prose


def _in_a_row(nodes: Sequence[int]) -> dict[int, str]:
    """Nodes in the order of their computation, in as many runs as have room."""
    length = -(-len(nodes) // IN_A_ROW)
    return {
        node: f"operations {at - at % length + 1} to {min(len(nodes), at - at % length + length)}"
        for at, node in enumerate(nodes)
    }


def draw_groups(
    picture: graphviz.Digraph,
    graph: Graph,
    live: Sequence[int],
    roots: Sequence[int],
    groups: Mapping[int, str],
) -> None:
    """A box for each group, with the number of nodes in it, and one for each node in none.

    Where one weight stands for an edge, as between neurons, the edge shows it.
    """
    shown = [node for node in live if node in groups or graph.ops[node] is not CONSTANT]
    members: dict[str, list[int]] = {}
    for node in shown:
        members.setdefault(groups.get(node) or f"#{node}", []).append(node)
    check_size(len(members))
    box = {title: f"n{i}" for i, title in enumerate(members)}
    ends = set(roots)
    for title, nodes in members.items():
        style = DERIVED if all(graph.origins[node] is not None for node in nodes) else {}
        cells = (
            _alone(graph, nodes[0]) if title.startswith("#") else [title, _contents(graph, nodes)]
        )
        record(picture, box[title], cells, style, end=not ends.isdisjoint(nodes))
    counts: Counter[tuple[str, str]] = Counter()
    backward: set[tuple[str, str]] = set()
    for node in shown:
        target = groups.get(node) or f"#{node}"
        for operand in graph.operands[node]:
            source = groups.get(operand) or f"#{operand}"
            if source != target and source in box:
                counts[box[source], box[target]] += 1
                if graph.origins[node] is not None:
                    backward.add((box[source], box[target]))
    place = {name: _in_order(title) for title, name in box.items()}
    if any(layer for layer, _ in place.values()):
        # What reads a box stands in the order of its edges, so neurons do in theirs.
        picture.attr(ordering="out")
    weighed = _weights(graph, shown, groups, box)
    largest = max(map(abs, weighed.values()), default=0.0)
    for (tail, head), count in sorted(counts.items(), key=lambda edge: place[edge[0][1]]):
        style = DERIVED if (tail, head) in backward else {}
        if (tail, head) in weighed:
            style = weight_style(weighed[tail, head], largest)
        picture.edge(tail, head, **({"label": f"{count:,}"} if count > 1 else {}), **style)
    note = f"{len(live):,} nodes in {len(members):,} boxes; a number on an edge counts edges"
    dashed = "; dashed: derived by grad" if backward else ""
    weight = (
        f"; blue: a weight above 0, orange: below, to ±{largest:.2g} by width" if weighed else ""
    )
    caption(picture, f"{note}{dashed}{weight}; collapse=False draws every node")


def _weights(
    graph: Graph, shown: Sequence[int], groups: Mapping[int, str], box: Mapping[str, str]
) -> dict[tuple[str, str], float]:
    """The weight of each edge between groups along which one parameter inside multiplies."""
    found: dict[tuple[str, str], set[int]] = {}
    for node in shown:
        target, operands = groups.get(node), graph.operands[node]
        if target is None or graph.ops[node] is not MUL or graph.origins[node] is not None:
            continue
        for operand, weight in (operands, operands[::-1]):
            source = box.get(groups.get(operand) or f"#{operand}")
            inside = graph.ops[weight] is PARAMETER and groups.get(weight) == target
            if inside and source not in (None, box[target]):
                found.setdefault((source, box[target]), set()).add(weight)
    values = {
        edge: graph.value(min(weights)) for edge, weights in found.items() if len(weights) == 1
    }
    return {edge: x for edge, x in values.items() if x is not None and math.isfinite(x)}


def _in_order(title: str) -> tuple[str, int]:
    """What sorts the neurons of a layer."""
    match = _NEURON.fullmatch(title)
    return (f"{match[1] or ''}{match[3]}", int(match[2])) if match else ("", 0)


_NEURON: Final = re.compile(r"(backward of )?neuron (\d+) of (layer \d+)")


def neuron_places(graph: Graph, live: Sequence[int]) -> dict[int, Place]:
    """The neuron of each node of the forward pass that is in one."""
    places: dict[int, Place] = {}
    users: dict[int, set[Place | None]] = {}
    for node in reversed(live):
        match = _PLACE.fullmatch(graph.labels.get(node, ""))
        around = users.get(node, {None})
        if match:
            places[node] = int(match[1]), int(match[2])
        elif graph.operands[node] and graph.origins[node] is None and len(around) == 1:
            (place,) = around
            if place is not None:
                places[node] = place
        if graph.origins[node] is None:
            for operand in graph.operands[node]:
                users.setdefault(operand, set()).add(places.get(node))
    return places


def _leaf_groups(graph: Graph, live: Sequence[int], places: Container[int]) -> dict[int, str]:
    """Numbered leaves, such as x0 to x783, by the name before the number."""
    stems: dict[str, list[int]] = {}
    for node in live:
        label = graph.labels.get(node, "")
        match = _NUMBERED.fullmatch(label)
        if match and graph.is_leaf(node) and node not in places:
            stems.setdefault(match[1], []).append(node)
    return {
        node: f"{graph.labels[nodes[0]]} to {graph.labels[nodes[-1]]}"
        for nodes in stems.values()
        if len(nodes) > _MANY_LEAVES
        for node in nodes
    }


def _title(place: Place, kind: str) -> str:
    layer, neuron = place
    return f"neuron {neuron} of layer {layer}" if kind == "neuron" else f"layer {layer}"


def _boxes(live: Sequence[int], groups: Mapping[int, str]) -> int:
    return len(set(groups.values())) + sum(node not in groups for node in live)


def _contents(graph: Graph, nodes: Sequence[int]) -> str:
    """How many nodes a box stands for, and of which kind the most are."""
    kinds = Counter(graph.ops[node].name for node in nodes)
    most = ", ".join(
        f"{count:,} {name}{'s' * (name in LEAVES and count > 1)}"
        for name, count in kinds.most_common(4)
    )
    more = ", …" if len(kinds) > 4 else ""
    return escape(f"{len(nodes):,} node{'s' * (len(nodes) != 1)}: {most}{more}", 80)


def _alone(graph: Graph, node: int) -> list[str]:
    op = graph.ops[node]
    sign = op.name if not op.arity else op.sign(graph.statics.get(node, ()))
    label = graph.labels.get(node, "")
    return [escape(label), escape(sign)] if label else [escape(sign)]
