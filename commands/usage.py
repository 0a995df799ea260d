"""The command lines: their parsers, with examples of use, and train.py's options."""

import argparse
import textwrap

WIDTH = 79
EXAMPLES = {
    "train": """\
  python train.py --config demo                 drawn flowers, a few minutes
  python train.py --config flowers-64 --check   what a run would take
  python train.py --config flowers-64 --set run.name=roses \\
      --set data.source=folder --set data.path=~/Pictures/roses
  the same with --doctor                        what is in those photographs
  python train.py --config few-64 --set run.name=dahlias \\
      --set data.path=~/Pictures/dahlias --from weights/flowers-64.safetensors
""",
    "generate": """\
  python generate.py weights/flowers-64.safetensors          flowers at once
  python generate.py demo --kind grid
  python generate.py demo --num_images 100 --seed 7 --truncation 1.5
  python generate.py demo --kind walk --out walk.mp4
  python generate.py demo --kind grid --class rose --class tulip   if it knows classes
  python generate.py demo --kind project --image photo.jpg   the nearest it can make
  python generate.py demo --kind page           play with it in a browser
  python generate.py demo --kind share          the run's page as one file, to send
""",
    "evaluate": """\
  python evaluate.py flowers-64 --checkpoint best
  python evaluate.py demo --extractor random --num_images 1000
  python evaluate.py roses --photographs ~/Pictures/roses
""",
}


def command_parser(name: str, description: str) -> argparse.ArgumentParser:
    """Returns a parser whose help ends with the examples of a command."""
    return argparse.ArgumentParser(
        description=textwrap.fill(description, WIDTH),
        epilog="examples:\n" + EXAMPLES[name],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def train_arguments() -> argparse.Namespace:
    """Reads the command line of train.py."""
    parser = command_parser(
        "train",
        "Trains a GAN on photographs, or continues a run where it stopped.",
    )
    parser.add_argument(
        "--config", required=True, help="a file, or the name of a preset in configs/"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="overrides",
        help="override one key, such as training.batch_size=16; may be repeated",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="try the run out and say in some ten lines what it would take; writes "
        "only the data cache",
    )
    parser.add_argument(
        "--verbose",
        action="store_true",
        help="with --check: the whole config and a table of all layers, too",
    )
    parser.add_argument(
        "--doctor",
        action="store_true",
        help="examine the photographs: formats, duplicates, sheets of crops and of "
        "augmentation, in samples/NAME/doctor; trains nothing",
    )
    parser.add_argument(
        "--fresh",
        action="store_true",
        help="start anew; an existing run of that name is moved aside",
    )
    parser.add_argument(
        "--from",
        metavar="RUN[@N] or FILE",
        dest="parent",
        help="start a new run from another run's checkpoint, or from a weights file",
    )
    arguments = parser.parse_args()
    others = {"--check": arguments.check, "--fresh": arguments.fresh}
    others["--from"] = arguments.parent is not None
    for option in [name for name, is_given in others.items() if is_given]:
        if arguments.doctor:
            parser.error(f"--doctor starts no run, so that {option} says nothing to it")
    if arguments.verbose and not arguments.check:
        parser.error("--verbose belongs to --check")
    return arguments
