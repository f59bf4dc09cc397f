"""Tensors as a Python function on an engine's arrays, one line after another.

What is read once is written where it is read, up to a limit. Nothing is written over.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import copysign, inf, isfinite
from typing import Any, Final

from ...ops.record import ATOM, COMPARISON, PRODUCT, UNARY, Notation
from ...ops.scalar import ADD, MAXIMUM, WHERE
from ...ops.shapes import BATCH, Shape, shape_text
from ..array.function import ArrayFunction
from ..array.literals import array_literal
from ..names import Namespace, called_elsewhere
from ..program import flatten, map_nested
from ..scalar.layout import Listing
from ..scalar.writer import write_display
from ..target import Source, definitions
from . import tensors
from .dialect import Dialect, definitions_in
from .lowering import TensorFunction, lowered
from .tensors import Tensor, keys_of

LONGEST: Final = 70
"""An expression of more characters is not written inside another."""

DEEPEST: Final = 10
"""How deep expressions are nested."""

_TOO_LARGE: Final = (2 - 2**-24) * 2.0**127
"""From here on numbers are infinite in float32."""

_OPERATOR: Final = re.compile(r"^-?\{0\}(?: ?[^\w\s{}(]+ ?\{1\})?$")


@dataclass(frozen=True)
class Text:
    """An expression: how tightly it binds, and how deep it is nested."""

    text: str
    binds: int = ATOM
    depth: int = 0

    def within(self, level: int) -> str:
        """The text for a place that needs `level`."""
        return self.text if self.binds >= level else f"({self.text})"

    @property
    def tight(self) -> str:
        """The text for a place before a dot or a bracket."""
        bare = self.text.replace(".", "", 1).isdigit()
        return f"({self.text})" if bare else self.within(ATOM)


def emit_with(dialect: Dialect, function: ArrayFunction) -> Source:
    """The statements as a function on an engine's arrays, after what it needs."""
    return _Printer(dialect, function, lowered(function)).source()


