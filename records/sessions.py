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
from records.run_folder import OLDER_SESSIONS

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
    ) -> None:
        """Begins a session, with `iteration` iterations done before.

        `preset` is the config file that the command named; `differences` are key, value
        there and value in the run of all that differ; None if the file alone is no
        config.
        """
        self._path = path
        self._began = time.monotonic()
        self._entry: dict[str, Any] = {
            "first_iteration": iteration,
            "last_iteration": iteration,
            "seconds": 0.0,
            "device": device,
            "versions": versions(),
            "preset": preset,
            "differences": differences,
        }
        self._entries = [*read_sessions(path), self._entry]

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
    """Reads the sessions so far; none if the file is missing or damaged."""
    if not path.exists():
        path = path.with_name(OLDER_SESSIONS)
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        return [entry for entry in entries if KEYS <= entry.keys()]
    except (OSError, ValueError, TypeError, AttributeError):
        return []
