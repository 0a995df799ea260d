"""Tests of the TFDS source, on the real data set and on small ones made here."""

import json
import os
import shutil

import numpy as np
import pytest

import data
from data.tfds_download import import_tfds
from data.tfds_source import TfdsSource, find_prepared, image_feature

FLOWERS = "oxford_flowers102"


def load(cache_dir, size=8, say=lambda line: None, **options):
    return data.load_images(
        "tfds", image_size=size, cache_dir=cache_dir, say=say, **options
    )


@pytest.fixture(scope="module")
def small_root(tmp_path_factory):
    """Returns a TFDS directory with a small data set of 20 grey PNGs."""
    root = tmp_path_factory.mktemp("tfds")
    tfds = import_tfds()
    import tensorflow as tf

    greys = np.arange(20, dtype=np.uint8)[:, None, None, None]
    greys = np.broadcast_to(greys, (20, 9, 9, 1))
    tfds.dataset_builders.TfDataBuilder(
        name="greys",
        version="1.0.0",
        features=tfds.features.FeaturesDict(
            {"picture": tfds.features.Image(shape=(9, 9, 1)), "mark": np.int64}
        ),
        split_datasets={
            "train": tf.data.Dataset.from_tensor_slices(
                {"picture": greys, "mark": np.arange(20)}
            )
        },
        data_dir=root,
        description="greys",
        disable_shuffling=True,
    ).download_and_prepare()
    return root


def test_pixels_are_those_of_the_same_photographs_in_a_folder(flowers_folder, tmp_path):
    tfds = import_tfds()
    root = flowers_folder / "tfds"
    builder = tfds.builder_from_directory(find_prepared(root, FLOWERS))
    dataset = builder.as_dataset(
        split="validation[:64]", decoders={"image": tfds.decode.SkipDecoding()}
    )
    folder = tmp_path / "photographs"
    folder.mkdir()
    for place, example in enumerate(dataset.as_numpy_iterator()):
        (folder / f"{place:02}.jpg").write_bytes(example["image"])

    said = []
    images = load(
        tmp_path / "cache",
        size=32,
        data_dir=root,
        splits="validation[:64]",
        say=said.append,
    )
    assert images.count == 64
    assert images.path.name.startswith("tfds-32px-")
    expected = data.load_images(
        "folder",
        image_size=32,
        cache_dir=tmp_path / "cache",
        path=folder,
        say=said.append,
    )
    np.testing.assert_array_equal(images.images, expected.images)
    assert images.fingerprint == expected.fingerprint
    assert not any(line.startswith("skipped") for line in said)


def test_splits_are_joined_in_the_order_they_are_named(flowers_folder, tmp_path):
    def of(splits):
        root = flowers_folder / "tfds"
        return load(tmp_path, data_dir=root, splits=splits).images

    joined = of("test[:2]+train[:3]")
    np.testing.assert_array_equal(joined[:2], of("test[:2]"))
    np.testing.assert_array_equal(joined[2:], of("train[:3]"))


@pytest.mark.slow
def test_all_8189_flowers_are_there_once(flowers_folder, tmp_path):
    images = load(tmp_path, size=32, data_dir=flowers_folder / "tfds")
    assert images.count == 8189
    # The data set is known to hold four pairs of equal photographs.
    assert len({image.tobytes() for image in images.images}) == 8185


def test_a_cached_data_set_is_found_without_tfds(flowers_folder, tmp_path, monkeypatch):
    options = {"data_dir": flowers_folder / "tfds", "splits": "train[:2]"}
    first = load(tmp_path, **options)

    def fail():
        raise AssertionError("TFDS was imported")

    monkeypatch.setattr("data.tfds_source.import_tfds", fail)
    assert load(tmp_path, **options).fingerprint == first.fingerprint


def test_grey_pngs_of_a_data_set_with_another_feature_name_are_read(
    small_root, tmp_path
):
    images = load(tmp_path, name="greys", data_dir=small_root, splits="train")
    np.testing.assert_array_equal(images.images[:, 4, 4, 0], np.arange(20))
    assert (images.images == images.images[:, :1, :1, :1]).all()


def test_a_data_set_can_be_read_from_an_example_on(small_root, flowers_folder):
    source = TfdsSource("greys", small_root, "train[2:]", lambda line: None)
    greys = [int(one.pixels[0, 0, 0]) for one in source.images(9, 5)]
    assert greys == list(range(7, 20))
    splits = "test[:3]+train[:7]"
    flowers = TfdsSource(FLOWERS, flowers_folder / "tfds", splits, lambda line: None)
    labels = [one.label for one in flowers.images(8)]
    assert [one.label for one in flowers.images(8, 4)] == labels[4:]
    assert len(set(labels)) > 3


