"""Counts layers as the ResNet papers do, and lists them in a table."""

import keras

COUNTED = (keras.layers.Conv2D, keras.layers.Dense)
UNCOUNTED = ("_projection", "_embedding")


def is_counted(layer: keras.layers.Layer) -> bool:
    """Returns whether a layer is a convolution or dense layer on the main path.

    Not counted are the 1 x 1 projections on skip connections (He et al.,
    arXiv:1512.03385), named "..._projection", and the embeddings of classes, named
    "..._embedding", which look up a vector, by a product with a class's weights.
    """
    return isinstance(layer, COUNTED) and not layer.name.endswith(UNCOUNTED)


def count_layers(network: keras.Model) -> int:
    """Counts the weighted layers on the path from input to output."""
    return sum(is_counted(layer) for layer in network.layers)


def layer_table(network: keras.Model) -> str:
    """Lists each layer with weights: number, name, kind, shape, parameters.

    Projections, embeddings and norms, which are not counted, have no number.
    """
    lines = [f"{network.name}"]
    number = 0
    for layer in network.layers:
        if not layer.weights:
            continue
        number += is_counted(layer)
        label = f"{number:3d}" if is_counted(layer) else "   "
        shape = " x ".join(str(size) for size in layer.output.shape[1:])
        kind = type(layer).__name__
        if isinstance(layer, keras.layers.Conv2D):
            kind += " " + " x ".join(str(size) for size in layer.kernel_size)
        parameters = f"{layer.count_params():,}"
        lines.append(f"{label}  {layer.name:30} {kind:16} {shape:16} {parameters:>11}")
    total = f"{network.count_params():,}"
    lines.append(f"     {'parameters':30} {'':16} {'':16} {total:>11}")
    return "\n".join(lines)
