"""The discriminator: images in, logits out."""

import keras
from keras import ops

from models.blocks import (
    activation,
    class_embedding,
    convolution,
    residual_block,
    scaled_normal,
)
from models.depth import SMALLEST_STAGE, blocks_per_stage, channels_per_stage

LAST_CONVOLUTION_SCALE = 2.0  # He's gain: no skip bypasses this convolution
LEAST_VARIANCE = 1e-8  # so that the root has a gradient where all images are equal


def build_discriminator(
    *,
    image_size: int,
    num_layers: int,
    base_channels: int,
    max_channels: int,
    stddev_group: int = 1,
    num_classes: int = 0,
    dtype: str = "float32",
    name: str = "discriminator",
) -> keras.Model:
    """Builds the discriminator from stock Keras layers, and operations for groups.

    A convolution from RGB, residual blocks at image_size, ..., 8, 4 pixels with
    average pooling between them, a 4 x 4 convolution to one pixel, and a dense layer
    to a logit without bias, which a relativistic loss would never train. With a
    stddev_group above 1, the 4 x 4 convolution also sees how much images differ. With
    classes, the product of the last features with an embedding of the class is added to
    the logit (projection, arXiv:1802.05637).

    Args:
        image_size: Pixels along one side: a power of 2, at least 4.
        num_layers: Weighted layers of the pair; half of them are in each network.
        base_channels: Channels at image_size, doubling at each halving.
        max_channels: Upper limit of the channels of a stage.
        stddev_group: Consecutive images that are compared with each other (minibatch
            standard deviation), a divisor of the batch; 1: each is judged by itself.
        num_classes: 0: it knows no classes.
        dtype: Keras precision policy, "float32" or "mixed_bfloat16".
        name: Name of the model.

    Returns:
        A model from float32 [batch, image_size, image_size, 3] in [-1, 1] to float32
        logits [batch, 1], larger for images that look real; with classes, from a list
        of such images and float32 [batch, num_classes], 1 for the class that an image
        is to be one of, 0 for the others.

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
    if stddev_group > 1:
        features = _with_deviation(features, stddev_group)
    classes = keras.Input((num_classes,), name="classes") if num_classes else None
    logits = _judged(features, classes, widths[0], dtype)
    inputs = images if classes is None else [images, classes]
    return keras.Model(inputs, logits, name=name)


def _with_deviation(features: keras.KerasTensor, group: int) -> keras.KerasTensor:
    """Appends a channel that says how much the images of each group differ.

    It is the standard deviation over a group, averaged over places and channels, and so
    one number for all of its images.

    Args:
        features: [batch, 4, 4, channels]; consecutive images form a group.
        group: Images in a group.

    Returns:
        [batch, 4, 4, channels + 1].

    References:
        Minibatch standard deviation: Karras et al., arXiv:1710.10196, sec. 3; in groups
        as in StyleGAN2, arXiv:1912.04958.
    """
    height, width, channels = features.shape[1:]
    groups = ops.reshape(features, (-1, group, height, width, channels))
    variance = ops.var(ops.cast(groups, "float32"), axis=1, keepdims=True)
    deviation = ops.mean(
        ops.sqrt(variance + LEAST_VARIANCE), axis=(2, 3, 4), keepdims=True
    )
    deviation = ops.cast(deviation, groups.dtype) * ops.ones_like(groups[..., :1])
    deviation = ops.reshape(deviation, (-1, height, width, 1))
    return ops.concatenate([features, deviation], axis=-1)


def _judged(
    features: keras.KerasTensor,
    classes: keras.KerasTensor | None,
    channels: int,
    dtype: str,
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
    features = activation(features, "activation", dtype)
    features = keras.layers.Flatten(name="flatten", dtype=dtype)(features)
    logits = keras.layers.Dense(
        1,
        use_bias=False,
        kernel_initializer=scaled_normal(1.0),
        name="logit",
        dtype=dtype,
    )(features)
    if classes is not None:
        embedded = class_embedding(classes, channels, dtype)
        fit = keras.layers.Dot(1, name="class_fit", dtype=dtype)([features, embedded])
        logits = keras.layers.Add(name="class_add", dtype=dtype)([logits, fit])
    return keras.layers.Activation("linear", name="logits", dtype="float32")(logits)
