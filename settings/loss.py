"""Defines the loss section: adversarial loss and gradient penalties."""

from typing import Literal

from pydantic import ValidationInfo, field_validator

from settings.key_types import (
    Count,
    NotNegative,
    Positive,
    Section,
    ShareOrAll,
    mistake,
)


class LossConfig(Section):
    """The objective of both networks."""

    name: Literal["relativistic", "non_saturating", "hinge", "wasserstein"] = (
        "relativistic"
    )
    """The adversarial loss."""
    penalty: Literal["r1_r2", "r1", "r2", "none"] = "r1_r2"
    """Discriminator gradient penalties: r1 on real images, r2 on generated ones."""
    gamma: NotNegative = 1.0
    """Weight of the penalties, gamma / 2 times their mean; 0 or more."""
    final_gamma: NotNegative | None = None
    """Gamma at the end of half a cosine, and then on; 0 or more; null: constant."""
    gamma_iterations: Count | None = None
    """final_gamma: iterations until it is reached; 1 or more."""
    penalty_every_iterations: Count = 4
    """Iterations between penalties, which are multiplied by it; 1 or more."""
    penalty_batch: ShareOrAll = 1.0
    """Share of the batch that a penalty is computed on; (0, 1], at least one image, \
in whole groups of model.stddev_group."""
    penalty_method: Literal["exact", "finite_difference"] = "exact"
    """From D's gradient, or from how much noise on the images moves D's logits."""
    penalty_step: Positive = 0.01
    """finite_difference: standard deviation of the noise; above 0; bfloat16: 0.1."""

    @field_validator("gamma_iterations")
    @classmethod
    def _check_length(cls, length: int | None, info: ValidationInfo) -> int | None:
        if length is None and info.data.get("final_gamma") is not None:
            raise mistake("a whole number, 1 or more, as loss.final_gamma is set")
        return length
