"""Decodes photographs into square uint8 RGB arrays of one size."""

import errno
import math
import struct
from collections.abc import Callable
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from data.budget import MIB, Postponed, decoding_bytes
from data.source import DataError, Prepared, Skipped
from files.regular import size_of

# Raise this when the pixels made from a file change: every cache is then rebuilt.
PREPARATION_VERSION = 1

# Pillow knows more formats, but some of those have no signature to recognise them by,
# and one (EPS) starts another program.
FORMATS = (
    "JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "PPM", "AVIF", "JPEG2000",
)  # fmt: skip

# JPEG can be decoded at 1/2, 1/4 or 1/8 of its size, seven times faster for a 12
# megapixel photograph. From 4 times the requested size on, the resized pixels differ
# from those of a full decode by 0.2 of 255 levels on average, and by 6 at most.
DRAFT_FACTOR = 4

# Of a file: what the most pixels that Pillow reads take in 16 bits, uncompressed.
MOST_FILE_MIB = 1024

NO_IMAGE = "not an image that Pillow can read"
# iPhones write HEIC, which Pillow cannot read, and not always under that name.
HEIC = "HEIC, which is not read: convert it to JPEG"
HEIC_BRANDS = (
    b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1",
    b"msf1",
)  # fmt: skip

# Errors of one file: from a decoder, of a seek to a nonsensical offset, of a file that
# is gone. All others are the disk's.
FAULTS_OF_FILES = (None, errno.EINVAL, errno.ENOENT, errno.ENOTDIR, errno.ESTALE)

# EXIF orientation -> the transposition that turns the stored pixels upright.
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def resize_square(
    image: Image.Image, image_size: int, size: tuple[float, float] | None = None
) -> Image.Image:
    """Crops the centre square of an image and resizes it with antialiased Lanczos.

    Args:
        image: In a mode whose values can be averaged (RGB, L).
        image_size: Side of the result in pixels.
        size: Width and height of the region to use, from the upper left corner; may be
            fractional. None for the whole image.
    """
    width, height = size or image.size
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    return image.resize(
        (image_size, image_size),
        Image.Resampling.LANCZOS,
        box=(left, top, left + side, top + side),
    )


def to_rgb(image: Image.Image) -> Image.Image:
    """Converts an image of any mode to RGB; transparency becomes white."""
    if image.mode.startswith("I"):
        return _from_16_bits(image).convert("RGB")
    if image.mode == "F":
        raise ValueError("floating-point pixels: save it with 8 or 16 bits")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def _from_16_bits(image: Image.Image) -> Image.Image:
    """Converts integer pixels in [0, 65535] to an 8-bit grey image."""
    values = np.asarray(image)
    if values.min() < 0 or values.max() > 65535:
        raise ValueError("pixels of more than 16 bits: save it with 8 or 16 bits")
    return Image.fromarray((values // 256).astype(np.uint8))


def square_pixels(
    image: Image.Image, image_size: int, file_bytes: int, allowed: float
) -> Prepared | Postponed:
    """Returns an opened photograph upright, cropped square and resized, in RGB.

    Or, where decoding would take more memory than is allowed, how much that is.
    """
    full_size = image.size
    enlarged = min(full_size) < image_size
    wanted = DRAFT_FACTOR * image_size
    draft = image.draft(None, (wanted, wanted))
    num_bytes = decoding_bytes(image, full_size, file_bytes)
    if num_bytes > allowed:
        return Postponed(num_bytes)
    # The exact size of the reduced image, whose own size is rounded up to whole pixels.
    size = draft[1][2:] if draft else None
    square = resize_square(to_rgb(image), image_size, size)
    orientation = _orientation(image)  # after to_rgb, which has loaded the pixels
    if orientation in UPRIGHT:
        square = square.transpose(UPRIGHT[orientation])
    return Prepared(np.asarray(square), enlarged)


def _orientation(image: Image.Image) -> int | None:
    """Returns the EXIF orientation of a loaded image, None if it has none.

    Pillow itself turns a TIFF upright on loading, and removes the tag.
    """
    try:
        return image.getexif().get(ExifTags.Base.Orientation)
    except (SyntaxError, struct.error):  # what broken EXIF raises
        return None


def _is_heic(open_file: Callable[[], BinaryIO]) -> bool:
    """Tells whether a file begins as HEIC does."""
    try:
        with open_file() as file:
            start = file.read(12)
    except OSError:
        return False
    return start[4:8] == b"ftyp" and start[8:] in HEIC_BRANDS


def _too_large(most: str) -> str:
    return f"more than {most}, which is the most that is read: make it smaller"


def prepare(
    open_file: Callable[[], BinaryIO],
    name: str,
    image_size: int,
    allowed: float = math.inf,
) -> Prepared | Skipped | Postponed:
    """Returns the pixels of one photograph, or why it has none.

    Args:
        open_file: Opens it.
        name: For messages.
        image_size: Side of the result in pixels.
        allowed: Bytes of memory that may be taken; a photograph that takes more is
            not decoded but postponed.

    Raises:
        DataError: If the disk, not the file's content, is at fault.
    """
    try:
        with open_file() as file:
            num_bytes = size_of(file)
            if num_bytes > MOST_FILE_MIB * MIB:
                return Skipped(name, _too_large(f"{MOST_FILE_MIB:,} MiB"))
            if num_bytes > allowed:  # before Pillow, which may read it whole
                return Postponed(num_bytes)
            with Image.open(file, formats=FORMATS) as image:
                return square_pixels(image, image_size, num_bytes, allowed)
    except UnidentifiedImageError:
        reason = NO_IMAGE
    except Image.DecompressionBombError:
        most = 2 * (Image.MAX_IMAGE_PIXELS or 0)  # from where on Pillow refuses
        reason = _too_large(f"{most / 1e6:,.0f} megapixels")
    except MemoryError as error:  # no fault of the file, which must not be left out
        raise DataError(
            f"not enough memory to decode {name}\n"
            f"  what to do: free some memory, then start again, which continues"
        ) from error
    except Exception as error:
        # A decoder may raise almost anything on broken bytes.
        if isinstance(error, OSError) and error.errno not in FAULTS_OF_FILES:
            raise DataError(
                f"cannot read {name}: {error.strerror}\n"
                f"  what to do: see that the disk is there and that nothing else "
                f"changes its files, then start again"
            ) from error
        reason = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, OSError) and error.strerror:
            reason = error.strerror
    return Skipped(name, HEIC if _is_heic(open_file) else reason)
