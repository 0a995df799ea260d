"""Generates images, and grids of them and of the photographs."""

import math

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

from data import Classes, ImageSet, shown_labels
from gallery.class_sheets import SHEET_COLUMNS
from gallery.grids import grid_image, to_uint8, write_png
from gallery.sheets import labelled_sheet, letters_of
from records.run_folder import RunFolder
from training.chance import generator_at, latents_of

GRID_IMAGES = 64
LEAST_SHEET_CELL = 64  # pixels: there are many sheets, so they are small
IMAGES_AT_ONCE = 16


class Painter:
    """Generates images that depend on nothing but the weights and the inputs."""

    def __init__(self, generator: keras.Model) -> None:
        """Compiles the generator, which is called on a few images at a time."""
        self._generate = tf.function(
            lambda inputs: generator(inputs, training=False), autograph=False
        )
        self.latent_dim, self.num_classes = sizes_of_inputs(generator)

    def images_of(
        self, latents: np.ndarray, classes: np.ndarray | None = None
    ) -> np.ndarray:
        """Returns images, uint8 [count, size, size, 3].

        Args:
            latents: float32 [count, latent_dim].
            classes: float32 [count, classes], the weights of the classes, of a
                generator that knows classes; None of one that does not.
        """
        count = len(latents)
        padding = math.ceil(count / IMAGES_AT_ONCE) * IMAGES_AT_ONCE - count
        inputs = [latents] if classes is None else [latents, classes]
        padded = [np.pad(array, ((0, padding), (0, 0))) for array in inputs]
        images = []
        for first in range(0, count + padding, IMAGES_AT_ONCE):
            parts = [tf.constant(a[first : first + IMAGES_AT_ONCE]) for a in padded]
            part = parts[0] if classes is None else parts
            images.append(to_uint8(self._generate(part).numpy()))
        return np.concatenate(images)[:count]


def sizes_of_inputs(generator: keras.Model) -> tuple[int, int]:
    """Returns the length of a generator's latents, and its number of classes, or 0."""
    sizes = [tensor.shape[-1] for tensor in generator.inputs]
    return sizes[0], sizes[1] if len(sizes) > 1 else 0


def class_weights(labels: np.ndarray, num_classes: int) -> np.ndarray | None:
    """Returns the weights of classes, float32 [count, classes]; None of no classes.

    They are 1 for each label's class and 0 for the others.
    """
    if not num_classes:
        return None
    return np.eye(num_classes, dtype=np.float32)[labels]


def grid_latents(seed: int, latent_dim: int) -> np.ndarray:
    """Returns the latents of a run's grids, float32 [64, latent_dim]."""
    return latents_of(seed, GRID_IMAGES, latent_dim, "grid latents")


def grid_labels(images: ImageSet, seed: int) -> np.ndarray:
    """Returns the classes of a run's grids, int [64]: those of `grid_reals`.

    An image of the grid is then of the same class as the photograph in its place; with
    fewer than 64 photographs, they begin again.
    """
    if images.classes is None:
        return np.zeros(GRID_IMAGES, np.int32)
    return np.resize(images.classes.labels[_places(images, seed)], GRID_IMAGES)


def grid_reals(images: ImageSet, seed: int) -> np.ndarray:
    """Returns some of the photographs, uint8 [64 or fewer, size, size, 3]."""
    return np.stack([images.images[index] for index in _places(images, seed)])


def _places(images: ImageSet, seed: int) -> np.ndarray:
    order = generator_at(seed, 0, 0, "grid reals").permutation(images.count)
    return np.sort(order[:GRID_IMAGES])


class ClassSheet:
    """Some classes in a row each; the images of a column share their latent.

    Attributes:
        rows: The name of each row's class, and how many photographs it has.
    """

    def __init__(self, classes: Classes, names: list[str] | None, seed: int) -> None:
        """Chooses the classes, `names` or some with many photographs and with few."""
        labels = shown_labels(classes, names)
        counts = classes.counts()
        self.rows = [(classes.names[one], int(counts[one])) for one in labels]
        names = [letters_of(classes.names[one], one) for one in labels]
        self._beside = [
            f"{name} ({counts[one]})" for name, one in zip(names, labels, strict=True)
        ]
        self._seed = seed
        self._classes = class_weights(
            np.repeat(labels, SHEET_COLUMNS), len(classes.names)
        )

    def draw(self, painter: Painter) -> Image.Image:
        """Draws the sheet with the generator's present weights."""
        latents = grid_latents(self._seed, painter.latent_dim)[:SHEET_COLUMNS]
        rows = len(self._beside)
        images = painter.images_of(np.tile(latents, (rows, 1)), self._classes)
        images = images.reshape(rows, SHEET_COLUMNS, *images.shape[1:])
        above = [""] * SHEET_COLUMNS
        return labelled_sheet(images, above, self._beside, LEAST_SHEET_CELL)


def write_reals(run: RunFolder, images: ImageSet, seed: int) -> None:
    """Writes a grid of photographs as the networks see them, but unmirrored."""
    run.samples.mkdir(parents=True, exist_ok=True)
    write_png(grid_image(grid_reals(images, seed)), run.samples / "reals.png")
