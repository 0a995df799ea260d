"""Facts about the built networks."""

import keras
import numpy as np
import pytest

from models.depth import blocks_per_stage, channels_per_stage
from models.discriminator import build_discriminator
from models.generator import build_generator
from models.layer_table import count_layers, layer_table

SIZES = (32, 64, 128, 256, 512)


def generator_of(image_size=32, base_channels=2, max_channels=8, **options):
    return build_generator(
        image_size=image_size,
        num_layers=46,
        latent_dim=128,
        base_channels=base_channels,
        max_channels=max_channels,
        **options,
    )


def discriminator_of(image_size=32, base_channels=2, max_channels=8, **options):
    return build_discriminator(
        image_size=image_size,
        num_layers=46,
        base_channels=base_channels,
        max_channels=max_channels,
        **options,
    )


def path_layers(network):
    """Counts weighted layers by walking the graph along the longest path."""
    depth = {}
    for layer in network.operations:
        weighted = isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense))
        before = [
            depth[parent.operation.name]
            for node in layer._inbound_nodes
            for parent in node.parent_nodes
        ]
        depth[layer.name] = max(before, default=0) + weighted
    return depth[network.operations[-1].name]


@pytest.mark.parametrize("norm, num_classes", [("none", 0), ("rms", 3)])
@pytest.mark.parametrize("image_size", SIZES)
def test_the_pair_has_46_layers_at_every_image_size(image_size, norm, num_classes):
    generator = generator_of(image_size, norm=norm, num_classes=num_classes)
    discriminator = discriminator_of(
        image_size, stddev_group=1 + (norm == "rms"), num_classes=num_classes
    )
    assert count_layers(generator) == path_layers(generator) == 23
    assert count_layers(discriminator) == path_layers(discriminator) == 23
    assert generator.output_shape == (None, image_size, image_size, 3)
    assert discriminator.output_shape == (None, 1)


def test_blocks_go_to_the_smaller_sizes_first():
    assert blocks_per_stage(46, 32) == [3, 3, 2, 2]
    assert blocks_per_stage(46, 64) == [2, 2, 2, 2, 2]
    assert blocks_per_stage(46, 128) == [2, 2, 2, 2, 1, 1]
    assert blocks_per_stage(46, 512) == [2, 2, 1, 1, 1, 1, 1, 1]


@pytest.mark.parametrize("num_layers", [44, 45, 47, 22])
def test_layers_that_do_not_make_whole_blocks_are_refused(num_layers):
    with pytest.raises(ValueError, match="Expected num_layers = 2 modulo 4"):
        blocks_per_stage(num_layers, 64)


def test_channels_double_at_each_halving_up_to_the_most():
    assert channels_per_stage(64, 16, 256) == [256, 128, 64, 32, 16]
    assert channels_per_stage(64, 16, 100) == [100, 100, 64, 32, 16]
    assert channels_per_stage(64, 7, 30) == [30, 30, 28, 14, 7]


def test_a_new_generator_makes_finite_images_of_middling_contrast():
    keras.utils.set_random_seed(1)
    generator = generator_of(base_channels=8, max_channels=64)
    latents = np.random.default_rng(0).standard_normal((16, 128)).astype("float32")
    images = np.asarray(generator(latents))
    assert np.isfinite(images).all()
    assert 0.1 < images.std() < 1.5


def test_every_weight_gets_a_gradient_once_the_branches_have_left_zero():
    import tensorflow as tf

    keras.utils.set_random_seed(1)
    discriminator = discriminator_of()
    for variable in discriminator.trainable_variables:
        variable.assign_add(keras.random.normal(variable.shape, stddev=0.1, seed=3))
    images = keras.random.normal((4, 32, 32, 3), seed=4)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(tf.square(discriminator(images)))
    weights = [v.value for v in discriminator.trainable_variables]
    gradients = tape.gradient(total, weights)
    assert all(np.abs(gradient).max() > 0 for gradient in gradients)


def test_networks_hold_no_layer_that_draws_or_keeps_statistics():
    for network in (generator_of(), discriminator_of()):
        assert len(network.variables) == len(network.trainable_variables)


def test_names_do_not_count_up_within_a_process():
    first, second = (generator_of() for _ in range(2))
    assert [v.path for v in first.variables] == [v.path for v in second.variables]


