"""Generates images, grids, walks and exports from a checkpoint."""

import pathlib

import keras
import numpy as np
from PIL import Image

from commands.chosen import Chosen
from commands.exports import write_explorer, write_keras, write_onnx
from commands.generate_options import PAGE, PROJECT, TRUNCATION, GenerateOptions
from commands.loading import load_ema_generator
from commands.pictures.latents import generated_latents
from commands.pictures.projection import write_projection
from gallery.grids import enlarged, grid_image, write_png
from gallery.sheets import labelled_sheet
from gallery.walks import walk_latents, write_walk
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
        say(f"{chosen.named}: checkpoint {chosen.iteration}, the averaged generator")
        if options.kind == PAGE:
            write_explorer(generator, options, chosen, out)
        else:
            WRITERS[options.kind](generator, options, out)
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
    generator: keras.Model, options: GenerateOptions, out: pathlib.Path
) -> None:
    """Writes one PNG per image; only a few are in memory at once."""
    painter, latents = Painter(generator), _latents(generator, options)
    for first in range(0, len(latents), IMAGES_AT_ONCE):
        images = painter.images_of(latents[first : first + IMAGES_AT_ONCE])
        for number, image in enumerate(images, first):
            path = out / f"image-{number:05d}.png"
            write_png(Image.fromarray(image), path)
            say(f"wrote {path}")


def write_grid(
    generator: keras.Model, options: GenerateOptions, out: pathlib.Path
) -> None:
    """Writes all images as one PNG, as nearly square as possible."""
    images = Painter(generator).images_of(_latents(generator, options))
    write_png(grid_image(images), out)
    say(f"wrote {out}")


def write_film(
    generator: keras.Model, options: GenerateOptions, out: pathlib.Path
) -> None:
    """Writes closed walks through latent space, side by side in one film."""
    stations = _latents(generator, options, options.walks * options.num_images)
    stations = stations.reshape(options.walks, options.num_images, -1)
    painter = Painter(generator)
    walks = [
        painter.images_of(walk_latents(each, options.frames, is_eased=True))
        for each in stations
    ]
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
    generator: keras.Model, options: GenerateOptions, out: pathlib.Path
) -> None:
    """Writes a sheet: a row for each seed, a column for each limit of its latent."""
    latent_dim = generator.input_shape[-1]
    seeds = options.seeds or range(options.seed, options.seed + options.num_images)
    latents = np.concatenate(
        [
            generated_latents(seed, 1, latent_dim, limit)
            for seed in seeds
            for limit in TRUNCATIONS
        ]
    )
    images = Painter(generator).images_of(latents)
    images = images.reshape(len(seeds), len(TRUNCATIONS), *images.shape[1:])
    above = [
        "no truncation" if limit is None else f"truncation {limit:g}"
        for limit in TRUNCATIONS
    ]
    sheet = labelled_sheet(images, above, [f"seed {seed}" for seed in seeds])
    write_png(sheet, out)
    say(f"wrote {out}")


def _latents(
    generator: keras.Model, options: GenerateOptions, count: int | None = None
) -> np.ndarray:
    """Returns the latents of the seed, or the first one of each of the seeds."""
    latent_dim, limit = generator.input_shape[-1], options.truncation
    if options.seeds is not None:
        each = [generated_latents(seed, 1, latent_dim, limit) for seed in options.seeds]
        return np.concatenate(each)
    count = options.num_images if count is None else count
    return generated_latents(options.seed, count, latent_dim, limit)


WRITERS = {
    "images": write_images,
    "grid": write_grid,
    "walk": write_film,
    TRUNCATION: write_truncation_sheet,
    "keras": write_keras,
    "onnx": write_onnx,
    PROJECT: write_projection,
}
