"""Writes a run's log: scalars.jsonl, spikes.jsonl and TensorBoard events."""

import contextlib
import math
import os
import pathlib
import time
from typing import BinaryIO

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from files.atomic import named
from records.damage import copy_if_damaged
from records.rows import (
    EVENTS,
    SCALARS,
    SPIKES,
    Row,
    append_row,
    drop_rows_past,
    write_row,
)
from settings.messages import say

NUM_BUCKETS = 30  # per histogram, as TensorBoard draws them


class RunLog:
    """Appends rows, each flushed at once.

    Opening a log drops the rows past the checkpoint that the run continues from, and a
    row that a killed process left unfinished, so that no iteration is recorded twice. A
    file with lines that cannot be read is copied first, and a warning says so.
    """

    def __init__(self, folder: pathlib.Path, iteration: int) -> None:
        """Opens the log in a run's folder, `iteration` iterations having been done."""
        files = [folder / name for name in (EVENTS, SCALARS, SPIKES)]
        warnings = [row for one in files for row in copy_if_damaged(one, iteration)]
        events, *others = files
        drop_rows_past(events, iteration)
        for row in warnings:
            append_row(events, row)
        for file in others:
            drop_rows_past(file, iteration)
        self._scalars = open(folder / SCALARS, "a", encoding="utf-8")
        self._spikes = open(folder / SPIKES, "a", encoding="utf-8")
        self._events = TensorBoardEvents(folder, iteration)

    def write_scalars(
        self, iteration: int, scalars: dict[str, float], now: float
    ) -> None:
        """Writes the finite scalars, by "group/name", as a row and to TensorBoard.

        `now` is in seconds since the epoch.
        """
        finite = {k: v for k, v in scalars.items() if math.isfinite(v)}
        row: Row = {"iteration": iteration}
        write_row(self._scalars, row | finite)
        values = [Summary.Value(tag=k, simple_value=v) for k, v in finite.items()]
        event = Event(step=iteration, wall_time=now, summary=Summary(value=values))
        self._events.add(event)

    def write_grid(self, iteration: int, png: bytes, now: float) -> None:
        """Adds a grid, an encoded PNG file, to TensorBoard."""
        value = Summary.Value(tag="grid", image=Summary.Image(encoded_image_string=png))
        event = Event(step=iteration, wall_time=now, summary=Summary(value=[value]))
        self._events.add(event)

    def write_histograms(
        self, iteration: int, arrays: dict[str, np.ndarray], now: float
    ) -> None:
        """Adds histograms of the finite values of arrays to TensorBoard."""
        values = [
            Summary.Value(tag=name, histo=histogram(array[np.isfinite(array)]))
            for name, array in arrays.items()
        ]
        event = Event(step=iteration, wall_time=now, summary=Summary(value=values))
        self._events.add(event)

    def write_spike(self, row: Row) -> None:
        """Writes one row of the spike ledger."""
        write_row(self._spikes, row)

    def sync(self) -> None:
        """Makes all rows durable; called before a checkpoint that relies on them."""
        for file in (self._scalars, self._spikes):
            with named(file.name):
                os.fsync(file.fileno())

    def close(self) -> None:
        """Closes the files, of which all rows that could be are written."""
        for file in (self._scalars, self._spikes):
            with contextlib.suppress(OSError):  # a row that was reported as it failed
                file.close()
        self._events.close()


class TensorBoardEvents:
    """Writes events for TensorBoard, and gives up at the first failure.

    They only copy what other files have: a failure must not cost a checkpoint.
    TensorBoard's own writer has a thread, whose failure nobody would hear of.
    """

    def __init__(self, folder: pathlib.Path, iteration: int) -> None:
        """Opens a file for the events after an iteration."""
        self._folder = folder
        self._file: BinaryIO | None = None
        started = SessionLog(status=SessionLog.START)
        try:
            # TensorBoard reads the files of a folder in the order of their names.
            name = f"events.out.tfevents.{time.time_ns()}.{os.getpid()}"
            self._file = open(folder / name, "wb")
        except OSError as error:
            self._give_up(error)
        self.add(Event(wall_time=time.time(), file_version="brain.Event:2"))
        # Makes TensorBoard drop earlier events of this step and later ones.
        self.add(Event(step=iteration + 1, session_log=started))

    def add(self, event: Event) -> None:
        """Writes an event and flushes it."""
        if self._file is None:
            return
        try:
            RecordWriter(self._file).write(event.SerializeToString())
            self._file.flush()
        except OSError as error:
            self._give_up(error)

    def close(self) -> None:
        """Closes the file."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()

    def _give_up(self, error: OSError) -> None:
        self.close()
        self._file = None
        say(f"warning: {self._folder}: no more events for TensorBoard ({error})")


def histogram(values: np.ndarray) -> HistogramProto:
    """Counts the values of a float array in buckets of equal width."""
    values = values.astype(np.float64).ravel()
    if not values.size:
        return HistogramProto()
    counts, edges = np.histogram(values, NUM_BUCKETS)
    return HistogramProto(
        min=values.min(),
        max=values.max(),
        num=values.size,
        sum=values.sum(),
        sum_squares=np.square(values).sum(),
        bucket_limit=edges[1:].tolist(),
        bucket=counts.astype(float).tolist(),
    )
