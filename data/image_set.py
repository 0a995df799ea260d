"""Images at training size: made once from a source, then kept in a cache file.

A cache is two files: `<source>-<size>px-<key>.npy` with the pixels and a .json of the
same name with the metadata, checksums among them; a .txt names the files that were
skipped. One without the other is ignored. Caches whose source has since changed are
neither used nor deleted.
"""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from data.build import build
from data.cache import (
    check_room,
    make_folder,
    remove_leftovers,
    sole_builder,
    unfinished_bytes,
)
from data.cached_images import CachedImages
from data.classes import Classes, check_class_names, check_classes
from data.crop import PREPARATION_VERSION
from data.source import NO_CLASS, DataError, Source
from data.unfinished import remove_journal
from files.counted import counted

NUM_KEY_DIGITS = 12  # of the key in the file name; all 64 are in the .json


@dataclass(frozen=True)
class ImageSet:
    """Images of one size, read from disk on access.

    Attributes:
        images: uint8 [count, size, size, 3], to be indexed, not changed.
        pixel_fingerprint: SHA-256 of pixels and shape.
        path: The cache file; files derived from the images are kept beside it.
        notes: What the user should know about them, one line each.
        classes: Their classes; None if they were not asked for.
    """

    images: np.ndarray | CachedImages
    pixel_fingerprint: str
    path: Path
    notes: tuple[str, ...] = ()
    classes: Classes | None = None

    @property
    def count(self) -> int:
        """Returns the number of images."""
        return len(self.images)

    @property
    def fingerprint(self) -> str:
        """Returns a SHA-256 of all but notes: the same wherever the data lies."""
        if self.classes is None:
            return self.pixel_fingerprint
        return self.classes.fingerprint(self.pixel_fingerprint)


def load_image_set(
    source: Source,
    image_size: int,
    cache_dir: str | os.PathLike,
    say: Callable[[str], None],
    with_classes: bool = False,
) -> ImageSet:
    """Returns a source's images from the cache, which is built first if necessary.

    Raises:
        DataError: If no image is usable, the cache cannot be written, or classes are
            asked for that are not there.
    """
    key = _key(source, image_size)
    name = f"{source.name}-{image_size}px-{key[:NUM_KEY_DIGITS]}.npy"
    path = Path(cache_dir) / name
    image_set = _read(path, key)
    if image_set is not None:
        remove_journal(path)
    if image_set is None and with_classes:
        check_class_names(source)  # rather than after half an hour of building
    if image_set is None:
        try:
            image_set = _read_or_build(path, key, source, image_size, say)
        except OSError as error:
            raise DataError(
                f"cannot make the cache of resized images: {error}\n"
                f"  tried:      {path}\n"
                f"  what to do: set data.cache_dir to a folder that can be written to, "
                f"on a disk with room"
            ) from error
    count = counted(image_set.count, "image")
    say(f"{count} of {image_size} px from {source.description}")
    for note in image_set.notes:
        say(note)
    if not with_classes:
        return replace(image_set, classes=None)
    check_classes(image_set.classes, source)
    return image_set


def _key(source: Source, image_size: int) -> str:
    """Returns a digest of everything the pixels depend on."""
    parts = (PREPARATION_VERSION, image_size, source.name, source.key())
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _read(path: Path, key: str) -> ImageSet | None:
    """Returns a cache, or None if it is missing, incomplete, or an older version's."""
    try:
        about = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        _check_kinds(about)
        images = CachedImages(path, about["checksums"])
        labels = np.asarray(about["labels"], np.int32)
        found = [key, list(images.shape), len(images)]
        if found != [about["key"], about["shape"], len(labels)]:
            return None
        classes = Classes(tuple(about["class_names"]), labels)
        notes = tuple(about["notes"])
        return ImageSet(images, about["fingerprint"], path, notes, classes)
    except (OSError, ValueError, KeyError, TypeError, EOFError, RecursionError):
        # Missing, truncated, or not JSON or .npy at all: it will be rebuilt.
        return None


def _check_kinds(about: Any) -> None:
    """Checks that what a .json says is of the kinds that are written.

    Raises:
        ValueError: If not.
        KeyError, TypeError: If something is missing, or no list.
    """
    texts = [about["key"], about["fingerprint"], *about["notes"], *about["class_names"]]
    labels, checksums = about["labels"], about["checksums"]
    numbers = [*about["shape"], *labels, *checksums]
    if {type(text) for text in texts} != {str} or {type(n) for n in numbers} != {int}:
        raise ValueError("values of other kinds")
    most = len(about["class_names"]) - 1
    if labels and not NO_CLASS <= min(labels) <= max(labels) <= most:
        raise ValueError("labels of other classes")
    if checksums and not 0 <= min(checksums) <= max(checksums) < 2**32:
        raise ValueError("checksums of more than 32 bits")


def _read_or_build(
    path: Path,
    key: str,
    source: Source,
    image_size: int,
    say: Callable[[str], None],
) -> ImageSet:
    """Returns the cache, built by this process or by another."""
    make_folder(path.parent)
    remove_leftovers(path.parent)
    with sole_builder(path, say):
        image_set = _read(path, key)  # Another process may have been faster.
        if image_set is None:
            if path.exists():
                say(f"{path} is damaged, or an older version's; it is made anew")
            num_bytes = source.max_count * image_size * image_size * 3
            what = f"{counted(source.max_count, 'image')} of {image_size} px"
            check_room(path.parent, num_bytes - unfinished_bytes(path), what)
            say(f"preparing {what} from {source.description}, once, into {path}")
            build(path, key, source, image_size, say)
            image_set = _read(path, key)
    if image_set is None:
        raise OSError("what was read back is not what was written")
    return image_set
