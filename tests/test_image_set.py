"""Tests of the cache: made once, whole or not at all, found again."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
import tracemalloc
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

import data
from data.cache import remove_leftovers
from data.image_set import load_image_set
from data.source import Prepared, Skipped

REPOSITORY = Path(__file__).resolve().parent.parent


def random_pixels(index, size):
    return np.random.default_rng(index).integers(0, 256, (size, size, 3), np.uint8)


class ListSource:
    """Yields `count` random images after the skipped files; counts its readings."""

    name = "list"
    description = "a list"

    def __init__(self, count, skipped=(), num_enlarged=0):
        self.count, self.skipped, self.num_enlarged = count, skipped, num_enlarged
        self.max_count = count + len(skipped)
        self.num_reads = 0

    def key(self):
        return f"{self.count} {self.skipped} {self.num_enlarged}"

    def class_names(self):
        return ()

    def images(self, image_size, start=0):
        self.num_reads += 1
        yield from self.skipped[start:]
        for index in range(max(start - len(self.skipped), 0), self.count):
            yield Prepared(random_pixels(index, image_size), index < self.num_enlarged)


def load(source, folder, size=8):
    said = []
    return load_image_set(source, size, folder, said.append), said


def test_images_come_back_as_the_source_gave_them(tmp_path):
    images, _ = load(ListSource(5), tmp_path)
    assert images.count == 5
    assert images.images.shape == (5, 8, 8, 3)
    for index in range(5):
        np.testing.assert_array_equal(images.images[index], random_pixels(index, 8))
    # Plain NumPy reads the file too.
    np.testing.assert_array_equal(np.load(images.path), images.images)


def test_the_fingerprint_is_the_sha256_of_pixels_and_shape(tmp_path):
    images, _ = load(ListSource(3), tmp_path)
    pixels = b"".join(random_pixels(index, 8).tobytes() for index in range(3))
    expected = hashlib.sha256(pixels + b"uint8 3 8 8 3").hexdigest()
    assert images.fingerprint == expected


def test_the_second_load_reads_nothing_but_the_cache(tmp_path):
    source = ListSource(3)
    first, _ = load(source, tmp_path)
    second, _ = load(source, tmp_path)
    assert source.num_reads == 1
    assert (second.fingerprint, second.path) == (first.fingerprint, first.path)
    np.testing.assert_array_equal(second.images, first.images)


def test_another_size_or_key_is_another_cache(tmp_path):
    paths = {load(ListSource(3), tmp_path)[0].path}
    paths.add(load(ListSource(3), tmp_path, size=16)[0].path)
    paths.add(load(ListSource(4), tmp_path)[0].path)
    assert len(paths) == 3
    assert all(path.name.startswith(("list-8px-", "list-16px-")) for path in paths)


@pytest.mark.parametrize("damage", ["cut", "grown", "empty", "no json", "bad json"])
def test_a_damaged_cache_is_made_again(tmp_path, damage):
    source = ListSource(3)
    images, _ = load(source, tmp_path)
    about = images.path.with_suffix(".json")
    if damage == "cut":
        os.truncate(images.path, images.path.stat().st_size - 1)
    elif damage == "grown":
        os.truncate(images.path, images.path.stat().st_size + 1)
    elif damage == "empty":
        os.truncate(images.path, 0)
    elif damage == "no json":
        about.unlink()
    else:
        about.write_text("[]")
    again, _ = load(source, tmp_path)
    assert source.num_reads == 2
    np.testing.assert_array_equal(again.images[2], random_pixels(2, 8))


WRONG = {
    "notes": [5],
    "class_names": [None],
    "fingerprint": {},
    "labels": [0, 0, 10**30],
    "labels ": [0, 0, 1.5],
    "labels  ": [7, 7, 7],
    "checksums": ["a", "b", "c"],
    "checksums ": [-1, 0, 2**40],
    "checksums  ": {"0": 1},
    "shape": "3888",
}


@pytest.mark.parametrize("key", [*WRONG, "brackets"])
def test_a_cache_that_says_what_no_build_writes_is_made_again(tmp_path, key):
    source = ListSource(3)
    images, _ = load(source, tmp_path)
    path = images.path.with_suffix(".json")
    about = json.loads(path.read_text()) | {key.strip(): WRONG.get(key)}
    path.write_text("[" * 100_000 if key == "brackets" else json.dumps(about))
    again, _ = load(source, tmp_path)
    assert source.num_reads == 2
    np.testing.assert_array_equal(again.images[2], random_pixels(2, 8))


def test_a_cache_of_another_key_under_the_same_name_is_not_used(tmp_path):
    source = ListSource(3)
    images, _ = load(source, tmp_path)
    about = images.path.with_suffix(".json")
    other = json.loads(about.read_text()) | {"key": "0" * 64}
    about.write_text(json.dumps(other))
    load(source, tmp_path)
    assert source.num_reads == 2


def test_a_source_that_fails_early_leaves_no_file_behind(tmp_path):
    class Failing(ListSource):
        def images(self, image_size, start=0):
            yield Prepared(random_pixels(0, image_size))
            raise data.DataError("the disk is on fire")

    with pytest.raises(data.DataError, match="on fire"):
        load(Failing(3), tmp_path)
    assert not [path for path in tmp_path.iterdir() if path.suffix != ".lock"]


BUILDER = """
    import sys, time
    import numpy as np
    from data.image_set import load_image_set
    from data.source import Prepared

    class Slow:
        name = "slow"
        description = "a slow source"
        max_count = 20

        def key(self):
            return "slow"

        def class_names(self):
            return ()

        def images(self, image_size, start=0):
            print("building", flush=True)
            for index in range(start, self.max_count):
                time.sleep(float(sys.argv[2]))
                yield Prepared(np.full((image_size, image_size, 3), index, np.uint8))

    images = load_image_set(Slow(), 8, sys.argv[1], lambda line: print("said", line))
    print("fingerprint", images.fingerprint, images.images[19, 0, 0, 0])
