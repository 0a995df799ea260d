"""Takes a run that diverged back to its last good checkpoint, with other noise.

Nothing of the way gone wrong is lost but its checkpoints: its rows and grids are put
aside in folders called rolled-back-1, rolled-back-2, ... of the run. The good
checkpoint is written anew, with one more rollback in it, as the last step: a run that
is killed before it goes the same way wrong again, and comes back here.
"""

import os
import shutil

import numpy as np

from gallery.thumbnails import grid_iterations, grid_name
from training.best import good_iterations, retention_of
from training.checkpoint import (
    DamagedCheckpoint,
    checkpoint_path,
    read_checkpoint,
    write_checkpoint,
)
from training.config import Config
from training.rows import (
    EVENTS,
    ROLLBACKS,
    SCALARS,
    SPIKES,
    append_row,
    read_rows,
)
from training.run_folder import RunFolder
from training.telling import tell


def good_checkpoint(
    config: Config, run: RunFolder, good_until: float
) -> tuple[int, dict[str, np.ndarray]] | None:
    """Reads the newest whole checkpoint from before things went wrong, if there is one.

    Args:
        config: Of the run.
        run: Its folders.
        good_until: Iterations done when all was well for the last time.
    """
    for iteration in good_iterations(config, run.iterations(), good_until):
        try:
            return iteration, read_checkpoint(run.checkpoints, iteration)
        except DamagedCheckpoint as error:
            tell(f"warning: {error}; going back further")
    return None


def roll_back(
    config: Config,
    run: RunFolder,
    arrays: dict[str, np.ndarray],
    event: dict[str, object],
) -> None:
    """Makes a checkpoint the newest of its run, and puts aside what came after it.

    Args:
        config: Of the run.
        run: Its folders; the caller holds the lock.
        arrays: Of the checkpoint, with the new count of rollbacks.
        event: The row of events.jsonl that tells of it.

    Raises:
        DiskFull: If the checkpoint cannot be written anew; the old one is whole.
    """
    iteration, number = int(arrays["iteration"]), int(arrays[ROLLBACKS])
    rows_aside = run.root / f"rolled-back-{number}"
    rows_aside.mkdir(exist_ok=True)
    for name in (SCALARS, SPIKES):
        shutil.copyfile(run.root / name, rows_aside / name)
    if number not in [row.get(ROLLBACKS) for row in read_rows(run.root / EVENTS)]:
        append_row(run.root / EVENTS, event)
    grids_aside = run.samples / f"rolled-back-{number}"
    grids_aside.mkdir(parents=True, exist_ok=True)
    for later in grid_iterations(run.samples):
        if later > iteration:
            name = grid_name(later)
            os.replace(run.samples / name, grids_aside / name)
    for later in reversed(run.iterations()):
        if later > iteration:
            checkpoint_path(run.checkpoints, later).unlink()
    rows = [r for r in read_rows(run.root / SCALARS) if r["iteration"] <= iteration]
    retention = retention_of(config, run.iterations(), rows)
    write_checkpoint(run.checkpoints, iteration, arrays, retention)
