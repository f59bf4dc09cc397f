"""What a training run left behind."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING, Any

from ..codegen.scalar.loop import Stopped
from ..errors import MissingExtraError
from ..storage import PathLike, format_of, path_text, restore, write_bytes
from .choice import duration
from .optim import Optimizer

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Standing:
    """Where a run stood after its last whole step: what going on needs beside the parameters.

    optimizer   its rule
    state       what that remembers, as numbers
    network     in words that tell it from others
    order       the state of the generator that shuffles; None where nothing is shuffled
    best        the epoch with the smallest validation loss, and the parameters and the state it
                left; None without patience, or where that is at its end
    """

    optimizer: Optimizer
    state: list[float] = field(repr=False)
    network: str
    order: Any = field(default=None, repr=False)
    best: tuple[int, list[float], list[float]] | None = field(default=None, repr=False)


@dataclass(frozen=True, repr=False)
class History:
    """The course of one `fit`.

    loss     the loss of each whole epoch, measured before its updates, as it was reduced
    stopped  why it ended: "finished"; "callback" asked for it; "interrupted" by Ctrl-C; "diverged"
             when a loss came out infinite or nan, or would have left a parameter so: that epoch's
             loss is the last of `loss`, and the step that did it was not taken; "patience" was at
             its end, and the parameters are those of the best epoch
    seconds  how long the epochs took, without the compilation before them
    target   what the step was compiled to, such as "numpy"
    reason   why: a sentence with the sizes and times that were estimated
    validation_loss, metrics   the loss and the other measures of the validation data after each
             epoch, the latter by name; empty without such data
    standing what `fit(resume=history)` goes on from

    >>> h = History([4.0, 2.0, 1.0], "finished", 0.25, "python", "python: as asked")
    >>> h, h.epochs
    (History(3 epochs, loss 4 → 1, finished, python, 250 ms), 3)
    """

    __setstate__ = restore

    loss: list[float]
    stopped: Stopped
    seconds: float
    target: str = ""
    reason: str = ""
    validation_loss: list[float] = field(default_factory=list)
    metrics: dict[str, list[float]] = field(default_factory=dict)
    standing: Standing | None = None

    @property
    def best(self) -> int | None:
        """The epoch with the smallest validation loss; None where there is none."""
        if not self.validation_loss:
            return None
        return min(range(len(self.validation_loss)), key=self.validation_loss.__getitem__)

    @property
    def epochs(self) -> int:
        """How many epochs `loss` has: those that ran to their end, and the one that diverged."""
        return len(self.loss)

    def plot(self, path: PathLike | None = None, *, log: bool = False) -> Figure:
        """The loss over the epochs as a matplotlib figure, saved to `path` when one is given.

        The file's ending chooses the format (.png, .svg, .pdf); `log` makes the loss axis
        logarithmic. matplotlib's global state (backend, current figure) is left alone.
        """
        try:
            from matplotlib.figure import Figure
            from matplotlib.ticker import MaxNLocator
        except ImportError:
            raise MissingExtraError(
                "history.plot() draws with matplotlib, which is not installed: "
                "pip install matplotlib"
            ) from None
        figure = _shown_in_notebooks(Figure)(figsize=(6.4, 4.0), layout="constrained")
        axes = figure.subplots()
        marker = "o" if self.epochs == 1 else ""
        axes.plot(range(self.epochs), self.loss, marker=marker, label="training")
        if self.validation_loss:
            own = range(len(self.validation_loss))
            axes.plot(own, self.validation_loss, marker=marker, label="validation")
            axes.legend()
        axes.set(xlabel="epoch", ylabel="loss", yscale="log" if log else "linear")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        if path is not None:
            known = [f".{name}" for name in figure.canvas.get_supported_filetypes()]
            picture, ending = BytesIO(), format_of(path, "picture", known)
            figure.savefig(picture, format=ending[1:] or "png")
            write_bytes(path if ending else f"{path_text(path)}.png", picture.getvalue())
        return figure

    def _repr_png_(self) -> bytes | None:
        """What a notebook shows: the curve; nothing without matplotlib or without an epoch."""
        try:
            figure = self.plot() if self.loss else None
        except MissingExtraError:
            return None
        return None if figure is None else _png(figure)

    def __repr__(self) -> str:
        ends = f", loss {self.loss[0]:.4g} → {self.loss[-1]:.4g}" if self.loss else ""
        target = f", {self.target}" if self.target else ""
        return (
            f"History({self.epochs} epoch{'s' * (self.epochs != 1)}{ends}, "
            f"{self.stopped}{target}, {duration(self.seconds * 1e6)})"
        )


def _png(figure: Figure) -> bytes:
    picture = BytesIO()
    figure.savefig(picture, format="png")
    return picture.getvalue()


@cache
def _shown_in_notebooks(kind: type[Figure]) -> type[Figure]:
    """Figures that notebooks show as they are, with no `%matplotlib` before."""
    return type("Figure", (kind,), {"_repr_png_": _png})
