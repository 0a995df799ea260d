"""How a run starts: anew, from its own newest whole checkpoint, or from another's."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from commands.start import find_start
from files.atomic import write_text
from records.checkpoint import Retention, checkpoint_path, write_checkpoint
from records.run_folder import RunFolder
from settings.config import Config
from settings.config_file import resolved_yaml
from settings.messages import Problem

KEEP_ALL = Retention(keep_last=100, keep_every_iterations=1)
REPOSITORY = pathlib.Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def working_directory(tmp_path, monkeypatch):
    """Puts runs/ of every test under a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def said(monkeypatch):
    """Returns the lines that find_start tells people."""
    lines = []
    monkeypatch.setattr("records.find_checkpoint.say", lines.append)
    return lines


def config_of(name, **sections):
    return Config(run={"name": name}, **sections)


def make_run(name, *iterations, parent=None, **sections):
    """Writes what a run of that config leaves after so many iterations."""
    run = RunFolder(name)
    write_text(run.config, resolved_yaml(config_of(name, **sections)))
    came_from = {"requested": parent, "run": parent, "iteration": 2}
    origin = {"data_fingerprint": "f1", "parent": parent and came_from}
    write_text(run.origin, json.dumps(origin))
    for iteration in iterations:
        arrays = {"weight": np.float32([iteration])}
        write_checkpoint(run.checkpoints, iteration, arrays, KEEP_ALL)
    return run


def damage(run, iteration):
    path = checkpoint_path(run.checkpoints, iteration)
    path.write_bytes(path.read_bytes()[:-1])


def refusal(config, said, parent=None, fresh=False):
    """Returns the words with which a start is refused, which writes nothing."""
    before = tree()
    with pytest.raises(Problem) as caught:
        find_start(config, parent, fresh)
    assert caught.value.status == 2
    assert tree() == before
    return str(caught.value)


def tree():
    paths = pathlib.Path().rglob("*")
    return {path: path.read_bytes() if path.is_file() else None for path in paths}


def test_a_name_without_a_checkpoint_starts_anew(said):
    start = find_start(config_of("flowers"), None, False)
    assert (start.iteration, start.arrays, start.parent) == (0, None, None)
    assert start.run == RunFolder("flowers")
    assert not start.moves_aside
    make_run("flowers")  # killed before its first checkpoint
    assert find_start(config_of("flowers"), None, False) == start
    assert said == []


@pytest.mark.parametrize("trace", ["rows", "grid"])
def test_what_a_run_left_before_its_first_checkpoint_is_moved_aside(said, trace):
    run = make_run("flowers")
    if trace == "rows":
        write_text(run.root / "scalars.jsonl", '{"iteration": 1}\n')
    else:
        write_text(run.samples / "grid-0000001.png", "")
    assert find_start(config_of("flowers"), None, False).moves_aside


def test_a_branch_killed_before_its_first_checkpoint_does_not_lose_its_parent(said):
    make_run("flowers", 2)
    make_run("branch", parent="flowers@2")
    text = refusal(config_of("branch"), said)
    assert "branch started from flowers@2 and has no checkpoint yet" in text
    assert "add --from flowers@2" in text
    assert "--fresh" in text
    again = find_start(config_of("branch"), "flowers@2", False)
    assert again.parent.iteration == 2
    assert find_start(config_of("branch"), None, True).parent is None


def test_a_run_goes_on_from_its_newest_checkpoint_with_its_own_settings(said):
    make_run("flowers", 2, 4, runtime={"precision": "bfloat16"})
    asked = config_of("flowers", training={"total_iterations": 9})
    before = tree()
    start = find_start(asked, None, False)
    assert tree() == before
    assert start.iteration == 4
    assert start.arrays == {"weight": np.float32([4])}
    assert start.origin.data_fingerprint == "f1"
    assert start.config.training.total_iterations == 9
    assert start.config.runtime.precision == "bfloat16"
    assert said == []


def test_a_damaged_checkpoint_is_named_and_the_one_before_it_used(said):
    run = make_run("flowers", 2, 4, 6)
    damage(run, 6)
    damage(run, 4)
    start = find_start(config_of("flowers"), None, False)
    assert (start.iteration, start.arrays) == (2, {"weight": np.float32([2])})
    assert len(said) == 2
    assert said[0].startswith("warning: runs/flowers/checkpoints/0000006.safetensors")
    assert said[1].startswith("warning: runs/flowers/checkpoints/0000004.safetensors")


