"""Damps gradients logarithmically before a Keras optimizer uses them.

    D(g) = c sign(g) log(1 + |g| / c)

g    one element of a gradient, as it reaches the optimizer's arithmetic: unscaled,
     averaged over micro-batches, clipped (if asked for), summed over replicas
c    damping_scale, the knee, in the unit of g; c = 1 is the article's formula, and
     "adaptive" makes it follow each variable's gradients (adaptive_knee.py)
log  the natural logarithm

Well below the knee D(g) is g (0.05 % less at c / 1000); above it D grows like a
logarithm: at c = 1 a spike of 10,000 becomes 9.2. It is meant for training that rare,
huge gradients would ruin: with a well-placed c they no longer dominate the optimizer's
moments for thousands of steps, and for c up to 1e17 no finite gradient overflows Adam's
second moment.

When it fails:
- The knee is a threshold, and an absolute one: gradients near 1e-3 with spikes of 1
  pass c = 1 all but unchanged, and multiplying the loss by 100 changes training. Set c
  near the usual size of a gradient, and Adam's epsilon far below c.
- Skewed noise biases it: the mean of D(g) is not D of the mean, so the optimum shifts,
  and rare large gradients that are right are lost (arXiv:2410.13954 needs symmetry).
- It does not guard against NaN: infinities and NaN pass through unchanged.

References:
  Dave MacDonald, "A Magnetosphere for Neural Networks", Toronto AI, 2018-03-31.
  arXiv:1412.6980, Adam. arXiv:1606.04474, appendix A: logarithms of gradients with a
  knee of 4.5e-5, as inputs. arXiv:2301.04104: the same curve on targets ("symlog").
"""

import keras
from keras import KerasTensor, Variable, ops

from .adaptive_knee import ADAPTIVE, adaptive_knee
from .damp import checked_damping_scale, damp


class LogDampingMixin:
    """Damps the gradients of the Keras optimizer to its right, variable by variable.

    `update_step` comes after unscaling, accumulation, clipping and the sum over
    replicas, and before the moments; no other method does. Weight decay and the
    averaged weights (EMA) are not affected.
    """

    def __init__(
        self, *args: object, damping_scale: float | str = 1.0, **kwargs: object
    ) -> None:
        if damping_scale != ADAPTIVE:
            damping_scale = checked_damping_scale(damping_scale)
        super().__init__(*args, **kwargs)
        self.damping_scale = damping_scale

    def build(self, variables: list[Variable]) -> None:
        """Makes the optimizer's variables; an adaptive knee adds one for each."""
        is_built = self.built
        super().build(variables)
        if self.damping_scale == ADAPTIVE and not is_built:
            self._usual_sizes = [
                self.add_variable((), dtype="float32", name=f"usual_size_{place}")
                for place in range(len(variables))
            ]

    def update_step(
        self, gradient: KerasTensor, variable: Variable, learning_rate: KerasTensor
    ) -> None:
        """Updates a variable with its damped gradient."""
        if hasattr(gradient, "dense_shape"):  # tf.IndexedSlices may repeat a row
            rows = gradient.indices
            gradient = ops.segment_sum(gradient.values, rows, variable.shape[0])
        if self.damping_scale == ADAPTIVE:
            gradient = self._damp_adaptive(gradient, variable)
        else:
            gradient = damp(gradient, self.damping_scale)
        super().update_step(gradient, variable, learning_rate)

    def knee_of(self, gradient: KerasTensor, variable: Variable) -> float | KerasTensor:
        """Returns the knee with which the next update would damp this gradient."""
        if self.damping_scale != ADAPTIVE:
            return self.damping_scale
        usual_size = self._usual_sizes[self._get_variable_index(variable)]
        return adaptive_knee(gradient, usual_size, self.iterations + 1)[0]

    def _damp_adaptive(self, gradient: KerasTensor, variable: Variable) -> KerasTensor:
        usual_size = self._usual_sizes[self._get_variable_index(variable)]
        knee, next_size = adaptive_knee(gradient, usual_size, self.iterations + 1)
        # The first gradient is passed on as 0, or NaN where it is not finite.
        damped = ops.where(usual_size > 0, damp(gradient, knee), gradient * 0)
        self.assign(usual_size, next_size)
        return damped

    def get_config(self) -> dict[str, object]:
        """Returns the optimizer's configuration with `damping_scale`."""
        return {**super().get_config(), "damping_scale": self.damping_scale}


@keras.saving.register_keras_serializable("magnetosphere")
class LogAdam(LogDampingMixin, keras.optimizers.Adam):
    """Adam on damped gradients.

    Args:
        *args: As for `keras.optimizers.Adam`, in the same order.
        damping_scale: The knee c, a float in (0, inf), or "adaptive"; keyword only.
        **kwargs: As for `keras.optimizers.Adam`.

    Raises:
        ValueError: If `damping_scale` is neither a finite float above 0 nor "adaptive".
    """
