"""A cache that changes under a run ends it with a message, and the run continues."""

import contextlib
import os
import subprocess
import time

import pytest
from tiny_run import (
    NAME,
    assert_same_run,
    checkpoints_in,
    command,
    eagerly,
    train_here,
    train_in,
    train_in_process,
    user_environment,
    write_config,
)

from records.run_folder import RunFolder
from training.output import Output

TRAINING = {"total_iterations": 6, "checkpoint_every_iterations": 2}


def cut(path):
    os.truncate(path, path.stat().st_size // 2)


def overwrite(path):
    """Blackens all images in place."""
    size = path.stat().st_size
    with open(path, "r+b") as file:
        file.seek(128)
        file.write(bytes(size - 128))


def replace(path):
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    overwrite(other)
    other.replace(path)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    folder = tmp_path_factory.mktemp("unbroken")
    train_in(folder, training=TRAINING)
    return folder


@pytest.mark.parametrize(
    "change",
    [
        overwrite,  # tests/test_cached_images.py has the others, without training
        pytest.param(cut, marks=pytest.mark.slow),
        pytest.param(replace, marks=pytest.mark.slow),
    ],
)
def test_a_run_whose_cache_changes_stops_with_2_and_continues_as_the_unbroken_one(
    change, unbroken, tmp_path, monkeypatch, capsys
):
    def save_and_change(output, *arguments):
        save(output, *arguments)
        if not changed:
            changed.extend(tmp_path.glob("cache/*.npy"))
            change(changed[0])

    changed, save = [], Output.save
    monkeypatch.setattr(Output, "save", save_and_change)
    write_config(tmp_path, training=TRAINING)
    with contextlib.chdir(tmp_path), eagerly():
        assert train_here() == 2
        told = capsys.readouterr().err
        assert "has changed while it was in use" in told
        assert f"file:       cache/{changed[0].name}" in told
        assert checkpoints_in(tmp_path) == [2]
        live = (RunFolder(NAME).samples / "live.js").read_text()
        assert "has changed while it was in use" in live
        assert train_here() == 0
    assert_same_run(tmp_path, unbroken, 6)


@pytest.mark.slow
def test_a_run_whose_cache_is_deleted_goes_on(unbroken, tmp_path, monkeypatch):
    def save_and_delete(output, *arguments):
        save(output, *arguments)
        for path in tmp_path.glob("cache/*.npy"):
            path.unlink()

    save = Output.save
    monkeypatch.setattr(Output, "save", save_and_delete)
    train_in(tmp_path, training=TRAINING)
    assert_same_run(tmp_path, unbroken, 6)


@pytest.mark.slow  # three starts of a real process
def test_a_real_process_says_so_in_place_of_dying_of_a_signal(tmp_path):
    config = {"total_iterations": 100_000, "checkpoint_every_iterations": 20}
    write_config(tmp_path, training=config)
    for change in (cut, overwrite):
        before = max(checkpoints_in(tmp_path), default=0)
        with subprocess.Popen(
            command(),
            cwd=tmp_path,
            env=user_environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            while max(checkpoints_in(tmp_path), default=0) <= before:
                assert process.poll() is None, process.communicate()
                time.sleep(0.05)
            (path,) = tmp_path.glob("cache/*.npy")
            change(path)
            told = process.communicate()[1]
        assert process.returncode == 2
        assert "has changed while it was in use" in told and str(path.name) in told
        assert "Traceback" not in told
    kept = max(checkpoints_in(tmp_path))
    ended = train_in_process(tmp_path, "--set", f"training.total_iterations={kept + 3}")
    assert ended.returncode == 0, ended.stderr
    assert max(checkpoints_in(tmp_path)) == kept + 3
