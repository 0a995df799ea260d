"""Measures one thing on the device, in a process of its own.

    python -m benchmarks.gpu_report.measure WHAT --config FILE --json FILE ...

Writes the JSON after each number, so that a crash or a limit loses only what was being
measured. Exit status 2 if the device, or the photographs, cannot be used.
"""

import argparse
import gc
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from commands.exit_status import exit_status
from commands.quiet import import_tensorflow
from files.atomic import write_text
from settings.config import Config
from settings.config_file import load_config
from settings.messages import Problem

if TYPE_CHECKING:
    from training.device import Device

BEGAN = time.perf_counter()
LEAST_ROUNDS, MOST_ROUNDS = 3, 50
TIMED_SECONDS = 2.0  # of iterations of each kind, beyond the least rounds
MOST_WORDS = 300  # of a library's error message
GIB = 2**30
NVIDIA_SMI = ("driver_version", "memory.total", "power.limit")
# From the fastest expected on a GPU on.
WAYS = [(p, c) for p in ("bfloat16", "float32") for c in ("xla", "graph")]


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line; `argv` is without the program's name."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=MEASUREMENTS)
    parser.add_argument("--config", required=True)
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    parser.add_argument("--json", type=pathlib.Path, required=True)
    parser.add_argument("--deterministic", action="store_true")
    return parser.parse_args(argv)


class Notebook:
    """What was found so far, on disk at once."""

    def __init__(self, path: pathlib.Path) -> None:
        """Starts empty; `path` is the JSON file."""
        self._path = path
        self._found: dict[str, Any] = {"facts": {}, "rows": [], "trouble": []}

    def add_facts(self, facts: dict[str, Any]) -> None:
        """Adds facts by name."""
        self._found["facts"] |= facts
        self._write()

    def add_row(self, row: dict[str, Any]) -> None:
        """Adds a row of the part's table."""
        self._found["rows"].append(row)
        self._write()

    def add_trouble(self, what: str, error: Exception) -> None:
        """Adds what could not be measured, and why."""
        words = " ".join(str(error).split())[:MOST_WORDS]
        self._found["trouble"].append(f"{what}: {type(error).__name__}: {words}")
        self._write()

    def _write(self) -> None:
        write_text(self._path, json.dumps(self._found))


def run(arguments: argparse.Namespace) -> None:
    """Finds the device and measures.

    Raises:
        Problem: If the device cannot be used, or as the measurement says.
    """
    config = load_config(arguments.config, arguments.overrides)
    import_tensorflow()
    import tensorflow as tf

    from training.device import find_device, resolved_runtime

    device = find_device(config.runtime.device)
    if arguments.deterministic:
        tf.config.experimental.enable_op_determinism()
    runtime = resolved_runtime(config.runtime, device)
    config = config.model_copy(update={"runtime": runtime})
    notebook = Notebook(arguments.json)
    MEASUREMENTS[arguments.what](config, device, notebook, arguments)


def measure_card(
    config: Config, device: "Device", notebook: Notebook, _: argparse.Namespace
) -> None:
    """Notes the device, the driver, TensorFlow and what it was built for."""
    import keras
    import tensorflow as tf

    from commands.memory import available_bytes
    from training.device import card_details

    build = tf.sysconfig.get_build_info()
    notebook.add_facts({"device": device.name})  # the page's name: before all else
    facts: dict[str, Any] = {}
    if device.kind == "gpu":
        capability = card_details().get("compute_capability", ())
        facts["compute_capability"] = ".".join(map(str, capability)) or "unknown"
        facts |= driver_facts()
    facts |= {
        "free_memory_of_the_machine_gib": round((available_bytes() or 0) / GIB, 1),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "python": sys.version.split()[0],
        "built_for_cuda": build.get("cuda_version", "no"),
        "built_with_cudnn": build.get("cudnn_version", "no"),
        "built_for_capabilities": " ".join(build.get("cuda_compute_capabilities", [])),
        "auto_means": f"{config.runtime.precision}, {config.runtime.compile}",
    }
    notebook.add_facts(facts)


