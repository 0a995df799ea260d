"""Builds a cache file from a source, going on where a killed build was."""

import contextlib
import json
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from data.cache import other_builds
from data.classes import classes_of
from data.progress import Progress
from data.source import DataError, Prepared, Skipped, Source
from data.unfinished import PART_ITEMS, Part, Pixels
from files.atomic import write_text
from files.counted import counted

MIN_COUNT = 1000  # fewer than this, a discriminator soon memorises
LONGEST_NAME = 80  # of a file in a message
SHOWN = 5  # names of skipped files, once; all are in the .txt


@dataclass
class Tally:
    """Counts the images of a build."""

    count: int = 0
    num_enlarged: int = 0
    skipped: list[str] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    checksums: list[int] = field(default_factory=list)

    def add(self, part: Part) -> None:
        """Adds the images and the skipped files of a part."""
        self.count += len(part.labels)
        self.num_enlarged += part.num_enlarged
        self.labels += part.labels
        self.checksums += part.checksums
        for name, reason in part.skipped:
            # Names may contain line breaks or undecodable bytes.
            name = name if name.isprintable() else ascii(name)
            self.skipped.append(f"{name} ({reason})")

    def first_skipped(self) -> str:
        """Returns the first of the skipped files, and how many more there are."""
        more = len(self.skipped) - SHOWN
        return ", ".join(map(_shortened, self.skipped[:SHOWN])) + (
            f" and {more:,} more" if more > 0 else ""
        )

    def notes(self, image_size: int, names: Path) -> list[str]:
        """Returns what the user should know; `names` is the file of those skipped."""
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


def _shortened(skipped: str) -> str:
    """Returns the name of a file and the reason, on less than two lines."""
    if len(skipped) <= 2 * LONGEST_NAME:
        return skipped
    return f"{skipped[:LONGEST_NAME]} ... {skipped[-LONGEST_NAME:]}"


def build(
    path: Path, key: str, source: Source, image_size: int, say: Callable[[str], None]
) -> None:
    """Writes the cache: its .txt, its .json and, last, its .npy.

    The unfinished build of another process that ended early is continued; the result
    is the same. If this one ends early, the next continues it.

    Raises:
        DataError: If there is no usable image, or the disk is at fault.
        OSError: If the cache cannot be written.
    """
    for old in (path.with_suffix(".json"), path):
        old.unlink(missing_ok=True)
    with Pixels(path, key, source.max_count, image_size) as pixels:
        if pixels.num_items:
            done = f"{pixels.num_items:,} of {counted(source.max_count, 'file')}"
            say(f"continuing what an earlier start has done, {done}")
        for other in other_builds(path):
            say(
                f"{other} is of other photographs, or of these before they changed; "
                f"it is deleted after a week"
            )
        with quiet_pillow(), Progress(source.name, source.max_count, say) as progress:
            tally = _write(pixels, source, image_size, progress)
        fingerprint = pixels.finish(tally.count)
    if not tally.count:
        pixels.delete()
        files = counted(len(tally.skipped), "file")
        raise DataError(
            f"no usable image in {source.description}\n"
            f"  found:      {files} without a usable image: {tally.first_skipped()}\n"
            f"  what to do: use JPEG, PNG, WebP, AVIF, TIFF or another common format"
        )
    names = path.with_suffix(".txt")
    if tally.skipped:
        write_text(names, "\n".join(tally.skipped) + "\n")
        say(f"not usable: {tally.first_skipped()}")
    known = source.class_names()
    classes = classes_of(known, tally.labels)
    unseen = [name for name in known if name not in classes.names]
    about = {
        "key": key,
        "fingerprint": fingerprint,
        "shape": [tally.count, image_size, image_size, 3],
        "notes": tally.notes(image_size, names) + unseen_notes(source, unseen),
        "class_names": classes.names,
        "labels": classes.labels.tolist(),
        "checksums": tally.checksums,
    }
    # Before the pixels leave the name under which the next build would look for them.
    write_text(path.with_suffix(".json"), json.dumps(about))
    pixels.move_to(path)


def unseen_notes(source: Source, names: list[str]) -> list[str]:
    """Returns what the user should know of sub-folders without a usable photograph."""
    if source.name != "folder" or not names:
        return []
    shown = ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
    return [
        f"warning: no usable photograph in {counted(len(names), 'sub-folder')}: {shown}"
    ]


@contextlib.contextmanager
def quiet_pillow() -> Iterator[None]:
    """Silences Pillow, in all threads, as warning filters are the process's.

    It warns of odd files and of more than 89 megapixels, both harmless (above 178 it
    refuses, and the file is skipped).
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield


def _write(
    pixels: Pixels, source: Source, image_size: int, progress: Progress
) -> Tally:
    """Writes the images part by part, but for those that are whole already."""
    tally, number = Tally(), 0
    items: Iterator[Prepared | Skipped] = iter(())  # the source, from an item on
    place = -1  # that item
    while True:
        part = pixels.kept_part(number, tally.count)
        if part is not None:
            progress.keep(part.num_items)
        else:
            if place != number * PART_ITEMS:
                place = number * PART_ITEMS
                items = source.images(image_size, place)
            some = progress.counted(islice(items, PART_ITEMS))
            part = pixels.write_part(number, tally.count, some)
            place += part.num_items
        tally.add(part)
        if part.num_items < PART_ITEMS:
            return tally
        number += 1
