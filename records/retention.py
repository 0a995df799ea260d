"""Which checkpoints stay: the newest, milestones, the best, and the way back.

Nothing here needs TensorFlow.
"""

import math
from collections.abc import Sequence

from records.best import best_iterations, deciding_metric, values_of
from records.checkpoint import Retention
from records.rows import Row
from settings.config import Config

BYTES_PER_GIB = 2**30
GOOD_CHECKPOINT = "good_checkpoint"  # in the row of a warning: from before the trouble


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
        iterations: That have a checkpoint, or get one now, in order.
        rows: Of scalars.jsonl: the metrics tell which ones are best.
        good_until: Iterations done when all was well for the last time.
        events: Rows of events.jsonl: warnings name checkpoints from before them.
    """
    training = config.training
    budget = training.max_checkpoint_gib
    values = values_of(deciding_metric(config.metrics, rows), rows)
    return Retention(
        training.keep_last,
        training.keep_every_iterations,
        None if budget is None else int(budget * BYTES_PER_GIB),
        tuple(best_iterations(values, iterations, training.keep_best)),
        way_back(config, iterations, good_until, events),
        tuple(one for one in iterations if not is_due(config, one)),
    )


def way_back(
    config: Config,
    iterations: list[int],
    good_until: float,
    events: Sequence[Row],
) -> tuple[int, ...]:
    """Returns the checkpoints that stay to go back to, the most needed first.

    They are the one to go back to now; the next one that was due, which is it as soon
    as all was well for longer; and those that the first and the last warning named.
    """
    good = good_iterations(config, iterations, good_until)[:1]
    later = [one for one in iterations if one > max(good, default=-1)]
    later = [one for one in later if is_due(config, one)][:1]
    warned = [row[GOOD_CHECKPOINT] for row in events if row.get(GOOD_CHECKPOINT)]
    return (*good, *later, *warned[:1], *warned[1:][-1:])


def good_iterations(
    config: Config,
    iterations: list[int],
    good_until: float,
    tried: frozenset[int] = frozenset(),
) -> list[int]:
    """Returns the checkpoints a run could go back to, the one to prefer first.

    Those that were due come before those that a stop left: so a run that was stopped
    goes back to where the unbroken one does.

    Args:
        config: With the intervals.
        iterations: That have a checkpoint.
        good_until: Iterations done when all was well for the last time.
        tried: That the run went back to before, in vain; they come last.
    """
    good = [one for one in iterations if one <= good_until]
    return sorted(
        good,
        key=lambda one: (one not in tried, is_due(config, one), one),
        reverse=True,
    )


def is_due(config: Config, iteration: int) -> bool:
    """Tells whether a checkpoint is of an iteration that always has one."""
    intervals = (
        config.training.checkpoint_every_iterations,
        config.metrics.every_iterations,
    )
    return any(every and iteration % every == 0 for every in intervals)
