"""Averages a run's generator over more iterations than it did itself, afterwards.

The idea of averaging when training is over is that of Karras et al. (arXiv:2312.02696),
who keep two averages for it. Here the checkpoints are averaged, as they are.
"""

import numpy as np

from records.checkpoint import DamagedCheckpoint, read_checkpoint
from records.run_folder import RunFolder
from records.weights import EMA_GENERATOR
from settings.messages import Problem, say


def longer_average(
    run: RunFolder, iteration: int, half_life: float
) -> tuple[dict[str, np.ndarray], list[int]]:
    """Averages the averaged generators of all checkpoints up to one.

    The share of a checkpoint halves with every `half_life` iterations that it is older
    than `iteration`. One that is damaged or gone is left out, with a warning.

    Returns:
        The float32 arrays of the average by their names in a checkpoint, and the
        iterations of the checkpoints in it.

    Raises:
        Problem: If there are fewer than two.
    """
    sums: dict[str, np.ndarray] = {}
    shares: dict[int, float] = {}
    for number in run.iterations():
        if number > iteration:
            break
        try:
            arrays = read_checkpoint(run.checkpoints, number)
        except DamagedCheckpoint as error:
            say(f"warning: {error}; left out of the average")
            continue
        shares[number] = 0.5 ** ((iteration - number) / half_life)
        for name, array in arrays.items():
            if name.startswith(f"{EMA_GENERATOR}/"):
                part = shares[number] * array.astype(np.float64)
                sums[name] = sums[name] + part if name in sums else part
    if len(shares) < 2:
        raise Problem(
            f"--average {half_life:g}\n"
            f"  expected: two checkpoints or more up to iteration {iteration}; "
            "training.keep_last is how many train.py keeps\n"
            f"  found:    {', '.join(map(str, shares)) or 'none'}"
        )
    whole = sum(shares.values())
    return {n: (a / whole).astype(np.float32) for n, a in sums.items()}, list(shares)
