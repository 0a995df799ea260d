"""Damps gradients by their logarithm before a Keras optimizer uses them.

    D(g) = c sign(g) log(1 + |g| / c)

g    one element of a gradient, as it reaches the optimizer's arithmetic: unscaled,
     averaged over micro-batches, clipped (if asked), summed over replicas
c    damping_scale, the knee, in the unit of g; c = 1 is the article's formula
log  the natural logarithm

Below the knee D(g) is g (0.05 % less at c / 1000), above it D grows as a logarithm:
at c = 1 a spike of 10,000 becomes 9.2. It is for training that rare, huge gradients
would ruin: with c well placed they no longer own the optimizer's moments for thousands
of steps, and for c up to 1e17 no finite one overflows Adam's second moment.

When it fails:
- The knee is a threshold, and an absolute one: gradients near 1e-3 with spikes of 1
  pass c = 1 all but unchanged, and the same loss times 100 trains otherwise. Set c
  near the usual size of a gradient, and Adam's epsilon far below c.
- Skewed noise biases it: the mean of D(g) is not D of the mean, so the optimum moves
  and rare large gradients that are right are lost (arXiv:2410.13954 needs symmetry).
- It is no guard against NaN: infinities and NaN pass through as they are.

References:
  Dave MacDonald, "A Magnetosphere for Neural Networks", Toronto AI, 2018-03-31.
  arXiv:1412.6980, Adam. arXiv:1606.04474, appendix A: logarithms of gradients with a
  knee of 4.5e-5, as inputs. arXiv:2301.04104: the same curve on targets ("symlog").
"""

import math

import keras
from keras import ops

from optim.guards import checked_damping_scale

# Scales past these act as these do: beyond, 1 / c is no normal number of the dtype.
LARGEST_SCALE = {"float32": 2.0**126, "float64": 2.0**1022}
IDENTITY_BELOW = 2.0**-60  # of the knee: closer to g than float64 can tell


def damp(gradient: keras.KerasTensor, damping_scale: float) -> keras.KerasTensor:
    """Returns D(gradient), element by element, computed in float32 or wider.

    Where |g| / c would overflow it is c (log|g| - log c), and where the quotient would
    be lost to underflow it is g, so that every finite gradient has a finite result, at
    every scale. log1p, because log(1 + x) is 0 for x below 6e-8 in float32.

    Args:
        gradient: A dense floating-point tensor of any shape.
        damping_scale: The knee c, a float in (0, inf).

    Returns:
        A tensor of the same shape and dtype.
    """
    scale = checked_damping_scale(damping_scale)
    gradient = ops.convert_to_tensor(gradient)
    dtype = keras.backend.result_type(gradient.dtype, float)
    wide_dtype = keras.backend.result_type(dtype, "float32")
    largest = LARGEST_SCALE[wide_dtype]
    scale = min(max(scale, 1 / largest), largest)

    gradient = ops.cast(gradient, wide_dtype)
    magnitude = ops.abs(gradient)
    quotient = magnitude / scale
    damped = scale * ops.log1p(quotient)
    if scale < 1:
        # The quotient overflows for |g| of 4 or more only; max keeps log(0) away.
        logarithm = ops.log(ops.maximum(magnitude, 1.0)) - math.log(scale)
        damped = ops.where(ops.isinf(quotient), scale * logarithm, damped)
    elif scale > 1:
        damped = ops.where(quotient < IDENTITY_BELOW, magnitude, damped)
    return ops.cast(ops.sign(gradient) * damped, dtype)


class LogDampingMixin:
    """Damps what the Keras optimizer to its right is given, one variable at a time.

    `update_step` comes after unscaling, accumulation, clipping and the sum over
    replicas, and before the moments; no other method does. Weight decay and the
    averaged weights (EMA) stay outside.
    """

    def __init__(self, *args: object, damping_scale: float = 1.0, **kwargs: object):
        damping_scale = checked_damping_scale(damping_scale)
        super().__init__(*args, **kwargs)
        self.damping_scale = damping_scale

    def update_step(self, gradient, variable, learning_rate) -> None:  # noqa: ANN001
        """Updates a variable by its damped gradient."""
        if hasattr(
            gradient, "dense_shape"
        ):  # tf.IndexedSlices: D(a + b), not D(a) + D(b)
            gradient = ops.segment_sum(
                gradient.values, gradient.indices, variable.shape[0]
            )
        gradient = damp(gradient, self.damping_scale)
        super().update_step(gradient, variable, learning_rate)

    def get_config(self) -> dict:
        """Returns the optimizer's configuration with `damping_scale`."""
        return {**super().get_config(), "damping_scale": self.damping_scale}


@keras.saving.register_keras_serializable("magnetosphere")
class LogAdam(LogDampingMixin, keras.optimizers.Adam):
    """Adam on damped gradients.

    Args:
        *args: Those of `keras.optimizers.Adam`, in its order.
        damping_scale: The knee c, a float in (0, inf), by keyword.
        **kwargs: Those of `keras.optimizers.Adam`.

    Raises:
        ValueError: If `damping_scale` is not a finite float above 0.
    """
