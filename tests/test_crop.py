"""Tests of what a photograph of any kind becomes: upright, square, RGB."""

import errno
import io

import numpy as np
import pytest
from PIL import Image, ImageOps, features

from data.crop import prepare, resize_square
from data.source import DataError, Prepared, Skipped

RED, GREEN, BLUE, YELLOW = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)
ORANGE = (200, 100, 50)
SIZE = 8


def plain(colour=ORANGE, size=(16, 16), mode="RGB"):
    return Image.new(mode, size, colour)


def paletted(colours=(ORANGE,) * 4):
    image = plain(3, mode="P")
    image.putpalette(np.ravel(colours).tolist())
    return image


def prepared(image, file_format="PNG", **options):
    """Returns what an image becomes when it is saved and prepared."""
    file = io.BytesIO()
    image.save(file, file_format, **options)
    result = prepare(lambda: io.BytesIO(file.getvalue()), "photo", SIZE)
    assert isinstance(result, Prepared), result
    assert result.pixels.shape == (SIZE, SIZE, 3)
    assert result.pixels.dtype == np.uint8
    return result


def test_the_centre_of_a_wide_and_of_a_tall_photograph_is_kept():
    wide = np.zeros((20, 60, 3), np.uint8)
    wide[:, :20], wide[:, 20:40], wide[:, 40:] = RED, GREEN, BLUE
    for pixels in (wide, wide.swapaxes(0, 1)):
        square = prepared(Image.fromarray(pixels)).pixels
        # Lanczos reaches three pixels far, here beyond the crop.
        assert (square[3:-3, 3:-3] == GREEN).all()


def test_shrinking_averages_what_lies_between():
    # Without antialiasing, a fine checkerboard would stay black and white.
    board = np.indices((256, 256)).sum(axis=0) % 2 * 255
    square = prepared(Image.fromarray(board.astype(np.uint8))).pixels
    assert np.abs(square - 127.5).max() < 2


@pytest.mark.parametrize(
    ("size", "enlarged"),
    [((1, 1), True), ((300, 3), True), ((7, 9), True), ((8, 8), False)],
)
def test_a_photograph_with_a_short_side_below_the_size_counts_as_enlarged(
    size, enlarged
):
    result = prepared(plain(size=size))
    assert result.enlarged == enlarged
    assert (result.pixels == ORANGE).all()


# EXIF 2.32, tag 0x0112: which side of the scene the stored row 0 and column 0 are.
ORIENTATIONS = {
    1: ("top", "left"),
    2: ("top", "right"),
    3: ("bottom", "right"),
    4: ("bottom", "left"),
    5: ("left", "top"),
    6: ("right", "top"),
    7: ("right", "bottom"),
    8: ("left", "bottom"),
}


def stored_pixels(scene, orientation):
    """Returns the pixels a camera stores for a scene [height, width, 3]."""
    row_side, column_side = ORIENTATIONS[orientation]
    if row_side in ("left", "right"):
        scene = scene.swapaxes(0, 1)
    if row_side in ("bottom", "right"):
        scene = scene[::-1]
    if column_side in ("bottom", "right"):
        scene = scene[:, ::-1]
    return np.ascontiguousarray(scene)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_exif_orientation_is_honoured(orientation, file_format):
    scene = np.zeros((32, 48, 3), np.uint8)
    scene[:16, :24], scene[:16, 24:] = RED, GREEN
    scene[16:, :24], scene[16:, 24:] = BLUE, YELLOW
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(stored_pixels(scene, orientation))
    pixels = prepared(image, file_format, exif=exif).pixels.astype(int)
    corners = pixels[1, 1], pixels[1, -2], pixels[-2, 1], pixels[-2, -2]
    for found, expected in zip(corners, (RED, GREEN, BLUE, YELLOW), strict=True):
        assert np.abs(found - expected).max() < 60  # JPEG blurs colours over 16 px


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("exif", [b"Exif\0\0MX*\0\0\0\0", b"Exif\0\0MM\0*\0\0\0"])
def test_a_photograph_with_broken_exif_is_used_as_it_is(file_format, exif):
    prepared(plain(), file_format, exif=exif)


