"""Tests weights files: written by generate.py, and taken by all three commands."""

import contextlib
import dataclasses
import hashlib
import json
import pathlib
import re
import shutil

import numpy as np
import onnx
import pytest
import safetensors
import safetensors.numpy
import yaml
from PIL import Image
from tiny_run import REPOSITORY, arrays_at, eagerly, train_here, train_in

import evaluate
import generate
from commands.chosen import Chosen
from commands.evaluate_options import checked_options
from commands.model_card import licence_of
from gallery.cards import read_cards
from records.checkpoint import Retention, checkpoint_path, write_checkpoint
from records.origin import ParentOfRun, read_origin
from records.run_folder import RunFolder
from records.weights import (
    Weights,
    public_config,
    read_weights,
    weights_bytes,
    weights_path,
)
from settings.config import Config
from settings.config_file import load_config, resolved_yaml
from settings.messages import Problem

RUN, FILE = "tiny.3", "given.safetensors"
TRAINING = {"ema_half_life_kimg": 0.004, "ema_ramp_up": None, "total_iterations": 2}
NETWORKS = {"ema_generator", "discriminator"}


@pytest.fixture(scope="module")
def trained_folder(tmp_path_factory):
    """Returns a working directory with a tiny run on a folder, and its weights file."""
    folder = tmp_path_factory.mktemp("given")
    photographs = folder / "secret"
    photographs.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (24, 4, 4, 3), np.uint8)
    for number, image in enumerate(noise):
        large = Image.fromarray(image).resize((40, 40))
        large.save(photographs / f"{number}.png")
    train_in(
        folder,
        run={"name": RUN},
        data={"source": "folder", "path": "secret", "image_size": 32},
        training=TRAINING,
        optimizer={"learning_rate": 0.02},
        metrics={"extractor": "mobilenetv2", "weights": "secret.h5"},
    )
    with contextlib.chdir(folder):
        card = ("--extractor", "random", "--num_images", "20")
        assert evaluate.main([RUN, *card]) == 0
        assert generate.main([RUN, "--kind", "weights", "--out", FILE]) == 0
    return folder


@pytest.fixture
def here(trained_folder, monkeypatch):
    monkeypatch.chdir(trained_folder)
    return trained_folder


@pytest.fixture
def copy(trained_folder, tmp_path, monkeypatch):
    """Works in a copy without the run: what somebody has who was given the file."""
    for name in ("tiny.yaml", FILE):
        shutil.copy(trained_folder / name, tmp_path)
    shutil.copytree(trained_folder / "secret", tmp_path / "own")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def metadata_of(path):
    with safetensors.safe_open(path, framework="numpy") as file:
        return file.metadata()


def refusal(capsys, main, *arguments):
    """Returns what a command says that the user must change."""
    assert main(list(map(str, arguments))) == 2
    return capsys.readouterr().err


def test_a_file_holds_both_networks_at_half_precision(here):
    stored = safetensors.numpy.load_file(FILE)
    whole = arrays_at(here, 2, RUN)
    assert {name.split("/")[0] for name in stored} == NETWORKS
    expected = {n: a for n, a in whole.items() if n.split("/")[0] in NETWORKS}
    assert stored.keys() == expected.keys()
    for name, array in read_weights(pathlib.Path(FILE)).arrays.items():
        assert (stored[name].dtype, array.dtype) == (np.float16, np.float32)
        np.testing.assert_array_equal(array, expected[name].astype(np.float16))


def test_a_file_says_how_it_was_trained_and_no_paths(here):
    weights, origin = read_weights(pathlib.Path(FILE)), read_origin(RunFolder(RUN))
    assert (weights.run, weights.iteration, weights.num_images) == (RUN, 2, 24)
    assert weights.data_fingerprint == origin.data_fingerprint
    path = checkpoint_path(RunFolder(RUN).checkpoints, 2)
    assert weights.checkpoint_sha256 == metadata_of(path)["sha256"]
    assert weights.config.optimizer.learning_rate == 0.02
    assert weights.config.metrics.extractor == "mobilenetv2"
    assert weights.config.runtime.precision == "float32"
    assert "secret" not in json.dumps(metadata_of(FILE))


