"""Measures what a page costs after many rows, and what a save asks of them.

    python -m benchmarks.long_rows [--counts 1000 50000 500000]

Gives a run so many rows, in a process of its own, writes its page, adds a row, and
writes the page again, which reads only what is new; the same for what a save asks of
the rows, which is what checkpoints are kept. Beside it, how long it takes to read all
rows, which each of both did before. Seconds are those of the processor, as others may
be using it, too.
"""

import argparse
import contextlib
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import numpy as np

from files.atomic import write_text
from records.page import write_pages
from records.retention import retention_of
from records.rows import SCALARS, SPIKES, append_row, read_rows
from records.run_folder import RunFolder
from records.scalars import scalars_of
from records.sessions import Sessions
from settings.config import Config
from settings.config_file import resolved_yaml

RUN = RunFolder("long")
AGAIN = 5  # pages and saves, each after another row; the median counts
METRICS_EVERY, GRID_EVERY, SPIKE_EVERY = 5000, 500, 997  # iterations
NETWORKS = ("generator", "discriminator")
SCALAR_NAMES = (
    *(f"loss/{one}" for one in NETWORKS),
    *(f"gradient/{one}_max{end}" for one in NETWORKS for end in ("", "_damped")),
    *(f"gradient/{one}_above_knee" for one in NETWORKS),
    *(f"learning_rate/{one}" for one in NETWORKS),
    *("penalty/r1", "penalty/r2", "penalty/gamma", "discriminator/real_sign"),
    *("augment/probability", "speed/images_per_second"),
)
HEADINGS = ("rows", "read all, s", "first page, s", "a page, s", "a save, s")
HEADINGS += ("page, kB", "peak, MB")


def main() -> None:
    """Measures each count in a process of its own, and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--counts", type=int, nargs="+", default=[1000, 50000, 500000])
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one is not None:
        print(json.dumps(measured(arguments.one)))
        return
    print(f"| {' | '.join(HEADINGS)} |\n|{'---:|' * len(HEADINGS)}")
    for count in arguments.counts:
        command = [sys.executable, "-m", "benchmarks.long_rows", "--one", str(count)]
        told = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        cells = [f"{count:,}", *json.loads(told.stdout.splitlines()[-1])]
        print(f"| {' | '.join(cells)} |", flush=True)


def measured(count: int) -> list[str]:
    """Returns the cells of a table's row but the first."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        make_run(count)
        first = seconds_of(lambda: write_pages(RUN))
        pages, saves = [], []
        for number in range(count + 1, count + 1 + AGAIN):
            append_row(RUN.root / SCALARS, row_at(number, np.random.default_rng(0)))
            saves.append(seconds_of(ask_as_a_save))
            pages.append(seconds_of(lambda: write_pages(RUN)))
        sizes = [
            (RUN.samples / one).stat().st_size for one in ("index.html", "page-data.js")
        ]
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        whole = seconds_of(lambda: read_rows(RUN.root / SCALARS))
    page, save = statistics.median(pages), statistics.median(saves)
    return [
        f"{whole:.2f}",
        f"{first:.2f}",
        f"{page:.3f}",
        f"{save:.4f}",
        f"{sum(sizes) / 1e3:.0f}",
        f"{peak:.0f}",
    ]


def seconds_of(action: Callable[[], object]) -> float:
    """Returns how long an action keeps the processor busy."""
    began = time.process_time()
    action()
    return time.process_time() - began


def ask_as_a_save() -> None:
    """Finds out from the rows which checkpoints are kept."""
    retention_of(config(), [1000], scalars_of(RUN).decisive)


def config() -> Config:
    """Returns the config of the run."""
    return Config(
        run={"name": RUN.name},
        data={"source": "drawn", "image_size": 32},
        metrics={"every_iterations": METRICS_EVERY, "extractor": "random"},
        training={"total_iterations": 10**6},
    )


def make_run(count: int) -> None:
    """Writes a run that has done so many iterations, with a row of each."""
    RUN.root.mkdir(parents=True)
    write_text(RUN.config, resolved_yaml(config()))
    origin = {"data_fingerprint": "none", "device": "CPU", "versions": {}}
    write_text(RUN.origin, json.dumps(origin))
    Sessions(RUN.sessions, 0, "CPU", "none", []).write_progress(count)
    draw = np.random.default_rng(0)
    with open(RUN.root / SCALARS, "w") as rows, open(RUN.root / SPIKES, "w") as spikes:
        for number in range(1, count + 1):
            row = row_at(number, draw)
            print(json.dumps(row), file=rows)
            if "spike/generator" in row:
                print(json.dumps(spike_at(number)), file=spikes)
            if number % METRICS_EVERY == 0:
                metric = {"metric/kd_random": draw.uniform()}
                print(json.dumps({"iteration": number} | metric), file=rows)


def row_at(number: int, draw: np.random.Generator) -> dict[str, float]:
    """Returns a row as training writes it after an iteration."""
    values = draw.lognormal(sigma=0.3, size=len(SCALAR_NAMES)).tolist()
    row = {"iteration": number} | dict(zip(SCALAR_NAMES, values, strict=True))
    if number % GRID_EVERY == 0:
        row["grid/diversity"] = values[0]
    if number % SPIKE_EVERY == 0:
        row["spike/generator"] = 40.0
    return row


def spike_at(number: int) -> dict[str, object]:
    """Returns a row of the spike ledger."""
    return {
        "iteration": number,
        "network": "generator",
        "skipped": False,
        "largest_finite": 40.0,
        "times_usual": 40.0,
        "loss_before": 0.7,
        "loss": 0.9,
    }


if __name__ == "__main__":
    main()
