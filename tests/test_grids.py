"""Tests tiling, bytes and the PNG against hand-made pictures."""

import os
import stat

import ml_dtypes
import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from gallery.grids import enlarged, enlarged_size, grid_image, to_uint8, write_png


def numbered_images(count, height=2, width=2):
    """Returns uint8 images, the k-th of them all k + 1."""
    images = np.arange(1, count + 1, dtype=np.uint8).reshape(-1, 1, 1, 1)
    return np.tile(images, (1, height, width, 3))


def chunks_of(png):
    """Returns the chunk types of a PNG's bytes, read by its specification."""
    types, place = [], 8
    while place < len(png):
        length = int.from_bytes(png[place : place + 4], "big")
        types.append(png[place + 4 : place + 8].decode("ascii"))
        place += length + 12
    return types


def test_a_grid_tiles_row_by_row_and_leaves_the_rest_black():
    pixels = np.asarray(grid_image(numbered_images(5), columns=3))
    expected = np.array([[1, 1, 2, 2, 3, 3]] * 2 + [[4, 4, 5, 5, 0, 0]] * 2)
    np.testing.assert_array_equal(pixels, np.repeat(expected[:, :, None], 3, axis=2))


def test_tiles_keep_their_pixels():
    images = np.random.default_rng(0).integers(0, 256, (6, 3, 5, 3), np.uint8)
    pixels = np.asarray(grid_image(images, columns=2))
    assert pixels.shape == (9, 10, 3)
    np.testing.assert_array_equal(pixels[3:6, 5:10], images[3])
    np.testing.assert_array_equal(pixels[6:9, 0:5], images[4])


@pytest.mark.parametrize(
    ("count", "columns", "rows"),
    [(1, 1, 1), (2, 2, 1), (3, 2, 2), (5, 3, 2), (7, 3, 3), (64, 8, 8), (65, 9, 8)],
)
def test_a_grid_is_nearly_square_by_default(count, columns, rows):
    assert grid_image(numbered_images(count)).size == (2 * columns, 2 * rows)


@pytest.mark.parametrize(
    ("images", "columns", "expected"),
    [
        (np.zeros((2, 4, 4, 3)), None, r"uint8 .* Received: float64 \[2, 4, 4, 3\]"),
        (np.zeros((4, 4, 3), np.uint8), None, r"Received: uint8 \[4, 4, 3\]"),
        (np.zeros((2, 4, 4, 1), np.uint8), None, r"Received: uint8 \[2, 4, 4, 1\]"),
        (np.zeros((0, 4, 4, 3), np.uint8), None, "at least one image. Received: none"),
        (np.zeros((2, 4, 4, 3), np.uint8), 0, "columns >= 1. Received: columns=0"),
    ],
)
def test_what_cannot_be_tiled_is_refused(images, columns, expected):
    with pytest.raises(ValueError, match=expected):
        grid_image(images, columns)


def test_bytes_are_rounded_and_clipped():
    # (x + 1) * 127.5 is 0, 127.5 (the one half floats can say), 255, 63.75, beyond.
    values = np.float32([-1, 0, 1, -0.5, -1.5, 7])
    np.testing.assert_array_equal(to_uint8(values), [0, 128, 255, 64, 0, 255])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_byte_survives_the_way_there_and_back(dtype):
    values = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(to_uint8(values.astype(dtype) / 127.5 - 1), values)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, ml_dtypes.bfloat16])
def test_what_is_not_finite_or_is_huge_becomes_a_byte_without_a_warning(dtype):
    huge = 1e300 if dtype is np.float64 else 3e38
    values = np.array([np.nan, np.inf, -np.inf, huge, -huge], dtype)
    result = to_uint8(values)
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(result, [0, 255, 0, 255, 0])


def test_bytes_are_not_made_of_bytes():
    with pytest.raises(ValueError, match="floating point images. Received: uint8"):
        to_uint8(np.zeros((1, 2, 2, 3), np.uint8))


def test_a_png_holds_the_pixels_and_nothing_else(tmp_path):
    image = grid_image(numbered_images(4))
    text = PngInfo()
    text.add_text("Comment", "flowers-7 on host at noon")
    image.save(tmp_path / "told.png", pnginfo=text, dpi=(72, 72))
    told = Image.open(tmp_path / "told.png")
    told.info["icc_profile"] = b"profile"
    write_png(told, tmp_path / "grid.png")
    png = (tmp_path / "grid.png").read_bytes()
    assert set(chunks_of(png)) == {"IHDR", "IDAT", "IEND"}
    with Image.open(tmp_path / "grid.png") as read:
        np.testing.assert_array_equal(np.asarray(read), np.asarray(image))


def test_equal_pixels_give_equal_bytes(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (9, 8, 8, 3), np.uint8)
    for name in ("a.png", "b.png"):
        write_png(grid_image(images), tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_a_png_is_readable_by_whom_the_umask_allows(tmp_path):
    umask = os.umask(0o022)
    try:
        write_png(grid_image(numbered_images(1)), tmp_path / "grid.png")
    finally:
        os.umask(umask)
    assert stat.S_IMODE((tmp_path / "grid.png").stat().st_mode) == 0o644


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "grid.png"
    write_png(grid_image(numbered_images(1)), path)
    before = path.read_bytes()

    def save_half(self, target, **options):
        target.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(Image.Image, "save", save_half)
    with pytest.raises(OSError, match="No space left"):
        write_png(grid_image(numbered_images(4)), path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["grid.png"]


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((32, 32), (512, 512)),
        ((64, 32), (512, 256)),
        ((300, 100), (600, 200)),
        ((640, 320), (640, 320)),
        ((1536, 768), (768, 384)),
    ],
)
def test_a_frame_is_enlarged_to_a_size_worth_showing(size, expected):
    assert enlarged_size(*size) == expected
    assert enlarged(Image.new("RGB", size)).size == expected
