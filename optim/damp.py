"""The damping formula, D(g) = c sign(g) log(1 + |g| / c), in floating point.

log_adam.py says what it is for and when it fails.
"""

import math

import keras
from keras import KerasTensor, ops

# Scales are clipped to this and its inverse: further out, 1 / c is subnormal or 0.
LARGEST_SCALE = {"float32": 2.0**126, "float64": 2.0**1022}
IDENTITY_BELOW = 2.0**-60  # |g| / c at which even float64 cannot tell D(g) from g


def damp(gradient: KerasTensor, damping_scale: float | KerasTensor) -> KerasTensor:
    """Returns D(gradient), element by element, computed in float32 or wider.

    Where |g| / c would overflow, it returns c (log|g| - log c), and where |g| / c would
    underflow, g itself: at any scale, a finite gradient gives a finite result. It calls
    log1p because log(1 + x) is 0 in float32 for x below 6e-8.

    Args:
        gradient: A dense floating-point tensor of any shape.
        damping_scale: The knee c, a float in (0, inf), or a float32 tensor of such
            values that broadcasts with the gradient.

    Returns:
        A tensor of the same shape and dtype.
    """
    is_tensor = ops.is_tensor(damping_scale)
    scale = damping_scale if is_tensor else checked_damping_scale(damping_scale)
    gradient = ops.convert_to_tensor(gradient)
    dtype = keras.backend.result_type(gradient.dtype, float)
    wide_dtype = keras.backend.result_type(dtype, "float32")
    largest = LARGEST_SCALE[wide_dtype]
    if is_tensor:
        scale = ops.clip(ops.cast(scale, wide_dtype), 1 / largest, largest)
    else:
        scale = min(max(scale, 1 / largest), largest)

    gradient = ops.cast(gradient, wide_dtype)
    magnitude = ops.abs(gradient)
    quotient = magnitude / scale
    damped = scale * ops.log1p(quotient)
    if is_tensor or scale < 1:
        # The quotient overflows only for |g| of 4 or more; maximum() avoids log(0).
        log_scale = ops.log(scale) if is_tensor else math.log(scale)
        logarithm = ops.log(ops.maximum(magnitude, 1.0)) - log_scale
        damped = ops.where(ops.isinf(quotient), scale * logarithm, damped)
    if is_tensor or scale > 1:
        damped = ops.where(quotient < IDENTITY_BELOW, magnitude, damped)
    return ops.cast(ops.sign(gradient) * damped, dtype)


def checked_damping_scale(damping_scale: object) -> float:
    """Returns the scale as a plain float, which can be written to a config.

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
