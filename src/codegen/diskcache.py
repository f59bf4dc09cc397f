"""A cache on disk of generated functions, which outlives the process and runs nothing foreign.

An entry is a text file: the source, the program and what else is known about the function, as JSON,
after a code that only who holds the cache's key can make (HMAC-SHA256, RFC 2104). The key is a file
in the directory too, which nobody else can read; the directory has to be the user's own and closed
to everybody else. So what is executed is what a process of this user wrote here. Everything is
opened relative to the directory that was checked, and no symbolic link is followed.

An entry's name is a digest of all that a function is built from: the structure of the graph, the
options, and the versions of Python and of this package, down to the times of its files.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import stat
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Final

from ..errors import SettingError, kind_of, shorten
from ..graph.store import Origin
from ..ops.indexing import Index
from ..ops.table import OPERATIONS
from ..storage import PARTIAL, PathLike, is_left_over
from .build import Built, Recipe, build, structure
from .builttext import built_of, text_of
from .target import Target, find_target

FORMAT: Final = b"wengert function 1\n"
KEY: Final = "key"
KEY_BYTES: Final = 32
_OPEN: Final = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)


class CacheWarning(UserWarning):
    """A file of the cache was not used: it is damaged, or somebody else may have written it."""


def build_cached(recipe: Recipe, directory: PathLike) -> Built:
    """What `build` makes of the recipe: read from the directory if it is there, else written to it.

    The directory is made if it does not exist; one that is not the user's own, or that others may
    read or write, is a `SettingError`. A file in it that is damaged, or that was not written with
    the directory's key, is a `CacheWarning`, and is written anew. What has operations
    that are not from the table, and what is made with rules or a target of one's own, is built and
    not kept.
    """
    with _opened(directory) as place:
        name = _name(recipe)
        if name is None:
            return build(recipe)
        try:
            key = _key(place, directory)
        except OSError as error:
            _warn(directory, KEY, f"could not be written: {error}; nothing is kept")
            return build(recipe)
        found = _read(place, name, key, directory)
        if found is not None:
            return built_of(found, find_target(recipe.options.target).load)
        built = build(recipe)
        body = text_of(built).encode()
        try:
            _write(place, name, FORMAT + _code(key, name, body) + b"\n" + body)
        except OSError as error:
            _warn(directory, name, f"could not be written: {error}")
        return built


def kept_text(directory: PathLike, name: str) -> str | None:
    """What `keep_text` wrote under this name, with the checks of `build_cached`; None if nothing.

    name    a digest of all that the text depends on
    """
    with _opened(directory) as place:
        try:
            key = _key(place, directory)
        except OSError:
            return None
        return _read(place, name, key, directory)


def keep_text(directory: PathLike, name: str, text: str) -> None:
    """Keep a text for later processes; what cannot be written is a `CacheWarning`."""
    with _opened(directory) as place:
        try:
            key, body = _key(place, directory), text.encode()
            _write(place, name, FORMAT + _code(key, name, body) + b"\n" + body)
        except OSError as error:
            _warn(directory, name, f"could not be written: {error}")


@contextmanager
def _opened(directory: PathLike) -> Iterator[int]:
    """A descriptor of the directory, made if need be, once it has been found to be safe."""
    if os.open not in os.supports_dir_fd or not hasattr(os, "geteuid"):
        raise SettingError(
            f"cache_dir={shorten(directory)}: a cache on disk needs the permissions of a POSIX "
            "system, which this one has not; leave it out"
        )
    if not isinstance(directory, (str, os.PathLike)):
        raise SettingError(
            f"cache_dir={shorten(directory)} is {kind_of(directory)}; expected the path of a "
            "directory, as text or as a Path"
        )
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        place = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | _OPEN)
    except (OSError, ValueError) as error:  # a ValueError for a 0 in a name
        raise SettingError(
            f"cache_dir={shorten(os.fspath(directory))} cannot be used: "
            f"{getattr(error, 'strerror', None) or error}; expected a directory of your own, or "
            "one that can be made"
        ) from None
    try:
        status = os.fstat(place)
        if not _is_private(status):
            raise SettingError(
                f"cache_dir={shorten(os.fspath(directory))} belongs to user {status.st_uid} with "
                f"permissions {stat.S_IMODE(status.st_mode):04o}; code is only kept where nobody "
                f"else can look or write: expected user {os.geteuid()} and 0700"
            )
        _sweep(place)
        yield place
    finally:
        os.close(place)


def _is_private(status: os.stat_result) -> bool:
    return status.st_uid == os.geteuid() and not stat.S_IMODE(status.st_mode) & 0o077


def _key(place: int, directory: PathLike) -> bytes:
    """The directory's key, made on first use. A damaged one is replaced: no entry fits it then."""
    for _ in range(2):
        try:
            key = _bytes_of(place, KEY)
            if len(key) == KEY_BYTES:
                return key
            _replace_key(place, directory, f"it has {len(key)} bytes, not {KEY_BYTES}")
        except FileNotFoundError:
            pass
        except (OSError, _ForeignFileError) as error:
            _replace_key(place, directory, str(error))
        partial = _partial(place, os.urandom(KEY_BYTES))
        try:
            _name_if_free(place, partial, KEY)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(partial, dir_fd=place)
    return _bytes_of(place, KEY)


