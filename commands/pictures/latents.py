"""The latents of pictures: drawn from a seed, truncated if asked."""

import numpy as np
from scipy.special import ndtr, ndtri

from training.chance import latents_of


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
