"""The page of one run: its grids through training, curves, spikes and config."""

import dataclasses
import pathlib
import time
from typing import Any

from gallery.cards import card_blocks, read_cards
from gallery.charts import charts_of, metric_title, spike_marks
from gallery.class_sheets import class_sheets_in, newest_sheet
from gallery.explore_page import EXPLORER
from gallery.live import DATA_SCRIPT, LIVE_SCRIPT, Live, write_call, write_live
from gallery.made import made_in
from gallery.pages import script_hash, write_json, write_page, write_plotly
from gallery.scalars import Scalars
from gallery.thumbnails import (
    grid_name,
    picture_size,
    thumbnail_name,
    write_thumbnails,
)

SUMMARY = "summary.json"
REALS = "reals.png"
MAX_LEDGER_ROWS = 300
# In the order of the columns; other keys follow.
LEDGER_WORDS = {
    "iteration": "iteration",
    "network": "network",
    "recovered_after": "loss recovered after",
    "times_usual": "times the usual gradient",
    "skipped": "iteration skipped",
    "largest_finite": "largest gradient",
    "damped_to": "damped to",
    "usual": "usual gradient",
    "not_finite": "elements not finite",
    "above_knee": "share above the knee",
    "loss_before": "loss before",
    "loss": "loss at the spike",
}
SCRIPTS = (
    "standing.js",
    "viewer.js",
    "film.js",
    "classes.js",
    "charts.js",
    "live.js",
)


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A checkpoint in the list of a page.

    Attributes:
        iteration: iterations done.
        path: relative to the page's folder.
        num_bytes: its size on disk.
        is_best: whether it is the best by the page's metric.
        is_milestone: whether it is kept permanently.
    """

    iteration: int
    path: str
    num_bytes: int
    is_best: bool = False
    is_milestone: bool = False


@dataclasses.dataclass(frozen=True)
class RunPage:
    """Everything a page shows besides the pictures in its folder.

    Attributes:
        name: the run's name.
        iteration: iterations done; grids past it are not shown.
        total_iterations: iterations planned.
        scalars: those of all rows of scalars.jsonl.
        spikes: rows of spikes.jsonl; all their keys become columns.
        events: (iteration, text) of warnings and rollbacks, in order.
        config_text: the whole config, YAML.
        preset: path of the config file the run was started with, if known.
        differences: (key, in the preset, in this run); None if unknown.
        facts: (label, text): device, versions, duration, data, ...
        checkpoints: those on disk.
        metric: the scalar that decides which checkpoint is best; lower is better.
        columns: images per row of a grid.
        live: how the run stands, if known.
    """

    name: str
    iteration: int
    total_iterations: int
    scalars: Scalars
    spikes: list[dict[str, object]]
    events: list[tuple[int, str]]
    config_text: str
    preset: str | None
    differences: list[tuple[str, str, str]] | None
    facts: list[tuple[str, str]]
    checkpoints: list[Checkpoint]
    metric: str | None
    columns: int = 8
    live: Live | None = None


def write_run_page(folder: pathlib.Path, page: RunPage) -> pathlib.Path:
    """Writes index.html with its files into a run's folder.

    They are summary.json for the page of all runs, page-data.js for a page that is
    open, and the missing thumbnails.

    Each file is written all or nothing. Pictures and cards that cannot be read are
    left out and named on the page. `folder` is `samples/<run>`; files that all pages
    share go into its parent. Returns the path of index.html.

    Raises:
        OSError: If a file cannot be written.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    iterations, unreadable = write_thumbnails(folder, page.iteration)
    while iterations and picture_size(folder / grid_name(iterations[-1])) is None:
        # Damaged since its thumbnail was written.
        unreadable.append(grid_name(iterations.pop()))
    cards, unreadable_cards = read_cards(folder)
    blocks = card_blocks(cards)
    charts = charts_of(page.scalars)
    best = best_of(page.scalars, page.metric)
    updated = time.time()
    pictures = _pictures(folder, page, iterations)
    live = dataclasses.asdict(page.live) if page.live else None
    data = _read_by_scripts(page, iterations, charts) | {
        "rows": pictures["num_rows"],
        "sheets": pictures["sheet_data"],
        "plotly": "../" + write_plotly(folder.parent) if charts else None,
        "live": live,
        "written": updated,
    }
    write_call(folder / DATA_SCRIPT, "takeData", data)
    if page.live and not (folder / LIVE_SCRIPT).exists():
        write_live(folder, page.live)
    made, num_made = made_in(folder)
    index = write_page(
        folder / "index.html",
        "run.html",
        page=page,
        best=best,
        updated=updated,
        progress=progress_of(page.iteration, page.total_iterations),
        charts=charts,
        card_blocks=blocks,
        sheet_size=_sheet_size(folder, blocks),
        checkpoints=sorted(page.checkpoints, key=lambda c: c.iteration, reverse=True),
        made=made,
        num_made=num_made,
        unreadable=unreadable + unreadable_cards,
        scripts=SCRIPTS,
        script_hash=script_hash(*SCRIPTS),
        data=data,
        **pictures,
        **_ledger(page.spikes),
    )
    summary = _summary(page, iterations, best, updated)
    more = {"live": live, "image_size": pictures["image_size"]}
    write_json(folder / SUMMARY, summary | more)
    return index


