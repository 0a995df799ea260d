"""Every key of a run: its meaning, unit, range and default.

This is the one place of them all (the optimizer's and the metrics' are next door).
One flat, frozen pydantic model a section. Keys of a source, an optimizer or a
schedule that is not the chosen one are valid and ignored. A mistake is refused here,
before TensorFlow is imported; `training.config_file` puts it in words.
"""

from typing import Annotated, Literal

from pydantic import ValidationError, ValidationInfo, field_validator
from pydantic_core import InitErrorDetails

from models.depth import (
    FIXED_LAYERS,
    LAYERS_A_BLOCK,
    least_num_layers,
    num_stages,
)
from settings.key_types import (
    AnyFactor,
    AutoOrSwitch,
    Count,
    CountOrZero,
    DataSet,
    Expected,
    Folder,
    ImageSize,
    NotNegative,
    Operations,
    Positive,
    Probability,
    RunName,
    Section,
    Seed,
    Share,
    Splits,
    Switch,
    mistake,
)
from settings.metrics import MetricsConfig
from settings.optimizer import Network, OptimizerConfig, OptimizerPairConfig

__all__ = ["Config", "OptimizerConfig"]

SMALLEST_IMAGE_SIZE = 32  # asks for the fewest layers, where the size is a mistake


class RunConfig(Section):
    """What the run is called, and its chance."""

    name: RunName
    """Names the run's folders, runs/<name> and samples/<name>."""
    seed: Seed = 0
    """Every random draw of the run is a function of it; 0 to 2147483647."""


class DataConfig(Section):
    """Which photographs, at which size. Paths are relative to the working directory."""

    source: Literal["tfds", "folder", "drawn"] = "tfds"
    """A TensorFlow data set, a folder of photographs, or flowers the program draws."""
    path: Folder | None = None
    """folder: the folder of photographs, searched with all folders in it."""
    cache_dir: Folder = "cache"
    """Where resized photographs are kept for the next start."""
    name: DataSet = "oxford_flowers102"
    """tfds: name of the data set."""
    data_dir: Folder | None = None
    """tfds: where data sets lie; null: ~/tensorflow_datasets, where TFDS keeps them."""
    splits: Splits = "train+validation+test"
    """tfds: the splits to join, as TFDS writes them."""
    image_size: ImageSize = 64
    """Pixels along each side: 32, 64, 128, 256 or 512."""
    horizontal_flip: Switch = True
    """Shows half of the photographs mirrored."""
    num_images: Count = 2048
    """drawn: how many flowers to draw; 1 or more."""

    @field_validator("path")
    @classmethod
    def _check_path(cls, path: str | None, info: ValidationInfo) -> str | None:
        if path is None and info.data.get("source") == "folder":
            raise mistake("the path of a folder, as data.source is folder")
        return path


class ModelConfig(Section):
    """Kind and size of the two networks, generator and discriminator alike."""

    name: Literal["residual"] = "residual"
    """The architecture of both networks."""
    num_layers: Count = 46
    """Weighted layers of the pair: 6, and 4 for each residual block of a network."""
    latent_dim: Count = 128
    """Numbers in a latent; 1 or more."""
    base_channels: Count = 16
    """Channels at image_size, doubling at each halving of the size; 1 or more."""
    max_channels: Count = 256
    """Most channels of a stage; 1 or more."""


class LossConfig(Section):
    """What the two networks strive for."""

    name: Literal["relativistic", "non_saturating", "hinge", "wasserstein"] = (
        "relativistic"
    )
    """The loss of both networks."""
    penalty: Literal["r1_r2", "r1", "r2", "none"] = "r1_r2"
    """Gradient penalties of the discriminator: r1 on real images, r2 on made ones."""
    gamma: NotNegative = 1.0
    """Weight of the penalties, gamma / 2 times their mean; 0 or more."""
    penalty_every_iterations: Count = 4
    """Iterations between penalties, weighted by as much; 1 or more."""


class AugmentConfig(Section):
    """Changes to all images, real and made, before the discriminator sees them."""

    policy: Literal["none", "fixed", "adaptive"] = "fixed"
    """No changes, always as probable, or as probable as overfitting asks (ADA)."""
    max_probability: Probability = 0.8
    """adaptive: most that the probability may reach; [0, 1]."""
    probability: Probability = 0.2
    """Probability of each operation (adaptive: at the start); [0, max_probability]."""
    target: Share = 0.6
    """adaptive: the mean sign of D(real) to hold; (0, 1)."""
    adjust_every_iterations: Count = 4
    """adaptive: iterations between adjustments; 1 or more."""
    kimg_to_full: Positive = 500.0
    """adaptive: thousands of images in which the probability could go from 0 to 1."""
    operations: Operations = [
        "translation",
        "brightness",
        "saturation",
        "contrast",
        "cutout",
    ]
    """Which changes, whatever their order here; also flip, and rotation by 90."""

    @field_validator("probability")
    @classmethod
    def _check_probability(cls, probability: float, info: ValidationInfo) -> float:
        most = info.data.get("max_probability", 1.0)
        if probability > most and info.data.get("policy") != "none":
            raise mistake(f"at most augment.max_probability, which is {most}")
        return probability

    @field_validator("operations")
    @classmethod
    def _check_operations(cls, operations: list[str]) -> list[str]:
        if len(set(operations)) < len(operations):
            raise mistake("each operation once")
        return operations

    @property
    def active_operations(self) -> tuple[str, ...]:
        """The operations to apply, none where the policy is none."""
        return () if self.policy == "none" else tuple(self.operations)


