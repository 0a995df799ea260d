"""Damaged lines in a run's files: what is lost, what is kept, and what is said."""

import json
import shutil

import pytest
from test_run_log import iterations_in, write_run
from tiny_run import checkpoints_in, rows_in, train_in

from records.retention import retention_of
from records.rows import read_rows
from records.run_log import RunLog
from records.sessions import Sessions, read_sessions
from settings.config import Config

SCALARS, SPIKES, EVENTS = "scalars.jsonl", "spikes.jsonl", "events.jsonl"
NO_ROWS = [
    b"\0\0\0\0",
    b"\xff\xfe",
    b"5",
    b"null",
    b"[1]",
    b'"iteration"',
    b"{}",
    b'{"iteration": true}',
    b'{"iteration": -1}',
    b'{"iteration": "2"}',
    b'{"iteration": 2, "loss/generat',
    b"[" * 100_000,
    b"9" * 5_000,
]


def with_line(path, number, line):
    """Replaces a line of a file, counted from 1."""
    lines = path.read_bytes().splitlines()
    lines[number - 1] = line
    path.write_bytes(b"\n".join(lines) + b"\n")


@pytest.mark.parametrize("name", [SCALARS, SPIKES, EVENTS])
@pytest.mark.parametrize("line", NO_ROWS)
def test_a_damaged_line_costs_no_other_row(tmp_path, capsys, name, line):
    write_run(tmp_path, 1, 5)
    shutil.copy(tmp_path / SPIKES, tmp_path / EVENTS)
    with_line(tmp_path / name, 3, line)
    before = (tmp_path / name).read_bytes()
    assert iterations_in(tmp_path / name) == [1, 2, 4, 5]
    assert (tmp_path / name).read_bytes() == before  # reading changes nothing
    RunLog(tmp_path, 5).close()
    rows = read_rows(tmp_path / name)
    told = [row for row in read_rows(tmp_path / EVENTS) if "warning" in row]
    kept = [row["iteration"] for row in rows if "warning" not in row]
    assert kept == [1, 2, 4, 5]
    copy = tmp_path / name.replace(".", ".damaged-1.")
    assert copy.read_bytes() == before
    said = f"{name}: line 3 cannot be read and is left out; the file as it was is kept"
    assert said in capsys.readouterr().err
    assert [said in row["warning"] for row in told] == [True]


@pytest.mark.parametrize("value", ["NaN", "Infinity", '"0.5"', "null", "true", "{}"])
def test_a_row_of_scalars_has_nothing_but_finite_numbers(tmp_path, value):
    path = tmp_path / SCALARS
    path.write_text(f'{{"iteration": 1, "a": {value}}}\n{{"iteration": 2, "a": 3}}\n')
    assert iterations_in(path) == [2]
    path.rename(tmp_path / EVENTS)  # whose rows have text
    assert iterations_in(tmp_path / EVENTS) == [1, 2]


def test_copies_do_not_replace_each_other_and_long_lists_are_cut(tmp_path, capsys):
    write_run(tmp_path, 1, 9)
    with_line(tmp_path / SCALARS, 2, b"x")
    RunLog(tmp_path, 9).close()
    first = (tmp_path / "scalars.damaged-1.jsonl").read_bytes()
    for number in range(1, 8):
        with_line(tmp_path / SCALARS, number, b"y")
    RunLog(tmp_path, 9).close()
    assert (tmp_path / "scalars.damaged-1.jsonl").read_bytes() == first
    assert (tmp_path / "scalars.damaged-2.jsonl").read_bytes().startswith(b"y\n")
    assert "line 1, 2, 3, 4, 5 and 2 more cannot" in capsys.readouterr().err
    RunLog(tmp_path, 9).close()
    assert capsys.readouterr().err == ""


def lost_of(tmp_path, line, iteration):
    """Returns the iterations said to be lost with one line of scalars 1 to 5."""
    write_run(tmp_path, 1, 5)
    with_line(tmp_path / SCALARS, line, b"x")
    RunLog(tmp_path, iteration).close()
    (row,) = read_rows(tmp_path / EVENTS)
    return row["lost"]


