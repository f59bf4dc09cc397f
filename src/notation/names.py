"""Names that other notations allow, as names of leaves."""

from __future__ import annotations

import re
import unicodedata
from keyword import iskeyword

from ..graph.store import is_name


def leaf_name(name: str) -> str:
    """The name that a symbol's name becomes: itself where it is an identifier.

    Greek letters are spelled, digits above and below the line come down, whatever else is no letter
    or digit is "_", of which none stay at the ends or side by side; "_" follows a keyword.

    >>> [leaf_name(name) for name in ("x_{1}", "α", "λ₂", "lambda", "x'", "2x")]
    ['x_1', 'alpha', 'lambda2', 'lambda_', 'x', 'x2x']
    """
    if is_name(name):
        return name
    spelled = "".join(map(spelled_out, name))
    found = re.sub("_+", "_", re.sub(r"[^A-Za-z0-9_]", "_", spelled)).strip("_")
    if not found or found[0].isdigit():
        found = f"x{found}"
    return f"{found}_" if iskeyword(found) else found


def spelled_out(character: str) -> str:
    """A character in ASCII: a Greek letter by its name; "" where there is no way to write it."""
    if character.isascii():
        return character
    words = unicodedata.name(character, "").split()
    if words[:1] == ["GREEK"] and "LETTER" in words:
        word = words[words.index("LETTER") + 1].lower()
        word = {"lamda": "lambda", "final": "sigma"}.get(word, word)
        return word.capitalize() if "CAPITAL" in words else word
    return unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()


def is_greek_or_low(character: str) -> bool:
    """Whether this is a Greek letter, or a digit below the line.

    >>> [is_greek_or_low(character) for character in "αΩ₁é²"]
    [True, True, True, False, False]
    """
    words = unicodedata.name(character, "").split()
    return (words[:1] == ["GREEK"] and "LETTER" in words) or words[:2] == ["SUBSCRIPT", words[-1]]
