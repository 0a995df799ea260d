"""The pixels of a cache file, read image by image and checked against checksums.

Read with pread, not through a memory map: where a mapped file is cut short, the system
kills the process without a message. Nothing stays in memory but what was asked for.
"""

import os
import weakref
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from data.source import DataError


class CachedImages:
    """Images in a .npy file; indexed like an array, uint8 [count, size, size, 3].

    No other pixels are ever returned than those that were written: each image is
    compared with its checksum when it is read, and a file that has got another length
    is noticed at the next access. A file that was deleted can still be read; one that
    was put in its place is read from then on.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, path: Path, checksums: Sequence[int]) -> None:
        """Opens the file.

        Args:
            path: The cache file.
            checksums: CRC-32 of each image.

        Raises:
            OSError: If it cannot be opened.
            ValueError: If it is not a .npy file of that many images, whole.
        """
        self._path = path
        self._checksums = checksums
        self._places = np.arange(len(checksums))
        self._open()

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[place] for place in range(len(self)))

    def __getitem__(self, key: Any) -> np.ndarray:
        """Returns images, or parts of them, in an array of their own.

        Raises:
            DataError: If the file has changed since it was opened, or cannot be read.
        """
        self._look_at_file()
        which, *rest = key if isinstance(key, tuple) else (key,)
        places = self._places[which]
        pixels = np.empty((places.size, *self.shape[1:]), np.uint8)
        for image, place in zip(pixels, places.flat, strict=True):
            self._read_into(image, int(place))
        pixels = pixels.reshape(*places.shape, *self.shape[1:])
        return pixels[(*[slice(None)] * places.ndim, *rest)]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self[:].astype(dtype or self.dtype, copy=False)

    def _open(self) -> None:
        self._file = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        self._close = weakref.finalize(self, os.close, self._file)
        with open(self._file, "rb", closefd=False) as file:
            self.shape, self._start = read_layout(file)
        status = os.fstat(self._file)
        self._identity = (status.st_dev, status.st_ino)
        self._image_bytes = int(np.prod(self.shape[1:]))
        self._num_bytes = self._start + self.shape[0] * self._image_bytes
        if (len(self), status.st_size) != (self.shape[0], self._num_bytes):
            raise ValueError(f"{self._path} does not hold {len(self)} images")

    def _look_at_file(self) -> None:
        """Opens the file anew if it is another; raises DataError if it is not whole."""
        try:
            status = os.stat(self._path)
        except FileNotFoundError:
            return  # deleted: what is open stays as it is until it is closed
        except OSError as error:
            raise self._changed(error.strerror or str(error)) from error
        if (status.st_dev, status.st_ino) != self._identity:
            shape, close = self.shape, self._close
            try:
                self._open()
            except (OSError, ValueError, EOFError) as error:
                raise self._changed("another file under its name") from error
            finally:
                close()
            if self.shape != shape:
                raise self._changed("other images under its name")
        elif status.st_size != self._num_bytes:
            size = f"{status.st_size:,} bytes in place of {self._num_bytes:,}"
            raise self._changed(size)

    def _read_into(self, image: np.ndarray, place: int) -> None:
        offset = self._start + place * self._image_bytes
        try:
            num_bytes = os.preadv(self._file, [image.data], offset)
        except OSError as error:
            raise self._changed(f"cannot read it: {error.strerror}") from error
        if num_bytes < self._image_bytes:
            raise self._changed(f"its end, within image {place:,}")
        if zlib.crc32(image.data) != self._checksums[place]:
            raise self._changed(f"image {place:,} is not what was written")

    def _changed(self, found: str) -> DataError:
        """Deletes what makes the file a cache, and returns the error."""
        cure = "run the same command again, which makes it anew"
        try:
            self._path.with_suffix(".json").unlink(missing_ok=True)
        except OSError:
            cure = "delete it and run the same command again, which makes it anew"
        return DataError(
            f"the cache of resized images has changed while it was in use\n"
            f"  file:       {self._path}\n"
            f"  found:      {found}\n"
            f"  what to do: see that nothing else writes to it, and {cure}; "
            f"a run continues from its last checkpoint"
        )


def read_layout(file: BinaryIO) -> tuple[tuple[int, ...], int]:
    """Returns the shape of a .npy file of images, and where their pixels begin.

    Raises:
        ValueError: If it is none.
    """
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("a .npy file of another version")
    shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(file)
    if is_fortran or dtype != np.uint8 or len(shape) != 4:
        raise ValueError("not a .npy file of images")
    return shape, file.tell()


def write_layout(file: BinaryIO, count: int, image_size: int) -> int:
    """Writes the header of a .npy file of images; returns where their pixels begin.

    That is the same for every count, as the header reserves room for any.
    """
    shape = (count, image_size, image_size, 3)
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.tell()
