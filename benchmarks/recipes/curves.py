"""Draws kernel distances over iterations and over minutes of training."""

import pathlib
import statistics
from collections import defaultdict

from benchmarks.recipes.rows import Row

Points = list[tuple[float, float]]  # place and kernel distance


def points_of(row: Row, unit: str) -> Points:
    """Returns the scores of a run, by "iterations" or "minutes" of training."""
    return sorted((s[unit], s["kd"]) for s in row["scores"] if unit in s)


def median_points(rows: list[Row], unit: str) -> Points:
    """Returns the medians over the runs of a setting, a point for each mark.

    A mark that not all of the runs have come to has none: fewer of them would make the
    line jump.
    """
    by_mark = defaultdict(list)
    for row in rows:
        for score in row["scores"]:
            if unit in score:
                by_mark[score["mark"]].append((score[unit], score["kd"]))
    points = [
        tuple(map(statistics.median, zip(*found, strict=True)))
        for found in by_mark.values()
        if len(found) == len(rows)
    ]
    return sorted(points)


def draw(rows: list[Row], path: pathlib.Path) -> bool:
    """Draws the curves of a queue; returns whether there was anything to draw."""
    if not any(points_of(row, "iterations") for row in rows):
        return False
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(10, 4.2), sharey=True)
    settings = list(dict.fromkeys(row["setting"] for row in rows))
    for axis, unit in zip(axes, ("iterations", "minutes"), strict=True):
        for number, setting in enumerate(settings):
            color = f"C{number % 10}"  # of matplotlib's cycle
            style = {"color": color, "marker": "o"}
            own = [row for row in rows if row["setting"] == setting]
            for row in own:
                found = points_of(row, unit)
                axis.plot(*split(found), alpha=0.5, lw=0.7, ms=2, **style)
            median = split(median_points(own, unit))
            axis.plot(*median, label=setting, lw=2.5, ms=5, **style)
        axis.set_xlabel(f"{unit} of training")
        axis.set_xlim(left=0)
        axis.grid(alpha=0.3)
    axes[0].set_ylim(bottom=0)
    axes[0].set_ylabel("kernel distance (lower is better)")
    axes[1].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
    return True


def split(points: Points) -> tuple[list[float], list[float]]:
    """Returns places and values of points, as plots want them."""
    return [x for x, _ in points], [y for _, y in points]