def test_small_images_of_a_data_set_are_enlarged_with_a_warning(small_root, tmp_path):
    said = []
    load(
        tmp_path,
        size=16,
        name="greys",
        data_dir=small_root,
        splits="train",
        say=said.append,
    )
    assert any("warning: 20 of 20 images were smaller" in line for line in said)


def test_an_unknown_split_is_refused_with_those_there_are(small_root, tmp_path):
    options = {"name": "greys", "data_dir": small_root}
    with pytest.raises(data.DataError, match=r"data\.splits: 'trian'") as caught:
        load(tmp_path, splits="trian", **options)
    assert "train (20)" in str(caught.value)
    with pytest.raises(data.DataError, match="no examples in them"):
        load(tmp_path, splits="train[3:3]", **options)


def test_the_key_follows_splits_and_files(small_root, tmp_path):
    root = shutil.copytree(small_root, tmp_path / "copy")

    def key(splits="train"):
        return TfdsSource("greys", root, splits, print).key()

    keys = {key(), key("train[:3]")}
    (record,) = root.glob("greys/1.0.0/*record*")
    os.utime(record, ns=(0, 7))
    keys.add(key())
    assert len(keys) == 3


def test_a_damaged_data_set_is_an_error_not_a_traceback(small_root, tmp_path):
    root = shutil.copytree(small_root, tmp_path / "copy")
    options = {"name": "greys", "data_dir": root, "splits": "train"}
    (record,) = root.glob("greys/1.0.0/*record*")
    os.truncate(record, 900)
    with pytest.raises(data.DataError, match="cannot read the TFDS data set"):
        load(tmp_path / "cache", **options)
    record.unlink()
    with pytest.raises(data.DataError, match="cannot read the TFDS data set"):
        load(tmp_path / "cache", **options)
    (root / "greys/1.0.0/dataset_info.json").write_text("{")
    with pytest.raises(data.DataError, match="cannot read"):
        load(tmp_path / "cache", **options)
    assert not list((tmp_path / "cache").glob("*.npy*"))


# --- finding it


def prepare(root, *parts):
    folder = root.joinpath(*parts)
    folder.mkdir(parents=True)
    (folder / "dataset_info.json").write_text(json.dumps({}))
    return folder


def test_the_newest_finished_version_is_found(tmp_path):
    prepare(tmp_path, "flowers", "1.9.0")
    newest = prepare(tmp_path, "flowers", "1.10.0")
    (tmp_path / "flowers" / "2.0.0").mkdir()  # without its last file
    prepare(tmp_path, "flowers", "3.0.0.incompleteABC")
    assert find_prepared(tmp_path, "flowers") == newest
    assert find_prepared(tmp_path, "flowers:1.9.0").name == "1.9.0"
    assert find_prepared(tmp_path, "flowers:2.0.0") is None
    assert find_prepared(tmp_path, "others") is None


def test_configurations_are_found_and_must_be_named_if_several(tmp_path):
    small = prepare(tmp_path, "flowers", "small", "1.0.0")
    assert find_prepared(tmp_path, "flowers") == small
    large = prepare(tmp_path, "flowers", "large", "1.0.0")
    assert find_prepared(tmp_path, "flowers/large:1.0.0") == large
    with pytest.raises(data.DataError, match="one of flowers/large, flowers/small"):
        find_prepared(tmp_path, "flowers")


@pytest.mark.parametrize("name", ["", "../flowers", "Flowers", "a/b/c", "a:1"])
def test_a_malformed_name_is_refused(tmp_path, name):
    with pytest.raises(data.DataError, match=r"data\.name"):
        find_prepared(tmp_path, name)


def test_tfds_own_directory_is_the_default(small_root, tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(small_root))
    assert load(tmp_path, name="greys", splits="train").count == 20


def test_features_say_which_images_to_take():
    features = import_tfds().features
    image = features.Image(shape=(None, None, 3))
    of = features.FeaturesDict
    assert image_feature(of({"mask": image, "image": image}), "x") == "image"
    assert image_feature(of({"picture": image, "label": np.int64}), "x") == "picture"
    for bad, found in (
        (of({"label": np.int64}), "no feature of 8 or 16 bit images"),
        (of({"left": image, "right": image}), "left, right"),
        (
            of({"image": features.Image(shape=(9, 9, 1), dtype=np.float32)}),
            "no feature",
        ),
        (of({"image": features.LabeledImage(labels=3)}), "no feature"),
        (image, "no feature"),
    ):
        with pytest.raises(data.DataError, match=f"found:    {found}"):
            image_feature(bad, "x")
