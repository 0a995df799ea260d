"""A time-lapse of a run: the same latents in one grid after another, with a caption."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from gallery.grids import enlarged, grid_image
from gallery.thumbnails import GRID_NAME, UNREADABLE, grid_name

CAPTION = 28  # pixels of the strip below
TEXT = 18
STILL_SECONDS = 2.0  # that the last frame stays


def grids_until(folder: Path, last_iteration: int) -> list[int]:
    """Returns the iterations up to the last one that have a grid, in order."""
    names = {path.name for path in folder.glob("grid-*.png")}
    found = [GRID_NAME.fullmatch(name) for name in names]
    iterations = sorted({int(match[1]) for match in found if match})
    return [i for i in iterations if i <= last_iteration and grid_name(i) in names]


def chosen_grids(iterations: list[int], most: int) -> list[int]:
    """Returns at most so many of them, evenly spread, the ends included."""
    if len(iterations) <= most:
        return iterations
    places = np.linspace(0, len(iterations) - 1, most).round().astype(int)
    return [iterations[place] for place in places]


def timelapse_frames(
    folder: Path,
    iterations: list[int],
    image_size: int,
    count: int,
    frames_per_second: float,
) -> tuple[np.ndarray, list[str]]:
    """Reads grids and makes a frame of each.

    Args:
        folder: Where the grids are.
        iterations: Whose grids to show, in this order.
        image_size: Pixels along one side of an image in a grid.
        count: How many images of a grid to show, the first ones.
        frames_per_second: Of the film, whose last frame is repeated to stay.

    Returns:
        uint8 [frames, height, width, 3], and the names of grids that are unreadable or
        of another size than the first readable one, which are left out.

    Raises:
        ValueError: If no grid can be read.
    """
    frames, bad = [], []
    shape = None
    for iteration in iterations:
        name = grid_name(iteration)
        try:
            tiles = _tiles(folder / name, image_size)[:count]
        except UNREADABLE:
            bad.append(name)
            continue
        shape = shape or tiles.shape
        if tiles.shape != shape:
            bad.append(name)
            continue
        frames.append(_frame(tiles, iteration))
    if not frames:
        raise ValueError(f"Expected a readable grid. Received: {folder}")
    frames += frames[-1:] * round(STILL_SECONDS * frames_per_second)
    return np.stack(frames), bad


def _tiles(path: Path, size: int) -> np.ndarray:
    """Returns a grid's images, uint8 [count, size, size, 3], row by row."""
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    rows, columns = pixels.shape[0] // size, pixels.shape[1] // size
    if not rows or not columns:
        raise ValueError(f"Expected images of {size} px. Received: {path}")
    pixels = pixels[: rows * size, : columns * size]
    tiles = pixels.reshape(rows, size, columns, size, 3).swapaxes(1, 2)
    return tiles.reshape(rows * columns, size, size, 3)


def _frame(tiles: np.ndarray, iteration: int) -> np.ndarray:
    """Returns a frame: the images as a grid, enlarged, above a caption."""
    grid = enlarged(grid_image(tiles))
    frame = Image.new("RGB", (grid.width, grid.height + CAPTION), "black")
    frame.paste(grid, (0, 0))
    ImageDraw.Draw(frame).text(
        (grid.width // 2, grid.height + CAPTION // 2),
        f"iteration {iteration:,}",
        font=ImageFont.load_default(TEXT),
        fill="white",
        anchor="mm",
    )
    return np.asarray(frame)
