"""Carries out one run of a queue: trains to a mark, measures, trains on."""

import dataclasses
import json
import pathlib
import subprocess
import sys
from typing import Any

from benchmarks.recipes.children import Children
from benchmarks.recipes.plan import Mark, Trial
from benchmarks.recipes.rows import DIVERGED, FAILED, FINISHED, UNFINISHED, Results, Row
from metrics.networks import FEATURE_NETWORKS
from records.rows import EVENTS, ROLLBACKS, SPIKES
from records.rows import read_rows as read_records
from records.run_folder import RunFolder
from records.sessions import read_sessions
from settings.messages import Problem, say

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
LOGS = pathlib.Path("cache/recipes")
BURST_ITERATIONS = 100  # spikes closer than this are one burst
ENDLESS = 1_000_000_000  # iterations, of a run that ends by minutes
LATE_MINUTES = 1.0  # a run this far past a mark cannot be measured for it any more
SECONDS_PER_MINUTE = 60
STATUS_DIVERGED = 3  # of train.py


@dataclasses.dataclass(frozen=True)
class Options:
    """What all runs have in common, and no row names.

    Attributes:
        places: Overrides that say where things are, KEY=VALUE.
        weights: File of the extractor's weights, or None.
    """

    places: tuple[str, ...]
    weights: pathlib.Path | None


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far a run has come: iterations saved, and minutes of training."""

    iterations: int
    minutes: float


def overrides_of(trial: Trial, places: tuple[str, ...]) -> list[str]:
    """Returns all overrides of a run but for its length, KEY=VALUE."""
    own = [f"{key}={text}" for key, text in trial.setting.overrides.items()]
    return [*own, *places, f"run.name={trial.name}", f"run.seed={trial.seed}"]


def progress_of(run: RunFolder) -> Progress:
    """Returns how far a run has come; its folder may be missing."""
    seconds = sum(one["seconds"] for one in read_sessions(run.sessions))
    return Progress(max(run.iterations(), default=0), seconds / SECONDS_PER_MINUTE)


def observed(run: RunFolder) -> Row:
    """Returns what a run's files say of it, for its row.

    Spikes before a rollback count too; the run's folder keeps them aside.
    """
    progress, sessions = progress_of(run), read_sessions(run.sessions)
    paths = [run.root / SPIKES, *run.root.glob(f"rolled-back-*/{SPIKES}")]
    rows = [row for path in paths for row in read_records(path)]
    rows = [row for row in rows if "largest_finite" in row]  # not a recovery
    spikes = {(r["iteration"], r["network"], r["largest_finite"]) for r in rows}
    return {
        "iterations": progress.iterations,
        "minutes": round(progress.minutes, 1),
        "spikes": len(spikes),
        "bursts": num_bursts([spike[0] for spike in spikes]),
        "largest_gradient": max((spike[2] for spike in spikes), default=None),
        "rollbacks": sum(ROLLBACKS in row for row in read_records(run.root / EVENTS)),
        "machines": list(dict.fromkeys(one["device"] for one in sessions)),
    }


def num_bursts(iterations: list[int]) -> int:
    """Counts the bursts: spikes less than BURST_ITERATIONS apart are one."""
    ordered = sorted(iterations)
    gaps = [later - one for one, later in zip(ordered, ordered[1:], strict=False)]
    return bool(ordered) + sum(gap >= BURST_ITERATIONS for gap in gaps)


def code_version() -> str:
    """Returns the git commit of the code, with a + if files of it have changed."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(REPOSITORY), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        changed = git(
            *("status", "--porcelain", "--untracked-files=no", "--"),
            *(".", ":!benchmarks/results", ":!docs"),
        )
        return git("rev-parse", "--short", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


class Runner:
    """Carries out runs, one after the other."""

    def __init__(self, children: Children, results: Results, options: Options) -> None:
        self._children = children
        self._results = results
        self._options = options

    def carry_out(self, trial: Trial) -> None:
        """Trains and measures a run from where it is to its end; keeps its row.

        A run that fails or diverges has that in its row, and nothing is raised.

        Raises:
            Stopped: If a signal came; the row has what was done.
        """
        row = self._results.row_of(trial)
        row |= {"state": UNFINISHED, "note": ""}
        try:
            row["state"] = self._to_the_end(trial, row)
        except (Problem, OSError, ValueError, KeyError) as error:
            say(f"warning: {trial.name}: {error}")
            # Not the message: it may name folders of this machine.
            row |= {"state": FAILED, "note": f"{type(error).__name__}, see its log"}
        finally:
            self._results.update(row)
        say(f"{trial.name}: {row['state']}{row['note'] and ', ' + row['note']}")

    def _to_the_end(self, trial: Trial, row: Row) -> str:
        """Trains and measures until no mark is missing; returns the final state."""
        run = RunFolder(trial.name)
        while missing := missing_marks(trial, row):
            progress = progress_of(run)
            reached = [mark for mark in missing if is_reached(mark, progress)]
            for mark in reached:
                row["scores"].append(self._score(trial, mark, progress))
                self._results.update(row)
            if reached:
                continue
            status = self._train(trial, missing, progress, row)
            if status == STATUS_DIVERGED:
                row["note"] = "status 3 of train.py"
                return DIVERGED
            if status:
                raise Problem(f"train.py ended with status {status}: {log_of(trial)}")
            if progress_of(run) == progress:
                raise Problem(f"train.py did nothing: {log_of(trial)}")
        return FINISHED

    def _train(
        self, trial: Trial, missing: list[Mark], progress: Progress, row: Row
    ) -> int:
        """Trains to the next mark; returns the exit status of train.py."""
        code = row.get("commits", [])
        row["commits"] = list(dict.fromkeys([*code, code_version()]))
        overrides = overrides_of(trial, self._options.places)
        overrides += length_to(missing, progress)
        script = str(REPOSITORY / "train.py")
        command = [sys.executable, script, "--config", trial.setting.config]
        command += [part for one in overrides for part in ("--set", one)]
        if trial.setting.parent:
            command += ["--from", trial.setting.parent]
        say(f"{trial.name}: training on from {progress.iterations}")
        try:
            return self._children.run(command, log_of(trial))
        finally:
            run = RunFolder(trial.name)
            if run.root.exists():  # else the row keeps what an older one was like
                row |= observed(run)

    def _score(self, trial: Trial, mark: Mark, progress: Progress) -> dict[str, Any]:
        """Measures a run for a mark that it has reached.

        Returns:
            For the row; without numbers if the checkpoint of then is gone.
        """
        setting, iteration = trial.setting, iteration_of(mark, progress)
        score: dict[str, Any] = {"mark": str(mark)}
        if iteration not in RunFolder(trial.name).iterations():
            say(f"warning: {trial.name}: no checkpoint any more of {mark}")
            return score | {"missed": True}
        metrics = self._card(trial, iteration)["metrics"]
        network = FEATURE_NETWORKS[setting.extractor]
        score |= {
            "iterations": iteration,
            "kd": metrics[network.kernel],
            "fd": metrics[network.frechet],
        }
        if iteration == progress.iterations:  # else nobody knows when that was
            score["minutes"] = round(progress.minutes, 1)
        say(f"{trial.name} at {mark}: kd {score['kd']:.4g}, fd {score['fd']:.4g}")
        return score

    def _card(self, trial: Trial, iteration: int) -> dict[str, Any]:
        """Returns the metric card of a checkpoint, made by evaluate.py if missing.

        Raises:
            Problem: If it cannot be made.
        """
        setting, run = trial.setting, RunFolder(trial.name)
        stem = f"card-{iteration:07d}-{setting.extractor}-{setting.num_images}"
        path = run.samples / f"{stem}.json"
        if not path.exists():
            script = str(REPOSITORY / "evaluate.py")
            command = [sys.executable, script, run.name]
            command += ["--checkpoint", str(iteration)]
            command += ["--extractor", setting.extractor]
            command += ["--num_images", str(setting.num_images)]
            if self._options.weights is not None:
                command += ["--weights", str(self._options.weights)]
            status = self._children.run(command, log_of(trial))
            if status:
                raise Problem(
                    f"evaluate.py ended with status {status}: {log_of(trial)}"
                )
        card: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return card


def is_over(trial: Trial, row: Row) -> bool:
    """Tells whether nothing is left to do for a run."""
    return row["state"] == DIVERGED or not missing_marks(trial, row)


def log_of(trial: Trial) -> pathlib.Path:
    """Returns the path of what the commands of a run print."""
    return LOGS / f"{trial.name}.log"


def missing_marks(trial: Trial, row: Row) -> list[Mark]:
    """Returns the marks of a run that its row has no score of."""
    scored = {score["mark"] for score in row["scores"]}
    return [mark for mark in trial.setting.marks if str(mark) not in scored]


def is_reached(mark: Mark, progress: Progress) -> bool:
    """Tells whether a run has come to a mark or past it."""
    return getattr(progress, mark.unit) >= mark.amount


def iteration_of(mark: Mark, progress: Progress) -> int | None:
    """Returns the iteration to measure for a reached mark; None if it is too late."""
    if mark.unit == "iterations":
        return int(mark.amount)
    is_late = progress.minutes > mark.amount + LATE_MINUTES
    return None if is_late else progress.iterations


def length_to(missing: list[Mark], progress: Progress) -> list[str]:
    """Returns the overrides with which train.py ends at the next of some marks."""
    iterations = [int(m.amount) for m in missing if m.unit == "iterations"]
    minutes = [m.amount - progress.minutes for m in missing if m.unit == "minutes"]
    return [
        f"training.total_iterations={min(iterations, default=ENDLESS)}",
        f"training.max_minutes={min(minutes, default='null')}",
    ]
