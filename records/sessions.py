"""Records how long a run has been trained, and on what: one entry per session.

A session is what one process did, from where it started or continued to where it
stopped. The entries are for display; no result of training depends on them.
"""

import importlib.metadata
import json
import pathlib
import platform
import time
from typing import Any

from files.atomic import write_text
from records.damage import copy_aside
from records.rows import is_finite_number
from records.run_folder import OLDER_SESSIONS
from settings.messages import say

KEYS = {"last_iteration", "seconds", "device", "versions"}
PACKAGES = ("tensorflow", "keras", "numpy")


class Sessions:
    """The sessions of a run; the last one is this process's own."""

    def __init__(
        self,
        path: pathlib.Path,
        iteration: int,
        device: str,
        preset: str,
        differences: list[tuple[str, str, str]] | None,
        replicas: int = 1,
    ) -> None:
        """Begins a session, with `iteration` iterations done before.

        `preset` is the config file that the command named; `differences` are key, value
        there and value in the run of all that differ; None if the file alone is no
        config; `replicas` is how many shared a batch.
        """
        self._path = path
        self._began = time.monotonic()
        self._entry: dict[str, Any] = {
            "first_iteration": iteration,
            "last_iteration": iteration,
            "seconds": 0.0,
            "device": device,
            "replicas": replicas,
            "versions": versions(),
            "preset": preset,
            "differences": differences,
        }
        entries, is_whole = _read(path)
        if not is_whole:
            _keep_damaged(_existing(path))
        self._entries = [*entries, self._entry]

    def write_progress(self, iteration: int) -> None:
        """Saves how far the session has come."""
        self._entry["last_iteration"] = iteration
        self._entry["seconds"] = round(time.monotonic() - self._began, 1)
        write_text(self._path, json.dumps(self._entries, indent=2) + "\n")


def versions() -> dict[str, str]:
    """Returns the versions of Python and the packages that results depend on."""
    packages = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {"python": platform.python_version()} | packages


def read_sessions(path: pathlib.Path) -> list[dict[str, Any]]:
    """Reads the sessions so far, those that are whole; none if the file is missing."""
    return _read(path)[0]


def _read(path: pathlib.Path) -> tuple[list[dict[str, Any]], bool]:
    """Returns the whole entries, and whether all that was found is among them."""
    try:
        entries = json.loads(_existing(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return [], True
    except (OSError, ValueError, RecursionError):
        return [], False
    if not isinstance(entries, list):
        return [], False
    whole = [entry for entry in entries if _is_whole(entry)]
    return whole, len(whole) == len(entries)


def _keep_damaged(path: pathlib.Path) -> None:
    """Copies a file of sessions and warns; they are not worth ending a start."""
    try:
        kept = f"the file as it was is kept as {copy_aside(path).name}"
    except OSError as error:
        kept = f"the file as it was could not be kept ({error})"
    say(f"warning: {path} is damaged and goes on without what cannot be read; {kept}")


def _existing(path: pathlib.Path) -> pathlib.Path:
    """Returns the path, or that of the same file by its older name."""
    return path if path.exists() else path.with_name(OLDER_SESSIONS)


def _is_whole(entry: Any) -> bool:
    """Tells whether an entry has all keys that are used, with values of their kind."""
    return (
        isinstance(entry, dict)
        and KEYS <= entry.keys()
        and is_finite_number(entry["last_iteration"])
        and is_finite_number(entry["seconds"])
        and isinstance(entry["device"], str)
        and isinstance(entry["versions"], dict)
    )
