"""Does log damping protect from gradient spikes, and against whom does it lose?

    python -m benchmarks.spikes             all but the GAN: half an hour on one core
    python -m benchmarks.spikes --quick     a minute or two: four methods, few rows
    python -m benchmarks.spikes --report    tables and plots of what is there
    python -m benchmarks.spikes --problem gan --workers 2
                                            a small GAN: an hour on two cores

Needs what requirements-bench.txt lists. Every method gets nine trials for each row of
spikes, over learning rate and threshold; the best by the score on the tuning seeds is
trained on other seeds and reported twice: as tuned without spikes (what users have) and
as tuned under these spikes (the best one can hope for). Loss-scale rows keep the
settings tuned at scale 1. A twin without spikes has the same seed, start and batches.

One JSON line a finished cell (problem, method, row) goes to RESULTS/<problem>.jsonl; a
rerun skips the cells that are there. Nothing guards against infinities here: a trainer
that skips such steps does better than these rows say, whatever its optimizer.

The GAN (gan.py) is this project's own and is done only when asked for, with
--quick or without. Each method gets four tries and is tuned without spikes alone; each
training is a file in cache/spikes, and a rerun does those that are missing. It does
skip iterations whose gradients are not finite.
"""

import argparse
import collections
import dataclasses
import json
import math
import os
import pathlib
import time
from collections.abc import Callable

if __name__ == "__main__":  # not where a test imports it: threads change last bits
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # fastest for small matrices
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")  # the GAN: a core a training
    os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
REPOSITORY = pathlib.Path(__file__).resolve().parents[2]

import numpy as np  # noqa: E402

from benchmarks.spikes import report  # noqa: E402
from benchmarks.spikes.digits import Digits  # noqa: E402
from benchmarks.spikes.gan import GAN_ROWS, Gan, Trainings  # noqa: E402
from benchmarks.spikes.gan_methods import GAN_METHODS, QUICK_GAN_METHODS  # noqa: E402
from benchmarks.spikes.methods import METHODS, Method  # noqa: E402
from benchmarks.spikes.problems import (  # noqa: E402
    Cliff,
    RareGradients,
    SkewedTargets,
)
from benchmarks.spikes.rows import (  # noqa: E402
    SIX_SPIKES,
    Row,
    at_scales,
    crossing,
)
from benchmarks.spikes.runs import Run, against_twin, train  # noqa: E402

RESULTS = REPOSITORY / "benchmarks/results/spikes"
TRAININGS = REPOSITORY / "cache/spikes"
QUICK_METHODS = ("Adam .999", "Adam global_clipnorm", "LogAdam 1", "LogAdam adaptive")
TUNING_SEEDS_FROM = 1000  # far from those that are reported, which begin at 0


@dataclasses.dataclass(frozen=True)
class Plan:
    """A problem with its rows, and how many seeds tune and how many are reported.

    `tunings` says without what and under what a method is tuned.
    """

    problem: object
    rows: tuple[Row, ...]
    num_tuning_seeds: int
    num_seeds: int
    methods: tuple = METHODS
    quick_methods: tuple[str, ...] = QUICK_METHODS
    train: Callable = train
    tunings: tuple[str, ...] = ("clean", "spikes")


def plans(quick: bool) -> list[Plan]:
    """Returns what is to be done, the cheap problems first."""
    one_weight = ("aligned", "random")  # the others are the same for a single weight
    six = [Row(), *SIX_SPIKES, *at_scales([Row(), Row("aligned", 1e4, "1 %")])]
    if quick:
        rows, seeds = [Row(), Row("aligned", 1e4, "1 %")], (2, 5)
        rows = rows + at_scales(rows, (100.0,))
        crossed = single_weight = six = rows
    else:
        seeds, crossed, single_weight = (5, 10), crossing(), crossing(one_weight)
    return [
        Plan(RareGradients, tuple(single_weight), *seeds),
        Plan(SkewedTargets, tuple(single_weight), *seeds),
        Plan(Digits, tuple(six), *((2, 5) if quick else (3, 8))),
        Plan(Cliff, tuple(crossed), *seeds),
    ]


def whole_gan() -> Gan:
    """Returns the GAN at its full length."""
    return Gan(cache_dir=str(REPOSITORY / "cache"))


def plan_of_gan(arguments: argparse.Namespace) -> Plan:
    """Returns what is to be done of the GAN."""
    trainings = Trainings(arguments.trainings, arguments.workers)
    problem, rows, num_seeds = whole_gan(), GAN_ROWS, 5
    if arguments.quick:
        smaller = {"num_steps": 80, "num_images": 1024, "num_scored": 256}
        problem = dataclasses.replace(problem, **smaller)
        rows, num_seeds = GAN_ROWS[:2], 2
    methods = GAN_METHODS, QUICK_GAN_METHODS
    return Plan(problem, rows, 1, num_seeds, *methods, trainings, ("clean",))


def tuned_settings(plan: Plan, method: Method, rows: list[Row]) -> dict[Row, tuple]:
    """Returns the best (learning rate, threshold) of each row of loss scale 1."""
    seeds = range(TUNING_SEEDS_FROM, TUNING_SEEDS_FROM + plan.num_tuning_seeds)
    settings = method.settings(plan.problem)
    runs = [
        Run(row, s, *setting) for row in rows for setting in settings for s in seeds
    ]
    curves = dict(zip(runs, plan.train(plan.problem, method, runs), strict=True))

    def mean_score(row: Row, setting: tuple) -> float:
        scores = [curves[Run(row, s, *setting)].measures["score"] for s in seeds]
        return float(np.mean([bounded(x, plan.problem.worst_score) for x in scores]))

    return {row: min(settings, key=lambda s: mean_score(row, s)) for row in rows}


