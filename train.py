"""Trains a GAN on photographs: python train.py --config configs/flowers.yaml.

Trains the run that the config names, or continues it where it stopped. Exit status: 0
done, 1 a bug, 2 an error that the user can fix, 3 training diverged or its metrics
ended it; after saving, 75 stopped by SIGTERM, SIGUSR1 or SIGHUP, 130 by Ctrl-C.
"""

import argparse
import contextlib
import sys

from commands.usage import train_arguments
from settings.messages import outlive_the_terminal
from training.signals import StopRequest


def run(arguments: argparse.Namespace, stop: StopRequest) -> int:
    """Runs the command; slow imports wait for a valid config."""
    from commands.places import refuse_unusable_paths
    from commands.quiet import import_tensorflow
    from commands.start import find_start
    from files.counted import counted
    from records.live import page_address
    from records.run_folder import RunFolder, only_writer
    from settings.config_file import config_path, load_config
    from settings.messages import say
    from training.distribution.cluster import cluster_of

    preset = config_path(arguments.config)
    config = load_config(preset, arguments.overrides, say)
    folder = RunFolder(config.run.name)
    if arguments.doctor:
        from commands.preflight.doctor import doctor

        refuse_unusable_paths(config, folder)
        return doctor(config, folder, preset)
    cluster = cluster_of(config.runtime)
    writes = not arguments.check and (cluster is None or cluster.is_chief)
    with only_writer(folder) if writes else contextlib.nullcontext() as writer:
        start = find_start(config, arguments.parent, arguments.fresh)
        if start.is_finished and not arguments.check:
            total = counted(config.training.total_iterations, "iteration")
            say(f"{folder.name} is finished: {start.iteration} of {total}")
            say(f"its page: {page_address(folder)}")
            return 0
        refuse_unusable_paths(start.config, folder)
        import_tensorflow()
        if arguments.check:
            from commands.preflight.check import check

            return check(start, arguments.verbose, cluster)
        from commands.train import train

        return train(start, stop, preset, cluster, writer)


def main() -> int:
    """Runs the command and returns its exit status."""
    arguments = train_arguments()
    stop = StopRequest()
    stop.install()
    from commands.exit_status import exit_status

    return exit_status(lambda: run(arguments, stop), "checkpoints are whole; ")


if __name__ == "__main__":
    outlive_the_terminal()
    sys.exit(main())
