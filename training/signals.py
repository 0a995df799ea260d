"""Stops a run on SIGTERM, SIGUSR1, SIGHUP or Ctrl-C without losing an iteration.

Before `start_saving` there is nothing to save, so a signal exits at once. After it, the
loop finishes the current iteration, saves and exits with the signal's status; a second
Ctrl-C exits at once. SIGHUP comes when a terminal or an ssh session is lost; `nohup`
has it ignored, and then it stays ignored.
"""

import contextlib
import os
import signal
import types

EXIT_STATUS = {
    signal.SIGTERM: 75,
    signal.SIGUSR1: 75,
    signal.SIGHUP: 75,
    signal.SIGINT: 130,
}


def signals_to_handle() -> list[signal.Signals]:
    """Returns the signals that stop a run, without SIGHUP where it is ignored."""
    is_nohup = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    return [one for one in EXIT_STATUS if not (is_nohup and one == signal.SIGHUP)]


class StopRequest:
    """A request to stop, set by signal handlers and read by the loop.

    Attributes:
        status: The requested exit status, or None.
    """

    def __init__(self) -> None:
        self.status: int | None = None
        self._saving = False
        self._interrupted = False
        self._stderr = os.dup(2)  # 2 is redirected while TensorFlow is imported

    def install(self) -> None:
        """Installs the handlers, replacing inherited ones but for nohup's."""
        for number in signals_to_handle():
            signal.signal(number, self._receive)

    def start_saving(self) -> None:
        """Makes signals wait for the current iteration to be saved from now on."""
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
        """Writes with one system call, safe in a handler; ignores a lost terminal."""
        with contextlib.suppress(OSError):
            os.write(self._stderr, f"\n{text}\n".encode())
