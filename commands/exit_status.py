"""The exit status of a command, and the words for what the system refused."""

import pathlib
import sys
from collections.abc import Callable

from settings.messages import Problem


def exit_status(action: Callable[[], int | None], reassurance: str = "") -> int:
    """Does what a command is for; what the user must change becomes a message.

    Args:
        action: Returns a status, or None for 0.
        reassurance: What is still whole where a file could not be read or written.

    Returns:
        The action's status, the problem's (2 or 3), 2 where a file cannot be read or
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
    """Returns a path as written; a shell leaves ~ alone in --out=~/pictures."""
    return pathlib.Path(text).expanduser()