def test_the_weights_of_the_repository_fit_the_presets_and_their_card():
    path = REPOSITORY / "weights/flowers-64.safetensors"
    weights, contents = read_weights(path), path.read_bytes()
    assert len(contents) == pytest.approx(4.5e6, abs=0.05e6)  # as README says
    card = path.with_name(path.name + ".md").read_text(encoding="utf-8")
    assert hashlib.sha256(contents).hexdigest() in card
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    own = f"{weights.iteration:,} of the run {weights.config.run.name}"
    assert own in " ".join(card.split())
    (in_all,) = re.findall(r"# flowers-64 at (\S+) iterations", card)
    assert f"repository (4.5 MB): {in_all} iterations" in readme
    assert f"--from {path.relative_to(REPOSITORY)}" in card
    (distance,) = re.findall(r"\| kd_mobilenetv2 \| (\S+) \|", card)
    assert f"kd_mobilenetv2 {float(distance):.2f}" in readme
    for preset in ("few-64", "flowers-64"):
        config = load_config(REPOSITORY / f"configs/{preset}.yaml")
        assert config.model == weights.config.model
        assert config.data.image_size == weights.config.data.image_size


def test_the_card_has_what_a_stranger_needs(here):
    text = pathlib.Path(f"{FILE}.md").read_text()
    header = yaml.safe_load(text.split("---")[1])
    assert header["license"] == "other" and header["library_name"] == "keras"
    assert "whose they are, and under\nwhich licence" in text
    assert "2 iterations with a batch of 4: 8 photographs shown" in text
    assert "Started from nothing" in text and "Trained on from" not in text
    assert "learning_rate: 0.02" in text and "secret" not in text
    assert hashlib.sha256(pathlib.Path(FILE).read_bytes()).hexdigest() in text
    (path,) = RunFolder(RUN).samples.glob("card-*.json")
    card = json.loads(path.read_text())
    values = [card[part]["fd_random"] for part in ("metrics", "floor")]
    assert f"| fd_random | {values[0]:.4g} | {values[1]:.4g} | lower |" in text


@pytest.mark.parametrize(
    "data, licence, word",
    [
        ({"source": "tfds"}, "other", "Nilsback"),
        ({"source": "tfds", "name": "oxford_flowers102:2.1.1"}, "other", "Nilsback"),
        ({"source": "tfds", "name": "cars196"}, "other", "catalogue"),
        ({"source": "folder", "path": "x"}, "other", "whose they"),
        ({"source": "drawn"}, "mit", "draws itself"),
    ],
)
def test_the_card_names_the_licence_of_the_photographs(data, licence, word):
    config = Config(run={"name": "a"}, data=data)
    name, text = licence_of(config, "")
    assert name == licence and word in text
    name, text = licence_of(config, "flowers at 5 iterations")
    assert name == "other" and word in text and "flowers at 5" in text


def test_a_checkpoint_without_a_metric_card_is_said_not_to_be_measured(here):
    assert generate.main([RUN, "--kind", "weights", "--checkpoint", "2"]) == 0
    out = RunFolder(RUN).samples / "generated" / f"{RUN}-0000002.safetensors"
    assert read_weights(out).iteration == 2
    for path in RunFolder(RUN).samples.glob("card-*.json"):
        path.rename(path.with_suffix(".away"))
    try:
        assert generate.main([RUN, "--kind", "weights"]) == 2  # its card is there
        card = pathlib.Path(f"{out}.md")
        card.unlink()
        assert generate.main([RUN, "--kind", "weights"]) == 0
        assert "Not measured" in card.read_text()
    finally:
        for path in RunFolder(RUN).samples.glob("card-*.away"):
            path.rename(path.with_suffix(".json"))


def test_a_longer_average_takes_only_the_generators_place(here, tmp_path, capsys):
    arrays, run = arrays_at(here, 2, RUN), RunFolder(RUN)
    for name in ("runs", "samples"):
        shutil.copytree(name, tmp_path / name)
    with contextlib.chdir(tmp_path):
        asked = (RUN, "--kind", "weights", "--average", "0.5")
        assert "found:    2" in refusal(capsys, generate.main, *asked)
        changed = {
            name: np.asarray(array + 1, array.dtype) for name, array in arrays.items()
        }
        keep = Retention(keep_last=9, keep_every_iterations=1)
        write_checkpoint(run.checkpoints, 1, changed, keep)
        assert generate.main(list(asked)) == 0
        out = run.samples / "generated" / f"{RUN}-0000002-average-0.5.safetensors"
        weights, card = read_weights(out), pathlib.Path(f"{out}.md").read_text()
    for name, array in weights.arrays.items():
        share = 0.2 if name.startswith("ema_generator/") else 0  # 1 / 4 beside 1
        np.testing.assert_allclose(array, arrays[name] + share, rtol=0, atol=2e-3)
    assert "2 checkpoints from 1 to 2 iterations" in weights.average
    assert f"averaging {weights.average}" in capsys.readouterr().out
    assert weights.checkpoint_sha256 != read_weights(here / FILE).checkpoint_sha256
    assert weights.average in " ".join(card.split())
    assert "Not measured" in card  # the run's metric card is of its own average
    assert read_weights(here / FILE).average == ""
    assert "longer average" not in (here / f"{FILE}.md").read_text()


