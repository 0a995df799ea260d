"""Resizing, batches, and the extractors that can be had without the 2015 graph."""

import hashlib
import os
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import metrics.features
from metrics.errors import FeaturesError
from metrics.extractor import legacy_weights, resized
from metrics.features import load_extractor

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
MOBILENET_FILE = "mobilenet_v2_1.0_224_imagenet.weights.h5"


def pictures(count, height=20, width=24, seed=0):
    shape = (count, height, width, 3)
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


@pytest.fixture(scope="module")
def random_features():
    extractor = load_extractor("random")
    extractor.batch_size = 4
    return extractor


@pytest.fixture(scope="module")
def mobilenet_file():
    """Returns the path of MobileNetV2's weights, or skips."""
    folder = pathlib.Path(
        os.environ.get("MAGNETOSPHERE_FEATURES", REPOSITORY.parent / "shared/features")
    )
    if not (folder / MOBILENET_FILE).is_file():
        pytest.skip(f"no {MOBILENET_FILE}: set MAGNETOSPHERE_FEATURES to its folder")
    return folder / MOBILENET_FILE


def test_features_do_not_depend_on_the_batch_they_came_in(random_features):
    images = pictures(11)
    together = random_features(images)
    assert together.shape == (11, 64) and together.dtype == np.float32
    alone = np.concatenate([random_features(images[i : i + 1]) for i in range(11)])
    assert together.tolist() == alone.tolist()
    assert len(np.unique(together, axis=0)) == 11


def test_no_images_have_no_features(random_features):
    assert random_features(pictures(0)).shape == (0, 64)


def test_the_network_is_traced_once_for_a_size(monkeypatch):
    extractor, traces = load_extractor("random"), []
    extractor.batch_size = 4
    prepare = metrics.extractor.resized
    monkeypatch.setattr(
        metrics.extractor, "resized", lambda *a: traces.append(1) or prepare(*a)
    )
    extractor(pictures(4))
    traced = len(traces)
    assert traced
    extractor(pictures(9))
    extractor(pictures(1))
    assert len(traces) == traced


def test_random_features_are_the_same_in_every_process(random_features):
    images = np.arange(2 * 20 * 24 * 3).astype(np.uint8).reshape(2, 20, 24, 3)
    total = random_features(images).sum(dtype=np.float64)
    # Taken in two other processes; 1e-5 leaves room for the order of float32 sums.
    assert total == pytest.approx(25.7821913, rel=1e-5)


def test_features_are_float32_whatever_the_program_trains_in(random_features):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        features = load_extractor("random")(pictures(3))
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
    finally:
        keras.config.set_dtype_policy(before)
    assert features.tolist() == random_features(pictures(3)).tolist()


@pytest.mark.parametrize("size", [32, 75, 13])
def test_the_clean_resize_is_pillows_antialiased_bicubic(size):
    images = pictures(2).astype(np.float32)
    found = np.asarray(resized(images, size, "clean"))
    for image, one in zip(images, found, strict=True):
        for channel in range(3):
            plane = Image.fromarray(image[..., channel])
            plane = plane.resize((size, size), Image.Resampling.BICUBIC)
            expected = np.clip(np.asarray(plane), 0, 255)
            np.testing.assert_allclose(one[..., channel], expected, atol=2e-3)


@pytest.mark.parametrize("size", [32, 75, 13])
def test_the_legacy_resize_is_that_of_tensorflow_1(size):
    images = pictures(2).astype(np.float32)
    found = np.asarray(resized(images, size, "legacy"))
    expected = tf.compat.v1.image.resize_bilinear(
        images, (size, size), align_corners=False, half_pixel_centers=False
    )
    np.testing.assert_allclose(found, expected, atol=2e-3)
    assert np.abs(found - np.asarray(resized(images, size, "clean"))).max() > 10


def test_legacy_weights_by_hand():
    expected = [[1, 0], [0.5, 0.5], [0, 1], [0, 1]]
    assert legacy_weights(2, 4).tolist() == expected


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((2, 8, 8, 3), np.float32),
        np.zeros((8, 8, 3), np.uint8),
        np.zeros((2, 3, 8, 8), np.uint8),
        np.zeros((2, 0, 8, 3), np.uint8),
    ],
)
def test_images_of_another_kind_are_refused(random_features, images):
    with pytest.raises(ValueError, match=r"Expected images uint8 \[count, .*Received"):
        random_features(images)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"name": "inception"}, r"one of inception-fid, .*\n  found: +'inception'"),
        ({"name": "random", "resize": "legacy"}, "expected: clean\n  found: +'legacy'"),
        ({"name": "inception-fid", "resize": "x"}, "clean, legacy\n  found: +'x'"),
        ({"name": "random", "weights": "a.h5"}, "no weights to load"),
        ({"name": "mobilenetv2"}, "needs the file of its weights"),
        ({"name": "mobilenetv2", "weights": "no.h5"}, "found: +nothing at .*no.h5"),
        ({"name": "mobilenetv2", "weights": "."}, "found: +a folder at "),
        ({"name": "inception-keras-75", "weights": "no.h5"}, "found: +nothing at"),
    ],
)
def test_what_the_user_must_change_is_said(arguments, words):
    with pytest.raises(FeaturesError, match=words):
        load_extractor(**arguments)


