"""The check that exported modules carry: their text, their numbers, and their gradients.

The functions' text is copied into each module, so they use nothing but the standard library and
each other.
"""

import hashlib
import math
import random
from typing import Any, Final

SAMPLES: Final = 4
"""How many samples a batch has that a module is checked with."""
DRAWS: Final = 20
"""How many points are tried in search of one where everything is finite."""


def sample_arguments(arguments: Any, values: Any, seed: int, samples: int = 4) -> list[Any]:
    """Arguments to check at: the stored values, and seeded random numbers for the others.

    arguments: (name, number of leaves or None for a single number, has a sample axis)
    values: name -> stored value; past seed 0 they are moved by up to a tenth

    >>> sample_arguments([("w", 2, False)], {"w": [0.5, 1.0]}, seed=0)
    [[0.5, 1.0]]
    """
    draw = random.Random(seed)
    low = -1.0 if seed < 10 else 0.5  # above 0 when points of any sign keep leaving the domain
    point: list[Any] = []
    for name, width, batched in arguments:
        count = (width or 1) * (samples if batched else 1)
        numbers = [low + (1.5 - low) * draw.random() for _ in range(count)]
        if name in values:
            stored = values[name] if width else [values[name]]
            moved = [0.2 * (draw.random() - 0.5) * max(1.0, abs(number)) for number in stored]
            near = [a + b if seed else a for a, b in zip(stored, moved, strict=True)]
            numbers = [
                a if seed == 0 or math.isfinite(a) else b
                for a, b in zip(near, numbers, strict=True)
            ]
        rows = [numbers[i : i + width] for i in range(0, count, width)] if width else numbers
        point.append(rows if batched else rows[0])
    return point


def output_at(result: Any, path: Any) -> Any:
    """The part of a nested result that the keys in `path` lead to.

    >>> output_at({"grad": [1.0, 2.0]}, ("grad", 1))
    2.0
    """
    for key in path:
        result = result[key]
    return result


def path_text(path: Any) -> str:
    """The keys of a path in a row.

    >>> path_text(("grads", 0)), path_text((slice(1, 4),))
    ('grads.0', '1:4')
    """
    keys = [f"{k.start}:{k.stop}" if isinstance(k, slice) else str(k) for k in path]
    return ".".join(keys)


def numbers_in(result: Any) -> list[Any]:
    """The numbers of a nested result in order.

    >>> numbers_in({"loss": 1.0, "grad": [2.0, [3.0]]})
    [1.0, 2.0, 3.0]
    """
    parts = result.values() if isinstance(result, dict) else result
    if not isinstance(result, (dict, list)):
        return [result]
    return [number for part in parts for number in numbers_in(part)]


def central_difference(function: Any, arguments: Any, path: Any, which: Any, step: float) -> float:
    """The output at `path` differentiated by one number of the arguments, from both sides.

    which: (number of the argument, position in it or None for a single number)
    The five-point formula (Abramowitz & Stegun, 25.3.6); its error falls with step**4.

    >>> round(central_difference(lambda x: {"y": x * x}, [3.0], ("y",), (0, None), 1e-3), 9)
    6.0
    """
    results = [
        output_at(function(*moved(arguments, which, by)), path)
        for by in (step, -step, 2 * step, -2 * step)
    ]
    near, far = results[0] - results[1], results[2] - results[3]
    return float((8 * near - far) / (12 * step))


def moved(arguments: Any, which: Any, step: float) -> list[Any]:
    """The arguments with one of their numbers moved by a step; `which` as in central_difference.

    >>> moved([[1.0, 2.0], 3.0], (0, 1), 0.5)
    [[1.0, 2.5], 3.0]
    """
    argument, position = which
    result = list(arguments)
    if position is None:
        result[argument] += step
    else:
        result[argument] = list(result[argument])
        result[argument][position] += step
    return result


