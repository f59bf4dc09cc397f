"""Large batches in parts, which several threads compute.

How a batch is divided depends on the program and on how many samples there are, never on how many
threads there are or how fast they run: each part has sums of its own, and these are added up in the
order of the parts, so results are the same bit for bit on any number of threads. Threads live no
longer than a call, so there is nothing that a fork or another caller could find in a wrong state.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from ...errors import SettingError
from .host import library_address

VARIABLE: Final = "WENGERT_THREADS"
"""The environment variable that says how many threads a call may have."""

MOST_THREADS: Final = 64
MOST_PARTS: Final = 32
"""The most parts that a batch is divided into."""

MEMORY: Final = 134_217_728
"""About how many bytes the sums of all parts take, if there are more than two."""

WORTH: Final = 400_000
"""How many operations on vectors a part takes at the least: about 0.1 ms, threads start in 0.02."""

MOVED: Final = 64
"""How many operations on vectors moving a number takes that a part has of its own."""

GIVEN: Final = (
    "ptr %groups, ptr %rows, i64 %total, ptr %out, ptr %fixed, ptr %each, i64 %room, i64 {from}, "
    "i64 {count}, i1 {first}, ptr %results"
)
"""What a nest is given; see `wengert.codegen.native.statements`."""

_LIBRARY: Final = ("malloc", "free", "pthread_create", "pthread_join")


class Parts(NamedTuple):
    """How a batch is divided.

    least  samples of a part at the least, a multiple of a block
    most   parts of a batch at the most
    """

    least: int
    most: int


def parts(each: float, own: int, size: int, block: int) -> Parts | None:
    """How batches are divided; None on a system without threads of the kind known here.

    each   operations on vectors that a sample takes
    own    numbers of memory that are the same for all samples, of `size` bytes each
    block  samples of a block

    >>> parts(1_000, 10_000, 8, 256)  # doctest: +SKIP
    Parts(least=768, most=32)
    """
    if not possible():
        return None
    samples = int(max(WORTH, MOVED * own) / max(0.1, each)) + 1
    most = min(MOST_PARTS, max(2, MEMORY // (size * max(1, own))))
    return Parts(samples + -samples % block, most)


DECLARED: Final = (
    "@threads = global i64 1",
    "declare ptr @malloc(i64)",
    "declare void @free(ptr)",
    "declare i32 @pthread_create(ptr, ptr, ptr, ptr)",
    "declare i32 @pthread_join(i64, ptr)",
)
"""What code on several threads needs of its own and of the C library."""


def possible() -> bool:
    """Whether the system has threads of the kind known here."""
    return all(map(library_address, _LIBRARY))


def threads() -> int:
    """How many threads a call may have: as many as processors this process may run on.

    The environment variable WENGERT_THREADS says otherwise; what it says is a `SettingError` if it
    is no whole number from 1 on.
    """
    text = os.environ.get(VARIABLE, "")
    if not text:
        return min(MOST_THREADS, _processors())
    if not text.isdecimal() or int(text) < 1:
        raise SettingError(f"{VARIABLE}={text!r}; expected a whole number from 1 on, such as 2")
    return min(MOST_THREADS, int(text))


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def given(first: str = "0", count: str = "%total", begins: str = "true") -> str:
    """The arguments of a nest, for so many samples from the first on."""
    return GIVEN.replace("{from}", first).replace("{count}", count).replace("{first}", begins)


def part_text(calls: Sequence[str]) -> list[str]:
    """The function that computes the samples of a part, block by block."""
    told = given("%from", "%count", "%first")
    return [
        "define internal void @part(ptr %groups, ptr %rows, i64 %total, ptr %results, ptr %out, "
        "ptr %fixed, ptr %each, i64 %room, i64 %start, i64 %end, ptr %stop) {",
        "  br label %block",
        "block:",
        "  %from = phi i64 [%start, %0], [%next, %block]",
        "  %left = sub i64 %end, %from",
        "  %less = icmp slt i64 %left, %room",
        "  %count = select i1 %less, i64 %left, i64 %room",
        "  %first = icmp eq i64 %from, %start",
        *[line.format(given=told) for line in calls],
        "  %next = add i64 %from, %room",
        "  %more = icmp slt i64 %next, %end",
        *STOPPED,
        "  br i1 %again, label %block, label %done",
        "done:",
        "  ret void",
        "}",
        "",
    ]


STOPPED: Final = (
    "  %flag = load volatile i64, ptr %stop",
    "  %going = icmp eq i64 %flag, 0",
    "  %again = and i1 %more, %going",
)
"""The lines that tell whether there is more to do, or whoever calls wants it no more."""

ALONE: Final = (
    "  call void @part(ptr %groups, ptr %rows, i64 %total, ptr %results, ptr %out, ptr %fixed, "
    "ptr %each, i64 %room, i64 0, i64 %total, ptr %stop)"
)
"""The line that computes a batch in one part."""

STOP: Final = (
    "  %told.stop = load ptr, ptr %scratch",
    "  %told.none = icmp eq ptr %told.stop, null",
    "  %stop = select i1 %told.none, ptr @never, ptr %told.stop",
)
"""The lines that find what says to stop. Its address is the first of the memory that `run` gets,
or nothing; where it becomes other than 0, the call ends soon, and what it has put out means
nothing."""

NEVER: Final = "@never = internal global i64 0"
"""Where nothing says to stop."""


def shared_lines(found: Parts) -> list[str]:
    """The lines of `run` that compute a batch, in parts if it is large."""
    return [
        f"  %possible = sdiv i64 %total, {found.least}",
        "  %several = icmp sgt i64 %possible, 1",
        "  br i1 %several, label %share, label %alone",
        "share:",
        "  %shared = call i1 @shared(ptr %groups, ptr %rows, i64 %total, ptr %out, ptr %fixed, "
        "ptr %each, i64 %room, i64 %possible, ptr %stop)",
        "  br i1 %shared, label %after, label %alone",
        "alone:",
        ALONE,
        "  br label %after",
        "after:",
    ]


def shared_text(
    found: Parts, element: str, numbers: int, fixed: int, each: int, add: Sequence[str]
) -> list[str]:
    """The functions that divide a batch: what a thread does, and what starts them.

    numbers  how many results are numbers
    fixed    numbers of memory that are the same for all samples
    each     numbers of memory that the arrays of a block take
    add      the lines that add the sums of a part, whose memory `%table` tells, to those so far
    """
    size = 8 if element == "double" else 4
    wide = 64 // size
    front = numbers + -numbers % wide
    shadow = front + fixed + -fixed % wide
    block = each + -each % wide
    called = given().replace("ptr %groups", "ptr %table")
    told: Mapping[str, object] = {
        "MOST": found.most,
        "ELEMENT": element,
        "FRONT": front,
        "SHADOW": shadow,
        "BLOCK": block,
        "SIZE": size,
        "OUT_BYTES": numbers * size,
        "FIXED_BYTES": fixed * size,
        "THREADS": MOST_THREADS,
        "LAST": MOST_THREADS - 1,
        "ADD": "\n".join(line.format(given=called) for line in add),
    }
    text = _TEXT
    for name, value in told.items():
        text = text.replace(f"<{name}>", str(value))
    return text.splitlines()


_TEXT: Final = """\
%job = type { ptr, ptr, i64, ptr, ptr, ptr, i64, i64, i64, i64, ptr }

declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)

; a thread takes the next part until there is none; given the job and memory for a block
define internal ptr @work(ptr %given) {
  %job = load ptr, ptr %given
  %each.at = getelementptr ptr, ptr %given, i64 1
  %each = load ptr, ptr %each.at
  %groups = load ptr, ptr %job
  %rows.at = getelementptr %job, ptr %job, i64 0, i32 1
  %rows = load ptr, ptr %rows.at
  %total.at = getelementptr %job, ptr %job, i64 0, i32 2
  %total = load i64, ptr %total.at
  %results.at = getelementptr %job, ptr %job, i64 0, i32 3
  %results = load ptr, ptr %results.at
  %fixed.at = getelementptr %job, ptr %job, i64 0, i32 4
  %all.fixed = load ptr, ptr %fixed.at
  %own.at = getelementptr %job, ptr %job, i64 0, i32 5
  %own = load ptr, ptr %own.at
  %room.at = getelementptr %job, ptr %job, i64 0, i32 6
  %room = load i64, ptr %room.at
  %parts.at = getelementptr %job, ptr %job, i64 0, i32 7
  %parts = load i64, ptr %parts.at
  %length.at = getelementptr %job, ptr %job, i64 0, i32 8
  %length = load i64, ptr %length.at
  %next.at = getelementptr %job, ptr %job, i64 0, i32 9
  %stop.at = getelementptr %job, ptr %job, i64 0, i32 10
  %stop = load ptr, ptr %stop.at
  br label %more
more:
  %part = atomicrmw add ptr %next.at, i64 1 acq_rel
  %some = icmp slt i64 %part, %parts
  br i1 %some, label %one, label %done
one:
  %begins = icmp eq i64 %part, 0
  br i1 %begins, label %compute, label %copy
copy:
  %before = sub i64 %part, 1
  %skip = mul i64 %before, <SHADOW>
  %own.out = getelementptr <ELEMENT>, ptr %own, i64 %skip
  %own.fixed = getelementptr <ELEMENT>, ptr %own.out, i64 <FRONT>
  call void @llvm.memcpy.p0.p0.i64(ptr %own.out, ptr %results, i64 <OUT_BYTES>, i1 false)
  call void @llvm.memcpy.p0.p0.i64(ptr %own.fixed, ptr %all.fixed, i64 <FIXED_BYTES>, i1 false)
  br label %compute
compute:
  %out = phi ptr [%results, %one], [%own.out, %copy]
  %fixed = phi ptr [%all.fixed, %one], [%own.fixed, %copy]
  %start = mul i64 %part, %length
  %whole = add i64 %start, %length
  %less = icmp slt i64 %whole, %total
  %end = select i1 %less, i64 %whole, i64 %total
  call void @part(ptr %groups, ptr %rows, i64 %total, ptr %results, ptr %out, ptr %fixed, \
ptr %each, i64 %room, i64 %start, i64 %end, ptr %stop)
  br label %more
done:
  ret ptr null
}

