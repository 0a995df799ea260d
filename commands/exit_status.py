"""Turns errors into messages and exit statuses."""

import pathlib
import sys
from collections.abc import Callable

from settings.messages import Problem


def exit_status(action: Callable[[], int | None], reassurance: str = "") -> int:
    """Runs a command, printing a message for errors that the user can fix.

    Args:
        action: Returns a status, or None for 0.
        reassurance: What is intact after a file could not be read or written.

    Returns:
        The action's status, the problem's (2 or 3), 2 if a file cannot be read or
        written, or 130 for Ctrl-C.
    """
    try:
        return action() or 0
    except Problem as error:
        print(error, file=sys.stderr)
        return error.status
    except OSError as error:
        found = f"{error.filename or 'a file'}: {error.strerror or error}"
        print(
            f"{found}\n  {reassurance}mend this and run the same command again",
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130


def path_of(text: str) -> pathlib.Path:
    """Returns a path, expanding ~: a shell does not in --out=~/pictures."""
    return pathlib.Path(text).expanduser()
