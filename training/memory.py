"""Running out of memory: as an error that can be answered, and the answer."""

import contextlib
import pathlib
import resource
from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np
import tensorflow as tf

from training.build import build_state, build_step, inputs_at
from training.config import Config
from training.device import Device
from training.problem import Problem

Result = TypeVar("Result")
OUT_OF_MEMORY = (tf.errors.ResourceExhaustedError, MemoryError)
RESERVE_BYTES = 512 * 2**20  # for the system and for this process's small needs
CGROUP = pathlib.Path("/sys/fs/cgroup")


def within_memory(
    config: Config, device: Device, action: Callable[[], Result]
) -> Result:
    """Runs an action; where memory does not suffice, finds out what would.

    Raises:
        Problem: Naming the largest batch, of those halved from the config's, that fits.
    """
    with memory_limited(device):
        with contextlib.suppress(*OUT_OF_MEMORY):
            return action()
        # Out here the failed action's frames, and so its arrays, are gone.
        fits = batch_size_that_fits(config)
    found = config.training.batch_size
    if fits is None:
        raise Problem(
            f"training.batch_size\n  expected: networks that fit into the memory of "
            f"{device.name} at least with one image\n  found:    out of memory; "
            "lower model.base_channels, model.max_channels or data.image_size"
        )
    raise Problem(
        f"training.batch_size\n  expected: what fits into the memory of "
        f"{device.name}: {fits} fits\n  found:    {found} ran out of memory"
    )


def batch_size_that_fits(config: Config) -> int | None:
    """Tries one iteration with half the batch, a quarter, ...; None if none fits."""
    batch_size = config.training.batch_size // 2
    while batch_size:
        with contextlib.suppress(*OUT_OF_MEMORY):
            try_one_iteration(config, batch_size)
            return batch_size
        batch_size //= 2
    return None


def try_one_iteration(config: Config, batch_size: int) -> None:
    """Runs an iteration of the dearest kind on throw-away state and black images."""
    training = config.training.model_copy(update={"batch_size": batch_size})
    config = config.model_copy(update={"training": training})
    size = config.data.image_size
    black = np.broadcast_to(np.uint8(0), (batch_size, size, size, 3))
    inputs = inputs_at(config, black, 0, 0)
    with_penalty = config.loss.penalty != "none"
    scalars = build_step(config, build_state(config))(inputs, with_penalty)
    float(scalars["loss/generator"])


@contextlib.contextmanager
def memory_limited(device: Device) -> Iterator[None]:
    """Makes an allocation that would exceed the machine's memory fail.

    On a CPU Linux grants it all the same and kills the process later, without a word;
    a limit on its data makes TensorFlow raise ResourceExhaustedError. A GPU does so
    by itself.
    """
    available = available_bytes()
    if device.kind == "gpu" or available is None:
        yield
        return
    old = resource.getrlimit(resource.RLIMIT_DATA)
    limit = data_bytes() + max(available - RESERVE_BYTES, 0)
    if old[1] != resource.RLIM_INFINITY:
        limit = min(limit, old[1])
    resource.setrlimit(resource.RLIMIT_DATA, (limit, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, old)


def available_bytes() -> int | None:
    """Returns the memory still free, of the machine or its control group; or None."""
    try:
        lines = pathlib.Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    kib = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    free = kib["MemAvailable"] * 1024
    with contextlib.suppress(OSError, ValueError):  # "max" is not a number: no limit
        limit = int((CGROUP / "memory.max").read_text())
        free = min(free, limit - int((CGROUP / "memory.current").read_text()))
    return free


def data_bytes() -> int:
    """Returns what the kernel counts as this process's data now."""
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmData:"):
            return int(line.split()[1]) * 1024
    return 0
