"""The GAN of the spike benchmark: this project's own pair and step, made small.

Networks, losses, penalties, augmentation, the averaged generator and every draw are
those of training/, from a config: 32 px, 22 layers, flowers that the program draws.
Spikes come through debug.inject_spikes, into one network's gradients.

This file describes the problem. gan_training.py trains it, gan_runs.py starts the
trainings and keeps them; this one knows neither and does without TensorFlow.
"""

import dataclasses
import pathlib

import numpy as np

from benchmarks.spikes.gan_methods import GanMethod
from benchmarks.spikes.rows import Row, steps_with_spikes
from benchmarks.spikes.runs import Run
from settings.config import Config

CACHE = pathlib.Path(__file__).resolve().parents[2] / "cache"
GAN_ROWS = (
    Row(),
    Row("discriminator", 1e4, "1 %"),
    Row("generator", 1e4, "1 %"),
)


@dataclasses.dataclass(frozen=True)
class Gan:
    """A pair that draws flowers; the score is its Frechet distance at the end.

    The distance is that of the averaged generator's pictures from as many flowers held
    out of training, in features of random weights, which need no download. A run that
    ends worse than an untrained generator has diverged.

    Attributes:
        num_steps: Iterations.
        num_images: Flowers to train on.
        num_scored: Pictures that are scored, and flowers they are compared with.
        cache_dir: Where the drawn flowers are cached.
    """

    num_steps: int = 400
    num_images: int = 2048
    num_scored: int = 1024
    cache_dir: str = str(CACHE)

    name = "gan"
    learning_rate = 1e-3  # the middle of what is tried

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
