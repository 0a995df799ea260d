"""What a run writes down: rows, which of them stay, and TensorBoard's events."""

import io
import json
import math
import os

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from records.rows import drop_rows_past, read_rows
from records.run_log import RunLog

SCALARS, SPIKES = "scalars.jsonl", "spikes.jsonl"


def write_run(folder, first, last):
    """Records iterations first to last as one session, each with a spike."""
    record = RunLog(folder, first - 1)
    for iteration in range(first, last + 1):
        loss = 1 / (iteration + 2)
        record.write_scalars(iteration, {"loss/generator": loss}, 1000.0 + iteration)
        record.write_spike({"iteration": iteration, "network": "generator"})
    record.sync()
    record.close()


def iterations_in(path):
    return [row["iteration"] for row in read_rows(path)]


def test_a_row_is_one_flat_json_object_a_line_flushed_at_once(tmp_path):
    record = RunLog(tmp_path, 0)
    record.write_scalars(100, {"loss/generator": 0.1, "penalty/r1": 2}, 0.0)
    record.write_spike({"iteration": 100, "network": "discriminator"})
    expected = '{"iteration": 100, "loss/generator": 0.1, "penalty/r1": 2}\n'
    assert (tmp_path / SCALARS).read_text() == expected
    expected = '{"iteration": 100, "network": "discriminator"}\n'
    assert (tmp_path / SPIKES).read_text() == expected
    record.close()


def test_what_is_not_finite_is_left_out_of_a_row(tmp_path):
    record = RunLog(tmp_path, 0)
    values = {"a": math.nan, "b": math.inf, "c": -math.inf, "d": 1e-45}
    record.write_scalars(1, values, 0.0)
    with pytest.raises(ValueError):
        record.write_spike({"iteration": 1, "largest_finite": math.nan})
    record.close()
    text = (tmp_path / SCALARS).read_text()
    assert json.loads(text) == {"iteration": 1, "d": 1e-45}
    assert (tmp_path / SPIKES).read_text() == ""


def test_continuing_drops_the_rows_past_the_checkpoint_from_both_files(tmp_path):
    write_run(tmp_path, 1, 5)
    lines = {n: (tmp_path / n).read_bytes().splitlines(True) for n in (SCALARS, SPIKES)}
    RunLog(tmp_path, 3).close()
    for name, before in lines.items():
        assert (tmp_path / name).read_bytes() == b"".join(before[:3])
    write_run(tmp_path, 4, 7)
    assert iterations_in(tmp_path / SCALARS) == [1, 2, 3, 4, 5, 6, 7]
    assert iterations_in(tmp_path / SPIKES) == [1, 2, 3, 4, 5, 6, 7]


def test_starting_anew_drops_all_rows(tmp_path):
    write_run(tmp_path, 1, 5)
    RunLog(tmp_path, 0).close()
    assert (tmp_path / SCALARS).read_bytes() == b""
    assert (tmp_path / SPIKES).read_bytes() == b""


@pytest.mark.parametrize("name", [SCALARS, SPIKES])
def test_a_row_that_a_killed_process_left_unfinished_is_dropped(tmp_path, name):
    write_run(tmp_path, 1, 3)
    whole = (tmp_path / name).read_bytes()
    third = len(b"".join(whole.splitlines(True)[:2]))
    for length in range(third, len(whole)):  # the last but its end of line included
        (tmp_path / name).write_bytes(whole[:length])
        assert iterations_in(tmp_path / name) == [1, 2]
        RunLog(tmp_path, 2).close()
        assert (tmp_path / name).read_bytes() == whole[:third]
    (tmp_path / name).write_bytes(whole[:-1])
    write_run(tmp_path, 3, 3)
    assert iterations_in(tmp_path / name) == [1, 2, 3]


def test_rows_are_dropped_all_at_once_or_not_at_all(tmp_path, monkeypatch):
    write_run(tmp_path, 1, 3)
    before = (tmp_path / SCALARS).read_bytes()

    def killed(*paths):
        raise InterruptedError

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(InterruptedError):
        drop_rows_past(tmp_path / SCALARS, 2)
    assert (tmp_path / SCALARS).read_bytes() == before


def test_no_rows_are_read_of_a_missing_file(tmp_path):
    assert read_rows(tmp_path / SCALARS) == []
    drop_rows_past(tmp_path / SCALARS, 5)
    assert list(tmp_path.iterdir()) == []


def events_of(folder, tag):
    """Returns (step, value) as TensorBoard reads them from all files of a folder."""
    accumulator = EventAccumulator(str(folder))
    accumulator.Reload()
    return [(event.step, event.value) for event in accumulator.Scalars(tag)]


def test_tensorboard_reads_the_scalars(tmp_path):
    write_run(tmp_path, 1, 3)
    read = events_of(tmp_path, "loss/generator")
    # TensorBoard keeps float32.
    assert [step for step, _ in read] == [1, 2, 3]
    values = [value for _, value in read]
    assert values == pytest.approx([1 / 3, 1 / 4, 1 / 5], rel=1e-7)


def test_tensorboard_forgets_what_was_past_the_checkpoint(tmp_path):
    write_run(tmp_path, 1, 5)
    record = RunLog(tmp_path, 2)
    record.write_scalars(3, {"loss/generator": 9.0}, 2000.0)
    record.close()
    read = events_of(tmp_path, "loss/generator")
    assert read == [(1, pytest.approx(1 / 3)), (2, pytest.approx(1 / 4)), (3, 9.0)]


def test_tensorboard_shows_the_grid_and_the_weights(tmp_path):
    png = io.BytesIO()
    Image.new("RGB", (2, 1), (9, 8, 7)).save(png, "PNG")
    weights = np.array([-1.0, 0.0, 0.5, np.nan, np.inf], np.float32)
    record = RunLog(tmp_path, 0)
    record.write_grid(5, png.getvalue(), 1000.0)
    record.write_histograms(5, {"weights/a": weights, "weights/b": weights[3:]}, 1000.0)
    record.close()
    accumulator = EventAccumulator(str(tmp_path), size_guidance={"histograms": 0})
    accumulator.Reload()
    (grid,) = accumulator.Images("grid")
    assert (grid.step, grid.encoded_image_string) == (5, png.getvalue())
    (shown,) = accumulator.Histograms("weights/a")
    counted = shown.histogram_value
    assert (counted.min, counted.max, counted.num, counted.sum) == (-1.0, 0.5, 3, -0.5)
    assert sum(counted.bucket) == 3
    assert counted.bucket_limit[-1] == 0.5


def test_a_failure_of_tensorboard_costs_its_events_alone(tmp_path, capsys):
    record = RunLog(tmp_path, 0)
    record._events._file.close()
    record._events._file = open("/dev/full", "wb")
    record.sync()
    record.write_scalars(1, {"loss/generator": 0.5}, now=0.0)
    record.close()
    assert [row["iteration"] for row in read_rows(tmp_path / "scalars.jsonl")] == [1]
    assert "no more events for TensorBoard" in capsys.readouterr().err
