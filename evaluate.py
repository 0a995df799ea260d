"""Evaluates a checkpoint: python evaluate.py RUN --checkpoint latest.

Compares images of the averaged generator with the run's photographs. Writes a metric
card (JSON and Markdown), and a sheet of images beside their nearest photographs, to
samples/RUN by default. The run may be training. Exit status: 0 done, 1 a bug, 2 an
error that the user can fix, 130 stopped by Ctrl-C.
"""

import argparse
import os.path
import sys
from typing import get_args

from commands.exit_status import exit_status, path_of
from commands.usage import command_parser
from settings.messages import outlive_the_terminal
from settings.metrics import Extractor, Resize


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = command_parser("evaluate", "Measures a run's checkpoint: a metric card.")
    parser.add_argument(
        "run", metavar="RUN", help="name of the run, its folder, or a weights file"
    )
    parser.add_argument(
        "--checkpoint", default="latest", help="latest, best or a number of iterations"
    )
    parser.add_argument(
        "--extractor",
        choices=get_args(Extractor),
        help="network whose features are compared (default: the run's)",
    )
    parser.add_argument(
        "--weights",
        type=os.path.expanduser,
        metavar="FILE",
        help="its weights (default: the run's, else downloaded once)",
    )
    parser.add_argument(
        "--resize",
        choices=get_args(Resize),
        default="clean",
        help="how images get the network's size (default: clean)",
    )
    parser.add_argument(
        "--num_images",
        type=int,
        default=5000,
        metavar="N",
        help="pictures to make (default: 5000; papers use 50000)",
    )
    parser.add_argument(
        "--per_class",
        type=int,
        metavar="N",
        help="pictures of each class, to compare with its photographs, where the run "
        "has classes (default: 50, fewer of more than 200 classes; 0: none)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the pictures")
    parser.add_argument(
        "--photographs",
        type=os.path.expanduser,
        metavar="FOLDER",
        help="where they are, if not where the run found them: its folder, or that of "
        "the TFDS data sets",
    )
    parser.add_argument(
        "--out", type=path_of, help="folder of the card (default: samples/RUN)"
    )
    return parser.parse_args(arguments)


def run(arguments: argparse.Namespace) -> None:
    """Runs the command; slow imports wait until the arguments are checked."""
    from commands.chosen import choose
    from commands.evaluate_options import checked_options
    from commands.quiet import import_tensorflow
    from records.leftovers import sweep

    options = vars(arguments)
    chosen = choose(options.pop("run"), options.pop("checkpoint"))
    checked = checked_options(chosen, **options)
    sweep(chosen.run, beside=checked.out)
    import_tensorflow()
    from commands.evaluate import evaluate

    evaluate(checked, chosen)


def main(arguments: list[str] | None = None) -> int:
    """Runs the command and returns its exit status."""
    options = parse_arguments(arguments)
    return exit_status(lambda: run(options))


if __name__ == "__main__":
    outlive_the_terminal()
    sys.exit(main())
