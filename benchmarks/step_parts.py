"""Makes the parts of an iteration from the times of its pieces (step_pieces.py).

A backward pass is the gradients less the forward passes, damping the damped optimizers
less their undamped twins, the penalty the gradients with it less those without.
"""

import dataclasses

from settings.config import Config
from settings.optimizer import NETWORKS
from training.inputs import penalty_share


@dataclasses.dataclass(frozen=True)
class Parts:
    """Milliseconds of a mean iteration.

    Attributes:
        parts: By name, in the order of the iteration.
        whole: Of all; the parts need not add up to it.
    """

    parts: dict[str, float]
    whole: float

    @property
    def not_explained(self) -> float:
        """The whole less the parts; negative where parts run at the same time."""
        return self.whole - sum(self.parts.values())


def generated_batches(config: Config) -> int:
    """Returns how many batches the generator makes in an iteration."""
    return 1 if config.training.generator_batch == "same" else 2


def judged_again(config: Config) -> int:
    """Returns how many batches the discriminator judges in the generator's update.

    Only a relativistic loss compares generated images with photographs, of a batch of
    its own or as judged before.
    """
    is_own = config.training.generator_batch == "own"
    return 2 if is_own and config.loss.name == "relativistic" else 1


def parts_of(pieces: dict[str, float], config: Config) -> Parts:
    """Makes the parts from the median seconds of the pieces."""
    ms = {name: 1000 * seconds for name, seconds in pieces.items()}
    share, training = penalty_share(config), config.training
    generator, augmentation = ms["generator"], ms["augmentation"]
    generated, judged = generated_batches(config), judged_again(config)
    augmented_again = augmentation * judged / 2
    one, two = ms["discriminator, one batch"], ms["discriminator, two batches"]
    gradients = ms["discriminator's gradients"]
    with_penalty = ms.get("discriminator's gradients, penalty", gradients)
    damped = ms["discriminator's update"] + ms["generator's update"]
    undamped = sum(ms[f"{network}'s undamped update"] for network in NETWORKS)
    now_and_then = {
        "row": ms["row"] / training.log_every_iterations,
        "page": ms["page"] / training.sample_every_iterations,
        "grid": ms["grid"] / training.sample_every_iterations,
        "checkpoint": ms["checkpoint"] / training.checkpoint_every_iterations,
    }
    parts = {
        "data and draws": ms["inputs"],
        "flips and augmentation": augmentation + augmented_again,
        "generator forward": generated * generator,
        "discriminator forward": two + judged * one,
        "discriminator backward": gradients - generator - augmentation - two,
        "generator backward": ms["generator's gradients"]
        - generator
        - augmented_again
        - judged * one,
        "gradient penalty": share * (with_penalty - gradients),
        "damping": damped - undamped,
        "optimizer": undamped,
        "copy kept for undoing": ms["discriminator's update, copy kept"]
        - ms["discriminator's update"],
        "vitals": ms["vitals"],
        "average of the generator": ms["average"],
        "telemetry": ms["telemetry"] + now_and_then.pop("row"),
        **now_and_then,
    }
    iteration = ms["iteration"]
    mean = (1 - share) * iteration + share * ms.get("iteration, penalty", iteration)
    between = ms["row"] / training.log_every_iterations + sum(now_and_then.values())
    return Parts(parts, mean + between)