def _read_by_scripts(
    page: RunPage, iterations: list[int], charts: list[dict[str, object]]
) -> dict[str, object]:
    """Returns what the page's scripts read, as far as it is in the run's rows."""
    return {
        "iterations": iterations,
        "columns": page.columns,
        "spikes": spike_marks(page.spikes),
        "charts": charts,
    }


def best_of(scalars: Scalars, metric: str | None) -> dict[str, object] | None:
    """Returns the lowest value of a metric so far, with its iteration and floor."""
    if metric is None or metric not in scalars.names:
        return None
    iterations, values = (one.tolist() for one in scalars.points(metric))
    value, iteration = min(zip(values, iterations, strict=True))
    floors = (one.tolist() for one in scalars.points(f"{metric}_floor"))
    return {
        "title": metric_title(metric),
        "metric": metric,
        "value": value,
        "iteration": iteration,
        "floor": dict(zip(*floors, strict=True)).get(iteration),
    }


def progress_of(iteration: int, total_iterations: int) -> float:
    """Returns the completed fraction of a run, in [0, 1]."""
    return min(1.0, iteration / total_iterations) if total_iterations > 0 else 0.0


def _sheet_size(
    folder: pathlib.Path, blocks: list[dict[str, Any]]
) -> tuple[int, int] | None:
    """Returns width and height of the sheet of neighbours that is shown, if any."""
    sheet = blocks[0]["cards"][0]["neighbours"] if blocks else None
    return picture_size(folder / sheet) if sheet else None


def _pictures(
    folder: pathlib.Path, page: RunPage, iterations: list[int]
) -> dict[str, object]:
    """Returns the template's values about pictures."""
    latest = grid_name(iterations[-1]) if iterations else None
    size = picture_size(folder / latest) if latest else None
    sheets = class_sheets_in(folder, page.iteration)
    return {
        "explorer": EXPLORER if (folder / EXPLORER).is_file() else None,
        "sheets": sheets,
        "sheet_data": dataclasses.asdict(sheets) if sheets else None,
        "newest_sheet": newest_sheet(folder, page.iteration),
        "latest": latest,
        "latest_iteration": iterations[-1] if iterations else None,
        "size": size,
        "image_size": size[0] // page.columns if size else None,
        # The images of a grid are square.
        "num_rows": max(1, round(size[1] * page.columns / size[0])) if size else 1,
        "num_grids": len(iterations),
        "reals": REALS,
        "reals_size": picture_size(folder / REALS),
    }


def _ledger(spikes: list[dict[str, object]]) -> dict[str, object]:
    """Returns the newest rows of the spike ledger, and their columns."""
    shown = spikes[: -MAX_LEDGER_ROWS - 1 : -1]
    keys = {"iteration": None} | {key: None for row in shown for key in row}
    known = [key for key in LEDGER_WORDS if key in keys]
    others = [key for key in keys if key not in LEDGER_WORDS]
    words = LEDGER_WORDS | {key: str(key).replace("_", " ") for key in others}
    return {
        "ledger": shown,
        "ledger_columns": [(key, words[key]) for key in known + others],
        "num_spikes": len(spikes),
        "num_open": sum(
            spike.get("recovered_after", 0) is None and "loss_before" in spike
            for spike in spikes
        ),
        "num_skipped": sum(bool(spike.get("skipped")) for spike in spikes),
    }


def _summary(
    page: RunPage,
    iterations: list[int],
    best: dict[str, object] | None,
    updated: float,
) -> dict[str, object]:
    """Returns what the page of all runs needs to know."""
    return {
        "name": page.name,
        "iteration": page.iteration,
        "total_iterations": page.total_iterations,
        "updated": updated,
        "grid": grid_name(iterations[-1]) if iterations else None,
        "thumbnail": thumbnail_name(iterations[-1]) if iterations else None,
        "num_grids": len(iterations),
        "num_spikes": len(page.spikes),
        "best": best,
    }