def kink_distance(
    function: Any, arguments: Any, path: Any, which: Any, claimed: float, step: float = 1e-6
) -> float:
    """How far a claimed derivative is from the slopes to the left and to the right, at a kink.

    Between two slopes that differ any derivative is one that a convention may take. Where they do
    not differ there is no kink, and the distance is infinite. Where the value itself jumps, slopes
    are measured on either side of the jump; at a point that jumps away from both sides there are
    none, and nothing can be said.

    >>> kink_distance(lambda x: {"y": abs(x)}, [0.0], ("y",), (0, None), 0.5)
    0.0
    >>> kink_distance(lambda x: {"y": x > 0.0}, [0.0], ("y",), (0, None), 0.0)
    0.0
    """
    sides = (-2 * step, -step, -step / 8, 0.0, step / 8, step, 2 * step)
    y = [output_at(function(*moved(arguments, which, by)), path) for by in sides]
    slopes = [(y[3] - y[1]) / step, (y[5] - y[3]) / step]
    small = 1e-9 * max(1.0, abs(y[3]))
    jumps = [
        abs(y[near] - y[3]) > max(small, 0.5 * abs(y[far] - y[3])) for near, far in ((2, 1), (4, 5))
    ]
    if all(jumps):
        return 0.0
    if any(jumps):
        slopes = [(y[1] - y[0]) / step, (y[6] - y[5]) / step]
    low, high = min(slopes), max(slopes)
    if not any(jumps) and not high - low > 1e-3 * max(1.0, abs(low), abs(high)):
        return math.inf
    return float(max(0.0, low - claimed, claimed - high))


