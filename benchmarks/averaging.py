"""Compares half-lives of the averaged generator on one and the same training.

    .venv/bin/python -m benchmarks.averaging flowers-64 --checkpoint 5500 \
        --iterations 700 --every 200 --half_lives 0.25 1 4 --weights WEIGHTS.h5

Goes on from a checkpoint of a run, in memory, and keeps an average of the generator for
each half-life beside the run's own. At the start and every so often it prints the
metrics of all, and of the generator itself. Half-lives are thousands of images; a new
average begins with the generator's weights at the checkpoint, so go on for several of
the longest. Writes nothing but the cache of the photographs and of their features.
"""

import argparse
import math
import sys
from collections.abc import Callable

from commands.chosen import find_run
from commands.exit_status import exit_status
from commands.quiet import import_tensorflow
from records.find_checkpoint import numbered_checkpoint
from settings.config import Config
from settings.config_file import load_stored_config

METRICS_KEYS = ("extractor", "weights", "num_images")


def parse_arguments() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", help="name of the run, or its folder")
    parser.add_argument("--checkpoint", type=int, required=True)
    parser.add_argument("--iterations", type=int, required=True, help="to go on for")
    parser.add_argument("--every", type=int, default=100, help="iterations")
    parser.add_argument(
        "--half_lives",
        type=half_life_of,
        nargs="+",
        default=[0.25, 1, 4],
        metavar="KIMG",
    )
    parser.add_argument("--extractor", default="mobilenetv2")
    parser.add_argument("--weights", metavar="FILE", help="of the extractor")
    parser.add_argument("--num_images", type=int, default=2000)
    return parser.parse_args()


def half_life_of(text: str) -> float:
    """Reads a half-life from the command line.

    Raises:
        ArgumentTypeError: If it is not a finite number above 0.
    """
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0 < found < math.inf:
        raise argparse.ArgumentTypeError(
            f"expected: a finite number above 0, found: {text}"
        )
    return found


def compare(arguments: argparse.Namespace) -> None:
    """Trains on, and prints a line for each generator at each interval."""
    run = find_run(arguments.run)
    arrays = numbered_checkpoint(run, arguments.checkpoint)
    config = measured_as(load_stored_config(run.config), arguments)
    import_tensorflow()
    from commands.loading import load_images
    from training.build import build_state, build_step
    from training.device import configure_tensorflow, find_device
    from training.inputs import inputs_at, penalty_at
    from training.run_metrics import RunMetrics
    from training.state import assign_arrays

    configure_tensorflow(config.runtime, find_device(config.runtime.device))
    images = load_images(config)
    metrics = RunMetrics(config, images)
    state = build_state(config)
    assign_arrays(state, arrays)
    step = build_step(config, state)
    score = build_score(config, metrics)
    averages = dict.fromkeys(arguments.half_lives, state.generator.get_weights())
    for done in range(arguments.iterations + 1):
        if done:
            inputs = inputs_at(config, images, state.rollbacks, state.iteration)
            step(inputs, penalty_at(config, state.iteration))
            state.iteration += 1
        weights = state.generator.get_weights()
        for kimg, average in averages.items():
            kept = 0.5 ** (config.training.batch_size / (1000 * kimg))
            averages[kimg] = [
                kept * old + (1 - kept) * weight
                for old, weight in zip(average, weights, strict=True)
            ]
        if done % arguments.every == 0 or done == arguments.iterations:
            print(state.iteration, "not averaged:", score(weights), flush=True)
            own = score(state.ema_generator.get_weights())
            print(state.iteration, "the run's own:", own, flush=True)
            for kimg, average in averages.items() if done else ():
                print(f"{state.iteration} {kimg:g} kimg: {score(average)}")


def measured_as(config: Config, arguments: argparse.Namespace) -> Config:
    """Returns a config with the extractor, weights and num_images of a command line."""
    wanted = {key: getattr(arguments, key) for key in METRICS_KEYS}
    keys = config.metrics.model_copy(update=wanted)
    return config.model_copy(update={"metrics": keys})


def build_score(config: object, metrics: object) -> Callable[[list], str]:
    """Returns a function from a generator's weights to words about its pictures."""
    from training.networks import build_ema_generator
    from training.pictures import Painter

    generator = build_ema_generator(config)
    painter = Painter(generator)

    def score(weights: list) -> str:
        generator.set_weights(weights)
        found = metrics.measure(painter, lambda: False)
        return ", ".join(f"{name} {found[name]:.4g}" for name in list(found)[:2])

    return score


if __name__ == "__main__":
    options = parse_arguments()
    sys.exit(exit_status(lambda: compare(options)))
