"""Tests evaluate.py on a tiny run, and its card by a second way to the numbers."""

import errno
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors
from PIL import Image
from tiny_run import REPOSITORY, train_in

import evaluate
import training.device
from metrics.features import load_extractor
from records.checkpoint import checkpoint_path
from records.run_folder import RunFolder

RUN = "tiny.2"
NUM_IMAGES = 20
RANDOM = ("--extractor", "random", "--num_images", str(NUM_IMAGES))


@pytest.fixture(scope="module")
def trained_folder(tmp_path_factory):
    """Returns a working directory in which a tiny run was trained."""
    folder = tmp_path_factory.mktemp("evaluated")
    train_in(folder, run={"name": RUN}, data={"num_images": 64})
    return folder


@pytest.fixture
def samples(trained_folder, monkeypatch):
    monkeypatch.chdir(trained_folder)
    return RunFolder(RUN).samples


@pytest.fixture(scope="module")
def card(trained_folder):
    """Returns the metric card of iteration 2."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(trained_folder)
        assert evaluate.main([RUN, "--checkpoint", "2", *RANDOM]) == 0
        path = RunFolder(RUN).samples / f"card-0000002-random-{NUM_IMAGES}.json"
        return json.loads(path.read_text())


def test_a_card_has_a_floor_beside_each_number(card):
    assert card["metrics"].keys() == card["floor"].keys()
    assert set(card["metrics"]) == {
        "fd_random",
        "kd_random",
        "kd_random_sd",
        "precision_random",
        "recall_random",
        "density_random",
        "coverage_random",
        "nearest_median_random",
        "nearest_least_random",
    }
    assert card["metrics"]["fd_random"] > card["floor"]["fd_random"]


def test_a_card_says_what_its_numbers_depend_on(card, trained_folder):
    path = trained_folder / checkpoint_path(RunFolder(RUN).checkpoints, 2)
    with safetensors.safe_open(path, framework="numpy") as file:
        assert card["checkpoint_sha256"] == file.metadata()["sha256"]
    assert (card["run"], card["iteration"], card["seed"]) == (RUN, 2, 0)
    counts = ("num_fake", "num_real", "num_floor", "num_floor_against", "subset_size")
    assert [card[key] for key in counts] == [NUM_IMAGES, 64, NUM_IMAGES, 44, NUM_IMAGES]
    assert card["extractor"]["name"] == "random"
    assert card["photographs"]["source"] == "drawn"


def test_the_frechet_distance_of_a_card_is_that_of_its_pictures(card, samples):
    """By another formula: traces of singular values (METRICS.md's oracle)."""
    from commands.chosen import choose_checkpoint
    from commands.generate import load_ema_generator
    from training.pictures import Painter
    from training.run_metrics import measured_latents

    chosen = choose_checkpoint(RunFolder(RUN), "2")
    latents = measured_latents(0, NUM_IMAGES, chosen.config.model.latent_dim)
    pictures = Painter(load_ema_generator(chosen)).images_of(latents)
    photographs = np.load(next((samples.parents[1] / "cache").glob("drawn-*.npy")))
    extract = load_extractor("random")
    fake, real = (extract(x).astype(np.float64) for x in (pictures, photographs))
    centred = [(x - x.mean(0)) / np.sqrt(len(x) - 1) for x in (fake, real)]
    traces = sum(np.square(x).sum() for x in centred)
    product = np.linalg.svd(centred[0] @ centred[1].T, compute_uv=False).sum()
    shift = np.square(fake.mean(0) - real.mean(0)).sum()
    expected = shift + traces - 2 * product
    assert card["metrics"]["fd_random"] == pytest.approx(expected, rel=1e-6)


def test_the_sheet_shows_pictures_beside_their_nearest_photographs(card, samples):
    sheet = Image.open(samples / card["neighbours"])
    photographs = np.load(next((samples.parents[1] / "cache").glob("drawn-*.npy")))
    known = {
        np.asarray(Image.fromarray(one).resize((128, 128), Image.Resampling.BICUBIC))
        .astype(np.uint8)
        .tobytes()
        for one in photographs
    }
    # The first row: pairs of 128 px and a gap of 4, 20 apart, below a heading.
    lefts = [16 + pair * 280 + beside for pair in range(4) for beside in (0, 132)]
    tiles = [sheet.crop((x, 56, x + 128, 184)).tobytes() for x in lefts]
    assert [tile in known for tile in tiles] == [False, True] * 4


def test_the_same_command_gives_the_same_numbers(card, samples, capsys):
    path = samples / f"card-0000002-random-{NUM_IMAGES}.json"
    assert evaluate.main([RUN, "--checkpoint", "2", *RANDOM]) == 0
    again = json.loads(path.read_text())
    assert again["metrics"] == card["metrics"] and again["floor"] == card["floor"]
    assert "| fd_random |" in capsys.readouterr().out


def test_a_card_in_markdown_names_the_network_and_claims_no_fid(card, samples):
    text = (samples / card["markdown"]).read_text()
    assert "measured with random" in text
    assert f"| fd_random | {card['metrics']['fd_random']:.4g} |" in text
    assert "These are not FID or KID" in text
    assert card["checkpoint_sha256"] in text


def test_the_page_of_the_run_links_the_card(card, samples):
    page = (samples / "index.html").read_text(encoding="utf-8")
    assert card["markdown"] in page and card["neighbours"] in page


def test_a_card_names_the_command_that_makes_it_again(card, samples, tmp_path):
    program, script, *arguments = shlex.split(card["command"])
    assert (program, script) == ("python", "evaluate.py")
    assert evaluate.main([*arguments, "--out", str(tmp_path)]) == 0
    again = json.loads(
        (tmp_path / f"card-0000002-random-{NUM_IMAGES}.json").read_text()
    )
    assert again["metrics"] == card["metrics"]


def test_a_damaged_cache_of_features_is_made_again(card, samples, tmp_path):
    (cache,) = (samples.parents[1] / "cache").glob("features-*.npy")
    for damage in (b"", b"no features", cache.read_bytes()[:-40]):
        cache.write_bytes(damage)
        out = ("--checkpoint", "2", "--out", str(tmp_path))
        assert evaluate.main([RUN, *RANDOM, *out]) == 0
        (path,) = tmp_path.glob("*.json")
        assert json.loads(path.read_text())["metrics"] == card["metrics"]


def test_another_seed_and_folder(samples, tmp_path):
    out = tmp_path / "cards"
    assert evaluate.main([RUN, *RANDOM, "--seed", "1", "--out", str(out)]) == 0
    names = sorted(path.name for path in out.iterdir())
    stem = f"0000004-random-{NUM_IMAGES}-seed1"
    assert names == [f"card-{stem}.json", f"card-{stem}.md", f"neighbours-{stem}.png"]
    assert json.loads((out / names[0]).read_text())["seed"] == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["other"], "no such run"),
        ([RUN, "--checkpoint", "3"], "no such checkpoint"),
        ([RUN, "--checkpoint", "best"], "no checkpoint has a metric/kid yet"),
        ([RUN, "--extractor", "mobilenetv2"], "--weights\n  expected: the path"),
        ([RUN, "--weights", "lost.h5"], "--weights lost.h5: no such file"),
        ([RUN, *RANDOM, "--num_images", "9"], "expected: a whole number, 10 or more"),
        ([RUN, *RANDOM, "--seed", "-1"], "--seed -1"),
        (
            [RUN, *RANDOM, "--per_class", "20"],
            f"expected: nothing, as {RUN} has no classes",
        ),
        ([RUN, *RANDOM, "--resize", "legacy"], "clean, as --extractor is random"),
        ([RUN, *RANDOM, "--out", "tiny.yaml"], "expected: a folder"),
    ],
)
def test_a_mistake_is_named_and_nothing_written(samples, arguments, words, capsys):
    before = sorted(samples.iterdir())
    assert evaluate.main(arguments) == 2
    assert words in capsys.readouterr().err
    assert sorted(samples.iterdir()) == before


