"""What is measured of a network's gradients before the optimizer sees them."""

import math

import tensorflow as tf

from optim import damp
from training.recipe import Recipe

# Above this the sum of squares of a network's gradients may overflow float32: Adam's
# second moment, or the norm a clip divides by, would be infinite and the weights NaN.
LARGEST_SQUARED_GRADIENT = 1e15


def largest_usable_gradient(knee: float | None, clipped: bool) -> float:
    """Returns the bound at or above which a finite gradient cannot be used either.

    Log damping alone makes every finite gradient usable, whatever the knee that makes
    sense: what it returns stays below 100 times the knee.

    Args:
        knee: damping_scale; None where nothing is damped.
        clipped: Whether a norm is computed before damping.
    """
    damped = knee is not None and knee < LARGEST_SQUARED_GRADIENT
    return math.inf if damped and not clipped else LARGEST_SQUARED_GRADIENT


def gradient_vitals(
    network: str, gradients: list[tf.Tensor], recipe: Recipe
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Measures the gradients of one network.

    Args:
        network: "generator" or "discriminator".
        gradients: One float32 tensor a variable.
        recipe: Its `knees` (None where nothing is damped) and
            `largest_gradients` are used.

    Returns:
        Whether all gradients are usable (bool []), and float32 [] scalars: largest
        finite magnitude, the same damped, share of elements above the knee, count of
        elements that are not finite, and usable as 0 or 1.
    """
    limit = tf.constant(recipe.largest_gradients[network], tf.float32)
    knee = recipe.knees[network]
    sizes = [tf.abs(gradient) for gradient in gradients]
    finite = [tf.math.is_finite(size) for size in sizes]
    num_elements = sum(gradient.shape.num_elements() for gradient in gradients)
    num_finite = tf.add_n([tf.math.count_nonzero(f, dtype=tf.int32) for f in finite])
    largest = tf.reduce_max(
        [
            tf.reduce_max(tf.where(f, size, 0.0))
            for f, size in zip(finite, sizes, strict=True)
        ]
    )
    usable = tf.logical_and(tf.equal(num_finite, num_elements), largest < limit)
    scalars = {
        f"gradient/{network}_max": largest,
        f"gradient/{network}_nonfinite": tf.cast(num_elements - num_finite, tf.float32),
        f"usable/{network}": tf.cast(usable, tf.float32),
    }
    if knee is not None:
        above = [tf.math.count_nonzero(size > knee, dtype=tf.int32) for size in sizes]
        share = tf.cast(tf.add_n(above), tf.float32) / num_elements
        scalars |= {
            f"gradient/{network}_max_damped": damp(largest, knee),
            f"gradient/{network}_above_knee": share,
        }
    return usable, scalars
