"""Writes sheets of classes: a row of pictures, or a strip, for each."""

import pathlib

import keras
import numpy as np

from commands.chosen import Chosen
from commands.generate_options import GenerateOptions
from commands.pictures.classes import class_names
from commands.pictures.latents import latents_for
from gallery.grids import write_png
from gallery.sheets import class_sheet, labelled_sheet, letters_of
from settings.messages import say
from training.pictures import Painter, class_weights


def write_rows(
    generator: keras.Model, options: GenerateOptions, chosen: Chosen, out: pathlib.Path
) -> None:
    """Writes a grid with a row for each class; a column shares its latent."""
    images = _images_of_classes(Painter(generator), options)
    above = [f"seed {seed}" for seed in options.seeds or ()]
    names = names_on_sheets(options.labels, class_names(chosen))
    sheet = labelled_sheet(images, above or [""] * images.shape[1], names)
    write_png(sheet, out)
    say(f"wrote {out}")


def write_class_sheet(
    generator: keras.Model, options: GenerateOptions, chosen: Chosen, out: pathlib.Path
) -> None:
    """Writes a sheet of many classes: a strip of pictures, of the same latents."""
    images = _images_of_classes(Painter(generator), options)
    names = names_on_sheets(options.labels, class_names(chosen))
    write_png(class_sheet(images, names), out)
    say(f"wrote {out}")


def names_on_sheets(labels: tuple[int, ...], names: tuple[str, ...]) -> list[str]:
    """Returns the names of some classes as sheets show them; says those they cannot."""
    shown = [letters_of(names[label], label) for label in labels]
    for label, text in zip(labels, shown, strict=True):
        if text != names[label]:
            say(f"{text} on the sheet is {names[label]}")
    return shown


def _images_of_classes(painter: Painter, options: GenerateOptions) -> np.ndarray:
    """Returns images, uint8 [classes, count, size, size, 3], of the same latents."""
    count, num_classes = options.num_images, len(options.labels)
    latents = latents_for(options, painter.latent_dim, count)
    classes = class_weights(np.repeat(options.labels, count), painter.num_classes)
    images = painter.images_of(np.tile(latents, (num_classes, 1)), classes)
    return images.reshape(num_classes, count, *images.shape[1:])
