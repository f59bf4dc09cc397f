"""Names for arrays, axes and tables, and with them the program."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from ..graph.expr import Graph
from ..graph.store import is_name
from ..ops.reads import (
    Affine,
    Among,
    Apply,
    AtLeast,
    Axis,
    Condition,
    Equal,
    Index,
    Operand,
    Read,
    Reduce,
    Table,
    Term,
)
from .families import Families, Made
from .homes import name_and_place
from .shapes import LEAF as LEAF_KIND
from .shapes import Family, Shapes
from .statements import LEAF, LITERAL, Array, ArrayProgram, Home, Output, Statement
from .terms import NONE
from .wholes import places_of

_LETTERS: Final = "ijklmnpqrstuvabcdefghowxyz"


class Taken:
    """Hands out names, each once."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)

    def name(self, wish: str) -> str:
        """The wished name, or the nearest that is free."""
        name, number = wish, 2
        while name in self._taken:
            name, number = f"{wish}_{number}", number + 1
        self._taken.add(name)
        return name


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
        self._tables: dict[tuple[tuple[int, ...], tuple[int, ...]], str] = {}
        self._letters: dict[int, str] = {}
        leaves = {
            family.leaf.name
            for family in known.families
            if family.kind == LEAF_KIND and family.leaf is not None
        }
        self._vectors = {f.vector[0] for f in known.families if f.vector is not None}
        self._taken = Taken(leaves.union(arguments))
        self._free = [x for x in _LETTERS if x not in leaves and x not in arguments]
        self._count = 0
        for (shape, _), (name, values) in families.literals.items():
            own = self._names[name] = self._taken.name(name)
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
                name = self._vector("d" * level + name, len(self._arguments[name]), name)
            self._names[str(number)] = name
            return
        primal = None
        if family.primal != NONE:
            primal = self._names.get(str(self._source(family.primal)))
        label = self._graph.labels.get(family.first, "")
        stem = name_and_place(label)[0] if is_name(label) and family.primal == NONE else ""
        if not stem and primal is not None:
            stem = f"d{primal}"
        if not stem:
            self._count += 1
            stem = f"t{self._count}"
        name = self._names[str(number)] = self._taken.name(stem)
        self._arrays[name] = Array(name, shape, adjoint=primal)

    def _vector(self, name: str, length: int, primal: str) -> str:
        name = self._taken.name(name)
        self._arrays[name] = Array(name, (length,), adjoint=primal)
        return name

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
                    name = self._taken.name(f"{name}_")
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

    def _source(self, number: int) -> int:
        copy = self._families.copies.get(number)
        return number if copy is None else copy.family

    def program(self, roots: Sequence[int]) -> ArrayProgram:
        """All statements, and where the outputs are."""
        statements = tuple([self._statement(made) for made in self._families.made])
        outputs = tuple(self._outputs(roots))
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
            name = self._names[key] = self._taken.name("number")
            self._arrays[name] = Array(name, (), LITERAL, values=(number,))
        return self._names[key]

    def _letter(self, axis: int) -> str:
        axis = self._families.names.find(axis)
        if axis not in self._letters:
            count = len(self._letters)
            letter = self._free[count % len(self._free)]
            self._letters[axis] = letter * (1 + count // len(self._free))
        return self._letters[axis]

    def _statement(self, made: Made) -> Statement:
        used: set[str] = set()
        names: dict[str, str] = {}
        for axis in made.axes:
            names[axis.name] = self._axis_name(made, axis.name, used)
        renaming = _Renaming(self, names)
        value: Apply | Reduce
        if isinstance(made.value, Apply):
            value = Apply(made.value.op, renaming.operands(made.value.operands), made.value.statics)
        else:
            terms = []
            for term in made.value.terms:
                inner, also = dict(names), set(used)
                for axis in term.over:
                    inner[axis.name] = self._axis_name(made, axis.name, also)
                terms.append(_Renaming(self, inner).term(term))
            value = Reduce(made.value.op, tuple(terms))
        return Statement(
            self._names[str(made.family)],
            renaming.axes(made.axes),
            value,
            None if made.place is None else tuple(map(renaming.index, made.place)),
            renaming.domain(made.domain),
        )

    def _axis_name(self, made: Made, name: str, used: set[str]) -> str:
        letter = self._letter(made.identity[name])
        while letter in used:
            letter += "'"
        used.add(letter)
        return letter

    def array(self, name: str) -> str:
        """The name of an array that is called by number."""
        return self._names[name]

    def table(self, table: Table, wish: str) -> str:
        """The name of a table: equal ones are one."""
        key = (table.lengths, table.values)
        if key not in self._tables:
            self._tables[key] = self._taken.name(wish)
        return self._tables[key]

    def points(self, condition: Among) -> str:
        """The name of a list of points."""
        return self._taken.name("points")


class _Renaming:
    """Replaces the names of axes by others, and gives arrays and tables theirs."""

    def __init__(self, naming: _Naming, names: Mapping[str, str]) -> None:
        self._naming, self._names = naming, names

    def index(self, index: Index, wish: str = "index") -> Index:
        """An index."""
        names = self._names
        if isinstance(index, Affine):
            return Affine(index.offset, tuple([(names[a], stride) for a, stride in index.terms]))
        axes = tuple([names[axis] for axis in index.axes])
        return Table(self._naming.table(index, wish), axes, index.lengths, index.values)

    def operand(self, operand: Operand) -> Operand:
        """A read or a number."""
        if not isinstance(operand, Read):
            return operand
        name = self._naming.array(operand.array)
        return Read(name, tuple([self.index(index, f"{name}_index") for index in operand.index]))

    def operands(self, operands: Iterable[Operand]) -> tuple[Operand, ...]:
        """Several reads or numbers."""
        return tuple(map(self.operand, operands))

    def axes(self, axes: Iterable[Axis]) -> tuple[Axis, ...]:
        """Axes."""
        return tuple([Axis(self._names[axis.name], axis.length) for axis in axes])

    def domain(self, domain: Iterable[Condition]) -> tuple[Condition, ...]:
        """Conditions."""
        found: list[Condition] = []
        for condition in domain:
            if isinstance(condition, AtLeast):
                expression = self.index(condition.expression)
                assert isinstance(expression, Affine)
                found.append(AtLeast(expression))
            elif isinstance(condition, Equal):
                found.append(Equal(self.index(condition.left), self.index(condition.right)))
            else:
                axes = tuple([self._names[axis] for axis in condition.axes])
                found.append(Among(self._naming.points(condition), axes, condition.points))
        return tuple(found)

    def term(self, term: Term) -> Term:
        """A term of a sum."""
        return Term(
            term.count, self.operands(term.factors), self.axes(term.over), self.domain(term.domain)
        )
