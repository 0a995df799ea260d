"""Writes the spike benchmark's tables and plots from its finished cells."""

import math
import pathlib
import statistics
from collections.abc import Callable

import numpy as np

from benchmarks.spikes.rows import KINDS, SIZES, TIMES, size_name

Cells = list[dict]
TOLD = {"clean": "tuned without spikes", "spikes": "tuned under the row's spikes"}
OURS = "LogAdam adaptive"  # what the others are compared with, seed by seed


def columns_of(cells: Cells) -> dict[str, Callable[[dict], bool]]:
    """Returns the columns of a table: names, and which cells each averages.

    With few rows each is a column; with many, groups of those of loss scale 1 are.
    """
    names = list(dict.fromkeys(cell["row"] for cell in cells))
    if len(names) <= 12:
        return {name: lambda cell, name=name: cell["row"] == name for name in names}

    def group(key: str, value: object) -> Callable[[dict], bool]:
        return lambda cell: (
            cell["kind"] != "none"
            and cell["scale"] == 1
            and cell["time"] != "first"
            and cell[key] == value
            and (key == "size" or cell["size"] is not None)
        )

    columns = {"clean": lambda cell: cell["row"] == "clean"}
    for size in SIZES:  # in JSON infinity is None
        written = size if math.isfinite(size) else None
        columns[f"x{size_name(size)}"] = group("size", written)
    columns |= {time: group("time", time) for time in TIMES}
    columns |= {kind: group("kind", kind) for kind in KINDS}
    columns["first step"] = lambda cell: cell["time"] == "first"
    for name in names:
        if "loss x" in name:
            columns[name] = lambda cell, name=name: cell["row"] == name
    return {n: c for n, c in columns.items() if any(c(cell) for cell in cells)}


def score(cells: Cells, how: str) -> float:
    """Returns the mean over cells of the median score over seeds."""
    return statistics.fmean(statistics.median(cell[how]["scores"]) for cell in cells)


