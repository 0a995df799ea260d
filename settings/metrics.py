"""Defines the metrics section: the meaning, unit, range and default of each key."""

from typing import Literal

from pydantic import ValidationInfo, field_validator

from metrics.networks import FEATURE_NETWORKS
from settings.key_types import (
    Count,
    FactorAboveOne,
    File,
    Images,
    Section,
    Seed,
    mistake,
)

LEAST_IMAGES = 2  # a covariance, and an unbiased distance, need two
Extractor = Literal[
    "inception-fid",
    "inception-keras-75",
    "inception-keras-299",
    "mobilenetv2",
    "random",
]
Resize = Literal["clean", "legacy"]


class MetricsConfig(Section):
    """Metrics during training; a run that continues may change all of them."""

    every_iterations: Count | None = None
    """Iterations between measurements, each with a checkpoint; null: never."""
    extractor: Extractor = "inception-fid"
    """Network whose features are compared; only inception-fid's distance is FID."""
    weights: File | None = None
    """Its weights file; null: downloaded once to data.cache_dir (not mobilenetv2's)."""
    resize: Resize = "clean"
    """How images are resized for the network: clean is bicubic; legacy \
(inception-fid) is what the 2015 graph did."""
    num_images: Images = 1000
    """Images generated for a measurement; 2 or more."""
    seed: Seed = 0
    """Seed of their latents and of the subsets compared; 0 to 2147483647."""
    stop_without_progress_iterations: Count | None = None
    """Ends the run (status 3) after this many without a new lowest kernel distance."""
    stop_above_best: FactorAboveOne | None = None
    """Ends the run (status 3) if the Frechet distance exceeds this many times its \
lowest, twice in a row; above 1."""

    @field_validator("weights")
    @classmethod
    def _check_weights(cls, weights: str | None, info: ValidationInfo) -> str | None:
        is_measured = info.data.get("every_iterations") is not None
        if is_measured and weights is None:
            extractor = info.data.get("extractor")
            if (
                extractor in FEATURE_NETWORKS
                and FEATURE_NETWORKS[extractor].needs_weights
            ):
                raise mistake(
                    f"the path of a file, as metrics.extractor is {extractor}"
                )
        return weights

    @field_validator("resize")
    @classmethod
    def _check_resize(cls, resize: str, info: ValidationInfo) -> str:
        extractor = info.data.get("extractor")
        if (
            extractor in FEATURE_NETWORKS
            and resize not in FEATURE_NETWORKS[extractor].resizes
        ):
            able = ", ".join(
                n for n in FEATURE_NETWORKS if resize in FEATURE_NETWORKS[n].resizes
            )
            raise mistake(f"clean, unless metrics.extractor is {able}")
        return resize

    @field_validator("num_images")
    @classmethod
    def _check_num_images(cls, num_images: int) -> int:
        if num_images < LEAST_IMAGES:
            raise mistake(f"a whole number, {LEAST_IMAGES} or more")
        return num_images

    @field_validator("stop_without_progress_iterations", "stop_above_best")
    @classmethod
    def _check_stop(cls, limit: float | None, info: ValidationInfo) -> float | None:
        if limit is not None and info.data.get("every_iterations") is None:
            raise mistake("null, as long as metrics.every_iterations is null")
        return limit
