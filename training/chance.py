"""Makes every random draw of a run a pure function of its position.

A draw depends only on (seed, rollbacks, position, purpose): the position is an
iteration or an epoch, and `rollbacks` is 0 unless the run was rolled back. Checkpoints
therefore hold no random state, and iteration k can be repeated without the k before
it. The bits come from Philox, a counter-based generator (Salmon et al., 2011), on the
CPU, so they are the same in eager, graph and XLA mode.
"""

import functools
from typing import NamedTuple

import numpy as np

from settings.optimizer import Network

PURPOSES = {
    "order": 0,
    "latents": 1,
    "augmentation": 2,
    "flips": 3,
    "grid latents": 4,
    "grid reals": 5,
    "generated latents": 6,
    "metric latents": 7,
    "metric floor": 8,
    "penalty noise": 9,
    "metric labels": 10,
    "class latents": 11,
    "class metrics": 12,
    "generated labels": 13,
}
# The updates of an iteration, in order; each takes half of every draw.
UPDATES: tuple[Network, ...] = ("discriminator", "generator")
HALVES = len(UPDATES)


class Noise(NamedTuple):
    """The random draws of one iteration; the first axis is the update.

    Attributes:
        latents: float32 [2, batch, latent_dim], standard normal.
        flips: bool [2, batch], True for photographs to mirror.
        real_uniforms: float32 [2, batch, num_uniforms] in [0, 1), to augment
            photographs.
        fake_uniforms: The same, to augment generated images.
    """

    latents: np.ndarray
    flips: np.ndarray
    real_uniforms: np.ndarray
    fake_uniforms: np.ndarray


def generator_at(
    seed: int, rollbacks: int, position: int, purpose: str
) -> np.random.Generator:
    """Returns a fresh random generator for one position and purpose."""
    entropy = np.random.SeedSequence([seed, rollbacks, position, PURPOSES[purpose]])
    return np.random.Generator(np.random.Philox(entropy))


def noise_at(
    seed: int,
    rollbacks: int,
    iteration: int,
    batch_size: int,
    latent_dim: int,
    num_uniforms: int,
    horizontal_flip: bool,
) -> Noise:
    """Draws the noise of one iteration (counted from 0)."""
    draw = functools.partial(generator_at, seed, rollbacks, iteration)
    flips = draw("flips").random((HALVES, batch_size)) < 0.5
    uniforms = draw("augmentation").random(
        (HALVES, 2, batch_size, num_uniforms), dtype=np.float32
    )
    return Noise(
        latents=draw("latents").standard_normal(
            (HALVES, batch_size, latent_dim), dtype=np.float32
        ),
        flips=flips & horizontal_flip,
        real_uniforms=uniforms[:, 0],
        fake_uniforms=uniforms[:, 1],
    )


def penalty_noise_at(
    seed: int, rollbacks: int, iteration: int, count: int, image_size: int
) -> np.ndarray:
    """Draws what moves `count` images of each kind for an approximate penalty.

    Returns:
        float32 [2 * count, size, size, 3], standard normal; first for real images.
    """
    draw = generator_at(seed, rollbacks, iteration, "penalty noise")
    shape = (2 * count, image_size, image_size, 3)
    return draw.standard_normal(shape, dtype=np.float32)


@functools.lru_cache(maxsize=4)
def _order_of_epoch(seed: int, rollbacks: int, epoch: int, count: int) -> np.ndarray:
    """Returns an epoch's order, int [count]; cached, since batches can span epochs."""
    return generator_at(seed, rollbacks, epoch, "order").permutation(count)


def image_indices_at(
    seed: int, rollbacks: int, iteration: int, batch_size: int, count: int
) -> np.ndarray:
    """Returns the indices of the images that an iteration (counted from 0) reads.

    Every epoch reads each of the `count` (1 or more) images once, in a new permutation;
    a batch may span two epochs.

    Returns:
        int [2, batch_size] in [0, count): the discriminator's batch, the generator's.
    """
    first = iteration * HALVES * batch_size
    places = np.arange(first, first + HALVES * batch_size)
    indices = [
        _order_of_epoch(seed, rollbacks, int(place // count), count)[place % count]
        for place in places
    ]
    return np.asarray(indices).reshape(HALVES, batch_size)


def latents_of(seed: int, count: int, latent_dim: int, purpose: str) -> np.ndarray:
    """Draws latents for use outside training, such as for grids.

    A larger `count` extends the latents of a smaller one.

    Returns:
        float32 [count, latent_dim], standard normal.
    """
    draw = generator_at(seed, 0, 0, purpose)
    return draw.standard_normal((count, latent_dim), dtype=np.float32)