def driver_facts() -> dict[str, str]:
    """Returns driver, memory and power limit of the card, as its own tool says."""
    card = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")[0] or "0"
    command = ["nvidia-smi", "-i", card, f"--query-gpu={','.join(NVIDIA_SMI)}"]
    try:
        text = subprocess.check_output([*command, "--format=csv,noheader"], text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        return {"driver": f"unknown: {error}"}
    values = [value.strip() for value in text.splitlines()[0].split(",")]
    return dict(zip(("driver", "memory", "power_limit"), values, strict=True))


def measure_first_start(
    config: Config, device: "Device", notebook: Notebook, _: argparse.Namespace
) -> None:
    """Notes how long it is from the start of this process to the first results."""
    import numpy as np

    from training.build import build_state
    from training.pictures import Painter

    notebook.add_facts({"seconds_to_find_the_device": seconds_since(BEGAN)})
    state = build_state(config)
    notebook.add_facts({"seconds_to_build_the_networks": seconds_since(BEGAN)})
    latents = np.zeros((4, config.model.latent_dim), np.float32)
    Painter(state.ema_generator).images_of(latents)
    notebook.add_facts({"seconds_to_the_first_images": seconds_since(BEGAN)})


def measure_steps(
    config: Config, device: "Device", notebook: Notebook, arguments: argparse.Namespace
) -> None:
    """Times an iteration in each precision, with XLA and without."""
    from training.inputs import penalty_share

    for precision, compiler in WAYS:
        way = {"precision": precision, "compile": compiler}
        way |= {"deterministic": arguments.deterministic}
        try:
            times = step_times(config, (precision, compiler), penalty_share(config))
        except Exception as error:  # noqa: BLE001 (the other ways are worth more)
            notebook.add_trouble(f"{precision}, {compiler}", error)
        else:
            notebook.add_row(way | times)
        gc.collect()  # the networks of this way


def step_times(
    config: Config, way: tuple[str, str], penalty_share: float
) -> dict[str, float]:
    """Returns the median times of iterations, weighed as the config does."""
    from benchmarks.precision_and_compile import build_timer

    began = time.perf_counter()
    timer, *_ = build_timer(config, way)
    compiled = seconds_since(began)
    plain = median_seconds(timer, False) if penalty_share < 1 else 0.0
    penalty = median_seconds(timer, True) if penalty_share else 0.0
    mean = (1 - penalty_share) * plain + penalty_share * penalty
    return {
        "milliseconds_per_iteration": 1000 * mean,
        "without_penalties": 1000 * plain,
        "with_penalties": 1000 * penalty,
        "images_per_second": config.training.batch_size / mean,
        "seconds_to_build_and_compile": compiled,
    }


def median_seconds(timer: Any, with_penalty: bool) -> float:
    """Returns the median of some iterations of one kind."""
    times: list[float] = []
    while len(times) < LEAST_ROUNDS or (
        sum(times) < TIMED_SECONDS and len(times) < MOST_ROUNDS
    ):
        times.append(timer(with_penalty))
    return statistics.median(times)


def measure_memory(
    config: Config, device: "Device", notebook: Notebook, _: argparse.Namespace
) -> None:
    """Notes the peak memory of an iteration with penalties; halves batches to fit.

    Raises:
        Problem: If the memory of a CPU is predicted not to suffice.
    """
    import tensorflow as tf

    from commands.memory import check_memory, in_groups, try_one_iteration
    from training.build import build_state
    from training.device import OUT_OF_MEMORY, peak_memory_gib

    if device.kind == "cpu":
        check_memory(config, device, build_state(config))
    size, batch_size = config.data.image_size, config.training.batch_size
    while batch_size:
        if device.kind == "gpu":  # what failed before does not count
            tf.config.experimental.reset_memory_stats("GPU:0")
        try:
            try_one_iteration(config, batch_size)
        except OUT_OF_MEMORY as error:
            notebook.add_trouble(f"{size} px, batch {batch_size}", error)
            batch_size = in_groups(config, batch_size // 2)
            continue
        notebook.add_row(
            {
                "image_size": size,
                "batch_size": batch_size,
                "precision": config.runtime.precision,
                "compile": config.runtime.compile,
                "peak_gib": peak_memory_gib(device),
            }
        )
        return
    raise Problem(f"{size} px: not even the smallest batch fits into memory")


def measure_images(
    config: Config, device: "Device", notebook: Notebook, _: argparse.Namespace
) -> None:
    """Prepares the photographs, so that training finds them in the cache.

    Raises:
        Problem: If they are not there and cannot be had.
    """
    from commands.loading import load_images

    notebook.add_facts({"images": load_images(config).count})


def seconds_since(began: float) -> float:
    """Returns the seconds since a reading of the clock."""
    return time.perf_counter() - began


MEASUREMENTS = {
    "card": measure_card,
    "first_start": measure_first_start,
    "steps": measure_steps,
    "memory": measure_memory,
    "images": measure_images,
}


def main() -> int:
    """Measures one thing and returns the exit status."""
    arguments = parse_arguments()
    return exit_status(lambda: run(arguments))


if __name__ == "__main__":
    sys.exit(main())
