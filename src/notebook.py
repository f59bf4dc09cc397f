"""What a notebook shows of the objects of this package: pictures, listings and tables.

A class has a door, `_repr_mimebundle_`, which is what IPython asks for; what stands behind it is
here, above all rooms. What cannot be drawn is shown as its text: pictures need Graphviz, and say
nothing from some hundred boxes on.
"""

from __future__ import annotations

import io
import keyword
import tokenize
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, Final

from .arrays.roll import Rolled
from .arrays.statements import Statement
from .codegen.compiled import Compiled
from .draw.draw import draw_dot
from .draw.picture import inline_svg, svg_bundle
from .errors import WengertError
from .graph.expr import Graph
from .graph.value import Value
from .ops.scalar import CONSTANT
from .proof.ranges import Ranges
from .trace.function import Function
from .train.nn import Network
from .verify.certificate import Verification

if TYPE_CHECKING:
    import graphviz

MAX_LINES: Final = 700
"""Lines of DOT from which on a picture says nothing and takes long."""
MAX_PARAMETERS: Final = 5_000
"""A network with more of them is not drawn without being asked for."""
MANY_NEURONS: Final = 24
"""A network with more of them is drawn by its layers."""

Bundle = dict[str, str]


def open_doors() -> None:
    """Let notebooks show values, graphs, networks, functions, reports and proofs."""
    shown: Mapping[Any, Callable[[Any], Bundle]] = {
        Value: _value,
        Graph: _graph,
        Network: _network,
        Rolled: _rolled,
        Statement: lambda statement: _html(statement.html()),
        Compiled: lambda function: _html(listing(function.source)),
        Function: _function,
        Verification: _verification,
        Ranges: _ranges,
    }
    for kind, show in shown.items():
        kind._repr_mimebundle_.opens_to(_bundle(show))


def _bundle(show: Callable[[Any], Bundle]) -> Callable[[Any], Callable[..., Bundle]]:
    return lambda thing: lambda include=None, exclude=None: show(thing)


# -- pictures -------------------------------------------------------------------------------------


def _svg(draw: Callable[[], graphviz.Digraph]) -> str:
    """A picture as SVG; "" where it would be too large, or cannot be drawn."""
    import graphviz

    try:
        picture = draw()
        if len(picture.body) > MAX_LINES:
            return ""
        return inline_svg(picture)
    except (WengertError, graphviz.ExecutableNotFound, graphviz.CalledProcessError):
        return ""


def _picture(draw: Callable[[], graphviz.Digraph]) -> Bundle:
    svg = _svg(draw)
    return svg_bundle(svg) if svg else {}


def _value(value: Value) -> Bundle:
    return {} if value.is_leaf else _picture(lambda: draw_dot(value))


def _graph(graph: Graph) -> Bundle:
    """The outputs of a graph; where it has none, what nothing is computed from."""
    read = {operand for operands in graph.operands for operand in operands}
    ends = graph.outputs or [node for node in range(len(graph)) if node not in read]
    shown = [graph[node] for node in dict.fromkeys(ends) if graph.ops[node] is not CONSTANT]
    return _picture(lambda: draw_dot(shown)) if shown else {}


def _network(net: Network) -> Bundle:
    if len(net.parameters()) > MAX_PARAMETERS:
        return {}
    layers = getattr(net, "layers", [net])
    neurons = sum(len(getattr(layer, "neurons", ())) for layer in layers)
    collapse = "layer" if neurons > MANY_NEURONS else "neuron" if neurons else None

    def draw() -> graphviz.Digraph:
        found = net(Graph().inputs("x", net.nin))  # type: ignore[operator]
        return draw_dot(found, collapse=collapse)

    return _picture(draw)


def _rolled(rolled: Rolled) -> Bundle:
    """The arrays as a picture, and under it the same in index notation, as MathML."""
    return _html(_svg(lambda: draw_dot(rolled)) + rolled.program.html())


# -- text -----------------------------------------------------------------------------------------


def _html(markup: str) -> Bundle:
    return {"text/html": markup}


def _function(function: Function) -> Bundle:
    return _html(listing(function.source)) if function.traces else {}


def listing(source: str) -> str:
    r"""Generated code in colours, with the numbers of its lines.

    >>> print(listing("x = 1\n"))
    <pre style="font-family: monospace"><span style="opacity: 0.5">1  </span>x = 1
    </pre>
    """
    painted = _painted(source).rstrip("\n").split("\n")
    digits = len(str(len(painted)))
    lines = [
        f'<span style="opacity: 0.5">{i:>{digits}}  </span>{line}\n'
        for i, line in enumerate(painted, 1)
    ]
    return f'<pre style="{_CODE}">{"".join(lines)}</pre>'


_CODE: Final = "font-family: monospace"
_COLOURS: Final = {"keyword": "#0072b2", "comment": "#00795a", "string": "#b84a00"}
"""Of Okabe & Ito's palette; a notebook's theme may have its own."""


def _painted(source: str) -> str:
    """Python with its keywords, comments and texts in colours, line by line; other code plain."""
    lines = source.splitlines(keepends=True)
    painted: list[str] = []
    row, column = 1, 0

    def up_to(end: tuple[int, int]) -> str:
        nonlocal row, column
        text = ""
        while row < end[0]:
            text += lines[row - 1][column:]
            row, column = row + 1, 0
        if row <= len(lines):
            text += lines[row - 1][column : end[1]]
        column = end[1]
        return text

    try:
        compile(source, "listing", "exec")
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            painted.append(escape(up_to(token.start)))
            kind = _kind(token)
            text = escape(up_to(token.end))
            painted.append(text if kind is None else _coloured(text, kind))
    except (SyntaxError, ValueError, tokenize.TokenError):
        return escape(source)
    return "".join(painted)


def _coloured(text: str, kind: str) -> str:
    style = f"color: var(--jp-mirror-editor-{kind}-color, {_COLOURS[kind]})"
    return "\n".join(f'<span style="{style}">{line}</span>' for line in text.split("\n"))


def _kind(token: tokenize.TokenInfo) -> str | None:
    if token.type == tokenize.NAME:
        return "keyword" if keyword.iskeyword(token.string) else None
    return {tokenize.COMMENT: "comment", tokenize.STRING: "string"}.get(token.type)


def _verification(found: Verification) -> Bundle:
    rows = [
        (
            check.name,
            check.what,
            check.method,
            "yes" if check.held else "NO",
            "proved" if check.error is None else f"{check.error:.2g}",
            check.over,
            check.detail,
        )
        for check in found.checks
    ]
    verdict = "Every check held" if found else f"{len(found.failures)} checks did not hold"
    rest = "".join(f"<li>{escape(reason)}</li>" for reason in found.not_run)
    return _html(
        f"<p><b>{escape(verdict)}</b> for {escape(found.output)}, at {found.points} points.</p>"
        + _table(("check", "of", "by", "held", "error", "over", ""), rows)
        + (f"<p>Not run:</p><ul>{rest}</ul>" if rest else "")
    )


def _ranges(found: Ranges) -> Bundle:
    rows = [(str(output), str(found[output])) for output in found.outputs]
    rest = "".join(f"<li>{escape(str(hazard))}</li>" for hazard in found)
    return _html(_table(("output", "lies in"), rows) + (f"<ul>{rest}</ul>" if rest else ""))


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    from .explain.render.html import table_html  # loaded when used, as all of `explain` is

    return table_html(header, [[escape(cell) for cell in row] for row in rows])
