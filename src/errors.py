"""Every exception this package raises on purpose.

Each one also subclasses the builtin that people would catch, and its text names the thing, the
value, what was expected and what to do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches


class WengertError(Exception):
    """The base of every error of this package."""


class InvalidNameError(WengertError, ValueError):
    """A name is not a Python identifier, or is a keyword."""


class DuplicateNameError(WengertError, ValueError):
    """Two leaves of one graph, or two groups of one function, have the same name."""


class UnknownNameError(WengertError, ValueError):
    """No operation, target, loss or option has that name; the text lists those that exist."""

    @classmethod
    def of(cls, kind: str, name: object, known: Iterable[str]) -> UnknownNameError:
        """The error for `name`, which is none of the `known` things of this kind.

        Something that is no text, but has a name that is known, is taken to mean that.

        >>> print(UnknownNameError.of("loss", "squared_eror", ["hinge", "squared_error"]))
        unknown loss 'squared_eror'; did you mean 'squared_error'? Known: hinge, squared_error
        """
        names = sorted(known)
        meant = name if isinstance(name, str) else getattr(name, "name", None)
        meant = str(meant or getattr(name, "__name__", name))
        folded = {known_name.lower(): known_name for known_name in names}
        close = get_close_matches(meant.lower(), folded, n=3)
        close.sort(key=lambda name: sorted(name) != sorted(meant.lower()))
        hint = f"did you mean {folded[close[0]]!r}? Known" if close else "known"
        return cls(f"unknown {kind} {shorten(name)}; {hint}: {', '.join(names)}")


class GraphMismatchError(WengertError, ValueError):
    """An expression of one graph was used with an expression of another."""


class NotALeafError(WengertError, ValueError):
    """Something computed stands where an input, a parameter or a leaf `Value` is needed."""


class DisconnectedInputError(WengertError, ValueError):
    """A derivative was asked for a leaf that the output does not depend on."""


class NotDifferentiableError(WengertError, TypeError):
    """An operation without a derivative lies between the output and the leaf."""


class OperandError(WengertError, TypeError):
    """Something that is not a number, a `Value` or an `Expr` was used as an operand."""


class ComparisonWarning(UserWarning):
    """A `Value` or an expression was compared with a number by `==`, which asks for identity."""


class TruthValueError(WengertError, TypeError):
    """An expression was used as a condition, though it has no value until it is evaluated."""


class TracingError(WengertError, TypeError):
    """A traced function asks for what is not known until it runs; the text names its line."""


class MissingInputError(WengertError, ValueError):
    """A leaf without a value: no argument names it and it carries no number of its own."""


class ShapeError(WengertError, ValueError):
    """Widths, lengths or shapes that do not fit."""


class DataError(WengertError, ValueError):
    """Data that cannot be trained on: empty, not finite, or labels that are not classes."""


class NonFiniteError(WengertError, ArithmeticError):
    """A node became infinite or not a number in a function compiled with `check=True`."""


class SpellingError(WengertError, NotImplementedError):
    """A target has no spelling for an operation and none can be derived from others."""


class SettingError(WengertError, ValueError):
    """A setting outside its range, such as a learning rate below 0."""


class MissingExtraError(WengertError, ImportError):
    """An optional package is not installed; the text says how to install it."""


class FormulaError(WengertError, ValueError):
    """Text that is not a formula in the allowed syntax."""


class SaveFileError(WengertError, ValueError):
    """A saved network or graph that is truncated, foreign, or of another version."""


class SizeError(WengertError, ValueError):
    """Something is past a stated limit; the text states the limit."""


def kind_of(thing: object) -> str:
    """The type of `thing` with its article, for error texts.

    >>> kind_of(3), kind_of("x")
    ('an int', 'a str')
    """
    name = type(thing).__name__
    spoken_with_a_vowel = name[:1] in "aeioAEIO" or name == "ndarray"
    return f"{'an' if spoken_with_a_vowel else 'a'} {name}"


def not_as_expected(thing: object, what: str, expected: str) -> str:
    """The text of an error about `thing`, which stands where something else was expected.

    >>> not_as_expected(None, "the value of x", "a number")
    'the value of x is None, a NoneType; expected a number'
    """
    return f"{what} is {shorten(thing)}, {kind_of(thing)}; expected {expected}"


def formula_hint(thing: object) -> str:
    """What to add to an error about something that is no expression: where text would be read.

    >>> formula_hint("a + b")
    "; wengert.parse('a + b') reads a formula"
    >>> formula_hint(None)
    ''
    """
    return f"; wengert.parse({shorten(thing)}) reads a formula" if isinstance(thing, str) else ""


def shorten(thing: object, limit: int = 80) -> str:
    """`repr(thing)` in a line of `limit` characters, for error texts on hostile or large values.

    >>> shorten("a" * 1000, 12)
    "'aaaaaaaaaa…"
    """
    try:
        text = repr(thing[: limit * 2]) if isinstance(thing, str) else repr(thing)
    except Exception:
        text = f"<{kind_of(thing)} that cannot be shown>"
    text = re.sub(r"\s*\n\s*", " ", text)
    return text if len(text) <= limit else text[: limit - 1] + "…"
