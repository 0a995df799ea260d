"""The page of all runs: the latest grid, the best metric and the progress of each."""

import json
import pathlib
import re
import time
from typing import Any

from gallery.curves import is_finite, whole_number
from gallery.live import FINISHED, STOPPED, TRAINING, live_of
from gallery.pages import script_hash, write_page
from gallery.run_page import SUMMARY, progress_of

# The latest time that a datetime can hold: the end of the year 9999, UTC.
LAST_SECOND = 253_402_300_799
A_DAY_SECONDS = 86_400
MOST_SHOWN = 12  # the runs beyond are folded away
MOVED_ASIDE = re.compile(r".+\.before-\d{8}-\d{6}(-\d+)?")
SCRIPTS = ("standing.js", "runs.js")
THUMBNAIL = re.compile(r"thumbnails/grid-\d{7,}\.webp")


def write_runs_page(folder: pathlib.Path) -> pathlib.Path:
    """Writes index.html: all runs with a summary.json; all or nothing.

    Those in training come first, then the newest; those that `--fresh` moved aside, and
    those beyond `MOST_SHOWN`, are folded away. `folder` is `samples`, where
    each run has a folder. The page names the runs whose summary cannot be read. Returns
    its path.

    Raises:
        OSError: If the page cannot be written.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    runs, unreadable = [], []
    for path in sorted(folder.glob(f"*/{SUMMARY}")):
        run = _read_summary(path)
        if run is None:
            unreadable.append(path.parent.name)
        else:
            runs.append(run)
    runs.sort(key=_order, reverse=True)
    shown = [run for run in runs if not MOVED_ASIDE.fullmatch(run["name"])][:MOST_SHOWN]
    return write_page(
        folder / "index.html",
        "runs.html",
        runs=shown,
        older=[run for run in runs if run not in shown],
        num_runs=len(runs),
        most_shown=MOST_SHOWN,
        unreadable=unreadable,
        scripts=SCRIPTS,
        script_hash=script_hash(*SCRIPTS),
    )


def _order(run: dict[str, Any]) -> tuple[bool, float]:
    """Returns what runs are sorted by, ascending."""
    is_recent = time.time() - run["seen"] < A_DAY_SECONDS  # else it was killed
    return run["state"] == TRAINING and is_recent, run["updated"]


def _read_summary(path: pathlib.Path) -> dict[str, Any] | None:
    """Returns what the page shows of one run, None if the summary cannot be read.

    A summary may come from another version or have been edited by hand: each value is
    used only if it has the right type.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    numbers = ("iteration", "total_iterations", "updated")
    if not all(is_finite(found.get(key)) for key in numbers):
        return None
    if not 0 <= found["updated"] <= LAST_SECOND:
        return None
    iteration, total = int(found["iteration"]), int(found["total_iterations"])
    live = live_of(found.get("live"))
    seen = live.seen if live else 0.0
    older_state = FINISHED if iteration >= total else STOPPED
    return {
        "state": live.state if live else older_state,
        "seen": seen if 0 <= seen <= LAST_SECOND else 0.0,
        "image_size": whole_number(found.get("image_size")),
        # The folder's name, because the folder may have been renamed since.
        "name": path.parent.name,
        "iteration": iteration,
        "total_iterations": total,
        "progress": progress_of(iteration, total),
        "updated": found["updated"],
        "thumbnail": _thumbnail(path.parent, found.get("thumbnail")),
        "num_spikes": whole_number(found.get("num_spikes")) or 0,
        "best": _best(found.get("best")),
    }


def _thumbnail(folder: pathlib.Path, name: object) -> str | None:
    if not isinstance(name, str) or not THUMBNAIL.fullmatch(name):
        return None
    return name if (folder / name).is_file() else None


def _best(best: object) -> dict[str, Any] | None:
    if not isinstance(best, dict) or not isinstance(best.get("metric"), str):
        return None
    if not all(is_finite(best.get(key)) for key in ("value", "iteration")):
        return None
    title, floor = best.get("title"), best.get("floor")
    return {
        "title": title if isinstance(title, str) else best["metric"],
        "metric": best["metric"],
        "value": best["value"],
        "iteration": int(best["iteration"]),
        "floor": floor if is_finite(floor) else None,
    }
