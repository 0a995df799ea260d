"""What the machine can do at most: a large product, and a convolution of the pair.

The convolution also with its gradients, by the images and by the kernel, which cost as
many operations. In the precision of the run, and not compiled by XLA.
"""

from collections.abc import Callable

import tensorflow as tf

from models.depth import SMALLEST_STAGE, channels_per_stage
from settings.config import Config

MATRIX_SIZE = 2048
KERNEL_SIZE = 3
PRODUCT, CONVOLUTION = "matrix product", "convolution"
BY_IMAGES, BY_KERNEL = "its gradient by images", "its gradient by the kernel"


def ceiling_pieces(config: Config) -> dict[str, Callable[[], object]]:
    """Returns all as functions without arguments, by name."""
    dtype = tf.dtypes.as_dtype(config.runtime.precision)
    size, channels = middle_stage(config)
    matrix = tf.random.normal((MATRIX_SIZE, MATRIX_SIZE), dtype=dtype)
    shape = (2 * config.training.batch_size, size, size, channels)
    images = tf.random.normal(shape, dtype=dtype)
    shape = (KERNEL_SIZE, KERNEL_SIZE, channels, channels)
    kernel = tf.random.normal(shape, dtype=dtype)
    product = tf.function(tf.matmul)
    options = {"strides": [1, 1, 1, 1], "padding": "SAME"}

    @tf.function
    def convolution(x: tf.Tensor, k: tf.Tensor) -> tf.Tensor:
        return tf.nn.conv2d(x, k, **options)

    @tf.function
    def by_images(k: tf.Tensor, slopes: tf.Tensor) -> tf.Tensor:
        return tf.raw_ops.Conv2DBackpropInput(
            input_sizes=images.shape, filter=k, out_backprop=slopes, **options
        )

    @tf.function
    def by_kernel(x: tf.Tensor, slopes: tf.Tensor) -> tf.Tensor:
        return tf.raw_ops.Conv2DBackpropFilter(
            input=x, filter_sizes=kernel.shape, out_backprop=slopes, **options
        )

    # One element is fetched: a GPU still computes when a call returns.
    return {
        PRODUCT: lambda: product(matrix, matrix)[0, 0].numpy(),
        CONVOLUTION: lambda: convolution(images, kernel)[0, 0, 0, 0].numpy(),
        BY_IMAGES: lambda: by_images(kernel, images)[0, 0, 0, 0].numpy(),
        BY_KERNEL: lambda: by_kernel(images, images)[0, 0, 0, 0].numpy(),
    }


def ceiling_flops(config: Config) -> dict[str, int]:
    """Returns the operations of all by name, counted as in flops.py."""
    size, channels = middle_stage(config)
    pixels = 2 * config.training.batch_size * size**2
    convolution = 2 * pixels * channels * KERNEL_SIZE**2 * channels
    names = CONVOLUTION, BY_IMAGES, BY_KERNEL
    return {PRODUCT: 2 * MATRIX_SIZE**3} | dict.fromkeys(names, convolution)


def middle_stage(config: Config) -> tuple[int, int]:
    """Returns the pixels and channels of the middle stage of the pair."""
    model = config.model
    widths = channels_per_stage(
        config.data.image_size, model.base_channels, model.max_channels
    )
    middle = len(widths) // 2
    return SMALLEST_STAGE * 2**middle, widths[middle]
