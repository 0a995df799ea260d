"""Shows what the queue `few` gave: python -m benchmarks.few_photographs.

Writes the kernel distances of its rows into docs/few-photographs.md, between two
markers, and for each species pictures beside the page: 16 photographs, and the first
16 samples of a run that began anew and of one that began with the weights of all
flowers; and 16 photographs with those of a run that began with later weights. A picture
whose run is gone stays as it is.
"""

import argparse
import pathlib
import statistics
import sys

from PIL import Image

from benchmarks.recipes.__main__ import RESULTS
from benchmarks.recipes.plan import Mark, Queue
from benchmarks.recipes.queue_file import read_queue
from benchmarks.recipes.report import number, values_at
from benchmarks.recipes.rows import DIVERGED, FINISHED, Row, key_of, read_rows
from benchmarks.recipes.trials import REPOSITORY
from benchmarks.results_page import markers_of, write_between
from commands.exit_status import exit_status
from files.atomic import written_aside
from files.counted import counted
from records.run_folder import RunFolder
from settings.messages import Problem, say

MARKERS = markers_of("python -m benchmarks.few_photographs")
PAGE = REPOSITORY / "docs/few-photographs.md"
QUEUE = REPOSITORY / "benchmarks/queues/few.yaml"
ANEW = "anew"
STARTS = {  # what the settings' names end with, and the columns of the tables
    ANEW: "anew",
    "from-flowers": "from weights of 15,000",
    "from-75000": "from weights of 75,000",
}
PICTURES = {  # what the names of the files end with, and what is shown
    "": (ANEW, "from-flowers"),
    "-75000": ("from-75000",),
}
REALS = "reals.png"
COLUMNS = 8  # of a grid
SIDE = 4  # of them, and of its rows, are shown
GAP = 12  # pixels between the parts
SEED = 0  # of the runs that are shown
QUALITY = 85


def species_of(queue: Queue) -> dict[str, str]:
    """Returns the settings' first words, and where their photographs lie."""
    return {
        one.name.removesuffix(f"-{ANEW}"): one.overrides["data.path"]
        for one in queue.settings
        if one.name.endswith(f"-{ANEW}")
    }


def finished_rows(queue: Queue, path: pathlib.Path) -> list[Row]:
    """Returns the rows of a queue's runs.

    Raises:
        Problem: If a run is not over.
    """
    rows = {key_of(row): row for row in read_rows(path)}
    wanted = [(trial.setting.name, trial.seed) for trial in queue.trials()]
    states = [rows[key]["state"] if key in rows else None for key in wanted]
    num_over = sum(state in (FINISHED, DIVERGED) for state in states)
    if num_over < len(wanted):
        raise Problem(
            f"{path}: {num_over} of {len(wanted)} runs are over\n"
            "  what to do: python -m benchmarks.recipes benchmarks/queues/few.yaml"
        )
    return [rows[key] for key in wanted]


def iterations_of(queue: Queue, name: str) -> dict[str, list[int]]:
    """Returns after what a species' runs are measured, by what they begin with."""
    marks = {setting.name: setting.marks for setting in queue.settings}
    names = {start: f"{name}-{start}" for start in STARTS}
    return {
        start: sorted(int(mark.amount) for mark in marks[one])
        for start, one in names.items()
        if one in marks
    }


def table(rows: list[Row], name: str, iterations: dict[str, list[int]]) -> list[str]:
    """Returns the kernel distances of a species, by iteration and seed."""
    own = {
        start: [row for row in rows if row["setting"] == f"{name}-{start}"]
        for start in iterations
    }
    titles = ["after", *(STARTS[start] for start in iterations), "medians"]
    lines = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    for at in sorted(set().union(*iterations.values())):
        mark = str(Mark("iterations", at))
        found = [values_at(own[start], mark, "kd") for start in iterations]
        medians = [number(statistics.median(kds), 2) if kds else "-" for kds in found]
        cells = [
            counted(at, "iteration"),
            *(", ".join(number(kd, 2) for kd in kds) or "-" for kds in found),
            " against ".join(medians),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def write_picture(runs: list[RunFolder], iteration: int, path: pathlib.Path) -> bool:
    """Writes photographs and samples of runs, side by side, unless they are gone.

    Returns whether there is a picture then, of this time or of an earlier one.
    """
    grid = f"grid-{iteration:07d}.png"
    sources = [runs[0].samples / REALS, *(run.samples / grid for run in runs)]
    if not all(source.exists() for source in sources):
        say(f"warning: {path} is left as it is: its grids are gone")
        return path.exists()
    parts = [Image.open(source) for source in sources]
    side = parts[0].width * SIDE // COLUMNS
    width = len(parts) * (side + GAP) - GAP
    shown = Image.new("RGB", (width, side), "white")
    for place, part in enumerate(parts):
        shown.paste(part.crop((0, 0, side, side)), (place * (side + GAP), 0))
    with written_aside(path) as aside:
        shown.save(aside, "WEBP", quality=QUALITY)
    say(f"wrote {path}")
    return True


def write_report(page: pathlib.Path, queue: Queue, rows: list[Row]) -> None:
    """Writes the tables into a page, and the pictures beside it.

    Raises:
        Problem: If the page has no place for them.
    """
    lines = []
    for name, photographs in species_of(queue).items():
        iterations = iterations_of(queue, name)
        species = pathlib.Path(photographs).name
        lines += [f"### {species}", "", *table(rows, name, iterations), ""]
        for ending, starts in PICTURES.items():
            shown = [start for start in starts if start in iterations]
            runs = [
                RunFolder(f"{QUEUE.stem}-{name}-{start}-seed{SEED}") for start in shown
            ]
            path = page.with_name(f"{page.stem}-{name}{ending}.webp")
            end = max(iterations[ANEW])
            if runs and write_picture(runs, end, path):
                told = ", ".join(STARTS[start] for start in shown)
                words = f"photographs; samples after {end:,} iterations: {told}"
                lines += [f"![{species}: {words}]({path.name})", ""]
    write_between(page, "\n".join(lines).rstrip(), MARKERS)
    say(f"wrote {page}")


def main() -> int:
    """Reads the command line and returns the exit status."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()

    def report() -> None:
        queue = read_queue(QUEUE)
        rows = finished_rows(queue, RESULTS / f"{queue.name}.jsonl")
        write_report(PAGE, queue, rows)

    return exit_status(report)


if __name__ == "__main__":
    sys.exit(main())
