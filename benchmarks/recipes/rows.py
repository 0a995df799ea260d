"""Keeps a row for each run of a queue, in a file of JSON lines that is committed.

A row has the setting (`setting`, `reason`, `config`, `overrides`, `extractor`,
`num_images`; `recipe`, which keys config and overrides set when it began; `start`, the
weights that it began with) and `seed`, its `state`, what the run's own files say
(`iterations`, `minutes` of training, `spikes`, `bursts`, ...), and `scores`, one for
each mark.
"""

import json
import pathlib
import threading
from typing import Any

from benchmarks.recipes.plan import Setting, Trial
from files.atomic import write_text
from settings.messages import Problem

Row = dict[str, Any]  # one JSON object
UNFINISHED, FINISHED, DIVERGED, FAILED = "unfinished", "finished", "diverged", "failed"
IDENTITY = ("config", "overrides", "recipe", "start", "extractor", "num_images")
OLDER = {"start": ""}  # of rows from before a queue could name weights


def new_row(trial: Trial) -> Row:
    """Returns the row of a run that has not begun."""
    return {
        "setting": trial.setting.name,
        "seed": trial.seed,
        "state": UNFINISHED,
        "note": "",
        "reason": trial.setting.reason,
        **identity(trial.setting),
        "scores": [],
    }


def identity(setting: Setting) -> Row:
    """Returns all that the numbers of a row depend on, but for its seed."""
    return {key: getattr(setting, key) for key in IDENTITY}


def read_rows(path: pathlib.Path) -> list[Row]:
    """Reads the rows of a file; none if there is no such file.

    Raises:
        Problem: If a line is not a row.
    """
    if not path.exists():
        return []
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            row = OLDER | json.loads(line)
            key_of(row)
        except (ValueError, KeyError, TypeError) as error:
            raise Problem(
                f"{path}:{number}: not a row of results\n"
                "  git has its last good version"
            ) from error
        rows.append(row)
    return rows


def key_of(row: Row) -> tuple[str, int]:
    """Returns what tells a row from the others of its file."""
    return row["setting"], row["seed"]


class Results:
    """The rows of a queue. Several threads may update it."""

    def __init__(self, path: pathlib.Path, trials: list[Trial]) -> None:
        """Reads the rows so far; those of `trials` come in their order.

        Raises:
            Problem: If a row is of a setting of this name, but not of the same kind.
        """
        self._path = path
        self._lock = threading.Lock()
        self._rows = {key_of(row): row for row in read_rows(path)}
        self._order = {(t.setting.name, t.seed): n for n, t in enumerate(trials)}
        changed = [t for t in trials if not self._agrees(t)]
        if changed:
            names = ", ".join(dict.fromkeys(t.setting.name for t in changed))
            raise Problem(
                f"{path}: has rows of {names} with another "
                f"{', '.join(IDENTITY[:-1])} or {IDENTITY[-1]}\n"
                "  expected: a new name for a new setting; rows are never replaced"
            )

    def _agrees(self, trial: Trial) -> bool:
        row = self.row_of(trial)
        return identity(trial.setting) == {key: row[key] for key in IDENTITY}

    def row_of(self, trial: Trial) -> Row:
        """Returns a copy of a run's row, a new one if it has none."""
        row = self._rows.get((trial.setting.name, trial.seed), new_row(trial))
        return row | {"scores": list(row["scores"])}

    def finish(self, trials: list[Trial]) -> None:
        """Says of runs that are over that they are, if they were cut just before it."""
        for row in map(self.row_of, trials):
            if row["state"] in (UNFINISHED, FAILED):
                self.update(row | {"state": FINISHED, "note": ""})

    def update(self, row: Row) -> None:
        """Puts a row in the place of the older one, and writes the file."""
        with self._lock:
            self._rows[key_of(row)] = dict(row)
            rows = sorted(
                self._rows.values(), key=lambda one: self._order.get(key_of(one), -1)
            )
            lines = [json.dumps(one, allow_nan=False) + "\n" for one in rows]
            write_text(self._path, "".join(lines))
