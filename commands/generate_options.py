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
LEAST_GRIDS = 2  # of a time-lapse


class Kind(NamedTuple):
    """The defaults of a kind of output.

    Attributes:
        num_images: Images, or stations of a walk.
        suffix: Suffix of the file name; empty for a folder.
        name: Format of the file or folder name.
        frames_per_second: Of a film.
        frames: Of a walk strictly between two stations; of a time-lapse at most.
    """

    num_images: int
    suffix: str
    name: str
    frames_per_second: float = 24
    frames: int = 23


WEIGHTS, TIMELAPSE, PAGE = "weights", "timelapse", "page"
PROJECT, TRUNCATION, SHARE, CLASSES = "project", "truncation", "share", "classes"
FILMS = ("walk", TIMELAPSE)
DRAWN = ("images", "grid", "walk", CLASSES)  # from latents that options choose
OF_GENERATOR = (*DRAWN, TRUNCATION, "keras", "onnx", PAGE, PROJECT)
TAKERS = {  # the kinds that take an option; the others are refused with it
    "checkpoint": (*OF_GENERATOR, TIMELAPSE, WEIGHTS),
    "class": OF_GENERATOR,
    "num_images": (*DRAWN, TRUNCATION, TIMELAPSE),
    "seed": (*DRAWN, TRUNCATION, PAGE, PROJECT),
    "seeds": (*DRAWN, TRUNCATION),
    "truncation": (*DRAWN, PAGE, "keras", "onnx"),  # the last two tell what to do
    "walks": ("walk",),
    "frames": FILMS,
    "frames_per_second": FILMS,
    "image": (PROJECT,),
    "weights": (PROJECT,),
    "average": (WEIGHTS,),
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
    TIMELAPSE: Kind(16, ".webp", "timelapse-{iteration}-{count}-images", 8, 300),
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
        seed: Of the latents and the classes drawn; of a projection's starts; of what a
            page opens with.
        frames: Of a walk strictly between two stations; of a time-lapse at most.
        frames_per_second: Of a film.
        truncation: Largest magnitude of a latent's elements; None: no limit.
        out: A folder for images, else a file; None for `default_out`.
        seeds: If given, the first image of each of them instead.
        walks: Walks side by side in one film.
        image: The photograph to project.
        weights: A file of MobileNetV2's, by whose features to project.
        average: Half-life in iterations of a longer average of the generator.
        class_names: The classes to show, as they were given.
        labels: The same, once the run is known; empty: those that the seed draws.
        force: Whether to write over what `out` has already.
    """

    kind: str
    num_images: int
    seed: int
    frames: int
    frames_per_second: float
    truncation: float | None = None
    out: pathlib.Path | None = None
    seeds: tuple[int, ...] | None = None
    walks: int = 1
    image: pathlib.Path | None = None
    weights: pathlib.Path | None = None
    average: float | None = None
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
    checkpoint: str | None = None,
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

    Whether there is such a `checkpoint` is not looked at.

    Raises:
        Problem: Lists every mistake that can be found without the run.
    """
    values = {
        "checkpoint": checkpoint,
        "num_images": num_images,
        "class": class_names or None,
        "seed": seed,
        "frames": frames,
        "frames_per_second": frames_per_second,
        "seeds": seeds,
        "walks": walks,
        **others,
    }
    given = {name for name, value in values.items() if value is not None}
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
        frames=KINDS[kind].frames if frames is None else frames,
        frames_per_second=KINDS[kind].frames_per_second if rate is None else rate,
        **others,
    )
    taken = {name for name in given if kind in TAKERS.get(name, KINDS)}
    mistakes = _unused(kind, given - taken) + _number_mistakes(options, taken)
    mistakes += _name_mistakes(options) + _seeds_mistakes(options, taken)
    mistakes += _projection_mistakes(options)
    if mistakes:
        raise Problem("\n".join(mistakes))
    return options


def _unused(kind: str, names: set[str]) -> list[str]:
    """Returns the mistakes of options that say nothing to this kind."""
    mistakes = []
    for name in [name for name in TAKERS if name in names]:
        *others, last = [one for one in KINDS if one in TAKERS[name]]
        takers = f"{', '.join(others)} or {last}" if others else last
        mistakes.append(
            f"--{name}\n  expected: with --kind {takers}\n  found:    --kind {kind}"
        )
    return mistakes


def _number_mistakes(options: GenerateOptions, names: set[str]) -> list[str]:
    """Returns the mistakes in the numbers of these options."""
    fastest = MOST_FRAMES_PER_SECOND
    if options.kind in FILMS and _suffix(options) == ".gif":
        fastest = GIF_MAX_FRAMES_PER_SECOND
    least = LEAST_STATIONS if options.kind == "walk" else 1
    fewest = LEAST_GRIDS if options.kind == TIMELAPSE else 0
    limit, average = options.truncation, options.average
    rate = options.frames_per_second
    limit_is_valid = limit is None or 0 < limit < math.inf
    average_is_valid = average is None or 0 < average < math.inf
    rate_is_valid = LEAST_FRAMES_PER_SECOND <= rate <= fastest
    counts = f"a whole number from {least} to {MOST_IMAGES}"
    rates = f"a number from {LEAST_FRAMES_PER_SECOND} to {fastest}"
    one_seed = f"a whole number from 0 to {LARGEST_SEED}"
    rules = {
        "num_images": (least <= options.num_images <= MOST_IMAGES, counts),
        "walks": (1 <= options.walks <= MOST_WALKS, f"1 to {MOST_WALKS}"),
        "seed": (0 <= options.seed <= LARGEST_SEED, one_seed),
        "truncation": (limit_is_valid, "a number above 0"),
        "average": (average_is_valid, "a finite number of iterations above 0"),
        "frames": (options.frames >= fewest, f"a whole number, {fewest} or more"),
        "frames_per_second": (rate_is_valid, rates),
    }
    return [
        f"--{name}\n  expected: {expected}\n  found:    {getattr(options, name)}"
        for name, (is_valid, expected) in rules.items()
        if name in names and not is_valid
    ]


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


def _seeds_mistakes(options: GenerateOptions, names: set[str]) -> list[str]:
    """Returns the mistakes in --seeds, if it is one of these options."""
    if options.seeds is None or "seeds" not in names:
        return []
    mistakes = [
        f"--seeds\n  expected: without --{name}"
        for name in ("seed", "num_images", "walks")
        if name in names
    ]
    if not all(0 <= seed <= LARGEST_SEED for seed in options.seeds):
        mistakes.append(f"--seeds\n  expected: from 0 to {LARGEST_SEED} each")
    is_short = len(options.seeds) < LEAST_STATIONS and not options.class_names
    if options.kind == "walk" and is_short:
        mistakes.append("--seeds\n  expected: two or more for a walk")
    return mistakes


def _projection_mistakes(options: GenerateOptions) -> list[str]:
    """Returns the mistakes in the files that a projection reads."""
    mistakes = []
    if options.kind == PROJECT and options.image is None:
        mistakes.append(
            "--image\n  expected: the photograph to project\n  found:    none given"
        )
    if options.kind == PROJECT and options.weights and not options.weights.is_file():
        mistakes.append(
            f"--weights {options.weights}\n  expected: a file of MobileNetV2's "
            "weights\n  found:    no such file"
        )
    return mistakes


def _suffix_mistake(out: pathlib.Path, expected: str) -> str:
    found = out.suffix or "none"
    return f"--out {out}\n  expected: a name ending in {expected}\n  found:    {found}"
