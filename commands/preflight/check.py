"""Implements `--check`, which tries a run out on throwaway state."""

import sys

from commands.memory import check_memory, within_memory
from commands.preflight.classes import classes_text
from commands.preflight.timing import (
    Seconds,
    time_features,
    time_iterations,
    time_painting,
)
from commands.prepare import (
    build_start_state,
    check_room,
    checkpoint_bytes,
    free_bytes,
    prepare,
)
from commands.start import Start
from data import ImageSet
from data.build import MIN_COUNT
from files.counted import counted
from metrics.extractor import Extractor
from models.layer_table import count_layers, layer_table
from records.retention import retention_of
from settings.config import Config
from settings.config_file import resolved_yaml
from settings.messages import say
from training.device import Device, peak_memory_gib
from training.distribution.cluster import Cluster
from training.distribution.shares import refuse_uneven_shares
from training.pictures import GRID_IMAGES
from training.run_metrics import build_extractor
from training.state import State

MOST_TO_GO_BACK_TO = 4  # records.retention.way_back
SECONDS_PER_MINUTE, SECONDS_PER_HOUR = 60, 3600
FIRST_IN_HOURS = 3 * SECONDS_PER_HOUR
LONG = 72 * SECONDS_PER_HOUR  # who plans more than a weekend should know it
EXACTLY = 100  # from there on, without decimals


def check(start: Start, verbose: bool, cluster: Cluster | None) -> int:
    """Tries a run out on throwaway state, writing nothing but the data cache.

    What needs no timing is said first.

    Args:
        start: Where the run starts.
        verbose: Whether to print the resolved config and the layer tables too.
        cluster: The workers, if there are several; only this one is tried out.

    Raises:
        Problem: For whatever the user must change.
    """
    num_workers = 1 if cluster is None else len(cluster.addresses)
    config, device, images = prepare(start)
    num_replicas = num_workers * device.num_replicas
    refuse_uneven_shares(config, num_replicas)
    if verbose:
        say(resolved_yaml(config))
    state = build_start_state(start, config, device)
    check_room(start.run, state, config)
    extract = None
    if config.metrics.every_iterations is not None:
        extract = build_extractor(config.metrics, config.data.cache_dir)
    own = config_of_worker(config, num_workers)
    check_memory(own, device, state)
    say_layers(state, verbose)
    if images.classes is not None:
        say(classes_text(images.classes))
    say(f"device: {device.name}, {config.runtime.precision}, {config.runtime.compile}")
    say_replicas(config, num_replicas, num_workers)
    most, free = most_checkpoint_bytes(state, config), free_bytes(start.run)
    say(
        f"disk: checkpoints of {checkpoint_bytes(state) / 1e6:.3g} MB, at most "
        f"{most / 1e9:.2g} GB at the end; {free / 1e9:,.0f} GB free"
    )

    def try_out() -> None:
        seconds = say_times(start, own, device, state, images, extract)
        say_verdict(start, images.count, most > free, seconds)

    within_memory(own, device, try_out)
    return 0


def config_of_worker(config: Config, num_workers: int) -> Config:
    """Returns the config of one worker's share of a batch."""
    size = config.training.batch_size // num_workers
    training = config.training.model_copy(update={"batch_size": size})
    return config.model_copy(update={"training": training})


def say_replicas(config: Config, num_replicas: int, num_workers: int) -> None:
    """Prints how a batch is shared out, unless the config is for one device."""
    if config.runtime.distribution == "none":
        return
    each = config.training.batch_size // num_replicas
    line = f"replicas: {num_replicas}, with {counted(each, 'image')} of a batch each"
    if num_workers > 1:
        line += (
            f", in {num_workers} workers; what follows is of one worker, without the "
            "time of their all-reduce"
        )
    say(line)


def say_layers(state: State, verbose: bool) -> None:
    """Prints layer counts and parameters of both networks, and perhaps the tables."""
    networks = (state.generator, state.discriminator)
    for network in networks if verbose else ():
        say(layer_table(network) + "\n")
    counts = [count_layers(network) for network in networks]
    say(f"generator {counts[0]} + discriminator {counts[1]} = {sum(counts)} layers")
    sizes = [network.count_params() for network in networks]
    say(f"parameters: generator {sizes[0]:,}, discriminator {sizes[1]:,}")


