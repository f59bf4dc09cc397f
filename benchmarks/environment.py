"""Where the numbers come from: machine, Python, libraries and the BLAS behind NumPy."""

import os
import platform
import sys
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
        "packages": ", ".join(f"{name} {found}" for name in PACKAGES if (found := installed(name))),
    }


def installed(package: str) -> str:
    """The version of a package, or ""."""
    try:
        return version(package)
    except PackageNotFoundError:
        return getattr(sys.modules.get(package), "__version__", "")


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
