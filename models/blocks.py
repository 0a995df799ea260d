"""The residual block and the convolution that both networks consist of."""

import math

import keras

LEAST_MEAN_SQUARE = 0.1  # see activation
CLASS_EMBEDDING = "class_embedding"  # name of that layer, in both networks
LEAK = 0.2  # negative slope of leaky ReLU, as in StyleGAN (arXiv:1812.04948)


def scaled_normal(scale: float) -> keras.initializers.Initializer | str:
    """Returns a normal initializer of variance scale / fan_in; zeros for scale 0."""
    if scale == 0:
        return "zeros"
    return keras.initializers.VarianceScaling(
        scale, mode="fan_in", distribution="untruncated_normal"
    )


def class_embedding(
    classes: keras.KerasTensor, size: int, dtype: str
) -> keras.KerasTensor:
    """Turns the weights of classes into a vector, which starts at zero.

    The weights are 1 for an image's class and 0 for the others, which looks up a row;
    other weights mix classes. At the start all classes are alike, so that a network
    which takes over weights trained without classes begins as it was.

    Args:
        classes: [batch, classes].
        size: Of the vectors, [batch, size].
        dtype: Name of a Keras precision policy.
    """
    return keras.layers.Dense(
        size,
        use_bias=False,
        kernel_initializer="zeros",
        name=CLASS_EMBEDDING,
        dtype=dtype,
    )(classes)


def convolution(
    channels: int, kernel_size: int, name: str, scale: float = 1.0, **options: object
) -> keras.layers.Conv2D:
    """Returns a convolution, padded "same" by default, of variance scale / fan_in."""
    options = {"padding": "same", "kernel_initializer": scaled_normal(scale)} | options
    return keras.layers.Conv2D(channels, kernel_size, name=name, **options)


def activation(
    features: keras.KerasTensor, name: str, dtype: str, norm: str = "none"
) -> keras.KerasTensor:
    """Applies leaky ReLU, after a normalization where the network has one.

    Args:
        features: [batch, height, width, channels], also of the result.
        name: Of the activation; its normalization is called "<name>_norm".
        dtype: Name of a Keras precision policy.
        norm: "none", or "rms": the channels of each pixel are divided by their root
            mean square, and multiplied by a learnt scale each (PGGAN's pixel norm,
            arXiv:1710.10196, with the scale of arXiv:1910.07467). LEAST_MEAN_SQUARE is
            added to the mean square: where all channels of a pixel pass through 0, as
            at the edge of a petal, the quotient would jump, and draw a line.
    """
    if norm == "rms":
        features = keras.layers.RMSNormalization(
            epsilon=LEAST_MEAN_SQUARE, name=f"{name}_norm", dtype=dtype
        )(features)
    return keras.layers.LeakyReLU(LEAK, name=name, dtype=dtype)(features)


def residual_block(
    features: keras.KerasTensor,
    channels: int,
    num_blocks: int,
    name: str,
    dtype: str,
    norm: str = "none",
) -> keras.KerasTensor:
    """Applies a residual block: a skip connection plus a branch of two convolutions.

    The branch is activation, convolution, activation, convolution. The second
    convolution starts at zero, so that a new network is a chain of skips; the first is
    scaled down with depth (Fixup, arXiv:1901.09321; R3GAN, arXiv:2501.05441). The skip
    is a 1 x 1 convolution without bias where the number of channels changes.

    Args:
        features: [batch, height, width, any channels].
        channels: Of the result, [batch, height, width, channels].
        num_blocks: Residual blocks in the whole network, for the scale.
        name: Prefix of the layers' names.
        dtype: Name of a Keras precision policy.
        norm: Of the activations: "none" or "rms".
    """
    skip = features
    if features.shape[-1] != channels:
        skip = convolution(
            channels, 1, f"{name}_projection", use_bias=False, dtype=dtype
        )(features)
    branch = activation(features, f"{name}_activation1", dtype, norm)
    branch = convolution(
        channels, 3, f"{name}_conv1", scale=2 / math.sqrt(num_blocks), dtype=dtype
    )(branch)
    branch = activation(branch, f"{name}_activation2", dtype, norm)
    branch = convolution(channels, 3, f"{name}_conv2", scale=0, dtype=dtype)(branch)
    return keras.layers.Add(name=f"{name}_add", dtype=dtype)([skip, branch])
