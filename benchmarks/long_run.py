"""Writes what a long run has given: python -m benchmarks.long_run RUN.

The grids at round iterations as WebP, the curves, and tables of the metrics, of the
spikes and of the sessions, between two markers of docs/flowers-140k.md; the rest of the
page is kept. Needs matplotlib (requirements-bench.txt).
"""

import argparse
import collections
import json
import pathlib
import re
import statistics
import sys

from PIL import Image

from benchmarks.results_page import markers_of, write_between
from commands.exit_status import exit_status
from files.atomic import write_text, written_aside
from records.best import is_kernel_distance
from records.page import duration_text, events_of, spikes_of
from records.rows import EVENTS, SCALARS, SPIKES, Row, read_rows
from records.run_folder import RunFolder
from records.sessions import read_sessions
from settings.messages import Problem, say

MARKERS = markers_of("python -m benchmarks.long_run")
SHOWN = (1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000, 140_000)  # grids
QUALITY = 82  # of their WebP
CARDS = "card-*-mobilenetv2-5000.json"  # those of one kind
OF_CARDS = ("precision", "recall", "density", "coverage", "nearest_median")
PERIOD = 5000  # iterations, a line of the table each
CURVES = {  # panels of the picture: title, and which scalars
    "kernel distance": ("kd",),
    "Frechet distance": ("fd",),
    "losses": ("loss/discriminator", "loss/generator"),
    "sign of D(real)": ("discriminator/real_sign",),
    "augmentation: probability": ("augment/probability",),
    "largest gradient": ("gradient/discriminator_max", "gradient/generator_max"),
}


def metric_names(rows: list[Row]) -> dict[str, str]:
    """Returns the scalars of the run's kernel ("kd") and Frechet distance ("fd")."""
    found = [key for row in rows for key in row if is_kernel_distance(key)]
    if not found:
        return {}
    kernel = found[-1]
    return {"kd": kernel, "fd": kernel.replace("/kd_", "/fd_").replace("/kid", "/fid")}


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
        return ["No spike, warning or rollback."]
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


def session_lines(sessions: list[dict]) -> list[str]:
    """Returns how often the run was stopped, and how long it trained on what."""
    seconds = sum(one["seconds"] for one in sessions)
    done = sessions[-1]["last_iteration"] if sessions else 0
    named = [re.sub(r"\b1 cores$", "1 core", one["device"]) for one in sessions]
    devices = "; ".join(dict.fromkeys(named))
    return [
        f"{done:,} iterations in {len(sessions)} sessions, {duration_text(seconds)} of "
        f"training with all grids, measurements and starts ({devices})."
    ]


def write_grids(run: RunFolder, folder: pathlib.Path) -> list[str]:
    """Writes the grids of round iterations as WebP; returns lines that show them."""
    lines = []
    for iteration in SHOWN:
        source = run.samples / f"grid-{iteration:07d}.png"
        target = folder / f"grid-{iteration:07d}.webp"
        if source.exists() and not target.exists():
            write_webp(source, target)
        if target.exists():
            words = f"grid at {iteration:,}"
            lines += [f"After {iteration:,} iterations:", ""]
            lines += [f"![{words}]({folder.name}/{target.name})", ""]
    return lines


def write_cards(run: RunFolder, folder: pathlib.Path) -> list[str]:
    """Copies the run's metric cards, without commands; returns a table of all copies.

    Of the last card, the sheet of nearest photographs is there too, as WebP.
    """
    for path in run.samples.glob(CARDS):
        card = json.loads(path.read_text(encoding="utf-8"))
        card.pop("command", None)  # it names folders of this machine
        write_text(folder / path.name, json.dumps(card, indent=2) + "\n")
        sheet = run.samples / card["neighbours"]
        if sheet.exists():
            write_webp(sheet, folder / sheet_name(card["iteration"]))
    copies = [json.loads(path.read_bytes()) for path in sorted(folder.glob(CARDS))]
    if not copies:
        return []
    lines = [
        "| iteration | precision | recall | density | coverage | nearest photograph |",
        "|---|---|---|---|---|---|",
        *map(card_line, copies),
        "",
        "In brackets the floor of photographs. The last column is the median of the",
        "distances to the nearest photograph.",
        "",
    ]
    last = copies[-1]["iteration"]
    for path in folder.glob("neighbours-*.webp"):
        if path.name != sheet_name(last):
            path.unlink()
    if (folder / sheet_name(last)).exists():
        words = f"samples at {last:,} and their nearest photographs"
        lines += [f"![{words}]({folder.name}/{sheet_name(last)})", ""]
    return lines


