"""The chain rule at work on one expression, as data: what every rendering of a walk-through reads.

A walk-through is an ordered tuple of steps in eight parts: the question (0), the forward pass
(1), the seed (2), the backward pass (3), paths (4), agreement with independent judges (5), the
generated code (6) and the update (7). Ids follow from the expression alone. A number that is not
known is None.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..errors import UnknownNameError
from ..storage import write_text

if TYPE_CHECKING:
    from ..codegen.compiled import Compiled
    from ..graph.expr import Expr, Graph
    from .derivation import Derivation
    from .mistakes import Mistake
    from .predict import Question, Verdict

_UNSEEN: Final = re.compile("[\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What JSON allows in a text and no reader should meet: controls, direction marks, surrogates."""

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
    """One formula as plain text and in LaTeX."""

    text: str
    latex: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
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


@dataclass(frozen=True)
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


@dataclass(frozen=True)
class Task(Step):
    """Step 0: what is asked, of what, and what it costs in operations."""

    output: str
    wrt: tuple[str, ...]
    leaves: tuple[str, ...]
    cost: Mapping[str, int]
    operations: int
    symbolic: bool


@dataclass(frozen=True)
class Forward(Step):
    """Step 1, one node: formula = with numbers in it = value."""

    formula: Formula
    substituted: Formula | None
    value: Number


@dataclass(frozen=True)
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


@dataclass(frozen=True)
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


@dataclass(frozen=True)
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
class Judgement:
    """One leaf's derivative, four ways: graph, sympy, difference quotient, compiled function."""

    leaf: str
    graph: Number
    sympy: Number
    difference: Number
    compiled: Number
    graph_formula: Formula
    sympy_formula: Formula | None
    judgement: str
    agrees: bool
    note: str


@dataclass(frozen=True)
class Agreement(Step):
    """Step 5: every derivative judged, at the values asked for or else at `point`."""

    rows: tuple[Judgement, ...]
    point: Mapping[str, float]
    conclusion: str


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
    """Which line of the generated code computes the number of a step; None when none has to."""

    step: str
    variable: str
    line: int | None
    code: str
    note: str


@dataclass(frozen=True)
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


@dataclass(frozen=True)
class Update(Step):
    """Step 7: w ← w - lr·g."""

    leaves: tuple[Moved, ...]
    squared_norm: float
    before: float
    rates: tuple[Rate, ...]