def test_a_run_with_no_whole_checkpoint_is_refused_with_the_ways_out(said):
    run = make_run("flowers", 2, 4)
    damage(run, 2)
    damage(run, 4)
    text = refusal(config_of("flowers"), said)
    assert "runs/flowers/checkpoints: no whole checkpoint" in text
    assert "0000002.safetensors" in text
    assert "0000004.safetensors" in text
    assert "--fresh" in text


def test_a_changed_meaning_is_refused_with_both_values(said):
    make_run("flowers", 2)
    changed = config_of("flowers", optimizer={"learning_rate": 1e-3})
    text = refusal(changed, said)
    assert "run flowers, at iteration 2" in text
    assert "optimizer.learning_rate: 0.0004 in the run, 0.001 now" in text
    assert "--from flowers --set run.name=" in text
    assert "--fresh" in text


def test_fresh_starts_anew_whatever_state_the_run_is_in(said):
    run = make_run("flowers", 2)
    damage(run, 2)
    run.config.write_text("not: [a config")
    run.origin.unlink()
    start = find_start(config_of("flowers"), None, True)
    assert (start.iteration, start.arrays) == (0, None)
    assert start.moves_aside


def test_an_edited_config_of_a_run_is_refused(said):
    run = make_run("flowers", 2)
    run.config.write_text("run:\n  name: flowers\n  sed: 1\n")
    text = refusal(config_of("flowers"), said)
    assert "runs/flowers/config.yaml:3: run.sed: unknown key" in text
    assert "--fresh" in text


def test_a_new_run_starts_from_another_ones_newest_or_numbered_checkpoint(said):
    make_run("old", 2, 4, 12, data={"image_size": 32})
    for requested, iteration in (("old", 12), ("old@4", 4), ("old@0000002", 2)):
        start = find_start(config_of("new"), requested, False)
        assert (start.iteration, start.arrays, start.origin) == (0, None, None)
        assert start.config == config_of("new")
        assert (start.parent.run, start.parent.iteration) == ("old", iteration)
        assert start.parent.arrays == {"weight": np.float32([iteration])}
        assert start.parent.config.data.image_size == 32
        assert start.parent.requested == requested


def test_the_newest_checkpoint_of_a_parent_is_its_newest_whole_one(said):
    damage(make_run("old", 2, 4), 4)
    start = find_start(config_of("new"), "old", False)
    assert start.parent.iteration == 2
    assert "0000004.safetensors" in said[0]


@pytest.mark.parametrize(
    ("requested", "words"),
    [
        ("older", ["--from older: no such run", "found:    damaged, old"]),
        ("bare", ["--from bare: no such run with a checkpoint"]),
        ("old@3", ["0000003.safetensors: no such checkpoint", "found:    2, 4"]),
        ("old@best", ["--from old@best", "expected: RUN or RUN@ITERATION", "'best'"]),
        ("old@", ["--from old@", "expected: RUN or RUN@ITERATION"]),
        ("damaged@4", ["0000004.safetensors: cannot be read"]),
        ("new", ["a run cannot start from itself", "--set run.name="]),
    ],
)
def test_a_parent_that_cannot_be_is_refused_and_named(said, requested, words):
    make_run("old", 2, 4)
    (make_run("bare").checkpoints).mkdir()
    damage(make_run("damaged", 4), 4)
    RunFolder("new").checkpoints.mkdir(parents=True)
    text = refusal(config_of("new"), said, parent=requested)
    for word in words:
        assert word in text


def test_without_any_run_a_parent_is_refused(said):
    assert "no run at all" in refusal(config_of("new"), said, parent="old")


def test_the_command_that_branched_off_continues_the_branch(said):
    make_run("old", 2, 4)
    make_run("new", 3, parent="old@2")
    start = find_start(config_of("new"), "old@2", False)
    assert (start.iteration, start.parent) == (3, None)
    assert find_start(config_of("new"), None, False).iteration == 3


@pytest.mark.parametrize("came_from", [None, "old@2"])
def test_an_existing_run_does_not_start_from_another_parent(said, came_from):
    make_run("old", 2, 4)
    make_run("new", 3, parent=came_from)
    text = refusal(config_of("new"), said, parent="old@4")
    assert "--from old@4: the run new exists already" in text
    assert ("from old@2" if came_from else "anew") in text
    assert "--set run.name=" in text
    assert "--fresh" in text
    start = find_start(config_of("new"), "old@4", True)
    assert (start.parent.iteration, start.moves_aside) == (4, True)


def test_deciding_takes_no_tensorflow():
    code = "import sys, commands.start; sys.exit('tensorflow' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=True)
