"""Checks the options of generate.py before TensorFlow is imported."""

import dataclasses
import itertools
import math
import os
import pathlib
from typing import Any, NamedTuple

from gallery.walks import GIF_MAX_FRAMES_PER_SECOND, check_suffix
from records.weights import SUFFIX
from settings.key_types import LARGEST_SEED
from settings.messages import Problem

LEAST_FRAMES_PER_SECOND = 0.1  # GIF cannot show a frame for longer than 655 seconds
MOST_FRAMES_PER_SECOND = 120  # of screens
MOST_IMAGES = 100_000  # file names have five digits
DEFAULT_WALKS, MOST_WALKS = 4, 64
LEAST_STATIONS = 2  # of a walk
DEFAULT_FRAMES = 23


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


WEIGHTS, TIMELAPSE, PAGE = "weights", "timelapse", "page"
PROJECT, TRUNCATION, SHARE, CLASSES = "project", "truncation", "share", "classes"
FILMS = ("walk", TIMELAPSE)
WITHOUT_CLASS = (TIMELAPSE, SHARE, WEIGHTS)  # those that --class says nothing about
DRAWN = ("images", "grid", "walk", CLASSES)  # from latents that options choose
TAKERS = {  # the kinds that take an option; the others are refused with it
    "num_images": (*DRAWN, TRUNCATION, TIMELAPSE),
    "seed": (*DRAWN, TRUNCATION, PAGE, PROJECT),
    "seeds": (*DRAWN, TRUNCATION),
    "truncation": (*DRAWN, PAGE, "keras", "onnx"),
    "walks": ("walk",),
    "frames": ("walk",),
    "frames_per_second": FILMS,
    "image": (PROJECT,),
    "weights": (PROJECT,),
}
KINDS = {
    "images": Kind(64, "", "images-{iteration}-{latents}"),
    "grid": Kind(64, ".png", "grid-{iteration}-{latents}-{count}-images"),
    "walk": Kind(8, ".webp", "walk-{iteration}-{latents}-{count}-stations"),
    TRUNCATION: Kind(6, ".png", "truncation-{iteration}-{latents}-{count}-rows"),
    CLASSES: Kind(4, ".png", "classes-{iteration}-{latents}-{count}-images"),
    "keras": Kind(64, ".keras", "generator-{iteration}{classes}"),
    "onnx": Kind(64, ".onnx", "generator-{iteration}{classes}"),
    PAGE: Kind(64, ".html", "explore"),
    TIMELAPSE: Kind(16, ".webp", "timelapse-{iteration}-{count}-images", 8),
    SHARE: Kind(64, ".html", "{run}"),
    WEIGHTS: Kind(64, SUFFIX, "{run}-{iteration}"),
    PROJECT: Kind(64, ".png", "project-{iteration}-{image}-{latents}"),
}


@dataclasses.dataclass(frozen=True)
class GenerateOptions:
    """What to generate, and where to write it.

    Attributes:
        kind: One of `KINDS`.
        num_images: Images, of each class in a sheet of classes; stations of a walk.
        is_counted: Whether their number was given.
        seed: Of the latents; a time-lapse shows those of the grids.
        seeds: If given, the first image of each of them instead.
        walks: Walks side by side in one film.
        truncation: Largest magnitude of a latent's elements; None: no limit.
        frames: Frames of a walk strictly between two stations.
        frames_per_second: Of a film.
        out: A folder for images, else a file; None for `default_out`.
        image: The photograph to project.
        weights: A file of MobileNetV2's, by whose features to project.
        class_names: The classes to show, as they were given.
        labels: The same, once the run is known; empty: those that the seed draws.
        force: Whether to write over what `out` has already.
    """

    kind: str
    num_images: int
    seed: int
    truncation: float | None
    frames: int
    frames_per_second: float
    out: pathlib.Path | None
    seeds: tuple[int, ...] | None = None
    walks: int = 1
    image: pathlib.Path | None = None
    weights: pathlib.Path | None = None
    class_names: tuple[str, ...] = ()
    labels: tuple[int, ...] = ()
    is_counted: bool = True
    force: bool = False

    @property
    def num_frames(self) -> int:
        """The number of images in one grid, or frames of one walk."""
        if self.kind == "walk":
            return self.num_images * (self.frames + 1)
        return self.num_images * max(len(self.labels), 1)


def checked_options(
    *,
    kind: str,
    num_images: int | None = None,
    seed: int | None = None,
    frames: int | None = None,
    frames_per_second: float | None = None,
    seeds: tuple[int, ...] | None = None,
    walks: int | None = None,
    class_names: list[str] | None = None,
    **others: Any,
) -> GenerateOptions:
    """Returns the options; those that are None are the kind's defaults.

    Raises:
        Problem: Lists every mistake that can be found without the run.
    """
    given = {
        "num_images": num_images,
        "seed": seed,
        "frames": frames,
        "frames_per_second": frames_per_second,
        "seeds": seeds,
        "walks": walks,
        **others,
    }
    if walks is None:
        walks = DEFAULT_WALKS if seeds is None and kind == "walk" else 1
    count = len(seeds) if seeds else KINDS[kind].num_images
    rate = frames_per_second
    options = GenerateOptions(
        kind=kind,
        num_images=count if num_images is None else num_images,
        is_counted=num_images is not None,
        seed=seed or 0,
        seeds=seeds,
        walks=walks,
        class_names=tuple(class_names or ()),
        frames=DEFAULT_FRAMES if frames is None else frames,
        frames_per_second=KINDS[kind].frames_per_second if rate is None else rate,
        **others,
    )
    mistakes = _number_mistakes(options) + _name_mistakes(options)
    mistakes += _unused(options, given) + _kind_mistakes(options)
    if mistakes:
        raise Problem("\n".join(mistakes))
    return options


