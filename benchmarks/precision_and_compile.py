"""Compares the ways to compute an iteration: precision, and what XLA compiles.

    .venv/bin/python -m benchmarks.precision_and_compile configs/flowers-64.yaml

Builds the config's pair once for each way, on random images, and times iterations in
turn, so that a machine whose speed drifts is fair to all; on a GPU with reproducible
kernels, unless the config says otherwise. Prints the median seconds of an iteration,
weighing those with and without penalties as the config does, and the ratio to float32
in graph mode.
"""

import argparse
import pathlib
import statistics
import time

from commands.quiet import import_tensorflow
from settings.config_file import load_config

COMPILED = ("graph", "xla_update", "xla")
WAYS = [(p, c) for p in ("float32", "bfloat16") for c in COMPILED]


def main() -> None:
    """Times all ways and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config")
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no_xla", action="store_true", help="leave the slow one out")
    arguments = parser.parse_args()
    config = load_config(arguments.config, arguments.overrides)
    import_tensorflow()
    from training.device import configure_tensorflow, find_device
    from training.inputs import penalty_share

    device = find_device(config.runtime.device)
    configure_tensorflow(config.runtime, device)
    ways = [way for way in WAYS if way[1] != "xla" or not arguments.no_xla]
    timers = {way: build_timer(config, way)[0] for way in ways}
    times = {way: {True: [], False: []} for way in ways}
    for _ in range(arguments.rounds):
        for way, timer in timers.items():
            for with_penalty in (False, True):
                times[way][with_penalty].append(timer(with_penalty))
    share = penalty_share(config)
    seconds = {
        way: (1 - share) * statistics.median(measured[False])
        + share * statistics.median(measured[True])
        for way, measured in times.items()
    }
    print(f"{device.name}; {arguments.config}, batch {config.training.batch_size}")
    for way, value in seconds.items():
        ratio = value / seconds["float32", "graph"]
        print(f"{way[0]:9} {way[1]:10} {value:7.3f} s  {ratio:5.2f}")


def build_timer(config: object, way: tuple[str, str]) -> tuple[object, float, float]:
    """Builds what runs one iteration in this way.

    Returns:
        A function that takes whether to penalize and returns the iteration's seconds;
        the seconds of the first one without penalties and of the first one with them.
    """
    import numpy as np

    from data import ImageSet
    from training.build import build_state, build_step
    from training.inputs import inputs_at

    precision, compiler = way
    update = {"precision": precision, "compile": compiler}
    runtime = config.runtime.model_copy(update=update)
    config = config.model_copy(update={"runtime": runtime})
    size = config.data.image_size
    images = np.random.default_rng(0).integers(0, 256, (256, size, size, 3), np.uint8)
    state = build_state(config)
    step = build_step(config, state)
    inputs = inputs_at(config, ImageSet(images, "none", pathlib.Path()), 0, 0)

    def timer(with_penalty: bool) -> float:
        began = time.perf_counter()
        float(step(inputs, with_penalty)["loss/generator"])
        return time.perf_counter() - began

    first, first_with_penalty = timer(False), timer(True)
    return timer, first, first_with_penalty


if __name__ == "__main__":
    main()
