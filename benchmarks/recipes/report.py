"""Writes the tables and curves of all queues into a page, between two markers."""

import math
import pathlib
import statistics

from benchmarks.recipes.curves import draw
from benchmarks.recipes.rows import DIVERGED, Row, read_rows
from benchmarks.results_page import markers_of, write_between
from settings.messages import say

MARKERS = markers_of("python -m benchmarks.recipes --report")
CAPTION = "Thin: each seed. Thick: the median of the seeds. Lower is better."


def write_report(results: pathlib.Path, page: pathlib.Path) -> None:
    """Writes what is known of each queue into a page, and its curves beside it.

    Args:
        results: Folder with a file of rows for each queue.
        page: Has the two markers; the text outside them is kept.

    Raises:
        Problem: If the page or one of its markers is missing.
    """
    parts = []
    for path in sorted(results.glob("*.jsonl")):
        rows = read_rows(path)
        picture = page.with_name(f"{page.stem}-{path.stem}.webp")
        parts += queue_parts(path.stem, rows)
        if draw(rows, picture):
            words = f"kernel distance of {path.stem} over iterations and minutes"
            parts += ["", f"![{words}]({picture.name})", "", CAPTION]
            say(f"wrote {picture}")
    text = "\n".join(parts or ["No run yet."])
    write_between(page, text, MARKERS)
    say(f"wrote {page}")


def queue_parts(name: str, rows: list[Row]) -> list[str]:
    """Returns the lines of a queue: what was tried, its scores, and every run."""
    settings = list(dict.fromkeys(row["setting"] for row in rows))
    first = {row["setting"]: row for row in reversed(rows)}
    tried = [f"| {one} | {told(first[one])} |" for one in settings]
    return [
        f"### {name}",
        "",
        *("| setting | config | overrides | why |", "|---|---|---|---|", *tried),
        "",
        *score_table(rows, settings),
        "",
        f"Kernel (kd) and Frechet distance (fd): {measured_with(rows)}.",
        "",
        *run_table(rows),
    ]


def told(row: Row) -> str:
    """Returns config, overrides and reason of a row, as three cells of a table."""
    overrides = [f"`{key}={text}`" for key, text in row["overrides"].items()]
    overrides += [f"from {row['start']}"] if row["start"] else []
    cells = [f"`{row['config']}`", "<br>".join(overrides) or "-", row["reason"]]
    return " | ".join(cell.replace("|", r"\|") for cell in cells)


def score_table(rows: list[Row], settings: list[str]) -> list[str]:
    """Returns the lines of the table that settings are judged by."""
    marks = list(dict.fromkeys(s["mark"] for row in rows for s in row["scores"]))
    lines = [
        "| after | setting | kd: median | worst | of each seed | fd: median | worst |",
        "|---|---|---|---|---|---|---|",
    ]
    for mark in sorted(marks, key=mark_order):
        for setting in settings:
            own = [row for row in rows if row["setting"] == setting]
            kds, fds = values_at(own, mark, "kd"), values_at(own, mark, "fd")
            if kds:
                each = ", ".join(number(kd, 3) for kd in kds)
                lines.append(
                    f"| {mark} | {setting} | **{number(statistics.median(kds), 3)}** | "
                    f"{number(max(kds), 3)} | {each} | "
                    f"{number(statistics.median(fds), 1)} | {number(max(fds), 1)} |"
                )
    return lines


def measured_with(rows: list[Row]) -> str:
    """Returns in words what the scores were measured with."""
    ways = [f"{row['num_images']} images, {row['extractor']}" for row in rows]
    return "; ".join(dict.fromkeys(ways))


def mark_order(mark: str) -> tuple[str, float]:
    """Returns what marks are sorted by: iterations, then minutes, each by amount."""
    amount, unit = mark.split()
    return unit, float(amount)


def values_at(rows: list[Row], mark: str, key: str) -> list[float]:
    """Returns the scores of a setting's runs at a mark, in order of the seeds.

    A run that diverged before the mark counts as infinitely bad; one that has not come
    there yet, or that could not be measured there, does not count.
    """
    values = []
    for row in sorted(rows, key=lambda one: one["seed"]):
        found = [score for score in row["scores"] if score["mark"] == mark]
        if found:
            values += [score[key] for score in found[:1] if key in score]
        elif row["state"] == DIVERGED:
            values.append(math.inf)
    return values


def number(value: float, digits: int) -> str:
    """Returns a score as text."""
    return f"{value:.{digits}f}" if math.isfinite(value) else "diverged"


def run_table(rows: list[Row]) -> list[str]:
    """Returns the lines of the table of all runs."""
    lines = [
        "| setting | seed | state | iterations | minutes | spikes, in bursts | largest "
        "gradient | rollbacks | machine | code |",
        "|" + "---|" * 10,
    ]
    for row in rows:
        largest = row.get("largest_gradient")
        state = ", ".join(filter(None, [row["state"], row["note"]]))
        cells = [
            *(row["setting"], row["seed"], state),
            *(row.get("iterations", 0), row.get("minutes", 0)),
            f"{row['spikes']} in {row['bursts']}" if row.get("spikes") else "0",
            "-" if largest is None else f"{largest:.3g}",
            row.get("rollbacks", 0),
            "<br>".join(row.get("machines", [])),
            ", ".join(row.get("commits", [])),
        ]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return lines
