"""The file:// address of a file, which terminals make a link."""

import pathlib


def address_of(path: pathlib.Path) -> str:
    """Returns the address of a path, relative ones from the working directory."""
    return path.absolute().as_uri()
