"""Implements `--check`, which tries a run out on throwaway state."""

import statistics
import time

from commands.memory import check_memory, within_memory
from commands.prepare import (
    build_start_state,
    check_room,
    checkpoint_bytes,
    prepare,
)
from commands.start import Start
from data import ImageSet
from models.layer_table import count_layers, layer_table
from records.retention import retention_of
from settings.config import Config
from settings.config_file import resolved_yaml
from settings.messages import say
from training.build import build_step
from training.device import Device, peak_memory_gib
from training.inputs import inputs_at, penalty_share
from training.run_metrics import build_extractor
from training.state import State

TIMED_ITERATIONS = 3
MOST_TO_GO_BACK_TO = 4  # records.retention.way_back
SECONDS_PER_HOUR = 3600


def check(start: Start) -> int:
    """Tries a run out on throwaway state, writing nothing but the data cache.

    Raises:
        Problem: For whatever the user must change.
    """
    config, device, images = prepare(start)
    state = build_start_state(start, config, device)
    check_room(start.run, state, config)
    if config.metrics.every_iterations is not None:
        build_extractor(config.metrics, config.data.cache_dir)
    check_memory(config, device, state)

    def try_out() -> None:
        say_check(start, config, device, state, images)

    within_memory(config, device, try_out)
    return 0


def say_check(
    start: Start, config: Config, device: Device, state: State, images: ImageSet
) -> None:
    """Prints config, layers, data, device, memory, time and checkpoint sizes."""
    say(resolved_yaml(config))
    say_layers(state)
    say(f"data: {images.count} images of {config.data.image_size} px")
    say(f"device: {device.name}")
    seconds = seconds_per_iteration(config, state, images)
    left = max(config.training.total_iterations - start.iteration, 0)
    say(f"peak memory: {peak_memory_gib(device):.1f} GiB")
    say(f"seconds per iteration: {seconds:.3f}")
    say(f"hours to the end: {left * seconds / SECONDS_PER_HOUR:.1f}")
    say(
        f"checkpoints: {checkpoint_bytes(state) / 1e6:.0f} MB each, "
        f"at most {most_checkpoint_bytes(state, config) / 1e9:.1f} GB at the end"
    )
    if start.origin is None:
        parent = f"from {start.parent.requested}" if start.parent else "anew"
        say(f"would start {start.run.name} {parent}")
    elif not left:
        say(f"{start.run.name} is finished: {start.iteration} iterations")
    else:
        say(f"would continue at {start.iteration}")


def say_layers(state: State) -> None:
    """Prints the layer tables and layer counts of both networks."""
    networks = (state.generator, state.discriminator)
    for network in networks:
        say(layer_table(network) + "\n")
    counts = [count_layers(network) for network in networks]
    say(f"generator {counts[0]} + discriminator {counts[1]} = {sum(counts)} layers\n")


def seconds_per_iteration(config: Config, state: State, images: ImageSet) -> float:
    """Measures an iteration, averaged over those with and without penalties.

    These are real iterations, which change the state.
    """
    step = build_step(config, state)
    share = penalty_share(config)
    total = 0.0
    for with_penalty, weight in ((False, 1 - share), (True, share)):
        times = []
        for iteration in range(TIMED_ITERATIONS + 1 if weight else 0):
            began = time.perf_counter()
            inputs = inputs_at(config, images, 0, iteration)
            float(step(inputs, with_penalty)["loss/generator"])
            times.append(time.perf_counter() - began)
        if weight:
            total += weight * statistics.median(times[1:])  # the first one compiles
    return total


def most_checkpoint_bytes(state: State, config: Config) -> int:
    """Returns the most that a run's checkpoints take at its end, rollbacks aside."""
    retention = retention_of(config, [], [])
    milestones = config.training.total_iterations // retention.keep_every_iterations
    newest = 2 * retention.keep_last  # those that were due, and those saved on stopping
    best = config.training.keep_best  # also with earlier metrics
    most = milestones + newest + MOST_TO_GO_BACK_TO + best
    most *= checkpoint_bytes(state)
    return most if retention.max_bytes is None else min(most, retention.max_bytes)
