"""What counts as a gradient spike, and when a loss has recovered; plain values only.

A network's usual gradient is the geometric mean, over about a hundred steps, of the
largest magnitude in each. It is kept as an average of logarithms, in which a spike is
cut to the smallest that would still be one, so that none can drag it along.
"""

import math
from typing import Any

Row = dict[str, Any]  # a line of JSON

SPIKE_FACTOR = 30.0  # times the usual one; logged calm iterations stayed below 15
WARM_UP_STEPS = 100  # until then nothing is usual
MEMORY = 0.99  # per step, of the usual gradient
RECENT_LOSSES = 9  # their median stands for the loss: one spike does not move it
RECOVERED_WITHIN = 0.1  # of the loss before the spike


def usual_gradient(log_level: float, num_averaged: int) -> float | None:
    """Returns the usual largest gradient, or None until there is one."""
    return math.exp(log_level) if num_averaged >= WARM_UP_STEPS else None


def is_spike(largest: float, usual: float | None) -> bool:
    """Tells whether a gradient's largest magnitude is a spike."""
    return usual is not None and largest > SPIKE_FACTOR * usual


def next_log_level(log_level: float, largest: float, num_averaged: int) -> float:
    """Averages a step in; the first hundred steps have equal weight.

    Args:
        log_level: Logarithm of the usual gradient so far.
        largest: Largest magnitude in this step, finite; 0 changes nothing.
        num_averaged: Number of steps averaged so far.
    """
    if not largest > 0:
        return log_level
    log = math.log(largest)
    if num_averaged >= WARM_UP_STEPS:
        log = min(log, log_level + math.log(SPIKE_FACTOR))
    return log_level + max(1 / (num_averaged + 1), 1 - MEMORY) * (log - log_level)


def spike_row(
    position: Row,
    largest: float,
    not_finite: int,
    usual: float | None,
    damping: tuple[float, float] | None,
    losses: tuple[float, float] | None,
) -> Row:
    """Returns the row of a spike, without what is None.

    Args:
        position: Where it is: {"step": 7}, or iteration, network and skipped.
        largest: Largest finite magnitude in the gradient.
        not_finite: Number of elements that are not finite.
        usual: The usual largest magnitude.
        damping: What `largest` was damped to; fraction of elements above the knee.
        losses: Median of the losses before the first spike that the loss has not
            recovered from; loss at this one.
    """
    row = position | {"largest_finite": largest, "not_finite": not_finite}
    if usual is not None:
        row |= {"usual": usual, "times_usual": largest / usual}
    if damping is not None:
        row["damped_to"], row["above_knee"] = damping
    if losses is not None:
        row["loss_before"], row["loss"] = losses
    return row


def recovery_row(
    position: Row, spike: Row, recent_loss: float, unit: str
) -> Row | None:
    """Returns the row of a recovery, or None if the loss has not recovered.

    It has when it is back to within a tenth of what it was before the spike. Until most
    of the recent losses come after the spike, it is too early to tell.

    Args:
        position: Where training is now; the row says how long after the spike.
        spike: The row of the spike, with loss_before.
        recent_loss: Median of the last `RECENT_LOSSES`.
        unit: What positions count, "step" or "iteration".
    """
    waited, before = position[unit] - spike[unit], spike["loss_before"]
    is_back = recent_loss <= before + RECOVERED_WITHIN * abs(before)
    if waited <= RECENT_LOSSES // 2 or not is_back:
        return None
    return position | {
        "recovered_from": spike[unit],
        f"after_{unit}s": waited,
        "recent_loss": recent_loss,
    }
