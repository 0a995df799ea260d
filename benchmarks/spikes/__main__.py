"""Does log damping protect from gradient spikes, and against whom does it lose?

    python -m benchmarks.spikes             all but the GAN: half an hour on one core
    python -m benchmarks.spikes --quick     half a minute: four methods, few rows
    python -m benchmarks.spikes --report    tables and plots of what is there
    python -m benchmarks.spikes --problem gan --workers 2
                                            a small GAN: an hour on two cores

Run it from the repository root; it needs what requirements-bench.txt lists. Every
method gets nine trials for each row of spikes, over learning rate and threshold; the
best by the score on the tuning seeds is trained on other seeds and reported twice: as
tuned without spikes (what users have) and as tuned under these spikes (the best one can
hope for). Loss-scale rows keep the settings tuned at scale 1. A twin without spikes has
the same seed, start and batches.

Each finished cell (problem, method, row) is a JSON line of RESULTS/<problem>.jsonl; a
rerun skips the cells that are there. Nothing guards against infinities here: a trainer
that skips such steps does better than these rows say, whatever its optimizer.

The GAN (gan.py) is this project's own and runs only when asked for, with or without
--quick. Each method gets four tries and is tuned without spikes alone; each training is
a file in cache/spikes, and a rerun does only those that are missing. Unlike the other
problems, it skips iterations whose gradients are not finite.
"""

import argparse
import os
import pathlib

# Before NumPy is imported, and only where the benchmark is run: threads change the last
# bits of what a test computes.
os.environ.setdefault("OMP_NUM_THREADS", "1")  # fastest for small matrices
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")  # the GAN: a core a training
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")

from benchmarks.spikes import report
from benchmarks.spikes.cells import RESULTS, read_cells, run_plan
from benchmarks.spikes.gan import Gan
from benchmarks.spikes.gan_runs import TRAININGS, Trainings
from benchmarks.spikes.plans import Plan, plan_of_gan, plans


def parse_arguments() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.spikes", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--quick", action="store_true", help="few rows, few methods")
    parser.add_argument("--report", action="store_true", help="train nothing")
    parser.add_argument("--problem", help="one problem alone")
    parser.add_argument("--methods", nargs="+", help="these alone, in this order")
    parser.add_argument("--out", type=pathlib.Path, help="folder of the results")
    parser.add_argument("--workers", type=int, default=1, help="gan: cores to use")
    parser.add_argument(
        "--trainings",
        type=pathlib.Path,
        default=TRAININGS,
        help="gan: folder of the trainings",
    )
    return parser.parse_args()


def chosen_plans(arguments: argparse.Namespace, trainings: Trainings) -> list[Plan]:
    """Returns the plans that the command line asks for."""
    if arguments.problem == Gan.name:
        return [plan_of_gan(arguments.quick, trainings)]
    return [
        plan
        for plan in plans(arguments.quick)
        if arguments.problem in (None, plan.problem.name)
    ]


def main() -> None:
    """Runs what is missing, then writes the tables and plots."""
    arguments = parse_arguments()
    folder = arguments.out or (RESULTS / "quick" if arguments.quick else RESULTS)
    folder.mkdir(parents=True, exist_ok=True)
    with Trainings(arguments.trainings, arguments.workers) as trainings:
        for plan in chosen_plans(arguments, trainings):
            run_and_report(plan, arguments, folder)


def run_and_report(
    plan: Plan, arguments: argparse.Namespace, folder: pathlib.Path
) -> None:
    """Runs what is missing of a problem, then writes its tables and plot."""
    by_name = {method.name: method for method in plan.methods}
    names = plan.quick_methods if arguments.quick else by_name
    if not arguments.report:
        run_plan(plan, [by_name[name] for name in arguments.methods or names], folder)
    cells = read_cells(folder / f"{plan.problem.name}.jsonl")
    cells.sort(key=lambda cell: list(by_name).index(cell["method"]))
    if cells:
        report.write(plan.problem.name, cells, folder)


if __name__ == "__main__":
    main()
