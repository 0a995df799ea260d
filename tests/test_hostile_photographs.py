"""Folders of photographs that harm: nothing blocks, nothing fills memory, none lies."""

import contextlib
import io
import os
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from PIL import Image
from tiny_run import REPOSITORY

import data
from commands.pictures.photograph import photograph
from data import workers
from data.budget import Budget, Postponed
from data.crop import prepare
from data.examine import examine_folder
from data.folder import FolderSource
from data.source import Prepared, Skipped, SourceChanged
from settings.messages import Problem

pytestmark = pytest.mark.fault("hostile folders of photographs")
SECONDS = 30  # within which all of this is done, on a busy machine too


def picture(folder, name="good.png", grey=100, size=(16, 16)):
    folder.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (grey,) * 3).save(folder / name)
    return folder / name


def load(folder, cache_dir):
    said = []
    images = data.load_images(
        "folder", image_size=8, cache_dir=cache_dir, path=folder, say=said.append
    )
    return images, said


def skipped(images):
    return images.path.with_suffix(".txt").read_text()


@pytest.fixture
def folder(tmp_path):
    """Returns a folder whose content is deleted whatever its depth."""
    yield tmp_path / "photographs"
    subprocess.run(["rm", "-rf", tmp_path / "photographs"], check=True)


@contextlib.contextmanager
def in_time(pipe=None):
    """Checks that a block does not wait; frees one that waits for a pipe."""

    def free():
        os.close(os.open(pipe, os.O_RDWR | os.O_NONBLOCK))

    freed = threading.Timer(SECONDS, free) if pipe else None
    began = time.monotonic()
    if freed:
        freed.start()
    yield
    if freed:
        freed.cancel()
    assert time.monotonic() - began < SECONDS


# --- what there is in the folder


def nested(folder, depth, name):
    """Makes folders within folders, deeper than a path can say."""
    folder.mkdir()
    place = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=place)
        below = os.open(name, os.O_RDONLY, dir_fd=place)
        os.close(place)
        place = below
    with open(os.open("deep.png", os.O_WRONLY | os.O_CREAT, dir_fd=place), "wb") as out:
        Image.new("RGB", (16, 16)).save(out, "PNG")
    os.close(place)


def test_1500_nested_folders_are_read_to_the_last(folder, tmp_path):
    nested(folder, 1500, "d")
    picture(folder)
    images, _ = load(folder, tmp_path / "cache")
    assert images.count == 2


def test_folders_deeper_than_a_path_can_say_are_skipped_in_one_line(folder, tmp_path):
    nested(folder, 1500, "folder")
    picture(folder)
    images, said = load(folder, tmp_path / "cache")
    assert images.count == 1
    (line,) = [line for line in said if line.startswith("not usable")]
    assert "cannot be listed: File name too long" in line and len(line) < 250
    assert skipped(images).count("\n") == 1


def test_pipes_sockets_and_devices_are_named_and_not_opened(folder, tmp_path):
    picture(folder)
    os.mkfifo(folder / "pipe.jpg")
    for name in ("zero", "random", "tty"):
        (folder / f"{name}.jpg").symlink_to(f"/dev/{name}")
    with socket.socket(socket.AF_UNIX) as listening, contextlib.chdir(folder):
        listening.bind("socket.jpg")
        with in_time():
            images, _ = load(folder, tmp_path / "cache")
    assert images.count == 1
    assert skipped(images).count("(not a regular file)\n") == 5


@pytest.mark.parametrize("kind", ["pipe", "socket", "device"])
def test_what_takes_a_photographs_place_after_listing_is_not_waited_for(folder, kind):
    path = picture(folder)
    source = FolderSource(folder)
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        with socket.socket(socket.AF_UNIX) as listening, contextlib.chdir(folder):
            listening.bind(path.name)
    with in_time(path if kind == "pipe" else None):
        with pytest.raises(SourceChanged, match="good.png has changed since"):
            list(source.images(8))


def test_the_systems_own_folders_are_no_folders_of_photographs(tmp_path):
    with in_time():
        for path in ("/proc", "/sys/class", "/proc/self/../self"):
            with pytest.raises(data.DataError, match="a part of the system"):
                load(path, tmp_path)


# --- how large it is


def test_a_sparse_file_of_20_gb_is_not_read(folder, tmp_path):
    picture(folder)
    for name, start in (
        ("a.webp", b"RIFF\xff\xff\xff\xffWEBPVP8 "),
        ("b.jpg", b"\xff"),
    ):
        (folder / name).write_bytes(start)
        os.truncate(folder / name, 20 * 2**30)
    with in_time():
        images, _ = load(folder, tmp_path / "cache")
    assert images.count == 1
    expected = "(more than 1,024 MiB, which is the most that is read: make it smaller)"
    assert skipped(images).count(expected) == 2


