"""`roll`: forget the indices of a scalar graph, and find the array program that it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final, NamedTuple

from ..errors import ShapeError
from ..graph.expr import Graph
from ..graph.store import live_nodes
from ..ops.reads import Reduce, Table, reads_of
from ..ops.shapes import shape_text
from .circles import add_circle, folded
from .domains import is_list
from .families import Families, Made
from .homes import LeafArray, leaf_homes
from .joins import join_single_terms
from .naming import named
from .parting import told_apart
from .repeats import merge_repeats
from .rows import rows_apart
from .shapes import APPLY, REDUCE, Shapes, circular, in_order, needed, shapes
from .stacked import stacked
from .statements import ArrayProgram
from .terms import Scalars, scalars
from .uses import homes_by_use
from .wholes import join_wholes, places_of


@dataclass(frozen=True)
class Survey:
    """How regular a scalar graph is.

    nodes   how many nodes it has
    left    how many operations and sums there are, a chain of additions and its products being one
    shapes  how many different shapes these have: at most this many statements
    alone   how many are the only one of their shape, by operation
    """

    nodes: int
    left: int
    shapes: int
    alone: Mapping[str, int]

    @property
    def regular(self) -> bool:
        """Whether it is worth while to write it as arrays: a few shapes, or many of each."""
        return self.shapes <= FEW or self.left >= OFTEN * self.shapes

    def __str__(self) -> str:
        text = (
            f"{self.nodes:,} scalar nodes, {self.left:,} operations and sums of "
            f"{self.shapes:,} shape{'s' * (self.shapes != 1)}"
        )
        count = sum(self.alone.values())
        if not count:
            return text
        kinds = Counter(self.alone).most_common(6)
        shown = ", ".join(f"{number:,} {name}" for name, number in kinds)
        text += f"; {count:,} are the only ones of their shape ({shown})"
        return text if self.regular else f"{text}: too irregular for arrays"


FEW: Final = 400
"""As many shapes are always made statements."""

OFTEN: Final = 4
"""How often a shape has to occur on average where there are more."""


@dataclass(frozen=True)
class Rolling:
    """What became of a scalar graph: the program, or None where it is too irregular for one."""

    program: ArrayProgram | None
    survey: Survey

    def __str__(self) -> str:
        return str(self.survey) if self.program is None else f"{self.survey}\n{self.program}"


def roll_nodes(
    graph: Graph, roots: Sequence[int], arguments: Mapping[str, Sequence[int]] | None = None
) -> ArrayProgram:
    """The array program that computes some nodes of a scalar graph, however irregular.

    arguments  the leaves of each argument of the function that is to be made, by name; leaves of
               one argument lie in one vector, and what is done alike to all of it is one statement

    >>> g = Graph(); x = g.inputs("x_", 3); w = [g.inputs(f"w_{j}_", 3) for j in range(2)]
    >>> y = [sum(a * b for a, b in zip(row, x)) for row in w]
    >>> print(roll_nodes(g, [e.id for e in y]))
    t1[i] = Σ_j x[j]·w[i, j]
    """
    return rolled_nodes(graph, roots, arguments)[0]


def rolled_nodes(
    graph: Graph, roots: Sequence[int], arguments: Mapping[str, Sequence[int]] | None = None
) -> tuple[ArrayProgram, Survey]:
    """The array program that computes some nodes, and how regular they are."""
    program, survey = _rolled(graph, roots, arguments or {}, always=True)
    assert program is not None
    return program, survey


def roll_if_regular(
    graph: Graph, roots: Sequence[int], arguments: Mapping[str, Sequence[int]] | None = None
) -> Rolling:
    """The array program of some nodes, unless they are too irregular, and how regular they are."""
    return Rolling(*_rolled(graph, roots, arguments or {}, always=False))


def _rolled(
    graph: Graph, roots: Sequence[int], arguments: Mapping[str, Sequence[int]], always: bool
) -> tuple[ArrayProgram | None, Survey]:
    """The program; the one with arrays by use if names do not tell and it has fewer tables."""
    nodes = len(live_nodes(graph, roots))
    found, known = _shaped(graph, roots, arguments)
    made = _program(found, known, nodes, always)
    if made.program is not None and made.survey.regular and made.untold:
        homes = homes_by_use(found, known, known.homes, made.untold)
        if list(homes) != list(known.homes):
            again = _joined(found, shapes(found, homes, arguments))
            other = _program(found, again, nodes, always=True)
            if other.program and len(other.program.tables) < len(made.program.tables):
                made = other
    return made.program, made.survey


def _shaped(
    graph: Graph, roots: Sequence[int], arguments: Mapping[str, Sequence[int]]
) -> tuple[Scalars, Shapes]:
    if graph.shapes:
        for node in live_nodes(graph, roots):
            if node in graph.shapes:
                raise ShapeError(
                    f"{graph[node]!r} is an array of shape {shape_text(graph.shapes[node])}; what "
                    "is rolled is a graph of scalars: use it as it is, or unroll it first"
                )
    within = {node: name for node, (name, _) in places_of(arguments).items()}
    homes: Sequence[LeafArray] = leaf_homes(graph, graph.leaves.values(), within)
    found = scalars(graph, roots)
    known = shapes(found, homes, arguments)
    if circular(known.families, sorted({known.family[root] for root in found.roots})):
        found.adjoint.clear()  # then adjoints are sums like others
        known = shapes(found, homes, arguments)
    return found, _joined(found, stacked(found, known))


def _joined(found: Scalars, known: Shapes) -> Shapes:
    """The shapes after what is the same has been joined; the scalars are changed."""
    changed = merge_repeats(found, known)
    changed = join_single_terms(found, known) or changed
    changed = join_wholes(found, places_of(known.arguments)) or changed
    return shapes(found, known.homes, known.arguments) if changed else known


def _survey(known: Shapes, nodes: int) -> Survey:
    computed = [f for f in known.families if f.kind in (APPLY, REDUCE)]
    alone = Counter(f.op.name for f in computed if f.size == 1 and f.op is not None)
    left = sum(family.size for family in computed)
    return Survey(nodes, left, sum(known.times(f.number) for f in computed), dict(alone))


class _Program(NamedTuple):
    """A program, none where there are too many shapes, and how regular what it computes is.

    untold   the arrays of leaves that are, or make, what it reads through tables
    """

    program: ArrayProgram | None
    untold: frozenset[str]
    survey: Survey


def _program(found: Scalars, known: Shapes, nodes: int, always: bool) -> _Program:
    known = folded(found, known)
    survey = _survey(known, nodes)
    if not (always or survey.regular):
        return _Program(None, frozenset(), survey)
    families, order = _families(found, known)
    while families.parted and not known.levels:
        told = told_apart(known, families.parted)
        other = shapes(found, known.homes, known.arguments, told)
        again, other_order = _families(found, other)
        if _lists(again.made) >= _lists(families.made):
            break
        known, families, order = other, again, other_order
    program = named(found.graph, known, families, found.roots, order, known.arguments)
    if known.levels:
        program = rows_apart(program)
    return _Program(program, _by_tables(known, families.made), survey)


def _families(found: Scalars, known: Shapes) -> tuple[Families, list[int]]:
    """The statements of all families, and the order of those that are computed."""
    wanted = sorted({known.family[root] for root in found.roots})
    computed = needed(known.families, wanted)
    keep = set(wanted).union(*[known.families[number].parts for number in computed])
    order = in_order(known.families, wanted)
    everything = list(chain.from_iterable(order))
    families = Families(known, computed, keep, _applied(known, everything))
    for numbers in order:
        if numbers[0] in known.levels:
            add_circle(families, [known.families[number] for number in numbers], known.levels)
        else:
            families.add(numbers[0])
    ordered = [number for number in everything if number in computed]
    for (source, *_), wider in families.wider.items():
        ordered.insert(ordered.index(source) + 1, wider)
    return families, ordered


def _lists(statements: Iterable[Made]) -> int:
    """How many lists of points statements have."""
    terms = [t for made in statements if isinstance(made.value, Reduce) for t in made.value.terms]
    domains = [*[made.domain for made in statements], *[term.domain for term in terms]]
    return sum(is_list(condition) for domain in domains for condition in domain)


def _by_tables(known: Shapes, statements: Iterable[Made]) -> frozenset[str]:
    """The names of arrays of leaves that are, or make, what is read through tables."""
    reads = [read for made in statements for read in reads_of(made.value)]
    tables = [read for read in reads if any(isinstance(index, Table) for index in read.index)]
    below = needed(known.families, [int(read.array) for read in tables if read.array.isdigit()])
    leaves = [known.families[number].leaf for number in below]
    return frozenset([leaf.name for leaf in leaves if leaf is not None])


def _applied(known: Shapes, order: Iterable[int]) -> set[int]:
    """The families whose elements are operands of operations, or of maxima and minima."""
    found: set[int] = set()
    for number in order:
        made = known.families[number]
        if made.kind == APPLY:
            found.update(made.inputs)
        elif made.op is not None and made.op.name != "add":
            found |= made.needs()
    return found
