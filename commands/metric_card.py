"""Writes a metric card, as JSON and in Markdown: metrics, and how to reproduce them."""

import json
import pathlib
from typing import Any

from PIL import Image

from commands.chosen import Chosen
from commands.evaluate_options import EvaluateOptions, usual_per_class
from files.atomic import write_text
from gallery.cards import class_verdict, verdict
from gallery.grids import write_png
from records.longer_average import with_average
from settings.messages import Problem, say

Card = dict[str, Any]

HIGHER_IS_BETTER = ("precision", "recall", "density", "coverage", "accuracy")
LOWER_IS_BETTER = ("fd", "kd", "fid", "kid", "class_kd")
LISTED = 15  # classes at each end of a long table


def stem_of(options: EvaluateOptions, chosen: Chosen) -> str:
    """Returns a card's file name stem, which distinguishes it from the run's others."""
    stem = f"{chosen.iteration:07d}-{options.extractor}-{options.num_images}"
    stem += "-average" if chosen.average else ""
    stem += "-legacy" if options.resize == "legacy" else ""
    if options.per_class != usual_per_class(chosen):
        stem += f"-classes{options.per_class}"
    return stem + (f"-seed{options.seed}" if options.seed else "")


def write_card(card: Card, sheet: Image.Image, stem: str, out: pathlib.Path) -> None:
    """Writes a card and its sheet, whose file names it adds to the card.

    Raises:
        Problem: If they cannot be written.
    """
    card["neighbours"] = f"neighbours-{stem}.png"
    card["markdown"] = f"card-{stem}.md"
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_png(sheet, out / card["neighbours"])
        write_text(out / card["markdown"], card_markdown(card))
        write_text(out / f"card-{stem}.json", json.dumps(card, indent=2) + "\n")
    except OSError as error:
        raise Problem(f"{out}: could not be written ({error})") from error
    for name in (card["markdown"], f"card-{stem}.json", card["neighbours"]):
        say(f"wrote {out / name}")


def metrics_table(card: Card, whose: str | None = None) -> str:
    """Returns a table of a card's metrics, each beside its floor if it has one."""
    whose = whose or with_average(
        f"{card['run']} at {card['iteration']:,}", card["average"]
    )
    lines = [f"| metric | {whose} | floor | better |", "|---|---|---|---|"]
    for name, value in card["metrics"].items():
        floor = card["floor"].get(name)
        shown = "" if floor is None else f"{floor:.4g}"
        lines.append(f"| {name} | {value:.4g} | {shown} | {better(name)} |")
    return "\n".join(lines)


def better(name: str) -> str:
    """Returns "higher" or "lower", whichever is better; "" if neither is."""
    if name.startswith(HIGHER_IS_BETTER):
        return "higher"
    is_distance = name.startswith(LOWER_IS_BETTER)
    return "lower" if is_distance and not name.endswith("_sd") else ""


def card_markdown(card: Card) -> str:
    """Returns a card as a Markdown page."""
    extractor = card["extractor"]
    apart = ("metrics", "floor", "classes")
    rest = {key: card[key] for key in card if key not in apart}
    words = f"{card['run']} at {card['iteration']:,} iterations"
    return f"""\
# {with_average(words, card["average"])}, measured with {extractor["name"]}

{verdict(card["metrics"], card["floor"])}

{metrics_table(card)}

{card["num_fake"]:,} pictures against all {card["num_real"]:,} photographs of the run, \
which it was trained on.
The floor is what {card["num_floor"]:,} of the photographs score against the other \
{card["num_floor_against"]:,}.
Kernel distances are means over {card["num_subsets"]} subsets of \
{card["subset_size"]:,}; `_sd` is their standard
deviation, no error bar. `nearest` is the distance of a picture's features to those of
the nearest photograph: where it lies far below the floor's median, pictures are copies.
`{card["neighbours"]}` shows each picture with its nearest photograph to the
right of it: above the pictures nearest to any photograph, below the first ones.

{fame(extractor["name"])}
{classes_markdown(card)}
```json
{json.dumps(rest, indent=2)}
```
"""


def fame(extractor: str) -> str:
    """Returns a sentence on what the distances may be compared with."""
    if extractor == "inception-fid":
        return (
            "These are FID and KID only once this build of the network has been "
            "compared with the original graph, which nobody has done yet; and those of "
            "papers compare with them only at the same counts, photographs and resize."
        )
    return (
        "These are not FID or KID, whose network is another: they compare runs "
        "measured in the same way."
    )


def classes_markdown(card: Card) -> str:
    """Returns what a card says of each class; "" if nothing."""
    classes = card.get("classes")
    if classes is None:
        return ""
    few = classes["too_few_photographs"]
    without = f"\nClasses with fewer are not measured: {len(few)}." if few else ""
    return f"""
## Classes

{class_verdict(card)}

{classes_table(classes["of"])}

{classes["images_of_each"]} pictures of each class with \
{classes["least_photographs"]} photographs or more.{without} Beside each number, what \
photographs score:
kernel distance beside what random halves of the class's photographs differ by (root
mean square); recognized: the share that a probe takes for the class, beside that of
photographs the probe was not fitted to. Where pictures are recognized more often than
photographs, they are no better, but plainer, or near to photographs that a probe was
fitted to. Diversity is the mean distance of two pictures of the class over that of two
photographs. The worst of many classes are partly the unluckiest. The probes: \
logistic regression in {classes["probe_folds"]} folds with a
penalty of {classes["probe_penalty"]}, chosen by photographs alone.
"""


def classes_table(rows: list[dict[str, Any]]) -> str:
    """Returns a table of classes, the farthest from their photographs first."""
    ordered = sorted(rows, key=lambda row: -row["kd"])
    lines = [
        "| class | photographs | kernel distance | floor | recognized | photographs "
        "recognized | diversity |",
        "|---|---|---|---|---|---|---|",
    ]
    for place, row in enumerate(ordered):
        is_listed = min(place, len(ordered) - 1 - place) < LISTED
        if is_listed:
            name = row["name"].replace("|", "\\|")
            diversity = f"{row['diversity']:.2f}" if "diversity" in row else ""
            lines.append(
                f"| {name} | {row['num_photographs']} | {row['kd']:.3g} "
                f"| {row['kd_floor']:.2g} | {row['accuracy']:.0%} "
                f"| {row['accuracy_floor']:.0%} | {diversity} |"
            )
        elif place == LISTED:
            others = len(ordered) - 2 * LISTED
            lines.append(f"| ... {others} others, in the JSON file | | | | | | |")
    return "\n".join(lines)
