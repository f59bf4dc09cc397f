"""The documentation's site: every public name has its place, and it builds without a warning."""

import inspect
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import reference

import wengert as wg

ROOT = Path(__file__).resolve().parents[1]


def test_every_public_name_stands_in_the_reference_once():
    names = [name for topic in reference.topics().values() for name in topic]
    assert sorted(names) == sorted(n for n in wg.__all__ if not n.startswith("_"))


def test_what_is_public_stands_under_a_topic_of_its_own():
    for name in reference.topics()["Modules"]:
        assert inspect.ismodule(getattr(wg, name)), f"{name} has no place in the reference"


def test_docstrings_are_shown_as_they_are_with_examples_apart():
    shown = reference.blocks("A sum.\n\nx  what is added\n\n    >>> 1 + 1\n    2\n\nMore.")
    assert [kind for kind, _ in shown] == [False, True, False]
    assert "x  what is added" in shown[0][1]
    page = reference.reference()
    assert "#### History.plot" in page
    assert "#### Value.backward" in page
    assert "op_rank" not in page.replace("`op_rank`", ""), "data without a docstring of its own"
    assert "0x" not in page, "no address of an object, so that a page is the same every time"


def test_long_signatures_have_an_argument_a_line_and_no_quotes():
    (line, *others, end) = reference.signature("fit", wg.fit)[1].splitlines()
    assert (line, end) == ("fit(", ") -> History")
    assert "    optimizer: OptimizerName | Optimizer = 'sgd'," in others
    assert reference.arguments("a: tuple[int, str], b=(1, 2)") == ["a: tuple[int, str]", "b=(1, 2)"]


def test_prose_is_text_in_which_stars_are_stars():
    assert reference.escaped("w*x of `a*b` <x>") == "w\\*x of `a*b` \\<x>"


def test_every_extra_is_listed_with_what_it_is_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    page = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    assert sorted(re.findall(r"`(.*?)`", "".join(rows))) == sorted(project["optional-dependencies"])


def test_the_site_builds_without_a_warning(tmp_path):
    pytest.importorskip("mkdocs", reason="the site is built by mkdocs: make docs")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "reference.html").is_file()
    for page in tmp_path.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert "https://fonts" not in text
        assert "BLANKLINE" not in text, f"{page.name} shows doctest's word for an empty line"