def test_a_card_that_tensorflow_cannot_use_does_not_stop_it(samples, monkeypatch):
    monkeypatch.setattr(training.device, "NVIDIA_MARKS", ("proc/self/status",))
    out = ("--out", "elsewhere")
    assert evaluate.main([RUN, "--checkpoint", "2", *RANDOM, *out]) == 0


def test_a_file_that_cannot_be_written_is_named(samples, monkeypatch, capsys):
    def refuse(*arguments: object) -> None:  # as a full disk does, naming no file
        raise OSError(errno.ENOSPC, "No space left on device")

    for path in Path("cache").glob("features-*.npy"):
        path.unlink()
    monkeypatch.setattr(np, "save", refuse)
    assert evaluate.main([RUN, "--checkpoint", "2", *RANDOM]) == 2
    error = capsys.readouterr().err
    assert re.search(r"features-\w+\.npy: No space left on device\n  mend this", error)


def test_the_home_folder_may_be_written_as_a_tilde(samples, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert evaluate.main([RUN, *RANDOM, "--seed", "2", "--out=~/cards"]) == 0
    assert len(list((tmp_path / "cards").iterdir())) == 3


def test_other_photographs_are_refused(samples, monkeypatch, capsys):
    run = RunFolder(RUN)
    text = run.origin.read_text()
    origin = json.loads(text) | {"data_fingerprint": "0" * 64}
    run.origin.write_text(json.dumps(origin))
    try:
        assert evaluate.main([RUN, *RANDOM]) == 2
    finally:
        run.origin.write_text(text)
    assert "not those it was trained on" in capsys.readouterr().err


def test_a_mistake_is_answered_without_tensorflow(samples):
    program = (
        "import sys, evaluate; status = evaluate.main(sys.argv[1:]); "
        "print(status, 'tensorflow' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, RUN, *RANDOM, "--seed", "-1"],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == ["2", "False"]
