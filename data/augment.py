"""Differentiable augmentation of the discriminator's images, real and fake alike.

Each operation has its own gate and is applied to an image where the gate's uniform
is below `probability`, so one scalar controls all of them (ADA). Nothing is random
here: the uniforms are an argument, and the result is a function of them.

| operation   | parameters drawn, u in [0, 1)       | result                        |
|-------------|-------------------------------------|-------------------------------|
| flip        | mirrored where u >= 1/2             | left and right swapped        |
| rotation    | floor(4u) quarter turns             | rotated counterclockwise      |
| translation | whole-pixel shifts down and right,  | shifted, 0 where uncovered    |
|             | each at most image_size / 8 in size |                               |
| brightness  | b = u - 1/2                         | x + b                         |
| saturation  | s = 2u                              | s x + (1 - s) grey            |
| contrast    | c = u + 1/2                         | c x + (1 - c) mean            |
| cutout      | the centre of a square of side      | 0 inside                      |
|             | image_size / 2, anywhere            |                               |

`grey` is the mean of a pixel's channels, `mean` that of the whole image.

The ranges are DiffAugment's; the gates, flip and rotation, and the order geometry,
colour, cutout are ADA's. Flip and rotation may leave an image unchanged even where the
gate is open: if a flip were certain, the generator would learn mirrored images.

Nothing is clipped, as in both papers: a clipped pixel would pass no gradient to the
generator, and different values would merge at -1 and 1. Uncovered pixels are 0 (mid
grey) instead of reflections: no input pixel is then used twice, and a gradient penalty
weighs the borders like the rest.

References:
    Differentiable Augmentation for Data-Efficient GAN Training (arXiv:2006.10738).
    Training Generative Adversarial Networks with Limited Data (arXiv:2006.06676).
"""

from collections.abc import Iterable

import keras
from keras import ops

# Uniforms per image for each operation: its gate, then its parameters. Their order is
# the order of application and of the columns of `uniforms`.
NUM_UNIFORMS = {
    "flip": 2,
    "rotation": 2,
    "translation": 3,
    "brightness": 2,
    "saturation": 2,
    "contrast": 2,
    "cutout": 3,
}

TRANSLATION_RATIO = 1 / 8
CUTOUT_RATIO = 1 / 2


def num_uniforms(operations: Iterable[str]) -> int:
    """Counts the uniforms that `augment` needs for one image.

    Raises:
        ValueError: If an operation is unknown or named twice.
    """
    return sum(NUM_UNIFORMS[operation] for operation in _ordered(operations))


def augment(
    images: keras.KerasTensor,
    uniforms: keras.KerasTensor,
    probability: keras.KerasTensor | float,
    operations: Iterable[str],
) -> keras.KerasTensor:
    """Returns the images with each operation applied where its gate is open.

    The arithmetic is float32 for any dtype; an image whose gates are all closed is
    returned bit for bit.

    Args:
        images: floating point [batch, image_size, image_size, 3] in [-1, 1].
        uniforms: float32 [batch, num_uniforms(operations)] in [0, 1).
        probability: float32 [] in [0, 1], that a gate is open.
        operations: names from `NUM_UNIFORMS`, in any order.

    Returns:
        [batch, image_size, image_size, 3] in the images' dtype, not clipped.

    Raises:
        ValueError: If an operation is unknown or named twice, or if the shape or dtype
            of the images, or the shape of the uniforms, is not as above.
    """
    operations = _ordered(operations)
    _check(images, uniforms, operations)
    probability = ops.cast(probability, "float32")
    uniforms = ops.cast(uniforms, "float32")
    result = ops.cast(images, "float32")
    column = 0
    for operation in operations:
        end = column + NUM_UNIFORMS[operation]
        is_open = uniforms[:, column] < probability
        changed = _APPLY[operation](result, uniforms[:, column + 1 : end])
        result = _select(is_open, changed, result)
        column = end
    return ops.cast(result, images.dtype)


def horizontal_flip(
    images: keras.KerasTensor, flips: keras.KerasTensor
) -> keras.KerasTensor:
    """Mirrors images left to right where `flips`, bool [batch], is true.

    The images are [batch, height, width, channels] of any dtype.
    """
    return _select(flips, ops.flip(images, axis=2), images)


def _ordered(operations: Iterable[str]) -> tuple[str, ...]:
    """Returns the operations in the order of `NUM_UNIFORMS`."""
    operations = tuple(operations)
    for operation in operations:
        if operation not in NUM_UNIFORMS:
            raise ValueError(
                f"Expected operations among {', '.join(NUM_UNIFORMS)}. "
                f"Received: {operation!r}"
            )
    if len(set(operations)) < len(operations):
        raise ValueError(f"Expected each operation once. Received: {operations}")
    return tuple(name for name in NUM_UNIFORMS if name in operations)


def _check(
    images: keras.KerasTensor,
    uniforms: keras.KerasTensor,
    operations: tuple[str, ...],
) -> None:
    """Raises ValueError unless the shapes and dtype are those of `augment`."""
    shape = tuple(images.shape)
    if len(shape) != 4 or shape[1] != shape[2] or shape[3] != 3:
        raise ValueError(
            "Expected images of shape [batch, image_size, image_size, 3]. "
            f"Received: images.shape={shape}"
        )
    dtype = keras.backend.standardize_dtype(images.dtype)
    if not keras.backend.is_float_dtype(dtype):
        raise ValueError(f"Expected floating point images. Received: {dtype}")
    expected = num_uniforms(operations)
    if len(uniforms.shape) != 2 or uniforms.shape[1] != expected:
        raise ValueError(
            f"Expected uniforms of shape [batch, {expected}]. "
            f"Received: uniforms.shape={tuple(uniforms.shape)}"
        )


