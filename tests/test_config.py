"""The config's keys: defaults, ranges, and what goes together."""

import ast
import pathlib
import re
import subprocess
import sys
import typing

import pytest
from pydantic import ValidationError

from settings.complaints import ConfigError
from settings.config import Config
from settings.config_file import load_config
from settings.optimizer import OPTIMIZER_KEYS, OptimizerKeys

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent


def config_with(**sections):
    return Config(run={"name": "flowers"}, **sections)


def complaints(**sections):
    """Returns {dotted key: message} of what is wrong with some sections."""
    with pytest.raises(ValidationError) as caught:
        config_with(**sections)
    errors = caught.value.errors()
    return {".".join(map(str, one["loc"])): one["msg"] for one in errors}


def test_a_name_is_all_a_config_needs():
    config = config_with()
    assert config.model.num_layers == 46
    assert config.training.total_iterations == 140_000
    assert config.optimizer.damping_scale == 1.0  # the article's formula


def numbers():
    """Yields section, key and type of every key that is a number."""
    for section, field in Config.model_fields.items():
        model = field.annotation
        for key, one in model.model_fields.items():
            kinds = {one.annotation, *typing.get_args(one.annotation)}
            kinds |= {part for kind in kinds for part in typing.get_args(kind)}
            for kind in {int, float} & kinds:
                yield section, key, kind


@pytest.mark.parametrize("section, key, kind", list(numbers()))
def test_every_number_has_a_largest_value_which_the_message_tells(section, key, kind):
    huge = 10**30 if kind is int else 1e300
    with pytest.raises(ConfigError) as error:
        load_config("configs/demo.yaml", [f"{section}.{key}={huge}"])
    told = str(error.value)
    assert re.search(r"(to|at most|between 0 and|\]) ?[\d,.e]+|of 32, 64", told), told
    assert "...," not in told


def test_numbers_of_every_section_are_tried():
    found = list(numbers())
    assert len(found) > 50
    assert {"run", "model", "optimizer", "loss", "augment", "training", "metrics"} <= {
        section for section, _, _ in found
    }


@pytest.mark.parametrize(
    "override",
    [
        "model.num_layers=4002",
        "model.num_layers=" + "9" * 5000,
        "model.num_layers=" + "[" * 400,
        "optimizer.generator=" + "{" * 400,
        "debug.inject_spikes=" + "[" * 100_000,
        "." * 3000,
        "model." + "x." * 3000 + "y=1",
        "data.path=a\0b",
        "data.cache_dir=\ud800",
        "run.name=" + "x" * 100_000,
        "model.classes=[1, 2]",
        "model.classes=[]",
        "model.classes=a",
        "training.sample_classes=[{a: 1}]",
        "optimizer.epsilon=5e-324",
        "optimizer.beta_2=0.99999999",
        "training.max_checkpoint_gib=1e308",
        "optimizer.weight_decay=1e300",
    ],
    ids=lambda override: ascii(override[:30]),
)
def test_what_nobody_means_is_a_mistake_with_its_place(override):
    with pytest.raises(ConfigError) as error:
        load_config(REPOSITORY / "configs/demo.yaml", [override])
    assert str(error.value).startswith("--set ")


def test_every_key_has_a_docstring():
    for file in ("config.py", "optimizer.py", "metrics.py"):
        for model in ast.parse((REPOSITORY / "settings" / file).read_text()).body:
            if not isinstance(model, ast.ClassDef) or model.name == "Config":
                continue
            for key, after in zip(model.body, model.body[1:] + [None], strict=True):
                if isinstance(key, ast.AnnAssign):
                    assert isinstance(after, ast.Expr), f"{file}: {key.target.id}"
                    assert isinstance(after.value.value, str)


@pytest.mark.parametrize("name", ["flowers", "0123", "a.b-c_d", "-x", "n" * 64])
def test_good_names_are_taken(name):
    assert Config(run={"name": name}).run.name == name


