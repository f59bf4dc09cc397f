"""What files of C have in common: words, numbers, and a main that checks gradients."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from ...errors import SpellingError
from ...ops.record import ATOM, Op
from ..build import Derivatives
from ..native.words import single
from ..scalar.layout import INDENT, packed, quoted
from .selfcheck import path_text

_KEYWORDS: Final = (
    "auto break case char const continue default do double else enum extern float for goto if "
    "inline int long register restrict return short signed sizeof static struct switch typedef "
    "union unsigned void volatile while size_t main printf NAN INFINITY NULL EOF stdin stdout "
    "stderr"
)
_MATH: Final = (
    "acos acosh asin asinh atan atan2 atanh cbrt ceil copysign cos cosh erf erfc exp exp2 expm1 "
    "fabs fdim floor fma fmax fmin fmod frexp hypot ilogb j0 j1 jn ldexp lgamma llrint llround log "
    "log10 log1p log2 logb lrint lround modf nan nearbyint nextafter nexttoward pow remainder "
    "remquo rint round scalbln scalbn signgam sin sinh sqrt tan tanh tgamma trunc y0 y1 yn "
    "gamma drem significand"
)
_OWN: Final = (
    "n out call arguments check widths each result at i samples difference values memory rounding "
    "rounded"
)
_GENERIC: Final = "isfinite isinf isnan isnormal signbit fpclassify"
_FLOATS: Final = frozenset(f"{name}f" for name in _MATH.split())
TAKEN: Final = _FLOATS.union(f"{_KEYWORDS} {_MATH} {_GENERIC} {_OWN}".split())

_CALL: Final = re.compile(rf"\b({'|'.join(_MATH.split())})\(")
_NUMBER: Final = re.compile(r"(?<![\w.])\d+\.\d*(?:e[+-]?\d+)?")

_FUNCTION: Final = re.compile(r"^static \w+ (\w+)\(", re.MULTILINE)
"""The name of a function that a record brings along."""

_SAMPLES: Final = 5
"""How many samples the file's check has."""


def number_text(number: float, kind: str = "double") -> str:
    """A number as C has it, of the kind "double" or "float".

    >>> number_text(0.1), number_text(-2), number_text(float("-inf"))
    ('0.1', '(-2.0)', '(-INFINITY)')
    >>> number_text(0.1, "float"), number_text(1e300, "float")
    ('0.1f', 'INFINITY')
    """
    near = single(number) if kind == "float" else number
    if math.isnan(near):
        return "NAN"
    if math.isinf(near):
        return "INFINITY" if near > 0 else "(-INFINITY)"
    code = repr(float(near))
    if kind == "float":
        texts = (repr(float(f"{near:.{digits}g}")) for digits in range(1, 10))
        code = next(text for text in texts if single(float(text)) == near) + "f"
    return f"({code})" if code.startswith("-") else code


def comment(text: str) -> str:
    """Any text as it may stand in a comment.

    >>> comment("a */ b ??/")
    'a * / b ? ?/'
    """
    plain = "".join([letter if letter.isprintable() else " " for letter in text])
    return plain.replace("*/", "* /").replace("/*", "/ *").replace("??", "? ?")


def operation_text(
    op: Op, operands: Sequence[str], statics: Sequence[float], kind: str = "double"
) -> str:
    """An operation on what is written; a `SpellingError` where its record has no notation for C.

    In "float" numbers and libm's functions are those of float; functions that come along compute in
    double, since their coefficients are made for that, and are rounded once.
    """
    form = op.spelling("c", tuple(statics))
    template, single = form.template, kind == "float" and form.define is None
    if single:
        template = _NUMBER.sub(r"\g<0>f", _CALL.sub(r"\1f(", template))
    elif kind == "float":
        template = f"(float){template}" if form.binds == ATOM else f"(float)({template})"
    written = {
        name: number_text(value, "float" if single else "double")
        for name, value in zip(op.statics, statics, strict=True)
    }
    return template.format(*operands, **written)


def definitions_of(used: Iterable[tuple[Op, tuple[float, ...]]]) -> Iterator[str]:
    """What operations are written with and the language lacks."""
    known: dict[str, None] = {}
    for op, statics in used:
        define = op.spelling("c", statics).define
        if isinstance(define, str):
            known[define] = None
        elif define is not None:
            raise SpellingError(
                f"{op.name!r} brings a Python function as its definition for C; "
                "give the text of a C function"
            )
    yield from known


