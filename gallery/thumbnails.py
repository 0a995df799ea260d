"""Thumbnails of a run's grids, each written once, for pages that show thousands."""

import os
import re
import struct
import zlib
from pathlib import Path

from PIL import Image

from files.atomic import written_aside

THUMBNAILS = "thumbnails"
THUMBNAIL_PIXELS = 512
WEBP_QUALITY = 82
GRID_NAME = re.compile(r"grid-(\d{7,})\.png")
# What Pillow raises for a file that is damaged, of another kind, or absurdly large.
UNREADABLE = (
    OSError,
    EOFError,
    SyntaxError,
    ValueError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


def grid_name(iteration: int) -> str:
    """Returns the file name of the grid at an iteration."""
    return f"grid-{iteration:07d}.png"


def thumbnail_name(iteration: int) -> str:
    """Returns the path of a grid's thumbnail, relative to the folder of the grid."""
    return f"{THUMBNAILS}/grid-{iteration:07d}.webp"


def write_thumbnails(folder: Path, last_iteration: int) -> tuple[list[int], list[str]]:
    """Writes the thumbnails that are missing or older than their grid.

    Args:
        folder: where the grids are; the thumbnails go into `thumbnails` in it.
        last_iteration: grids past it are ignored.

    Returns:
        The iterations that have a grid, in order, and the names of unreadable grids.
    """
    (folder / THUMBNAILS).mkdir(parents=True, exist_ok=True)
    written = _times(folder / THUMBNAILS)
    iterations, unreadable = [], []
    for name, time in sorted(_times(folder).items()):
        found = GRID_NAME.fullmatch(name)
        iteration = int(found[1]) if found else -1
        # Another spelling of the number is ignored: two names must not mean one grid.
        if iteration < 0 or iteration > last_iteration or name != grid_name(iteration):
            continue
        thumbnail = thumbnail_name(iteration)
        is_written = written.get(os.path.basename(thumbnail), -1) >= time
        if is_written or _write_thumbnail(folder / name, folder / thumbnail):
            iterations.append(iteration)
        else:
            unreadable.append(name)
    return sorted(iterations), unreadable


def picture_size(path: Path) -> tuple[int, int] | None:
    """Returns width and height of a picture, None if it cannot be read."""
    try:
        with Image.open(path) as picture:
            return picture.size
    except UNREADABLE:
        return None


def _times(folder: Path) -> dict[str, int]:
    """Returns each file's modification time in nanoseconds, by name."""
    with os.scandir(folder) as entries:
        return {e.name: e.stat().st_mtime_ns for e in entries if e.is_file()}


def _write_thumbnail(grid: Path, thumbnail: Path) -> bool:
    """Writes the thumbnail of one grid; returns whether the grid could be read."""
    try:
        with Image.open(grid) as picture:
            small = picture.convert("RGB")
    except UNREADABLE:
        return False
    # Never enlarges, and keeps the aspect ratio.
    small.thumbnail((THUMBNAIL_PIXELS, THUMBNAIL_PIXELS), Image.Resampling.LANCZOS)
    with written_aside(thumbnail, durable=False) as aside:
        small.save(aside, format="WEBP", quality=WEBP_QUALITY)
    return True
