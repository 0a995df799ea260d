"""Counts the floating-point operations of an iteration from the layers of the pair.

A multiplication with its addition counts as 2. A convolution of an image costs

    2 * (output height * width * channels) * (kernel height * width * input channels)

with the padding counted as if it were image, a dense layer 2 * inputs * outputs, and
the gradient by the weights, or by the layer's inputs, as much again. Only these layers
count; activations, resampling, losses and optimizers are a small share of the
arithmetic, though not of the time.
"""

import math
from typing import NamedTuple

import keras

from benchmarks.step_parts import generated_batches, judged_again
from settings.config import Config
from training.recipe import num_penalized


class NetworkFlops(NamedTuple):
    """The operations of one network for one image.

    Attributes:
        forward: Of all layers; the gradient by the weights costs the same.
        first: Of the layers that read the network's own inputs.
        last: Of the layer that makes the network's output.
    """

    forward: int
    first: int
    last: int


def layer_flops(layer: keras.layers.Layer) -> int:
    """Returns the operations of a layer for one image; 0 unless it is counted.

    Raises:
        ValueError: If the layer is of a kind with weights that has no formula here.
    """
    if isinstance(layer, keras.layers.Conv2D) and layer.groups == 1:
        height, width, inputs, _ = layer.kernel.shape
        return 2 * math.prod(layer.output.shape[1:]) * height * width * inputs
    if isinstance(layer, keras.layers.Dense):
        return 2 * math.prod(layer.kernel.shape)
    if layer.weights and not isinstance(layer, keras.layers.RMSNormalization):
        raise ValueError(
            "Expected weights in ungrouped Conv2D, Dense and norm layers only. "
            f"Received: {type(layer).__name__} {layer.name}"
        )
    return 0


def network_flops(network: keras.Model) -> NetworkFlops:
    """Returns the operations of a functional model of one input, layer by layer."""
    flops = [(layer, layer_flops(layer)) for layer in network.layers]
    counted = [(layer, count) for layer, count in flops if count]
    first = [count for layer, count in counted if layer.input is network.inputs[0]]
    return NetworkFlops(sum(c for _, c in counted), sum(first), counted[-1][1])


def pass_flops(
    generator: keras.Model, discriminator: keras.Model, config: Config
) -> dict[str, int]:
    """Returns the operations of each kind of pass in one iteration.

    The generator runs forward twice. The discriminator sees two batches in its own
    update, and one each of photographs and generated images in the generator's, unless
    that takes the first update's batch again (then the generator runs once, and the
    photographs are seen once) or its loss needs no photographs. D's backward pass needs
    no gradient by the images, that of the generator's update none by D's weights, and
    neither any by the latents. An exact penalty adds the gradient by the images and, of
    that, the gradients by the weights and by what came down from the layer above, which
    is constant for the last layer; one by finite differences adds a forward and a
    backward pass.

    Returns:
        By the names of the parts (step_parts.py); the penalty for an iteration that
        computes it.
    """
    g, d = network_flops(generator), network_flops(discriminator)
    batch_size = config.training.batch_size
    is_exact = config.loss.penalty_method == "exact"
    penalty = 3 * d.forward - (d.last if is_exact else d.first)
    return {
        "generator forward": generated_batches(config) * batch_size * g.forward,
        "discriminator forward": (2 + judged_again(config)) * batch_size * d.forward,
        "discriminator backward": 2 * batch_size * (2 * d.forward - d.first),
        "generator backward": batch_size * (d.forward + 2 * g.forward - g.first),
        "gradient penalty": 2 * num_penalized(config) * penalty,
    }


def iteration_flops(passes: dict[str, int], penalty_share: float) -> float:
    """Returns the operations of a mean iteration; the share is in [0, 1]."""
    plain = sum(passes.values()) - passes["gradient penalty"]
    return plain + penalty_share * passes["gradient penalty"]
