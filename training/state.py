"""The state of a run: everything that an iteration changes, and nothing else."""

import dataclasses
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from optim.spikes import RECENT_LOSSES
from training.variables import check_fit, field_variables, kinds_of


@dataclasses.dataclass
class State:
    """All that an iteration changes; every field is in every checkpoint.

    Attributes:
        generator: Maps float32 [batch, latent_dim] to [batch, size, size, 3].
        discriminator: Maps [batch, size, size, 3] to logits [batch, 1].
        ema_generator: Average of the generator over time, float32; grids show it.
        generator_optimizer: Its moments and its count of updates.
        discriminator_optimizer: Its moments and its count of updates.
        augment_probability: float32 [], in [0, max_probability].
        real_sign_sum: float32 [], D's verdicts since the last adjustment.
        iteration: Iterations done.
        rollbacks: How often the run went back to an older checkpoint.
        skipped_in_a_row: Iterations skipped since the last one that was not.
        averaged_iterations: Iterations in `log_gradients`.
        log_gradients: float64 [2], of generator and discriminator: logarithm of the
            usual largest gradient (ledger.py).
        recent_losses: float64 [2, 9], of the last iterations, the newest last.
        watched_iterations: Iterations in the averages below (divergence.py).
        usual_log_gradients: float64 [2], of a longer time.
        loss_levels: float64 [2], the losses of about a hundred iterations.
        usual_losses: float64 [2], of a longer time.
        loss_distances: float64 [2], how far recent losses are from the usual ones.
        iterations_out: int64 [2, 2], in a row up to now in which a network's gradients,
            and its loss, were out of their usual range.
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
    """Lists every variable of every field of the state that holds variables.

    Returns:
        Variables by name, "field" or as `field_variables` names them.
    """
    named = {}
    for field, value in _fields(state, object).items():
        if isinstance(value, tf.Variable):
            named[field] = value
        elif not isinstance(value, int | np.ndarray):
            named |= field_variables(field, value)
    return named


def state_arrays(state: State) -> dict[str, np.ndarray]:
    """Copies the whole state, every field of it, to arrays."""
    arrays = {
        name: np.array(variable) for name, variable in state_variables(state).items()
    }
    arrays |= {name: a.copy() for name, a in _fields(state, np.ndarray).items()}
    counts = _fields(state, int).items()
    return arrays | {name: np.array(count, np.int64) for name, count in counts}


def assign_arrays(state: State, arrays: dict[str, np.ndarray]) -> None:
    """Puts back what `state_arrays` copied.

    Args:
        state: A state of the same networks and optimizers; changed in place.
        arrays: Exactly the arrays of `state_arrays`, by name.

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
