"""What may change when a run goes on, and what is said when more did."""

import pytest

from settings.config import Config
from settings.continuing import Difference, difference, difference_text, merged


def config_with(**sections):
    return Config(run={"name": "flowers"}, **sections)


def changed(stored, new, fingerprint="same"):
    """Returns {key: (stored, new)} of the differences of two configs."""
    found = difference(
        stored,
        new,
        stored_data_fingerprint="same",
        new_data_fingerprint=fingerprint,
    )
    return {one.key: (one.stored, one.new) for one in found}


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("training", "total_iterations", 7),
        ("training", "max_minutes", 1.5),
        ("training", "sample_every_iterations", 7),
        ("training", "checkpoint_every_iterations", 7),
        ("training", "log_every_iterations", 7),
        ("training", "keep_every_iterations", 7),
        ("training", "keep_last", 7),
        ("training", "max_checkpoint_gib", 7),
        ("data", "cache_dir", "elsewhere"),
        ("data", "data_dir", "elsewhere"),
    ],
)
def test_a_free_key_is_no_difference_and_goes_on_as_given(section, key, value):
    new = config_with(**{section: {key: value}})
    assert changed(config_with(), new) == {}
    assert merged(config_with(), new) == new


@pytest.mark.parametrize(
    ("section", "key", "value", "stored", "new"),
    [
        ("run", "seed", 1, "0", "1"),
        ("data", "image_size", 32, "64", "32"),
        ("data", "horizontal_flip", False, "true", "false"),
        ("data", "splits", "train", "train+validation+test", "train"),
        ("model", "latent_dim", 64, "128", "64"),
        ("optimizer", "learning_rate", 2e-4, "0.0004", "0.0002"),
        ("optimizer", "damping_scale", 1e-3, "1.0", "0.001"),
        ("optimizer", "clipnorm", 1, "null", "1.0"),
        ("optimizer", "warmup_iterations", 7, "0", "7"),
        ("loss", "penalty_every_iterations", 7, "4", "7"),
        ("augment", "adjust_every_iterations", 7, "4", "7"),
        ("training", "batch_size", 7, "16", "7"),
        ("training", "ema_half_life_kimg", 7, "10.0", "7.0"),
        ("training", "max_skipped_iterations", 7, "50", "7"),
        ("runtime", "precision", "float32", "auto", "float32"),
        ("data", "name", "auto", "oxford_flowers102", "auto"),
        (
            "augment",
            "operations",
            ["flip", "cutout"],
            "[translation, brightness, saturation, contrast, cutout]",
            "[flip, cutout]",
        ),
    ],
)
def test_any_other_key_is_a_difference(section, key, value, stored, new):
    sections = {"run": {"name": "flowers"}}
    sections.setdefault(section, {})[key] = value
    other = Config(**sections)
    assert changed(config_with(), other) == {f"{section}.{key}": (stored, new)}


def test_auto_agrees_with_what_was_chosen_and_keeps_it():
    stored = config_with(
        runtime={
            "precision": "bfloat16",
            "compile": "graph",
            "device": "cpu",
            "deterministic": True,
        }
    )
    assert changed(stored, config_with()) == {}
    assert merged(stored, config_with()).runtime == stored.runtime
    other = config_with(runtime={"deterministic": False})
    assert changed(stored, other) == {"runtime.deterministic": ("true", "false")}


def test_keys_of_what_is_not_chosen_are_no_difference():
    new = config_with(
        data={"path": "x", "num_images": 3},
        optimizer={"rho": 0.5, "momentum": 0.5, "schedule_iterations": 3},
    )
    assert changed(config_with(), new) == {}
    drawn = {"data": {"source": "drawn"}, "optimizer": {"name": "sgd"}}
    stored = config_with(**drawn)
    new = config_with(
        data=drawn["data"] | {"splits": "x", "data_dir": "x", "name": "x"},
        optimizer=drawn["optimizer"] | {"beta_1": 0.5, "damping_scale": 3.0},
    )
    assert changed(stored, new) == {}


def test_keys_of_what_is_chosen_are_a_difference():
    chosen = {"data": {"source": "drawn"}, "optimizer": {"name": "log_sgd"}}
    new = config_with(
        data=chosen["data"] | {"num_images": 3},
        optimizer=chosen["optimizer"] | {"momentum": 0.5, "damping_scale": 3.0},
    )
    assert changed(config_with(**chosen), new) == {
        "data.num_images": ("2048", "3"),
        "optimizer.momentum": ("0.0", "0.5"),
        "optimizer.damping_scale": ("1.0", "3.0"),
    }


