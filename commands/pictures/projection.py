"""Projects a photograph into latent space: seeks the nearest generated image."""

import pathlib
from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from keras import ops
from PIL import Image

from commands.generate_options import GenerateOptions
from commands.pictures.photograph import photograph
from files.atomic import written_aside
from gallery.grids import write_png
from gallery.sheets import labelled_sheet
from metrics.closeness import FeatureDistance, pyramid_distance
from metrics.errors import FeaturesError
from settings.messages import Problem, say
from training.chance import latents_of
from training.pictures import IMAGES_AT_ONCE, Painter

NUM_CANDIDATES = 512  # random images, the nearest of which are where the search starts
NUM_STARTS = 4
NUM_STEPS = 200
LEARNING_RATE = 0.1  # of Adam, falling to 0 along a half cosine
PURPOSE = "generated latents"  # the random images are those of --kind images
SHOWN_STEPS = (0, 10, 25, 50, 100, NUM_STEPS)

# Of images and of targets, float32 [batch, size, size, 3] in [-1, 1]: float32 [batch].
Distance = Callable[[keras.KerasTensor, keras.KerasTensor], keras.KerasTensor]


class Course(NamedTuple):
    """What a search found, from its beginning to its end.

    Attributes:
        latents: float32 [shown steps, latent_dim], of the best start.
        random_distances: float32 [candidates], of random images.
    """

    latents: np.ndarray
    random_distances: np.ndarray


def write_projection(
    generator: keras.Model, options: GenerateOptions, out: pathlib.Path
) -> None:
    """Seeks the image nearest to a photograph, and writes the course as a strip.

    Beside the strip it writes the image found (NAME-found.png) and its latent
    (NAME-found.npy, float32 [latent_dim]).

    Args:
        generator: The averaged one.
        options: Whose `seed` draws the starts, and whose `weights` may name a file of
            MobileNetV2's, so that features count beside pixels.
        out: The strip's file.

    Raises:
        Problem: If the photograph or the weights cannot be used.
    """
    target = photograph(options.image, generator.output_shape[1])
    distance = _distance_of(options.weights)
    say(
        f"seeking the nearest image: {NUM_STARTS} starts, {NUM_STEPS} steps, by "
        f"{'pixels and features' if options.weights else 'pixels'}"
    )
    painter = Painter(generator)
    latent_dim = generator.input_shape[-1]
    drawn = latents_of(options.seed, NUM_CANDIDATES + 1, latent_dim, PURPOSE)
    candidates, own_latent = drawn[:-1], drawn[-1:]
    course = search(generator, _scaled(target[None]), candidates, distance)
    images = painter.images_of(course.latents)
    distances = _measured(images, _scaled(target[None]))
    names = [f"nearest of {NUM_CANDIDATES}\nrandom ones: "]
    names += [f"step {number}\n" for number in SHOWN_STEPS[1:]]
    numbers = [f"{value:.3f}" for value in distances]
    labels = ["photograph", *map("".join, zip(names, numbers, strict=True))]
    strip = np.concatenate([target[None], images])[None]
    write_png(labelled_sheet(strip, labels), out)
    picture = out.with_name(f"{out.stem}-found.png")
    write_png(Image.fromarray(images[-1]), picture)
    latent = picture.with_suffix(".npy")
    with written_aside(latent, durable=False) as aside:
        np.save(aside, course.latents[-1])
    # One of its own images, sought in the same way: what the search alone misses.
    own = _scaled(painter.images_of(own_latent))
    own_course = search(generator, own, candidates, distance)
    own_found = painter.images_of(own_course.latents[-1:])
    _tell(distances[-1], course.random_distances, _measured(own_found, own)[0])
    for path in (out, picture, latent):
        say(f"wrote {path}")


def search(
    generator: keras.Model, target: np.ndarray, candidates: np.ndarray, far: Distance
) -> Course:
    """Seeks the latent whose image is nearest to a target.

    Adam moves several latents at once, from the nearest of many random ones. They stay
    as short as latents are in training (a standard normal one of n elements has a
    length of about sqrt(n), with a deviation of 0.7): longer ones come nearer, but to
    what the generator was never trained to make.

    Args:
        generator: From [batch, latent_dim] to images, about [-1, 1].
        target: float32 [1, size, size, 3] in [-1, 1].
        candidates: float32 [NUM_CANDIDATES, latent_dim], random latents.
        far: The distance that is made small.
    """
    latent_dim = candidates.shape[1]
    longest = np.float32(np.sqrt(latent_dim) + 3 * np.sqrt(0.5))
    latents = keras.Variable(np.zeros((NUM_STARTS, latent_dim), np.float32))
    optimizer = keras.optimizers.Adam(
        keras.optimizers.schedules.CosineDecay(LEARNING_RATE, NUM_STEPS)
    )
    optimizer.build([latents])

    def distances_of(some: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images = ops.clip(generator(some, training=False), -1, 1)
        return far(images, target), pyramid_distance(images, target)

    def step() -> None:
        with tf.GradientTape() as tape:
            images = ops.clip(generator(latents.value, training=False), -1, 1)
            total = ops.sum(far(images, target))
        optimizer.apply([tape.gradient(total, latents.value)], [latents])
        lengths = ops.norm(latents, axis=1, keepdims=True)
        latents.assign(latents * ops.minimum(1.0, longest / lengths))

    measure = tf.function(distances_of, autograph=False)
    move = tf.function(step, autograph=False)
    parts = np.split(candidates, NUM_CANDIDATES // IMAGES_AT_ONCE)
    found = [np.stack(measure(tf.constant(part))) for part in parts]
    wanted, random = np.concatenate(found, axis=1)
    latents.assign(candidates[np.argsort(wanted, kind="stable")[:NUM_STARTS]])
    shown = [latents.numpy()]
    for number in range(1, NUM_STEPS + 1):
        move()
        if number in SHOWN_STEPS:
            shown.append(latents.numpy())
    best = np.argmin(measure(tf.constant(shown[-1]))[0])
    return Course(np.stack(shown)[:, best], random)


def _distance_of(weights: pathlib.Path | None) -> Distance:
    """Returns the distance of pixels, with that of features if there are weights."""
    if weights is None:
        return pyramid_distance
    try:
        features = FeatureDistance(weights)
    except FeaturesError as error:
        raise Problem(f"--weights {weights}: {error}") from error
    return lambda images, targets: (
        pyramid_distance(images, targets) + features(images, targets)
    )


def _measured(found: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Returns float32 [count], the distances of uint8 images to a target."""
    return np.asarray(pyramid_distance(_scaled(found), target))


def _scaled(pixels: np.ndarray) -> np.ndarray:
    """Returns uint8 pixels as float32 in [-1, 1]."""
    return pixels.astype(np.float32) / np.float32(127.5) - 1


def _tell(found: float, random: np.ndarray, own: float) -> None:
    """Says how near the image found is, beside what else is how near."""
    share = 1 - found / random.mean()
    say(
        f"distance to the photograph: {found:.3f} (0: equal), {share:.0%} less than "
        "of a random image\n"
        f"  of {len(random)} random images: {random.mean():.3f} on average, "
        f"{random.min():.3f} the nearest\n"
        f"  of one of the generator's own images, sought in the same way: {own:.3f}\n"
        "  What remains beyond that last number is what this generator cannot make."
    )