; whether a batch was computed in parts: not where there is no memory for them
define internal i1 @shared(ptr %groups, ptr %rows, i64 %total, ptr %results, ptr %fixed, \
ptr %each, i64 %room, i64 %possible, ptr %stop) {
  %job = alloca %job
  %given = alloca [<THREADS> x [2 x ptr]]
  %names = alloca [<THREADS> x i64]
  %table = alloca [2 x ptr]
  %fewer = icmp slt i64 %possible, <MOST>
  %most = select i1 %fewer, i64 %possible, i64 <MOST>
  %up = add i64 %total, %most
  %up.less = sub i64 %up, 1
  %least = sdiv i64 %up.less, %most
  %room.less = sub i64 %room, 1
  %padded = add i64 %least, %room.less
  %blocks = sdiv i64 %padded, %room
  %length = mul i64 %blocks, %room
  %total.up = add i64 %total, %length
  %total.less = sub i64 %total.up, 1
  %parts = sdiv i64 %total.less, %length
  %wanted = load i64, ptr @threads
  %are.fewer = icmp slt i64 %wanted, %parts
  %threads = select i1 %are.fewer, i64 %wanted, i64 %parts
  %others = sub i64 %parts, 1
  %shadows = mul i64 %others, <SHADOW>
  %helping = sub i64 %threads, 1
  %blocks.size = mul i64 %helping, <BLOCK>
  %count = add i64 %shadows, %blocks.size
  %spare = add i64 %count, 128
  %bytes = mul i64 %spare, <SIZE>
  %memory = call ptr @malloc(i64 %bytes)
  %none = icmp eq ptr %memory, null
  br i1 %none, label %without, label %with
without:
  ret i1 false
with:
  %at = ptrtoint ptr %memory to i64
  %at.up = add i64 %at, 63
  %even = and i64 %at.up, -64
  %own = inttoptr i64 %even to ptr
  %own.each = getelementptr <ELEMENT>, ptr %own, i64 %shadows
  store ptr %groups, ptr %job
  %rows.at = getelementptr %job, ptr %job, i64 0, i32 1
  store ptr %rows, ptr %rows.at
  %total.at = getelementptr %job, ptr %job, i64 0, i32 2
  store i64 %total, ptr %total.at
  %results.at = getelementptr %job, ptr %job, i64 0, i32 3
  store ptr %results, ptr %results.at
  %fixed.at = getelementptr %job, ptr %job, i64 0, i32 4
  store ptr %fixed, ptr %fixed.at
  %own.at = getelementptr %job, ptr %job, i64 0, i32 5
  store ptr %own, ptr %own.at
  %room.at = getelementptr %job, ptr %job, i64 0, i32 6
  store i64 %room, ptr %room.at
  %parts.at = getelementptr %job, ptr %job, i64 0, i32 7
  store i64 %parts, ptr %parts.at
  %length.at = getelementptr %job, ptr %job, i64 0, i32 8
  store i64 %length, ptr %length.at
  %next.at = getelementptr %job, ptr %job, i64 0, i32 9
  store i64 0, ptr %next.at
  %stop.at = getelementptr %job, ptr %job, i64 0, i32 10
  store ptr %stop, ptr %stop.at
  br label %start
start:
  %thread = phi i64 [1, %with], [%thread.next, %started], [%thread.next, %refused]
  %begun = phi i64 [0, %with], [%begun.next, %started], [%begun, %refused]
  %more = icmp slt i64 %thread, %threads
  br i1 %more, label %try, label %help
try:
  %thread.next = add i64 %thread, 1
  %told = getelementptr [2 x ptr], ptr %given, i64 %thread
  %number = sub i64 %thread, 1
  %skip = mul i64 %number, <BLOCK>
  %block = getelementptr <ELEMENT>, ptr %own.each, i64 %skip
  store ptr %job, ptr %told
  %block.at = getelementptr ptr, ptr %told, i64 1
  store ptr %block, ptr %block.at
  %name.at = getelementptr i64, ptr %names, i64 %begun
  %failed = call i32 @pthread_create(ptr %name.at, ptr null, ptr @work, ptr %told)
  %fine = icmp eq i32 %failed, 0
  br i1 %fine, label %started, label %refused
started:
  %begun.next = add i64 %begun, 1
  br label %start
refused:
  br label %start
help:
  store ptr %job, ptr %given
  %each.at = getelementptr ptr, ptr %given, i64 1
  store ptr %each, ptr %each.at
  %nothing = call ptr @work(ptr %given)
  br label %join
join:
  %joined = phi i64 [0, %help], [%joined.next, %wait]
  %waiting = icmp slt i64 %joined, %begun
  br i1 %waiting, label %wait, label %sum
wait:
  %joined.at = getelementptr i64, ptr %names, i64 %joined
  %joined.name = load i64, ptr %joined.at
  %ended = call i32 @pthread_join(i64 %joined.name, ptr null)
  %joined.next = add i64 %joined, 1
  br label %join
sum:
  %added = phi i64 [0, %join], [%added.next, %add]
  %left = icmp slt i64 %added, %others
  br i1 %left, label %add, label %done
add:
  %added.skip = mul i64 %added, <SHADOW>
  %own.out = getelementptr <ELEMENT>, ptr %own, i64 %added.skip
  %own.fixed = getelementptr <ELEMENT>, ptr %own.out, i64 <FRONT>
  store ptr %own.out, ptr %table
  %table.fixed = getelementptr ptr, ptr %table, i64 1
  store ptr %own.fixed, ptr %table.fixed
  %out = getelementptr <ELEMENT>, ptr %results, i64 0
<ADD>
  %added.next = add i64 %added, 1
  br label %sum
done:
  call void @free(ptr %memory)
  ret i1 true
}
"""