class TrainingConfig(Section):
    """How long the run is, and what it writes when."""

    total_iterations: Count = 140_000
    """Iterations after which the run is finished; 1 or more."""
    max_minutes: Positive | None = None
    """Minutes after which a session ends, to be continued; above 0; null: none."""
    batch_size: Count = 16
    """Images in a batch; 1 or more."""
    ema_half_life_kimg: Positive = 10.0
    """Half-life of the averaged generator, in thousands of images; above 0."""
    ema_ramp_up: Positive | None = 0.05
    """Half-life at most this share of the images so far; above 0; null: no ramp."""
    sample_every_iterations: Count = 1000
    """Iterations between grids; 1 or more."""
    checkpoint_every_iterations: Count = 1000
    """Iterations between checkpoints; 1 or more."""
    log_every_iterations: Count = 100
    """Iterations between rows of scalars; 1 or more."""
    keep_every_iterations: Count = 20_000
    """Iterations between checkpoints that are kept for good; 1 or more."""
    keep_last: Count = 3
    """Newest checkpoints that are kept, beside a good one to go back to; 1 or more."""
    keep_best: CountOrZero = 1
    """Checkpoints of the lowest kernel distances that are kept; 0 or more."""
    max_checkpoint_gib: Positive | None = None
    """Most room for a run's checkpoints, in GiB; above 0; null: no limit."""
    max_skipped_iterations: Count = 50
    """Iterations in a row with gradients not finite that are too many; 1 or more."""
    divergence_iterations: Count | None = 500
    """Iterations with loss or gradients far from what was usual before, until it is \
said that training diverges; 1 or more; null: not watched."""
    max_rollbacks: CountOrZero = 0
    """Times a run that diverges goes back to its last good checkpoint, with other \
noise, before it ends (status 3); 0: it only warns."""


class RuntimeConfig(Section):
    """On what and how it is computed; auto is resolved when the run first starts."""

    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Numbers that layers compute with; weights are always float32."""
    compile: Literal["auto", "xla", "graph"] = "auto"
    """Whether XLA compiles the step."""
    distribution: Literal["none", "mirrored", "multi_worker"] = "none"
    """Spread over devices; only none in this version."""
    device: Literal["auto", "cpu", "gpu"] = "auto"
    """Where it is computed."""
    deterministic: AutoOrSwitch = "auto"
    """Whether a repeated run is the same bit for bit; auto: true."""

    @field_validator("distribution")
    @classmethod
    def _check_distribution(cls, distribution: str) -> str:
        if distribution != "none":
            raise mistake("none (the others are not available in this version)")
        return distribution


class Spike(Section):
    """A gradient made large on purpose, once."""

    iteration: Count
    """The iteration it happens in, the first being 1."""
    network: Network
    """Whose gradient."""
    factor: AnyFactor
    """What the gradient is multiplied by; .inf and .nan too."""


class DebugConfig(Section):
    """Trouble made on purpose, to see that it is survived."""

    inject_spikes: Annotated[
        list[Spike], Expected("a list of {iteration: 1, network: generator, factor: 9}")
    ] = []
    """Spikes, each with iteration, network and factor; none after a rollback."""


def _layers_expected(num_layers: int, image_size: int) -> str:
    """Says which numbers of layers near to a wrong one are possible."""
    least = least_num_layers(image_size)
    below = num_layers - (num_layers - FIXED_LAYERS) % LAYERS_A_BLOCK
    counts = [max(least, below) + LAYERS_A_BLOCK * more for more in range(3)]
    return (
        f"{', '.join(map(str, counts))}, ... ({FIXED_LAYERS}, and {LAYERS_A_BLOCK} a "
        f"block; {image_size} pixels take {num_stages(image_size)} blocks)"
    )


class Config(Section):
    """All sections of a run."""

    run: RunConfig
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    optimizer: OptimizerPairConfig = OptimizerPairConfig()
    loss: LossConfig = LossConfig()
    augment: AugmentConfig = AugmentConfig()
    training: TrainingConfig = TrainingConfig()
    runtime: RuntimeConfig = RuntimeConfig()
    metrics: MetricsConfig = MetricsConfig()
    debug: DebugConfig = DebugConfig()

    @field_validator("model")
    @classmethod
    def _check_layers(cls, model: ModelConfig, info: ValidationInfo) -> ModelConfig:
        data = info.data.get("data")
        size = SMALLEST_IMAGE_SIZE if data is None else data.image_size
        num_layers, least = model.num_layers, least_num_layers(size)
        if num_layers < least or (num_layers - least) % LAYERS_A_BLOCK:
            error = InitErrorDetails(
                type=mistake(_layers_expected(num_layers, size)),
                loc=("num_layers",),
                input=num_layers,
            )
            raise ValidationError.from_exception_data("ModelConfig", [error])
        return model
