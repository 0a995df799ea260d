"""Builds the networks of a config."""

from typing import Any

import keras

from models.architectures import ARCHITECTURES
from settings.config import Config

PRECISION_POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}


def build_generator(config: Config) -> keras.Model:
    """Builds the trained generator, in the config's precision."""
    policy = PRECISION_POLICIES[config.runtime.precision]
    return _generator(config, dtype=policy, name="generator")


def build_ema_generator(config: Config) -> keras.Model:
    """Builds the averaged generator, for grids and export, in float32."""
    return _generator(config, dtype="float32", name="ema_generator")


def build_discriminator(config: Config) -> keras.Model:
    """Builds the discriminator, in the config's precision."""
    policy = PRECISION_POLICIES[config.runtime.precision]
    architecture = ARCHITECTURES[config.model.name]
    return architecture.discriminator(
        **_sizes(config), stddev_group=config.model.stddev_group, dtype=policy
    )


def _generator(config: Config, **options: str) -> keras.Model:
    architecture = ARCHITECTURES[config.model.name]
    return architecture.generator(
        **_sizes(config),
        latent_dim=config.model.latent_dim,
        norm=config.model.generator_norm,
        **options,
    )


def _sizes(config: Config) -> dict[str, Any]:
    model = config.model
    return {
        "image_size": config.data.image_size,
        "num_layers": model.num_layers,
        "base_channels": model.base_channels,
        "max_channels": model.max_channels,
        "num_classes": model.num_classes,
    }
