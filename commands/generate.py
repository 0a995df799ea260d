"""Makes what generate.py is asked for, with the averaged generator of a checkpoint."""

import contextlib
import os
import pathlib
import tempfile
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
from PIL import Image
from scipy.special import ndtr, ndtri

from commands.chosen import EMA_GENERATOR, Chosen
from commands.generate_options import Request
from commands.memory import OUT_OF_MEMORY
from gallery import grid_image, walk_latents, write_png, write_walk
from settings.messages import Problem
from training.build import build_ema_generator
from training.chance import latents_of
from training.pictures import IMAGES_AT_ONCE, Painter
from training.state import assign_network

Say = Callable[[str], None]


def generate(request: Request, chosen: Chosen, out: pathlib.Path, say: Say) -> None:
    """Makes what is asked for and says each file it wrote.

    Args:
        request: Checked.
        chosen: The checkpoint to make it from.
        out: Where, as `prepared_out` returned it.
        say: Takes a line for people.

    Raises:
        Problem: If the checkpoint does not fit its config, or disk or memory do not
            suffice.
    """
    share_gpu()
    write = {
        "images": write_images,
        "grid": write_grid,
        "walk": write_film,
        "keras": write_keras,
    }[request.kind]
    try:
        generator = load_ema_generator(chosen)
        say(f"{chosen.run.name}: checkpoint {chosen.iteration}, the averaged generator")
        write(generator, request, out, say)
    except OSError as error:
        raise Problem(f"{out}: could not be written ({error})") from error
    except OUT_OF_MEMORY as error:
        raise Problem(
            f"out of memory with images of {chosen.config.data.image_size} px\n"
            "  a grid or a walk of fewer images takes less; where a run in training "
            "fills the GPU, use the CPU:\n"
            "  CUDA_VISIBLE_DEVICES= python generate.py ..."
        ) from error


def share_gpu() -> None:
    """Leaves GPU memory to a run in training, and makes pictures repeatable on it."""
    for gpu in tf.config.list_physical_devices("GPU"):
        with contextlib.suppress(RuntimeError):  # too late once a GPU is in use
            tf.config.experimental.set_memory_growth(gpu, True)
        tf.config.experimental.enable_op_determinism()


def load_ema_generator(chosen: Chosen) -> keras.Model:
    """Builds the averaged generator of a checkpoint, float32.

    Raises:
        Problem: If the checkpoint does not fit the run's config.
    """
    generator = build_ema_generator(chosen.config)
    try:
        assign_network(EMA_GENERATOR, generator, chosen.ema_arrays)
    except ValueError as error:
        raise Problem(
            f"{chosen.run.checkpoints}: checkpoint {chosen.iteration} does not fit "
            f"{chosen.run.config}\n  {error}"
        ) from error
    return generator


def generated_latents(
    seed: int, count: int, latent_dim: int, truncation: float | None
) -> np.ndarray:
    """Draws the latents of new pictures; the first ones are the same for any count.

    Returns:
        float32 [count, latent_dim], standard normal, or truncated to
        [-truncation, truncation].
    """
    latents = latents_of(seed, count, latent_dim, "generated latents")
    return latents if truncation is None else truncated(latents, truncation)


def truncated(latents: np.ndarray, limit: float) -> np.ndarray:
    """Maps standard normal numbers to a truncated normal in [-limit, limit].

    With P the standard normal distribution function and l = P(-limit), a number z
    becomes P^-1(l + P(z) (1 - 2 l)): its place in one distribution is its place in
    the other. BigGAN draws again what lies outside (arXiv:1809.11096, section 3.1),
    for the same distribution; here a seed shows the same pictures at every limit,
    nearer to the average one at a smaller limit, and a large limit changes nothing.

    Args:
        latents: float32 [count, latent_dim].
        limit: Above 0, finite.

    Returns:
        float32 [count, latent_dim].
    """
    # In the lower tail, where P is precise; the upper one is its mirror image.
    share = ndtr(-np.abs(latents.astype(np.float64)))
    lowest = ndtr(-limit)
    lower = ndtri(lowest + share * (1 - 2 * lowest))
    mapped = np.copysign(np.minimum(-lower, limit), latents).astype(np.float32)
    # Rounding to float32 may lead out of the interval by one step.
    is_outside = np.abs(mapped).astype(np.float64) > limit
    return np.where(is_outside, np.nextafter(mapped, np.float32(0)), mapped)


def write_images(
    generator: keras.Model, request: Request, out: pathlib.Path, say: Say
) -> None:
    """Writes one PNG for each image; only a few are in memory at once."""
    painter, latents = Painter(generator), _latents(generator, request)
    for first in range(0, len(latents), IMAGES_AT_ONCE):
        images = painter.images_of(latents[first : first + IMAGES_AT_ONCE])
        for number, image in enumerate(images, first):
            path = out / f"image-{number:05d}.png"
            write_png(Image.fromarray(image), path)
            say(f"wrote {path}")


def write_grid(
    generator: keras.Model, request: Request, out: pathlib.Path, say: Say
) -> None:
    """Writes all images as one PNG, as nearly square as can be."""
    images = Painter(generator).images_of(_latents(generator, request))
    write_png(grid_image(images), out)
    say(f"wrote {out}")


def write_film(
    generator: keras.Model, request: Request, out: pathlib.Path, say: Say
) -> None:
    """Writes a walk through latent space that ends where it began."""
    latents = walk_latents(_latents(generator, request), request.frames)
    say(f"a walk of {len(latents)} frames through {request.num_images} stations")
    frames = Painter(generator).images_of(latents)
    write_walk(frames, out, request.frames_per_second)
    say(f"wrote {out}")


def write_keras(
    generator: keras.Model, request: Request, out: pathlib.Path, say: Say
) -> None:
    """Writes the generator as one file that opens without this project.

    keras.models.load_model(file) maps float32 [batch, latent_dim] to float32
    [batch, size, size, 3], about [-1, 1] but not bounded: clip before showing.
    """
    if request.truncation is not None:
        say("warning: --truncation is not part of the file: truncate its latents")
    # Keras writes only to names that end in .keras.
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".") as aside:
        written = pathlib.Path(aside) / "generator.keras"
        generator.save(written)
        os.replace(written, out)
    say(f"wrote {out}")


def _latents(generator: keras.Model, request: Request) -> np.ndarray:
    latent_dim = generator.input_shape[-1]
    return generated_latents(
        request.seed, request.num_images, latent_dim, request.truncation
    )
