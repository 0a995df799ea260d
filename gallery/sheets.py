"""Sheets: pictures in rows and columns, enlarged, with gaps and labels."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

LEAST_CELL = 160  # pixels of a picture on a sheet; smaller ones are enlarged
GAP = 8
TEXT = 15
LINE = 20  # pixels from one line of a label to the next
BACKGROUND, INK = "white", "#222222"


def labelled_sheet(
    images: np.ndarray, above: list[str], beside: list[str] | None = None
) -> Image.Image:
    """Lays pictures out with a label over each column, and one before each row.

    Args:
        images: uint8 [rows, columns, size, size, 3].
        above: A label for each column; may have several lines.
        beside: A label for each row; None for no such margin.

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
    cell = max(size, LEAST_CELL)
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
