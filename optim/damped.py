"""Makes damped optimizers of Keras' own, and names those that a config can choose."""

import keras
from keras.optimizers import Optimizer

from .guards import check_can_be_damped
from .log_adam import LogAdam, LogDampingMixin

_damped_classes = {keras.optimizers.Adam: LogAdam}


def LogDamped(cls: type[Optimizer]) -> type[Optimizer]:
    """Returns the damped subclass of a Keras optimizer class: LogSGD for SGD.

    It takes the class's own arguments and `damping_scale`. Damping happens for each
    variable after unscaling, accumulation, the sum over replicas and Keras' clipping:
    a `clipnorm` below the knee leaves it nothing to do. A damped class is its own
    damped class. What comes out is registered with Keras as `magnetosphere>Log...`, so
    a `.keras` file opens once this was called, as it was when it was saved.

    Args:
        cls: A subclass of `keras.optimizers.Optimizer` that has an `update_step`.

    Raises:
        TypeError: If it is anything else, or a class whose `apply` does not lead to
            `update_step`: wrappers such as LossScaleOptimizer and MultiOptimizer.
    """
    check_can_be_damped(cls)
    if issubclass(cls, LogDampingMixin):
        return cls
    if cls not in _damped_classes:
        summary = f"{cls.__name__} on damped gradients; see LogDamped."
        damped = type(
            f"Log{cls.__name__}", (LogDampingMixin, cls), {"__doc__": summary}
        )
        register = keras.saving.register_keras_serializable("magnetosphere")
        _damped_classes[cls] = register(damped)
    return _damped_classes[cls]


# Made at import, so that `.keras` files that hold them can be opened.
LogAdamW = LogDamped(keras.optimizers.AdamW)
LogLion = LogDamped(keras.optimizers.Lion)
LogRMSprop = LogDamped(keras.optimizers.RMSprop)
LogSGD = LogDamped(keras.optimizers.SGD)