def _select(
    choices: keras.KerasTensor, changed: keras.KerasTensor, images: keras.KerasTensor
) -> keras.KerasTensor:
    """Returns the changed images where `choices`, bool [batch], is true.

    A selection, not a product: 0 * x + x would turn -0.0 into 0.0, and inf into NaN.
    """
    height, width, channels = images.shape[1:]
    # TensorFlow broadcasts a condition over two axes three times as fast as over four
    # (64 px, batch 16, on a CPU).
    flat = (-1, height * width * channels)
    chosen = ops.where(
        ops.reshape(choices, (-1, 1)),
        ops.reshape(changed, flat),
        ops.reshape(images, flat),
    )
    return ops.reshape(chosen, (-1, height, width, channels))


def _whole_number(uniforms: keras.KerasTensor, count: int) -> keras.KerasTensor:
    """Maps uniforms to float32 whole numbers in [0, count - 1]."""
    return ops.floor(uniforms * count)


def _per_image(values: keras.KerasTensor) -> keras.KerasTensor:
    return ops.reshape(values, (-1, 1, 1, 1))


def _flip(images: keras.KerasTensor, draws: keras.KerasTensor) -> keras.KerasTensor:
    return horizontal_flip(images, draws[:, 0] >= 0.5)


def _rotation(images: keras.KerasTensor, draws: keras.KerasTensor) -> keras.KerasTensor:
    turns = _whole_number(draws[:, 0], 4)
    is_odd = (turns == 1) | (turns == 3)
    images = _select(is_odd, ops.transpose(images, (0, 2, 1, 3)), images)
    images = _select((turns == 1) | (turns == 2), ops.flip(images, axis=1), images)
    return _select(turns >= 2, ops.flip(images, axis=2), images)


def _translation(
    images: keras.KerasTensor, draws: keras.KerasTensor
) -> keras.KerasTensor:
    limit = round(images.shape[1] * TRANSLATION_RATIO)
    shifts = _whole_number(draws, 2 * limit + 1) - limit
    # Each call swaps the axes: after two, rows are rows again.
    for axis in range(2):
        images = _shift_rows_and_transpose(images, shifts[:, axis])
    return images


def _shift_rows_and_transpose(
    images: keras.KerasTensor, shifts: keras.KerasTensor
) -> keras.KerasTensor:
    """Shifts images down by float32 [batch] whole numbers, and transposes them.

    A product with a matrix of zeros and ones: unlike a gather, its gradient is not a
    scatter, whose sums a GPU takes in any order. It is exact unless the GPU rounds
    float32 factors to TensorFloat-32, as it then does in the next convolution too.
    """
    size = images.shape[1]
    places = ops.arange(size, dtype="float32")
    sources = ops.reshape(places, (1, size, 1)) - ops.reshape(shifts, (-1, 1, 1))
    matrices = ops.cast(sources == ops.reshape(places, (1, 1, size)), "float32")
    moved = ops.matmul(matrices, ops.reshape(images, (-1, size, size * 3)))
    return ops.transpose(ops.reshape(moved, (-1, size, size, 3)), (0, 2, 1, 3))


def _brightness(
    images: keras.KerasTensor, draws: keras.KerasTensor
) -> keras.KerasTensor:
    return images + _per_image(draws[:, 0] - 0.5)


def _saturation(
    images: keras.KerasTensor, draws: keras.KerasTensor
) -> keras.KerasTensor:
    grey = ops.mean(images, axis=3, keepdims=True)
    factor = _per_image(2 * draws[:, 0])
    return factor * images + (1 - factor) * grey


def _contrast(images: keras.KerasTensor, draws: keras.KerasTensor) -> keras.KerasTensor:
    mean = ops.mean(images, axis=(1, 2, 3), keepdims=True)
    factor = _per_image(draws[:, 0] + 0.5)
    return factor * images + (1 - factor) * mean


def _cutout(images: keras.KerasTensor, draws: keras.KerasTensor) -> keras.KerasTensor:
    size = images.shape[1]
    side = round(size * CUTOUT_RATIO)
    # An even side has its centre between pixels: one more position than pixels.
    starts = _whole_number(draws, size + 1 - side % 2) - side // 2
    places = ops.arange(size, dtype="float32")
    offsets = ops.reshape(places, (1, 1, size)) - ops.expand_dims(starts, 2)
    is_cut = ops.cast((offsets >= 0) & (offsets < side), "float32")
    rows, columns = is_cut[:, 0], is_cut[:, 1]
    kept = 1 - ops.expand_dims(rows, 2) * ops.expand_dims(columns, 1)
    return images * ops.expand_dims(kept, 3)


_APPLY = {
    "flip": _flip,
    "rotation": _rotation,
    "translation": _translation,
    "brightness": _brightness,
    "saturation": _saturation,
    "contrast": _contrast,
    "cutout": _cutout,
}
