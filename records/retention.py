"""Decides which checkpoints are kept: newest, milestones, best, and for rollbacks."""

import math
from collections.abc import Sequence

from records.best import best_iterations, deciding_metric, values_of
from records.checkpoint import BYTES_PER_GIB, Retention
from records.rows import KEPT_UNTIL, Row
from settings.config import Config

GOOD_CHECKPOINT = "good_checkpoint"  # in a warning's row: the one from before it


def retention_of(
    config: Config,
    iterations: list[int],
    rows: list[Row],
    good_until: float = math.inf,
    events: Sequence[Row] = (),
) -> Retention:
    """Returns which checkpoints the config keeps.

    Args:
        config: With the rules.
        iterations: Those that have a checkpoint, or get one now, in order.
        rows: Of scalars.jsonl: the metrics tell which ones are best.
        good_until: Iterations done when training was last healthy.
        events: Rows of events.jsonl: warnings name checkpoints from before them.
    """
    training = config.training
    budget = training.max_checkpoint_gib
    values = values_of(deciding_metric(config.metrics, rows), rows)
    best = best_iterations(values, iterations, training.keep_best)
    # A row was lost, or was never written: any of these could be the best.
    unmeasured = [
        i for i in iterations if i not in values and is_measured_at(config, i)
    ]
    return Retention(
        training.keep_last,
        training.keep_every_iterations,
        None if budget is None else int(budget * BYTES_PER_GIB),
        (*best, *unmeasured) if training.keep_best else (),
        way_back(config, iterations, good_until, events),
        tuple(one for one in iterations if not is_due(config, one)),
    )


def way_back(
    config: Config,
    iterations: list[int],
    good_until: float,
    events: Sequence[Row],
) -> tuple[int, ...]:
    """Returns the checkpoints kept for rolling back, the most needed first.

    They are the current target; the next scheduled one, which becomes the target once
    training has stayed healthy for longer; those that the first and the last warning
    named; and all that a lost warning may have named.
    """
    good = good_iterations(config, iterations, good_until)[:1]
    later = [one for one in iterations if one > max(good, default=-1)]
    later = [one for one in later if is_due(config, one)][:1]
    warned = [row[GOOD_CHECKPOINT] for row in events if row.get(GOOD_CHECKPOINT)]
    until = max((row.get(KEPT_UNTIL, -1) for row in events), default=-1)
    perhaps = [one for one in iterations if one <= until]
    return (*good, *later, *warned[:1], *warned[1:][-1:], *perhaps)


def good_iterations(
    config: Config,
    iterations: list[int],
    good_until: float,
    tried: frozenset[int] = frozenset(),
) -> list[int]:
    """Returns the checkpoints that a run could roll back to, the preferred one first.

    Scheduled ones come before those that a stop left, so that a run that was stopped
    goes back to the same one as an unbroken run. Those in `tried`, which the run went
    back to in vain, come last.
    """
    good = [one for one in iterations if one <= good_until]
    return sorted(
        good,
        key=lambda one: (one not in tried, is_due(config, one), one),
        reverse=True,
    )


def is_measured_at(config: Config, iteration: int) -> bool:
    """Tells whether the config has metrics taken at an iteration."""
    every = config.metrics.every_iterations
    return every is not None and iteration % every == 0


def is_due(config: Config, iteration: int) -> bool:
    """Tells whether an iteration always gets a checkpoint."""
    is_scheduled = iteration % config.training.checkpoint_every_iterations == 0
    return is_scheduled or is_measured_at(config, iteration)
