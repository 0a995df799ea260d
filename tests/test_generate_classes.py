"""generate.py on a run that knows classes: by name, or drawn from the seed."""

import contextlib
import json
import os
import pathlib
import shutil
import zipfile

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from PIL import Image
from test_generate import as_bytes, call, normal_latents, pixels_of
from tiny_run import train_in

from commands.chosen import choose
from commands.generate_options import checked_options
from commands.loading import load_ema_generator
from commands.pictures.classes import in_file_name, with_classes
from commands.pictures.latents import generated_labels, truncated
from files.atomic import write_text
from gallery.sheets import letters_of
from gallery.walks import walk_weights
from records.checkpoint import Retention, read_checkpoint, write_checkpoint
from records.run_folder import RunFolder
from settings.messages import Problem

RUN = "tiny.1"
RENAMED = {"sunflower": "银莲花", "water lily": "a/b (c)"}
KEEP = Retention(keep_last=9, keep_every_iterations=1)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Returns a folder with a run whose generator makes each class clearly another."""
    folder = tmp_path_factory.mktemp("classes")
    lengths = {"total_iterations": 1, "checkpoint_every_iterations": 1}
    train_in(
        folder,
        run={"name": RUN},
        data={"num_images": 64},  # among them each class
        model={"conditional": True},
        training=lengths,
    )
    with contextlib.chdir(folder):
        run, draw = RunFolder(RUN), np.random.default_rng(0)
        arrays = read_checkpoint(run.checkpoints, 1)
        for name in arrays:
            if name.startswith("ema_generator/") and "class_embedding" in name:
                arrays[name] = draw.normal(size=arrays[name].shape).astype(np.float32)
        write_checkpoint(run.checkpoints, 2, arrays, KEEP)
        text = run.config.read_text()
        for old, new in RENAMED.items():
            text = text.replace(f"- {old}", f"- {new}")
        write_text(run.config, text)
    return folder


@pytest.fixture
def here(trained, monkeypatch):
    monkeypatch.chdir(trained)
    return trained


@pytest.fixture
def names(here):
    return choose(RUN, "latest").config.model.classes


@pytest.fixture
def films(monkeypatch):
    films = []
    monkeypatch.setattr(
        "commands.generate.write_walk",
        lambda *film: (films.append(film[0].astype(int)), film[1].touch()),
    )
    monkeypatch.setattr("commands.generate.enlarged", lambda picture: picture)
    return films


def drawn(latents, labels, names):
    """Returns images by Keras alone, int [count, size, size, 3]."""
    weights = np.eye(len(names), dtype=np.float32)[labels]
    return as_bytes(load_ema_generator(choose(RUN, "latest"))([latents, weights]))


def images_in(folder):
    return np.stack([pixels_of(path) for path in sorted(folder.iterdir())]).astype(int)


def same(images, expected):
    # Graph and eager mode may round differently.
    return np.abs(images - expected).max() <= 1


def options_of(*class_names, kind="images", seeds=None, num_images=None):
    return checked_options(
        kind=kind,
        num_images=num_images,
        seeds=seeds,
        class_names=list(class_names),
    )


def test_images_are_of_the_class_in_upper_or_lower_case(here, names, tmp_path):
    assert call(RUN, "--class", "ROSE", "--num_images", 3, "--out", tmp_path) == 0
    label = names.index("rose")
    expected = drawn(normal_latents(0, 3), [label] * 3, names)
    assert same(images_in(tmp_path), expected)
    other = drawn(normal_latents(0, 3), [label + 1] * 3, names)
    assert np.abs(other - expected).mean() > 10
    assert sorted(os.listdir(tmp_path))[0] == "image-00000-rose.png"


def test_images_of_several_classes_take_turns(here, names, tmp_path):
    chosen = ("--class", "tulip", "--class", "rose", "--class", "Tulip")
    call(RUN, *chosen, "--num_images", 5, "--out", tmp_path)
    labels = [names.index(name) for name in ("tulip", "rose", "tulip", "rose", "tulip")]
    assert same(images_in(tmp_path), drawn(normal_latents(0, 5), labels, names))


def test_without_a_class_the_seed_draws_them_and_more_images_extend_fewer(
    here, names, tmp_path
):
    for count in (20, 70):
        call(RUN, "--num_images", count, "--seed", 3, "--out", tmp_path / str(count))
    files = [sorted((tmp_path / count).iterdir()) for count in ("20", "70")]
    assert [path.name for path in files[0]] == [path.name for path in files[1][:20]]
    assert [p.read_bytes() for p in files[0]] == [p.read_bytes() for p in files[1][:20]]
    # As training/chance.py says, with NumPy alone.
    entropy = np.random.SeedSequence([3, 0, 0, 13])
    labels = np.random.Generator(np.random.Philox(entropy)).integers(15, size=20)
    assert same(images_in(tmp_path / "20"), drawn(normal_latents(3, 20), labels, names))
    assert len(set(generated_labels(3, 500, 15))) == 15


def test_seeds_keep_their_images_and_one_latent_shows_every_class(
    here, names, tmp_path
):
    call(RUN, "--seeds", "7,3", "--out", tmp_path / "two")
    for seed, image in zip((7, 3), images_in(tmp_path / "two"), strict=True):
        out = tmp_path / f"own-{seed}"
        call(RUN, "--seed", seed, "--num_images", 1, "--out", out)
        assert same(images_in(out)[0], image)
    call(RUN, "--class", "all", "--seeds", "7", "--out", tmp_path / "all")
    latents = np.repeat(normal_latents(7, 1), 15, axis=0)
    assert same(images_in(tmp_path / "all"), drawn(latents, np.arange(15), names))


def test_a_grid_of_several_classes_has_a_row_for_each(
    here, names, tmp_path, monkeypatch
):
    sheets = []
    monkeypatch.setattr(
        "commands.pictures.sheets.labelled_sheet",
        lambda *sheet: sheets.append(sheet) or Image.new("RGB", (9, 9)),
    )
    out = ("--out", tmp_path / "a.png")
    call(RUN, "--kind", "grid", "--class", "tulip", "--class", "银莲花", *out)
    ((images, above, beside),) = sheets
    number = names.index("银莲花")
    assert (above, beside) == ([""] * 8, ["tulip", f"class {number}"])
    for row, label in zip(images, (names.index("tulip"), number), strict=True):
        assert same(row.astype(int), drawn(normal_latents(0, 8), [label] * 8, names))
    seeds = ("--seeds", "4,9,2")
    call(
        RUN,
        "--kind",
        "grid",
        "--class",
        "tulip",
        "--class",
        "rose",
        *seeds,
        *out,
        "--force",
    )
    assert sheets[1][1] == ["seed 4", "seed 9", "seed 2"]


def test_a_sheet_of_all_classes_names_each(here, names, tmp_path, capsys):
    path = tmp_path / "all.png"
    assert call(RUN, "--kind", "classes", "--num_images", 2, "--out", path) == 0
    said = capsys.readouterr().out
    number = names.index("银莲花")
    assert f"class {number} on the sheet is 银莲花" in said
    assert "all 15 classes" in said
    sheet = pixels_of(path).astype(int)
    # Two columns of strips of 2 x 64 px, the names read downwards.
    images = drawn(normal_latents(0, 2), [8, 8], names)
    large = np.asarray(
        Image.fromarray(np.concatenate(images, 1).astype(np.uint8)).resize(
            (128, 64), Image.Resampling.LANCZOS
        )
    )
    found = [
        (x, y)
        for x in range(8, sheet.shape[1] - 127)
        for y in range(28, sheet.shape[0] - 63)
        if np.abs(sheet[y, x : x + 128] - large[0].astype(int)).max() <= 3
        and np.abs(sheet[y : y + 64, x : x + 128] - large).max() <= 3
    ]
    assert len(found) == 1
    (x, y) = found[0]
    assert sheet[y - 20 : y, x : x + 60].min() < 100  # its name, above it


def test_a_walk_mixes_each_class_with_the_next_while_the_latent_stays(
    here, names, tmp_path, films
):
    chosen = ("--class", "rose", "--class", "tulip", "--class", "poppy")
    out = ("--kind", "walk", "--frames", 1, "--out", tmp_path / "a.gif")
    call(RUN, *chosen, "--seeds", "7", *out)
    (frames,) = films
    assert len(frames) == 6
    labels = [names.index(name) for name in ("rose", "tulip", "poppy")]
    latents = np.repeat(normal_latents(7, 1), 3, axis=0)
    assert same(frames[::2], drawn(latents, labels, names))
    weights = np.zeros((1, 15), np.float32)
    weights[0, labels[:2]] = 0.5
    half = load_ema_generator(choose(RUN, "latest"))([latents[:1], weights])
    assert same(frames[1], as_bytes(half)[0])


def test_walks_side_by_side_are_at_the_same_class(here, names, tmp_path, films):
    chosen = ("--class", "rose", "--class", "tulip")
    call(
        *(RUN, *chosen, "--kind", "walk", "--frames", 0, "--num_images", 3),
        *("--walks", 2, "--out", tmp_path / "a.gif"),
    )
    (frames,) = films
    latents = normal_latents(0, 6)
    labels = [names.index(name) for name in ("rose", "tulip", "rose")]
    for walk, left in enumerate((0, 32)):
        found = frames[:, :, left : left + 32]
        own = latents[3 * walk : 3 * walk + 3]
        assert same(found, drawn(own, labels, names))


def test_weights_of_a_walk_change_along_a_line_and_are_whole():
    anchors = np.eye(3)
    weights = walk_weights(anchors, 3)
    assert weights.dtype == np.float32 and weights.shape == (12, 3)
    np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-6)
    np.testing.assert_allclose(weights[:5, 0], [1, 0.75, 0.5, 0.25, 0])
    np.testing.assert_allclose(weights[9], [0.25, 0, 0.75])
    eased = walk_weights(anchors, 3, is_eased=True)
    assert eased[1, 0] > 0.8


def test_a_truncation_sheet_of_a_class_stays_with_it(
    here, names, tmp_path, monkeypatch
):
    sheets = []
    monkeypatch.setattr(
        "commands.generate.labelled_sheet",
        lambda *sheet: sheets.append(sheet) or Image.new("RGB", (9, 9)),
    )
    out = ("--kind", "truncation", "--out", tmp_path / "a.png")
    call(RUN, "--class", "rose", "--class", "tulip", "--seeds", 4, *out)
    call(RUN, "--num_images", 2, "--seed", 8, *out, "--force")
    (images, _, beside), (_, _, drawn_by_seed) = sheets
    assert beside == ["seed 4, rose", "seed 4, tulip"]
    labels = [names.index("rose"), names.index("tulip")]
    latents = np.repeat(normal_latents(4, 1), 2, axis=0)
    assert same(images[:, -1].astype(int), drawn(latents, labels, names))
    assert same(images[:, -2].astype(int), drawn(truncated(latents, 2), labels, names))
    own = [names[generated_labels(seed, 1, 15)[0]] for seed in (8, 9)]
    assert drawn_by_seed == [
        f"seed {seed}, {one}" for seed, one in zip((8, 9), own, strict=True)
    ]


def test_a_keras_file_takes_latents_and_classes_and_names_them(here, names, tmp_path):
    path = tmp_path / "a.keras"
    assert call(RUN, "--kind", "keras", "--out", path) == 0
    generator = keras.models.load_model(path)
    assert [one.name for one in generator.inputs] == ["latents", "classes"]
    latents, labels = normal_latents(1, 4), [3, 0, 14, 3]
    weights = np.eye(15, dtype=np.float32)[labels]
    images = generator([latents, weights]).numpy()
    assert same(as_bytes(images), drawn(latents, labels, names))
    assert np.abs(images).max() <= 1
    with zipfile.ZipFile(path) as archive:
        assert json.loads(archive.read("class_names.json")) == names


def test_an_onnx_file_takes_latents_and_classes_and_names_them(here, names, tmp_path):
    path = tmp_path / "a.onnx"
    assert call(RUN, "--kind", "onnx", "--out", path) == 0
    session = onnxruntime.InferenceSession(path)
    latents, labels = normal_latents(1, 3), [3, 0, 14]
    given = {"latents": latents, "classes": np.eye(15, dtype=np.float32)[labels]}
    (images,) = session.run(None, given)
    assert same(as_bytes(images), drawn(latents, labels, names))
    about = session.get_modelmeta().custom_metadata_map
    assert json.loads(about["classes"]) == names
    assert (about["run"], about["iteration"]) == (RUN, "2")
    onnx.checker.check_model(onnx.load(path), full_check=True)


@pytest.mark.parametrize("kind", ["keras", "onnx"])
def test_a_file_of_one_class_takes_latents_alone(here, names, tmp_path, kind):
    call(RUN, "--kind", kind, "--class", "tulip")
    path = pathlib.Path(f"samples/{RUN}/generated/generator-0000002-tulip.{kind}")
    latents = normal_latents(1, 3)
    if kind == "keras":
        images = keras.models.load_model(path)(latents).numpy()
    else:
        session = onnxruntime.InferenceSession(path)
        (images,) = session.run(None, {"latents": latents})
        assert session.get_modelmeta().custom_metadata_map["class"] == "tulip"
    expected = drawn(latents, [names.index("tulip")] * 3, names)
    assert same(as_bytes(images), expected)


def test_a_projection_keeps_to_its_class_or_seeks_among_all(
    here, names, tmp_path, monkeypatch, capsys
):
    for name, value in (("CANDIDATES", 64), ("STEPS", 20)):
        monkeypatch.setattr(f"commands.pictures.projection.NUM_{name}", value)
    monkeypatch.setattr("commands.pictures.projection.SHOWN_STEPS", (0, 20))
    own = drawn(normal_latents(9, 1), [names.index("poppy")], names)[0]
    Image.fromarray(own.astype(np.uint8)).save(tmp_path / "own.png")
    image = ("--kind", "project", "--image", tmp_path / "own.png")
    for chosen, told in ((("--class", "tulip"), "tulip"), ((), "")):
        out = tmp_path / f"{told}.strip.png"
        assert call(RUN, *image, *chosen, "--out", out) == 0
        said = capsys.readouterr().out
        found = said.split("one of class ")[1].splitlines()[0]
        assert found == told or (not told and found in names)
        distance = float(said.split("distance to the photograph: ")[1].split()[0])
        assert distance < float(said.split("on average, ")[1].split()[0])
        latent = np.load(out.with_name(f"{out.stem}-found.npy"))[None]
        expected = drawn(latent, [names.index(found)], names)[0]
        assert same(pixels_of(out.with_name(f"{out.stem}-found.png")), expected)


@pytest.mark.parametrize(
    "options, expected",
    [
        ("--class ros", "no class of this name: 'ros'\n  nearest:  rose"),
        ("--kind share --class rose", "--class\n  expected: with --kind images, grid"),
        (
            "--kind keras --class rose --class lily",
            "--class\n  expected: one class with --kind keras\n  found:    2",
        ),
        ("--kind walk --seeds 1 --class rose", "expected: two or more of either"),
        ("--kind walk --seeds 1", "--seeds\n  expected: two or more for a walk"),
    ],
)
def test_what_no_class_can_give_is_told(here, capsys, options, expected):
    assert call(RUN, *options.split()) == 2
    assert expected in capsys.readouterr().err


def test_a_run_without_classes_says_so(here, tmp_path, monkeypatch, capsys):
    shutil.copytree("runs", tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    config = RunFolder(RUN).config
    text = config.read_text().replace("conditional: true", "conditional: false")
    write_text(config, text)
    for options in (("--class", "rose"), ("--kind", "classes")):
        assert call(RUN, *options) == 2
        error = capsys.readouterr().err
        assert "found:    tiny.1, which has none" in error
        assert " ".join(options) in error


@pytest.mark.parametrize(
    "options, count",
    [
        (options_of("rose"), 64),
        (options_of("all"), 64),
        (options_of("rose", kind="walk"), 8),
        (options_of("all", kind="walk"), 15),
        (options_of("all", kind="walk", num_images=4), 4),
        (options_of("rose", "tulip", kind="walk", seeds=(1, 2, 3)), 3),
        (options_of("all", kind="walk", seeds=(1, 2, 3)), 15),
        (options_of("rose", "tulip", kind="truncation"), 2),
        (options_of("rose", kind="truncation"), 6),
        (options_of("rose", kind="grid"), 64),
        (options_of("rose", "tulip", kind="grid"), 8),
        (options_of("rose", "tulip", kind="grid", seeds=(4,)), 1),
        (options_of(kind="classes"), 4),
        (options_of("rose", kind="classes", num_images=9), 9),
    ],
)
def test_as_many_images_as_the_classes_need(here, options, count):
    assert with_classes(options, choose(RUN, "latest")).num_images == count


def test_a_class_called_all_is_that_class(here):
    chosen = choose(RUN, "latest")
    names = ["All", "all", "rose"]
    model = chosen.config.model.model_copy(update={"classes": names})
    object.__setattr__(
        chosen, "config", chosen.config.model_copy(update={"model": model})
    )
    assert with_classes(options_of("all"), chosen).labels == (1,)
    with pytest.raises(Problem, match="no class of this name"):
        with_classes(options_of("al"), chosen)


def test_file_names_tell_classes_apart_in_any_script():
    names = ["Rose", "a/b", "a b", "银莲花", "../..", "rose?", "x" * 200, "क्षत्रिय"]
    words = [in_file_name([label], names) for label in range(len(names))]
    assert words[1:5] == ["a-b-1", "a-b-2", "银莲花", "class-4"]
    assert words[0] == "rose-0" and words[5] == "rose-5"
    assert words[7] == "क्षत्रिय"
    assert len(words[6]) < 100
    assert in_file_name([3, 1], names) == "银莲花-a-b-1"
    many = in_file_name([6, 0], names), in_file_name([6, 5], names)
    assert many[0].startswith("2-classes-") and many[0] != many[1]
    assert in_file_name(range(8), names) == "all-classes"
    assert in_file_name([], names) == ""


def test_a_sheet_says_the_number_of_a_class_whose_letters_it_lacks():
    assert letters_of("bird of paradise (40)", 3) == "bird of paradise (40)"
    assert letters_of("Röschen, colt's-foot", 3) == "Roschen, colt's-foot"
    assert letters_of("银莲花", 3) == "class 3"


def test_a_weights_file_makes_classes_by_name_and_its_card_lists_them(
    here, names, tmp_path
):
    file = tmp_path / "w.safetensors"
    assert call(RUN, "--kind", "weights", "--out", file) == 0
    card = pathlib.Path(f"{file}.md").read_text("utf-8")
    assert f"15, to be named with `--class`: {', '.join(names)}." in card
    assert "class-conditional-image-generation" in card and "- rose\n" not in card
    chosen = ("--class", "rose", "--num_images", 2)
    call(file, *chosen, "--out", tmp_path / "a")
    expected = drawn(normal_latents(0, 2), [names.index("rose")] * 2, names)
    # Weights of float16.
    assert np.abs(images_in(tmp_path / "a") - expected).max() <= 4
