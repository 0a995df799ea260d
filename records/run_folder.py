"""Manages the folders of a run: their paths, who may write, and moving them aside."""

import contextlib
import dataclasses
import datetime
import fcntl
import os
import pathlib
from collections.abc import Iterator

import filelock

from records.checkpoint import list_checkpoints
from settings.messages import Problem

RUNS = pathlib.Path("runs")
SAMPLES = pathlib.Path("samples")
OLDER_SESSIONS = "sittings.json"  # what sessions.json was called before


@dataclasses.dataclass(frozen=True)
class RunFolder:
    """The paths of one run, named `name`, relative to the working directory."""

    name: str

    @property
    def root(self) -> pathlib.Path:
        """The folder of the program's own files."""
        return RUNS / self.name

    @property
    def checkpoints(self) -> pathlib.Path:
        """The folder of checkpoints, one file each."""
        return self.root / "checkpoints"

    @property
    def config(self) -> pathlib.Path:
        """The resolved config, with every `auto` replaced."""
        return self.root / "config.yaml"

    @property
    def origin(self) -> pathlib.Path:
        """What the run started from: photographs, parent, device, versions."""
        return self.root / "origin.json"

    @property
    def sessions(self) -> pathlib.Path:
        """How long the run was trained, and on what."""
        return self.root / "sessions.json"

    @property
    def metrics(self) -> pathlib.Path:
        """What the values of the metrics depend on."""
        return self.root / "metrics.json"

    @property
    def samples(self) -> pathlib.Path:
        """The folder for people: grids, pages and cards."""
        return SAMPLES / self.name

    def iterations(self) -> list[int]:
        """Returns the iterations that have a checkpoint, oldest first."""
        return list_checkpoints(self.checkpoints)

    def forget_attempts(self) -> None:
        """Deletes the records of starts that never saved a checkpoint."""
        for path in (self.sessions, self.root / OLDER_SESSIONS, self.metrics):
            path.unlink(missing_ok=True)


class Writer:
    """The one process that may write a run: it holds two locks, which end with it.

    One is a file beside the run's folder, which the folder can be moved away from. The
    other is on the folder itself, for when somebody removes that file.
    """

    def __init__(self, run: RunFolder) -> None:
        """Takes the locks; that of the folder if there is one yet.

        Raises:
            Problem: If another process holds one.
        """
        self._run = run
        self._folder: int | None = None
        self._knows_folder = run.root.is_dir()
        RUNS.mkdir(exist_ok=True)
        self._file = filelock.FileLock(RUNS / f".{run.name}.lock")
        try:
            self._file.acquire(timeout=0)
        except filelock.Timeout:
            raise self._refusal() from None
        try:
            self._hold_folder()
        except BaseException:
            self.release()
            raise

    def check_folder(self) -> None:
        """Checks, before anything is written, that nobody else began the run since.

        Raises:
            Problem: If its folder was made by another process.
        """
        if self._run.root.is_dir() and not self._knows_folder:
            raise self._refusal()

    def make_folder(self) -> None:
        """Makes the run's folder, if there is none, and takes its lock.

        Raises:
            Problem: If another process has made it, or holds it.
        """
        self.check_folder()
        self._run.root.mkdir(parents=True, exist_ok=True)
        self._hold_folder()
        self._knows_folder = True

    def _hold_folder(self) -> None:
        """Takes the lock of the run's folder, instead of one that was moved aside.

        Raises:
            Problem: If another process holds it.
        """
        root = self._run.root
        if not root.is_dir() or self._holds(root):
            return
        folder = os.open(root, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(folder)
            raise self._refusal() from None
        except OSError:
            os.close(folder)  # a file system that knows no locks of folders
        else:
            self._release_folder()
            self._folder = folder

    def release(self) -> None:
        """Gives the locks back."""
        self._release_folder()
        self._file.release()

    def _holds(self, root: pathlib.Path) -> bool:
        held = self._folder
        return held is not None and os.path.samestat(os.fstat(held), os.stat(root))

    def _release_folder(self) -> None:
        if self._folder is not None:
            os.close(self._folder)
            self._folder = None

    def _refusal(self) -> Problem:
        return Problem(
            f"{self._run.root}: another process is training this run\n"
            "  expected: one writer a run\n"
            "  found:    its lock is held; wait for that process, stop it, or give "
            "this run another run.name"
        )


@contextlib.contextmanager
def only_writer(run: RunFolder) -> Iterator[Writer]:
    """Holds the run's locks; the system frees them even after kill -9.

    Raises:
        Problem: If another process holds one.
    """
    writer = Writer(run)
    try:
        yield writer
    finally:
        writer.release()


def move_aside(run: RunFolder) -> RunFolder | None:
    """Renames an existing run's folders; returns the renamed run, None without one.

    Nothing is deleted. The caller holds the run's lock.
    """
    folders = [folder for folder in (run.root, run.samples) if folder.exists()]
    if not folders:
        return None
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    moved = free_name(f"{run.name}.before-{stamp}")
    for folder in folders:
        os.rename(folder, folder.with_name(moved.name))
    return moved


def free_name(name: str) -> RunFolder:
    """Returns a run of this name, with a number added if it is taken."""
    run, number = RunFolder(name), 1
    while run.root.exists() or run.samples.exists():
        number += 1
        run = RunFolder(f"{name}-{number}")
    return run
