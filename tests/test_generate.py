"""Tests generate.py on a tiny run: its pictures by a second way to make them."""

import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from tiny_run import train_in

import generate
from records.checkpoint import read_checkpoint
from records.run_folder import RunFolder, only_writer

RUN = "tiny.1"
# So that iterations differ visibly, and the average from the generator itself.
TRAINING = {"ema_half_life_kimg": 0.004, "ema_ramp_up": None}
LENGTH = {"total_iterations": 2, "checkpoint_every_iterations": 1}


@pytest.fixture(scope="session")
def trained_folder(tmp_path_factory):
    """Returns a working directory in which a tiny run was trained."""
    folder = tmp_path_factory.mktemp("trained")
    train_in(
        folder,
        run={"name": RUN},
        training=TRAINING | LENGTH,
        optimizer={"learning_rate": 0.02},
    )
    return folder


@pytest.fixture
def here(trained_folder, monkeypatch):
    """Works in the trained folder."""
    monkeypatch.chdir(trained_folder)
    return trained_folder


@pytest.fixture
def copy(trained_folder, tmp_path, monkeypatch):
    """Works in a copy of the trained folder, to be spoilt."""
    shutil.copytree(trained_folder / "runs", tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    return RunFolder(RUN)


def call(*arguments):
    return generate.main(list(map(str, arguments)))


def normal_latents(seed, count):
    """Draws as training/chance.py says it does, with NumPy alone."""
    entropy = np.random.SeedSequence([seed, 0, 0, 6])
    draw = np.random.Generator(np.random.Philox(entropy))
    return draw.standard_normal((count, 8), dtype=np.float32)


def outputs_of(network, iteration, latents):
    """Returns float32 images of "generator" or "ema_generator" in a checkpoint."""
    from models.generator import build_generator

    arrays = read_checkpoint(RunFolder(RUN).checkpoints, iteration)
    names = sorted(name for name in arrays if name.startswith(f"{network}/"))
    generator = build_generator(
        image_size=32, num_layers=22, latent_dim=8, base_channels=2, max_channels=8
    )
    generator.set_weights([arrays[name] for name in names])
    return generator(latents, training=False).numpy()


def pixels_of(path):
    with Image.open(path) as image:
        return np.asarray(image)


def as_bytes(images):
    return np.rint((np.clip(images, -1, 1) + 1) * 127.5)


def test_images_show_the_averaged_generator_on_latents_of_the_seed(here, tmp_path):
    assert call(RUN, "--num_images", 18, "--seed", 3, "--out", tmp_path / "new/a") == 0
    names = [f"image-{number:05d}.png" for number in range(18)]
    assert sorted(os.listdir(tmp_path / "new/a")) == names
    images = np.stack([pixels_of(tmp_path / "new/a" / name) for name in names])
    expected = as_bytes(outputs_of("ema_generator", 2, normal_latents(3, 18)))
    # One level: graph and eager mode may round differently.
    assert np.abs(images - expected).max() <= 1
    assert (images == expected).mean() > 0.99
    assert expected.std(axis=0).mean() > 5  # else any latents would do
    other = as_bytes(outputs_of("generator", 2, normal_latents(3, 18)))
    assert np.abs(images - other).max() > 5  # else any network would do


@pytest.mark.parametrize("truncation", [(), ("--truncation", 0.5)])
def test_the_first_images_are_the_same_when_more_are_made(here, tmp_path, truncation):
    call(RUN, "--num_images", 5, "--out", tmp_path / "few", *truncation)
    call(RUN, "--num_images", 19, "--out", tmp_path / "many", *truncation)
    few = sorted((tmp_path / "few").iterdir())
    assert len(few) == 5
    for path in few:
        assert path.read_bytes() == (tmp_path / "many" / path.name).read_bytes()


def test_a_grid_tiles_the_images_of_the_seed(here, tmp_path):
    call(RUN, "--num_images", 5, "--seed", 1, "--out", tmp_path / "images")
    call(
        *(RUN, "--kind", "grid", "--num_images", 5, "--seed", 1),
        *("--out", tmp_path / "grid.PNG"),
    )
    grid = pixels_of(tmp_path / "grid.PNG")
    assert grid.shape == (64, 96, 3)
    for number, path in enumerate(sorted((tmp_path / "images").iterdir())):
        row, column = divmod(number, 3)
        tile = grid[32 * row : 32 * (row + 1), 32 * column : 32 * (column + 1)]
        np.testing.assert_array_equal(tile, pixels_of(path))
    assert not grid[32:, 64:].any()


@pytest.fixture
def films(monkeypatch):
    """Returns a list of what would have been written as films, not enlarged."""
    films = []
    monkeypatch.setattr(
        "commands.generate.write_walk",
        lambda *film: (films.append(film), film[1].touch()),
    )
    monkeypatch.setattr("commands.generate.enlarged", lambda picture: picture)
    return films


def test_a_walk_visits_the_images_of_the_seed_and_closes(here, tmp_path, films):
    path, few = tmp_path / "walk.gif", ("--num_images", 3, "--seed", 2)
    call(RUN, *few, "--out", tmp_path / "images")
    call(RUN, *few, "--kind", "walk", "--walks", 1, "--frames", 9, "--out", path)
    (frames, written, rate) = films[0]
    assert frames.shape == (30, 32, 32, 3) and frames.dtype == np.uint8
    assert (written, rate) == (path, 24)
    stations = [pixels_of(image) for image in sorted((tmp_path / "images").iterdir())]
    # One level: the same image at another place in its batch may round differently.
    assert np.abs(frames[::10].astype(int) - stations).max() <= 1
    steps = np.abs(frames - np.roll(frames, 1, axis=0).astype(int)).mean((1, 2, 3))
    assert steps[0] < 2 * np.median(steps)  # from the last frame to the first


def test_walks_go_side_by_side_through_more_images_of_the_seed(here, tmp_path, films):
    call(RUN, "--num_images", 8, "--seed", 2, "--out", tmp_path / "images")
    few = ("--num_images", 2, "--seed", 2, "--frames", 1)
    call(RUN, "--kind", "walk", *few, "--out", tmp_path / "a.gif")
    frames = films[0][0].astype(int)
    assert frames.shape == (4, 64, 64, 3)
    images = [pixels_of(image) for image in sorted((tmp_path / "images").iterdir())]
    for walk, (top, left) in enumerate([(0, 0), (0, 32), (32, 0), (32, 32)]):
        found = frames[::2, top : top + 32, left : left + 32]
        assert np.abs(found - images[2 * walk : 2 * walk + 2]).max() <= 1


def test_a_walk_between_chosen_seeds_visits_the_first_image_of_each(
    here, tmp_path, films
):
    call(RUN, "--kind", "walk", "--seeds", "7,3", "--out", tmp_path / "a.gif")
    (frames, _, _) = films[0]
    latents = np.concatenate([normal_latents(seed, 1) for seed in (7, 3)])
    expected = as_bytes(outputs_of("ema_generator", 2, latents))
    assert len(frames) == 48 and np.abs(frames[::24] - expected).max() <= 1


def test_a_truncation_sheet_has_a_row_for_each_seed(here, tmp_path, monkeypatch):
    sheets = []
    monkeypatch.setattr(
        "commands.generate.labelled_sheet",
        lambda *sheet: sheets.append(sheet) or Image.new("RGB", (9, 9)),
    )
    call(RUN, "--kind", "truncation", "--num_images", 2, "--seed", 4)
    ((images, above, beside),) = sheets
    assert images.shape == (2, 7, 32, 32, 3) and beside == ["seed 4", "seed 5"]
    assert (above[1], above[-1]) == ("truncation 0.5", "no truncation")
    call(*(RUN, "--num_images", 1, "--seed", 5), "--out", tmp_path / "free")
    free = pixels_of(tmp_path / "free/image-00000.png")
    assert np.abs(images[1, -1].astype(int) - free).max() <= 1
    call(
        *(RUN, "--num_images", 1, "--seed", 5, "--truncation", 0.5),
        *("--out", tmp_path / "half"),
    )
    half = pixels_of(tmp_path / "half/image-00000.png")
    assert np.abs(images[1, 1].astype(int) - half).max() <= 1
    assert np.abs(free.astype(int) - half).max() > 2


@pytest.mark.parametrize("suffix", [".webp", ".gif"])
def test_a_walk_is_a_film_of_the_rate_asked_for(here, tmp_path, suffix):
    path = tmp_path / f"walk{suffix}"
    options = "--kind walk --num_images 3 --frames 4 --frames_per_second 25 --out"
    call(RUN, *options.split(), path)
    with Image.open(path) as film:
        assert film.n_frames == 15
        for place in range(15):
            film.seek(place)
            film.load()
            assert film.info["duration"] == 40


def test_a_keras_file_opens_without_this_project(here, tmp_path):
    path, latents = tmp_path / "flowers.keras", normal_latents(0, 4)
    assert call(RUN, "--kind", "keras", "--out", path) == 0
    assert os.listdir(tmp_path) == [path.name]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    np.save(elsewhere / "latents.npy", latents)
    program = """
import importlib.util, sys
for ours in ("models", "optim", "data", "training", "gallery", "generate"):
    if importlib.util.find_spec(ours):
        sys.exit(f"{ours} is importable")
import keras, numpy
generator = keras.models.load_model(sys.argv[1])
images = generator(numpy.load("latents.npy"), training=False)
numpy.save("images.npy", images)
print(sorted({variable.dtype for variable in generator.variables}))
"""
    ended = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", program, path],
        cwd=elsewhere,
        env=os.environ | {"PYTHONPATH": "", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "['float32']\n"
    images = np.load(elsewhere / "images.npy")
    expected = np.clip(outputs_of("ema_generator", 2, latents), -1, 1)
    # Between programs only the number of threads may differ, and the order of sums.
    np.testing.assert_allclose(images, expected, atol=1e-6)


def test_the_keras_file_says_that_it_does_not_truncate(here, tmp_path, capsys):
    call(RUN, "--kind", "keras", "--truncation", 0.5, "--out", tmp_path / "a.keras")
    assert "warning: --truncation is not part of the file" in capsys.readouterr().err


def test_each_checkpoint_seed_and_truncation_has_a_place_of_its_own(here, capsys):
    few = ("--kind", "grid", "--num_images", 2)
    calls = [(), ("--checkpoint", 1), ("--seed", 1), ("--truncation", 0.5)]
    calls += [("--seed", 1, "--truncation", 0.25), ("--num_images", 3)]
    for options in calls:
        assert call(f"samples/{RUN}/", *few, *options) == 0
    lines = capsys.readouterr().out.splitlines()
    said = [line.removeprefix("wrote ") for line in lines if line.startswith("wrote")]
    assert len(set(said)) == len(calls)
    assert len({pathlib.Path(path).read_bytes() for path in said}) == len(calls)
    assert said[1] == f"samples/{RUN}/generated/grid-0000001-seed-0-2-images.png"
    assert said[3].endswith("grid-0000002-seed-0-truncation-0.5-2-images.png")
    assert lines[0] == f"{RUN}: checkpoint 2, the averaged generator"


def test_each_kind_has_a_place_and_says_each_file(here, capsys):
    two = ("--num_images", 2)
    calls = {"images": two, "walk": (*two, "--frames", 1), "keras": (), "onnx": ()}
    for kind, options in calls.items():
        call(RUN, "--kind", kind, *options)
    lines = [line.partition(" (")[0] for line in capsys.readouterr().out.splitlines()]
    folder = f"wrote samples/{RUN}/generated/"
    assert [line for line in lines if line.startswith("wrote")] == [
        f"{folder}images-0000002-seed-0/image-00000.png",
        f"{folder}images-0000002-seed-0/image-00001.png",
        f"{folder}walk-0000002-seed-0-4-walks-2-stations.webp",
        f"{folder}generator-0000002.keras",
        f"{folder}generator-0000002.onnx",
    ]
    assert all(pathlib.Path(line[6:]).is_file() for line in lines if "wrote" in line)


def test_a_run_in_training_can_be_looked_at_and_is_not_touched(here, tmp_path):
    def snapshot():
        paths = sorted(here.glob("runs/**/*"))
        return [(path, path.stat().st_mtime_ns) for path in paths]

    with only_writer(RunFolder(RUN)):
        before = snapshot()
        assert call(RUN, "--num_images", 1, "--out", tmp_path) == 0
        assert snapshot() == before
    assert (tmp_path / "image-00000.png").is_file()


def test_images_are_made_a_few_at_a_time(here, tmp_path, monkeypatch):
    from training.pictures import IMAGES_AT_ONCE, Painter

    counts = []

    def images_of(painter, latents, classes=None):
        counts.append(len(latents))
        return np.zeros((len(latents), 32, 32, 3), np.uint8)

    monkeypatch.setattr(Painter, "images_of", images_of)
    call(RUN, "--num_images", 2 * IMAGES_AT_ONCE + 1, "--out", tmp_path)
    assert counts == [IMAGES_AT_ONCE, IMAGES_AT_ONCE, 1]


def test_a_damaged_checkpoint_is_passed_over_and_the_one_used_is_said(copy, capsys):
    path = copy.checkpoints / "0000002.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    assert call(RUN, "--kind", "grid", "--out", "grid.png") == 0
    captured = capsys.readouterr()
    assert "warning:" in captured.err and path.name in captured.err
    assert captured.out.startswith(f"{RUN}: checkpoint 1,")


def test_a_checkpoint_of_other_shapes_is_refused(copy, capsys):
    text = copy.config.read_text()
    copy.config.write_text(text.replace("base_channels: 2", "base_channels: 1"))
    assert call(RUN) == 2
    message = capsys.readouterr().err
    assert "checkpoint 2 does not fit" in message
    assert "of another shape or type: ema_generator/" in message


def test_a_full_disk_is_told_without_a_traceback(here, tmp_path, capsys, monkeypatch):

    def write_png(image, path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("commands.generate.write_png", write_png)
    assert call(RUN, "--kind", "grid", "--out", tmp_path / "a.png") == 2
    message = capsys.readouterr().err
    assert "a.png: could not be written ([Errno 28] No space left" in message


def test_memory_that_does_not_suffice_is_told(here, tmp_path, capsys, monkeypatch):
    from training.pictures import Painter

    def images_of(painter, latents, classes=None):
        raise MemoryError

    monkeypatch.setattr(Painter, "images_of", images_of)
    assert call(RUN, "--out", tmp_path) == 2
    message = capsys.readouterr().err
    assert "out of memory with images of 32 px" in message


def test_ctrl_c_stops_with_status_130(here, tmp_path, capsys, monkeypatch):
    from training.pictures import Painter

    def images_of(painter, latents, classes=None):
        raise KeyboardInterrupt

    monkeypatch.setattr(Painter, "images_of", images_of)
    assert call(RUN, "--out", tmp_path) == 130
    assert capsys.readouterr().err == "stopped\n"


def test_the_explorer_lies_beside_the_runs_page_which_links_it(copy, capsys):
    assert call(RUN, "--kind", "page", "--seed", 3) == 0
    assert f"wrote samples/{RUN}/explore.html" in capsys.readouterr().out
    text = (copy.samples / "explore.html").read_text("utf-8")
    assert '"seed":3' in text and f"<h1>{RUN}</h1>" in text
    assert 'href="explore.html"' in (copy.samples / "index.html").read_text("utf-8")
