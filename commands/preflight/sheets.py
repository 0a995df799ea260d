"""Draws the two sheets of `--doctor`: the crops, and what augmentation does to them."""

import pathlib

import numpy as np

from commands.quiet import import_tensorflow
from data.examine import Seen, different
from gallery.contact_sheet import contact_sheet
from gallery.grids import to_uint8, write_png
from settings.config import Config

SHEET_COLUMNS, SHEET_IMAGES = 8, 64
AUGMENTED = 6  # photographs of the sheet of augmentation


def write_sheets(
    config: Config, usable: list[Seen], folder: pathlib.Path
) -> list[pathlib.Path]:
    """Writes crops.png, and augmented.png if the config augments; returns the paths."""
    kept = [one for one in usable if one.pixels is not None]
    if not kept:
        return []
    places = np.linspace(0, len(kept) - 1, min(SHEET_IMAGES, len(kept))).astype(int)
    crops = pixels_of([kept[place] for place in places])
    sheets = [folder / "crops.png"]
    write_png(contact_sheet(crops, SHEET_COLUMNS), sheets[0])
    operations = config.augment.active_operations
    shown = [one for one in different(kept) if not one.is_blank][:AUGMENTED]
    if operations and shown:
        images, labels = augmented(pixels_of(shown), operations, config)
        sheets.append(folder / "augmented.png")
        write_png(contact_sheet(images, len(labels), labels), sheets[1])
    return sheets


def augmented(
    crops: np.ndarray, operations: tuple[str, ...], config: Config
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Returns rows of a photograph as it is, by each operation, and as in training.

    Returns:
        uint8 [rows * columns, size, size, 3], and the columns' labels.
    """
    import_tensorflow()
    from data.augment import augment, num_uniforms

    images = crops.astype(np.float32) / 127.5 - 1
    rng = np.random.default_rng(config.run.seed)
    columns, labels = [images], ["as it is"]
    for operation in operations:
        uniforms = rng.random((len(images), num_uniforms([operation])), np.float32)
        columns.append(np.asarray(augment(images, uniforms, 1.0, [operation])))
        labels.append(operation)
    probability = config.augment.probability
    at_first = " at first" if config.augment.policy == "adaptive" else ""
    for _ in range(2):
        uniforms = rng.random((len(images), num_uniforms(operations)), np.float32)
        result = augment(images, uniforms, probability, operations)
        columns.append(np.asarray(result))
        labels.append(f"p={probability:g}{at_first}")
    together = np.stack([to_uint8(column) for column in columns], 1)
    return together.reshape(-1, *crops.shape[1:]), tuple(labels)


def pixels_of(seen: list[Seen]) -> np.ndarray:
    """Returns kept crops, uint8 [count, size, size, 3]."""
    return np.stack([one.pixels for one in seen if one.pixels is not None])
