"""Prepares training and --check: device, photographs, state and disk space."""

import shutil

from commands.agreement import compare_starts
from commands.branch import take_over
from commands.loading import load_images
from commands.memory import too_large
from commands.start import Start, refuse_differences
from data import DataError, ImageSet, shown_labels
from records.retention import retention_of
from records.run_folder import RunFolder
from settings.config import Config
from settings.config_file import load_stored_config
from settings.messages import Problem, say
from training.build import build_state
from training.device import (
    OUT_OF_MEMORY,
    Device,
    configure_tensorflow,
    find_device,
    resolved_runtime,
)
from training.distribution.cluster import Cluster
from training.distribution.shares import refuse_uneven_shares
from training.distribution.strategy import refuse_xla, with_replicas
from training.distribution.workers import lost_as_problem
from training.state import State, assign_arrays, state_arrays


def prepare(
    start: Start, cluster: Cluster | None = None
) -> tuple[Config, Device, ImageSet]:
    """Finds the device, loads the photographs and resolves every `auto`.

    With a cluster, it does so together with the other workers.

    Raises:
        Problem: If there is no usable device, the photographs are unusable or not what
            the run was trained on, or the workers do not agree.
    """
    wanted = start.config.runtime
    device = find_device(wanted.device, all_gpus=wanted.distribution != "none")
    configure_tensorflow(wanted, device)
    device = with_replicas(device, wanted.distribution, cluster)
    runtime = resolved_runtime(wanted, device)
    config = start.config.model_copy(update={"runtime": runtime})
    refuse_uneven_shares(config, device.num_replicas)
    if start.origin is None:
        refuse_xla(config, device.num_replicas)
    elif device.num_replicas > 1 and runtime.compile == "xla":
        say("with several replicas XLA compiles the update of the weights alone")
    if device.workers is not None:
        compare_starts(device.workers, start, config)
    images = load_images(config)
    config = with_classes(config, images)
    if device.workers is not None:
        device.workers.compare("the photographs", {"data": images.fingerprint})
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


def with_classes(config: Config, images: ImageSet) -> Config:
    """Returns a config with the names of the classes that the photographs have.

    Raises:
        Problem: If it names others, or shows one that there is not.
    """
    model, classes = config.model, images.classes
    if classes is None:
        return config
    if model.classes not in (None, list(classes.names)):
        raise Problem(
            "model.classes\n  expected: null, or the classes of the photographs in "
            f"their order: {', '.join(classes.names)}\n"
            f"  found:    {', '.join(model.classes)}"
        )
    try:
        shown_labels(classes, config.training.sample_classes)
    except DataError as error:
        raise Problem(f"training.sample_classes: {error}") from error
    named = model.model_copy(update={"classes": list(classes.names)})
    return config.model_copy(update={"model": named})


def build_start_state(start: Start, config: Config, device: Device) -> State:
    """Builds the state and restores, or inherits, what it starts from.

    Raises:
        Problem: If the checkpoint does not fit this config, or the networks do not fit
            into memory.
    """
    try:
        with lost_as_problem(device.workers):
            state = build_state(config, device.strategy)
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


def checkpoint_bytes(state: State) -> int:
    """Returns the size of one checkpoint."""
    return sum(array.nbytes for array in state_arrays(state).values())


def check_room(run: RunFolder, state: State, config: Config) -> None:
    """Checks that there is room for at least two checkpoints.

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
    free = free_bytes(run)
    if free < 2 * size:
        raise Problem(
            f"{run.root}: too little room on the disk\n  expected: two checkpoints, "
            f"{2 * size / 1e6:,.1f} MB\n  found:    {free / 1e6:,.1f} MB free"
        )


def free_bytes(run: RunFolder) -> int:
    """Returns the room on the disk of a run, whose folder need not exist yet."""
    folder = next(
        path for path in (run.root, *run.root.absolute().parents) if path.exists()
    )
    return shutil.disk_usage(folder).free
