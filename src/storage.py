"""Files written whole or not at all, JSON files that say what they are, pickles that are whole."""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import stat
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from .errors import SaveFileError, SettingError, UnknownNameError, WengertError, kind_of, shorten

T = TypeVar("T")

PathLike = str | os.PathLike[str]

PARTIAL: Final = ".partial"
"""What the names of files end in that are being written."""

_STALE: Final = 3600.0
"""After so many seconds nobody writes to such a file any more: a process was killed."""


def path_text(path: PathLike) -> str:
    """A path as text; a `SettingError` for what is none, or holds what no path can.

    >>> path_text(Path("a", "b.json")), path_text(b"c.json")
    ('a/b.json', 'c.json')
    """
    try:
        text = os.fsdecode(path)
    except TypeError:
        raise SettingError(
            f"the path of a file is {shorten(path)}, {kind_of(path)}; expected text or a Path"
        ) from None
    if "\0" in text:
        raise SettingError(f"the path of a file is {shorten(text)}; no path has a character 0")
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        raise SettingError(
            f"the path of a file is {shorten(text)}; it has half of a character, which no path has"
        ) from None
    return text


def format_of(path: PathLike, what: str, known: Iterable[str]) -> str:
    """The ending of a path, in small letters: one that is `known` for `what`, or none at all.

    >>> format_of("model.PY", "model", [".py", ".c"]), format_of("model", "model", [".py", ".c"])
    ('.py', '')
    >>> format_of("model.js", "model", [".py", ".c"])
    Traceback (most recent call last):
        ...
    wengert.errors.UnknownNameError: unknown format of a model '.js'; known: .c, .py
    """
    ending = Path(path_text(path)).suffix
    if ending and ending.lower() not in known:
        listed = ", ".join(sorted(known))
        raise UnknownNameError(f"unknown format of a {what} {shorten(ending)}; known: {listed}")
    return ending.lower()


def write_document(
    path: PathLike, kind: str, version: int, body: Mapping[str, Any], what: str
) -> None:
    """Write `body` as a JSON object that starts with its format name and schema version.

    `what` names the thing in errors: a `SaveFileError` when a number is not finite, with nothing
    written.
    """
    try:
        text = json.dumps({"format": kind, "version": version, **body}, allow_nan=False)
    except ValueError:
        raise SaveFileError(
            f"cannot save {what} to {os.fspath(path)!r}: it holds a number that is nan or infinite"
            "; nothing was written"
        ) from None
    write_text(path, text + "\n")


def write_text(path: PathLike, text: str) -> Path:
    """Write `text` to `path` in UTF-8, whole or not at all; answer the path. See `write_bytes`."""
    return write_bytes(path, text.encode("utf-8"))


