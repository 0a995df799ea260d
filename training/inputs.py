"""What an iteration is given: a function of its position, and of nothing else.

Schedules, chance and the order of the photographs meet here. With several replicas this
is where each would take its own share of the batch.
"""

import math
from typing import NamedTuple

import tensorflow as tf

from data import ImageSet
from data.augment import num_uniforms
from settings.config import Config
from settings.optimizer import OptimizerConfig
from training.chance import UPDATES, image_indices_at, noise_at


class UpdateInputs(NamedTuple):
    """What the update of one network is given.

    Attributes:
        images: uint8 [batch, size, size, 3], photographs.
        latents: float32 [batch, latent_dim].
        flips: bool [batch], photographs to mirror.
        real_uniforms: float32 [batch, num_uniforms] in [0, 1), for the augmentation of
            photographs.
        fake_uniforms: The same for generated images.
        learning_rate: float32 [].
        spike_factor: float32 [], which multiplies the gradients; 1 without a spike.
    """

    images: tf.Tensor
    latents: tf.Tensor
    flips: tf.Tensor
    real_uniforms: tf.Tensor
    fake_uniforms: tf.Tensor
    learning_rate: tf.Tensor
    spike_factor: tf.Tensor


class Inputs(NamedTuple):
    """What one iteration is given.

    Attributes:
        discriminator: For its update, which comes first.
        generator: For its update.
        ema_decay: float32 [] in [0, 1).
        adjust: bool [], whether the augmentation probability is adjusted now.
    """

    discriminator: UpdateInputs
    generator: UpdateInputs
    ema_decay: tf.Tensor
    adjust: tf.Tensor


def inputs_at(
    config: Config, images: ImageSet, rollbacks: int, iteration: int
) -> Inputs:
    """Returns what one iteration is given.

    Args:
        config: Of the run.
        images: All photographs.
        rollbacks: How often the run was rolled back.
        iteration: Iterations done before, counted from 0.
    """
    seed, batch_size = config.run.seed, config.training.batch_size
    indices = image_indices_at(
        seed, rollbacks, iteration, batch_size, len(images.images)
    )
    noise = noise_at(
        seed,
        rollbacks,
        iteration,
        batch_size,
        config.model.latent_dim,
        num_uniforms(config.augment.active_operations),
        config.data.horizontal_flip,
    )
    updates = {}
    for half, network in enumerate(UPDATES):
        rate = learning_rate_at(config.optimizer.for_network(network), iteration)
        spike = spike_factor_at(config, network, rollbacks, iteration)
        updates[network] = UpdateInputs(
            images=tf.constant(images.images[indices[half]]),
            latents=tf.constant(noise.latents[half]),
            flips=tf.constant(noise.flips[half]),
            real_uniforms=tf.constant(noise.real_uniforms[half]),
            fake_uniforms=tf.constant(noise.fake_uniforms[half]),
            learning_rate=tf.constant(rate, tf.float32),
            spike_factor=tf.constant(spike, tf.float32),
        )
    training = config.training
    decay = ema_decay_at(
        iteration, batch_size, training.ema_half_life_kimg, training.ema_ramp_up
    )
    adjust = (iteration + 1) % config.augment.adjust_every_iterations == 0
    return Inputs(
        **updates,
        ema_decay=tf.constant(decay, tf.float32),
        adjust=tf.constant(adjust),
    )


def ema_decay_at(
    iteration: int, batch_size: int, half_life_kimg: float, ramp_up: float | None
) -> float:
    """Returns the weight that the averaged generator keeps in one iteration.

    The half-life is in thousands of images, and no longer than `ramp_up` times the
    images seen so far (Karras et al., arXiv:2006.06676, their training loop).

    Args:
        iteration: Iterations done before, counted from 0.
        batch_size: Images an iteration.
        half_life_kimg: Thousands of images after which half of an average is new.
        ramp_up: Share of the images seen so far, or None for the full half-life.

    Returns:
        A number in [0, 1).
    """
    half_life = half_life_kimg * 1000
    if ramp_up is not None:
        half_life = min(half_life, iteration * batch_size * ramp_up)
    if half_life == 0:
        return 0.0
    return 0.5 ** (batch_size / half_life)


def learning_rate_at(settings: OptimizerConfig, iteration: int) -> float:
    """Returns the learning rate of one iteration (counted from 0).

    It rises in a line over the warm-up, then stays, or falls along half a cosine
    until `schedule_iterations` (arXiv:1608.03983, without restarts) and stays there.
    """
    first, last = settings.learning_rate, settings.final_learning_rate
    warmup = settings.warmup_iterations
    if iteration < warmup:
        return first * (iteration + 1) / warmup
    if settings.schedule == "constant":
        return first
    progress = min((iteration - warmup) / (settings.schedule_iterations - warmup), 1.0)
    share = (1 + math.cos(math.pi * progress)) / 2
    return last + (first - last) * share


def spike_factor_at(
    config: Config, network: str, rollbacks: int, iteration: int
) -> float:
    """Returns what debug.inject_spikes multiplies a network's gradients by, else 1.

    It happens once: not again after the run was rolled back.
    """
    for spike in config.debug.inject_spikes if rollbacks == 0 else []:
        if spike.network == network and spike.iteration == iteration + 1:
            return spike.factor
    return 1.0


def penalty_share(config: Config) -> float:
    """Returns the share of iterations that compute the gradient penalties."""
    if config.loss.penalty == "none" or config.loss.gamma == 0:
        return 0.0
    return 1 / config.loss.penalty_every_iterations


def penalty_at(config: Config, iteration: int) -> bool:
    """Tells whether an iteration (counted from 0) computes the gradient penalties.

    It is the last of each interval, so that rows written at multiples show them.
    """
    due = (iteration + 1) % config.loss.penalty_every_iterations == 0
    return due and penalty_share(config) > 0