@pytest.mark.parametrize(
    ("line", "lost"), [(1, [0, 2]), (3, [2, 4]), (5, [4, 5]), (4, [3, 5])]
)
def test_what_was_lost_is_of_the_rows_between_its_neighbours(tmp_path, line, lost):
    assert lost_of(tmp_path, line, 5) == lost


def test_what_the_run_does_again_is_not_lost(tmp_path):
    assert lost_of(tmp_path, 4, 4) == [3, 4]


def config(**training):
    metrics = {"extractor": "random", "every_iterations": 2}
    training["checkpoint_every_iterations"] = 2
    return Config(run={"name": "kept"}, training=training, metrics=metrics)


def test_a_checkpoint_that_may_have_been_the_best_stays():
    rows = [{"iteration": n, "metric/kd_random": 1 / n} for n in (2, 6, 8)]
    events = [{"iteration": 2, "warning": "", "lost": [2, 6]}]
    kept = [2, 4, 6, 8, 10]
    assert retention_of(config(keep_best=1), kept, rows).best == (8,)
    assert retention_of(config(keep_best=1), kept, rows, events=events).best == (8, 4)
    assert retention_of(config(keep_best=0), kept, rows, events=events).best == ()


def test_a_run_whose_best_row_is_damaged_keeps_its_best_checkpoint(tmp_path, capsys):
    metrics = {"every_iterations": 1, "extractor": "random", "num_images": 8}
    training = {
        "total_iterations": 6,
        "checkpoint_every_iterations": 1,
        "keep_last": 1,
        "keep_best": 1,
    }
    train_in(tmp_path, metrics=metrics, training=training)
    path = tmp_path / "runs/tiny/scalars.jsonl"
    measured = {
        row["iteration"]: row["metric/kd_random"]
        for row in rows_in(tmp_path, SCALARS)
        if "metric/kd_random" in row
    }
    best = min(measured, key=measured.get)
    assert best in checkpoints_in(tmp_path)
    lines = path.read_bytes().splitlines()
    (number,) = [
        number
        for number, line in enumerate(lines, 1)
        if json.loads(line)["iteration"] == best and b"metric/kd_random" in line
    ]
    with_line(path, number, lines[number - 1][:-1])
    training["total_iterations"] = 9
    train_in(tmp_path, metrics=metrics, training=training)
    assert best in checkpoints_in(tmp_path)
    assert f"scalars.jsonl: line {number} cannot be read" in capsys.readouterr().err


WHOLE = {"last_iteration": 4, "seconds": 9.5, "device": "CPU", "versions": {}}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "{}",
        "null",
        "[" * 100_000,
        json.dumps([WHOLE, 5]),
        json.dumps([WHOLE, WHOLE | {"seconds": "9"}]),
        json.dumps([WHOLE | {"seconds": None}, WHOLE]),
        json.dumps([WHOLE])[:-2],
    ],
)
@pytest.mark.parametrize("name", ["sessions.json", "sittings.json"])
def test_damaged_sessions_are_kept_aside_and_whole_ones_go_on(
    tmp_path, capsys, name, text
):
    (tmp_path / name).write_text(text)
    path = tmp_path / "sessions.json"
    whole = [WHOLE] if text.startswith("[{") and text.endswith("]") else []
    assert read_sessions(path) == whole
    Sessions(path, 4, "CPU", "a.yaml", None).write_progress(7)
    assert [one["last_iteration"] for one in read_sessions(path)] == [
        *[4 for _ in whole],
        7,
    ]
    copy = tmp_path / name.replace(".", ".damaged-1.")
    assert copy.read_text() == text
    assert f"{name}: cannot be read as a whole" in capsys.readouterr().err


def test_the_first_session_warns_of_nothing(tmp_path, capsys):
    path = tmp_path / "sessions.json"
    for first in (0, 3):
        Sessions(path, first, "CPU", "a.yaml", None).write_progress(first + 3)
    assert [one["last_iteration"] for one in read_sessions(path)] == [3, 6]
    assert list(tmp_path.iterdir()) == [path]
    assert capsys.readouterr().err == ""
