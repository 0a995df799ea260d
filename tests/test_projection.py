"""Tests the projection of a photograph into latent space, on a tiny run."""

import keras
import numpy as np
import pytest
from keras import ops
from PIL import Image
from tiny_run import empty_run, train_in

import generate
from commands.pictures.projection import search
from gallery.sheets import GAP, LEAST_CELL, labelled_sheet
from metrics.closeness import FeatureDistance, pyramid_distance

RUN = "tiny.1"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Returns a working directory in which a tiny run was trained."""
    folder = tmp_path_factory.mktemp("trained")
    train_in(
        folder,
        run={"name": RUN},
        training={"total_iterations": 1, "checkpoint_every_iterations": 1},
    )
    return folder


@pytest.fixture
def here(trained, monkeypatch):
    """Works in the trained folder, where a search is short."""
    monkeypatch.chdir(trained)
    monkeypatch.setattr("commands.pictures.projection.NUM_CANDIDATES", 32)
    monkeypatch.setattr("commands.pictures.projection.NUM_STEPS", 20)
    monkeypatch.setattr("commands.pictures.projection.SHOWN_STEPS", (0, 5, 20))
    return trained


def project(out, *arguments, image="own.png"):
    command = [RUN, "--kind", "project", "--image", image, "--out", out, *arguments]
    return generate.main(list(map(str, command)))


def pixels_of(path):
    with Image.open(path) as image:
        return np.asarray(image, np.float32)


def test_a_projection_comes_nearer_step_by_step_and_says_how_near(
    here, tmp_path, capsys
):
    make = [RUN, "--num_images", "1", "--seed", "5", "--out", str(tmp_path)]
    generate.main(make)
    capsys.readouterr()
    own = tmp_path / "image-00000.png"
    assert project(tmp_path / "a.png", image=own) == 0
    said = capsys.readouterr().out
    words = said.split("distance to the photograph: ")[1]
    found = float(words.split()[0])
    nearest = float(words.split("on average, ")[1].split()[0])
    assert found < 0.7 * nearest
    pixels = pixels_of(tmp_path / "a-found.png")
    target = pixels_of(own)
    again = pyramid_distance(pixels[None] / 127.5 - 1, target[None] / 127.5 - 1)
    assert float(again[0]) == pytest.approx(found, abs=6e-4)
    latent = np.load(tmp_path / "a-found.npy")
    assert latent.shape == (8,) and latent.dtype == np.float32
    # sqrt(8) and three deviations: what latents are in training.
    assert np.linalg.norm(latent) <= np.sqrt(8) + 3 * np.sqrt(0.5) + 1e-4
    assert pixels_of(tmp_path / "a.png").shape[1] == 4 * (LEAST_CELL + GAP) + GAP


def test_a_latent_grows_no_longer_than_in_training(here, tmp_path, monkeypatch):
    # So large that without the limit it would be left at the first step.
    monkeypatch.setattr("commands.pictures.projection.LEARNING_RATE", 500.0)
    Image.new("RGB", (40, 40), (0, 255, 0)).save("own.png")
    assert project(tmp_path / "a.png") == 0
    length = np.linalg.norm(np.load(tmp_path / "a-found.npy"))
    assert length <= (np.sqrt(8) + 3 * np.sqrt(0.5)) * (1 + 1e-6)


def test_a_projection_is_decided_by_its_seed(here, tmp_path):
    Image.new("RGB", (50, 40), (200, 40, 90)).save("own.png")
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        assert project(tmp_path / f"{name}.png", "--seed", seed) == 0
    read = {name: (tmp_path / f"{name}.png").read_bytes() for name in "abc"}
    assert read["a"] == read["b"] != read["c"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("--kind project", "--image\n  expected: the photograph to project"),
        ("--kind project --image none.jpg", "found:    no such file"),
        ("--kind project --image folder", "found:    a folder"),
        ("--kind project --image a.jpg", "not an image that Pillow can read"),
        ("--kind project --image float.tiff", "floating-point pixels: save it with 8"),
        ("--kind grid --image a.jpg", "expected: with --kind project\n"),
        ("--kind project --image rgb.png --weights no", "found:    no such file"),
    ],
)
def test_what_cannot_be_projected_is_told_at_once(
    tmp_path, monkeypatch, capsys, options, expected
):
    monkeypatch.chdir(tmp_path)
    empty_run(RUN, 2)
    (tmp_path / "folder").mkdir()
    (tmp_path / "a.jpg").write_text("no picture")
    Image.new("F", (40, 40)).save("float.tiff")
    Image.new("RGB", (40, 40)).save("rgb.png")
    assert generate.main([RUN, *options.split()]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and expected in captured.err


def test_a_search_keeps_the_class_of_the_start_that_it_follows(here):
    # An image is gray, by its class and a little by its latent.
    latents, classes = keras.Input([4]), keras.Input([3])
    gray = keras.layers.Dense(1, use_bias=False)
    of_latent = 0.1 * ops.tanh(latents[:, :1])
    pixel = (gray(classes) + of_latent)[:, None, None]
    images = keras.layers.UpSampling2D(8)(keras.layers.Concatenate()([pixel] * 3))
    generator = keras.Model([latents, classes], images)
    gray.set_weights([np.array([[-0.8], [0.0], [0.8]], np.float32)])
    labels = np.arange(32) % 2
    labels[21] = 2  # the only one near to the target, among starts of other classes
    drawn = np.random.default_rng(0).normal(size=(32, 4)).astype("float32")
    target = np.full((1, 8, 8, 3), 0.85, np.float32)
    candidates = (drawn, np.eye(3, dtype="float32")[labels])
    course = search(generator, target, candidates, pyramid_distance)
    assert course.inputs[1].argmax(axis=1).tolist() == [2, 2, 2]  # of the steps shown
    np.testing.assert_array_equal(course.inputs[0][0], drawn[21])
    found = np.array(generator([one[-1:] for one in course.inputs]))
    far = [float(pyramid_distance(one[None], target)[0]) for one in found]
    assert far[0] < course.random_distances.min()


def test_the_distance_of_pyramids_is_that_computed_by_hand():
    dark = np.zeros((1, 8, 8, 3), np.float32)
    # A constant has no bands but the last: half of its two levels.
    assert float(pyramid_distance(dark + 0.5, dark)[0]) == pytest.approx(0.25)
    # A chessboard is all in the first band.
    board = np.where(np.indices((8, 8)).sum(0) % 2, 1, -1)[None, ..., None]
    board = np.broadcast_to(board, (1, 8, 8, 3)).astype(np.float32)
    assert float(pyramid_distance(board, dark)[0]) == pytest.approx(0.5)
    assert float(pyramid_distance(board, board)[0]) == 0


def test_features_tell_pictures_apart(tmp_path):
    keras.utils.set_random_seed(0)
    network = keras.applications.MobileNetV2(
        weights=None, include_top=False, input_shape=(128, 128, 3)
    )
    network.save_weights(tmp_path / "a.weights.h5")
    distance = FeatureDistance(tmp_path / "a.weights.h5")
    rng = np.random.default_rng(0)
    images = rng.uniform(-1, 1, (2, 32, 32, 3)).astype(np.float32)
    one, other = np.asarray(distance(images, images[:1]))
    assert one == pytest.approx(0, abs=1e-6) and other > 1e-3


def test_a_sheet_has_as_many_labels_as_rows_and_columns():
    images = np.zeros((2, 3, 8, 8, 3), np.uint8)
    with pytest.raises(ValueError, match="Expected labels of 2 rows and 3 columns"):
        labelled_sheet(images, ["a", "b"])