def table(cells: Cells, value: Callable[[Cells], str]) -> list[str]:
    """Returns a Markdown table, a line a method, a column a group of rows."""
    columns = columns_of(cells)
    lines = ["| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for method in dict.fromkeys(cell["method"] for cell in cells):
        mine = [cell for cell in cells if cell["method"] == method]
        entries = []
        for chosen in columns.values():
            found = [cell for cell in mine if chosen(cell)]
            entries.append(value(found) if found else "")
        lines.append(f"| {method} | " + " | ".join(entries) + " |")
    return lines


def tunings(cells: Cells) -> list[str]:
    """Returns how the methods were tuned: without spikes, and perhaps under them."""
    return [how for how in ("clean", "spikes") if how in cells[0]]


def scores_text(cells: Cells) -> str:
    """Returns "tuned clean / tuned under the spikes"."""
    return " / ".join(f"{score(cells, how):.3g}" for how in tunings(cells))


def harm_text(cells: Cells) -> str:
    """Returns peak, recovery, freeze and share diverged, as tuned clean."""
    if not any("peak" in cell["clean"] for cell in cells):
        return ""

    def median(name: str) -> float:
        values = [cell["clean"][name] for cell in cells]
        return statistics.median(math.inf if v is None else v for v in values)

    diverged = statistics.fmean(cell["clean"]["diverged"] for cell in cells)
    numbers = f"{median('peak'):.2g}, {median('recovery'):.0f}, {median('freeze'):.0f}"
    return f"{numbers}, {diverged:.0%}"


def final_text(cells: Cells) -> str:
    """Returns the problem's second measure, as tuned clean and under the spikes."""
    texts = []
    for how in tunings(cells):
        finals = [cell[how]["final"] for cell in cells]
        known = [value for value in finals if value is not None]
        texts.append(f"{statistics.fmean(known):.3g}" if known else "nan")
    return " / ".join(texts)


def paired_text(cells: Cells) -> Callable[[Cells], str]:
    """Returns a function that writes a method's score less that of OURS.

    Both are as tuned under the spikes, if they were; the difference is paired by seed,
    with a 95 % interval from a bootstrap over seeds.
    """
    how = tunings(cells)[-1]
    reference = {c["row"]: c[how]["scores"] for c in cells if c["method"] == OURS}

    def text(found: Cells) -> str:
        pairs = [
            (cell[how]["scores"], reference[cell["row"]])
            for cell in found
            if cell["row"] in reference
        ]
        if not pairs:
            return ""
        return difference_text(*np.mean(pairs, axis=0))

    return text


def spread_text(cells: Cells) -> str:
    """Returns "median [least, most] of the seeds", tuned clean / under the spikes."""
    texts = []
    for how in tunings(cells):
        scores = [score for cell in cells for score in cell[how]["scores"]]
        middle = statistics.median(scores)
        texts.append(f"{middle:.3g} [{min(scores):.3g}, {max(scores):.3g}]")
    return " / ".join(texts)


def twin_text(cells: Cells) -> str:
    """Returns the score less that of the twin without spikes, and an interval."""
    if cells[0]["kind"] == "none":
        return ""
    texts = []
    for how in tunings(cells):
        pairs = [(cell[how]["scores"], cell[how]["twin_scores"]) for cell in cells]
        texts.append(difference_text(*np.mean(pairs, axis=0)))
    return " / ".join(texts)


def difference_text(first: np.ndarray, second: np.ndarray) -> str:
    """Returns the mean of the paired differences, and 95 % by a bootstrap of seeds."""
    chance = np.random.default_rng(0)
    draws = chance.choice(first - second, (2000, len(first))).mean(axis=1)
    low, high = np.percentile(draws, [2.5, 97.5])
    return f"{np.mean(first - second):+.2g} [{low:+.2g}, {high:+.2g}]"


def settings_text(cells: Cells) -> str:
    """Returns learning rate and threshold, tuned clean / under the spikes."""
    return " / ".join(
        f"{cell[how]['learning_rate']:.2g}, {cell[how]['threshold']:.2g}"
        for cell in cells
        for how in tunings(cells)
    )


def seeds_parts(cells: Cells) -> list[str]:
    """Returns the parts for a problem whose score has a floor: seeds, settings."""
    if "floor" not in cells[0]["clean"]:
        return []
    floor, worst = (cells[0]["clean"][key] for key in ("floor", "untrained"))
    skipped = max(cell[how]["skipped"] for cell in cells for how in tunings(cells))
    return [
        "",
        f"The floor, real against real: {floor:.3g}; untrained: {worst:.3g}.",
        f"Iterations skipped, median of the seeds: {skipped:g} at most.",
        "",
        "Score, likewise: median [least, most] of the seeds:",
        *("", *table(cells, spread_text)),
        *("", "Score less that of the twin without spikes: mean, 95 % interval:"),
        *("", *table(cells, twin_text)),
        *("", "Learning rate and threshold that were chosen:"),
        *("", *table(cells, settings_text)),
    ]


def write(problem: str, cells: Cells, folder: pathlib.Path) -> None:
    """Writes PROBLEM.md and PROBLEM.png into the folder."""
    seeds = len(cells[0]["clean"]["scores"])
    told = [TOLD[how] for how in tunings(cells)]
    parts = [
        f"# {problem}: {seeds} seeds, median; lower is better",
        f"Score, {' / '.join(told)};",
        "what it is the problem's docstring says.",
        *("", *table(cells, scores_text)),
        *("", "Second measure (median), likewise:", "", *table(cells, final_text)),
        "",
        f"Score less that of {OURS}, {told[-1]}: mean over",
        "seeds, 95 % interval (above 0: the method is worse):",
        *("", *table(cells, paired_text(cells))),
        "",
        "Harm, tuned without spikes: peak of the loss above the twin's, steps to",
        "recover, steps frozen against the twin (medians), share of seeds diverged:",
        *("", *table(cells, harm_text)),
        *seeds_parts(cells),
    ]
    (folder / f"{problem}.md").write_text("\n".join(parts) + "\n")
    draw(problem, cells, folder / f"{problem}.png")


def draw(problem: str, cells: Cells, path: pathlib.Path) -> None:
    """Draws the scores, tuned without spikes, as a map of methods by rows."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import colors, pyplot

    columns = columns_of(cells)
    methods = list(dict.fromkeys(cell["method"] for cell in cells))
    grid = [
        [
            score(found, "clean") if found else math.nan
            for chosen in columns.values()
            for found in [[c for c in cells if c["method"] == m and chosen(c)]]
        ]
        for m in methods
    ]
    known = [value for line in grid for value in line if value > 0]
    figure, axes = pyplot.subplots(
        figsize=(2.6 + 0.62 * len(columns), 1.6 + 0.3 * len(methods))
    )
    norm = colors.LogNorm(max(min(known), max(known) / 1e3), max(known))
    axes.imshow(grid, norm=norm, cmap="RdYlGn_r", aspect="auto")
    for y, line in enumerate(grid):
        for x, value in enumerate(line):
            axes.text(x, y, f"{value:.2g}", ha="center", va="center", fontsize=7)
    axes.set_xticks(range(len(columns)), columns, rotation=40, ha="right", fontsize=8)
    axes.set_yticks(range(len(methods)), methods, fontsize=8)
    axes.set_title(f"{problem}: score, tuned without spikes (green: low, good)")
    figure.savefig(path, dpi=110, bbox_inches="tight", metadata={"Software": None})
    pyplot.close(figure)
