"""Tests what a run's page is given, from the files of a run."""

import dataclasses
import json
import pathlib

import pytest
from tiny_run import NAME, eagerly, train_here, write_config

from records.live import last_live
from records.page import (
    duration_text,
    flat,
    preset_differences,
    spikes_of,
    standing,
    write_pages,
)
from records.run_folder import RunFolder
from records.sessions import read_sessions
from settings.config_file import load_config, load_stored_config


@pytest.fixture(scope="module")
def trained_folder(tmp_path_factory):
    """Returns a working directory in which a tiny run was trained twice for two."""
    folder = tmp_path_factory.mktemp("page")
    write_config(folder, augment={"probability": 0.1})
    with pytest.MonkeyPatch.context() as patch, eagerly():
        patch.chdir(folder)
        assert train_here("--set", "training.total_iterations=2") == 0
        assert train_here("--set", "training.keep_last=1") == 0
    return folder


@pytest.fixture
def run(trained_folder, monkeypatch):
    monkeypatch.chdir(trained_folder)
    return RunFolder(NAME)


def test_training_leaves_both_pages(run):
    page = (run.samples / "index.html").read_text(encoding="utf-8")
    for text in ("reals.png", "keep_last", "0000004.safetensors", " core"):
        assert text in page
    summary = json.loads((run.samples / "summary.json").read_text())
    assert summary["iteration"] == 4
    index = pathlib.Path("samples/index.html").read_text(encoding="utf-8")
    assert f"{NAME}/index.html" in index


def test_each_session_is_noted(run):
    sessions = json.loads(run.sessions.read_text())
    ranges = [(one["first_iteration"], one["last_iteration"]) for one in sessions]
    assert ranges == [(0, 2), (2, 4)]
    assert all(one["seconds"] > 0 and one["versions"]["keras"] for one in sessions)


def test_pages_can_be_written_again_without_what_an_older_version_lacked(run):
    newer = {path: path.read_text() for path in (run.sessions, run.origin)}
    run.sessions.unlink()
    origin = json.loads(newer[run.origin])
    del origin["num_images"]
    run.origin.write_text(json.dumps(origin))
    assert "grid-0000004.png" in write_pages(run).read_text(encoding="utf-8")
    for path, text in newer.items():
        path.write_text(text)


def test_differences_to_the_preset_leave_out_what_it_left_open(tmp_path):
    preset = tmp_path / "preset.yaml"
    preset.write_text("run: {name: a}\ntraining: {batch_size: 8}\n")
    sets = ["run.name=b", "runtime.precision=float32", "optimizer.clipnorm=1"]
    config = load_config(preset, sets)
    assert preset_differences(str(preset), config) == [
        ("run.name", "a", "b"),
        ("optimizer.clipnorm", "null", "1.0"),
    ]


def test_nobody_knows_how_a_run_differs_from_a_preset_that_is_gone(tmp_path):
    config = write_config(tmp_path)
    assert preset_differences(str(tmp_path / "gone.yaml"), config) is None


def test_a_recovery_is_told_with_its_spike():
    spike = {"iteration": 5, "network": "generator", "loss_before": 1.0}
    back = {"network": "generator", "recovered_from": 5, "after_iterations": 9}
    other = spike | {"network": "discriminator"}
    assert spikes_of([spike, other, back | {"iteration": 14}]) == [
        spike | {"recovered_after": 9},
        other | {"recovered_after": None},
    ]


def test_nested_keys_become_dotted_ones():
    assert flat({"a": {"b": {"c": 1}, "d": []}, "e": {}}) == {
        "a.b.c": 1,
        "a.d": [],
        "e": {},
    }


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(12.4, "12 s"), (60, "1 min"), (3599, "1 h 00 min"), (7500, "2 h 05 min")],
)
def test_durations_are_written_as_people_say_them(seconds, text):
    assert duration_text(seconds) == text


def test_a_page_says_that_training_ended_and_what_a_moved_run_cannot(run):
    live = last_live(run)
    assert live.state == "finished" and live.command.endswith("runs/tiny/config.yaml")
    config, session = load_stored_config(run.config), read_sessions(run.sessions)[-1]
    moved = RunFolder(f"{NAME}.before-20261128-053247")
    moved.samples.mkdir(parents=True)
    training = dataclasses.replace(live, state="training")
    told = standing(moved, config, session, training)
    assert (told.state, told.command) == ("stopped", None)
    assert '"stopped"' in (moved.samples / "live.js").read_text()
    assert standing(run, config, session, training) == training
    assert standing(run, config, session, None).state == "finished"
