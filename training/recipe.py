"""What the step is given: the recipe of a run, and the inputs of an iteration."""

from typing import NamedTuple

import tensorflow as tf


class Recipe(NamedTuple):
    """What stays the same through a run; plain values.

    Attributes:
        loss: Name of both losses in losses.py.
        penalty_weights: Of R1 and R2: gamma / 2 times the interval, or 0.
        operations: Augmentations by name, none where the policy is none.
        max_probability: Most that adaptive augmentation may reach, in [0, 1].
        target: Mean sign of D's verdict on reals that adaptive augmentation holds.
        adjustment: Step of the probability; 0 where augmentation is not adaptive.
        damps: Whether gradients are damped, by network.
        largest_gradients: By network, what a usable gradient stays below.
    """

    loss: str
    penalty_weights: tuple[float, float]
    operations: tuple[str, ...]
    max_probability: float
    target: float
    adjustment: float
    damps: dict[str, bool]
    largest_gradients: dict[str, float]


class Inputs(NamedTuple):
    """What one iteration is given; a first axis of 2 is the half it serves.

    Attributes:
        images: uint8 [2, batch, size, size, 3], photographs.
        latents: float32 [2, batch, latent_dim].
        flips: bool [2, batch], photographs to mirror.
        uniforms: float32 [4, batch, num_uniforms] in [0, 1), as in chance.Noise.
        learning_rates: float32 [2], of generator and discriminator.
        spike_factors: float32 [2], of generator and discriminator; 1 without a spike.
        ema_decay: float32 [] in [0, 1).
        adjust: bool [], whether the augmentation probability is adjusted now.
    """

    images: tf.Tensor
    latents: tf.Tensor
    flips: tf.Tensor
    uniforms: tf.Tensor
    learning_rates: tf.Tensor
    spike_factors: tf.Tensor
    ema_decay: tf.Tensor
    adjust: tf.Tensor
