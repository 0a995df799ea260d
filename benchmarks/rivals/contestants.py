"""Lists the contestants, and checks that a config describes a race that is fair."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from commands.quiet import ONEDNN
from settings.config import Config
from settings.messages import Problem
from settings.optimizer import NETWORKS

NUM_IMAGES = 1024
ADAMS = ("adam", "log_adam")
PENALTIES = ("r1_r2", "none")
UNKNOWN_TO_RIVALS = ("weight_decay", "clipnorm", "clipvalue", "global_clipnorm")


@dataclasses.dataclass(frozen=True)
class Contestant:
    """One way to compute an iteration.

    Attributes:
        framework: "ours", "stock_keras" or "pytorch", as worker.py knows them.
        library: What has to be installed.
        options: For the framework's `build`.
        environment: Variables of the process to set, or to remove where None.
        needs_bfloat16: Whether it is slow on a processor not fast at bfloat16.
    """

    framework: str
    library: str = "tensorflow"
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    environment: dict[str, str | None] = dataclasses.field(default_factory=dict)
    needs_bfloat16: bool = False


def _pytorch(is_compiled: bool, precision: str) -> Contestant:
    return Contestant(
        "pytorch",
        "torch",
        {"is_compiled": is_compiled, "precision": precision},
        needs_bfloat16=precision == "bfloat16",
    )


SAME_BATCH = {"training": {"generator_batch": "same"}}
LIKE_RIVALS = {
    "augment": {"policy": "none"},
    "training": {"generator_batch": "own"},
    "loss": {"penalty_method": "exact", "penalty_batch": 1.0},
}
CLASSES = tuple(f"class {place}" for place in range(102))  # as many as species
WITH_CLASSES = {"model": {"conditional": True, "classes": CLASSES}}
OURS = "ours"
CONTESTANTS = {
    OURS: Contestant("ours"),
    "ours, same batch": Contestant("ours", options={"changes": SAME_BATCH}),
    "ours, nothing saved or augmented": Contestant(
        "ours", options={"changes": LIKE_RIVALS}
    ),
    "ours, 102 classes": Contestant("ours", options={"changes": WITH_CLASSES}),
    "stock Keras": Contestant("stock_keras", environment={ONEDNN: None}),
    "stock Keras, oneDNN": Contestant("stock_keras", environment={ONEDNN: "1"}),
    "PyTorch eager": _pytorch(False, "float32"),
    "PyTorch compiled": _pytorch(True, "float32"),
    "PyTorch eager, bfloat16": _pytorch(False, "bfloat16"),
    "PyTorch compiled, bfloat16": _pytorch(True, "bfloat16"),
}


class Ready(NamedTuple):
    """A contestant that is built.

    Attributes:
        iterate: Does one iteration, with the penalties or not, and returns the
            generator's loss once all of it is computed.
        num_weights: Trainable numbers in the generator and the discriminator, without
            what they know of classes, which the rivals do not.
        note: What is particular to it, in words; may be empty.
        versions: Of the libraries that do its arithmetic, by name.
    """

    iterate: Callable[[bool], float]
    num_weights: int
    note: str
    versions: dict[str, str]


def check_fair(config: Config) -> None:
    """Checks that the rivals compute what the config asks for.

    Schedules of the learning rate and of gamma are not followed by them: they change
    values, not what there is to compute.

    Raises:
        Problem: If the config has another architecture, loss, penalty or optimizer.
    """
    facts: list[tuple[str, str, tuple[str, ...]]] = [
        ("model.name", config.model.name, ("residual",)),
        ("model.conditional", str(config.model.conditional), ("False",)),
        ("loss.name", config.loss.name, ("relativistic",)),
        ("loss.penalty", config.loss.penalty, PENALTIES),
    ]
    for network in NETWORKS:
        name = config.optimizer.for_network(network).name
        facts.append((f"optimizer.name of the {network}", name, ADAMS))
        for key in UNKNOWN_TO_RIVALS:
            found = getattr(config.optimizer.for_network(network), key)
            facts.append((f"optimizer.{key} of the {network}", str(found), ("None",)))
    for key, found, known in facts:
        if found not in known:
            raise Problem(
                f"{key}\n  expected: {' or '.join(known)}, which the rivals know\n"
                f"  found:    {found}; leave the rivals out with --contestants alone"
            )


def random_images(image_size: int) -> np.ndarray:
    """Returns noise in place of photographs, uint8 [1024, size, size, 3]."""
    shape = (NUM_IMAGES, image_size, image_size, 3)
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def random_labels(num_classes: int) -> np.ndarray:
    """Returns labels in place of those of photographs, int32 [1024]."""
    return np.random.default_rng(1).integers(0, num_classes, NUM_IMAGES, np.int32)


def penalty_weight(config: Config) -> float:
    """Returns gamma / 2 times the interval between penalties."""
    return config.loss.gamma / 2 * config.loss.penalty_every_iterations


def average_decay(config: Config) -> float:
    """Returns the decay of the averaged generator, in [0, 1), after its ramp-up."""
    training = config.training
    return 0.5 ** (training.batch_size / (training.ema_half_life_kimg * 1000))