class _Printer:
    def __init__(self, dialect: Dialect, function: ArrayFunction, made: TensorFunction) -> None:
        self._dialect, self._function, self._made = dialect, function, made
        self._type = f"{dialect.module}.{function.dtype}"
        given = (group.argument for group in function.groups if group.leaves)
        self._like = next(given, "") if dialect.bring else ""  # new arrays lie where this one does
        own = {group.argument for group in function.groups}
        ops = [s.value.op for s in function.program.statements]
        taken = {function.name, "np", "jax", "torch", "jnp", "samples", *own}
        self._space = Namespace(taken | called_elsewhere(ops))
        self._texts: dict[Tensor, Text] = {}
        self._constants: dict[str, str] = {}
        self._brought: dict[str, str] = {}
        self._forms: list[Notation] = []
        self._listing = Listing()
        self._results = [output for _, output in flatten(made.outputs)]
        self._uses = self._counted()

    def _counted(self) -> Counter[Tensor]:
        """How often each tensor is used, for those that the results need."""
        uses = Counter(self._results)
        for tensor in reversed(self._made.tensors):
            if uses[tensor]:
                uses.update(tensor.operands)
        return uses

    def source(self) -> Source:
        """The whole text."""
        dialect, listing = self._dialect, self._listing
        for tensor in self._made.tensors:
            if self._uses[tensor]:
                self._write(tensor)
        shown = map_nested(self._made.outputs, self._result)
        self._results_from = len(listing.lines)
        write_display(listing, "return ", shown, "", 1)
        head = self._head()
        found = {**listing.found, "return": self._results_from + 1}
        carried = definitions_in(dialect, definitions(self._forms))
        body = "\n".join([*carried, *head, *listing.lines])
        imports = [line for line in dialect.imports if _names_it(line, body)]
        constants = Listing()
        for text, name in self._constants.items():
            constants.assign(name, "=", text, 0)
        if "np." in "\n".join(constants.lines):
            imports.append("import numpy as np")
        blocks = ["\n".join(_sorted_imports(imports)), *carried, "\n".join(constants.lines)]
        top = "\n\n\n".join(block for block in blocks if block)
        offset = top.count("\n") + 3 + len(head)
        lines = {name: line + offset for name, line in found.items()}
        text = f"{top}\n\n\n" + "\n".join([*head, *listing.lines]) + "\n"
        return Source(text, self._function.name, lines)

    def _head(self) -> list[str]:
        """The first lines of the function, which bring constants to the arguments."""
        function, dialect, head = self._function, self._dialect, Listing()
        if dialect.decorator:
            head.add(dialect.decorator)
        arguments = [f"{group.argument}," for group in function.groups]
        head.enclose(f"def {function.name}(", [*arguments[:-1], arguments[-1][:-1]], "):", 0)
        head.add(f'"""A function on arrays of {dialect.target}, generated by wengert.', "", level=1)
        head.add(
            *(f"{g.argument}: array of shape {shape_text(g.whole)}" for g in function.groups),
            level=1,
        )
        head.add('"""', level=1)
        for name, text in self._brought.items():
            head.assign(name, "=", text, 1)
        return head.lines

    # One tensor after another.

    def _write(self, tensor: Tensor) -> None:
        code = self._rendered(tensor)
        once = self._uses[tensor] == 1 and len(code.text) <= LONGEST and code.depth < DEEPEST
        if (once and not isinstance(tensor.made, tensors.Joined)) or self._is_plain(tensor):
            self._texts[tensor] = code
            return
        name = self._space.take(self._made.names.get(tensor, ""))
        self._listing.assign(name, "=", code.text, 1, self._made.names.get(tensor, name))
        self._texts[tensor] = Text(name)

    def _is_plain(self, tensor: Tensor) -> bool:
        """Whether it is written again rather than kept: a name, a number, a view of a name."""
        made = tensor.made
        if isinstance(made, (tensors.Argument, tensors.Number, tensors.Constant, tensors.Samples)):
            return True
        short = isinstance(made, (tensors.Turned, tensors.Cut)) and tensor not in self._made.names
        return short and self._texts[tensor.operands[0]].text.isidentifier()

    def _code(self, tensor: Tensor) -> Text:
        return self._texts[tensor]

    def _rendered(self, tensor: Tensor) -> Text:
        made, dialect = tensor.made, self._dialect
        operands = [self._code(operand) for operand in tensor.operands]
        depth = 1 + max([code.depth for code in operands], default=-1)
        module, axis = dialect.module, dialect.axis
        binds = ATOM
        match made:
            case tensors.Argument(name):
                text = name
            case tensors.Number(value):
                return _number(self._rounded(value), module)
            case tensors.Constant():
                return Text(self._constant(made))
            case tensors.Samples(argument):
                return Text(self._count(argument))
            case tensors.Pointwise():
                return self._pointwise(tensor, operands, depth)
            case tensors.Turned(order):
                two = order == (1, 0)
                inside = ", ".join(map(str, order))
                text = operands[0].tight + (".T" if two else f".{dialect.turn}({inside})")
            case tensors.Reshaped():
                inside = ", ".join(map(self._minus_one, tensor.shape))
                flat = len(tensor.shape) == 1
                text = f"{operands[0].tight}.{'ravel()' if flat else f'reshape({inside})'}"
            case tensors.Cut():
                keys = ", ".join(map(_key_text, keys_of(made)))
                text = f"{operands[0].tight}[{keys}]"
            case tensors.Flipped(axes):
                text = f"{module}.flip({operands[0].text}, {axes})"
            case tensors.Picked(place):
                inside = ", ".join([*[":"] * place, operands[1].text])
                text = f"{operands[0].tight}[{inside}]"
            case tensors.Product():
                text = f"{operands[0].within(PRODUCT)} @ {operands[1].within(PRODUCT + 1)}"
                binds = PRODUCT
            case tensors.Contraction(letters):
                inside = f'"{letters}", {operands[0].text}, {operands[1].text}'
                text = f"{module}.einsum({inside})"
            case tensors.Reduced(op, along):
                extreme = dialect.largest if op is MAXIMUM else dialect.smallest
                method = "sum" if op is ADD else extreme
                where = str(along[0] if len(along) == 1 else along)
                every = len(along) == len(tensor.operands[0].shape)
                inside = "" if every else f"{axis}={where}"
                text = f"{operands[0].tight}.{method}({inside})"
            case tensors.Grown():
                text = self._grown(tensor, operands[0])
            case tensors.Joined(place):
                listed = ", ".join(code.text for code in operands)
                where = f", {axis}={place}" if place else ""
                text = f"{module}.{dialect.join}([{listed}]{where})"
            case tensors.AsNumber():
                text = f"{operands[0].tight}.{dialect.cast}({self._type})"
            case _:
                text, binds = f"{operands[0].within(COMPARISON + 1)} != 0.0", COMPARISON
        return Text(text, binds, depth)

    def _pointwise(self, tensor: Tensor, operands: Sequence[Text], depth: int) -> Text:
        made, dialect = tensor.made, self._dialect
        assert isinstance(made, tensors.Pointwise)
        form = dialect.spelling(made.op, made.statics)
        self._forms.append(form)
        given = list(operands)
        plain = [k for k, one in enumerate(tensor.operands) if one.number is not None]
        values = [k for k in range(len(given)) if k not in made.op.conditions]
        alone = made.op.conditions and values and all(k in plain for k in values)
        boxed = dialect.boxed and not _OPERATOR.match(form.template) and made.op is not WHERE
        for k in plain:
            if boxed or (alone and k == values[0]):
                given[k] = Text(self._boxed(given[k].text))
        slots = (*form.slots, *[0] * len(given))
        texts = [code.within(slot) for code, slot in zip(given, slots, strict=False)]
        fixed = {
            name: repr(float(static))
            for name, static in zip(made.op.statics, made.statics, strict=True)
        }
        return Text(form.template.format(*texts, **fixed), form.binds, depth)

    def _rounded(self, value: float) -> float:
        """A number that the type cannot hold as the infinite one that it is there."""
        over = self._function.dtype == "float32" and abs(value) >= _TOO_LARGE
        return copysign(inf, value) if over else value

    def _boxed(self, text: str) -> str:
        """A number as an array without axes."""
        if self._like:
            return f"{self._like}.new_full((), {text})"
        make = "tensor" if self._dialect.boxed else "asarray"
        return f"{self._dialect.module}.{make}({text}, dtype={self._type})"

    def _grown(self, tensor: Tensor, code: Text) -> str:
        module, inside = self._dialect.module, self._shape(tensor.shape)
        if tensor.operands[0].number is None:
            return f"{module}.broadcast_to({code.text}, {inside})"
        if self._like:
            return f"{self._like}.new_full({inside}, {code.text})"
        return f"{module}.full({inside}, {code.text}, dtype={self._type})"

    def _shape(self, shape: Shape) -> str:
        inside = ", ".join(self._length(length) for length in shape)
        return f"({inside},)" if len(shape) == 1 else f"({inside})"

    def _length(self, length: int) -> str:
        return f"len({self._made.samples or '[0]'})" if length == BATCH else str(length)

    def _minus_one(self, length: int) -> str:
        return "-1" if length == BATCH else str(length)

    def _count(self, argument: str) -> str:
        """The variable that holds the number of samples."""
        text = self._boxed(f"float(len({argument}))" if argument else "1.0")
        self._brought.setdefault("samples", text)
        return "samples"

    # Constants.

    def _constant(self, made: tensors.Constant) -> str:
        """The name of a constant in the function."""
        dialect = self._dialect
        text = self._constant_text(made)
        name = self._constants.get(text)
        if name is None:
            wish = made.wish.upper() if dialect.bring else made.wish
            name = self._constants[text] = self._space.take(wish, "constant")
        if not dialect.bring:
            return name
        for local, brought in self._brought.items():
            if brought.startswith(f"{name}."):
                return local
        local = self._space.take(made.wish, "constant")
        if not self._like:
            return name
        self._brought[local] = f"{name}.{dialect.bring.format(self._like)}"
        return local

    def _constant_text(self, made: tensors.Constant) -> str:
        kind = made.values.dtype.kind
        dtype = {"b": "bool", "i": "int64"}.get(kind, self._function.dtype)
        text = made.text
        if not text:
            text = array_literal(made.values, "int64" if kind == "b" else dtype)
        if self._dialect.constants != "np":
            text = f"{self._dialect.constants}({text})"
        return text

    # Results.

    def _result(self, tensor: Tensor) -> str:
        code = self._texts[tensor]
        if isinstance(tensor.made, (tensors.Number, tensors.Samples)):
            return self._boxed(code.text) if isinstance(tensor.made, tensors.Number) else code.text
        alias = self._dialect.bring and self._may_be_argument(tensor)
        return f"{code.tight}.clone()" if alias else code.text

    def _may_be_argument(self, tensor: Tensor) -> bool:
        """Whether its memory may be that of an argument, of a constant or of another result."""
        if self._results.count(tensor) > 1:
            return True
        while isinstance(
            tensor.made, (tensors.Turned, tensors.Reshaped, tensors.Cut, tensors.Grown)
        ):
            (tensor,) = tensor.operands
            if tensor in self._results:
                return True
        return isinstance(tensor.made, (tensors.Argument, tensors.Constant))


def _sorted_imports(lines: Sequence[str]) -> list[str]:
    return sorted(dict.fromkeys(lines))


def _names_it(line: str, code: str) -> bool:
    """Whether what an import brings occurs in code."""
    return re.search(rf"\b{line.split()[-1]}\.", code) is not None


def _number(value: float, module: str) -> Text:
    if value != value:
        return Text(f"{module}.nan")
    if not isfinite(value):
        return Text(f"{module}.inf") if value > 0 else Text(f"-{module}.inf", UNARY)
    text = repr(float(value))
    return Text(text, UNARY if text.startswith("-") else ATOM)


def _key_text(key: Any) -> str:
    if not isinstance(key, slice):
        return str(key)
    start, stop = ("" if end is None else str(end) for end in (key.start, key.stop))
    return f"{start}:{stop}" + (f":{key.step}" if key.step is not None else "")
