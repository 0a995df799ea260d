"""Measures a network's gradients before the optimizer uses them."""

import keras
import tensorflow as tf

from optim import damp
from training.recipe import Recipe


def gradient_vitals(
    network: str,
    gradients: list[tf.Tensor],
    recipe: Recipe,
    optimizer: keras.optimizers.Optimizer,
    variables: list[keras.Variable],
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Measures the gradients of one network.

    Args:
        network: "generator" or "discriminator".
        gradients: One float32 tensor per variable.
        recipe: For its `damps` and `largest_gradients`.
        optimizer: The network's; it gives the knees, if it damps.
        variables: The variables that the optimizer was built with.

    Returns:
        Whether all gradients are usable (bool []), and float32 [] scalars: the largest
        finite magnitude, the same damped, the fraction of elements above the knee, the
        number of non-finite elements, and whether usable (0 or 1).
    """
    limit = tf.constant(recipe.largest_gradients[network], tf.float32)
    num_elements = sum(gradient.shape.num_elements() for gradient in gradients)
    largest_of_each, num_finite = finite_magnitudes(gradients, num_elements)
    largest = tf.reduce_max(largest_of_each)
    usable = tf.logical_and(tf.equal(num_finite, num_elements), largest < limit)
    scalars = {
        f"gradient/{network}_max": largest,
        f"gradient/{network}_nonfinite": tf.cast(num_elements - num_finite, tf.float32),
        f"usable/{network}": tf.cast(usable, tf.float32),
    }
    if recipe.damps[network]:
        knees = [
            optimizer.knee_of(gradient, variable)
            for gradient, variable in zip(gradients, variables, strict=True)
        ]
        above = [
            tf.reduce_sum(tf.cast(tf.abs(gradient) > knee, tf.float32))
            for gradient, knee in zip(gradients, knees, strict=True)
        ]
        share = tf.add_n(above) / num_elements
        # A knee shared by all is a number; either way, damping is one operation.
        knee = tf.stack(knees) if tf.is_tensor(knees[0]) else knees[0]
        damped = damp(largest_of_each, knee)
        scalars |= {
            f"gradient/{network}_max_damped": tf.reduce_max(damped),
            f"gradient/{network}_above_knee": share,
        }
    return usable, scalars


def finite_magnitudes(
    gradients: list[tf.Tensor], num_elements: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns each gradient's largest finite magnitude, and counts finite elements.

    Elements are looked at one by one only if the sum of their squares is not finite.

    Args:
        gradients: float32, at least one.
        num_elements: Of all gradients together.

    Returns:
        float32 [len(gradients)], and int32 [].
    """

    def of_all() -> tuple[tf.Tensor, tf.Tensor]:
        # Faster than the maximum of the magnitudes, which would need memory for them.
        largest = [tf.maximum(tf.reduce_max(g), -tf.reduce_min(g)) for g in gradients]
        return tf.stack(largest), tf.constant(num_elements)

    def of_finite() -> tuple[tf.Tensor, tf.Tensor]:
        finite = [tf.math.is_finite(gradient) for gradient in gradients]
        counts = [tf.math.count_nonzero(f, dtype=tf.int32) for f in finite]
        largest = [
            tf.reduce_max(tf.where(f, tf.abs(gradient), 0.0))
            for f, gradient in zip(finite, gradients, strict=True)
        ]
        return tf.stack(largest), tf.add_n(counts)

    squares = tf.add_n([tf.nn.l2_loss(gradient) for gradient in gradients])
    return tf.cond(tf.math.is_finite(squares), of_all, of_finite)
