"""What a source of images is, what it yields and how it says no."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np


class DataError(Exception):
    """Says what is wrong with the data, completely, and what to do about it."""


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
    """One file that gave no image, and why."""

    name: str
    reason: str


class Source(Protocol):
    """A place images come from.

    Attributes:
        name: One word, the beginning of the cache's file name.
        description: Where the images come from, for messages.
    """

    name: str
    description: str

    @property
    def max_count(self) -> int:
        """How many images there are at most."""

    def key(self) -> str:
        """Returns a text that changes when the images do, without reading them."""

    def images(self, image_size: int) -> Iterator[Prepared | Skipped]:
        """Yields every image once, in an order that is always the same."""
