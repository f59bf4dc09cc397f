"""The judges of step 5 for a page, where the leaves move: three functions in JavaScript.

Each is an expression that is a function of the leaves: the forward pass alone, which difference
quotients are made with; the simplified program, which the generated Python is printed from; and
sympy's own derivatives, printed by sympy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ...codegen.compiled import compile
from ...codegen.target import definitions
from ...derive.backward import grad
from ...errors import SizeError
from ...graph.expr import Expr, Graph
from ...graph.rewrite import Walk, Write, replay
from ...notation.fromsympy import from_sympy
from ...notation.sympy import as_number, sympy_nodes
from ...ops.scalar import ELEMENTWISE, STOP_GRADIENT
from ...simplify.stable import stable_form
from ..derivation import Derivation
from ..judges import claim_of, derivatives, too_long

MAX_SOURCE: Final = 100_000
"""Characters of sympy's derivatives that a page takes along."""


def forward_source(d: Derivation) -> str:
    """The forward pass: the leaves, and after them those that `stop_gradient` holds still.

    >>> from ..derivation import derive
    >>> from wengert import parse
    >>> print(forward_source(derive(parse("a*b"))))
    function forward(a, b, a_held, b_held) {
        "use strict";
        // forward
        const t0 = a*b;
        return t0;
    }
    <BLANKLINE>
    """
    graph = Graph()
    names = [d.names[leaf] for leaf in d.leaves]
    moving = {name: graph.input(name) for name in names}
    held = {
        name: graph.input(_unused("held" if name == "_" else f"{name}_held", moving))
        for name in names
    }

    def on(leaves: Mapping[str, Expr], write: Write | None) -> dict[int, int]:
        images = {d.plain.leaves[name]: leaf.id for name, leaf in leaves.items()}
        return replay(d.plain, d.plain.outputs, graph, images, write)

    def hold(walk: Walk, node: int) -> int | None:
        return still[node] if d.plain.ops[node] is STOP_GRADIENT else None

    still = on(held, None)
    output = graph[on(moving, hold)[d.plain.outputs[0]]]
    leaves = {leaf.label: leaf for leaf in (*moving.values(), *held.values())}
    return compile(leaves, output, target="javascript", simplify=False, name="forward").source


def simplified_source(d: Derivation) -> str:
    """The value and the derivatives by the program that the generated Python is printed from."""
    graph = d.plain
    leaves = {d.names[leaf]: graph[graph.leaves[d.names[leaf]]] for leaf in d.leaves}
    output = graph[graph.outputs[0]]
    gradient = grad(output, [leaves[d.names[leaf]] for leaf in d.wrt])
    asked = {"value": output, "gradient": gradient}
    return compile(leaves, asked, target="javascript", name="simplified").source


def sympy_source(d: Derivation) -> str:
    """sympy's derivatives as a list, null for what it cannot print; "null" where it was not asked.

    >>> from ..derivation import derive
    >>> from wengert import parse
    >>> print(sympy_source(derive(parse("tanh(a)"))))
    function (x0) {
        return [1 - Math.pow(Math.tanh(x0), 2)];
    }
    """
    try:
        return _printed(d)
    except Exception:  # what sympy cannot do, it says by exceptions of every kind
        return "null"


def steady_source(d: Derivation) -> str:
    """The stable form of sympy's derivatives as a list; "null" where they cannot be read.

    >>> from ..derivation import derive
    >>> from wengert import parse
    >>> "1 + Math.exp(-x0)" in steady_source(derive(parse("log(1 + exp(a))")))
    True
    """
    try:
        slopes, letters = _slopes(d)
        graph = Graph()
        leaves = {str(letter): graph.input(str(letter)) for letter in letters}
        read = [stable_form(from_sympy(slope, graph=graph)) for slope in slopes]
        source = compile(leaves, read, target="javascript", simplify=False, name="steady").source
    except Exception:  # what sympy cannot do, it says by exceptions of every kind
        return "null"
    return source if len(source) <= MAX_SOURCE else "null"


def _slopes(d: Derivation) -> tuple[list[Any], Sequence[Any]]:
    """sympy's derivatives in symbols of its own for the leaves, x0 first."""
    import sympy

    claim = claim_of(d)
    if too_long(claim):
        raise SizeError("too large for sympy")
    known, slopes = derivatives(claim)
    whole = sympy_nodes(claim.graph, claim.primal)
    held = {
        known[node]: as_number(whole[node])
        for node in claim.primal
        if claim.graph.ops[node] is STOP_GRADIENT
    }
    letters = sympy.symbols(f"x:{len(d.leaves)}", real=True)
    own = _letters(d, letters)
    return [slope.xreplace(held).xreplace(own) for slope in slopes], letters


def _printed(d: Derivation) -> str:
    import sympy

    slopes, letters = _slopes(d)
    shared, reduced = sympy.cse(slopes, sympy.numbered_symbols("s"))
    lines = [f"const {name} = {_code(part)};" for name, part in shared]
    if any(line.endswith(" null;") for line in lines):
        return "null"
    answers = ", ".join(map(_code, reduced))
    body = "\n    ".join([*lines, f"return [{answers}];"])
    names = ", ".join(map(str, letters))
    source = f"function ({names}) {{\n    {body}\n}}"
    return source if len(source) <= MAX_SOURCE else "null"


def _letters(d: Derivation, letters: Sequence[Any]) -> dict[Any, Any]:
    """A symbol of its own for each leaf: names of leaves are anything, and never code."""
    graph = d.plain
    nodes = [graph.leaves[d.names[leaf]] for leaf in d.leaves]
    symbols = sympy_nodes(graph, sorted(nodes))
    return {symbols[node]: letter for node, letter in zip(nodes, letters, strict=True)}


def _code(formula: Any) -> str:
    import sympy

    written = str(sympy.jscode(formula))
    if "Not supported" in written:
        return "null"
    return " ".join(written.split())


def _unused(name: str, taken: Mapping[str, Any]) -> str:
    while name in taken:
        name += "_"
    return name


def typed_functions(graph: Graph) -> str:
    """The functions of one number that a typed answer may call; those of the graph are among them.

    >>> text = typed_functions(Graph())
    >>> [line.strip() for line in text.splitlines() if " exp:" in line or " tanh:" in line]
    ['exp: (x) => Math.exp(x),', 'tanh: (x) => Math.tanh(x),']
    """
    known = {**ELEMENTWISE, **{op.name: op for op in graph.ops}}
    forms = {
        name: form
        for name, op in sorted(known.items())
        if op.arity == 1 and not op.statics and op.shape is None
        if (form := op.spelled("javascript")) is not None
    }
    lines = [f"  {name}: (x) => {form.template.format('x')}," for name, form in forms.items()]
    before = definitions(forms.values())
    return "\n".join(["(() => {", *before, "return {", *lines, "};", "})()"])
