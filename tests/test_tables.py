"""What a config may choose by name is what the code has by that name."""

from typing import get_args

import pytest

import data
from commands.generate import WRITERS
from commands.generate_options import KINDS, SHARE, TIMELAPSE, WEIGHTS
from data.augment import _APPLY, NUM_UNIFORMS
from metrics.features import LOADERS
from metrics.networks import FEATURE_NETWORKS
from models.architectures import ARCHITECTURES
from optim.adaptive_knee import ADAPTIVE
from settings import key_types, metrics, optimizer
from settings.config import Config, Spike
from settings.continuing import RATE_SCALING_KEYS, SCHEDULE_KEYS, SOURCE_KEYS
from settings.optimizer import NETWORKS, OPTIMIZER_KEYS
from training.build import OPTIMIZERS
from training.chance import UPDATES
from training.losses import DISCRIMINATOR_LOSSES, GENERATOR_LOSSES
from training.networks import PRECISION_POLICIES
from training.recipe import PENALIZED


def choices(section, key):
    """Returns what a key of a section accepts."""
    return get_args(
        Config.model_fields[section].annotation.model_fields[key].annotation
    )


TABLES = {
    "model.name": (choices("model", "name"), ARCHITECTURES),
    "optimizer.name": (choices("optimizer", "name"), OPTIMIZERS),
    "optimizer.name, its keys": (choices("optimizer", "name"), OPTIMIZER_KEYS),
    "optimizer.schedule": (choices("optimizer", "schedule"), SCHEDULE_KEYS),
    "optimizer.rate_scaling": (choices("optimizer", "rate_scaling"), RATE_SCALING_KEYS),
    "loss.name": (choices("loss", "name"), DISCRIMINATOR_LOSSES),
    "loss.name, generator": (choices("loss", "name"), GENERATOR_LOSSES),
    "loss.penalty": (choices("loss", "penalty"), PENALIZED),
    "augment.operations": (get_args(key_types.Operation), NUM_UNIFORMS),
    "augment.operations, applied": (get_args(key_types.Operation), _APPLY),
    "metrics.extractor": (get_args(metrics.Extractor), FEATURE_NETWORKS),
    "metrics.extractor, loaded": (get_args(metrics.Extractor), LOADERS),
    "metrics.resize": (
        get_args(metrics.Resize),
        {resize for network in FEATURE_NETWORKS.values() for resize in network.resizes},
    ),
    "data.source": (choices("data", "source"), SOURCE_KEYS),
    "runtime.precision": (
        choices("runtime", "precision"),
        ["auto", *PRECISION_POLICIES],
    ),
    "debug.inject_spikes": (
        get_args(Spike.model_fields["network"].annotation),
        NETWORKS,
    ),
    "the updates of an iteration": (NETWORKS, UPDATES),
    "the networks with settings of their own": (
        NETWORKS,
        optimizer.OptimizerPairConfig.model_fields.keys()
        - optimizer.OptimizerConfig.model_fields.keys(),
    ),
    "--kind": (KINDS, [*WRITERS, SHARE, TIMELAPSE, WEIGHTS]),
}


@pytest.mark.parametrize("table", TABLES)
def test_a_choice_and_its_table_name_the_same(table):
    chosen, known = TABLES[table]
    assert len(chosen) > 0
    assert sorted(chosen) == sorted(known)


def test_the_sources_of_the_config_are_those_of_data(tmp_path):
    with pytest.raises(ValueError) as caught:
        data.load_images("none", image_size=32, cache_dir=tmp_path)
    assert f"one of {', '.join(choices('data', 'source'))}." in str(caught.value)


def test_the_adaptive_knee_has_one_name():
    assert key_types.ADAPTIVE == ADAPTIVE
