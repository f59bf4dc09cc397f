"""The face: the walk-through that `explain` gives, which knows every rendering and question."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import UnknownNameError
from ..storage import format_of, write_text
from .data import Agreement
from .deferred import Deferred
from .derivation import large
from .judges import agreement
from .large.overview import overview
from .lesson import Lesson, with_values
from .mistakes import MISTAKES, Mistake, mistake
from .predict import Question, Verdict, check, questions
from .render.blocks import Block
from .render.document import document
from .render.latex import latex
from .render.markdown import markdown
from .render.text import text
from .telling import Telling


class Walkthrough(Lesson):
    """The steps by which the chain rule finds the derivatives of one expression.

    nodes             the expression, operands before their consumers
    steps             what happens, in order
    symbolic          whether there are no values, only formulas
    first_non_finite  the first step with a number that is infinite or not a number

    `graph` holds the expression, its adjoints and local derivatives as nodes; `values` the leaves;
    `derivation` what the steps were read off, and `rates` the learning rates that were asked for.
    """

    @classmethod
    def of(cls, lesson: Lesson) -> Walkthrough:
        """The same steps, with all that can be done with them."""
        return cls(**{name: getattr(lesson, name) for name in Lesson.__dataclass_fields__})

    def __repr__(self) -> str:
        return f"<Walkthrough of {self.formula.text[:60]}: {len(self.steps)} steps>"

    def __str__(self) -> str:
        return self.text(width=80, color=False)

    def at(self, values: Mapping[Any, float]) -> Walkthrough:
        """The same walk-through with numbers for leaves, by name; the others keep theirs.

        Errors: `MissingInputError` names the leaves that are left without a number.

        >>> from wengert.notation.parse import parse
        >>> from wengert import explain
        >>> explain(parse("a*b")).at({"a": 2, "b": 3}).by_name("a").adjoint
        3.0
        """
        return self.of(with_values(self, values))

    def text(
        self, width: int | None = None, color: bool | None = None, *, hide: bool = False
    ) -> str:
        """For a terminal: `width` columns (its own unless given), colours if it takes them.

        `hide` shows a question mark for each number that the questions ask for.
        """
        return text(self._document(hide), width, color)

    def markdown(self, *, hide: bool = False) -> str:
        """As Markdown, with formulas between dollar signs."""
        return markdown(self._document(hide))

    def latex(self, *, hide: bool = False) -> str:
        """As a complete LaTeX document."""
        return latex(self._document(hide))

    def _document(self, hide: bool) -> list[Block]:
        return list(overview(self)) if large(self.derivation) else document(self, hide)

    def html(self) -> str:
        """As one HTML page that needs nothing else; a large expression opens as layers."""
        if large(self.derivation):
            from .large.page import html as layers  # loaded when used, with its font and scripts

            return layers(self)
        from .page.page import html

        return html(self)

    def _repr_html_(self) -> str:
        """What a notebook shows: the page in a frame of its own."""
        from .page.page import notebook

        return notebook(self.html(), self.title)

    def save(self, path: str | Path) -> Path:
        """Write it in the format of the suffix, .txt .md .tex .json or .html; answer the path."""
        writers = {
            ".txt": lambda: self.text(width=80, color=False),
            ".md": self.markdown,
            ".tex": self.latex,
            ".json": self.json,
            ".html": self.html,
        }
        ending = format_of(path, "walk-through", writers)
        if not ending:
            raise UnknownNameError.of("format of a walk-through", ending, writers)
        return write_text(path, writers[ending]().rstrip("\n") + "\n")

    def judge(self, progress: bool | None = None) -> Agreement:
        """Step 5: each derivative by sympy, by differences and by the compiled function.

        Of a large expression it is made only on request, here or by `step`; `progress` says what is
        being done, left out on a terminal.

        >>> from wengert import explain, parse
        >>> explain(parse("a*b"), at={"a": 2, "b": 3}).judge().conclusion
        'They agree on every leaf.'
        """
        if isinstance(self.steps, Deferred) and not self.steps.has("agreement"):
            with Telling(progress, self.derivation) as tell:
                self.steps.keep("agreement", agreement(self.derivation, self.compiled, tell))
        found = self.step("agreement")
        assert isinstance(found, Agreement)
        return found

    @property
    def mistakes(self) -> tuple[str, ...]:
        """The names that `mistake` takes."""
        return tuple(MISTAKES)

    def mistake(self, name: str) -> Mistake:
        """A wrong method carried out beside the right one, with its first wrong step named."""
        return mistake(self, name)

    @property
    def questions(self) -> tuple[Question, ...]:
        """What a learner may be asked before a number is shown, in order."""
        return questions(self)

    def check(self, question: str, typed: str) -> Verdict:
        """Judge a typed answer to the question of this id; any equivalent form is right."""
        return check(self, question, typed)
