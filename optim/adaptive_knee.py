"""A knee that follows each variable's own gradient: `damping_scale="adaptive"`.

    s    mean |g| over the elements of a variable's gradient that are not 0
    r    its usual size: the running geometric mean of s over the steps before
    c    3 r / log(1 + max(1, s / (3 r))), the knee for this step
    r <- r (s / r)^w,  w = max(1/100, 1/t) in step t

In a usual step (s below 3 r) the knee is 4.3 r, and an element as large as r passes to
nine tenths. In a spike it falls as the logarithm of the spike, so that what is let
through stays at 3 to 4 usual gradients whatever the spike's size; a knee that stayed
where it is would let through log(s / c) of them, 60 for a spike of 1e20. A spike of
10,000 moves the usual size by a tenth, one of 1e20 by a half. c is homogeneous in g:
the loss times any factor trains alike, down to Adam's epsilon.

Nothing is usual before the first gradient, and no rule that knows no scale could tell
whether it is a spike: it sets r and is passed on as 0, which costs one step.

What it cannot do: skewed noise biases it as every knee (see log_adam.py), and a kind of
gradient that comes every few steps and is far larger than the others counts for less.
"""

import math

from keras import KerasTensor, ops

ADAPTIVE = "adaptive"
USUAL_SIZES = 3.0  # to which a gradient counts as usual; less biases skewed noise more
MEMORY = 0.01  # least weight of a step in the usual size
SMALLEST = 2.0**-126  # normal float32


def adaptive_knee(
    gradient: KerasTensor, usual_size: KerasTensor, step: KerasTensor
) -> tuple[KerasTensor, KerasTensor]:
    """Returns the knee c for a gradient, and r after it.

    It takes logarithms and shares, since s / r and a plain sum could overflow.

    Args:
        gradient: floating point of any shape. With nothing in it but zeros, or with
            an element that is not finite, it counts as of the usual size.
        usual_size: float32 [], r; 0 as long as nothing is usual.
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
