"""Whether two scalar graphs compute the same, up to order: what a rolled graph is checked with.

Every node gets a fingerprint of 64 bits that depends on what it computes and not on how sums are
ordered. Two graphs are the same node for node up to order if they agree but for

- the order and the grouping of terms in sums and differences, and of what extremes are taken of;
- the order of the two factors of a product;
- whether a minus sign stands on a term, a factor or a whole sum, and factors 1, terms 0, powers 1;
- how often the same operation on the same operands is written out.

Sums are the additive group of integers modulo 2⁶⁴, so that any grouping gives the same fingerprint;
other operations are hashed. That different expressions agree has a chance of about n²/2⁶⁵.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from struct import pack, unpack
from zlib import crc32

from ..graph.expr import Graph
from ..graph.store import live_nodes
from ..ops.record import Op
from ..ops.scalar import ADD, CONSTANT, EXTREMES, MUL, NEG, POW_CONST, SUB

_MASK = 2**64 - 1
_REGROUPED = EXTREMES | {ADD, SUB, NEG}


def fingerprints(graph: Graph, roots: Iterable[int]) -> dict[int, int]:
    """The fingerprint of each node that `roots` need, of a graph without arrays.

    >>> g = Graph(); a, b, c = g.inputs("x", 3)
    >>> left, right, other = (a + b) - c * 2, (-2 * c + b) + a, (a + b) * c
    >>> found = fingerprints(g, [left.id, right.id, other.id])
    >>> found[left.id] == found[right.id], found[left.id] == found[other.id]
    (True, False)
    """
    found: dict[int, int] = {}
    extremes: dict[Op, dict[int, int]] = {op: {} for op in EXTREMES}
    ops, operands_of, statics = graph.ops, graph.operands, graph.statics
    codes = {op: crc32(op.name.encode()) for op in set(ops)}
    for node in live_nodes(graph, roots):
        op, operands = ops[node], operands_of[node]
        if not operands:
            found[node] = _leaf(graph, node)
        elif op is ADD:
            found[node] = (found[operands[0]] + found[operands[1]]) & _MASK
        elif op is SUB:
            found[node] = (found[operands[0]] - found[operands[1]]) & _MASK
        elif op is NEG:
            found[node] = -found[operands[0]] & _MASK
        elif op is MUL:
            found[node] = _product(operands, found)
        elif op is POW_CONST and statics[node] == (1.0,):
            found[node] = found[operands[0]]
        elif op in extremes:
            known, code = extremes[op], codes[op]
            parts = [known.get(one) or hash((code, found[one], 0)) for one in operands]
            known[node] = sum(parts) & _MASK
            found[node] = hash((code, known[node])) & _MASK
        else:
            fixed = hash(tuple([_bits(static) for static in statics.get(node, ())]))
            inner = [found[operand] for operand in operands]
            found[node] = hash((codes[op], fixed, *inner)) & _MASK
    return found


def operations(graph: Graph, found: dict[int, int]) -> set[int]:
    """The fingerprints of operations up to sign, without sums, extremes and products with ±1."""
    ops, operands_of = graph.ops, graph.operands
    kept = set()
    for node, print_ in found.items():
        if not operands_of[node] or ops[node] in _REGROUPED:
            continue
        if ops[node] is MUL and any(_is_unit(found[operand]) for operand in operands_of[node]):
            continue
        if ops[node] is POW_CONST and graph.statics[node] == (1.0,):
            continue
        kept.add(min(print_, -print_ & _MASK))
    return kept


def _leaf(graph: Graph, node: int) -> int:
    if graph.ops[node] is not CONSTANT:
        name = blake2b(graph.labels[node].encode(), digest_size=16).digest()
        return hash((crc32(graph.ops[node].name.encode()), *unpack("<4I", name))) & _MASK
    number = float(graph.value(node))
    if number == 0.0:
        return 0
    size = _UNIT if abs(number) == 1.0 else hash((1, *_bits(abs(number)))) & _MASK
    return size if number > 0 else -size & _MASK


def _bits(number: float) -> tuple[int, int]:
    """The halves of a number, 0 without its sign: Python's hash is that of -2 for -1 too."""
    low, high = unpack("<2I", pack("<d", number + 0.0))
    return high, low


_UNIT = min(hash((1, *_bits(1.0))) & _MASK, -hash((1, *_bits(1.0))) & _MASK)


def _product(operands: tuple[int, ...], found: dict[int, int]) -> int:
    """The fingerprint of a product, the signs of its factors taken out and units left out."""
    sign, factors = 1, []
    for operand in operands:
        print_ = found[operand]
        if print_ > -print_ & _MASK:
            sign, print_ = -sign, -print_ & _MASK
        if print_ != _UNIT:
            factors.append(print_)
    if len(factors) == 1:
        return sign * factors[0] & _MASK
    if not factors:
        return sign * _UNIT & _MASK
    return sign * hash((2, *sorted(factors))) & _MASK


def _is_unit(print_: int) -> bool:
    return min(print_, -print_ & _MASK) == _UNIT
