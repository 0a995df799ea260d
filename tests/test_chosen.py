"""Tests how a command finds a run and a checkpoint, and what it says if it cannot."""

import pathlib

import numpy as np
import pytest

from commands.chosen import choose_checkpoint, find_run
from files.atomic import write_text
from records.checkpoint import Retention, write_checkpoint
from records.run_folder import RunFolder
from settings.config import Config
from settings.config_file import resolved_yaml
from settings.messages import Problem

RUN = "tiny.1"


def make_run(name, *iterations):
    """Writes a run whose checkpoints hold next to nothing."""
    run, keep = RunFolder(name), Retention(keep_last=9, keep_every_iterations=9)
    write_text(run.config, resolved_yaml(Config(run={"name": name})))
    for iteration in iterations:
        arrays = {"ema_generator/000-kernel": np.full(3, iteration, np.float32)}
        arrays["generator/000-kernel"] = np.zeros(3, np.float32)
        write_checkpoint(run.checkpoints, iteration, arrays, keep)
    return run


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Works beside two runs and returns one, with checkpoints 1 and 2."""
    monkeypatch.chdir(tmp_path)
    make_run("young")
    return make_run(RUN, 1, 2)


def refusal_of(action, *arguments):
    """Returns what an action says that the user must change."""
    with pytest.raises(Problem) as caught:
        action(*arguments)
    assert caught.value.status == 2
    return str(caught.value)


@pytest.mark.parametrize("form", ["{}", "runs/{}", "samples/{}/", "./runs/{}", "{}/"])
def test_a_run_is_found_by_its_name_and_by_its_folders(run, form):
    assert find_run(form.format(RUN)) == run
    assert find_run(str(pathlib.Path.cwd() / "samples" / RUN)) == run


@pytest.mark.parametrize(
    "name", ["other", "", ".", "..", "runs", "runs/..", "runs/other", ".hidden"]
)
def test_an_unknown_run_is_answered_with_those_there_are(run, name):
    pathlib.Path("runs/.hidden").mkdir()
    message = refusal_of(find_run, name)
    assert f"{name}: no such run under {pathlib.Path.cwd()}/runs" in message
    assert f"found:    {RUN}, young" in message


def test_where_no_run_is_it_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "found:    no run at all" in refusal_of(find_run, RUN)


def test_the_latest_or_a_numbered_checkpoint_gives_its_averaged_generator(run):
    for wanted, iteration in (("latest", 2), ("1", 1), ("0000002", 2)):
        chosen = choose_checkpoint(run, wanted)
        assert (chosen.run, chosen.iteration) == (run, iteration)
        assert chosen.config.run.name == RUN
        assert list(chosen.arrays) == ["ema_generator/000-kernel"]
        assert (chosen.arrays["ema_generator/000-kernel"] == iteration).all()


def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(run, capsys):
    path = run.checkpoints / "0000002.safetensors"
    path.write_bytes(path.read_bytes()[:-4])
    assert choose_checkpoint(run, "latest").iteration == 1
    assert capsys.readouterr().err.startswith(f"warning: {path}: cannot be read")
    message = refusal_of(choose_checkpoint, run, "2")
    assert message.startswith(f"{path}: cannot be read")


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("best", "no checkpoint has a metric/kid yet"),
        ("3", "0000003.safetensors: no such checkpoint\n  found:    1, 2"),
        ("newest", "expected: latest, best, or a number of iterations"),
        ("-1", "found:    1, 2"),
    ],
)
def test_a_checkpoint_that_is_not_there_is_refused(run, wanted, expected):
    assert expected in refusal_of(choose_checkpoint, run, wanted)


def test_a_run_without_checkpoints_says_when_there_will_be_one(run):
    message = refusal_of(choose_checkpoint, find_run("young"), "latest")
    assert "runs/young/checkpoints: no checkpoint yet" in message
    assert "training.checkpoint_every_iterations" in message
