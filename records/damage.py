"""Keeps what is damaged in a run's files before they are written anew, and says so."""

import pathlib

from files.atomic import written_aside
from records.rows import EVENTS, KEPT_UNTIL, Row, read_lines
from settings.messages import say

MOST_LINES = 5  # named in a warning


def copy_if_damaged(path: pathlib.Path, iteration: int) -> list[Row]:
    """Copies a file of rows that has lines which hold none, and warns.

    Args:
        path: The file; it stays as it is.
        iteration: Iterations done, after which the run continues.

    Returns:
        The warning as a row for events.jsonl; none if all is well.
    """
    _, lines = read_lines(path)
    if not lines:
        return []
    copy = copy_aside(path)
    named = ", ".join(map(str, lines[:MOST_LINES]))
    more = f" and {len(lines) - MOST_LINES} more" if lines[MOST_LINES:] else ""
    words = (
        f"{path.name} is damaged and goes on without what cannot be read, line {named}"
        f"{more}; the file as it was is kept as {copy.name}"
    )
    say(f"warning: {path.parent}/{words}")
    row: Row = {"iteration": iteration, "warning": words}
    return [row | {KEPT_UNTIL: iteration} if path.name == EVENTS else row]


def events_to_keep_by(path: pathlib.Path, iteration: int) -> list[Row]:
    """Returns the rows of events.jsonl, by which checkpoints are kept.

    If some cannot be read, which may have named a checkpoint, a row of its own keeps
    all until now.
    """
    rows, lines = read_lines(path)
    return [*rows, {"iteration": iteration, KEPT_UNTIL: iteration}] if lines else rows


def copy_aside(path: pathlib.Path) -> pathlib.Path:
    """Copies a damaged file to the first free name beside it; returns the copy.

    If that name has a copy of the same bytes, from a start that was killed, it is it.
    """
    content, number = path.read_bytes(), 1
    while (copy := path.with_stem(f"{path.stem}.damaged-{number}")).exists():
        if copy.read_bytes() == content:
            return copy
        number += 1
    with written_aside(copy) as aside:
        aside.write_bytes(content)
    return copy


def keep_damaged(path: pathlib.Path) -> None:
    """Copies a damaged file that is for display only, and warns.

    It is not worth ending a start.
    """
    try:
        kept = f"the file as it was is kept as {copy_aside(path).name}"
    except OSError as error:
        kept = f"the file as it was could not be kept ({error})"
    say(f"warning: {path} is damaged and goes on without what cannot be read; {kept}")
