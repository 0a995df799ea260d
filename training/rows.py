"""Files of rows, one JSON object a line: how they are written, read and cut."""

import json
import os
import pathlib

SCALARS = "scalars.jsonl"
SPIKES = "spikes.jsonl"


def write_row(file: object, row: dict[str, object]) -> None:
    """Appends one JSON object as a line and flushes it."""
    file.write(json.dumps(row, allow_nan=False) + "\n")
    file.flush()


def read_rows(path: pathlib.Path) -> list[dict[str, object]]:
    """Reads the rows of a file up to one that a kill or a power cut left broken."""
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
    """Rewrites a file of rows without those past an iteration, whole or not at all."""
    if not path.exists():
        return
    kept = [row for row in read_rows(path) if row["iteration"] <= iteration]
    temporary = path.with_suffix(".writing")
    with open(temporary, "w", encoding="utf-8") as file:
        for row in kept:
            write_row(file, row)
        os.fsync(file.fileno())
    os.replace(temporary, path)
