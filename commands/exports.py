"""Writes a generator for others to run: as .keras, .onnx, or a page to play with."""

import logging
import pathlib
import tempfile
import warnings

import keras
import numpy as np
import onnx

from commands.chosen import Chosen
from commands.generate_options import GenerateOptions
from commands.quiet import quiet_stderr
from files.address import address_of
from files.atomic import written_aside
from gallery.explore_page import write_explore_page
from records.page import write_pages
from settings.messages import say

LATENTS, IMAGES = "latents", "images"
LEAST_HALVED = 256  # smaller arrays (shapes, scalars) stay as they are
MOST_DIRECTIONS = 8  # sliders of the page


def write_keras(
    generator: keras.Model, options: GenerateOptions, out: pathlib.Path
) -> None:
    """Writes the generator as a file that loads without this project.

    keras.models.load_model(file) maps float32 latents [batch, latent_dim] to float32
    images [batch, size, size, 3] in [-1, 1].
    """
    _say_truncation(options)
    with written_aside(out) as aside:
        clipped(generator).save(aside)
    _say_written(out)


def write_onnx(
    generator: keras.Model, options: GenerateOptions, out: pathlib.Path
) -> None:
    """Writes the generator as ONNX, float32, with inputs and outputs as in the .keras.

    They are called "latents" and "images"; the size of the batch is free.
    """
    _say_truncation(options)
    model = onnx_model(generator)
    with written_aside(out) as aside:
        onnx.save(model, aside)
    _say_written(out)


def write_explorer(
    generator: keras.Model, options: GenerateOptions, chosen: Chosen, out: pathlib.Path
) -> None:
    """Writes a page in which the generator runs, and links it from the run's page."""
    model = halved(onnx_model(generator)).SerializeToString()
    write_explore_page(
        out,
        name=chosen.weights.run if chosen.weights else chosen.run.name,
        iteration=chosen.iteration,
        image_size=generator.output_shape[1],
        latent_dim=generator.input_shape[-1],
        model=model,
        directions=directions_of(generator),
        seed=options.seed,
        truncation=options.truncation,
    )
    _say_written(out)
    say(f"open it in a browser: {address_of(out)}")
    if chosen.file is None:
        write_pages(chosen.run)


def directions_of(
    generator: keras.Model, most: int = MOST_DIRECTIONS
) -> list[tuple[float, np.ndarray]]:
    """Returns the latents along which the first dense layer's output varies most.

    These are the principal components of GANSpace (arXiv:2004.02546), which samples
    them. Here latents z are normal and the layer is z W + b, so the covariance of its
    output is W^T W, and the left singular vectors of W are the components' latents,
    exactly; SeFa (arXiv:2007.06600) has the same closed form.

    Returns:
        For each a share of the variance, in [0, 1], and a float32 [latent_dim] of
        length 1; the largest share first. Empty if no dense layer takes the latents.
    """
    for layer in generator.layers:
        if isinstance(layer, keras.layers.Dense) and layer.input is generator.input:
            kernel = keras.ops.convert_to_numpy(layer.kernel).astype(np.float64)
            left, sizes, _ = np.linalg.svd(kernel, full_matrices=False)
            shares = sizes**2 / max((sizes**2).sum(), np.finfo(np.float64).tiny)
            return [
                (float(share), vector.astype(np.float32))
                for share, vector in zip(shares[:most], left.T[:most], strict=True)
            ]
    return []


def clipped(generator: keras.Model) -> keras.Model:
    """Returns the generator with its images clipped to [-1, 1].

    Unclipped, a conversion to uint8 would wrap: white petals would get black spots.
    """
    clip = keras.layers.Activation("hard_tanh", name="clipped", dtype="float32")
    return keras.Model(generator.input, clip(generator.output), name=generator.name)


def onnx_model(generator: keras.Model) -> onnx.ModelProto:
    """Converts the generator, its images clipped, to ONNX by way of tf2onnx."""
    model = clipped(generator)
    model(np.zeros((1, generator.input_shape[-1]), np.float32))  # else Keras refuses
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # tf2onnx 1.17 and Keras' bridge to it look at names that NumPy has dropped.
        warnings.simplefilter("ignore")
        logging.getLogger("tf2onnx").setLevel(logging.ERROR)
        path = pathlib.Path(folder) / "generator.onnx"
        with quiet_stderr():
            model.export(path, format="onnx", verbose=False)
        converted = onnx.load(path)
    _rename(converted.graph, converted.graph.input[0], LATENTS)
    _rename(converted.graph, converted.graph.output[0], IMAGES)
    onnx.checker.check_model(converted)
    return converted


def halved(model: onnx.ModelProto) -> onnx.ModelProto:
    """Returns a copy whose weights are float16, cast to float32 where it uses them.

    ONNX Runtime casts them once, as it loads the model. Rounding a weight changes it by
    at most 2^-11 of itself; one beyond float16's range, 65,504, becomes infinite, and
    such an array is left in float32.
    """
    smaller = onnx.ModelProto()
    smaller.CopyFrom(model)
    graph, casts = smaller.graph, []
    for tensor in graph.initializer:
        array = onnx.numpy_helper.to_array(tensor)
        if array.dtype != np.float32 or array.size < LEAST_HALVED:
            continue
        with np.errstate(over="ignore"):
            half = array.astype(np.float16)
        if not np.isfinite(half).all():
            continue
        name = tensor.name
        tensor.CopyFrom(onnx.numpy_helper.from_array(half, f"{name}_float16"))
        to_single = onnx.TensorProto.FLOAT
        casts.append(onnx.helper.make_node("Cast", [tensor.name], [name], to=to_single))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    return smaller


def _rename(graph: onnx.GraphProto, value: onnx.ValueInfoProto, name: str) -> None:
    """Gives an input or output of a graph, and its batch, a name of their own."""
    for node in graph.node:
        for names in (node.input, node.output):
            for place, found in enumerate(names):
                if found == value.name:
                    names[place] = name
    value.name = name
    value.type.tensor_type.shape.dim[0].dim_param = "batch"


def _say_written(out: pathlib.Path) -> None:
    say(f"wrote {out} ({out.stat().st_size / 1e6:.1f} MB)")


def _say_truncation(options: GenerateOptions) -> None:
    if options.truncation is not None:
        say("warning: --truncation is not part of the file: truncate its latents")
