"""The sheets of classes that a run wrote, for its page: rows of pictures with names.

Beside each sheet lies a file that says which class each row is of, as a run that
continues may show others. The page shows a small picture of a sheet, one row at a time,
without margins and gaps, with the names as text of its own.
"""

import dataclasses
import json
import os
import re
from pathlib import Path

from PIL import Image

from files.atomic import write_text, written_aside
from gallery.sheets import GAP, LINE
from gallery.thumbnails import THUMBNAILS, UNREADABLE, WEBP_QUALITY, picture_size

SHEET_COLUMNS = 8
TOP = LINE + 2 * GAP  # pixels above the first row: one line of labels
CELL = 96  # pixels of a picture in the small copy; smaller ones stay as they are
SHEET_NAME = re.compile(r"classes-(\d{7,})\.png")

# The name of a row's class, and how many photographs there are of it.
Row = tuple[str, int]


@dataclasses.dataclass(frozen=True)
class ClassSheets:
    """The sheets of a run that can be shown, in order.

    Attributes:
        iterations: of each sheet.
        kinds: the rows of sheets; most sheets of a run have the same.
        kind_of: for each sheet an index of `kinds`.
    """

    iterations: list[int]
    kinds: list[list[Row]]
    kind_of: list[int]

    @property
    def names(self) -> list[str]:
        """The names in any sheet, in the order of the newest."""
        rows = [
            row
            for kind in [self.kind_of[-1], *self.kind_of]
            for row in self.kinds[kind]
        ]
        return list(dict.fromkeys(name for name, _ in rows))


def sheet_name(iteration: int) -> str:
    """Returns the file name of the sheet at an iteration."""
    return f"classes-{iteration:07d}.png"


def small_name(iteration: int) -> str:
    """Returns the path of its small copy, relative to the folder of the sheet."""
    return f"{THUMBNAILS}/classes-{iteration:07d}.webp"


def write_rows(folder: Path, iteration: int, rows: list[Row]) -> None:
    """Writes which classes the rows of a sheet are of, beside it."""
    path = folder / Path(sheet_name(iteration)).with_suffix(".json")
    write_text(path, json.dumps(rows, ensure_ascii=False) + "\n")


def class_sheets_in(folder: Path, last_iteration: int) -> ClassSheets | None:
    """Returns the sheets up to an iteration, None of none; writes missing small copies.

    A sheet that cannot be read, or whose rows are not known, is left out.
    """
    found: dict[int, list[Row]] = {}
    for name in sorted(os.listdir(folder)):
        match = SHEET_NAME.fullmatch(name)
        iteration = int(match[1]) if match else -1
        if iteration < 0 or iteration > last_iteration or name != sheet_name(iteration):
            continue
        rows = _rows(folder / Path(name).with_suffix(".json"))
        if rows and _write_small(
            folder / name, folder / small_name(iteration), len(rows)
        ):
            found[iteration] = rows
    if not found:
        return None
    kinds: list[list[Row]] = []
    for rows in found.values():
        if rows not in kinds:
            kinds.append(rows)
    return ClassSheets(
        list(found), kinds, [kinds.index(rows) for rows in found.values()]
    )


def newest_sheet(
    folder: Path, last_iteration: int
) -> tuple[str, tuple[int, int]] | None:
    """Returns the name and size of the newest sheet that can be read, if any."""
    found = [SHEET_NAME.fullmatch(name) for name in os.listdir(folder)]
    iterations = sorted(int(match[1]) for match in found if match)
    for iteration in reversed([one for one in iterations if one <= last_iteration]):
        size = picture_size(folder / sheet_name(iteration))
        if size:
            return sheet_name(iteration), size
    return None


def _rows(path: Path) -> list[Row]:
    """Returns the rows that a file beside a sheet tells, none if it is no such file."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        return [(str(name), int(count)) for name, count in rows]
    except (OSError, ValueError, TypeError):
        return []


def _write_small(sheet: Path, small: Path, num_rows: int) -> bool:
    """Writes the small copy if it is missing or old; returns whether there is one."""
    try:
        if small.exists() and small.stat().st_mtime_ns >= sheet.stat().st_mtime_ns:
            return True
        with Image.open(sheet) as opened:
            picture = opened.convert("RGB")
        pitch = (picture.height - TOP) // num_rows
        left = picture.width - SHEET_COLUMNS * pitch
        side = min(pitch - GAP, CELL)
        if left < 0 or side < 1:
            return False
        copy = Image.new("RGB", (SHEET_COLUMNS * side, num_rows * side))
        for row in range(num_rows):
            for column in range(SHEET_COLUMNS):
                x, y = left + column * pitch, TOP + row * pitch
                box = (x, y, x + pitch - GAP, y + pitch - GAP)
                cell = picture.resize((side, side), Image.Resampling.LANCZOS, box)
                copy.paste(cell, (column * side, row * side))
    except UNREADABLE:
        return False
    small.parent.mkdir(parents=True, exist_ok=True)
    with written_aside(small, durable=False) as aside:
        copy.save(aside, format="WEBP", quality=WEBP_QUALITY)
    return True
