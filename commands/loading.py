"""Loads photographs, and the generator of a checkpoint."""

import keras

import data
from commands.chosen import Chosen
from records.weights import EMA_GENERATOR
from settings.config import Config
from settings.messages import Problem, say
from training.networks import build_ema_generator
from training.variables import assign_network


def load_images(config: Config) -> data.ImageSet:
    """Loads the photographs of a config.

    Raises:
        Problem: If they are unusable.
    """
    settings = config.data
    try:
        return data.load_images(
            settings.source,
            image_size=settings.image_size,
            cache_dir=settings.cache_dir,
            path=settings.path,
            name=settings.name,
            data_dir=settings.data_dir,
            splits=settings.splits,
            num_images=settings.num_images,
            with_classes=config.model.conditional,
            say=say,
        )
    except data.DataError as error:
        raise Problem(str(error)) from error


def load_ema_generator(chosen: Chosen) -> keras.Model:
    """Builds the averaged generator of a checkpoint, float32.

    Raises:
        Problem: If the checkpoint does not fit the run's config.
    """
    generator = build_ema_generator(chosen.config)
    try:
        assign_network(EMA_GENERATOR, generator, chosen.arrays)
    except ValueError as error:
        place = chosen.file or chosen.run.checkpoints
        config = "its config" if chosen.file else chosen.run.config
        raise Problem(
            f"{place}: checkpoint {chosen.iteration} does not fit {config}\n  {error}"
        ) from error
    return generator
