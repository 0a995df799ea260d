"""Tests of the folder source: every kind of file, every kind of folder."""

import os
import shutil
import struct
import zlib
from collections import namedtuple

import numpy as np
import pytest
from PIL import Image

import data
from data.folder import FolderSource

ORANGE, GREEN = (200, 100, 50), (0, 255, 0)

Loaded = namedtuple("Loaded", "images said")


def load(folder, cache_dir, size=8):
    said = []
    images = data.load_images(
        "folder", image_size=size, cache_dir=cache_dir, path=folder, say=said.append
    )
    return Loaded(images, said)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "photographs"
    folder.mkdir()
    return folder


@pytest.fixture
def cache_dir(tmp_path):
    return tmp_path / "cache"


def plain(colour=ORANGE, size=(16, 16), mode="RGB"):
    return Image.new(mode, size, colour)


def middle(loaded):
    return loaded.images.images[0, 4, 4].tolist()


def skipped_note(loaded):
    (note,) = [line for line in loaded.said if line.startswith("skipped")]
    return note


def skipped_names(loaded):
    return loaded.images.path.with_suffix(".txt").read_text()


# --- what comes in


def test_real_photographs_are_all_read(flowers_folder, cache_dir):
    loaded = load(flowers_folder / "originals", cache_dir, size=64)
    assert loaded.images.count == 64
    assert not any(line.startswith("skipped") for line in loaded.said)


# --- what is skipped


