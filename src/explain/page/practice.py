"""Practice on a page: the operations that fresh expressions are made of, for its script."""

from __future__ import annotations

import json
from functools import cache
from typing import Final

from ...ops.scalar import ADD, EXP, MUL, POW_CONST, RELU, SUB, TANH
from ..large.kinds import Kind, source, words

_LEVELS: Final[tuple[tuple[Kind, ...], ...]] = (
    ((ADD, ()), (SUB, ()), (MUL, ())),
    ((POW_CONST, (2.0,)),),
    ((TANH, ()), (RELU, ()), (EXP, ())),
)
"""The operations that each level adds to those before it."""


@cache
def practice_source() -> str:
    """The operations as JavaScript: from which level on, a program, and what is said of them."""
    entries = []
    for level, kinds in enumerate(_LEVELS, 1):
        for kind in kinds:
            said = json.dumps({"level": level, **words(kind)})
            safe = said.replace("<", r"\u003c")
            entries.append(f"{{ ...{safe}, run: {source(kind)} }}")
    return "[\n" + ",\n".join(entries) + "\n]"


PRACTICE: Final = """<details class="script" id="practice" hidden>
<summary><h2>Practice</h2></summary>
<p>A fresh expression, one operation a line. Go forward, then back, and type the derivative.</p>
<p><label>difficulty <select id="level"><option value="1">sums and products</option>
<option value="2" selected>a leaf used twice</option>
<option value="3">functions inside</option></select></label>
<button type="button" id="fresh">New expression</button></p>
<div id="exercise"></div>
<form id="answer" hidden><label for="typed" id="asked"></label>
<input type="text" id="typed" autocomplete="off"> <button type="submit">Check</button>
<button type="button" id="solve">Show how</button></form>
<p id="judged" role="status"></p><div id="solution"></div></details>"""
