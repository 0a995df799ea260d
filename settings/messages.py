"""Talks to the user: a line of output, or the message that ends a command."""

import contextlib
import io
import os
import sys
from typing import Any

import tqdm

STANDARD_STREAMS = {0: "stdin", 1: "stdout", 2: "stderr"}


class Problem(Exception):
    """Something the user must change (exit status 2), or training gone bad (3)."""

    def __init__(self, message: str, status: int = 2) -> None:
        super().__init__(message)
        self.status = status


def say(line: str) -> None:
    """Prints a line above any progress bar: a warning to stderr, others to stdout.

    A failure is ignored: a closed terminal must not end a night's training.
    """
    file = sys.stderr if line.startswith("warning") else sys.stdout
    if file is None:  # closed before the program started
        return
    with contextlib.suppress(OSError, ValueError):
        tqdm.tqdm.write(line, file=file)
        file.flush()


def outlive_the_terminal() -> None:
    """Lets a program go on whatever becomes of its terminal, pipe or log file.

    What can no longer be written is dropped. A stream that was closed from the start is
    one to nowhere: else the next file to be opened, such as a checkpoint, would take
    its number, and what libraries print would go into it.
    """
    for number in STANDARD_STREAMS:
        with contextlib.suppress(OSError):
            os.fstat(number)
            continue
        os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest free one
    for number, name in list(STANDARD_STREAMS.items())[1:]:
        old = getattr(sys, name)
        stream = io.TextIOWrapper(
            io.BufferedWriter(_LastingFile(number, "w", closefd=False)),
            encoding=old.encoding if old else "utf-8",
            errors="backslashreplace",  # of names in other alphabets
            line_buffering=True,
        )
        setattr(sys, name, stream)


class _LastingFile(io.FileIO):
    """A file that takes all that is written, even when there is nowhere to put it."""

    def write(self, data: Any, /) -> int:
        """Writes what can be written; returns the number of all the bytes."""
        written = None
        with contextlib.suppress(OSError):
            written = super().write(data)
        return memoryview(data).nbytes if written is None else written
