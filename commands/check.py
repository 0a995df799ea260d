"""`--check`: what a run would be, tried out on throw-away state."""

import shutil
import statistics
import time

import data
from commands.start import Start
from models import count_layers, layer_table
from records.retention import retention_of
from records.run_folder import RunFolder
from settings.config import Config
from settings.config_file import resolved_yaml
from settings.messages import Problem
from training.build import build_step, inputs_at, penalty_share
from training.device import Device, peak_memory_gib
from training.state import State, state_arrays

TIMED_ITERATIONS = 3
MOST_TO_GO_BACK_TO = 4  # training.retention.way_back
SECONDS_PER_HOUR = 3600


def print_check(
    start: Start, config: Config, device: Device, state: State, images: data.ImageSet
) -> None:
    """Prints config, layers, parameters, and what one iteration takes."""
    print(resolved_yaml(config))
    print_layers(state)
    print(f"data: {images.count} images of {config.data.image_size} px")
    print(f"device: {device.name}")
    seconds = seconds_per_iteration(config, state, images)
    left = max(config.training.total_iterations - start.iteration, 0)
    print(f"peak memory: {peak_memory_gib(device):.1f} GiB")
    print(f"seconds per iteration: {seconds:.3f}")
    print(f"hours to the end: {left * seconds / SECONDS_PER_HOUR:.1f}")
    print(
        f"checkpoints: {checkpoint_bytes(state) / 1e6:.0f} MB each, "
        f"at most {most_checkpoint_bytes(state, config) / 1e9:.1f} GB at the end"
    )
    if start.origin is None:
        print(f"would start {start.run.name} anew")
    elif not left:
        print(f"{start.run.name} is finished: {start.iteration} iterations")
    else:
        print(f"would continue at {start.iteration}")


def print_layers(state: State) -> None:
    """Prints the layer table of both networks and their counts."""
    networks = (state.generator, state.discriminator)
    for network in networks:
        print(layer_table(network) + "\n")
    counts = [count_layers(network) for network in networks]
    print(f"generator {counts[0]} + discriminator {counts[1]} = {sum(counts)} layers\n")


def seconds_per_iteration(config: Config, state: State, images: data.ImageSet) -> float:
    """Measures an iteration, weighing those with and without penalties.

    The state is changed by it: real iterations, on state to be thrown away.
    """
    step = build_step(config, state)
    share = penalty_share(config)
    total = 0.0
    for with_penalty, weight in ((False, 1 - share), (True, share)):
        times = []
        for iteration in range(TIMED_ITERATIONS + 1 if weight else 0):
            began = time.perf_counter()
            inputs = inputs_at(config, images.images, 0, iteration)
            float(step(inputs, with_penalty)["loss/generator"])
            times.append(time.perf_counter() - began)
        if weight:
            total += weight * statistics.median(times[1:])  # the first one compiles
    return total


def checkpoint_bytes(state: State) -> int:
    """Returns the size of one checkpoint."""
    return sum(array.nbytes for array in state_arrays(state).values())


def most_checkpoint_bytes(state: State, config: Config) -> int:
    """Returns the most that a run's checkpoints take at its end.

    What rollbacks put aside comes on top.
    """
    retention = retention_of(config, [], [])
    milestones = config.training.total_iterations // retention.keep_every_iterations
    newest = 2 * retention.keep_last  # that were due, and that a stop left
    best = config.training.keep_best  # also of metrics taken before
    most = milestones + newest + MOST_TO_GO_BACK_TO + best
    most *= checkpoint_bytes(state)
    return most if retention.max_bytes is None else min(most, retention.max_bytes)


def check_room(run: RunFolder, state: State, config: Config) -> None:
    """Refuses to start where not even two checkpoints fit.

    Raises:
        Problem: If the disk or training.max_checkpoint_gib is too small.
    """
    size = checkpoint_bytes(state)
    budget = retention_of(config, [], []).max_bytes
    if budget is not None and budget < 2 * size:
        raise Problem(
            f"training.max_checkpoint_gib\n  expected: room for two checkpoints, "
            f"{2 * size / 2**30:.2f}\n  found:    {config.training.max_checkpoint_gib}"
        )
    folder = next(
        path for path in (run.root, *run.root.absolute().parents) if path.exists()
    )
    free = shutil.disk_usage(folder).free
    if free < 2 * size:
        raise Problem(
            f"{run.root}: too little room on the disk\n  expected: two checkpoints, "
            f"{2 * size / 1e6:.0f} MB\n  found:    {free / 1e6:.0f} MB free"
        )
