"""Writes a weights file with its model card, which says what the weights are.

Sections as in Model Cards for Model Reporting (arXiv:1810.03993), with the header that
Hugging Face reads.
"""

import hashlib
import pathlib
import re
import shlex
from typing import Any

import yaml

from commands.chosen import Chosen
from commands.metric_card import metrics_table
from files.atomic import write_text, written_aside
from gallery.cards import read_cards
from gallery.curves import is_finite
from records.checkpoint import digest
from records.descriptions import read_descriptions
from records.longer_average import average_in_words, longer_average, with_average
from records.origin import ParentOfRun, read_origin
from records.scalars import scalars_of
from records.sessions import read_sessions
from records.weights import Weights, public_config, weights_bytes
from settings.config import Config
from settings.messages import Problem, say

RESEARCH_ONLY = "other"
# Of data.source, or of the TFDS data set: the licence's short name, and what to know.
LICENCES = {
    "oxford_flowers102": (
        RESEARCH_ONLY,
        "Oxford Flowers 102 (Nilsback and Zisserman, 2008), photographs of 102 "
        "species found on the\nweb. The photographers keep their rights, and the "
        "authors name no licence: use these\nweights for research, and ask before you "
        "sell what they make.",
    ),
    "drawn": ("mit", "Flowers that the program draws itself: no rights to respect."),
    "folder": (
        RESEARCH_ONLY,
        "A folder of photographs. **Before you publish this file, say here whose they "
        "are, and under\nwhich licence.**",
    ),
}
UNKNOWN = (
    RESEARCH_ONLY,
    "A data set of TensorFlow Datasets, whose catalogue names its licence. **Before "
    "you publish\nthis file, say here what it allows.**",
)
NOT_MEASURED = "Not measured: `python evaluate.py FILE` does it, given the photographs."


def write_release(
    chosen: Chosen, out: pathlib.Path, half_life: float | None = None
) -> None:
    """Writes the weights file, and the card beside it; prints their paths.

    With a half-life, in iterations, the generator is a longer average than the run's.

    Raises:
        Problem: If what was chosen is a weights file already, a card is there already,
            or nothing can be written.
    """
    if chosen.file is not None:
        raise Problem(
            f"{chosen.file}: is a weights file already\n"
            "  expected: a run; to pass this file on, copy it with its card"
        )
    card = out.with_name(out.name + ".md")
    if card.exists():
        raise Problem(
            f"{card}: there is a model card already\n"
            "  expected: none, as somebody may have completed it\n"
            "  move it away, or choose another --out"
        )
    origin = read_origin(chosen.run)
    arrays, sha256, average = chosen.arrays, chosen.sha256, ""
    if half_life is not None:
        averaged, used = longer_average(chosen.run, chosen.iteration, half_life)
        arrays = arrays | averaged
        sha256 = digest(arrays, chosen.iteration)
        average = average_in_words(used, half_life)
        say(f"averaging {average}")
    weights = Weights(
        run=chosen.run.name,
        iteration=chosen.iteration,
        config=chosen.config,
        parent=parent_text(origin.parent),
        data_fingerprint=chosen.data_fingerprint,
        num_images=origin.num_images or 0,
        checkpoint_sha256=sha256,
        arrays=arrays,
        average=average,
    )
    contents = weights_bytes(weights)
    text = model_card(chosen, weights, out.name, hashlib.sha256(contents).hexdigest())
    try:
        with written_aside(out) as aside:
            aside.write_bytes(contents)
        write_text(card, text)
    except OSError as error:
        raise Problem(f"{out}: could not be written ({error})") from error
    say(f"wrote {out} ({len(contents) / 1e6:.1f} MB)\nwrote {card}")


def parent_text(parent: ParentOfRun | None) -> str:
    """Returns in words what a run started from; "" if from nothing."""
    if not parent:
        return ""
    return with_average(
        f"{parent.run} at {parent.iteration:,} iterations", parent.average
    )


def model_card(chosen: Chosen, weights: Weights, name: str, sha256: str) -> str:
    """Returns the card of a weights file, of that name and hash, as Markdown."""
    config = public_config(weights.config)
    licence, words = licence_of(config, weights.parent)
    size, counts = config.data.image_size, parameters(weights)
    hours, devices = training_time(chosen)
    given = shlex.quote(name)
    kind = "class-conditional" if config.model.conditional else "unconditional"
    whose = "in float32" if weights.average else "in the checkpoint it was made from"
    count = (
        f"{weights.num_images:,} photographs" if weights.num_images else "Photographs"
    )
    return f"""\
---
library_name: keras
license: {licence}
tags: [gan, {kind}-image-generation]
---

# {weights.run} at {weights.iteration:,} iterations

A pair of networks of Magnetosphere that makes images of {size} x {size} pixels from \
{config.model.latent_dim} random numbers:
the averaged generator ({counts["ema_generator"]:,} parameters) and the discriminator \
({counts["discriminator"]:,}).

{average_text(weights)}## Use

    python generate.py {given} --kind grid
    python train.py --config configs/YOURS.yaml --from {given}

The second command starts a run of your own from these weights, with fresh moments of
the optimizers. The file holds float16, which is enough for images: they differ by a
level or two of 255.

## Data and licence

{words}

{count}, fingerprint `{weights.data_fingerprint}`.

{classes_text(config)}## Training

{weights.iteration:,} iterations with a batch of {config.training.batch_size}: \
{weights.iteration * config.training.batch_size:,} photographs shown to the \
discriminator, {hours:.1f} hours, on {"; ".join(devices) or "an unknown device"}.
Started from {weights.parent or "nothing"}. What is not at its default:

```yaml
{recipe_yaml(config)}```

## Metrics

{NOT_MEASURED if weights.average else metrics_text(chosen)}

## Hashes

- SHA-256 of this file: `{sha256}`
- of the arrays {whose}: `{weights.checkpoint_sha256}`
"""


