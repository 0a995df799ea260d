"""The diversity of images, measured on their pixels alone."""

import numpy as np


def pixel_diversity(images: np.ndarray) -> float:
    """Returns the root mean square deviation of pixels from the mean image.

    The result is in [0, 127.5], in 8-bit levels. Identical images give 0, however good
    they are; the metric says nothing about what images show.

    Args:
        images: uint8 [count, height, width, 3], one or more.
    """
    variances = images.astype(np.float64).var(axis=0)
    return float(np.sqrt(variances.mean()))
