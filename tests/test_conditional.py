"""Networks that know classes: what they start as, learn from, and take over."""

import contextlib
import dataclasses
import json
import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from test_branch import config_of, taken
from tiny_run import TINY, eagerly, image_set, train_here, train_in, tree, write_config

from commands.prepare import with_classes
from commands.start import Parent
from data.classes import Classes
from settings.config import Config
from settings.continuing import difference, merged
from settings.messages import Problem
from training.build import build_state, build_step
from training.inputs import inputs_at
from training.networks import build_discriminator, build_generator
from training.pictures import ClassSheet, Painter, class_weights, grid_labels
from training.recipe import build_recipe
from training.run_metrics import measured_labels
from training.state import state_arrays
from training.step import (
    generated,
    generator_gradients,
    logits_of_reals,
    penalized_logits,
    real_images,
)

NAMES = ["anemone", "rose", "tulip", "fern"]
LABELS = np.array([0, 1, 2, 0, 1, 0, 0, 2] * 4, np.int32)
PIXELS = np.random.default_rng(0).integers(0, 256, (32, 32, 32, 3), np.uint8)
IMAGES = dataclasses.replace(
    image_set(PIXELS), classes=Classes(tuple(NAMES[:3]), LABELS)
)


def config_with(names=NAMES[:3], **sections):
    """Returns the tiny config of networks that know some classes, or none."""
    classes = {"conditional": bool(names), "classes": names or None}
    merged_ = {k: TINY.get(k, {}) | sections.get(k, {}) for k in TINY | sections}
    merged_["model"] = merged_["model"] | classes
    merged_["runtime"] = {"precision": "float32", "compile": "graph"}
    return Config.model_validate(merged_)


def embedding_of(network):
    """Returns the variable that holds a network's embeddings, [classes, size]."""
    return network.get_layer("class_embedding").kernel


# --- networks


def test_a_new_pair_is_the_pair_without_classes_whatever_the_class():
    latents = np.random.default_rng(1).normal(size=(6, 8)).astype("float32")
    classes = class_weights([0, 1, 2, 0, 1, 2], 3)
    states = [build_state(config_with(names)) for names in (None, NAMES[:3])]
    images = [states[0].generator(latents), states[1].generator([latents, classes])]
    np.testing.assert_array_equal(*images)
    logits = [
        states[0].discriminator(images[0]),
        states[1].discriminator([images[0], tf.constant(classes)]),
    ]
    np.testing.assert_array_equal(*logits)


def test_the_generator_adds_the_embedding_to_its_first_features():
    generator = build_generator(config_with())
    embedding = embedding_of(generator)
    embedding.assign(np.random.default_rng(2).normal(size=embedding.shape))
    latents = np.random.default_rng(3).normal(size=(1, 8)).astype("float32")
    mixture = np.array([[0.25, 0.0, 0.75]], np.float32)
    dense = generator.get_layer("dense")
    first = keras.Model(generator.inputs, generator.get_layer("class_add").output)
    expected = dense(latents) + mixture @ embedding.numpy()
    np.testing.assert_allclose(first([latents, mixture]), expected, rtol=1e-5)


def test_the_discriminator_adds_the_product_of_features_and_embedding():
    discriminator = build_discriminator(config_with())
    embedding = embedding_of(discriminator)
    images = np.random.default_rng(4).normal(size=(3, 32, 32, 3)).astype("float32")
    classes = class_weights([2, 0, 1], 3)
    plain = discriminator([images, classes]).numpy()
    embedding.assign(np.random.default_rng(5).normal(size=embedding.shape))
    flat = keras.Model(discriminator.inputs, discriminator.get_layer("flatten").output)
    fit = np.sum(flat([images, classes]) * embedding.numpy()[[2, 0, 1]], axis=1)
    judged = discriminator([images, classes])[:, 0]
    np.testing.assert_allclose(judged, plain[:, 0] + fit, rtol=1e-4)
    assert np.abs(fit).min() > 1e-3


# --- the step


