"""Where generate.py writes, and whether it can be written there.

Nothing here imports TensorFlow.
"""

import math
import pathlib
import tempfile

from commands.chosen import Chosen
from commands.generate_options import CLASSES, KINDS, PAGE, GenerateOptions
from commands.pictures.classes import class_names, in_file_name, is_sheet
from gallery.explore_page import EXPLORER
from gallery.grids import enlarged_size
from gallery.sheets import LEAST_CELL
from settings.messages import Problem

MOST_NAME = 100  # characters of a file's name that list seeds
MOST_PIXEL_BYTES = 2 * 2**30  # writing holds a walk or grid in memory twice


def prepared_out(options: GenerateOptions, chosen: Chosen) -> pathlib.Path:
    """Returns where to write, in a folder that it creates and tests.

    Raises:
        Problem: If nothing can be written there, or the grid or walk is too large.
    """
    size: int = chosen.config.data.image_size
    width = height = size
    if options.kind == "walk":
        columns = math.ceil(math.sqrt(options.walks))
        rows = math.ceil(options.walks / columns)
        width, height = enlarged_size(columns * size, rows * size)
    if is_sheet(options.kind, len(options.labels)):
        width = height = max(size, LEAST_CELL)
    most = MOST_PIXEL_BYTES // (width * height * 3)
    is_walk = options.kind == "walk"
    if options.kind in ("grid", "walk", CLASSES) and options.num_frames > most:
        option = "--num_images, --frames" if is_walk else "--num_images"
        what = "frames" if is_walk else "images"
        one = "sheet" if options.kind == CLASSES else options.kind
        raise Problem(
            f"{option}\n  expected: at most {most} {what} of {width} px in one "
            f"{one}\n  found:    {options.num_frames}"
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
    if options.seeds is not None:
        latents = f"seeds-{'-'.join(map(str, options.seeds))}"[:MOST_NAME]
    if options.walks > 1:
        latents += f"-{options.walks}-walks"
    if options.truncation is not None:
        latents += f"-truncation-{options.truncation}"
    of_classes = in_file_name(options.labels, class_names(chosen))
    of_classes = of_classes and f"-{of_classes}"
    latents += "" if options.kind == CLASSES and not options.class_names else of_classes
    kind = KINDS[options.kind]
    average = f"-average-{options.average:.15g}" if options.average else ""
    name = kind.name.format(
        run=chosen.run.name,
        iteration=f"{chosen.iteration:07d}",
        latents=latents,
        classes=of_classes,
        count=options.num_images,
        image=options.image.stem if options.image else "",
    )
    if options.kind == PAGE:  # beside the run's page, which links it
        return chosen.run.samples / EXPLORER
    return chosen.run.samples / "generated" / (name + average + kind.suffix)
