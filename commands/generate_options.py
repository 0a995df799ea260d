"""Checks the options of generate.py before TensorFlow is imported."""

import argparse
import dataclasses
import math
import os
import pathlib
import tempfile
from typing import Any, NamedTuple

from commands.chosen import Chosen
from commands.exit_status import path_of
from gallery.walks import GIF_MAX_FRAMES_PER_SECOND, EncoderMissing, check_encoder
from records.weights import SUFFIX
from settings.key_types import LARGEST_SEED
from settings.messages import Problem

LEAST_FRAMES_PER_SECOND = 0.1  # GIF cannot show a frame for longer than 655 seconds
MOST_FRAMES_PER_SECOND = 120  # of screens
MOST_IMAGES = 100_000  # file names have five digits
MOST_PIXEL_BYTES = 2 * 2**30  # writing holds a walk or grid in memory twice


class Kind(NamedTuple):
    """The defaults of a kind of output.

    Attributes:
        num_images: Images, or stations of a walk.
        suffix: Suffix of the file name; empty for a folder.
        name: Format of the file or folder name.
        frames_per_second: Of a film.
    """

    num_images: int
    suffix: str
    name: str
    frames_per_second: float = 24


WEIGHTS, TIMELAPSE, PROJECT = "weights", "timelapse", "project"
FILMS = ("walk", TIMELAPSE)
KINDS = {
    "images": Kind(64, "", "images-{iteration}-{latents}"),
    "grid": Kind(64, ".png", "grid-{iteration}-{latents}-{count}-images"),
    "walk": Kind(8, ".webp", "walk-{iteration}-{latents}-{count}-stations"),
    "keras": Kind(64, ".keras", "generator-{iteration}"),
    "onnx": Kind(64, ".onnx", "generator-{iteration}"),
    TIMELAPSE: Kind(16, ".webp", "timelapse-{iteration}-{count}-images", 8),
    WEIGHTS: Kind(64, SUFFIX, "{run}-{iteration}"),
    PROJECT: Kind(64, ".png", "project-{iteration}-{image}-{latents}"),
}


@dataclasses.dataclass(frozen=True)
class GenerateOptions:
    """What to generate, and where to write it.

    Attributes:
        kind: One of `KINDS`.
        num_images: Images, or stations of a walk.
        seed: Of the latents; a time-lapse shows those of the grids.
        truncation: Largest magnitude of a latent's elements; None: no limit.
        frames: Frames of a walk strictly between two stations.
        frames_per_second: Of a film.
        out: A folder for images, else a file; None for `default_out`.
        image: The photograph to project.
        weights: A file of MobileNetV2's, by whose features to project.
    """

    kind: str
    num_images: int
    seed: int
    truncation: float | None
    frames: int
    frames_per_second: float
    out: pathlib.Path | None
    image: pathlib.Path | None = None
    weights: pathlib.Path | None = None

    @property
    def num_frames(self) -> int:
        """The number of images in one grid or walk."""
        return self.num_images * (self.frames + 1 if self.kind == "walk" else 1)


