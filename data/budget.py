"""The memory that decoding takes: of one photograph, and of all of them at a time.

What a photograph takes has little to do with the size of its file: one of a few
kilobytes may hold 178 megapixels, and take 3.6 GB. So its header is read first.
"""

import contextlib
import ctypes
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image

MIB = 2**20
# A photograph that takes no more is decoded without asking, as many at a time as there
# are workers: that of a phone or camera, say, in whose JPEG there is one scan.
UNASKED_BYTES = 96 * MIB
# That all others may take together. One that takes more is decoded alone of its kind.
BUDGET_BYTES = 2048 * MIB

# Bytes a pixel, as measured: Pillow holds the pixels in one mode and in another at a
# time, and more often where transparency is put on white.
PLAIN_MODES = ("1", "L", "P", "RGB", "CMYK", "YCbCr", "LAB", "I;16", "I;16B")
PLAIN_BYTES, OTHER_BYTES = 8.2, 20.2
# Of decoders, besides: JPEG2000 computes in 32 bits, WebP and AVIF keep frames, and a
# TIFF may be of a single strip.
DECODER_BYTES = {"JPEG2000": 16, "WEBP": 12, "AVIF": 6, "TIFF": 6}
COEFFICIENT_BYTES = 2  # of each band of a JPEG that comes in several scans
READ_WHOLE = ("WEBP", "AVIF")  # files that Pillow reads at once


@dataclass(frozen=True)
class Postponed:
    """A photograph that was not decoded, as it takes more memory than was allowed."""

    num_bytes: int

    @property
    def reason(self) -> str:
        """Returns why, in words."""
        return f"takes {self.num_bytes / MIB:,.0f} MiB of memory to decode"


def decoding_bytes(
    image: Image.Image, full_size: tuple[int, int], file_bytes: int
) -> int:
    """Returns how much memory the decoding of an opened photograph takes, at most.

    Args:
        image: Opened, not loaded; of a JPEG, told which size will do.
        full_size: Its width and height in pixels before that.
        file_bytes: The size of its file.
    """
    file_format = image.format or ""
    is_plain = image.mode in PLAIN_MODES and not image.has_transparency_data
    a_pixel = PLAIN_BYTES if is_plain else OTHER_BYTES
    a_pixel += DECODER_BYTES.get(file_format, 0)
    num_bytes = a_pixel * image.width * image.height
    if file_format == "JPEG" and "progressive" in image.info:
        bands = len(image.getbands())
        num_bytes += COEFFICIENT_BYTES * bands * full_size[0] * full_size[1]
    if file_format in READ_WHOLE:
        num_bytes += file_bytes
    return int(num_bytes)


def give_back_memory() -> None:
    """Gives memory that is free back to the system, where the C library can.

    That of GNU keeps for each thread what a large photograph took, 3 GB perhaps.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


class Closed(Exception):
    """Raised in threads that wait for what is no longer wanted."""


class Budget:
    """Lets threads go on as long as what they take together is not too much."""

    def __init__(self, num_bytes: int) -> None:
        self._most, self._taken = num_bytes, 0
        self._is_closed = False
        self._changed = threading.Condition()

    def close(self) -> None:
        """Sends away all who wait, or will."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    @contextlib.contextmanager
    def taking(self, num_bytes: int) -> Iterator[None]:
        """Waits until there is room for so many bytes, or no other takes any.

        Raises:
            Closed: If the budget is closed before that.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: (
                    self._is_closed
                    or not self._taken
                    or self._taken + num_bytes <= self._most
                )
            )
            if self._is_closed:
                raise Closed
            self._taken += num_bytes
        try:
            yield
        finally:
            with self._changed:
                self._taken -= num_bytes
                self._changed.notify_all()
