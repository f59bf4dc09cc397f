"""`compile`: from expressions to a function, and what that function knows about itself."""

from __future__ import annotations

import gc
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from keyword import iskeyword
from pathlib import Path
from typing import Any, Final

from ..errors import (
    DuplicateNameError,
    InvalidNameError,
    NotALeafError,
    OperandError,
    SettingError,
    ShapeError,
    SpellingError,
    UnknownNameError,
    formula_hint,
    kind_of,
    shorten,
)
from ..graph.arithmetic import Arithmetic
from ..graph.doors import Door, View
from ..graph.expr import Graph, common_graph
from ..graph.rewrite import rewritten
from ..graph.store import check_name
from ..graph.unroll import element_names, unroll_graph
from ..graph.written import Report
from ..ops.scalar import CONSTANT
from ..ops.shapes import BATCH, shape_text
from ..simplify.pipeline import Rules, rules_named
from ..storage import PathLike, format_of, from_pickle, write_bytes, write_text
from .arguments import as_floats, flattened, float_check, in_order
from .array.function import ArrayFunction
from .array.statementpipeline import Request, stages
from .build import (
    Built,
    Derivatives,
    Options,
    Recipe,
    build,
    build_once,
    reduced,
    simplified_graph,
)
from .cost import estimate, pass_text
from .engines.autograd import derived, jax_function, torch_function
from .engines.onnxfile import onnx_model
from .export.c import c_text
from .export.carrays import c_array_text
from .export.module import module_text
from .lower import Signature
from .names import RESERVED
from .program import Nested, Program, flatten, map_nested
from .target import Source, Target, find_target

__all__ = ["Compiled", "Derivatives", "compile"]

WRITTEN_OUT: Final = 20_000
"""The largest graph of scalars, in nodes, that is written out in C operation by operation."""


