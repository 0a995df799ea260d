"""The tables of benchmarks/step.py, and the words around them."""

from collections.abc import Iterable
from typing import Any

MEANINGS = {
    "data and draws": "photographs, latents, flips and uniforms of both updates",
    "flips and augmentation": "forward, of both updates",
    "generator forward": "of both updates",
    "discriminator forward": "of both updates",
    "discriminator backward": "by the weights",
    "generator backward": "through the discriminator",
    "gradient penalty": "weighted by how often it is computed",
    "damping": "both networks",
    "optimizer": "both networks, without damping",
    "copy kept for undoing": "of the discriminator and its moments",
    "vitals": "both gradients",
    "telemetry": "scalars fetched, ledger, watch, the row when due",
    "page": "of a run of 1,000 rows, spread over its interval",
    "grid": "with histograms, spread over its interval",
    "checkpoint": "spread over its interval",
}


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Returns a table in Markdown, numbers to the right of the first column."""
    header = list(header)
    rule = ["---", *["---:"] * (len(header) - 1)]
    lines = [header, rule, *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def parts_table(parts: dict[str, float], whole: float, not_explained: float) -> str:
    """Returns a row for each part, with its share; all in milliseconds."""

    def row(name: str, ms: float) -> list[str]:
        meaning = f" ({MEANINGS[name]})" if name in MEANINGS else ""
        return [name + meaning, f"{ms:.2f}", f"{ms / whole:.1%}"]

    rows = [row(name, ms) for name, ms in parts.items()]
    rows += [row("not explained", not_explained), row("whole iteration", whole)]
    return table(["part", "ms", "share"], rows)


def passes_table(report: dict[str, Any]) -> str:
    """Returns a row for each pass: operations, time, speed, share of the ceiling."""
    ceiling = report["ceiling_gflops_per_second"]
    best = max(ceiling.values())

    def row(name: str, gflop: float, ms: float) -> list[str]:
        speed = gflop / ms * 1000 if ms > 0 else 0.0
        return [
            name,
            f"{gflop:.2f}",
            f"{ms:.1f}",
            f"{speed:.1f}",
            f"{speed / best:.0%}",
        ]

    parts, gflop = report["parts_ms"], report["gflop"]
    rows = [
        row(name, count, parts[name])
        for name, count in gflop.items()
        if name in parts and count
    ]
    rows.append(row("whole iteration", gflop["whole"], report["whole_ms"]))
    for name, speed in ceiling.items():
        rows.append([f"ceiling: {name}", "", "", f"{speed:.1f}", f"{speed / best:.0%}"])
    header = ["pass", "GFLOP", "ms", "GFLOP/s", "of the ceiling"]
    return table(header, rows)


def contestants_table(contestants: dict[str, dict[str, Any]], ours: str) -> str:
    """Returns a row for each contestant: medians, and the ratio to ours."""
    unit = contestants.get(ours, next(iter(contestants.values())))["seconds"]
    rows = []
    for name, one in contestants.items():
        middle = [one["plain_median"], one["penalty_median"], one["seconds"]]
        cells = ["" if value is None else f"{1000 * value:.0f}" for value in middle]
        rows.append([name, *cells, f"{one['seconds'] / unit:.2f}", one["note"]])
    header = ["contestant", "plain ms", "penalty ms", "mean ms", "ratio", "how"]
    return table(header, rows)


def report_text(report: dict[str, Any], ours: str) -> str:
    """Returns the whole report in Markdown, without a heading."""
    versions = ", ".join(f"{k} {v}" for k, v in report["versions"].items())
    text = [
        f"{report['machine']}; {report['config']}, batch {report['batch_size']}, "
        f"{report['precision']}, {report['compile']}; {report['rounds']} rounds in "
        f"turn, medians; {versions}.",
        parts_table(report["parts_ms"], report["whole_ms"], report["not_explained_ms"]),
        "Parts are timed alone; in an iteration some of them run at the same time, "
        "which is what a negative rest says. Photographs are noise.",
        passes_table(report),
        "Operations of convolutions and dense layers only, per mean iteration.",
    ]
    if report["contestants"]:
        text += [contestants_table(report["contestants"], ours), RIVALS_WORDS]
    text += [f"Left out: {name}: {why}." for name, why in report["left_out"].items()]
    return "\n\n".join(text) + "\n"


RIVALS_WORDS = (
    "All have the same pair, batch, losses, lazy penalties, flips and averaged "
    "generator, and one process each with all processors. The rivals leave out "
    "augmentation, damping, rates scaled by fan-in, vitals and undoing; they draw a "
    "batch of its own for the generator's update and compute exact penalties of all of "
    "a batch."
)