@pytest.mark.parametrize("name", ["", ".x", "a/b", "a b", "a\n", "\u00e9", "n" * 65])
def test_bad_names_are_refused(name):
    with pytest.raises(ValidationError):
        Config(run={"name": name})


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("run", "seed", -1),
        ("run", "seed", 2**31),
        ("data", "image_size", 65),
        ("data", "image_size", 64.0),
        ("data", "horizontal_flip", 1),
        ("data", "num_images", 0),
        ("data", "cache_dir", ""),
        ("model", "latent_dim", 0),
        ("model", "base_channels", 16.0),
        ("optimizer", "learning_rate", -1e-4),
        ("optimizer", "learning_rate", float("inf")),
        ("optimizer", "learning_rate", True),
        ("optimizer", "learning_rate", "0123"),
        ("optimizer", "learning_rate", "nan"),
        ("optimizer", "beta_1", 1.0),
        ("optimizer", "beta_2", -0.1),
        ("optimizer", "epsilon", 0.0),
        ("optimizer", "damping_scale", 0.0),
        ("optimizer", "damping_scale", float("inf")),
        ("optimizer", "clipnorm", 0.0),
        ("optimizer", "momentum", 1.5),
        ("optimizer", "schedule_iterations", 0),
        ("optimizer", "warmup_iterations", -1),
        ("loss", "gamma", -1.0),
        ("loss", "penalty_every_iterations", 0),
        ("loss", "penalty_batch", 0),
        ("loss", "penalty_batch", 1.5),
        ("loss", "penalty_step", 0),
        ("loss", "penalty_method", "approximate"),
        ("loss", "final_gamma", -1.0),
        ("loss", "gamma_iterations", 0),
        ("optimizer", "rate_scaling", "fan"),
        ("optimizer", "bias_rate", -1.0),
        ("augment", "probability", -0.1),
        ("augment", "max_probability", 1.1),
        ("augment", "min_probability", -0.1),
        ("augment", "operations", []),
        ("augment", "operations", ["flip", "flip"]),
        ("augment", "kimg_to_full", 0),
        ("training", "batch_size", True),
        ("training", "batch_size", 1e3),
        ("training", "batch_size", "16"),
        ("training", "total_iterations", 0),
        ("training", "max_minutes", 0),
        ("training", "max_skipped_iterations", 0),
        ("runtime", "deterministic", 1),
        ("runtime", "deterministic", "yes"),
        ("debug", "inject_spikes", [{"iteration": 1}]),
    ],
)
def test_a_value_out_of_range_is_refused_at_its_key(section, key, value):
    sections = {"run": {"name": "flowers"}}
    sections.setdefault(section, {})[key] = value
    with pytest.raises(ValidationError) as caught:
        Config(**sections)
    assert all(one["loc"][:2] == (section, key) for one in caught.value.errors())


def test_text_and_whole_numbers_are_taken_where_a_float_belongs():
    config = config_with(optimizer={"learning_rate": "2e-4", "damping_scale": 1})
    assert config.optimizer.learning_rate == 2e-4
    assert isinstance(config.optimizer.damping_scale, float)


def test_limits_themselves_are_taken():
    config_with(
        optimizer={"beta_1": 0, "momentum": 1, "learning_rate": 0},
        augment={"probability": 1, "max_probability": 1},
        training={"batch_size": 1, "total_iterations": 1, "ema_ramp_up": None},
        debug={
            "inject_spikes": [
                {"iteration": 1, "network": "generator", "factor": float("nan")}
            ]
        },
    )


@pytest.mark.parametrize(
    ("image_size", "least"), [(32, 22), (64, 26), (128, 30), (256, 34), (512, 38)]
)
def test_layers_are_6_and_4_a_block_and_a_block_a_stage(image_size, least):
    data = {"image_size": image_size}
    for num_layers in (least, least + 4, 46):
        config_with(data=data, model={"num_layers": num_layers})
    for num_layers in (least - 4, least + 1, least + 2, least + 3, 1):
        found = complaints(data=data, model={"num_layers": num_layers})
        assert list(found) == ["model.num_layers"]
    assert f"{least}, {least + 4}, {least + 8}, ..." in found["model.num_layers"]