def _number_mistakes(options: GenerateOptions) -> list[str]:
    """Returns the mistakes in numbers."""
    fastest = MOST_FRAMES_PER_SECOND
    if options.kind in FILMS and _suffix(options) == ".gif":
        fastest = GIF_MAX_FRAMES_PER_SECOND
    least = LEAST_STATIONS if options.kind == "walk" else 1
    limit, rate = options.truncation, options.frames_per_second
    limit_is_valid = limit is None or 0 < limit < math.inf
    rate_is_valid = LEAST_FRAMES_PER_SECOND <= rate <= fastest
    count_is_valid = bool(options.seeds) or least <= options.num_images <= MOST_IMAGES
    counts = f"a whole number from {least} to {MOST_IMAGES}"
    rates = f"a number from {LEAST_FRAMES_PER_SECOND} to {fastest}"
    one_seed = f"a whole number from 0 to {LARGEST_SEED}"
    rules = {
        "num_images": (count_is_valid, counts),
        "walks": (1 <= options.walks <= MOST_WALKS, f"1 to {MOST_WALKS}"),
        "seed": (0 <= options.seed <= LARGEST_SEED, one_seed),
        "truncation": (limit_is_valid, "a number above 0"),
        "frames": (options.frames >= 0, "a whole number, 0 or more"),
        "frames_per_second": (rate_is_valid, rates),
    }
    return [
        f"--{name}\n  expected: {expected}\n  found:    {getattr(options, name)}"
        for name, (is_valid, expected) in rules.items()
        if not is_valid
    ]


def listed(kinds: tuple[str, ...]) -> str:
    """Returns their names as a sentence has them: a, b or c."""
    *others, last = kinds
    return f"{', '.join(others)} or {last}" if others else last


def _unused(options: GenerateOptions, given: dict[str, Any]) -> list[str]:
    """Returns the mistakes of options that say nothing to this kind."""
    mistakes = [
        f"--{name}\n  expected: with --kind {listed(kinds)}\n"
        f"  found:    --kind {options.kind}"
        for name, kinds in TAKERS.items()
        if given.get(name) is not None and options.kind not in kinds
    ]
    if options.seeds is not None and given["seed"] is not None:
        mistakes.append("--seeds\n  expected: without --seed")
    return mistakes


def _suffix(options: GenerateOptions) -> str:
    return options.out.suffix.lower() if options.out else KINDS[options.kind].suffix


def _name_mistakes(options: GenerateOptions) -> list[str]:
    """Returns the mistakes in --out that its path alone shows."""
    kind, out = options.kind, options.out
    if out is None:
        return ["--force\n  expected: with --out"] if options.force else []
    if kind == "images":
        if os.path.exists(out) and not os.path.isdir(out):
            return [
                f"--out {out}\n  expected: a folder for the images\n  found:    a file"
            ]
        return _taken(options, *itertools.islice(out.glob("image-*.png"), 1))
    if os.path.isdir(out):
        return [f"--out {out}\n  expected: the name of a file\n  found:    a folder"]
    if kind in FILMS:
        try:
            check_suffix(out)
        except ValueError:
            return [_suffix_mistake(out, ".webp, .gif or .mp4")]
    elif _suffix(options) != KINDS[kind].suffix:
        return [_suffix_mistake(out, KINDS[kind].suffix)]
    return _taken(options, *([out] if out.exists() else []))


def _taken(options: GenerateOptions, *found: pathlib.Path) -> list[str]:
    """Returns the mistake of writing over a file that is there, if nobody asks for it.

    What a kind writes by default, without --out, is this program's own.
    """
    if options.force or not found:
        return []
    return [
        f"--out {options.out}\n  expected: nothing there yet, or --force to write over "
        f"it\n  found:    {found[0]}"
    ]


def _kind_mistakes(options: GenerateOptions) -> list[str]:
    """Returns the mistakes in what belongs together, or to a kind."""
    if options.kind == PROJECT and options.image is None:
        return [
            "--image\n  expected: the photograph to project\n  found:    none given"
        ]
    mistakes = []
    if options.seeds is not None:
        if not all(0 <= seed <= LARGEST_SEED for seed in options.seeds):
            mistakes.append(f"--seeds\n  expected: from 0 to {LARGEST_SEED} each")
        if options.num_images != len(options.seeds):
            mistakes.append("--seeds\n  expected: without --num_images")
        elif options.walks != 1:
            mistakes.append("--seeds\n  expected: without --walks")
        elif (
            options.kind == "walk"
            and not options.class_names
            and len(options.seeds) < LEAST_STATIONS
        ):
            mistakes.append("--seeds\n  expected: two or more for a walk")
    if options.class_names and options.kind in WITHOUT_CLASS:
        mistakes.append(f"--class\n  expected: not with --kind {options.kind}")
    if options.weights and not options.weights.is_file():
        mistakes.append(
            f"--weights {options.weights}\n  expected: a file of MobileNetV2's "
            "weights\n  found:    no such file"
        )
    return mistakes


def _suffix_mistake(out: pathlib.Path, expected: str) -> str:
    found = out.suffix or "none"
    return f"--out {out}\n  expected: a name ending in {expected}\n  found:    {found}"