# what -> (image, format, how to save it, what its pixels must become)
KINDS = {
    "rgb jpeg": (plain(), "JPEG", {}, ORANGE),
    "rgb png": (plain(), "PNG", {}, ORANGE),
    "rgb webp": (plain(), "WEBP", {"lossless": True}, ORANGE),
    "rgb bmp": (plain(), "BMP", {}, ORANGE),
    "rgb ppm": (plain(), "PPM", {}, ORANGE),
    "rgb tiff": (plain(), "TIFF", {}, ORANGE),
    "rgb jpeg 2000": (plain(), "JPEG2000", {}, ORANGE),
    "grey jpeg": (plain(90, mode="L"), "JPEG", {}, (90, 90, 90)),
    "grey png": (plain(90, mode="L"), "PNG", {}, (90, 90, 90)),
    "black and white": (plain(1, mode="1"), "PNG", {}, (255, 255, 255)),
    "palette png": (paletted(), "PNG", {}, ORANGE),
    "palette gif": (paletted(), "GIF", {}, ORANGE),
    # 0 of ink is white: no cyan, all magenta, all yellow is red.
    "cmyk jpeg": (plain((0, 255, 255, 0), mode="CMYK"), "JPEG", {}, RED),
    "cmyk tiff": (plain((0, 255, 255, 0), mode="CMYK"), "TIFF", {}, RED),
    # 0x8040 of 0xFFFF is 128 of 255.
    "16 bits png": (plain(0x8040, mode="I;16"), "PNG", {}, (128, 128, 128)),
    "16 bits tiff": (plain(0x8040, mode="I;16"), "TIFF", {}, (128, 128, 128)),
    "32 bits tiff": (plain(0x8040, mode="I"), "TIFF", {}, (128, 128, 128)),
    "16 bits white": (plain(0xFFFF, mode="I;16"), "PNG", {}, (255, 255, 255)),
    # On white: 0.2 x colour + 0.8 x 255, as 51 of 255 is 0.2.
    "alpha png": (plain((*ORANGE, 51), mode="RGBA"), "PNG", {}, (244, 224, 214)),
    "alpha webp": (plain((*ORANGE, 51), mode="RGBA"), "WEBP",
                   {"lossless": True, "exact": True}, (244, 224, 214)),
    "grey alpha": (plain((100, 51), mode="LA"), "PNG", {}, (224, 224, 224)),
    "clear": (plain((*ORANGE, 0), mode="RGBA"), "PNG", {}, (255, 255, 255)),
    "clear palette png": (paletted(), "PNG", {"transparency": 3}, (255, 255, 255)),
    "clear palette gif": (paletted(), "GIF", {"transparency": 3}, (255, 255, 255)),
    "clear rgb": (plain(), "PNG", {"transparency": ORANGE}, (255, 255, 255)),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_every_mode_becomes_rgb(kind):
    image, file_format, options, expected = KINDS[kind]
    found = prepared(image, file_format, **options).pixels.astype(int)
    assert np.abs(found - expected).max() <= 4  # JPEG's rounding


@pytest.mark.skipif(not features.check("avif"), reason="Pillow without AVIF")
def test_avif_is_read():
    found = prepared(plain(), "AVIF").pixels.astype(int)
    assert np.abs(found - ORANGE).max() <= 8


def test_the_first_frame_of_an_animation_is_taken():
    first, *others = (paletted([colour] * 4) for colour in (RED, GREEN, BLUE))
    pixels = prepared(first, "GIF", save_all=True, append_images=others).pixels
    assert (pixels == RED).all()


@pytest.mark.parametrize("size", [32, 64])
def test_real_photographs_match_a_full_decode(flowers_folder, size):
    for path in sorted((flowers_folder / "originals").iterdir())[:24]:
        found = prepare(lambda path=path: open(path, "rb"), path.name, size).pixels
        with Image.open(path) as photograph:
            expected = ImageOps.fit(
                photograph.convert("RGB"), (size, size), Image.Resampling.LANCZOS
            )
        difference = np.abs(found.astype(int) - np.asarray(expected))
        # At 32 px JPEG decodes at half size, which data/crop.py says costs 0.2.
        assert difference.mean() < 0.5
        assert difference.max() <= 8


def test_a_fractional_size_moves_the_centre():
    ramp = np.repeat(np.arange(0, 180, 20, np.uint8)[None], 4, axis=0)
    image = Image.fromarray(ramp)  # 9 wide, of which 8.5 count: centre at 4.25
    moved = np.asarray(resize_square(image, 4, (8.5, 4))).mean()
    assert moved == pytest.approx(20 * (4.25 - 0.5), abs=1)


def test_a_failing_disk_is_not_taken_for_a_broken_photograph():
    def fail(code):
        raise OSError(code, "Input/output error")

    with pytest.raises(DataError, match="cannot read photo: Input/output error"):
        prepare(lambda: fail(errno.EIO), "photo", SIZE)
    # A seek that broken bytes have asked for.
    assert isinstance(prepare(lambda: fail(errno.EINVAL), "photo", SIZE), Skipped)
