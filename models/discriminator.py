"""The discriminator: images in, logits out."""

import keras

from models.blocks import LEAK, convolution, residual_block, scaled_normal
from models.depth import SMALLEST_STAGE, blocks_per_stage, channels_per_stage

LAST_CONVOLUTION_SCALE = 2.0  # He's gain: no skip bypasses this convolution


def build_discriminator(
    *,
    image_size: int,
    num_layers: int,
    base_channels: int,
    max_channels: int,
    dtype: str = "float32",
    name: str = "discriminator",
) -> keras.Model:
    """Builds the discriminator from stock Keras layers.

    A convolution from RGB, residual blocks at image_size, ..., 8, 4 pixels with
    average pooling between them, a 4 x 4 convolution to one pixel, and a dense layer
    to a logit without bias, which a relativistic loss would never train.

    Args:
        image_size: Pixels along one side: a power of 2, at least 4.
        num_layers: Weighted layers of the pair; half of them are in each network.
        base_channels: Channels at image_size, doubling at each halving.
        max_channels: Upper limit of the channels of a stage.
        dtype: Keras precision policy, "float32" or "mixed_bfloat16".
        name: Name of the model.

    Returns:
        A model from float32 [batch, image_size, image_size, 3] in [-1, 1] to float32
        logits [batch, 1], larger for images that look real.

    Raises:
        ValueError: If num_layers does not suit image_size.
    """
    blocks = blocks_per_stage(num_layers, image_size)
    widths = channels_per_stage(image_size, base_channels, max_channels)
    images = keras.Input((image_size, image_size, 3), name="images")
    features = convolution(widths[-1], 3, "from_rgb", dtype=dtype)(images)
    stages = list(enumerate(zip(blocks, widths, strict=True)))
    for stage, (num_blocks, channels) in reversed(stages):
        size = SMALLEST_STAGE * 2**stage
        if size != image_size:
            features = keras.layers.AveragePooling2D(
                2, name=f"down{size}", dtype=dtype
            )(features)
        for block in range(num_blocks):
            features = residual_block(
                features, channels, sum(blocks), f"stage{size}_block{block}", dtype
            )
    logits = _judged(features, widths[0], dtype)
    return keras.Model(images, logits, name=name)


def _judged(
    features: keras.KerasTensor, channels: int, dtype: str
) -> keras.KerasTensor:
    """Turns features [batch, 4, 4, channels] into float32 logits [batch, 1]."""
    features = convolution(
        channels,
        SMALLEST_STAGE,
        "conv",
        scale=LAST_CONVOLUTION_SCALE,
        padding="valid",
        dtype=dtype,
    )(features)
    features = keras.layers.LeakyReLU(LEAK, name="activation", dtype=dtype)(features)
    features = keras.layers.Flatten(name="flatten", dtype=dtype)(features)
    logits = keras.layers.Dense(
        1,
        use_bias=False,
        kernel_initializer=scaled_normal(1.0),
        name="logit",
        dtype=dtype,
    )(features)
    return keras.layers.Activation("linear", name="logits", dtype="float32")(logits)
