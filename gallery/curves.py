"""Points of a curve: few enough to draw, every extreme kept, and where most lie."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

# A curve longer than this keeps the lowest and the highest point of each bucket.
MAX_POINTS = 2000
# A curve at least twice as long also has a line of so many medians, which shows where
# it goes through all the noise; one spike does not move a median.
TREND_POINTS = 150
DIGITS = 5
# An axis leaves out what lies further off than this many times the span in which all
# but 2 % at either end lie: one spike of a loss would flatten the rest into a line.
FAR_OFF_SPANS = 3
ORDINARY_PERCENTILES = (2, 98)
AXIS_MARGIN = 0.05


def thinned(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns at most `MAX_POINTS` points: the extremes of each bucket, and the ends.

    Args:
        x: whole numbers [points].
        y: float64 [points], finite.
    """
    if len(x) <= MAX_POINTS:
        return x, y
    # Two points a bucket; one bucket less leaves room for the first and last point.
    edges = np.linspace(0, len(y), MAX_POINTS // 2).astype(int)
    kept = {0, len(y) - 1}
    for start, end in zip(edges[:-1], edges[1:], strict=True):
        kept |= {start + int(y[start:end].argmin()), start + int(y[start:end].argmax())}
    chosen = np.array(sorted(kept))
    return x[chosen], y[chosen]


def trend_of(x: np.ndarray, y: np.ndarray) -> dict[str, list] | None:
    """Returns the medians of equal parts of a curve, None for a short one.

    Args:
        x: whole numbers [points].
        y: float64 [points], finite.
    """
    if len(x) < 2 * TREND_POINTS:
        return None
    parts = np.array_split(np.arange(len(x)), TREND_POINTS)
    return {
        "x": [int(x[part[len(part) // 2]]) for part in parts],
        "y": [rounded(float(np.median(y[part]))) for part in parts],
    }


def ordinary_range(
    curves: Sequence[np.ndarray], calm: Sequence[np.ndarray]
) -> tuple[float, float] | None:
    """Returns the range that an axis shows at first; None where it can show all.

    It holds every calm point but those that lie far off the rest of their curve.

    Args:
        curves: float64 [points] each.
        calm: The same without the points of spikes, each of which has a row of its own
            and which may be many.
    """
    calm = calm if any(map(len, calm)) else curves
    ordinary = [_without_far_off(y) for y in calm if len(y)]
    if sum(map(len, ordinary)) == sum(map(len, curves)):
        return None
    lowest, highest = min(y.min() for y in ordinary), max(y.max() for y in ordinary)
    margin = AXIS_MARGIN * (highest - lowest)
    return rounded(lowest - margin), rounded(highest + margin)


def _without_far_off(y: np.ndarray) -> np.ndarray:
    """Returns the values without those far off: all of them if most are the same."""
    # Inner neighbours: between an ordinary value and a spike there is nothing.
    lower, upper = ORDINARY_PERCENTILES
    lowest = np.percentile(y, lower, method="higher")
    highest = np.percentile(y, upper, method="lower")
    far_off = FAR_OFF_SPANS * (highest - lowest)
    if not far_off > 0 or not math.isfinite(far_off):
        return y
    return y[(y >= lowest - far_off) & (y <= highest + far_off)]


def is_finite(value: Any) -> bool:
    """Returns whether a value read from a file is a number that can be drawn."""
    try:
        return not isinstance(value, bool) and math.isfinite(value)
    except (TypeError, OverflowError):  # No number, or one beyond every float.
        return False


def whole_number(value: Any) -> int | None:
    """Returns a finite number as a whole one, None if it is not one."""
    return int(value) if is_finite(value) else None


def rounded(value: float) -> float:
    """Returns a value with as many digits as a chart can show."""
    return float(f"{value:.{DIGITS}g}")