def _name_if_free(place: int, partial: str, name: str) -> None:
    """Give a new file its name, unless there is one already: another process was first."""
    try:
        os.link(partial, name, src_dir_fd=place, dst_dir_fd=place)
    except FileExistsError:
        pass
    except OSError:  # no hard links here
        if name not in os.listdir(place):
            os.replace(partial, name, src_dir_fd=place, dst_dir_fd=place)


def _sweep(place: int) -> None:
    """Take away what processes that were killed while they wrote have left."""
    for name in os.listdir(place):
        with contextlib.suppress(OSError):
            if name.endswith(PARTIAL) and is_left_over(os.stat(name, dir_fd=place)):
                os.unlink(name, dir_fd=place)


def _replace_key(place: int, directory: PathLike, why: str) -> None:
    _warn(directory, KEY, f"is not used: {why}; with a new key, all is built anew")
    os.unlink(KEY, dir_fd=place)


def _read(place: int, name: str, key: bytes, directory: PathLike) -> str | None:
    """The text of an entry; None where there is none, or none that can be trusted."""
    try:
        data = _bytes_of(place, name)
    except FileNotFoundError:
        return None
    except (OSError, _ForeignFileError) as error:
        with contextlib.suppress(OSError):  # an empty directory in its place would stay for ever
            os.rmdir(name, dir_fd=place)
        _warn(directory, name, f"is not used: {error}; the function is built anew")
        return None
    code, _, body = data.removeprefix(FORMAT).partition(b"\n")
    if not data.startswith(FORMAT) or not hmac.compare_digest(code, _code(key, name, body)):
        why = "it was not written here, or it was changed since"
        _warn(directory, name, f"is not used: {why}; the function is built anew")
        return None
    return body.decode()


class _ForeignFileError(Exception):
    """A file that is no plain file, or that others may read or write."""


def _bytes_of(place: int, name: str) -> bytes:
    """What a file of the directory holds, if it is a plain file that is the user's alone."""
    with os.fdopen(os.open(name, os.O_RDONLY | os.O_NONBLOCK | _OPEN, dir_fd=place), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or not _is_private(status):
            raise _ForeignFileError(
                f"it is user {status.st_uid}'s, with mode {stat.filemode(status.st_mode)}"
            )
        return file.read()


def _write(place: int, name: str, data: bytes) -> None:
    """Put a file in the directory, whole or not at all."""
    partial = _partial(place, data)
    try:
        os.replace(partial, name, src_dir_fd=place, dst_dir_fd=place)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(partial, dir_fd=place)
        raise


def _partial(place: int, data: bytes) -> str:
    """A new file of the directory, its name yet to be given."""
    partial = f".{os.urandom(8).hex()}{PARTIAL}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _OPEN
    descriptor = os.open(partial, flags, 0o600, dir_fd=place)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(partial, dir_fd=place)
        raise
    return partial


def _code(key: bytes, name: str, body: bytes) -> bytes:
    """What proves that the holder of the key wrote this body under this name."""
    return hmac.new(key, name.encode() + b"\n" + body, hashlib.sha256).hexdigest().encode()


def _warn(directory: PathLike, name: str, what: str) -> None:
    path = shorten(os.path.join(directory, name), 200)
    warnings.warn(f"{path} {what}", CacheWarning, stacklevel=2)


def _name(recipe: Recipe) -> str | None:
    """The digest of all that the function depends on; None where it cannot be told in words."""
    graph = recipe.graph
    known = structure(graph, recipe.outputs, recipe.signatures, limit=None, arrays=True)
    rules = recipe.options.rules
    if isinstance(recipe.options.target, Target) or (rules is not None and rules.own):
        return None
    if known is None or any(
        op.arity and OPERATIONS.get(op.name) is not op for op in set(graph.ops)
    ):
        return None
    statics = [(node, _static_text(static)) for node, static in graph.statics.items()]
    if any(text is None for _, text in statics):
        return None
    ops, operands, origins, _, *others = known
    rest = (
        [op.name for op in ops],
        operands,
        statics,
        _told(origins),
        others,
        [(s.name, s.leaves, s.scalar, s.batched, s.shapes) for s in recipe.signatures],
        recipe.stacked,
        tuple(recipe.options),
        release(),
        find_target(recipe.options.target).machine(),
    )
    return hashlib.sha256(repr(rest).encode()).hexdigest()


def _static_text(static: object) -> str | None:
    """A text that says all of a static argument; None where there is none."""
    if isinstance(static, tuple):
        texts = [_static_text(part) for part in static]
        return None if None in texts else f"({', '.join(map(str, texts))})"
    if isinstance(static, Index):
        return f"Index({static.shape}, {static.array.tobytes().hex()})"
    plain = static is None or type(static) in (bool, int, float, str)
    return repr(static) if plain else None


def _told(origins: Sequence[Origin | None]) -> list[tuple[object, ...] | None]:
    return [
        None if o is None else (o.transform, o.primal, o.role, o.rule, o.operand) for o in origins
    ]


@lru_cache(maxsize=1)
def release() -> str:
    """Which Python this is, and which text of this package."""
    package = Path(__file__).resolve().parents[1]
    files = sorted(package.rglob("*.py"))
    states = [(file.relative_to(package).as_posix(), file.stat()) for file in files]
    times = [(name, state.st_size, state.st_mtime_ns) for name, state in states]
    return repr((sys.implementation.cache_tag, sys.version_info[:3], times))
