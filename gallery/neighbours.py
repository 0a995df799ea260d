"""The sheet of generated images beside their nearest photographs, labelled."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

LEAST_PIXELS = 128  # of an image's side: smaller ones are enlarged
GAP = 4  # within a pair
PAIR_GAP = 20
MARGIN = 16
LABEL = 22  # the line beneath a pair
HEADING = 40
TEXT, HEADING_TEXT = 14, 18
PAIRS_A_ROW = 4
INK, PAPER = "#1f1d1a", "#ffffff"

# A heading, and pairs of image, photograph and label.
Part = tuple[str, list[tuple[np.ndarray, np.ndarray, str]]]


def neighbours_sheet(parts: list[Part]) -> Image.Image:
    """Draws parts, each a heading and pairs of an image and its nearest photograph.

    Images are uint8 [size, size, 3]; those below `LEAST_PIXELS` are enlarged by a whole
    number, smoothly.
    """
    size = parts[0][1][0][0].shape[0]
    side = size * max(1, -(-LEAST_PIXELS // size))
    pair_width = 2 * side + GAP
    row_height = side + LABEL + PAIR_GAP
    num_rows = [-(-len(pairs) // PAIRS_A_ROW) for _, pairs in parts]
    width = 2 * MARGIN + PAIRS_A_ROW * (pair_width + PAIR_GAP) - PAIR_GAP
    height = 2 * MARGIN + len(parts) * HEADING + sum(num_rows) * row_height
    sheet = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(sheet)
    top = MARGIN
    for (heading, pairs), rows in zip(parts, num_rows, strict=True):
        font = ImageFont.load_default(HEADING_TEXT)
        draw.text((MARGIN, top), heading, INK, font)
        top += HEADING
        for place, (image, photograph, label) in enumerate(pairs):
            x = MARGIN + place % PAIRS_A_ROW * (pair_width + PAIR_GAP)
            y = top + place // PAIRS_A_ROW * row_height
            sheet.paste(_enlarged(image, side), (x, y))
            sheet.paste(_enlarged(photograph, side), (x + side + GAP, y))
            draw.text((x, y + side + 3), label, INK, ImageFont.load_default(TEXT))
        top += rows * row_height
    return sheet


def _enlarged(image: np.ndarray, side: int) -> Image.Image:
    picture = Image.fromarray(image)
    return picture.resize((side, side), Image.Resampling.BICUBIC)