def encoded(side, mode="RGBA", file_format="PNG", **options):
    file = io.BytesIO()
    Image.new(mode, (side, side)).save(file, file_format, **options)
    return lambda: io.BytesIO(file.getvalue())


def test_a_photograph_that_takes_more_than_allowed_is_postponed_by_its_header():
    # RGBA takes five copies of 4 bytes a pixel.
    assert prepare(encoded(500), "one", 8, 500**2 * 19) == Postponed(500**2 * 20.2)
    assert isinstance(prepare(encoded(500), "one", 8, 500**2 * 21), Prepared)
    # A JPEG is decoded at an eighth of its size, if it need not be held whole.
    assert isinstance(
        prepare(encoded(1000, "RGB", "JPEG"), "one", 8, 200_000), Prepared
    )
    in_scans = encoded(1000, "RGB", "JPEG", progressive=True)
    assert prepare(in_scans, "one", 8, 200_000).num_bytes > 6 * 1000**2


@pytest.mark.parametrize("fewest_for_processes", [1, 1000])
def test_postponed_photographs_come_in_their_place_with_the_same_pixels(
    monkeypatch, fewest_for_processes
):
    monkeypatch.setattr(workers, "FEWEST_FOR_PROCESSES", fewest_for_processes)
    monkeypatch.setattr(workers, "num_cores", lambda: 2)
    files = [(f"{n}.png", Encoded(n)) for n in range(12)]
    expected = [prepare(open_file, name, 8) for name, open_file in files]
    monkeypatch.setattr(workers, "UNASKED_BYTES", 300)  # less than a file has
    monkeypatch.setattr(workers, "BUDGET_BYTES", 1000)
    found = list(workers.prepare_all(files, 8, len(files)))
    assert [one.pixels.tobytes() for one in found] == [
        one.pixels.tobytes() for one in expected
    ]


class Encoded:
    """Opens a photograph of its own size; can be pickled."""

    def __init__(self, number):
        self.number = number

    def __call__(self):
        pixels = np.full((20 + 30 * (self.number % 3), 50, 3), self.number, np.uint8)
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        file.seek(0)
        return file


