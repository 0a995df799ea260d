"""Files that appear whole or not at all, whoever else writes or dies meanwhile."""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

UNFINISHED = ".writing."  # in the name of a file that is not whole yet
A_WHILE_SECONDS = 3600  # longer than any writer takes between two changes of a file


@contextlib.contextmanager
def named(path: str | os.PathLike[str]) -> Iterator[None]:
    """Gives an OSError that names no file, as from a full disk, this one's name."""
    try:
        yield
    except OSError as error:
        if error.filename or not error.args:
            raise
        if error.errno is None:  # from a library, in words of its own
            raise OSError(f"{os.fspath(path)}: {error}") from error
        error.filename = os.fspath(path)
        raise


@contextlib.contextmanager
def written_aside(path: str | os.PathLike[str], durable: bool = True) -> Iterator[Path]:
    """Yields a path beside `path`, and moves that file into place at the end.

    Readers of `path` see the old file or the complete new one; if `durable`, even after
    a power cut, which takes milliseconds. If the block raises, `path` is untouched and
    nothing is left behind. A killed process leaves a hidden file, which `unfinished_in`
    finds.

    Raises:
        OSError: With `path` as its file name, if the system gave none.
    """
    path = Path(path)
    # Libraries tell the format by the end of the name.
    aside = path.with_name(f".{os.getpid()}{UNFINISHED}{path.name}")
    try:
        with named(path):
            yield aside
            if durable:
                move_into_place(aside, path)
            else:
                os.replace(aside, path)
    finally:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)


def move_into_place(aside: Path, path: Path) -> None:
    """Renames a file so that, even after a power cut, `path` is the old or the new one.

    Raises:
        OSError: If the system cannot.
    """
    with open(aside, "rb+") as file:
        os.fsync(file.fileno())
    os.replace(aside, path)
    _sync_folder(path.parent)


def unfinished_in(folder: Path) -> dict[Path, str]:
    """Returns the files that killed processes left, and the names they were to have."""
    found = folder.glob(f".*{UNFINISHED}*")
    return {path: path.name.partition(UNFINISHED)[2] for path in found}


def remove_abandoned(
    folder: Path,
    least_age_seconds: float = A_WHILE_SECONDS,
    below: bool = False,
    at_start: bool = False,
) -> None:
    """Deletes the unfinished files in a folder whose writers run no more.

    Args:
        folder: Where to look; it may be missing.
        least_age_seconds: Files that changed later than that stay: a process of another
            machine, or of another container, does not seem to run.
        below: Whether to look in its sub-folders, too.
        at_start: Whether this process has not written any yet. One with its number has:
            in containers numbers repeat.
    """
    pattern = f"{'**/' if below else ''}.*{UNFINISHED}*"
    for path in folder.glob(pattern):
        number = path.name[1:].partition(".")[0]
        if not number.isascii() or not number.isdecimal():
            continue  # not a name that this program gives
        if not (at_start and int(number) == os.getpid()) and _runs(int(number)):
            continue
        with contextlib.suppress(OSError):  # moved into place or removed meanwhile
            if time.time() - path.stat().st_mtime >= least_age_seconds:
                path.unlink()


def _runs(process: int) -> bool:
    """Tells whether a process runs, or may; a number that none can have may, too."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        pass  # another user's
    return True


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Writes UTF-8 text whole or not at all; creates the folder if missing."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_aside(path) as aside:
        aside.write_text(text, encoding="utf-8")


def _sync_folder(folder: Path) -> None:
    """Makes a rename durable, where the system lets a folder be synced."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
