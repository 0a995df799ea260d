"""Tests augmentation against NumPy, by the Jacobian, and over ways to run it."""

import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from data.augment import NUM_UNIFORMS, augment, horizontal_flip, num_uniforms

ALL = tuple(NUM_UNIFORMS)
BELOW_1 = np.nextafter(np.float32(1), np.float32(0))
SPECS = tuple(map(tf.TensorSpec, ((4, 16, 16, 3), (4, num_uniforms(ALL)), ())))


def images_of(count, size=16):
    values = np.random.default_rng(0).uniform(-1, 1, (count, size, size, 3))
    return values.astype(np.float32)


def uniforms_of(count, operations=ALL, seed=1):
    shape = (count, num_uniforms(operations))
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


def applied(operation, images, *parameters):
    """Returns the images, every gate open, with the same parameters for each."""
    uniforms = np.tile(np.float32([0, *parameters]), (len(images), 1))
    return np.asarray(augment(images, uniforms, 1.0, (operation,)))


def changed_in_numpy(operation, image, draws):
    """Returns one image changed, in float64, by other means than augment.py's."""
    size = len(image)
    if operation == "flip":
        return np.fliplr(image) if draws[0] >= 0.5 else image
    if operation == "rotation":
        return np.rot90(image, int(draws[0] * 4))
    if operation == "translation":
        limit = size // 8
        down, right = (int(draw * (2 * limit + 1)) - limit for draw in draws)
        padded = np.pad(image, ((limit, limit), (limit, limit), (0, 0)))
        return np.roll(padded, (down, right), (0, 1))[limit:-limit, limit:-limit]
    if operation == "brightness":
        return image + (draws[0] - 0.5)
    if operation == "saturation":
        grey = image.sum(axis=2, keepdims=True) / 3
        return grey + 2 * draws[0] * (image - grey)
    if operation == "contrast":
        return image.mean() + (draws[0] + 0.5) * (image - image.mean())
    top, left = (int(draw * (size + 1)) - size // 4 for draw in draws)
    result = image.copy()
    result[max(top, 0) : top + size // 2, max(left, 0) : left + size // 2] = 0
    return result


def augmented_in_numpy(images, uniforms, probability):
    results = []
    for image, row in zip(images.astype(np.float64), uniforms, strict=True):
        place = 0
        for operation, width in NUM_UNIFORMS.items():
            draws = row[place + 1 : place + width].astype(np.float64)
            if row[place] < probability:
                image = changed_in_numpy(operation, image, draws)
            place += width
        results.append(image)
    return np.stack(results)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_at_probability_0_the_output_is_the_input_bit_for_bit(dtype):
    images = images_of(8)
    images[0, 0] = -0.0
    images[0, 1] = np.inf
    images = ops.cast(images, dtype)
    uniforms = uniforms_of(8)
    uniforms[0] = 0
    result = augment(images, uniforms, 0.0, ALL)
    assert result.dtype == images.dtype
    assert np.asarray(result).tobytes() == np.asarray(images).tobytes()


def test_flip_exchanges_left_and_right_for_the_upper_half_of_draws():
    images = images_of(2)
    np.testing.assert_array_equal(applied("flip", images, 0.5), images[:, :, ::-1])
    np.testing.assert_array_equal(applied("flip", images, 0.49), images)


@pytest.mark.parametrize("turns", range(4))
def test_rotation_turns_counterclockwise_by_quarters(turns):
    images = images_of(2)
    expected = np.rot90(images, turns, axes=(1, 2))
    np.testing.assert_array_equal(applied("rotation", images, turns / 4), expected)


def test_translation_moves_down_and_right_and_uncovers_zeros():
    images = images_of(1) + 3  # Nowhere 0, so that the border is seen.
    # At 16 px the limit is 2, so there are 5 shifts, and draw 0.7 is the fourth: +1.
    expected = np.zeros_like(images)
    expected[0, 1:, 2:] = images[0, :-1, :-2]
    moved = applied("translation", images, 0.7, BELOW_1)
    np.testing.assert_array_equal(moved, expected)


@pytest.mark.parametrize("size", [32, 64, 128, 256, 512])
def test_translation_reaches_an_eighth_of_the_image_and_no_further(size):
    image = np.ones((1, size, size, 3), np.float32)
    farthest = applied("translation", image, BELOW_1, 0)[0, :, :, 0]
    assert farthest.sum() == (size - size // 8) ** 2
    assert not farthest[: size // 8].any() and not farthest[:, -size // 8 :].any()


def test_brightness_adds_up_to_a_half_and_does_not_clip():
    images = np.full((1, 4, 4, 3), 0.75, np.float32)
    np.testing.assert_array_equal(applied("brightness", images, 0), images - 0.5)
    np.testing.assert_array_equal(applied("brightness", images, 0.75), images + 0.25)
    assert applied("brightness", images, 0.99).min() > 1


def test_saturation_scales_the_distance_from_the_channels_mean():
    images = np.tile(np.float32([0.5, 0.25, 0]), (1, 4, 4, 1))
    for draw, red, blue in ((0, 0.25, 0.25), (0.5, 0.5, 0), (0.75, 0.625, -0.125)):
        pixel = applied("saturation", images, draw)[0, 0, 0]
        assert pixel == pytest.approx([red, 0.25, blue])


def test_contrast_scales_the_distance_from_the_images_mean():
    images = np.zeros((1, 4, 4, 3), np.float32)
    images[:, :2] = 0.5  # Mean 0.25.
    for draw, bright, dark in ((0, 0.375, 0.125), (0.75, 0.5625, -0.0625)):
        result = applied("contrast", images, draw)[0]
        assert result[:2] == pytest.approx(bright)
        assert result[2:] == pytest.approx(dark)


def test_cutout_zeroes_a_square_of_half_the_side_that_may_hang_over():
    images = np.ones((1, 8, 8, 3), np.float32)
    centred, corner = images.copy(), images.copy()
    centred[:, 2:6, 2:6] = 0  # Draw 0.5 of 9 places is the fifth: centre 4.
    corner[:, :2, 6:] = 0
    np.testing.assert_array_equal(applied("cutout", images, 0.5, 0.5), centred)
    np.testing.assert_array_equal(applied("cutout", images, 0, BELOW_1), corner)


@pytest.mark.parametrize("probability", [0.2, 0.8, 1.0])
def test_all_operations_together_equal_numpy_in_float64(probability):
    images, uniforms = images_of(48), uniforms_of(48)
    result = np.asarray(augment(images, uniforms, probability, ALL))
    expected = augmented_in_numpy(images, uniforms, probability)
    # A few roundings of float32 values below 4, 2.4e-7 each.
    np.testing.assert_allclose(result, expected, rtol=0, atol=2e-6)


def test_bfloat16_images_are_augmented_in_float32_and_rounded_once():
    images = ops.cast(images_of(8), "bfloat16")
    result = augment(images, uniforms_of(8), 1.0, ALL)
    in_float32 = augment(ops.cast(images, "float32"), uniforms_of(8), 1.0, ALL)
    assert result.dtype == images.dtype
    assert bool(ops.all(result == ops.cast(in_float32, "bfloat16")))


@pytest.mark.parametrize("probability", [0.5, 1.0])
@pytest.mark.parametrize("operation", ALL)
def test_a_gate_is_open_strictly_below_the_probability(operation, probability):
    # At probability 1 that is all of [0, 1): always.
    images = images_of(2)
    uniforms = np.full((2, NUM_UNIFORMS[operation]), 0.9, np.float32)
    uniforms[:, 0] = probability, np.nextafter(np.float32(probability), np.float32(0))
    result = np.asarray(augment(images, uniforms, probability, (operation,)))
    np.testing.assert_array_equal(result[0], images[0])
    assert (result[1] != images[1]).any()


def test_gates_open_at_the_rate_of_the_probability_and_each_by_itself():
    images = np.full((20_000, 2, 2, 3), 0.5, np.float32)
    operations = ("brightness", "cutout")
    uniforms = uniforms_of(len(images), operations)
    result = np.asarray(augment(images, uniforms, 0.3, operations))
    is_cut = (result == 0).any(axis=(1, 2, 3))
    is_brighter = ~np.isin(result, (0, 0.5)).all(axis=(1, 2, 3))
    # A square of one pixel always lies in the image of 2 x 2, and leaves three seen.
    # Four standard deviations: 4 sqrt(p (1 - p) / n).
    assert is_cut.mean() == pytest.approx(0.3, abs=0.013)
    assert is_brighter.mean() == pytest.approx(0.3, abs=0.013)
    assert (is_cut & is_brighter).mean() == pytest.approx(0.09, abs=0.0081)


def test_the_order_in_which_operations_are_named_does_not_matter():
    images, uniforms = images_of(8), uniforms_of(8)
    forwards = augment(images, uniforms, 0.7, ALL)
    backwards = augment(images, uniforms, 0.7, list(reversed(ALL)))
    np.testing.assert_array_equal(np.asarray(forwards), np.asarray(backwards))


@pytest.mark.parametrize("operation", ALL)
def test_first_and_second_derivatives_are_those_of_the_affine_map(operation):
    # Every operation is y = A x + t in the pixels. A comes here from unit images,
    # without differentiation; for f = |y|^2 / 2 and the penalty |df/dx|^2,
    # df/dx = A'y and dpenalty/dx = 2 A'A A'y.
    size = 8
    num_pixels = size * size * 3
    uniforms = uniforms_of(1, (operation,), seed=4) * 0.6 + 0.35
    units = np.eye(num_pixels, dtype=np.float32).reshape(-1, size, size, 3)
    origin = applied(operation, np.zeros_like(units[:1]), *uniforms[0, 1:])
    columns = applied(operation, units, *uniforms[0, 1:]) - origin
    matrix = columns.reshape(num_pixels, num_pixels).T.astype(np.float64)
    images = tf.constant(images_of(1, size))
    with tf.GradientTape() as outer:
        outer.watch(images)
        with tf.GradientTape() as inner:
            inner.watch(images)
            changed = augment(images, uniforms, 1.0, (operation,))
            energy = ops.sum(ops.square(changed)) / 2
        gradient = inner.gradient(energy, images)
        penalty = ops.sum(ops.square(gradient))
    second = outer.gradient(penalty, images)
    expected = matrix.T @ changed.numpy().ravel()
    # Sums of up to 192 float32 products.
    np.testing.assert_allclose(gradient.numpy().ravel(), expected, atol=1e-4)
    expected = 2 * matrix.T @ matrix @ expected
    np.testing.assert_allclose(second.numpy().ravel(), expected, atol=1e-3)
    assert np.abs(expected).max() > 0.1


def penalty_gradient(images, uniforms, probability):
    with tf.GradientTape() as outer:
        outer.watch(images)
        with tf.GradientTape() as inner:
            inner.watch(images)
            changed = augment(images, uniforms, probability, ALL)
            energy = ops.sum(changed**3)
        penalty = ops.sum(ops.square(inner.gradient(energy, images)))
    return changed, outer.gradient(penalty, images)


def test_eager_graph_and_xla_agree_to_second_derivatives():
    arguments = tuple(map(tf.constant, (images_of(8), uniforms_of(8), 0.6)))
    changed, gradient = penalty_gradient(*arguments)
    for jit_compile in (False, True):
        compiled = tf.function(penalty_gradient, jit_compile=jit_compile)
        changed_there, gradient_there = compiled(*arguments)
        # Means are summed in another order: float32 rounding, not more.
        np.testing.assert_allclose(changed_there, changed, rtol=0, atol=2e-6)
        scale = np.abs(gradient).max()
        np.testing.assert_allclose(gradient_there, gradient, rtol=0, atol=1e-5 * scale)


def test_shapes_are_static_and_one_trace_serves_every_probability():
    function = tf.function(lambda *arguments: augment(*arguments, ALL))
    for probability in (0.0, 0.5, 1.0):
        function(*map(tf.constant, (images_of(4), uniforms_of(4), probability)))
    assert function.experimental_get_tracing_count() == 1
    assert function.get_concrete_function(*SPECS).output_shapes == (4, 16, 16, 3)


def test_no_gradient_is_a_scatter():
    traced = tf.function(penalty_gradient).get_concrete_function(*SPECS)
    types = {operation.type for operation in traced.graph.get_operations()}
    assert "BatchMatMulV2" in types
    assert not {name for name in types if "Scatter" in name or "Segment" in name}


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_horizontal_flip_mirrors_the_chosen_images_and_keeps_the_dtype(dtype):
    images = np.arange(2 * 4 * 6 * 3, dtype=dtype).reshape(2, 4, 6, 3)
    result = np.asarray(horizontal_flip(images, np.array([True, False])))
    assert result.dtype == images.dtype
    np.testing.assert_array_equal(result[0], images[0, :, ::-1])
    np.testing.assert_array_equal(result[1], images[1])


@pytest.mark.parametrize(
    ("operations", "expected"),
    [
        (("flip", "blur"), "Expected operations among flip, .* Received: 'blur'"),
        (("flip", "flip"), r"Expected each operation once. Received: \('flip', 'flip"),
    ],
)
def test_operations_unknown_or_named_twice_are_refused(operations, expected):
    with pytest.raises(ValueError, match=expected):
        num_uniforms(operations)
    with pytest.raises(ValueError, match=expected):
        augment(images_of(1), np.zeros((1, 4), np.float32), 1.0, operations)


@pytest.mark.parametrize(
    ("image_shape", "dtype", "num_columns", "expected"),
    [
        ((1, 8, 4, 3), "float32", 2, r"Received: images.shape=\(1, 8, 4, 3\)"),
        ((1, 8, 8, 4), "float32", 2, r"Received: images.shape=\(1, 8, 8, 4\)"),
        ((8, 8, 3), "float32", 2, r"Received: images.shape=\(8, 8, 3\)"),
        ((1, 8, 8, 3), "uint8", 2, "floating point images. Received: uint8"),
        ((1, 8, 8, 3), "float32", 4, r"\[batch, 2\]. Received: .*shape=\(1, 4\)"),
    ],
)
def test_arrays_of_another_kind_are_refused(image_shape, dtype, num_columns, expected):
    images, uniforms = np.zeros(image_shape, dtype), np.zeros((1, num_columns))
    with pytest.raises(ValueError, match=expected):
        augment(images, uniforms, 1.0, ("flip",))
