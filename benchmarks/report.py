"""Results as text: tables of at most 80 columns, and the goals that were met or missed."""

import math
import textwrap
from collections.abc import Mapping, Sequence

from compiler import NODE_BUDGET, READY_BUDGET, STAGES

WIDTH = 80
SHORT = {"rest of compile": "rest"}


def number(value) -> float:
    """A number that JSON may have kept as text."""
    return float(value)


def seconds(value: float) -> str:
    """A duration with three digits and its unit."""
    if not math.isfinite(value):
        return "-"
    for unit, size in (("s", 1), ("ms", 1e-3), ("µs", 1e-6)):
        if value >= size or unit == "µs":
            return f"{digits(value / size)} {unit}"
    raise AssertionError


def digits(value: float) -> str:
    """Three digits, and no more places than they need."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def calls(value: float) -> str:
    """A number of calls; or that it never comes to that."""
    if math.isinf(value):
        return "never"
    return "-" if math.isnan(value) else f"{value:,.0f}"


def case_table(case: Mapping, peak: float = math.nan) -> str:
    """One case: a line a peer, fastest first.

    peak  operations a second of one core at its best, in thousands of millions
    """
    head = ("", "a call", "GFLOP/s", "× ours", "ready in", "pays from", "error")
    about = (
        f"× ours: how many times as long as {case['ours']}; pays from: the call with which it has "
        f"cost less in all than {case['base']}"
    )
    lines, failures = [head], []
    for row in case["rows"]:
        if row["failure"]:
            failures.append(f"{row['peer']} failed: {row['failure']}")
            continue
        lines.append(
            (
                row["peer"],
                seconds(number(row["median"])),
                rate(case.get("operations", 0) / number(row["median"]), peak),
                digits(number(row["ratio"])),
                seconds(number(row["ready"])),
                calls(number(row["break_even"])),
                f"{number(row['difference']):.0e}",
            )
        )
    title = textwrap.wrap(f"{case['name']}: {case['title']}", WIDTH)
    notes = [
        line for note in [*failures, about, *case["goals"]] for line in textwrap.wrap(note, WIDTH)
    ]
    return "\n".join([*title, "", *columns(lines), "", *notes])


def rate(operations: float, peak: float) -> str:
    """Thousands of millions of operations a second, and the share of a core's peak."""
    billions = operations / 1e9
    if not operations:
        return "-"
    share = billions / peak
    return f"{digits(billions)} {share:.0%}" if share >= 0.005 else digits(billions)


def native_goals(rows: Sequence[Mapping], wanted: Mapping[str, float]) -> list[str]:
    """The goals of wengert native, as sentences: ratios of medians."""
    medians = {row["peer"]: number(row["median"]) for row in rows if not row["failure"]}
    own = medians.get("wengert native")
    if own is None:
        return []
    as_rows = [
        {"peer": name, "failure": "", "ratio": median / own} for name, median in medians.items()
    ]
    return [f"native {line}" for line in goals(as_rows, wanted)]


def goals(rows: Sequence[Mapping], wanted: Mapping[str, float]) -> list[str]:
    """Which goals wengert met in this case, and which not, as sentences."""
    found = {row["peer"]: number(row["ratio"]) for row in rows if not row["failure"]}
    found = {peer: ratio for peer, ratio in found.items() if not math.isnan(ratio)}
    lines = []
    for met in (True, False):
        listed = [
            f"{'faster than ' + peer if factor == 1 else f'{digits(factor)} × {peer}'} "
            f"({digits(found[peer])} ×)"
            for peer, factor in wanted.items()
            if peer in found and (found[peer] >= factor) is met
        ]
        if listed:
            lines.append(f"{'met' if met else 'MISSED'}: {', '.join(listed)}")
    return lines


def compiler_table(compiler: Mapping) -> str:
    """The compiler's own speed beside its budgets."""
    ready = compiler["ready"]
    lines = [
        "compiler: the notebook step from its first line to a callable "
        f"{seconds(number(ready['median']))} (median; least {seconds(number(ready['least']))}, "
        f"first time {seconds(number(ready['first']))}); budget {seconds(READY_BUDGET)}",
    ]
    table = [("µs a node, by graph", *(f"{entry['nodes']:,}" for entry in compiler["sizes"]))]
    for stage in STAGES:
        spent = [
            per_node(entry, lambda e, s=stage: e["seconds"][s] * 1e6) for entry in compiler["sizes"]
        ]
        table.append((SHORT.get(stage, stage), *spent))
    totals = [
        ("in all", lambda e: sum(e["seconds"].values()) * 1e6, NODE_BUDGET[0] * 1e6),
        ("bytes a node", lambda e: sum(e["bytes"].values()), NODE_BUDGET[1]),
    ]
    for title, total, budget in totals:
        cells = [per_node(entry, total) for entry in compiler["sizes"]]
        table.append((f"{title} (budget {budget:,.0f})", *cells))
    failures = [
        f"{entry['nodes']:,} nodes failed: {entry['failure']}"
        for entry in compiler["sizes"]
        if "failure" in entry
    ]
    text = [part for line in lines for part in textwrap.wrap(line, WIDTH)]
    return "\n".join([*text, "", *columns(table), *failures])


def per_node(entry: Mapping, total) -> str:
    """A total shared out among the nodes, or a dash where the run failed."""
    return "-" if "failure" in entry else digits(total(entry) / entry["nodes"])


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines: the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            [row[0].ljust(widths[0])]
            + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        ).rstrip()
        for row in rows
    ]


def text(results: Mapping) -> str:
    """Everything, tables and surroundings."""
    environment = [
        line
        for key, value in results["environment"].items()
        for line in textwrap.wrap(f"{key}: {value}", WIDTH, subsequent_indent="  ")
    ]
    peak = float(results["environment"].get("peak", "nan").split()[0])
    parts = [case_table(case, peak) for case in results["cases"]]
    if results.get("compiler"):
        parts.append(compiler_table(results["compiler"]))
    parts.append("\n".join(environment))
    return "\n\n\n".join(parts) + "\n"
