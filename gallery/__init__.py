"""Pictures for people: grids of samples and walks through latent space."""

from gallery.grids import grid_image, to_uint8, write_png
from gallery.walks import EncoderMissing, check_encoder, walk_latents, write_walk

__all__ = [
    "EncoderMissing",
    "check_encoder",
    "grid_image",
    "to_uint8",
    "walk_latents",
    "write_png",
    "write_walk",
]
