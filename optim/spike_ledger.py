"""A Keras callback that records the gradient spikes of `model.fit`."""

import json
import math
import os
import statistics
from collections import deque

import keras
from keras import KerasTensor, Variable, ops

from . import spikes
from .damp import damp
from .spikes import Row

Logs = dict[str, float] | None


class SpikeLedger(keras.callbacks.Callback):
    """Keeps a row for each spike, and one for each recovery of the loss from one.

    A spike is a gradient whose largest element is 30 times the usual one, or that is
    not finite (of several such steps in a row, the first); during the first 100 steps
    only the latter counts. Gradients are seen as the optimizer's arithmetic gets them:
    unscaled, averaged, clipped, but not yet damped. It works on the TensorFlow backend,
    with one replica and any Keras optimizer, damped or not.

    Attributes:
        rows: Dicts, with the keys of `spikes.spike_row` and `spikes.recovery_row` and
            the position as "step", from 1. Only damped optimizers give damped_to and
            above_knee. The loss of a step is recovered from Keras' running mean over
            the epoch.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        """Makes an empty ledger.

        Args:
            path: A file to which each row is appended as a line of JSON, or None.
        """
        super().__init__()
        self.rows: list[Row] = []
        self._path = path
        self._log_level, self._num_averaged, self._step = 0.0, 0, 0
        self._losses: deque[float] = deque(maxlen=spikes.RECENT_LOSSES)
        self._open: list[Row] = []
        self._was_bad = False
        names = ("largest", "damped", "above", "count", "not_finite")
        self._seen = {name: Variable(0.0, trainable=False, name=name) for name in names}

    def on_train_begin(self, logs: Logs = None) -> None:
        """Hooks into the optimizer, to see its gradients.

        Raises:
            RuntimeError: If the backend is not TensorFlow.
        """
        if keras.backend.backend() != "tensorflow":
            raise RuntimeError(
                "Expected the TensorFlow backend. "
                f"Received: keras.backend.backend()={keras.backend.backend()!r}"
            )
        optimizer = self.model.optimizer
        # LossScaleOptimizer passes unscaled gradients to its inner optimizer.
        self._optimizer = getattr(optimizer, "inner_optimizer", optimizer)
        update_step = self._optimizer.update_step

        def watched(gradient: KerasTensor, variable: Variable, *rest: object) -> None:
            self._look(ops.convert_to_tensor(gradient), variable)
            update_step(gradient, variable, *rest)

        self._optimizer.update_step = watched
        self.model.make_train_function(force=True)  # it may already be traced

    def on_train_end(self, logs: Logs = None) -> None:
        """Restores the optimizer."""
        del self._optimizer.update_step
        self.model.make_train_function(force=True)

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Resets the running mean, as Keras does."""
        self._num_batches, self._mean_loss = 0, 0.0

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Looks for a spike in the steps since the last call."""
        self._step += 1
        seen = {name: float(ops.convert_to_numpy(v)) for name, v in self._seen.items()}
        for variable in self._seen.values():
            variable.assign(0.0)
        loss = self._loss_of(batch + 1, (logs or {}).get("loss", float("nan")))
        usual = spikes.usual_gradient(self._log_level, self._num_averaged)
        is_bad = seen["not_finite"] > 0
        if spikes.is_spike(seen["largest"], usual) or (is_bad and not self._was_bad):
            self._add(self._spike(seen, usual, loss))
        self._was_bad = is_bad
        if is_bad or not math.isfinite(loss):
            return
        self._losses.append(loss)
        self._log_level = spikes.next_log_level(
            self._log_level, seen["largest"], self._num_averaged
        )
        self._num_averaged += 1
        self._note_recoveries()

    def _look(self, gradient: KerasTensor, variable: Variable) -> None:
        """Adds a gradient to what this step has seen; runs inside the compiled step."""
        size = ops.abs(ops.cast(gradient, "float32"))
        is_finite = ops.isfinite(size)
        largest = ops.max(ops.where(is_finite, size, 0.0))
        seen = self._seen
        seen["largest"].assign(ops.maximum(seen["largest"], largest))
        num_finite = ops.sum(ops.cast(is_finite, "float32"))
        seen["count"].assign_add(float(gradient.shape.num_elements()))
        seen["not_finite"].assign_add(gradient.shape.num_elements() - num_finite)
        if hasattr(self._optimizer, "knee_of"):
            knee = self._optimizer.knee_of(gradient, variable)
            seen["damped"].assign(ops.maximum(seen["damped"], damp(largest, knee)))
            seen["above"].assign_add(ops.sum(ops.cast(size > knee, "float32")))

    def _loss_of(self, num_batches: int, mean_loss: float) -> float:
        """Returns the mean loss since the last call, if all batches are of one size."""
        total = mean_loss * num_batches - self._mean_loss * self._num_batches
        loss = total / max(num_batches - self._num_batches, 1)
        self._num_batches, self._mean_loss = num_batches, mean_loss
        return loss

    def _spike(self, seen: dict[str, float], usual: float | None, loss: float) -> Row:
        damping = losses = None
        if hasattr(self._optimizer, "knee_of"):
            damping = seen["damped"], seen["above"] / seen["count"]
        if self._losses and math.isfinite(loss):
            recent = statistics.median(self._losses)
            losses = (self._open[0]["loss_before"] if self._open else recent, loss)
        position, num_bad = {"step": self._step}, int(seen["not_finite"])
        largest = seen["largest"]
        row = spikes.spike_row(position, largest, num_bad, usual, damping, losses)
        if losses:
            self._open.append(row)
        return row

    def _note_recoveries(self) -> None:
        recent = statistics.median(self._losses)
        for spike in list(self._open):
            row = spikes.recovery_row({"step": self._step}, spike, recent, "step")
            if row:
                self._open.remove(spike)
                self._add(row)

    def _add(self, row: Row) -> None:
        self.rows.append(row)
        if self._path is not None:
            with open(self._path, "a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
