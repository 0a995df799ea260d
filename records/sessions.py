"""Records how long a run has been trained, and on what: one entry per session.

A session is what one process did, from where it started or continued to where it
stopped. The entries are for display; no result of training depends on them.
"""

import importlib.metadata
import json
import pathlib
import platform
import time
from typing import Annotated, Any

import pydantic

from files.atomic import write_text
from records.damage import keep_damaged
from records.rows import Iteration
from records.run_folder import OLDER_SESSIONS

PACKAGES = ("tensorflow", "keras", "numpy")
Three = Annotated[list[str], pydantic.Field(min_length=3, max_length=3)]


class Session(pydantic.BaseModel, strict=True):
    """An entry of the file, as this version and older ones wrote it."""

    first_iteration: Iteration = 0
    last_iteration: Iteration
    seconds: pydantic.FiniteFloat
    device: str
    replicas: int = 1
    versions: dict[str, str]
    preset: str | None = None
    differences: list[Three] | None = None


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
            keep_damaged(_existing(path))
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


def _existing(path: pathlib.Path) -> pathlib.Path:
    """Returns the path, or that of the same file by its older name."""
    return path if path.exists() else path.with_name(OLDER_SESSIONS)


def _is_whole(entry: Any) -> bool:
    """Tells whether an entry has all keys that are used, with values of their kind."""
    try:
        Session.model_validate(entry)
    except ValueError:
        return False
    return True
