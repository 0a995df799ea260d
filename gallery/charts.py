"""Charts of a run: which scalars share one, and where spikes are marked.

A chart is a dict that becomes JSON: `title`, `note`, `is_log`, `range` (None if the
axis shows everything) and `curves`, each with `name`, `role` (its colour), `x` and
`y`; training's curves also have `trend`, None or a dict with `x` and `y` of its own.
"""

import math
from typing import Any

import numpy as np

from gallery.curves import is_finite, ordinary_range, rounded, thinned, trend_of
from gallery.scalars import Scalars

MAX_SPIKE_MARKS = 400

Curves = dict[str, tuple[str, str]]  # by scalar: name and role


def _of_both(scalar: str) -> Curves:
    """Returns a curve for each network, whose name replaces the {} in `scalar`."""
    return {scalar.format(one): (one, one) for one in ("generator", "discriminator")}


def _damping_of(network: str) -> Curves:
    largest = f"gradient/{network}_max"
    return {largest: ("before", "before"), f"{largest}_damped": ("after", network)}


PENALTIES = {
    "penalty/r1": ("R1, at photographs", "discriminator"),
    "penalty/r2": ("R2, at fakes", "generator"),
}
GAMMA = {"penalty/gamma": ("gamma", "other")}
SIGN = {"discriminator/real_sign": ("sign of D(real)", "discriminator")}
DIVERSITY = {"grid/diversity": ("diversity", "generator")}
PROBABILITY = {"augment/probability": ("probability", "other")}
SPEED = {"speed/images_per_second": ("images per second", "other")}
DAMPED = "before and after damping, logarithmic"
BENT = "share of all values that damping bends"
OVERFITTING = "mean of a batch; 1 all the time is overfitting"
SPREAD = "spread of its pictures' pixels; 1 is that of photographs"
LENGTH = "squared length of D's gradient in the pixels"

# Title, note, is_log, curves.
CHARTS = [
    ("Losses", "", False, _of_both("loss/{}")),
    ("Largest gradient, generator", DAMPED, True, _damping_of("generator")),
    ("Largest gradient, discriminator", DAMPED, True, _damping_of("discriminator")),
    ("Gradients above the knee", BENT, False, _of_both("gradient/{}_above_knee")),
    ("Sign of D(real)", OVERFITTING, False, SIGN),
    ("Diversity of the grid", SPREAD, False, DIVERSITY),
    ("Augmentation probability", "", False, PROBABILITY),
    ("Gradient penalties", LENGTH, False, PENALTIES),
    ("Weight of the penalties", "", False, GAMMA),
    ("Learning rates", "", False, _of_both("learning_rate/{}")),
    ("Images per second", "", False, SPEED),
]
# These are bounded, so that no outlier can flatten them.
ALWAYS_WHOLE = (
    "Gradients above the knee",
    "Sign of D(real)",
    "Diversity of the grid",
    "Augmentation probability",
)
ONLY_WHERE_THEY_VARY = ("Augmentation probability", "Learning rates")
NUM_IMAGES = "metric/num_images"  # that were measured; not a metric itself
METRIC_NAMES = {
    "kd": "Kernel distance",
    "kid": "Kernel inception distance",
    "fd": "Fr\u00e9chet distance",
    "fid": "Fr\u00e9chet inception distance",
}


def charts_of(scalars: Scalars) -> list[dict[str, Any]]:
    """Returns the non-empty charts of a run: metrics first, then training."""
    charts = _metric_charts(scalars)
    for title, note, is_log, shown in CHARTS:
        points = {key: scalars.points(key) for key in shown}
        ys = [y for _, y in points.values()]
        if title in ONLY_WHERE_THEY_VARY and len(np.unique(np.concatenate(ys))) < 2:
            continue
        curves = [
            _curve(*shown[key], *thinned(*points[key]))
            | {"trend": trend_of(*points[key])}
            for key in shown
            if len(points[key][0])
        ]
        if curves:
            is_whole = is_log or title in ALWAYS_WHOLE
            calm_ys = [scalars.points(key, calm_only=True)[1] for key in shown]
            limits = None if is_whole else ordinary_range(ys, calm_ys)
            charts.append(_chart(title, note, is_log, limits, curves))
    return charts


def _metric_charts(scalars: Scalars) -> list[dict[str, Any]]:
    """Returns a chart of each metric, not thinned again, with its floor if any."""
    names = scalars.names
    charts = []
    for key in names:
        if not key.startswith("metric/") or key == NUM_IMAGES:
            continue
        if key.endswith("_floor") and key.removesuffix("_floor") in names:
            continue
        curves = [_curve("this run", "metric", *scalars.points(key))]
        if key + "_floor" in names:
            floor = scalars.points(key + "_floor")
            curves.append(_curve("floor, real against real", "floor", *floor))
        charts.append(
            _chart(metric_title(key), key.partition("/")[2], False, None, curves)
        )
    return charts


def metric_title(key: str) -> str:
    """Returns a metric's name in words if it is known, such as "Kernel distance"."""
    name = key.removeprefix("metric/")
    return METRIC_NAMES.get(name.partition("_")[0], name.replace("_", " "))


def spike_marks(spikes: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """Returns the iterations (x) and hover texts (text) of the marks of spikes.

    Marks that would overlap become one, whose text says how many.
    """
    found = [
        (int(spike["iteration"]), spike)
        for spike in spikes
        if is_finite(spike.get("iteration"))
    ]
    if not found:
        return {"x": [], "text": []}
    first, last = min(n for n, _ in found), max(n for n, _ in found)
    width = max(1, math.ceil((last - first + 1) / MAX_SPIKE_MARKS))
    buckets: dict[int, list[tuple[int, dict[str, Any]]]] = {}
    for n, spike in sorted(found, key=lambda pair: pair[0]):
        buckets.setdefault((n - first) // width, []).append((n, spike))
    marks = [bucket[0][0] for bucket in buckets.values()]
    return {"x": marks, "text": [_mark_text(bucket) for bucket in buckets.values()]}


def _mark_text(bucket: list[tuple[int, dict[str, Any]]]) -> str:
    networks = {str(spike.get("network", "")) for _, spike in bucket} - {""}
    count = "spike" if len(bucket) == 1 else f"{len(bucket)} spikes"
    return ", ".join([count, *sorted(networks)])


def _curve(name: str, role: str, x: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    values = [rounded(value) for value in y.tolist()]
    return {"name": name, "role": role, "x": x.tolist(), "y": values}


def _chart(
    title: str,
    note: str,
    is_log: bool,
    limits: tuple[float, float] | None,
    curves: list[dict[str, Any]],
) -> dict[str, Any]:
    return {
        "title": title,
        "note": note,
        "is_log": is_log,
        "range": limits,
        "curves": curves,
    }
