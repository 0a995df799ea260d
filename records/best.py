"""Which metric decides, and which checkpoints are the best ones by it.

The kernel distance decides, as it is unbiased: values taken with different numbers of
images compare. Nothing here needs TensorFlow.
"""

import pathlib
from collections.abc import Iterable

from metrics.networks import FEATURE_NETWORKS
from records.rows import Row, read_rows
from settings.metrics import MetricsConfig


def deciding_metric(metrics: MetricsConfig, rows: list[Row]) -> str:
    """Returns the name in scalars.jsonl of the metric that decides; lower is better.

    Where metrics are off it is the one that was taken last, if any was: a run that
    goes on without them keeps its best checkpoints.
    """
    name = f"metric/{FEATURE_NETWORKS[metrics.extractor].kernel}"
    if metrics.every_iterations is None:
        taken = [key for row in rows for key in row if is_kernel_distance(key)]
        return taken[-1] if taken else name
    return name


def is_kernel_distance(name: str) -> bool:
    """Tells whether a scalar is a kernel distance, and not its floor."""
    is_one = name == "metric/kid" or name.startswith("metric/kd_")
    return is_one and not name.endswith("_floor")


def is_measured(metrics: MetricsConfig, path: pathlib.Path, iteration: int) -> bool:
    """Tells whether an iteration has all the metrics that are due at it.

    Args:
        metrics: With the interval.
        path: The run's scalars.jsonl, read only where metrics are due.
        iteration: Iterations done.
    """
    if metrics.every_iterations is None or iteration % metrics.every_iterations:
        return True
    rows = read_rows(path)
    return iteration in values_of(deciding_metric(metrics, rows), rows)


def values_of(name: str, rows: list[Row]) -> dict[int, float]:
    """Returns the values of one scalar by iteration, in the order of the rows."""
    return {row["iteration"]: row[name] for row in rows if name in row}


def best_iterations(
    values: dict[int, float], iterations: Iterable[int], count: int
) -> list[int]:
    """Returns the iterations of the lowest values, the lowest first.

    Args:
        values: By iteration.
        iterations: Those to choose from; one without a value is left out.
        count: How many at most.
    """
    measured = [iteration for iteration in iterations if iteration in values]
    return sorted(measured, key=lambda one: (values[one], one))[:count]
