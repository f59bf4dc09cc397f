"""Results as a picture: a panel a case, a dot a peer, on one logarithmic scale of time."""

from collections.abc import Mapping
from pathlib import Path

OURS, OTHERS, GRID = "#b5481b", "#5b7187", "#dddddd"
TICKS = {
    1e-6: "1 µs",
    1e-5: "10 µs",
    1e-4: "100 µs",
    1e-3: "1 ms",
    1e-2: "10 ms",
    1e-1: "100 ms",
    1.0: "1 s",
}


def draw(results: Mapping, path: Path) -> None:
    """Write the picture; its format is that of the path's suffix."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    panels = [
        (case, [row for row in case["rows"] if not row["failure"]]) for case in results["cases"]
    ]
    heights = [len(rows) + 1.2 for _, rows in panels]
    times = [float(row["median"]) for _, rows in panels for row in rows]
    settings = {"svg.hashsalt": "benchmarks", "svg.fonttype": "none", "font.size": 9}
    with mpl.rc_context(settings):
        figure = Figure(figsize=(8, 0.21 * sum(heights) + 0.9), layout="constrained")
        grid = figure.subplots(len(panels), 1, height_ratios=heights, sharex=True, squeeze=False)[
            :, 0
        ]
        for axes, (case, rows) in zip(grid, panels, strict=True):
            panel(axes, case, rows)
        grid[-1].set_xscale("log")
        grid[-1].set_xlim(min(times) / 1.6, max(times) * 6)
        grid[-1].set_xticks(list(TICKS), TICKS.values())
        grid[-1].set_xlim(min(times) / 1.6, max(times) * 6)
        grid[-1].set_xlabel("median time a call: left is faster")
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None, dpi=100)


def panel(axes, case: Mapping, rows: list) -> None:
    """One case: the fastest at the top, wengert's dots in a colour of their own."""
    from report import seconds

    for place, row in enumerate(rows):
        ours, time = row["peer"].startswith("wengert"), float(row["median"])
        colour = OURS if ours else OTHERS
        axes.plot(time, place, "D" if ours else "o", color=colour, markersize=6 if ours else 5)
        axes.annotate(
            seconds(time),
            (time, place),
            xytext=(7, 0),
            textcoords="offset points",
            va="center",
            color=colour,
            weight="bold" if ours else "normal",
        )
    axes.set_yticks(range(len(rows)), [row["peer"] for row in rows])
    for label in axes.get_yticklabels():
        if label.get_text().startswith("wengert"):
            label.set(weight="bold", color=OURS)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_title(f"{case['name']}: {case['title']}", loc="left", fontsize=9)
    axes.grid(axis="x", color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", length=0)
    axes.minorticks_off()
    for side in axes.spines.values():
        side.set_visible(False)
