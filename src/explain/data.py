"""The steps of a walk-through as data: what every rendering reads, and nothing that renders.

A walk-through is an ordered tuple of steps in eight parts: the question (0), the forward pass
(1), the seed (2), the backward pass (3), paths (4), agreement with independent judges (5), the
generated code (6) and the update (7). Ids follow from the expression alone. A number that is not
known is None.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from html import escape
from typing import Any, Final

Number = float | None
"""A number, or None where nothing was computed."""

PARTS: Final = (
    "The question",
    "Forward",
    "The seed",
    "Backward",
    "Paths",
    "Agreement",
    "The code",
    "The update",
)
"""The titles of the parts, by number."""


@dataclass(frozen=True)
class Formula:
    r"""One formula as plain text and in LaTeX.

    live  the LaTeX for a page whose numbers follow its sliders, `\slot{7}` standing for the number
          of node 7; "" where it has no such numbers. It is no part of the data that is saved
    """

    text: str
    latex: str
    live: str = field(default="", repr=False, compare=False)

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, repr=False)
class Node:
    """One node of the expression.

    name             of a leaf its name, of a computed node its label, v1, v2, … or L; of a constant
                     its digits
    formula          the operation on the names of its operands
    expanded         the formula down to the leaves
    adjoint          d output / d node
    adjoint_formula  the adjoint as the compiler derived it, in the names of the nodes
    number           the node in `Walkthrough.graph`, `adjoint_number` that of its adjoint
    """

    id: str
    name: str
    label: str
    latex: str
    kind: str
    op: str
    sign: str
    operands: tuple[str, ...]
    formula: Formula
    expanded: Formula
    value: Number
    adjoint: Number
    adjoint_formula: Formula | None
    number: int
    adjoint_number: int | None

    def __repr__(self) -> str:
        computed = f" = {self.formula}" if self.operands else ""
        return f"<node {self.id}: {self.name}{computed}>"


@dataclass(frozen=True, repr=False)
class Step:
    """What all steps have: an id, the part it belongs to, words, the node it is about.

    finite is False when a number of this step is infinite or not a number.
    """

    id: str
    part: int
    kind: str
    title: str
    sentence: str
    node: str | None
    finite: bool

    def __repr__(self) -> str:
        return f"<step {self.id}: {self.title}>"


@dataclass(frozen=True, repr=False)
class Task(Step):
    """Step 0: what is asked, of what, and what it costs in operations."""

    output: str
    wrt: tuple[str, ...]
    leaves: tuple[str, ...]
    cost: Mapping[str, int]
    operations: int
    symbolic: bool


@dataclass(frozen=True, repr=False)
class Forward(Step):
    """Step 1, one node: formula = with numbers in it = value."""

    formula: Formula
    substituted: Formula | None
    value: Number


@dataclass(frozen=True, repr=False)
class Seed(Step):
    """Step 2: the derivative of the output with respect to itself."""

    formula: Formula
    value: float


@dataclass(frozen=True)
class Arrival:
    """A share that reached a node: from which consumer, as which operand, by which step."""

    via: str
    position: int
    step: str
    amount: Number


@dataclass(frozen=True)
class Contribution:
    """What one operand of a node gets: upstream × local = product, added to the operand's total.

    upstream_step  the step where the upstream number was complete
    before, after  the operand's running total
    first          nothing had arrived before: `before` is 0 because nothing was computed
    blocked        the local derivative is 0: nothing passes through this edge
    wanted         False for an operand that no derivative is asked through; it has no numbers
    """

    edge: str
    operand: str
    position: int
    rule: str
    sentence: str
    local: Formula
    local_substituted: Formula | None
    local_value: Number
    upstream_step: str
    upstream: Formula
    upstream_value: Number
    product: Formula
    product_value: Number
    before: Number
    after: Number
    total: str
    first: bool
    blocked: bool
    wanted: bool
    local_number: int | None
    product_number: int | None


@dataclass(frozen=True, repr=False)
class Backward(Step):
    """Step 3, one node: why it is ready, what arrived, and what it passes to its operands."""

    ready: str
    arrivals: tuple[Arrival, ...]
    adjoint: Number
    adjoint_name: Formula
    adjoint_formula: Formula
    total: str
    passes: tuple[Contribution, ...]


@dataclass(frozen=True)
class Rewriting:
    """A part of the expression as it is written, and as the compiler differentiates it.

    shift  what is called max in `after`: the largest exponent, which no derivative passes
    """

    node: str
    before: Formula
    after: Formula
    shift: Formula | None


@dataclass(frozen=True)
class Slopes:
    """One leaf's derivative by the rules on what is written, and as it is compiled."""

    leaf: str
    written: float
    compiled: float


@dataclass(frozen=True, repr=False)
class Stable(Step):
    """The last of step 3, where the compiler differentiates something else than what is written.

    rules       the names of the rewrites
    rewritings  the parts that were rewritten; empty where a branch was guarded and no more
    here        the derivatives both ways, at the given values
    point       other values, at which the two ways differ, and `there` the derivatives; empty if
                they differ here, or nowhere
    why         what goes wrong where they differ
    """

    rules: tuple[str, ...]
    rewritings: tuple[Rewriting, ...]
    here: tuple[Slopes, ...]
    point: Mapping[str, float]
    there: tuple[Slopes, ...]
    why: str


