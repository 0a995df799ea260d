"""The averaged generator of a checkpoint."""

import keras

from commands.chosen import EMA_GENERATOR, Chosen
from settings.messages import Problem
from training.networks import build_ema_generator
from training.variables import assign_network


def load_ema_generator(chosen: Chosen) -> keras.Model:
    """Builds the averaged generator of a checkpoint, float32.

    Raises:
        Problem: If the checkpoint does not fit the run's config.
    """
    generator = build_ema_generator(chosen.config)
    try:
        assign_network(EMA_GENERATOR, generator, chosen.ema_arrays)
    except ValueError as error:
        raise Problem(
            f"{chosen.run.checkpoints}: checkpoint {chosen.iteration} does not fit "
            f"{chosen.run.config}\n  {error}"
        ) from error
    return generator
