"""Defines the optimizer section: its keys, their defaults, and what goes together."""

from typing import Any, Literal, get_args

from pydantic import ValidationInfo, field_serializer, field_validator

from settings.key_types import (
    Count,
    CountOrZero,
    Decay,
    Knee,
    Positive,
    Probability,
    Rate,
    Section,
    mistake,
)

Network = Literal["generator", "discriminator"]
NETWORKS: tuple[Network, ...] = get_args(Network)

# By optimizer, the keys it uses beyond those that all of them use.
_MOMENTS = ("beta_1", "beta_2")
_PLAIN_KEYS = {
    "adam": (*_MOMENTS, "epsilon"),
    "adamw": (*_MOMENTS, "epsilon"),
    "sgd": ("momentum",),
    "rmsprop": ("rho", "momentum", "epsilon"),
    "lion": _MOMENTS,
}
OPTIMIZER_KEYS = _PLAIN_KEYS | {
    f"log_{name}": (*keys, "damping_scale") for name, keys in _PLAIN_KEYS.items()
}


class OptimizerKeys(Section):
    """The keys of one optimizer, named as in Keras."""

    name: Literal[
        "log_adam",
        "log_adamw",
        "log_sgd",
        "log_rmsprop",
        "log_lion",
        "adam",
        "adamw",
        "sgd",
        "rmsprop",
        "lion",
    ] = "log_adam"
    """The optimizer; log_: every gradient is damped to sign(g) log(|g| + 1)."""
    learning_rate: Rate = 4e-4
    """Step size, after warm-up and before any schedule; 0 or more."""
    beta_1: Decay = 0.0
    """adam, adamw, lion: decay of the first moment; [0, 1), for lion above 0."""
    beta_2: Decay = 0.99
    """adam, adamw, lion: decay of the second moment (lion: of the first); [0, 1)."""
    epsilon: Positive = 1e-8
    """adam, adamw, rmsprop: added to the root of the second moment; above 0."""
    damping_scale: Knee = 1.0
    """log_: the |gradient| at which damping sets in (the knee); above 0, finite; \
adaptive: it follows each variable's usual gradient."""
    weight_decay: Rate | None = None
    """Decoupled weight decay, times the learning rate; 0 or more; null: none."""
    momentum: Probability = 0.0
    """sgd, rmsprop: share of the previous step that is kept; [0, 1]."""
    rho: Decay = 0.9
    """rmsprop: decay of the mean square; [0, 1)."""
    clipnorm: Positive | None = None
    """Maximum norm of one variable's gradient; above 0; set at most one clip."""
    clipvalue: Positive | None = None
    """Maximum |element| of a gradient; above 0."""
    global_clipnorm: Positive | None = None
    """Maximum norm of a network's whole gradient; above 0."""
    rate_scaling: Literal["none", "fan_in"] = "none"
    """fan_in: divides a kernel's rate by the root of its fan-in, so that wide and \
narrow layers move alike; learning_rate must be about 25 times larger."""
    bias_rate: Rate = 0.25
    """fan_in: what biases' learning rate is multiplied by; 0 or more."""
    warmup_iterations: CountOrZero = 0
    """Iterations over which the learning rate rises linearly from 0; 0 or more."""
    schedule: Literal["constant", "cosine"] = "constant"
    """Learning rate schedule after warm-up."""
    schedule_iterations: Count | None = None
    """cosine: iterations, warm-up included, until final_learning_rate is reached."""
    final_learning_rate: Rate = 0.0
    """cosine: learning rate at the end, and from then on; 0 or more."""


class OptimizerConfig(OptimizerKeys):
    """The settings of one network's optimizer, checked against each other."""

    @property
    def damps(self) -> bool:
        """Whether the optimizer damps gradients."""
        return self.name.startswith("log_")

    @field_validator("beta_1")
    @classmethod
    def _check_beta_1(cls, beta_1: float, info: ValidationInfo) -> float:
        name = info.data.get("name", "")
        if beta_1 == 0 and name.endswith("lion"):
            raise mistake(f"a number above 0 and below 1, as optimizer.name is {name}")
        return beta_1

    @field_validator("weight_decay")
    @classmethod
    def _check_weight_decay(
        cls, weight_decay: float | None, info: ValidationInfo
    ) -> float | None:
        name = info.data.get("name", "")
        if weight_decay is None and name.endswith("adamw"):
            raise mistake(f"a number, 0 or more, as optimizer.name is {name}")
        return weight_decay

    @field_validator("clipvalue", "global_clipnorm")
    @classmethod
    def _check_one_clip(cls, clip: float | None, info: ValidationInfo) -> float | None:
        for other in ("clipnorm", "clipvalue"):
            if clip is not None and info.data.get(other) is not None:
                raise mistake(f"null, as {other} is set: one kind of clipping at most")
        return clip

    @field_validator("schedule_iterations")
    @classmethod
    def _check_schedule(cls, length: int | None, info: ValidationInfo) -> int | None:
        if info.data.get("schedule") != "cosine":
            return length
        warmup = info.data.get("warmup_iterations", 0)
        if length is None or length <= warmup:
            least = f"a whole number, {warmup + 1} or more"
            raise mistake(f"{least}, as optimizer.schedule is cosine")
        return length


class OptimizerPairConfig(OptimizerConfig):
    """The optimizers of both networks."""

    generator: OptimizerKeys | None = None
    """Overrides of this section's keys for the generator; null: none."""
    discriminator: OptimizerKeys | None = None
    """Overrides of this section's keys for the discriminator; null: none."""

    def for_network(self, network: Network) -> OptimizerConfig:
        """Returns one network's settings: this section's, with its overrides."""
        shared = {key: getattr(self, key) for key in OptimizerKeys.model_fields}
        # All of them were checked, also together, when the config was read.
        given = _given(getattr(self, network))
        return OptimizerConfig.model_construct(**shared | given)

    @field_validator(*NETWORKS)
    @classmethod
    def _check_override(
        cls, override: OptimizerKeys | None, info: ValidationInfo
    ) -> OptimizerKeys | None:
        keys = OptimizerKeys.model_fields
        if override is not None and all(key in info.data for key in keys):
            shared = {key: info.data[key] for key in keys}
            OptimizerConfig(**shared | _given(override))
        return override

    @field_serializer(*NETWORKS)
    def _write_override(self, override: OptimizerKeys | None) -> dict[str, Any] | None:
        return None if override is None else _given(override)


def _given(override: OptimizerKeys | None) -> dict[str, Any]:
    """Returns the keys that an override sets, in the section's order."""
    if override is None:
        return {}
    given = override.model_fields_set
    return {
        key: getattr(override, key)
        for key in OptimizerKeys.model_fields
        if key in given
    }
