"""Defines every config key: its meaning, unit, range and default.

Each section is one flat, frozen pydantic model (augment, loss, metrics and optimizer
have files of their own). Keys of a source, an optimizer or a schedule that is not
selected are valid and ignored, but see data_sources.py. A mistake is found before
TensorFlow is imported; complaints.py describes it.
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
from settings.augment import AugmentConfig
from settings.key_types import (
    AnyFactor,
    AutoOrSwitch,
    ClassNames,
    Count,
    CountOrZero,
    DataSet,
    Expected,
    Folder,
    Images,
    ImageSize,
    Layers,
    Positive,
    RunName,
    Section,
    Seed,
    Size,
    Splits,
    Switch,
    mistake,
)
from settings.loss import LossConfig
from settings.metrics import MetricsConfig
from settings.optimizer import Network, OptimizerConfig, OptimizerPairConfig

__all__ = ["Config", "OptimizerConfig"]

SMALLEST_IMAGE_SIZE = 32  # for the layer check if image_size itself is invalid


class RunConfig(Section):
    """The run's name and random seed."""

    name: RunName
    """Names the run's folders, runs/<name> and samples/<name>."""
    seed: Seed = 0
    """Seed of every random draw of the run; 0 to 2147483647."""


class DataConfig(Section):
    """The photographs and their size. Paths are relative to the working directory."""

    source: Literal["tfds", "folder", "drawn"] = "tfds"
    """A TensorFlow data set, a folder of photographs, or flowers the program draws."""
    path: Folder | None = None
    """folder: the folder of photographs, searched recursively."""
    cache_dir: Folder = "cache"
    """Folder in which resized photographs are cached."""
    name: DataSet = "oxford_flowers102"
    """tfds: name of the data set."""
    data_dir: Folder | None = None
    """tfds: folder of the data sets; null: TFDS's default, ~/tensorflow_datasets."""
    splits: Splits = "train+validation+test"
    """tfds: the splits to combine, in TFDS syntax."""
    image_size: ImageSize = 64
    """Pixels along each side: 32, 64, 128, 256 or 512."""
    horizontal_flip: Switch = True
    """Mirrors photographs at random, half of the time."""
    num_images: Images = 2048
    """drawn: how many flowers to draw; 1 or more."""

    @field_validator("path")
    @classmethod
    def _check_path(cls, path: str | None, info: ValidationInfo) -> str | None:
        if path is None and info.data.get("source") == "folder":
            raise mistake("the path of a folder, as data.source is folder")
        return path


class ModelConfig(Section):
    """Architecture and size of the generator and the discriminator."""

    name: Literal["residual"] = "residual"
    """The architecture of both networks."""
    num_layers: Layers = 46
    """Weighted layers of both networks together: 6, plus 4 for each pair of blocks."""
    latent_dim: Size = 128
    """Dimensions of a latent; 1 or more."""
    base_channels: Size = 16
    """Channels at image_size, doubled whenever the size is halved; 1 or more."""
    max_channels: Size = 256
    """Maximum number of channels of a stage; 1 or more."""
    generator_norm: Literal["none", "rms"] = "none"
    """rms: pixel norm before each activation of the generator: all but faint features \
of a pixel are divided by their root mean square, then scaled by what is learnt."""
    stddev_group: Size = 1
    """Images whose features D compares (minibatch standard deviation), a divisor of \
training.batch_size; 1: judges each by itself."""
    conditional: Switch = False
    """Whether both networks learn classes: labels of the data set, sub-folders of the \
folder, or species of the drawn flowers."""
    classes: ClassNames | None = None
    """conditional: the names of the classes, in the order of the networks' inputs; \
null: those of the photographs, written to config.yaml when the run first starts."""

    @property
    def num_classes(self) -> int:
        """The number of classes that the networks know; 0: none."""
        return len(self.classes or ()) if self.conditional else 0