def test_images_from_the_file_are_those_of_the_run(here, tmp_path):
    for name, out in ((RUN, "run.png"), (FILE, "file.png")):
        assert (
            generate.main([name, "--kind", "grid", "--out", str(tmp_path / out)]) == 0
        )
    run, file = (
        np.asarray(Image.open(tmp_path / out)).astype(int)
        for out in ("run.png", "file.png")
    )
    assert np.abs(run - file).max() <= 2
    assert run.std() > 5


def test_images_go_to_a_folder_named_like_the_file(copy):
    assert generate.main([FILE, "--kind", "grid", "--num_images", "4"]) == 0
    assert list((copy / "samples/weights/given/generated").glob("grid-0000002-*.png"))
    assert not (copy / "runs").exists()


def test_the_file_scores_as_the_run_does(here, copy):
    random = ["--extractor", "random", "--num_images", "20"]
    assert evaluate.main([FILE, *random, "--photographs", "own"]) == 0
    (path,) = (copy / "samples/weights/given").glob("card-*.json")
    found = json.loads(path.read_text())
    (path,) = (here / RunFolder(RUN).samples).glob("card-*.json")
    expected = json.loads(path.read_text())
    assert found["run"] == RUN
    assert found["checkpoint_sha256"] == expected["checkpoint_sha256"]
    for name, value in expected["metrics"].items():
        assert found["metrics"][name] == pytest.approx(value, rel=0.02, abs=1e-3), name
    assert not (copy / "samples/weights/given/index.html").exists()


def test_a_run_starts_from_the_file_and_continues_by_the_same_command(copy, capsys):
    weights = read_weights(copy / FILE)
    start = ("--from", FILE, "--set", "run.name=mine", "--set", "data.path=own")
    with eagerly():
        assert train_here(*start, "--set", "training.total_iterations=1") == 0
        said = capsys.readouterr().out
        assert train_here(*start) == 0
    assert f"starts from {RUN} at iteration 2" in said
    for network in ("generator", "discriminator"):
        assert f"fresh moments of the {network}" in said
    parent = read_origin(RunFolder("mine")).parent
    assert parent == ParentOfRun(requested=FILE, run=RUN, iteration=2)
    # One Adam step of 0.02 away, and not a new network's.
    first = arrays_at(copy, 1, "mine")
    for field, network in (("generator", "ema_generator"), ("discriminator",) * 2):
        for name, array in weights.arrays.items():
            if name.startswith(f"{network}/"):
                own = first[name.replace(network, field, 1)]
                assert np.abs(own - array).max() <= 0.021, name
    assert arrays_at(copy, 2, "mine")["iteration"] == 2
    for other in (f"./{FILE}", str(copy / FILE)):
        assert train_here("--from", other, *start[2:]) == 0


def test_each_command_says_that_a_file_holds_a_longer_average(copy, capsys):
    average, longer = "9 checkpoints from 1 to 2 iterations", "longer.safetensors"
    weights = dataclasses.replace(read_weights(copy / FILE), average=average)
    (copy / longer).write_bytes(weights_bytes(weights))
    assert generate.main([longer, "--kind", "grid", "--num_images", "4"]) == 0
    said = f"{longer}: checkpoint 2, the averaged generator, a longer average\n"
    assert said in capsys.readouterr().out
    assert generate.main([longer, "--kind", "page", "--out", "longer.html"]) == 0
    text = pathlib.Path("longer.html").read_text()
    assert "Iteration <strong>2</strong>, a longer average<" in text
    assert f"a longer average ({average}), its weights" in text
    assert generate.main([longer, "--kind", "onnx", "--out", "longer.onnx"]) == 0
    about = {p.key: p.value for p in onnx.load("longer.onnx").metadata_props}
    assert about["average"] == average
    random = ("--extractor", "random", "--num_images", "20", "--photographs", "own")
    assert evaluate.main([longer, *random]) == 0
    folder = copy / "samples/weights/longer"
    (path,) = folder.glob("card-*.json")
    assert path.name == "card-0000002-random-20-average.json"
    assert json.loads(path.read_text())["average"] == average
    head = path.with_suffix(".md").read_text()
    assert head.startswith(f"# {RUN} at 2 iterations, a longer average, measured")
    assert f"| metric | {RUN} at 2, a longer average | floor |" in head
    assert f"| metric | {RUN} at 2, a longer average |" in capsys.readouterr().out
    (card,), _ = read_cards(folder)
    assert card["is_longer_average"]
    with eagerly():
        own = ("run.name=mine", "data.path=own", "training.total_iterations=1")
        sets = [word for one in own for word in ("--set", one)]
        assert train_here("--from", longer, *sets) == 0
    said = f"starts from {RUN} at iteration 2, a longer average: "
    assert said in capsys.readouterr().out
    mine = RunFolder("mine")
    parent = ParentOfRun(requested=longer, run=RUN, iteration=2, average=average)
    assert read_origin(mine).parent == parent
    page = (mine.samples / "index.html").read_text()
    assert f"{RUN} at 2, a longer average" in page
    assert generate.main(["mine", "--kind", "weights", "--out", "own.safetensors"]) == 0
    card = pathlib.Path("own.safetensors.md").read_text()
    said = f"Started from {RUN} at 2 iterations, a longer average."
    assert said in " ".join(card.split())


