"""The tables and sentences of a long run's page."""

import collections
import re
import statistics

from benchmarks.long_run.parts import Part
from records.longer_average import with_average
from records.page import duration_text
from records.rows import Row

OF_CARDS = ("kd", "fd", "precision", "recall", "density", "coverage", "nearest_median")
PERIOD = 5000  # iterations, a line of the table each


def part_lines(parts: list[Part]) -> list[str]:
    """Returns how far each part went, how often it was stopped, how long it took."""
    lines = []
    for part in parts:
        done = part.last_iteration - part.before
        named = [re.sub(r"\b1 cores$", "1 core", device) for device in part.devices]
        begin = f"from iteration {part.before:,} on" if part.before else "from nothing"
        plural = "" if part.sessions == 1 else "s"
        lines.append(
            f"- `{part.run}`, {begin}: {done:,} iterations in {part.sessions} "
            f"session{plural}, {duration_text(part.seconds)} of training with all "
            f"grids, measurements and starts ({'; '.join(named)})."
        )
    return lines


def metric_lines(rows: list[Row], names: dict[str, str]) -> list[str]:
    """Returns the table of metrics, with medians of the iterations before each."""
    if not names:
        return ["No measurement yet."]
    lines = [
        "| iteration | kd (floor) | fd (floor) | sign of D(real) | augmentation | "
        "largest gradient of D, of G |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        if names["kd"] not in row:
            continue
        at = row["iteration"]
        before = [one for one in rows if at - PERIOD < one["iteration"] <= at]
        distances = [
            f"{row[names[key]]:.{digits}f} ({row[names[key] + '_floor']:.{digits}f})"
            for key, digits in (("kd", 3), ("fd", 1))
        ]
        usual = [
            f"{median(before, key):.2f}"
            for key in ("discriminator/real_sign", "augment/probability")
        ]
        largest = [
            f"{most(before, f'gradient/{network}_max'):.2g}"
            for network in ("discriminator", "generator")
        ]
        cells = [f"{at:,}", *distances, *usual, ", ".join(largest)]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def median(rows: list[Row], key: str) -> float:
    """Returns the median of a scalar, nan without any."""
    values = [row[key] for row in rows if key in row]
    return statistics.median(values) if values else float("nan")


def most(rows: list[Row], key: str) -> float:
    """Returns the largest of a scalar, nan without any."""
    return max((row[key] for row in rows if key in row), default=float("nan"))


def spike_lines(spikes: list[Row], events: list[tuple[int, str]]) -> list[str]:
    """Returns what the ledger holds, counted by 10,000 iterations and network."""
    if not spikes and not events:
        return ["No spike, warning or rollback in the parts above."]
    counts: dict[tuple[int, str], list[Row]] = collections.defaultdict(list)
    for spike in spikes:
        counts[spike["iteration"] // 10_000, spike["network"]].append(spike)
    lines = ["| iterations | network | spikes | recovered | skipped |"]
    lines.append("|---|---|---|---|---|")
    for (part, network), own in sorted(counts.items()):
        recovered = sum(one["recovered_after"] is not None for one in own)
        skipped = sum(bool(one["skipped"]) for one in own)
        span = f"{part * 10_000:,} to {(part + 1) * 10_000:,}"
        lines.append(f"| {span} | {network} | {len(own)} | {recovered} | {skipped} |")
    return [*lines, "", *(f"- {at:,}: {text}" for at, text in events)]


def card_lines(cards: list[dict]) -> list[str]:
    """Returns the table of metric cards, each number with its floor."""
    lines = [
        "| iteration | kd | fd | precision | recall | density | coverage | nearest |",
        "|---|---|---|---|---|---|---|---|",
    ]
    averages = dict.fromkeys(
        f"- {card['iteration']:,}: {card['average']}"
        for card in cards
        if card.get("average")
    )
    for card in cards:
        seed = f", seed {card['seed']}" if card["seed"] else ""
        words = with_average(f"{card['iteration']:,}", card.get("average", ""))
        cells = [words + seed]
        for key in OF_CARDS:
            name = f"{key}_{card['extractor']['name']}"
            found, floor = shown(card["metrics"][name]), shown(card["floor"][name])
            cells.append(f"{found} ({floor})")
        lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "",
        "In brackets the floor of photographs. The last column is the median of the",
        "distances to the nearest photograph. Latents are of seed 0 if none is named.",
        "",
    ]
    if averages:
        told = "Longer averages, in iterations of the part they were made of:"
        lines += [told, "", *averages, ""]
    return lines


def shown(number: float) -> str:
    """Formats a metric, to a thousandth at most."""
    return f"{round(number, 3) + 0.0:.3g}"  # not -0
