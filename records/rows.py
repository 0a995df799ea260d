"""Writes, reads and cuts files of rows, one JSON object per line."""

import json
import os
import pathlib
from typing import Any, TextIO

from files.atomic import written_aside

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
    """Reads rows up to the first one that a kill or a power cut left broken."""
    rows = []
    if path.exists():
        for line in path.read_bytes().splitlines(keepends=True):
            try:
                row = json.loads(line)
            except ValueError:
                break
            if not line.endswith(b"\n") or "iteration" not in row:
                break
            rows.append(row)
    return rows


def drop_rows_past(path: pathlib.Path, iteration: int) -> None:
    """Atomically drops the rows past an iteration, except those of rollbacks."""
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
