"""Averages a run's generator over more iterations than it did itself, afterwards.

The idea of averaging when training is over is that of Karras et al. (arXiv:2312.02696),
who keep two averages for it. Here the checkpoints are averaged, as they are.
"""

import numpy as np

from records.checkpoint import DamagedCheckpoint, read_checkpoint
from records.find_checkpoint import numbered_checkpoint
from records.run_folder import RunFolder
from records.weights import EMA_GENERATOR
from settings.messages import Problem, say


def longer_average(
    run: RunFolder, iteration: int, half_life: float
) -> tuple[dict[str, np.ndarray], list[int]]:
    """Averages the averaged generators of all checkpoints up to one.

    The share of a checkpoint halves with every `half_life` iterations that it is older
    than `iteration`, however far it is from the next one. An older one that is damaged
    or gone is left out, with a warning.

    Returns:
        The float32 arrays of the average by their names in a checkpoint, and the
        iterations of the checkpoints in it.

    Raises:
        Problem: If that of `iteration` is missing or damaged, or there is no other.
    """
    sums: dict[str, np.ndarray] = {}
    shares: dict[int, float] = {}
    for number in [*(n for n in run.iterations() if n < iteration), iteration]:
        try:
            if number == iteration:
                arrays = numbered_checkpoint(run, number)
            else:
                arrays = read_checkpoint(run.checkpoints, number)
        except (DamagedCheckpoint, FileNotFoundError) as error:
            say(f"warning: {error}; left out of the average")
            continue
        shares[number] = 0.5 ** ((iteration - number) / half_life)
        for name, array in arrays.items():
            if name.startswith(f"{EMA_GENERATOR}/"):
                part = shares[number] * array.astype(np.float64)
                sums[name] = sums[name] + part if name in sums else part
    if len(shares) < 2:
        raise Problem(
            f"--average {half_life:.15g}\n"
            f"  expected: two checkpoints or more up to iteration {iteration}; "
            "training.keep_last is how many train.py keeps\n"
            f"  found:    {iteration}"
        )
    whole = sum(shares.values())
    return {n: (a / whole).astype(np.float32) for n, a in sums.items()}, list(shares)


def average_in_words(iterations: list[int], half_life: float) -> str:
    """Returns what checkpoints of these iterations are averaged, and how."""
    first, last = iterations[0], iterations[-1]
    return (
        f"{len(iterations)} checkpoints from {first:,} to {last:,} iterations, "
        f"each with half the share of one {half_life:,.15g} iterations later; "
        f"their mean age is {mean_age(iterations, half_life):,.0f} iterations"
    )


def mean_age(iterations: list[int], half_life: float) -> float:
    """Returns how many iterations before the last one a checkpoint is, on average."""
    ages = np.array([iterations[-1] - iteration for iteration in iterations])
    return float(np.average(ages, weights=0.5 ** (ages / half_life)))


def with_average(words: str, average: str) -> str:
    """Returns words for a generator, and that it is a longer average if it is one.

    `average` is what it is a longer average of, in words, or "".
    """
    return f"{words}, a longer average" if average else words