def sheet_name(iteration: int) -> str:
    """Returns the file name of a sheet of nearest photographs."""
    return f"neighbours-{iteration:07d}.webp"


def card_line(card: dict) -> str:
    """Returns a card as a line of the table, each number with its floor."""
    cells = [f"{card['iteration']:,}"]
    for key in OF_CARDS:
        name = f"{key}_{card['extractor']['name']}"
        cells.append(f"{card['metrics'][name]:.3g} ({card['floor'][name]:.3g})")
    return f"| {' | '.join(cells)} |"


def write_webp(source: pathlib.Path, target: pathlib.Path) -> None:
    """Writes a PNG anew as WebP."""
    with Image.open(source) as picture, written_aside(target) as aside:
        picture.save(aside, "WEBP", quality=QUALITY, method=6)


def draw(rows: list[Row], names: dict[str, str], path: pathlib.Path) -> None:
    """Draws the curves, faint as they are and strong as medians."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, 3, figsize=(12, 6))
    for axis, (title, keys) in zip(axes.flat, CURVES.items(), strict=True):
        for key in (names.get(key, key) for key in keys):
            found = [(row["iteration"], row[key]) for row in rows if key in row]
            if not found:
                continue
            x, y = zip(*found, strict=True)
            is_metric = key in names.values()
            label = key.rpartition("/")[2]
            if is_metric:
                axis.plot(x, y, marker="o", ms=3, label=label)
                floor = [row[f"{key}_floor"] for row in rows if key in row]
                axis.plot(x, floor, "--", color="grey", lw=1, label="floor")
                continue
            (line,) = axis.plot(x, y, lw=0.4, alpha=0.35)
            width = max(1, len(y) // 60)
            middles = [
                (
                    statistics.median(x[at : at + width]),
                    statistics.median(y[at : at + width]),
                )
                for at in range(0, len(y), width)
            ]
            axis.plot(*zip(*middles, strict=True), color=line.get_color(), label=label)
        axis.set_title(title, fontsize=10)
        axis.set_xlim(left=0)
        axis.grid(alpha=0.3)
        if "gradient" in title:
            axis.set_yscale("log")
        else:
            axis.set_ylim(bottom=min(0, axis.get_ylim()[0]))
        if len(axis.lines) > 1:
            axis.legend(fontsize=7)
    figure.tight_layout()
    with written_aside(path) as aside:
        figure.savefig(aside, dpi=100, format="webp")
    pyplot.close(figure)


def write(name: str, page: pathlib.Path) -> None:
    """Writes the pictures beside the page, and the page's part between the markers."""
    run = RunFolder(name)
    rows = read_rows(run.root / SCALARS)
    if not rows:
        raise Problem(f"{run.root / SCALARS}: nothing measured yet")
    names = metric_names(rows)
    folder = page.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    draw(rows, names, folder / "curves.webp")
    kept = [row for row in rows if names and names["kd"] in row]
    write_text(folder / "metrics.jsonl", "".join(json.dumps(r) + "\n" for r in kept))
    spikes, events = (read_rows(run.root / name) for name in (SPIKES, EVENTS))
    parts = [
        *session_lines(read_sessions(run.sessions)),
        "",
        *metric_lines(rows, names),
        "",
        f"![curves]({folder.name}/curves.webp)",
        "",
        *spike_lines(spikes_of(spikes), events_of(events)),
        "",
        *write_cards(run, folder),
        *write_grids(run, folder),
    ]
    write_between(page, "\n".join(parts).rstrip(), MARKERS)
    say(f"wrote {page} and {folder}")


def main() -> int:
    """Reads the command line and returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", metavar="RUN", help="its name")
    parser.add_argument(
        "--page", type=pathlib.Path, default=pathlib.Path("docs/flowers-140k.md")
    )
    options = parser.parse_args()
    return exit_status(lambda: write(options.run, options.page))


if __name__ == "__main__":
    sys.exit(main())