class Compiled:
    """A compiled function: call it with its argument groups in order.

    source       the generated text
    program      the straight-line program it was printed from
    derivatives  which outputs are gradients of which
    passes       what simplification did
    verify       `f.verify()` calls it and compares it with the interpreter, see `wengert.verify`
    """

    verify: Door[Callable[..., Any]] = Door("verify")
    _repr_mimebundle_ = View()

    def __init__(
        self,
        recipe: Recipe | Callable[[], Recipe],
        built: Built,
        target: Target,
        *,
        check: bool,
        values: Mapping[str, tuple[float | None, ...]],
    ) -> None:
        self._made_from = recipe
        self.program = built.program
        self.function = built.function
        self.target = target.name
        self.derivatives = built.derivatives
        self.passes = built.passes
        self.values = values
        self._target = target
        self._emitted = built.source
        self._careful: Callable[..., Any] | None = None
        self._prepare = target.prepare(built.program) if target.prepare else None
        self._check = check
        arrays = check and isinstance(built.program, ArrayFunction)
        self._scalars = (lambda: _scalar_program(self.recipe)) if arrays else None
        quick = isinstance(built.program, Program) and self._prepare is None and not check
        self._are_floats = float_check(built.program.groups) if quick else None
        self.__signature__ = signature_of(built.program)

    def __reduce__(self) -> Any:
        parts = self.recipe, self._check, dict(self.values)
        return from_pickle, ("a compiled function", _compiled, *parts)

    @property
    def recipe(self) -> Recipe:
        """What it was built from; found again if the function was kept by another process."""
        if not isinstance(self._made_from, Recipe):
            self._made_from = self._made_from()
        return self._made_from

    @property
    def takes_arrays(self) -> bool:
        """Whether arguments are made arrays, if they are none, before the generated code runs."""
        return self._prepare is not None

    @property
    def source(self) -> str:
        """The text of the generated code."""
        return self._emitted.text

    @property
    def emitted(self) -> Source:
        """The generated code, with what it carries along."""
        return self._emitted

    def line_of(self, variable: str) -> int | None:
        """The line of `source`, from 1, that computes a variable; None for an unknown one."""
        return self._emitted.lines.get(variable)

    def __repr__(self) -> str:
        arguments = ", ".join(group.name for group in self.program.groups)
        count = len(self.program.instructions)
        return f"<compiled {self.program.name}({arguments}): {self.target}, {count:,} operations>"

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """The outputs at these arguments, nested as they were given to `compile`.

        Arguments come in the order of the groups, or by their names. Sequences must match their
        groups: a wrong width is a `ShapeError` that names the row.
        """
        quick = self._are_floats
        if quick is not None and not named:
            try:
                if quick(arguments):
                    return self.function(*arguments)
            except (ArithmeticError, ValueError, TypeError):
                pass  # what went wrong is found out below
        return self._look_closer(arguments, named)

    def _look_closer(self, arguments: tuple[Any, ...], named: Mapping[str, Any]) -> Any:
        """The call for arguments that are not seen at once to be floats, or that went wrong."""
        program = self.program
        if named:
            arguments = tuple(in_order(program, arguments, named))
        if self._prepare is not None and not self._check:
            arguments = tuple(self._prepare(arguments))
        elif isinstance(program, Program):
            given, arguments = arguments, tuple(as_floats(program, arguments))
            if self._check:
                found = program.run(*arguments, check=True)
                if self._prepare is None:
                    return found
                arguments = tuple(self._prepare(given))
        elif self._check and isinstance(program, ArrayFunction):
            assert self._prepare is not None
            assert self._scalars is not None
            scalars = self._scalars()  # they know which rule each number is of
            plain = self._prepare(arguments) if self.recipe.holds_arrays else arguments
            scalars.run(*as_floats(scalars, flattened(program.groups, plain)), check=True)
            return self.function(*self._prepare(arguments))
        try:
            return self.function(*arguments)
        except (ArithmeticError, ValueError, TypeError):
            return self._careful_function()(*arguments)

    def _careful_function(self) -> Callable[..., Any]:
        """The version that gives inf and nan where the plain one raises; made when first needed."""
        if self._careful is None:
            source = self._target.emit_careful(self.program)
            self._careful = self.function if source is None else self._target.load(source)
        return self._careful

    def report(self) -> str:
        """What each pass did, the program's operations, and what a call is estimated to cost.

        A pass is a line: nodes and operations before and after, how often which rule applied, and
        the time of the operations before and after, each done once. Times come from a table of one
        machine's (`wengert.codegen.cost`).

        >>> from wengert.graph.expr import Graph
        >>> g = Graph(); x = g.inputs("x", 2)
        >>> print(compile({"x": x}, x[0] * x[1] + x[1] * 1).report())
        exact: 6 nodes -> 4; mul 2 -> 1; 1 mul-one; about 0.021 µs -> 0.014 µs
        2 operations: 1 mul, 1 add
        about 0.33 µs a call
        """
        counts = ", ".join(f"{n:,} {name}" for name, n in self.program.counts().most_common())
        lines = [pass_text(record) for record in self.passes]
        lines += [f"{len(self.program.instructions):,} operations: {counts}"]
        if self.target in ("python", "numpy"):
            lines.append(estimate(self.program, self._target.arrays))
        lines += self._target.told(self._emitted)
        return Report("\n".join(lines))

    def _savable(self, ending: str) -> str:
        """What else may be done where no file of this ending can be made."""
        arrays = self.recipe.holds_arrays
        ways = [] if arrays else ["compile with target='python'"]
        if ending == ".c" and arrays:
            ways.append("compile with target='native'")
        if self.target == "native" and ending != ".c":
            ways.append("give a path that ends in '.c'")
        if arrays or isinstance(self.program, ArrayFunction):
            ways.append("give a path that ends in '.onnx'")
        return ", or ".join(ways)

    def autograd(self, output: str | None = None) -> Callable[..., Any]:
        """An output as a function that its engine differentiates by what was compiled with it.

        output  the key of the output; needed where there are derivatives of more than one

        For the targets "torch" and "jax". The derivatives among the outputs are computed in the
        forward pass, as one function with it, and the backward pass multiplies the cotangent by
        them: `loss.backward()` in torch and `jax.grad` run no derivative rule of their own. A
        derivative that was not compiled is a `SettingError` where it is asked for.
        """
        wrap = {"torch": torch_function, "jax": jax_function}.get(self.target)
        if wrap is None:
            raise SettingError(
                f"autograd of a function of the {self.target!r} target; only engines have one: "
                "compile with target='torch' or target='jax'"
            )
        return wrap(derived(self, output))

    def save(self, path: PathLike, *, certificate: Any = True) -> Path:
        """Write a module that needs only Python, 3.8 or newer; answer its path.

        certificate  what `wengert.verify` found about what was compiled; True for no more than
                     outputs and gradients to 50 digits, at up to three points; False for none

        It holds the function, the values its leaves carry and the certificate. Run by itself it
        checks its text, those numbers in units in the last place, and its gradients by finite
        differences. A certificate of something else is a `SettingError`.

        A path that ends in ".onnx" gets an ONNX model of whole arrays, in opset 18 (the package
        onnx writes it). Inputs are called as the arguments, outputs by their keys.

        A path that ends in ".c" gets a file of C99 that needs libm alone, without a certificate;
        compiled and run it checks its gradients by finite differences. Scalars are computed there
        operation by operation, bit for bit as the python target does; arrays as users write them,
        and what the native target makes loops of in graphs of more than 20,000 nodes or in float32,
        are loops there too, in numbers of the function's dtype. In float32 the file compares itself
        with the same in float64, too.
        """
        ending = format_of(path, "compiled function", (".c", ".onnx", ".py"))
        if ending == ".onnx":
            return write_bytes(path, onnx_model(_statements(self.recipe)))
        program = self.program
        if ending == ".c":
            few = not self.recipe.holds_arrays and len(self.recipe.graph) <= WRITTEN_OUT
            double = self.recipe.options.dtype == "float64"
            if self.target == "native" and isinstance(program, ArrayFunction) and few and double:
                program = _scalar_program(self.recipe)
            if isinstance(program, Program):
                return write_text(path, c_text(program, self.values, self.derivatives))
            if self.target == "native":
                return write_text(path, c_array_text(program, self.values, self.derivatives))
        elif self.target == "python" and isinstance(program, Program):
            text = module_text(program, self.values, self.derivatives, certificate)
            return write_text(path, text)
        raise SpellingError(
            f"a module of the {self.target!r} target cannot be saved as "
            f"{'C' if ending == '.c' else 'plain Python'}; {self._savable(ending)}"
        )


