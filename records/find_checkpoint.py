"""Reads the checkpoint to continue from or to use, and reports damaged ones."""

import numpy as np

from records.checkpoint import DamagedCheckpoint, checkpoint_path, read_checkpoint
from records.run_folder import RunFolder
from settings.key_types import MOST
from settings.messages import Problem, say


def is_iteration(text: str) -> bool:
    """Tells whether a text is a number of iterations, of at most ten digits."""
    return text.isascii() and text.isdecimal() and len(text) <= len(str(MOST))


def newest_whole_checkpoint(run: RunFolder) -> tuple[int, dict[str, np.ndarray]]:
    """Reads the newest checkpoint that is whole, with a warning for each damaged one.

    Raises:
        Problem: If there is none.
    """
    damaged = []
    for iteration in reversed(run.iterations()):
        try:
            arrays = read_checkpoint(run.checkpoints, iteration)
        except DamagedCheckpoint as error:
            damaged.append(str(error))
            say(f"warning: {error}; trying the one before it")
        else:
            return iteration, arrays
    found = "\n".join(f"  found:    {line}" for line in damaged) or "  found:    none"
    raise Problem(
        f"{run.checkpoints}: no whole checkpoint\n{found}\n"
        "  put one back, or start anew with --fresh (the old run is moved aside)"
    )


def numbered_checkpoint(run: RunFolder, iteration: int) -> dict[str, np.ndarray]:
    """Reads the checkpoint of one iteration.

    Raises:
        Problem: If it is missing, with those that exist, or damaged.
    """
    iterations = run.iterations()
    if iteration not in iterations:
        raise Problem(
            f"{checkpoint_path(run.checkpoints, iteration)}: no such checkpoint\n"
            f"  found:    {', '.join(map(str, iterations)) or 'none'}"
        )
    try:
        return read_checkpoint(run.checkpoints, iteration)
    except DamagedCheckpoint as error:
        raise Problem(str(error)) from error
