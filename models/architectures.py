"""The architectures that a config can choose by `model.name`."""

from collections.abc import Callable
from typing import NamedTuple

import keras

from models.discriminator import build_discriminator
from models.generator import build_generator


class Architecture(NamedTuple):
    """The builders of the two networks; only the generator takes `latent_dim`.

    With `num_classes` above 0, both models take a list of two inputs; the second is the
    weights of the classes, float32 [batch, num_classes].

    Attributes:
        generator: Builds a model from float32 latents [batch, latent_dim] to float32
            images [batch, image_size, image_size, 3], about [-1, 1].
        discriminator: Builds a model from such images to float32 logits [batch, 1].
    """

    generator: Callable[..., keras.Model]
    discriminator: Callable[..., keras.Model]


ARCHITECTURES = {"residual": Architecture(build_generator, build_discriminator)}
