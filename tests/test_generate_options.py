"""Tests that generate.py finds mistakes early and says them in words."""

import os
import pathlib
import subprocess
import sys

import pytest
from tiny_run import empty_run

import generate
from commands.generate_options import PROJECT, TAKERS, checked_options

REPOSITORY = pathlib.Path(generate.__file__).parent
RUN = "tiny.1"


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Works beside a run with a checkpoint that holds nothing, a file and a folder."""
    monkeypatch.chdir(tmp_path)
    run = empty_run(RUN, 2)
    pathlib.Path("a.file").touch()
    pathlib.Path("a.folder").mkdir()
    return run


def refused(capsys, *arguments):
    """Returns what a call with something to change says."""
    assert generate.main(list(map(str, arguments))) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err


MISTAKES = [
    ("--num_images 0", "--num_images\n  expected: a whole number from 1 to"),
    ("--num_images 100001", "to 100000\n  found:    100001"),
    ("--kind walk --num_images 1", "--num_images\n  expected: a whole number from 2"),
    ("--seed -1", "--seed\n  expected: a whole number from 0"),
    ("--truncation 0", "--truncation\n  expected: a number above 0\n  found:    0.0"),
    ("--truncation -1", "found:    -1.0"),
    ("--truncation nan", "found:    nan"),
    ("--truncation inf", "found:    inf"),
    ("--kind timelapse --frames 1", "--frames\n  expected: a whole number, 2 or more"),
    ("--kind walk --frames -1", "--frames\n  expected: a whole number, 0 or more"),
    (
        "--kind walk --frames_per_second 0",
        "--frames_per_second\n  expected: a number from 0.1",
    ),
    ("--kind walk --frames_per_second 60 --out a.gif", "from 0.1 to 50\n"),
    ("--kind grid --out a.jpg", "ending in .png\n  found:    .jpg"),
    ("--kind keras --out a", "ending in .keras\n  found:    none"),
    ("--kind walk --out a.avi", "ending in .webp, .gif or .mp4\n  found:    .avi"),
    ("--out a.file", "expected: a folder for the images\n  found:    a file"),
    ("--out a.file/images", "expected: a place to write to\n  found:    a.file/images"),
    ("--kind grid --out a.file/a.png", "expected: a place to write to"),
    (
        "--kind grid --out a.folder",
        "expected: the name of a file\n  found:    a folder",
    ),
    ("--kind grid --num_images 99999 --seeds 1,2", "expected: without --num_images"),
    ("--kind walk --seeds 3", "--seeds\n  expected: two or more for a walk"),
    ("--kind walk --seeds 3,1 --walks 4", "--seeds\n  expected: without --walks"),
    ("--kind walk --num_images 99999", "expected: at most 2730 frames of 512 px"),
    ("--kind walk --frames 400000", "--frames\n  expected: at most 2730 frames"),
    ("--kind walk --walks 65", "--walks\n  expected: 1 to 64\n  found:    65"),
    ("--kind grid --walks 2", "--walks\n  expected: with --kind walk\n"),
    ("--kind keras --seeds 1", "with --kind images, grid, walk, truncation or classes"),
    ("--kind grid --seeds 1,-2", "--seeds\n  expected: from 0 to"),
    ("--kind grid --seeds 1,2 --num_images 2", "expected: without --num_images"),
    ("--kind walk --seeds 1,2 --walks 1", "expected: without --walks"),
    ("--kind grid --seeds 1,2 --seed 3", "--seeds\n  expected: without --seed"),
    ("--kind truncation --truncation 1", "walk, classes, keras, onnx or page\n"),
    ("--kind timelapse --seed 1", "--seed\n  expected: with --kind images, "),
    ("--kind weights --seed 0", "found:    --kind weights"),
    (
        "--kind weights --average 0",
        "--average\n  expected: a finite number",
    ),
    ("--kind weights --average inf", "expected: a finite number of iterations above"),
    ("--kind weights --average nan", "expected: a finite number of iterations above"),
    ("--kind grid --average 9", "--average\n  expected: with --kind weights\n"),
    ("--kind share --truncation 1", "--truncation\n  expected: with --kind images"),
    ("--kind page --num_images 8", "--num_images\n  expected: with --kind images"),
    ("--kind grid --frames 23", "--frames\n  expected: with --kind walk or timelapse"),
    ("--kind grid --frames_per_second 24", "with --kind walk or timelapse\n"),
]


@pytest.mark.parametrize(("options", "expected"), MISTAKES)
def test_a_mistake_is_answered_in_words(run, capsys, options, expected):
    assert expected in refused(capsys, RUN, *options.split())


ONCE = [
    "--kind grid --walks 0",
    "--kind weights --num_images 0",
    "--kind truncation --truncation -1",
    "--kind timelapse --seed -1",
    "--kind page --seeds 1,-2",
    "--kind grid --seeds 1,2 --walks 4",
    "--kind grid --weights none",
    "--kind share --class rose",
    "--kind share --checkpoint 1",
]


@pytest.mark.parametrize("options", ONCE)
def test_an_option_that_says_nothing_to_a_kind_is_only_told_that(run, capsys, options):
    message = refused(capsys, RUN, *options.split())
    assert message.count("expected:") == 1
    assert "expected: with --kind " in message


def test_an_option_is_taken_by_the_kinds_that_say_so(tmp_path):
    values = {"seeds": (1, 2), "class": ["rose"], "weights": tmp_path / "weights"}
    values["weights"].touch()
    for name, kinds in TAKERS.items():
        given = {"class_names" if name == "class" else name: values.get(name, 2)}
        for kind in kinds:
            needed = {"image": tmp_path} if kind == PROJECT else {}
            assert checked_options(kind=kind, **needed | given).kind == kind


def test_all_mistakes_are_told_at_once(run, capsys):
    message = refused(capsys, RUN, *"--num_images 0 --seed -1 --truncation 0".split())
    for option in ("--num_images\n", "--seed\n", "--truncation\n"):
        assert option in message


def test_mistakes_are_found_before_tensorflow_is_imported(run):
    mistakes = [[RUN, *options.split()] for options, _ in MISTAKES]
    mistakes += [["other"], [RUN, "--checkpoint", "best"], [RUN, "--checkpoint", "3"]]
    program = (
        "import sys, generate\n"
        f"statuses = {{generate.main(mistake) for mistake in {mistakes}}}\n"
        "slow = {'tensorflow', 'keras'} & set(sys.modules)\n"
        "sys.exit(f'{statuses} {slow}' if slow or statuses != {2} else 0)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY), "PATH": ""},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == ""
    assert "Traceback" not in ended.stderr


TAKEN = [
    ("--kind grid", "taken.png"),
    ("--kind walk", "taken.mp4"),
    ("--kind keras", "taken.keras"),
    ("--kind share", "taken.html"),
    ("--kind weights", "taken.safetensors"),
]


@pytest.mark.parametrize(("kind", "name"), TAKEN)
def test_a_file_is_written_over_only_by_force(run, capsys, kind, name):
    out = pathlib.Path(name)
    out.write_text("mine")
    command = [RUN, *kind.split(), "--out", name]
    message = refused(capsys, *command)
    expected = "expected: nothing there yet, or --force"
    assert message.startswith(f"--out {name}\n  {expected}")
    assert f"found:    {name}" in message
    assert out.read_text() == "mine"
    assert "--out" not in refused(capsys, *command, "--force", "--seed", -1)
    assert "--out" not in refused(capsys, *kind.split(), RUN, "--seed", -1)


def test_images_join_other_files_of_a_folder_but_not_other_images(run, capsys):
    command = [RUN, "--out", "a.folder", "--seed", -1]
    pathlib.Path("a.folder/notes.txt").touch()
    assert "--out" not in refused(capsys, *command)
    pathlib.Path("a.folder/image-00003.png").touch()
    assert "found:    a.folder/image-00003.png" in refused(capsys, *command)
    assert "--out" not in refused(capsys, *command, "--force")


def test_force_is_for_a_place_that_was_named(run, capsys):
    assert "--force\n  expected: with --out" in refused(capsys, RUN, "--force")
