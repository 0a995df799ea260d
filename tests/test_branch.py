"""What a new run takes over from the one it starts from."""

import dataclasses

import numpy as np
import pytest

from commands.branch import take_over
from commands.start import Parent
from settings.config import Config
from settings.messages import Problem
from training.build import build_state
from training.state import assign_arrays, state_arrays

NETWORKS = ("generator", "discriminator", "ema_generator")
MOMENTS = ("generator_optimizer/", "discriminator_optimizer/")


def config_of(image_size=32, base_channels=2, **optimizer):
    """Returns a config of one block a stage."""
    num_layers = {32: 22, 64: 26}[image_size]
    return Config(
        run={"name": "new"},
        data={"image_size": image_size},
        model={
            "num_layers": num_layers,
            "latent_dim": 3,
            "base_channels": base_channels,
            "max_channels": 4,
        },
        optimizer=optimizer,
        runtime={"precision": "float32"},
    )


@pytest.fixture(scope="module")
def parent():
    """A run after 5 iterations, no two numbers of whose state are the same."""
    config = config_of()
    state = build_state(config)
    arrays, first = {}, 1000
    for name, array in state_arrays(state).items():
        numbers = np.arange(first, first + array.size)
        arrays[name] = numbers.astype(array.dtype).reshape(array.shape)
        first += array.size
    assign_arrays(state, arrays)  # they are a state's
    return Parent("old@5", "old", 5, config, arrays)


def taken(parent, config):
    """Returns a new run's arrays before and after it took over, and what was said."""
    state = build_state(config)
    before = state_arrays(state)
    said = take_over(state, config, parent)
    return before, state_arrays(state), said


def unnumbered(name):
    """Returns "field/layer.weight" of "field/012-layer.weight"."""
    field, _, rest = name.partition("/")
    return field + "/" + rest.split("-", 1)[1]


def test_the_same_pair_takes_over_weights_and_moments_and_starts_counting_anew(parent):
    before, after, said = taken(parent, config_of(learning_rate=1e-3))
    anew = {
        "augment_probability",
        "real_sign_sum",
        "iteration",
        "rollbacks",
        "skipped_in_a_row",
        "averaged_iterations",
        "log_gradients",
        "recent_losses",
        "watched_iterations",
        "usual_log_gradients",
        "loss_levels",
        "usual_losses",
        "loss_distances",
        "iterations_out",
    }
    for name, array in after.items():
        source = before if name in anew else parent.arrays
        np.testing.assert_array_equal(array, source[name], err_msg=name)
    assert anew < set(after)
    assert "starts from old at iteration 5" in said
    assert "the generator's moments, the discriminator's moments" in said


def test_a_pair_for_larger_images_takes_over_the_stages_it_shares(parent):
    # With base 1 at 64 px, the stages from 4 to 32 px are as wide as with base 2 at 32.
    before, after, said = taken(parent, config_of(image_size=64, base_channels=1))
    given = {
        unnumbered(name): array
        for name, array in parent.arrays.items()
        if name.split("/")[0] in NETWORKS
    }
    shared, others = set(), set()
    for name, array in after.items():
        if name.split("/")[0] not in NETWORKS:
            np.testing.assert_array_equal(array, before[name], err_msg=name)
            continue
        key = unnumbered(name)
        fits = key in given and given[key].shape == array.shape
        source = given[key] if fits else before[name]
        np.testing.assert_array_equal(array, source, err_msg=name)
        (shared if fits else others).add(key)
    # By hand, from models/: what is at 64 px, and what touches it.
    assert {key for key in others if not key.startswith("ema_")} == {
        "generator/stage64_block0_conv1.kernel",
        "generator/stage64_block0_conv1.bias",
        "generator/stage64_block0_conv2.kernel",
        "generator/stage64_block0_conv2.bias",
        "generator/stage64_block0_projection.kernel",
        "generator/to_rgb.kernel",
        "discriminator/from_rgb.kernel",
        "discriminator/from_rgb.bias",
        "discriminator/stage64_block0_conv1.kernel",
        "discriminator/stage64_block0_conv1.bias",
        "discriminator/stage64_block0_conv2.kernel",
        "discriminator/stage64_block0_conv2.bias",
        "discriminator/stage32_block0_conv1.kernel",
        "discriminator/stage32_block0_projection.kernel",
    }
    assert {f"ema_{key}" for key in others if key.startswith("gen")} < others
    assert "generator/stage32_block0_conv1.kernel" in shared
    assert f"{len([k for k in shared if k.startswith('gen')])} of " in said
    for network in ("generator", "discriminator"):
        assert f"fresh moments of the {network}" in said


def test_weights_are_matched_by_layer_and_not_by_place(parent):
    shuffled = sorted(parent.arrays.items(), key=lambda item: item[0][::-1])
    arrays = {}
    for place, (name, array) in enumerate(shuffled):
        field, slash, _ = name.partition("/")
        if field in NETWORKS:
            layer = unnumbered(name).partition("/")[2]
            name = f"{field}{slash}{place:03d}-{layer}"
        arrays[name] = array
    _, after, _ = taken(dataclasses.replace(parent, arrays=arrays), config_of())
    for name, array in after.items():
        if name.split("/")[0] in NETWORKS:
            np.testing.assert_array_equal(array, parent.arrays[name], err_msg=name)


@pytest.mark.parametrize(
    ("settings", "networks"),
    [
        ({"name": "adam"}, []),
        ({"name": "log_sgd"}, []),
        ({"generator": {"name": "adam"}}, ["discriminator"]),
        ({"damping_scale": 1e-3, "beta_1": 0.5}, ["generator", "discriminator"]),
    ],
    ids=str,
)
def test_moments_are_taken_only_by_the_same_optimizer(parent, settings, networks):
    before, after, said = taken(parent, config_of(**settings))
    for network in ("generator", "discriminator"):
        source = parent.arrays if network in networks else before
        for name, array in after.items():
            if name.startswith(f"{network}_optimizer/"):
                np.testing.assert_array_equal(array, source[name], err_msg=name)
        assert (f"the {network}'s moments" in said) == (network in networks)


def test_moments_are_taken_all_or_none(parent):
    lacking = dict(parent.arrays)
    name = max(name for name in lacking if name.startswith("generator_optimizer/"))
    lacking[name] = lacking[name].ravel()[:1]
    before, after, said = taken(
        dataclasses.replace(parent, arrays=lacking), config_of()
    )
    for name, array in after.items():
        if name.startswith("generator_optimizer/"):
            np.testing.assert_array_equal(array, before[name], err_msg=name)
    assert "the generator's moments" not in said
    assert "the discriminator's moments" in said


def test_a_parent_of_which_nothing_fits_is_refused(parent):
    config = config_of()
    model = config.model.model_copy(
        update={"base_channels": 5, "max_channels": 5, "latent_dim": 7}
    )
    config = config.model_copy(update={"model": model})
    with pytest.raises(Problem) as caught:
        taken(parent, config)
    assert caught.value.status == 2
    assert "--from old@5" in str(caught.value)
    assert "model.base_channels" in str(caught.value)
