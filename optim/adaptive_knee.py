"""A knee that follows each variable's own gradients: `damping_scale="adaptive"`.

    s    mean |g| over the nonzero elements of a variable's gradient
    r    its usual size, a running geometric mean of s over the previous steps
    c    3 r / log(1 + max(1, s / (3 r))), the knee for this step
    r <- r (s / r)^w,  w = max(1/100, 1/t) in step t

In a usual step (s below 3 r) the knee is 4.3 r, and an element of size r keeps nine
tenths of it. In a spike the knee falls with the logarithm of the spike's size, so that
what gets through is 3 to 4 usual gradients, however large the spike; a knee that stayed
put would let log(s / c) of them through, 60 for a spike of 1e20. A spike of 10,000
raises the usual size by a tenth, one of 1e20 by a half. c scales with g: multiplying
the loss by a constant does not change training, down to Adam's epsilon.

Before the first gradient nothing is usual, and a rule that knows no scale cannot tell
whether that gradient is a spike: it sets r and is passed on as 0, which costs one step.

Limitations: skewed noise biases it, as it does any knee (see log_adam.py), and a kind
of gradient that comes every few steps, far larger than the rest, counts for less.
"""

import math

from keras import KerasTensor, ops

ADAPTIVE = "adaptive"
USUAL_SIZES = 3.0  # up to here a gradient is usual; lower: more bias in skewed noise
MEMORY = 0.01  # the least weight of a step in the usual size
SMALLEST = 2.0**-126  # the smallest normal float32


def adaptive_knee(
    gradient: KerasTensor, usual_size: KerasTensor, step: KerasTensor
) -> tuple[KerasTensor, KerasTensor]:
    """Returns the knee c for a gradient, and the next r.

    It works with logarithms and averages, since s / r and a plain sum could overflow.

    Args:
        gradient: Floating point, any shape. If it is all zeros, or has an element that
            is not finite, it is taken to be of the usual size.
        usual_size: float32 [], r; 0 until something is usual.
        step: The step's number, from 1.

    Returns:
        float32 [] above 0, and float32 [].
    """
    magnitude = ops.abs(ops.cast(gradient, "float32"))
    count = ops.maximum(ops.sum(ops.cast(magnitude > 0, "float32")), 1.0)
    size = ops.sum(magnitude / count)
    is_known = usual_size > 0
    is_size = ops.logical_and(size > 0, ops.isfinite(size))
    first = ops.where(is_size, size, 0.0)
    usual = ops.maximum(ops.where(is_known, usual_size, first), SMALLEST)
    size = ops.maximum(ops.where(is_size, size, usual), SMALLEST)
    log_ratio = ops.log(size) - ops.log(usual)
    excess = ops.maximum(log_ratio - math.log(USUAL_SIZES), 0.0)
    knee = USUAL_SIZES * usual / ops.softplus(excess)  # softplus(log x) = log(1 + x)
    weight = ops.maximum(MEMORY, 1.0 / ops.cast(step, "float32"))
    moved = usual_size * ops.exp(weight * log_ratio)
    return knee, ops.where(is_known, moved, first)