def defined(definitions: Iterable[str]) -> set[str]:
    """The names of the functions that come along."""
    return {name for text in definitions for name in _FUNCTION.findall(text)}


def ranges(paths: Sequence[tuple[Any, ...]]) -> Iterator[str]:
    """Lines that say which results are what, given the way to each through the outputs."""
    runs: list[tuple[str, int, int]] = []
    for position, path in enumerate(paths):
        text = ".".join(map(str, path[:-1] if path and isinstance(path[-1], int) else path))
        text = quoted(text).replace("*/", "* /") if text else "the output"
        if runs and runs[-1][0] == text:
            runs[-1] = (text, runs[-1][1], position)
        else:
            runs.append((text, position, position))
    for text, first, last in runs:
        yield f"out[{first}]: {text}" if first == last else f"out[{first}..{last}]: {text}"


class Given(NamedTuple):
    """An argument: how many numbers, whether one by itself, whether a row per sample."""

    name: str
    width: int
    alone: bool
    batched: bool


@dataclass(frozen=True)
class Checked:
    """What the check of a function has to know of it.

    places   of each output, by the way to it, the place among the results where it begins
    numbers  how many results there are, and `stacked` how many more for each sample
    fixed    how many numbers of memory it needs, and `each` how many more for each sample
    rounded  the name of what computes the same in float32, where that is what the file is for
    """

    function: str
    groups: tuple[Given, ...]
    places: Mapping[tuple[Any, ...], int]
    numbers: int
    stacked: int
    fixed: int = 0
    each: int = 0
    rounded: str = ""


def file_text(
    what: str,
    parts: Sequence[str],
    checked: Checked,
    values: Mapping[str, Sequence[Any]],
    derivatives: Sequence[Derivatives],
    compared: Sequence[str] = (),
) -> str:
    """A whole file: its head, what it is made of, and the check of its gradients.

    compared  what only the check needs
    """
    head = (
        f"/* {what}, generated by wengert.\n\n"
        "   C99 and libm: cc -std=c99 -O2 -ffp-contract=off this.c -lm\n"
        "   Run, it compares its gradients with differences and answers 0 where they agree;\n"
        "   compiled with -DWENGERT_LIBRARY it has no main. */"
    )
    if checked.rounded:
        head = head.replace(
            "its gradients with differences and answers 0 where they agree",
            "itself with the same in float64, and the gradients of that\n   with differences, and "
            "answers 0 where they agree",
        )
    includes = "#include <math.h>\n#include <stddef.h>\n#include <stdio.h>"
    check = "\n".join(_checking(checked, values, derivatives))
    made = [*compared, check]
    made[0] = f"#ifndef WENGERT_LIBRARY\n{made[0]}"
    whole = [part.strip("\n") for part in (head, includes, *parts, *made)]
    return "\n\n".join(whole) + "\n"


_CHECK: Final = """\
/* The largest difference between a gradient and central differences, beside the largest number. */
static double check(double *values, size_t count, size_t output, size_t gradient, double *result)
{
    double worst = 0.0, largest = 1.0;
    call(result);
    for (size_t i = 0; i < count; i++) {
        largest = fmax(largest, fabs(result[gradient + i]));
    }
    for (size_t i = 0; i < count; i++) {
        const double kept = values[i], step = 1e-6 * fmax(1.0, fabs(kept));
        double high, low, wanted, off;
        call(result);
        wanted = result[gradient + i];
        values[i] = kept + step;
        call(result);
        high = result[output];
        values[i] = kept - step;
        call(result);
        low = result[output];
        values[i] = kept;
        off = fabs((high - low) / (2.0 * step) - wanted) / largest;
        if (!isfinite(off)) {
            return HUGE_VAL;
        }
        worst = fmax(worst, off);
    }
    return worst;
}"""


