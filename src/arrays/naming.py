"""Names for arrays, axes and tables, and with them the program."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from ..graph.expr import Graph
from ..graph.store import is_name
from ..ops.reads import (
    Affine,
    Among,
    Condition,
    Index,
    Read,
    Reduce,
    mapped,
    mapped_condition,
    reads_of,
)
from .axes import lettered
from .families import Families, Made
from .homes import name_and_place
from .shapes import LEAF as LEAF_KIND
from .shapes import Family, Shapes
from .statements import LEAF, LITERAL, Array, ArrayProgram, Home, Output, Statement
from .terms import NONE
from .wholes import places_of

_WEIGHTS: Final = re.compile("(|.*_)w([a-z][0-9]*)")
"""A name of weights that says what is made with them."""


class Names:
    """Hands out names, each once; tables that are equal have one."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)
        self._tables: dict[tuple[tuple[int, ...], tuple[int, ...]], str] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._taken

    def new(self, wish: str) -> str:
        """The wished name, or the nearest that is free."""
        name, number = wish, 2
        while name in self._taken:
            name, number = f"{wish}_{number}", number + 1
        self._taken.add(name)
        return name

    def index(self, index: Index, wish: str = "index") -> Index:
        """The index; a table with its name, which is the wished one if it is new."""
        if isinstance(index, Affine):
            return index
        key = (index.lengths, index.values)
        if key not in self._tables:
            self._tables[key] = self.new(wish)
        return replace(index, name=self._tables[key])


def named(
    graph: Graph,
    known: Shapes,
    families: Families,
    roots: Sequence[int],
    order: Iterable[int],
    arguments: Mapping[str, Sequence[int]],
) -> ArrayProgram:
    """The program of statements that have been made, everything in it named."""
    return _Naming(graph, known, families, list(order), arguments).program(roots)