class DirectlyCompiled(Compiled):
    """A compiled function whose call is that of another, without any code of Python's between."""

    __slots__ = ("__call__",)

    def __init__(
        self,
        recipe: Recipe | Callable[[], Recipe],
        built: Built,
        target: Target,
        **options: Any,
    ) -> None:
        super().__init__(recipe, built, target, **options)
        assert self._prepare is not None
        closer = partial(_prepared, built.program, self._prepare, built.function)
        self.__call__ = target.joined(built.function, closer)  # type: ignore[method-assign, assignment]


def _prepared(
    program: Any,
    prepare: Callable[[Sequence[Any]], Sequence[Any]],
    function: Callable[..., Any],
    *arguments: Any,
    **named: Any,
) -> Any:
    """The call for arguments that have to be put in order or be converted first."""
    if named:
        arguments = tuple(in_order(program, arguments, named))
    return function(*prepare(arguments))


def made(
    recipe: Recipe | Callable[[], Recipe],
    built: Built,
    target: Target,
    *,
    check: bool,
    values: Mapping[str, tuple[float | None, ...]],
) -> Compiled:
    """What was built as a function to be called."""
    direct = not check and target.joined(built.function, repr) is not None
    kind = DirectlyCompiled if direct else Compiled
    return kind(recipe, built, target, check=check, values=values)


def signature_of(program: Any) -> inspect.Signature:
    """The arguments of a compiled function, for whoever asks `inspect`, as SciPy does.

    >>> from wengert.graph.expr import Graph
    >>> g = Graph(); x, a = g.input("x"), g.input("a")
    >>> print(compile({"x": x, "a": a}, a * x).__signature__)
    (x, a)
    """
    names = [group.name for group in program.groups]
    named = all(name.isidentifier() and not iskeyword(name) for name in names)
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD if named else inspect.Parameter.POSITIONAL_ONLY
    shown = names if named else [group.argument for group in program.groups]
    return inspect.Signature([inspect.Parameter(name, kind) for name in shown])


