"""Deletes the unfinished files that killed processes left in the folders of a run."""

import glob
import pathlib

from files.atomic import A_WHILE_SECONDS, remove_abandoned
from gallery.pages import ASSETS
from gallery.thumbnails import THUMBNAILS
from records.run_folder import RUNS, SAMPLES, RunFolder


def sweep(
    run: RunFolder, holds_lock: bool = False, beside: pathlib.Path | None = None
) -> None:
    """Deletes the unfinished files of a run whose writers are gone.

    Those in the folders that runs of this name were moved to count as its own, and so
    do those of the page of all runs.

    Args:
        run: The run.
        holds_lock: Whether the caller holds its lock; else another machine may be
            writing, and only what has not changed for a while is deleted.
        beside: Another folder in which the command writes.
    """
    least_age = 0 if holds_lock else A_WHILE_SECONDS
    remove_abandoned(RUNS / run.name, least_age, below=True, at_start=True)
    for folder in (SAMPLES / run.name, SAMPLES / run.name / THUMBNAILS):
        remove_abandoned(folder, least_age, at_start=True)
    remove_abandoned(SAMPLES / run.name, below=True)  # generate.py, without the lock
    for root in (RUNS, SAMPLES):
        for moved in root.glob(f"{glob.escape(run.name)}.before-*"):
            remove_abandoned(moved, below=True)
    for shared in (SAMPLES, SAMPLES / ASSETS, *([beside] if beside else [])):
        remove_abandoned(shared)