def test_the_possible_layers_near_a_wrong_number_are_named():
    found = complaints(model={"num_layers": 47})
    assert found["model.num_layers"].startswith("46, 50, 54, ...")


def test_a_folder_needs_a_path_and_other_sources_ignore_it():
    assert complaints(data={"source": "folder"}) == {
        "data.path": "the path of a folder, as data.source is folder"
    }
    config_with(data={"source": "folder", "path": "photographs"})
    config_with(data={"source": "drawn", "path": "photographs"})


def test_the_home_folder_may_be_written_as_a_tilde(monkeypatch):
    monkeypatch.setenv("HOME", "/home/anna")
    data = {"path": "~/roses", "cache_dir": "~/cache", "data_dir": "~/tfds"}
    config = config_with(data=data, metrics={"weights": "~/w.h5"})
    assert config.data.path == "/home/anna/roses"
    assert config.data.cache_dir == "/home/anna/cache"
    assert config.data.data_dir == "/home/anna/tfds"
    assert config.metrics.weights == "/home/anna/w.h5"


def test_cosine_needs_a_length_of_its_own_beyond_the_warm_up():
    key = "optimizer.schedule_iterations"
    optimizer = {"schedule": "cosine"}
    assert (
        "1 or more, as optimizer.schedule is cosine"
        in complaints(optimizer=optimizer)[key]
    )
    optimizer |= {"schedule_iterations": 10, "warmup_iterations": 10}
    assert "11 or more" in complaints(optimizer=optimizer)[key]
    config_with(optimizer=optimizer | {"schedule_iterations": 11})


def test_at_most_one_clip_is_set():
    optimizer = {"clipnorm": 1.0, "global_clipnorm": 1.0}
    found = complaints(optimizer=optimizer)
    assert "as clipnorm is set" in found["optimizer.global_clipnorm"]
    config_with(optimizer={"clipvalue": 1.0})


def test_what_keras_would_refuse_is_refused_before_it_is_loaded():
    assert "beta_1" in str(complaints(optimizer={"name": "log_lion"}))
    assert "weight_decay" in str(complaints(optimizer={"name": "adamw"}))
    config_with(optimizer={"name": "lion", "beta_1": 0.9})
    config_with(optimizer={"name": "log_adamw", "weight_decay": 0})


def test_every_optimizer_has_its_keys():
    names = OptimizerKeys.model_fields["name"].annotation.__args__
    assert set(names) == set(OPTIMIZER_KEYS)
    assert all(
        key in OptimizerKeys.model_fields for key in sum(OPTIMIZER_KEYS.values(), ())
    )


def test_probability_is_at_most_max_probability_unless_nothing_is_changed():
    augment = {"probability": 0.9}
    assert complaints(augment=augment) == {
        "augment.probability": "at most augment.max_probability, which is 0.8"
    }
    config_with(augment=augment | {"policy": "none"})
    config_with(augment=augment | {"max_probability": 0.9})


def test_probability_is_at_least_min_probability_where_it_is_adapted():
    augment = {"policy": "adaptive", "min_probability": 0.3}
    assert complaints(augment=augment) == {
        "augment.probability": "at least augment.min_probability, which is 0.3"
    }
    config_with(augment=augment | {"policy": "fixed"})
    config_with(augment=augment | {"probability": 0.3})
    assert complaints(augment={"min_probability": 0.9}) == {
        "augment.min_probability": "at most augment.max_probability, which is 0.8"
    }


def test_a_batch_consists_of_whole_groups():
    assert complaints(model={"stddev_group": 3}, training={"batch_size": 8}) == {
        "training.batch_size": "a multiple of model.stddev_group, which is 3"
    }
    config_with(model={"stddev_group": 4}, training={"batch_size": 8})


