"""Functions on arrays as files of C99: each statement a nest of loops, named as the user named."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any, Final

from ...arrays.statements import COMPUTED, LITERAL, Array, Home, Statement
from ...errors import MissingInputError
from ...graph.store import listing
from ...ops.reads import (
    Apply,
    AtLeast,
    Axis,
    Condition,
    Equal,
    Index,
    Operand,
    Read,
    Reduce,
    Table,
    Term,
    Unequal,
    along,
)
from ...ops.record import Op
from ...ops.scalar import ADD, MAXIMUM
from ...ops.shapes import BATCH, shape_text
from ..array.function import ArrayFunction, Element, Vector, Whole
from ..build import Derivatives
from ..names import Namespace
from ..native.lists import listed_as_tables
from ..native.placing import Results, results_of
from ..native.storage import inner, plain
from ..program import flatten
from ..scalar.layout import INDENT, LINE_LENGTH, Listing, packed, separated
from .ctext import (
    TAKEN,
    Checked,
    Given,
    comment,
    defined,
    definitions_of,
    file_text,
    number_text,
    operation_text,
    ranges,
)

_OWN: Final = frozenset(("work", "sum", "best"))
_FREE: Final = frozenset(("i", "at", "each"))
"""Names that only functions of scalars have no use for themselves."""
_FIXED: Final = " + the fixed part"
"""What stands for the length of a part of memory until it is known."""
_PASSED_ON: Final = frozenset(("stop_gradient", "total"))
"""Operations whose value is their operand's: a total has become a sum before."""

_WORD: Final = re.compile(r"\b[A-Za-z_]\w*\b")


def c_array_text(
    function: ArrayFunction,
    values: Mapping[str, Sequence[Any]],
    derivatives: Sequence[Derivatives],
) -> str:
    """The text of a file of C99 with a function on arrays and a check of its gradients.

    values       the numbers that the leaves of each group carry, None for an input
    derivatives  which outputs are gradients, of which output, by which group

    A statement is a nest of loops in the order of its axes, a sum is taken in the order of its
    terms and of the axes that they run over, in float64 or float32 as the function is. An operation
    whose record has no notation for "c" is a `SpellingError`.
    """
    writer = _Writer(function)
    parts = writer.parts()
    if function.dtype == "float64":
        return file_text(writer.what, parts, writer.checked(), values, derivatives)
    double = replace(function, name=f"{function.name}_in_float64", dtype="float64")
    reference = _Writer(double, writer)
    compared = reference.parts()
    compared[-1] = compared[-1].replace("void ", "static void ", 1)
    checked = replace(reference.checked(), rounded=writer.name)
    return file_text(writer.what, parts, checked, values, derivatives, compared)


@dataclass(frozen=True)
class _Place:
    """Where the elements of an array are: base[offset + Σ strides·index].

    base     the name of an address, or of the number itself where it is `alone`
    strides  for each axis but that of the samples
    samples  from a sample to the next; 0 where all have the same
    places   where strides do not tell: the place of each element in C order
    """

    base: str
    offset: int = 0
    strides: tuple[int, ...] = ()
    samples: int = 0
    places: tuple[int, ...] = ()
    alone: bool = False


@dataclass
class _Memory:
    """The memory that a function is given: numbers of a kind, and for each sample."""

    kind: str
    fixed: int = 0
    each: int = 0
    pointers: dict[str, str] = field(default_factory=dict)

    def room(self, name: str, array: Array) -> None:
        """Room for an array; `name` is its address."""
        size = prod(inner(array.shape))
        if BATCH in array.shape:
            before = f" + {self.each}*n" if self.each else ""
            self.pointers[name] = f"{self.kind} *const {name} = work{_FIXED}{before};"
            self.each += size
        else:
            self.pointers[name] = f"{self.kind} *const {name} = work{_plus(self.fixed)};"
            self.fixed += size


