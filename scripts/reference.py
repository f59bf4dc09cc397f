"""Pages of the documentation's site that are written from the code: the reference.

A hook of mkdocs. Docstrings are shown as they are, since they are laid out in columns; their
examples, which run as tests, as Python.
"""

import inspect
import re
from pathlib import Path

import wengert as wg

ROOT = Path(__file__).resolve().parents[1]

TOPICS = {
    "Numbers and graphs": (
        "Value Graph Expr Origin evaluate draw_dot to_json from_json to_networkx from_networkx "
        "parse unroll"
    ),
    "Derivatives": "grad adjoints jvp jacobian hessian hvp stable_form simplify Rule stop_gradient",
    "Formulas": "to_sympy from_sympy latex text mathml Notation ranges",
    "Proof": "verify Verification check_roll",
    "Code": (
        "compile Compiled roll Rolled targets Target Source function Function table Table take pick"
    ),
    "Networks and training": (
        "MLP Layer Neuron Dense Module load fit History training_step LOSSES squared_error "
        "binary_cross_entropy cross_entropy soft_cross_entropy hinge Optimizer SGD Momentum Adam "
        "AdamW Clipped Decayed zero_grad"
    ),
    "Teaching": "explain Walkthrough",
    "Operations": "Op OPERATIONS",
}
"""Headings, and what stands below them as far as there is it; functions of numbers and errors
follow by themselves."""


def on_files(files, config):
    """Add the pages that are no files."""
    from mkdocs.structure.files import File

    pages = {"reference.md": reference(), "contributing.md": contributing()}
    for name, text in pages.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown, page, config, files):
    """Show the empty lines of examples, for which doctest has a word, as empty lines."""
    return markdown.replace("<BLANKLINE>", "")


def reference() -> str:
    """Every public name, by topic, with its docstring."""
    parts = ["# Reference", "", "Everything that `import wengert as wg` offers.", ""]
    for topic, names in topics().items():
        parts += [f"## {topic}", ""]
        for name in names:
            parts += entry(name)
    return "\n".join(parts)


def topics() -> dict[str, list[str]]:
    """Public names by topic."""
    public = [name for name in wg.__all__ if not name.startswith("_")]
    found = {topic: [n for n in names.split() if n in public] for topic, names in TOPICS.items()}
    known = {name for names in found.values() for name in names}
    rest = [name for name in public if name not in known]
    errors = [name for name in rest if name.endswith(("Error", "Warning"))]
    functions = [name for name in rest if of_numbers(getattr(wg, name))]
    found["Functions of numbers"] = functions
    found["Errors"] = errors
    others = [name for name in rest if name not in {*errors, *functions}]
    if others:
        found["Modules"] = others
    return {topic: names for topic, names in found.items() if names}


def of_numbers(thing) -> bool:
    """Whether it is an operation of the table, or made of some."""
    return isinstance(thing, wg.Op) or getattr(thing, "__module__", "").startswith("wengert.ops.")


def entry(name: str) -> list[str]:
    """A heading and a docstring, and those of a class's own public methods."""
    thing = getattr(wg, name)
    lines = [f"### {name}", ""]
    if isinstance(thing, wg.Op):
        return [*lines, f"`{thing.name}`: {thing.sentence or inspect.getdoc(thing) or ''}", ""]
    if isinstance(thing, dict):
        return [*lines, "A table: " + ", ".join(f"`{key}`" for key in thing) + ".", ""]
    lines += [*signature(name, thing), *docstring(thing)]
    if inspect.isclass(thing) and not issubclass(thing, Exception):
        for method, function in vars(thing).items():
            inside = getattr(function, "__func__", function)
            if method.startswith("_") or not getattr(inside, "__doc__", "") or is_plain(inside):
                continue
            lines += [f"#### {name}.{method}", "", *signature(method, inside), *docstring(inside)]
    return lines


def is_plain(thing) -> bool:
    """Whether it is data, whose docstring is that of its class."""
    return getattr(type(thing), "__doc__", None) == thing.__doc__


def signature(name: str, thing) -> list[str]:
    """How it is called, as Python; an argument a line where they are many."""
    try:
        found = inspect.signature(thing)
    except (TypeError, ValueError):
        return []
    if not callable(thing):
        return []
    text = plain(f"{name}{found}")
    if len(text) > WIDTH:
        parts = plain(str(found)).removeprefix("(").rpartition(")")
        answer = parts[2]
        text = "\n".join(
            [f"{name}(", *[f"    {one}," for one in arguments(parts[0])], f"){answer}"]
        )
    return ["```python", text, "```", ""]


WIDTH = 88
"""A longer signature is broken."""


def plain(text: str) -> str:
    """A signature without quotes around annotations, and without addresses."""
    text = re.sub(r" at 0x[0-9a-f]+", "", text)
    return re.sub(r"(: |-> )'([^']*)'", r"\1\2", text)


def arguments(text: str) -> list[str]:
    """The arguments of a signature, divided at the commas that stand in no brackets."""
    found, depth = [""], 0
    for letter in text:
        depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and not depth:
            found.append("")
        else:
            found[-1] += letter
    return [one.strip() for one in found if one.strip()]


def docstring(thing) -> list[str]:
    """A docstring: examples as Python, columns as they are, the rest as text."""
    lines: list[str] = []
    for is_example, block in blocks(inspect.getdoc(thing) or ""):
        if is_example:
            lines += ["```python", block.strip("\n"), "```", ""]
            continue
        for paragraph in re.split(r"\n\s*\n", block.strip("\n")):
            if re.search(r"^ |\S {2,}\S|\n ", paragraph):
                lines += ["```text", paragraph, "```", ""]
            else:
                lines += [escaped(paragraph), ""]
    return lines


def escaped(text: str) -> str:
    """Text in which nothing but what stands in backticks is marked up."""
    pieces = re.split(r"(`[^`]*`)", text)
    return "".join(
        piece if piece.startswith("`") else re.sub(r"([*_<#\[\]|])", r"\\\1", piece)
        for piece in pieces
    )


def blocks(text: str) -> list[tuple[bool, str]]:
    """A docstring in pieces: whether each is an example, and its text."""
    found: list[tuple[bool, list[str]]] = []
    example = False
    for line in text.splitlines():
        if line.lstrip().startswith(">>>"):
            example = True
        elif not line.strip():
            example = False
        if line.strip() and (not found or found[-1][0] != example):
            found.append((example, []))
        if found:
            found[-1][1].append(line)
    return [(kind, "\n".join(lines)) for kind, lines in found]


def contributing() -> str:
    """CONTRIBUTING.md with its links as they are from a page of the site."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return re.sub(r"\]\(docs/", "](", text)
