"""One training of the spike benchmark's GAN, and its score. Needs TensorFlow."""

import dataclasses
import functools
import pathlib
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from benchmarks.spikes.gan import Gan
from benchmarks.spikes.gan_methods import GanMethod
from benchmarks.spikes.gan_optimizers import RULES
from benchmarks.spikes.rows import Row
from benchmarks.spikes.runs import Run
from data import ImageSet, load_images
from metrics.features import load_extractor
from metrics.frechet import frechet_distance
from metrics.neighbours import precision_recall_density_coverage
from metrics.statistics import FeatureStatistics
from settings.config import Config
from settings.optimizer import NETWORKS
from training.build import build_state, build_step
from training.inputs import inputs_at, penalty_at
from training.pictures import Painter
from training.run_metrics import measured_latents
from training.state import State, assign_arrays, state_arrays

NUM_KEPT = 256  # pictures of a training, to look at and to score by other features
ADAM_KEYS = ("beta_1", "beta_2", "epsilon")
# Where the optimizer does not matter.
ANY = (GanMethod("", ()), Run(Row(), 0, 0.0, 1.0))


def silent(line: str) -> None:
    """Says nothing."""


def flowers_of(config: Config) -> np.ndarray:
    """Returns the drawn flowers, uint8 [count, size, size, 3], trained on or not."""
    data = config.data
    return load_images(
        "drawn",
        image_size=data.image_size,
        cache_dir=data.cache_dir,
        num_images=data.num_images,
        say=silent,
    ).images


class Judge:
    """Scores pictures against flowers held out of training."""

    def __init__(self, problem: Gan, config: Config):
        """Draws the flowers, or finds them in the cache, and takes their features."""
        flowers = flowers_of(config)
        self.real_images, others = np.split(np.asarray(flowers), [problem.num_images])
        self._extract = load_extractor("random", say=silent)
        self._features = self._extract(others)
        self._statistics = FeatureStatistics.of(self._features)
        self.floor = self.distance(self.real_images[: problem.num_scored])

    def distance(self, images: np.ndarray) -> float:
        """Returns the Frechet distance of uint8 images [n, size, size, 3]."""
        features = FeatureStatistics.of(self._extract(images))
        return frechet_distance(features, self._statistics)

    def coverage(self, images: np.ndarray) -> float:
        """Returns the share of the flowers that have a picture near them."""
        fidelity = precision_recall_density_coverage(
            self._features, self._extract(images)
        )
        return fidelity.coverage


@dataclasses.dataclass(frozen=True)
class Compiled:
    """A state with its step, shared by the trainings of one method and threshold."""

    state: State
    step: Callable
    moved: Callable
    painter: Painter


@functools.cache
def judge_of(problem: Gan) -> Judge:
    """Returns the judge of a problem, made once per process."""
    return Judge(problem, problem.config(*ANY))


def fresh_state(config: Config, rule: str | None, threshold: float) -> State:
    """Returns the state at iteration 0; a rule takes the place of the config's Adam."""
    state = build_state(config)
    if rule is None:
        return state
    for network in NETWORKS:
        settings = config.optimizer.for_network(network)
        keys = {key: getattr(settings, key) for key in ADAM_KEYS}
        optimizer = RULES[rule](threshold, learning_rate=settings.learning_rate, **keys)
        optimizer.build(getattr(state, network).trainable_variables)
        setattr(state, f"{network}_optimizer", optimizer)
    return state


@functools.lru_cache(maxsize=2)
def compiled(problem: Gan, method: GanMethod, threshold: float) -> Compiled:
    """Builds a state and compiles its step; seeds, rates and spikes come later."""
    config = problem.config(method, Run(Row(), 0, problem.learning_rate, threshold))
    state = fresh_state(config, method.rule, threshold)
    step, moved = build_step(config, state), build_moved(state)
    return Compiled(state, step, moved, Painter(state.ema_generator))


def build_moved(state: State) -> Callable[[], tf.Tensor]:
    """Compiles a function that returns how far the weights moved since its last call.

    It returns [], the geometric mean of both networks' RMS changes: a network that
    stands still shows, however fast the other moves.
    """
    networks = [state.generator, state.discriminator]

    def weights_of(network: object) -> tf.Tensor:
        return tf.concat([tf.reshape(v, [-1]) for v in network.trainable_variables], 0)

    before = [tf.Variable(weights_of(network)) for network in networks]

    @tf.function(autograph=False)
    def moved() -> tf.Tensor:
        mean_squares = []
        for network, old in zip(networks, before, strict=True):
            now = weights_of(network)
            mean_squares.append(tf.reduce_mean(tf.square(now - old)))
            old.assign(now)
        return tf.sqrt(tf.sqrt(mean_squares[0]) * tf.sqrt(mean_squares[1]))

    return moved


def training_of(problem: Gan, method: GanMethod, run: Run) -> dict[str, np.ndarray]:
    """Trains a pair and returns its curves, measures and some pictures.

    Returns:
        losses [num_steps], of both networks together (2 log 2 where neither wins),
        moves [num_steps], pictures uint8 [256, size, size, 3], and measures: score,
        final (the coverage), skipped (iterations), floor and untrained.
    """
    config, judge = problem.config(method, run), judge_of(problem)
    pair = compiled(problem, method, run.threshold)
    start = fresh_state(config, method.rule, run.threshold)
    assign_arrays(pair.state, state_arrays(start))
    pair.moved()
    photographs = ImageSet(judge.real_images, "none", pathlib.Path())
    losses, moves, skipped = [], [], 0
    for iteration in range(problem.num_steps):
        inputs = inputs_at(config, photographs, 0, iteration)
        scalars = pair.step(inputs, penalty_at(config, iteration))
        losses.append(sum(float(scalars[f"loss/{n}"]) for n in NETWORKS))
        moves.append(float(pair.moved()))
        skipped += not all(float(scalars[f"usable/{n}"]) for n in NETWORKS)
    latents = measured_latents(run.seed, problem.num_scored, config.model.latent_dim)
    pictures = pair.painter.images_of(latents)
    measures = {
        "score": judge.distance(pictures) if is_finite(pair.state) else np.nan,
        "final": judge.coverage(pictures),
        "skipped": skipped,
        "floor": judge.floor,
        "untrained": untrained_score(problem),
    }
    return {
        "losses": np.array(losses, np.float32),
        "moves": np.array(moves, np.float32),
        "pictures": pictures[:NUM_KEPT],
        **{f"measure_{name}": np.array(value) for name, value in measures.items()},
    }


def is_finite(state: State) -> bool:
    """Tells whether the averaged generator's weights are all finite."""
    return all(np.isfinite(v.numpy()).all() for v in state.ema_generator.variables)


@functools.cache
def untrained_score(problem: Gan) -> float:
    """Returns the Frechet distance of the generator at iteration 0 of seed 0."""
    config = problem.config(*ANY)
    painter = Painter(build_state(config).ema_generator)
    latents = measured_latents(0, problem.num_scored, config.model.latent_dim)
    return judge_of(problem).distance(painter.images_of(latents))
