"""Sheets: pictures in rows and columns, enlarged, with gaps and labels."""

import functools
import math
import unicodedata

import numpy as np
from PIL import Image, ImageDraw, ImageFont

LEAST_CELL = 160  # pixels of a picture on a sheet; smaller ones are enlarged
LEAST_STRIP_CELL = 48  # pixels of a picture in a sheet of many classes
GAP = 8
TEXT = 15
LINE = 20  # pixels from one line of a label to the next
NO_LETTER = "\uffff"  # of no font
BACKGROUND, INK = "white", "#222222"


def labelled_sheet(
    images: np.ndarray,
    above: list[str],
    beside: list[str] | None = None,
    least_cell: int = LEAST_CELL,
) -> Image.Image:
    """Lays pictures out with a label over each column, and one before each row.

    Args:
        images: uint8 [rows, columns, size, size, 3].
        above: A label for each column; may have several lines.
        beside: A label for each row; None for no such margin.
        least_cell: Pixels to which smaller pictures are enlarged.

    Raises:
        ValueError: If the labels are not as many as rows and columns.
    """
    rows, columns, size = images.shape[:3]
    if len(above) != columns or (beside is not None and len(beside) != rows):
        raise ValueError(
            f"Expected labels of {rows} rows and {columns} columns. "
            f"Received: {beside} and {above}"
        )
    font = ImageFont.load_default(TEXT)
    widest = max([round(font.getlength(text)) for text in beside or []], default=0)
    left = widest + 2 * GAP if beside else GAP
    top = LINE * max(text.count("\n") + 1 for text in above) + 2 * GAP
    cell = max(size, least_cell)
    pitch = cell + GAP
    sheet = Image.new("RGB", (left + columns * pitch, top + rows * pitch), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    for column, text in enumerate(above):
        place = (left + column * pitch + cell // 2, top // 2)
        draw.multiline_text(
            place, text, INK, font, anchor="mm", align="center", spacing=LINE - TEXT
        )
    for row in range(rows):
        middle = top + row * pitch + cell // 2
        if beside:
            draw.text((left - GAP, middle), beside[row], INK, font, anchor="rm")
        for column in range(columns):
            picture = Image.fromarray(images[row, column])
            if cell != size:
                picture = picture.resize((cell, cell), Image.Resampling.LANCZOS)
            sheet.paste(picture, (left + column * pitch, top + row * pitch))
    return sheet


def class_sheet(images: np.ndarray, names: list[str]) -> Image.Image:
    """Lays out the pictures of each class in a strip below its name, side by side.

    There are as many strips beside each other as make the sheet nearly square. A name
    that is longer than its strip is cut off.

    Args:
        images: uint8 [classes, count, size, size, 3].
        names: Of the classes, as `letters_of` gives them.
    """
    num_classes, count, size = images.shape[:3]
    cell = size * math.ceil(LEAST_STRIP_CELL / size)
    width, height = count * cell + 2 * GAP, LINE + cell + GAP
    columns = min(max(round(math.sqrt(num_classes * height / width)), 1), num_classes)
    rows = math.ceil(num_classes / columns)
    font = ImageFont.load_default(TEXT)
    sheet = Image.new("RGB", (columns * width, rows * height + GAP), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    for place, (strip, name) in enumerate(zip(images, names, strict=True)):
        column, row = divmod(place, rows)  # the names are read downwards
        left, top = column * width + GAP, row * height + GAP
        while font.getlength(name) > count * cell and name:
            name = name[:-4].rstrip() + "..." if len(name) > 4 else ""
        draw.text((left, top), name, INK, font)
        picture = Image.fromarray(np.concatenate(strip, axis=1))
        if cell != size:
            picture = picture.resize((count * cell, cell), Image.Resampling.LANCZOS)
        sheet.paste(picture, (left, top + LINE))
    return sheet


def letters_of(name: str, label: int) -> str:
    """Returns the name of a class as sheets can show it, or "class" and its label.

    Their font has plain Latin letters: accents are left out, other scripts are not
    shown.
    """
    parts = unicodedata.normalize("NFD", name)
    plain = "".join(one for one in parts if not unicodedata.combining(one))
    for text in (name, plain):
        if all(_drawn(letter) != _drawn(NO_LETTER) for letter in set(text)):
            return text
    return f"class {label}"


@functools.cache
def _drawn(letter: str) -> bytes:
    """Returns the pixels of a letter, the same for all that the font does not have."""
    return bytes(ImageFont.load_default(TEXT).getmask(letter))
