"""A cache whose building was ended early is continued, and ends as an unbroken one."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image
from tiny_run import REPOSITORY, command, tree, user_environment, write_config

import data
import data.build
import data.unfinished
from data.image_set import load_image_set
from data.source import NO_CLASS, Prepared, Skipped
from data.unfinished import PART_ITEMS
from files.atomic import write_text

pytestmark = pytest.mark.fault("a build of the cache that ends early")
COUNT = 3 * PART_ITEMS + 40
SIZE = 4
CACHE = "cache"


class Numbered:
    """Yields images of their own numbers, a skipped file every hundred; may fail."""

    name = "numbered"
    description = "numbers"
    max_count = COUNT

    def __init__(self, fails_at=None, key="one"):
        self.fails_at, self._key = fails_at, key
        self.starts, self.num_read = [], 0

    def key(self):
        return self._key

    def class_names(self):
        return ("even", "odd", "of no image")

    def images(self, image_size, start=0):
        self.starts.append(start)
        for number in range(start, COUNT):
            if number == self.fails_at:
                raise data.DataError("the disk is on fire")
            self.num_read += 1
            if number % 100 == 99:
                yield Skipped(f"file \udcff {number}", "broken")
            else:
                pixels = np.random.default_rng(number).integers(
                    0, 256, (image_size, image_size, 3), np.uint8
                )
                label = NO_CLASS if number == 5 else number % 2
                yield Prepared(pixels, number % 7 == 0, label)


def load(folder, source):
    """Loads in a folder, so that the paths in a cache's files are the same in all."""
    said = []
    with contextlib.chdir(folder):
        load_image_set(source, SIZE, CACHE, said.append)
    return said


def cache_of(folder):
    files = tree(folder / CACHE)
    return {name: text for name, text in files.items() if not name.endswith(".lock")}


@pytest.fixture
def unbroken(tmp_path):
    """Returns the files of a cache that was built at one go."""
    (tmp_path / "unbroken").mkdir()
    load(tmp_path / "unbroken", Numbered())
    return cache_of(tmp_path / "unbroken")


@pytest.fixture
def folder(tmp_path):
    """Returns a folder with a build that failed within the third of four parts."""
    folder = tmp_path / "broken"
    folder.mkdir()
    with pytest.raises(data.DataError, match="on fire"):
        load(folder, Numbered(fails_at=2 * PART_ITEMS + 30))
    assert all(name.endswith(".unfinished") for name in cache_of(folder))
    return folder


def test_a_failed_build_is_continued_from_its_last_whole_part(folder, unbroken):
    source = Numbered()
    said = load(folder, source)
    assert source.starts == [2 * PART_ITEMS]
    assert any("continuing" in line and f"{2 * PART_ITEMS} of" in line for line in said)
    assert cache_of(folder) == unbroken
    assert len(unbroken) == 3  # pixels, labels and the rest, skipped files


def test_a_build_that_fails_again_and_again_reads_no_part_twice(folder, unbroken):
    for fails_at in (2 * PART_ITEMS + 10, 3 * PART_ITEMS, 3 * PART_ITEMS + 39):
        with pytest.raises(data.DataError, match="on fire"):
            load(folder, Numbered(fails_at))
    source = Numbered()
    load(folder, source)
    assert source.starts == [3 * PART_ITEMS]
    assert cache_of(folder) == unbroken


def test_changed_photographs_begin_anew(folder, tmp_path):
    source = Numbered(key="another")
    said = load(folder, source)
    assert source.starts == [0]
    assert not any("continuing" in line for line in said)
    (left,) = (folder / CACHE).glob("*.npy.unfinished")
    assert any(left.name in line and "before they changed" in line for line in said)
    assert not any("before they changed" in line for line in load(folder, Numbered()))


def test_lines_of_another_key_are_not_believed(folder):
    """The first digits of the key, in the file's name, may be the same."""
    from data.unfinished import Journal

    (path,) = (folder / CACHE).glob("*.jsonl.unfinished")
    assert Journal(path, "another").num_items == 0


def damage_pixels(pixels, journal):
    with open(pixels, "r+b") as file:
        file.seek(128 + 3 * SIZE * SIZE)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))