class _Naming:
    def __init__(
        self,
        graph: Graph,
        known: Shapes,
        families: Families,
        order: Sequence[int],
        arguments: Mapping[str, Sequence[int]],
    ) -> None:
        self._arguments = arguments
        self._places = places_of(arguments)
        self._graph, self._known, self._families = graph, known, families
        self._arrays: dict[str, Array] = {}
        self._names: dict[str, str] = {}
        self._labels = {name_and_place(label)[0] for label in graph.labels.values()}
        self._labelled = _names_of(graph.labels, known.family)
        self._values = {made.family: made.value for made in families.made}
        leaves = {
            family.leaf.name
            for family in known.families
            if family.kind == LEAF_KIND and family.leaf is not None
        }
        self._vectors = {f.vector[0] for f in known.families if f.vector is not None}
        self._free = Names(leaves.union(arguments))
        self._sources = {wide: source for (source, *_), wide in families.wider.items()}
        self._count = 0
        for (shape, _), (name, values) in families.literals.items():
            own = self._names[name] = self._free.new(name)
            self._arrays[own] = Array(own, shape, LITERAL, values=values)
        for number in order:
            self._name_family(number)
        for name, nodes in arguments.items():
            if name not in self._arrays:
                labels = tuple([graph.labels[node] for node in nodes])
                self._arrays[name] = Array(name, (len(nodes),), LEAF, labels)
        self._place_parts()

    def _name_family(self, number: int) -> None:
        family = self._known.families[number]
        if number in self._families.numbers or number in self._families.copies:
            return
        shape = tuple(self._families.layouts[number].lengths)
        if family.leaf is not None:
            self._name_leaf(family)
            return
        if family.vector is not None:
            name, level = family.vector
            if level:
                primal, name = name, self._free.new("d" * level + name)
                self._arrays[name] = Array(name, shape, adjoint=primal)
            self._names[str(number)] = name
            return
        copy = self._families.copies.get(family.primal)
        of = self._names.get(str(family.primal if copy is None else copy.family))
        stem = self._labelled.get(number, "") if family.primal == NONE else ""
        stem = stem or (f"d{of}" if of else self._of_wider(number) or self._of_weights(number))
        if not stem:
            self._count += 1
            stem = f"t{self._count}"
        name = self._names[str(number)] = self._free.new(stem)
        self._arrays[name] = Array(name, shape, adjoint=of)

    def _of_wider(self, number: int) -> str:
        """The name of an array with zeros around it, after the array."""
        source = self._names.get(str(self._sources.get(number)))
        return f"{source.rstrip('_')}_padded" if source else ""

    def _of_weights(self, number: int) -> str:
        """The name of what weights make: `q` of a product with `wq`, if nothing else is called so.

        Nothing where there is more to it than a product with weights of such a name.
        """
        value = self._values.get(number)
        if not isinstance(value, Reduce) or len(value.terms) != 1:
            return ""
        names = [self._names.get(read.array, "") for read in reads_of(value)]
        found = [match for match in map(_WEIGHTS.fullmatch, names) if match]
        name = f"{found[0][1]}{found[0][2]}" if len(found) == 1 else ""
        return "" if name in self._free or name in self._labels else name

    def _name_leaf(self, family: Family) -> None:
        assert family.leaf is not None
        name, shape, nodes = family.leaf
        labels = self._graph.labels
        elements = tuple([labels[node] for node in nodes])
        home = None
        if nodes[0] in self._places:
            argument = self._places[nodes[0]][0]
            whole = tuple(self._arguments[argument])
            number = name == argument and not shape and argument not in self._vectors
            if whole == nodes and (len(shape) == 1 or number):
                name = argument
            else:
                home = Home(argument, tuple([self._places[node][1] for node in nodes]))
                if name in self._arguments:
                    name = self._free.new(f"{name}_")
        self._arrays[name] = Array(name, shape, LEAF, elements, home=home)
        self._names[str(family.number)] = name

    def _place_parts(self) -> None:
        """Homes for the adjoints that vectors consist of: those of their primals."""
        for family in self._known.families:
            if family.vector is None or str(family.number) not in self._names:
                continue
            vector = self._names[str(family.number)]
            for number in sorted(family.parts):
                part = self._arrays[self._names[str(number)]]
                leaf = self._known.families[self._known.families[number].primal].leaf
                assert leaf is not None
                places = tuple([self._places[node][1] for node in leaf.nodes])
                self._arrays[part.name] = replace(part, home=Home(vector, places))

    def program(self, roots: Sequence[int]) -> ArrayProgram:
        """All statements, and where the outputs are."""
        statements = tuple([self._statement(made) for made in self._families.made])
        outputs = tuple(self._outputs(roots))
        statements = lettered(statements, self._arrays)
        return ArrayProgram(self._arrays, statements, outputs, tuple(self._arguments))

    def _outputs(self, roots: Sequence[int]) -> Iterable[Output]:
        runs: list[tuple[str, list[int]]] = []
        for root in roots:
            number, lane = self._known.family[root], self._known.lane[root]
            if number in self._families.numbers:
                name, place = self._literal(float(self._families.numbers[number][lane])), 0
            else:
                name, place = self._names[str(number)], self._place(number, lane)
            if runs and runs[-1][0] == name:
                runs[-1][1].append(place)
            else:
                runs.append((name, [place]))
        for name, places in runs:
            whole = places == list(range(self._arrays[name].size))
            yield Output(name, None if whole else tuple(places))

    def _place(self, number: int, lane: int) -> int:
        layout = self._families.layouts[number]
        place = 0
        for column, length in zip(layout.columns, layout.lengths, strict=True):
            place = place * length + int(column[lane])
        return place

    def _literal(self, number: float) -> str:
        key = f"number {number!r}"
        if key not in self._names:
            name = self._names[key] = self._free.new("number")
            self._arrays[name] = Array(name, (), LITERAL, values=(number,))
        return self._names[key]

    def _statement(self, made: Made) -> Statement:
        return Statement(
            self._names[str(made.family)],
            tuple(made.axes),
            mapped(made.value, self._read, self._condition),
            None if made.place is None else tuple(map(self._free.index, made.place)),
            tuple(map(self._condition, made.domain)),
        )

    def _read(self, read: Read) -> Read:
        """A read of an array that has been called by number."""
        name = self._names[read.array]
        return Read(name, tuple([self._free.index(index, f"{name}_index") for index in read.index]))

    def _condition(self, condition: Condition) -> Condition:
        """A condition, a list of points with a name of its own."""
        if isinstance(condition, Among):
            return replace(condition, name=self._free.new("points"))
        return mapped_condition(condition, self._free.index)


def _names_of(labels: Mapping[int, str], families: Mapping[int, int]) -> dict[int, str]:
    """The name of each family that has labels: the words with which those of its elements begin.

    >>> _names_of({4: "new_m_w0_0_1", 5: "new_m_b0_1", 7: "h_0"}, {4: 0, 5: 0, 7: 1})
    {0: 'new_m', 1: 'h'}
    """
    words: dict[int, list[str]] = {}
    for node, label in labels.items():
        if node not in families:
            continue
        own = name_and_place(label)[0].split("_") if is_name(label) else []
        known = words.setdefault(families[node], own)
        same = [a == b for a, b in zip(known, own, strict=False)]
        words[families[node]] = known[: [*same, False].index(False)]
    names = {number: "_".join(found) for number, found in words.items()}
    return {number: name for number, name in names.items() if is_name(name)}
