"""Loads feature networks by name."""

import hashlib
from pathlib import Path
from typing import NamedTuple, cast

import keras
import numpy as np

from metrics.errors import FeaturesError
from metrics.extractor import Extractor, Preparation, float32_policy
from metrics.graph_file import MEMBER, read_graph
from metrics.graph_file import URL as GRAPH_URL
from metrics.hdf5_file import check_hdf5
from metrics.inception_fid import IMAGE_SIZE, assign_graph, build_inception
from metrics.networks import FEATURE_NETWORKS
from metrics.weights_file import (
    Say,
    existing_file,
    known_sha256,
    sha256_of,
    weights_path,
)

Description = dict[str, str | int | float]

# URL and checksum from keras/src/applications/inception_v3.py.
KERAS_URL = (
    "https://storage.googleapis.com/tensorflow/keras-applications/inception_v3/"
    "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5"
)
KERAS_MD5 = "bcbd6486424b2319ff4ef7d526e38f63"
# Of these networks, the largest has 88 MB.
MOST_WEIGHTS_BYTES = 2**28


class Wanted(NamedTuple):
    """The arguments of `load_extractor` that loaders need."""

    name: str
    weights: str | Path | None
    cache_dir: str | Path
    say: Say


class Loaded(NamedTuple):
    """A network, the input it expects, and its description."""

    network: keras.Model
    image_size: int
    centre: float
    scale: float
    description: Description
    batch_size: int


def load_extractor(
    name: str,
    *,
    weights: str | Path | None = None,
    cache_dir: str | Path = "cache/features",
    resize: str = "clean",
    say: Say = print,
) -> Extractor:
    """Loads a feature network.

    Args:
        name: 'inception-fid': Inception of 2015, the only one whose Frechet distance
            is FID. 'inception-keras-75' and 'inception-keras-299': Inception v3 of
            keras.applications at that size, for comparison with Keras' examples.
            'mobilenetv2': a small one for curves during training. 'random': a tiny
            one with random weights, for tests.
        weights: File of the weights. mobilenetv2 needs it; for the Inception networks,
            None downloads them once.
        cache_dir: Folder for downloads.
        resize: 'clean', or, for inception-fid alone, 'legacy' (`extractor.resized`).
        say: Receives messages for the user, one line each.

    Raises:
        FeaturesError: If the name, the resize or the weights cannot be used.
    """
    _check(name, weights, resize)
    with float32_policy():
        loaded = LOADERS[name](Wanted(name, weights, cache_dir, say))
        preparation = Preparation(
            loaded.image_size, resize, loaded.centre, loaded.scale
        )
    description: Description = {
        "name": name,
        "num_features": int(loaded.network.output_shape[-1]),
        "input_size": loaded.image_size,
        "scaling": f"(RGB - {loaded.centre:g}) / {loaded.scale:g}",
        "resize": {
            "clean": "clean: bicubic, antialiased, clipped to [0, 255], not rounded",
            "legacy": "legacy: TensorFlow 1 bilinear, corners aligned at 0",
        }[resize],
        **loaded.description,
    }
    return Extractor(name, loaded.network, preparation, description, loaded.batch_size)


def _check(name: str, weights: str | Path | None, resize: str) -> None:
    if name not in FEATURE_NETWORKS:
        raise FeaturesError(
            f"there is no feature network of this name\n"
            f"  expected: one of {', '.join(FEATURE_NETWORKS)}\n"
            f"  found:    {name!r}"
        )
    network = FEATURE_NETWORKS[name]
    if resize not in network.resizes:
        raise FeaturesError(
            f"{name} cannot be had with this resize\n"
            f"  expected: {', '.join(network.resizes)}\n"
            f"  found:    {resize!r}"
        )
    if network.needs_weights and weights is None:
        raise FeaturesError(
            f"{name} needs the file of its weights\n"
            f"  expected: weights of keras.applications without the classifier "
            f"(.weights.h5)\n"
            f"  found:    none given"
        )


def _load_inception_fid(wanted: Wanted) -> Loaded:
    path = weights_path(
        wanted.weights,
        wanted.cache_dir,
        GRAPH_URL,
        wanted.name,
        read_graph,
        wanted.say,
        also=f", or {MEMBER} out of it,",
    )
    graph = read_graph(path)
    network = build_inception()
    assign_graph(network, graph)
    description: Description = {
        "network": "Inception of 2015-12-05, pool_3",
        "weights_file": path.name,
        "weights_sha256": known_sha256(path, wanted.say),
        "graph_sha256": graph.sha256,
        "notes": "a Keras build of the graph, not yet compared with the original "
        "graph's pool_3:0; the SHA-256 is that of the file first used here, not a "
        "published one",
    }
    return Loaded(network, IMAGE_SIZE, 128, 128, description, 32)


