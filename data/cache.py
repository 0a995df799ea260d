"""The folder of cache files: one builder per file, disk space, no leftovers."""

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from data.source import DataError
from files.atomic import UNFINISHED


@contextlib.contextmanager
def sole_builder(path: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Lets one process at a time build a file; the others wait."""
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
    """Deletes the unfinished files of killed builds; a running build holds its lock."""
    for unfinished in folder.glob(f"*{UNFINISHED}"):
        with contextlib.suppress(Timeout), _lock_of(unfinished).acquire(timeout=0):
            unfinished.unlink(missing_ok=True)


def check_room(folder: Path, num_bytes: int, what: str) -> None:
    """Raises DataError unless the disk has num_bytes free for `what`."""
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
    """Returns the lock that a cache, its .json and its unfinished files share."""
    return FileLock(path.with_name(path.name.lstrip(".").split(".")[0] + ".lock"))
