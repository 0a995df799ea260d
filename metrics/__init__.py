"""Metrics: how far generated images are from photographs. Arrays in, floats out.

Extractors of features, which need Keras, are in metrics.features.
"""

from metrics.diversity import pixel_diversity
from metrics.errors import FeaturesError
from metrics.frechet import frechet_distance
from metrics.kernel import KernelDistance, kernel_distance
from metrics.neighbours import (
    Fidelity,
    Neighbours,
    nearest_neighbours,
    precision_recall_density_coverage,
)
from metrics.statistics import FeatureStatistics

__all__ = [
    "FeatureStatistics",
    "FeaturesError",
    "Fidelity",
    "KernelDistance",
    "Neighbours",
    "frechet_distance",
    "kernel_distance",
    "nearest_neighbours",
    "pixel_diversity",
    "precision_recall_density_coverage",
]
