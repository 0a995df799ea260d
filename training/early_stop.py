"""Stops a run early when its metrics show no progress or a collapse.

It only reads the rows of scalars.jsonl, so interrupting a run makes no difference.
"""

from metrics.networks import FEATURE_NETWORKS
from records.best import best_iterations, values_of
from records.rows import Row
from records.run_folder import RunFolder
from settings.messages import Problem
from settings.metrics import MetricsConfig

COUNT = "metric/num_images"
TIMES_IN_A_ROW = 2  # a single bad measurement may be chance


def check_metrics(metrics: MetricsConfig, rows: list[Row], run: RunFolder) -> None:
    """Ends a run that makes no progress or has collapsed, if the config says so.

    `rows` are those of scalars.jsonl, oldest first. Measurements with another number
    of images than the newest are not comparable, so they are ignored.

    Raises:
        Problem: With status 3; its message names a checkpoint to branch off from.
    """
    network = FEATURE_NETWORKS[metrics.extractor]
    frechet, kernel = network.frechet, network.kernel
    rows = [row for row in rows if f"metric/{kernel}" in row]
    rows = [row for row in rows if row.get(COUNT) == rows[-1].get(COUNT)]
    for name, find in ((kernel, no_progress), (frechet, far_above_best)):
        values = values_of(f"metric/{name}", rows)
        seen = find(metrics, name, values) if values else None
        if seen:
            kept = best_iterations(values, run.iterations(), 1) or run.iterations()
            parent = f"{run.name}@{kept[-1]}" if kept else run.name
            raise Problem(
                f"{run.name}: {seen}\n"
                f"  all is saved; to branch off from the lowest {name} that has a "
                "checkpoint:\n"
                f"  --from {parent} --set run.name=... --set ...",
                status=3,
            )


def no_progress(
    metrics: MetricsConfig, name: str, values: dict[int, float]
) -> str | None:
    """Returns a message if the lowest value is too long ago, else None."""
    patience = metrics.stop_without_progress_iterations
    best, last = min(values, key=values.__getitem__), max(values)
    if patience is None or last - best < patience:
        return None
    return (
        f"no progress: {name} was lowest at iteration {best} ({values[best]:.4g}) and "
        f"is {values[last]:.4g} at {last}\n"
        f"  metrics.stop_without_progress_iterations is {patience}; raise it to go on"
    )


def far_above_best(
    metrics: MetricsConfig, name: str, values: dict[int, float]
) -> str | None:
    """Returns a message if the last values are far above the lowest, else None."""
    factor = metrics.stop_above_best
    best, last = min(values, key=values.__getitem__), max(values)
    newest = [values[iteration] for iteration in sorted(values)[-TIMES_IN_A_ROW:]]
    if factor is None or min(newest) <= factor * values[best]:
        return None
    return (
        f"collapse: {name} is {values[last]:.4g} at iteration {last}, and was "
        f"{values[best]:.4g} at {best}\n"
        f"  metrics.stop_above_best is {factor:g}; raise it to go on"
    )
