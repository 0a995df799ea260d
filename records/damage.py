"""Keeps what is damaged in a run's files before they are written anew, and says so."""

import pathlib

from files.atomic import written_aside
from records.rows import SCALARS, Row, read_lines
from settings.messages import say

LOST = (
    "lost"  # in a warning's row: iterations whose scalars may be gone, first and last
)
MOST_LINES = 5  # named in a warning


def set_damage_aside(path: pathlib.Path, iteration: int) -> list[Row]:
    """Copies a file of rows that has damaged lines, and warns.

    Args:
        path: The file; it stays as it is.
        iteration: Iterations done, after which the run continues.

    Returns:
        The warning as rows for events.jsonl, one for each place; none if all is well.
    """
    _, damages = read_lines(path)
    if not damages:
        return []
    copy = copy_aside(path)
    lines = [number for damage in damages for number in damage.lines]
    named = ", ".join(map(str, lines[:MOST_LINES]))
    more = f" and {len(lines) - MOST_LINES} more" if lines[MOST_LINES:] else ""
    words = (
        f"{path.name}: line {named}{more} cannot be read and is left out; the file as "
        f"it was is kept as {copy.name}"
    )
    say(f"warning: {path.parent}/{words}")
    rows: list[Row] = []
    for damage in damages:
        row: Row = {"iteration": min(damage.first, iteration), "warning": words}
        if path.name == SCALARS:
            last = iteration if damage.last is None else min(damage.last, iteration)
            row[LOST] = [damage.first, last]
        rows.append(row)
    return rows


def copy_aside(path: pathlib.Path) -> pathlib.Path:
    """Copies a damaged file to the first free name beside it; returns the copy."""
    number = 1
    while (copy := path.with_stem(f"{path.stem}.damaged-{number}")).exists():
        number += 1
    with written_aside(copy) as aside:
        aside.write_bytes(path.read_bytes())
    return copy
