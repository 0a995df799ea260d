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


def discriminator_of(image_size=32, base_channels=2, max_channels=8):
    return build_discriminator(
        image_size=image_size,
        num_layers=46,
        base_channels=base_channels,
        max_channels=max_channels,
    )


def path_layers(network):
    """Counts weighted layers by walking the graph along the longest path."""
    depth = {}
    for layer in network.layers:
        weighted = isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense))
        before = [
            depth[parent.operation.name]
            for node in layer._inbound_nodes
            for parent in node.parent_nodes
        ]
        depth[layer.name] = max(before, default=0) + weighted
    return depth[network.layers[-1].name]


@pytest.mark.parametrize("image_size", SIZES)
def test_the_pair_has_46_layers_at_every_image_size(image_size):
    generator = generator_of(image_size)
    discriminator = discriminator_of(image_size)
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
    generator = generator_of(dtype="mixed_bfloat16")
    assert {v.dtype for v in generator.variables} == {"float32"}
    assert generator(np.zeros((1, 128), "float32")).dtype == "float32"


def test_the_layer_table_numbers_23_layers_and_sums_the_parameters():
    generator = generator_of()
    table = layer_table(generator)
    assert " 23  to_rgb" in table
    assert " 24  " not in table
    assert f"{generator.count_params():,}" in table.splitlines()[-1]


@pytest.mark.parametrize("base_channels", [1, 3])
def test_any_whole_number_of_channels_builds(base_channels):
    generator_of(base_channels=base_channels, max_channels=1)
    discriminator_of(base_channels=base_channels, max_channels=1)
