"""Functions of IR with loops and conditions, written by hand once for all programs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .words import LANES


class Builder:
    """A module of IR under construction, by LLVM's own builder of instructions."""

    def __init__(self) -> None:
        from llvmlite import ir

        self.ir = ir
        self.module = ir.Module()
        self.pointer, self.whole = ir.PointerType(), ir.IntType(64)
        self.double, self.small = ir.DoubleType(), ir.IntType(32)

    def function(
        self, name: str, result: Any, given: str, public: bool = False
    ) -> tuple[Any, list[Any], Any]:
        """A new function, its arguments and a builder; "p" and "w" say what the arguments are."""
        kinds = [{"p": self.pointer, "w": self.whole}[letter] for letter in given]
        function = self.ir.Function(self.module, self.ir.FunctionType(result, kinds), name)
        function.linkage = "" if public else "internal"
        builder = self.ir.IRBuilder(function.append_basic_block("entry"))
        return function, list(function.args), builder

    def number(self, number: int) -> Any:
        """A whole number."""
        return self.whole(number)

    def at(self, b: Any, base: Any, index: Any, kind: Any) -> Any:
        """The address of an element of an array in memory."""
        place = self.number(index) if isinstance(index, int) else index
        return b.gep(base, [place], source_etype=kind)

    def get(self, b: Any, base: Any, index: Any, kind: Any = None) -> Any:
        """An element of an array in memory, of whole numbers unless said."""
        kind = kind or self.whole
        return b.load(self.at(b, base, index, kind), typ=kind)

    @contextmanager
    def loop(self, b: Any, count: Any) -> Iterator[Any]:
        """A loop whose body is written inside; gives the index."""
        head, body = b.append_basic_block("head"), b.append_basic_block("body")
        after = b.append_basic_block("after")
        start = b.block
        b.branch(head)
        b.position_at_end(head)
        index = b.phi(self.whole)
        index.add_incoming(self.number(0), start)
        b.cbranch(b.icmp_signed("<", index, count), body, after)
        b.position_at_end(body)
        yield index
        index.add_incoming(b.add(index, self.number(1)), b.block)
        b.branch(head)
        b.position_at_end(after)

    def lane(self, b: Any, samples: Any, row: Any, columns: Any, column: Any) -> Any:
        """The address of a sample's number in a column of the blocks."""
        eight = self.number(LANES)
        block, lane = b.sdiv(row, eight), b.srem(row, eight)
        place = b.mul(b.add(b.mul(block, columns), column), eight)
        return self.at(b, samples, b.add(place, lane), self.double)

    def run_type(self) -> Any:
        """The type of a program's function."""
        p, w = self.pointer, self.whole
        return self.ir.FunctionType(self.ir.VoidType(), [p, p, w, p, p])


class Callee:
    """An address as what LLVM's builder calls."""

    def __init__(self, address: Any, kind: Any) -> None:
        self.function_type = kind
        self._address = address

    def get_reference(self) -> str:
        """Its name."""
        reference: str = self._address.get_reference()
        return reference
