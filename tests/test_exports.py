"""Exported generators give what Keras gives, clipped, in other programs."""

import keras
import numpy as np
import onnx
import onnxruntime
import pytest

from commands.chosen import Chosen
from commands.exports import clipped, halved, onnx_model, write_onnx
from commands.generate_options import checked_options
from models.generator import build_generator
from records.run_folder import RunFolder
from settings.config import Config

CONTRAST = 3  # so that many images leave [-1, 1], as those of trained runs do


@pytest.fixture(scope="module", params=["none", "rms"])
def generator(request):
    """Returns a generator in which every weight counts, with images beyond [-1, 1]."""
    made = build_generator(
        image_size=32,
        num_layers=22,
        latent_dim=8,
        base_channels=4,
        max_channels=8,
        norm=request.param,
    )
    draw = np.random.default_rng(0)
    for variable in made.trainable_variables:
        noise = draw.standard_normal(variable.shape)
        variable.assign(variable + 0.1 * noise.astype(np.float32))
    made.get_layer("to_rgb").kernel.assign(CONTRAST * made.get_layer("to_rgb").kernel)
    return made


@pytest.fixture(scope="module")
def model(generator):
    return onnx_model(generator)


@pytest.fixture(scope="module")
def latents():
    return np.random.default_rng(1).standard_normal((5, 8)).astype(np.float32)


def images_by_onnxruntime(model, latents):
    session = onnxruntime.InferenceSession(model.SerializeToString())
    assert [one.name for one in session.get_inputs()] == ["latents"]
    assert [one.name for one in session.get_outputs()] == ["images"]
    return session.run(None, {"latents": latents})[0]


def test_onnxruntime_draws_keras_images_clipped(generator, model, latents):
    unclipped = generator(latents).numpy()
    assert np.mean(np.abs(unclipped) > 1) > 0.01
    for count in (1, 5):
        images = images_by_onnxruntime(model, latents[:count])
        assert images.dtype == np.float32
        # Sums in another order.
        np.testing.assert_allclose(images, np.clip(unclipped[:count], -1, 1), atol=1e-4)


def test_half_the_bytes_draw_the_same_images_to_a_step_of_256(model, latents):
    small = halved(model)
    onnx.checker.check_model(small)
    # The nodes of so small a network weigh as much as its weights.
    assert small.ByteSize() < 0.85 * model.ByteSize()
    difference = images_by_onnxruntime(small, latents) - images_by_onnxruntime(
        model, latents
    )
    # A step of 256 is 2 / 255; halving is not lossless.
    assert 0 < np.abs(difference).max() < 2 / 255


def test_weights_beyond_float16_stay_in_float32():
    large = np.full((16, 32), 70_000, np.float32)
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("MatMul", ["latents", "w"], ["images"])],
        "large",
        [onnx.helper.make_tensor_value_info("latents", 1, [None, 16])],
        [onnx.helper.make_tensor_value_info("images", 1, [None, 32])],
        [onnx.numpy_helper.from_array(large, "w")],
    )
    kept = halved(onnx.helper.make_model(graph)).graph.initializer[0]
    np.testing.assert_array_equal(onnx.numpy_helper.to_array(kept), large)


def test_a_keras_file_clips_its_images_too(generator, latents, tmp_path):
    clipped(generator).save(tmp_path / "a.keras")
    images = keras.models.load_model(tmp_path / "a.keras")(latents).numpy()
    np.testing.assert_allclose(
        images, np.clip(generator(latents).numpy(), -1, 1), atol=1e-6
    )


def test_the_onnx_file_says_that_it_does_not_truncate(generator, tmp_path, capsys):
    options = checked_options(
        kind="onnx",
        truncation=0.5,
        out=tmp_path / "a.onnx",
    )
    chosen = Chosen(RunFolder("fern"), Config(run={"name": "fern"}), 7, "", {})
    write_onnx(generator, options, chosen, options.out)
    told = capsys.readouterr()
    assert "warning: --truncation is not part of the file" in told.err
    assert f"wrote {options.out}" in told.out
    onnx.checker.check_model(onnx.load(options.out), full_check=True)
    about = {one.key: one.value for one in onnx.load(options.out).metadata_props}
    assert about == {"run": "fern", "iteration": "7"}
