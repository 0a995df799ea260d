"""Predicts running out of memory on a CPU, and recovers from it on a GPU."""

import contextlib
import pathlib
from collections.abc import Callable, Iterator
from typing import TypeVar

import keras
import numpy as np

from data import ImageSet
from settings.config import Config
from settings.messages import Problem
from training.build import build_state, build_step
from training.device import OUT_OF_MEMORY, Device
from training.inputs import inputs_at, penalty_share
from training.state import State

Result = TypeVar("Result")
CGROUP = pathlib.Path("/sys/fs/cgroup")
OWN_CGROUPS = pathlib.Path("/proc/self/cgroup")
# Mount point, limit and usage by the controllers that a line of that file names.
CGROUP_FILES = {
    "": ("", "memory.max", "memory.current"),  # version 2
    "memory": ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
}

# What an iteration adds to a process on a CPU, as measured by benchmarks/memory.py: a
# constant, bytes per weight (moments, gradients, copies), and bytes per activation.
CONSTANT_BYTES = 0.55 * 2**30
BYTES_A_WEIGHT = 24
BYTES_AN_ACTIVATION = {"float32": 7.0, "bfloat16": 4.5}


def check_memory(config: Config, device: Device, state: State) -> None:
    """Checks that a CPU's memory suffices for the predicted use.

    Otherwise Linux would grant the memory and later kill the process without a message.
    A GPU's allocations fail at once.

    Raises:
        Problem: Names a batch size that fits, if any.
    """
    available = available_bytes() if device.kind == "cpu" else None
    num_workers = 1 if device.workers is None else device.workers.count
    here = config.training.batch_size // num_workers
    if available is not None and predicted_bytes(state, config, here) > available:
        fits = num_workers * largest_batch(state, config, available)
        raise too_large(config, device, fits)


def within_memory(
    config: Config, device: Device, action: Callable[[], Result]
) -> Result:
    """Runs an action that does iterations, reporting if a GPU runs out of memory.

    Raises:
        Problem: Names a batch size that fits, if any.
    """
    if device.kind == "cpu":
        return action()
    with contextlib.suppress(*OUT_OF_MEMORY):
        return action()
    # Here, outside, the failed action's frames and arrays have been freed.
    fits = batch_size_that_fits(config, device.num_replicas)
    raise too_large(config, device, fits)


def too_large(config: Config, device: Device, fits: int | None) -> Problem:
    """Returns the problem, given the batch size that fits, if any."""
    found = config.training.batch_size
    if not fits:
        group = config.model.stddev_group
        few = "one image" if group == 1 else f"one group of {group} images"
        return Problem(
            f"training.batch_size\n  expected: networks that fit into the memory of "
            f"{device.name} with at least {few}\n  found:    too little memory; lower "
            "model.base_channels, model.max_channels or data.image_size"
        )
    return Problem(
        f"training.batch_size\n  expected: what fits into the memory of {device.name}: "
        f"{fits} fits\n  found:    {found} does not"
    )


def num_activations(network: keras.Model) -> int:
    """Counts the elements of all layer outputs of a network for one image."""
    return sum(int(np.prod(layer.output.shape[1:])) for layer in network.layers)


def predicted_bytes(state: State, config: Config, batch_size: int | None = None) -> int:
    """Predicts what an iteration adds to the memory of a process on a CPU.

    `runtime.precision` must be resolved; `batch_size` defaults to the config's.
    """
    networks = (state.generator, state.discriminator)
    weights = sum(network.count_params() for network in networks)
    # The discriminator sees real and fake images together.
    activations = num_activations(state.generator)
    activations += 2 * num_activations(state.discriminator)
    each = BYTES_AN_ACTIVATION[config.runtime.precision] * activations
    images = config.training.batch_size if batch_size is None else batch_size
    return int(CONSTANT_BYTES + BYTES_A_WEIGHT * weights + each * images)


def largest_batch(state: State, config: Config, available: int) -> int:
    """Returns the largest batch size predicted to fit, 0 if none does."""
    none = predicted_bytes(state, config, 0)
    one = predicted_bytes(state, config, 1) - none
    return in_groups(config, max(int((available - none) // one), 0))


def batch_size_that_fits(config: Config, num_replicas: int = 1) -> int | None:
    """Tries an iteration with half the batch, a quarter, ...; None if none fits.

    Of several replicas, one is tried, with its share.
    """
    batch_size = in_groups(config, config.training.batch_size // num_replicas // 2)
    while batch_size:
        with contextlib.suppress(*OUT_OF_MEMORY):
            try_one_iteration(config, batch_size)
            return batch_size * num_replicas
        batch_size = in_groups(config, batch_size // 2)
    return None


def in_groups(config: Config, batch_size: int) -> int:
    """Returns the largest batch of whole groups (model.stddev_group) up to a size."""
    return batch_size - batch_size % config.model.stddev_group


def try_one_iteration(config: Config, batch_size: int) -> None:
    """Runs an iteration, with any penalties, on throwaway state and black images."""
    training = config.training.model_copy(update={"batch_size": batch_size})
    config = config.model_copy(update={"training": training})
    size = config.data.image_size
    black = np.broadcast_to(np.uint8(0), (batch_size, size, size, 3))
    inputs = inputs_at(config, ImageSet(black, "none", pathlib.Path()), 0, 0)
    step = build_step(config, build_state(config))
    scalars = step(inputs, penalty_share(config) > 0)
    float(scalars["loss/generator"])


def available_bytes() -> int | None:
    """Returns the memory left by machine and control groups; None if unknown."""
    try:
        lines = pathlib.Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    kib = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    return min([kib["MemAvailable"] * 1024, *control_group_bytes()])


def control_group_bytes() -> Iterator[int]:
    """Yields the memory left in each limited control group of this process."""
    try:
        lines = OWN_CGROUPS.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return
    for line in lines:
        controllers, _, path = line.partition(":")[2].partition(":")
        version = "memory" if "memory" in controllers.split(",") else controllers
        if version not in CGROUP_FILES:
            continue
        mount, limit, usage = CGROUP_FILES[version]
        group = pathlib.Path(path.lstrip("/"))
        # A container may see its own group as the root, under another path.
        for folder in (group, *group.parents):
            with contextlib.suppress(OSError, ValueError):  # "max": no limit
                yield group_bytes(CGROUP / mount / folder, limit, usage)


def group_bytes(folder: pathlib.Path, limit: str, usage: str) -> int:
    """Returns the bytes left in a control group, given the names of its files.

    Raises:
        OSError: If there is no such file.
        ValueError: If there is no limit.
    """
    left = int((folder / limit).read_text()) - int((folder / usage).read_text())
    parts = (folder / "memory.stat").read_text().split()
    kinds = dict(zip(parts[::2], map(int, parts[1::2]), strict=True))
    # The file cache is reclaimed on demand. In version 1, the usage includes the groups
    # below, whose cache is only in the totals.
    cached = ("inactive_file", "active_file")
    return left + sum(kinds.get(f"total_{one}", kinds.get(one, 0)) for one in cached)
