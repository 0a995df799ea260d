"""Compares starts with and without TensorFlow's rewriting of graphs, on a CPU.

    .venv/bin/python -m benchmarks.starts configs/flowers-64.yaml

Grappler rewrites each graph before it runs for the first time. Builds the config's pair
for each way, on random images, in one order and then in its reverse, after one pair
that is not counted. Prints the mean seconds of the first iteration without penalties
and of the first with them, which trace and compile; then times iterations in turn and
prints their medians.
"""

import argparse
import statistics
from collections import defaultdict

from commands.quiet import import_tensorflow
from settings.config_file import load_config

COMPILERS = ("graph", "xla_update")
WAYS = [(compiler, rewritten) for compiler in COMPILERS for rewritten in ("yes", "no")]


def main() -> None:
    """Times all ways and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config")
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    parser.add_argument("--rounds", type=int, default=10)
    arguments = parser.parse_args()
    config = load_config(arguments.config, arguments.overrides)
    import_tensorflow()
    import tensorflow as tf

    from benchmarks.precision_and_compile import build_timer
    from training.device import find_device, resolved_runtime

    tf.get_logger().setLevel("ERROR")  # it warns of tracing the step for each way

    def choose(way: tuple[str, str]) -> None:
        options = {"disable_meta_optimizer": way[1] == "no"}
        tf.config.optimizer.set_experimental_options(options)

    device = find_device("cpu")
    runtime = resolved_runtime(config.runtime, device)
    starts, iterations, timers = defaultdict(list), defaultdict(list), {}
    build_timer(config, (runtime.precision, WAYS[0][0]))
    for way in WAYS + WAYS[::-1]:
        choose(way)
        timers[way], *seconds = build_timer(config, (runtime.precision, way[0]))
        for with_penalty, value in zip((False, True), seconds, strict=True):
            starts[way, with_penalty].append(value)
    for _ in range(arguments.rounds):
        for way, timer in timers.items():
            choose(way)  # at each call TensorFlow takes what was made for the choice
            for with_penalty in (False, True):
                iterations[way, with_penalty].append(timer(with_penalty))
    print(f"{device.name}; {arguments.config}, {runtime.precision}")
    print("compile     rewritten    first calls, s    iterations, s")
    for way in WAYS:
        firsts = [statistics.mean(starts[way, kind]) for kind in (False, True)]
        later = [statistics.median(iterations[way, kind]) for kind in (False, True)]
        print(
            f"{way[0]:11} {way[1]:9} {firsts[0]:8.1f} {firsts[1]:8.1f} "
            f"{later[0]:8.3f} {later[1]:8.3f}"
        )


if __name__ == "__main__":
    main()
