"""Runs trainings of the spike benchmark's GAN: in processes, each kept in a file.

A rerun does only what is missing. TensorFlow is imported where something is trained, in
the processes, and not at all where everything is there.
"""

import concurrent.futures
import contextlib
import hashlib
import itertools
import json
import multiprocessing
import pathlib
import re
import time
from collections.abc import Callable, Iterator

import numpy as np

from benchmarks.spikes.gan import CACHE, Gan
from benchmarks.spikes.gan_methods import GanMethod
from benchmarks.spikes.runs import Curves, Run
from commands.quiet import import_tensorflow
from files.atomic import written_aside

TRAININGS = CACHE / "spikes"


class Trainings(contextlib.AbstractContextManager):
    """Trains what is missing in processes of one core each, and keeps it in files.

    Called as `runs.train` is. Several of these may share a folder: a training is
    written aside and moved into place, and two of one name are the same.
    """

    def __init__(self, folder: pathlib.Path, num_workers: int = 1):
        """Takes the folder of the files, and how many trainings run at a time."""
        self.folder = folder
        self.num_workers = num_workers
        self._pool = None

    def __exit__(self, *exception: object) -> None:
        """Ends the processes; what they have not begun is left for the next time."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def __call__(self, problem: Gan, method: GanMethod, runs: list[Run]) -> list:
        """Returns the Curves of the runs, in their order."""
        self.folder.mkdir(parents=True, exist_ok=True)
        paths = {run: self.path(problem, method, run) for run in runs}
        # Runs of one threshold share a compiled step.
        missing = sorted(
            (run for run in paths if not paths[run].exists()),
            key=lambda run: run.threshold,
        )
        jobs = [(problem, method, run, paths[run]) for run in missing]
        for run, seconds in zip(missing, self._map(train_to_file, jobs), strict=True):
            score = read_training(paths[run]).measures["score"]
            setting = f"{run.learning_rate:g}, {run.threshold:g}"
            told = f"{method.name:22} {run.row.name}, {setting}, seed {run.seed}"
            print(f"{told}: {score:.4g} ({seconds:.0f} s)", flush=True)
        return [read_training(paths[run]) for run in runs]

    def path(self, problem: Gan, method: GanMethod, run: Run) -> pathlib.Path:
        """Returns a training's file, whose name encodes all it depends on."""
        config = problem.config(method, run).model_dump(mode="json")
        del config["data"]["cache_dir"]
        sizes = [problem.num_images, problem.num_scored]
        told = [config, sizes, method.rule, run.threshold]
        key = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
        words = f"{method.name} {run.row.name} {run.seed}"
        stem = re.sub(r"[^A-Za-z0-9]+", "-", words)
        return self.folder / f"{stem}-{key[:12]}.npz"

    def _map(self, function: Callable, jobs: list[tuple]) -> Iterator:
        if self.num_workers == 1:
            return itertools.starmap(function, jobs)
        if self._pool is None:
            # Spawned: TensorFlow does not survive a fork.
            spawn = multiprocessing.get_context("spawn")
            self._pool = concurrent.futures.ProcessPoolExecutor(self.num_workers, spawn)
        return self._pool.map(function, *zip(*jobs, strict=True))


def train_to_file(
    problem: Gan, method: GanMethod, run: Run, path: pathlib.Path
) -> float:
    """Runs one training, writes its file and returns the seconds it took."""
    import_tensorflow()
    from benchmarks.spikes.gan_training import training_of

    started = time.perf_counter()
    arrays = training_of(problem, method, run)
    with written_aside(path) as aside, open(aside, "wb") as file:
        np.savez_compressed(file, **arrays)
    return time.perf_counter() - started


def read_training(path: pathlib.Path) -> Curves:
    """Reads a file that `train_to_file` wrote."""
    with np.load(path) as file:
        measures = {
            key.removeprefix("measure_"): float(file[key])
            for key in file.files
            if key.startswith("measure_")
        }
        worst_score = measures["untrained"]
        return Curves(file["losses"], file["moves"], measures, worst_score)
