"""Trains every setting of a queue with several seeds, and reports on all of them.

    python -m benchmarks.recipes benchmarks/queues/search.yaml --weights WEIGHTS.h5 \
        --set data.data_dir=FOLDER      trains and measures what is missing
    python -m benchmarks.recipes --report
                                        tables and curves in docs/experiments.md

Run it from the repository root; --report needs requirements-bench.txt. queue_file.py
explains the queue. Every setting gets its first seed before any gets its second. Runs
are trained by train.py, one a core at low priority, and measured by evaluate.py at the
marks of the queue, after which they go on; their folders are runs/QUEUE-SETTING-seedN,
what they print is in cache/recipes. Each has a row in benchmarks/results/recipes, bad
ones too.

Ctrl-C, SIGTERM or SIGUSR1 stops after all runs have saved, with train.py's exit status
(130 or 75), and the same command continues. A run that fails does not keep the others
from theirs; it is tried again by the next command, which a diverged one is not. Exit
status: 0 all runs are over, 2 an error that the user can fix, or a failed run.
"""

import argparse
import collections
import concurrent.futures
import dataclasses
import os
import sys
from typing import Any

import filelock

from benchmarks.recipes.children import Children, Stopped
from benchmarks.recipes.plan import Queue, Trial
from benchmarks.recipes.queue_file import read_queue
from benchmarks.recipes.report import write_report
from benchmarks.recipes.rows import FAILED, Results
from benchmarks.recipes.trials import (
    LOGS,
    REPOSITORY,
    Options,
    Runner,
    is_over,
    overrides_of,
)
from commands.exit_status import exit_status, path_of
from metrics.networks import FEATURE_NETWORKS
from records.longer_average import with_average
from records.weights import SUFFIX, read_weights, weights_path
from settings.config import Config
from settings.config_file import load_config
from settings.continuing import FREE_KEYS
from settings.messages import Problem, say

RESULTS = REPOSITORY / "benchmarks/results/recipes"
PAGE = REPOSITORY / "docs/experiments.md"
# All else changes results and belongs in the queue file, where the rows record it.
PLACES = ("data.cache_dir", "data.data_dir", "data.path")
NICENESS = 10


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.recipes", description=__doc__.splitlines()[0]
    )
    parser.add_argument("queue", nargs="?", type=path_of, help="a queue file")
    parser.add_argument("--report", action="store_true", help="train nothing")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="places",
        help=f"where the data are: {', '.join(PLACES)}; may be repeated",
    )
    parser.add_argument(
        "--weights", type=path_of, metavar="FILE", help="of the extractor"
    )
    parser.add_argument(
        "--jobs", type=int, help="runs side by side (default: one a core)"
    )
    parser.add_argument("--results", type=path_of, default=RESULTS, metavar="FOLDER")
    parser.add_argument("--page", type=path_of, default=PAGE, metavar="FILE")
    options = parser.parse_args(arguments)
    if options.report == (options.queue is not None):
        parser.error("expected a queue file, or --report")
    return options


def check(queue: Queue, arguments: argparse.Namespace, num_cores: int) -> Queue:
    """Finds every mistake that can be found before anything runs.

    Returns:
        The queue with the recipes of its settings, and what they start from.

    Raises:
        Problem: Lists them.
    """
    mistakes = [
        f"--set {one}\n  expected: KEY=VALUE with one of {', '.join(PLACES)}; other "
        "keys belong in the queue"
        for one in arguments.places
        if one.partition("=")[0] not in PLACES or "=" not in one
    ]
    if arguments.jobs is not None and not 1 <= arguments.jobs <= num_cores:
        mistakes.append(
            f"--jobs {arguments.jobs}\n  expected: 1 to {num_cores}, as many as cores"
        )
    weights = arguments.weights
    names = {setting.extractor for setting in queue.settings}
    if weights is not None and not weights.is_file():
        mistakes.append(f"--weights {weights}: no such file")
    if weights is None and any(FEATURE_NETWORKS[one].needs_weights for one in names):
        mistakes.append("--weights\n  expected: the path of the extractor's weights")
    places = () if mistakes else tuple(arguments.places)
    settings = {setting.name: setting for setting in queue.settings}
    seen = set()
    for trial in queue.trials():
        name = trial.setting.name
        try:
            config = load_config(trial.setting.config, overrides_of(trial, places))
            start = start_of(trial.setting.parent)
        except Problem as problem:
            if name not in seen:  # not for each of its seeds
                mistakes.append(f"setting {name}: {problem}")
            seen.add(name)
        else:
            settings[name] = dataclasses.replace(
                trial.setting, recipe=recipe_of(config), start=start
            )
    if mistakes:
        raise Problem("\n".join(mistakes))
    return dataclasses.replace(queue, settings=tuple(settings.values()))


