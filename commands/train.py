"""Runs `train.py` once the config is valid."""

from commands.memory import check_memory, within_memory
from commands.preflight.classes import classes_text
from commands.prepare import build_start_state, check_room, prepare
from commands.start import Start
from data import ImageSet
from files.atomic import write_text
from files.counted import counted
from records.checkpoint import set_damaged_aside
from records.leftovers import sweep
from records.origin import Origin, ParentOfRun
from records.page import preset_differences, write_pages
from records.run_folder import RunFolder, Writer, move_aside
from records.sessions import Sessions, read_sessions, versions
from settings.config import Config
from settings.config_file import resolved_yaml
from settings.messages import say
from training.device import Device
from training.distribution.cluster import Cluster
from training.distribution.follower import follow, lead
from training.loop import Loop
from training.output import Output
from training.pictures import write_reals
from training.run_metrics import RunMetrics
from training.signals import StopRequest


def train(
    start: Start,
    stop: StopRequest,
    preset: str,
    cluster: Cluster | None,
    writer: Writer | None,
) -> int:
    """Trains a run, or continues it; returns the exit status.

    Args:
        start: Where the run starts.
        stop: With its handlers installed.
        preset: The config file that the command named.
        cluster: The workers, if there are several.
        writer: Holds the run's locks; None in a worker that is not the chief.

    Raises:
        Problem: For whatever the user must change.
    """
    config, device, images = prepare(start, cluster)
    run = start.run
    state = build_start_state(start, config, device)
    if device.workers is not None and not device.workers.is_chief:
        check_memory(config, device, state)
        say(f"iteration {state.iteration}; the chief writes the run")
        stop.start_saving()
        return within_memory(
            config, device, lambda: follow(config, run, state, images, device, stop)
        )
    check_room(run, state, config)
    is_measured = config.metrics.every_iterations is not None
    metrics = RunMetrics(config, images) if is_measured else None
    check_memory(config, device, state)
    if writer is None:
        raise ValueError("Expected the locks of the run, which is about to be written.")
    write_beginning(start, config, images, device, writer)
    if metrics is not None:
        metrics.write_description(run, start.iteration)
    differences = preset_differences(preset, config)
    if start.origin is not None:
        say_other_replicas(run, device.num_replicas)
    sessions = Sessions(
        run.sessions,
        start.iteration,
        device.name,
        preset,
        differences,
        device.num_replicas,
    )
    sessions.write_progress(start.iteration)
    say_what_is_trained(run, config, images, device, state.iteration)
    stop.start_saving()

    def loop() -> int:
        output = Output(config, run, state, images, sessions)
        loop = Loop(config, run, state, images, output, stop, metrics, device)
        return lead(device.workers, state, stop, loop.train)

    return within_memory(config, device, loop)


def say_what_is_trained(
    run: RunFolder, config: Config, images: ImageSet, device: Device, iteration: int
) -> None:
    """Says in some lines what a session trains, on what, and from where."""
    say(
        f"{run.name}: {counted(images.count, 'image')} of {config.data.image_size} px, "
        f"batch {config.training.batch_size}{share_text(config, device.num_replicas)}, "
        f"{config.runtime.precision}, "
        f"{config.runtime.compile}, on {device.name}"
    )
    if images.classes is not None:
        say(classes_text(images.classes))
    say(
        f"iteration {iteration} of {config.training.total_iterations}; "
        f"grids in {run.samples}; Ctrl-C saves and stops"
    )


def say_other_replicas(run: RunFolder, count: int) -> None:
    """Says that a run does not continue exactly, if replicas were more or fewer."""
    earlier = read_sessions(run.sessions)
    before = earlier[-1].get("replicas", 1) if earlier else count
    if before != count:
        say(
            f"{counted(count, 'replica')} in place of {before}: equal up to the order "
            "of sums, not bit for bit"
        )


def share_text(config: Config, count: int) -> str:
    """Returns how a batch is shared out among replicas."""
    if count == 1:
        return "" if config.runtime.distribution == "none" else " (1 replica)"
    return f" ({config.training.batch_size // count} in each of {count} replicas)"


def write_beginning(
    start: Start, config: Config, images: ImageSet, device: Device, writer: Writer
) -> None:
    """Writes a run's first files, moving an older run aside if necessary.

    Later files are written by training/output.py.
    """
    run, text = start.run, resolved_yaml(config)
    writer.check_folder()
    sweep(run, holds_lock=True)
    if start.origin is None:
        if start.moves_aside:
            make_room(run)
        writer.make_folder()
        run.forget_attempts()
        origin = origin_of(start, images, device)
        write_text(run.origin, origin.model_dump_json(indent=2) + "\n")
    for path in set_damaged_aside(run.checkpoints, start.iteration):
        say(f"warning: renamed to {path}")
    write_text(run.config, text)
    write_reals(run, images, config.run.seed)


def make_room(run: RunFolder) -> None:
    """Moves an older run aside, rewriting its page, if any, to update links."""
    moved = move_aside(run)
    if moved is None:
        return
    say(f"moved the older {run.name} to {moved.root} and {moved.samples}")
    if not (moved.samples / "index.html").exists():
        return
    try:
        write_pages(moved)
    except Exception as error:  # noqa: BLE001 (an older version's, perhaps damaged)
        words = f"{type(error).__name__}: {error}"
        say(
            f"warning: the page in {moved.samples} has links to its old place ({words})"
        )


def origin_of(start: Start, images: ImageSet, device: Device) -> Origin:
    """Returns what a run starts from."""
    parent = None
    if start.parent is not None:
        told = {name: getattr(start.parent, name) for name in ParentOfRun.model_fields}
        parent = ParentOfRun(**told)
    return Origin(
        data_fingerprint=images.fingerprint,
        num_images=images.count,
        parent=parent,
        device=device.name,
        versions=versions(),
    )
