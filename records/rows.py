"""Writes, reads and cuts files of rows, one JSON object per line."""

import json
import os
import pathlib
from typing import Annotated, Any, Literal, Self, TextIO, TypeVar

import pydantic
from pydantic import FiniteFloat

from files.atomic import named, written_aside
from settings.key_types import MOST

Row = dict[str, Any]  # one JSON object
Plain = str | bool | int | FiniteFloat | None
Iteration = Annotated[int, pydantic.Field(strict=True, ge=0, le=MOST)]

SCALARS = "scalars.jsonl"
SPIKES = "spikes.jsonl"
EVENTS = "events.jsonl"
ROLLBACKS = "rollbacks"  # in a rollback's row: its number
KEPT_UNTIL = "kept_until"  # in a row about damage: no checkpoint until then is deleted


class AnyRow(pydantic.BaseModel, strict=True, extra="allow"):
    """What all rows have."""

    iteration: Iteration


R = TypeVar("R", bound=AnyRow)


class ScalarsRow(AnyRow):
    """The scalars of an iteration: nothing but finite numbers."""

    __pydantic_extra__: dict[str, FiniteFloat]


class SpikeRow(AnyRow):
    """A spike, or that the loss has recovered from one; training/ledger.py writes it.

    The defaults stand for what a row leaves out as nobody knows it; null is a mistake.
    """

    __pydantic_extra__: dict[str, Plain]
    network: Literal["generator", "discriminator"]
    skipped: bool = False
    largest_finite: FiniteFloat = 0.0
    not_finite: int = 0
    usual: FiniteFloat = 0.0
    times_usual: FiniteFloat = 0.0
    damped_to: FiniteFloat = 0.0
    above_knee: FiniteFloat = 0.0
    loss_before: FiniteFloat = 0.0
    loss: FiniteFloat = 0.0
    recovered_from: Iteration = 0
    after_iterations: Iteration = 0
    recent_loss: FiniteFloat = 0.0

    @pydantic.model_validator(mode="after")
    def _is_whole(self) -> Self:
        return _with(self, "recovered_from", "after_iterations")


class EventRow(AnyRow):
    """A warning or a rollback."""

    __pydantic_extra__: dict[str, Plain]
    warning: str = ""
    good_checkpoint: Iteration = 0
    rollbacks: Annotated[int, pydantic.Field(ge=1, le=MOST)] = 1
    from_iteration: Iteration = 0
    because: str = ""
    kept_until: Iteration = 0

    @pydantic.model_validator(mode="after")
    def _is_whole(self) -> Self:
        return _with(self, ROLLBACKS, "from_iteration", "because")


def _with(row: R, key: str, *others: str) -> R:
    """Returns a row, which has some keys if it has another.

    Raises:
        ValueError: If it lacks one.
    """
    given = row.model_fields_set
    if key in given and not given.issuperset(others):
        raise ValueError(f"Expected {', '.join(others)} with {key}.")
    return row


KINDS: dict[str, type[AnyRow]] = {
    SCALARS: ScalarsRow,
    SPIKES: SpikeRow,
    EVENTS: EventRow,
}


def write_row(file: TextIO, row: Row) -> None:
    """Appends one JSON object as a line and flushes it.

    Raises:
        OSError: With the name of the file.
    """
    with named(file.name):
        file.write(json.dumps(row, allow_nan=False) + "\n")
        file.flush()


def append_row(path: pathlib.Path, row: Row) -> None:
    """Appends one JSON object to a file and makes it durable."""
    with named(path), open(path, "a", encoding="utf-8") as file:
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

    A row is a JSON object of the kind that the file has (`KINDS`).
    """
    try:
        KINDS.get(name, AnyRow).model_validate_json(line)
        row: Row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row


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
