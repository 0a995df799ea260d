"""Generates images, and grids of them and of the photographs."""

import math

import keras
import numpy as np
import tensorflow as tf

from data import ImageSet
from gallery.grids import grid_image, to_uint8, write_png
from records.run_folder import RunFolder
from training.chance import generator_at, latents_of

GRID_IMAGES = 64
IMAGES_AT_ONCE = 16


class Painter:
    """Generates images that depend on nothing but the weights and the latents."""

    def __init__(self, generator: keras.Model) -> None:
        """Compiles the generator, which is called on a few images at a time."""
        self._generate = tf.function(
            lambda latents: generator(latents, training=False), autograph=False
        )

    def images_of(self, latents: np.ndarray) -> np.ndarray:
        """Returns images, uint8 [count, size, size, 3], of [count, latent_dim]."""
        count = len(latents)
        padding = math.ceil(count / IMAGES_AT_ONCE) * IMAGES_AT_ONCE - count
        padded = np.pad(latents, ((0, padding), (0, 0)))
        parts = np.split(padded, len(padded) // IMAGES_AT_ONCE)
        images = [to_uint8(self._generate(tf.constant(part)).numpy()) for part in parts]
        return np.concatenate(images)[:count]


def grid_latents(seed: int, latent_dim: int) -> np.ndarray:
    """Returns the latents of a run's grids, float32 [64, latent_dim]."""
    return latents_of(seed, GRID_IMAGES, latent_dim, "grid latents")


def grid_reals(images: ImageSet, seed: int) -> np.ndarray:
    """Returns some of the photographs, uint8 [64 or fewer, size, size, 3]."""
    order = generator_at(seed, 0, 0, "grid reals").permutation(images.count)
    return np.stack([images.images[index] for index in np.sort(order[:GRID_IMAGES])])


def write_reals(run: RunFolder, images: ImageSet, seed: int) -> None:
    """Writes a grid of photographs as the networks see them, but unmirrored."""
    run.samples.mkdir(parents=True, exist_ok=True)
    write_png(grid_image(grid_reals(images, seed)), run.samples / "reals.png")
