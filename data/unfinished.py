"""An unfinished build of a cache: its pixels so far, and a journal of what is whole.

Two files beside the cache to be, of which one builder at a time has the lock:
`NAME.npy.unfinished` grows, and after each part of so many files (or other items of the
source) `NAME.jsonl.unfinished` gets a line about it with the checksums of its images.
The next build believes a line whose own digest is right, and the part's images if all
agree with their checksums, whatever a kill or a power cut has left.
"""

import contextlib
import dataclasses
import hashlib
import json
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from data.cache import UNFINISHED
from data.cached_images import write_layout
from data.source import Prepared, Skipped, SourceChanged
from files.atomic import move_into_place, write_text

PART_ITEMS = 256  # what a kill makes the next build repeat, at most


@dataclasses.dataclass
class Part:
    """What became of some items of a source, in order.

    Attributes:
        number: Of the part, from 0; its first item is that times PART_ITEMS.
        first_image: How many images there are in the parts before.
        labels: Of its images.
        checksums: CRC-32 of its images.
        num_enlarged: How many of its images were enlarged.
        skipped: Name and reason of items without an image.
    """

    number: int
    first_image: int
    labels: list[int] = dataclasses.field(default_factory=list)
    checksums: list[int] = dataclasses.field(default_factory=list)
    num_enlarged: int = 0
    skipped: list[tuple[str, str]] = dataclasses.field(default_factory=list)

    @property
    def num_items(self) -> int:
        """Returns how many items it is of; less than PART_ITEMS in the last one."""
        return len(self.labels) + len(self.skipped)


def journal_path(path: Path) -> Path:
    """Returns the path of the journal of a cache that is being built."""
    return path.with_suffix(".jsonl" + UNFINISHED)


def remove_journal(path: Path) -> None:
    """Deletes the journal of a finished cache, which a kill at the very end leaves."""
    with contextlib.suppress(OSError):  # another start may have done it, or must not
        journal_path(path).unlink()


class Journal:
    """The lines about the parts of one build."""

    def __init__(self, path: Path, key: str) -> None:
        """Reads what an earlier build with the same key has left, if anything.

        Args:
            path: The journal.
            key: Of the cache; lines of another key are not believed.
        """
        self._path, self._key = path, key
        lines = []
        with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
            lines = list(file)
        self._parts: dict[int, Part] = {}
        for line in lines:
            part = self._part_of(line)
            if part is not None:
                self._parts[part.number] = part
        # Without what is torn, to which the next line would be joined.
        write_text(path, "".join(map(self._line_of, self._parts.values())))

    @property
    def num_items(self) -> int:
        """Returns how many items the lines are about."""
        return sum(part.num_items for part in self._parts.values())

    def part(self, number: int, first_image: int) -> Part | None:
        """Returns what is known of a part that begins with that image, or None."""
        part = self._parts.get(number)
        return part if part is not None and part.first_image == first_image else None

    def add(self, part: Part) -> None:
        """Writes a line about a part whose pixels have been written."""
        self._parts[part.number] = part
        with open(self._path, "a", encoding="ascii") as file:
            file.write(self._line_of(part))

    def _line_of(self, part: Part) -> str:
        told = json.dumps(dataclasses.asdict(part))
        return json.dumps({"sha256": self._digest(told), "part": told}) + "\n"

    def _part_of(self, line: bytes) -> Part | None:
        """Returns what a line says, or None if it is damaged."""
        try:
            found = json.loads(line)
            told: dict[str, Any] = json.loads(found["part"])
            part = Part(**told | {"skipped": [(n, r) for n, r in told["skipped"]]})
        except (ValueError, TypeError, KeyError, RecursionError):
            return None
        return part if found["sha256"] == self._digest(found["part"]) else None

    def _digest(self, told: str) -> str:
        return hashlib.sha256(f"{self._key} {told}".encode()).hexdigest()


class Pixels:
    """The unfinished .npy file of a build, and its journal."""

    def __init__(self, path: Path, key: str, max_count: int, image_size: int) -> None:
        """Opens what an earlier build has left, or begins.

        Args:
            path: The cache file to be.
            key: Of the cache.
            max_count: At most so many images there will be.
            image_size: Side of the images in pixels.

        Raises:
            OSError: If the files cannot be written.
        """
        self._path = path.with_name(path.name + UNFINISHED)
        self._journal_path = journal_path(path)
        self._journal = Journal(self._journal_path, key)
        self._path.touch()
        self._file = open(self._path, "rb+")  # noqa: SIM115 (closed by __exit__)
        self._image_size = image_size
        self._start = write_layout(self._file, max_count, image_size)
        self._digest = hashlib.sha256()

    def __enter__(self) -> "Pixels":
        return self

    def __exit__(self, failed: type[BaseException] | None, *_: object) -> None:
        self._file.close()
        is_of_use = self.num_items and failed is not SourceChanged
        if failed and not is_of_use:
            self.delete()

    @property
    def num_items(self) -> int:
        """Returns how many items of the source have been noted as done."""
        return self._journal.num_items

    def kept_part(self, number: int, first_image: int) -> Part | None:
        """Returns a part that an earlier build has written, or None if not whole."""
        part = self._journal.part(number, first_image)
        if part is None:
            return None
        digest = self._digest.copy()
        self._seek(first_image)
        for checksum in part.checksums:
            pixels = self._file.read(self._image_bytes)
            if zlib.crc32(pixels) != checksum:
                return None
            digest.update(pixels)
        self._digest = digest
        return part

    def write_part(
        self, number: int, first_image: int, items: Iterable[Prepared | Skipped]
    ) -> Part:
        """Writes the images among some items, then the part's line in the journal."""
        part = Part(number, first_image)
        self._seek(first_image)
        for item in items:
            if isinstance(item, Skipped):
                part.skipped.append((item.name, item.reason))
                continue
            pixels = np.ascontiguousarray(item.pixels, dtype=np.uint8).data
            self._file.write(pixels)
            self._digest.update(pixels)
            part.labels.append(item.label)
            part.checksums.append(zlib.crc32(pixels))
            part.num_enlarged += item.enlarged
        self._file.flush()
        self._journal.add(part)
        return part

    def finish(self, count: int) -> str:
        """Ends the file after so many images; returns their fingerprint."""
        self._seek(count)
        self._file.truncate()
        self._file.seek(0)
        if write_layout(self._file, count, self._image_size) != self._start:
            raise OSError("the .npy header has changed its length")
        size = self._image_size
        self._digest.update(f"uint8 {count} {size} {size} 3".encode())
        return self._digest.hexdigest()

    def move_to(self, path: Path) -> None:
        """Moves the finished file into place; the journal has done its service."""
        move_into_place(self._path, path)
        self._journal_path.unlink(missing_ok=True)  # another start may have done it

    def delete(self) -> None:
        """Deletes both files."""
        self._path.unlink()
        self._journal_path.unlink()

    @property
    def _image_bytes(self) -> int:
        return 3 * self._image_size**2

    def _seek(self, place: int) -> None:
        """Goes to where the image at a place begins."""
        self._file.seek(self._start + place * self._image_bytes)
