"""A Keras callback that writes down the gradient spikes of `model.fit`."""

import collections
import json
import math
import os
import statistics

import keras
from keras import ops

from .damp import damp
from .spikes import (
    RECENT_LOSSES,
    SPIKE_FACTOR,
    has_recovered,
    next_log_level,
    usual_gradient,
)


class SpikeLedger(keras.callbacks.Callback):
    """Keeps a row for each spike, and one for each time the loss was back.

    A spike is a gradient whose largest element is 30 times the usual one, or that is
    not finite (of several such steps in a row, the first); in the first 100 steps only
    that counts. What is looked at is what the optimizer's arithmetic gets: unscaled,
    averaged, clipped, before damping. It works for every Keras optimizer on the
    TensorFlow backend, damped or not, on one replica.

    Attributes:
        rows: Dicts. Of a spike: step (from 1), largest_finite, not_finite (elements),
            usual, times_usual, loss_before (median of nine; amid other spikes, that
            before the first one), loss; where the optimizer damps, damped_to and
            above_knee (share of elements). Of a recovery: step, recovered_from (the
            spike's step), after_steps, recent_loss. The loss is Keras' own, the mean
            of an epoch so far, taken apart again.
    """

    def __init__(self, path: str | os.PathLike | None = None) -> None:
        """Makes an empty ledger.

        Args:
            path: File that each row is appended to as a line of JSON; None: none.
        """
        super().__init__()
        self.rows: list[dict[str, float]] = []
        self._path = path
        self._log_level, self._num_averaged, self._step = 0.0, 0, 0
        self._losses = collections.deque(maxlen=RECENT_LOSSES)
        self._open: list[dict[str, float]] = []
        self._was_bad = False
        names = ("largest", "damped", "above", "count", "not_finite")
        self._seen = {
            name: keras.Variable(0.0, trainable=False, name=name) for name in names
        }

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Has the optimizer show its gradients.

        Raises:
            RuntimeError: If the backend is not TensorFlow.
        """
        if keras.backend.backend() != "tensorflow":
            raise RuntimeError(
                "Expected the TensorFlow backend. "
                f"Received: keras.backend.backend()={keras.backend.backend()!r}"
            )
        optimizer = self.model.optimizer
        # LossScaleOptimizer hands unscaled gradients to the one inside.
        self._optimizer = getattr(optimizer, "inner_optimizer", optimizer)
        update_step = self._optimizer.update_step

        def looked_at(gradient, variable, learning_rate) -> None:  # noqa: ANN001
            self._look(ops.convert_to_tensor(gradient), variable)
            update_step(gradient, variable, learning_rate)

        self._optimizer.update_step = looked_at
        self.model.make_train_function(force=True)  # it may have been traced before

    def on_train_end(self, logs: dict | None = None) -> None:
        """Leaves the optimizer as it was."""
        del self._optimizer.update_step
        self.model.make_train_function(force=True)

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Forgets the mean of the epoch before."""
        self._num_batches, self._mean_loss = 0, 0.0

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Looks for a spike in what was done since the last call."""
        self._step += 1
        seen = {name: float(ops.convert_to_numpy(v)) for name, v in self._seen.items()}
        for variable in self._seen.values():
            variable.assign(0.0)
        loss = self._loss_of(batch + 1, (logs or {}).get("loss", float("nan")))
        usual = usual_gradient(self._log_level, self._num_averaged)
        is_large = usual is not None and seen["largest"] > SPIKE_FACTOR * usual
        is_bad = seen["not_finite"] > 0
        if is_large or (is_bad and not self._was_bad):
            self._add(self._spike(seen, usual, loss))
        self._was_bad = is_bad
        if is_bad or not math.isfinite(loss):
            return
        self._losses.append(loss)
        self._log_level = next_log_level(
            self._log_level, seen["largest"], self._num_averaged
        )
        self._num_averaged += 1
        self._note_recoveries()

    def _look(self, gradient, variable) -> None:  # noqa: ANN001
        """Adds a gradient to what was seen in this step, inside the compiled step."""
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
            damped = damp(largest, knee)
            seen["damped"].assign(ops.maximum(seen["damped"], damped))
            seen["above"].assign_add(ops.sum(ops.cast(size > knee, "float32")))

    def _loss_of(self, num_batches: int, mean_loss: float) -> float:
        """Returns the loss since the last call, of batches of one size."""
        total = mean_loss * num_batches - self._mean_loss * self._num_batches
        loss = total / max(num_batches - self._num_batches, 1)
        self._num_batches, self._mean_loss = num_batches, mean_loss
        return loss

    def _spike(
        self, seen: dict[str, float], usual: float | None, loss: float
    ) -> dict[str, float]:
        row = {
            "step": self._step,
            "largest_finite": seen["largest"],
            "not_finite": int(seen["not_finite"]),
        }
        if usual is not None:
            row |= {"usual": usual, "times_usual": seen["largest"] / usual}
        if hasattr(self._optimizer, "knee_of"):
            row["damped_to"] = seen["damped"]
            row["above_knee"] = seen["above"] / seen["count"]
        if self._losses and math.isfinite(loss):
            first = self._open[0]["loss_before"] if self._open else None
            before = statistics.median(self._losses) if first is None else first
            row |= {"loss_before": before, "loss": loss}
            self._open.append(row)
        return row

    def _note_recoveries(self) -> None:
        recent = statistics.median(self._losses)
        for row in list(self._open):
            steps = self._step - row["step"]
            if has_recovered(steps, recent, row["loss_before"]):
                self._open.remove(row)
                self._add(
                    {
                        "step": self._step,
                        "recovered_from": row["step"],
                        "after_steps": steps,
                        "recent_loss": recent,
                    }
                )

    def _add(self, row: dict[str, float]) -> None:
        self.rows.append(row)
        if self._path is not None:
            with open(self._path, "a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
