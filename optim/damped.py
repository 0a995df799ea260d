"""Damped versions of Keras' optimizers, those that a config can choose by name."""

import keras
from keras.optimizers import Optimizer

from .derived import Made, derived
from .guards import check_can_be_damped
from .log_adam import LogAdam, LogDampingMixin

_damped_classes: Made = {keras.optimizers.Adam: LogAdam}


def LogDamped(cls: type[Optimizer]) -> type[Optimizer]:
    """Returns the damped subclass of a Keras optimizer class: LogSGD for SGD.

    It takes the arguments of the class, and `damping_scale`. A variable's gradient is
    damped after unscaling, accumulation, clipping by Keras and the sum over replicas: a
    `clipnorm` below the knee leaves damping nothing to do. A class that is damped
    already is returned as it is. The new class is registered with Keras as
    `magnetosphere>Log...`; to open a `.keras` file that uses it, call LogDamped first.

    Args:
        cls: A subclass of `keras.optimizers.Optimizer` that has an `update_step`.

    Raises:
        TypeError: If it is anything else, or a class that overrides a method on the way
            to `update_step`, as LossScaleOptimizer and MultiOptimizer do.
    """
    check_can_be_damped(cls)
    summary = f"{cls.__name__} on damped gradients; see LogDamped."
    return derived(LogDampingMixin, cls, "Log", summary, _damped_classes)


# Made at import, so that `.keras` files that use them can be opened.
LogAdamW = LogDamped(keras.optimizers.AdamW)
LogLion = LogDamped(keras.optimizers.Lion)
LogRMSprop = LogDamped(keras.optimizers.RMSprop)
LogSGD = LogDamped(keras.optimizers.SGD)
