"""Tensors as an ONNX model, for runtimes elsewhere.

A tensor is a node or a few; an operation is written in its record's "onnx" notation, calls of
ONNX's operators in each other, such as `Sub(Exp({0}), 1.0)`.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any, Final

from ...errors import MissingExtraError
from ...ops.record import Op
from ...ops.scalar import ADD, MAXIMUM
from ...ops.shapes import BATCH
from ..array.function import ArrayFunction
from ..program import flatten
from . import tensors
from .lowering import lowered
from .tensors import Tensor, keys_of

OPSET: Final = 18
"""The version of ONNX's operators that models are written in."""

_FORMAT: Final = 9
"""The version of the file format, which every runtime with these operators reads."""

_FURTHEST: Final = 2**62


def onnx_model(function: ArrayFunction) -> bytes:
    """A function of statements as the bytes of an ONNX model; a `MissingExtraError` without onnx.

    Inputs are called as the arguments, outputs by their keys, joined by dots; "output" is the only
    one of a function without keys.
    """
    return _Model(function).bytes()


def _package() -> Any:
    try:
        import onnx
    except ImportError:
        raise MissingExtraError(
            "saving a model as ONNX needs the package onnx, which is not installed: "
            "pip install 'wengert[onnx]'"
        ) from None
    return onnx