class TrainingConfig(Section):
    """Length of the run, and when it writes what."""

    total_iterations: Count = 140_000
    """Iterations after which the run is finished; 1 or more."""
    max_minutes: Positive | None = None
    """Minutes until a session stops, to be continued later; above 0; null: no limit."""
    batch_size: Size = 16
    """Images in a batch; 1 or more."""
    generator_batch: Literal["own", "same"] = "own"
    """own: the generator's update draws latents and photographs of its own; same: it \
takes the generated images of the discriminator's update, and the logits that the \
photographs had there, which saves time."""
    ema_half_life_kimg: Positive = 10.0
    """Half-life of the averaged generator, in thousands of images; above 0."""
    ema_ramp_up: Positive | None = 0.05
    """Caps the half-life at this share of the images so far; above 0; null: no cap."""
    sample_every_iterations: Count = 1000
    """Iterations between grids; 1 or more."""
    sample_classes: ClassNames | None = None
    """model.conditional: the classes that have a row each in a second grid; null: \
eight, from the one with most photographs to the one with fewest."""
    checkpoint_every_iterations: Count = 1000
    """Iterations between checkpoints; 1 or more."""
    log_every_iterations: Count = 100
    """Iterations between rows of scalars; 1 or more."""
    keep_every_iterations: Count = 20_000
    """Iterations between milestone checkpoints, which are kept; 1 or more."""
    keep_last: Count = 3
    """Newest checkpoints to keep, besides a good one to roll back to; 1 or more."""
    keep_best: CountOrZero = 1
    """Checkpoints with the lowest kernel distances to keep; 0 or more."""
    max_checkpoint_gib: Positive | None = None
    """Disk space for the run's checkpoints, in GiB; above 0; null: no limit."""
    max_skipped_iterations: Count = 50
    """Consecutive iterations with unusable gradients that end the run; 1 or more."""
    divergence_iterations: Count | None = 500
    """Iterations with loss or gradients far outside their usual range that count as \
divergence; 1 or more; null: not watched."""
    max_rollbacks: CountOrZero = 0
    """Times a run that goes wrong rolls back to its last good checkpoint, with new \
noise, before it ends (status 3); 0: it only warns of divergence."""


class RuntimeConfig(Section):
    """Device, precision and compilation; auto is resolved when the run first starts."""

    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Precision in which layers compute; weights are always float32."""
    compile: Literal["auto", "xla", "xla_update", "graph"] = "auto"
    """Compiles the step with XLA, or only the update of the weights, or nothing \
(a TensorFlow graph); auto: xla on a GPU, xla_update on a CPU."""
    distribution: Literal["none", "mirrored", "multi_worker"] = "none"
    """none: one device; mirrored: all GPUs of this machine; multi_worker: several \
processes, on several machines, as TF_CONFIG names them. They share each batch."""
    device: Literal["auto", "cpu", "gpu"] = "auto"
    """Device to train on."""
    deterministic: AutoOrSwitch = "auto"
    """Whether repeating a run gives bit-identical results; auto: true."""


class Spike(Section):
    """One injected gradient spike."""

    iteration: Count
    """Iteration of the spike, counted from 1."""
    network: Network
    """Network whose gradients are multiplied."""
    factor: AnyFactor
    """Factor on the gradients; .inf and .nan are allowed."""


class DebugConfig(Section):
    """Faults injected to test that training survives them."""

    inject_spikes: Annotated[
        list[Spike], Expected("a list of {iteration: 1, network: generator, factor: 9}")
    ] = []
    """Gradient spikes by iteration, network and factor; none after a rollback."""


def _layers_expected(num_layers: int, image_size: int) -> str:
    """Lists the valid numbers of layers near an invalid one."""
    least = least_num_layers(image_size)
    below = num_layers - (num_layers - FIXED_LAYERS) % LAYERS_A_BLOCK
    counts = [max(least, below) + LAYERS_A_BLOCK * more for more in range(3)]
    return (
        f"{', '.join(map(str, counts))}, ... ({FIXED_LAYERS}, and {LAYERS_A_BLOCK} a "
        f"block; {image_size} pixels take {num_stages(image_size)} blocks)"
    )


def _mistake_at(key: str, section: Section, expected: str) -> ValidationError:
    """Returns the error for a section's key that conflicts with another section."""
    error = InitErrorDetails(
        type=mistake(expected), loc=(key,), input=getattr(section, key)
    )
    return ValidationError.from_exception_data(type(section).__name__, [error])


class Config(Section):
    """All sections of a config."""

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
            raise _mistake_at("num_layers", model, _layers_expected(num_layers, size))
        return model

    @field_validator("training")
    @classmethod
    def _check_groups(
        cls, training: TrainingConfig, info: ValidationInfo
    ) -> TrainingConfig:
        model = info.data.get("model")
        if model is not None and training.batch_size % model.stddev_group:
            expected = (
                f"a multiple of model.stddev_group, which is {model.stddev_group}"
            )
            raise _mistake_at("batch_size", training, expected)
        return training
