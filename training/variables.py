"""Names the variables of networks and optimizers as in a checkpoint."""

from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

Kind = tuple[tuple[int, ...], np.dtype]


def field_variables(
    field: str, owner: keras.Model | keras.optimizers.Optimizer
) -> dict[str, keras.Variable]:
    """Returns the variables of one field of the state by name.

    Names are "field/number-name"; the number is the index in the field's own order,
    as Keras may repeat a name.
    """
    named = {}
    for place, variable in enumerate(owner.variables):
        name = variable.path.replace("/", ".").removeprefix(f"{owner.name}.")
        named[f"{field}/{place:03d}-{name}"] = variable
    return named


def assign_network(
    field: str, network: keras.Model, arrays: Mapping[str, np.ndarray]
) -> None:
    """Restores the weights of one network.

    Args:
        field: The network's field of the state, such as "ema_generator".
        network: With the same shapes; changed in place.
        arrays: Those of the whole state or of this field, by name.

    Raises:
        ValueError: If an array of this field is missing, unknown, or of another shape
            or type; nothing is changed then.
    """
    targets = field_variables(field, network)
    arrays = {n: array for n, array in arrays.items() if n.startswith(f"{field}/")}
    check_fit(kinds_of(targets), arrays)
    for name, variable in targets.items():
        variable.assign(arrays[name])


def kinds_of(
    targets: Mapping[str, keras.Variable | tf.Variable],
) -> dict[str, Kind]:
    """Returns the shape and type of each variable."""
    return {n: (tuple(v.shape), np.dtype(_dtype(v))) for n, v in targets.items()}


def check_fit(expected: dict[str, Kind], arrays: Mapping[str, np.ndarray]) -> None:
    """Checks that arrays have the expected names, shapes and types.

    Raises:
        ValueError: If they are not.
    """
    received = {name: (a.shape, a.dtype) for name, a in arrays.items()}
    if received != expected:
        wrong = sorted(dict(received.items() ^ expected.items()))
        raise ValueError(
            f"Expected exactly the arrays of this state. Received: {len(wrong)} that "
            f"are missing, unknown or of another shape or type: {', '.join(wrong[:5])}"
        )


def _dtype(variable: keras.Variable | tf.Variable) -> str:
    dtype = variable.dtype
    return dtype.name if isinstance(dtype, tf.DType) else dtype
