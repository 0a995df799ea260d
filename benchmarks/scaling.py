"""Measures how much two workers, a core each, do in the time of one.

    .venv/bin/python -m benchmarks.scaling configs/flowers-64.yaml --rounds 8

Each worker trains a whole batch of the config, so that two have one of twice the size.
Three things are timed in turn: one process on one core; two that know nothing of each
other, a core each; and two workers of one run, on the loopback. The second tells what
two busy cores take from each other, the third what exchange and all-reduce add. On
noise in place of photographs: nothing is downloaded or kept.
"""

import argparse
import contextlib
import functools
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from benchmarks.rivals.contestants import random_images
from benchmarks.turns import medians, times_in_turn
from commands.quiet import import_tensorflow
from settings.config import Config
from settings.config_file import load_config

if TYPE_CHECKING:
    from training.device import Device

CORES = (0, 1)
READY = "ready"


def parse_arguments() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config")
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument(
        "--iterations", type=int, default=8, help="of each, in each round"
    )
    parser.add_argument("--core", type=int, help=argparse.SUPPRESS)  # of a process
    return parser.parse_args()


def processes_of(arguments: argparse.Namespace) -> Iterator[subprocess.Popen]:
    """Starts two processes alone and two workers, each pinned to a core."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in CORES]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        addresses = [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]
    for distribution in ("none", "multi_worker"):
        for number, core in enumerate(CORES):
            task = {"type": "worker", "index": number}
            cluster = {"cluster": {"worker": addresses}, "task": task}
            overrides = [*arguments.overrides, f"runtime.distribution={distribution}"]
            yield subprocess.Popen(
                [
                    sys.executable,
                    *("-m", "benchmarks.scaling", arguments.config),
                    *(f"--core={core}", f"--iterations={arguments.iterations}"),
                    *(f"--set={one}" for one in overrides),
                ],
                env=os.environ | {"TF_CONFIG": json.dumps(cluster)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )


def seconds_of(group: list[subprocess.Popen], processor: list[float]) -> float:
    """Lets processes train at the same time; returns seconds an iteration.

    Appends the processor's seconds, of the process that took most.
    """
    for process in group:
        print("go", file=process.stdin, flush=True)
    answers = [answer(process).split() for process in group]
    processor.append(max(float(seconds) for _, seconds in answers))
    return max(float(seconds) for seconds, _ in answers)


def answer(process: subprocess.Popen) -> str:
    """Returns a process's next line.

    Raises:
        RuntimeError: If it has ended.
    """
    line = process.stdout.readline().strip()
    if not line:
        raise RuntimeError(f"a process ended: {process.args}")
    return line


def measure(arguments: argparse.Namespace) -> None:
    """Times all in turn and prints the efficiency, of which the goal is 0.9."""
    processes = list(processes_of(arguments))
    try:
        for process in processes:
            if answer(process) != READY:
                raise RuntimeError("a process did not get ready")
        print("measuring", flush=True)
        alone, apart, together = processes[:1], processes[:2], processes[2:]
        groups = {"one": alone, "two apart": apart, "two workers": together}
        processor: dict[str, list[float]] = {name: [] for name in groups}
        timers = {
            name: functools.partial(seconds_of, group, processor[name])
            for name, group in groups.items()
        }
        times = times_in_turn(timers, arguments.rounds)
    finally:
        for process in processes:
            process.stdin.close()  # ends it
        for process in processes:
            process.wait()
    report("an iteration", times)
    report("an iteration, of the processor", processor)


def report(what: str, times: dict[str, list[float]]) -> None:
    """Prints the medians of seconds, and of their ratios to those of one."""
    print(f"{what}: ms, median (least to most), share of what one core does by itself")
    for name, seconds in times.items():
        ratios = [one / own for one, own in zip(times["one"], seconds, strict=True)]
        middle, ratio = medians({"s": seconds, "r": ratios}).values()
        print(
            f"  {name}: {1e3 * middle:.0f} ({1e3 * min(seconds):.0f} to "
            f"{1e3 * max(seconds):.0f}), {ratio:.2f} ({min(ratios):.2f} to "
            f"{max(ratios):.2f})"
        )


def train_in_turns(config: Config, device: "Device", iterations: int) -> None:
    """Trains some iterations whenever stdin has a line; prints seconds for each."""
    import pathlib

    from data import ImageSet
    from training.build import build_state, build_step
    from training.distribution.shares import distribute
    from training.inputs import inputs_at, penalty_at

    images = ImageSet(random_images(config.data.image_size), "none", pathlib.Path())
    state = build_state(config, device.strategy)
    step = build_step(config, state, device.strategy)

    def iterate() -> None:
        if device.workers is not None:  # as training/distribution/follower.py does
            device.workers.exchange([0.0, state.iteration, 0.0, 0.0, 0.0])
        inputs = inputs_at(config, images, 0, state.iteration)
        inputs = distribute(config, inputs, device.strategy)
        scalars = step(inputs, penalty_at(config, state.iteration))
        state.iteration += 1
        float(scalars["loss/generator"])

    for _ in range(2 * config.loss.penalty_every_iterations):
        iterate()
    print(READY, flush=True)
    for _ in sys.stdin:
        began = time.perf_counter(), time.process_time()
        for _ in range(iterations):
            iterate()
        seconds = time.perf_counter() - began[0], time.process_time() - began[1]
        print(*(one / iterations for one in seconds), flush=True)


def train_on_one_core(arguments: argparse.Namespace) -> None:
    """Is one of the processes: pinned to a core, one batch of the config for itself."""
    os.sched_setaffinity(0, {arguments.core})
    config = load_config(arguments.config, arguments.overrides)
    import_tensorflow()
    from training.device import configure_tensorflow, find_device, resolved_runtime
    from training.distribution.cluster import cluster_of
    from training.distribution.strategy import with_replicas

    cluster = cluster_of(config.runtime)
    device = find_device("cpu")
    configure_tensorflow(config.runtime, device)
    device = with_replicas(device, config.runtime.distribution, cluster)
    batch_size = config.training.batch_size * device.num_replicas
    training = config.training.model_copy(update={"batch_size": batch_size})
    runtime = resolved_runtime(config.runtime, device)
    config = config.model_copy(update={"runtime": runtime, "training": training})
    train_in_turns(config, device, arguments.iterations)


if __name__ == "__main__":
    given = parse_arguments()
    measure(given) if given.core is None else train_on_one_core(given)
