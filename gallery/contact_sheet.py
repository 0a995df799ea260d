"""Contact sheets: small pictures with gaps, enlarged, with words above the columns."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

GAP = 4
LABEL_HEIGHT = 22
LABEL_SIZE = 14
LEAST_SIDE = 96  # pixels on the sheet, so that a person sees something
BICUBIC = Image.Resampling.BICUBIC
PAPER, INK = "white", "black"


def contact_sheet(
    images: np.ndarray, columns: int, labels: tuple[str, ...] = ()
) -> Image.Image:
    """Returns images row by row, with gaps.

    Args:
        images: uint8 [count, size, size, 3].
        columns: Images a row.
        labels: One above each column, or none.
    """
    count, size = len(images), images.shape[1]
    side = size * max(-(-LEAST_SIDE // size), 1)
    cell = side + GAP
    rows, top = -(-count // columns), LABEL_HEIGHT if labels else 0
    sheet = Image.new("RGB", (columns * cell + GAP, top + rows * cell + GAP), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(LABEL_SIZE)
    for column, label in enumerate(labels):
        draw.text((GAP + column * cell, GAP), label, INK, font)
    for number, pixels in enumerate(images):
        row, column = divmod(number, columns)
        picture = Image.fromarray(pixels).resize((side, side), BICUBIC)
        sheet.paste(picture, (GAP + column * cell, top + GAP + row * cell))
    return sheet
