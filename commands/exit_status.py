"""Turns errors into messages and exit statuses."""

import pathlib
import shlex
import sys
import tempfile
import traceback
from collections.abc import Callable

from data import DataError
from settings.messages import Problem

LONGEST_WORDS = 200  # of an error's own message


def exit_status(action: Callable[[], int | None], reassurance: str = "") -> int:
    """Runs a command, printing a message for errors that the user can fix.

    Args:
        action: Returns a status, or None for 0.
        reassurance: What is intact after a file could not be read or written.

    Returns:
        The action's status, the problem's (2 or 3), 2 if the photographs or a file
        cannot be read or written, 130 for Ctrl-C, or 1 for an error that nobody
        thought of: a bug.
    """
    try:
        return action() or 0
    except Problem as error:
        print(error, file=sys.stderr)
        return error.status
    except DataError as error:  # of a cache of photographs that changes while in use
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        named = f"{error.filename}: {error.strerror or error}"
        found = named if error.filename else str(error)
        print(
            f"{found}\n  {reassurance}mend this and run the same command again",
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    except Exception as error:  # noqa: BLE001 (the last net)
        print(_bug(error, reassurance), file=sys.stderr)
        return 1


def _bug(error: Exception, reassurance: str) -> str:
    """Returns what to say of a bug; its traceback goes into a file to be reported."""
    told = "".join(traceback.format_exception(error))
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", errors="backslashreplace", delete=False,
            prefix="magnetosphere-", suffix=".txt",
        ) as file:  # fmt: skip
            file.write(f"{shlex.join(sys.argv)}\nPython {sys.version}\n\n{told}")
    except OSError:
        return f"{told}{reassurance}this is a bug; please report all of the above"
    words = " ".join(str(error).split())[:LONGEST_WORDS]
    words = words.encode("utf-8", "backslashreplace").decode("utf-8")
    return (
        f"a bug: {type(error).__name__}: {words}\n"
        f"  {reassurance}please report it with {file.name}, which says where"
    )


def path_of(text: str) -> pathlib.Path:
    """Returns a path, expanding ~: a shell does not in --out=~/pictures."""
    return pathlib.Path(text).expanduser()