def test_mixed_precision_keeps_weights_and_results_in_float32():
    generator = generator_of(dtype="mixed_bfloat16", norm="rms")
    discriminator = discriminator_of(dtype="mixed_bfloat16", stddev_group=2)
    for network, inputs in (
        (generator, np.ones((2, 128), "float32")),
        (discriminator, np.ones((2, 32, 32, 3), "float32")),
    ):
        assert {v.dtype for v in network.variables} == {"float32"}
        assert network.get_layer("conv").compute_dtype == "bfloat16"
        assert network(inputs).dtype == "float32"


def test_the_layer_table_numbers_23_layers_and_sums_the_parameters():
    generator = generator_of()
    table = layer_table(generator)
    assert " 23  to_rgb" in table
    assert " 24  " not in table
    assert f"{generator.count_params():,}" in table.splitlines()[-1]


@pytest.mark.parametrize("base_channels", [1, 3])
def test_any_whole_number_of_channels_builds(base_channels):
    generator_of(base_channels=base_channels, max_channels=1, norm="rms")
    discriminator_of(base_channels=base_channels, max_channels=1)


def test_images_of_a_group_are_compared_by_their_standard_deviation():
    discriminator = discriminator_of(stddev_group=4)
    last = discriminator.get_layer("conv")
    features = keras.Model(discriminator.input, last.input)
    images = np.random.default_rng(1).normal(size=(8, 32, 32, 3)).astype("float32")
    *plain, deviation = np.moveaxis(features(images).numpy(), -1, 0)
    plain = np.moveaxis(plain, 0, -1)
    for group in (slice(0, 4), slice(4, 8)):
        expected = plain[group].std(axis=0).mean()
        assert expected > 0.01
        np.testing.assert_allclose(deviation[group], expected, rtol=1e-4)
    assert deviation[0, 0, 0] != deviation[4, 0, 0]


def test_a_group_is_judged_as_a_whole_and_without_a_look_at_the_next():
    images = np.random.default_rng(1).normal(size=(8, 32, 32, 3)).astype("float32")
    changed = images.copy()
    changed[3] *= 2
    for stddev_group, judged_otherwise in ((1, {3}), (4, {0, 1, 2, 3})):
        discriminator = discriminator_of(stddev_group=stddev_group)
        before, after = discriminator(images), discriminator(changed)
        moved = np.abs(before - after)[:, 0] > 1e-5
        assert set(np.flatnonzero(moved)) == judged_otherwise


def test_images_that_are_all_the_same_still_have_gradients():
    import tensorflow as tf

    discriminator = discriminator_of(stddev_group=2)
    images = tf.zeros((2, 32, 32, 3))
    with tf.GradientTape() as tape:
        with tf.GradientTape(watch_accessed_variables=False) as image_tape:
            image_tape.watch(images)
            logits = discriminator(images)
        slopes = image_tape.gradient(logits, images)
        penalty = tf.reduce_sum(tf.square(slopes))
    weights = [v.value for v in discriminator.trainable_variables]
    assert np.isfinite(slopes).all()
    for gradient in tape.gradient(penalty, weights):
        assert gradient is None or np.isfinite(gradient).all()


def test_a_normalized_generator_evens_out_all_but_the_faintest_features():
    generator = generator_of(norm="rms")
    norms = [layer for layer in generator.layers if layer.name.endswith("_norm")]
    activations = [x for x in generator.layers if isinstance(x, keras.layers.LeakyReLU)]
    assert [norm.output for norm in norms] == [one.input for one in activations]
    ends = [norms[0].input, norms[0].output]
    first = keras.Model(generator.input, ends)
    latents = np.random.default_rng(2).normal(size=(3, 128)).astype("float32")
    before, after = (np.square(end).mean(axis=-1) for end in first(latents * 100))
    assert before.min() > 100
    np.testing.assert_allclose(after, 1, rtol=1e-3)
    before, after = (np.square(end).mean(axis=-1) for end in first(latents * 0))
    np.testing.assert_array_equal(after, 0)
    before, after = (np.square(end).mean(axis=-1) for end in first(latents * 0.3))
    assert 0.001 < before.min() < before.max() < 1
    np.testing.assert_allclose(after, before / (before + 0.1), rtol=1e-3)