def _beginnings(path: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    """The paths that what a path leads to may begin at: of a slice, a number or a row."""
    if path and isinstance(path[-1], slice):
        yield (*path[:-1], path[-1].start)
    else:
        yield path
        yield (*path, 0)


def _checking(
    checked: Checked, values: Mapping[str, Sequence[Any]], derivatives: Sequence[Derivatives]
) -> Iterator[str]:
    """A main that compares gradients with differences, at the leaves' values or at made-up ones."""
    at = checked.places
    gradients = []
    names = [group.name for group in checked.groups]
    for known in derivatives:
        number = names.index(known.group)
        first = next((at[path] for path in _beginnings(known.gradient) if path in at), None)
        if first is not None and known.output in at and checked.groups[number].width:
            gradients.append((known, number, first, at[known.output]))
    given = []
    for number, group in enumerate(checked.groups):
        table = _numbers(values.get(group.name, ()), group, number)
        yield f"static double values{number}[] = {{"
        yield from (INDENT + line for line in packed([f"{number_text(n)}," for n in table], 1))
        yield "};"
        given.append(f"values{number}[0]" if group.alone else f"values{number}")
    given += [str(_SAMPLES)] * any(group.batched for group in checked.groups) + ["result"]
    memory = checked.fixed + checked.each * _SAMPLES
    if memory:
        yield f"static double memory[{memory}];"
        given.append("memory")
    yield ""
    yield "static void call(double *result)"
    yield "{"
    yield f"    {checked.function}({', '.join(given)});"
    yield "}"
    yield ""
    if gradients:
        yield _CHECK
        yield ""
    total = checked.numbers + _SAMPLES * checked.stacked
    if checked.rounded:
        yield from _rounding(checked, given, total)
    yield "int main(void)"
    yield "{"
    yield f"    static double result[{total}];"
    if gradients or checked.rounded:
        yield "    int wrong = 0;"
        yield "    double worst;"
    if not gradients:
        yield "    call(result);"
        yield '    printf("no gradients to check\\n");'
    for known, number, first, output in gradients:
        count = checked.groups[number].width
        name = quoted(f"{path_text(known.gradient)} by {known.group}").strip('"')
        yield f"    worst = check(values{number}, {count}, {output}, {first}, result);"
        yield f'    printf("{name.replace("%", "%%")}: {count:,} numbers, off by %.1e\\n", worst);'
        yield "    wrong |= !(worst < 1e-6);"
    if checked.rounded:
        yield "    worst = rounding(result);"
        yield f'    printf("float32: {total:,} numbers, off by %.1e\\n", worst);'
        yield "    wrong |= !(worst < 1e-3);"
    yield "    return wrong;" if gradients or checked.rounded else "    return 0;"
    yield "}"
    yield "#endif"


def _rounding(checked: Checked, given: Sequence[str], count: int) -> Iterator[str]:
    """A function of C that says how far what is computed in float32 is from float64."""
    yield "/* The largest difference of the numbers in float32, beside them or 1. */"
    yield "static double rounding(double *result)"
    yield "{"
    yield f"    static float rounded[{count}];"
    copies, passed = [], []
    for number, (group, name) in enumerate(zip(checked.groups, given, strict=False)):
        width = group.width * (_SAMPLES if group.batched else 1)
        if group.alone:
            passed.append(f"(float){name}")
            continue
        yield f"    static float single{number}[{max(1, width)}];"
        passed.append(f"single{number}")
        copies.append((number, width))
    passed += [one for one in given[len(checked.groups) :] if one not in ("result", "memory")]
    passed.append("rounded")
    if "memory" in given:
        yield f"    static float work[{checked.fixed + checked.each * _SAMPLES}];"
        passed.append("work")
    yield "    double worst = 0.0;"
    for number, width in copies:
        if width:
            yield f"    for (size_t i = 0; i < {width}; i++) {{"
            yield f"        single{number}[i] = (float)values{number}[i];"
            yield "    }"
    yield "    call(result);"
    yield f"    {checked.rounded}({', '.join(passed)});"
    yield f"    for (size_t i = 0; i < {count}; i++) {{"
    yield "        const double one = (double)rounded[i], other = result[i];"
    yield "        if (one != other && (one == one || other == other)) {"
    yield "            const double off = fabs(one - other) / fmax(1.0, fabs(other));"
    yield "            worst = isfinite(off) ? fmax(worst, off) : HUGE_VAL;"
    yield "        }"
    yield "    }"
    yield "    return worst;"
    yield "}"
    yield ""


def _numbers(carried: Sequence[Any], group: Given, number: int) -> list[float]:
    """What an argument is in the check: the numbers its leaves carry, or made-up ones."""
    if group.batched:
        return [_made_up(number, i) for i in range(_SAMPLES * group.width)] or [0.0]
    found: list[Any] = []
    for value in carried:
        found += value.ravel().tolist() if hasattr(value, "ravel") else [value]
    if len(found) != group.width:
        found = [None] * group.width
    pairs = enumerate(found)
    return [_made_up(number, i) if value is None else value for i, value in pairs] or [0.0]


def _made_up(group: int, place: int) -> float:
    """A number for an input, the same in every file."""
    return round(math.sin(1.0 + 7.0 * group + 3.0 * place), 6)
