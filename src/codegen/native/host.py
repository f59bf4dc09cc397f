"""The processor at hand, and LLVM: from IR to machine code in memory."""

from __future__ import annotations

import ctypes
import os
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import count
from typing import Any, Final, NamedTuple

from ...errors import MissingExtraError

PACKED: Final = 2_000
"""In programs of no more operations, LLVM looks for numbers that are treated alike: a third less
time for a call, and about twice as much to compile."""

_NUMBERS: Final = count()
"""LLVM wants a new name for each piece of code that it loads."""

_LINKED: Final = 32
"""A linker keeps some 12 KB of each piece, even of those that are freed, until all of its are; and
one by itself for each would take 110 KB and a millisecond."""


class Host(NamedTuple):
    """A processor as LLVM names it."""

    cpu: str
    features: str

    @property
    def fused(self) -> bool:
        """Whether it adds to a product in one rounding."""
        return any(name in self.features.split(",") for name in ("+fma", "+neon", "+fp-armv8"))

    @property
    def registers(self) -> int:
        """How many vectors of sums it keeps at once, of eight float64 each."""
        return 24 if "+avx512f" in self.features.split(",") else 4


def binding() -> Any:
    """llvmlite's binding of LLVM; a `MissingExtraError` where it is not installed."""
    try:
        import llvmlite.binding
    except ImportError:
        raise MissingExtraError(
            "the native target compiles with LLVM, which llvmlite brings and which is not "
            "installed: pip install llvmlite"
        ) from None
    return llvmlite.binding


@lru_cache(maxsize=1)
def host() -> Host:
    """The processor this runs on."""
    llvm = binding()
    return Host(llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten())


def compiler() -> str:
    """Which LLVM compiles, and by which llvmlite: object code is that of one of them."""
    import llvmlite

    version = ".".join(map(str, binding().llvm_version_info))
    return f"LLVM {version}, llvmlite {llvmlite.__version__}"


def available() -> bool:
    """Whether llvmlite is there."""
    try:
        binding()
    except MissingExtraError:
        return False
    return True


@lru_cache(maxsize=256)
def library_address(name: str) -> int:
    """Where a function of the C library is in this process; 0 where there is none of the name.

    >>> library_address("no_such_function")
    0
    """
    library = ctypes.CDLL("ucrtbase" if os.name == "nt" else None)
    function = getattr(library, name, None)
    return ctypes.cast(function, ctypes.c_void_p).value or 0 if function else 0


@lru_cache(maxsize=16)
def _machine(chosen: Host, effort: int) -> Any:
    llvm = binding()
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_default_triple()
    return target.create_target_machine(
        cpu=chosen.cpu, features=chosen.features, opt=effort, reloc="pic", jit=True
    )


@lru_cache(maxsize=1)
def _linker(turn: int) -> Any:
    """LLVM's linker. The last one lives as long as what it has linked."""
    return binding().create_lljit_compiler(_machine(host(), 2))


@contextmanager
def uninterrupted() -> Iterator[None]:
    """A context at whose end Ctrl-C does what it would have done within.

    An exception that comes while llvmlite frees something of LLVM's is printed and lost.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return
    came: list[Any] = []
    signal.signal(signal.SIGINT, lambda *given: came.append(given))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if came:
            before(*came[0])


@uninterrupted()
def object_code(
    text: str,
    effort: int = 2,
    chosen: Host | None = None,
    tidy: bool = False,
    packed: bool = False,
) -> bytes:
    """IR as machine code for a processor, the one at hand unless another is given.

    effort  LLVM's level of optimization, 0 to 3; nothing is reordered or fused at any
    tidy    whether the text has variables in memory that should be in registers
    packed  whether single numbers that are treated alike become lanes of vectors
    """
    llvm = binding()
    machine = _machine(chosen or host(), effort)
    module = llvm.parse_assembly(text)
    module.triple = machine.triple
    module.data_layout = str(machine.target_data)
    tuning = llvm.create_pipeline_tuning_options(speed_level=int(packed))
    tuning.slp_vectorization = packed
    tuning.loop_vectorization = tuning.loop_unrolling = tuning.loop_interleaving = False
    builder = llvm.create_pass_builder(machine, tuning)
    passes = builder.getModulePassManager() if packed else llvm.create_new_module_pass_manager()
    passes.add_always_inliner_pass()
    if tidy:
        passes.add_sroa_pass()
        passes.add_simplify_cfg_pass()
    passes.run(module, builder)
    _free(passes)
    code: bytes = machine.emit_object(module)
    return code


@uninterrupted()
def link(code: bytes, needs: Mapping[str, int], names: Sequence[str]) -> Any:
    """Object code in memory, for as long as what is answered lives; `[name]` gives addresses.

    needs  the addresses of what it calls
    names  what it defines
    """
    builder = binding().JITLibraryBuilder().add_object_img(code)
    for name, address in needs.items():
        builder.import_symbol(name, address)
    for name in names:
        builder.export_symbol(name)
    number = next(_NUMBERS)
    return builder.link(_linker(number // _LINKED), f"wengert.{number}")


def _free(passes: Any) -> None:
    """Free passes, which llvmlite forgets: their class inherits what frees nothing first."""
    kinds: list[Any] = [kind for kind in type(passes).__mro__ if "_dispose" in vars(kind)]
    if kinds[0] is binding().ffi.ObjectRef:
        kinds[-1]._dispose(passes)
