"""Generates images with a trained generator: python generate.py flowers --kind walk.

The run may be training. Exit status: 0 done, 1 a bug, 2 an error that the user can fix,
130 stopped by Ctrl-C.
"""

import argparse
import sys

from commands.exit_status import exit_status, path_of
from commands.generate_options import KINDS, PROJECT, SHARE, TIMELAPSE, WEIGHTS
from commands.pictures.arguments import add_picture_options
from commands.usage import command_parser
from settings.messages import outlive_the_terminal


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = command_parser(
        "generate",
        "Makes images, sheets and films with a run's averaged generator; writes it for "
        "other programs, as a page to explore, or with the discriminator as weights to "
        "start from; or puts the run's page into one file.",
    )
    parser.add_argument(
        "run", metavar="RUN", help="its name, runs/NAME, or a weights file"
    )
    parser.add_argument(
        "--checkpoint", help="latest, best or a number of iterations (default: latest)"
    )
    parser.add_argument(
        "--kind", choices=KINDS, default="images", help="what (default: images)"
    )
    add_picture_options(parser)
    parser.add_argument(
        "--out",
        type=path_of,
        help="folder of the images; else a file: .png, a film's .webp, .gif or .mp4, "
        ".keras, .onnx, .html, .safetensors (default: under samples/RUN/generated; "
        "the page: samples/RUN/explore.html)",
    )
    parser.add_argument(
        "--force", action="store_true", help="write over what --out has already"
    )
    return parser.parse_args(arguments)


def run(arguments: argparse.Namespace) -> None:
    """Runs the command; slow imports wait until the arguments are checked."""
    from commands.chosen import LATEST, choose
    from commands.generate_options import checked_options
    from commands.pictures.classes import with_classes
    from commands.pictures.out import prepared_out
    from commands.pictures.page import show_on_page
    from commands.pictures.photograph import photograph
    from commands.quiet import import_tensorflow
    from records.leftovers import sweep

    options = vars(arguments)
    name = options.pop("run")
    checked = checked_options(**options)
    chosen = choose(name, arguments.checkpoint or LATEST)
    checked = with_classes(checked, chosen)
    out = prepared_out(checked, chosen)
    sweep(chosen.run, beside=out.parent)
    if checked.kind == WEIGHTS:
        from commands.model_card import write_release

        write_release(chosen, out, checked.average)
    elif checked.kind == TIMELAPSE:
        from commands.timelapse import write_timelapse

        write_timelapse(checked, chosen, out)
    elif checked.kind == SHARE:
        from commands.pictures.share import write_share

        write_share(chosen, out)
    else:
        if checked.kind == PROJECT:
            photograph(checked.image, chosen.config.data.image_size)  # refused early
        import_tensorflow()
        from commands.generate import generate

        generate(checked, chosen, out)
    show_on_page(chosen, out)


def main(arguments: list[str] | None = None) -> int:
    """Runs the command and returns its exit status."""
    options = parse_arguments(arguments)
    return exit_status(lambda: run(options))


if __name__ == "__main__":
    outlive_the_terminal()
    sys.exit(main())
