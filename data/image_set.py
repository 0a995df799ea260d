"""Images at training size: made once from a source, then kept in a cache file.

A cache is two files: `<source>-<size>px-<key>.npy` with the pixels and, written last,
a .json of the same name with the metadata; a .txt names the files that were skipped.
Pixels without a .json are ignored, so a killed build is never mistaken for a cache.
Caches whose source has since changed are neither used nor deleted.
"""

import hashlib
import json
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
from tqdm import tqdm

from data.cache import check_room, remove_leftovers, sole_builder
from data.classes import Classes, check_classes, classes_of
from data.crop import PREPARATION_VERSION
from data.source import DataError, Skipped, Source
from files.atomic import write_text, written_aside
from files.counted import counted

MIN_COUNT = 1000  # fewer than this, a discriminator soon memorises
SHOWN = 5  # names of skipped files, once; all are in the .txt
NUM_KEY_DIGITS = 12  # of the key in the file name; all 64 are in the .json


@dataclass(frozen=True)
class ImageSet:
    """Images of one size, read from disk on access.

    Attributes:
        images: uint8 [count, size, size, 3], read-only.
        pixel_fingerprint: SHA-256 of pixels and shape.
        path: The cache file; files derived from the images are kept beside it.
        notes: What the user should know about them, one line each.
        classes: Their classes; None if they were not asked for.
    """

    images: np.ndarray
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


@dataclass
class _Tally:
    """Counts the images of a build."""

    count: int = 0
    num_enlarged: int = 0
    skipped: list[str] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)

    def skip(self, file: Skipped) -> None:
        # Names may contain line breaks or undecodable bytes.
        name = file.name if file.name.isprintable() else ascii(file.name)
        self.skipped.append(f"{name} ({file.reason})")

    def first_skipped(self) -> str:
        more = len(self.skipped) - SHOWN
        return ", ".join(self.skipped[:SHOWN]) + (
            f" and {more:,} more" if more > 0 else ""
        )

    def notes(self, image_size: int, names: Path) -> list[str]:
        notes = []
        if self.skipped:
            files = counted(len(self.skipped), "file")
            notes.append(f"skipped {files} without a usable image, named in {names}")
        if self.num_enlarged:
            were = "was" if self.num_enlarged == 1 else "were"
            notes.append(
                f"warning: {self.num_enlarged:,} of {counted(self.count, 'image')} "
                f"{were} smaller than data.image_size={image_size}, and enlarged"
            )
        if self.count < MIN_COUNT:
            notes.append(
                f"warning: only {counted(self.count, 'image')}; with fewer than "
                f"{MIN_COUNT:,} the discriminator soon knows each of them"
            )
        return notes


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
    if with_classes and image_set is not None and image_set.classes is None:
        say("the cache was made by a version that knew no classes; it is made anew")
        path.with_suffix(".json").unlink(missing_ok=True)
        image_set = None
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
    check_classes(image_set.classes, source.description, source.name)
    return image_set


def _key(source: Source, image_size: int) -> str:
    """Returns a digest of everything the pixels depend on."""
    parts = (PREPARATION_VERSION, image_size, source.name, source.key())
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _read(path: Path, key: str) -> ImageSet | None:
    """Returns a cache, or None if it is missing or incomplete."""
    try:
        about = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        images = np.load(path, mmap_mode="r")
        found = [key, list(images.shape), path.stat().st_size]
        if found != [about["key"], about["shape"], about["num_bytes"]]:
            return None
        notes = tuple(about["notes"])
        return ImageSet(images, about["fingerprint"], path, notes, _classes(about))
    except (OSError, ValueError, KeyError, TypeError, EOFError):
        # Missing, truncated, or not JSON or .npy at all: it will be rebuilt.
        return None


