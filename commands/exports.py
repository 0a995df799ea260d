"""Writes a generator for others to run: as .keras, .onnx, or a page to play with."""

import json
import logging
import pathlib
import tempfile
import warnings
import zipfile

import keras
import numpy as np
import onnx

from commands.chosen import Chosen
from commands.generate_options import GenerateOptions
from commands.pictures.classes import class_names
from commands.quiet import quiet_stderr
from files.address import address_of
from files.atomic import written_aside
from gallery.explore_page import write_explore_page
from models.blocks import CLASS_EMBEDDING
from records.page import write_pages
from settings.messages import say
from training.networks import build_ema_generator
from training.pictures import sizes_of_inputs

LATENTS, CLASSES, IMAGES = "latents", "classes", "images"
NAMES_FILE = "class_names.json"  # in a .keras file
LEAST_HALVED = 256  # smaller arrays (shapes, scalars) stay as they are
MOST_DIRECTIONS = 8  # sliders of the page


def write_keras(
    generator: keras.Model, options: GenerateOptions, chosen: Chosen, out: pathlib.Path
) -> None:
    """Writes the generator as a file that loads without this project.

    keras.models.load_model(file) maps float32 latents [batch, latent_dim] to float32
    images [batch, size, size, 3] in [-1, 1]; a generator that knows classes maps a list
    of latents and classes, float32 [batch, classes], their weights. Their names are in
    the file too, which is a ZIP archive: NAMES_FILE, a list in JSON.
    """
    _say_truncation(options)
    made, names = exported(generator, options, chosen)
    with written_aside(out) as aside:
        clipped(made).save(aside)
        if names:
            with zipfile.ZipFile(aside, "a") as archive:
                archive.writestr(NAMES_FILE, _json(names))
    _say_written(out, names)


def write_onnx(
    generator: keras.Model, options: GenerateOptions, chosen: Chosen, out: pathlib.Path
) -> None:
    """Writes the generator as ONNX, float32, with inputs and outputs as in the .keras.

    They are called "latents", "classes" and "images"; the size of the batch is free.
    Its metadata name the run, the iteration, what a longer average is of, and the
    classes, a list in JSON.
    """
    _say_truncation(options)
    made, names = exported(generator, options, chosen)
    model = onnx_model(made)
    about = {"run": name_of(chosen), "iteration": str(chosen.iteration)}
    if chosen.average:
        about["average"] = chosen.average
    if options.labels:
        about["class"] = class_names(chosen)[options.labels[0]]
    if names:
        about["classes"] = _json(names)
    onnx.helper.set_model_props(model, about)
    with written_aside(out) as aside:
        onnx.save(model, aside)
    _say_written(out, names)


def write_explorer(
    generator: keras.Model, options: GenerateOptions, chosen: Chosen, out: pathlib.Path
) -> None:
    """Writes a page in which the generator runs, and links it from the run's page."""
    model = halved(onnx_model(generator)).SerializeToString()
    write_explore_page(
        out,
        name=name_of(chosen),
        iteration=chosen.iteration,
        average=chosen.average,
        image_size=generator.output_shape[1],
        latent_dim=sizes_of_inputs(generator)[0],
        model=model,
        directions=directions_of(generator),
        seed=options.seed,
        truncation=options.truncation,
        classes=class_names(chosen),
        label=options.labels[0] if options.labels else 0,
    )
    _say_written(out)
    say(f"open it in a browser: {address_of(out)}")
    if chosen.file is None:
        write_pages(chosen.run)


def name_of(chosen: Chosen) -> str:
    """Returns the name of the run that a checkpoint or a weights file is of."""
    return chosen.weights.run if chosen.weights else chosen.run.name


def exported(
    generator: keras.Model, options: GenerateOptions, chosen: Chosen
) -> tuple[keras.Model, tuple[str, ...]]:
    """Returns the generator for a file, with the names of the classes that it takes.

    With --class it is one of that class alone, which takes latents and nothing else.
    """
    if options.labels:
        return of_one_class(generator, chosen, options.labels[0]), ()
    return generator, class_names(chosen)


def of_one_class(generator: keras.Model, chosen: Chosen, label: int) -> keras.Model:
    """Returns a generator without classes whose images are of one class.

    The embedding of a class is added to what the dense layer makes of a latent, so it
    becomes a part of that layer's bias.
    """
    model = chosen.config.model.model_copy(update={"conditional": False})
    plain = build_ema_generator(chosen.config.model_copy(update={"model": model}))
    for layer in plain.layers:
        layer.set_weights(generator.get_layer(layer.name).get_weights())
    bias, embedding = (
        plain.get_layer("dense").bias,
        generator.get_layer(CLASS_EMBEDDING).kernel,
    )
    bias.assign(bias + embedding[label])
    return plain


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
        if isinstance(layer, keras.layers.Dense) and layer.input is generator.inputs[0]:
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
    zeros = [np.zeros((1, size), np.float32) for size in sizes_of_inputs(generator)]
    model(zeros if zeros[1].size else zeros[0])  # else Keras refuses
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # tf2onnx 1.17 and Keras' bridge to it look at names that NumPy has dropped.
        warnings.simplefilter("ignore")
        logging.getLogger("tf2onnx").setLevel(logging.ERROR)
        path = pathlib.Path(folder) / "generator.onnx"
        with quiet_stderr():
            model.export(path, format="onnx", verbose=False)
        converted = onnx.load(path)
    for value, name in zip(converted.graph.input, (LATENTS, CLASSES), strict=False):
        _rename(converted.graph, value, name)
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


def _json(names: tuple[str, ...]) -> str:
    return json.dumps(names, ensure_ascii=False)


def _say_written(out: pathlib.Path, names: tuple[str, ...] = ()) -> None:
    inputs = f"; takes latents and the weights of {len(names)} classes" if names else ""
    say(f"wrote {out} ({out.stat().st_size / 1e6:.1f} MB){inputs}")


def _say_truncation(options: GenerateOptions) -> None:
    if options.truncation is not None:
        say("warning: --truncation is not part of the file: truncate its latents")