@contextmanager
def paused_collection() -> Iterator[None]:
    """While this lasts, the cyclic garbage collector rests; afterwards it is as it was before.

    A transform makes millions of tuples, all of which stay, and the collector goes through them
    again and again as their number grows: a tenth of the time at a million nodes.

    >>> with paused_collection():
    ...     gc.isenabled()
    False
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@paused_collection()
def compile(
    inputs: Mapping[str, Any],
    outputs: Nested,
    *,
    target: str | Target = "python",
    batch: str | Sequence[str] = (),
    reduce: str | None = "sum",
    check: bool = False,
    simplify: bool | Rules = True,
    name: str = "f",
    dtype: str = "float64",
    cache_dir: PathLike | None = None,
) -> Compiled:
    """A function of the leaves in `inputs` that computes `outputs`.

    inputs   argument name → a leaf (the argument is a number) or a sequence of leaves (a sequence
             of as many numbers); arguments come in the order of the dict
    outputs  an expression, or any nesting of dicts and lists of them; the result mirrors it
    target   which kind of code, see `wengert.targets()`; or a `Target` of your own
    batch    names of inputs that get a leading sample axis; every output is then reduced over the
             samples with `reduce` ("sum" or "mean"), or collected in a list with None, whether it
             mentions them or not; one computed from a `total` is left as it is
    check    raise `NonFiniteError` at the first result that is not finite, naming it
    simplify which passes to run first: True or "exact" for those that keep every bit but the sign
             of a zero, "real" for those that also factor and regroup sums and products, which may
             round otherwise, False for none; or a list of `Rule`s of your own, which come first,
             and of one of those names
    name     the name of the function in the generated code
    dtype    "float64", or "float32" for targets that compute with arrays
    cache_dir  a directory of yours alone, in which the function is kept for later processes; see
             `wengert.codegen.diskcache`. Without one nothing is written

    Leaves that no input names contribute the number they carry now.

    >>> from wengert.graph.expr import Graph
    >>> from wengert.derive.backward import grad
    >>> g = Graph(); w, x = g.input("w"), g.input("x")
    >>> f = compile({"w": w, "x": x}, {"y": w * x, "dw": grad(w * x, w)})
    >>> f(2.0, 3.0)
    {'y': 6.0, 'dw': 3.0}
    """
    chosen = find_target(target)
    rules = rules_named(simplify)
    options = Options(target, name, rules, _dtype_named(dtype, chosen))
    recipe, values = recipe_of(inputs, outputs, options, batch=batch, reduce=reduce)
    if cache_dir is not None:
        from .diskcache import build_cached

        built = build_cached(recipe, cache_dir)
    else:
        built = _built(recipe)
    return made(recipe, built, chosen, check=check, values=values)


def _dtype_named(dtype: Any, target: Target) -> str:
    """The name of a kind of numbers that the target computes in, given as a name or NumPy's."""
    name = dtype if isinstance(dtype, str) else getattr(dtype, "name", None)
    name = getattr(dtype, "__name__", None) if name is None else name
    if name == "float64" or (name == "float32" and target.takes_statements):
        return str(name)
    if name == "float32":
        raise SettingError(
            f"dtype 'float32' of the {target.name!r} target, which computes in float64; "
            "targets that compute with arrays have it, such as 'numpy'"
        )
    raise SettingError(f"dtype is {shorten(dtype)}; expected 'float64' or 'float32'")


def _built(recipe: Recipe) -> Built:
    return build(recipe) if recipe.structure is None else build_once(recipe)


def _compiled(
    recipe: Recipe, check: bool, values: Mapping[str, tuple[float | None, ...]]
) -> Compiled:
    """The function of a recipe, built anew: what a pickle holds is no code, nor becomes any."""
    options = recipe.options
    target = find_target(options.target)
    _check_name(options.name)
    _dtype_named(options.dtype, target)
    return made(recipe, _built(recipe), target, check=check, values=values)