def cut_pixels(pixels, journal):
    os.truncate(pixels, pixels.stat().st_size // 2)


def grow_pixels(pixels, journal):
    with open(pixels, "ab") as file:
        file.write(bytes(2**20))


def lose_pixels(pixels, journal):
    pixels.unlink()


def tear_journal(pixels, journal):
    os.truncate(journal, journal.stat().st_size - 5)


def falsify_label(pixels, journal):
    lines = journal.read_text().splitlines()
    line = json.loads(lines[1])
    part = json.loads(line["part"])
    part["labels"][3] ^= 1
    lines[1] = json.dumps(line | {"part": json.dumps(part)})
    journal.write_text("\n".join(lines) + "\n")


def empty_journal(pixels, journal):
    journal.write_bytes(b"\0" * 4096)


@pytest.mark.parametrize(
    ("damage", "starts"),
    [
        (damage_pixels, [0, 2]),  # the second part is kept
        (cut_pixels, [1]),
        (grow_pixels, [2]),
        (lose_pixels, [0]),
        (tear_journal, [1]),
        (falsify_label, [1]),
        (empty_journal, [0]),
    ],
)
def test_a_damaged_part_is_built_again(folder, unbroken, damage, starts):
    (pixels,) = (folder / CACHE).glob("*.npy.unfinished")
    (journal,) = (folder / CACHE).glob("*.jsonl.unfinished")
    damage(pixels, journal)
    source = Numbered()
    load(folder, source)
    assert source.starts == [number * PART_ITEMS for number in starts]
    assert cache_of(folder) == unbroken


def fail_at_json(path, text):
    if path.suffix == ".json":
        raise OSError("killed")
    write_text(path, text)


def fail_at_move(*_):
    raise OSError("killed")


@pytest.mark.parametrize(
    ("place", "name", "fail"),
    [
        (data.build, "write_text", fail_at_json),
        (data.unfinished, "move_into_place", fail_at_move),
    ],
)
def test_a_build_killed_in_its_last_steps_reads_nothing_again(
    folder, unbroken, monkeypatch, place, name, fail
):
    with monkeypatch.context() as patched:
        patched.setattr(place, name, fail)
        with pytest.raises(data.DataError, match="killed"):
            load(folder, Numbered())
    source = Numbered()
    load(folder, source)
    assert source.starts == []
    assert cache_of(folder) == unbroken


def test_a_line_after_a_torn_one_can_be_read(folder, unbroken):
    (journal,) = (folder / CACHE).glob("*.jsonl.unfinished")
    os.truncate(journal, journal.stat().st_size - 5)
    with journal.open("a") as file:
        file.write("\n" + "[" * 100_000 + "\n")
    with pytest.raises(data.DataError, match="on fire"):
        load(folder, Numbered(fails_at=3 * PART_ITEMS))
    source = Numbered()
    load(folder, source)
    assert source.starts == [3 * PART_ITEMS]
    assert cache_of(folder) == unbroken


# --- real processes and photographs

NUM_FILES = 1300  # decoded in processes, and those left after a kill in threads
BUILD = "import data; data.load_images('folder', image_size=8, cache_dir='cache', "
BUILD += "path='photographs')"


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """Returns a folder of small photographs in two sub-folders, some of them broken."""
    folder = tmp_path_factory.mktemp("photographs")
    for kind in ("roses", "tulips"):
        (folder / kind).mkdir()
    rng = np.random.default_rng(0)
    for number in range(NUM_FILES):
        side = 6 if number % 50 == 0 else 24
        pixels = rng.integers(0, 256, (side, side + number % 3, 3), np.uint8)
        path = folder / ("roses", "tulips")[number % 2] / f"{number:04}.jpg"
        Image.fromarray(pixels).save(path)
        if number % 97 == 96:
            path.write_bytes(path.read_bytes()[:200])
    return folder


def start(folder, photographs, *arguments):
    (folder / "photographs").symlink_to(photographs)
    return subprocess.Popen(
        arguments or [sys.executable, "-c", BUILD],
        cwd=folder,
        env=user_environment(PYTHONPATH=str(REPOSITORY)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for_parts(folder, process, count):
    """Waits until a build has written so many parts; returns its other processes."""
    num_parts = 0
    while num_parts < count:
        assert process.poll() is None, process.communicate()
        for journal in folder.glob(f"{CACHE}/[!.]*.jsonl.unfinished"):
            num_parts = journal.read_bytes().count(b"\n")
        time.sleep(0.001)
    with open(f"/proc/{process.pid}/task/{process.pid}/children") as file:
        return [int(number) for number in file.read().split()]


def test_a_build_killed_in_earnest_ends_as_the_unbroken_one(
    photographs, tmp_path, monkeypatch
):
    for name in ("killed", "unbroken"):
        (tmp_path / name).mkdir()
    with start(tmp_path / "unbroken", photographs) as process:
        assert "not usable" in process.communicate()[0]
    with start(tmp_path / "killed", photographs) as process:
        others = wait_for_parts(tmp_path / "killed", process, 2)
        process.send_signal(signal.SIGKILL)
    assert not list((tmp_path / "killed" / CACHE).glob("*.npy"))
    deadline = time.monotonic() + 30
    while any(os.path.exists(f"/proc/{number}") for number in others):
        assert time.monotonic() < deadline, "processes were left behind"
        time.sleep(0.01)

    from data import workers

    decoded, prepare = [], workers.prepare
    monkeypatch.setattr(
        workers, "prepare", lambda *args: decoded.append(args[1]) or prepare(*args)
    )
    said = []
    with contextlib.chdir(tmp_path / "killed"):
        data.load_images(
            "folder",
            image_size=8,
            cache_dir=CACHE,
            path="photographs",
            say=said.append,
        )
    (line,) = [line for line in said if line.startswith("continuing")]
    kept = int(line.partition("done, ")[2].partition(" of ")[0].replace(",", ""))
    assert kept >= 2 * PART_ITEMS and kept % PART_ITEMS == 0
    assert len(decoded) == len(set(decoded)) == NUM_FILES - kept
    assert cache_of(tmp_path / "killed") == cache_of(tmp_path / "unbroken")


@pytest.mark.slow  # imports TensorFlow, as train.py does before it builds
@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 75), (signal.SIGINT, 130)]
)
def test_a_signal_to_all_processes_of_a_build_says_one_line(
    photographs, tmp_path, number, status
):
    write_config(
        tmp_path, data={"source": "folder", "path": "photographs", "image_size": 32}
    )
    with start(tmp_path, photographs, *command()) as process:
        wait_for_parts(tmp_path, process, 1)
        os.killpg(process.pid, number)
        said, complained = process.communicate()
    assert process.returncode == status
    assert "Traceback" not in complained and "Warning" not in complained
    (line,) = complained.strip().splitlines()
    assert line.startswith(signal.Signals(number).name)
    assert list(tmp_path.glob(f"{CACHE}/*.jsonl.unfinished"))