def test_another_file_cannot_continue_a_run(copy, capsys):
    start = ("--set", "run.name=mine", "--set", "data.path=own")
    with eagerly():
        train_here("--from", FILE, *start, "--set", "training.total_iterations=1")
    capsys.readouterr()
    assert train_here("--from", "other.safetensors", *start) == 2
    assert f"started from {FILE}" in capsys.readouterr().err


def test_what_is_no_weights_file_is_said(here, copy, capsys):
    checkpoint = here / checkpoint_path(RunFolder(RUN).checkpoints, 2)
    foreign = copy / "foreign.safetensors"
    safetensors.numpy.save_file({"a": np.zeros(3)}, foreign)
    cases = {
        copy / "none.safetensors": "no such file",
        checkpoint: "a checkpoint; name its run instead",
        foreign: "format 'unknown'",
    }
    for path, expected in cases.items():
        assert expected in refusal(capsys, generate.main, path)
        assert expected in refusal(capsys, evaluate.main, path)
        assert train_here("--from", str(path)) == 2
        assert expected in capsys.readouterr().err


@pytest.mark.parametrize("damage", ["cut", "changed", "metadata", "config"])
def test_a_damaged_file_is_refused(copy, capsys, damage):
    path, text = copy / FILE, (copy / FILE).read_bytes()
    if damage == "cut":
        path.write_bytes(text[:-10])
    elif damage == "changed":
        path.write_bytes(text[:-10] + bytes(10))
    else:
        metadata, arrays = metadata_of(path), safetensors.numpy.load_file(path)
        if damage == "metadata":
            del metadata["run"]
        else:
            metadata["config"] = metadata["config"].replace("batch_size: 4", "batch: 4")
        safetensors.numpy.save_file(arrays, path, metadata)
    expected = {
        "cut": "cannot be read",
        "changed": "checksum does not match",
        "metadata": "damaged weights file ('run')",
        "config": "training.batch: unknown key",
    }
    assert expected[damage] in refusal(capsys, generate.main, FILE)


def test_mistakes_with_a_file_are_said(copy, capsys):
    def said(main, *arguments):
        return refusal(capsys, main, FILE, *arguments)

    assert "holds one only" in said(generate.main, "--checkpoint", "5")
    assert "is a weights file already" in said(generate.main, "--kind", "weights")
    assert "a weights file has no grids" in said(generate.main, "--kind", "timelapse")
    random = ("--extractor", "random")
    assert "which a weights file does not name" in said(evaluate.main, *random)
    assert "no such folder" in said(evaluate.main, *random, "--photographs", "gone")
    other = copy / "another"
    other.mkdir()
    Image.new("RGB", (40, 40)).save(other / "a.png")
    found = said(evaluate.main, *random, "--photographs", other)
    assert "not those it was trained on" in found


def test_a_folder_without_the_data_set_is_refused_before_any_download(tmp_path):
    chosen = Chosen(RunFolder("a"), Config(run={"name": "a"}), 1, "x", {})
    options = {"extractor": "random", "weights": None, "resize": "clean", "seed": 0}
    options |= {"num_images": 20, "out": None, "photographs": str(tmp_path)}
    options |= {"per_class": None}
    with pytest.raises(Problem, match="TFDS data sets with oxford_flowers102 in it"):
        checked_options(chosen, **options)
    (tmp_path / "oxford_flowers102").mkdir()
    assert checked_options(chosen, **options).photographs == str(tmp_path)


