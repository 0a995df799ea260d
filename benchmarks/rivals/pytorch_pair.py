"""The networks of models/ in PyTorch: the same layers, names, sizes and first weights.

Images and features are [batch, channels, height, width].
"""

import math
from collections import OrderedDict

import torch
from torch import nn
from torch.nn import functional

from models.depth import SMALLEST_STAGE, blocks_per_stage, channels_per_stage
from settings.config import Config

LEAK = 0.2
RGB_SCALE = 0.5
LAST_CONVOLUTION_SCALE = 2.0


def scaled(layer: nn.Module, scale: float = 1.0) -> nn.Module:
    """Starts a layer with a normal of variance scale / fan_in, and a bias of 0."""
    fan_in = layer.weight[0].numel()
    nn.init.normal_(layer.weight, std=math.sqrt(scale / fan_in))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


class Block(nn.Module):
    """A skip connection plus a branch of two convolutions; models/blocks.py."""

    def __init__(self, inputs: int, channels: int, num_blocks: int) -> None:
        """Builds a block for [batch, inputs, ...] in a network of `num_blocks`."""
        super().__init__()
        first, second = 2 / math.sqrt(num_blocks), 0
        self.conv1 = scaled(nn.Conv2d(inputs, channels, 3, padding=1), first)
        self.conv2 = scaled(nn.Conv2d(channels, channels, 3, padding=1), second)
        self.projection = nn.Identity()
        if inputs != channels:
            self.projection = scaled(nn.Conv2d(inputs, channels, 1, bias=False))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Returns [batch, channels, height, width]."""
        branch = self.conv1(functional.leaky_relu(features, LEAK))
        branch = self.conv2(functional.leaky_relu(branch, LEAK))
        return self.projection(features) + branch


def stages_of(config: Config) -> list[tuple[int, int, int]]:
    """Returns pixels, blocks and channels of each stage, the smallest first."""
    size, model = config.data.image_size, config.model
    blocks = blocks_per_stage(model.num_layers, size)
    widths = channels_per_stage(size, model.base_channels, model.max_channels)
    pixels = [SMALLEST_STAGE * 2**stage for stage in range(len(blocks))]
    return list(zip(pixels, blocks, widths, strict=True))


def chain(
    stages: list[tuple[int, int, int]], inputs: int, between: str, resampling: nn.Module
) -> nn.Sequential:
    """Chains the blocks of all stages, resampling between them ("up" or "down")."""
    total = sum(num_blocks for _, num_blocks, _ in stages)
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for place, (size, num_blocks, channels) in enumerate(stages):
        if place:
            layers[f"{between}{size}"] = resampling
        for number in range(num_blocks):
            layers[f"stage{size}_block{number}"] = Block(inputs, channels, total)
            inputs = channels
    return nn.Sequential(layers)


class Generator(nn.Module):
    """Maps float32 [batch, latent_dim] to [batch, 3, size, size]."""

    def __init__(self, config: Config) -> None:
        """Builds the generator of a config."""
        super().__init__()
        stages = stages_of(config)
        first, last = stages[0][2], stages[-1][2]
        self._channels = first
        numbers = SMALLEST_STAGE**2 * first
        self.dense = scaled(nn.Linear(config.model.latent_dim, numbers))
        self.conv = scaled(nn.Conv2d(first, first, 3, padding=1))
        up = nn.Upsample(scale_factor=2, mode="bilinear")
        self.blocks = chain(stages, first, "up", up)
        self.to_rgb = scaled(nn.Conv2d(last, 3, 3, padding=1), RGB_SCALE)

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        """Returns images, about [-1, 1]."""
        shape = (-1, SMALLEST_STAGE, SMALLEST_STAGE, self._channels)
        features = self.dense(latents).view(shape).permute(0, 3, 1, 2)
        features = self.blocks(self.conv(features))
        return self.to_rgb(functional.leaky_relu(features, LEAK))


class Discriminator(nn.Module):
    """Maps [batch, 3, size, size] in [-1, 1] to logits [batch, 1]."""

    def __init__(self, config: Config) -> None:
        """Builds the discriminator of a config."""
        super().__init__()
        stages = stages_of(config)[::-1]
        first, last = stages[0][2], stages[-1][2]
        self.from_rgb = scaled(nn.Conv2d(3, first, 3, padding=1))
        self.blocks = chain(stages, first, "down", nn.AvgPool2d(2))
        convolution = nn.Conv2d(last, last, SMALLEST_STAGE)
        self.conv = scaled(convolution, LAST_CONVOLUTION_SCALE)
        self.logit = scaled(nn.Linear(last, 1, bias=False))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Returns logits, larger for images that look real."""
        features = self.conv(self.blocks(self.from_rgb(images)))
        return self.logit(functional.leaky_relu(features, LEAK).flatten(1))