"""


def start_builder(folder, seconds):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(BUILDER), folder, str(seconds)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_killed_build_is_not_taken_for_a_cache(tmp_path):
    with start_builder(tmp_path, 1.0) as killed:
        assert "said preparing" in killed.stdout.readline()
        assert "building" in killed.stdout.readline()
        killed.send_signal(signal.SIGKILL)
    left = [path.name for path in tmp_path.iterdir() if path.suffix != ".lock"]
    assert len(left) == 2 and all(name.endswith(".unfinished") for name in left)
    with start_builder(tmp_path, 0.0) as again:
        assert "building" in again.stdout.read()
    assert not list(tmp_path.glob("*.unfinished"))


def test_two_processes_at_once_build_one_cache(tmp_path):
    with start_builder(tmp_path, 0.1) as first, start_builder(tmp_path, 0.1) as second:
        outputs = first.communicate()[0], second.communicate()[0]
    assert (first.returncode, second.returncode) == (0, 0)
    assert sorted(output.count("building") for output in outputs) == [0, 1]
    fingerprints = {output.splitlines()[-1] for output in outputs}
    assert len(fingerprints) == 1
    assert fingerprints.pop().endswith(" 19")
    assert not list(tmp_path.glob(".*.writing.*"))


def test_a_running_builds_files_are_not_cleared_away(tmp_path):
    unfinished = tmp_path / ".17.writing.list-8px-0123.npy"
    unfinished.touch()
    with FileLock(tmp_path / "list-8px-0123.lock"):
        remove_leftovers(tmp_path)
        assert unfinished.exists()
    remove_leftovers(tmp_path)
    assert not unfinished.exists()


def test_an_unfinished_build_is_kept_for_a_week(tmp_path):
    files = [tmp_path / f"list-8px-0123.{end}.unfinished" for end in ("npy", "jsonl")]
    for path in files:
        path.touch()
        os.utime(path, (0, time.time() - 6 * 86400))
    remove_leftovers(tmp_path)
    assert all(path.exists() for path in files)
    for path in files:
        os.utime(path, (0, time.time() - 8 * 86400))
    remove_leftovers(tmp_path)
    assert not any(path.exists() for path in files)


def test_only_what_a_build_writes_is_cleared_away(tmp_path):
    mine = [".17.writing.list-8px-0123.json", "list-8px-0123.npy.partial"]
    mine += [".17.writing.list-8px-0123.txt"]
    mine += [".17.writing.list-8px-0123.jsonl.unfinished"]
    others = [".17.writing.features-0123456789ab.npy", ".17.writing.inception.tgz"]
    for name in [*mine, *others]:
        (tmp_path / name).touch()
    remove_leftovers(tmp_path)
    left = {path.name for path in tmp_path.iterdir() if path.suffix != ".lock"}
    assert left == set(others)
    assert not list(tmp_path.glob("inception*.lock"))


def test_building_holds_only_a_few_images_in_memory(tmp_path):
    tracemalloc.start()
    try:
        images, _ = load(ListSource(200), tmp_path, size=128)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert images.path.stat().st_size > 9e6
    assert peak < 1e6


def test_skipped_files_are_named_in_a_file_five_of_them_once_in_the_terminal(tmp_path):
    skipped = [Skipped(f"{index}.jpg", "broken") for index in range(13)]
    images, said = load(ListSource(2, skipped), tmp_path)
    assert images.count == 2
    (named,) = [line for line in said if line.startswith("not usable")]
    assert named.startswith("not usable: 0.jpg (broken), ")
    assert named.endswith("4.jpg (broken) and 8 more")
    (note,) = [line for line in said if line.startswith("skipped")]
    names = images.path.with_suffix(".txt")
    assert note == f"skipped 13 files without a usable image, named in {names}"
    text = names.read_text()
    assert text.splitlines() == [f"{index}.jpg (broken)" for index in range(13)]
    _, said_again = load(ListSource(2, skipped), tmp_path)
    assert note in said_again
    assert not any(".jpg" in line for line in said_again)


def test_five_skipped_files_are_all_named(tmp_path):
    skipped = [Skipped(f"{index}.jpg", "broken") for index in range(5)]
    _, said = load(ListSource(2, skipped), tmp_path)
    assert [line for line in said if line.endswith("4.jpg (broken)")]


def test_a_name_with_a_line_break_is_said_on_one_line(tmp_path):
    _, said = load(ListSource(1, [Skipped("a\nb.jpg", "broken")]), tmp_path)
    assert not any("\n" in line for line in said)


def test_enlarged_images_are_counted_in_a_warning_each_time(tmp_path):
    for _ in range(2):
        _, said = load(ListSource(5, num_enlarged=2), tmp_path)
        (note,) = [line for line in said if line.endswith("enlarged")]
        assert note.startswith("warning: 2 of 5 images")
        assert "data.image_size=8" in note


@pytest.mark.parametrize(("count", "warned"), [(999, True), (1000, False)])
def test_fewer_than_1000_images_are_a_warning(tmp_path, count, warned):
    _, said = load(ListSource(count), tmp_path, size=2)
    warnings = [line for line in said if line.startswith("warning")]
    assert len(warnings) == warned
    assert all("only 999 images" in line for line in warnings)


def test_a_source_without_a_usable_image_is_an_error_that_names_files(tmp_path):
    with pytest.raises(data.DataError, match="no usable image in a list") as caught:
        load(ListSource(0, [Skipped("a.txt", "not an image")]), tmp_path)
    assert "1 file without a usable image: a.txt (not an image)" in str(caught.value)


def test_a_full_disk_is_found_before_writing_with_the_numbers(tmp_path, monkeypatch):
    usage = namedtuple("usage", "free")(2**20)
    monkeypatch.setattr("data.cache.shutil.disk_usage", lambda path: usage)
    source = ListSource(100)
    with pytest.raises(data.DataError, match="not enough room") as caught:
        load(source, tmp_path, size=64)
    assert source.num_reads == 0
    # 100 x 64 x 64 x 3 bytes are 1.17 MiB.
    assert "1.2 MiB for 100 images" in str(caught.value)
    assert "1.0 MiB at" in str(caught.value)
    assert "data.cache_dir" in str(caught.value)


def test_a_cache_folder_that_is_a_file_is_an_error_that_names_the_key(tmp_path):
    (tmp_path / "cache").touch()
    with pytest.raises(data.DataError, match="data.cache_dir"):
        load(ListSource(1), tmp_path / "cache")


def test_nothing_is_drawn_on_a_stderr_that_is_no_terminal(tmp_path, capfd):
    load(ListSource(3), tmp_path)
    assert capfd.readouterr().err == ""


def test_an_unknown_source_is_refused_with_the_choices(tmp_path):
    with pytest.raises(ValueError, match="tfds, folder, drawn.*'web'"):
        data.load_images("web", image_size=32, cache_dir=tmp_path)


def test_importing_data_imports_no_tensorflow():
    code = "import sys, data; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY).returncode == 0
