"""Times iterations, grids and metrics on throwaway state, for `--check`."""

import math
import time
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from data import ImageSet
from metrics.extractor import Extractor
from settings.config import Config
from training.build import build_step
from training.distribution.shares import distribute
from training.inputs import inputs_at, penalty_share
from training.pictures import GRID_IMAGES, IMAGES_AT_ONCE, Painter, grid_latents
from training.state import State

# A machine that does other work, too, needs seconds until its speed has been seen.
TIMED_SECONDS = 20.0  # of iterations, for both kinds together
LEAST_TIMED = 4  # iterations of a kind, however long they take
MOST_TIMED = 200
UNTIMED = 2  # iterations of a kind before: the first compiles, the next allocates
LOW, HIGH = 20, 80  # percentiles of an iteration's seconds that bound the range
LEAST_SPREAD = 0.1  # of the mean: what a longer run differs by on a quiet machine


class Seconds(NamedTuple):
    """Seconds that something takes: the mean, and a range that a long run is in."""

    mean: float
    low: float
    high: float

    def plus(self, other: "Seconds") -> "Seconds":
        """Returns the seconds of both."""
        return Seconds(*(one + more for one, more in zip(self, other, strict=True)))

    def times(self, factor: float) -> "Seconds":
        """Returns the seconds of so many."""
        return Seconds(*(factor * one for one in self))


def time_iterations(
    config: Config,
    state: State,
    images: ImageSet,
    strategy: tf.distribute.Strategy | None = None,
) -> tuple[Seconds, float]:
    """Times an iteration, averaged over those with and without penalties.

    These are real iterations, which change the state. A bar shows how far it is.

    Returns:
        The seconds of an iteration, and those of building the step, once a start.
    """
    began_building = time.perf_counter()
    step = build_step(config, state, strategy)
    share = penalty_share(config)
    shares = {False: 1 - share, True: share}
    shares = {kind: weight for kind, weight in shares.items() if weight}

    def seconds_of(with_penalty: bool, iteration: int) -> float:
        began = time.perf_counter()
        inputs = distribute(config, inputs_at(config, images, 0, iteration), strategy)
        float(step(inputs, with_penalty)["loss/generator"])
        return time.perf_counter() - began

    result = Seconds(0.0, 0.0, 0.0)
    with tqdm(
        total=len(shares), desc="compiling", leave=False, disable=None, unit="step"
    ) as bar:
        bar.refresh()
        usual = {}
        for kind in shares:
            usual[kind] = [seconds_of(kind, number) for number in range(UNTIMED)][-1]
            bar.update()
        building = time.perf_counter() - began_building
        counts = {
            kind: _count(TIMED_SECONDS / len(shares), usual[kind]) for kind in shares
        }
        bar.set_description("timing")
        bar.reset(total=sum(counts.values()))
        for kind, weight in shares.items():
            found = []
            for number in range(counts[kind]):
                found.append(seconds_of(kind, number))
                bar.update()
            result = result.plus(_range_of(found).times(weight))
    return result, building


def time_painting(config: Config, state: State) -> float:
    """Times a grid, once its function is compiled; returns seconds an image."""
    painter = Painter(state.ema_generator)
    latents = grid_latents(config.run.seed, config.model.latent_dim)
    painter.images_of(latents[:IMAGES_AT_ONCE])
    began = time.perf_counter()
    painter.images_of(latents)
    return (time.perf_counter() - began) / GRID_IMAGES


def time_features(images: ImageSet, extract: Extractor) -> float:
    """Times the extraction of features; returns seconds an image."""
    some = np.asarray(images.images[:IMAGES_AT_ONCE])
    extract(some)
    began = time.perf_counter()
    extract(some)
    return (time.perf_counter() - began) / len(some)


def _count(seconds: float, usual: float) -> int:
    """Returns how many iterations to time."""
    return min(max(math.ceil(seconds / max(usual, 1e-9)), LEAST_TIMED), MOST_TIMED)


def _range_of(found: list[float]) -> Seconds:
    """Returns the mean of some durations, and percentiles at least so far from it."""
    mean = float(np.mean(found))
    low, high = np.percentile(found, [LOW, HIGH])
    return Seconds(
        mean,
        min(float(low), mean * (1 - LEAST_SPREAD)),
        max(float(high), mean * (1 + LEAST_SPREAD)),
    )