class _Model:
    def __init__(self, function: ArrayFunction) -> None:
        self._onnx = _package()
        self._function, self._made = function, lowered(function)
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._known: dict[Any, str] = {}
        self._names: dict[Tensor, str] = {}

    def bytes(self) -> bytes:
        """The whole model."""
        helper, function = self._onnx.helper, self._function
        results = list(flatten(self._made.outputs))
        needed = {tensor for _, tensor in results}
        for tensor in reversed(self._made.tensors):
            if tensor in needed:
                needed.update(tensor.operands)
        for tensor in self._made.tensors:
            if tensor in needed:
                self._names[tensor] = self._value(tensor)
        inputs = [
            helper.make_tensor_value_info(g.argument, self._float(), _shape(g.whole))
            for g in function.groups
            if g.leaves
        ]
        outputs = []
        for path, tensor in results:
            name = ".".join(map(str, path)) or "output"
            self._nodes.append(helper.make_node("Identity", [self._names[tensor]], [name]))
            outputs.append(helper.make_tensor_value_info(name, self._float(), _shape(tensor.shape)))
        graph = helper.make_graph(self._nodes, function.name, inputs, outputs, self._constants)
        model = helper.make_model(
            graph,
            producer_name="wengert",
            ir_version=_FORMAT,
            opset_imports=[helper.make_opsetid("", OPSET)],
        )
        self._onnx.checker.check_model(model)
        found: bytes = model.SerializeToString(deterministic=True)
        return found

    def _float(self) -> int:
        kinds = self._onnx.TensorProto
        return int(kinds.DOUBLE if self._function.dtype == "float64" else kinds.FLOAT)

    # Nodes.

    def _node(self, operator: str, operands: Sequence[str], **attributes: Any) -> str:
        """A node, by the name of its value."""
        name = f"t{len(self._nodes)}"
        self._nodes.append(self._onnx.helper.make_node(operator, operands, [name], **attributes))
        return name

    def _constant(self, values: Any) -> str:
        """A constant, by its name; each once."""
        key = values.tobytes(), values.shape, values.dtype.str
        if key not in self._known:
            name = self._known[key] = f"c{len(self._constants)}"
            self._constants.append(self._onnx.numpy_helper.from_array(values, name))
        return self._known[key]

    def _number(self, value: float) -> str:
        import numpy

        return self._constant(numpy.array(value, self._function.dtype))

    def _whole(self, numbers: Sequence[int]) -> str:
        import numpy

        return self._constant(numpy.array(numbers, numpy.int64))

    def _value(self, tensor: Tensor) -> str:
        """The name of what a tensor is."""
        import numpy

        made = tensor.made
        given = [self._names[operand] for operand in tensor.operands]
        match made:
            case tensors.Argument(name):
                return name
            case tensors.Number(value):
                return self._number(value)
            case tensors.Constant():
                kind = made.values.dtype.kind
                typed = made.values.astype(self._function.dtype) if kind == "f" else made.values
                return self._constant(numpy.ascontiguousarray(typed))
            case tensors.Samples():
                return self._node("Cast", [self._count(True)], to=self._float())
            case tensors.Pointwise(op, statics):
                return self._pointwise(op, statics, given)
            case tensors.Turned(order):
                return self._node("Transpose", given, perm=list(order))
            case tensors.Reshaped():
                return self._node("Reshape", [*given, self._whole(tensor.shape)])
            case tensors.Cut():
                return self._cut(given[0], made)
            case tensors.Flipped(axes):
                ends = [self._whole([n] * len(axes)) for n in (-1, -_FURTHEST)]
                steps = self._whole([-1] * len(axes))
                return self._node("Slice", [given[0], *ends, self._whole(axes), steps])
            case tensors.Picked(axis):
                return self._node("Gather", given, axis=axis)
            case tensors.Product():
                return self._product(given, [len(one.shape) for one in tensor.operands])
            case tensors.Contraction(letters):
                return self._node("Einsum", given, equation=letters)
            case tensors.Reduced(op, axes):
                extreme = "ReduceMax" if op is MAXIMUM else "ReduceMin"
                operator = "ReduceSum" if op is ADD else extreme
                return self._node(operator, [*given, self._whole(axes)], keepdims=0)
            case tensors.Grown():
                return self._node("Expand", [*given, self._lengths(tensor.shape)])
            case tensors.Joined(axis):
                return self._node("Concat", given, axis=axis)
            case tensors.AsNumber():
                return self._node("Cast", given, to=self._float())
            case tensors.AsTruth():
                return self._node("Not", [self._node("Equal", [*given, self._number(0.0)])])

    def _pointwise(self, op: Op, statics: Sequence[float], given: Sequence[str]) -> str:
        fixed = {
            name: repr(float(static)) for name, static in zip(op.statics, statics, strict=True)
        }
        form = op.spelling("onnx", statics)
        names = [f"_{k}" for k in range(len(given))]
        tree = ast.parse(form.template.format(*names, **fixed), mode="eval")
        return self._expression(tree.body, dict(zip(names, given, strict=True)))

    def _expression(self, tree: ast.expr, given: dict[str, str]) -> str:
        """Calls of operators in each other, which a record nests a few deep."""
        if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name):
            return self._node(tree.func.id, [self._expression(one, given) for one in tree.args])
        if isinstance(tree, ast.Name):
            return given[tree.id]
        return self._number(float(ast.literal_eval(tree)))

    def _product(self, given: Sequence[str], axes: Sequence[int]) -> str:
        """A product of matrices, vectors as matrices of one column or row.

        onnxruntime 1.32 turns a product of a transposed matrix and a vector into a wrong one.
        """
        a, b = given
        lost = []
        if axes[1] == 1:
            b = self._node("Unsqueeze", [b, self._whole([1])])
            lost.append(-1)
        if axes[0] == 1:
            a = self._node("Unsqueeze", [a, self._whole([0])])
            lost.append(-2)
        made = self._node("MatMul", [a, b])
        return self._node("Squeeze", [made, self._whole(lost)]) if lost else made

    def _cut(self, value: str, made: tensors.Cut) -> str:
        keys = keys_of(made)
        old = [key for key in keys if key is not None]
        bounds = [
            (axis, key.start or 0, _FURTHEST if key.stop is None else key.stop, key.step or 1)
            if isinstance(key, slice)
            else (axis, key, key + 1, 1)
            for axis, key in enumerate(old)
            if key != slice(None)
        ]
        if bounds:
            axes, starts, stops, steps = map(self._whole, zip(*bounds, strict=True))
            value = self._node("Slice", [value, starts, stops, axes, steps])
        lost = [axis for axis, key in enumerate(old) if isinstance(key, int)]
        if lost:
            value = self._node("Squeeze", [value, self._whole(lost)])
        kept = [key for key in keys if not isinstance(key, int)]
        new = [place for place, key in enumerate(kept) if key is None]
        return self._node("Unsqueeze", [value, self._whole(new)]) if new else value

    def _count(self, bare: bool = False) -> str:
        """How many samples there are, as a vector of one; as a number where it is `bare`."""
        if not self._made.samples:
            return self._constant(_one(bare))
        start, stop = self._whole([0]), self._whole([1])
        counted = self._node(
            "Slice", [self._node("Shape", [self._made.samples]), start, stop, self._whole([0])]
        )
        return self._node("Squeeze", [counted, self._whole([0])]) if bare else counted

    def _lengths(self, shape: Sequence[int]) -> str:
        """A shape as a vector of whole numbers."""
        if BATCH not in shape:
            return self._whole(shape)
        parts = [self._count() if n == BATCH else self._whole([n]) for n in shape]
        return self._node("Concat", parts, axis=0) if len(parts) > 1 else parts[0]


def _one(bare: bool) -> Any:
    import numpy

    return numpy.array(1 if bare else [1], numpy.int64)


def _shape(shape: Sequence[int]) -> list[int | str]:
    return ["batch" if length == BATCH else length for length in shape]
