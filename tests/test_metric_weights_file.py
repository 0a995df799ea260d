"""Weights in files: their SHA-256."""

import hashlib
import os

import pytest

import metrics.weights_file
from metrics.errors import FeaturesError
from metrics.weights_file import known_sha256, weights_path


def say_nothing(_):
    pass


def test_the_sha256_of_the_first_use_is_kept_as_sha256sum_writes_it(tmp_path):
    path = tmp_path / "weights.pb"
    path.write_bytes(b"abc")
    # FIPS 180-2, appendix B.1.
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert known_sha256(path, say_nothing) == expected
    beside = tmp_path / "weights.pb.sha256"
    assert beside.read_text() == f"{expected}  weights.pb\n"
    assert known_sha256(path, say_nothing) == expected
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("damage", ["file", "kept"])
def test_a_file_that_changed_since_its_first_use_is_refused(tmp_path, damage):
    path, beside = tmp_path / "weights.pb", tmp_path / "weights.pb.sha256"
    path.write_bytes(b"abc")
    kept = known_sha256(path, say_nothing)
    if damage == "file":
        path.write_bytes(b"abd")
    else:
        beside.write_text("")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    words = f"(?s)expected: .*{kept if damage == 'file' else 'none'}.*found: .*{found}"
    with pytest.raises(FeaturesError, match=words):
        known_sha256(path, say_nothing)


def test_a_folder_that_cannot_be_written_to_is_warned_about(tmp_path):
    path, said = tmp_path / "weights.pb", []
    path.write_bytes(b"abc")
    # A folder in the way of the file written aside stops even root.
    (tmp_path / f".{os.getpid()}.writing.weights.pb.sha256").mkdir()
    assert known_sha256(path, said.append).startswith("ba7816bf")
    assert len(said) == 1 and "weights.pb.sha256 could not be written" in said[0]


URL = "https://example.org/weights/network.h5"


def path_of(folder, weights=None, check=say_nothing):
    return weights_path(weights, folder, URL, "a network", check, say_nothing)


def test_weights_are_downloaded_once(tmp_path, monkeypatch):
    calls, checked = [], []

    def fetch(url, path, check, say):
        calls.append(url)
        path.write_bytes(b"abc")
        check(path)

    monkeypatch.setattr(metrics.weights_file, "download", fetch)
    for _ in range(2):
        path = path_of(tmp_path, check=checked.append)
        assert path == tmp_path / "network.h5"
    assert calls == [URL]
    assert checked == [path]


def test_a_machine_without_network_is_told_what_to_do(tmp_path, monkeypatch):
    def fetch(*_):
        raise OSError("no answer within 5 seconds")

    monkeypatch.setattr(metrics.weights_file, "download", fetch)
    with pytest.raises(FeaturesError) as raised:
        path_of(tmp_path)
    for word in (
        "a network",
        str(tmp_path / "network.h5"),
        URL,
        "by path",
        "no answer",
    ):
        assert word in str(raised.value)


def test_a_path_that_is_given_is_used_or_refused(tmp_path):
    path = tmp_path / "mine.h5"
    path.write_bytes(b"abc")
    assert path_of(tmp_path / "cache", path) == path
    with pytest.raises(FeaturesError, match="a network.*\n.*\n  found: +nothing"):
        path_of(tmp_path / "cache", tmp_path / "other.h5")
