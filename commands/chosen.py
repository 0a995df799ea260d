"""Finds the run and the checkpoint that a command names, to read only.

Nothing is locked or written, so the run may be training. Nothing here imports
TensorFlow, so that errors take a second to show, not ten.
"""

import dataclasses
import pathlib

import numpy as np

from records.best import best_iterations, deciding_metric, values_of
from records.checkpoint import digest
from records.find_checkpoint import newest_whole_checkpoint, numbered_checkpoint
from records.rows import SCALARS, read_rows
from records.run_folder import RUNS, SAMPLES, RunFolder
from settings.config import Config
from settings.config_file import load_stored_config
from settings.messages import Problem

LATEST, BEST = "latest", "best"
EMA_GENERATOR = "ema_generator"  # its field in the state


@dataclasses.dataclass(frozen=True)
class Chosen:
    """The averaged generator in a checkpoint of a run.

    Attributes:
        run: The run's folders.
        config: The run's config.
        iteration: Iterations done.
        sha256: Of all arrays in the checkpoint, as in its header.
        ema_arrays: The weights, by their names in the checkpoint.
    """

    run: RunFolder
    config: Config
    iteration: int
    sha256: str
    ema_arrays: dict[str, np.ndarray]


def find_run(text: str) -> RunFolder:
    """Finds a run by its name, runs/NAME or samples/NAME.

    Raises:
        Problem: If there is no such run; lists the existing ones.
    """
    path = pathlib.Path(text)
    is_in_folder = path.parent.resolve() in (RUNS.resolve(), SAMPLES.resolve())
    name = path.name if is_in_folder else str(path)
    known = [path.name for path in RUNS.glob("*") if path.is_dir()]
    known = sorted(name for name in known if not name.startswith("."))
    if name not in known:
        raise Problem(
            f"{text}: no such run under {RUNS.resolve()}\n"
            f"  found:    {', '.join(known) or 'no run at all'}"
        )
    return RunFolder(name)


def choose_checkpoint(run: RunFolder, wanted: str) -> Chosen:
    """Reads one checkpoint of a run.

    Args:
        run: The run, which may be training.
        wanted: "latest", "best" or a number of iterations.

    Raises:
        Problem: If there is no such checkpoint or it is damaged.
    """
    iterations = run.iterations()
    found = ", ".join(map(str, iterations)) or "none"
    if wanted not in (LATEST, BEST) and not wanted.isdecimal():
        raise Problem(
            f"--checkpoint {wanted}\n"
            f"  expected: {LATEST}, {BEST}, or a number of iterations\n"
            f"  found:    {found}"
        )
    if not iterations:
        raise Problem(
            f"{run.checkpoints}: no checkpoint yet\n"
            "  one is saved every training.checkpoint_every_iterations, and when "
            "train.py is stopped"
        )
    config = load_stored_config(run.config)
    if wanted == LATEST:
        iteration, arrays = newest_whole_checkpoint(run)
    else:
        is_best = wanted == BEST
        iteration = best_checkpoint(run, config) if is_best else int(wanted)
        arrays = numbered_checkpoint(run, iteration)
    prefix = f"{EMA_GENERATOR}/"
    ema_arrays = {n: array for n, array in arrays.items() if n.startswith(prefix)}
    return Chosen(run, config, iteration, digest(arrays, iteration), ema_arrays)


def best_checkpoint(run: RunFolder, config: Config) -> int:
    """Returns the iteration of the checkpoint with the lowest kernel distance.

    Raises:
        Problem: If no checkpoint has been measured.
    """
    rows = read_rows(run.root / SCALARS)
    name = deciding_metric(config.metrics, rows)
    values = values_of(name, rows)
    best = best_iterations(values, run.iterations(), 1)
    if not best:
        raise Problem(
            f"--checkpoint {BEST}: no checkpoint has a {name} yet\n"
            "  metrics.every_iterations takes one at that interval while the run "
            f"trains\n  expected: {LATEST}, or a number of iterations\n"
            f"  found:    {', '.join(map(str, run.iterations()))}"
        )
    return best[0]
