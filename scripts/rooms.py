"""The rooms of the package and which of them each imports, drawn from the code: docs/rooms.svg.

    python scripts/rooms.py           writes the picture
    python scripts/rooms.py --check   says whether it is what the code says, by its exit code

A row is a room, with what its `__init__` says of it; a dot says that it imports the room of that
column. Rooms stand in the order in which they may import each other, so that all dots are below the
diagonal: an arrow that ran up, or a circle, would stand above it.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SRC = ROOT / "src"
PICTURE = ROOT / "docs" / "rooms.svg"

# Imports run down this list only; those of one entry do not import each other.
ROOMS = (
    ("errors",),
    ("storage", "terminal"),
    ("ops",),
    ("graph",),
    ("notation",),
    ("simplify",),
    ("derive",),
    ("arrays",),
    ("proof",),
    ("draw",),
    ("codegen",),
    ("verify",),
    ("train",),
    ("trace",),
    ("explain",),
    ("demo", "estimators", "notebook", "testing"),
    ("cli",),
    ("__main__",),
)

_ROW, _LEFT, _NAME, _CELL, _TOP = 24, 12, 90, 22, 84


def modules(src: Path) -> dict[str, Path]:
    """Every module under `src` by its dotted name, packages as themselves; `src` itself is ""."""
    found = {}
    for path in sorted(src.rglob("*.py")):
        parts = path.relative_to(src).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(src: Path) -> Iterator[tuple[str, str, int]]:
    """Every import of one module of the package by another: importer, imported, line."""
    found = modules(src)
    for name, path in found.items():
        package = path.relative_to(src).parts[:-1]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level:
                base = package[: len(package) - node.level + 1]
                base += tuple(node.module.split(".")) if node.module else ()
                for alias in node.names:
                    whole = ".".join((*base, alias.name))
                    yield name, whole if whole in found else ".".join(base), node.lineno


def room_of(module: str) -> str:
    """The room that a module stands in.

    >>> room_of("codegen.scalar.python"), room_of("errors")
    ('codegen', 'errors')
    """
    return module.partition(".")[0]


def purpose(src: Path, room: str) -> str:
    """What a room says of itself: the first sentence of its docstring."""
    path = src / room / "__init__.py"
    path = path if path.exists() else src / f"{room}.py"
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return text.partition("\n")[0].rstrip(".").replace("`", "")


def picture(src: Path) -> str:
    """The picture as SVG, the same in every process."""
    rooms = [room for level in ROOMS for room in level]
    arrows = {(room_of(a), room_of(b)) for a, b, _ in imports(src) if a and b}
    wordy = {room: purpose(src, room) for room in rooms}
    matrix = _LEFT + _NAME + 6.3 * max(map(len, wordy.values())) + 16
    width = matrix + _CELL * len(rooms) + 12
    height = _TOP + _ROW * len(rooms) + 12
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" '
        f'width="{width:.0f}" height="{height}" role="img" '
        'font-family="system-ui, sans-serif" font-size="12">',
        "<title>The rooms of the package: a dot says that the room of a row imports the room of "
        "a column</title>",
        f'<rect width="{width:.0f}" height="{height}" fill="#ffffff"/>',
    ]
    for i, column in enumerate(rooms):
        x, y = matrix + _CELL * (i + 0.5), _TOP - 8
        lines.append(
            f'<text x="{x:.0f}" y="{y}" fill="#57606a" transform="rotate(-60 {x:.0f} {y})">'
            f"{escape(column)}</text>"
        )
    for i, room in enumerate(rooms):
        y = _TOP + _ROW * i
        if i % 2 == 0:
            lines.append(
                f'<rect x="4" y="{y}" width="{width - 8:.0f}" height="{_ROW}" fill="#f3f5f7"/>'
            )
        lines += [
            f'<text x="{_LEFT}" y="{y + 16}" font-weight="600" fill="#1f2328">'
            f"{escape(room)}</text>",
            f'<text x="{_LEFT + _NAME}" y="{y + 16}" fill="#57606a">{escape(wordy[room])}</text>',
        ]
        for j, column in enumerate(rooms):
            middle = f'cx="{matrix + _CELL * (j + 0.5):.0f}" cy="{y + _ROW / 2:.0f}"'
            if room == column:
                lines.append(f'<circle {middle} r="2" fill="#c5ccd3"/>')
            elif (room, column) in arrows:
                colour = "#0969da" if j < i else "#d1242f"
                lines.append(
                    f'<circle {middle} r="5" fill="{colour}">'
                    f"<title>{escape(room)} imports {escape(column)}</title></circle>"
                )
    return "\n".join([*lines, "</svg>", ""])


def main(arguments: list[str]) -> int:
    """Write the picture, or with `--check` answer 1 where it is not what the code says."""
    drawn = picture(SRC)
    if "--check" in arguments:
        return int(not PICTURE.exists() or PICTURE.read_text(encoding="utf-8") != drawn)
    PICTURE.write_text(drawn, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
