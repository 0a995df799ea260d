"""Writes what a long run has given: python -m benchmarks.long_run RUN [--before N].

The grids at round iterations as WebP, the curves, metric cards with their sheets of
nearest photographs, and tables of the metrics, of the spikes and of the sessions,
between two markers of docs/flowers-140k.md; the rest of the page is kept. What it is
written from is kept beside it, in a file a part: a run that began with the weights of
another after N iterations is the next part. Needs matplotlib (requirements-bench.txt).
"""

import argparse
import pathlib
import sys

from benchmarks.long_run.parts import metric_names, part_of, read_parts, write_part
from benchmarks.long_run.pictures import (
    OF_SAMPLES,
    copy_cards,
    draw,
    rows_of_cards,
    show_cards,
    write_grids,
)
from benchmarks.long_run.tables import metric_lines, part_lines, spike_lines
from benchmarks.results_page import check_markers, markers_of, write_between
from commands.exit_status import exit_status
from records.run_folder import RunFolder
from settings.messages import say

MARKERS = markers_of("python -m benchmarks.long_run")


def write(name: str, page: pathlib.Path, before: int = 0) -> None:
    """Writes the pictures beside the page, and the page's part between the markers."""
    check_markers(page, MARKERS)
    run = RunFolder(name)
    part = part_of(run, before)
    folder = page.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    write_part(part, folder)
    parts = read_parts(folder)
    rows = [row for part in parts for row in part.rows]
    names = metric_names(rows)
    cards = copy_cards(run, before, folder)
    begins = [part.before for part in parts[1:]]
    curves = names | {key: key for key in OF_SAMPLES}
    draw([*rows, *rows_of_cards(cards)], curves, begins, folder / "curves.webp")
    spikes = [spike for part in parts for spike in part.spikes]
    events = [(at, text) for part in parts for at, text in part.events]
    lines = [
        *part_lines(parts),
        "",
        *metric_lines(rows, names),
        "",
        f"![curves]({folder.name}/curves.webp)",
        "",
        *spike_lines(spikes, events),
        "",
        *show_cards(cards, folder),
        *write_grids(run, before, folder),
    ]
    write_between(page, "\n".join(lines).rstrip(), MARKERS)
    say(f"wrote {page} and {folder}")


def main() -> int:
    """Reads the command line and returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", metavar="RUN", help="its name")
    parser.add_argument(
        "--before",
        type=int,
        default=0,
        metavar="N",
        help="how many iterations the weights it began with had been trained for",
    )
    parser.add_argument(
        "--page", type=pathlib.Path, default=pathlib.Path("docs/flowers-140k.md")
    )
    options = parser.parse_args()
    return exit_status(lambda: write(options.run, options.page, options.before))


if __name__ == "__main__":
    sys.exit(main())
