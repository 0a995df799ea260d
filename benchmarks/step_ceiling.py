"""What the machine can do at most: a large product, and a convolution of the pair.

Both in the precision of the run, and not compiled by XLA.
"""

from collections.abc import Callable

import tensorflow as tf

from models.depth import SMALLEST_STAGE, channels_per_stage
from settings.config import Config

MATRIX_SIZE = 2048
KERNEL_SIZE = 3
PRODUCT, CONVOLUTION = "matrix product", "convolution"


def ceiling_pieces(config: Config) -> dict[str, Callable[[], object]]:
    """Returns both as functions without arguments, by name."""
    dtype = tf.dtypes.as_dtype(config.runtime.precision)
    size, channels = middle_stage(config)
    matrix = tf.random.normal((MATRIX_SIZE, MATRIX_SIZE), dtype=dtype)
    shape = (2 * config.training.batch_size, size, size, channels)
    images = tf.random.normal(shape, dtype=dtype)
    shape = (KERNEL_SIZE, KERNEL_SIZE, channels, channels)
    kernel = tf.random.normal(shape, dtype=dtype)
    product = tf.function(tf.matmul)
    convolution = tf.function(lambda x, k: tf.nn.conv2d(x, k, 1, "SAME"))
    # One element is fetched: a GPU still computes when a call returns.
    return {
        PRODUCT: lambda: product(matrix, matrix)[0, 0].numpy(),
        CONVOLUTION: lambda: convolution(images, kernel)[0, 0, 0, 0].numpy(),
    }


def ceiling_flops(config: Config) -> dict[str, int]:
    """Returns the operations of both by name, counted as in flops.py."""
    size, channels = middle_stage(config)
    pixels = 2 * config.training.batch_size * size**2
    return {
        PRODUCT: 2 * MATRIX_SIZE**3,
        CONVOLUTION: 2 * pixels * channels * KERNEL_SIZE**2 * channels,
    }


def middle_stage(config: Config) -> tuple[int, int]:
    """Returns the pixels and channels of the middle stage of the pair."""
    model = config.model
    widths = channels_per_stage(
        config.data.image_size, model.base_channels, model.max_channels
    )
    middle = len(widths) // 2
    return SMALLEST_STAGE * 2**middle, widths[middle]
