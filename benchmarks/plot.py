"""Results as a picture: a panel a case, a bar a peer, on a logarithmic scale."""

from collections.abc import Mapping
from pathlib import Path

OURS, OTHERS = "#b5481b", "#8fa3b8"


def draw(results: Mapping, path: Path) -> None:
    """Write the picture; its format is that of the path's suffix."""
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from report import seconds

    panels = [
        (case, [row for row in case["rows"] if not row["failure"]]) for case in results["cases"]
    ]
    heights = [len(rows) + 1.6 for _, rows in panels]
    settings = {"svg.hashsalt": "benchmarks", "svg.fonttype": "none", "font.size": 9}
    with mpl.rc_context(settings):
        figure = Figure(figsize=(8, 0.24 * sum(heights) + 0.4), layout="constrained")
        grid = figure.subplots(len(panels), 1, height_ratios=heights, squeeze=False)
        for axes, (case, rows) in zip(grid[:, 0], panels, strict=True):
            panel(axes, case, rows, seconds)
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None, dpi=100)


def panel(axes, case: Mapping, rows: list, seconds) -> None:
    """One case: the fastest at the top, wengert's bars in a colour of their own."""
    names = [row["peer"] for row in rows]
    times = [float(row["median"]) for row in rows]
    colours = [OURS if name.startswith("wengert") else OTHERS for name in names]
    bars = axes.barh(names, times, color=colours, height=0.7)
    axes.bar_label(bars, [seconds(time) for time in times], padding=3)
    for label in axes.get_yticklabels():
        if label.get_text().startswith("wengert"):
            label.set_fontweight("bold")
    axes.set_xscale("log")
    axes.set_xlim(min(times) / 3, max(times) * 6)
    axes.invert_yaxis()
    axes.set_title(f"{case['name']}: {case['title']}", loc="left", fontsize=9)
    axes.tick_params(axis="x", which="both", bottom=False, labelbottom=False)
    axes.tick_params(axis="y", length=0)
    for side in ("top", "right", "bottom"):
        axes.spines[side].set_visible(False)
