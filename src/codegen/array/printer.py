"""Statements in index notation printed as a NumPy function, one line after another.

What is read once is written where it is read, up to a limit; an operation whose operand is not
needed again works in that operand's memory; parts of a vector are computed in place.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import replace
from math import prod
from typing import Final

from ...arrays.statements import COMPUTED, LEAF, LITERAL, Array, ArrayProgram, Statement
from ...errors import MissingInputError
from ...graph.store import listing
from ...ops.indexing import Index, subscript, subscript_text
from ...ops.reads import Affine, Apply, Read, Reduce, along, renamed_index
from ...ops.reads import Index as ReadIndex
from ...ops.record import ATOM
from ...ops.scalar import ADD
from ...ops.shapes import BATCH, shape_text
from ..arguments import prepare
from ..names import Namespace, called_elsewhere
from ..program import Program, flatten, map_nested
from ..scalar.layout import Listing
from ..scalar.python import load
from ..scalar.writer import write_display
from ..target import Source, Target, definitions
from .domains import tightened
from .flow import Flow, axes_of, copied_by, parts_of
from .function import ArrayFunction, Element, Vector, Whole, truths
from .irregular import emit_careful, emit_numbers
from .literals import array_literal
from .outputs import gathered
from .outside import Outside
from .reading import Code, Head, arranged, reshaped, taken, transposed, view, within
from .recognise import SAMPLES, Recogniser, constant_of, is_number, is_square, number, where

LONGEST: Final = 70
"""An expression of more characters is not written inside another."""

DEEPEST: Final = 12
"""How deep expressions are nested."""

AT_ONCE: Final = 1024
"""Arrays of fewer elements are computed in one expression: new memory costs them nothing."""

_NEEDS_OTHER_MEMORY: Final = ("np.dot(", "np.matmul(", "np.einsum(")


def emit(function: ArrayFunction | Program) -> Source:
    """The statements as a Python function on NumPy arrays, after what it needs.

    Of scalars among which few are alike, the operations one by one.
    """
    if isinstance(function, Program):
        return emit_numbers(function)
    printer = _Printer(function)
    printer.write()
    constants = Listing()
    for name, text in printer.head.constants.items():
        constants.assign(name, "=", text, 0)
    blocks = ["import numpy as np", *definitions(printer.recogniser.forms)]
    blocks.append("\n".join(constants.lines))
    top = "\n\n\n".join(block for block in blocks if block)
    offset = top.count("\n") + 3
    lines = {name: line + offset for name, line in printer.listing.found.items()}
    text = top + "\n\n\n" + "\n".join(printer.listing.lines) + "\n"
    return Source(text, function.name, lines)


def _whole_columns(columns: Set[str], arrays: Mapping[str, Array]) -> frozenset[str]:
    """Those with the samples last, without vectors and their parts that do not all lie so.

    A part of one number a sample may be read either way.
    """
    vectors = {name: array.home.vector for name, array in arrays.items() if array.home is not None}
    mixed = {
        vector
        for name, vector in vectors.items()
        if (name in columns) != (vector in columns) and len(arrays[name].shape) > 1
    }
    return frozenset(name for name in columns if vectors.get(name, name) not in mixed)


class _Printer:
    def __init__(self, function: ArrayFunction) -> None:
        self.function, self.program = function, _on_boxes(function.program)
        changed = zip(function.program.statements, self.program.statements, strict=True)
        self._boxes = {now.array for before, now in changed if now is not before}
        self.listing = Listing()
        self._arrays = self.program.arrays
        self._dtype = "" if function.dtype == "float64" else f", dtype=np.{function.dtype}"
        ops = [s.value.op for s in self.program.statements]
        own = {g.argument for g in function.groups}
        self._space = Namespace({function.name, "np", *own} | called_elsewhere(ops))
        self._names = self._take_names()
        batched = [g.argument for g in function.groups if g.batched]
        samples = f"len({batched[0]})" if batched else "1"
        taken = {function.name, "np", *own, *self._names.values()}
        self.head = Head(taken, samples, function.dtype)
        self._columns = _whole_columns(function.columns, self._arrays)
        self.recogniser = Recogniser(
            self.program,
            self.source,
            self.head,
            Outside(self.program),
            function.dtype,
            self._columns,
        )
        self.recogniser.truths |= truths(self.program)
        self._pending: dict[str, Code] = {}
        self._flow = Flow(self.program)
        self._writers = Counter(s.array for s in self.program.statements)
        self._opened: set[str] = set()
        self._piecemeal = self._written_in_pieces()
        self._scattered: dict[str, str] = {}
        self._kept = self._flow.kept
        self._copies = self._copied_parts()
        self._fixed: set[str] = set()
        self._boxed: set[str] = set()
        self._root = self._roots()
        self._summed = self._in_sums()
        self._host = self._hosts()
        self._last = self._last_uses()

    # What is planned before a line is written.

    def _take_names(self) -> dict[str, str]:
        """The variables of arrays; arguments keep their names, those with homes in them follow."""
        arguments = {g.name: g.argument for g in self.function.groups}
        names = {}
        updated = self._updated()
        for name in self._arrays:
            names[name] = arguments.get(name) or self._space.take(updated.get(name, name))
        return names

    def _updated(self) -> dict[str, str]:
        """By array, the name of an argument's successor that it is all of."""
        found: dict[str, str] = {}
        for _, output in flatten(self.function.outputs):
            whole = isinstance(output, Vector) and len(output.pieces) == 1
            if whole and output.name.startswith("new_"):
                found.setdefault(output.pieces[0][0], output.name)
        return found

    def _roots(self) -> dict[str, str]:
        """By array, the one whose memory it is in."""
        root: dict[str, str] = {}
        for name, array in self._arrays.items():
            root[name] = array.home.vector if array.home else name
        for s in self.program.statements:
            source = copied_by(s)
            alone = self._arrays[s.array].home is None and s.array not in self._boxes
            if source is not None and alone:
                root[s.array] = root[source]
        return root

    def _written_in_pieces(self) -> set[str]:
        """Arrays that are not written all at once, or with another index than an axis each."""
        return {
            s.array
            for s in self.program.statements
            if s.place is not None
            or s.domain
            or self._writers[s.array] > 1
            or any(axis.length == 1 for axis in s.axes)
        }

    def _copied_parts(self) -> set[str]:
        """Parts of vectors that are copies of other arrays, which are read instead of them."""
        copies = {s.array for s in self.program.statements if copied_by(s)}
        return copies - self._flow.read

    def _hosts(self) -> dict[str, int]:
        """Arrays that may be written where they are read, and the statement where that is."""
        flow = self._flow
        alone = {name for name in flow.free if len(flow.readers[name]) == 1}
        host: dict[str, int] = {}
        for number_of, s in enumerate(self.program.statements):
            for place, operand, lengths in _read_at(s):
                name = operand.array
                if name not in alone or not _whole(operand, self._arrays[name], lengths):
                    continue
                if isinstance(s.value, Apply):
                    form = s.value.op.spelled("numpy", s.value.statics)
                    twice = form and form.template.count(f"{{{place}}}") > 1
                    if twice or (s.array in self._summed and is_square(s.value)):
                        continue
                host[name] = number_of
        return host

    def _in_sums(self) -> set[str]:
        """Arrays that are summed over where they are read."""
        values = [s.value for s in self.program.statements]
        terms = [term for value in values if isinstance(value, Reduce) for term in value.terms]
        return {r.array for t in terms if t.over for r in t.factors if isinstance(r, Read)}

    def _last_uses(self) -> dict[str, int]:
        """By array of its own memory, the number of the last statement whose line reads it."""
        statements = self.program.statements
        line = list(range(len(statements)))
        for number_of in reversed(range(len(statements))):
            host = self._host.get(statements[number_of].array)
            if host is not None:
                line[number_of] = line[host]
        last: dict[str, int] = {}
        for number_of, s in enumerate(statements):
            for read in s.reads:
                root = self._root[read.array]
                last[root] = max(last.get(root, 0), line[number_of])
        for output in self.program.outputs:
            last[self._root[output.array]] = len(statements)
        return last

    # What an array is in the code.

    def source(self, name: str) -> Code:
        """An array as an expression, its axes called "0", "1" and so on."""
        if name in self._pending:
            return self._pending[name]
        array = self._arrays[name]
        axes = self._axes(name)
        if array.kind == LITERAL:
            import numpy

            values = numpy.array(array.values).reshape(array.shape)
            text = array_literal(values, self.function.dtype)
            return Code(self.head.constant(text, self._names[name]), axes, ATOM, name)
        return Code(self._names[name], axes, ATOM, name)

    def _axes(self, name: str) -> tuple[str, ...]:
        """The axes of an array, called "0", "1" and so on, as they lie in memory."""
        axes = tuple([str(axis) for axis in range(len(self._arrays[name].shape))])
        return (*axes[1:], *axes[:1]) if name in self._columns else axes

    def write(self) -> None:
        """The whole function."""
        program, function = self.program, self.function
        if not all(_is_silent(s) for s in program.statements):
            self.listing.add('@np.errstate(all="ignore")')
        arguments = [f"{g.argument}," for g in function.groups]
        self.listing.enclose(
            f"def {function.name}(", [*arguments[:-1], arguments[-1][:-1]], "):", 0
        )
        self.listing.add('"""Straight-line NumPy, generated by wengert.', "", level=1)
        self.listing.add(
            *(f"{g.argument}: array of shape {shape_text(g.whole)}" for g in function.groups),
            level=1,
        )
        self.listing.add('"""', level=1)
        self._open_leaves()
        for place, statement in enumerate(program.statements):
            self._write(place, statement)
        self._write_results()

    def _open_leaves(self) -> None:
        used, missing = self._kept.union(self._flow.read), list[str]()
        groups = {g.name: g for g in self.function.groups}
        for name, array in self._arrays.items():
            if array.kind != LEAF or name not in used:
                continue
            if name in groups:
                argument, inner = groups[name].argument, len(array.shape) - groups[name].batched
                if inner != len(groups[name].row):  # a number as a vector of one, or one as it
                    self._names[name] = self._space.take(f"{argument}_")
                    self.head.taken.add(self._names[name])
                    inside = "[..., None]" if inner else "[..., 0]"
                    self.listing.assign(self._names[name], "=", f"{argument}{inside}", 1)
                continue
            if array.home is not None and array.home.vector in groups:
                group = groups[array.home.vector]
                if group.scalar:
                    self._names[name] = group.argument
                    continue
                text = self._part(name, group.argument, prod(group.row)).text
                if name in self.function.notes:
                    text += f"  # {self.function.notes[name]}"
                self.listing.assign(self._names[name], "=", text, 1)
                continue
            lost = [e for e in array.elements if e not in self.function.values]
            if lost or not array.elements:
                missing += lost or [name]
                continue
            import numpy

            values = numpy.array([self.function.values[e] for e in array.elements])
            text = array_literal(values.reshape(array.shape), self.function.dtype)
            if not array.shape:
                text = f"np.{self.function.dtype}({number(float(values[0])).text})"
            self.head.taken.discard(self._names[name])
            self._names[name] = self.head.constant(text, self._names[name])
        if missing:
            raise MissingInputError(
                f"the outputs depend on {listing(missing)}, which no "
                "argument names; add them to the inputs of compile"
            )

    def _part(self, name: str, vector: str, length: int) -> Code:
        """The part of a vector that an array is, a view where there is one."""
        array = self._arrays[name]
        assert array.home is not None
        batched = array.shape[:1] == (BATCH,)
        inner = array.shape[1:] if batched else array.shape
        index = within(array.home, inner, length)
        axes: tuple[str, ...] = ("0",)
        place: tuple[tuple[int, ReadIndex], ...] = ((length, index),)
        if batched:  # its first axis is that of the samples
            index = renamed_index(index, {str(k): str(k + 1) for k in range(len(inner))})
            place, axes = ((BATCH, along("0")), (length, index)), ("0", "1")
            if array.home.vector in self._columns:
                place, axes = place[::-1], axes[::-1]
        shape, read = zip(*place, strict=True)
        lengths = {str(k): length for k, length in enumerate(array.shape)}
        whole = Code(vector, axes, memory=vector)
        part = view(Read(vector, read), whole, shape, lengths, self.head)
        return transposed(part, self._axes(name))

    def _positions(self, index: Index) -> str:
        return self.head.constant(array_literal(index.array, "int64"), "places")

    def _open_part(self, name: str) -> None:
        """A variable for a part of a vector that is computed part by part, before it is written."""
        array = self._arrays[name]
        assert array.home is not None
        vector = array.home.vector
        for one in (vector, name):
            if one in self._opened:
                continue
            self._opened.add(one)
            if one == vector:
                self._open_vector(one)
            else:
                self._name_part(one, vector)

    def _open_vector(self, name: str) -> None:
        if name in self.function.notes:
            self.listing.add(f"# {self.function.notes[name]}", level=1)
        self.listing.assign(self._names[name], "=", f"np.empty({self._size(name)}{self._dtype})", 1)

    def _size(self, name: str) -> str:
        """The shape of an array as it lies in memory, as text."""
        lengths = [self._arrays[name].shape[int(axis)] for axis in self._axes(name)]
        return self.head.shape(lengths) if len(lengths) != 1 else self.head.length(lengths[0])

    def _name_part(self, name: str, vector: str) -> None:
        array = self._arrays[name]
        part = self._part(name, self._names[vector], self._arrays[vector].size)
        if not part.memory and name in self._piecemeal:
            size = self.head.shape(array.shape)
            self.listing.assign(self._names[name], "=", f"np.zeros({size}{self._dtype})", 1)
            self._scattered[name] = part.text
        elif not part.memory or array.shape in ((), (BATCH,)) or name in self._copies:
            self._names[name] = part.text
        else:
            self.listing.assign(self._names[name], "=", part.text, 1)

    # Statements.

    def _write(self, place: int, statement: Statement) -> None:
        code = self._outside_set(statement, self.recogniser.value(statement))
        name, array = statement.array, self._arrays[statement.array]
        small = name not in self._summed or len(self._in_turn(array, code)[1]) == 0
        if name in self._host and small and len(code.text) <= LONGEST and code.depth < DEEPEST:
            names = {axis.name: str(k) for k, axis in enumerate(statement.axes)}
            self._pending[name] = code.renamed(names)
            return
        if _is_truth(statement) and name not in self.recogniser.truths:
            code = _as_numbers(code, self.function.dtype)
        if array.home is not None or self._writers[name] > 1 or not self._is_whole(statement):
            self._fill(statement, code)
            return
        if is_number(code) and not array.shape:  # Python's own raise at 1 / 0
            code = Code(f"np.{self.function.dtype}({code.text})")
        self._assign(place, statement, code)

    def _outside_set(self, statement: Statement, code: Code) -> Code:
        """The value with what is wanted outside the domain."""
        alone = self._writers[statement.array] == 1 and statement.place is None
        wanted = self.recogniser.outside.written(statement, alone)
        if wanted is None:
            return code
        mask = self.recogniser.mask(statement.domain, dict(statement.axes))
        assert mask is not None
        order = [axis.name for axis in statement.axes]
        return where(mask, code, order, number(wanted).text)

    def _is_whole(self, statement: Statement) -> bool:
        """Whether a statement writes an array in the order of its axes, or of several for one."""
        if statement.place is None:
            return tuple(a.length for a in statement.axes) == self._arrays[statement.array].shape
        code = self._written(statement)
        text = code.text.replace(self.head.samples, "samples")
        split = text.startswith("x.reshape(") and text.count("(") == 1
        return (code.text == "x" or split) and set(code.axes) == {a.name for a in statement.axes}

    def _written(self, statement: Statement) -> Code:
        """What a statement writes of its array, which is called x."""
        read, own = Read(statement.array, statement.target), self._axes(statement.array)
        return self.recogniser.viewed(read, Code("x", own), dict(statement.axes), writing=True)

    def _assign(self, place: int, statement: Statement, code: Code) -> None:
        """A variable for the value of a statement."""
        name, array = statement.array, self._arrays[statement.array]
        heir, rest = self._heir(place, statement, code), list[str]()
        if heir is not None:
            code, rest = self._after_heir(heir, array, code)
            variable = self._names[heir]
            if name not in self._kept or not code.filling:
                self._names[name] = variable
                self._in_place(name, variable, code)
            else:
                filled = code.filling.replace("{out}", variable)
                self.listing.assign(self._names[name], "=", filled, 1, name)
            self._then(name, self._names[name], rest)
            return
        grid = tuple(self.recogniser.grid(statement))
        if statement.place is not None:
            grid = self._written(statement).axes
        elif code.axes == grid:
            code, rest = self._in_turn(array, code)
        lengths = [next(a.length for a in statement.axes if a.name == axis) for axis in grid]
        text = self._grown(code, grid, lengths)
        if statement.place is not None and len(grid) != len(array.shape):
            shown = ", ".join([self.head.length(array.shape[int(k)]) for k in self._axes(name)])
            bare = text.text if text.binds == ATOM else f"({text.text})"
            text = Code(f"{bare}.reshape({shown})")
        shown = text.text
        windows = self._windows(statement) if code.memory else None
        if windows is not None:
            shown = windows.text
        elif code.memory and self._root[name] == name:
            shown = f"{text.tight}.copy()"
        self.listing.assign(self._names[name], "=", shown, 1, name)
        self._then(name, self._names[name], rest)
        if set(code.axes) != set(grid) or copied_by(statement) in self._fixed:
            self._fixed.add(name)
        if not grid and shown.startswith("np.where("):
            self._boxed.add(name)

    def _in_turn(self, array: Array, code: Code, into: bool = False) -> tuple[Code, list[str]]:
        """What is computed first of a large array, and what is done in its memory after that.

        into  whether it is for memory that is there already
        """
        rest: list[str] = []
        if prod(SAMPLES if n == BATCH else n for n in array.shape) < AT_ONCE:
            return code, rest
        while code.start is not None and (code.start.filling or not into):
            rest.insert(0, code.rest)
            code = code.start
        return code, rest

    def _after_heir(self, heir: str, array: Array, code: Code) -> tuple[Code, list[str]]:
        """The same in the memory of another array, if only what is first reads that."""
        first, rest = self._in_turn(array, code, into=True)
        own = [self._names[name] for name, root in self._root.items() if root == heir]
        late = any(re.search(rf"\b{name}\b", text) for name in own for text in rest)
        return (code, []) if late or not _is_elementwise(first) else (first, rest)

    def _then(self, name: str, variable: str, rest: Sequence[str]) -> None:
        """What is done in an array's memory after its first operation."""
        for text in rest:
            self.listing.add(text.replace("{out}", variable), level=1)
            self.listing.found[name] = len(self.listing.lines)

    def _windows(self, statement: Statement) -> Code | None:
        """The value of a statement that copies the windows of another array, if it does."""
        source = copied_by(statement)
        if source is None:
            return None
        (read,) = statement.reads
        lengths = self.recogniser.grid(statement)
        shape = self._arrays[source].shape
        return taken(read, self.source(source), shape, list(lengths), lengths, self.head)

    def _grown(self, code: Code, grid: Sequence[str], lengths: Sequence[int]) -> Code:
        """The value with all axes of a grid."""
        if not grid:
            return code
        if set(code.axes) == set(grid):
            return transposed(code, grid)
        if (
            not code.axes
            and code.binds == ATOM
            and not code.memory
            and constant_of(code) is not None
        ):
            return Code(f"np.full({self.head.shape(lengths)}, {code.text}{self._dtype})")
        shown = arranged(code, grid)
        return Code(f"np.broadcast_to({shown.text}, {self.head.shape(lengths)})", tuple(grid))

    def _heir(self, place: int, statement: Statement, code: Code) -> str | None:
        """The array in whose memory the value can be computed: nothing else reads it later."""
        array = self._arrays[statement.array]
        if statement.place is not None or not array.shape or code.memory:
            return None
        if tuple(self.recogniser.grid(statement)) != code.axes:
            return None
        if not code.filling.startswith("np.") or _is_truth(statement):
            return None
        if not _is_elementwise(code):
            return None
        for read in statement.reads:
            if read.array in self._pending:
                continue
            name = read.array
            one = self._arrays[name]
            vector = name in self._opened and not self._writers[name]
            if (
                one.kind == COMPUTED
                and one.shape == array.shape
                and self._root[name] == name
                and (name in self._columns) == (statement.array in self._columns)
                and self._last.get(name) == place
                and name not in self._fixed
                and name not in self.recogniser.truths
                and (self._writers[name] == 1 or vector)
                and axes_of(read) == tuple([axis.name for axis in statement.axes])
            ):
                return name
        return None

    def _in_place(self, name: str, variable: str, code: Code) -> None:
        if code.update is not None:
            left, sign, right = code.update
            if left == variable:
                self.listing.assign(variable, f"{sign}=", right, 1, name)
                return
            if right == variable and sign in "+*":
                self.listing.assign(variable, f"{sign}=", left, 1, name)
                return
        if code.filling:
            self.listing.add(code.filling.replace("{out}", variable), level=1)
        else:
            self.listing.add(f"{variable}[...] = {code.text}", level=1)
        self.listing.found[name] = len(self.listing.lines)

    def _fill(self, statement: Statement, code: Code) -> None:
        """The value written into memory that is there: part of a vector, or of an array."""
        name, array = statement.array, self._arrays[statement.array]
        if array.home is None and name not in self._opened:
            self._opened.add(name)
            size = self._size(name)
            self.listing.assign(self._names[name], "=", f"np.zeros({size}{self._dtype})", 1)
        if array.home is not None:
            self._open_part(name)
        lengths = dict(statement.axes)
        place = statement.target
        lone = {axis for axis, length in lengths.items() if length == 1 and axis not in code.axes}
        if all(isinstance(index, Affine) and index.axis for index in place):
            place = tuple([Affine(0) if lone.intersection(i.axes) else i for i in place])
        target = self.recogniser.viewed(
            Read(name, place),
            Code(self._names[name], self._axes(name), memory=name),
            lengths,
            writing=True,
        )
        if code.base is not None and code.axes == target.axes and not statement.domain:
            code, target = self._in_one_shape(array, code, target, lengths)
        shown = arranged(code, target.axes)
        partial = self._writers[name] > 1 and statement.domain
        rest: list[str] = []
        if partial:
            mask = self.recogniser.mask(statement.domain, lengths)
            assert mask is not None
            inside = arranged(mask, target.axes)
            if target.memory and target.axes:
                line = f"np.copyto({target.text}, {shown.text}, where={inside.text})"
            else:
                line = f"{target.text} = np.where({inside.text}, {shown.text}, {target.text})"
        elif code.filling and code.axes == target.axes and self._fillable(code, array, target):
            if target.text.isidentifier():
                code, rest = self._in_turn(array, code, into=True)
            filling = code.filling
            if not self._is_contiguous(array, target):
                filling = filling.replace("np.dot(", "np.matmul(", 1)
            line = filling.replace("{out}", target.text)
        else:
            all_of_it = "[...]" if target.axes else "[()]"
            key = "" if target.text.endswith("]") else all_of_it
            line = f"{target.text}{key} = {shown.text}"
        self.listing.add(line, level=1)
        self.listing.found[name] = len(self.listing.lines)
        self._then(name, target.text, rest)
        if name in self._scattered:
            self.listing.add(f"{self._scattered[name]} = {self._names[name]}", level=1)

    def _in_one_shape(
        self, array: Array, code: Code, target: Code, lengths: Mapping[str, int]
    ) -> tuple[Code, Code]:
        """A value that is another one reshaped, and memory for that one, where it is a view."""
        assert code.base is not None
        bare, shape = code.base
        axes = tuple([str(k) for k in range(len(shape))])
        if target.base is not None and target.base[1] == shape:
            return replace(bare, axes=axes), replace(target.base[0], axes=axes)
        if target.base is None and self._is_contiguous(array, target):
            own = tuple([lengths[axis] for axis in target.axes])
            return replace(bare, axes=axes), reshaped(target, shape, axes, own)
        return code, target

    def _fillable(self, code: Code, array: Array, target: Code) -> bool:
        return bool(target.axes) and bool(target.memory) and "places" not in target.text

    def _is_contiguous(self, array: Array, target: Code) -> bool:
        if target.text != self._names[array.name]:
            return False
        if array.home is None:
            return True
        if array.shape[:1] == (BATCH,) and array.name not in self._columns:
            return False
        first = array.home.places[0]
        return array.home.places == tuple(range(first, first + array.size))

    # Results.

    def _write_results(self) -> None:
        self._returned: set[str] = set()
        shown = map_nested(self.function.outputs, self._result)
        self.listing.found["return"] = len(self.listing.lines) + 1
        write_display(self.listing, "return ", shown, "", 1)

    def _result(self, output: Element | Vector | Whole) -> str:
        if isinstance(output, Element):
            return self._element(output)
        if isinstance(output, Whole):
            return self._whole(output)
        arrays = self._arrays
        stacked = output.stacked
        if len(output.pieces) == 1 and not stacked:
            ((name, places),) = output.pieces
            array = arrays[name]
            if array.shape and list(places) == list(range(array.size)):
                code = self.source(name)
                text = code.tight if len(array.shape) == 1 else f"{code.tight}.ravel()"
                return self._handed_out(name, text)
        variable = self._space.take(output.name, "out")
        size = f"({output.length}, {self.head.samples})" if stacked else str(output.length)
        self.listing.assign(variable, "=", f"np.empty({size}{self._dtype})", 1)
        for name, chosen, at in gathered(output.pieces):
            piece = self._piece(name, chosen, stacked)
            consecutive = list(at) == list(range(at[0], at[0] + len(at)))
            key = f"{at[0]}:{at[-1] + 1}" if consecutive else self._inside(at, output.length)
            if not self._arrays[name].shape and len(chosen) == 1:
                key = str(at[0])
            self.listing.add(f"{variable}[{key}] = {piece}", level=1)
        return variable

    def _whole(self, output: Whole) -> str:
        """An array in memory that nothing else has."""
        name, shape = output.array, self._arrays[output.array].shape
        code = self.source(name)
        if output.stacked and BATCH not in shape:
            return f"np.broadcast_to({code.text}, {self.head.shape((BATCH, *shape))}).copy()"
        return self._handed_out(name, code.tight)

    def _handed_out(self, name: str, text: str) -> str:
        """What is all of an array, copied unless the caller is the only one to have its memory."""
        root = self._root[name]
        own = root not in self._returned and self._arrays[root].kind == COMPUTED
        self._returned.add(root)
        return text if own and name not in self._fixed else f"{text}.copy()"

    def _piece(self, name: str, places: Sequence[int], stacked: bool) -> str:
        array = self._arrays[name]
        code = self.source(name)
        rows = BATCH in array.shape
        size = array.size
        whole = list(places) == list(range(size))
        if not array.shape:
            return code.tight
        inside = None if whole else self._inside(places, size)
        if not rows:
            flat = code.tight if len(array.shape) < 2 else f"{code.tight}.ravel()"
            flat = flat if whole else f"{flat}[{inside}]"
            return f"{flat}[:, None]" if stacked and array.shape else flat
        flat = code.tight
        if len(array.shape) == 1:
            return flat if stacked else f"{flat}[0]"
        if len(array.shape) > 2:
            flat = f"{flat}.reshape({self.head.samples}, {size})"
        if not stacked:  # what is the same for all samples, beside what is not
            return f"{flat}[0]" if whole else f"{flat}[0, {inside}]"
        return f"{flat}.T" if whole else f"{flat}.T[{inside}]"

    def _inside(self, places: Sequence[int], size: int) -> str:
        """What is written in brackets for places in a vector: a slice, or the name of a table."""
        key = subscript(Index(list(places)), (size,))
        inside = subscript_text(key) if key else None
        if inside is None:
            import numpy

            inside = self._positions(Index(numpy.array(places, numpy.int64)))
        return inside

    def _element(self, output: Element) -> str:
        array = self._arrays[output.array]
        batched = array.shape[:1] == (BATCH,)
        if output.stacked and not batched:
            one = self._element(replace(output, stacked=False))
            return f"np.full({self.head.samples}, {one}{self._dtype})"
        inner, left = list[ReadIndex](), output.place
        for length in reversed(array.shape[batched:]):
            left, place = divmod(left, length)
            inner.insert(0, Affine(place))
        read = Read(output.array, (*([along("n")] if batched else []), *inner))
        text = self.recogniser.read(read, {"n": BATCH}).text
        if array.kind == LITERAL:
            return f"np.{self.function.dtype}({text})"
        if not batched:  # NumPy's `where` of numbers is an array
            return f"{text}[()]" if self._root[output.array] in self._boxed else text
        return f"{text}.copy()" if inner else self._handed_out(output.array, text)