def write_bytes(path: PathLike, data: bytes) -> Path:
    """Write `data` to `path`, whole or not at all; answer the path.

    The data goes to a new file beside `path`, which then takes its place, and its permissions, in
    one step: whoever reads `path` sees the old file or the new one. What is no file, such as a pipe
    or /dev/stdout, is written to as it is. What cannot be written is the `OSError` of Python's
    `open`, which names `path`; what is no path is a `SettingError`.
    """
    path = path_text(path)
    _check_place(path)
    if os.path.exists(path) and not os.path.isfile(path):
        with open(path, "wb") as stream:
            stream.write(data)
        return Path(path)
    target = Path(os.path.realpath(path))
    stem = f".{target.name[:40]}."
    partial = target.with_name(f"{stem}{os.urandom(4).hex()}{PARTIAL}")
    try:
        with open(partial, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileNotFoundError):
            partial.chmod(stat.S_IMODE(target.stat().st_mode))
        os.replace(partial, target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        if isinstance(error, OSError) and error.errno is not None:
            raise _os_error(error.errno, path) from None
        raise
    _sweep(target.parent, stem)
    return Path(path)


def is_left_over(status: os.stat_result) -> bool:
    """Whether a file that was being written has been given up."""
    return time.time() - status.st_mtime > _STALE


def _sweep(folder: Path, stem: str) -> None:
    """Take away what processes that were killed while they wrote this file have left beside it."""
    with contextlib.suppress(OSError):
        for entry in os.scandir(folder):
            name = entry.name
            named = name.startswith(stem) and len(name) == len(stem) + 8 + len(PARTIAL)
            if named and name.endswith(PARTIAL) and is_left_over(entry.stat(follow_symlinks=False)):
                os.unlink(entry.path)


def _check_place(path: str) -> None:
    """Raise as `open` does for a path that is empty or a directory: those have no file beside."""
    if not path:
        raise _os_error(errno.ENOENT, path)
    if os.path.isdir(path):
        raise _os_error(errno.EISDIR, path)


def _os_error(number: int, path: str) -> OSError:
    """The `OSError`, of the class Python has for this number, about `path`, and what to do."""
    folder = shorten(os.path.dirname(path) or os.curdir)
    advice = {
        errno.ENOENT: f"make the folder {folder} first" if path else "give the file a name",
        errno.EISDIR: "give the path of a file in it",
        errno.ENOTDIR: f"part of {folder} is a file",
        errno.EACCES: f"writing takes permission to make files in {folder}",
    }.get(number)
    said = os.strerror(number)
    return OSError(number, f"{said}; {advice}" if advice else said, path)


def read_document(path: PathLike, kind: str, version: int, what: str) -> dict[str, Any]:
    """The JSON object of `path`, which must be of format `kind` and schema `version`.

    A file that is truncated, not JSON, of another format or of another version is a `SaveFileError`
    that names `path` and what is wrong; a file that cannot be opened is the `OSError` Python gives.
    """
    with open(path_text(path), "rb") as file:
        raw = file.read()
    try:
        document = json.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise invalid(path, what, f"it is truncated or not JSON ({error})") from None
    if not isinstance(document, dict) or document.get("format") != kind:
        found = document.get("format") if isinstance(document, dict) else document
        raise invalid(path, what, f'its "format" is not {kind!r} but {shorten(found)}')
    found = document.get("version")
    if type(found) is not int or found != version:
        raise invalid(
            path, what, f"its schema version is {shorten(found)}, and this release reads {version}"
        )
    return document


def invalid(path: PathLike, what: str, problem: str) -> SaveFileError:
    """The error for a file which does not hold `what`, naming the file and the problem."""
    return SaveFileError(f"{os.fspath(path)!r} is not a saved {what}: {problem}")


def is_finite_number(thing: Any) -> bool:
    """Whether `thing` is an int or a float, neither a truth value nor nan nor infinite.

    >>> is_finite_number(0.5), is_finite_number(True), is_finite_number(float("nan"))
    (True, False, False)
    """
    try:
        return type(thing) in (int, float) and math.isfinite(thing)
    except OverflowError:
        return False


_KINDS: Final[Mapping[str, type | tuple[type, ...]]] = {
    **{kind.__name__: kind for kind in (bool, dict, int, list, str, tuple)},
    "float": (float, int),
    "None": type(None),
}
"""The types of fields that are looked at in a pickle, by how a class writes them."""


def from_pickle(what: str, make: Callable[..., T], *parts: Any) -> T:
    """`make(*parts)`, which a pickle says; a `SaveFileError` where it cannot be made of them.

    >>> from_pickle("a number", float, "x")
    Traceback (most recent call last):
        ...
    wengert.errors.SaveFileError: a number in this pickle is damaged, or of another version: \
could not convert string to float: 'x'
    """
    try:
        return make(*parts)
    except (WengertError, MemoryError, RecursionError):
        raise
    except Exception as error:
        raise damaged(what, str(error)) from error


def damaged(what: str, why: str) -> SaveFileError:
    """The error for what is in a pickle and is not as it was written."""
    return SaveFileError(f"{what} in this pickle is damaged, or of another version: {why}")


def restore(thing: Any, state: Any) -> None:
    """A `__setstate__` that refuses a state in which something is missing or of another type.

    What has to be there are the fields of a dataclass, or what the class lists as `_kept`. The
    records that the state holds, at any depth in tuples, lists and dicts, are looked at as well:
    they need no method for this.
    """
    if not isinstance(state, dict):
        raise damaged(kind_of(thing), f"its attributes are {shorten(state)}; expected a dict")
    vars(thing).update(state)
    seen = set()
    stack = [thing]
    while stack:
        found = stack.pop()
        if id(found) not in seen:
            seen.add(id(found))
            if isinstance(found, (tuple, list)):
                stack += found
            elif isinstance(found, dict):
                stack += found.values()
            elif not isinstance(found, type):
                stack += _attributes_of(found)
    if hasattr(thing, "__post_init__"):
        from_pickle(kind_of(thing), thing.__post_init__)


def _attributes_of(thing: Any) -> list[Any]:
    """What a record or one of `_kept` holds; a `SaveFileError` where that is not as it says."""
    own = getattr(thing, "__dict__", None)
    kept: Mapping[str, Any] = dict.fromkeys(getattr(type(thing), "_kept", ()))
    if not kept and is_dataclass(thing):
        kept = {field.name: field.type for field in fields(thing)}
    for name, written in kept.items():
        if not hasattr(thing, name) if own is None else name not in own:
            raise damaged(kind_of(thing), f"it has no {name}")
        alternatives = written.split(" | ") if isinstance(written, str) else [""]
        kinds = [_KINDS.get(kind.partition("[")[0]) for kind in alternatives]
        if None not in kinds and not isinstance(getattr(thing, name), tuple(kinds)):  # type: ignore[arg-type]
            raise damaged(kind_of(thing), f"its {name} is {shorten(getattr(thing, name))}")
    return [getattr(thing, name) for name in kept]
