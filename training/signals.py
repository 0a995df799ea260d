"""Stopping on SIGTERM, SIGUSR1 and Ctrl-C without losing an iteration.

Until `start_saving` is called there is nothing to save, and a signal ends the process
at once with its status. After it, a signal only leaves a note: the loop finishes the
running iteration, saves, and ends with that status. A second Ctrl-C does not wait.
"""

import contextlib
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
        self._interrupted = False
        self._stderr = os.dup(2)  # while TensorFlow is imported, 2 leads elsewhere

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
            self._say(f"{name}: stopped before the first iteration; nothing to save")
            os._exit(status)
        if number == signal.SIGINT and self._interrupted:
            self._say("second Ctrl-C: stopped at once, without saving")
            os._exit(status)
        self._interrupted |= number == signal.SIGINT
        self.status = status
        hint = "; Ctrl-C again: stop unsaved" if number == signal.SIGINT else ""
        self._say(f"{name}: saving after this iteration{hint}")

    def _say(self, text: str) -> None:
        """Writes with one system call, as a handler may; a lost terminal is no harm."""
        with contextlib.suppress(OSError):
            os.write(self._stderr, f"\n{text}\n".encode())
