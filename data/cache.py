"""The folder of cache files: one builder a file, room on the disk, no leftovers."""

import contextlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from data.source import DataError
from files.atomic import unfinished_in
from files.regular import in_pseudo_folder

CACHE_NAME = re.compile(r"\w+-\d+px-[0-9a-f]+\.(npy|jsonl?|txt)(\.unfinished)?")
UNFINISHED = ".unfinished"  # at the end of a name: what a killed build leaves
KEPT_SECONDS = 7 * 86400  # that it is kept for the next build to continue


def check_folder(folder: Path) -> None:
    """Checks, without writing, that a folder is there, or could be made.

    Raises:
        DataError: If it could not.
    """
    above = (folder, *folder.absolute().parents)
    nearest = next(path for path in above if os.path.lexists(path))
    if in_pseudo_folder(folder):
        found = f"{folder.absolute()}, a part of the system"
    elif not os.path.isdir(nearest):
        found = f"{nearest.absolute()}, which is no folder"
    elif nearest != folder and not os.access(nearest, os.W_OK | os.X_OK):
        found = f"{nearest.absolute()}, which this user may not write to"
    else:
        return
    raise DataError(
        f"data.cache_dir: no place for files\n"
        f"  expected:   a folder on a disk, or where one can be made\n"
        f"  found:      {found}\n"
        f"  what to do: set data.cache_dir to another folder"
    )


def make_folder(folder: Path) -> None:
    """Makes the folder of a cache, and a file in it, which goes again at once.

    A lock could not tell where files cannot be made: it waits for ever, as if another
    process had it.

    Raises:
        DataError: If it is where no files are kept.
        OSError: If it cannot be made or written to.
    """
    check_folder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(folder)) from error


@contextlib.contextmanager
def sole_builder(path: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Keeps other processes from building the same file, after waiting for them."""
    lock = _lock_of(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say("waiting for another process that is preparing the same images")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def remove_leftovers(folder: Path) -> None:
    """Deletes what killed builds have left that none will continue.

    That is, after some days, all of it. A running build holds its lock. Whatever else
    is being written into the folder has no lock, and is left alone.
    """
    leftovers = unfinished_in(folder)
    leftovers |= {path: path.stem for path in folder.glob("*.partial")}  # older ones
    for path in folder.glob(f"*{UNFINISHED}"):
        with contextlib.suppress(FileNotFoundError):  # its build has just ended
            if time.time() - path.stat().st_mtime > KEPT_SECONDS:
                leftovers[path] = path.name
    for path, name in leftovers.items():
        if CACHE_NAME.fullmatch(name):
            lock = _lock_of(folder / name)
            with contextlib.suppress(Timeout), lock.acquire(timeout=0):
                path.unlink(missing_ok=True)


def other_builds(path: Path) -> list[Path]:
    """Returns the unfinished caches of the same size and source, but another key."""
    alike = path.stem.rpartition("-")[0]
    found = path.parent.glob(f"{alike}-*.npy{UNFINISHED}")
    return sorted(other for other in found if not other.name.startswith(path.name))


def unfinished_bytes(path: Path) -> int:
    """Returns how much of a cache file a killed build has written."""
    try:
        return path.with_name(path.name + UNFINISHED).stat().st_size
    except FileNotFoundError:
        return 0


def check_room(folder: Path, num_bytes: int, what: str) -> None:
    """Raises DataError if a disk has no room for `what`, which takes num_bytes."""
    free = shutil.disk_usage(folder).free
    if num_bytes > free:
        raise DataError(
            f"not enough room on the disk for the cache of resized images\n"
            f"  needed:     {num_bytes / 2**20:,.1f} MiB for {what}\n"
            f"  free:       {free / 2**20:,.1f} MiB at {folder.absolute()}\n"
            f"  what to do: set data.cache_dir to a folder on another disk, make room, "
            f"or lower data.image_size"
        )


def _lock_of(path: Path) -> FileLock:
    """Returns the lock of a file, which its .json shares."""
    return FileLock(path.with_name(path.name.split(".")[0] + ".lock"))