class _Writer:
    """A function on its way to C, beside another in the same file where there is one."""

    def __init__(self, function: ArrayFunction, beside: _Writer | None = None) -> None:
        self._function = function
        self._kind = "double" if function.dtype == "float64" else "float"
        self._arrays: dict[str, Array] = dict(function.program.arrays)
        self._results: Results = results_of(function.outputs, self._arrays)
        self._statements = listed_as_tables(self._live())
        definitions = list(definitions_of(self._used()))
        taken = (TAKEN - _FREE) | _OWN | defined(definitions)
        self._definitions = definitions if beside is None else []
        self._space = Namespace(taken | (beside.names if beside else set()))
        self.name = self._space.take(function.name)
        self._arguments = [self._space.take(group.argument) for group in function.groups]
        self._memory = _Memory(self._kind)
        self._tables: dict[tuple[int, ...], str] = {}
        self._constants: dict[str, Sequence[float]] = {}
        self._places: dict[str, _Place] = {}
        self._listing = Listing()
        self._place_all()

    @property
    def names(self) -> set[str]:
        """The names that the file has of it outside the function."""
        return {self.name, *self._tables.values(), *self._constants}

    def _live(self) -> list[Statement]:
        """The statements that the results depend on: compilers warn of what nobody reads."""
        homes = {name: array.home.vector for name, array in self._arrays.items() if array.home}
        read = {copied.array for copied in self._results.copies}
        read |= {stack.array for stack in self._results.stacks}
        kept = []
        for statement in reversed(self._function.program.statements):
            name = statement.array
            read |= {homes[one] for one in read if one in homes}
            if name in read or homes.get(name) in read:
                kept.append(statement)
                read |= {one.array for one in statement.reads}
        return kept[::-1]

    def _used(self) -> Iterator[tuple[Op, tuple[float, ...]]]:
        for statement in self._statements:
            value = statement.value
            statics = value.statics if isinstance(value, Apply) else ()
            if value.op.name not in _PASSED_ON:
                yield value.op, statics

    # where arrays are

    def _place_all(self) -> None:
        arrays = self._arrays
        needed = {read.array for s in self._statements for read in s.reads}
        needed |= {s.array for s in self._statements}
        needed |= {copied.array for copied in self._results.copies}
        needed |= {stack.array for stack in self._results.stacks}
        needed |= {home.vector for name in needed if (home := arrays[name].home)}
        kept = []
        for copied in self._results.copies:
            array = arrays[copied.array]
            whole = copied.places == tuple(range(array.size)) and BATCH not in array.shape
            free = array.kind == COMPUTED and not array.home and copied.array not in self._places
            if whole and free and copied.places:
                name = self._space.take(copied.array)
                start = copied.position
                self._memory.pointers[name] = f"{self._kind} *const {name} = out{_plus(start)};"
                self._places[copied.array] = _Place(name, 0, plain(array.shape))
            else:
                kept.append(copied)
        self._results.copies = kept
        homeless = [name for name in arrays if name in needed and not arrays[name].home]
        for name in homeless:
            if name not in self._places:
                self._places[name] = self._placed(arrays[name])
        for name, array in arrays.items():
            if name in needed and array.home is not None:
                self._places[name] = self._part(array, array.home)

    def _placed(self, array: Array) -> _Place:
        """The place of an array that is no part of another."""
        shape = inner(array.shape)
        if array.kind == LITERAL:
            return self._constant(array, array.values)
        for group, argument in zip(self._function.groups, self._arguments, strict=True):
            if group.name == array.name:
                if not group.row and not group.batched:
                    return _Place(argument, alone=True)
                size = max(1, prod(group.row))
                return _Place(argument, 0, plain(shape), size if group.batched else 0)
        if array.kind != COMPUTED:
            return self._constant(array, self._carried(array))
        name = self._space.take(array.name)
        batched = BATCH in array.shape
        if not shape and not batched:
            self._memory.pointers[name] = f"{self._kind} {name} = {self._number(0.0)};"
            return _Place(name, alone=True)
        self._memory.room(name, array)
        return _Place(name, 0, plain(shape), prod(shape) if batched else 0)

    def _carried(self, array: Array) -> list[float]:
        """The numbers that a leaf carries which is no argument."""
        values = self._function.values
        missing = [name for name in array.elements if name not in values]
        if not array.elements:
            raise MissingInputError(
                f"{array.name!r} is an array of shape {shape_text(array.shape)} that no input "
                "names; add it to inputs"
            )
        if missing:
            raise MissingInputError(f"no value for {listing(missing)}; give each a number")
        return [values[name] for name in array.elements]

    def _constant(self, array: Array, numbers: Sequence[float]) -> _Place:
        if len(numbers) == 1 and not inner(array.shape):
            return _Place(self._number(numbers[0]), alone=True)
        name = self._space.take(array.name)
        self._constants[name] = numbers
        return _Place(name, 0, plain(array.shape))

    def _part(self, array: Array, home: Home) -> _Place:
        """The place of a part of a vector; it has an address of its own where it lies in a row."""
        whole = self._places[home.vector]
        shape = inner(array.shape)
        if whole.alone:
            return whole
        step = whole.strides[0] if whole.strides else 1
        found = home.strides(shape)
        if found is None:
            places = tuple([whole.offset + step * place for place in home.places])
            return replace(whole, offset=0, strides=(), places=places)
        first, strides = found
        offset = whole.offset + step * first
        strides = tuple([step * stride for stride in strides])
        if strides == plain(shape) and not whole.samples and shape:
            name = self._space.take(array.name)
            kind = "const " * (array.kind != COMPUTED) + self._kind
            self._memory.pointers[name] = f"{kind} *const {name} = {whole.base}{_plus(offset)};"
            return _Place(name, 0, strides)
        return replace(whole, offset=offset, strides=strides)

    # indices

    def _table(self, values: tuple[int, ...], wish: str) -> str:
        if values not in self._tables:
            self._tables[values] = self._space.take(wish)
        return self._tables[values]

    def _index(
        self, index: Sequence[tuple[Index, int]], names: Mapping[str, str], offset: int = 0
    ) -> str:
        """Σ stride·index + offset."""
        factors: defaultdict[str, int] = defaultdict(int)
        for one, stride in index:
            if isinstance(one, Table):
                rows = plain(one.lengths)
                inside = [(along(a), s) for a, s in zip(one.axes, rows, strict=True)]
                table = self._table(one.values, one.name)
                factors[f"{table}[{self._index(inside, names)}]"] += stride
                continue
            offset += stride * one.offset
            for axis, step in one.terms:
                factors[names[axis]] += stride * step
        text = ""
        for name, factor in factors.items():
            if factor:
                sign = " - " if factor < 0 else " + " if text else ""
                sign = sign if text else sign.strip()
                text += sign + (name if abs(factor) == 1 else f"{abs(factor)}*{name}")
        if not text:
            return str(offset)
        return text if not offset else f"{text} {'+' if offset > 0 else '-'} {abs(offset)}"

    def _element(self, array: str, indices: Sequence[Index], names: Mapping[str, str]) -> str:
        """An element of an array, as it is written."""
        place, shape = self._places[array], self._arrays[array].shape
        if place.alone:
            return place.base
        own = [i for i, length in zip(indices, shape, strict=True) if length != BATCH]
        sample = [i for i, length in zip(indices, shape, strict=True) if length == BATCH]
        rows = [(i, place.samples) for i in sample]
        if place.places:
            strides = plain(inner(shape))
            flat = self._index(list(zip(own, strides, strict=True)), names)
            table = self._table(place.places, f"{array}_at")
            before = f"{self._index(rows, names)} + " if rows else ""
            return f"{place.base}[{before}{table}[{flat}]]"
        strides = place.strides
        pairs = [*rows, *zip(own, strides, strict=True)]
        return f"{place.base}[{self._index(pairs, names, place.offset)}]"

    def _condition(self, condition: Condition, names: Mapping[str, str]) -> str:
        if isinstance(condition, (AtLeast, Unequal)):
            plus = [term for term in condition.expression.terms if term[1] > 0]
            minus = tuple([(name, -step) for name, step in condition.expression.terms if step < 0])
            offset = condition.expression.offset
            upper = replace(condition.expression, offset=max(0, offset), terms=tuple(plus))
            lower = replace(condition.expression, offset=max(0, -offset), terms=minus)
            sign = "<=" if isinstance(condition, AtLeast) else "!="
            return f"{self._index([(lower, 1)], names)} {sign} {self._index([(upper, 1)], names)}"
        assert isinstance(condition, Equal)
        left, right = (self._index([(i, 1)], names) for i in (condition.left, condition.right))
        return f"{left} == {right}"

    # statements

    def _write(self, statement: Statement) -> None:
        """A statement, after a comment that says it in index notation."""
        text = comment(str(statement))
        self._listing.add(f"/* {text if len(text) < 300 else text[:300] + ' …'} */", level=1)
        space = _Names(self._space)
        names = {axis.name: space.take(axis.name) for axis in statement.axes}
        body = list(self._value(statement, names, space))
        lines = self._looped(statement.axes, statement.domain, names, body)
        if not statement.axes and not statement.domain and len(body) > 1:
            lines = ["{", *(INDENT + line for line in body), "}"]
        self._listing.add(*lines, level=1)

    def _looped(
        self,
        axes: Sequence[Axis],
        domain: Sequence[Condition],
        names: Mapping[str, str],
        body: Sequence[str],
    ) -> list[str]:
        """Lines within loops over axes, and within conditions as soon as these can be told."""
        known = set(names) - {axis.name for axis in axes}
        heads = []
        left = list(domain)
        for axis in (None, *axes):
            if axis is not None:
                known.add(axis.name)
                name = names[axis.name]
                end = "(ptrdiff_t)n" if axis.length == BATCH else str(axis.length)
                heads.append(f"for (ptrdiff_t {name} = 0; {name} < {end}; {name}++) {{")
            ready = [c for c in left if set(c.axes) <= known]
            left = [c for c in left if c not in ready]
            if ready:
                texts = [self._condition(c, names) for c in ready]
                whole = " && ".join(f"({t})" if len(texts) > 1 else t for t in texts)
                heads.append(f"if ({whole}) {{")
        lines = [INDENT * k + head for k, head in enumerate(heads)]
        lines += [INDENT * len(heads) + line for line in body]
        return [*lines, *[INDENT * k + "}" for k in reversed(range(len(heads)))]]

    def _number(self, number: float) -> str:
        return number_text(float(number), self._kind)

    def _applied(self, op: Op, operands: Sequence[str], statics: Sequence[Any] = ()) -> str:
        return operation_text(op, operands, statics, self._kind)

    def _operand(self, operand: Operand, names: Mapping[str, str]) -> str:
        if not isinstance(operand, Read):
            return self._number(operand)
        return self._element(operand.array, operand.index, names)

    def _value(self, statement: Statement, names: dict[str, str], space: _Names) -> Iterator[str]:
        """The lines that compute one element."""
        value, target = statement.value, self._element(statement.array, statement.target, names)
        if isinstance(value, Apply):
            operands = [self._operand(operand, names) for operand in value.operands]
            passed = value.op.name in _PASSED_ON
            code = operands[0] if passed else self._applied(value.op, operands, value.statics)
            yield from _assigned(target, "=", code)
            return
        first = []
        for term in value.terms:
            if term.over or term.domain:
                break
            first.append(term)
        rest = value.terms[len(first) :]
        start = self._start(value, first, names)
        if not rest:
            yield from _assigned(target, "=", start)
            return
        total = "sum" if value.op is ADD else "best"
        yield from _assigned(f"{self._kind} {total}", "=", start)
        for term in rest:
            own = {**names, **{axis.name: space.take(axis.name) for axis in term.over}}
            yield from self._looped(
                term.over, term.domain, own, self._added(value, term, total, own)
            )
        yield f"{target} = {total};"

    def _start(self, value: Reduce, terms: Sequence[Term], names: Mapping[str, str]) -> str:
        """The terms that are there at every point; else what nothing comes to."""
        if not terms:
            if value.op is ADD:
                return self._number(0.0)
            return "-INFINITY" if value.op is MAXIMUM else "INFINITY"
        text = ""
        for term in terms:
            if value.op is not ADD:
                (one,) = [self._operand(factor, names) for factor in term.factors]
                text = one if not text else self._applied(value.op, [text, one])
                continue
            product = self._product(term, names)
            if text:
                text += f" {'-' if term.count < 0 else '+'} {product}"
            else:
                text = f"-{product}" if term.count < 0 else product
        return text

    def _product(self, term: Term, names: Mapping[str, str]) -> str:
        factors = [self._operand(factor, names) for factor in term.factors]
        many = abs(term.count)
        return "*".join([self._number(many), *factors] if many != 1 else factors)

    def _added(self, value: Reduce, term: Term, total: str, names: Mapping[str, str]) -> list[str]:
        if value.op is ADD:
            sign = "-=" if term.count < 0 else "+="
            return list(_assigned(total, sign, self._product(term, names)))
        (one,) = [self._operand(factor, names) for factor in term.factors]
        return list(_assigned(total, "=", self._applied(value.op, [total, one])))

    # results

    def _flat(self, array: str, places: Sequence[int]) -> list[int]:
        """Where elements of an array are, given their places in C order; of the first sample."""
        place, shape = self._places[array], inner(self._arrays[array].shape)
        if place.places:
            return [place.places[p] for p in places]
        steps = plain(shape)
        return [
            place.offset
            + sum(
                stride * (p // step % length)
                for stride, step, length in zip(place.strides, steps, shape, strict=True)
            )
            for p in places
        ]

    def _copied(self, array: str, places: Sequence[int], start: str, sample: str) -> list[str]:
        """Lines that copy elements of an array to the results from a place on."""
        place = self._places[array]
        if place.alone:
            return [f"out[{start}] = {place.base};" for _ in places]
        flat, count = self._flat(array, places), len(places)
        row = f"{place.samples}*{sample} + " if place.samples else ""
        k = _Names(self._space).take("k")
        if count == 1:
            at = f"{row}{flat[0]}" if flat[0] or not row else row.removesuffix(" + ")
            return [f"out[{start}] = {place.base}[{at}];"]
        step = flat[1] - flat[0] if count > 1 else 1
        if flat == list(range(flat[0], flat[0] + step * count, step or 1)):
            own = k if step == 1 else f"{step}*{k}"
            at = f"{row}{own} + {flat[0]}" if flat[0] else f"{row}{own}"
        else:
            at = f"{row}{self._table(tuple(flat), f'{array}_at')}[{k}]"
        head = f"for (ptrdiff_t {k} = 0; {k} < {count}; {k}++) {{"
        before = "" if start == "0" else f"{start} + "
        return [head, f"{INDENT}out[{before}{k}] = {place.base}[{at}];", "}"] if count else []

    def _write_results(self) -> None:
        """What is not computed where it is put out."""
        for copied in self._results.copies:
            if copied.places:
                lines = self._copied(copied.array, copied.places, str(copied.position), "")
                self._listing.add(*lines, level=1)
        for array, place, start in self._results.stacks:
            size = prod(inner(self._arrays[array].shape)) if place is None else 1
            places = range(size) if place is None else (place,)
            before = f"{self._results.numbers} + " if self._results.numbers else ""
            rows = f"{start}*n + " if start else ""
            i = _Names(self._space).take("i")
            own = i if size == 1 else f"{size}*{i}"
            lines = self._copied(array, places, f"{before}{rows}{own}", i)
            if lines:
                head = f"for (ptrdiff_t {i} = 0; {i} < (ptrdiff_t)n; {i}++) {{"
                self._listing.add(head, level=1)
                self._listing.add(*lines, level=2)
                self._listing.add("}", level=1)

    # the whole

    def parts(self) -> list[str]:
        """What the function is made of, itself the last."""
        for statement in self._statements:
            self._write(statement)
        self._write_results()
        return [*self._definitions, *self._data(), "\n".join(self._lines())]

    @property
    def what(self) -> str:
        """What there is to say of it in a line."""
        count, kind = len(self._statements), " in float32" * (self._kind == "float")
        return f"{self.name}: {count:,} statement{'s' * (count != 1)} on arrays{kind}"

    def checked(self) -> Checked:
        """What a check has to know of it."""
        function, results, memory = self._function, self._results, self._memory
        given = [
            Given(g.name, prod(g.row), not g.row and not g.batched, g.batched)
            for g in function.groups
        ]
        places = dict(_starts(function))
        return Checked(
            *(self.name, tuple(given), places, results.numbers, results.each),
            *(memory.fixed, memory.each),
        )

    def _data(self) -> Iterator[str]:
        """Tables and numbers that are known."""
        for values, name in self._tables.items():
            yield _data_text("int", name, [str(value) for value in values])
        for name, numbers in self._constants.items():
            yield _data_text(self._kind, name, [self._number(number) for number in numbers])

    def _lines(self) -> list[str]:
        """The function, after a comment that says what it takes and gives."""
        function, memory, listing = self._function, self._memory, Listing()
        batched = any(group.batched for group in function.groups)
        arguments = [
            f"{self._kind} {name}" if not g.row and not g.batched else f"const {self._kind} *{name}"
            for g, name in zip(function.groups, self._arguments, strict=True)
        ]
        arguments += ["size_t n"] * batched + [f"{self._kind} *out"]
        room = memory.fixed + memory.each
        arguments += [f"{self._kind} *work"] * bool(room)
        listing.add("/*", *(f" * {comment(line)}" for line in self._described()), " */")
        listing.enclose(f"void {self.name}(", separated(arguments), ")", 0)
        listing.add("{")
        body = self._listing.lines
        used = {word for line in body for word in _WORD.findall(_bare(line))}
        pointers = []
        for name, line in reversed(memory.pointers.items()):  # parts come after their vectors
            if name in used:
                pointers.append(line.replace(_FIXED, _plus(memory.fixed)))
                used |= set(_WORD.findall(line))
        listing.add(*reversed(pointers), level=1)
        names = [*self._arguments, *["n"] * batched, "out", *["work"] * bool(room)]
        listing.add(*[f"(void){name};" for name in names if name not in used], level=1)
        listing.lines += body
        listing.add("}")
        return listing.lines

    def _described(self) -> Iterator[str]:
        function, memory, results = self._function, self._memory, self._results
        for group, name in zip(function.groups, self._arguments, strict=True):
            yield f"{name}: {group.shape}"
        yield from ranges(_paths(function))
        for path, output in flatten(function.outputs):
            for start, size in _stacked(output, self._arrays, results):
                text = ".".join(map(str, path)) or "the output"
                row = "i" if size == 1 else f"{size}*i .. {size}*i + {size - 1}"
                yield f"out[{results.numbers} + {start}*n + {row}]: {text}, of sample i"
        if memory.each:
            yield f"work: room for {memory.fixed} + {memory.each}*n numbers"
        elif memory.fixed:
            yield f"work: room for {memory.fixed} numbers"


class _Names:
    """Names for the axes of one statement, which others may use again."""

    def __init__(self, space: Namespace) -> None:
        self._space, self._own = space, set[str]()

    def take(self, wish: str) -> str:
        """The wished name, or one like it that nothing else in reach has."""
        name = re.sub(r"\W", "_", wish, flags=re.ASCII)
        while name in self._own or not self._space.is_free(name):
            name += "_"
        self._own.add(name)
        return name


def _assigned(target: str, sign: str, code: str) -> Iterator[str]:
    """An assignment, on several lines where it is long."""
    if len(target) + len(code) + 20 <= LINE_LENGTH:
        yield f"{target} {sign} {code};"
        return
    yield f"{target} {sign}"
    pieces = code.split(" ")
    lines = packed(pieces, 3)
    yield from [INDENT + line for line in lines[:-1]]
    yield f"{INDENT}{lines[-1]};"


def _plus(number: int) -> str:
    """A number to be added, if it is any."""
    return f" + {number}" if number else ""


def _bare(line: str) -> str:
    """A line of code without its comment."""
    return "" if line.lstrip().startswith("/*") else line


def _data_text(kind: str, name: str, items: Sequence[str]) -> str:
    lines = packed([f"{item}," for item in items], 1)
    return "\n".join([f"static const {kind} {name}[] = {{", *(INDENT + x for x in lines), "};"])


def _paths(function: ArrayFunction) -> list[tuple[Any, ...]]:
    """The way through the outputs to each number that is not one per sample."""
    found: list[tuple[Any, ...]] = []
    for path, output in flatten(function.outputs):
        count = _count(output, function)
        alone = isinstance(output, Element)
        found += [path] * count if alone else [(*path, k) for k in range(count)]
    return found


def _starts(function: ArrayFunction) -> Iterator[tuple[tuple[Any, ...], int]]:
    """The way through the outputs to each, and the place of its first number."""
    start = 0
    for path, output in flatten(function.outputs):
        count = _count(output, function)
        if count:
            yield path, start
        start += count


def _count(output: Element | Vector | Whole, function: ArrayFunction) -> int:
    """How many numbers of an output there are that are not one per sample."""
    if output.stacked:
        return 0
    if isinstance(output, Whole):
        return prod(function.program.arrays[output.array].shape)
    return output.length if isinstance(output, Vector) else 1


def _stacked(
    output: Element | Vector | Whole, arrays: Mapping[str, Array], results: Results
) -> Iterable[tuple[int, int]]:
    """Where the numbers of each sample are of which there is one per sample, and how many."""
    if not output.stacked:
        return []
    wanted: list[tuple[str, int | None]]
    if isinstance(output, Vector):
        wanted = [(array, p) for array, places in output.pieces for p in places]
    else:
        wanted = [(output.array, None if isinstance(output, Whole) else output.place)]
    starts = {(s.array, s.place): s.start for s in results.stacks}
    return [
        (starts[one], prod(inner(arrays[one[0]].shape)) if one[1] is None else 1) for one in wanted
    ]