def test_weights_of_another_network_are_named(tmp_path, monkeypatch):
    inputs, dense = keras.Input((4,)), keras.layers.Dense(2)
    other = keras.Sequential([inputs, dense])
    monkeypatch.setattr(keras.applications, "MobileNetV2", lambda **_: other)
    path = tmp_path / "other.weights.h5"
    keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]).save_weights(path)
    with pytest.raises(FeaturesError, match="does not hold the weights of mobilenetv2"):
        load_extractor("mobilenetv2", weights=path)
    path.write_bytes(b"no weights at all")
    with pytest.raises(FeaturesError, match="is no file of weights"):
        load_extractor("mobilenetv2", weights=path)


def test_mobilenetv2_gives_the_features_it_is_documented_with(mobilenet_file):
    extractor = load_extractor("mobilenetv2", weights=mobilenet_file)
    images = pictures(3, 64, 64)
    features = extractor(images)
    network = keras.applications.MobileNetV2(
        weights=None, include_top=False, pooling="avg", input_shape=(224, 224, 3)
    )
    network.load_weights(mobilenet_file)
    large = tf.image.resize(images, (224, 224), method="bicubic", antialias=True)
    prepared = (tf.clip_by_value(large, 0, 255) - 128) / 128
    expected = network.predict_on_batch(prepared)
    # Another batch size; float32 through 50 layers.
    np.testing.assert_allclose(features, expected, rtol=1e-3, atol=1e-4)
    assert features.std(0).max() > 0.1
    about = extractor.description
    assert about["scaling"] == "(RGB - 128) / 128" and about["input_size"] == 224
    digest = hashlib.sha256(mobilenet_file.read_bytes()).hexdigest()
    assert about["weights_sha256"] == digest
    assert about["weights_file"] == MOBILENET_FILE
    assert all(isinstance(value, str | int | float) for value in about.values())


@pytest.mark.parametrize("image_size", [75, 299])
def test_inception_of_keras_is_built_at_its_size(monkeypatch, tmp_path, image_size):
    asked = []

    def small_network(input_shape, **others):
        asked.append((input_shape, others))
        pooling = keras.layers.GlobalAveragePooling2D()
        layers = [keras.layers.Conv2D(4, 3, name="convolution"), pooling]
        return keras.Sequential([keras.Input(input_shape), *layers])

    shape = (image_size, image_size, 3)
    network, path = small_network(shape), tmp_path / "own.weights.h5"
    network.save_weights(path)
    monkeypatch.setattr(keras.applications, "InceptionV3", small_network)
    name = f"inception-keras-{image_size}"
    extractor = load_extractor(name, weights=path)
    pooled = {"weights": None, "include_top": False, "pooling": "avg"}
    assert asked[1:] == [(shape, pooled)]
    images = pictures(2, image_size, image_size)  # nothing to resize
    expected = network(images.astype(np.float32) / 127.5 - 1)
    np.testing.assert_allclose(extractor(images), expected, rtol=1e-4, atol=1e-5)
    assert extractor.description["scaling"] == "(RGB - 127.5) / 127.5"
    assert "not the network of FID" in extractor.description["notes"]


@pytest.mark.slow
def test_inception_of_keras_at_75_pixels(tmp_path):
    network = keras.applications.InceptionV3(
        weights=None, include_top=False, pooling="avg", input_shape=(75, 75, 3)
    )
    path = tmp_path / "inception.weights.h5"
    network.save_weights(path)
    extractor = load_extractor("inception-keras-75", weights=path)
    images = pictures(2, 75, 75)
    expected = network(images.astype(np.float32) / 127.5 - 1)
    np.testing.assert_allclose(extractor(images), expected, rtol=1e-3, atol=1e-5)
    assert extractor.num_features == 2048


def test_keras_weights_that_cannot_be_had_are_explained(monkeypatch, tmp_path):
    def no_network(*_):
        raise OSError("no network")

    monkeypatch.setattr("metrics.weights_file.download", no_network)
    with pytest.raises(FeaturesError, match="(?s)looked for.*notop.h5.*no network"):
        load_extractor("inception-keras-299", cache_dir=tmp_path, say=print)
