"""The parts of a long run, as they are kept beside its page.

A long run may outlive the machine it began on: where its folder was lost, a second run
begins with weights of the first, and is the next part. A part's file holds what page
and curves need of it, so that they can be written anew when the run is gone.
"""

import dataclasses
import json
import pathlib
import statistics
from collections.abc import Iterable

from files.atomic import write_text
from records.best import is_kernel_distance
from records.page import events_of, spikes_of
from records.rows import EVENTS, SCALARS, SPIKES, Row, read_rows
from records.run_folder import RunFolder
from records.sessions import read_sessions
from settings.messages import Problem

LARGEST = ("gradient/discriminator_max", "gradient/generator_max")
MEDIAN = (
    "loss/discriminator",
    "loss/generator",
    "discriminator/real_sign",
    "augment/probability",
    *LARGEST,  # replaced by the largest
)
WIDTH = 500  # iterations that become one row
DIGITS = 6


@dataclasses.dataclass
class Part:
    """A run, first or later in a row; iterations count from the first one's beginning.

    Attributes:
        run: Its name.
        before: How many iterations its weights had been trained for.
        last_iteration: The last one it did.
        sessions: How often it was started.
        seconds: Of all sessions.
        devices: What it trained on.
        spikes: Of the ledger, as `records.page.spikes_of` returns them.
        events: Warnings and rollbacks, each as iteration and text.
        rows: A row for every 500 iterations, and each of metrics.
    """

    run: str
    before: int
    last_iteration: int
    sessions: int
    seconds: float
    devices: list[str]
    spikes: list[Row]
    events: list[tuple[int, str]]
    rows: list[Row] = dataclasses.field(default_factory=list)


def part_of(run: RunFolder, before: int) -> Part:
    """Reads a run; its iteration 1 is the part's `before` + 1.

    Raises:
        Problem: If it has not measured anything yet.
    """
    rows = read_rows(run.root / SCALARS)
    if not rows:
        raise Problem(f"{run.root / SCALARS}: nothing measured yet")
    spikes, events = (read_rows(run.root / name) for name in (SPIKES, EVENTS))
    sessions = read_sessions(run.sessions)
    return Part(
        run=run.root.name,
        before=before,
        last_iteration=before + rows[-1]["iteration"],
        sessions=len(sessions),
        seconds=sum(one["seconds"] for one in sessions),
        devices=list(dict.fromkeys(one["device"] for one in sessions)),
        spikes=[moved(row, before) for row in spikes_of(spikes)],
        events=[(before + at, text) for at, text in events_of(events)],
        rows=[moved(row, before) for row in thinned(rows)],
    )


def moved(row: Row, before: int) -> Row:
    """Returns a row with its iteration counted from the first part's beginning."""
    return row | {"iteration": row["iteration"] + before}


def thinned(rows: Iterable[Row]) -> list[Row]:
    """Returns a row for every 500 iterations: medians, and the largest gradients.

    Rows of metrics stay as they are.
    """
    groups: dict[int, list[Row]] = {}
    result = []
    for row in rows:
        if any(key.startswith("metric/") for key in row):
            result.append(row)
            continue
        groups.setdefault(-(-row["iteration"] // WIDTH) * WIDTH, []).append(row)
    for end, group in groups.items():
        merged: Row = {"iteration": min(end, group[-1]["iteration"])}
        for key in MEDIAN:
            if values := [row[key] for row in group if key in row]:
                value = max(values) if key in LARGEST else statistics.median(values)
                merged[key] = float(f"{value:.{DIGITS}g}")
        result.append(merged)
    return sorted(result, key=lambda row: row["iteration"])


def write_part(part: Part, folder: pathlib.Path) -> None:
    """Writes a part's file: what it is, then its rows, a line each.

    Raises:
        Problem: If that part was another run, or that run another part.
    """
    path = folder / f"part-{part.before:07d}.jsonl"
    for other in folder.glob("part-*.jsonl"):
        if other != path and read_part(other).run == part.run:
            raise Problem(
                f"--before {part.before}: {other} is of {part.run} already\n"
                f"  expected: --before {read_part(other).before}, as the last time"
            )
    if path.exists() and (there := read_part(path).run) != part.run:
        raise Problem(
            f"{path} is of {there}, not {part.run}; a run that began with the weights "
            "of another needs --before: how many iterations those had been trained for"
        )
    head = dataclasses.asdict(part)
    lines = [head, *head.pop("rows")]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    write_text(path, text)


def read_part(path: pathlib.Path) -> Part:
    """Reads a part's file."""
    head, *rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return Part(**head, rows=rows)


def read_parts(folder: pathlib.Path) -> list[Part]:
    """Reads all parts in order, without what a later part did anew."""
    parts = [read_part(path) for path in sorted(folder.glob("part-*.jsonl"))]
    for part, later in zip(parts, parts[1:], strict=False):
        end = later.before
        part.rows = [row for row in part.rows if row["iteration"] <= end]
        part.spikes = [row for row in part.spikes if row["iteration"] <= end]
        part.events = [(at, text) for at, text in part.events if at <= end]
    return parts


def metric_names(rows: list[Row]) -> dict[str, str]:
    """Returns the scalars of the run's kernel ("kd") and Frechet distance ("fd")."""
    found = [key for row in rows for key in row if is_kernel_distance(key)]
    if not found:
        return {}
    kernel = found[-1]
    return {"kd": kernel, "fd": kernel.replace("/kd_", "/fd_").replace("/kid", "/fid")}
