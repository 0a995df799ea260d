"""Reads the metric cards that `evaluate.py` wrote beside a run's grids."""

import json
import math
from pathlib import Path
from typing import Any

from gallery.curves import is_finite, whole_number

# The best known networks first; others follow by name.
TELLING = ("inception-fid", "inception", "mobilenet")
FRECHET = ("fid", "fd_")
ABOUT_AS_FAR = 1.1
NAMED = 3  # classes at each end
SHARES = (
    ("precision", "of them lie among the photographs"),
    ("recall", "of the photographs lie among them"),
)
METRIC_WORDS = {
    "fd": "Fr\u00e9chet distance",
    "fid": "Fr\u00e9chet inception distance",
    "kd": "kernel distance",
    "kid": "kernel inception distance",
    "kd_sd": "its deviation",
    "kid_sd": "its deviation",
    "precision": "precision",
    "recall": "recall",
    "density": "density",
    "coverage": "coverage",
    "accuracy": "recognized as their class",
    "accuracy_top_5": "class among the first five",
    "class_kd_median": "kernel distance in a class, median",
    "class_kd_worst": "kernel distance in a class, worst",
    "class_diversity_median": "diversity in a class, median",
    "nearest_median": "nearest photograph, median",
    "nearest_least": "nearest photograph, least",
}


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


def card_blocks(cards: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Groups cards that may be compared: of one network, of as many images.

    The most telling network comes first, of one network the most images.

    Returns:
        Blocks with `extractor`, `num_fake`, `cards` (the best first, then the latest),
        `metrics` (pairs of a name and words) and `verdict` on the best card.
    """
    keys = {(card["extractor"], card["num_fake"]): None for card in cards}
    blocks = []
    for extractor, count in sorted(keys, key=lambda k: (_rank(k[0]), -(k[1] or 0))):
        own = [
            card
            for card in cards
            if (card["extractor"], card["num_fake"]) == (extractor, count)
        ]
        best = min(own, key=_distance)  # the latest of equals
        own = [best, *(card for card in own if card is not best)]
        metrics = {name: None for card in own for name in card["metrics"]}
        blocks.append(
            {
                "extractor": extractor,
                "num_fake": count,
                "cards": own,
                "metrics": [(name, metric_words(name, extractor)) for name in metrics],
                "verdict": f"{verdict(best['metrics'], best['floor'])} "
                f"{class_verdict(best)}".strip(),
            }
        )
    return blocks


def metric_words(name: str, extractor: str | None) -> str:
    """Returns a metric's name in words, if it is known, without the extractor's."""
    suffix = "_" + (extractor or "").replace("-", "_")
    plain = name.replace(suffix, "", 1) if extractor else name
    return METRIC_WORDS.get(plain, name)


def verdict(metrics: dict[str, float], floor: dict[str, float]) -> str:
    """Says in one sentence how far a card's pictures are from photographs.

    Floors are what photographs score against other photographs. Empty if the Frechet
    distance or its floor is missing.
    """
    found = [name for name in metrics if name.startswith(FRECHET) and name in floor]
    if not found or floor[found[0]] <= 0:
        return ""
    value, least = metrics[found[0]], floor[found[0]]
    times = value / least
    digits = 0 if times >= 10 else 1
    far = "about" if times < ABOUT_AS_FAR else f"{times:,.{digits}f} times"
    said = (
        f"The pictures are {far} as far from the photographs as other photographs are "
        f"(Fr\u00e9chet distance {value:.4g}, floor {least:.4g})"
    )
    for prefix, what in SHARES:
        name = next((n for n in metrics if n.startswith(prefix) and n in floor), None)
        if name:
            said += f"; {metrics[name]:.1%} {what} (floor {floor[name]:.1%})"
    return said + "."


def class_verdict(card: dict[str, Any]) -> str:
    """Says how well a card's pictures of each class show it; "" without classes."""
    rows = _classes(card.get("classes"))
    if len(rows) < 2:
        return ""
    said = ""
    shares = (n for n in card["metrics"] if n.startswith("accuracy"))
    name = next((n for n in shares if "top_5" not in n), None)
    if name and name in card["floor"]:
        said = (
            f"{card['metrics'][name]:.1%} of the pictures are recognized as the class "
            f"they were made of (photographs {card['floor'][name]:.1%}). "
        )
    num_named = min(NAMED, len(rows) // 2)
    names = [row["name"] for row in sorted(rows, key=lambda row: -row["kd"])]
    far, near = ", ".join(names[:num_named]), ", ".join(names[-num_named:][::-1])
    said += f"Farthest from their photographs: {far}; nearest: {near}."
    varied = [row for row in rows if "diversity" in row]
    if varied:
        least = min(varied, key=lambda row: row["diversity"])
        said += (
            f" Least varied, {least['diversity']:.2f} times as much as its photographs:"
            f" {least['name']}."
        )
    return said


def _classes(classes: object) -> list[dict[str, Any]]:
    """Returns the name and the numbers of each class that has both."""
    rows = classes.get("of") if isinstance(classes, dict) else None
    found = []
    for row in rows if isinstance(rows, list) else []:
        numbers = _numbers(row)
        if "kd" in numbers and isinstance(row.get("name"), str):
            found.append({"name": row["name"]} | numbers)
    return found


def _rank(extractor: str | None) -> tuple[int, str]:
    name = extractor or ""
    first = [place for place, start in enumerate(TELLING) if name.startswith(start)]
    is_random = name == "random"  # its features mean the least
    return (first[0] if first else len(TELLING) + is_random), name


def _distance(card: dict[str, Any]) -> float:
    """Returns a card's Frechet distance, infinity without one."""
    found = [v for name, v in card["metrics"].items() if name.startswith(FRECHET)]
    return found[0] if found else math.inf


def _card(folder: Path, name: str, card: dict[str, Any]) -> dict[str, Any]:
    extractor, sha256 = card.get("extractor"), card.get("checkpoint_sha256")
    if isinstance(extractor, dict):
        extractor = extractor.get("name")
    return {
        "file": name,
        "iteration": whole_number(card.get("iteration")),
        "is_longer_average": bool(card.get("average")),
        "extractor": extractor if isinstance(extractor, str) else None,
        "metrics": _numbers(card.get("metrics")),
        "floor": _numbers(card.get("floor")),
        "classes": card.get("classes"),  # `class_verdict` checks them
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
