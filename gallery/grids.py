"""Grids: many images tiled into one picture, written as PNG."""

import math
from pathlib import Path

import numpy as np
from PIL import Image

from files.atomic import written_aside

# Fixed, so that equal pixels give equal bytes whatever Pillow's default becomes.
PNG_COMPRESS_LEVEL = 6
LEAST_SIDE, MOST_SIDE = 512, 768  # pixels of a film's frame, which is resized for it


def to_uint8(images: np.ndarray) -> np.ndarray:
    """Converts images to uint8 [...]: round((x + 1) * 127.5), halves to even.

    Args:
        images: floating point [...] in [-1, 1]; values beyond are clipped, NaN gives 0.

    Raises:
        ValueError: If the images are integers already.
    """
    images = np.asarray(images)
    if images.dtype.kind in "biu":
        raise ValueError(f"Expected floating point images. Received: {images.dtype}")
    # Clipped before the arithmetic, in which a huge value would overflow.
    images = np.clip(images, -1, 1).astype(np.float32)
    return np.nan_to_num(np.rint((images + 1) * 127.5), nan=0).astype(np.uint8)


def grid_image(images: np.ndarray, columns: int | None = None) -> Image.Image:
    """Tiles images row by row, without margins; unused cells are black.

    Args:
        images: uint8 [count, height, width, 3].
        columns: images per row; None makes the grid as nearly square as possible.

    Raises:
        ValueError: If the images are not as above or none, or `columns` is below 1.
    """
    images = np.asarray(images)
    _check(images, columns)
    count, height, width, channels = images.shape
    columns = columns or math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    tiles = np.zeros((rows * columns, height, width, channels), np.uint8)
    tiles[:count] = images
    tiles = tiles.reshape(rows, columns, height, width, channels)
    picture = tiles.transpose(0, 2, 1, 3, 4)
    return Image.fromarray(picture.reshape(rows * height, columns * width, channels))


def enlarged_size(width: int, height: int) -> tuple[int, int]:
    """Returns the width and height of a frame that shows a grid of this size.

    A small grid is enlarged by a whole number until its longer side has LEAST_SIDE
    pixels, a large one is made smaller until it has no more than MOST_SIDE.
    """
    side = max(width, height)
    factor: float = max(math.ceil(LEAST_SIDE / side), 1)
    if side * factor > MOST_SIDE:
        factor = MOST_SIDE / side
    return round(width * factor), round(height * factor)


def enlarged(picture: Image.Image) -> Image.Image:
    """Resizes a grid for a film, with Lanczos' filter, to its `enlarged_size`."""
    size = enlarged_size(*picture.size)
    if size == picture.size:
        return picture
    return picture.resize(size, Image.Resampling.LANCZOS)


def write_png(image: Image.Image, path: str | Path) -> None:
    """Writes the pixels as PNG, all or nothing; equal pixels give equal bytes.

    The image's metadata (profile, text, Exif) is left out.
    """
    pixels = image.copy()
    pixels.info = {}
    with written_aside(path, durable=False) as aside:
        pixels.save(aside, format="PNG", compress_level=PNG_COMPRESS_LEVEL)


def _check(images: np.ndarray, columns: int | None) -> None:
    """Raises ValueError unless `grid_image` can tile the images."""
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3:
        raise ValueError(
            "Expected images uint8 [count, height, width, 3]. "
            f"Received: {images.dtype} {list(images.shape)}"
        )
    if not len(images):
        raise ValueError("Expected at least one image. Received: none")
    if columns is not None and columns < 1:
        raise ValueError(f"Expected columns >= 1. Received: columns={columns}")
