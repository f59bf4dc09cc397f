"""The systems that are measured, one module each; a module is imported only if its system is there.

Each is used as its own documentation advises, its fastest documented way included, in float64. The
data of a problem are known when a system gets ready, so each may build them in; parameters are what
changes from call to call.
"""

from importlib import import_module
from importlib.util import find_spec

from harness import Peer

MODULES = {
    "by_wengert": "wengert",
    "by_plain": "math",
    "by_micrograd": "micrograd",
    "by_numpy": "numpy",
    "by_autograd": "autograd",
    "by_casadi": "casadi",
    "by_symengine": "symengine",
    "by_sklearn": "sklearn",
    "by_sympy": "sympy",
    "by_heyoka": "heyoka",
    "by_jax": "jax",
    "by_pytensor": "pytensor",
    "by_torch": "torch",
}
"""Our module → the package it measures."""


def installed() -> list[Peer]:
    """Every peer whose package is installed and whose further conditions hold."""
    found = []
    for module, package in MODULES.items():
        if find_spec(package) is not None:
            found += [p for p in import_module(f"peers.{module}").PEERS if p.usable()]
    return found
