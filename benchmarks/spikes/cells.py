"""Tunes a method, trains it as tuned, and keeps a JSON line for each finished cell.

A cell is a method on a row of one problem. Its line says with which settings the method
was trained, the scores of all seeds and of their twins, and medians of the rest.
"""

import collections
import dataclasses
import json
import math
import pathlib
import time

import numpy as np

from benchmarks.spikes.methods import Method
from benchmarks.spikes.plans import Plan
from benchmarks.spikes.rows import Row
from benchmarks.spikes.runs import Curves, Run, against_twin
from files.atomic import write_text

RESULTS = pathlib.Path(__file__).resolve().parents[1] / "results/spikes"
TUNING_SEEDS_FROM = 1000  # far from those that are reported, which begin at 0


def tuned_settings(plan: Plan, method: Method, rows: list[Row]) -> dict[Row, tuple]:
    """Returns the best (learning rate, threshold) of each row of loss scale 1."""
    seeds = range(TUNING_SEEDS_FROM, TUNING_SEEDS_FROM + plan.num_tuning_seeds)
    settings = method.settings(plan.problem)
    runs = [
        Run(row, s, *setting) for row in rows for setting in settings for s in seeds
    ]
    curves = dict(zip(runs, plan.train(plan.problem, method, runs), strict=True))

    def mean_score(row: Row, setting: tuple) -> float:
        return float(np.mean([score_of(curves[Run(row, s, *setting)]) for s in seeds]))

    return {row: min(settings, key=lambda s: mean_score(row, s)) for row in rows}


def score_of(curves: Curves) -> float:
    """Returns the score, or the worst where training went beyond it or to NaN."""
    return curves.worst_score if has_diverged(curves) else curves.measures["score"]


def has_diverged(curves: Curves) -> bool:
    """Tells whether a run ended above the worst score or at NaN."""
    return not curves.measures["score"] <= curves.worst_score


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
            cell[how] = summary(runs_of[row, how], curves)
        cells.append(cell)
    seconds = time.perf_counter() - started
    return [{**cell, "seconds": rounded(seconds / len(rows))} for cell in cells]


def summary(runs: list[Run], curves: dict[Run, Curves]) -> dict:
    """Returns settings, scores of all seeds, medians of the rest, share diverged.

    twin_scores are those of the twins: the same settings and seeds, no spikes.
    """
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
        "scores": [rounded(score_of(curves[run])) for run in runs],
        "twin_scores": [rounded(score_of(curves[run.twin])) for run in runs],
        "diverged": float(np.mean([has_diverged(curves[run]) for run in runs])),
        **{name: rounded(float(np.median(values))) for name, values in others.items()},
    }


def rounded(value: float) -> float | None:
    """Returns four significant digits; None if not finite, since JSON has no inf."""
    return float(f"{value:.4g}") if math.isfinite(value) else None


def read_cells(path: pathlib.Path) -> list[dict]:
    """Returns the finished cells, without a last line that was cut off."""
    if not path.exists():
        return []
    lines = path.read_text().split("\n")
    return [json.loads(line) for line in lines[:-1]]


def write_cells(path: pathlib.Path, cells: list[dict]) -> None:
    """Adds cells to a file, which is replaced in one step."""
    text = "".join(
        json.dumps({**cell, "size": rounded(cell["size"])}) + "\n" for cell in cells
    )
    done = "".join(json.dumps(cell) + "\n" for cell in read_cells(path))
    write_text(path, done + text)


def run_plan(plan: Plan, methods: list[Method], folder: pathlib.Path) -> None:
    """Runs the missing cells of a problem, method by method."""
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