def test_an_image_is_generated_as_one_of_the_class_of_its_photograph():
    config = config_with()
    for iteration in (0, 3, 9):
        inputs = inputs_at(config, IMAGES, 0, iteration)
        for half in (inputs.discriminator, inputs.generator):
            places = [
                int(np.flatnonzero((PIXELS == image).all((1, 2, 3)))[0])
                for image in half.images.numpy()
            ]
            assert half.labels.dtype == tf.int32
            np.testing.assert_array_equal(half.labels, LABELS[places])


@pytest.mark.parametrize("network", ["generator", "discriminator"])
def test_an_iteration_moves_the_embeddings_of_its_batch_alone(network):
    sgd = {"name": "sgd", "learning_rate": 0.01}
    config = config_with(NAMES, optimizer=sgd, loss={"name": "non_saturating"})
    images = dataclasses.replace(IMAGES, classes=Classes(tuple(NAMES), LABELS))
    state = build_state(config)
    inputs = inputs_at(config, images, 0, 0)
    with eagerly():
        build_step(config, state)(inputs, False)
    moved = np.abs(embedding_of(getattr(state, network))).max(1) > 0
    shown = np.isin(np.arange(4), getattr(inputs, network).labels)
    np.testing.assert_array_equal(moved, shown)
    assert not shown[3]


class Echo:
    """A discriminator whose logits are labels plus a thousandth of the images."""

    def __call__(self, inputs, training):
        images, classes = inputs
        assert training
        label = tf.cast(tf.argmax(classes, 1), tf.float32)[:, None]
        return label + 1e-3 * tf.reduce_mean(images, (1, 2, 3))[:, None]


@pytest.mark.parametrize("num_penalized", [2, 4])
@pytest.mark.parametrize("is_exact", [True, False])
def test_each_image_is_judged_with_its_own_class(num_penalized, is_exact):
    recipe = build_recipe(config_with(NAMES))
    recipe = recipe._replace(num_penalized=num_penalized, penalty_step=0.1)
    labels = [3, 1, 0, 2]
    classes = tf.tile(tf.one_hot(labels, 4), [2, 1])
    both = tf.zeros((8, 4, 4, 3))
    noise = None if is_exact else tf.zeros((2 * num_penalized, 4, 4, 3))
    on_real, on_fake, r1, r2 = penalized_logits(Echo(), recipe, both, classes, noise)
    np.testing.assert_allclose(on_real, labels)
    np.testing.assert_allclose(on_fake, labels)
    # The images moved by nothing are of the same class, so D did not change.
    assert float(r1) == pytest.approx(0 if noise is not None else 1e-6 / 48)
    assert float(r2) == float(r1)


def test_the_generator_is_judged_by_the_classes_it_was_asked_for():
    config = config_with()
    state, recipe = build_state(config), build_recipe(config)
    embedding = embedding_of(state.discriminator)
    embedding.assign(np.random.default_rng(2).normal(size=embedding.shape))
    inputs = inputs_at(config, IMAGES, 0, 0).generator
    classes = tf.one_hot(inputs.labels, 3)
    expected = state.discriminator([real_images(inputs), classes])[:, 0]
    on_real = logits_of_reals(state, recipe, inputs)
    np.testing.assert_allclose(on_real, expected, rtol=1e-5)
    fake, tape = generated(state, recipe, inputs)
    _, loss = generator_gradients(state, recipe, inputs, fake, tape, on_real)
    on_fake = state.discriminator([fake, classes])[:, 0]
    expected = np.log1p(np.exp(on_real - on_fake)).mean()
    assert float(loss) == pytest.approx(expected, rel=1e-5)


# --- pictures


