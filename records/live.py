"""Tells the pages of a run, while it trains, that it does and how long it will take."""

import collections
import contextlib
import dataclasses
import json
import os
import shlex
import sys
import time
from typing import Any

from files.address import address_of
from gallery.live import FINISHED, STOPPED, TRAINING, Live, live_of, write_live
from gallery.run_page import SUMMARY
from records.run_folder import RunFolder

BEAT_SECONDS = 5  # between two signs of life, or an iteration if that takes longer
LEAST_PATIENCE_SECONDS = 60
TIMES_USUAL = 5  # as long as the longest silence yet, before it is suspicious
LONG_STEP_SECONDS = 1800  # building, or measuring, on a slow machine
LEAST_BEATS = 4
MOST_BEATS = 720  # from which the speed is computed: an hour's, or the last ones


class Pulse:
    """Writes a run's signs of life."""

    def __init__(self, run: RunFolder, iteration: int, total: int) -> None:
        """Begins with `iteration` of `total` iterations done; writes nothing yet."""
        self._run = run
        self._total = total
        self._beats: collections.deque[tuple[float, int]] = collections.deque(
            maxlen=MOST_BEATS
        )
        self._longest = 0.0
        self._command: str | None = None
        self._written = 0.0
        self.live = self._live(iteration, time.time())

    def announce(self, doing: str, iteration: int) -> None:
        """Says what will take long, and during which silence means nothing."""
        now = time.time()
        self.live = self._live(
            iteration, now, doing=doing, patience_seconds=LONG_STEP_SECONDS
        )
        self._write()

    def beat(self, iteration: int) -> None:
        """Gives a sign of life after an iteration, if the last is a while ago."""
        now = time.time()
        is_first = not self._beats
        silence = now - self.live.seen
        if not is_first and silence < BEAT_SECONDS and self.live.doing is None:
            return
        if len(self._beats) == LEAST_BEATS:
            self._longest = 0.0  # some of the program was compiled until now
        if self.live.doing is None:
            self._longest = max(self._longest, silence)
        self._note(now, iteration)
        self.live = self._live(iteration, now)
        self._write()

    def end(self, iteration: int, because: str | None = None) -> None:
        """Says that this process trains no longer, and why, if nobody asked it to."""
        state = FINISHED if iteration >= self._total else STOPPED
        self.live = self._live(
            iteration, time.time(), state=state, seconds_left=None, because=because
        )
        self._write()

    def reach(self, iteration: int) -> None:
        """Notes an iteration whose page is about to be written."""
        self.live = dataclasses.replace(self.live, iteration=iteration)

    def page_written(self) -> None:
        """Lets open pages know that there is something new."""
        self._written = time.time()
        told = last_live(self._run)
        self._command = told.command if told else None
        self.live = dataclasses.replace(
            self.live, command=self._command, written=self._written
        )
        self._write()

    def _note(self, now: float, iteration: int) -> None:
        if self._beats and iteration < self._beats[-1][1]:
            self._beats.clear()  # the run was rolled back
        self._beats.append((now, iteration))

    def _live(self, iteration: int, now: float, **changes: Any) -> Live:
        usual: dict[str, Any] = {
            "state": TRAINING,
            "patience_seconds": max(
                LEAST_PATIENCE_SECONDS, TIMES_USUAL * self._longest
            ),
            "seconds_left": self._seconds_left(iteration),
        }
        return Live(
            iteration=iteration,
            total_iterations=self._total,
            seen=now,
            command=self._command,
            written=self._written,
            **usual | changes,
        )

    def _seconds_left(self, iteration: int) -> float | None:
        """Returns the time to the end at the pace of the beats, pauses included."""
        if len(self._beats) < LEAST_BEATS:
            return None
        # Between the first two some of the program is still being compiled.
        (began, first), (now, last) = self._beats[1], self._beats[-1]
        if last <= first:
            return None
        return max(0, self._total - iteration) * (now - began) / (last - first)

    def _write(self) -> None:
        # A sign of life that cannot be written must not end a night's training.
        with contextlib.suppress(OSError):
            write_live(self._run.samples, self.live)


def last_live(run: RunFolder) -> Live | None:
    """Returns how the run stood when its page was last written, if that is known."""
    try:
        summary = json.loads((run.samples / SUMMARY).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return live_of(summary.get("live")) if isinstance(summary, dict) else None


def command_of(run: RunFolder, preset: str | None, is_unchanged: bool) -> str:
    """Returns the command that continues a run.

    It names the preset if the run has its keys, else the run's own config.
    """
    config = preset if preset and is_unchanged else run.config.as_posix()
    return shlex.join([python_here(), "train.py", "--config", config])


def python_here() -> str:
    """Returns this Python as a command, if it is below the working directory."""
    here, used = os.path.abspath(os.curdir), os.path.abspath(sys.executable)
    if os.path.commonpath([here, used]) == here:
        return os.path.relpath(used, here)
    return "python"


def page_address(run: RunFolder) -> str:
    """Returns the file:// address of a run's page, which terminals make a link."""
    return address_of(run.samples / "index.html")
