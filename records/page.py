"""Writes the pages of a run with gallery/, from the files that the run keeps."""

import dataclasses
import os
import pathlib
from typing import Any

from files.counted import counted
from gallery.live import FINISHED, STOPPED, TRAINING, Live, write_live
from gallery.run_page import Checkpoint, RunPage, write_run_page
from gallery.runs_page import write_runs_page
from records.best import best_iterations, deciding_metric, values_of
from records.checkpoint import checkpoint_path
from records.live import command_of, last_live
from records.longer_average import with_average
from records.origin import Origin, read_origin
from records.retention import GOOD_CHECKPOINT
from records.rows import EVENTS, ROLLBACKS, Row, read_rows
from records.run_folder import SAMPLES, RunFolder
from records.scalars import scalars_of, spike_rows_of
from records.sessions import read_sessions
from settings.complaints import ConfigError
from settings.config import Config
from settings.config_file import load_config, load_stored_config
from settings.continuing import one_line

SECONDS_PER_MINUTE = 60
MINUTES_PER_HOUR = 60


def write_pages(run: RunFolder, live: Live | None = None) -> pathlib.Path:
    """Writes the page of a run and the page of all runs; returns the path of the first.

    Args:
        run: The run.
        live: How it stands; None leaves what the page said before.

    Raises:
        Problem: If the run's own files are missing or damaged.
        OSError: If a page cannot be written.
    """
    config, origin = load_stored_config(run.config), read_origin(run)
    sessions = read_sessions(run.sessions)
    scalars = scalars_of(run)
    metric = deciding_metric(config.metrics, scalars.decisive)
    values = values_of(metric, scalars.decisive)
    run.samples.mkdir(parents=True, exist_ok=True)
    last = sessions[-1] if sessions else {}
    newest = max(run.iterations(), default=0)  # for runs of older versions
    page = RunPage(
        name=run.name,
        iteration=last.get("last_iteration", newest),
        total_iterations=config.training.total_iterations,
        scalars=scalars.drawn,
        spikes=spikes_of(spike_rows_of(run)),
        events=events_of(read_rows(run.root / EVENTS)),
        config_text=run.config.read_text(encoding="utf-8"),
        preset=last.get("preset"),
        differences=last.get("differences"),
        facts=facts(config, origin, sessions),
        checkpoints=checkpoints(config, run, values),
        metric=metric if values else None,
        live=standing(run, config, last, live or last_live(run)),
    )
    path = write_run_page(run.samples, page)
    write_runs_page(SAMPLES)
    return path


def standing(
    run: RunFolder, config: Config, session: dict[str, Any], live: Live | None
) -> Live:
    """Returns how a run stands, with the command that continues it.

    A run that was moved aside has none, and nobody trains it.
    """
    is_moved = config.run.name != run.name
    if live is None:  # the page of an older version
        done = session.get("last_iteration", max(run.iterations(), default=0))
        total = config.training.total_iterations
        state = FINISHED if done >= total else STOPPED
        live = Live(state, done, total, seen=0.0)
    if is_moved:
        live = dataclasses.replace(
            live, state=STOPPED if live.state == TRAINING else live.state, command=None
        )
        write_live(run.samples, live)
        return live
    is_unchanged = session.get("differences") == []
    command = command_of(run, session.get("preset"), is_unchanged)
    return dataclasses.replace(live, command=command)


def spikes_of(rows: list[Row]) -> list[Row]:
    """Returns the spikes of a ledger, each with when its loss recovered."""
    recovered = {
        (row["network"], row["recovered_from"]): row["after_iterations"]
        for row in rows
        if "recovered_from" in row
    }
    return [
        row | {"recovered_after": recovered.get((row["network"], row["iteration"]))}
        for row in rows
        if "recovered_from" not in row
    ]


def events_of(rows: list[Row]) -> list[tuple[int, str]]:
    """Returns the warnings and rollbacks of a run, each as iteration and text."""
    told = [row for row in rows if ROLLBACKS in row or "warning" in row]
    return [(row["iteration"], event_text(row)) for row in told]


def event_text(row: Row) -> str:
    """Describes a warning or a rollback in one line."""
    if ROLLBACKS in row:
        return (
            f"rolled back to here from {row['from_iteration']:,} (rollback "
            f"{row[ROLLBACKS]}), because {row['because']}"
        )
    good = row.get(GOOD_CHECKPOINT)
    kept = f"; checkpoint {good} is from before it" if good else ""
    return f"{row['warning']}{kept}"


def checkpoints(
    config: Config, run: RunFolder, values: dict[int, float]
) -> list[Checkpoint]:
    """Lists the checkpoints of a run, with paths relative to its page."""
    iterations = run.iterations()
    best = best_iterations(values, iterations, 1)
    listed = []
    for iteration in iterations:
        path = checkpoint_path(run.checkpoints, iteration)
        if not path.exists():
            continue  # deleted meanwhile by a run in training
        listed.append(
            Checkpoint(
                iteration=iteration,
                path=pathlib.PurePath(os.path.relpath(path, run.samples)).as_posix(),
                num_bytes=path.stat().st_size,
                is_best=iteration in best,
                is_milestone=not iteration % config.training.keep_every_iterations,
            )
        )
    return listed


def preset_differences(
    preset: str, config: Config
) -> list[tuple[str, str, str]] | None:
    """Returns key, value in the config file and value in the run wherever they differ.

    A key that the file leaves at `auto` does not count. None: the file is not a valid
    config without the command's --set.
    """
    try:
        written = load_config(preset)
    except ConfigError:
        return None
    there, here = flat(written.model_dump()), flat(config.model_dump())
    keys = [key for key in here | there if here.get(key) != there.get(key)]
    return [
        (key, one_line(there.get(key)), one_line(here.get(key)))
        for key in keys
        if there.get(key) != "auto"
    ]


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flattens nested mappings into one with dotted keys."""
    keys: dict[str, Any] = {}
    for key, value in values.items():
        inner = flat(value, f"{prefix}{key}.") if isinstance(value, dict) else None
        keys |= inner or {f"{prefix}{key}": value}
    return keys


def facts(
    config: Config, origin: Origin, sessions: list[dict[str, Any]]
) -> list[tuple[str, str]]:
    """Returns the facts that head the page of a run, as label and text."""
    last = sessions[-1] if sessions else origin.model_dump()
    seconds = sum(session["seconds"] for session in sessions)
    versions = last["versions"]
    source, size = config.data.source, config.data.image_size
    count = origin.num_images
    photographs = "images" if count is None else counted(count, "image")
    lines = [
        ("Time trained", duration_text(seconds)),
        ("Device", last["device"]),
        ("Computed in", f"{config.runtime.precision}, {config.runtime.compile}"),
        ("Photographs", f"{photographs} of {size} px, from {source}"),
        ("Batch", f"{config.training.batch_size} images"),
        ("Optimizer", config.optimizer.for_network("generator").name),
        ("Seed", str(config.run.seed)),
        ("Versions", ", ".join(f"{name} {versions[name]}" for name in versions)),
    ]
    if parent := origin.parent:
        words = f"{parent.run} at {parent.iteration}"
        lines.append(("Started from", with_average(words, parent.average)))
    return lines


def duration_text(seconds: float) -> str:
    """Formats a duration to the minute, or below one in seconds."""
    minutes = round(seconds / SECONDS_PER_MINUTE)
    if minutes < 1:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(minutes, MINUTES_PER_HOUR)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"