def recipe_of(
    inputs: Mapping[str, Any],
    outputs: Nested,
    options: Options,
    *,
    batch: str | Sequence[str] = (),
    reduce: str | None = "sum",
) -> tuple[Recipe, dict[str, tuple[float | None, ...]]]:
    """What `compile` builds a function from, and the numbers that the leaves of arguments carry."""
    _check_name(options.name)
    flat = [_output(path, thing) for path, thing in flatten(outputs)]
    if not flat:
        raise OperandError("no outputs: give compile at least one expression")
    groups = _groups(inputs)
    graph = common_graph([*flat, *(leaf for leaves, _ in groups.values() for leaf in leaves)])
    nodes = [graph.node_of(thing) for thing in flat]
    signatures = _signatures(graph, groups, _batch_names(batch, groups))
    values = {
        s.name: tuple(graph.value(graph.leaves[leaf]) for leaf in s.leaves) for s in signatures
    }
    asked, twins = _asked(graph, nodes, options)
    kept = asked.outputs[: len(nodes)]
    whole, stacked = reduced(asked, signatures, reduce)
    results, forms = whole.outputs[: len(nodes)], whole.outputs[len(nodes) :]
    whole.outputs = results
    whole.stable_forms.update(zip([results[place] for place in twins], forms, strict=True))
    reduction = whole, stacked[: len(nodes)]
    return Recipe.of(reduction, outputs, signatures, options, kept, reduce), values


def _check_name(name: str) -> None:
    """Refuse what no function of generated code may be called."""
    check_name(name, "function")
    if name in RESERVED:
        raise InvalidNameError(
            f"{name!r} is something that generated code may call itself; "
            f"name the function otherwise, for instance '{name}_of'"
        )


def _asked(graph: Graph, nodes: Sequence[int], options: Options) -> tuple[Graph, list[int]]:
    """A graph of the outputs alone, followed by some in their stable form: which.

    Those are the outputs that are there beside their derivatives, in every target. What is
    differentiated is the stable form, so most of it is computed anyway.
    """
    known: dict[int, int] = {}
    if options.rules is not None:
        known = {k: graph.stable_forms.get(node, node) for k, node in enumerate(nodes)}
        known = {k: form for k, form in known.items() if form != nodes[k]}
    asked, images = rewritten(graph, [*nodes, *known.values()])
    for (root, leaf), adjoint in list(
        graph.gradients.items()
    ):  # of what is asked for as the form itself
        of = [images.get(node) for node in (graph.stable_forms.get(root, root), leaf, adjoint)]
        if None not in of:
            asked.gradients.setdefault((of[0], of[1]), of[2])
    differentiated = {root for root, _ in asked.gradients}
    twins = [k for k in known if images[nodes[k]] in differentiated]
    forms = [known[k] for k in twins]
    asked.outputs = tuple([images[node] for node in (*nodes, *forms)])
    return asked, twins


def _scalar_program(recipe: Recipe) -> Program:
    """The program of the same outputs number by number, as it was before arrays were found."""
    options = recipe.options._replace(target="python", dtype="float64")
    if recipe.holds_arrays:
        recipe = _unrolled(recipe)
    program = build(replace(recipe, options=options)).program
    assert isinstance(program, Program)
    return program


def _statements(recipe: Recipe) -> ArrayFunction:
    """The statements of the same outputs, as they are found."""
    options = recipe.options
    request = Request(
        *(recipe.outputs, recipe.signatures, options.name, options.rules is not None),
        *(options.dtype, recipe.stacked, False),
    )
    *_, last = stages(simplified_graph(recipe), request)
    return last.function


