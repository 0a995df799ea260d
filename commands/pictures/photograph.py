"""Reads the photograph that a user names, as those of the training data are read."""

import pathlib

import numpy as np

from data.crop import prepare
from data.source import DataError, Prepared
from files.regular import open_regular
from settings.messages import Problem, say


def photograph(path: pathlib.Path | None, image_size: int) -> np.ndarray:
    """Returns its centre square, uint8 [image_size, image_size, 3], upright, RGB.

    Raises:
        Problem: If none is named, there is no such file, or it is no picture.
    """
    if path is None:
        raise Problem(
            "--image\n  expected: the photograph to project\n  found:    none given"
        )
    if not path.is_file():
        found = "a folder" if path.is_dir() else "no such file"
        raise Problem(f"--image {path}\n  expected: a photograph\n  found:    {found}")
    try:
        prepared = prepare(lambda: open_regular(path), str(path), image_size)
    except DataError as error:
        raise Problem(f"--image {path}\n  {error}") from error
    if not isinstance(prepared, Prepared):
        raise Problem(
            f"--image {path}\n  expected: a photograph, as JPEG, PNG, WebP, TIFF, ...\n"
            f"  found:    {prepared.reason}"
        )
    if prepared.enlarged:
        say(f"warning: {path} is smaller than {image_size} px and was enlarged")
    return prepared.pixels
