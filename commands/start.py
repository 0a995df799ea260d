"""Decides how a run starts: anew, from its own checkpoint, or from another run's.

Nothing here imports TensorFlow, so that errors take a second to show, not ten.
"""

import dataclasses
import pathlib

import numpy as np

from records.best import is_measured
from records.checkpoint import list_checkpoints
from records.find_checkpoint import (
    is_iteration,
    newest_whole_checkpoint,
    numbered_checkpoint,
)
from records.origin import Origin, read_origin
from records.rows import SCALARS
from records.run_folder import RUNS, RunFolder
from records.weights import EMA_GENERATOR, read_weights, weights_path
from settings.config import Config
from settings.config_file import load_stored_config
from settings.continuing import difference, difference_text, merged
from settings.messages import Problem

SHOWN = 40  # characters of what somebody wrote where a number belongs


@dataclasses.dataclass(frozen=True)
class Parent:
    """Another run's checkpoint, or a weights file, that a new run starts from.

    Attributes:
        requested: What the user wrote, "RUN", "RUN@N" or the path of a weights file.
        run: The other run's name.
        iteration: Its iterations done.
        config: Its config.
        arrays: Its state; of a weights file, only the networks.
        average: What the generator of a weights file is a longer average of, in words;
            "" if it is the other run's own.
    """

    requested: str
    run: str
    iteration: int
    config: Config
    arrays: dict[str, np.ndarray]
    average: str = ""


@dataclasses.dataclass(frozen=True)
class Start:
    """Where a run starts.

    Attributes:
        run: The run's folders.
        config: The config to continue with; a new run's `auto` is unresolved.
        iteration: Iterations done.
        arrays: The state to restore; None for a new run.
        origin: What the run recorded of its own start; None for a new run.
        parent: What a new run starts from, if anything.
        moves_aside: Whether to move an older run of that name aside.
    """

    run: RunFolder
    config: Config
    iteration: int = 0
    arrays: dict[str, np.ndarray] | None = None
    origin: Origin | None = None
    parent: Parent | None = None
    moves_aside: bool = False

    @property
    def is_finished(self) -> bool:
        """Whether no iteration and no measurement is left to do."""
        if self.iteration < self.config.training.total_iterations:
            return False
        return is_measured(self.config.metrics, self.run, self.iteration)


def find_start(config: Config, requested_parent: str | None, fresh: bool) -> Start:
    """Decides where the run of this config starts; writes nothing.

    Args:
        config: As the user wrote it.
        requested_parent: "RUN" or "RUN@N" of another run, a weights file, or None.
        fresh: Whether to start anew if the run exists; the caller moves it aside.

    Raises:
        Problem: If the run exists and cannot be continued like this, or a checkpoint
            is missing or none is whole.
    """
    run = RunFolder(config.run.name)
    if fresh or not run.iterations():
        if not fresh:
            refuse_forgotten_parent(run, requested_parent)
        parent = find_parent(requested_parent, run) if requested_parent else None
        return Start(run, config, parent=parent, moves_aside=fresh or has_traces(run))
    origin = read_origin(run)
    came_from = origin.parent.requested if origin.parent else None
    if requested_parent and not is_same_parent(requested_parent, came_from):
        raise Problem(
            f"--from {requested_parent}: the run {run.name} exists already, and "
            f"started {'from ' + came_from if came_from else 'anew'}\n"
            "  to branch off, give the new run another name: --set run.name=...\n"
            "  to start this name anew, add --fresh (the old run is moved aside)"
        )
    iteration, arrays = newest_whole_checkpoint(run)
    stored = load_stored_config(run.config)
    refuse_differences(run, iteration, stored, config, origin, None)
    return Start(run, merged(stored, config), iteration, arrays, origin)


def is_same_parent(requested: str, came_from: str | None) -> bool:
    """Tells whether two texts after --from name the same run or file."""
    if requested == came_from:
        return True
    new, old = weights_path(requested), weights_path(came_from or "")
    return new is not None and old is not None and new.resolve() == old.resolve()


def refuse_forgotten_parent(run: RunFolder, requested_parent: str | None) -> None:
    """Refuses to restart a branch that has no checkpoint yet without its parent.

    Raises:
        Problem: If --from is missing.
    """
    if requested_parent or not run.origin.exists():
        return
    parent = read_origin(run).parent
    came_from = parent and parent.requested
    if came_from:
        raise Problem(
            f"{run.name} started from {came_from} and has no checkpoint yet\n"
            f"  to start from there again, add --from {came_from}\n"
            "  to start it anew, from nothing, add --fresh"
        )


def has_traces(run: RunFolder) -> bool:
    """Tells whether a run without a checkpoint left rows or grids."""
    scalars = run.root / SCALARS
    has_rows = scalars.is_file() and scalars.stat().st_size > 0
    return has_rows or any(run.samples.glob("grid-*.png"))


def refuse_differences(
    run: RunFolder,
    iteration: int,
    stored: Config,
    config: Config,
    origin: Origin,
    data_fingerprint: str | None,
) -> None:
    """Refuses to continue a run with settings that would change its meaning.

    Args:
        run: The run's folders.
        iteration: Iterations done.
        stored: The stored config.
        config: The requested config.
        origin: What the run recorded of its start.
        data_fingerprint: Of the photographs; None before they are loaded.

    Raises:
        Problem: Lists each key that differs, and what to do.
    """
    differences = difference(
        stored,
        config,
        stored_data_fingerprint=origin.data_fingerprint,
        new_data_fingerprint=data_fingerprint,
    )
    if differences:
        raise Problem(difference_text(run.name, iteration, differences))


def find_parent(requested: str, run: RunFolder) -> Parent:
    """Reads the checkpoint or the weights file that a new run starts from.

    `requested` is "RUN", for its newest whole checkpoint, "RUN@N", or the path of a
    weights file; `run` is the new run.

    Raises:
        Problem: If there is no such run, checkpoint or file.
    """
    path = weights_path(requested)
    if path is not None:
        return parent_of_file(requested, path)
    name, at, number = requested.partition("@")
    parent = RunFolder(name)
    if name == run.name:
        raise Problem(
            f"--from {requested}: a run cannot start from itself\n"
            "  give the new run another name: --set run.name=..."
        )
    if at and not is_iteration(number):
        raise Problem(
            f"--from {requested}\n  expected: RUN or RUN@ITERATION\n"
            f"  found:    {number[:SHOWN]!r} after the @"
        )
    if not parent.iterations():
        folders = RUNS.glob("*/checkpoints")
        known = sorted(path.parent.name for path in folders if list_checkpoints(path))
        raise Problem(
            f"--from {requested}: no such run with a checkpoint under {RUNS}\n"
            f"  found:    {', '.join(known) or 'no run at all'}"
        )
    if at:
        iteration, arrays = int(number), numbered_checkpoint(parent, int(number))
    else:
        iteration, arrays = newest_whole_checkpoint(parent)
    config = load_stored_config(parent.config)
    return Parent(requested, name, iteration, config, arrays)


def parent_of_file(requested: str, path: pathlib.Path) -> Parent:
    """Reads a weights file; its averaged generator is the generator as well.

    Raises:
        Problem: If it is missing, damaged, or of another kind.
    """
    weights = read_weights(path)
    arrays = dict(weights.arrays)
    for name, array in weights.arrays.items():
        field, _, rest = name.partition("/")
        if field == EMA_GENERATOR:
            arrays[f"generator/{rest}"] = array
    run, iteration, config = weights.run, weights.iteration, weights.config
    return Parent(requested, run, iteration, config, arrays, weights.average)
