"""Residual blocks and the arithmetic of depth and width that both networks share."""

import math

import keras

LEAK = 0.2  # slope of leaky ReLU below 0, as in StyleGAN (arXiv:1812.04948)
BRANCH_CONVOLUTIONS = 2
LAYERS_OUTSIDE_BLOCKS = 3
SMALLEST_STAGE = 4


def scaled_normal(scale: float) -> keras.initializers.Initializer | str:
    """Returns a normal initializer of variance scale / fan_in; zeros for scale 0."""
    if scale == 0:
        return "zeros"
    return keras.initializers.VarianceScaling(
        scale, mode="fan_in", distribution="untruncated_normal"
    )


def blocks_per_stage(num_layers: int, image_size: int) -> list[int]:
    """Spreads the residual blocks of one network over its stages.

    Args:
        num_layers: Weighted layers of the pair, 2 modulo 4.
        image_size: Pixels along one side, a power of 2, at least 4.

    Returns:
        Blocks at 4, 8, ..., image_size pixels; smaller sizes take the remainder.

    Raises:
        ValueError: If the layers do not make one whole block a stage.
    """
    num_stages = int(math.log2(image_size)) - 1
    per_network, odd = divmod(num_layers, 2)
    num_blocks, rest = divmod(per_network - LAYERS_OUTSIDE_BLOCKS, BRANCH_CONVOLUTIONS)
    if odd or rest or num_blocks < num_stages:
        raise ValueError(
            "Expected num_layers = 2 modulo 4 and at least "
            f"{2 * (BRANCH_CONVOLUTIONS * num_stages + LAYERS_OUTSIDE_BLOCKS)} for "
            f"{num_stages} stages. Received: num_layers={num_layers}, "
            f"image_size={image_size}"
        )
    each, remainder = divmod(num_blocks, num_stages)
    return [each + (stage < remainder) for stage in range(num_stages)]


def channels_per_stage(
    image_size: int, base_channels: int, max_channels: int
) -> list[int]:
    """Returns the channels at 4, 8, ..., image_size pixels.

    They are base_channels at image_size and double at each halving, at most
    max_channels.
    """
    num_stages = int(math.log2(image_size)) - 1
    doubled = [base_channels * 2**halvings for halvings in range(num_stages)]
    return [min(channels, max_channels) for channels in reversed(doubled)]


def convolution(
    channels: int, kernel_size: int, name: str, scale: float = 1.0, **options: object
) -> keras.layers.Conv2D:
    """Returns a same-padded convolution with weights of variance scale / fan_in."""
    options = {"padding": "same", "kernel_initializer": scaled_normal(scale)} | options
    return keras.layers.Conv2D(channels, kernel_size, name=name, **options)


def residual_block(
    features: keras.KerasTensor, channels: int, num_blocks: int, name: str, dtype: str
) -> keras.KerasTensor:
    """Adds a branch of two convolutions to a skip connection.

    The branch is leaky ReLU, convolution, leaky ReLU, convolution. The last one
    starts at zero, so that a new network is a chain of skips; the first is scaled
    down by the depth (Fixup, arXiv:1901.09321; R3GAN, arXiv:2501.05441). The skip is
    a 1 x 1 convolution without bias where the channels change.

    Args:
        features: [batch, height, width, any channels].
        channels: Channels of the result.
        num_blocks: Residual blocks in the whole network, for the scale.
        name: Prefix of the layers' names.
        dtype: Name of a Keras precision policy.

    Returns:
        [batch, height, width, channels].
    """
    skip = features
    if features.shape[-1] != channels:
        skip = convolution(
            channels, 1, f"{name}_projection", use_bias=False, dtype=dtype
        )(features)
    branch = keras.layers.LeakyReLU(LEAK, name=f"{name}_activation1", dtype=dtype)(
        features
    )
    branch = convolution(
        channels, 3, f"{name}_conv1", scale=2 / math.sqrt(num_blocks), dtype=dtype
    )(branch)
    branch = keras.layers.LeakyReLU(LEAK, name=f"{name}_activation2", dtype=dtype)(
        branch
    )
    branch = convolution(channels, 3, f"{name}_conv2", scale=0, dtype=dtype)(branch)
    return keras.layers.Add(name=f"{name}_add", dtype=dtype)([skip, branch])