def training_time(chosen: Chosen) -> tuple[float, list[str]]:
    """Returns the hours of training up to a checkpoint, and the devices."""
    seconds = 0.0
    devices: dict[str, None] = {}  # in order
    for session in read_sessions(chosen.run.sessions):
        first, last = session.get("first_iteration", 0), session["last_iteration"]
        numbers = (first, last, session["seconds"])
        if not all(map(is_finite, numbers)) or first >= chosen.iteration:
            continue
        share = (chosen.iteration - first) / (last - first) if last > first else 1
        seconds += session["seconds"] * min(share, 1)
        devices[str(session["device"])] = None
    return seconds / 3600, list(devices)


def licence_of(config: Config, parent: str) -> tuple[str, str]:
    """Returns the short name of the photographs' licence, and what to know of it.

    `parent` is what the run started from, in words, or "".
    """
    data = config.data
    name = re.split("[:/]", data.name)[0] if data.source == "tfds" else data.source
    licence, words = LICENCES.get(name, UNKNOWN)
    if not parent:
        return licence, words
    return RESEARCH_ONLY, (
        f"{words}\n\nTrained on from other weights ({parent}): the licence of their "
        "photographs holds too.\n**Before you publish this file, name them here.**"
    )


def average_text(weights: Weights) -> str:
    """Returns a paragraph about a longer average, "" if the run's own was taken."""
    if not weights.average:
        return ""
    return f"""\
The generator is a longer average than the run's own, of
{weights.average}.

"""


def parameters(weights: Weights) -> dict[str, int]:
    """Returns how many numbers each network has, by its field."""
    counts: dict[str, int] = {}
    for name, array in weights.arrays.items():
        field = name.split("/")[0]
        counts[field] = counts.get(field, 0) + array.size
    return counts


def classes_text(config: Config) -> str:
    """Returns a section about the classes, "" if the networks know none."""
    names = config.model.classes or []
    if not config.model.conditional:
        return ""
    return f"""\
## Classes

{len(names)}, to be named with `--class`: {", ".join(names)}.

"""


def recipe_yaml(config: Config) -> str:
    """Returns the keys that are not at their defaults, as YAML; no names of classes."""
    values: dict[str, Any] = config.model_dump(mode="json", exclude_defaults=True)
    values.get("model", {}).pop("classes", None)
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


def metrics_text(chosen: Chosen) -> str:
    """Returns tables of the metric cards of this checkpoint, or how to get one.

    Without a card, what was measured in training.
    """
    found, _ = read_cards(chosen.run.samples)
    cards = [
        card
        for card in found
        if card["checkpoint_sha256"] == chosen.sha256 and card["metrics"]
    ] or measured_in_training(chosen)
    if not cards:
        return NOT_MEASURED
    return "\n\n".join(map(titled_table, cards))


def measured_in_training(chosen: Chosen) -> list[dict[str, Any]]:
    """Returns what was measured at this iteration of training, as a metric card."""
    rows = scalars_of(chosen.run).decisive
    measured = {
        name.removeprefix("metric/"): value
        for row in rows
        if row["iteration"] == chosen.iteration
        for name, value in row.items()
        if name.startswith("metric/")
    }
    floor = {
        name.removesuffix("_floor"): value
        for name, value in measured.items()
        if name.endswith("_floor")
    }
    metrics = {name: measured[name] for name in floor if name in measured}
    try:
        settings = [
            one["settings"]
            for one in read_descriptions(chosen.run.metrics)
            if one["after_iteration"] < chosen.iteration
        ][-1]
        card = {key: settings[key] for key in ("num_fake", "num_real")}
        card |= {"extractor": settings["extractor"]["name"]}
    except (IndexError, KeyError, TypeError):  # a file that is only for display
        return []
    return [card | {"metrics": metrics, "floor": floor}] if metrics else []


def titled_table(card: dict[str, Any]) -> str:
    """Returns a metric card as a table, with the photographs' own scores."""
    fake, real = card["num_fake"], card["num_real"]
    head = f"{card['extractor']}, {fake} images against {real} photographs:"
    return f"{head}\n\n{metrics_table(card, 'these weights')}"
