"""Measures what an iteration adds to a process on a CPU, beside the prediction.

    .venv/bin/python -m benchmarks.memory configs/flowers-64.yaml \
        --set training.batch_size=64 --set runtime.precision=float32

The constants of commands/memory.py are fitted to what this prints; a prediction
should lie a little above the measurement.
"""

import argparse
import resource

from commands.quiet import import_tensorflow
from settings.config_file import load_config

KIB_PER_GIB = 2**20


def main() -> None:
    """Measures one config."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config")
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    arguments = parser.parse_args()
    config = load_config(arguments.config, arguments.overrides)
    import_tensorflow()
    from commands.memory import predicted_bytes, try_one_iteration
    from training.build import build_state
    from training.device import configure_tensorflow, find_device, resolved_runtime

    device = find_device("cpu")
    runtime = resolved_runtime(config.runtime, device)
    configure_tensorflow(runtime, device)
    config = config.model_copy(update={"runtime": runtime})
    predicted = predicted_bytes(build_state(config), config) / 2**30
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try_one_iteration(config, config.training.batch_size)
    added = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(
        f"{config.data.image_size} px, batch {config.training.batch_size}, "
        f"{runtime.precision}: measured {added / KIB_PER_GIB:.2f} GiB, "
        f"predicted {predicted:.2f} GiB"
    )


if __name__ == "__main__":
    main()
