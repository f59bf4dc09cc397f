"""Which line of the compiled program computes each step: followed node by node, never by numbers.

The program is made of the expression and of the gradient of its stable form. From a node of the
walk-through the way leads to the node that was compiled, through the passes to the node that was
left of it, and from there to the instruction that says it computes that node.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

from ..codegen.compiled import Compiled
from ..codegen.program import Operand, Program
from ..graph.expr import Graph
from ..graph.rewrite import Rewritten, Walk, rewritten
from ..graph.store import live_nodes
from ..graph.traversal import taken_apart
from ..ops.scalar import CONSTANT, STOP_GRADIENT
from ..proof.claim import Claim
from ..simplify.pipeline import rules_named, simplified
from ..simplify.stable import stable_form, stable_rewriting
from .data import CarriedLine
from .derivation import Derivation
from .judges import claim_of
from .words import shown

STABLE: Final = "by the stable form"
"""What is said of a derivative that the compiled function finds in another way."""

_CUT: Final = "cut"


class _Keys:
    """Numbers for expressions: nodes of any graph have the same if they are written alike.

    The order in which commutative operations have their operands counts as no difference.
    """

    def __init__(self) -> None:
        self._known: dict[object, int] = {}

    def of(
        self, graph: Graph, nodes: Iterable[int], cut: int | None = None, name: str = ""
    ) -> dict[int, int]:
        """The number of each node, operands first; `cut` counts as a leaf called `name`."""
        found: dict[int, int] = {}
        for node in nodes:
            op = graph.ops[node]
            operands = [found.get(operand, -1) for operand in graph.operands[node]]
            key: object = (op, graph.statics.get(node, ()), tuple(operands))
            if node == cut:
                key = name
            elif op is CONSTANT:
                key = float(graph.value(node)).hex(), op
            elif graph.is_leaf(node):
                key = graph.labels[node]
            elif op.commutative:
                key = (op, graph.statics.get(node, ()), tuple(sorted(operands)))
            found[node] = self._known.setdefault(key, len(self._known))
        return found


@dataclass(frozen=True)
class Lineage:
    """What became of the nodes of an expression on the way to its compiled function.

    claim   the expression, and the gradient of its stable form, as nodes of one graph
    stable  the node of the stable form; that of the expression itself where no rule fits
    """

    claim: Claim
    stable: int

    @classmethod
    def of(cls, d: Derivation) -> Lineage:
        """Of the expression of a walk-through, with nothing collapsed."""
        claim = claim_of(d)
        return cls(claim, stable_form(claim.graph[claim.root]).id)

    @cached_property
    def _gradient(self) -> Mapping[int, int]:
        return dict(zip(self.claim.leaves, self.claim.gradient, strict=True))

    @cached_property
    def rewriting(self) -> Rewritten:
        """What the stable form makes of the nodes, in a graph of its own."""
        return stable_rewriting(self.claim.graph, self.claim.root)

    @cached_property
    def images(self) -> Mapping[int, int]:
        """Node → the node of the stable form that computes the same, in the same graph."""
        graph = self.claim.graph
        if self.stable == self.claim.root:
            return {node: node for node in self.claim.primal}
        keys = _Keys()
        made = self.rewriting
        there = keys.of(made.graph, live_nodes(made.graph, made.graph.outputs))
        here = keys.of(graph, live_nodes(graph, [self.stable]))
        nodes = {key: node for node, key in here.items()}
        return {node: nodes[there[image]] for node, image in made.images.items() if image in there}

    @cached_property
    def adjoints(self) -> Mapping[int, int]:
        """Node of the stable form → the node of its adjoint, as `grad` made it."""
        graph, wanted = self.claim.graph, self._gradient
        for sweep in reversed(graph.sweeps):
            known = wanted.keys() & sweep.keys()
            if self.stable in sweep and all(sweep[leaf] == wanted[leaf] for leaf in known):
                return sweep
        return {}

    def adjoint(self, node: int) -> int | None:
        """The compiled adjoint of a node of the expression; None where nothing stands for it."""
        if node in self._gradient:
            return self._gradient[node]
        image = self.images.get(node)
        if image is None or not self._means_the_same(node, image):
            return None
        return self.adjoints.get(image)

    def _means_the_same(self, node: int, image: int) -> bool:
        """Whether the output depends on a node as the stable form depends on its image.

        It does if the stable form of the expression with a leaf in the node's place is the stable
        form with a leaf in the image's: no rule has looked into the node, or past it.
        """
        graph, root = self.claim.graph, self.claim.root
        if self.stable == root:
            return True
        name = _CUT
        while name in graph.leaves:
            name += "_"

        def write(walk: Walk, other: int) -> int | None:
            return walk.target.input(name).id if other == node else None

        small = rewritten(graph, [root], write)
        made = stable_rewriting(small.graph, small.graph.outputs[0]).graph
        keys = _Keys()
        there = keys.of(made, live_nodes(made, made.outputs))[made.outputs[0]]
        here = keys.of(graph, live_nodes(graph, [self.stable]), image, name)[self.stable]
        return here == there

    def derived_otherwise(self, d: Derivation) -> set[int]:
        """The nodes whose compiled adjoint is not the one that is shown, but of the stable form.

        It is where a branch is guarded, too. Where both are finite they are the same number.
        """
        keys = _Keys()
        here = keys.of(d.graph, range(len(d.graph)))
        there = keys.of(self.claim.graph, range(len(self.claim.graph)))
        compiled = {node: self.adjoint(d.originals[node]) for node in d.backward_order}
        return {
            node
            for node, adjoint in compiled.items()
            if adjoint is not None and there[adjoint] != here[d.adjoint[node]]
        }

    @cached_property
    def left(self) -> Rewritten:
        """What is left of the nodes after simplification: the graph that the program is made of."""
        made = rewritten(self.claim.graph, [self.claim.root, *self.claim.gradient])
        rules = rules_named(True)
        assert rules is not None
        return made.then(simplified(made.graph, rules))


def carried_lines(d: Derivation, compiled: Compiled, lineage: Lineage) -> Iterator[CarriedLine]:
    """The line for each forward and backward step."""
    program = compiled.program
    assert isinstance(program, Program)
    code = _Code(compiled)
    operands = _operands(lineage.left.graph, program)
    images = lineage.left.images

    def line(step: str, node: int | None) -> CarriedLine:
        if node is None:
            return _nowhere(step, "the stable form does without it")
        if lineage.claim.graph.ops[node] is CONSTANT:
            return code.at(step, float(lineage.claim.graph.value(node)))
        if node not in lineage.left.maps[0]:
            return _nowhere(step, "no derivative that is asked for needs it")
        image = images.get(node)
        return _nowhere(step, _DROPPED) if image is None else code.at(step, operands[image])

    for node in d.live:
        if d.computed(node):
            yield line(f"forward-n{node}", d.originals[node])
    other = lineage.derived_otherwise(d)
    for node in d.backward_order:
        carried = line(f"backward-n{node}", lineage.adjoint(d.originals[node]))
        if node in other and carried.line is not None:
            carried = replace(carried, note=", ".join(filter(None, (carried.note, STABLE))))
        yield carried


_DROPPED: Final = "simplified away"


def _nowhere(step: str, why: str) -> CarriedLine:
    return CarriedLine(step, "", None, "", f"no line: {why}")


def _operands(graph: Graph, program: Program) -> dict[int, Operand]:
    """What each node of a simplified graph is in the program: a variable, a leaf or a number."""
    found: dict[int, Operand] = {i.node: i.name for i in program.instructions}
    leaves = {group.name: group.leaves[0] for group in program.groups}
    for node in range(len(graph)):
        if graph.ops[node] is CONSTANT:
            found[node] = float(graph.value(node))
        elif graph.is_leaf(node):
            found[node] = leaves[graph.labels[node]]
        elif graph.ops[node] is STOP_GRADIENT:
            (inner,) = taken_apart(
                node, lambda n: graph.operands[n] if graph.ops[n] is STOP_GRADIENT else None
            )
            found[node] = found[inner]
    return found


class _Code:
    """The generated text, asked for the line of a variable."""

    def __init__(self, compiled: Compiled) -> None:
        program = compiled.program
        assert isinstance(program, Program)
        self._text = compiled.source.splitlines()
        self._line_of = compiled.line_of
        self._leaves = {group.leaves[0]: group.name for group in program.groups}
        # What is written inside an expression is computed before it.
        self._last: dict[int, str] = {}
        for instruction in program.instructions:
            at = compiled.line_of(instruction.name)
            if at is not None:
                self._last[at] = instruction.name

    def at(self, step: str, operand: Operand) -> CarriedLine:
        """Where the number of a step is computed, which is this operand of the program."""
        if not isinstance(operand, str):
            return _nowhere(step, f"it is the number {shown(operand)}")
        if operand in self._leaves:
            leaf = self._leaves[operand]
            return CarriedLine(step, leaf, None, "", f"no line: it is {leaf} itself")
        line = self._line_of(operand)
        if line is None:
            return _nowhere(step, _DROPPED)
        code = self._text[line - 1].strip()
        if self._last[line] == operand and not code.startswith("return"):
            return CarriedLine(step, code.partition(" ")[0], line, code, "")
        return CarriedLine(step, "", line, code, f"inside line {line}")
