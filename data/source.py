"""The interface of a source of images, what it yields, and its error."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np


class DataError(Exception):
    """Says everything that is wrong with the data, and what to do about it."""


@dataclass(frozen=True)
class Prepared:
    """One image, ready for the cache.

    Attributes:
        pixels: uint8 [size, size, 3].
        enlarged: Whether the photograph was smaller than `size`.
    """

    pixels: np.ndarray
    enlarged: bool = False


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

    def images(self, image_size: int) -> Iterator[Prepared | Skipped]:
        """Yields every image once, in an order that is always the same."""
