"""Compares longer averages of the generator than a run's own, from its checkpoints.

    .venv/bin/python -m benchmarks.kept_averages flowers-64 --at 10000 16000 \
        --half_lives 1000 2500 --weights WEIGHTS.h5

Measures what `generate.py --kind weights --average` writes. Train with
`training.keep_last` large enough: what comes out is close to an average over all
iterations only if the checkpoints are no further apart than the run's own half-life.
Writes nothing but the cache of the photographs and of their features.
"""

import argparse
import sys

from benchmarks.averaging import build_score, half_life_of, measured_as
from commands.chosen import find_run
from commands.exit_status import exit_status
from commands.quiet import import_tensorflow
from records.find_checkpoint import numbered_checkpoint
from records.longer_average import average_in_words, longer_average
from settings.config_file import load_stored_config


def parse_arguments() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", help="name of the run, or its folder")
    parser.add_argument(
        "--at", type=int, nargs="+", required=True, help="iterations of checkpoints"
    )
    parser.add_argument(
        "--half_lives",
        type=half_life_of,
        nargs="+",
        required=True,
        help="in iterations",
    )
    parser.add_argument("--extractor", default="mobilenetv2")
    parser.add_argument("--weights", metavar="FILE", help="of the extractor")
    parser.add_argument("--num_images", type=int, default=5000)
    return parser.parse_args()


def compare(arguments: argparse.Namespace) -> None:
    """Prints a line for each average at each iteration."""
    run = find_run(arguments.run)
    checkpoints = {at: numbered_checkpoint(run, at) for at in arguments.at}
    config = measured_as(load_stored_config(run.config), arguments)
    import_tensorflow()
    from commands.loading import load_images
    from training.build import build_state
    from training.device import configure_tensorflow, find_device
    from training.run_metrics import RunMetrics
    from training.state import assign_arrays

    configure_tensorflow(config.runtime, find_device(config.runtime.device))
    score = build_score(config, RunMetrics(config, load_images(config)))
    state = build_state(config)
    for at, arrays in checkpoints.items():
        assign_arrays(state, arrays)
        own = score(state.ema_generator.get_weights())
        print(at, "the run's own:", own, flush=True)
        for half_life in arguments.half_lives:
            averaged, used = longer_average(run, at, half_life)
            assign_arrays(state, arrays | averaged)
            words = f"with {average_in_words(used, half_life)}"
            found = score(state.ema_generator.get_weights())
            print(f"{at} {words}: {found}", flush=True)


if __name__ == "__main__":
    options = parse_arguments()
    sys.exit(exit_status(lambda: compare(options)))
