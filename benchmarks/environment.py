"""Where the numbers come from: machine, Python, libraries and the BLAS behind NumPy."""

import ctypes
import math
import os
import platform
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

PACKAGES = (
    *("wengert", "micrograd", "numpy", "autograd", "casadi", "symengine", "sympy", "heyoka"),
    *("jax", "jaxlib", "pytensor", "numba", "torch", "networkx"),
)


def describe() -> dict[str, str]:
    """What ran, for the head of a report."""
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": cpu(),
        "cores": str(os.cpu_count()),
        "load": " ".join(f"{x:.1f}" for x in os.getloadavg()) if hasattr(os, "getloadavg") else "",
        "blas": blas(),
        **({"peak": f"{found:.1f} GFLOP/s a core"} if (found := peak()) else {}),
        "packages": ", ".join(f"{name} {found}" for name in PACKAGES if (found := installed(name))),
    }


def installed(package: str) -> str:
    """The version of a package, or ""."""
    try:
        return version(package)
    except PackageNotFoundError:
        return getattr(sys.modules.get(package), "__version__", "")


def peak() -> float:
    """The GFLOP/s of one core that does nothing but multiply and add; 0 without llvmlite.

    24 vectors of eight float64 are independent of each other, in a loop in machine code.
    """
    if find_spec("llvmlite") is None:
        return 0.0
    import llvmlite.binding as llvm

    vectors, turns, eight = range(24), 100_000, "<8 x double>"
    fma = "llvm.fma.v8f64"
    phis = [f"%a{i} = phi {eight} [zeroinitializer, %0], [%b{i}, %l]" for i in vectors]
    sums = [f"%b{i} = call {eight} @{fma}({eight} %a{i}, {eight} %v, {eight} %v)" for i in vectors]
    ends = [f"store volatile {eight} %b{i}, ptr %to" for i in vectors]
    code = [
        f"declare {eight} @{fma}({eight}, {eight}, {eight})",
        "define void @peak(ptr %to) {",
        f"%v = load volatile {eight}, ptr %to",
        "br label %l",
        "l:",
        "%i = phi i64 [0, %0], [%j, %l]",
        *phis,
        *sums,
        "%j = add i64 %i, 1",
        f"%m = icmp slt i64 %j, {turns}",
        "br i1 %m, label %l, label %x",
        "x:",
        *ends,
        "ret void",
        "}",
    ]
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = llvm.get_host_cpu_features().flatten()
    machine = llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=features, opt=2
    )
    module = llvm.parse_assembly("\n".join(code))
    with llvm.create_mcjit_compiler(module, machine) as engine:
        engine.finalize_object()
        run = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(engine.get_function_address("peak"))
        memory = (ctypes.c_double * 16)()
        place = ctypes.addressof(memory)
        place += -place % 64
        best = math.inf
        for _ in range(200):
            start = time.perf_counter()
            run(place)
            best = min(best, time.perf_counter() - start)
    return 2 * 8 * len(vectors) * turns / best / 1e9


def cpu() -> str:
    """The processor's name."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def blas() -> str:
    """The linear algebra that NumPy calls, with its threads."""
    if find_spec("numpy") is None:
        return "none"
    import numpy as np

    if find_spec("threadpoolctl") is not None:
        from threadpoolctl import threadpool_info

        np.dot(np.ones(2), np.ones(2))
        found = [
            f"{pool['internal_api']} {pool['version']} ({pool.get('architecture') or '?'}, "
            f"{pool['num_threads']} threads)"
            for pool in threadpool_info()
            if pool["user_api"] == "blas" and "numpy" in pool["filepath"]
        ]
        if found:
            return ", ".join(found)
    dependency = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return f"{dependency['name']} {dependency['version']}"
