"""Symbolic expression-graph compiler for neural networks.

Write scalars. Read the calculus. Run matrices.

>>> import wengert as wg
>>> g = wg.Graph()
>>> w, x, b = g.input("w"), g.input("x"), g.input("b")
>>> y = wg.tanh(w * x + b)
>>> print(wg.simplify(wg.grad(y, w)))
(1 - tanh(w*x + b)*tanh(w*x + b))*x
>>> f = wg.compile({"w": w, "x": x, "b": b}, {"y": y, "dw": wg.grad(y, w)})
>>> f(0.0, 2.0, 0.0)
{'y': 0.0, 'dw': 2.0}
"""

if __name__ != "wengert":
    raise ImportError(
        f"this package is called 'wengert', not {__name__!r}: a second copy of every class would "
        "follow; install it (pip install -e .) and `import wengert`"
    )

from importlib import import_module
from typing import TYPE_CHECKING, Any

from . import arrays
from .arrays.roll import Rolled, check_roll, roll
from .codegen.compiled import Compiled, compile
from .codegen.target import Source, Target, targets
from .derive.backward import adjoints, grad, hessian, hvp, jacobian, jvp
from .draw.draw import draw_dot
from .errors import (
    DataError,
    DisconnectedInputError,
    DuplicateNameError,
    FormulaError,
    GraphMismatchError,
    InvalidNameError,
    MissingExtraError,
    MissingInputError,
    NonFiniteError,
    NotALeafError,
    NotDifferentiableError,
    OperandError,
    SaveFileError,
    SettingError,
    ShapeError,
    SizeError,
    SpellingError,
    TracingError,
    TruthValueError,
    UnknownNameError,
    WengertError,
)
from .explain import explain
from .graph.evaluation import evaluate
from .graph.expr import Expr, Graph
from .graph.module import Module
from .graph.store import Origin
from .graph.unroll import unroll
from .graph.value import Value, zero_grad
from .graph.written import latex, text
from .notation.doors import open_doors
from .notation.fromsympy import from_sympy
from .notation.json import from_json, to_json
from .notation.networkfiles import to_networkx
from .notation.networkx import from_networkx
from .notation.parse import parse
from .notation.sympy import to_sympy
from .notebook import open_doors as open_notebook_doors
from .ops.record import Notation, Op
from .ops.scalar import (
    absolute,
    acos,
    acosh,
    asin,
    asinh,
    atan,
    atan2,
    atanh,
    cbrt,
    ceil,
    clip,
    cos,
    cosh,
    digamma,
    elu,
    equal,
    erf,
    erfc,
    exp,
    exp2,
    expm1,
    floor,
    floor_divide,
    gelu,
    gelu_exact,
    greater,
    greater_equal,
    hard_sigmoid,
    hard_tanh,
    heaviside,
    hypot,
    isfinite,
    isnan,
    leaky_relu,
    less,
    less_equal,
    lgamma,
    log,
    log1p,
    log2,
    log10,
    logaddexp,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    maximum,
    minimum,
    mish,
    mod,
    not_equal,
    polygamma,
    relu,
    selu,
    sigmoid,
    sign,
    silu,
    sin,
    sinh,
    softplus,
    softsign,
    sqrt,
    stop_gradient,
    tan,
    tanh,
    total,
    where,
)
from .ops.scalar import round as round
from .ops.table import OPERATIONS
from .proof.ranges import ranges
from .simplify.pipeline import simplify
from .simplify.rules import Rule
from .simplify.stable import stable_form
from .trace.function import Function, function
from .trace.table import Table, pick, table, take
from .train import schedules
from .train.dense import Dense
from .train.fit import fit
from .train.history import History
from .train.losses import (
    LOSSES,
    binary_cross_entropy,
    cross_entropy,
    hinge,
    soft_cross_entropy,
    squared_error,
)
from .train.nn import MLP, Layer, Neuron, load
from .train.optim import SGD, Adam, AdamW, Clipped, Decayed, Momentum, Optimizer
from .train.step import training_step
from .verify.verify import Verification, verify

if TYPE_CHECKING:
    from .explain import Walkthrough

open_doors()
open_notebook_doors()

__version__ = "0.1.0"

__all__ = [
    "Adam",
    "AdamW",
    "Clipped",
    "Compiled",
    "DataError",
    "Decayed",
    "Dense",
    "DisconnectedInputError",
    "DuplicateNameError",
    "Expr",
    "FormulaError",
    "Function",
    "Graph",
    "GraphMismatchError",
    "History",
    "InvalidNameError",
    "LOSSES",
    "Layer",
    "MLP",
    "MissingExtraError",
    "MissingInputError",
    "Module",
    "Momentum",
    "Neuron",
    "NonFiniteError",
    "NotALeafError",
    "NotDifferentiableError",
    "Notation",
    "OPERATIONS",
    "Op",
    "OperandError",
    "Optimizer",
    "Origin",
    "Rolled",
    "Rule",
    "SGD",
    "SaveFileError",
    "SettingError",
    "ShapeError",
    "SizeError",
    "Source",
    "SpellingError",
    "Table",
    "Target",
    "TracingError",
    "TruthValueError",
    "UnknownNameError",
    "Value",
    "Verification",
    "Walkthrough",
    "WengertError",
    "absolute",
    "acos",
    "acosh",
    "adjoints",
    "arrays",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "binary_cross_entropy",
    "cbrt",
    "ceil",
    "check_roll",
    "clip",
    "compile",
    "cos",
    "cosh",
    "cross_entropy",
    "digamma",
    "draw_dot",
    "elu",
    "equal",
    "erf",
    "erfc",
    "evaluate",
    "exp",
    "exp2",
    "explain",
    "expm1",
    "fit",
    "floor",
    "floor_divide",
    "from_json",
    "from_networkx",
    "from_sympy",
    "function",
    "gelu",
    "gelu_exact",
    "grad",
    "greater",
    "greater_equal",
    "hard_sigmoid",
    "hard_tanh",
    "heaviside",
    "hessian",
    "hinge",
    "hvp",
    "hypot",
    "isfinite",
    "isnan",
    "jacobian",
    "jvp",
    "latex",
    "leaky_relu",
    "less",
    "less_equal",
    "lgamma",
    "load",
    "log",
    "log10",
    "log1p",
    "log2",
    "logaddexp",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "maximum",
    "minimum",
    "mish",
    "mod",
    "not_equal",
    "parse",
    "pick",
    "polygamma",
    "ranges",
    "relu",
    "roll",
    "schedules",
    "selu",
    "sigmoid",
    "sign",
    "silu",
    "simplify",
    "sin",
    "soft_cross_entropy",
    "sinh",
    "softplus",
    "softsign",
    "sqrt",
    "squared_error",
    "stable_form",
    "stop_gradient",
    "table",
    "take",
    "tan",
    "tanh",
    "targets",
    "text",
    "to_json",
    "to_networkx",
    "to_sympy",
    "total",
    "training_step",
    "unroll",
    "verify",
    "where",
    "zero_grad",
]


def __getattr__(name: str) -> Any:
    if name == "Walkthrough":
        from .explain import Walkthrough

        return Walkthrough
    if name == "estimators":
        return import_module(".estimators", __name__)
    raise AttributeError(f"module 'wengert' has no attribute {name!r}")
