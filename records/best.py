"""Ranks checkpoints by the kernel distance.

It is unbiased, so values from different numbers of images are comparable.
"""

from collections.abc import Iterable

from metrics.networks import FEATURE_NETWORKS
from records.rows import Row
from records.run_folder import RunFolder
from records.scalars import scalars_of
from settings.metrics import MetricsConfig


def deciding_metric(metrics: MetricsConfig, rows: list[Row]) -> str:
    """Returns the scalars.jsonl name of the metric that ranks checkpoints, lowest best.

    If metrics are off, it is the last one that was taken, if any: a run that continues
    without metrics keeps its best checkpoints.
    """
    name = f"metric/{FEATURE_NETWORKS[metrics.extractor].kernel}"
    if metrics.every_iterations is None:
        taken = [key for row in rows for key in row if is_kernel_distance(key)]
        return taken[-1] if taken else name
    return name


def is_kernel_distance(name: str) -> bool:
    """Tells whether a scalar is a kernel distance, not the floor of one."""
    is_one = name == "metric/kid" or name.startswith("metric/kd_")
    return is_one and not name.endswith("_floor")


def is_measured(metrics: MetricsConfig, run: RunFolder, iteration: int) -> bool:
    """Tells whether a run's rows have the metrics due at an iteration, if any are."""
    if metrics.every_iterations is None or iteration % metrics.every_iterations:
        return True
    rows = scalars_of(run).decisive
    return iteration in values_of(deciding_metric(metrics, rows), rows)


def values_of(name: str, rows: list[Row]) -> dict[int, float]:
    """Returns the values of one scalar by iteration, in the order of the rows."""
    return {row["iteration"]: row[name] for row in rows if name in row}


def best_iterations(
    values: dict[int, float], iterations: Iterable[int], count: int
) -> list[int]:
    """Returns up to `count` measured iterations, the one of the lowest value first."""
    measured = [iteration for iteration in iterations if iteration in values]
    return sorted(measured, key=lambda one: (values[one], one))[:count]
