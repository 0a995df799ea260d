"""Stopping on SIGTERM, SIGUSR1 and Ctrl-C without losing an iteration.

Until `start_saving` is called there is nothing to save, and a signal ends the process
at once with its status. After it, a signal only leaves a note: the loop finishes the
running iteration, saves, and ends with that status. A second Ctrl-C does not wait.
"""

import os
import signal
import types

EXIT_STATUS = {signal.SIGTERM: 75, signal.SIGUSR1: 75, signal.SIGINT: 130}


class StopRequest:
    """The note that signal handlers leave for the loop.

    Attributes:
        status: Exit status that was asked for, or None while nobody did.
    """

    def __init__(self) -> None:
        """Starts without a request and with nothing to save."""
        self.status: int | None = None
        self._saving = False

    def install(self) -> None:
        """Takes the three signals over, whatever was inherited."""
        for number in EXIT_STATUS:
            signal.signal(number, self._receive)

    def start_saving(self) -> None:
        """Lets the running iteration finish and be saved from now on."""
        self._saving = True

    def _receive(self, number: int, frame: types.FrameType | None) -> None:
        status = EXIT_STATUS[signal.Signals(number)]
        name = signal.Signals(number).name
        if not self._saving:
            _say(f"{name}: stopped before the first iteration; nothing to save")
            os._exit(status)
        if number == signal.SIGINT and self.status == status:
            _say("second Ctrl-C: stopped at once, without saving")
            os._exit(status)
        self.status = status
        hint = "; Ctrl-C again to stop without" if number == signal.SIGINT else ""
        _say(f"{name}: saving after this iteration{hint}")


def _say(text: str) -> None:
    """Writes to stderr with one system call, which a handler may do at any time."""
    os.write(2, f"\n{text}\n".encode())