@dataclass(frozen=True)
class Factor:
    """One edge of a path: its local derivative."""

    edge: str
    local: Formula
    value: Number


@dataclass(frozen=True)
class PathProduct:
    """One path from the output to a leaf, and the product of the derivatives on its edges."""

    nodes: tuple[str, ...]
    edges: tuple[str, ...]
    factors: tuple[Factor, ...]
    product: Formula
    value: Number


@dataclass(frozen=True, repr=False)
class Paths(Step):
    """Step 4, one leaf: the paths to it, each with its product; their sum is the derivative.

    count is the true number of paths, of which `shown` may be the first few; `total` is the sum
    over all of them, found edge by edge from the leaf's side.
    """

    count: int
    shown: tuple[PathProduct, ...]
    total: Number
    capped: bool


@dataclass(frozen=True)
class Sweep:
    """Forward mode from one leaf: how many edges it takes, and the derivative it ends with."""

    leaf: str
    edges: int
    value: Number


@dataclass(frozen=True, repr=False)
class Directions(Step):
    """The last of step 4, where there are several leaves: forward mode beside the backward pass.

    sweeps    forward mode, a sweep a leaf
    forward   how many multiplications they take together, one an edge
    backward  how many the one backward pass takes
    """

    sweeps: tuple[Sweep, ...]
    forward: int
    backward: int


@dataclass(frozen=True)
class Judgement:
    """One leaf's derivative, four ways: graph, sympy, difference quotient, compiled function.

    compared  whether at least two of them are numbers; those that are must agree
    """

    leaf: str
    name: str
    graph: Number
    sympy: Number
    difference: Number
    compiled: Number
    graph_formula: Formula
    sympy_formula: Formula | None
    judgement: str
    compared: bool
    agrees: bool
    note: str


@dataclass(frozen=True, repr=False)
class Agreement(Step):
    """Step 5: every derivative judged, at the values asked for or else at `point`."""

    rows: tuple[Judgement, ...]
    point: Mapping[str, float]
    conclusion: str

    def __repr__(self) -> str:
        return f"<step {self.id}: {self.conclusion}>"

    def _repr_html_(self) -> str:
        """What a notebook shows: the numbers of each derivative side by side."""
        heads = ("leaf", "graph", "sympy", "difference", "compiled", "agree")
        lines = [[f"<th>{head}</th>" for head in heads]]
        for row in self.rows:
            numbers = (row.graph, row.sympy, row.difference, row.compiled)
            texts = ["—" if x is None else f"{x:.10g}" for x in numbers]
            verdict = "NO" if not row.agrees else "yes" if row.compared else "—"
            lines.append([f"<td>{escape(text)}</td>" for text in (row.name, *texts, verdict)])
        body = "".join(f"<tr>{''.join(line)}</tr>" for line in lines)
        return f"<table>{body}</table><p>{escape(self.conclusion)}</p>"


@dataclass(frozen=True)
class PassChange:
    """What one simplification pass did."""

    name: str
    nodes_before: int
    nodes_after: int
    operations_before: Mapping[str, int]
    operations_after: Mapping[str, int]
    rewrites: Mapping[str, int]


@dataclass(frozen=True)
class CarriedLine:
    """Which line of the generated code computes the number of a step; None when none has to.

    variable  what the line assigns the number to; "" where it is computed inside the line only
    note      what else there is to say: why there is no line, or that it is inside the line
    """

    step: str
    variable: str
    line: int | None
    code: str
    note: str


@dataclass(frozen=True, repr=False)
class Code(Step):
    """Step 6: simplification, before and after, and the generated function."""

    passes: tuple[PassChange, ...]
    source: str
    lines: tuple[CarriedLine, ...]


@dataclass(frozen=True)
class Rate:
    """One learning rate: the decrease lr·‖g‖² that the gradient promises, and the real one."""

    rate: float
    predicted: float
    new_output: float
    actual: float
    note: str


@dataclass(frozen=True)
class Moved:
    """A leaf that the update moves, with its value and its derivative."""

    leaf: str
    value: float
    gradient: float


@dataclass(frozen=True, repr=False)
class Update(Step):
    """Step 7: w ← w - lr·g."""

    leaves: tuple[Moved, ...]
    squared_norm: float
    before: float
    rates: tuple[Rate, ...]


def plain(thing: Any) -> Any:
    """Dataclasses as dicts, tuples as lists, numbers that JSON lacks as text.

    >>> plain((Formula("x", "x"), float("inf"), None))
    [{'text': 'x', 'latex': 'x'}, 'inf', None]
    """
    if is_dataclass(thing) and not isinstance(thing, type):
        return {f.name: plain(getattr(thing, f.name)) for f in fields(thing) if f.repr}
    if isinstance(thing, Mapping):
        return {key: plain(value) for key, value in thing.items()}
    if isinstance(thing, (tuple, list)):
        return [plain(item) for item in thing]
    if isinstance(thing, float) and not math.isfinite(thing):
        return str(thing)
    return thing
