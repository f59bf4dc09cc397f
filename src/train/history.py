"""What a training run left behind."""

from __future__ import annotations

import os
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from ..codegen.scalar.loop import Stopped
from ..errors import MissingExtraError
from ..storage import PathLike, write_bytes
from .choice import duration

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, repr=False)
class History:
    """The course of one `fit`.

    loss     the loss of each whole epoch, measured before its updates, as it was reduced
    stopped  why it ended: "finished"; "callback" asked for it; "interrupted" by Ctrl-C; "diverged"
             when a loss came out infinite or nan, or would have left a parameter so: that epoch's
             loss is the last of `loss`, and the step that did it was not taken
    seconds  how long the epochs took, without the compilation before them
    target   what the step was compiled to, such as "numpy"
    reason   why: a sentence with the sizes and times that were estimated

    >>> h = History([4.0, 2.0, 1.0], "finished", 0.25, "python", "python: as asked")
    >>> h, h.epochs
    (History(3 epochs, loss 4 → 1, finished, python, 250 ms), 3)
    """

    loss: list[float]
    stopped: Stopped
    seconds: float
    target: str = ""
    reason: str = ""

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
        figure = Figure(figsize=(6.4, 4.0), layout="constrained")
        axes = figure.subplots()
        axes.plot(range(self.epochs), self.loss, marker="o" if self.epochs == 1 else "")
        axes.set(xlabel="epoch", ylabel="loss", yscale="log" if log else "linear")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        if path is not None:
            picture, ending = BytesIO(), os.path.splitext(path)[1]
            figure.savefig(picture, format=ending[1:] or "png")
            write_bytes(path if ending else f"{os.fspath(path)}.png", picture.getvalue())
        return figure

    def __repr__(self) -> str:
        ends = f", loss {self.loss[0]:.4g} → {self.loss[-1]:.4g}" if self.loss else ""
        target = f", {self.target}" if self.target else ""
        return (
            f"History({self.epochs} epoch{'s' * (self.epochs != 1)}{ends}, "
            f"{self.stopped}{target}, {duration(self.seconds * 1e6)})"
        )
