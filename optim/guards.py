"""Refuses what cannot be damped, and says what to do instead."""

from keras.optimizers import Nadam, Optimizer

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


def check_can_be_damped(cls: type[Optimizer]) -> None:
    """Checks that to damp in `update_step` is to damp everything a class does.

    It is if the class has its own `update_step` and inherits the methods that lead to
    it. A class that overrides one of them may still end up there; it is refused anyway.

    Raises:
        TypeError: If it may not be, or if this is not a Keras optimizer class.
    """
    if isinstance(cls, Optimizer):
        name = type(cls).__name__
        raise TypeError(
            "Expected an optimizer class, to be called afterwards: "
            f"LogDamped({name})(...). Received an instance of {name}"
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
            f"{reason} and could go undamped. (Damp what is inside a wrapper: "
            "LossScaleOptimizer(LogDamped(cls)(...)). Instead of a class written for "
            "one backend, take the general one, such as keras.optimizers.Adam.)"
        )