def _classes(about: dict) -> Classes | None:
    """Returns the classes that a cache holds, None of an older version's cache."""
    if "labels" not in about:
        return None
    labels = np.asarray(about["labels"], np.int32)
    if labels.shape != (about["shape"][0],):
        raise ValueError("not one label an image")
    return Classes(tuple(about["class_names"]), labels)


def _read_or_build(
    path: Path,
    key: str,
    source: Source,
    image_size: int,
    say: Callable[[str], None],
) -> ImageSet:
    """Returns the cache, built by this process or by another."""
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path.parent)
    with sole_builder(path, say):
        image_set = _read(path, key)  # Another process may have been faster.
        if image_set is None:
            num_bytes = source.max_count * image_size * image_size * 3
            what = f"{counted(source.max_count, 'image')} of {image_size} px"
            check_room(path.parent, num_bytes, what)
            say(f"preparing {what} from {source.description}, once, into {path}")
            tally = _build(path, key, source, image_size)
            if tally.skipped:
                say(f"not usable: {tally.first_skipped()}")
            image_set = _read(path, key)
    if image_set is None:
        raise OSError("what was read back is not what was written")
    return image_set


def _build(path: Path, key: str, source: Source, image_size: int) -> _Tally:
    """Writes the .npy, then the .json that makes it valid; returns the tally."""
    path.with_suffix(".json").unlink(missing_ok=True)
    with written_aside(path) as aside, open(aside, "wb") as file:
        tally, fingerprint = _write_images(file, source, image_size)
        num_bytes = file.seek(0, os.SEEK_END)
    names = path.with_suffix(".txt")
    if tally.skipped:
        write_text(names, "\n".join(tally.skipped) + "\n")
    classes = classes_of(source.class_names(), tally.labels)
    about = {
        "key": key,
        "fingerprint": fingerprint,
        "shape": [tally.count, image_size, image_size, 3],
        "num_bytes": num_bytes,
        "notes": tally.notes(image_size, names),
        "class_names": classes.names,
        "labels": classes.labels.tolist(),
    }
    write_text(path.with_suffix(".json"), json.dumps(about))
    return tally


def _write_images(
    file: BinaryIO, source: Source, image_size: int
) -> tuple[_Tally, str]:
    """Writes a .npy file image by image; returns the tally and the fingerprint."""
    tally, digest = _Tally(), hashlib.sha256()
    data_start = _write_header(file, source.max_count, image_size)
    with warnings.catch_warnings():
        # Pillow warns of odd files and of more than 89 megapixels, both harmless (above
        # 178 it refuses, and the file is skipped). Not in the decoding threads, because
        # warning filters apply to the whole process.
        warnings.filterwarnings("ignore", module=r"PIL\.")
        # disable=None shows the bar on terminals only.
        images = source.images(image_size)
        for item in tqdm(
            images, source.name, source.max_count, leave=False, disable=None
        ):
            if isinstance(item, Skipped):
                tally.skip(item)
                continue
            pixels = np.ascontiguousarray(item.pixels, dtype=np.uint8)
            file.write(pixels.data)
            digest.update(pixels.data)
            tally.count += 1
            tally.num_enlarged += item.enlarged
            tally.labels.append(item.label)
    if not tally.count:
        files = counted(len(tally.skipped), "file")
        raise DataError(
            f"no usable image in {source.description}\n"
            f"  found:      {files} without a usable image: {tally.first_skipped()}\n"
            f"  what to do: use JPEG, PNG, WebP, AVIF, TIFF or another common format"
        )
    file.seek(0)
    # The header reserves space for a first axis of any length.
    if _write_header(file, tally.count, image_size) != data_start:
        raise OSError("the .npy header has changed its length")
    digest.update(f"uint8 {tally.count} {image_size} {image_size} 3".encode())
    return tally, digest.hexdigest()


def _write_header(file: BinaryIO, count: int, image_size: int) -> int:
    """Writes a .npy header; returns the offset of the pixels."""
    shape = (count, image_size, image_size, 3)
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.tell()