def start_of(parent: str) -> str:
    """Returns in words which weights a weights file has; "" if there is none.

    Raises:
        Problem: If it cannot be read or is damaged.
    """
    if not parent:
        return ""
    path = weights_path(parent)
    if path is None:
        raise Problem(f"{parent}: no weights file\n  expected: a name with {SUFFIX}")
    weights = read_weights(path)
    words = f"{weights.run} at {weights.iteration:,} iterations"
    return (
        f"{with_average(words, weights.average)}, "
        f"SHA-256 {weights.checkpoint_sha256[:12]}"
    )


def recipe_of(config: Config) -> dict[str, Any]:
    """Returns what a config sets to train otherwise than by default, by section."""
    sections = config.model_dump(mode="json", exclude_defaults=True, exclude={"run"})
    kept = {
        section: {k: v for k, v in keys.items() if k not in FREE_KEYS.get(section, ())}
        for section, keys in sections.items()
    }
    return {section: keys for section, keys in kept.items() if keys}


def run_queue(arguments: argparse.Namespace) -> int:
    """Carries out what is missing of a queue; returns the exit status."""
    queue = read_queue(arguments.queue)
    cores = sorted(os.sched_getaffinity(0))
    queue = check(queue, arguments, len(cores))
    lock = filelock.FileLock(LOGS / f".{queue.name}.lock")
    LOGS.mkdir(parents=True, exist_ok=True)
    try:
        held = lock.acquire(timeout=0)
    except filelock.Timeout:
        raise Problem(f"{arguments.queue}: another process runs this queue") from None
    with held:
        return run_missing(queue, arguments, cores)


def run_missing(queue: Queue, arguments: argparse.Namespace, cores: list[int]) -> int:
    """Carries out the runs that are not over; returns the exit status.

    Raises:
        Problem: If a run failed.
    """
    trials = queue.trials()
    results = Results(arguments.results / f"{queue.name}.jsonl", trials)
    results.finish([one for one in trials if is_over(one, results.row_of(one))])
    left = [one for one in trials if not is_over(one, results.row_of(one))]
    say(f"{queue.name}: {len(left)} of {len(trials)} runs to do")
    children = Children()
    children.install()
    options = Options(tuple(arguments.places), arguments.weights)
    runner = Runner(children, results, options)
    work_through(left, runner, cores, arguments.jobs or len(cores))
    if children.status is not None:
        say("stopped; the same command continues")
        return children.status
    failed = [one.name for one in trials if results.row_of(one)["state"] == FAILED]
    if failed:
        raise Problem(f"failed: {', '.join(failed)}\n  the same command tries again")
    return 0


def work_through(
    trials: list[Trial], runner: Runner, cores: list[int], jobs: int
) -> None:
    """Carries out runs, `jobs` side by side, each with its share of the cores."""
    left = collections.deque(trials)

    def work(own_cores: list[int]) -> None:
        os.sched_setaffinity(0, own_cores)  # of this thread and its child processes
        while True:
            try:
                trial = left.popleft()
            except IndexError:
                return
            try:
                runner.carry_out(trial)
            except Stopped:
                return

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        shares = [cores[first::jobs] for first in range(jobs)]
        for done in [pool.submit(work, share) for share in shares]:
            done.result()


def main(arguments: list[str] | None = None) -> int:
    """Runs the command and returns its exit status."""
    options = parse_arguments(arguments)
    if options.report:
        return exit_status(lambda: write_report(options.results, options.page))
    return exit_status(lambda: run_queue(options))


if __name__ == "__main__":
    os.nice(NICENESS)
    sys.exit(main())
