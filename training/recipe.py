"""Collects the constants of the training step."""

import math
from typing import NamedTuple

from optim.adaptive_knee import ADAPTIVE
from settings.config import Config
from settings.optimizer import NETWORKS, OptimizerConfig

PENALIZED = {"r1_r2": (1, 1), "r1": (1, 0), "r2": (0, 1), "none": (0, 0)}
# Above this, a network's sum of squared gradients may overflow float32: Adam's second
# moment, or the norm for clipping, would be infinite and the weights NaN.
LARGEST_SQUARED_GRADIENT = 1e15


class Recipe(NamedTuple):
    """The constants of the training step, as plain values.

    Attributes:
        loss: Name of both losses in losses.py.
        penalized: Share of the penalty's weight that counts on real images, and on
            generated ones; each 0 or 1.
        num_penalized: Images of each kind that a penalty is computed on.
        penalty_step: Standard deviation of the noise of an approximate penalty.
        num_classes: That the networks know; 0: none.
        shares_batch: Whether the generator's update takes the discriminator's batch.
        operations: Names of the augmentations; empty if the policy is none.
        probability_limits: Lower and upper limit of adaptive augmentation, in [0, 1].
        target: Mean sign of D's verdict on reals that adaptive augmentation aims at.
        adjustment: Step of the probability; 0 unless augmentation is adaptive.
        damps: Whether gradients are damped, by network.
        largest_gradients: Exclusive upper bound of usable gradients, by network.
    """

    loss: str
    penalized: tuple[int, int]
    num_penalized: int
    penalty_step: float
    num_classes: int
    shares_batch: bool
    operations: tuple[str, ...]
    probability_limits: tuple[float, float]
    target: float
    adjustment: float
    damps: dict[str, bool]
    largest_gradients: dict[str, float]


def build_recipe(config: Config) -> Recipe:
    """Derives the recipe from a config."""
    augment, loss = config.augment, config.loss
    settings = {network: config.optimizer.for_network(network) for network in NETWORKS}
    images = config.training.batch_size * augment.adjust_every_iterations
    adaptive = augment.policy == "adaptive"
    return Recipe(
        loss=loss.name,
        penalized=PENALIZED[loss.penalty],
        num_penalized=num_penalized(config),
        penalty_step=loss.penalty_step,
        num_classes=config.model.num_classes,
        shares_batch=config.training.generator_batch == "same",
        operations=augment.active_operations,
        probability_limits=(augment.min_probability, augment.max_probability),
        target=augment.target,
        adjustment=images / (augment.kimg_to_full * 1000) if adaptive else 0.0,
        damps={network: settings[network].damps for network in NETWORKS},
        largest_gradients={
            network: largest_usable_gradient(settings[network]) for network in NETWORKS
        },
    )


def num_penalized(config: Config) -> int:
    """Returns how many images of each kind a penalty is computed on, in whole groups.

    At least one group, of images that D compares with each other (model.stddev_group).
    """
    group = config.model.stddev_group
    num_groups = config.loss.penalty_batch * config.training.batch_size / group
    return max(round(num_groups), 1) * group


def largest_usable_gradient(settings: OptimizerConfig) -> float:
    """Returns the bound at or above which even a finite gradient is unusable.

    Log damping alone makes every finite gradient usable with any sensible knee, as its
    output stays below 100 times the knee. Norms for clipping are taken before damping.
    """
    knee = settings.damping_scale
    is_damped = settings.damps and (knee == ADAPTIVE or knee < LARGEST_SQUARED_GRADIENT)
    is_clipped = settings.clipnorm or settings.global_clipnorm
    return math.inf if is_damped and not is_clipped else LARGEST_SQUARED_GRADIENT
