"""Projects a photograph into latent space: seeks the nearest generated image."""

import pathlib
from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from keras import ops
from PIL import Image

from commands.chosen import Chosen
from commands.generate_options import GenerateOptions
from commands.pictures.classes import class_names
from commands.pictures.latents import classes_for
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
        inputs: Of the best start: float32 [shown steps, latent_dim], latents; for a
            generator that knows classes, float32 [shown steps, classes] too.
        random_distances: float32 [candidates], of random images.
    """

    inputs: tuple[np.ndarray, ...]
    random_distances: np.ndarray


def write_projection(
    generator: keras.Model, options: GenerateOptions, chosen: Chosen, out: pathlib.Path
) -> None:
    """Seeks the image nearest to a photograph, and writes the course as a strip.

    Beside the strip it writes the image found (NAME-found.png) and its latent
    (NAME-found.npy, float32 [latent_dim]). Of a generator that knows classes, the
    random images are of the class asked for or of any; each start keeps its class.

    Args:
        generator: The averaged one.
        chosen: Whose config names the classes.
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
    count = NUM_CANDIDATES + 1
    drawn = latents_of(options.seed, count, painter.latent_dim, PURPOSE)
    classes = classes_for(options, painter, count)
    inputs = (drawn,) if classes is None else (drawn, classes)
    candidates = tuple(one[:-1] for one in inputs)
    course = search(generator, _scaled(target[None]), candidates, distance)
    images = painter.images_of(*course.inputs)
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
        np.save(aside, course.inputs[0][-1])
    # One of its own images, sought in the same way: what the search alone misses.
    own = _scaled(painter.images_of(*(one[-1:] for one in inputs)))
    own_course = search(generator, own, candidates, distance)
    own_found = painter.images_of(*(one[-1:] for one in own_course.inputs))
    if classes is not None:
        label = int(course.inputs[1][-1].argmax())
        say(f"the nearest image is one of class {class_names(chosen)[label]}")
    _tell(distances[-1], course.random_distances, _measured(own_found, own)[0])
    for path in (out, picture, latent):
        say(f"wrote {path}")


def search(
    generator: keras.Model,
    target: np.ndarray,
    candidates: tuple[np.ndarray, ...],
    far: Distance,
) -> Course:
    """Seeks the latent whose image is nearest to a target.

    Adam moves several latents at once, from the nearest of many random ones. They stay
    as short as latents are in training (a standard normal one of n elements has a
    length of about sqrt(n), with a deviation of 0.7): longer ones come nearer, but to
    what the generator was never trained to make. Classes stay as they are.

    Args:
        generator: From [batch, latent_dim], and classes if it knows any, to images,
            about [-1, 1].
        target: float32 [1, size, size, 3] in [-1, 1].
        candidates: float32 [NUM_CANDIDATES, latent_dim], random latents; and float32
            [NUM_CANDIDATES, classes] if the generator knows any.
        far: The distance that is made small.
    """
    longest = np.float32(np.sqrt(candidates[0].shape[1]) + 3 * np.sqrt(0.5))
    latents, *classes = (
        keras.Variable(np.zeros((NUM_STARTS, one.shape[1]), np.float32))
        for one in candidates
    )
    rates = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, NUM_STEPS)
    optimizer = keras.optimizers.Adam(rates)
    optimizer.build([latents])

    def distances_of(*inputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images = _generated(generator, *inputs)
        return far(images, target), pyramid_distance(images, target)

    def step() -> None:
        with tf.GradientTape() as tape:
            images = _generated(generator, latents.value, *(c.value for c in classes))
            total = ops.sum(far(images, target))
        optimizer.apply([tape.gradient(total, latents.value)], [latents])
        lengths = ops.norm(latents, axis=1, keepdims=True)
        latents.assign(latents * ops.minimum(1.0, longest / lengths))

    measure = tf.function(distances_of, autograph=False)
    move = tf.function(step, autograph=False)
    split = [np.split(one, NUM_CANDIDATES // IMAGES_AT_ONCE) for one in candidates]
    parts = zip(*split, strict=True)
    found = [np.stack(measure(*map(tf.constant, part))) for part in parts]
    wanted, random = np.concatenate(found, axis=1)
    nearest = np.argsort(wanted, kind="stable")[:NUM_STARTS]
    for variable, one in zip((latents, *classes), candidates, strict=True):
        variable.assign(one[nearest])
    shown = [latents.numpy()]
    for number in range(1, NUM_STEPS + 1):
        move()
        if number in SHOWN_STEPS:
            shown.append(latents.numpy())
    of_starts = tuple(one.numpy() for one in classes)
    best = np.argmin(measure(*map(tf.constant, (shown[-1], *of_starts)))[0])
    own = tuple(np.repeat(one[best][None], len(shown), 0) for one in of_starts)
    return Course((np.stack(shown)[:, best], *own), random)


def _generated(generator: keras.Model, *inputs: tf.Tensor) -> tf.Tensor:
    """Returns images clipped to [-1, 1], of latents and perhaps of classes."""
    given = inputs if len(inputs) > 1 else inputs[0]
    return ops.clip(generator(given, training=False), -1, 1)


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
