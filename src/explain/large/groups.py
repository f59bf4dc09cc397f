"""What a large expression opens as: layers, neurons and arrays, each inside another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from ...arrays.homes import name_and_place
from ...arrays.indexnotation import LatexWriter, Writer
from ...arrays.roll import Rolled
from ...arrays.rolling import rolled_nodes
from ...draw.groups import nesting
from ...ops.scalar import CONSTANT
from ..data import Formula
from ..derivation import Derivation
from ..judges import claim_of
from ..words import counted


@dataclass(frozen=True)
class Group:
    """A box with others in it.

    parent  the place of the group that it is inside, None for the outermost
    nodes   all nodes inside, operands first
    ends    those of them that something outside reads, or the output
    """

    title: str
    parent: int | None
    nodes: tuple[int, ...]
    ends: tuple[int, ...]


@dataclass(frozen=True)
class Groups:
    """The groups of an expression, an outer one before those in it, and what they compute.

    forward, backward  for each group the statements in index notation that say what it does
    """

    derivation: Derivation
    groups: tuple[Group, ...]
    inside: dict[int, int]

    @classmethod
    def of(cls, d: Derivation) -> Groups:
        """The groups of the expression of a walk-through."""
        shown = [node for node in d.live if d.graph.ops[node] is not CONSTANT]
        paths = nesting(d.graph, d.live)
        members: dict[tuple[str, ...], list[int]] = {}
        for node in shown:
            path = paths.get(node, ())
            for length in range(1, len(path) + 1):
                members.setdefault(path[:length], []).append(node)
        ordered = sorted(members, key=lambda path: (len(path), max(members[path])))
        place = {path: i for i, path in enumerate(ordered)}
        groups = []
        for path in ordered:
            nodes = members[path]
            within = set(nodes)
            ends = [n for n in nodes if n == d.root or not within.issuperset(d.readers.get(n, ()))]
            groups.append(Group(path[-1], place.get(path[:-1]), tuple(nodes), tuple(ends)))
        inside = {node: place[paths[node]] for node in shown if paths.get(node)}
        return cls(d, tuple(groups), inside)

    @property
    def outermost(self) -> list[Group]:
        """The groups that are in no other."""
        return [group for group in self.groups if group.parent is None]

    def leaves(self, group: Group) -> list[int]:
        """The leaves inside a group."""
        return [node for node in group.nodes if self.derivation.graph.is_leaf(node)]

    def arrays(self, group: Group) -> list[tuple[str, list[int]]]:
        """The leaves inside a group by the names before their numbers, in the order of these."""
        found: dict[str, list[tuple[tuple[int, ...], int]]] = {}
        for leaf in self.leaves(group):
            stem, place = name_and_place(self.derivation.names[leaf])
            found.setdefault(stem, []).append((place, leaf))
        return [(stem, [leaf for _, leaf in sorted(found[stem])]) for stem in sorted(found)]

    def counts(self, group: Group) -> str:
        """What is inside, counted."""
        place = self.groups.index(group)
        leaves = len(self.leaves(group))
        neurons = sum(g.parent == place and g.title.startswith("neuron") for g in self.groups)
        counts = [
            (neurons, "neuron"),
            (leaves, "parameter" if _is_network(group) else "number"),
            (len(group.nodes) - leaves, "operation"),
        ]
        return ", ".join(counted(n, what) for n, what in counts if n)

    @property
    def data(self) -> list[int]:
        """The leaves that are in no layer."""
        inside = {leaf for group in filter(_is_network, self.outermost) for leaf in group.nodes}
        return [leaf for leaf in self.derivation.leaves if leaf not in inside]

    @cached_property
    def rolled(self) -> Rolled:
        """The output and the derivatives that were asked for, in index notation."""
        claim = claim_of(self.derivation)
        return Rolled(*rolled_nodes(claim.graph, [claim.root, *claim.gradient]))

    @cached_property
    def _lines(self) -> list[_Said]:
        program = self.rolled.program
        leaves = {name_and_place(name)[0] for name in self.derivation.graph.leaves}
        said = []
        for (statement, text), (_, latex) in zip(
            program.lines(Writer), program.lines(LatexWriter), strict=True
        ):
            name, of = statement.array, program.arrays[statement.array].adjoint or ""
            if not of and name[:1] == "d" and name[1:] in leaves:
                of = name[1:]
            said.append(_Said(name, of, Formula(text, latex)))
        return said

    def all_statements(self) -> tuple[list[Formula], list[Formula]]:
        """All statements in index notation: forward, and backward."""
        return _split(self._lines)

    def statements(self, group: Group) -> tuple[list[Formula], list[Formula]]:
        """What a group does in index notation: forward, and backward."""
        stems = self._stems(group)
        return _split([line for line in self._lines if (line.of or line.array) in stems])

    def other_statements(self) -> tuple[list[Formula], list[Formula]]:
        """The statements of no layer: those of a loss, or all where there are no layers."""
        stems = {stem for group in self.outermost for stem in self._stems(group)}
        return _split([line for line in self._lines if (line.of or line.array) not in stems])

    def _stems(self, group: Group) -> set[str]:
        labels = self.derivation.graph.labels
        return {name_and_place(labels[node])[0] for node in group.nodes if node in labels}


def _is_network(group: Group) -> bool:
    return group.title.startswith(("layer", "neuron"))


class _Said(NamedTuple):
    """A statement: its array, what that is the adjoint of, and how it is written."""

    array: str
    of: str
    formula: Formula


def _split(lines: Iterable[_Said]) -> tuple[list[Formula], list[Formula]]:
    """The forward and the backward statements."""
    forward: list[Formula] = []
    backward: list[Formula] = []
    for line in lines:
        (backward if line.of else forward).append(line.formula)
    return forward, backward


def span(values: Iterable[float | None]) -> Sequence[float]:
    """The least and the largest of some numbers, or nothing where none is known."""
    known = [value for value in values if value is not None]
    return (min(known), max(known)) if known else ()
