"""Computes adversarial losses from logits, and penalties from gradients.

Logits are float32 [batch], larger for images that look real. Losses are means over the
batch, so that gradients do not grow with its size.
"""

from typing import TypeAlias

import keras
from keras import ops

Tensor: TypeAlias = keras.KerasTensor


def relativistic_discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Returns the mean of softplus(fake - real), pair by pair, [].

    References:
        RpGAN: arXiv:1807.00734; as in R3GAN, arXiv:2501.05441, eq. 2.
    """
    return ops.mean(ops.softplus(fake - real))


def relativistic_generator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Returns the mean of softplus(real - fake), pair by pair, []."""
    return ops.mean(ops.softplus(real - fake))


def non_saturating_discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Returns the mean of softplus(-real) + softplus(fake), [].

    References:
        Goodfellow et al., arXiv:1406.2661, in logits.
    """
    return ops.mean(ops.softplus(-real) + ops.softplus(fake))


def non_saturating_generator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Returns the mean of softplus(-fake), []."""
    return ops.mean(ops.softplus(-fake))


def hinge_discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Returns the mean of relu(1 - real) + relu(1 + fake), [].

    References:
        Geometric GAN: arXiv:1705.02894; SAGAN: arXiv:1805.08318.
    """
    return ops.mean(ops.relu(1 - real) + ops.relu(1 + fake))


def wasserstein_discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Returns the mean of fake - real, [].

    The gradient penalties constrain the critic, in place of weight clipping.

    References:
        arXiv:1701.07875.
    """
    return ops.mean(fake - real)


def negated_generator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Returns the mean of -fake, [], for both hinge and Wasserstein."""
    return -ops.mean(fake)


def gradient_penalty(gradients: Tensor) -> Tensor:
    """Returns the mean squared norm of D's gradient with respect to images, [].

    It is R1 on real and R2 on generated images; the step multiplies it by gamma / 2.

    Args:
        gradients: float32 [batch, height, width, 3], of the sum of the logits.

    References:
        Mescheder et al., arXiv:1801.04406, eq. 9.
    """
    return ops.mean(ops.sum(ops.square(gradients), axis=(1, 2, 3)))


def finite_difference_penalty(logits: Tensor, moved: Tensor, step: float) -> Tensor:
    """Returns the mean of ((D(x + step e) - D(x)) / step)^2, [].

    With standard normal e its expectation is that of `gradient_penalty`, but for terms
    of the order of step^2 where D is curved; its gradient needs no second derivatives.
    Where D compares the images of a group, the effects of an image on their logits are
    squared one by one, and there as a sum, which is larger.
    Logits that are rounded, as in bfloat16, add the square of their rounding / step:
    of a small D in bfloat16, a step of 0.01 gave 1.7 times what float32 gave, and 0.1
    the same to 5 %.

    Args:
        logits: Of the images.
        moved: Of the same images plus step times e.
        step: Standard deviation of what was added, above 0.

    References:
        Lin et al., arXiv:2501.08316, approximate R1.
    """
    return ops.mean(ops.square((moved - logits) / step))


def verdict_on_reals(loss_name: str, real: Tensor, fake: Tensor) -> Tensor:
    """Returns the mean sign of D's verdict on real images, [], in [-1, 1].

    This is r_t of ADA (arXiv:2006.06676, eq. 1): near 0 while D cannot tell real from
    fake, and 1 when it always can. A relativistic D compares pairs and its logits have
    no absolute zero, so there, unlike in ADA, the verdict is real - fake.
    """
    verdicts = real - fake if loss_name == "relativistic" else real
    return ops.mean(ops.sign(verdicts))


DISCRIMINATOR_LOSSES = {
    "relativistic": relativistic_discriminator_loss,
    "non_saturating": non_saturating_discriminator_loss,
    "hinge": hinge_discriminator_loss,
    "wasserstein": wasserstein_discriminator_loss,
}
GENERATOR_LOSSES = {
    "relativistic": relativistic_generator_loss,
    "non_saturating": non_saturating_generator_loss,
    "hinge": negated_generator_loss,
    "wasserstein": negated_generator_loss,
}
