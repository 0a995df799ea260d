"""The network that defines FID: Inception of December 2015, in Keras layers.

It differs from the Inception v3 of keras.applications in three ways: other weights,
batch normalisation with a scale, and a last block with max pooling where the others
have average pooling. Average pooling does not count the padding.

References:
    Szegedy et al. 2015, arXiv:1512.00567 (the network).
    Heusel et al. 2017, arXiv:1706.08500 (its use).
"""

import math
from collections.abc import Iterable
from typing import TypeAlias

import keras
from keras import layers

from metrics.errors import FeaturesError
from metrics.graph_file import Graph, constant

IMAGE_SIZE = 299
EPSILON = 0.001  # of the batch normalisation
LAST_BLOCK = "mixed_10"

Tensor: TypeAlias = keras.KerasTensor


def build_inception(
    image_size: int = IMAGE_SIZE, average_in_last_block: bool = False
) -> keras.Model:
    """Builds the network up to its pooled features.

    Args:
        image_size: In pixels, 75 or more.
        average_in_last_block: Uses average pooling in the last block too, as in the
            later Inception v3, for comparison.

    Returns:
        A model from float32 [batch, image_size, image_size, 3], about [-1, 1], to
        float32 [batch, 2048], the graph's pool_3.
    """
    images = keras.Input((image_size, image_size, 3))
    x = _convolution(images, "conv", 32, (3, 3), 2, "valid")
    x = _convolution(x, "conv_1", 32, (3, 3), 1, "valid")
    x = _convolution(x, "conv_2", 64, (3, 3))
    x = layers.MaxPooling2D(3, 2)(x)
    x = _convolution(x, "conv_3", 80, (1, 1), 1, "valid")
    x = _convolution(x, "conv_4", 192, (3, 3), 1, "valid")
    x = layers.MaxPooling2D(3, 2)(x)
    for block, pooled in (("mixed", 32), ("mixed_1", 64), ("mixed_2", 64)):
        x = _block_35(x, block, pooled)
    x = _block_35_to_17(x, "mixed_3")
    for number, inner in ((4, 128), (5, 160), (6, 160), (7, 192)):
        x = _block_17(x, f"mixed_{number}", inner)
    x = _block_17_to_8(x, "mixed_8")
    x = _block_8(x, "mixed_9", average=True)
    x = _block_8(x, LAST_BLOCK, average=average_in_last_block)
    return keras.Model(images, layers.GlobalAveragePooling2D()(x))


def assign_graph(network: keras.Model, graph: Graph) -> None:
    """Assigns the weights of the graph to a network of `build_inception`.

    Raises:
        FeaturesError: If the graph lacks weights, or describes another network.
    """
    for layer in network.layers:
        scope = layer.name.replace(".", "/")  # Keras allows no / in a name
        if isinstance(layer, layers.Conv2D):
            kernel = constant(graph, f"{scope}/conv2d_params", layer.kernel.shape)
            layer.set_weights([kernel])
        elif isinstance(layer, layers.BatchNormalization):
            names = ("gamma", "beta", "moving_mean", "moving_variance")
            shape = layer.gamma.shape
            layer.set_weights([constant(graph, f"{scope}/{n}", shape) for n in names])
            _check_normalisation(graph, scope)
    _check_last_pooling(graph)


def _check_normalisation(graph: Graph, scope: str) -> None:
    """Checks epsilon and scale against the graph, if it has this operation."""
    node = graph.nodes.get(scope)
    if node is None or node.op != "BatchNormWithGlobalNormalization":
        return
    epsilon = node.attr["variance_epsilon"].f
    scales = node.attr["scale_after_normalization"].b
    if not math.isclose(epsilon, EPSILON, rel_tol=1e-6) or not scales:
        raise FeaturesError(
            f"this is not the 2015 graph of Inception\n"
            f"  expected: {scope} with epsilon {EPSILON}, scaled by gamma\n"
            f"  found:    epsilon {epsilon:.6g}, {'' if scales else 'not '}scaled"
        )


def _check_last_pooling(graph: Graph) -> None:
    name = f"{LAST_BLOCK}/tower_2/pool"
    node = graph.nodes.get(name)
    if node is not None and node.op != "MaxPool":
        raise FeaturesError(
            f"this is not the 2015 graph of Inception\n"
            f"  expected: {name}, an operation MaxPool\n"
            f"  found:    an operation {node.op}"
        )


