"""Random programs, and whether everything agrees about them: for the package and its users.

`sketches` is a hypothesis strategy for graphs of scalars and `check_agreement` judges them, for as
long as is asked in `fuzz`; `check_operation` does for an operation of your own what the package's
tests do for its own. `ArraySketch` is a random function of arrays, `check_arrays` asks a target
about it.

Needs hypothesis: `pip install "wengert[testing]"`.
"""

from .arrays import ArraySketch, check_arrays, check_elements, check_gradient
from .scalars import (
    EXTREMES,
    RUNNABLE,
    SCALAR_OPERATIONS,
    Sketch,
    Step,
    check_agreement,
    check_in_node,
    check_operation,
    fuzz,
    same,
    sketches,
)

__all__ = [
    "EXTREMES",
    "RUNNABLE",
    "SCALAR_OPERATIONS",
    "ArraySketch",
    "Sketch",
    "Step",
    "check_agreement",
    "check_arrays",
    "check_elements",
    "check_gradient",
    "check_in_node",
    "check_operation",
    "fuzz",
    "same",
    "sketches",
]