def test_the_rate_of_biases_counts_where_rates_are_scaled():
    unscaled = config_with(optimizer={"bias_rate": 0.5})
    assert changed(config_with(), unscaled) == {}
    scaled = {"rate_scaling": "fan_in"}
    assert changed(config_with(), config_with(optimizer=scaled)) == {
        "optimizer.rate_scaling": ("none", "fan_in")
    }
    new = config_with(optimizer=scaled | {"bias_rate": 0.5})
    assert changed(config_with(optimizer=scaled), new) == {
        "optimizer.bias_rate": ("0.25", "0.5")
    }


def test_the_course_of_gamma_is_a_difference_where_it_has_one():
    assert changed(config_with(), config_with(loss={"gamma_iterations": 7})) == {}
    falling = {"final_gamma": 0.5, "gamma_iterations": 7}
    stored = config_with(loss=falling)
    assert changed(config_with(), stored) == {"loss.final_gamma": ("null", "0.5")}
    assert changed(stored, config_with(loss=falling | {"gamma_iterations": 8})) == {
        "loss.gamma_iterations": ("7", "8")
    }


def test_the_step_of_a_penalty_counts_where_it_is_approximate():
    assert changed(config_with(), config_with(loss={"penalty_step": 0.1})) == {}
    finite = {"penalty_method": "finite_difference"}
    stored, new = (
        config_with(loss=finite),
        config_with(loss=finite | {"penalty_step": 0.1}),
    )
    assert changed(stored, new) == {"loss.penalty_step": ("0.01", "0.1")}
    new = config_with(loss={"penalty_batch": 0.5})
    assert changed(config_with(), new) == {"loss.penalty_batch": ("1.0", "0.5")}


def test_the_course_of_a_cosine_is_a_difference():
    cosine = {"schedule": "cosine", "schedule_iterations": 10}
    new = config_with(optimizer=cosine | {"schedule_iterations": 20})
    assert changed(config_with(optimizer=cosine), new) == {
        "optimizer.schedule_iterations": ("10", "20")
    }
    assert changed(config_with(), new) == {"optimizer.schedule": ("constant", "cosine")}


def test_another_source_or_optimizer_is_one_difference():
    new = config_with(data={"source": "drawn"}, optimizer={"name": "adam"})
    assert changed(config_with(), new) == {
        "data.source": ("tfds", "drawn"),
        "optimizer.name": ("log_adam", "adam"),
    }


def test_optimizers_are_compared_network_by_network():
    stored = config_with(optimizer={"generator": {"beta_1": 0.5}})
    same = config_with(optimizer={"beta_1": 0.5, "discriminator": {"beta_1": 0.0}})
    assert changed(stored, same) == {}
    assert changed(stored, config_with()) == {
        "optimizer.generator.beta_1": ("0.5", "0.0")
    }
    both = config_with(optimizer={"beta_1": 0.25})
    assert changed(stored, both) == {
        "optimizer.generator.beta_1": ("0.5", "0.25"),
        "optimizer.discriminator.beta_1": ("0.0", "0.25"),
    }


def test_spikes_that_are_not_numbers_equal_themselves():
    spike = {"iteration": 3, "network": "generator", "factor": float("nan")}
    stored = config_with(debug={"inject_spikes": [spike]})
    assert changed(stored, config_with(debug={"inject_spikes": [dict(spike)]})) == {}
    assert changed(stored, config_with()) == {
        "debug.inject_spikes": (
            "[{iteration: 3, network: generator, factor: .nan}]",
            "[]",
        )
    }


def test_the_same_photographs_may_lie_elsewhere_but_not_be_others():
    stored = config_with(data={"source": "folder", "path": "here"})
    new = config_with(data={"source": "folder", "path": "there"})
    assert changed(stored, new) == {}
    assert changed(stored, new, fingerprint=None) == {}
    assert merged(stored, new).data.path == "there"
    assert changed(stored, new, fingerprint="other") == {
        "data.path": ("here", "there"),
        "data": ("same", "other"),
    }
    assert list(changed(stored, stored, fingerprint="other")) == ["data"]


def test_what_is_not_free_goes_on_as_it_was():
    stored = config_with(training={"total_iterations": 10, "batch_size": 8})
    new = config_with(training={"total_iterations": 20}, data={"num_images": 3})
    config = merged(stored, new)
    assert config.training.total_iterations == 20
    assert config.training.batch_size == 8
    assert config.data.num_images == 2048


def test_a_refusal_names_each_key_with_both_values_and_the_ways_out():
    text = difference_text(
        "flowers",
        12000,
        [
            Difference("optimizer.learning_rate", "0.0004", "0.0002"),
            Difference("data", "one hash", "another"),
        ],
    )
    assert "run flowers, at iteration 12000" in text
    assert "\n  optimizer.learning_rate: 0.0004 in the run, 0.0002 now\n" in text
    assert "\n  data: the photographs are not the same ones\n" in text
    assert "--from flowers --set run.name=NEW" in text
    assert "--fresh" in text
    assert "hash" not in text
