"""Reads metrics.json: what the metrics of a run were taken with, and from when on."""

import pathlib
from typing import Any

import pydantic

from records.damage import keep_damaged

DESCRIPTIONS = pydantic.TypeAdapter(list[dict[str, Any]])


def read_descriptions(path: pathlib.Path) -> list[dict[str, Any]]:
    """Reads what the metrics of a run were taken with; none if the file is missing.

    A damaged file is copied first, with a warning.
    """
    try:
        return DESCRIPTIONS.validate_json(path.read_bytes())
    except FileNotFoundError:
        return []
    except ValueError:
        keep_damaged(path)
        return []
