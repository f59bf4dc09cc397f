"""The check that exported modules carry: their gradients against central differences.

The functions' text is copied into each module, so they use nothing but the standard library and
each other.
"""

import math
import random
from typing import Any


def sample_arguments(arguments: Any, values: Any, seed: int, samples: int = 4) -> list[Any]:
    """Arguments to check at: the stored values, and seeded random numbers for the others.

    arguments: (name, number of leaves or None for a single number, has a sample axis)
    values: name -> stored value

    >>> sample_arguments([("w", 2, False)], {"w": [0.5, 1.0]}, seed=0)
    [[0.5, 1.0]]
    """
    draw = random.Random(seed)
    low = -1.0 if seed < 10 else 0.5  # above 0 when points of any sign keep leaving the domain
    point: list[Any] = []
    for name, width, batched in arguments:
        count = (width or 1) * (samples if batched else 1)
        numbers = [draw.uniform(low, 1.5) for _ in range(count)]
        rows = [numbers[i : i + width] for i in range(0, count, width)] if width else numbers
        point.append(values[name] if name in values else rows if batched else rows[0])
    return point


def output_at(result: Any, path: Any) -> Any:
    """The part of a nested result that the keys in `path` lead to.

    >>> output_at({"grad": [1.0, 2.0]}, ("grad", 1))
    2.0
    """
    for key in path:
        result = result[key]
    return result


def central_difference(function: Any, arguments: Any, path: Any, which: Any, step: float) -> float:
    """The output at `path` differentiated by one number of the arguments, from both sides.

    which: (number of the argument, position in it or None for a single number)
    The five-point formula (Abramowitz & Stegun, 25.3.6); its error falls with step**4.

    >>> round(central_difference(lambda x: {"y": x * x}, [3.0], ("y",), (0, None), 1e-3), 9)
    6.0
    """
    argument, position = which
    results = []
    for by in (step, -step, 2 * step, -2 * step):
        moved = list(arguments)
        if position is None:
            moved[argument] += by
        else:
            moved[argument] = list(moved[argument])
            moved[argument][position] += by
        results.append(output_at(function(*moved), path))
    near, far = results[0] - results[1], results[2] - results[3]
    return float((8 * near - far) / (12 * step))


def check_gradient(
    function: Any, arguments: Any, gradient: Any, output: Any, argument: int, step: float = 1e-3
) -> tuple[int, float]:
    """(number of derivatives, largest error) of the outputs at path `gradient`.

    They should be the derivatives of the output at path `output` by the numbers of one argument.
    Errors are relative to the largest derivative, or to 1 when that is smaller.

    >>> check_gradient(lambda x: {"y": x * x, "d": 2 * x}, [3.0], ("d",), ("y",), 0)[1] < 1e-9
    True
    """
    claimed = output_at(function(*arguments), gradient)
    single = not isinstance(claimed, list)
    claimed = [claimed] if single else claimed
    measured = [
        central_difference(function, arguments, output, (argument, None if single else i), step)
        for i in range(len(claimed))
    ]
    scale = max([1.0, *map(abs, measured)])
    errors = [abs(a - b) / scale for a, b in zip(claimed, measured, strict=True)]
    return len(errors), max(errors) if all(map(math.isfinite, errors)) else math.nan


def check_module(
    function: Any, arguments: Any, values: Any, derivatives: Any, tolerance: float = 1e-6
) -> bool:
    """Print what the function gives at one point and whether its gradients hold; answer if all do.

    derivatives: (path of the gradient, path of the output, number of the argument)
    """
    seed = 0
    point = sample_arguments(arguments, values, seed)
    checks = [check_gradient(function, point, *d) for d in derivatives]
    while seed < 20 and not all(math.isfinite(error) for _, error in checks):
        seed += 1
        point = sample_arguments(arguments, values, seed)
        checks = [check_gradient(function, point, *d) for d in derivatives]
    shown = ", ".join(name + (" (stored)" if name in values else "") for name, _, _ in arguments)
    print(f"{function.__name__}({shown}), other numbers drawn with seed {seed}")
    result = function(*point)
    entries = result if isinstance(result, dict) else {"result": result}
    for key, value in entries.items():
        shown = repr(value)
        print(f"{key} = {shown if len(shown) <= 72 else shown[:64] + ' ...'}")
    for (gradient, output, argument), (count, error) in zip(derivatives, checks, strict=True):
        names = [".".join(map(str, path)) for path in (gradient, output)]
        print(
            f"{names[0]}: {count} derivative{'s' * (count != 1)} of {names[1]} "
            f"by {arguments[argument][0]}, largest error {error:.1e} against central differences: "
            + ("ok" if error <= tolerance else "WRONG")
        )
    if not derivatives:
        print("no output is the gradient of another, so there is nothing to check")
    return all(error <= tolerance for _, error in checks)
