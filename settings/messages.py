"""The two ways of speaking to people: a line, and the message that ends a command."""

import contextlib
import sys

import tqdm


class Problem(Exception):
    """Something the user must change (status 2), or training gone bad (status 3).

    Attributes:
        status: Exit status of the command.
    """

    def __init__(self, message: str, status: int = 2) -> None:
        """Takes the whole message and the exit status."""
        super().__init__(message)
        self.status = status


def say(line: str) -> None:
    """Prints a line: a warning to stderr, anything else to stdout.

    It goes above the progress bar, if there is one, and is lost quietly where nobody
    listens any more: a closed terminal must not end a night's training.
    """
    file = sys.stderr if line.startswith("warning") else sys.stdout
    with contextlib.suppress(OSError):
        tqdm.tqdm.write(line, file=file)
        file.flush()
