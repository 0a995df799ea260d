"""Tests of classes: labels from every source, kept in the cache, checked."""

import json

import numpy as np
import pytest
from PIL import Image

import data
from data.classes import check_class_names, classes_of, label_of, printable
from data.flowers.species import SPECIES
from data.source import NO_CLASS

ANEMONES, BROKEN, ROSES = "银莲花 anemones", "broken", "roses"


@pytest.fixture
def folder(tmp_path):
    """Returns a folder of three photographs in two classes, one of them nested."""
    folder = tmp_path / "photographs"
    for name, colour in (
        (f"{ANEMONES}/b.png", "blue"),
        (f"{ROSES}/a.png", "red"),
        (f"{ROSES}/from the garden/old/c.png", "pink"),
    ):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (16, 16), colour).save(path)
    (folder / BROKEN).mkdir()
    (folder / BROKEN / "x.jpg").write_bytes(b"no picture")
    return folder


def load(tmp_path, source="folder", said=None, with_classes=True, **options):
    say = (lambda line: None) if said is None else said.append
    return data.load_images(
        source,
        image_size=8,
        cache_dir=tmp_path / "cache",
        say=say,
        with_classes=with_classes,
        **options,
    )


def by_class(images):
    """Returns the first pixel of each image under the name of its class."""
    names, labels = images.classes
    found = {name: [] for name in names}
    for label, image in zip(labels, images.images, strict=True):
        found[names[label]].append(image[0, 0].tolist())
    return found


def test_the_first_level_of_subfolders_are_the_classes(folder, tmp_path):
    images = load(tmp_path, path=folder)
    # Not the folder without a usable photograph.
    assert by_class(images) == {
        ANEMONES: [[0, 0, 255]],
        ROSES: [[255, 0, 0], [255, 192, 203]],
    }
    assert images.classes.labels.dtype == np.int32
    assert sorted(images.classes.counts().tolist()) == [1, 2]


def test_classes_come_back_from_the_cache(folder, tmp_path):
    said = []
    first = load(tmp_path, path=folder, said=said)
    second = load(tmp_path, path=folder, said=said)
    assert sum(line.startswith("preparing") for line in said) == 1
    assert second.classes.names == first.classes.names
    np.testing.assert_array_equal(second.classes.labels, first.classes.labels)
    assert second.fingerprint == first.fingerprint


def test_drawn_flowers_have_their_species(tmp_path):
    images = load(tmp_path, "drawn", num_images=40)
    assert set(images.classes.names) <= set(SPECIES)
    assert images.classes.counts().sum() == 40
    assert len(images.classes.names) > 5


@pytest.mark.parametrize("splits", ["train[:24]", "test[:3]+validation[:9]"])
def test_labels_of_a_data_set_are_those_of_its_examples(
    flowers_folder, tmp_path, splits
):
    from data.tfds_download import import_tfds

    root = flowers_folder / "tfds"
    images = load(tmp_path, "tfds", data_dir=root, splits=splits)
    tfds = import_tfds()
    builder = tfds.builder("oxford_flowers102", data_dir=root)
    config = tfds.ReadConfig(interleave_cycle_length=1)
    examples = builder.as_dataset(split=splits, read_config=config)
    names = builder.info.features["label"].names
    expected = [names[int(example["label"])] for example in examples]
    assert [images.classes.names[label] for label in images.classes.labels] == expected


def test_a_data_set_without_labels_has_no_classes(tmp_path):
    from data.tfds_download import import_tfds
    from data.tfds_source import label_feature

    features = import_tfds().features
    kind = features.ClassLabel(names=["a", "b"])
    assert label_feature(features.FeaturesDict({"image": features.Image()})) is None
    assert label_feature(features.FeaturesDict({"species": kind})) == "species"
    assert label_feature(features.FeaturesDict({"x": kind, "label": kind})) == "label"
    assert label_feature(features.FeaturesDict({"x": kind, "y": kind})) is None


def test_a_cache_of_a_version_without_classes_is_made_anew(folder, tmp_path):
    images = load(tmp_path, path=folder)
    about = images.path.with_suffix(".json")
    older = json.loads(about.read_text())
    del older["labels"], older["class_names"]
    about.write_text(json.dumps(older))
    said = []
    again = load(tmp_path, path=folder, said=said)
    assert again.fingerprint == images.fingerprint
    assert "an older version's; it is made anew" in said[0]


