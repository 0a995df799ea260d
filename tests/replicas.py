"""Trains with several replicas on one CPU, in a process of its own.

TensorFlow divides a CPU into logical devices only before it is used. test_replicas.py
runs this file and looks at what it writes.
"""

import dataclasses
import functools
import math
import pathlib
import sys

import numpy as np
import tensorflow as tf
from tiny_run import image_set

from data.classes import Classes
from settings.config import Config
from training.build import build_state, build_step
from training.distribution.shares import distribute, share_of
from training.inputs import inputs_at, penalty_at
from training.state import state_arrays, state_variables

NUM_ITERATIONS = 4
LABELS = np.random.default_rng(1).integers(0, 3, 32, np.int32)
IMAGES = dataclasses.replace(
    image_set(np.random.default_rng(0).integers(0, 256, (32, 32, 32, 3), np.uint8)),
    classes=Classes(("anemone", "rose", "tulip"), LABELS),
)
BASE = {
    "run": {"name": "tiny"},
    "data": {"source": "drawn", "image_size": 32},
    "model": {"num_layers": 22, "base_channels": 2, "max_channels": 8, "latent_dim": 8},
    "optimizer": {"damping_scale": 1e-3, "learning_rate": 2e-3},
    "augment": {
        "policy": "adaptive",
        "probability": 0.5,
        "adjust_every_iterations": 2,
        "kimg_to_full": 0.1,
    },
    "training": {"batch_size": 8},
    "loss": {"penalty_every_iterations": 2},
    "runtime": {"precision": "float32", "compile": "graph", "deterministic": True},
    # A finite spike for damping, and an iteration that is skipped.
    "debug": {
        "inject_spikes": [
            {"iteration": 1, "network": "generator", "factor": 1e4},
            {"iteration": 2, "network": "discriminator", "factor": 1e4},
            {"iteration": 3, "network": "generator", "factor": math.inf},
        ]
    },
}
VARIANTS = {
    "exact": {},
    "groups": {
        "model": {"stddev_group": 2, "generator_norm": "rms"},
        "loss": {"penalty_batch": 0.5},
        "training": {"generator_batch": "same"},
        "optimizer": {"damping_scale": "adaptive", "rate_scaling": "fan_in"},
    },
    "classes": {"model": {"conditional": True, "classes": list(IMAGES.classes.names)}},
    "approximate": {
        "loss": {
            "penalty_method": "finite_difference",
            "penalty_batch": 0.5,
            "penalty_step": 0.1,
        },
        "optimizer": {"name": "log_adamw", "weight_decay": 0.1, "clipnorm": 0.01},
    },
}


def config_of(variant: str) -> Config:
    changes = VARIANTS[variant]
    names = BASE | changes
    return Config(**{n: BASE.get(n, {}) | changes.get(n, {}) for n in names})


@functools.cache  # a second strategy would take the keys of the first's all-reduces
def strategy_of(count: int) -> tf.distribute.Strategy | None:
    names = [f"CPU:{place}" for place in range(count)]
    return None if count == 1 else tf.distribute.MirroredStrategy(names)


def differing_copies(state, strategy) -> list[str]:
    """Returns the variables that are not the same, bit for bit, in all replicas."""
    names = []
    for name, variable in state_variables(state).items():
        value = variable if isinstance(variable, tf.Variable) else variable.value
        copies = [v.numpy() for v in strategy.experimental_local_results(value)]
        if any((copy != copies[0]).any() for copy in copies):
            names.append(name)
    return names


def trained(variant: str, count: int) -> dict[str, np.ndarray]:
    """Returns the state after some iterations, and all scalars of each."""
    config, strategy = config_of(variant), strategy_of(count)
    state = build_state(config, strategy)
    step = build_step(config, state, strategy)
    arrays = {}
    for iteration in range(NUM_ITERATIONS):
        inputs = distribute(config, inputs_at(config, IMAGES, 0, iteration), strategy)
        for name, value in step(inputs, penalty_at(config, iteration)).items():
            arrays[f"scalar/{name}/{iteration}"] = np.array(value)
        state.iteration += 1
    assert count == 1 or differing_copies(state, strategy) == []
    return arrays | state_arrays(state)


def skipped_by_one() -> dict[str, np.ndarray]:
    """Returns the state before and after an iteration that only replica 1 must skip.

    Its generator's gradients are infinite, those of the other replica are not.
    """
    config, strategy = config_of("exact"), strategy_of(2)
    state = build_state(config, strategy)
    before = state_arrays(state)
    whole = inputs_at(config, IMAGES, 0, 0)
    bad = whole.generator._replace(spike_factor=tf.constant(math.inf))
    shares = [
        share_of(config, inputs, replica, 2)
        for replica, inputs in enumerate([whole, whole._replace(generator=bad)])
    ]
    inputs = strategy.experimental_distribute_values_from_function(
        lambda replica: shares[replica.replica_id_in_sync_group]
    )
    scalars = build_step(config, state, strategy)(inputs, True)
    assert scalars["usable/discriminator"] == 1
    assert scalars["usable/generator"] == 0
    assert differing_copies(state, strategy) == []
    after = {f"after/{name}": array for name, array in state_arrays(state).items()}
    return before | after


def main(folder: pathlib.Path, count: int, cases: list[str]) -> None:
    cpu = tf.config.list_physical_devices("CPU")[0]
    parts = [tf.config.LogicalDeviceConfiguration()] * count
    tf.config.set_logical_device_configuration(cpu, parts)
    tf.config.run_functions_eagerly(True)  # tracing takes longer than training
    for case in cases:
        arrays = skipped_by_one() if case == "skipped" else trained(case, count)
        np.savez(folder / f"{case}-{count}.npz", **arrays)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
