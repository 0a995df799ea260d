"""Refuses what cannot be damped, in words that say what to do instead."""

import inspect
import math
from types import CodeType

import keras


def checked_damping_scale(damping_scale: float) -> float:
    """Returns the scale as a plain float, so that it can be written to a config.

    Raises:
        ValueError: If it is not a float, not finite, or not above 0.
    """
    if not isinstance(damping_scale, float):
        raise ValueError(
            'Expected damping_scale to be a float, or "adaptive". '
            f"Received: damping_scale={damping_scale!r}"
        )
    if not 0 < damping_scale < math.inf:
        raise ValueError(
            "Expected damping_scale > 0 and finite. "
            f"Received: damping_scale={damping_scale}"
        )
    return float(damping_scale)


def check_can_be_damped(cls: type) -> None:
    """Checks that damping `update_step` would damp all that a class does.

    Raises:
        TypeError: If it would not, or if this is no Keras optimizer class at all.
    """
    if isinstance(cls, keras.optimizers.Optimizer):
        name = type(cls).__name__
        raise TypeError(
            "Expected an optimizer class, to be called afterwards: "
            f"LogDamped({name})(...). Received an instance of {name}"
        )
    if not (isinstance(cls, type) and issubclass(cls, keras.optimizers.Optimizer)):
        raise TypeError(
            "Expected a Keras optimizer class, such as keras.optimizers.SGD. "
            f"Received: {cls!r}"
        )
    if issubclass(cls, keras.optimizers.LossScaleOptimizer):
        raise TypeError(
            "Expected an optimizer that updates variables itself. Received: "
            f"{cls.__name__}, which unscales gradients for another optimizer. Damp "
            "that one: LossScaleOptimizer(LogDamped(cls)(...))"
        )
    if issubclass(cls, keras.optimizers.MultiOptimizer):
        raise TypeError(
            "Expected an optimizer that updates variables itself. Received: "
            f"{cls.__name__}, which hands them to other optimizers. Damp those"
        )
    if not _reaches_update_step(cls):
        raise TypeError(
            "Expected an optimizer whose apply() leads to its own update_step(). "
            f"Received: {cls.__module__}.{cls.__name__}, which does not: it would go "
            "undamped. (Of a class written for one backend, take the general one, "
            "such as keras.optimizers.Adam.)"
        )


def _reaches_update_step(cls: type) -> bool:
    """Follows the names in a class's code from `apply`; looks for an `update_step`.

    Reading the code is enough to catch a class that does its arithmetic elsewhere, and
    nothing has to be built or run at import. A name stands for the class's own method
    and, where the code says super, for the next one among its bases too.
    """
    if cls.update_step is keras.optimizers.Optimizer.update_step:
        return False
    bases = cls.__mro__
    waiting, seen = [("apply", 0)], set()
    while waiting:
        name, first = waiting.pop()
        places = [
            place for place in range(first, len(bases)) if name in vars(bases[place])
        ]
        if not places or (name, places[0]) in seen:
            continue
        if name == "update_step":
            return True
        seen.add((name, places[0]))
        names = _names_in(inspect.unwrap(vars(bases[places[0]])[name]))
        waiting += [(called, 0) for called in names]
        if "super" in names:
            waiting += [(called, places[0] + 1) for called in names]
    return False


def _names_in(function: object) -> set[str]:
    """Returns the global and attribute names in a function and in those inside it."""
    names, codes = set(), [getattr(function, "__code__", None)]
    while codes:
        code = codes.pop()
        if isinstance(code, CodeType):
            names.update(code.co_names)
            codes += code.co_consts
    return names
