"""Asks whether small classes fare worse: python -m benchmarks.classes RUN.

Reads a metric card of a run that knows classes (the latest, or --card FILE), and prints
tables in Markdown: the classes in groups by their number of photographs, and the rank
correlation (Spearman's) of that number with each metric. --photographs leaves out what
generated images score, so that a card of any run, trained or not, tells how hard the
classes are. --page FILE writes the tables between two markers of a page, --plot FILE
draws every class (matplotlib, requirements-bench.txt).
"""

import argparse
import json
import pathlib
import statistics
import sys
from typing import Any

from scipy.stats import spearmanr

from benchmarks.results_page import markers_of, write_between
from commands.exit_status import exit_status
from files.atomic import written_aside
from records.run_folder import RunFolder
from settings.messages import Problem, say

Row = dict[str, Any]

MARKERS = markers_of("python -m benchmarks.classes")
NUM_GROUPS = 4
COUNT = "num_photographs"
# Metrics by their key in a row of the card: words, and how they are written.
OF_PHOTOGRAPHS = {
    "accuracy_floor": ("photographs recognized", "{:.0%}"),
    "kd_floor": ("floor of the kernel distance", "{:.3f}"),
}
OF_IMAGES = {
    "accuracy": ("images recognized", "{:.0%}"),
    "behind": ("behind the photographs by", "{:.0%}"),
    "kd": ("kernel distance", "{:.3f}"),
    "diversity": ("diversity", "{:.2f}"),
}


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", help="name of the run")
    parser.add_argument("--card", type=pathlib.Path, metavar="FILE")
    parser.add_argument("--photographs", action="store_true", help="say nothing else")
    parser.add_argument("--page", type=pathlib.Path, metavar="FILE")
    parser.add_argument("--plot", type=pathlib.Path, metavar="FILE")
    return parser.parse_args(arguments)


def read_classes(run: str, path: pathlib.Path | None) -> tuple[Row, list[Row]]:
    """Returns a card and its rows of classes, those with most photographs first.

    Raises:
        Problem: If there is no card with classes.
    """
    folder = RunFolder(run).samples
    paths = [path] if path else sorted(folder.glob("card-*.json"), reverse=True)
    for one in paths:
        try:
            card = json.loads(one.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise Problem(f"{one}: cannot be read ({error})") from error
        if "classes" in card:
            rows = sorted(card["classes"]["of"], key=lambda row: -row[COUNT])
            behind = [row["accuracy_floor"] - row["accuracy"] for row in rows]
            return card, [
                row | {"behind": b} for row, b in zip(rows, behind, strict=True)
            ]
    raise Problem(
        f"{path or folder}: no metric card with classes\n"
        f"  what to do: python evaluate.py {run}, of a run with model.conditional"
    )


def group_table(rows: list[Row], metrics: dict[str, tuple[str, str]]) -> list[str]:
    """Returns a table of groups of as many classes, with the means of each group."""
    words = [words for words, _ in metrics.values()]
    lines = [f"| photographs a class | classes | {' | '.join(words)} |"]
    lines.append("|---" * (len(metrics) + 2) + "|")
    num_groups = min(NUM_GROUPS, len(rows))
    places = [round(n * len(rows) / num_groups) for n in range(num_groups + 1)]
    for first, last in zip(places, places[1:], strict=False):
        own = rows[first:last]
        cells = [f"{own[-1][COUNT]} to {own[0][COUNT]}", str(len(own))]
        for key, (_, form) in metrics.items():
            values = [row[key] for row in own if key in row]
            cells.append(form.format(statistics.fmean(values)) if values else "")
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def correlation_table(
    rows: list[Row], metrics: dict[str, tuple[str, str]]
) -> list[str]:
    """Returns a table of rank correlations with the number of photographs."""
    lines = [
        "| with the number of photographs | rank correlation | p |",
        "|---|---|---|",
    ]
    for key, (words, _) in metrics.items():
        pairs = [(row[COUNT], row[key]) for row in rows if key in row]
        counts, values = zip(*pairs, strict=True) if pairs else ((), ())
        if min(len(set(counts)), len(set(values))) < 2:
            lines.append(f"| {words} | all are alike | |")
            continue
        found = spearmanr(counts, values)
        lines.append(f"| {words} | {found.statistic:+.2f} | {found.pvalue:.2g} |")
    return lines


def report(card: Row, rows: list[Row], photographs_only: bool) -> str:
    """Returns the tables, below a line that says what they are of."""
    metrics = OF_PHOTOGRAPHS | ({} if photographs_only else OF_IMAGES)
    extractor = card["extractor"]["name"]
    said = f"{len(rows)} classes, features of {extractor}"
    if not photographs_only:
        each = card["classes"]["images_of_each"]
        said = (
            f"{card['run']} at {card['iteration']:,} iterations: {said}, {each} images "
            "of each class"
        )
    tables = [group_table(rows, metrics), correlation_table(rows, metrics)]
    return "\n\n".join([said + ".", *("\n".join(lines) for lines in tables)])


def draw(rows: list[Row], path: pathlib.Path, photographs_only: bool) -> None:
    """Draws each class at its number of photographs, a panel for each metric."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    metrics = OF_PHOTOGRAPHS | ({} if photographs_only else OF_IMAGES)
    columns = 2 if photographs_only else 3
    lines = len(metrics) // columns
    size = (4 * columns, 3.2 * lines)
    figure, axes = pyplot.subplots(lines, columns, figsize=size, squeeze=False)
    for axis, (key, (words, _)) in zip(axes.flat, metrics.items(), strict=True):
        pairs = [(row[COUNT], row[key]) for row in rows if key in row]
        axis.scatter([x for x, _ in pairs], [y for _, y in pairs], s=9, alpha=0.7)
        axis.set_xlabel("photographs of the class")
        axis.set_title(words, fontsize=10)
        axis.grid(alpha=0.3)
    figure.tight_layout()
    with written_aside(path) as aside:
        figure.savefig(aside, dpi=110, format=path.suffix.lstrip(".") or "png")
    pyplot.close(figure)


def main(arguments: list[str] | None = None) -> None:
    """Prints the tables, and writes what was asked for."""
    options = parse_arguments(arguments)
    card, rows = read_classes(options.run, options.card)
    text = report(card, rows, options.photographs)
    say(text)
    if options.page:
        write_between(options.page, text, MARKERS)
        say(f"wrote {options.page}")
    if options.plot:
        draw(rows, options.plot, options.photographs)
        say(f"wrote {options.plot}")


if __name__ == "__main__":
    sys.exit(exit_status(main))