def add_film_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of films and projections to those of the command line."""
    parser.add_argument(
        "--frames",
        type=int,
        default=23,
        metavar="N",
        help="frames of a walk between a station and the next (default: 23)",
    )
    parser.add_argument(
        "--frames_per_second",
        type=float,
        metavar="N",
        help="default: 24; of a timelapse: 8",
    )
    parser.add_argument(
        "--image", type=path_of, help="the photograph to project into latent space"
    )
    parser.add_argument(
        "--weights",
        type=path_of,
        metavar="FILE",
        help="of MobileNetV2: project by its features too, not by pixels alone",
    )


def checked_options(
    *, kind: str, num_images: int | None, frames_per_second: float | None, **others: Any
) -> GenerateOptions:
    """Returns the options; those that are None are the kind's defaults.

    Raises:
        Problem: Lists every mistake that can be found without the run.
    """
    if num_images is None:
        num_images = KINDS[kind].num_images
    rate = frames_per_second
    options = GenerateOptions(
        kind=kind,
        num_images=num_images,
        frames_per_second=KINDS[kind].frames_per_second if rate is None else rate,
        **others,
    )
    fastest = MOST_FRAMES_PER_SECOND
    if options.kind in FILMS and _suffix(options) == ".gif":
        fastest = GIF_MAX_FRAMES_PER_SECOND
    least = 2 if options.kind == "walk" else 1
    limit, rate = options.truncation, options.frames_per_second
    limit_is_valid = limit is None or 0 < limit < math.inf
    rate_is_valid = LEAST_FRAMES_PER_SECOND <= rate <= fastest
    counts = f"a whole number from {least} to {MOST_IMAGES}"
    rates = f"a number from {LEAST_FRAMES_PER_SECOND} to {fastest}"
    seeds = f"a whole number from 0 to {LARGEST_SEED}"
    rules = {
        "num_images": (least <= options.num_images <= MOST_IMAGES, counts),
        "seed": (0 <= options.seed <= LARGEST_SEED, seeds),
        "truncation": (limit_is_valid, "a number above 0"),
        "frames": (options.frames >= 0, "a whole number, 0 or more"),
        "frames_per_second": (rate_is_valid, rates),
    }
    mistakes = [
        f"--{name}\n  expected: {expected}\n  found:    {getattr(options, name)}"
        for name, (is_valid, expected) in rules.items()
        if not is_valid
    ]
    mistakes += _name_mistakes(options) + _projection_mistakes(options)
    if mistakes:
        raise Problem("\n".join(mistakes))
    return options


def prepared_out(options: GenerateOptions, chosen: Chosen) -> pathlib.Path:
    """Returns where to write, in a folder that it creates and tests.

    Raises:
        Problem: If nothing can be written there, or the grid or walk is too large.
    """
    size = chosen.config.data.image_size
    num_bytes = options.num_frames * size**2 * 3
    if options.kind in ("grid", "walk") and num_bytes > MOST_PIXEL_BYTES:
        option = "--num_images" if options.kind == "grid" else "--num_images, --frames"
        raise Problem(
            f"{option}\n  expected: at most {MOST_PIXEL_BYTES // (size**2 * 3)} images "
            f"of {size} px in one {options.kind}\n  found:    {options.num_frames}"
        )
    out = options.out or default_out(options, chosen)
    folder = out if options.kind == "images" else out.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return out
    except OSError as error:
        raise Problem(
            f"--out {out}\n  expected: a place to write to\n"
            f"  found:    {folder}: {error.strerror}"
        ) from error


def default_out(options: GenerateOptions, chosen: Chosen) -> pathlib.Path:
    """Returns a path distinct for each checkpoint, count, seed and truncation."""
    latents = f"seed-{options.seed}"
    if options.truncation is not None:
        latents += f"-truncation-{options.truncation}"
    kind = KINDS[options.kind]
    name = kind.name.format(
        run=chosen.run.name,
        iteration=f"{chosen.iteration:07d}",
        latents=latents,
        count=options.num_images,
        image=options.image.stem if options.image else "",
    )
    return chosen.run.samples / "generated" / (name + kind.suffix)


def _suffix(options: GenerateOptions) -> str:
    return options.out.suffix.lower() if options.out else KINDS[options.kind].suffix


def _name_mistakes(options: GenerateOptions) -> list[str]:
    """Returns the mistakes in --out that its path alone shows."""
    kind, out = options.kind, options.out
    if out is None:
        return []
    if kind == "images":
        if os.path.exists(out) and not os.path.isdir(out):
            return [
                f"--out {out}\n  expected: a folder for the images\n  found:    a file"
            ]
        return []
    if os.path.isdir(out):
        return [f"--out {out}\n  expected: the name of a file\n  found:    a folder"]
    if kind in FILMS:
        try:
            check_encoder(out)
        except EncoderMissing as error:
            return [str(error)]
        except ValueError:
            return [_suffix_mistake(out, ".webp, .gif or .mp4")]
    elif _suffix(options) != KINDS[kind].suffix:
        return [_suffix_mistake(out, KINDS[kind].suffix)]
    return []


def _projection_mistakes(options: GenerateOptions) -> list[str]:
    """Returns the mistakes in --image and --weights."""
    if options.kind == PROJECT and options.image is None:
        return [
            "--image\n  expected: the photograph to project\n  found:    none given"
        ]
    given = {"--image": options.image, "--weights": options.weights}
    if options.kind != PROJECT and any(given.values()):
        return [
            f"{name} {path}\n  expected: with --kind {PROJECT} alone\n"
            f"  found:    --kind {options.kind}"
            for name, path in given.items()
            if path
        ]
    if options.weights and not options.weights.is_file():
        return [
            f"--weights {options.weights}\n  expected: a file of MobileNetV2's "
            "weights\n  found:    no such file"
        ]
    return []


def _suffix_mistake(out: pathlib.Path, expected: str) -> str:
    found = out.suffix or "none"
    return f"--out {out}\n  expected: a name ending in {expected}\n  found:    {found}"
