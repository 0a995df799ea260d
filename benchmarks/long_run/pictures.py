"""The pictures of a long run's page: grids, nearest photographs, curves."""

import json
import pathlib
import statistics
from typing import Any, TypeAlias

from PIL import Image

from benchmarks.long_run.tables import card_lines
from files.atomic import write_text, written_aside
from records.longer_average import with_average
from records.rows import Row
from records.run_folder import SAMPLES, RunFolder

Card: TypeAlias = dict[str, Any]

SHOWN = (1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000, 140_000)  # grids
QUALITY = 82  # of their WebP
EXTRACTOR = "mobilenetv2"
CARDS = f"card-*-{EXTRACTOR}-5000*.json"  # those of one kind
OF_SAMPLES = ("precision", "recall", "coverage")  # what only cards have
CURVES = {  # panels of the picture: title, and which scalars
    "kernel distance": ("kd",),
    "Frechet distance": ("fd",),
    "precision": ("precision",),
    "recall": ("recall",),
    "coverage": ("coverage",),
    "losses": ("loss/discriminator", "loss/generator"),
    "sign of D(real)": ("discriminator/real_sign",),
    "augmentation: probability": ("augment/probability",),
    "largest gradient": ("gradient/discriminator_max", "gradient/generator_max"),
}


def write_grids(run: RunFolder, before: int, folder: pathlib.Path) -> list[str]:
    """Writes the grids of round iterations as WebP; returns lines that show them."""
    lines = []
    for iteration in SHOWN:
        source = run.samples / f"grid-{iteration - before:07d}.png"
        target = folder / f"grid-{iteration:07d}.webp"
        if source.exists():
            write_webp(source, target)
        if target.exists():
            words = f"grid at {iteration:,}"
            lines += [f"After {iteration:,} iterations:", ""]
            lines += [f"![{words}]({folder.name}/{target.name})", ""]
    return lines


def copy_cards(run: RunFolder, before: int, folder: pathlib.Path) -> dict[str, Card]:
    """Copies metric cards of the run and of weights files made of it, without commands.

    Returns all that are there now, also those of earlier times, by what follows "card-"
    in their names; copies the sheets of nearest photographs, too, as WebP.
    """
    for path in [*run.samples.glob(CARDS), *SAMPLES.glob(f"weights/*/{CARDS}")]:
        card = json.loads(path.read_text(encoding="utf-8"))
        if path.parent != run.samples and card["run"] != run.root.name:
            continue
        for key in ("command", "markdown"):  # of this machine
            card.pop(key, None)
        card["iteration"] += before
        sheet = path.with_name(card.pop("neighbours"))
        which = f"-{card['checkpoint_sha256'][:8]}" if card.get("average") else ""
        stem = f"{card['iteration']:07d}-{path.stem.split('-', 2)[2]}{which}"
        write_text(folder / f"card-{stem}.json", json.dumps(card, indent=2) + "\n")
        if sheet.exists():
            write_webp(sheet, folder / f"neighbours-{stem}.webp")
    return {
        path.stem.removeprefix("card-"): json.loads(path.read_bytes())
        for path in sorted(folder.glob(CARDS), key=lambda path: path.stem)
    }


def rows_of_cards(cards: dict[str, Card]) -> list[Row]:
    """Returns what cards of the run's own average say for the curves, with floors."""
    return [
        {
            "iteration": card["iteration"],
            **{key: card["metrics"][f"{key}_{EXTRACTOR}"] for key in OF_SAMPLES},
            **{
                f"{key}_floor": card["floor"][f"{key}_{EXTRACTOR}"]
                for key in OF_SAMPLES
            },
        }
        for card in cards.values()
        if not card.get("average") and not card["seed"]
    ]


def show_cards(cards: dict[str, Card], folder: pathlib.Path) -> list[str]:
    """Returns a table of all cards and sheets of nearest photographs.

    Those are of the last card of the run's own average and of each longer average;
    others are removed.
    """
    if not cards:
        return []
    usual = [stem for stem, card in cards.items() if not card["seed"]]
    own = [stem for stem in usual if not cards[stem].get("average")]
    longer = [stem for stem in usual if stem not in own]
    shown = {stem: f"neighbours-{stem}.webp" for stem in own[-1:] + longer}
    for path in folder.glob("neighbours-*.webp"):
        if path.name not in shown.values():
            path.unlink()
    lines = card_lines(list(cards.values()))
    for stem, name in shown.items():
        if (folder / name).exists():
            card = cards[stem]
            words = with_average(f"{card['iteration']:,}", card.get("average", ""))
            words = f"samples at {words}, and their nearest photographs"
            lines += [f"![{words}]({folder.name}/{name})", ""]
    return lines


def write_webp(source: pathlib.Path, target: pathlib.Path) -> None:
    """Writes a PNG anew as WebP."""
    with Image.open(source) as picture, written_aside(target) as aside:
        picture.save(aside, "WEBP", quality=QUALITY, method=6)


def draw(
    rows: list[Row], names: dict[str, str], begins: list[int], path: pathlib.Path
) -> None:
    """Draws the curves, faint as the rows are and strong as medians of some.

    `names` are the scalars that are metrics, with a floor, by their names in `CURVES`.
    Vertical lines stand where a part begins: `begins`, as iterations.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(3, 3, figsize=(12, 9))
    for axis, (title, keys) in zip(axes.flat, CURVES.items(), strict=True):
        for key in (names.get(key, key) for key in keys):
            draw_curve(axis, rows, key, key in names.values())
        for begin in begins:
            axis.axvline(begin, color="grey", lw=0.8, ls=":")
        axis.set_title(title, fontsize=10)
        axis.set_xlim(left=0)
        axis.xaxis.set_major_formatter(lambda x, _: f"{x / 1000:g}k")
        axis.grid(alpha=0.3)
        if "gradient" in title:
            axis.set_yscale("log")
        else:
            axis.set_ylim(bottom=min(0, axis.get_ylim()[0]))
        if len(axis.get_legend_handles_labels()[0]) > 1:
            axis.legend(fontsize=7)
    figure.tight_layout()
    with written_aside(path) as aside:
        figure.savefig(aside, dpi=100, format="webp")
    pyplot.close(figure)


def draw_curve(axis: Any, rows: list[Row], key: str, is_metric: bool) -> None:
    """Draws one scalar into a panel; a metric with its floor."""
    found = [(row["iteration"], row[key]) for row in rows if key in row]
    if not found:
        return
    x, y = zip(*found, strict=True)
    label = key.rpartition("/")[2]
    if is_metric:
        axis.plot(x, y, marker="o", ms=3, label=label)
        floor = [row[f"{key}_floor"] for row in rows if key in row]
        axis.plot(x, floor, "--", color="grey", lw=1, label="floor")
        return
    (line,) = axis.plot(x, y, lw=0.4, alpha=0.35)
    width = max(1, len(y) // 60)
    starts = range(0, len(y), width)
    middles = [
        [statistics.median(values[at : at + width]) for at in starts]
        for values in (x, y)
    ]
    axis.plot(*middles, color=line.get_color(), label=label)
