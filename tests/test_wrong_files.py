"""Files of a run that are whole but not what they should be, or of a newer version."""

import json
import struct

import pytest
from tiny_run import empty_run

from data.image_set import _read
from files.atomic import write_text
from records.checkpoint import (
    DamagedCheckpoint,
    Retention,
    checkpoint_path,
    memory_bytes,
    read_checkpoint,
    write_checkpoint,
)
from records.descriptions import read_descriptions
from records.find_checkpoint import newest_whole_checkpoint
from records.origin import Origin, ParentOfRun, read_origin
from records.run_folder import RunFolder
from settings.messages import Problem

pytestmark = pytest.mark.fault("whole but wrong files of a run")
WRONG = {
    "object": "{}",
    "list": "[]",
    "null": "null",
    "number": "5",
    "text": '"flowers"',
    "torn": '{"data_finger',
    "no text": "\0\0\0",
    "deep": "[" * 100_000,
    "wide": '{"data_fingerprint": "x", "versions": {"a": 5}}',
    "typed": '{"data_fingerprint": 5}',
    "parent": '{"data_fingerprint": "x", "parent": {"run": "y"}}',
    "count": '{"data_fingerprint": "x", "num_images": true}',
}


@pytest.fixture(autouse=True)
def working_directory(tmp_path, monkeypatch):
    """Puts runs/ of every test under a folder of its own."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG)
def test_an_origin_that_is_none_is_told_with_its_file_and_a_way_out(text):
    run = RunFolder("wrong")
    write_text(run.origin, text)
    with pytest.raises(Problem) as caught:
        read_origin(run)
    first, *others = str(caught.value).splitlines()
    assert first.startswith("runs/wrong/origin.json: cannot be read (")
    assert len(first) < 200
    assert "--fresh" in others[-1]
    assert caught.value.status == 2


def test_an_origin_of_an_older_version_is_one():
    run = RunFolder("older")
    write_text(run.origin, '{"data_fingerprint": "x", "parent": null, "more": [1]}')
    assert read_origin(run) == Origin(data_fingerprint="x")
    parent = ParentOfRun(requested="a@3", run="a", iteration=3)
    whole = Origin(data_fingerprint="x", num_images=8, parent=parent, device="CPU")
    write_text(run.origin, whole.model_dump_json())
    assert read_origin(run) == whole
    named = '{"requested": "a@3", "run": "a", "iteration": 3}'
    write_text(run.origin, f'{{"data_fingerprint": "x", "parent": {named}}}')
    assert read_origin(run).parent == parent


def test_a_run_of_a_newer_version_is_refused_with_what_to_do():
    run = RunFolder("newer")
    write_text(run.origin, '{"format": 2, "photographs": ["another layout"]}')
    with pytest.raises(Problem, match="runs/newer: a run of a newer version") as caught:
        read_origin(run)
    assert "found:    format 2" in str(caught.value)
    assert "update this program" in str(caught.value)


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG)
def test_descriptions_of_metrics_that_are_none_are_kept_aside(tmp_path, capsys, text):
    path = tmp_path / "metrics.json"
    assert read_descriptions(path) == []
    path.write_text(text)
    assert read_descriptions(path) == []
    if text != "[]":
        assert "metrics.json is damaged and goes on" in capsys.readouterr().err
        assert (tmp_path / "metrics.damaged-1.json").read_text() == text


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG)
def test_a_cache_with_another_description_is_made_anew(tmp_path, text):
    path = tmp_path / "drawn-32px-0.npy"
    path.with_suffix(".json").write_text(text)
    assert _read(path, "key") is None


def write_tensor(path, dtype, shape, num_bytes, **metadata):
    """Writes a checkpoint of one array; its bytes take no room on the disk."""
    about = {"format": "1", "iteration": "4", "sha256": "0"} | metadata
    tensor = {"dtype": dtype, "shape": shape, "data_offsets": [0, num_bytes]}
    header = json.dumps({"__metadata__": about, "a": tensor}).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(8 + len(header) + num_bytes)


TENSORS = [
    ("F8_E4M3", [4], 4),
    ("F8_E5M2", [4], 4),
    ("F8_E8M0", [4], 4),
    ("F6_E2M3", [4], 3),
    ("F4", [4], 2),
    ("BF16", [4], 8),
    ("C64", [1], 8),
    ("none", [4], 4),
    ("F32", [4], 12),
    ("F32", [memory_bytes()], 4 * memory_bytes()),
    ("F32", [2**62, 2**62], 4),
    ("F32", [-1], 4),
]


@pytest.mark.parametrize("tensor", TENSORS, ids=str)
def test_a_checkpoint_that_cannot_be_read_for_whatever_reason_is_damaged(
    tensor, capsys
):
    run = empty_run("typed", 2)
    path = checkpoint_path(run.checkpoints, 4)
    try:
        write_tensor(path, *tensor)
    except OSError:
        pytest.skip("a file system without large files")
    with pytest.raises(DamagedCheckpoint, match=str(path)) as caught:
        read_checkpoint(run.checkpoints, 4)
    assert len(str(caught.value)) < 300
    iteration, _ = newest_whole_checkpoint(run)
    assert iteration == 2
    assert "trying the one before it" in capsys.readouterr().err


def test_a_checkpoint_of_a_newer_version_is_not_passed_over():
    run = empty_run("newer", 2)
    path = checkpoint_path(run.checkpoints, 4)
    write_tensor(path, "F32", [4], 16, format="2")
    with pytest.raises(Problem, match="written by a newer version") as caught:
        newest_whole_checkpoint(run)
    assert "found:    format 2" in str(caught.value)
    assert path.exists()


def test_a_flipped_byte_does_not_make_a_checkpoint_newer(tmp_path):
    keep = Retention(keep_last=9, keep_every_iterations=1)
    write_checkpoint(tmp_path, 4, {}, keep)
    path = checkpoint_path(tmp_path, 4)
    content = path.read_bytes()
    flipped = content.replace(b'"format":"1"', b'"format":"3"')
    assert flipped != content
    path.write_bytes(flipped)
    assert read_checkpoint(tmp_path, 4) == {}
