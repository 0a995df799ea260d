"""Runs as each version wrote them: later versions continue them, or say why not.

tests/old_runs has a folder for each format (records/origin.py). When a change makes the
newest of them unfit, it raises that format, adds a folder, and changes what is expected
of the old one here into the sentence that refuses it.
"""

import pathlib
import shutil

import numpy as np
import pytest
from tiny_run import NAME, arrays_at, checkpoints_in, eagerly, rows_in, train_here

from records.origin import FORMAT
from records.run_folder import RunFolder
from records.sessions import read_sessions
from records.weights import read_weights

pytestmark = pytest.mark.fault("runs of older and newer versions")
OLD_RUNS = pathlib.Path(__file__).parent / "old_runs"


@pytest.fixture
def old_run(tmp_path, monkeypatch):
    """Returns a function that copies a format's run and makes it the current one."""

    def copied(number):
        folder = tmp_path / "old"
        shutil.copytree(OLD_RUNS / f"format-{number}", folder)
        monkeypatch.chdir(folder)
        return folder

    return copied


def test_every_format_has_a_run():
    found = {path.name for path in OLD_RUNS.iterdir()}
    assert found == {f"format-{number}" for number in range(1, FORMAT + 1)}


def test_a_run_of_format_1_continues(old_run, capsys):
    folder = old_run(1)
    before = arrays_at(folder, 4)
    with eagerly():
        assert train_here("--set", "training.total_iterations=6") == 0
    assert "iteration 4 of 6" in capsys.readouterr().out
    assert checkpoints_in(folder) == [4, 6]
    rows = rows_in(folder, "scalars.jsonl")
    assert [row["iteration"] for row in rows] == [1, 2, 3, 4, 4, 5, 6]
    assert [row["iteration"] for row in rows_in(folder, "spikes.jsonl")] == [3]
    sessions = read_sessions(RunFolder(NAME).sessions)
    assert [one["last_iteration"] for one in sessions] == [4, 6]
    after = arrays_at(folder, 6)
    assert before.keys() == after.keys()
    weights = [name for name in before if name.startswith("generator/")]
    assert weights
    assert all(np.isfinite(after[name]).all() for name in weights)
    assert any((after[name] != before[name]).any() for name in weights)


def test_a_weights_file_of_format_1_is_one_to_start_from(old_run):
    folder = old_run(1)
    weights = read_weights(folder / "tiny.safetensors")
    assert (weights.run, weights.iteration) == (NAME, 4)
    from_file = ("--from", "tiny.safetensors", "--set", "run.name=next")
    with eagerly():
        assert train_here(*from_file, "--set", "training.total_iterations=2") == 0
    assert RunFolder("next").iterations() == [2]
