"""The generator: latents in, images out."""

import keras

from models.blocks import (
    activation,
    class_embedding,
    convolution,
    residual_block,
    scaled_normal,
)
from models.depth import SMALLEST_STAGE, blocks_per_stage, channels_per_stage

RGB_SCALE = 0.5  # a new network's images have moderate contrast


def build_generator(
    *,
    image_size: int,
    num_layers: int,
    latent_dim: int,
    base_channels: int,
    max_channels: int,
    norm: str = "none",
    num_classes: int = 0,
    dtype: str = "float32",
    name: str = "generator",
) -> keras.Model:
    """Builds the generator from stock Keras layers.

    A dense layer to 4 x 4 features, a convolution, residual blocks at 4, 8, ...,
    image_size pixels with bilinear upsampling between them, and a convolution to RGB.
    Without `norm`, nothing is normalized, as in R3GAN (arXiv:2501.05441). With classes,
    an embedding of the class is added to the first features, which is what a latent
    with the embedding appended would give (arXiv:1411.1784).

    Args:
        image_size: Pixels along one side: a power of 2, at least 4.
        num_layers: Weighted layers of the pair; half of them are in each network.
        latent_dim: Length of a latent.
        base_channels: Channels at image_size, doubling at each halving.
        max_channels: Upper limit of the channels of a stage.
        norm: What comes before each activation: "none", or "rms" (blocks.py).
        num_classes: 0: it knows no classes.
        dtype: Keras precision policy, "float32" or "mixed_bfloat16".
        name: Name of the model.

    Returns:
        A model from standard normal float32 [batch, latent_dim] to float32 [batch,
        image_size, image_size, 3], about [-1, 1] but unbounded: clip to display. With
        classes, from a list of such latents and float32 [batch, num_classes], the
        weights of the classes: 1 for one and 0 for the others, or a mixture.

    Raises:
        ValueError: If num_layers does not suit image_size.
    """
    blocks = blocks_per_stage(num_layers, image_size)
    widths = channels_per_stage(image_size, base_channels, max_channels)
    latents = keras.Input((latent_dim,), name="latents")
    classes = keras.Input((num_classes,), name="classes") if num_classes else None
    features = _first_features(latents, classes, widths[0], dtype)
    for stage, (num_blocks, channels) in enumerate(zip(blocks, widths, strict=True)):
        size = SMALLEST_STAGE * 2**stage
        if stage:
            features = keras.layers.UpSampling2D(
                interpolation="bilinear", name=f"up{size}", dtype=dtype
            )(features)
        for block in range(num_blocks):
            features = residual_block(
                features,
                channels,
                sum(blocks),
                f"stage{size}_block{block}",
                dtype,
                norm,
            )
    features = activation(features, "activation", dtype, norm)
    images = convolution(3, 3, "to_rgb", scale=RGB_SCALE, dtype=dtype)(features)
    images = keras.layers.Activation("linear", name="images", dtype="float32")(images)
    inputs = latents if classes is None else [latents, classes]
    return keras.Model(inputs, images, name=name)


def _first_features(
    latents: keras.KerasTensor,
    classes: keras.KerasTensor | None,
    channels: int,
    dtype: str,
) -> keras.KerasTensor:
    """Turns latents [batch, latent_dim] into features [batch, 4, 4, channels].

    And the weights of classes, float32 [batch, classes], if there are any.
    """
    features = keras.layers.Dense(
        SMALLEST_STAGE**2 * channels,
        kernel_initializer=scaled_normal(1.0),
        name="dense",
        dtype=dtype,
    )(latents)
    if classes is not None:
        embedded = class_embedding(classes, features.shape[-1], dtype)
        features = keras.layers.Add(name="class_add", dtype=dtype)([features, embedded])
    features = keras.layers.Reshape(
        (SMALLEST_STAGE, SMALLEST_STAGE, channels), name="reshape", dtype=dtype
    )(features)
    return convolution(channels, 3, "conv", dtype=dtype)(features)
