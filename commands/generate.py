"""Generates images, grids, walks and exports from a checkpoint."""

import dataclasses
import pathlib

import keras
import numpy as np
from PIL import Image

from commands.chosen import Chosen
from commands.exports import write_explorer, write_keras, write_onnx
from commands.generate_options import (
    CLASSES,
    PAGE,
    PROJECT,
    TRUNCATION,
    GenerateOptions,
)
from commands.loading import load_ema_generator
from commands.pictures.classes import (
    class_names,
    in_file_name,
    is_sheet,
    said_classes,
)
from commands.pictures.latents import classes_for, generated_latents, latents_for
from commands.pictures.projection import write_projection
from commands.pictures.sheets import names_on_sheets, write_class_sheet, write_rows
from gallery.grids import enlarged, grid_image, write_png
from gallery.sheets import labelled_sheet
from gallery.walks import walk_latents, walk_weights, write_walk
from records.longer_average import with_average
from settings.messages import Problem, say
from training.device import OUT_OF_MEMORY, share_gpu
from training.pictures import IMAGES_AT_ONCE, Painter

TRUNCATIONS = (0.25, 0.5, 0.75, 1, 1.5, 2, None)  # columns of a sheet; None: no limit


def generate(options: GenerateOptions, chosen: Chosen, out: pathlib.Path) -> None:
    """Generates what the options ask for, and prints the path of each file.

    `out` is as `prepared_out` returned it.

    Raises:
        Problem: If the checkpoint does not fit its config, or disk or memory are too
            small.
    """
    share_gpu()
    try:
        generator = load_ema_generator(chosen)
        classes = said_classes(options, class_names(chosen))
        averaged = with_average("the averaged generator", chosen.average)
        say(f"{chosen.named}: checkpoint {chosen.iteration}, {averaged}{classes}")
        WRITERS[options.kind](generator, options, chosen, out)
    except OSError as error:
        raise Problem(f"{out}: could not be written ({error})") from error
    except OUT_OF_MEMORY as error:
        raise Problem(
            f"out of memory with images of {chosen.config.data.image_size} px\n"
            "  a grid or a walk of fewer images takes less; where a run in training "
            "fills the GPU, use the CPU:\n"
            "  CUDA_VISIBLE_DEVICES= python generate.py ..."
        ) from error


def write_images(
    generator: keras.Model, options: GenerateOptions, chosen: Chosen, out: pathlib.Path
) -> None:
    """Writes one PNG per image; only a few are in memory at once."""
    painter, count = Painter(generator), options.num_images
    latents = latents_for(options, painter.latent_dim, count)
    names, suffixes = class_names(chosen), [""] * count
    classes = classes_for(options, painter, count)
    if classes is not None:
        suffixes = [f"-{in_file_name([one], names)}" for one in classes.argmax(1)]
    for first in range(0, count, IMAGES_AT_ONCE):
        some = slice(first, first + IMAGES_AT_ONCE)
        part = None if classes is None else classes[some]
        for number, image in enumerate(painter.images_of(latents[some], part), first):
            path = out / f"image-{number:05d}{suffixes[number]}.png"
            write_png(Image.fromarray(image), path)
            say(f"wrote {path}")


def write_grid(
    generator: keras.Model, options: GenerateOptions, chosen: Chosen, out: pathlib.Path
) -> None:
    """Writes all images as one PNG, as nearly square as possible; classes as rows."""
    if is_sheet(options.kind, len(options.labels)):
        write_rows(generator, options, chosen, out)
        return
    painter, count = Painter(generator), options.num_images
    latents = latents_for(options, painter.latent_dim, count)
    images = painter.images_of(latents, classes_for(options, painter, count))
    write_png(grid_image(images), out)
    say(f"wrote {out}")


def write_film(
    generator: keras.Model, options: GenerateOptions, chosen: Chosen, out: pathlib.Path
) -> None:
    """Writes closed walks through latent space, side by side in one film.

    A walk through classes mixes each with the next; walks side by side are at the same
    classes at the same time, if these were asked for.
    """
    painter, shape = Painter(generator), (options.walks, options.num_images, -1)
    count = options.walks * options.num_images
    latents = latents_for(options, painter.latent_dim, count).reshape(shape)
    classes = classes_for(options, painter, count)
    walks = []
    for walk, stations in enumerate(latents):
        own = walk_latents(stations, options.frames, is_eased=True)
        weights = None
        if classes is not None:
            anchors = classes.reshape(shape)[walk]
            weights = walk_weights(anchors, options.frames, is_eased=True)
        walks.append(painter.images_of(own, weights))
    frames = np.stack(
        [
            np.asarray(enlarged(grid_image(np.stack(images))))
            for images in zip(*walks, strict=True)
        ]
    )
    some = "a walk" if options.walks == 1 else f"{options.walks} walks"
    say(
        f"{some} of {len(frames)} frames through {options.num_images} stations, "
        f"{frames.shape[2]} x {frames.shape[1]} px"
    )
    write_walk(frames, out, options.frames_per_second)
    say(f"wrote {out}")


def write_truncation_sheet(
    generator: keras.Model, options: GenerateOptions, chosen: Chosen, out: pathlib.Path
) -> None:
    """Writes a sheet: a row for each seed, a column for each limit of its latent."""
    painter, count, columns = Painter(generator), options.num_images, len(TRUNCATIONS)
    seeds = options.seeds or range(options.seed, options.seed + count)
    seeds = tuple(int(seed) for seed in np.resize(seeds, count))
    latents = np.concatenate(
        [
            generated_latents(seed, 1, painter.latent_dim, limit)
            for seed in seeds
            for limit in TRUNCATIONS
        ]
    )
    rows = dataclasses.replace(options, seeds=seeds)
    classes = classes_for(rows, painter, count)
    beside, names = [f"seed {seed}" for seed in seeds], class_names(chosen)
    if classes is not None:
        shown = names_on_sheets(classes.argmax(1), names)
        beside = [", ".join(pair) for pair in zip(beside, shown, strict=True)]
        classes = np.repeat(classes, columns, axis=0)
    images = painter.images_of(latents, classes)
    images = images.reshape(count, columns, *images.shape[1:])
    above = [
        "no truncation" if limit is None else f"truncation {limit:g}"
        for limit in TRUNCATIONS
    ]
    write_png(labelled_sheet(images, above, beside), out)
    say(f"wrote {out}")


WRITERS = {
    "images": write_images,
    "grid": write_grid,
    "walk": write_film,
    TRUNCATION: write_truncation_sheet,
    CLASSES: write_class_sheet,
    "keras": write_keras,
    "onnx": write_onnx,
    PAGE: write_explorer,
    PROJECT: write_projection,
}
