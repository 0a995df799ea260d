"""Tests truncated latents against SciPy's own distribution."""

import numpy as np
import pytest
import scipy.stats

from commands.pictures.latents import generated_latents, truncated


@pytest.mark.parametrize("limit", [1e-3, 0.1, 0.5, 0.7, 1, 2, 4])
def test_truncated_latents_are_truncated_normal(limit):
    latents = generated_latents(0, 500, 64, limit)
    assert latents.shape == (500, 64) and latents.dtype == np.float32
    assert np.abs(latents.astype(np.float64)).max() <= limit
    # SciPy's own distribution; 32,000 draws of it pass at this level nearly always.
    law = scipy.stats.truncnorm(-limit, limit)
    assert scipy.stats.kstest(latents.ravel(), law.cdf).pvalue > 1e-3


@pytest.mark.parametrize("limit", [0.1, 0.5, 0.7])
def test_the_ends_of_the_interval_are_inside_it(limit):
    # Farther out than draws ever are: these land on the ends.
    ends = truncated(np.float32([[-30, 30]]), limit).astype(np.float64)
    assert np.abs(ends).max() <= limit
    np.testing.assert_allclose(ends, [[-limit, limit]], rtol=1e-6)


@pytest.mark.parametrize("limit", [9, 40, 1e300])
def test_a_large_truncation_changes_nothing(limit):
    latents = generated_latents(0, 1000, 8, None)
    np.testing.assert_allclose(truncated(latents, limit), latents, rtol=1e-6)