def _on_boxes(program: ArrayProgram) -> ArrayProgram:
    """The program with what is 0 outside of a box computed in the box, and zeros around it."""
    writers = Counter(s.array for s in program.statements)
    statements = tuple(
        [
            s if writers[s.array] > 1 or program.arrays[s.array].home else _on_box(s)
            for s in program.statements
        ]
    )
    return program if statements == program.statements else replace(program, statements=statements)


def _on_box(statement: Statement) -> Statement:
    value = statement.value
    if not isinstance(value, Reduce) or value.op is not ADD or len(value.terms) > 1:
        return statement
    (term,) = value.terms
    if not term.domain or term.over or statement.domain or statement.place is not None:
        return statement
    inside = replace(value, terms=(replace(term, domain=()),))
    box = tightened(replace(statement, value=inside, domain=term.domain))
    plain = all(isinstance(index, Affine) and len(index.terms) == 1 for index in box.target)
    return box if plain and not box.domain else statement


def _is_elementwise(code: Code) -> bool:
    """Whether the value can be written over what it is computed from."""
    return not code.filling.startswith(_NEEDS_OTHER_MEMORY) and ".reduce(" not in code.filling


def _as_numbers(code: Code, dtype: str) -> Code:
    """Truth values as 1.0 and 0.0."""
    if constant_of(code) is not None:
        return code
    return Code(f"{code.tight}.astype(np.{dtype})", code.axes, ATOM, "", "", code.depth + 1)


def _is_truth(statement: Statement) -> bool:
    value = statement.value
    return isinstance(value, Apply) and value.op.truth and bool(statement.reads)


def _is_silent(statement: Statement) -> bool:
    """Whether the value is of numbers that are there already, moved or compared."""
    return isinstance(statement.value, Apply) and statement.value.op.chooses


def _whole(read: Read, array: Array, lengths: Mapping[str, int]) -> bool:
    """Whether a read is of all of an array, its axes in any order, summed ones among them."""
    names = axes_of(read)
    return names is not None and tuple([lengths[name] for name in names]) == array.shape


def _read_at(statement: Statement) -> Iterator[tuple[int, Read, dict[str, int]]]:
    """The reads of a statement, the place of each, and the lengths of the axes there."""
    for part, lengths in parts_of(statement):
        for place, operand in enumerate(part.operands if isinstance(part, Apply) else part.factors):
            if isinstance(operand, Read):
                yield place, operand, lengths


def _emit_careful(function: ArrayFunction | Program) -> Source | None:
    """The function that never raises, of numbers one by one; arrays never do."""
    return emit_careful(function) if isinstance(function, Program) else None


TARGET: Final = Target("numpy", emit, load, _emit_careful, prepare=prepare, arrays=True)
