"""Follows the files of rows of a run in training: each row is read once.

A page or a checkpoint therefore costs what is new since the last one, not what the run
has written since its beginning.
"""

import functools
import os
import pathlib
from collections.abc import Callable

from gallery.scalars import Scalars
from records.rows import SCALARS, SPIKES, Row, row_in
from records.run_folder import RunFolder

# Of the names of scalars that decide which checkpoints are kept, and when a run ends.
DECISIVE = ("metric/", "grid/")
MOST_FOLLOWED = 4  # files, of runs that one process deals with in turn


class Followed:
    """A file of rows that grows; one that was written anew is read anew."""

    def __init__(
        self, path: pathlib.Path, begin: Callable[[], Callable[[Row], None]]
    ) -> None:
        """Reads nothing yet.

        Args:
            path: The file; it may be missing.
            begin: Called before the first row is read, and again if the file is not
                the one that was read; returns what takes the rows.
        """
        self._path = path
        self._begin = begin
        self._forget()

    def _forget(self) -> None:
        self._take = self._begin()
        self._inode, self._offset, self._last_line = -1, 0, b""

    def catch_up(self) -> None:
        """Reads what is new; lines that hold no row are passed over.

        Raises:
            OSError: If the file cannot be read.
        """
        try:
            file = open(self._path, "rb")
        except FileNotFoundError:
            self._forget()
            return
        with file:
            inode = os.fstat(file.fileno()).st_ino
            file.seek(max(0, self._offset - len(self._last_line)))
            if (
                inode != self._inode
                or file.read(len(self._last_line)) != self._last_line
            ):
                self._forget()
                file.seek(0)
            self._inode = inode
            for line in file:
                if not line.endswith(b"\n"):
                    break  # it is being written
                self._offset += len(line)
                self._last_line = line
                row = row_in(line, self._path.name)
                if row is not None:
                    self._take(row)


class RunScalars(Followed):
    """What decisions and pages need of a run's scalars.jsonl.

    Attributes:
        decisive: The rows that have metrics or the diversity of a grid, without the
            rest of their scalars: whatever is decided by rows, these suffice.
        drawn: What the page draws.
    """

    def __init__(self, path: pathlib.Path) -> None:
        """Reads nothing yet."""
        super().__init__(path, self._anew)

    def _anew(self) -> Callable[[Row], None]:
        self.decisive: list[Row] = []
        self.drawn = Scalars()
        return self._add

    def _add(self, row: Row) -> None:
        self.drawn.add(row)
        found = {key: row[key] for key in row if key.startswith(DECISIVE)}
        if found:
            self.decisive.append({"iteration": row["iteration"]} | found)


class SpikeRows(Followed):
    """The rows of a spike ledger, in `rows`."""

    def __init__(self, path: pathlib.Path) -> None:
        """Reads nothing yet."""
        super().__init__(path, self._anew)

    def _anew(self) -> Callable[[Row], None]:
        self.rows: list[Row] = []
        return self.rows.append


def scalars_of(run: RunFolder) -> RunScalars:
    """Returns what is in a run's scalars.jsonl now."""
    found = _followed_scalars((run.root / SCALARS).absolute())
    found.catch_up()
    return found


def spike_rows_of(run: RunFolder) -> list[Row]:
    """Returns the rows of a run's spikes.jsonl now."""
    found = _followed_spikes((run.root / SPIKES).absolute())
    found.catch_up()
    return found.rows


_followed_scalars = functools.lru_cache(maxsize=MOST_FOLLOWED)(RunScalars)
_followed_spikes = functools.lru_cache(maxsize=MOST_FOLLOWED)(SpikeRows)
