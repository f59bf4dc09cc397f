"""The examples in docstrings, run as doctests: one test a module."""

import doctest
import importlib
import pkgutil
import types

import pytest

import wengert

WALK = pkgutil.walk_packages(wengert.__path__, "wengert.")
MODULES = ["wengert", *sorted(found.name for found in WALK if found.name != "wengert.__main__")]


def doctest_report(module: types.ModuleType) -> str:
    """What went wrong in the module's examples; empty when all is well."""
    report: list[str] = []
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS)
    for test in doctest.DocTestFinder().find(module):
        runner.run(test, out=report.append)
    return "".join(report)


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    report = doctest_report(importlib.import_module(name))
    assert not report, report


def test_every_package_is_walked():
    assert {"wengert.graph", "wengert.codegen", "wengert.errors"} <= set(MODULES)


def test_a_wrong_example_is_found():
    module = types.ModuleType("wrong", "A sum.\n\n>>> 1 + 1\n3\n")
    assert "Expected:\n    3\nGot:\n    2" in doctest_report(module)