def say_times(
    start: Start,
    config: Config,
    device: Device,
    state: State,
    images: ImageSet,
    extract: Extractor | None,
) -> Seconds:
    """Times a run, prints memory and times, and returns the seconds to its end."""
    if sys.stdout is None or not sys.stdout.isatty():  # else there is a bar
        say("compiling, then timing iterations (half a minute, or some minutes)")
    each, building = time_iterations(config, state, images, device.strategy)
    total, done = config.training.total_iterations, start.iteration
    # The last iteration has a grid even if none is due.
    every = config.training.sample_every_iterations
    grids = -(-total // every) - done // every
    painting = time_painting(config, state)
    others = building + GRID_IMAGES * painting * grids
    parts = f"{building:.0f} s of building and {counted(grids, 'grid')}"
    if extract is not None:
        every = config.metrics.every_iterations or total
        measured = total // every - done // every
        features = time_features(images, extract)
        per_image = painting + features
        others += measured * config.metrics.num_images * per_image
        others += images.count * features  # of the photographs, once
        parts = parts.replace(" and ", ", ")
        parts += f" and {counted(measured, 'measurement')}"
    left = max(total - done, 0)
    to_end = each.times(left).plus(Seconds(others, others, others))
    say(f"peak memory: {peak_memory_gib(device):.1f} GiB")
    say(
        f"seconds per iteration: {each.mean:.3g} ({each.low:.3g} to {each.high:.3g} "
        "with the machine as busy as now)"
    )
    if left:
        say(f"{time_text(to_end)}, {parts} included")
    return to_end


def time_text(seconds: Seconds) -> str:
    """Returns a line of the time to the end: hours or minutes, never 0 of them."""
    is_long = seconds.mean >= FIRST_IN_HOURS
    unit = SECONDS_PER_HOUR if is_long else SECONDS_PER_MINUTE
    name = "hours" if is_long else "minutes"
    if seconds.mean < SECONDS_PER_MINUTE:
        return "minutes to the end: less than 1"
    mean, low, high = (rounded(one / unit) for one in seconds)
    return f"{name} to the end: {mean} ({low} to {high})"


def rounded(number: float) -> str:
    """Returns a number of minutes or hours with as many digits as are of use."""
    return f"{number:,.0f}" if number >= EXACTLY else f"{number:.2g}"


def say_verdict(
    start: Start, num_images: int, is_disk_short: bool, seconds: Seconds
) -> None:
    """Prints what the command would do, and whether that is sensible."""
    config = start.config
    left = config.training.total_iterations - start.iteration
    if start.origin is None:
        parent = f"from {start.parent.requested}" if start.parent else "anew"
        say(f"would start {start.run.name} {parent}")
    elif left <= 0:
        say(f"{start.run.name} is finished: {counted(start.iteration, 'iteration')}")
        return
    else:
        say(f"would continue at {start.iteration}")
    concerns = []
    if is_disk_short:
        concerns.append(
            "the disk fills up before the end: set training.max_checkpoint_gib"
        )
    if num_images < MIN_COUNT and start.parent is None and start.origin is None:
        concerns.append(
            f"with {counted(num_images, 'image')} start from a trained run (--from): "
            "the discriminator soon knows each of them"
        )
    if seconds.mean > LONG:
        days = seconds.mean / SECONDS_PER_HOUR / 24
        concerns.append(
            f"{days:.0f} days here; grids show much earlier whether it is worth it "
            "(Ctrl-C saves, the same command continues)"
        )
    say("verdict: it fits" + "".join(f"; but {concern}" for concern in concerns))


def most_checkpoint_bytes(state: State, config: Config) -> int:
    """Returns the most that a run's checkpoints take at its end, rollbacks aside."""
    retention = retention_of(config, [], [])
    milestones = config.training.total_iterations // retention.keep_every_iterations
    newest = 2 * retention.keep_last  # those that were due, and those saved on stopping
    best = config.training.keep_best  # also with earlier metrics
    most = milestones + newest + MOST_TO_GO_BACK_TO + best
    most *= checkpoint_bytes(state)
    return most if retention.max_bytes is None else min(most, retention.max_bytes)
