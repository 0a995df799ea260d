"""Puts results into a page between two markers; the text outside them is kept."""

import pathlib
from typing import NamedTuple

from files.atomic import write_text
from settings.messages import Problem


class Markers(NamedTuple):
    """The lines around the results, HTML comments."""

    begin: str
    end: str


def markers_of(command: str) -> Markers:
    """Returns the markers of what a command writes."""
    return Markers(f"<!-- results: written by {command} -->", "<!-- end of results -->")


def write_between(page: pathlib.Path, text: str, markers: Markers) -> None:
    """Writes a page anew with a text between its markers.

    Raises:
        Problem: If the page is missing, or has not each marker once, in order.
    """
    write_text(page, _between(page, text, markers))


def check_markers(page: pathlib.Path, markers: Markers) -> None:
    """Checks that `write_between` could write, before what it writes is made.

    Raises:
        Problem: If the page is missing, or has not each marker once, in order.
    """
    _between(page, "", markers)


def _between(page: pathlib.Path, text: str, markers: Markers) -> str:
    begin, end = markers
    try:
        old = page.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Problem(f"{page}: cannot be read ({error})") from error
    before, found_begin, rest = old.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found_begin or not found_end or old.count(begin) + old.count(end) > 2:
        raise Problem(
            f"{page}: no place for the results\n  expected: once each, in this order\n"
            f"{begin}\n{end}"
        )
    return f"{before}{begin}\n\n{text}\n\n{end}{after}"
