"""What `train.py` does once the config is valid."""

import json
from collections.abc import Callable

import tensorflow as tf

import data
from commands.branch import take_over
from commands.check import check_room, print_check
from commands.memory import OUT_OF_MEMORY, check_memory, too_large, within_memory
from commands.start import Start, refuse_differences
from records.checkpoint import set_damaged_aside
from records.page import preset_differences, write_pages
from records.run_folder import RunFolder, move_aside, write_text
from records.sessions import Sittings, versions
from settings.config import Config
from settings.config_file import load_stored_config, resolved_yaml
from settings.messages import Problem
from training.build import build_state
from training.device import Device, find_device, resolved_runtime
from training.loop import Loop
from training.pictures import write_reals
from training.run_metrics import Meter, build_extractor
from training.signals import StopRequest
from training.state import State, assign_arrays

Say = Callable[[str], None]


def train(start: Start, stop: StopRequest, preset: str, say: Say) -> int:
    """Trains a run, or continues it.

    Args:
        start: Where it starts; the caller holds its lock.
        preset: The config file that the command named.
        stop: With its handlers installed.
        say: Takes a line for people.

    Returns:
        The exit status.

    Raises:
        Problem: For whatever the user must change.
    """
    config, device, images = prepare(start, say)
    run = start.run
    state = build_start_state(start, config, device, say)
    check_room(run, state, config)
    meter = build_meter(config, images, say)
    check_memory(config, device, state)
    if start.origin is None:
        if start.moves_aside:
            make_room(run, say)
        run.forget_attempts()
        write_text(run.origin, origin_text(start, images, device))
    for path in set_damaged_aside(run.checkpoints, start.iteration):
        say(f"warning: renamed to {path}")
    write_text(run.config, resolved_yaml(config))
    write_reals(run, images.images, config.run.seed)
    if meter is not None:
        meter.describe(run, start.iteration)
    differences = preset_differences(preset, config)
    sittings = Sittings(run.sittings, start.iteration, device.name, preset, differences)
    sittings.note(start.iteration)
    say(
        f"{run.name}: {images.count} images of {config.data.image_size} px, "
        f"batch {config.training.batch_size}, {config.runtime.precision}, "
        f"{config.runtime.compile}, on {device.name}"
    )
    say(
        f"iteration {state.iteration} of {config.training.total_iterations}; "
        f"grids in {run.samples}; Ctrl-C saves and stops"
    )
    stop.start_saving()

    def loop() -> int:
        return Loop(config, run, state, images.images, stop, meter, sittings).train()

    return within_memory(config, device, loop)


def check(start: Start, say: Say) -> int:
    """Tries a run out on throw-away state, writing nothing but the data cache.

    Raises:
        Problem: For whatever the user must change.
    """
    config, device, images = prepare(start, say)
    state = build_start_state(start, config, device, say)
    check_room(start.run, state, config)
    if config.metrics.every_iterations is not None:
        build_extractor(config.metrics, config.data.cache_dir, say)
    check_memory(config, device, state)

    def try_out() -> None:
        print_check(start, config, device, state, images)

    within_memory(config, device, try_out)
    return 0


def prepare(start: Start, say: Say) -> tuple[Config, Device, data.ImageSet]:
    """Finds the device, loads the photographs and resolves every `auto`.

    Raises:
        Problem: If the data is not usable, or not what the run was trained on.
    """
    device = find_device(start.config.runtime.device)
    runtime = resolved_runtime(start.config.runtime, device)
    config = start.config.model_copy(update={"runtime": runtime})
    if runtime.deterministic and device.kind == "gpu":
        tf.config.experimental.enable_op_determinism()
    images = load_images(config, say)
    batch_size = config.training.batch_size
    if images.count < batch_size:
        raise Problem(
            f"training.batch_size\n  expected: at most the number of usable images, "
            f"{images.count}\n  found:    {batch_size}"
        )
    if start.origin is not None:
        refuse_differences(
            start.run,
            start.iteration,
            load_stored_config(start.run.config),
            config,
            start.origin,
            images.fingerprint,
        )
    return config, device, images


def load_images(config: Config, say: Say) -> data.ImageSet:
    """Loads the photographs of a config.

    Raises:
        Problem: If they are not usable.
    """
    settings = config.data
    try:
        return data.load_images(
            settings.source,
            image_size=settings.image_size,
            cache_dir=settings.cache_dir,
            path=settings.path,
            name=settings.name,
            data_dir=settings.data_dir,
            splits=settings.splits,
            num_images=settings.num_images,
            say=say,
        )
    except data.DataError as error:
        raise Problem(str(error)) from error


def build_start_state(start: Start, config: Config, device: Device, say: Say) -> State:
    """Builds the state and puts back, or takes over, what it starts from.

    Raises:
        Problem: If the checkpoint does not belong to this config, or the networks do
            not fit into memory.
    """
    try:
        state = build_state(config)
    except OUT_OF_MEMORY as error:
        raise too_large(config, device, None) from error
    if start.arrays is not None:
        try:
            assign_arrays(state, start.arrays)
        except ValueError as error:
            raise Problem(
                f"{start.run.checkpoints}: checkpoint {start.iteration} does not fit "
                f"{start.run.config}\n  {error}"
            ) from error
    elif start.parent is not None:
        say(take_over(state, config, start.parent))
    return state


def make_room(run: RunFolder, say: Say) -> None:
    """Moves an older run aside; the links of its page, if it has one, follow."""
    moved = move_aside(run)
    if moved is None:
        return
    say(f"moved the older {run.name} to {moved.root} and {moved.samples}")
    if not (moved.samples / "index.html").exists():
        return
    try:
        write_pages(moved)
    except Exception as error:  # noqa: BLE001 (of an older version, perhaps damaged)
        words = f"{type(error).__name__}: {error}"
        say(
            f"warning: the page in {moved.samples} has links to its old place ({words})"
        )


def build_meter(config: Config, images: data.ImageSet, say: Say) -> Meter | None:
    """Returns what takes the metrics, or None where they are off.

    Raises:
        Problem: If their network cannot be loaded.
    """
    if config.metrics.every_iterations is None:
        return None
    return Meter(config, images, say)


def origin_text(start: Start, images: data.ImageSet, device: Device) -> str:
    """Writes what a run starts from, as JSON."""
    parent = start.parent
    origin = {
        "data_fingerprint": images.fingerprint,
        "num_images": images.count,
        "parent": parent
        and {
            "requested": parent.requested,
            "run": parent.run,
            "iteration": parent.iteration,
        },
        "device": device.name,
        "versions": versions(),
    }
    return json.dumps(origin, indent=2) + "\n"
