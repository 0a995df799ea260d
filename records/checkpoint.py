"""Reads and writes checkpoints: one safetensors file each, renamed into place.

The format holds only arrays and text, so loading one cannot run code. The metadata
gives the iteration and the SHA-256 of all arrays with their names.
"""

import dataclasses
import hashlib
import json
import os
import pathlib
import re
import shutil
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import safetensors
import safetensors.numpy

from files.atomic import unfinished_in, written_aside
from settings.messages import Problem

FORMAT = "1"  # of a checkpoint; raised when an older version could not read it
SUFFIX = ".safetensors"
BYTES_PER_GIB = 2**30
MOST_WORDS = 200  # of an error of a library
T = TypeVar("T")
NAME = re.compile(r"(\d{7,})\.safetensors")


class DamagedCheckpoint(Exception):
    """A checkpoint that is missing, cut short or changed; the message names it."""


@dataclasses.dataclass(frozen=True)
class Retention:
    """The rules for which checkpoints are kept.

    Attributes:
        keep_last: How many of the newest, 1 or more.
        keep_every_iterations: Multiples of it are milestones, which are kept.
        max_bytes: Limit for all checkpoints together, or None.
        best: Iterations kept as the best ones, the very best first.
        good: Iterations kept for rolling back, the most needed first.
        spare: Iterations saved only because training stopped; they displace no other.
    """

    keep_last: int
    keep_every_iterations: int
    max_bytes: int | None = None
    best: tuple[int, ...] = ()
    good: tuple[int, ...] = ()
    spare: tuple[int, ...] = ()

    @property
    def treasured(self) -> tuple[int, ...]:
        """Iterations kept whatever `keep_last` is, the most precious first."""
        return tuple(dict.fromkeys(self.good + self.best))


def digest(arrays: dict[str, np.ndarray], iteration: int) -> str:
    """Returns the SHA-256 of an iteration and of named arrays, types included."""
    sha256 = hashlib.sha256(f"{FORMAT} {iteration}".encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        sha256.update(json.dumps([name, array.dtype.str, array.shape]).encode())
        sha256.update(array.tobytes())
    return sha256.hexdigest()


def checkpoint_path(folder: pathlib.Path, iteration: int) -> pathlib.Path:
    """Returns the path of one iteration's checkpoint."""
    return folder / f"{iteration:07d}{SUFFIX}"


def list_checkpoints(folder: pathlib.Path) -> list[int]:
    """Returns the iterations that have a checkpoint, oldest first."""
    if not folder.is_dir():
        return []
    matches = [NAME.fullmatch(path.name) for path in folder.iterdir()]
    return sorted(int(match[1]) for match in matches if match)


def write_checkpoint(
    folder: pathlib.Path,
    iteration: int,
    arrays: dict[str, np.ndarray],
    retention: Retention,
) -> pathlib.Path:
    """Writes a checkpoint so that it exists whole or not at all; returns its path.

    Old checkpoints that retention does not keep are deleted after the new one is in
    place, or before it if the budget or the disk needs their space.

    Raises:
        Problem: If it does not fit; the older checkpoints are whole.
    """
    folder.mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder)
    num_bytes = sum(array.nbytes for array in arrays.values())
    make_room(folder, iteration, num_bytes, retention)
    path = checkpoint_path(folder, iteration)
    metadata = {
        "format": FORMAT,
        "iteration": str(iteration),
        "sha256": digest(arrays, iteration),
    }
    try:
        with written_aside(path) as aside:  # save_file makes a temporary file too
            aside.write_bytes(safetensors.numpy.save(arrays, metadata))
    except (OSError, safetensors.SafetensorError) as error:
        raise Problem(f"{path}: could not be written ({error})") from error
    done = [i for i in list_checkpoints(folder) if i <= iteration]
    for old in superseded(done, retention):
        checkpoint_path(folder, old).unlink()
    return path


def read_checkpoint(folder: pathlib.Path, iteration: int) -> dict[str, np.ndarray]:
    """Reads one checkpoint and verifies its checksum.

    Raises:
        DamagedCheckpoint: If the file is missing, cut short or changed.
        OSError: If it cannot be opened; the file itself may be whole.
        Problem: If a newer version of this program has written it.
    """
    path = checkpoint_path(folder, iteration)
    metadata = read_metadata(path)
    try:
        _, arrays = read_arrays(path)
        if metadata.get("sha256") != digest(arrays, iteration):
            raise DamagedCheckpoint(f"{path}: its checksum does not match its contents")
    except DamagedCheckpoint as error:
        found = metadata.get("format", "")
        if found.isdecimal() and int(found) > int(FORMAT):
            raise Problem(
                f"{path}: written by a newer version of this program\n"
                f"  expected: format {FORMAT}\n  found:    format {found}\n"
                "  update this program; nothing was changed"
            ) from error
        raise
    return arrays