def bounded(score: float, worst: float) -> float:
    """Returns the score, or the worst where training went beyond it or to NaN."""
    return min(score, worst) if math.isfinite(score) else worst


def report_cells(plan: Plan, method: Method, rows: list[Row]) -> list[dict]:
    """Tunes a method on rows of one problem and returns their finished cells."""
    started = time.perf_counter()
    unscaled = {row: dataclasses.replace(row, scale=1.0) for row in rows}
    tuned_on = {
        (row, how): Row() if how == "clean" else unscaled[row]
        for row in rows
        for how in plan.tunings
    }
    tuned = tuned_settings(plan, method, list(dict.fromkeys(tuned_on.values())))
    runs_of = {
        cell: [Run(cell[0], seed, *tuned[row]) for seed in range(plan.num_seeds)]
        for cell, row in tuned_on.items()
    }
    runs = [run for side in runs_of.values() for run in side]
    runs = list(dict.fromkeys([*runs, *(run.twin for run in runs)]))
    curves = dict(zip(runs, plan.train(plan.problem, method, runs), strict=True))
    cells = []
    for row in rows:
        cell = {"problem": plan.problem.name, "method": method.name, "row": row.name}
        cell |= dataclasses.asdict(row)
        for how in plan.tunings:
            cell[how] = summary(runs_of[row, how], curves, plan.problem.worst_score)
        cells.append(cell)
    seconds = time.perf_counter() - started
    return [{**cell, "seconds": rounded(seconds / len(rows))} for cell in cells]


def summary(runs: list[Run], curves: dict, worst_score: float) -> dict:
    """Returns settings, scores of all seeds, medians of the rest, share diverged.

    twin_scores are those of the twins: the same settings and seeds, no spikes.
    """
    scores = [curves[run].measures["score"] for run in runs]
    twins = [curves[run.twin].measures["score"] for run in runs]
    others = collections.defaultdict(list)
    for run in runs:
        measures = curves[run].measures | against_twin(run, curves)
        measures["twin_score"] = curves[run.twin].measures["score"]
        for name, value in measures.items():
            others[name].append(value if math.isfinite(value) else math.inf)
    del others["score"]
    return {
        "learning_rate": rounded(runs[0].learning_rate),
        "threshold": rounded(runs[0].threshold),
        "scores": [rounded(bounded(score, worst_score)) for score in scores],
        "twin_scores": [rounded(bounded(score, worst_score)) for score in twins],
        "diverged": float(np.mean([not score <= worst_score for score in scores])),
        **{name: rounded(float(np.median(values))) for name, values in others.items()},
    }


def rounded(value: float) -> float | None:
    """Returns four significant digits; None if not finite, since JSON has no inf."""
    return float(f"{value:.4g}") if math.isfinite(value) else None


def read_cells(path: pathlib.Path) -> list[dict]:
    """Returns the finished cells; a last line that was cut off is left out."""
    if not path.exists():
        return []
    lines = path.read_text().split("\n")
    return [json.loads(line) for line in lines[:-1]]


def write_cells(path: pathlib.Path, cells: list[dict]) -> None:
    """Adds cells to those of the file, replacing it at once."""
    text = "".join(
        json.dumps({**cell, "size": rounded(cell["size"])}) + "\n" for cell in cells
    )
    aside = path.with_suffix(".partial")
    done = "".join(json.dumps(cell) + "\n" for cell in read_cells(path))
    aside.write_text(done + text)
    aside.replace(path)


def run_plan(plan: Plan, methods: list[Method], folder: pathlib.Path) -> None:
    """Does the cells of a problem that are not there yet, method by method."""
    path = folder / f"{plan.problem.name}.jsonl"
    done = {(cell["method"], cell["row"]) for cell in read_cells(path)}
    for method in methods:
        rows = [row for row in plan.rows if (method.name, row.name) not in done]
        if not rows:
            continue
        cells = report_cells(plan, method, rows)
        write_cells(path, cells)
        seconds = sum(cell["seconds"] for cell in cells)
        label = f"{plan.problem.name:15} {method.name:22}"
        print(f"{label} {len(rows):4} rows {seconds:7.1f} s", flush=True)


def arguments_of_command() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
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
        help="gan: folder of what is trained",
    )
    return parser.parse_args()


def main() -> None:
    """Runs what is missing, then writes the tables and plots."""
    arguments = arguments_of_command()
    quick = arguments.quick
    folder = arguments.out or (RESULTS / "quick" if quick else RESULTS)
    folder.mkdir(parents=True, exist_ok=True)
    if arguments.problem == Gan.name:
        chosen = [plan_of_gan(arguments)]
    else:
        chosen = [
            plan
            for plan in plans(quick)
            if arguments.problem in (None, plan.problem.name)
        ]
    for plan in chosen:
        by_name = {method.name: method for method in plan.methods}
        names = arguments.methods or (plan.quick_methods if quick else by_name)
        if not arguments.report:
            run_plan(plan, [by_name[name] for name in names], folder)
        cells = read_cells(folder / f"{plan.problem.name}.jsonl")
        cells.sort(key=lambda cell: list(by_name).index(cell["method"]))
        if cells:
            report.write(plan.problem.name, cells, folder)


if __name__ == "__main__":
    main()
