"""Sources of images, cropped and resized once into a cache of checked images.

Holds the sources, what prepares and keeps their images, and the augmentation of
batches. Which images a run uses, and in what order, is decided in settings/ and
training/.
"""

import os
from collections.abc import Callable

from data.classes import Classes, label_of, shown_labels
from data.flowers.drawn import DrawnSource
from data.folder import FolderSource
from data.image_set import ImageSet, load_image_set
from data.source import DataError, Source, SourceChanged
from data.tfds_source import TfdsSource

LISTINGS = 3  # of photographs that change while they are read, until that is an error

__all__ = [
    "Classes",
    "DataError",
    "ImageSet",
    "label_of",
    "load_images",
    "shown_labels",
]


def load_images(
    source: str,
    *,
    image_size: int,
    cache_dir: str | os.PathLike,
    path: str | os.PathLike | None = None,
    name: str = "oxford_flowers102",
    data_dir: str | os.PathLike | None = None,
    splits: str = "train+validation+test",
    num_images: int = 2048,
    with_classes: bool = False,
    say: Callable[[str], None] = print,
) -> ImageSet:
    """Returns all images of a source, cropped square and resized to one size.

    The first call for a source and size prepares a cache file; later calls open it.
    Preparing a `tfds` source initialises TensorFlow, so configure it before.

    Args:
        source: `tfds`, `folder` or `drawn`.
        image_size: Side of the images in pixels.
        cache_dir: Folder for cache files.
        path: Folder of photographs (folder).
        name: Name of the data set (tfds).
        data_dir: TFDS data directory; None for TFDS's own default (tfds).
        splits: Splits of the data set (tfds).
        num_images: Number of flowers to draw (drawn).
        with_classes: Whether every image must have a class: a label of the data set
            (tfds), a first-level subfolder (folder), a species (drawn).
        say: Receives messages for the user, one line each.

    Raises:
        DataError: If the user must change something; the message says what.
        ValueError: If there is no such source.
    """
    sources: dict[str, Callable[[], Source]] = {
        "tfds": lambda: TfdsSource(name, data_dir, splits, say),
        "folder": lambda: FolderSource(path),
        "drawn": lambda: DrawnSource(num_images),
    }
    if source not in sources:
        raise ValueError(
            f"Expected source to be one of {', '.join(sources)}. "
            f"Received: source={source!r}"
        )
    load = lambda: load_image_set(  # noqa: E731
        sources[source](), image_size, cache_dir, say, with_classes
    )
    for _ in range(LISTINGS - 1):
        try:
            return load()
        except SourceChanged as error:
            say(f"warning: {str(error).splitlines()[0]}; all is listed and read again")
    return load()
