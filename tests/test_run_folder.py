"""The folders of a run: one writer, nothing lost when moved, small files whole."""

import datetime
import errno
import fcntl
import os
import pathlib
import signal
import stat
import subprocess
import sys

import pytest

import records.run_folder
from files.atomic import write_text
from records.checkpoint import checkpoint_path
from records.origin import read_origin
from records.run_folder import (
    RunFolder,
    move_aside,
    only_writer,
)
from settings.messages import Problem

HOLDER = """
import time
from records.run_folder import RunFolder, only_writer
with only_writer(RunFolder("flowers")):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def working_directory(tmp_path, monkeypatch):
    """Puts runs/ and samples/ of every test under a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def still_clock(monkeypatch):
    """Lets all folders be moved aside within the same second."""

    class Clock(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2026, 1, 2, 3, 4, 5)

    monkeypatch.setattr(records.run_folder.datetime, "datetime", Clock)


def make_run(name, text):
    """Writes a run with a checkpoint and a grid that hold `text`."""
    run = RunFolder(name)
    write_text(run.config, text)
    write_text(run.samples / "grid.png", text)
    write_text(checkpoint_path(run.checkpoints, 3), text)
    return run


def tree(folder="."):
    """Returns the text of every file below a folder."""
    paths = pathlib.Path(folder).rglob("*")
    return {str(path): path.read_text() for path in paths if path.is_file()}


def test_a_run_has_a_folder_for_people_and_one_for_the_program():
    run = RunFolder("flowers")
    assert run.root == pathlib.Path("runs/flowers")
    assert run.samples == pathlib.Path("samples/flowers")
    assert run.config == run.root / "config.yaml"
    assert run.checkpoints == run.root / "checkpoints"
    assert run.iterations() == []
    make_run("flowers", "x")
    assert run.iterations() == [3]


def test_a_second_writer_is_refused_until_the_first_has_gone():
    run = RunFolder("flowers")
    with only_writer(run):
        with pytest.raises(Problem) as caught, only_writer(run):
            pass
        with only_writer(RunFolder("other")):
            pass
    assert caught.value.status == 2
    assert "runs/flowers: another process is training this run" in str(caught.value)
    with only_writer(run):
        pass


def test_the_lock_ends_with_its_process_even_killed():
    run = RunFolder("flowers")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", HOLDER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(Problem), only_writer(run):
            pass
        process.send_signal(signal.SIGKILL)
    with only_writer(run):
        pass


def test_a_second_writer_is_refused_even_where_the_lock_file_was_removed():
    run = make_run("flowers", "old")
    lock = pathlib.Path("runs/.flowers.lock")
    with only_writer(run):
        lock.unlink()
        with pytest.raises(Problem, match="another process"), only_writer(run):
            pass
        lock.unlink()
        with pytest.raises(Problem, match="another process"), only_writer(run):
            pass
    with only_writer(run):
        pass


def test_a_run_that_gets_its_folder_later_is_held_from_then_on():
    run = RunFolder("flowers")
    with only_writer(run) as writer:
        writer.make_folder()
        move_aside(run)
        writer.make_folder()
        writer.make_folder()
        pathlib.Path("runs/.flowers.lock").unlink()
        with pytest.raises(Problem, match="another process"), only_writer(run):
            pass


def test_a_file_system_without_locks_of_folders_is_no_error(monkeypatch):
    flock = fcntl.flock

    def without_folders(descriptor, operation):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EBADF, "no locks here")
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", without_folders)
    with only_writer(make_run("flowers", "old")) as writer:
        writer.make_folder()


def test_a_folder_that_another_process_made_since_is_not_taken():
    with only_writer(RunFolder("flowers")) as writer:
        pathlib.Path("runs/.flowers.lock").unlink()
        run = make_run("flowers", "of another")
        for action in (writer.check_folder, writer.make_folder):
            with pytest.raises(Problem, match="another process"):
                action()
    with only_writer(run) as writer:
        writer.check_folder()


def test_the_lock_holds_while_the_run_is_moved_aside():
    run = make_run("flowers", "old")
    with only_writer(run):
        move_aside(run)
        with pytest.raises(Problem), only_writer(run):
            pass


def test_moving_aside_deletes_nothing_and_frees_the_name(still_clock):
    for text in ("first", "second", "third"):
        moved = move_aside(make_run("flowers", text))
        assert moved.name.startswith("flowers.before-20260102-030405")
    assert not RunFolder("flowers").root.exists()
    assert not RunFolder("flowers").samples.exists()
    places = {
        "first": "flowers.before-20260102-030405",
        "second": "flowers.before-20260102-030405-2",
        "third": "flowers.before-20260102-030405-3",
    }
    files = (
        "runs/{}/config.yaml",
        "runs/{}/checkpoints/0000003.safetensors",
        "samples/{}/grid.png",
    )
    assert tree() == {
        file.format(place): text for text, place in places.items() for file in files
    }


def test_a_run_moved_aside_is_a_run_that_another_can_start_from(still_clock):
    move_aside(make_run("flowers", "old"))
    assert RunFolder("flowers.before-20260102-030405").iterations() == [3]


def test_moving_aside_what_is_not_there_does_nothing():
    assert move_aside(RunFolder("flowers")) is None
    assert tree() == {}


@pytest.mark.parametrize("text", [None, "", '{"parent": nu'])
def test_an_origin_that_cannot_be_read_says_what_can_be_done(text):
    run = make_run("flowers", "x")
    if text is not None:
        write_text(run.origin, text)
    with pytest.raises(Problem) as caught:
        read_origin(run)
    assert caught.value.status == 2
    assert "runs/flowers/origin.json: cannot be read" in str(caught.value)
    assert "--fresh" in str(caught.value)
