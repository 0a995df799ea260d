"""Talks to the user: a line of output, or the message that ends a command."""

import contextlib
import sys

import tqdm


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
