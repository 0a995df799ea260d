"""Folders in which no cache can be made are told at once."""

import contextlib
import os
import time
from pathlib import Path

import pytest

import data
from data import cache

pytestmark = pytest.mark.fault("hostile folders of photographs")
OF_PYTEST = ("pytest-", "popen-")  # begin the names of its folders
SECONDS = 10  # of a busy machine
NO_PLACE = {
    "/proc": "a part of the system",
    "/sys": "a part of the system",
    "/dev": "a part of the system",
    "link-to-dev": "a part of the system",
    "pipe": "pipe, which is no folder",
    "file": "file, which is no folder",
    "file/below": "file, which is no folder",
    "link-to-nothing": "link-to-nothing, which is no folder",
    "circle": "circle, which is no folder",
    "x" * 300: "File name too long",
    "not-mine": "Permission denied",
    "not-mine/below": "Permission denied",
}


@contextlib.contextmanager
def as_nobody():
    """Gives up a superuser's rights, whom no permission binds."""
    if os.getuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tmp_path.chmod(0o755)
    for folder in tmp_path.parents:
        if folder.stat().st_uid == os.getuid() and folder.name.startswith(OF_PYTEST):
            folder.chmod(folder.stat().st_mode | 0o011)  # nobody may pass
    os.mkfifo("pipe")
    (tmp_path / "file").touch()
    (tmp_path / "link-to-nothing").symlink_to("nothing/at/all")
    (tmp_path / "link-to-dev").symlink_to("/dev")
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "not-mine").mkdir()
    (tmp_path / "not-mine").chmod(0o555)


@pytest.mark.parametrize("folder", NO_PLACE)
def test_a_folder_in_which_no_cache_can_be_made_is_told_at_once(
    here, folder, monkeypatch
):
    def forbidden(*_, **__):
        raise AssertionError("waits for a lock")

    monkeypatch.setattr("data.image_set.sole_builder", forbidden)
    began = time.monotonic()
    with as_nobody(), pytest.raises(data.DataError, match=NO_PLACE[folder]) as raised:
        data.load_images("drawn", image_size=32, cache_dir=folder, num_images=1)
    assert time.monotonic() - began < SECONDS
    assert "data.cache_dir" in str(raised.value)


def test_nothing_stays_of_the_attempt_to_write(tmp_path):
    cache.make_folder(tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())
    cache.make_folder(Path("/dev/shm"))  # memory used as a disk