def test_metrics_need_what_they_are_taken_with():
    on = {"every_iterations": 1000}
    config_with(metrics=on)  # its network can be downloaded
    assert complaints(metrics=on | {"extractor": "mobilenetv2"}) == {
        "metrics.weights": "the path of a file, as metrics.extractor is mobilenetv2"
    }
    config_with(metrics={"extractor": "mobilenetv2"})
    config_with(metrics=on | {"extractor": "mobilenetv2", "weights": "net.h5"})
    assert complaints(metrics=on | {"num_images": 1}) == {
        "metrics.num_images": "a whole number, 2 or more"
    }
    assert complaints(metrics={"extractor": "random", "resize": "legacy"}) == {
        "metrics.resize": "clean, unless metrics.extractor is inception-fid"
    }


def test_a_knee_is_a_number_or_adaptive():
    for knee, kept in ((1e-3, 1e-3), ("2e-4", 2e-4), ("adaptive", "adaptive")):
        config = config_with(optimizer={"damping_scale": knee})
        assert config.optimizer.damping_scale == kept
    for knee in (0.0, -1.0, float("inf"), "adaptve", True, None):
        found = complaints(optimizer={"damping_scale": knee})
        assert set(found) == {"optimizer.damping_scale"}, knee


def test_a_stop_by_metric_needs_the_metric():
    stops = {"stop_without_progress_iterations": 5, "stop_above_best": 2.0}
    never = "null, as long as metrics.every_iterations is null"
    assert complaints(metrics=stops) == {f"metrics.{key}": never for key in stops}
    config_with(metrics=stops | {"every_iterations": 1})
    assert complaints(metrics={"every_iterations": 1, "stop_above_best": 1.0}) == {
        "metrics.stop_above_best": "Input should be greater than 1"
    }


def test_each_network_has_the_shared_keys_and_its_own():
    optimizer = config_with(
        optimizer={
            "learning_rate": 1e-3,
            "clipnorm": 1.0,
            "generator": {"learning_rate": "2e-4", "name": "adam"},
            "discriminator": {"clipnorm": None, "clipvalue": 0.5},
        }
    ).optimizer
    generator = optimizer.for_network("generator")
    discriminator = optimizer.for_network("discriminator")
    assert (generator.name, generator.learning_rate) == ("adam", 2e-4)
    assert (generator.clipnorm, generator.clipvalue) == (1.0, None)
    assert (discriminator.name, discriminator.learning_rate) == ("log_adam", 1e-3)
    assert (discriminator.clipnorm, discriminator.clipvalue) == (None, 0.5)
    assert not hasattr(generator, "generator")


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ({"learning_rat": 1.0}, "learning_rat"),
        ({"beta_1": 1.0}, "beta_1"),
        ({"learning_rate": None}, "learning_rate"),
        ({"generator": {}}, "generator"),
        ({"clipvalue": 1.0}, "clipvalue"),
        ({"schedule": "cosine"}, "schedule_iterations"),
        ({"name": "log_adamw"}, "weight_decay"),
    ],
)
def test_overrides_are_checked_together_with_what_they_override(override, key):
    found = complaints(optimizer={"clipnorm": 1.0, "discriminator": override})
    assert list(found) == [f"optimizer.discriminator.{key}"]


def test_a_mistake_of_both_networks_is_told_once():
    optimizer = {"schedule": "cosine", "generator": {"learning_rate": 1e-3}}
    assert list(complaints(optimizer=optimizer)) == ["optimizer.schedule_iterations"]


def test_a_config_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        config_with().training.batch_size = 3


def test_reading_a_config_does_not_import_tensorflow():
    program = (
        "import sys, settings.config_file, settings.continuing\n"
        "sys.exit(bool({'tensorflow', 'keras', 'numpy'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, check=True)
