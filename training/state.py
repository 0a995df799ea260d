"""Holds the state of a run: exactly what an iteration changes."""

import dataclasses
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from optim.spikes import RECENT_LOSSES
from training.variables import check_fit, field_variables, kinds_of


@dataclasses.dataclass
class State:
    """Everything that an iteration changes; checkpoints hold every field.

    Attributes:
        generator: Maps float32 [batch, latent_dim] to [batch, size, size, 3].
        discriminator: Maps [batch, size, size, 3] to logits [batch, 1].
        ema_generator: Moving average of the generator, float32; grids show it.
        generator_optimizer: With its moments and number of updates.
        discriminator_optimizer: With its moments and number of updates.
        augment_probability: float32 [], in [min_probability, max_probability].
        real_sign_sum: float32 [], sum of the mean signs of D's verdicts on reals, less
            the target, since the last adjustment.
        iteration: Iterations done.
        rollbacks: How often the run went back to an older checkpoint.
        skipped_in_a_row: Consecutive iterations skipped up to now.
        averaged_iterations: Iterations in `log_gradients`.
        log_gradients: float64 [2], of generator and discriminator: logarithm of the
            usual largest gradient (ledger.py).
        recent_losses: float64 [2, 9], oldest first.
        watched_iterations: Iterations in the averages below (divergence.py).
        usual_log_gradients: float64 [2], as `log_gradients`, averaged for longer.
        loss_levels: float64 [2], losses averaged over about a hundred iterations.
        usual_losses: float64 [2], losses averaged for longer.
        loss_distances: float64 [2], usual distance of a recent loss from the usual one.
        iterations_out: int64 [2, 2], consecutive iterations up to now in which each
            network's gradients, and its loss, were out of range.
    """

    generator: keras.Model
    discriminator: keras.Model
    ema_generator: keras.Model
    generator_optimizer: keras.optimizers.Optimizer
    discriminator_optimizer: keras.optimizers.Optimizer
    augment_probability: tf.Variable
    real_sign_sum: tf.Variable
    iteration: int = 0
    rollbacks: int = 0
    skipped_in_a_row: int = 0
    averaged_iterations: int = 0
    watched_iterations: int = 0
    log_gradients: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(2))
    recent_losses: np.ndarray = dataclasses.field(
        default_factory=lambda: np.zeros((2, RECENT_LOSSES))
    )
    usual_log_gradients: np.ndarray = dataclasses.field(
        default_factory=lambda: np.zeros(2)
    )
    loss_levels: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(2))
    usual_losses: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(2))
    loss_distances: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(2))
    iterations_out: np.ndarray = dataclasses.field(
        default_factory=lambda: np.zeros((2, 2), np.int64)
    )


def state_variables(state: State) -> dict[str, keras.Variable | tf.Variable]:
    """Returns all variables of the state by name.

    The name is the field's, or as in `field_variables`.
    """
    named = {}
    for field, value in _fields(state, object).items():
        if isinstance(value, tf.Variable):
            named[field] = value
        elif not isinstance(value, int | np.ndarray):
            named |= field_variables(field, value)
    return named


def state_arrays(state: State) -> dict[str, np.ndarray]:
    """Copies every field of the state to arrays."""
    arrays = {
        name: np.array(variable) for name, variable in state_variables(state).items()
    }
    arrays |= {name: a.copy() for name, a in _fields(state, np.ndarray).items()}
    counts = _fields(state, int).items()
    return arrays | {name: np.array(count, np.int64) for name, count in counts}


def assign_arrays(state: State, arrays: dict[str, np.ndarray]) -> None:
    """Restores what `state_arrays` copied, into a state of the same networks.

    Raises:
        ValueError: If an array is missing, unknown, or of another shape or type;
            nothing is changed then.
    """
    targets, counts = state_variables(state), _fields(state, int)
    on_host = _fields(state, np.ndarray)
    kinds = kinds_of(targets) | {n: (a.shape, a.dtype) for n, a in on_host.items()}
    check_fit(kinds | {n: ((), np.dtype("int64")) for n in counts}, arrays)
    for name, array in on_host.items():
        array[...] = arrays[name]
    for name, variable in targets.items():
        variable.assign(arrays[name])
    for name in counts:
        setattr(state, name, int(arrays[name]))


def _fields(state: State, kind: type) -> dict[str, Any]:
    """Returns the fields of one type by name."""
    values = {f.name: getattr(state, f.name) for f in dataclasses.fields(state)}
    return {name: value for name, value in values.items() if isinstance(value, kind)}