def test_a_painter_makes_each_image_of_its_class():
    generator = build_generator(config_with())
    embedding = embedding_of(generator)
    embedding.assign(np.random.default_rng(2).normal(size=embedding.shape))
    latents = np.random.default_rng(3).normal(size=(21, 8)).astype("float32")
    labels = np.arange(21) % 3
    painter = Painter(generator)
    assert (painter.latent_dim, painter.num_classes) == (8, 3)
    images = painter.images_of(latents, class_weights(labels, 3))
    for place in (0, 17, 20):
        one = slice(place, place + 1)
        alone = painter.images_of(latents[one], class_weights(labels[one], 3))
        np.testing.assert_array_equal(alone[0], images[place])
    other = painter.images_of(latents, class_weights((labels + 1) % 3, 3))
    assert all((one != two).any() for one, two in zip(images, other, strict=True))


def test_a_grid_is_of_the_classes_of_the_photographs_beside_it():
    labels = grid_labels(IMAGES, seed=5)
    assert labels.shape == (64,)
    # 32 photographs are all of them, in their order, twice.
    np.testing.assert_array_equal(labels, np.tile(LABELS, 2))
    assert not grid_labels(image_set(PIXELS), seed=5).any()


def test_a_sheet_has_a_row_for_each_class_from_the_most_frequent_to_the_rarest():
    sheet = ClassSheet(IMAGES.classes, None, seed=0)
    assert sheet._beside == ["anemone (16)", "rose (8)", "tulip (8)"]
    sheet = ClassSheet(IMAGES.classes, ["tulip", "ROSE"], seed=0)
    assert sheet._beside == ["tulip (8)", "rose (8)"]
    assert sheet._classes.argmax(1).tolist() == [2] * 8 + [1] * 8


def test_measured_images_have_the_classes_of_the_photographs_as_often():
    labels = measured_labels(IMAGES, seed=0, count=4000)
    np.testing.assert_allclose(np.bincount(labels) / 4000, [0.5, 0.25, 0.25], atol=0.03)
    np.testing.assert_array_equal(labels, measured_labels(IMAGES, 0, 4000))


# --- whole runs


def test_a_run_with_classes_writes_their_names_and_sheets_and_continues(
    tmp_path, monkeypatch, capsys
):
    model, data = {"conditional": True}, {"num_images": 64}  # roses among them
    train_in(
        tmp_path,
        data=data,
        model=model,
        training={"sample_classes": ["Rose", "daisy"]},
    )
    samples = tmp_path / "samples/tiny"
    assert (samples / "classes-0000002.png").stat().st_size > 1000
    rows = json.loads((samples / "classes-0000002.json").read_text("utf-8"))
    assert [name for name, _ in rows] == ["rose", "daisy"]
    assert all(0 < count < 64 for _, count in rows)
    assert 'id="one-class"' in (samples / "index.html").read_text("utf-8")
    config = (tmp_path / "runs/tiny/config.yaml").read_text()
    assert "- daisy" in config
    assert re.search(r"\n15 classes, from \d+ images? \(\w+", capsys.readouterr().out)
    before = tree(tmp_path)["runs/tiny/checkpoints/0000004.safetensors"]
    monkeypatch.chdir(tmp_path)
    write_config(tmp_path, data=data, model=model, training={"total_iterations": 5})
    with eagerly():
        assert train_here() == 0
    assert tree(tmp_path)["runs/tiny/checkpoints/0000004.safetensors"] == before
    with eagerly():
        assert train_here("--set", "model.conditional=false") == 2


@pytest.mark.parametrize(
    "keys, expected",
    [
        (
            {"model": {"classes": ["rose", "tulip"]}},
            "their order: anemone, rose, tulip",
        ),
        ({"training": {"sample_classes": ["tulipp"]}}, "nearest:  tulip"),
        ({"training": {"sample_classes": ["xyz"]}}, "known:    anemone, rose, tulip"),
    ],
)
def test_other_classes_than_the_photographs_have_are_a_mistake(keys, expected):
    sections = {"model": {"conditional": True}} | keys
    sections["model"] = sections["model"] | {"conditional": True}
    config = Config(run={"name": "new"}, **sections)
    with pytest.raises(Problem) as error:
        with_classes(config, IMAGES)
    assert expected in str(error.value)


