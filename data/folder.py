"""A folder of photographs, with its subfolders, as a source of images."""

import functools
import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from data.classes import printable
from data.listing import File, is_as_listed, list_files
from data.source import NO_CLASS, DataError, Prepared, Skipped, SourceChanged
from data.workers import prepare_all
from files.regular import in_pseudo_folder, open_regular


class FolderSource:
    """All photographs below a folder, in the order of their relative paths.

    Hidden files and folders are skipped. Links are followed; a folder that can be
    reached in two ways is read once, so that circular links do no harm.
    """

    name = "folder"

    def __init__(self, path: str | os.PathLike | None) -> None:
        """Lists the files.

        Raises:
            DataError: If there is no such folder, or it has no files.
        """
        self.path = checked_folder(path)
        self.description = f"folder {self.path}"
        self._files, self._unusable = list_files(self.path)
        self.max_count = len(self._files)
        if not self._files and not self._unusable:
            raise DataError(
                f"no files in the folder of photographs\n"
                f"  looked in: {self.path.absolute()} (data.path) and all below it\n"
                f"  what to do: put photographs there or set data.path to their folder"
            )

    @property
    def files(self) -> list[File]:
        """Returns the files that can be opened."""
        return self._files

    @property
    def unusable(self) -> list[Skipped]:
        """Returns what cannot be opened, and why."""
        return self._unusable

    def key(self) -> str:
        """Returns a digest of every file's relative path, size and time of change."""
        digest = hashlib.sha256()
        for name, num_bytes, mtime_ns in self._files:
            digest.update(os.fsencode(name) + f"\0{num_bytes}\0{mtime_ns}\0".encode())
        for skipped in self._unusable:
            digest.update(os.fsencode(skipped.name) + b"\0unusable\0")
        return digest.hexdigest()

    def images(self, image_size: int, start: int = 0) -> Iterator[Prepared | Skipped]:
        """Yields every photograph, or why it was skipped, always in the same order.

        Raises:
            SourceChanged: If a file is not what was listed, so that these are not the
                images that `key` stands for.
        """
        yield from self._unusable[start:]
        files = self._files[max(start - len(self._unusable), 0) :]
        openers = ((file.name, opener(self.path / file.name)) for file in files)
        labels = {name: label for label, name in enumerate(self.class_names())}
        items = prepare_all(openers, image_size, len(files))
        for file, item in zip(files, items, strict=True):
            self.check(file)  # after it was decoded: what was read was whole
            if isinstance(item, Prepared):
                name = printable(class_of(file.name))
                item = item.labelled(labels.get(name, NO_CLASS))
            yield item

    def check(self, file: File) -> None:
        """Checks that a file is still what was listed.

        Raises:
            SourceChanged: If not.
        """
        if not is_as_listed(self.path, file):
            raise SourceChanged(
                f"{os.path.join(self.path, file.name)} has changed since the folder "
                f"was listed\n"
                f"  what to do: wait until nothing writes to {self.path} any more, "
                f"then start again"
            )

    def class_names(self) -> tuple[str, ...]:
        """Returns the names of the first level of subfolders that hold files.

        Two of them that differ in how an accent is written only are one class.
        """
        names = {printable(class_of(file.name)) for file in self._files} - {""}
        return tuple(sorted(names))

    def outside(self) -> list[str]:
        """Returns the files that lie in no subfolder."""
        return [file.name for file in self._files if not class_of(file.name)]


def class_of(name: str) -> str:
    """Returns the first folder of a file's relative path; "" if there is none."""
    return name.rpartition("/")[0].partition("/")[0]


def checked_folder(path: str | os.PathLike | None) -> Path:
    """Returns the path of the user's folder of photographs.

    Raises:
        DataError: If there is no such folder, or it cannot be listed.
    """
    if path is None:
        raise DataError(
            "data.path is missing\n"
            "  expected: the folder of your photographs, as data.source is folder\n"
            "  what to do: write data.path in the config, or --set data.path=FOLDER"
        )
    path = Path(path)
    if not os.path.isdir(path) or in_pseudo_folder(path):
        found = "a file" if os.path.exists(path) else "nothing"
        if os.path.isdir(path):
            found = "a part of the system that holds no files,"
        raise DataError(
            f"data.path: no folder of photographs\n"
            f"  expected: a folder\n"
            f"  found:    {found} at {path.absolute()}\n"
            f"  what to do: set data.path to the folder of your photographs; "
            f"relative paths start at the working directory"
        )
    try:
        os.scandir(path).close()
    except OSError as error:
        raise DataError(
            f"data.path: cannot list {path.absolute()}: {error.strerror}\n"
            f"  what to do: allow this user to read the folder"
        ) from error
    return path


def opener(path: Path) -> Callable[[], BinaryIO]:
    """Returns a function that opens a file for reading, and can be pickled."""
    return functools.partial(open_regular, str(path))
