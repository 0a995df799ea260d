"""Tests of reading a cache file: like an array, and never a pixel that was changed."""

import gc
import os
import shutil
import zlib

import numpy as np
import pytest

from data import DataError
from data.cached_images import CachedImages

COUNT, SIZE = 7, 5


@pytest.fixture
def pixels():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (COUNT, SIZE, SIZE, 3), np.uint8)


@pytest.fixture
def path(tmp_path, pixels):
    path = tmp_path / "cache.npy"
    np.save(path, pixels)
    path.with_suffix(".json").write_text("{}")
    return path


@pytest.fixture
def images(path, pixels):
    return CachedImages(path, [zlib.crc32(image) for image in pixels])


def start_of(path):
    return path.stat().st_size - COUNT * SIZE * SIZE * 3


def overwrite(path, place):
    """Changes the last byte of an image in place."""
    with open(path, "r+b") as file:
        file.seek(start_of(path) + (place + 1) * SIZE * SIZE * 3 - 1)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 128]))


@pytest.mark.parametrize(
    "key",
    [
        0,
        -1,
        np.int64(3),
        slice(2, 5),
        slice(None, None, -2),
        slice(9, 12),
        [4, 0, 4],
        np.array([[6, 1], [2, 2]]),
        np.arange(COUNT) > 3,
        (3, 1, 2),
        (slice(None), 0, 0, 0),
        (np.array([5, 2]), slice(1, 3)),
        (slice(1, 3), ..., 0),
    ],
)
def test_it_is_indexed_like_an_array(images, pixels, key):
    found, expected = images[key], pixels[key]
    np.testing.assert_array_equal(found, expected)
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)


def test_it_is_converted_and_iterated_like_an_array(images, pixels):
    np.testing.assert_array_equal(np.asarray(images), pixels)
    np.testing.assert_array_equal(np.asarray(images, np.float32), pixels)
    np.testing.assert_array_equal(list(images), pixels)
    assert (images.shape, images.dtype, len(images)) == (pixels.shape, np.uint8, COUNT)


def test_what_lies_outside_is_an_index_error(images):
    for key in (COUNT, -COUNT - 1, [0, COUNT]):
        with pytest.raises(IndexError):
            images[key]


def test_what_is_returned_may_be_changed_without_changing_the_file(images, pixels):
    found = images[2:4]
    found[:] = 0
    np.testing.assert_array_equal(images[2:4], pixels[2:4])


def assert_noticed(images, path, key, words):
    with pytest.raises(DataError, match="has changed while it was in use") as error:
        images[key]
    assert str(path) in str(error.value)
    assert words in str(error.value)
    assert "run the same command again, which makes it anew" in str(error.value)
    assert not path.with_suffix(".json").exists()  # so that it is


def test_an_image_overwritten_in_place_is_noticed_when_it_is_read(images, path, pixels):
    overwrite(path, 4)
    np.testing.assert_array_equal(images[[3, 5, 6]], pixels[[3, 5, 6]])
    assert path.with_suffix(".json").exists()
    assert_noticed(images, path, [3, 4], "image 4 is not what was written")


def test_swapped_images_are_noticed(path, pixels):
    images = CachedImages(path, [zlib.crc32(image) for image in pixels])
    np.save(path.with_name("other.npy"), pixels[::-1])
    shutil.copyfile(path.with_name("other.npy"), path)
    assert_noticed(images, path, 0, "image 0 is not what was written")


@pytest.mark.parametrize("num_bytes", [0, 100, -1, 1])
def test_a_file_of_another_length_is_noticed_whatever_is_read(images, path, num_bytes):
    size = path.stat().st_size
    new = num_bytes if num_bytes in (0, 100) else size + num_bytes
    os.truncate(path, new)
    assert_noticed(images, path, 0, f"{new} bytes in place of {size}")


def test_a_file_that_ends_during_a_read_is_noticed(images, path, monkeypatch):
    monkeypatch.setattr(images, "_look_at_file", lambda: None)
    os.truncate(path, path.stat().st_size - 1)
    assert_noticed(images, path, COUNT - 1, "its end, within image 6")


def test_a_disk_that_fails_is_noticed(images, path, monkeypatch):
    def fail(*_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "preadv", fail)
    assert_noticed(images, path, 0, "cannot read it: Input/output error")


def test_a_file_put_in_its_place_is_read_and_checked(images, path, pixels):
    other = path.with_name("other.npy")
    np.save(other, pixels)
    overwrite(other, 4)
    other.replace(path)
    np.testing.assert_array_equal(images[[3, 5]], pixels[[3, 5]])
    assert_noticed(images, path, 4, "image 4 is not what was written")


@pytest.mark.parametrize("content", [b"", b"something else", b"\x93NUMPY\x01\x00"])
def test_a_file_in_its_place_that_is_no_cache_is_noticed(images, path, content):
    other = path.with_name("other")
    other.write_bytes(content)
    other.replace(path)
    assert_noticed(images, path, 0, "another file under its name")


def test_more_or_larger_images_in_its_place_are_noticed(path, pixels):
    checksums = [zlib.crc32(image) for image in pixels]
    for other in (pixels[1:], np.zeros((COUNT, 4, 4, 3), np.uint8)):
        np.save(path, pixels)
        images = CachedImages(path, checksums)
        np.save(path.with_name("other.npy"), other)
        path.with_name("other.npy").replace(path)
        assert_noticed(images, path, 0, "under its name")


def test_a_deleted_file_can_be_read_to_the_end(images, path, pixels):
    path.unlink()
    np.testing.assert_array_equal(images[:], pixels)


def test_what_is_not_whole_is_not_opened(path, pixels):
    checksums = [zlib.crc32(image) for image in pixels]
    for wrong in (checksums[1:], [*checksums, 0]):
        with pytest.raises(ValueError, match="does not hold"):
            CachedImages(path, wrong)
    np.save(path, pixels.astype(np.int8))
    with pytest.raises(ValueError, match="not a .npy file of images"):
        CachedImages(path, checksums)


def test_files_are_closed_with_the_last_use(path, pixels):
    checksums = [zlib.crc32(image) for image in pixels]
    gc.collect()  # of other tests' files
    before = len(os.listdir("/proc/self/fd"))
    images = CachedImages(path, checksums)
    for _ in range(20):
        shutil.copyfile(path, path.with_name("other.npy"))
        path.with_name("other.npy").replace(path)
        np.testing.assert_array_equal(images[0], pixels[0])
    assert len(os.listdir("/proc/self/fd")) == before + 1
    del images
    assert len(os.listdir("/proc/self/fd")) == before
