"""Reads the metric cards that `evaluate.py` wrote beside a run's grids."""

import json
from pathlib import Path
from typing import Any

from gallery.curves import is_finite, whole_number


def read_cards(folder: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """Reads all metric cards of a folder, latest iteration first.

    Keeps only what a page shows, and only values of the right type: a card may come
    from another version, or may have been edited by hand.

    Returns:
        The cards, and the names of the files that cannot be read as cards.
    """
    cards, unreadable = [], []
    for path in sorted(folder.glob("card-*.json")):
        try:
            card = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            card = None
        if isinstance(card, dict):
            cards.append(_card(folder, path.name, card))
        else:
            unreadable.append(path.name)
    cards.sort(key=lambda card: -1 if card["iteration"] is None else card["iteration"])
    return cards[::-1], unreadable


def metric_names(cards: list[dict[str, Any]]) -> list[str]:
    """Returns the names of the cards' metrics, in order of first appearance."""
    return list({name: None for card in cards for name in card["metrics"]})


def _card(folder: Path, name: str, card: dict[str, Any]) -> dict[str, Any]:
    extractor, sha256 = card.get("extractor"), card.get("checkpoint_sha256")
    if isinstance(extractor, dict):
        extractor = extractor.get("name")
    return {
        "file": name,
        "iteration": whole_number(card.get("iteration")),
        "extractor": extractor if isinstance(extractor, str) else None,
        "metrics": _numbers(card.get("metrics")),
        "floor": _numbers(card.get("floor")),
        "num_fake": whole_number(card.get("num_fake")),
        "num_real": whole_number(card.get("num_real")),
        "seed": whole_number(card.get("seed")),
        "checkpoint_sha256": sha256 if isinstance(sha256, str) else None,
        "neighbours": _file_beside(folder, card.get("neighbours")),
        "markdown": _file_beside(folder, card.get("markdown")),
    }


def _numbers(values: object) -> dict[str, float]:
    """Returns the entries that are finite numbers."""
    if not isinstance(values, dict):
        return {}
    return {k: v for k, v in values.items() if is_finite(v)}


def _file_beside(folder: Path, name: object) -> str | None:
    """Returns the name if it is that of a file directly in the folder."""
    if not isinstance(name, str) or "\0" in name or Path(name).name != name:
        return None
    return name if (folder / name).is_file() else None