def test_weights_that_float16_cannot_hold_are_refused():
    config = Config(run={"name": "large"})
    arrays = {"discriminator/000-a": np.float32([1, 7e4])}
    weights = Weights("large", 3, config, "", "x", 1, "y", arrays)
    with pytest.raises(Problem, match="that float16 cannot hold"):
        weights_bytes(weights)


@pytest.mark.parametrize("source", ["tfds", "drawn"])
def test_a_path_of_a_source_that_is_not_used_is_no_part_of_the_file(source):
    config = Config(
        run={"name": "a"},
        data={"source": source, "path": "/home/jane", "data_dir": "/home/jane"},
    )
    assert "jane" not in resolved_yaml(public_config(config))


def test_a_card_that_somebody_completed_is_not_overwritten(here, tmp_path, capsys):
    out = tmp_path / "a.safetensors"
    card = tmp_path / "a.safetensors.md"
    card.write_text("Mine.")
    message = refusal(capsys, generate.main, RUN, "--kind", "weights", "--out", out)
    assert "there is a model card already" in message
    assert card.read_text() == "Mine." and not out.exists()


def test_the_card_survives_odd_records_and_names_the_parent(here, tmp_path):
    """As older versions, or editors, left them."""
    shutil.copytree("runs", tmp_path / "runs")
    shutil.copytree("samples", tmp_path / "samples")
    run = RunFolder(RUN)
    with contextlib.chdir(tmp_path):
        origin = json.loads(run.origin.read_text())
        del origin["num_images"]
        origin["parent"] = {"requested": "x@5", "run": "x", "iteration": 5}
        run.origin.write_text(json.dumps(origin))
        sessions = json.loads(run.sessions.read_text())
        whole = sessions[0] | {"seconds": 7200, "last_iteration": 4}
        broken = sessions[0] | {"seconds": None}
        run.sessions.write_text(json.dumps([whole, broken]))
        (path,) = run.samples.glob("card-*.json")
        card = json.loads(path.read_text())
        del card["num_fake"]
        path.write_text(json.dumps(card))
        other = run.samples / "card-other.json"
        other.write_text(json.dumps(card | {"checkpoint_sha256": "another"}))
        assert generate.main([RUN, "--kind", "weights", "--out", "b" + FILE]) == 0
        text = pathlib.Path(f"b{FILE}.md").read_text()
    assert "1.0 hours" in text  # half of the session came after the checkpoint
    assert "Started from x at 5 iterations" in text
    assert "the licence of their photographs holds too" in " ".join(text.split())
    assert text.count("| fd_random |") == 1  # not of another checkpoint's card


def test_files_of_other_versions_and_types_are_told_apart(copy, capsys):
    path = copy / FILE
    metadata, arrays = metadata_of(path), safetensors.numpy.load_file(path)
    older = {name: value for name, value in metadata.items() if name != "average"}
    safetensors.numpy.save_file(arrays, path, older)
    assert read_weights(path).average == ""
    newer = metadata | {"format": "magnetosphere weights 2"}
    safetensors.numpy.save_file(arrays, path, newer)
    assert "written by a newer version" in refusal(capsys, generate.main, FILE)
    unknown = metadata | {"config": metadata["config"].replace("gamma:", "delta:")}
    safetensors.numpy.save_file(arrays, path, unknown)
    assert "another version of this program" in refusal(capsys, generate.main, FILE)
    tensor = {"dtype": "BF16", "shape": [1], "data_offsets": [0, 2]}
    header = json.dumps({"a": tensor}).encode()
    (copy / "b.safetensors").write_bytes(
        len(header).to_bytes(8, "little") + header + bytes(2)
    )
    message = refusal(capsys, generate.main, "b.safetensors")
    assert "not a weights file" in message


def test_a_name_of_a_file_may_be_written_in_capitals_or_with_a_tilde(copy, capsys):
    (copy / FILE).rename(copy / "A.SAFETENSORS")
    assert generate.main(["A.SAFETENSORS", "--kind", "grid", "--num_images", "2"]) == 0
    message = refusal(capsys, generate.main, "~nobody-here/a.safetensors")
    assert "no such file" in message


def test_a_run_of_such_a_name_is_still_a_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert weights_path("a.safetensors") == pathlib.Path("a.safetensors")
    (tmp_path / "runs" / "a.safetensors").mkdir(parents=True)
    assert weights_path("a.safetensors") is weights_path("runs/a.safetensors") is None
