"""Rolls a run that diverged back to its last good checkpoint, with new noise.

What the run wrote after it is moved to the run's folders rolled-back-1, rolled-back-2,
...: rows, grids, metric cards, and checkpoints that were milestones or best ones. The
good checkpoint is rewritten with one more rollback in it; a run that is killed before
that diverges in the same way again, and comes back here.
"""

import contextlib
import os
import pathlib
import re
import shutil

import numpy as np

from records.checkpoint import (
    DamagedCheckpoint,
    checkpoint_path,
    read_checkpoint,
    write_checkpoint,
)
from records.damage import copy_if_damaged
from records.retention import good_iterations, retention_of
from records.rows import (
    EVENTS,
    ROLLBACKS,
    SCALARS,
    SPIKES,
    Row,
    read_rows,
    write_rows,
)
from records.run_folder import RunFolder
from settings.config import Config
from settings.messages import say

ITERATION = re.compile(r"\d{7,}")  # in the name of a grid or a card


def good_checkpoint(
    config: Config, run: RunFolder, good_until: float, rollbacks: int
) -> tuple[int, dict[str, np.ndarray]] | None:
    """Reads the preferred whole checkpoint from before training went wrong, if any.

    `good_until` is the number of iterations done when training was last healthy. The
    checkpoints that the `rollbacks` so far went back to are tried last.
    """
    events = read_rows(run.root / EVENTS)
    before = [row for row in events if row.get(ROLLBACKS, rollbacks + 1) <= rollbacks]
    tried = frozenset(row["iteration"] for row in before)
    for iteration in good_iterations(config, run.iterations(), good_until, tried):
        try:
            return iteration, read_checkpoint(run.checkpoints, iteration)
        except DamagedCheckpoint as error:
            say(f"warning: {error}; going back further")
    return None


def roll_back(
    config: Config,
    run: RunFolder,
    arrays: dict[str, np.ndarray],
    event: Row,
) -> None:
    """Makes a checkpoint the newest of its run, and moves aside what came after it.

    The caller holds the run's lock. `arrays` are the checkpoint's with the new count of
    rollbacks; `event` is the rollback's row for events.jsonl.

    Raises:
        Problem: If the checkpoint cannot be rewritten; the old one is whole.
    """
    iteration, number = int(arrays["iteration"]), int(arrays[ROLLBACKS])
    aside = run.root / f"rolled-back-{number}"
    aside.mkdir(exist_ok=True)
    for name in (SCALARS, SPIKES, EVENTS):
        with contextlib.suppress(FileNotFoundError):
            shutil.copyfile(run.root / name, aside / name)
    events = read_rows(run.root / EVENTS)
    events += copy_if_damaged(run.root / EVENTS, iteration)
    others = [row for row in events if row.get(ROLLBACKS) != number]
    write_rows(run.root / EVENTS, [*others, event])
    move_later(run.samples, run.samples / aside.name, iteration)
    rows = read_rows(run.root / SCALARS)
    best = retention_of(config, run.iterations(), rows).best
    rows = [row for row in rows if row["iteration"] <= iteration]
    iterations = [one for one in run.iterations() if one <= iteration]
    retention = retention_of(config, iterations, rows, iteration, others)
    write_checkpoint(run.checkpoints, iteration, arrays, retention)
    for later in reversed([one for one in run.iterations() if one > iteration]):
        path = checkpoint_path(run.checkpoints, later)
        if later in best or later % config.training.keep_every_iterations == 0:
            os.replace(path, aside / path.name)
        else:
            path.unlink()


def move_later(folder: pathlib.Path, target: pathlib.Path, iteration: int) -> None:
    """Moves the files whose names give a later iteration."""
    target.mkdir(parents=True, exist_ok=True)
    for path in list(folder.iterdir()):
        found = ITERATION.search(path.name)
        if path.is_file() and found and int(found[0]) > iteration:
            os.replace(path, target / path.name)
