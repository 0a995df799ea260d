"""The GAN of the spike benchmark: this project's own pair and step, made small.

Networks, losses, penalties, augmentation, the averaged generator and every draw are
those of training/, from a config: 32 px, 22 layers, flowers that the program draws.
Spikes come through debug.inject_spikes, into one network's gradients. What is trained
is kept, a file a training, so that a rerun does only what is missing.
"""

import concurrent.futures
import dataclasses
import functools
import hashlib
import itertools
import json
import multiprocessing
import pathlib
import re
import time
from collections.abc import Callable, Iterator

import numpy as np

from benchmarks.spikes.gan_methods import GanMethod
from benchmarks.spikes.rows import Row, steps_with_spikes
from benchmarks.spikes.runs import Curves, Run
from training.config import Config
from training.quiet import import_tensorflow

CACHE = pathlib.Path(__file__).resolve().parents[2] / "cache"
TRAININGS = CACHE / "spikes"
GAN_ROWS = (
    Row(),
    Row("discriminator", 1e4, "1 %"),
    Row("generator", 1e4, "1 %"),
)


@dataclasses.dataclass(frozen=True)
class Gan:
    """A pair that draws flowers; the score is the Frechet distance at the end.

    It is that of the averaged generator's pictures to as many flowers that were not
    trained on, in features of random weights, which need no download. A run diverged if
    it ends worse than an untrained one.

    Attributes:
        num_steps: Iterations.
        num_images: Flowers to train on.
        num_scored: Pictures that are scored, and flowers they are compared with.
        cache_dir: Where the flowers are kept for the next time.
    """

    num_steps: int = 400
    num_images: int = 2048
    num_scored: int = 1024
    cache_dir: str = str(CACHE)

    name = "gan"
    learning_rate = 1e-3  # the middle of what is tried

    @functools.cached_property
    def worst_score(self) -> float:
        """The Frechet distance of an untrained generator."""
        import_tensorflow()  # where it is needed, not at the top: the others do without
        from benchmarks.spikes.gan_training import untrained_score

        return untrained_score(self)

    def config(self, method: GanMethod, run: Run) -> Config:
        """Returns the config of one training, with its spikes."""
        sections = {
            "run": {"name": self.name, "seed": run.seed},
            "data": {
                "source": "drawn",
                "image_size": 32,
                "num_images": self.num_images + self.num_scored,
                "cache_dir": self.cache_dir,
            },
            "model": {
                "num_layers": 22,
                "latent_dim": 64,
                "base_channels": 8,
                "max_channels": 64,
            },
            "optimizer": method.keys(run.learning_rate, run.threshold),
            "loss": {"gamma": 0.3},
            "augment": {"policy": "none"},
            "training": {"total_iterations": self.num_steps, "batch_size": 16},
            "runtime": {"precision": "float32", "compile": "graph", "device": "cpu"},
            "debug": {"inject_spikes": spikes_of(run, self.num_steps)},
        }
        return Config.model_validate(sections)


def spikes_of(run: Run, num_steps: int) -> list[dict]:
    """Returns debug.inject_spikes of a run; the row's kind is the network."""
    steps = np.flatnonzero(steps_with_spikes(run.row, run.seed, num_steps))
    return [
        {"iteration": int(step), "network": run.row.kind, "factor": run.row.size}
        for step in steps
    ]


class Trainings:
    """Trains what is missing in processes of one core each, and keeps it in files.

    Called as `runs.train` is. Several of these may share a folder: a training is
    written aside and moved to its place, and two of one name are the same.
    """

    def __init__(self, folder: pathlib.Path, num_workers: int = 1):
        """Takes the folder of the files, and how many trainings there are at a time."""
        self.folder = folder
        self.num_workers = num_workers
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
        """Returns a training's file, whose name tells all that it depends on."""
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
            # Not forked: TensorFlow does not survive it.
            spawn = multiprocessing.get_context("spawn")
            self._pool = concurrent.futures.ProcessPoolExecutor(self.num_workers, spawn)
        return self._pool.map(function, *zip(*jobs, strict=True))


def train_to_file(
    problem: Gan, method: GanMethod, run: Run, path: pathlib.Path
) -> float:
    """Does one training, writes its file and returns the seconds it took."""
    import_tensorflow()
    from benchmarks.spikes.gan_training import training_of

    started = time.perf_counter()
    arrays = training_of(problem, method, run)
    aside = path.with_suffix(f".partial-{multiprocessing.current_process().pid}")
    with open(aside, "wb") as file:
        np.savez_compressed(file, **arrays)
    aside.replace(path)
    return time.perf_counter() - started


def read_training(path: pathlib.Path) -> Curves:
    """Returns what a file of `train_to_file` says."""
    with np.load(path) as file:
        measures = {
            key.removeprefix("measure_"): float(file[key])
            for key in file.files
            if key.startswith("measure_")
        }
        return Curves(file["losses"], file["moves"], measures)