@dataclass(frozen=True, repr=False)
class Walkthrough:
    """The steps by which the chain rule finds the derivatives of one expression.

    nodes             the expression, operands before their consumers
    steps             what happens, in order
    symbolic          whether there are no values, only formulas
    first_non_finite  the first step with a number that is infinite or not a number

    `graph` holds the expression, its adjoints and local derivatives as nodes; `values` the leaves;
    `derivation` what the steps were read off, and `rates` the learning rates that were asked for.
    """

    title: str
    formula: Formula
    symbolic: bool
    nodes: tuple[Node, ...]
    steps: tuple[Step, ...]
    first_non_finite: str | None
    graph: Graph
    output: Expr
    values: Mapping[str, float]
    compiled: Compiled
    derivation: Derivation
    rates: tuple[float, ...]

    def __repr__(self) -> str:
        return f"<Walkthrough of {self.formula.text[:60]}: {len(self.steps)} steps>"

    def __str__(self) -> str:
        return self.text(width=80, color=False)

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    def node(self, id: str) -> Node:
        """The node with this id."""
        node: Node = _found("node", self._nodes, id)
        return node

    def step(self, id: str) -> Step:
        """The step with this id."""
        step: Step = _found("step", self._steps, id)
        return step

    def by_name(self, name: str) -> Node:
        """The node with this name; constants have none."""
        node: Node = _found("node", self._names, name)
        return node

    def part(self, number: int) -> tuple[Step, ...]:
        """The steps of one part, 0 to 7."""
        return tuple(step for step in self.steps if step.part == number)

    @cached_property
    def _nodes(self) -> dict[str, Node]:
        return {node.id: node for node in self.nodes}

    @cached_property
    def _steps(self) -> dict[str, Step]:
        return {step.id: step for step in self.steps}

    @cached_property
    def _names(self) -> dict[str, Node]:
        return {node.name: node for node in self.nodes if node.kind != "constant"}

    def at(self, values: Mapping[Any, float]) -> Walkthrough:
        """The same walk-through with numbers for leaves, by name; the others keep theirs.

        Errors: `MissingInputError` names the leaves that are left without a number.

        >>> from wengert.explain import explain
        >>> from wengert.notation.parse import parse
        >>> explain(parse("a*b")).at({"a": 2, "b": 3}).by_name("a").adjoint
        3.0
        """
        from .assembly import with_values

        return with_values(self, values)

    # -- outputs ----------------------------------------------------------------------------------

    def data(self) -> dict[str, Any]:
        """Everything as dicts, lists, texts and numbers; what JSON lacks as "inf", "nan"."""
        names = ("title", "formula", "symbolic", "first_non_finite", "nodes", "steps")
        return {name: plain(getattr(self, name)) for name in names}

    def json(self, indent: int | None = 2) -> str:
        """`data` as JSON; the same expression at the same values gives the same text."""
        text = json.dumps(self.data(), indent=indent, ensure_ascii=False, allow_nan=False)
        return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)

    def text(
        self, width: int | None = None, color: bool | None = None, *, hide: bool = False
    ) -> str:
        """For a terminal: `width` columns (its own unless given), colours if it takes them.

        `hide` shows a question mark for each number that the questions ask for.
        """
        from .text import text

        return text(self, width, color, hide)

    def markdown(self, *, hide: bool = False) -> str:
        """As Markdown, with formulas between dollar signs."""
        from .markdown import markdown

        return markdown(self, hide)

    def latex(self, *, hide: bool = False) -> str:
        """As a complete LaTeX document."""
        from .latex import latex

        return latex(self, hide)

    def html(self) -> str:
        """As one HTML page that needs nothing else."""
        from .page import html

        return html(self)

    def _repr_html_(self) -> str:
        """What a notebook shows: the page in a frame of its own."""
        from .page import notebook

        return notebook(self)

    def save(self, path: str | Path) -> Path:
        """Write it in the format of the suffix, .txt .md .tex .json or .html; answer the path."""
        target = Path(path)
        writers = {
            ".txt": lambda: self.text(width=80, color=False),
            ".md": self.markdown,
            ".tex": self.latex,
            ".json": self.json,
            ".html": self.html,
        }
        if target.suffix.lower() not in writers:
            raise UnknownNameError.of("format of a walk-through", target.suffix, writers)
        written = writers[target.suffix.lower()]()
        return write_text(target, written.rstrip("\n") + "\n")

    # -- teaching ---------------------------------------------------------------------------------

    @property
    def mistakes(self) -> tuple[str, ...]:
        """The names that `mistake` takes."""
        from .mistakes import MISTAKES

        return tuple(MISTAKES)

    def mistake(self, name: str) -> Mistake:
        """A wrong method carried out beside the right one, with its first wrong step named."""
        from .mistakes import mistake

        return mistake(self, name)

    @property
    def questions(self) -> tuple[Question, ...]:
        """What a learner may be asked before a number is shown, in order."""
        from .predict import questions

        return questions(self)

    def check(self, question: str, typed: str) -> Verdict:
        """Judge a typed answer to the question of this id; any equivalent form is right."""
        from .predict import check

        return check(self, question, typed)


def plain(thing: Any) -> Any:
    """Dataclasses as dicts, tuples as lists, numbers that JSON lacks as text.

    >>> plain((Formula("x", "x"), float("inf"), None))
    [{'text': 'x', 'latex': 'x'}, 'inf', None]
    """
    if is_dataclass(thing) and not isinstance(thing, type):
        return {field.name: plain(getattr(thing, field.name)) for field in fields(thing)}
    if isinstance(thing, Mapping):
        return {key: plain(value) for key, value in thing.items()}
    if isinstance(thing, (tuple, list)):
        return [plain(item) for item in thing]
    if isinstance(thing, float) and not math.isfinite(thing):
        return str(thing)
    return thing


def _found(kind: str, table: Mapping[str, Any], name: str) -> Any:
    try:
        return table[name]
    except (KeyError, TypeError):
        raise UnknownNameError.of(kind, name, table) from None
