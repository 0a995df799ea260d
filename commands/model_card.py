"""Writes a weights file with its model card, which says what the weights are.

Sections as in Model Cards for Model Reporting (arXiv:1810.03993), with the header that
Hugging Face reads.
"""

import hashlib
import pathlib
from typing import Any

import yaml

from commands.chosen import Chosen
from commands.metric_card import better
from files.atomic import write_text
from gallery.cards import read_cards
from records.run_folder import read_origin
from records.sessions import read_sessions
from records.weights import Weights, public_config, write_weights
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


def write_release(chosen: Chosen, out: pathlib.Path) -> None:
    """Writes the weights file, and the card beside it; prints their paths.

    Raises:
        Problem: If what was chosen is a weights file already, or nothing can be
            written.
    """
    if chosen.file is not None:
        raise Problem(
            f"{chosen.file}: is a weights file already\n"
            "  expected: a run; to pass this file on, copy it with its card"
        )
    origin = read_origin(chosen.run)
    weights = Weights(
        run=chosen.run.name,
        iteration=chosen.iteration,
        config=chosen.config,
        data_fingerprint=chosen.data_fingerprint,
        num_images=origin["num_images"],
        checkpoint_sha256=chosen.sha256,
        arrays=chosen.arrays,
    )
    write_weights(out, weights)
    card = out.with_suffix(".md")
    try:
        write_text(card, model_card(chosen, weights, out))
    except OSError as error:
        raise Problem(f"{card}: could not be written ({error})") from error
    say(f"wrote {out} ({out.stat().st_size / 1e6:.1f} MB)\nwrote {card}")


def model_card(chosen: Chosen, weights: Weights, out: pathlib.Path) -> str:
    """Returns the card as Markdown."""
    config = public_config(weights.config)
    licence, words = licence_of(config)
    size, counts = config.data.image_size, parameters(weights)
    images = weights.iteration * config.training.batch_size
    sessions = read_sessions(chosen.run.sessions)
    hours = sum(session["seconds"] for session in sessions) / 3600
    devices = list(dict.fromkeys(str(session["device"]) for session in sessions))
    return f"""\
---
library_name: keras
license: {licence}
tags: [gan, unconditional-image-generation]
---

# {weights.run} at {weights.iteration:,} iterations

A pair of networks of Magnetosphere that makes images of {size} x {size} pixels from \
{config.model.latent_dim} random numbers:
the averaged generator ({counts["ema_generator"]:,} parameters) and the discriminator \
({counts["discriminator"]:,}).

## Use

    python generate.py {out.name} --kind grid
    python train.py --config configs/YOURS.yaml --from {out.name}

The second command starts a run of your own from these weights, with fresh moments of
the optimizers. Weights are float16; training and the images use float32.

## Data and licence

{words}

{weights.num_images:,} photographs, fingerprint `{weights.data_fingerprint}`.

## Training

{weights.iteration:,} iterations with a batch of {config.training.batch_size}: \
{images:,} photographs shown, {hours:.1f} hours, on {", ".join(devices) or "-"}.

```yaml
{recipe_yaml(config)}```

## Metrics

{metrics_text(chosen)}

## Hashes

- SHA-256 of this file: `{hashlib.sha256(out.read_bytes()).hexdigest()}`
- of the arrays in the checkpoint it was made from: `{weights.checkpoint_sha256}`
"""


def licence_of(config: Config) -> tuple[str, str]:
    """Returns the short name of the photographs' licence, and what to know of it."""
    source = config.data.source
    return LICENCES.get(config.data.name if source == "tfds" else source, UNKNOWN)


def parameters(weights: Weights) -> dict[str, int]:
    """Returns how many numbers each network has, by its field."""
    counts: dict[str, int] = {}
    for name, array in weights.arrays.items():
        field = name.split("/")[0]
        counts[field] = counts.get(field, 0) + array.size
    return counts


def recipe_yaml(config: Config) -> str:
    """Returns the keys that are not at their defaults, as YAML."""
    values: dict[str, Any] = config.model_dump(mode="json", exclude_defaults=True)
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


def metrics_text(chosen: Chosen) -> str:
    """Returns tables of the metric cards of this checkpoint, or how to get one."""
    cards, _ = read_cards(chosen.run.samples)
    tables = [
        table(card)
        for card in cards
        if card["iteration"] == chosen.iteration and card["metrics"]
    ]
    if not tables:
        return "Not measured: `python evaluate.py FILE` does it, given the photographs."
    return "\n\n".join(tables)


def table(card: dict[str, Any]) -> str:
    """Returns a metric card as a table, with the photographs' own scores."""
    head = (
        f"{card['extractor']}, {card['num_fake']:,} images against "
        f"{card['num_real']:,} photographs:"
    )
    lines = ["| metric | these weights | floor | better |", "|---|---|---|---|"]
    for name, value in card["metrics"].items():
        floor = card["floor"].get(name)
        shown = "" if floor is None else f"{floor:.4g}"
        lines.append(f"| {name} | {value:.4g} | {shown} | {better(name)} |")
    return head + "\n\n" + "\n".join(lines)
