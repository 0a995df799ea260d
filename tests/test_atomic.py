"""Files appear whole or not at all."""

import errno
import os
import signal
import subprocess
import sys

import pytest
from tiny_run import REPOSITORY

from files.atomic import remove_abandoned, unfinished_in, write_text, written_aside


def test_a_reader_sees_the_old_file_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "file.txt"
    write_text(path, "old")
    with written_aside(path) as aside:
        aside.write_text("ne")
        assert path.read_text() == "old"
        assert unfinished_in(tmp_path) == {aside: path.name}
        assert aside.suffix == path.suffix
        aside.write_text("new")
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["file.txt"]


def test_what_raises_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file.txt"
    write_text(path, "old")
    with pytest.raises(ValueError), written_aside(path) as aside:
        aside.write_text("new")
        raise ValueError
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file.txt"]


def test_an_error_of_the_disk_names_the_file(tmp_path):
    path = tmp_path / "file.txt"
    with pytest.raises(OSError) as caught, written_aside(path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert caught.value.filename == str(path)


def test_a_missing_folder_is_made_for_a_text(tmp_path):
    write_text(tmp_path / "a/b/file.txt", "text, \N{SNOWMAN}")
    assert (tmp_path / "a/b/file.txt").read_text(encoding="utf-8") == "text, \u2603"


def test_a_killed_writer_leaves_the_old_file_and_one_that_is_known_as_unfinished(
    tmp_path,
):
    path = tmp_path / "file.txt"
    write_text(path, "old")
    code = (
        "import os, signal, sys\n"
        "from files.atomic import written_aside\n"
        "with written_aside(sys.argv[1]) as aside:\n"
        "    aside.write_text('ne')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code, path], cwd=REPOSITORY)
    assert ended.returncode == -signal.SIGKILL
    assert path.read_text() == "old"
    ((left, name),) = unfinished_in(tmp_path).items()
    assert (left.read_text(), name) == ("ne", path.name)


def test_only_what_no_process_is_writing_is_abandoned(tmp_path):
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    dead = tmp_path / f".{ended.pid}.writing.file.txt"
    dead.touch()
    strangers = {
        tmp_path / f".{name}.writing.file.txt" for name in ("none", "\u0663", "9" * 30)
    } | {tmp_path / "file.txt"}
    for path in strangers:
        path.touch()
    with written_aside(tmp_path / "other.txt") as aside:
        aside.touch()
        remove_abandoned(tmp_path, 0)
        assert {*tmp_path.iterdir()} == {aside, *strangers}
        remove_abandoned(tmp_path, 0, at_start=True)  # it was an older one's, then
        assert {*tmp_path.iterdir()} == strangers
        aside.touch()
    remove_abandoned(tmp_path / "missing")


@pytest.mark.parametrize(
    ("options", "left"),
    [
        ({}, {"new.txt", "sub/old.txt", "sub/new.txt"}),
        ({"below": True}, {"new.txt", "sub/new.txt"}),
        ({"least_age_seconds": 0}, {"sub/old.txt", "sub/new.txt"}),
        ({"least_age_seconds": 0, "below": True}, set()),
    ],
)
def test_what_changed_lately_may_be_another_machines(tmp_path, options, left):
    (tmp_path / "sub").mkdir()
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    for name in ("old.txt", "new.txt", "sub/old.txt", "sub/new.txt"):
        folder, _, own_name = f"./{name}".rpartition("/")
        path = tmp_path / folder / f".{ended.pid}.writing.{own_name}"
        path.touch()
        if "old" in name:
            os.utime(path, (0, 0))
    remove_abandoned(tmp_path, **options)
    found = {
        str((path.parent / name).relative_to(tmp_path))
        for folder in (tmp_path, tmp_path / "sub")
        for path, name in unfinished_in(folder).items()
    }
    assert found == left


@pytest.mark.parametrize("durable", [True, False])
def test_only_a_durable_file_waits_for_the_disk(tmp_path, monkeypatch, durable):
    synced = []
    monkeypatch.setattr(os, "fsync", synced.append)
    with written_aside(tmp_path / "file.txt", durable=durable) as aside:
        aside.touch()
    assert bool(synced) == durable
