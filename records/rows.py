"""Writes, reads and cuts files of rows, one JSON object per line."""

import json
import math
import os
import pathlib
from typing import Any, TextIO

from files.atomic import written_aside
from settings.optimizer import NETWORKS

Row = dict[str, Any]  # one JSON object

SCALARS = "scalars.jsonl"
SPIKES = "spikes.jsonl"
EVENTS = "events.jsonl"
ROLLBACKS = "rollbacks"  # in a rollback's row: its number


def write_row(file: TextIO, row: Row) -> None:
    """Appends one JSON object as a line and flushes it."""
    file.write(json.dumps(row, allow_nan=False) + "\n")
    file.flush()


def append_row(path: pathlib.Path, row: Row) -> None:
    """Appends one JSON object to a file and makes it durable."""
    with open(path, "a", encoding="utf-8") as file:
        write_row(file, row)
        os.fsync(file.fileno())


def read_rows(path: pathlib.Path) -> list[Row]:
    """Reads the whole rows of a file, none if there is no file.

    Lines that hold no row are passed over, wherever they are.
    """
    return read_lines(path)[0]


def read_lines(path: pathlib.Path) -> tuple[list[Row], list[int]]:
    """Reads the rows of a file, and the numbers, from 1, of lines that hold none.

    Blank lines do not count, nor does a last line without its end, which a killed
    process was writing.
    """
    rows: list[Row] = []
    damaged: list[int] = []
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    for number, line in enumerate(lines, start=1):
        row = row_in(line, path.name)
        if row is not None:
            rows.append(row)
        elif line.strip():
            damaged.append(number)
    return rows, damaged


def row_in(line: bytes, name: str) -> Row | None:
    """Returns the row that a line of a file of that name holds, None if there is none.

    A row is a JSON object with a whole number, 0 or more, as its "iteration"; one of
    scalars has nothing but finite numbers, one of the spike ledger names a network.
    """
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict) or type(row.get("iteration")) is not int:
        return None
    if name == SCALARS and not all(map(is_finite_number, row.values())):
        return None
    if name == SPIKES and row.get("network") not in NETWORKS:
        return None
    return row if row["iteration"] >= 0 else None


def is_finite_number(value: Any) -> bool:
    """Tells whether a value from JSON is a number, other than NaN and infinity."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, int) or math.isfinite(value)


def drop_rows_past(path: pathlib.Path, iteration: int) -> None:
    """Atomically drops the rows past an iteration, except those of rollbacks.

    Lines that hold no row go too; `copy_if_damaged` keeps a copy first.
    """
    if not path.exists():
        return
    rows = read_rows(path)
    kept = [row for row in rows if row["iteration"] <= iteration or ROLLBACKS in row]
    write_rows(path, kept)


def write_rows(path: pathlib.Path, rows: list[Row]) -> None:
    """Writes a file of rows atomically."""
    with written_aside(path) as aside, open(aside, "w", encoding="utf-8") as file:
        for row in rows:
            write_row(file, row)
