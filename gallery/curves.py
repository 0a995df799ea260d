"""Reduces a curve to few enough points to draw, and finds the range of an axis."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

# A curve longer than this keeps the lowest and the highest point of each bucket.
MAX_POINTS = 2000
# A curve at least twice as long also has a line of this many medians, which shows its
# course through the noise; one spike does not move a median.
TREND_POINTS = 150
DIGITS = 5
# An axis leaves out values beyond the central 96 % by more than this many times their
# span: one spike of a loss would flatten the rest into a line.
FAR_OFF_SPANS = 3
ORDINARY_PERCENTILES = (2, 98)
AXIS_MARGIN = 0.05


def thinned(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Thins whole numbers x [points] and finite float64 y [points] to `MAX_POINTS`.

    It keeps the extremes of each bucket, and the ends.
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
    """Returns the medians of equal parts of a curve, None if it is short."""
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
    """Returns the range that an axis shows at first; None if it can show everything.

    It contains every calm point except the outliers of its curve.

    Args:
        curves: float64 [points] each.
        calm: The same without the points of spikes, of which there may be many: each
            spike has a row of its own.
    """
    calm = calm if any(map(len, calm)) else curves
    ordinary = [_without_far_off(y) for y in calm if len(y)]
    if sum(map(len, ordinary)) == sum(map(len, curves)):
        return None
    lowest, highest = min(y.min() for y in ordinary), max(y.max() for y in ordinary)
    margin = AXIS_MARGIN * (highest - lowest)
    return rounded(lowest - margin), rounded(highest + margin)


def _without_far_off(y: np.ndarray) -> np.ndarray:
    """Returns the values without outliers; all of them if most are equal."""
    # Rounded inwards, as interpolation could mix an ordinary value with a spike.
    lower, upper = ORDINARY_PERCENTILES
    lowest = np.percentile(y, lower, method="higher")
    highest = np.percentile(y, upper, method="lower")
    far_off = FAR_OFF_SPANS * (highest - lowest)
    if not far_off > 0 or not math.isfinite(far_off):
        return y
    return y[(y >= lowest - far_off) & (y <= highest + far_off)]


def is_finite(value: Any) -> bool:
    """Returns whether a value read from a file is a finite number."""
    try:
        return not isinstance(value, bool) and math.isfinite(value)
    except (TypeError, OverflowError):  # Not a number, or too large for a float.
        return False


def whole_number(value: Any) -> int | None:
    """Returns a finite number truncated to an integer, None for anything else."""
    return int(value) if is_finite(value) else None


def rounded(value: float) -> float:
    """Rounds a value to the digits that a chart can show."""
    return float(f"{value:.{DIGITS}g}")
