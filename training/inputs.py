"""Builds the inputs of an iteration, a pure function of its position.

Combines schedules, random draws and the order of the photographs. With several
replicas, each takes a share of them (distribution/shares.py).
"""

import math
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from data import ImageSet
from data.augment import num_uniforms
from settings.config import Config
from settings.loss import LossConfig
from settings.optimizer import OptimizerConfig
from training.chance import UPDATES, image_indices_at, noise_at, penalty_noise_at
from training.recipe import num_penalized


class UpdateInputs(NamedTuple):
    """The inputs for updating one network.

    Attributes:
        images: uint8 [batch, size, size, 3], photographs.
        latents: float32 [batch, latent_dim].
        flips: bool [batch], photographs to mirror.
        labels: int32 [batch], the classes of the photographs, and those that generated
            images are to be of; zeros unless the networks know classes.
        real_uniforms: float32 [batch, num_uniforms] in [0, 1), to augment photographs.
        fake_uniforms: The same, to augment generated images.
        learning_rate: float32 [].
        spike_factor: float32 [], multiplies the gradients; 1 unless injecting a spike.
    """

    images: tf.Tensor
    latents: tf.Tensor
    flips: tf.Tensor
    labels: tf.Tensor
    real_uniforms: tf.Tensor
    fake_uniforms: tf.Tensor
    learning_rate: tf.Tensor
    spike_factor: tf.Tensor


class Inputs(NamedTuple):
    """The inputs of one iteration.

    Attributes:
        discriminator: For its update, which comes first.
        generator: For its update.
        penalty_weight: float32 [], gamma / 2 times the interval between penalties.
        penalty_noise: float32 [2 * penalized, size, size, 3], standard normal; None
            unless penalties are approximate.
        ema_decay: float32 [] in [0, 1).
        adjust: bool [], whether to adjust the augmentation probability.
    """

    discriminator: UpdateInputs
    generator: UpdateInputs
    penalty_weight: tf.Tensor
    penalty_noise: tf.Tensor | None
    ema_decay: tf.Tensor
    adjust: tf.Tensor


def inputs_at(
    config: Config, images: ImageSet, rollbacks: int, iteration: int
) -> Inputs:
    """Returns the inputs of one iteration (counted from 0)."""
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
            labels=labels_of(images, indices[half]),
            real_uniforms=tf.constant(noise.real_uniforms[half]),
            fake_uniforms=tf.constant(noise.fake_uniforms[half]),
            learning_rate=tf.constant(rate, tf.float32),
            spike_factor=tf.constant(spike, tf.float32),
        )
    training = config.training
    decay = ema_decay_at(
        iteration, batch_size, training.ema_half_life_kimg, training.ema_ramp_up
    )
    gamma = gamma_at(config.loss, iteration)
    weight = gamma / 2 * config.loss.penalty_every_iterations
    adjust = (iteration + 1) % config.augment.adjust_every_iterations == 0
    return Inputs(
        **updates,
        penalty_weight=tf.constant(weight, tf.float32),
        penalty_noise=penalty_noise_of(config, rollbacks, iteration),
        ema_decay=tf.constant(decay, tf.float32),
        adjust=tf.constant(adjust),
    )


def labels_of(images: ImageSet, indices: np.ndarray) -> tf.Tensor:
    """Returns the classes of some photographs, int32 as `indices`; zeros if none."""
    if images.classes is None:
        return tf.zeros(indices.shape, tf.int32)
    return tf.constant(images.classes.labels[indices])


def penalty_noise_of(
    config: Config, rollbacks: int, iteration: int
) -> tf.Tensor | None:
    """Returns the noise of an approximate penalty, in all iterations, or None."""
    is_exact = config.loss.penalty_method == "exact"
    if is_exact or penalty_share(config) == 0:
        return None
    seed, count = config.run.seed, num_penalized(config)
    size = config.data.image_size
    return tf.constant(penalty_noise_at(seed, rollbacks, iteration, count, size))


def ema_decay_at(
    iteration: int, batch_size: int, half_life_kimg: float, ramp_up: float | None
) -> float:
    """Returns the decay, in [0, 1), of the averaged generator in one iteration.

    The half-life, in thousands of images, is capped at `ramp_up` times the images seen
    before the iteration (counted from 0), unless `ramp_up` is None (Karras et al.,
    arXiv:2006.06676, their training loop).
    """
    half_life = half_life_kimg * 1000
    if ramp_up is not None:
        half_life = min(half_life, iteration * batch_size * ramp_up)
    if half_life == 0:
        return 0.0
    return 0.5 ** (batch_size / half_life)


def learning_rate_at(settings: OptimizerConfig, iteration: int) -> float:
    """Returns the learning rate of one iteration (counted from 0).

    It rises linearly over the warm-up. Then it stays constant, or follows half a cosine
    down to its final value at `schedule_iterations` (arXiv:1608.03983, no restarts).
    """
    first, last = settings.learning_rate, settings.final_learning_rate
    warmup = settings.warmup_iterations
    if iteration < warmup:
        return first * (iteration + 1) / warmup
    if settings.schedule == "constant":
        return first
    progress = (iteration - warmup) / (settings.schedule_iterations - warmup)
    return half_cosine(first, last, progress)


def gamma_at(settings: LossConfig, iteration: int) -> float:
    """Returns the gamma of one iteration (counted from 0).

    It is constant, or follows half a cosine to its final value at `gamma_iterations`,
    as that of R3GAN does (arXiv:2501.05441, their configurations).
    """
    if settings.final_gamma is None or settings.gamma_iterations is None:
        return settings.gamma
    progress = iteration / settings.gamma_iterations
    return half_cosine(settings.gamma, settings.final_gamma, progress)


def half_cosine(first: float, last: float, progress: float) -> float:
    """Returns the way from first to last at a progress, 0 or more; last from 1 on."""
    share = (1 + math.cos(math.pi * min(progress, 1.0))) / 2
    return last + (first - last) * share


def spike_factor_at(
    config: Config, network: str, rollbacks: int, iteration: int
) -> float:
    """Returns the factor of debug.inject_spikes for a network's gradients, or 1.

    Spikes are not injected again after a rollback.
    """
    for spike in config.debug.inject_spikes if rollbacks == 0 else []:
        if spike.network == network and spike.iteration == iteration + 1:
            return spike.factor
    return 1.0


def penalty_share(config: Config) -> float:
    """Returns the fraction of iterations that compute the gradient penalties.

    It is that while gamma is above 0.
    """
    loss = config.loss
    if loss.penalty == "none" or (loss.gamma == 0 and not loss.final_gamma):
        return 0.0
    return 1 / config.loss.penalty_every_iterations


def penalty_at(config: Config, iteration: int) -> bool:
    """Tells whether an iteration (counted from 0) computes the gradient penalties.

    The last of each interval does, so that rows logged at its multiples show them. None
    does where gamma is 0.
    """
    due = (iteration + 1) % config.loss.penalty_every_iterations == 0
    is_weighted = gamma_at(config.loss, iteration) > 0
    return due and is_weighted and penalty_share(config) > 0
