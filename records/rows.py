"""Writes, reads and cuts files of rows, one JSON object per line."""

import json
import math
import os
import pathlib
from typing import Any, NamedTuple, TextIO

from files.atomic import written_aside

Row = dict[str, Any]  # one JSON object

SCALARS = "scalars.jsonl"
SPIKES = "spikes.jsonl"
EVENTS = "events.jsonl"
ROLLBACKS = "rollbacks"  # in a rollback's row: its number


class Damage(NamedTuple):
    """Neighbouring lines that hold no row.

    Attributes:
        lines: Their numbers, from 1.
        first: Iteration of the row before them, 0 if there is none: what is lost is of
            this or a later one.
        last: Iteration of the row after them, None if there is none.
    """

    lines: list[int]
    first: int
    last: int | None


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


def read_lines(path: pathlib.Path) -> tuple[list[Row], list[Damage]]:
    """Reads the rows of a file, and what of it is damaged.

    A last line without its end is none of either: a killed process was writing it.
    """
    rows: list[Row] = []
    damages: list[Damage] = []
    lost: list[int] = []
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    for number, line in enumerate(lines, start=1):
        row = row_in(line, only_numbers=path.name == SCALARS)
        if row is None:
            lost.append(number)
            continue
        if lost:
            before = rows[-1]["iteration"] if rows else 0
            damages.append(Damage(lost, before, row["iteration"]))
            lost = []
        rows.append(row)
    if lost:
        damages.append(Damage(lost, rows[-1]["iteration"] if rows else 0, None))
    return rows, damages


def row_in(line: bytes, only_numbers: bool = False) -> Row | None:
    """Returns the row that a line holds, None if it holds none.

    A row is a JSON object with a whole number, 0 or more, as its "iteration";
    `only_numbers`: with finite numbers alone.
    """
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict) or type(row.get("iteration")) is not int:
        return None
    if only_numbers and not all(is_finite_number(value) for value in row.values()):
        return None
    return row if row["iteration"] >= 0 else None


def is_finite_number(value: Any) -> bool:
    """Tells whether a value from JSON is a number, other than NaN and infinity."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, int) or math.isfinite(value)


def drop_rows_past(path: pathlib.Path, iteration: int) -> None:
    """Atomically drops the rows past an iteration, except those of rollbacks.

    Lines that hold no row go too; `set_damage_aside` keeps a copy first.
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
