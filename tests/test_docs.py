"""The snippets in README, CONTRIBUTING and docs: a reader may type any of them, so all are run.

The ```python fences of a page run in order, in one namespace and one empty folder; a fence that
opens with `>>>` is checked as a doctest. In ```console fences the lines `$ wengert …` and
`$ python …` are run in the same folder, and output shown below a command must be what it prints,
with `...` for any text. Other fences are not run.
"""

import doctest
import re
import shlex
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

import pytest

import wengert as wg

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

# Commands of set-up, shown to the reader and exercised elsewhere.
NOT_RUN = {"cd", "git", "make", "pip"}

FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w+)[^\n]*\n(?P<body>.*?)^(?P=indent)```", re.M | re.S
)


@dataclass
class Snippet:
    language: str
    body: str
    line: int  # of the first line of the body, counted from 1


def snippets(text: str) -> list[Snippet]:
    return [
        Snippet(
            language=fence["language"],
            body=re.sub(f"^{fence['indent']}", "", fence["body"], flags=re.M),
            line=text.count("\n", 0, fence.start("body")) + 1,
        )
        for fence in FENCE.finditer(text)
    ]


def needed(text: str) -> list[str]:
    """The packages that a page says it needs beyond those of `dev`: `<!-- needs: a, b -->`."""
    found = re.search(r"<!-- needs: (.*) -->", text)
    return found[1].split(", ") if found else []


def run_page(page: Path, folder: Path) -> None:
    """Run the snippets of one page; the current folder must be `folder`."""
    namespace: dict[str, object] = {"__name__": "__main__"}
    for snippet in snippets(page.read_text(encoding="utf-8")):
        if snippet.language == "python" and snippet.body.lstrip().startswith(">>>"):
            run_examples(snippet, page, namespace)
        elif snippet.language == "python":
            # Empty lines in front, so that a traceback shows the line of the page.
            source = "\n" * (snippet.line - 1) + snippet.body
            exec(compile(source, str(page), "exec"), namespace)
        elif snippet.language == "console":
            run_commands(snippet, page, folder)


def run_examples(snippet: Snippet, page: Path, namespace: dict[str, object]) -> None:
    test = doctest.DocTestParser().get_doctest(
        snippet.body, namespace, page.name, str(page), snippet.line - 1
    )
    test.globs = namespace  # not a copy: later snippets see what this one defines
    report: list[str] = []
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS)
    runner.run(test, out=report.append, clear_globs=False)
    assert not report, "".join(report)


def run_commands(snippet: Snippet, page: Path, folder: Path) -> None:
    """Run each `$ command` of a console fence and compare the output shown below it, if any."""
    text = snippet.body.replace("\\\n", "")
    before, *commands = re.split(r"^\$ ", text, flags=re.M)
    where = f"{page.name}:{snippet.line}"
    assert not before.strip(), f"{where}: a console fence opens with a command: $ wengert …"
    for command in commands:
        typed, _, shown = command.partition("\n")
        program, *arguments = shlex.split(typed, comments=True)
        if program in NOT_RUN:
            continue
        assert program in {"wengert", "python"}, f"{where}: no way to run `{typed}`"
        if program == "wengert":
            arguments = ["-m", "wengert", *arguments]
        elif (ROOT / arguments[0]).is_file():  # python examples/…
            arguments[0] = str(ROOT / arguments[0])
        outcome = subprocess.run(
            [sys.executable, *arguments], cwd=folder, capture_output=True, text=True, check=False
        )
        printed = outcome.stdout + outcome.stderr
        assert outcome.returncode == 0 or shown.strip(), f"{where}: `{typed}` fails:\n{printed}"
        if shown.strip():
            flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
            matches = doctest.OutputChecker().check_output(shown, printed, flags)
            assert matches, f"{where}: `{typed}` prints:\n{printed}\nbut the page shows:\n{shown}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_snippets_run(page, tmp_path, monkeypatch):
    for package in needed(page.read_text(encoding="utf-8")):
        pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    run_page(page, tmp_path)


def test_the_picture_of_the_readme_is_what_is_drawn():
    graph = wg.Graph()
    w, x, b = graph.input("w"), graph.input("x"), graph.input("b")
    y = wg.tanh(w * x + b)
    y.label = "y"
    shown = wg.simplify([y, wg.grad(y, w)])
    drawn = wg.draw_dot(shown, at={"w": 0.5, "x": 2.0, "b": 0.1}).pipe()
    stored = (ROOT / "docs" / "neuron.svg").read_bytes()
    old, new = (
        sorted(e.text for e in ElementTree.fromstring(svg).iter() if e.tag.endswith("}text"))
        for svg in (stored, drawn)
    )
    assert old == new
    assert "0.7184" in old


@pytest.mark.parametrize(
    ("fence", "error"),
    [
        ("```python\nx = 1\n```\ntext\n```python\nassert x == 2\n```", AssertionError),
        ("```python\n>>> 1 + 1\n3\n```", AssertionError),
        ("1. listed:\n\n   ```python\n   1 / 0\n   ```", ZeroDivisionError),
        ("```console\n$ python -c 'raise SystemExit(3)'\n```", AssertionError),
        ("```console\n$ python -c 'print(1)'\n2\n```", AssertionError),
        ("```console\n$ wengert no-such-command\n```", AssertionError),
        ("```console\n$ rm everything\n```", AssertionError),
    ],
)
def test_a_wrong_snippet_is_found(fence, error, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = tmp_path / "page.md"
    page.write_text(f"# A page\n\n{fence}\n", encoding="utf-8")
    with pytest.raises(error):
        run_page(page, tmp_path)


def test_right_snippets_pass(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = tmp_path / "page.md"
    page.write_text(
        "```python\nx = 1\n```\n```python\n>>> x + 1\n2\n>>> y = 5\n```\n"
        "```python\nfrom pathlib import Path\nPath('five.py').write_text(f'print({y}, 2)')\n```\n"
        "```console\n$ make test\n$ python five.py\n5 ...\n```\n```text\n1 / 0\n```\n",
        encoding="utf-8",
    )
    run_page(page, tmp_path)
