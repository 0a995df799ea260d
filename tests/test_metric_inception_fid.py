"""The network of FID, against keras.applications with the same random weights."""

import keras
import numpy as np
import pytest
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.compat.proto.node_def_pb2 import NodeDef
from test_metric_graph_file import add_constant

from metrics.errors import FeaturesError
from metrics.features import load_extractor
from metrics.graph_file import Graph, read_graph
from metrics.inception_fid import (
    _check_last_pooling,
    _check_normalisation,
    assign_graph,
    build_inception,
)

# 3 x 3 pixels in the last block, where a maximum is not an average.
IMAGE_SIZE = 139


def tower(prefix, count):
    return [f"{prefix}/conv" + (f"_{i}" if i else "") for i in range(count)]


def scopes_in_the_order_of_keras():
    """Returns the graph's names of the convolutions that Keras builds one by one.

    Which name is which convolution is what torch-fidelity's conversion of the same
    file says (utils/util_convert_inception_weights.py).
    """
    scopes = ["conv", "conv_1", "conv_2", "conv_3", "conv_4"]
    for block in ("mixed", "mixed_1", "mixed_2"):
        scopes += [f"{block}/conv", *tower(f"{block}/tower", 2)]
        scopes += [*tower(f"{block}/tower_1", 3), f"{block}/tower_2/conv"]
    scopes += ["mixed_3/conv", *tower("mixed_3/tower", 3)]
    for block in ("mixed_4", "mixed_5", "mixed_6", "mixed_7"):
        scopes += [f"{block}/conv", *tower(f"{block}/tower", 3)]
        scopes += [*tower(f"{block}/tower_1", 5), f"{block}/tower_2/conv"]
    scopes += [*tower("mixed_8/tower", 2), *tower("mixed_8/tower_1", 4)]
    for block in ("mixed_9", "mixed_10"):
        scopes += [f"{block}/conv", f"{block}/tower/conv"]
        scopes += tower(f"{block}/tower/mixed", 2)
        scopes += [*tower(f"{block}/tower_1", 2), *tower(f"{block}/tower_1/mixed", 2)]
        scopes += [f"{block}/tower_2/conv"]
    return scopes


@pytest.fixture(scope="module")
def keras_network():
    """Returns Inception v3 of Keras with random weights, and the graph of the same.

    Keras' batch normalisation has no gamma: there it is part of kernel and mean.
    """
    network = keras.applications.InceptionV3(
        weights=None,
        include_top=False,
        pooling="avg",
        input_shape=(IMAGE_SIZE, IMAGE_SIZE, 3),
    )
    graph, draw = GraphDef(), np.random.default_rng(0)
    kinds = keras.layers.Conv2D, keras.layers.BatchNormalization
    convolutions, normalisations = (
        sorted(
            (layer for layer in network.layers if isinstance(layer, kind)),
            key=lambda layer: (len(layer.name), layer.name),
        )
        for kind in kinds
    )
    scopes = scopes_in_the_order_of_keras()
    for scope, convolution, normalisation in zip(
        scopes, convolutions, normalisations, strict=True
    ):
        shape = convolution.kernel.shape
        kernel = draw.standard_normal(shape, np.float32)
        kernel *= np.sqrt(2 / np.prod(shape[:-1]))
        gamma, variance = draw.uniform(0.5, 1.5, (2, shape[-1])).astype(np.float32)
        beta, mean = draw.normal(0, 0.3, (2, shape[-1])).astype(np.float32)
        add_constant(graph, f"{scope}/conv2d_params", kernel)
        for name, values in (
            ("gamma", gamma),
            ("beta", beta),
            ("moving_mean", mean),
            ("moving_variance", variance),
        ):
            add_constant(graph, f"{scope}/batchnorm/{name}", values)
        convolution.set_weights([kernel * gamma])
        normalisation.set_weights([beta, mean * gamma, variance])
    return network, graph


@pytest.fixture(scope="module")
def graph_path(keras_network, tmp_path_factory):
    path = tmp_path_factory.mktemp("graph") / "classify_image_graph_def.pb"
    path.write_bytes(keras_network[1].SerializeToString())
    return path


@pytest.mark.slow
def test_it_is_the_inception_of_keras_but_for_the_last_pooling(
    keras_network, graph_path
):
    draw = np.random.default_rng(1)
    images = draw.uniform(-1, 1, (2, IMAGE_SIZE, IMAGE_SIZE, 3)).astype(np.float32)
    expected = keras_network[0].predict_on_batch(images)
    found = {}
    for average in (True, False):
        network = build_inception(IMAGE_SIZE, average_in_last_block=average)
        assign_graph(network, read_graph(graph_path))
        found[average] = network.predict_on_batch(images)
    scale = np.abs(expected).max()
    # float32 through 94 convolutions, gamma on either side of the sum.
    assert np.abs(found[True] - expected).max() < 1e-4 * scale
    # The last of the block's branches alone is another one.
    different = np.abs(found[False] - expected).max(0) > 1e-2 * scale
    assert different[-192:].mean() > 0.5 and not different[:-192].any()


@pytest.mark.slow
def test_the_extractor_says_what_it_is(graph_path):
    extractor = load_extractor("inception-fid", weights=graph_path)
    images = np.random.default_rng(2).integers(0, 256, (2, 299, 299, 3), np.uint8)
    network = build_inception()
    assign_graph(network, read_graph(graph_path))
    expected = network.predict_on_batch((images.astype(np.float32) - 128) / 128)
    np.testing.assert_allclose(
        extractor(images), expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max()
    )
    about = extractor.description
    assert extractor.num_features == 2048 and about["input_size"] == 299
    assert "not yet compared with the original graph's pool_3:0" in about["notes"]
    kept = graph_path.with_name(f"{graph_path.name}.sha256").read_text().split()[0]
    assert about["weights_sha256"] == about["graph_sha256"] == kept


def test_it_has_the_layers_and_parameters_of_the_graph():
    network = build_inception(75)
    names = {
        layer.name.replace(".", "/")
        for layer in network.layers
        if isinstance(layer, keras.layers.Conv2D)
    }
    assert names == set(scopes_in_the_order_of_keras()) and len(names) == 94
    # 21,802,784 of keras.applications without the classifier, and 17,216 gammas.
    assert network.count_params() == 21_802_784 + 17_216
    with pytest.raises(FeaturesError, match="expected: a constant .*conv2d_params"):
        assign_graph(network, Graph({}, ""))


def normalisation(epsilon, scales):
    node = NodeDef(name="a/batchnorm", op="BatchNormWithGlobalNormalization")
    node.attr["variance_epsilon"].f = epsilon
    node.attr["scale_after_normalization"].b = scales
    return Graph({node.name: node}, "")


def test_a_graph_that_normalises_otherwise_is_refused():
    _check_normalisation(normalisation(0.001, True), "a/batchnorm")
    _check_normalisation(Graph({}, ""), "a/batchnorm")
    with pytest.raises(FeaturesError, match="found: +epsilon 1e-05, scaled"):
        _check_normalisation(normalisation(1e-5, True), "a/batchnorm")
    with pytest.raises(FeaturesError, match="found: +epsilon 0.001, not scaled"):
        _check_normalisation(normalisation(0.001, False), "a/batchnorm")


def test_a_graph_that_pools_otherwise_is_refused():
    name = "mixed_10/tower_2/pool"
    _check_last_pooling(Graph({name: NodeDef(name=name, op="MaxPool")}, ""))
    with pytest.raises(FeaturesError, match="found: +an operation AvgPool"):
        _check_last_pooling(Graph({name: NodeDef(name=name, op="AvgPool")}, ""))
