"""What the commands share: lines for people, and the exit status."""

import pathlib
import sys
from collections.abc import Callable

from settings.messages import Problem


def say(line: str) -> None:
    """Prints a line for people: warnings to stderr, the rest to stdout."""
    warning = line.startswith("warning")
    print(line, file=sys.stderr if warning else sys.stdout, flush=True)


def exit_status(action: Callable[[], None]) -> int:
    """Does what a command is for; what the user must change becomes a message.

    Returns:
        0 if it was done, the problem's status (2), 2 where a file cannot be read or
        written, or 130 for Ctrl-C.
    """
    try:
        action()
    except Problem as error:
        print(error, file=sys.stderr)
        return error.status
    except OSError as error:
        print(os_error_text(error), file=sys.stderr)
        print("  mend this and run the same command again", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    return 0


def path_of(text: str) -> pathlib.Path:
    """Returns a path as written; a shell leaves ~ alone in --out=~/pictures."""
    return pathlib.Path(text).expanduser()


def os_error_text(error: OSError) -> str:
    """Returns which file the system refused, and why."""
    return f"{error.filename or 'a file'}: {error.strerror or error}"
