"""Turns images into features: resizes, scales and applies a network, in batches."""

import contextlib
from collections.abc import Iterator

import keras
import numpy as np
from keras import ops

LARGEST = 255.0  # of a byte


class Preparation(keras.layers.Layer):
    """Resizes and scales images as a network expects them.

    Maps uint8 [batch, height, width, 3] to float32 [batch, size, size, 3], resized as
    in `resized`, then (RGB - centre) / scale.
    """

    def __init__(
        self, size: int, resize: str, centre: float, scale: float, **arguments: object
    ) -> None:
        super().__init__(**arguments)
        self.size = size
        self.resize = resize
        self.centre = centre
        self.scale = scale

    def call(self, images: keras.KerasTensor) -> keras.KerasTensor:
        """Returns the prepared images."""
        images = resized(ops.cast(images, "float32"), self.size, self.resize)
        return (images - self.centre) / self.scale


def resized(images: keras.KerasTensor, size: int, resize: str) -> keras.KerasTensor:
    """Resizes images to size x size.

    Args:
        images: float32 [batch, height, width, 3] in [0, 255].
        size: In pixels.
        resize: 'clean': bicubic, antialiased, with half-pixel centres, clipped, not
            rounded to bytes, after arXiv:2104.11222. 'legacy': bilinear, without
            antialiasing or half-pixel centres, as TensorFlow 1 did in the 2015 graph.

    Returns:
        float32 [batch, size, size, 3] in [0, 255].
    """
    if resize == "legacy":
        rows, columns = (legacy_weights(old, size) for old in images.shape[1:3])
        images = ops.einsum("yh,bhwc->bywc", rows, images)
        return ops.einsum("xw,bywc->byxc", columns, images)
    images = ops.image.resize(
        images, (size, size), interpolation="bicubic", antialias=True
    )
    return ops.clip(images, 0.0, LARGEST)  # bicubic overshoots at edges


def legacy_weights(old: int, new: int) -> np.ndarray:
    """Returns float32 [new, old]: the weight of each old pixel in each new one.

    New pixel i lies at i old / new, between two old pixels; past the last it equals
    the last.
    """
    # In float32, as TensorFlow 1 computed the positions.
    places = np.arange(new, dtype=np.float32) * (np.float32(old) / np.float32(new))
    lower = np.minimum(places.astype(np.int64), old - 1)
    upper = np.minimum(lower + 1, old - 1)
    share = places - lower
    weights = np.zeros((new, old), np.float32)
    np.add.at(weights, (np.arange(new), lower), 1 - share)
    np.add.at(weights, (np.arange(new), upper), share)
    return weights


class Extractor:
    """Turns images into features.

    Attributes:
        name: As given to `load_extractor`; part of the names of metrics.
        num_features: Features per image.
        description: Strings and numbers needed to reproduce the features: name,
            network, input_size, scaling, resize, weights_file, weights_sha256, notes,
            and more.
    """

    def __init__(
        self,
        name: str,
        network: keras.Model,
        preparation: Preparation,
        description: dict[str, str | int | float],
        batch_size: int,
    ) -> None:
        """Takes a network from prepared images to float32 [batch, num_features]."""
        self.name = name
        self.num_features = int(network.output_shape[-1])
        self.description = dict(description)
        self.batch_size = batch_size
        self._network = network
        self._preparation = preparation
        self._programs: dict[tuple[int, int], keras.Model] = {}

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Returns the features of images, float32 [count, num_features].

        Args:
            images: uint8 [count, height, width, 3], RGB, quantised as in a file.

        Raises:
            ValueError: If the images have another dtype or shape.
        """
        images = _checked_images(images)
        features = np.empty((len(images), self.num_features), np.float32)
        for first in range(0, len(images), self.batch_size):
            batch = images[first : first + self.batch_size]
            missing = self.batch_size - len(batch)
            # Always the same shape, so that the network is compiled once.
            full = np.pad(batch, ((0, missing), (0, 0), (0, 0), (0, 0)), mode="edge")
            found = self._program(images.shape[1:3]).predict_on_batch(full)
            features[first : first + len(batch)] = found[: len(batch)]
        return features

    def _program(self, size: tuple[int, int]) -> keras.Model:
        """Returns the network with its preparation for one image size."""
        if size not in self._programs:
            with float32_policy():
                images = keras.Input((*size, 3), self.batch_size, dtype="uint8")
                features = self._network(self._preparation(images))
                program = keras.Model(images, features)
            # XLA takes longer to compile than a small set of images takes to process.
            program.jit_compile = False
            self._programs[size] = program
        return self._programs[size]


@contextlib.contextmanager
def float32_policy() -> Iterator[None]:
    """Makes Keras build in float32, whatever precision the program trains in."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _checked_images(images: np.ndarray) -> np.ndarray:
    images = np.asarray(images)
    is_rgb = images.ndim == 4 and images.shape[3] == 3 and 0 not in images.shape[1:]
    if images.dtype != np.uint8 or not is_rgb:
        raise ValueError(
            "Expected images uint8 [count, height, width, 3]. "
            f"Received: {images.dtype} {list(images.shape)}"
        )
    return images
