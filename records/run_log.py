"""What a run writes down: scalars.jsonl, spikes.jsonl and TensorBoard events."""

import math
import os
import pathlib
import sys
from collections.abc import Callable

import numpy as np
import tensorflow as tf
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from records.rows import EVENTS, SCALARS, SPIKES, drop_rows_past, write_row

NUM_BUCKETS = 30  # of a histogram, as TensorBoard draws them
# TensorBoard writes through TensorFlow, whose errors are no OSError.
WRITING_FAILED = (OSError, tf.errors.OpError)


class Record:
    """Appends rows, each flushed at once.

    Opening a record drops the rows past the checkpoint that the run continues from,
    and a row that a killed process left unfinished, so that no iteration is told twice.
    """

    def __init__(self, folder: pathlib.Path, iteration: int) -> None:
        """Opens the record of a run.

        Args:
            folder: The run's folder, which exists.
            iteration: Iterations done at the checkpoint it continues from, else 0.
        """
        for name in (SCALARS, SPIKES, EVENTS):
            drop_rows_past(folder / name, iteration)
        self._scalars = open(folder / SCALARS, "a", encoding="utf-8")
        self._spikes = open(folder / SPIKES, "a", encoding="utf-8")
        self._events = TensorBoardEvents(folder, iteration)

    def write_scalars(
        self, iteration: int, scalars: dict[str, float], now: float
    ) -> None:
        """Writes the finite scalars of one iteration to the file and TensorBoard.

        Args:
            iteration: Iterations done.
            scalars: Numbers by "group/name"; one that is not finite is left out.
            now: Seconds since the epoch, for TensorBoard's clock.
        """
        finite = {k: v for k, v in scalars.items() if math.isfinite(v)}
        write_row(self._scalars, {"iteration": iteration} | finite)
        values = [Summary.Value(tag=k, simple_value=v) for k, v in finite.items()]
        event = Event(step=iteration, wall_time=now, summary=Summary(value=values))
        self._events.tell(lambda writer: writer.add_event(event))

    def write_grid(self, iteration: int, png: bytes, now: float) -> None:
        """Shows a grid, a whole PNG file, in TensorBoard."""
        value = Summary.Value(tag="grid", image=Summary.Image(encoded_image_string=png))
        event = Event(step=iteration, wall_time=now, summary=Summary(value=[value]))
        self._events.tell(lambda writer: writer.add_event(event))

    def write_histograms(
        self, iteration: int, arrays: dict[str, np.ndarray], now: float
    ) -> None:
        """Shows how arrays are distributed, in TensorBoard; not finite: left out."""
        values = [
            Summary.Value(tag=name, histo=histogram(array[np.isfinite(array)]))
            for name, array in arrays.items()
        ]
        event = Event(step=iteration, wall_time=now, summary=Summary(value=values))
        self._events.tell(lambda writer: writer.add_event(event))

    def write_spike(self, row: dict[str, object]) -> None:
        """Writes one row of the spike ledger."""
        write_row(self._spikes, row)

    def sync(self) -> None:
        """Makes all rows durable; called before a checkpoint that counts on them."""
        for file in (self._scalars, self._spikes):
            os.fsync(file.fileno())
        self._events.tell(lambda writer: writer.flush())

    def close(self) -> None:
        """Closes the files."""
        self._scalars.close()
        self._spikes.close()
        self._events.tell(lambda writer: writer.close())


class TensorBoardEvents:
    """Writes events for TensorBoard, and gives up at the first failure.

    What it writes is a copy of scalars.jsonl: no reason to lose a checkpoint.
    """

    def __init__(self, folder: pathlib.Path, iteration: int) -> None:
        """Opens a file of events that follow an iteration."""
        self._folder = folder
        self._writer: EventFileWriter | None = None
        started = SessionLog(status=SessionLog.START)
        # TensorBoard forgets what it was told of this step and later ones.
        event = Event(step=iteration + 1, session_log=started)
        try:
            self._writer = EventFileWriter(str(folder))
        except WRITING_FAILED as error:
            self._give_up(error)
        self.tell(lambda writer: writer.add_event(event))

    def tell(self, action: Callable[[EventFileWriter], None]) -> None:
        """Does something with the writer, if it has not failed yet."""
        if self._writer is None:
            return
        try:
            action(self._writer)
        except WRITING_FAILED as error:
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        self._writer = None
        print(
            f"warning: {self._folder}: no more events for TensorBoard ({error})",
            file=sys.stderr,
        )


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