def _unrolled(recipe: Recipe) -> Recipe:
    """The recipe for the same with the elements of arrays one by one."""
    graph = recipe.graph
    scalars, lanes = unroll_graph(graph, graph.outputs)
    roots = iter(graph.outputs)
    nested = map_nested(recipe.outputs, lambda _: list(lanes[next(roots)]))
    signatures = []
    for s in recipe.signatures:
        named = zip(s.leaves, s.shapes, strict=True)
        leaves = [name for leaf, shape in named for name in element_names(leaf, shape)]
        alone = s.scalar and not s.shapes[0]
        signatures.append(Signature(s.name, tuple(leaves), alone, s.batched))
    each = zip(graph.outputs, recipe.stacked, strict=True)
    stacked = tuple([one for root, one in each for _ in lanes[root]])
    return replace(
        recipe, graph=scalars, outputs=nested, signatures=tuple(signatures), stacked=stacked
    )


def _output(path: tuple[Any, ...], thing: Any) -> Any:
    for key in path:
        if not isinstance(key, (str, int)):
            raise InvalidNameError(f"output key {shorten(key)}: keys of outputs are text")
    if isinstance(thing, (Arithmetic, int, float)):
        return thing
    place = "".join(f"[{key!r}]" for key in path)
    raise OperandError(
        f"output{place} is {shorten(thing)}, {kind_of(thing)}; expected an Expr or a Value"
        f"{formula_hint(thing)}"
    )


def _groups(inputs: Mapping[str, Any]) -> dict[str, tuple[list[Any], bool]]:
    """Argument name → its leaves, and whether it is a single number."""
    if not isinstance(inputs, Mapping):
        raise OperandError(f"inputs is {kind_of(inputs)}; expected a dict name → leaves")
    groups = {}
    for name, leaves in inputs.items():
        check_name(name, "compiled function's argument")
        scalar = isinstance(leaves, Arithmetic)
        if not scalar and not isinstance(leaves, Iterable):
            raise OperandError(
                f"input {name!r} is {shorten(leaves)}, {kind_of(leaves)}; "
                "expected a leaf, or a sequence of leaves"
            )
        members = [leaves] if scalar else list(leaves)
        for leaf in members:
            if not isinstance(leaf, Arithmetic):
                raise OperandError(
                    f"input {name!r} holds {shorten(leaf)}, {kind_of(leaf)}; "
                    "expected leaves: inputs, parameters or Values"
                )
        groups[name] = (members, scalar)
    if not groups:
        raise OperandError("no inputs: name at least one leaf as an argument")
    return groups


def _batch_names(
    batch: str | Sequence[str], groups: Mapping[str, tuple[list[Any], bool]]
) -> frozenset[str]:
    if not isinstance(batch, Iterable):
        raise OperandError(
            f"batch is {shorten(batch)}, {kind_of(batch)}; expected the names of the inputs that "
            "have a row for each sample, () for none"
        )
    names = (batch,) if isinstance(batch, str) else tuple(batch)
    for name in names:
        if name not in groups:
            raise UnknownNameError.of("batched input", name, groups)
    return frozenset(names)


def _signatures(
    graph: Graph, groups: Mapping[str, tuple[list[Any], bool]], batched: frozenset[str]
) -> list[Signature]:
    signatures = []
    owner: dict[int, str] = {}
    for name, (leaves, scalar) in groups.items():
        nodes = [graph.node_of(leaf) for leaf in leaves]
        for leaf, node in zip(leaves, nodes, strict=True):
            if not graph.is_leaf(node) or graph.ops[node] is CONSTANT:
                raise NotALeafError(
                    f"input {name!r} holds {shorten(leaf)}, which is computed; "
                    "an argument is an input, a parameter or a leaf Value"
                )
            if node in owner:
                raise DuplicateNameError(
                    f"leaf {graph.labels[node]!r} is in inputs {owner[node]!r} and {name!r}; "
                    "name each leaf once"
                )
            if BATCH in graph.shapes.get(node, ()):
                one = shape_text(graph.shapes[node][1:])
                raise ShapeError(
                    f"input {name!r} holds {shorten(leaf)}, an array of however many samples: "
                    f"give the graph an array of one sample's shape, {one}, and say batch={name!r}"
                )
            owner[node] = name
        labels = tuple(graph.labels[node] for node in nodes)
        shapes = tuple(graph.shapes.get(node, ()) for node in nodes)
        signatures.append(Signature(name, labels, scalar, name in batched, shapes))
    return signatures
