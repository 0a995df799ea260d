"""Rivals for the spike benchmark's GAN that no config names: Keras' Adam, clipped."""

import keras
from keras import ops

from optim.adaptive_knee import USUAL_SIZES, adaptive_knee

SMALLEST = 2.0**-126  # normal float32


class ZClipAdam(keras.optimizers.Adam):
    """Adam on gradients whose global norm ZClip limits. arXiv:2504.02507, section 3.

    As `optimizers.clip_z_score`: a norm above `threshold` sigmas becomes
    mean + threshold^2 sigma / z; mean and variance are averages with beta 0.97 of what
    passed, starting from those of the first 25 norms.
    """

    beta, num_first_steps = 0.97, 25

    def __init__(self, *args: object, threshold: float, **kwargs: object):
        super().__init__(*args, **kwargs)
        self.threshold = threshold

    def build(self, variables) -> None:  # noqa: ANN001
        """Makes Adam's variables, and mean and variance of the norm."""
        super().build(variables)
        self._mean, self._variance = (
            self.add_variable((), dtype="float32", name=name)
            for name in ("norm_mean", "norm_variance")
        )

    def apply(self, grads, trainable_variables=None) -> None:  # noqa: ANN001
        """Clips all gradients by one factor, then updates all variables."""
        squares = [ops.sum(ops.square(gradient)) for gradient in grads]
        norm = ops.sqrt(sum(squares))
        step = ops.cast(self.iterations + 1, "float32")
        is_first = step <= self.num_first_steps
        passed = ops.where(is_first, norm, self._held(norm))
        # The first norms count alike (Welford's update); later ones fade.
        weight = ops.where(is_first, 1 / step, 1 - self.beta)
        before = passed - self._mean
        mean = self._mean + weight * before
        spread = ops.where(is_first, before, passed - mean) * (passed - mean)
        self._variance.assign((1 - weight) * self._variance + weight * spread)
        self._mean.assign(mean)
        factor = passed / ops.maximum(norm, SMALLEST)
        super().apply([gradient * factor for gradient in grads], trainable_variables)

    def _held(self, norm: keras.KerasTensor) -> keras.KerasTensor:
        sigma = ops.sqrt(self._variance)
        z = (norm - self._mean) / ops.maximum(sigma, SMALLEST)
        is_outlier = z > self.threshold
        most = self._mean + self.threshold**2 * sigma / ops.where(is_outlier, z, 1.0)
        return ops.where(is_outlier, most, norm)


class UsualClipAdam(keras.optimizers.Adam):
    """Adam on gradients clipped at 3 times their usual size: no logarithm.

    g min(1, 3 r / s), with s and r as in optim/adaptive_knee.py: r is a variable's own
    running geometric mean of s, the mean |g|; the first gradient sets it and moves
    nothing.
    """

    def build(self, variables) -> None:  # noqa: ANN001
        """Makes Adam's variables, and the usual size of each gradient."""
        super().build(variables)
        self._usual_sizes = [
            self.add_variable((), dtype="float32", name=f"usual_size_{place}")
            for place in range(len(variables))
        ]

    def update_step(self, gradient, variable, learning_rate) -> None:  # noqa: ANN001
        """Updates a variable by its clipped gradient."""
        usual = self._usual_sizes[self._get_variable_index(variable)]
        _, moved = adaptive_knee(gradient, usual, self.iterations + 1)
        count = ops.maximum(ops.count_nonzero(gradient), 1)
        size = ops.sum(ops.abs(gradient)) / ops.cast(count, "float32")
        most = USUAL_SIZES * usual
        gradient = gradient * ops.minimum(1.0, most / ops.maximum(size, SMALLEST))
        self.assign(usual, moved)
        super().update_step(gradient, variable, learning_rate)


RULES = {
    "z_score": lambda threshold, **keys: ZClipAdam(threshold=threshold, **keys),
    "usual_size": lambda threshold, **keys: UsualClipAdam(**keys),
}