def huge_png(width, height):
    """Returns a PNG that promises many pixels and holds none."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n"
    for name, content in ((b"IHDR", header), (b"IDAT", b"")):
        checksum = zlib.crc32(name + content)
        png += struct.pack(">I", len(content)) + name + content
        png += struct.pack(">I", checksum)
    return png


def spoil(folder):
    """Puts one file of each unusable kind into a folder; returns their names."""
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(folder / "cut.jpg")
    os.truncate(folder / "cut.jpg", 2000)
    Image.fromarray(noise).save(folder / "cut.png")
    os.truncate(folder / "cut.png", 6000)
    (folder / "text.jpg").write_text("not a photograph")
    (folder / "zero.jpg").touch()
    (folder / "random.webp").write_bytes(np.random.default_rng(1).bytes(5000))
    (folder / "header.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    (folder / "bomb.png").write_bytes(huge_png(60000, 60000))
    plain(0.5, mode="F").save(folder / "float.tif")
    plain().save(folder / "program.eps")  # Pillow would start Ghostscript
    (folder / "gone.jpg").symlink_to(folder / "nowhere.jpg")
    return 10


def test_unusable_files_are_skipped_counted_and_named_once(folder, cache_dir):
    plain().save(folder / "good.png")
    count = spoil(folder)
    loaded = load(folder, cache_dir)
    assert loaded.images.count == 1
    assert skipped_note(loaded).startswith(f"skipped {count} files without a usable")
    note = skipped_names(loaded)
    assert "cut.jpg (image file is truncated" in note
    assert "zero.jpg (empty)" in note
    assert "text.jpg (not an image that Pillow can read)" in note
    assert "program.eps (not an image that Pillow can read)" in note
    assert "bomb.png (more than 179 megapixels, which is the most that is read" in note
    assert "gone.jpg (No such file or directory)" in note
    assert "float.tif (floating-point pixels" in note


def test_what_is_not_a_regular_file_is_skipped_without_waiting_for_it(
    folder, cache_dir
):
    plain().save(folder / "good.png")
    os.mkfifo(folder / "pipe.jpg")
    assert "pipe.jpg (not a regular file)" in skipped_names(load(folder, cache_dir))


def test_a_large_photograph_is_used_without_a_warning_up_to_pillows_limit(
    folder, cache_dir, monkeypatch
):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    plain(size=(40, 40)).save(folder / "large.png")  # Pillow warns from 1000 pixels on
    plain(size=(50, 50)).save(folder / "too_large.png")  # and refuses from 2000 on
    loaded = load(folder, cache_dir)
    assert loaded.images.count == 1
    assert "too_large.png" in skipped_names(loaded)


def test_a_file_that_may_not_be_read_is_skipped_until_it_may(
    folder, cache_dir, monkeypatch
):
    plain().save(folder / "good.png")
    plain().save(folder / "private.png")
    # Permissions do not bind a test that runs as root.
    with monkeypatch.context() as patch:
        patch.setattr(os, "access", lambda path, _: path.name != "private.png")
        loaded = load(folder, cache_dir)
    assert "private.png (this user may not read it)" in skipped_names(loaded)
    assert load(folder, cache_dir).images.count == 2


def test_a_subfolder_that_cannot_be_listed_is_named(folder, cache_dir, monkeypatch):
    plain().save(folder / "good.png")
    (folder / "locked").mkdir()
    scandir = os.scandir

    def refuse(path):
        if os.fspath(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    note = skipped_names(load(folder, cache_dir))
    assert "locked/ (cannot be listed: Permission denied)" in note


# --- which files, in which order


def test_the_whole_tree_is_taken_in_the_order_of_relative_paths(folder, cache_dir):
    for name, grey in (("b/1.png", 30), ("a/z.png", 20), ("B.png", 10), ("b.png", 25)):
        (folder / name).parent.mkdir(exist_ok=True)
        plain(grey, mode="L").save(folder / name)
    # As bytes: "B" < "a" < "b." < "b/".
    greys = load(folder, cache_dir).images.images[:, 0, 0, 0]
    assert greys.tolist() == [10, 20, 25, 30]


def test_more_files_than_threads_keep_their_order(folder, cache_dir):
    for grey in range(100):
        size = (400, 400) if grey % 7 == 0 else (8, 8)  # some take longer
        plain(grey, mode="L", size=size).save(folder / f"{grey:03}.png")
    greys = load(folder, cache_dir).images.images[:, 0, 0, 0]
    assert greys.tolist() == list(range(100))


def test_hidden_files_and_folders_are_left_out(folder, cache_dir):
    plain().save(folder / "good.png")
    plain().save(folder / ".secret.png")
    (folder / ".thumbnails").mkdir()
    plain().save(folder / ".thumbnails" / "small.png")
    loaded = load(folder, cache_dir)
    assert loaded.images.count == 1
    assert not any(line.startswith("skipped") for line in loaded.said)


def test_links_are_followed_but_never_in_a_circle(folder, cache_dir, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    plain().save(elsewhere / "inside.png")
    plain().save(tmp_path / "single.png")
    (folder / "linked").symlink_to(elsewhere)
    (folder / "single.png").symlink_to(tmp_path / "single.png")
    (folder / "self").symlink_to(folder)
    (elsewhere / "back").symlink_to(folder)
    assert load(folder, cache_dir).images.count == 2


def test_names_that_are_no_text_are_read_and_named(folder, cache_dir):
    name = os.fsdecode(b"fl\xe9ur.png")  # Latin-1, as old archives hold
    plain().save(os.path.join(folder, name))
    (folder / (name + ".txt")).write_text("not an image")
    loaded = load(folder, cache_dir)
    assert loaded.images.count == 1
    assert skipped_names(loaded).isascii()


# --- when the cache is used again


def test_the_second_load_opens_no_photograph(folder, cache_dir, monkeypatch):
    plain().save(folder / "good.png")
    first = load(folder, cache_dir)

    def fail(*_, **__):
        raise AssertionError("a photograph was opened")

    monkeypatch.setattr("data.workers.prepare", fail)
    monkeypatch.setattr("data.crop.Image.open", fail)
    assert load(folder, cache_dir).images.fingerprint == first.images.fingerprint


def test_changed_photographs_are_read_again(folder, cache_dir):
    path = folder / "good.png"
    plain().save(path)
    load(folder, cache_dir)
    status = path.stat()
    plain(GREEN).save(path)
    os.utime(path, ns=(0, status.st_mtime_ns))  # only its bytes tell
    assert path.stat().st_size != status.st_size
    assert middle(load(folder, cache_dir)) == list(GREEN)
    path.write_bytes(path.read_bytes())
    os.utime(path, ns=(0, 1))  # only its time tells
    before = {path.name for path in cache_dir.glob("*.npy")}
    load(folder, cache_dir)
    assert {path.name for path in cache_dir.glob("*.npy")} > before


def test_a_renamed_added_or_removed_file_changes_the_key(folder):
    keys = set()
    plain().save(folder / "a.png")
    keys.add(FolderSource(folder).key())
    shutil.copy2(folder / "a.png", folder / "b.png")
    keys.add(FolderSource(folder).key())
    (folder / "a.png").unlink()
    keys.add(FolderSource(folder).key())
    (folder / "c.txt").touch()
    keys.add(FolderSource(folder).key())
    assert len(keys) == 4


def test_a_moved_folder_has_the_same_fingerprint(folder, cache_dir, tmp_path):
    for grey in (10, 20):
        plain(grey, mode="L").save(folder / f"{grey}.png")
    first = load(folder, cache_dir).images
    copied = shutil.copytree(folder, tmp_path / "copied", copy_function=shutil.copyfile)
    os.utime(copied / "10.png", ns=(5, 5))
    second = load(copied, cache_dir).images
    assert second.path != first.path  # other times: prepared again,
    assert second.fingerprint == first.fingerprint  # and found to be the same
    folder.rename(tmp_path / "moved")
    assert load(tmp_path / "moved", cache_dir).images.path == first.path


def test_a_folder_can_be_read_from_a_file_on_skipped_ones_counted(folder):
    for number in range(3):
        (folder / f"{number}").mkdir()
        plain(number, mode="L").save(folder / f"{number}" / "photograph.png")
    (folder / "broken.jpg").write_bytes(b"broken")
    (folder / "empty.jpg").touch()  # not opened at all: these come first
    source = FolderSource(folder)

    def told(items):
        return [
            (one.label, one.pixels.tobytes()) if hasattr(one, "pixels") else one
            for one in items
        ]

    whole = told(source.images(8))
    assert len(whole) == 5
    for start in range(6):
        assert told(source.images(8, start)) == whole[start:]


# --- folders that will not do


def test_a_missing_path_names_the_key(cache_dir):
    with pytest.raises(data.DataError, match="data.path is missing"):
        load(None, cache_dir)


def test_a_missing_folder_a_file_and_an_empty_folder_are_refused(folder, cache_dir):
    with pytest.raises(data.DataError, match="found:    nothing at .*nowhere"):
        load(folder / "nowhere", cache_dir)
    (folder / "file").touch()
    with pytest.raises(data.DataError, match="found:    a file at .*file"):
        load(folder / "file", cache_dir)
    (folder / "file").unlink()
    with pytest.raises(data.DataError, match="no files in the folder of photographs"):
        load(folder, cache_dir)


def test_a_folder_that_cannot_be_listed_is_refused(folder, cache_dir, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(data.DataError, match="cannot list .*: Permission denied"):
        load(folder, cache_dir)


def test_a_folder_of_nothing_usable_is_refused_with_names(folder, cache_dir):
    count = spoil(folder)
    with pytest.raises(data.DataError, match="no usable image in folder") as caught:
        load(folder, cache_dir)
    assert f"{count} files" in str(caught.value)
    assert not list(cache_dir.glob("*.npy*"))
