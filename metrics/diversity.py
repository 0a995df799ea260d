"""How different images are from each other, in their pixels alone."""

import numpy as np


def pixel_diversity(images: np.ndarray) -> float:
    """Returns the root mean square distance of pixels from those of the mean image.

    Images that are all the same have none, however good each of them is; it says
    nothing more, and nothing of what they show.

    Args:
        images: uint8 [count, height, width, 3], one or more.

    Returns:
        In [0, 127.5], in steps of a byte.
    """
    variances = images.astype(np.float64).var(axis=0)
    return float(np.sqrt(variances.mean()))
