"""Lists the files below a folder, whatever else is there and however deep it goes."""

import os
import stat
from pathlib import Path
from typing import NamedTuple

from data.source import Skipped
from files.regular import NOT_REGULAR


class File(NamedTuple):
    """A file below the folder; `name` is its relative path, with forward slashes."""

    name: str
    num_bytes: int
    mtime_ns: int


def list_files(root: Path) -> tuple[list[File], list[Skipped]]:
    """Returns the readable files and the unusable ones, each sorted by path.

    Hidden files and folders are left out, links followed, and a folder that can be
    reached in two ways is read once. What lies deeper than a path can say is unusable.
    """
    files: list[File] = []
    unusable: list[Skipped] = []
    seen: set[tuple[int, int]] = set()
    pending = [""]  # relative paths of folders, the next one last
    while pending:
        folder = pending.pop()
        try:
            subfolders, names = _look_into(os.path.join(root, folder), seen)
        except OSError as error:
            reason = f"cannot be listed: {error.strerror}"
            unusable.append(Skipped(f"{folder or '.'}/", reason))
            continue
        above = f"{folder}/" if folder else ""
        pending += [above + name for name in reversed(subfolders)]
        for name in names:
            file = look_at(root, above + name)
            if isinstance(file, File):
                files.append(file)
            else:
                unusable.append(file)
    by_name = lambda file: os.fsencode(file.name)  # noqa: E731
    return sorted(files, key=by_name), sorted(unusable, key=by_name)


def _look_into(folder: str, seen: set[tuple[int, int]]) -> tuple[list[str], list[str]]:
    """Returns the names of subfolders, sorted, and of files; none if seen before."""
    status = os.stat(folder)
    identity = (status.st_dev, status.st_ino)
    if identity in seen:
        return [], []
    seen.add(identity)
    subfolders: list[str] = []
    names: list[str] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name[0] != ".":
                (subfolders if _is_folder(entry) else names).append(entry.name)
    return sorted(subfolders), names


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def look_at(root: Path, name: str) -> File | Skipped:
    """Returns what is known of a file without opening it."""
    path = root / name
    try:
        status = path.stat()
    except OSError as error:
        return Skipped(name, error.strerror or str(error))
    if not stat.S_ISREG(status.st_mode):
        return Skipped(name, NOT_REGULAR)
    if status.st_size == 0:
        return Skipped(name, "empty")
    # Checked here so that the key shows a change of permissions; size and time do not.
    if not os.access(path, os.R_OK):
        return Skipped(name, "this user may not read it")
    return File(name, status.st_size, status.st_mtime_ns)


def is_as_listed(root: Path, file: File) -> bool:
    """Tells whether a file still has the size and the time that it had."""
    try:
        status = os.stat(os.path.join(root, file.name))
    except OSError:
        return False
    now = (status.st_size, status.st_mtime_ns)
    return stat.S_ISREG(status.st_mode) and now == (file.num_bytes, file.mtime_ns)
