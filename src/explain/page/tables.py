"""Steps 5 and 7 as HTML: tables that follow the sliders.

A page made without a script shows what was computed here. With one, moved leaves have every cell
computed anew by the functions of `livejudges`, and by the program behind the sliders.
"""

from __future__ import annotations

from html import escape

from ..data import Agreement, Judgement, Update
from ..render.document import JUDGES, formulas_by_sympy, judged, update_header
from ..render.html import blocks_html, table_html
from .numbers import Numbered, figures

_COLUMNS = (
    "Once a leaf is moved, this page computes every column itself: graph by the backward pass "
    "above; sympy by the formulas that sympy found and printed as JavaScript; difference by the "
    "forward pass alone; compiled by the simplified program that the Python is printed from. "
    "A dash in sympy's column: it has no formula to give, only numbers at the given values."
)


def agreement_html(view: Numbered, step: Agreement) -> str:
    """Step 5: each derivative by four ways, and whether they agree."""
    rows = [_judgement(view, i, row) for i, row in enumerate(step.rows)]
    styles = ["" if row.agrees else "wrong" for row in step.rows]
    notes = " ".join(f"{view.w.node(row.leaf).name}: {row.note}." for row in step.rows if row.note)
    columns = "" if view.w.symbolic else f'<p class="script note" hidden>{_COLUMNS}</p>'
    return (
        f"<p>{escape(step.sentence)}</p>"
        f'<div class="judges">{table_html(JUDGES, rows, styles)}</div>'
        f"<p>{_live('conclusion', step.conclusion)}</p>"
        f'<p class="wrong">{_live("notes", notes)}</p>'
        f"{blocks_html(formulas_by_sympy(view.w, step))}{columns}"
    )


def _judgement(view: Numbered, i: int, row: Judgement) -> list[str]:
    verdict = "NO" if not row.agrees else "—" if row.note else "yes"
    cells = {
        "graph": row.graph,
        "sympy": row.sympy,
        "difference": row.difference,
        "compiled": row.compiled,
    }
    numbers = [_live(f"{way}-{i}", _minus(judged(x))) for way, x in cells.items()]
    return [view.name(row.leaf), *numbers, _live(f"agree-{i}", verdict)]


def update_html(view: Numbered, step: Update) -> str:
    """Step 7: what moving against the gradient promises, and what it does."""
    output = view.w.node(step.node or "")
    slopes = [view.w.node(moved.leaf).adjoint_number for moved in step.leaves]
    squares = view.numbers.squares(slope for slope in slopes if slope is not None)
    loss = view.math(f"{output.latex} = {view.slot(output.number)}")
    norm = view.math(rf"\lVert g \rVert^{{2}} = \slot{{{squares}}}")
    rows = []
    for i, rate in enumerate(step.rates):
        numbers = (
            ("predicted", rate.predicted),
            ("actual", rate.actual),
            ("new", rate.new_output),
        )
        cells = [_live(f"{what}-{i}", figures(number)) for what, number in numbers]
        rows.append([figures(rate.rate), *cells, _live(f"verdict-{i}", rate.note)])
    return (
        f"<p>{escape(step.sentence)}</p>"
        f'<p class="formula">{loss},&ensp;{norm}</p>'
        f"{table_html(update_header(output), rows)}"
    )


def _live(key: str, text: str) -> str:
    """What the script may replace."""
    return f'<span data-live="{key}">{escape(text)}</span>'


def _minus(text: str) -> str:
    return text.replace("-", "−")
