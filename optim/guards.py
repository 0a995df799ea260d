"""Refuses what cannot be damped or scaled, and says what to do instead."""

from keras.optimizers import Adafactor, Ftrl, Nadam, Optimizer

# The methods that take a gradient to update_step; some exist on one backend only.
WAY_TO_UPDATE_STEP = (
    "apply_gradients",
    "apply",
    "stateless_apply",
    "_backend_apply_gradients",
    "_backend_update_step",
    "_distributed_tf_update_step",
)
# The versions of them that are known to do so; Nadam's calls the general one.
KNOWN = {
    getattr(cls, n, None) for cls in (Optimizer, Nadam) for n in WAY_TO_UPDATE_STEP
}
# Optimizers whose step is not proportional to the learning rate.
NOT_PROPORTIONAL = {
    Adafactor: "which caps the rate, and scales it by the weights' own size already",
    Ftrl: "which solves for the weights anew, with the rate on both sides",
}


def check_can_be_damped(cls: type[Optimizer]) -> None:
    """Checks that to damp in `update_step` is to damp everything a class does.

    Raises:
        TypeError: If it may not be, or if this is not a Keras optimizer class.
    """
    _check_update_step(cls, "LogDamped", "undamped")


def check_can_be_scaled(cls: type[Optimizer]) -> None:
    """Checks that another rate in `update_step` gives a step in proportion to it.

    It cannot be seen in a class that is not Keras' own; that one is taken on trust.

    Raises:
        TypeError: If it may not, or if this is not a Keras optimizer class.
    """
    _check_update_step(cls, "FanInScaled", "unscaled")
    for refused, reason in NOT_PROPORTIONAL.items():
        if issubclass(cls, refused):
            raise TypeError(
                "Expected an optimizer whose step is proportional to the learning "
                f"rate, such as keras.optimizers.Adam. Received: {cls.__module__}."
                f"{cls.__name__}, {reason}"
            )


def _check_update_step(cls: type[Optimizer], factory: str, undone: str) -> None:
    """Checks that a class has its own `update_step`, to which Keras' methods lead.

    A class that overrides one of them may still end up there; it is refused anyway.
    """
    if isinstance(cls, Optimizer):
        name = type(cls).__name__
        raise TypeError(
            "Expected an optimizer class, to be called afterwards: "
            f"{factory}({name})(...). Received an instance of {name}"
        )
    if not (isinstance(cls, type) and issubclass(cls, Optimizer)):
        raise TypeError(
            "Expected a Keras optimizer class, such as keras.optimizers.SGD. "
            f"Received: {cls!r}"
        )
    overridden = [n for n in WAY_TO_UPDATE_STEP if getattr(cls, n, None) not in KNOWN]
    if overridden or cls.update_step is Optimizer.update_step:
        reason = f"overrides {overridden[0]}()" if overridden else "has none"
        raise TypeError(
            "Expected an optimizer with an update_step() of its own, to which Keras' "
            f"own methods lead. Received: {cls.__module__}.{cls.__name__}, which "
            f"{reason} and could go {undone}. (Of a wrapper, change what is inside: "
            f"LossScaleOptimizer({factory}(cls)(...)). Instead of a class written for "
            "one backend, take the general one, such as keras.optimizers.Adam.)"
        )