def check_gradient(
    function: Any, arguments: Any, gradient: Any, output: Any, argument: int, most: int = 200
) -> tuple[int, int, float]:
    """(number of derivatives, how many were compared, largest error) of those at path `gradient`.

    They should be the derivatives of the output at path `output` by the numbers of one argument.
    Errors are relative to the largest claimed, or to 1 when that is smaller. Where a step
    crosses a kink a shorter one does not, so the best of three counts; just at a kink, where the
    derivative is a matter of convention, it may be anything between the slopes of both sides.

    >>> check_gradient(lambda x: {"y": x * x, "d": 2 * x}, [3.0], ("d",), ("y",), 0)[2] < 1e-9
    True
    """
    claimed = output_at(function(*arguments), gradient)
    single = not isinstance(claimed, list)
    claimed = [claimed] if single else claimed
    count = len(claimed)
    chosen = [i * count // most for i in range(most)] if count > most else list(range(count))
    scale = max([1.0, *[abs(slope) for slope in claimed if math.isfinite(slope)]])
    errors = []
    for step in (1e-3, 1e-5, 1e-7):
        measured = [
            central_difference(function, arguments, output, (argument, None if single else i), step)
            for i in chosen
        ]
        errors.append(
            [abs(claimed[i] - slope) / scale for i, slope in zip(chosen, measured, strict=True)]
        )
    known = [
        [error for error in pair if math.isfinite(error)] for pair in zip(*errors, strict=True)
    ]
    if not all(known):
        return count, len(chosen), math.nan
    best = [min(pair) for pair in known]
    for k, i in enumerate(chosen):
        if best[k] > 1e-6:
            which = (argument, None if single else i)
            best[k] = min(best[k], kink_distance(function, arguments, output, which, claimed[i]))
    return count, len(chosen), max(best)


def own_text(names: Any) -> Any:
    """The text of the module that has these global names, from a file or out of a zip archive.

    None where there is none: it came by standard input, or is compiled and alone.

    >>> "def own_text" in own_text(globals())
    True
    >>> own_text({"__name__": "elsewhere"}) is None
    True
    """
    spec, loader = names.get("__spec__"), names.get("__loader__")
    try:
        if loader is not None:
            return loader.get_source(spec.name if spec else names["__name__"])
        with open(names["__file__"], encoding="utf-8") as file:
            return file.read()
    except (AttributeError, ImportError, KeyError, OSError, UnicodeError):
        return None


def check_text(text: Any, digest: str) -> Any:
    """Whether a text, without the digest itself, has this SHA-256 digest; None if it is another's.

    The text of the module that asks holds the digest.

    >>> check_text("what was written, " + "0" * 64, "0" * 64), check_text("another", "0" * 64)
    (False, None)
    """
    if text is None or digest not in text:
        return None
    text = text.replace("\r\n", "\n").replace(digest, "")
    return hashlib.sha256(text.encode()).hexdigest() == digest


def ulp(number: float) -> float:
    """The distance of a finite number from the next, as `math.ulp` of Python 3.9.

    >>> [ulp(x) == math.ulp(x) for x in (1.0, -3e300, 5e-324, 0.0)]
    [True, True, True, True]
    """
    return math.ldexp(1.0, max(math.frexp(number)[1] - 53, -1074) if number else -1074)


def check_numbers(function: Any, arguments: Any, values: Any, points: Any) -> tuple[Any, ...]:
    """(numbers compared, largest distance in ulps, complaints) of the recorded numbers.

    points: (seed, [(position among all numbers, the number, how far rounding may take it)])

    >>> check_numbers(lambda x: x + 1.0, [("x", None, False)], {"x": 2.0}, [(0, [(0, 3.0, 0.0)])])
    (1, 0.0, [])
    """
    count, worst, wrong = 0, 0.0, []
    for seed, recorded in points:
        found = numbers_in(function(*sample_arguments(arguments, values, seed)))
        for position, number, reach in recorded:
            got = found[position] if position < len(found) else math.nan
            apart = abs(got - number)
            count += 1
            if not apart <= reach:
                wrong.append(f"number {position} is {got!r}, expected {number!r}")
            if apart:
                worst = max(worst, apart / ulp(number))
    return count, worst, wrong


def check_module(
    function: Any,
    arguments: Any,
    values: Any,
    derivatives: Any,
    certificate: Any = None,
    text: Any = None,
    tolerance: float = 1e-6,
    draws: int = 20,
) -> bool:
    """Print what was proved, what is checked now, and whether it holds; answer if all does.

    derivatives: (path of the gradient, path of the output, number of the argument)
    text: that of the module, None where it is not to be had
    """
    good = True
    if certificate:
        good = not certificate["failed"]
        count = len(certificate["shown"])
        print(f"certificate: {count} line{'s' * (count != 1)} of what was shown, see CERTIFICATE")
        for words, lines in (("not shown", "not shown"), ("FAILED when written", "failed")):
            for line in certificate[lines]:
                print(f"{words}: {line}")
        same = check_text(text, certificate["sha256"])
        good = good and same is not False
        if same is None:
            print("text: not compared: it is not to be had where this runs from")
        else:
            print("text: as it was written: ok" if same else "text: CHANGED since it was written")
    if certificate and certificate["points"]:
        found = check_numbers(function, arguments, values, certificate["points"])
        good = good and not found[2]
        print(
            f"numbers: {found[0]} against their 50 digits, {found[1]:.0f} ulps off at most: "
            + ("ok" if not found[2] else f"WRONG in {len(found[2])}: {found[2][0]}")
        )
    seed, checks = 0, []
    for seed in range(draws):
        point = sample_arguments(arguments, values, seed)
        checks = [check_gradient(function, point, *d) for d in derivatives]
        if all(math.isfinite(error) for _, _, error in checks):
            break
    else:
        print(f"gradient: NOT CHECKED: no finite point found in {draws} draws")
        return False
    shown = ", ".join(name + (" (stored)" if name in values else "") for name, _, _ in arguments)
    drawn = "stored numbers moved by up to a tenth, " if seed and values else ""
    print(f"{function.__name__}({shown}), {drawn}other numbers drawn with seed {seed}")
    result = function(*point)
    entries = result if isinstance(result, dict) else {"result": result}
    for key, value in entries.items():
        shown = repr(value)
        print(f"{ascii(key)[1:-1]} = {shown if len(shown) <= 72 else shown[:64] + ' ...'}")
    for (gradient, output, argument), (count, compared, error) in zip(
        derivatives, checks, strict=True
    ):
        names = [ascii(path_text(path))[1:-1] for path in (gradient, output)]
        part = f"{compared} of {count}" if compared < count else f"{count}"
        print(
            f"{names[0]}: {part} derivative{'s' * (count != 1)} of {names[1]} "
            f"by {arguments[argument][0]}, largest error {error:.1e} against central differences: "
            + ("ok" if error <= tolerance else "WRONG")
        )
    if not derivatives:
        print("no output is the gradient of another, so there is no gradient to check")
    return good and all(error <= tolerance for _, _, error in checks)