def differences_of(stored, new):
    return [
        one.key
        for one in difference(
            stored, new, stored_data_fingerprint="a", new_data_fingerprint="a"
        )
    ]


def test_classes_are_kept_when_a_run_continues():
    stored = config_with()
    unsaid = config_with()
    unsaid = unsaid.model_copy(
        update={"model": unsaid.model.model_copy(update={"classes": None})}
    )
    assert differences_of(stored, unsaid) == []
    assert merged(stored, unsaid).model.classes == NAMES[:3]
    other = config_with(["anemone", "tulip", "rose"])
    assert differences_of(stored, other) == ["model.classes"]
    assert differences_of(stored, config_with(None)) == ["model.conditional"]
    shown = config_with(training={"sample_classes": ["rose"]})
    assert differences_of(stored, shown) == []
    assert merged(stored, shown).training.sample_classes == ["rose"]


# --- taking over


def classified(config, *names):
    """Returns a config of the same networks that know some classes."""
    update = {"conditional": True, "classes": list(names)}
    return config.model_copy(update={"model": config.model.model_copy(update=update)})


def parent_of(config):
    """Returns a run, no two numbers of whose state are the same."""
    arrays, first = {}, 1000
    for name, array in state_arrays(build_state(config)).items():
        numbers = np.arange(first, first + array.size)
        arrays[name] = numbers.astype(array.dtype).reshape(array.shape)
        first += array.size
    return Parent("old@5", "old", 5, config, arrays)


def by_name(arrays, ending):
    (name,) = [one for one in arrays if one.endswith(ending)]
    return arrays[name]


def test_a_run_takes_over_weights_that_knew_no_classes():
    parent = parent_of(config_of())
    _, after, said = taken(parent, classified(config_of(), "rose", "tulip"))
    dense = "-dense.kernel"
    for network in ("generator", "discriminator", "ema_generator"):
        embedding = [n for n in after if n.startswith(f"{network}/") and "class_" in n]
        assert len(embedding) == 1
        assert not after[embedding[0]].any()
    generator = {n: a for n, a in after.items() if n.startswith("generator/")}
    expected = {n: a for n, a in parent.arrays.items() if n.startswith("generator/")}
    np.testing.assert_array_equal(by_name(generator, dense), by_name(expected, dense))
    assert "fresh moments of the generator" in said
    assert "classes" not in said


def test_classes_that_both_know_are_matched_by_name():
    parent = parent_of(classified(config_of(), "fern", "rose", "tulip"))
    new = classified(config_of(), "rose", "daisy", "fern")
    _, after, said = taken(parent, new)
    for network in ("generator", "discriminator", "ema_generator"):
        (name,) = [
            n for n in after if n.startswith(f"{network}/") and "class_embedding" in n
        ]
        old = parent.arrays[name]
        np.testing.assert_array_equal(after[name][[0, 2]], old[[1, 0]])
        np.testing.assert_allclose(after[name][1], old.mean(0))
    assert "2 of 3 classes" in said
    assert "fresh moments of the generator" in said  # of other classes


def test_a_run_of_no_classes_takes_over_one_that_knew_some():
    parent = parent_of(classified(config_of(), "fern", "rose"))
    _, after, said = taken(parent, config_of())
    assert not [name for name in after if "class_" in name]
    assert said.startswith("starts from old at iteration 5: ")


def test_a_folder_without_classes_is_refused_before_anything_is_written(
    tmp_path, monkeypatch, capsys
):
    from PIL import Image

    (tmp_path / "photographs").mkdir()
    for index in range(8):
        Image.new("RGB", (40, 40), (index, 0, 0)).save(
            tmp_path / f"photographs/{index}.png"
        )
    data = {"source": "folder", "path": "photographs"}
    write_config(tmp_path, data=data, model={"conditional": True})
    monkeypatch.chdir(tmp_path)
    with contextlib.suppress(SystemExit):
        assert train_here() == 2
    error = capsys.readouterr().err
    assert "two sub-folders or more" in error
    assert not list((tmp_path / "runs/tiny").glob("*"))