def _load_inception_keras(wanted: Wanted) -> Loaded:
    image_size = int(wanted.name.rpartition("-")[2])
    path = weights_path(
        wanted.weights, wanted.cache_dir, KERAS_URL, wanted.name, _check_md5, wanted.say
    )
    if wanted.weights is None:
        _check_md5(path)  # of a file that was downloaded long ago, too
    batch_size = 64 if image_size < IMAGE_SIZE else 32
    return _application("InceptionV3", image_size, path, wanted.name, 127.5, batch_size)


def _check_md5(path: Path) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "md5").hexdigest()
    if found != KERAS_MD5:
        raise FeaturesError(
            f"{KERAS_URL} is not the file that Keras names\n"
            f"  expected:   MD5 {KERAS_MD5}\n"
            f"  found:      MD5 {found} in {path.absolute()}\n"
            f"  what to do: remove the file, if it is still there, and start again"
        )


def mobilenetv2_of(weights: str | Path, image_size: int) -> Loaded:
    """Loads MobileNetV2 for images of a size that 32 divides.

    Raises:
        FeaturesError: If the file does not hold its weights.
    """
    path = existing_file(weights, "mobilenetv2")
    return _application("MobileNetV2", image_size, path, "mobilenetv2", 128, 64)


def _load_mobilenetv2(wanted: Wanted) -> Loaded:
    return mobilenetv2_of(cast(Path, wanted.weights), 224)  # not None: see _check


def _application(
    network_name: str,
    image_size: int,
    path: Path,
    name: str,
    half: float,
    batch_size: int,
) -> Loaded:
    """Loads a keras.applications network for images scaled by (RGB - half) / half.

    Raises:
        FeaturesError: If the file does not hold its weights.
    """
    check_hdf5(path, MOST_WEIGHTS_BYTES)
    network = getattr(keras.applications, network_name)(
        weights=None,
        include_top=False,
        pooling="avg",
        input_shape=(image_size, image_size, 3),
    )
    try:
        network.load_weights(path)
    except Exception as error:  # whatever h5py and Keras' reader raise
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise FeaturesError(
            f"{path.absolute()} does not hold the weights of {name}\n"
            f"  expected: weights of keras.applications, ImageNet, without the "
            f"classifier\n"
            f"  found:    {lines[0]}"
        ) from error
    description: Description = {
        "network": f"keras.applications.{network_name}, pooled",
        "weights_file": path.name,
        "weights_sha256": sha256_of(path),
        "notes": "not the network of FID: do not compare with FID or KID of papers",
    }
    return Loaded(network, image_size, half, half, description, batch_size)


def _load_random(wanted: Wanted) -> Loaded:
    """Builds three convolutions with the same random weights on every machine."""
    if wanted.weights is not None:
        raise FeaturesError(
            "random has no weights to load\n"
            "  expected: none given\n"
            f"  found:    {wanted.weights}"
        )
    image_size, seed = 32, 20151205
    draw = np.random.Generator(np.random.Philox(seed))
    network = keras.Sequential([keras.Input((image_size, image_size, 3))])
    for filters in (16, 32, 64):
        network.add(keras.layers.Conv2D(filters, 3, 2, "same", activation="relu"))
        shape = network.layers[-1].kernel.shape
        # He's scale keeps the activations about as large as the pixels.
        kernel = draw.standard_normal(shape) * np.sqrt(2 / np.prod(shape[:-1]))
        bias = draw.standard_normal(filters) / 4
        network.layers[-1].set_weights([kernel, bias])
    network.add(keras.layers.GlobalAveragePooling2D())
    description: Description = {
        "network": "three convolutions with random weights",
        "weights_file": "none",
        "weights_sha256": "none",
        "seed": seed,
        "notes": "for tests: its distances say nothing about pictures",
    }
    return Loaded(network, image_size, 128, 128, description, 64)


LOADERS = {
    "inception-fid": _load_inception_fid,
    "inception-keras-75": _load_inception_keras,
    "inception-keras-299": _load_inception_keras,
    "mobilenetv2": _load_mobilenetv2,
    "random": _load_random,
}
