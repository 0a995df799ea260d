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
LEAST_VARIANCE = 1e-8
LEAST_MEAN_SQUARE = 0.1


def scaled(layer: nn.Module, scale: float = 1.0) -> nn.Module:
    """Starts a layer with a normal of variance scale / fan_in, and a bias of 0."""
    fan_in = layer.weight[0].numel()
    nn.init.normal_(layer.weight, std=math.sqrt(scale / fan_in))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


class PixelNorm(nn.Module):
    """Divides each pixel's channels by their root mean square, and scales them."""

    def __init__(self, channels: int) -> None:
        """Builds it for [batch, channels, height, width]."""
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Returns features of the same shape."""
        mean_square = features.square().mean(1, keepdim=True)
        scale = self.weight[:, None, None]
        return features * (mean_square + LEAST_MEAN_SQUARE).rsqrt() * scale


def normalization(norm: str, channels: int) -> nn.Module:
    """Returns what comes before an activation; models/blocks.py."""
    if norm == "none":
        return nn.Identity()
    return PixelNorm(channels)


class Block(nn.Module):
    """A skip connection plus a branch of two convolutions; models/blocks.py."""

    def __init__(self, inputs: int, channels: int, num_blocks: int, norm: str) -> None:
        """Builds a block for [batch, inputs, ...] in a network of `num_blocks`."""
        super().__init__()
        first, second = 2 / math.sqrt(num_blocks), 0
        self.activation1_norm = normalization(norm, inputs)
        self.activation2_norm = normalization(norm, channels)
        self.conv1 = scaled(nn.Conv2d(inputs, channels, 3, padding=1), first)
        self.conv2 = scaled(nn.Conv2d(channels, channels, 3, padding=1), second)
        self.projection = nn.Identity()
        if inputs != channels:
            self.projection = scaled(nn.Conv2d(inputs, channels, 1, bias=False))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Returns [batch, channels, height, width]."""
        branch = self.activation1_norm(features)
        branch = self.conv1(functional.leaky_relu(branch, LEAK))
        branch = self.activation2_norm(branch)
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
    stages: list[tuple[int, int, int]],
    inputs: int,
    between: str,
    resampling: nn.Module,
    norm: str = "none",
) -> nn.Sequential:
    """Chains the blocks of all stages, resampling between them ("up" or "down")."""
    total = sum(num_blocks for _, num_blocks, _ in stages)
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for place, (size, num_blocks, channels) in enumerate(stages):
        if place:
            layers[f"{between}{size}"] = resampling
        for number in range(num_blocks):
            layers[f"stage{size}_block{number}"] = Block(inputs, channels, total, norm)
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
        norm = config.model.generator_norm
        self.blocks = chain(stages, first, "up", up, norm)
        self.activation_norm = normalization(norm, last)
        self.to_rgb = scaled(nn.Conv2d(last, 3, 3, padding=1), RGB_SCALE)

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        """Returns images, about [-1, 1]."""
        shape = (-1, SMALLEST_STAGE, SMALLEST_STAGE, self._channels)
        features = self.dense(latents).view(shape).permute(0, 3, 1, 2)
        features = self.activation_norm(self.blocks(self.conv(features)))
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
        self._group = config.model.stddev_group
        judged = last + (self._group > 1)
        convolution = nn.Conv2d(judged, last, SMALLEST_STAGE)
        self.conv = scaled(convolution, LAST_CONVOLUTION_SCALE)
        self.logit = scaled(nn.Linear(last, 1, bias=False))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Returns logits, larger for images that look real."""
        features = self.blocks(self.from_rgb(images))
        if self._group > 1:
            groups = features.unflatten(0, (-1, self._group))
            deviation = (groups.var(1, correction=0) + LEAST_VARIANCE).sqrt()
            deviation = deviation.mean((1, 2, 3)).repeat_interleave(self._group)
            places = features[:, :1] * 0 + deviation[:, None, None, None]
            features = torch.cat([features, places], 1)
        features = self.conv(features)
        return self.logit(functional.leaky_relu(features, LEAK).flatten(1))