def read_metadata(path: pathlib.Path) -> dict[str, str]:
    """Reads the metadata of a safetensors file.

    Raises:
        DamagedCheckpoint: If the file is missing or cut short.
        OSError: If it cannot be opened; the file itself may be whole.
    """
    return _read(path, lambda file: file.metadata() or {})


def read_arrays(path: pathlib.Path) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    """Reads the metadata and the arrays of a safetensors file.

    Raises:
        DamagedCheckpoint: If the file is missing or cut short.
        OSError: If it cannot be opened; the file itself may be whole.
    """
    return _read(
        path,
        lambda file: (
            file.metadata() or {},
            {name: file.get_tensor(name) for name in file.keys()},
        ),
    )


def _read(path: pathlib.Path, what: Callable[[Any], T]) -> T:
    """Opens a safetensors file and returns what a function reads of it."""
    if not path.is_file():
        raise DamagedCheckpoint(f"{path}: cannot be read (no such file)")
    open(path, "rb").close()  # safetensors reports any OSError as "no such file"
    num_bytes, memory = path.stat().st_size, memory_bytes()
    if num_bytes > memory:  # a file with holes, perhaps, that takes no room on the disk
        raise DamagedCheckpoint(
            f"{path}: cannot be read ({num_bytes / BYTES_PER_GIB:,.0f} GiB are more "
            f"than this machine's memory, {memory / BYTES_PER_GIB:,.0f} GiB)"
        )
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            return what(file)
    except OSError:
        raise
    except MemoryError as error:  # the file may be whole
        raise Problem(
            f"{path}: not enough memory to read it\n"
            "  free some memory, then run the same command again; nothing was changed"
        ) from error
    except Exception as error:  # of a type that NumPy does not know, for one
        words = " ".join(str(error).split())[:MOST_WORDS]
        raise DamagedCheckpoint(f"{path}: cannot be read ({words})") from error


def memory_bytes() -> int:
    """Returns the size of this machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def set_damaged_aside(folder: pathlib.Path, iteration: int) -> list[pathlib.Path]:
    """Renames the checkpoints past the one to continue from; returns their new names.

    They are damaged, but would count as the newest, and the whole one could be deleted.
    """
    renamed = []
    for later in list_checkpoints(folder):
        if later > iteration:
            path, number = checkpoint_path(folder, later), 1
            aside = path.with_suffix(".damaged")
            while aside.exists():
                number += 1
                aside = path.with_suffix(f".damaged-{number}")
            renamed.append(path.rename(aside))
    return renamed


def remove_leftovers(folder: pathlib.Path) -> None:
    """Deletes what an interrupted save left behind."""
    for path in [*unfinished_in(folder), *folder.glob("*.writing")]:  # older ones
        path.unlink()


def superseded(iterations: list[int], retention: Retention) -> list[int]:
    """Returns the checkpoints that retention does not keep, oldest first."""
    counted = [i for i in iterations if i not in retention.spare]
    newest = counted[-retention.keep_last :] + iterations[-retention.keep_last :]
    older = [i for i in iterations if i not in newest]
    older = [i for i in older if i not in retention.treasured]
    return [i for i in older if i == 0 or i % retention.keep_every_iterations]


def make_room(
    folder: pathlib.Path, iteration: int, num_bytes: int, retention: Retention
) -> None:
    """Deletes checkpoints until one more fits.

    The order is: those past the iteration, since the run did not continue from them;
    superseded ones; milestones; treasured ones. The newest of those up to the
    iteration, which may be the one being rewritten, is never deleted.

    Raises:
        Problem: If it does not fit beside the newest one.
    """
    iterations = list_checkpoints(folder)
    older = [i for i in iterations if i <= iteration]
    expendable = [i for i in iterations if i > iteration]
    expendable += superseded(older, retention)
    others = [i for i in older if i not in expendable]
    worst_first = list(reversed(retention.treasured))
    expendable += [i for i in others if i not in worst_first]
    expendable += [i for i in worst_first if i in others]
    expendable = [i for i in expendable if i not in older[-1:]]
    while missing := missing_bytes(folder, num_bytes, retention.max_bytes):
        if not expendable:
            raise Problem(
                f"{folder}: no room for another checkpoint\n"
                f"  expected: {num_bytes / 1e6:,.1f} MB more\n"
                f"  found:    {missing / 1e6:,.1f} MB too few, on disk or in "
                "training.max_checkpoint_gib\n"
                "  older checkpoints are whole; free some space and run the same "
                "command again"
            )
        checkpoint_path(folder, expendable.pop(0)).unlink()


def missing_bytes(folder: pathlib.Path, num_bytes: int, max_bytes: int | None) -> int:
    """Returns by how many bytes a file exceeds the budget or the free disk, or 0."""
    reserve = num_bytes // 10  # for grids, logs and the file system itself
    missing = num_bytes + reserve - shutil.disk_usage(folder).free
    if max_bytes is not None:
        used = sum(
            checkpoint_path(folder, i).stat().st_size for i in list_checkpoints(folder)
        )
        missing = max(missing, used + num_bytes - max_bytes)
    return max(missing, 0)
