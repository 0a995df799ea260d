"""The options of generate.py that only some kinds take."""

import argparse

from commands.exit_status import path_of


def add_picture_options(parser: argparse.ArgumentParser) -> None:
    """Adds to the command line what says what is made, and how it is shown."""
    parser.add_argument(
        "--num_images",
        type=int,
        metavar="N",
        help="how many images (default: 64; of a timelapse: 16; of each class in a "
        "grid of several: 8, in a sheet of all: 4), stations of a walk (default: 8) or "
        "rows of a truncation sheet (default: 6)",
    )
    parser.add_argument(
        "--class",
        action="append",
        dest="class_names",
        metavar="NAME",
        help="of a run that knows classes; may be repeated, or be all (default: drawn "
        "by the seed)",
    )
    parser.add_argument(
        "--seed", type=int, metavar="N", help="of what is drawn, 0 or more (default: 0)"
    )
    parser.add_argument(
        "--truncation",
        type=float,
        metavar="T",
        help="keep latents within [-T, T]: smaller is more alike",
    )
    parser.add_argument(
        "--seeds",
        type=seeds_of,
        metavar="S,S,...",
        help="the first image of each: stations of a walk, rows of a truncation sheet",
    )
    parser.add_argument(
        "--walks",
        type=int,
        metavar="N",
        help="side by side in one film (default: 4; with --seeds: 1)",
    )
    parser.add_argument(
        "--frames",
        type=int,
        metavar="N",
        help="frames of a walk between a station and the next (default: 23), or of a "
        "timelapse at most (default: 300)",
    )
    parser.add_argument(
        "--frames_per_second",
        type=float,
        metavar="N",
        help="default: 24; of a timelapse: 8",
    )
    _add_options_of_one_kind(parser)


def _add_options_of_one_kind(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--image", type=path_of, help="the photograph to project into latent space"
    )
    parser.add_argument(
        "--weights",
        type=path_of,
        metavar="FILE",
        help="of MobileNetV2: project by its features too, not by pixels alone",
    )
    parser.add_argument(
        "--average",
        type=float,
        metavar="N",
        help="with --kind weights: average the generators of all checkpoints up to the "
        "chosen one, each with half the share of one N iterations later (default: the "
        "chosen one's alone)",
    )


def seeds_of(text: str) -> tuple[int, ...]:
    """Returns the whole numbers of a list like 3,17,4.

    Raises:
        ArgumentTypeError: If it is no such list.
    """
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"expected whole numbers, as in 3,17,4; found {text!r}"
        ) from error