def test_what_all_workers_take_together_stays_within_the_budget():
    budget, taken, most = Budget(100), [], []
    lock = threading.Lock()

    def take(num_bytes):
        with budget.taking(num_bytes):
            with lock:
                taken.append(num_bytes)
                most.append(sum(taken))
            time.sleep(0.01)
            with lock:
                taken.remove(num_bytes)

    amounts = [30, 90, 10, 250, 60, 40, 100, 5] * 3
    threads = [threading.Thread(target=take, args=(amount,)) for amount in amounts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == len(amounts)
    assert max(total for total in most if total != 250) <= 100


def test_an_end_before_the_last_photograph_does_not_wait_for_large_ones(monkeypatch):
    monkeypatch.setattr(workers, "num_cores", lambda: 12)
    monkeypatch.setattr(workers, "UNASKED_BYTES", 1000)
    monkeypatch.setattr(workers, "BUDGET_BYTES", 1)
    decode, begun = workers.prepare, []

    def slow(open_file, name, size, allowed):
        if allowed > 1000:
            begun.append(name)
            time.sleep(0.2)
        return decode(open_file, name, size, allowed)

    monkeypatch.setattr(workers, "prepare", slow)
    files = [(f"{n}.png", encoded(20)) for n in range(50)]
    reading = workers.prepare_all(files, 8, len(files))
    next(reading)
    reading.close()
    assert len(begun) < 6  # one at a time, and 12 have been asked for


PEAK = """
import functools, io, pathlib, sys
from PIL import Image
from data import workers

def encoded():
    file = io.BytesIO()
    Image.new("RGBA", (2000, 2000)).save(file, "PNG")
    return file.getvalue()

def peak():
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    pathlib.Path("/proc/self/clear_refs").write_text("5")
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

workers.num_cores = lambda: 8
workers.UNASKED_BYTES, workers.BUDGET_BYTES = (int(text) for text in sys.argv[1:])
files = [(str(n), functools.partial(io.BytesIO, encoded())) for n in range(8)]
assert len(list(workers.prepare_all(files[:1], 8, 1))) == 1
before = [peak(), peak()][1]
assert len(list(workers.prepare_all(files, 8, 8))) == 8
print((peak() - before) * 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/status")
def test_many_large_photographs_at_once_take_no_more_memory_than_allowed():
    one = 80_800_000  # by 2000 x 2000 pixels, 20.2 bytes each

    def peak(unasked, budget):
        command = [sys.executable, "-c", PEAK, str(unasked), str(int(budget))]
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, check=True)
        return int(done.stdout)

    assert 0.8 * one < peak(2**20, 1.1 * one) < 1.2 * one
    assert peak(one, one) > 2 * one  # as it is without asking


# --- when it changes


def changing(monkeypatch, change, times=1):
    """Has a change made while a photograph is decoded; the first few times."""
    decode, calls = workers.prepare, []

    def decode_and_change(open_file, name, *args):
        result = decode(open_file, name, *args)
        if len(calls) < times:
            calls.append(name)
            change()
        return result

    monkeypatch.setattr(workers, "prepare", decode_and_change)


def rewrite(path):
    """Writes another picture in a file's place, in the same inode."""
    with path.open("rb+") as file:
        file.truncate()
        Image.new("RGB", (16, 16), (200, 200, 200)).save(file, "PNG")
    os.utime(path, ns=(0, time.time_ns()))


CHANGES = {
    "rewritten": rewrite,
    "cut short": lambda path: os.truncate(path, 40),
    "removed": lambda path: path.unlink(),
    "replaced": lambda path: picture(path.parent, "other.png", 200).rename(path),
    "touched": lambda path: os.utime(path, ns=(0, 12345)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_photograph_that_changes_while_it_is_read_is_read_again(
    folder, tmp_path, monkeypatch, change
):
    monkeypatch.setattr("data.build.PART_ITEMS", 1)  # a.png is written down before
    path = picture(folder, "b.png", 100)
    picture(folder, "a.png", 50)
    changing(monkeypatch, lambda: CHANGES[change](path))
    images, said = load(folder, tmp_path / "cache")
    assert any("b.png has changed since the folder was listed" in s for s in said)
    monkeypatch.undo()
    again, _ = load(folder, tmp_path / "cache")  # by the key of what is there now
    assert again.path == images.path
    assert again.fingerprint == images.fingerprint
    greys = images.images[:, 4, 4, 0].tolist()
    expected = {"rewritten": 200, "replaced": 200, "touched": 100}.get(change)
    assert greys == [50] + [expected] * (expected is not None)
    assert not list((tmp_path / "cache").glob("*.unfinished"))


def test_a_folder_that_never_rests_is_an_error_that_says_what_to_do(
    folder, tmp_path, monkeypatch
):
    path = picture(folder)
    changing(monkeypatch, lambda: rewrite(path), times=100)
    with pytest.raises(data.DataError, match="good.png has changed.*\n.*wait until"):
        load(folder, tmp_path / "cache")
    left = {path.suffix for path in (tmp_path / "cache").iterdir()}
    assert left == {".lock"}


def test_a_photograph_that_is_gone_when_it_is_opened_is_no_fault_of_the_disk():
    def gone():
        raise FileNotFoundError(2, "No such file or directory", "gone.jpg")

    assert prepare(gone, "gone.jpg", 8) == Skipped(
        "gone.jpg", "No such file or directory"
    )


def test_too_little_memory_is_told_and_does_not_leave_a_photograph_out(monkeypatch):
    def fail(*_):
        raise MemoryError

    monkeypatch.setattr("data.crop.square_pixels", fail)
    with pytest.raises(data.DataError, match="not enough memory to decode one"):
        prepare(encoded(10), "one", 8)


# --- looked at before, or one alone


def test_the_doctor_names_what_changes_and_what_is_too_large(
    folder, tmp_path, monkeypatch
):
    for name in "abcd":
        picture(folder, f"{name}.png")
    (folder / "huge.jpg").touch()
    os.truncate(folder / "huge.jpg", 20 * 2**30)
    source = FolderSource(folder)
    changing(monkeypatch, lambda: rewrite(folder / "b.png"))
    (folder / "c.png").unlink()
    (folder / "d.png").unlink()
    os.mkfifo(folder / "d.png")
    with in_time(folder / "d.png"):
        seen = {one.name: one.reason for one in examine_folder(source, 8, 2)}
    assert seen.pop("huge.jpg").startswith("more than 1,024 MiB")
    assert seen == {
        "a.png": "",
        **{f"{name}.png": "has changed while it was looked at" for name in "bcd"},
    }


def test_the_photograph_to_project_is_guarded_alike(folder, monkeypatch):
    path = picture(folder)
    assert photograph(path, 8).shape == (8, 8, 3)
    huge = folder / "huge.jpg"
    huge.touch()
    os.truncate(huge, 20 * 2**30)
    with in_time(), pytest.raises(Problem, match="more than 1,024 MiB"):
        photograph(huge, 8)
    path.unlink()
    os.mkfifo(path)
    monkeypatch.setattr(type(path), "is_file", lambda self: True)  # as it was before
    with in_time(path), pytest.raises(Problem, match="not a regular file"):
        photograph(path, 8)
