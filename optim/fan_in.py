"""Divides each weight's learning rate by the root of its fan-in.

    rate of a kernel         rate / sqrt(n)
    rate of everything else  rate * bias_rate

n    fan-in, how many numbers a kernel sums up for one output: the product of all
     dimensions but the last
else variables of fewer than two dimensions: biases, gains

Adam moves every weight by about its rate, whatever the gradient. Kernels start at about
1 / sqrt(n), so a wide layer changes by a larger part of itself in each step than a
narrow one: at 3 x 3 and 256 channels by four times that of 16 channels. Divided by
sqrt(n), the rate is a part of the weights' own size, the same for all layers. This is
what equalized learning rate does (arXiv:1710.10196, sec. 4.1) by a factor in every
layer; here the layers stay Keras' own. As a kernel's rate is divided, choose a larger
one: with n = 9 * 64, a rate of 0.01 moves weights as 0.01 / 24 = 4e-4 did before.

Weight decay that Keras applies apart from the step (`weight_decay`) keeps the unscaled
rate: it shrinks every weight by the same part of itself, as it should, and would under
an equalized learning rate. Log damping comes before the step and sees the gradient of
the weight itself, so the knee, and Adam's epsilon, keep their unit and their meaning.

Fan-in is read off the shape. It is right for the kernels of Dense, Conv and recurrent
layers. For others it is a stand-in:
- transposed convolution, [height, width, out, in]: out takes the place of in;
- depthwise convolution, [height, width, in, multiplier]: sqrt(in) too cautious;
- EinsumDense and attention, [in, heads, size]: sqrt(heads) too cautious;
- Embedding, [rows, size]: divided by sqrt(rows), though an output is one row alone.

References:
  arXiv:1710.10196, sec. 4.1: equalized learning rate. arXiv:1412.6980: Adam.
"""

import math

import keras
from keras import KerasTensor, Variable
from keras.optimizers import Optimizer

from .derived import Made, derived
from .guards import check_can_be_scaled
from .log_adam import LogAdam

_scaled_classes: Made = {}


class FanInScalingMixin:
    """Scales the learning rate of the Keras optimizer to its right, by variable."""

    def __init__(
        self, *args: object, bias_rate: float = 0.25, **kwargs: object
    ) -> None:
        bias_rate = checked_bias_rate(bias_rate)
        super().__init__(*args, **kwargs)
        self.bias_rate = bias_rate

    def rate_factor_of(self, variable: Variable) -> float:
        """Returns what the learning rate is multiplied by for one variable."""
        shape = tuple(variable.shape)
        if len(shape) < 2:
            return self.bias_rate
        return 1 / math.sqrt(max(math.prod(shape[:-1]), 1))

    def update_step(
        self, gradient: KerasTensor, variable: Variable, learning_rate: KerasTensor
    ) -> None:
        """Updates a variable at its own learning rate."""
        own_rate = learning_rate * self.rate_factor_of(variable)
        super().update_step(gradient, variable, own_rate)

    def get_config(self) -> dict[str, object]:
        """Returns the optimizer's configuration with `bias_rate`."""
        return {**super().get_config(), "bias_rate": self.bias_rate}


def FanInScaled(cls: type[Optimizer]) -> type[Optimizer]:
    """Returns the subclass with fan-in scaled rates: FanInAdam for Adam.

    It takes the arguments of the class, and `bias_rate`, a float in [0, inf), 0.25
    unless given. It goes together with LogDamped, in either order. A class that scales
    already is returned as it is. The new class is registered with Keras as
    `magnetosphere>FanIn...`; to open a `.keras` file that uses it, call FanInScaled
    first.

    Args:
        cls: A subclass of `keras.optimizers.Optimizer` that has an `update_step` whose
            step is proportional to the learning rate.

    Raises:
        TypeError: If it is anything else: Ftrl and Adafactor, whose step is not
            proportional; or a class that LogDamped refuses too.
    """
    check_can_be_scaled(cls)
    summary = f"{cls.__name__} at fan-in scaled rates; see FanInScaled."
    return derived(FanInScalingMixin, cls, "FanIn", summary, _scaled_classes)


def checked_bias_rate(bias_rate: object) -> float:
    """Returns the rate as a plain float, which can be written to a config.

    Raises:
        ValueError: If it is not a number, not finite, or below 0.
    """
    rate = math.nan
    if isinstance(bias_rate, int | float) and not isinstance(bias_rate, bool):
        rate = float(bias_rate)
    if not 0 <= rate < math.inf:
        raise ValueError(
            "Expected bias_rate to be a number, 0 or more, and finite. "
            f"Received: bias_rate={bias_rate!r}"
        )
    return rate


# Made at import, so that `.keras` files that use them can be opened.
FanInAdam = FanInScaled(keras.optimizers.Adam)
FanInLogAdam = FanInScaled(LogAdam)
