"""Measures what a save and a page cost after many rows.

    python -m benchmarks.long_rows [--counts 1000 50000 500000]

Trains a tiny pair for some iterations, gives it so many rows as if it had been trained
for that long, continues it in a process of its own, and times its saves and pages. The
first page reads all rows, the others only what is new. Prints a table, and how large
the page became and how much memory the process took.
"""

import argparse
import contextlib
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from unittest import mock

import numpy as np
import yaml

NAME = "long"
MORE = 12  # iterations that the continued run does, with a save and a page every two
CONFIG = {
    "run": {"name": NAME},
    "data": {"source": "drawn", "image_size": 32, "num_images": 64},
    "model": {"num_layers": 22, "latent_dim": 8, "base_channels": 2, "max_channels": 8},
    "training": {
        "batch_size": 4,
        "log_every_iterations": 1,
        "sample_every_iterations": 2,
        "checkpoint_every_iterations": 2,
        "divergence_iterations": None,
    },
    "metrics": {"every_iterations": 4, "extractor": "random", "num_images": 16},
    "runtime": {"precision": "float32", "compile": "graph", "device": "cpu"},
}
METRICS_EVERY, GRID_EVERY, SPIKE_EVERY = 5000, 500, 997  # iterations, in the rows made


def main() -> None:
    """Measures each count in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--counts", type=int, nargs="+", default=[1000, 50000, 500000])
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one is not None:
        print(json.dumps(measured(arguments.one)))
        return
    print("|   rows | first page, s | a page, s | a save, s | page, kB | peak, MB |")
    print("|-------:|--------------:|----------:|----------:|---------:|---------:|")
    for count in arguments.counts:
        command = [sys.executable, "-m", "benchmarks.long_rows", "--one", str(count)]
        told = subprocess.run(command, capture_output=True, text=True, check=True)
        cells = json.loads(told.stdout.splitlines()[-1])
        print(
            f"| {count:6} | {cells['first']:13.2f} | {cells['page']:9.3f} "
            f"| {cells['save']:9.3f} | {cells['kilobytes']:8.0f} "
            f"| {cells['megabytes']:8.0f} |",
            flush=True,
        )


def measured(count: int) -> dict[str, float]:
    """Returns the seconds of pages and saves of a run with so many rows."""
    from commands.quiet import import_tensorflow

    import_tensorflow()
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)  # tracing takes longer than it saves here
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        train(2)
        pretend(count)
        pages, saves = train(count + MORE)
        text = pathlib.Path("samples", NAME, "index.html").stat().st_size
        data = pathlib.Path("samples", NAME, "page-data.js").stat().st_size
    # The first and the last are before and after training.
    return {
        "first": pages[0],
        "page": statistics.median(pages[1:-1]),
        "save": statistics.median(saves[1:]),
        "kilobytes": (text + data) / 1e3,
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
    }


def train(total: int) -> tuple[list[float], list[float]]:
    """Trains up to a number of iterations; returns the seconds of pages and saves."""
    import train as program
    from training.loop import Loop
    from training.output import Output

    training = CONFIG["training"] | {"total_iterations": total}
    pathlib.Path("long.yaml").write_text(
        yaml.safe_dump(CONFIG | {"training": training})
    )
    pages: list[float] = []
    saves: list[float] = []
    with (
        mock.patch.object(Output, "write_pages", timed(Output.write_pages, pages)),
        mock.patch.object(Loop, "_save", timed(Loop._save, saves)),
        mock.patch.object(sys, "argv", ["train.py", "--config", "long.yaml"]),
        mock.patch.object(sys, "stdout", sys.stderr),
    ):
        if program.main():
            raise SystemExit("the run did not end")
    return pages, saves


def timed(function: Callable, seconds: list[float]) -> Callable:
    """Returns a function that also notes how long each call takes."""

    def call(*arguments: object) -> None:
        began = time.perf_counter()
        function(*arguments)
        seconds.append(time.perf_counter() - began)

    return call


def pretend(count: int) -> None:
    """Makes the run one that has done so many iterations, with a row of each."""
    from records.checkpoint import Retention, read_checkpoint, write_checkpoint
    from records.rows import SCALARS, SPIKES, read_rows
    from records.run_folder import RunFolder

    run = RunFolder(NAME)
    arrays = read_checkpoint(run.checkpoints, 2)
    arrays["iteration"] = np.full_like(arrays["iteration"], count)
    write_checkpoint(run.checkpoints, count, arrays, Retention(1, 10**9))
    like = read_rows(run.root / SCALARS)[-1]
    draw = np.random.default_rng(0)
    with open(run.root / SCALARS, "w") as rows, open(run.root / SPIKES, "w") as spikes:
        for iteration in range(1, count + 1):
            noise = draw.lognormal(sigma=0.3, size=len(like)).tolist()
            row = {key: like[key] * x for key, x in zip(like, noise, strict=True)}
            row["iteration"] = iteration
            if iteration % GRID_EVERY == 0:
                row["grid/diversity"] = noise[0]
            if iteration % SPIKE_EVERY == 0:
                row["spike/generator"] = 40.0
                print(json.dumps(spike_at(iteration)), file=spikes)
            print(json.dumps(row), file=rows)
            if iteration % METRICS_EVERY == 0:
                metric = {"metric/kd_random": noise[1], "metric/fd_random": noise[2]}
                print(json.dumps({"iteration": iteration} | metric), file=rows)


def spike_at(iteration: int) -> dict[str, object]:
    """Returns a row of the spike ledger."""
    return {
        "iteration": iteration,
        "network": "generator",
        "skipped": False,
        "largest_finite": 40.0,
        "times_usual": 40.0,
        "loss_before": 0.7,
        "loss": 0.9,
    }


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()
