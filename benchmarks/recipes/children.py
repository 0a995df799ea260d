"""Runs commands as child processes, and stops them as train.py wants to be stopped."""

import pathlib
import signal
import subprocess
import threading
import types

from training.signals import EXIT_STATUS, signals_to_handle


class Stopped(Exception):
    """The benchmark was asked to stop; the run continues at the next start."""


class Children:
    """The child processes of all threads.

    A signal is passed on to each, which then saves and ends. They are in process
    groups of their own, so that Ctrl-C in a terminal reaches them once, not twice.

    Attributes:
        status: Exit status of the signal that came, or None.
    """

    def __init__(self) -> None:
        self.status: int | None = None
        self._running: set[subprocess.Popen] = set()
        self._lock = threading.RLock()  # a second signal may interrupt the first

    def install(self) -> None:
        """Installs handlers of the signals that train.py knows."""
        for number in signals_to_handle():
            signal.signal(number, self._receive)

    def _receive(self, number: int, frame: types.FrameType | None) -> None:
        self.status = EXIT_STATUS[signal.Signals(number)]
        with self._lock:
            for process in self._running:
                process.send_signal(number)

    def run(self, arguments: list[str], log: pathlib.Path) -> int:
        """Runs a command to its end; appends what it prints to a log.

        Returns:
            Its exit status; negative: the signal that killed it.

        Raises:
            Stopped: If a signal came before it, or while it ran and ended it.
        """
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "ab") as output:
            with self._lock:
                if self.status is not None:
                    raise Stopped
                process = subprocess.Popen(
                    arguments,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    process_group=0,
                )
                self._running.add(process)
            try:
                status = process.wait()
            finally:
                with self._lock:
                    self._running.discard(process)
        # 3: the run diverged just then, which is a result.
        if self.status is not None and status not in (0, 3):
            raise Stopped
        return status
