"""The two networks: stock Keras layers, plain arguments."""

from models.discriminator import build_discriminator
from models.generator import build_generator
from models.layer_table import count_layers, layer_table

__all__ = ["build_discriminator", "build_generator", "count_layers", "layer_table"]
