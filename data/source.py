"""The interface of a source of images, what it yields, and its error."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

NO_CLASS = -1  # the label of an image that has none


class DataError(Exception):
    """Says everything that is wrong with the data, and what to do about it."""


class SourceChanged(DataError):
    """Says that a source is not what its key was made of any more; list it anew."""


@dataclass(frozen=True)
class Prepared:
    """One image, ready for the cache.

    Attributes:
        pixels: uint8 [size, size, 3].
        enlarged: Whether the photograph was smaller than `size`.
        label: Its class, an index of the source's class names, or NO_CLASS.
    """

    pixels: np.ndarray
    enlarged: bool = False
    label: int = NO_CLASS

    def labelled(self, label: int) -> "Prepared":
        """Returns the same image as one of a class."""
        return replace(self, label=label)


@dataclass(frozen=True)
class Skipped:
    """One file that yielded no image, and why."""

    name: str
    reason: str


class Source(Protocol):
    """A source of images.

    Attributes:
        name: One word that begins the name of the cache file.
        description: Where the images come from, for messages.
    """

    name: str
    description: str

    @property
    def max_count(self) -> int:
        """Returns an upper bound on the number of images."""

    def key(self) -> str:
        """Returns text that changes when the images do, without reading them."""

    def class_names(self) -> tuple[str, ...]:
        """Returns the names of the classes in the order of labels; () if none."""

    def outside(self) -> list[str]:
        """Returns the names of files that are of no class, where files have names."""

    def images(self, image_size: int, start: int = 0) -> Iterator[Prepared | Skipped]:
        """Yields every image once, in an order that is always the same.

        `start` is how many to leave out at the beginning, skipped files counted too.
        """
