"""Weights in files: their SHA-256."""

import hashlib
import os

import pytest

from metrics import FeaturesError
from metrics.weights_file import known_sha256


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
    (tmp_path / f".weights.pb.sha256.{os.getpid()}.writing").mkdir()
    assert known_sha256(path, said.append).startswith("ba7816bf")
    assert len(said) == 1 and "weights.pb.sha256 could not be written" in said[0]
