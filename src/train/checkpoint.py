"""Checkpoints: a training run on disk, from which an interrupted one goes on."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Final

from ..errors import MissingExtraError, SaveFileError, SettingError, shorten
from ..storage import (
    PathLike,
    invalid,
    is_finite_number,
    read_document,
    write_bytes,
    write_document,
)
from .step import Sample

FORMAT: Final = "wengert.checkpoint"
VERSION: Final = 1
_WHAT: Final = "checkpoint"
_VECTORS: Final = ("params", "state", "loss", "validation_loss")
_BEST: Final = ("best_params", "best_state")
_TEXTS: Final = ("network", "optimizer")
_SAFETENSORS: Final = ".safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """A run after its last whole epoch.

    params, state           the network's numbers, and the optimizer's
    loss, validation_loss   of every epoch so far
    metrics                 likewise, by name
    network                 in words that tell it from others
    optimizer               how the optimizer is written
    order                   the state of the generator that shuffles; None where nothing is
    best_epoch              where patience is asked for, the epoch with the smallest validation
                            loss, from 1, and the numbers it left; 0 where it is not
    """

    params: list[float]
    state: list[float]
    loss: list[float]
    validation_loss: list[float]
    metrics: dict[str, list[float]]
    network: str
    optimizer: str
    order: Any
    best_epoch: int = 0
    best_params: list[float] = field(default_factory=list)
    best_state: list[float] = field(default_factory=list)


def save_checkpoint(path: PathLike, checkpoint: Checkpoint) -> None:
    """Write a checkpoint, whole or not at all.

    A file that ends in `.safetensors` is of that format (Hugging Face's safetensors, which other
    tools read), any other JSON. Both keep every number exactly.
    """
    if not _is_safetensors(path):
        write_document(path, FORMAT, VERSION, vars(checkpoint), _WHAT)
        return
    import numpy

    save = _safetensors().numpy.save
    rest = {"format": FORMAT, "version": VERSION, "metrics": checkpoint.metrics}
    rest |= {name: getattr(checkpoint, name) for name in (*_TEXTS, "order", "best_epoch")}
    named = {name: getattr(checkpoint, name) for name in (*_VECTORS, *_BEST)}
    vectors = {name: numpy.array(numbers, numpy.float64) for name, numbers in named.items()}
    write_bytes(path, save(vectors, metadata={"wengert": json.dumps(rest)}))


def load_checkpoint(path: PathLike) -> Checkpoint:
    """The checkpoint of a file; a `SaveFileError` says what is wrong with what is none."""
    document = _read_safetensors(path) if _is_safetensors(path) else None
    if document is None:
        document = read_document(path, FORMAT, VERSION, _WHAT)
    document = {"best_epoch": 0, **{name: [] for name in _BEST}, **document}
    for name in (*_VECTORS, *_BEST):
        _check_numbers(path, document.get(name), name)
    metrics = document.get("metrics")
    if not isinstance(metrics, dict):
        raise invalid(path, _WHAT, f'its "metrics" are {shorten(metrics)}, not an object')
    for name, numbers in metrics.items():
        _check_numbers(path, numbers, f"metrics {name}")
    for name in _TEXTS:
        if not isinstance(document.get(name), str):
            raise invalid(path, _WHAT, f'its "{name}" is {shorten(document.get(name))}')
    epoch, epochs = document["best_epoch"], len(document["validation_loss"])
    if type(epoch) is not int or not 0 <= epoch <= epochs:
        raise invalid(path, _WHAT, f'its "best_epoch" is {shorten(epoch)}, of {epochs:,} epochs')
    fields = {
        name: document[name] for name in (*_VECTORS, *_BEST, *_TEXTS, "best_epoch", "metrics")
    }
    return Checkpoint(**fields, order=_order(path, document.get("order")))


def check_fits(path: PathLike, found: Checkpoint, sample: Sample, optimizer: Any) -> None:
    """A `SaveFileError` unless a checkpoint is of a network and an optimizer like these."""
    network, parameters = sample.network(), len(sample.parameters)
    if found.network != network:
        raise SaveFileError(
            f"{os.fspath(path)!r} is the checkpoint of a network of {found.network}, and this one "
            f"has {network}; give another file, or that network"
        )
    if len(found.params) != parameters:
        raise invalid(path, _WHAT, f'its "params" are {len(found.params):,} numbers')
    if found.optimizer != text_of(optimizer):
        raise SaveFileError(
            f"{os.fspath(path)!r} is the checkpoint of a run with {found.optimizer}, and the "
            f"optimizer is {text_of(optimizer)}; give another file, or that optimizer"
        )
    if len(found.state) != len(optimizer.state(parameters)):
        raise invalid(path, _WHAT, f"it has {len(found.state)} numbers of {found.optimizer}")
    best = len(found.best_params), len(found.best_state)
    if found.best_epoch and best != (parameters, len(found.state)):
        raise invalid(path, _WHAT, f"its best epoch has {best[0]:,} and {best[1]:,} numbers")


def text_of(optimizer: Any) -> str:
    """How an optimizer is written, the same in every process; a schedule of one's own by its name.

    >>> from wengert.train.optim import SGD
    >>> def slower(step): return 0.1 / (1 + step)
    >>> text_of(SGD(slower))
    'SGD(lr=slower)'
    """
    if not is_dataclass(optimizer) or isinstance(optimizer, type):
        return getattr(optimizer, "__qualname__", repr(optimizer))
    settings = [f"{f.name}={text_of(getattr(optimizer, f.name))}" for f in fields(optimizer)]
    return f"{type(optimizer).__name__}({', '.join(settings)})"


def check_path(path: Any) -> None:
    """A `SettingError` for what is no path, before anything is trained."""
    if not isinstance(path, (str, os.PathLike)):
        raise SettingError(
            f"checkpoint is {shorten(path)}; expected the path of a file, such as 'run.json' or "
            "'run.safetensors'"
        )
    if _is_safetensors(path):
        _safetensors()


def _is_safetensors(path: PathLike) -> bool:
    return os.fspath(path).endswith(_SAFETENSORS)


def _safetensors() -> Any:
    try:
        import safetensors.numpy
    except ImportError:
        raise MissingExtraError(
            "checkpoints in files that end in .safetensors need the package safetensors: "
            "pip install 'wengert[checkpoints]'; one that ends in .json needs nothing"
        ) from None
    return safetensors


def _read_safetensors(path: PathLike) -> dict[str, Any]:
    import numpy

    package = _safetensors()
    try:
        with package.safe_open(os.fspath(path), "np") as file:
            document = json.loads((file.metadata() or {}).get("wengert", "null"))
            vectors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (package.SafetensorError, ValueError) as error:
        raise invalid(path, _WHAT, f"it is truncated or not of that format ({error})") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise invalid(path, _WHAT, "it was not written by fit(checkpoint=...)")
    if document.get("version") != VERSION:
        raise invalid(path, _WHAT, f"its schema version is {shorten(document.get('version'))}")
    numbers = {name: numpy.ravel(vector).tolist() for name, vector in vectors.items()}
    return {**document, **numbers}


def _check_numbers(path: PathLike, numbers: Any, name: str) -> None:
    if not isinstance(numbers, list) or not all(map(is_finite_number, numbers)):
        raise invalid(path, _WHAT, f'its "{name}" are {shorten(numbers)}, not finite numbers')


def _order(path: PathLike, order: Any) -> Any:
    """The state of Python's generator, as `random.Random.setstate` takes it."""
    if order is None:
        return None
    match order:
        case [3, [*words], None | float() as gauss] if _are_words(words):
            return 3, tuple(words), gauss
    raise invalid(path, _WHAT, f'its "order" is {shorten(order)}, no state of Python\'s generator')


def _are_words(words: Sequence[Any]) -> bool:
    whole = all(type(word) is int and 0 <= word < 2**32 for word in words)
    return whole and len(words) == 625 and words[-1] <= 624  # the last is a place among the others