def _convolution(
    x: Tensor,
    scope: str,
    filters: int,
    size: tuple[int, int],
    strides: int = 1,
    padding: str = "same",
) -> Tensor:
    name = scope.replace("/", ".")
    x = layers.Conv2D(filters, size, strides, padding, use_bias=False, name=name)(x)
    x = layers.BatchNormalization(epsilon=EPSILON, name=f"{name}.batchnorm")(x)
    return layers.Activation("relu")(x)


def _tower(
    x: Tensor, scope: str, convolutions: Iterable[tuple[int, tuple[int, int]]]
) -> Tensor:
    """Applies a chain of convolutions, named as the graph numbers them."""
    for number, (filters, size) in enumerate(convolutions):
        name = f"{scope}/conv_{number}" if number else f"{scope}/conv"
        x = _convolution(x, name, filters, size)
    return x


def _pooled_tower(x: Tensor, block: str, filters: int, average: bool = True) -> Tensor:
    pooling = layers.AveragePooling2D if average else layers.MaxPooling2D
    x = pooling(3, 1, "same")(x)
    return _convolution(x, f"{block}/tower_2/conv", filters, (1, 1))


def _block_35(x: Tensor, block: str, pooled: int) -> Tensor:
    """Maps 35 x 35 pixels to 35 x 35, at an image size of 299."""
    branches = [
        _convolution(x, f"{block}/conv", 64, (1, 1)),
        _tower(x, f"{block}/tower", [(48, (1, 1)), (64, (5, 5))]),
        _tower(x, f"{block}/tower_1", [(64, (1, 1)), (96, (3, 3)), (96, (3, 3))]),
        _pooled_tower(x, block, pooled),
    ]
    return layers.Concatenate()(branches)


def _block_35_to_17(x: Tensor, block: str) -> Tensor:
    tower = _tower(x, f"{block}/tower", [(64, (1, 1)), (96, (3, 3))])
    branches = [
        _convolution(x, f"{block}/conv", 384, (3, 3), 2, "valid"),
        _convolution(tower, f"{block}/tower/conv_2", 96, (3, 3), 2, "valid"),
        layers.MaxPooling2D(3, 2)(x),
    ]
    return layers.Concatenate()(branches)


def _block_17(x: Tensor, block: str, inner: int) -> Tensor:
    one, row, column = (1, 1), (1, 7), (7, 1)
    short = [(inner, one), (inner, row), (192, column)]
    long = [(inner, each) for each in (one, column, row, column)] + [(192, row)]
    branches = [
        _convolution(x, f"{block}/conv", 192, one),
        _tower(x, f"{block}/tower", short),
        _tower(x, f"{block}/tower_1", long),
        _pooled_tower(x, block, 192),
    ]
    return layers.Concatenate()(branches)


def _block_17_to_8(x: Tensor, block: str) -> Tensor:
    short = _tower(x, f"{block}/tower", [(192, (1, 1))])
    long = [(192, (1, 1)), (192, (1, 7)), (192, (7, 1))]
    long = _tower(x, f"{block}/tower_1", long)
    branches = [
        _convolution(short, f"{block}/tower/conv_1", 320, (3, 3), 2, "valid"),
        _convolution(long, f"{block}/tower_1/conv_3", 192, (3, 3), 2, "valid"),
        layers.MaxPooling2D(3, 2)(x),
    ]
    return layers.Concatenate()(branches)


def _block_8(x: Tensor, block: str, average: bool) -> Tensor:
    short = _tower(x, f"{block}/tower", [(384, (1, 1))])
    long = _tower(x, f"{block}/tower_1", [(448, (1, 1)), (384, (3, 3))])
    branches = [
        _convolution(x, f"{block}/conv", 320, (1, 1)),
        _split(short, f"{block}/tower/mixed"),
        _split(long, f"{block}/tower_1/mixed"),
        _pooled_tower(x, block, 192, average),
    ]
    return layers.Concatenate()(branches)


def _split(x: Tensor, scope: str) -> Tensor:
    row = _convolution(x, f"{scope}/conv", 384, (1, 3))
    column = _convolution(x, f"{scope}/conv_1", 384, (3, 1))
    return layers.Concatenate()([row, column])