def test_the_fingerprint_knows_the_classes_only_where_they_are_asked_for(
    folder, tmp_path
):
    plain = load(tmp_path, path=folder, with_classes=False)
    before = load(tmp_path, path=folder)
    (folder / ROSES).rename(folder / "tulips")
    assert load(tmp_path, path=folder, with_classes=False).fingerprint in (
        plain.fingerprint
    )
    assert load(tmp_path, path=folder).fingerprint != before.fingerprint


def test_photographs_outside_of_any_class_are_a_mistake(folder, tmp_path):
    Image.new("RGB", (16, 16)).save(folder / "zero.png")
    assert load(tmp_path, path=folder, with_classes=False).count == 4
    with pytest.raises(data.DataError) as error:
        load(tmp_path, path=folder)
    assert "1 of 4 images has no class in folder" in str(error.value)
    assert "found:      zero.png\n" in str(error.value)
    assert "move it into the sub-folder of a class" in str(error.value)


def test_too_few_classes_are_a_mistake_before_anything_is_prepared(tmp_path):
    (tmp_path / "flat").mkdir()
    Image.new("RGB", (16, 16)).save(tmp_path / "flat/a.png")
    with pytest.raises(data.DataError, match="two sub-folders or more") as error:
        load(tmp_path, path=tmp_path / "flat")
    assert "found:      none" in str(error.value)
    assert not (tmp_path / "cache").exists()


def test_a_sub_folder_without_a_usable_photograph_is_named(folder, tmp_path):
    said = []
    load(tmp_path, path=folder, said=said)
    assert f"warning: no usable photograph in 1 sub-folder: {BROKEN}" in said


def test_folders_that_differ_in_how_an_accent_is_written_are_one_class(tmp_path):
    for name in ("P\u00e4onie", "Pa\u0308onie", "Cafe\u0301"):
        (tmp_path / "photographs" / name).mkdir(parents=True)
        Image.new("RGB", (16, 16)).save(tmp_path / "photographs" / name / "a.png")
    classes = load(tmp_path, path=tmp_path / "photographs").classes
    assert classes.names == ("Caf\u00e9", "P\u00e4onie")
    assert classes.counts().tolist() == [1, 2]


def test_a_name_is_found_in_upper_or_lower_case_and_a_wrong_one_answered():
    names = ("rose", "lenten rose", "Tulip")
    assert [label_of(name, names) for name in ("ROSE", "tulip")] == [0, 2]
    with pytest.raises(data.DataError, match=r"nearest:  Tulip \(of 3\)"):
        label_of("tulipp", names)
    with pytest.raises(data.DataError, match="known:    rose, lenten rose, Tulip"):
        label_of("", names)


def test_a_single_class_is_a_mistake(folder, tmp_path):
    with pytest.raises(data.DataError, match="two sub-folders or more") as error:
        load(tmp_path, path=folder / ROSES)
    # What lies directly in the folder has no class; the nested folder is the only one.
    assert "1 (from the garden)" in str(error.value)


def test_only_classes_with_images_are_numbered():
    classes = classes_of(("a", "b", "c", "d"), [3, NO_CLASS, 1, 3])
    assert classes.names == ("b", "d")
    assert classes.labels.tolist() == [1, NO_CLASS, 0, 1]
    assert classes.counts().tolist() == [1, 2]


def test_names_are_composed_and_printable():
    assert printable("cafe\u0301") == "caf\u00e9"
    assert printable("a\nb") == "'a\\nb'"
    assert printable("\udcff") == "'\\udcff'"


def test_more_classes_than_a_config_can_name_are_refused_before_anything_is_read():
    class Many:
        name, description = "folder", "folder of faces"

        def class_names(self):
            return tuple(f"face {number:05d}" for number in range(9_001))

    with pytest.raises(
        data.DataError, match="too many classes in folder of faces"
    ) as raised:
        check_class_names(Many())
    assert "at most 9,000" in str(raised.value)
    assert "9,001, from face 00000 to face 09000" in str(raised.value)
