"""Defines the augment section: what is done to images before D sees them."""

from typing import Literal

from pydantic import ValidationInfo, field_validator

from settings.key_types import (
    Count,
    Operations,
    Positive,
    Probability,
    Section,
    Share,
    mistake,
)


class AugmentConfig(Section):
    """Augmentation of real and generated images before the discriminator sees them."""

    policy: Literal["none", "fixed", "adaptive"] = "fixed"
    """No augmentation, a fixed probability, or one adapted to overfitting (ADA)."""
    max_probability: Probability = 0.8
    """adaptive: upper limit of the probability; [0, 1]."""
    min_probability: Probability = 0.0
    """adaptive: lower limit of the probability; [0, max_probability]."""
    probability: Probability = 0.2
    """Probability of each operation (adaptive: at the start); [0, max_probability]."""
    target: Share = 0.6
    """adaptive: target mean sign of D(real), relativistic D(real) - D(fake); (0, 1)."""
    adjust_every_iterations: Count = 4
    """adaptive: iterations between adjustments; 1 or more."""
    kimg_to_full: Positive = 500.0
    """adaptive: thousands of images to go from probability 0 to 1; above 0."""
    operations: Operations = [
        "translation",
        "brightness",
        "saturation",
        "contrast",
        "cutout",
    ]
    """Operations to apply, in any order; flip and rotation (by 90) also exist."""

    @field_validator("min_probability", "probability")
    @classmethod
    def _check_most(cls, probability: float, info: ValidationInfo) -> float:
        most = info.data.get("max_probability", 1.0)
        if probability > most and info.data.get("policy") != "none":
            raise mistake(f"at most augment.max_probability, which is {most}")
        return probability

    @field_validator("probability")
    @classmethod
    def _check_least(cls, probability: float, info: ValidationInfo) -> float:
        least = info.data.get("min_probability", 0.0)
        if probability < least and info.data.get("policy") == "adaptive":
            raise mistake(f"at least augment.min_probability, which is {least}")
        return probability

    @field_validator("operations")
    @classmethod
    def _check_operations(cls, operations: list[str]) -> list[str]:
        if len(set(operations)) < len(operations):
            raise mistake("each operation once")
        return operations

    @property
    def active_operations(self) -> tuple[str, ...]:
        """The operations to apply, none if the policy is none."""
        return () if self.policy == "none" else tuple(self.operations)
