"""The latents and classes of pictures: drawn from a seed, or as they were asked for."""

import numpy as np
from scipy.special import ndtr, ndtri

from commands.generate_options import GenerateOptions
from training.chance import generator_at, latents_of
from training.pictures import Painter, class_weights


def generated_latents(
    seed: int, count: int, latent_dim: int, truncation: float | None
) -> np.ndarray:
    """Draws latents; a larger `count` extends those of a smaller one.

    Returns:
        float32 [count, latent_dim], standard normal, or truncated to
        [-truncation, truncation].
    """
    latents = latents_of(seed, count, latent_dim, "generated latents")
    return latents if truncation is None else truncated(latents, truncation)


def truncated(latents: np.ndarray, limit: float) -> np.ndarray:
    """Maps standard normal numbers to a truncated normal in [-limit, limit].

    With P the standard normal distribution function and l = P(-limit), a number z
    becomes P^-1(l + P(z) (1 - 2 l)), its quantile in the truncated distribution. BigGAN
    resamples what lies outside (arXiv:1809.11096, section 3.1), which gives the same
    distribution. Here a seed gives related images at every limit, closer to the average
    image the smaller it is, and a large limit changes nothing.

    Args:
        latents: float32 [count, latent_dim].
        limit: Above 0, finite.

    Returns:
        float32 [count, latent_dim].
    """
    # Computed in the lower tail, where P is precise; the upper one mirrors it.
    share = ndtr(-np.abs(latents.astype(np.float64)))
    lowest = ndtr(-limit)
    lower = ndtri(lowest + share * (1 - 2 * lowest))
    mapped = np.copysign(np.minimum(-lower, limit), latents).astype(np.float32)
    # Rounding to float32 may leave the interval by one step.
    is_outside = np.abs(mapped).astype(np.float64) > limit
    return np.where(is_outside, np.nextafter(mapped, np.float32(0)), mapped)


def generated_labels(seed: int, count: int, num_classes: int) -> np.ndarray:
    """Draws classes, all as likely; a larger `count` extends those of a smaller one.

    Returns:
        int [count], labels.
    """
    return generator_at(seed, 0, 0, "generated labels").integers(
        num_classes, size=count
    )


def latents_for(options: GenerateOptions, latent_dim: int, count: int) -> np.ndarray:
    """Returns float32 [count, latent_dim]: of the seed, or the first of each seed."""
    limit = options.truncation
    if options.seeds is None:
        return generated_latents(options.seed, count, latent_dim, limit)
    each = [generated_latents(seed, 1, latent_dim, limit) for seed in options.seeds]
    return np.resize(np.concatenate(each), (count, latent_dim))


def labels_for(options: GenerateOptions, num_classes: int, count: int) -> np.ndarray:
    """Returns int [count]: the classes asked for in turn, or those of the seeds.

    Walks side by side all begin with the first class.
    """
    if options.labels:
        return np.resize(np.resize(options.labels, options.num_images), count)
    if options.seeds is None:
        return generated_labels(options.seed, count, num_classes)
    each = [generated_labels(seed, 1, num_classes) for seed in options.seeds]
    return np.resize(np.concatenate(each), count)


def classes_for(
    options: GenerateOptions, painter: Painter, count: int
) -> np.ndarray | None:
    """Returns the classes of `labels_for`, float32 [count, classes]; None of none."""
    if not painter.num_classes:
        return None
    labels = labels_for(options, painter.num_classes, count)
    return class_weights(labels, painter.num_classes)
