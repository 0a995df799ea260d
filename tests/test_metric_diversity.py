"""Tests the diversity of images, by hand."""

import numpy as np
import pytest

from metrics.diversity import pixel_diversity


def test_images_that_are_the_same_have_none():
    images = np.random.default_rng(0).integers(0, 256, (1, 4, 4, 3), np.uint8)
    assert pixel_diversity(np.repeat(images, 5, axis=0)) == 0


def test_black_and_white_are_as_far_from_grey_as_can_be():
    images = np.zeros((4, 2, 2, 3), np.uint8)
    images[:2] = 255
    assert pixel_diversity(images) == 127.5


def test_it_is_the_root_of_the_mean_variance_of_pixels():
    images = np.zeros((2, 1, 2, 3), np.uint8)
    images[0, 0, 0] = 6  # half of the pixels are 3 from their mean, half are it
    assert pixel_diversity(images) == pytest.approx(3 / np.sqrt(2))
