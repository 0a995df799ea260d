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
    sizes = [tf.abs(gradient) for gradient in gradients]
    finite = [tf.math.is_finite(size) for size in sizes]
    num_elements = sum(gradient.shape.num_elements() for gradient in gradients)
    num_finite = tf.add_n([tf.math.count_nonzero(f, dtype=tf.int32) for f in finite])
    largest_of_each = [
        tf.reduce_max(tf.where(f, size, 0.0))
        for f, size in zip(finite, sizes, strict=True)
    ]
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
            tf.math.count_nonzero(size > knee, dtype=tf.int32)
            for size, knee in zip(sizes, knees, strict=True)
        ]
        share = tf.cast(tf.add_n(above), tf.float32) / num_elements
        # A knee shared by all is a number; either way, damping is one operation.
        knee = tf.stack(knees) if tf.is_tensor(knees[0]) else knees[0]
        damped = damp(tf.stack(largest_of_each), knee)
        scalars |= {
            f"gradient/{network}_max_damped": tf.reduce_max(damped),
            f"gradient/{network}_above_knee": share,
        }
    return usable, scalars
