"""Looks at photographs one by one, before training, for what a person should know."""

import hashlib
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np
from PIL import Image

from data.crop import FORMATS, HEIC
from data.duplicates import difference_hash
from data.folder import FolderSource, opener
from data.source import Prepared, Skipped, SourceChanged
from data.workers import prepare_all

HEIC_SUFFIXES = (".heic", ".heif")
CHANGED = "has changed while it was looked at"
BLANK_DEVIATION = 4.0  # of 255 levels, of all pixels and channels of a crop
PANORAMA_RATIO = 2.0  # of the sides: a square crop loses half of the picture or more


@dataclass(frozen=True)
class Seen:
    """What was found in one file, or one image of a data set.

    Attributes:
        name: Path below the folder, or "image 17".
        reason: Why it cannot be used; empty if it can.
        format: Of the file, such as JPEG; empty if unknown.
        mode: How its pixels are stored, such as RGB or CMYK.
        size: Width and height in pixels, as stored; zeros if unknown.
        is_heic: Whether it is an iPhone's HEIC, by name or content.
        is_blank: Whether its crop is of one colour.
        digest: Of the pixels of its crop.
        hash: uint64 [4], `difference_hash` of its crop; None if unusable.
        pixels: uint8 [size, size, 3], its crop; None if not kept.
    """

    name: str
    reason: str = ""
    format: str = ""
    mode: str = ""
    size: tuple[int, int] = (0, 0)
    is_heic: bool = False
    is_blank: bool = False
    digest: bytes = b""
    hash: np.ndarray | None = field(default=None, repr=False)
    pixels: np.ndarray | None = field(default=None, repr=False)

    def is_smaller_than(self, side: int) -> bool:
        """Tells whether its crop has to be enlarged."""
        return 0 < min(self.size) < side

    @property
    def is_panorama(self) -> bool:
        """Tells whether a square crop loses half of it or more."""
        return 0 < min(self.size) * PANORAMA_RATIO <= max(self.size)


def different(seen: list[Seen]) -> list[Seen]:
    """Returns the first of those with the same pixels."""
    first: dict[bytes, Seen] = {}
    for one in seen:
        first.setdefault(one.digest, one)
    return list(first.values())


def examine_folder(
    source: FolderSource, image_size: int, num_kept: int
) -> Iterator[Seen]:
    """Yields what is found in each file of a folder.

    Args:
        source: The folder.
        image_size: Side of the crops in pixels.
        num_kept: Crops to keep at least, evenly spaced; fewer than twice as many.
    """
    for skipped in source.unusable:
        yield Seen(skipped.name, skipped.reason)
    every = max(len(source.files) // num_kept, 1)
    openers = [(file.name, opener(source.path / file.name)) for file in source.files]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        found = prepare_all(openers, image_size, len(openers))
        for number, (file, item) in enumerate(zip(source.files, found, strict=True)):
            try:
                source.check(file)
                yield _seen(*openers[number], item, is_kept=number % every == 0)
            except SourceChanged:
                yield Seen(file.name, CHANGED)
            except (OSError, SyntaxError) as error:  # of a header that was whole before
                yield Seen(file.name, str(error) or CHANGED)


def examine_images(images: Iterable[np.ndarray], kept_every: int) -> Iterator[Seen]:
    """Yields what is found in each image of a data set, uint8 [size, size, 3]."""
    for number, pixels in enumerate(images):
        yield _of_pixels(
            Seen(f"image {number}"), np.asarray(pixels), number % kept_every == 0
        )


def _seen(
    name: str,
    open_file: Callable[[], BinaryIO],
    item: Prepared | Skipped,
    is_kept: bool,
) -> Seen:
    if isinstance(item, Skipped):
        is_heic = item.reason == HEIC or name.lower().endswith(HEIC_SUFFIXES)
        return Seen(name, item.reason, is_heic=is_heic)
    with open_file() as file, Image.open(file, formats=FORMATS) as image:
        header = Seen(name, "", image.format or "", image.mode, image.size)
    return _of_pixels(header, item.pixels, is_kept)


def _of_pixels(header: Seen, pixels: np.ndarray, is_kept: bool) -> Seen:
    """Adds to what a header says what the pixels say."""
    return Seen(
        header.name,
        format=header.format,
        mode=header.mode,
        size=header.size,
        is_blank=float(pixels.std()) < BLANK_DEVIATION,
        digest=hashlib.sha256(np.ascontiguousarray(pixels).data).digest(),
        hash=difference_hash(pixels),
        pixels=np.array(pixels) if is_kept else None,
    )
