"""Serves a page in which wengert runs: Python in WebAssembly, this package, and what it needs.

    npm install --no-save pyodide @viz-js/viz      (once; the Node.js packages)
    python scripts/in_browser/serve.py             (then open the address that it prints)

Everything comes from this machine: Pyodide and Viz.js from `node_modules`, wengert from `src`, and
the packages it needs from the environment that runs this script, as far as they are pure Python.
The page may ask nobody else: its Content-Security-Policy says so.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import subprocess
import zipfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Any, Final

PAGE: Final = Path(__file__).resolve().parent
ROOT: Final = PAGE.parents[1]

NEEDED: Final = ("networkx", "sympy", "mpmath", "graphviz", "tqdm")
"""What `import wengert` and its parts import, with numpy, and is pure Python."""

WITHOUT: Final = (
    "Done without: NumPy, which has no wheel for WebAssembly (a small stand-in does what roll "
    "needs; the numpy target is not here), LLVM (the native target), JAX, torch, scikit-learn and "
    "matplotlib. Pictures are laid out by Viz.js instead of Graphviz."
)

_TYPES: Final = {
    ".css": "text/css",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript",
    ".json": "application/json",
    ".mjs": "text/javascript",
    ".py": "text/x-python",
    ".wasm": "application/wasm",
    ".zip": "application/zip",
}
_POLICY: Final = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src data:; form-action 'none'"
)


def node_package(name: str) -> Path | None:
    """The folder of a package of npm: of this repository, of NODE_PATH, or installed globally."""
    places = [ROOT / "node_modules", *_global_packages()]
    return next((place / name for place in places if (place / name).is_dir()), None)


@cache
def _global_packages() -> tuple[Path, ...]:
    named = [Path(path) for path in os.environ.get("NODE_PATH", "").split(os.pathsep) if path]
    if npm := shutil.which("npm"):
        found = subprocess.run([npm, "root", "-g"], capture_output=True, text=True, check=False)
        named += [Path(found.stdout.strip())] if found.stdout.strip() else []
    return tuple(named)


def served() -> dict[str, Path | bytes]:
    """What each address answers with: files, and the archives of packages, made here."""
    pyodide, viz = node_package("pyodide"), node_package("@viz-js/viz")
    if pyodide is None or viz is None:
        raise SystemExit("no Pyodide here: npm install --no-save pyodide @viz-js/viz")
    answers: dict[str, Path | bytes] = {
        f"/{path.name}": path for path in PAGE.iterdir() if path.suffix in _TYPES
    }
    answers |= {f"/pyodide/{path.name}": path for path in pyodide.iterdir() if path.is_file()}
    answers |= {"/": PAGE / "index.html", "/viz/viz.js": viz / "dist" / "viz.js"}
    packages = {"wengert": _archive(_sources())}
    packages |= {name: _archive(_installed(distribution(name))) for name in NEEDED}
    answers |= {f"/packages/{name}.zip": archive for name, archive in packages.items()}
    listed = {"packages": [f"{name}.zip" for name in packages], "without": WITHOUT}
    return {**answers, "/served.json": json.dumps(listed).encode()}


def _sources() -> Iterable[tuple[str, Path]]:
    """The files of wengert, as it is imported."""
    for path in sorted((ROOT / "src").rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield f"wengert/{path.relative_to(ROOT / 'src').as_posix()}", path


def _installed(package: Distribution) -> Iterable[tuple[str, Path]]:
    """The files of an installed package of pure Python, without its tests."""
    kept = (".py", ".pyi", ".txt", ".json", ".typed", "METADATA")
    for file in sorted(package.files or ()):
        if file.name.endswith((".so", ".pyd")):
            raise SystemExit(f"{package.name} is not pure Python here ({file}); the page is")
        if file.name.endswith(kept) and not {"..", "tests"} & set(file.parts):
            yield file.as_posix(), Path(str(file.locate()))


def _archive(files: Iterable[tuple[str, Path]]) -> bytes:
    """A zip of files, each under its name."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, path in files:
            archive.writestr(name, path.read_bytes())
    return made.getvalue()


def server(port: int = 0) -> ThreadingHTTPServer:
    """A server of the page on this machine's loopback; port 0 is any that is free."""
    return ThreadingHTTPServer(("127.0.0.1", port), _answering(served()))


def _answering(answers: Mapping[str, Path | bytes]) -> type[BaseHTTPRequestHandler]:
    class Answering(BaseHTTPRequestHandler):
        """Answers the addresses it has, and no other."""

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            found = answers.get(path)
            if found is None:
                self.send_error(404)
                return
            content = found if isinstance(found, bytes) else found.read_bytes()
            suffix = Path(path).suffix if path != "/" else ".html"
            self.send_response(200)
            self.send_header("Content-Type", _TYPES.get(suffix, "application/octet-stream"))
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Content-Security-Policy", _POLICY)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *arguments: Any) -> None:
            """Say nothing."""

    return Answering


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve a page in which wengert runs.")
    parser.add_argument("--port", type=int, default=8000, help="default: 8000; 0 is any")
    with server(parser.parse_args().port) as running:
        print(f"http://127.0.0.1:{running.server_port}/ (end with Ctrl-C)", flush=True)
        with suppress(KeyboardInterrupt):
            running.serve_forever()


if __name__ == "__main__":
    main()
