"""What is shown in a terminal's width."""

import pytest

from wengert.graph.written import PAGE, Report
from wengert.terminal import wrapped

FORMULAS = [
    "t15[p, 4h + u] = Σ_{r ≤ p} v[r, 4h + u]·t14[p, h, r]",
    "dwte[t, e] = Σ_{wte_index[p] = t} dt1[p, e] + wte[wte_index[p, q], e]",
    "y[i, j] = Σ_e proj[e, f]·t23[p, f] + t16[p, e]",
]


@pytest.mark.parametrize("width", range(40, 60))
@pytest.mark.parametrize("formula", FORMULAS)
def test_a_formula_is_cut_between_its_parts_alone(formula, width):
    lines = wrapped(formula, width, rest=2)
    assert " ".join(line.strip() for line in lines) == formula
    for line in lines:
        assert line.count("[") == line.count("]")
        assert line.count("{") == line.count("}")
        assert not line.endswith(("Σ_e", "}"))
        assert len(line) <= width


@pytest.mark.parametrize("width", range(12, 40))
@pytest.mark.parametrize("formula", FORMULAS)
def test_what_does_not_fit_is_cut_all_the_same(formula, width):
    lines = wrapped(formula, width, rest=2)
    assert "".join("".join(lines).split()) == "".join(formula.split())
    assert max(map(len, lines)) <= width


def test_brackets_that_are_long_are_cut():
    assert max(map(len, wrapped(f"f[{', '.join('abcdefgh' * 8)}]", 30))) <= 30


def test_a_report_is_shown_in_the_width_of_its_place(monkeypatch):
    report = Report(f"{'word ' * 50}\n  indented\nshort")
    assert max(map(len, repr(report).splitlines())) <= PAGE
    monkeypatch.setenv("COLUMNS", "40")
    shown = repr(report).splitlines()
    assert max(map(len, shown)) <= 40
    assert shown[-2:] == ["  indented", "short"]
    assert "".join(repr(report).split()) == "".join(report.split())
