"""Rendering pictures, with Graphviz's `dot` or without it.

A picture is a `graphviz.Digraph`. It is rendered by `dot` where that is installed, and otherwise
by the program of the PyPI package graphviz-pure, which reads the same language.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..errors import UnknownNameError
from ..storage import path_text, write_bytes, write_text

if TYPE_CHECKING:
    import graphviz

RANKDIRS: Final = ("LR", "TB", "RL", "BT")
"""The directions a picture can run in: left to right, top to bottom, and their reverses."""

PURE_FORMATS: Final = (
    "canon", "dot", "dot_json", "gv", "jpe", "jpeg", "jpg", "json", "json0", "plain", "plain-ext",
    "png", "svg", "xdot", "xdot1.2", "xdot1.4", "xdot_json",
)  # fmt: skip
"""What graphviz-pure can write, where there is no `dot`."""


def new_picture(format: str, rankdir: str) -> graphviz.Digraph:
    """An empty picture, to be rendered to `format`, that runs in the direction `rankdir`.

    A setting that does not exist is a `ValueError` that lists those that do; of the formats, those
    that can be written here.

    >>> new_picture("svg", "LR").pipe(encoding="utf-8")[:5]
    '<?xml'
    """
    import graphviz

    if rankdir not in RANKDIRS:
        raise UnknownNameError.of("rankdir", rankdir, RANKDIRS)
    if str(format).lower() not in graphviz.FORMATS:
        here = graphviz.FORMATS if shutil.which("dot") else PURE_FORMATS
        raise UnknownNameError.of("format", format, here)
    return _picture_class()(
        format=format,
        graph_attr={"rankdir": rankdir},
        node_attr={"fontname": "Helvetica", "fontsize": "12"},
        edge_attr={"fontname": "Helvetica", "fontsize": "9"},
    )


def inline_svg(picture: Any) -> str:
    """A picture as SVG for the middle of a page: as wide as the page, or half its own size.

    Boxes are as wide as Helvetica needs; in place of it a browser may have a wider font.
    """
    text: str = picture.pipe(format="svg", encoding="utf-8")
    text = text[text.index("<svg") :]
    width = _WIDTH.search(text)
    half = f"{float(width[1]) / 2:g}pt" if width else "100%"
    fits = f" max-width: max(100%, {half}); height: auto;"
    return text.replace("<svg", f'<svg style="font-size-adjust: ch-width 0.556;{fits}"', 1)


def svg_bundle(svg: str) -> dict[str, str]:
    """A picture for notebooks: as HTML too, since some cut an SVG that is wider than the page."""
    return {"image/svg+xml": svg, "text/html": svg}


_WIDTH: Final = re.compile(r'<svg[^>]*\bwidth="([\d.]+)pt"')


@functools.cache
def _picture_class() -> Any:
    """`graphviz.Digraph`, rendering through graphviz-pure wherever there is no `dot`.

    graphviz looks up its `render` and `pipe_lines` functions on the object, which is where
    these stand in for them, with the same signatures.
    """
    import graphviz

    class Picture(graphviz.Digraph):  # type: ignore[misc, unused-ignore]
        """A `graphviz.Digraph` without need of Graphviz, whose files are whole or not there."""

        def __repr__(self) -> str:
            return f"<picture of {sum(' -> ' in line for line in self.body):,} edges>"

        def _repr_mimebundle_(
            self, include: Any = None, exclude: Any = None, **_: Any
        ) -> dict[str, str]:
            """What a notebook shows; why there is no picture, where there is none."""
            try:
                return svg_bundle(inline_svg(self))
            except graphviz.ExecutableNotFound as missing:
                return {"text/plain": str(missing)}

        def save(self, filename: Any = None, directory: Any = None, **options: Any) -> str:
            """As `graphviz.Digraph.save`: write the DOT source, and answer the path."""
            if filename is not None:
                self.filename = path_text(filename)
            if directory is not None:
                self.directory = path_text(directory)
            if options.pop("skip_existing", False) and os.path.exists(self.filepath):
                return str(self.filepath)
            Path(self.filepath).parent.mkdir(parents=True, exist_ok=True)
            write_text(self.filepath, "".join(self))
            return str(self.filepath)

        @property
        def _pipe_lines(self) -> Any:
            return super()._pipe_lines if shutil.which("dot") else _pipe_lines

        @property
        def _pipe_lines_string(self) -> Any:
            return super()._pipe_lines_string if shutil.which("dot") else _pipe_lines_string

        @property
        def _render(self) -> Any:
            return _render

    return Picture


def _pipe_lines(
    engine: str, format: str, lines: Iterable[str], *, input_encoding: str, **options: Any
) -> bytes:
    """As `graphviz.pipe_lines`: the picture that the DOT source in `lines` describes."""
    return _layout(engine, format, "".join(lines).encode(input_encoding), **options)


def _pipe_lines_string(
    engine: str, format: str, lines: Iterable[str], *, encoding: str, **options: Any
) -> str:
    """As `graphviz.pipe_lines_string`: the picture as text."""
    return _layout(engine, format, "".join(lines).encode(encoding), **options).decode(encoding)


def _render(
    engine: str,
    format: str,
    filepath: Any,
    *,
    outfile: Any = None,
    raise_if_result_exists: bool = False,
    overwrite_filepath: bool = False,
    **options: Any,
) -> str:
    """As `graphviz.render`: lay out a file of DOT source, and the path of the picture written."""
    source = Path(filepath)
    target = Path(f"{source}.{format}") if outfile is None else Path(outfile)
    if raise_if_result_exists and target.exists():
        raise FileExistsError(f"output file exists: {str(target)!r}")
    if not overwrite_filepath and target.resolve() == source.resolve():
        raise ValueError(f"the picture {str(target)!r} would replace its own source")
    write_bytes(target, _picture(engine, format, source.read_bytes(), **options))
    return str(target)


def _picture(engine: str, format: str, source: bytes, **options: Any) -> bytes:
    """The picture that DOT source describes, by `dot` if there is one."""
    if not shutil.which("dot"):
        return _layout(engine, format, source, **options)
    import graphviz

    made: bytes = graphviz.pipe(engine, format, source, **options)
    return made


def _layout(engine: str, format: str, source: bytes, quiet: bool = False, **_: Any) -> bytes:
    """Run graphviz-pure on DOT source; its picture."""
    import graphviz

    program = _graphviz_pure()
    if program is None:
        missing = graphviz.ExecutableNotFound(["dot"])
        missing.args = (
            "pictures need Graphviz: install its `dot` and have it on PATH, "
            "or `pip install graphviz-pure`",
        )
        raise missing
    command = [program, f"-K{engine}", f"-T{format}"]
    done = subprocess.run(command, input=source, capture_output=True, check=False)
    if done.returncode:
        raise graphviz.CalledProcessError(done.returncode, command, done.stdout, done.stderr)
    # It estimates the width of non-ASCII characters, and says so once for every byte of them.
    notes = [
        line
        for line in done.stderr.decode("utf-8", "replace").splitlines()
        if "width of non-ASCII character" not in line
    ]
    if notes and not quiet:
        sys.stderr.write("\n".join(notes) + "\n")
    return done.stdout


def _graphviz_pure() -> str | None:
    """The program of the package graphviz-pure: of this environment, or else on PATH."""
    beside = shutil.which("graphviz-pure", path=str(Path(sys.executable).parent))
    return beside or _installed_program() or shutil.which("graphviz-pure")


def _installed_program() -> str | None:
    """Where the package's own list of files says that its program is."""
    from importlib.metadata import PackageNotFoundError, files

    try:
        listed = files("graphviz-pure")
    except PackageNotFoundError:
        return None
    paths = [Path(str(f.locate())) for f in listed or [] if f.stem == "graphviz-pure"]
    return next((str(path) for path in paths if path.is_file()), None)
