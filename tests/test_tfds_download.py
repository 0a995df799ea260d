"""Tests of downloading a TFDS data set, and mostly of not being able to."""

import time
import urllib.error
import urllib.request

import pytest

import data
from data import tfds_download
from data.tfds_download import import_tfds

FLOWERS = "oxford_flowers102"


def load(folder, name=FLOWERS, say=lambda line: None):
    return data.load_images(
        "tfds",
        image_size=8,
        cache_dir=folder / "cache",
        name=name,
        data_dir=folder / "tfds",
        say=say,
    )


@pytest.fixture
def no_download(monkeypatch):
    """Fails the test if TFDS is asked to download."""

    def fail(*_, **__):
        raise AssertionError("a download was started")

    builder_class = import_tfds().core.DatasetBuilder
    monkeypatch.setattr(builder_class, "download_and_prepare", fail)


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_, **__):
        raise urllib.error.URLError("Temporary failure in name resolution")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)


def test_without_network_it_says_what_is_missing_and_what_to_do(
    tmp_path, no_download, no_network
):
    started = time.monotonic()
    with pytest.raises(data.DataError, match="is not on this machine") as caught:
        load(tmp_path)
    # A second where the machine is idle; TFDS's own retries take minutes.
    assert time.monotonic() - started < 30
    message = str(caught.value)
    assert FLOWERS in message
    assert f"looked in:  {tmp_path / 'tfds'}" in message
    assert "www.robots.ox.ac.uk: Temporary failure in name resolution" in message
    assert "329 MiB" in message
    assert "set data.data_dir to a directory" in message
    assert "set data.source to folder" in message
    assert not (tmp_path / "cache").exists()


def test_an_unknown_data_set_is_refused_with_the_nearest(tmp_path, no_download):
    with pytest.raises(data.DataError, match="has no data set of this name") as caught:
        load(tmp_path, name="oxford_flower102")
    assert f"nearest:  {FLOWERS}" in str(caught.value)


def test_a_version_tfds_cannot_prepare_is_refused(tmp_path, no_download):
    with pytest.raises(data.DataError, match="2.1.1"):
        load(tmp_path, name=f"{FLOWERS}:1.0.0")


def test_a_download_that_fails_says_what_else_can_be_done(tmp_path, monkeypatch):
    monkeypatch.setattr(tfds_download, "why_unreachable", lambda url: None)

    def fail(*_, **__):
        raise ValueError("Checksums do not match.\nDetails\nof them")

    builder_class = import_tfds().core.DatasetBuilder
    monkeypatch.setattr(builder_class, "download_and_prepare", fail)
    said = []
    with pytest.raises(data.DataError, match="could not download") as caught:
        load(tmp_path, say=said.append)
    assert "found:      Checksums do not match.\n" in str(caught.value)
    assert "set data.source to folder" in str(caught.value)
    assert said == [
        f"downloading the TFDS data set {FLOWERS}, 329 MiB, into {tmp_path / 'tfds'}"
    ]
