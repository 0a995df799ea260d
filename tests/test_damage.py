"""Damaged lines in a run's files: what is lost, what is kept, and what is said."""

import json
import shutil

import numpy as np
import pytest
from test_run_log import iterations_in, write_run
from tiny_run import checkpoints_in, empty_run, rows_in, train_in

from records.damage import copy_if_damaged, events_to_keep_by
from records.retention import retention_of
from records.rollback import roll_back
from records.rows import read_rows
from records.run_log import RunLog
from records.sessions import Sessions, read_sessions
from settings.config import Config

pytestmark = pytest.mark.fault("damaged files of a run")
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
    said = f"{name} is damaged and goes on without what cannot be read, line 3; the"
    assert said in capsys.readouterr().err
    assert [said in row["warning"] for row in told] == [True]


@pytest.mark.parametrize("value", ["NaN", "Infinity", '"0.5"', "null", "true", "{}"])
def test_a_row_of_scalars_has_nothing_but_finite_numbers(tmp_path, value):
    path = tmp_path / SCALARS
    path.write_text(f'{{"iteration": 1, "a": {value}}}\n{{"iteration": 2, "a": 3}}\n')
    assert iterations_in(path) == [2]
    path.rename(tmp_path / EVENTS)  # whose rows have text, but no more than that
    plain = value not in ("NaN", "Infinity", "{}")
    assert iterations_in(tmp_path / EVENTS) == ([1, 2] if plain else [2])


@pytest.mark.parametrize("key", ['"netwozk": "generator"', '"network": "x"'])
def test_a_row_of_the_ledger_names_a_network(tmp_path, key):
    path = tmp_path / SPIKES
    path.write_text(f'{{"iteration": 1, {key}}}\n{{"iteration": 2, "a": 3}}\n')
    assert iterations_in(path) == []


WRONG = [
    (SPIKES, '"loss_before": null'),
    (SPIKES, '"loss_before": "0.5"'),
    (SPIKES, '"largest_finite": 1e999'),
    (SPIKES, '"note": {"deep": 1}'),
    (SPIKES, '"note": NaN'),
    (SPIKES, '"skipped": 1'),
    (SPIKES, '"recovered_from": 1'),
    (SPIKES, '"recovered_from": true, "after_iterations": 3'),
    (EVENTS, '"warning": 5'),
    (EVENTS, '"warning": ["w"]'),
    (EVENTS, '"rollbacks": "1"'),
    (EVENTS, '"rollbacks": 1'),
    (EVENTS, '"rollbacks": 1, "from_iteration": null, "because": "w"'),
    (EVENTS, '"good_checkpoint": 1.5, "warning": "w"'),
    (SCALARS, f'"loss/generator": 1{"0" * 400}'),
    (SCALARS, f'"iteration": 1{"0" * 30}'),
]


@pytest.mark.parametrize(("name", "keys"), WRONG)
def test_a_row_with_values_of_another_kind_is_none(tmp_path, name, keys):
    path, network = tmp_path / name, '"network": "generator", '
    text = network if name == SPIKES else ""
    path.write_text(
        f'{{"iteration": 1, {text}{keys}}}\n{{"iteration": 2, {text}"more": 3}}\n'
    )
    assert iterations_in(path) == [2]


def test_a_blank_line_is_no_damage(tmp_path, capsys):
    write_run(tmp_path, 1, 2)
    with open(tmp_path / SCALARS, "a", encoding="utf-8") as file:
        file.write("\n \r\n")
    RunLog(tmp_path, 2).close()
    assert iterations_in(tmp_path / SCALARS) == [1, 2]
    assert capsys.readouterr().err == ""


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
    assert "line 1, 2, 3, 4, 5 and 2 more; the" in capsys.readouterr().err
    RunLog(tmp_path, 9).close()
    assert capsys.readouterr().err == ""


def test_a_start_that_is_killed_again_and_again_leaves_one_copy(tmp_path, monkeypatch):
    write_run(tmp_path, 1, 3)
    with_line(tmp_path / SCALARS, 2, b"x")

    def killed(*arguments):
        raise InterruptedError

    with monkeypatch.context() as patch:
        patch.setattr("records.run_log.drop_rows_past", killed)
        for _ in range(3):
            with pytest.raises(InterruptedError):
                RunLog(tmp_path, 3)
    RunLog(tmp_path, 3).close()
    assert len(list(tmp_path.glob("*.damaged-*"))) == 1
    assert [row["iteration"] for row in read_rows(tmp_path / SCALARS)] == [1, 3]
    assert len(read_rows(tmp_path / EVENTS)) == 1


def test_a_rollback_tells_of_the_damage_that_it_writes_over(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    run = empty_run("back", 2, 4)
    run.samples.mkdir(parents=True)
    events = run.root / EVENTS
    events.write_text('x\n{"iteration": 1, "warning": "w"}\n')
    arrays = {"iteration": np.array(2), "rollbacks": np.array(1)}
    event = {"iteration": 2, "rollbacks": 1, "from_iteration": 4, "because": "w"}
    roll_back(config(), run, arrays, event)
    assert "events.jsonl is damaged" in capsys.readouterr().err
    first, told, last = read_rows(events)
    assert (first["warning"], last) == ("w", event)
    assert "events.jsonl is damaged" in told["warning"]
    assert (run.root / "events.damaged-1.jsonl").exists()


def config(**training):
    metrics = {"extractor": "random", "every_iterations": 2}
    training["checkpoint_every_iterations"] = 1
    return Config(run={"name": "kept"}, training=training, metrics=metrics)


def test_a_checkpoint_whose_metrics_are_gone_stays_as_it_may_be_the_best():
    rows = [{"iteration": n, "metric/kd_random": 1 / n} for n in (2, 6, 8)]
    kept = [2, 4, 5, 6, 8, 9]
    assert retention_of(config(keep_best=1), kept, rows).best == (8, 4)
    assert retention_of(config(keep_best=1), kept, []).best == (2, 4, 6, 8)
    assert retention_of(config(keep_best=0), kept, rows).best == ()


def test_a_checkpoint_that_a_damaged_warning_may_have_named_stays(tmp_path):
    path = tmp_path / EVENTS
    kept = [600, 5000, 5500, 6000]
    whole = config(keep_last=1, keep_best=0, keep_every_iterations=10_000)
    warned = {"iteration": 800, "warning": "w", "good_checkpoint": 600}
    path.write_text(json.dumps(warned) + "\n" + json.dumps(warned) + "\n")
    events = events_to_keep_by(path, 5000)
    assert events == [warned, warned]
    assert 600 in retention_of(whole, kept, [], events=events).good
    path.write_text(path.read_text().replace("warn", "wa\0n"))
    assert 600 not in retention_of(whole, kept, [], events=[]).good
    for events in (
        events_to_keep_by(path, 5000),  # noticed while training
        copy_if_damaged(path, 5000),  # and at the next start
    ):
        good = retention_of(whole, kept, [], events=events).good
        assert {600, 5000} <= set(good)
        assert 5500 not in good


def all_gone(lines, number):
    return b""


def cut(lines, number):
    return b"".join(lines[: number - 1]) + lines[number - 1][:9]


def one_broken(lines, number):
    return b"".join([*lines[: number - 1], b"x\n", *lines[number:]])


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Returns the folder of a run of 6 iterations, measured after each."""
    folder = tmp_path_factory.mktemp("measured")
    train_in(folder, metrics=METRICS, training=TRAINING)
    return folder


METRICS = {"every_iterations": 1, "extractor": "random", "num_images": 8}
TRAINING = {
    "total_iterations": 6,
    "checkpoint_every_iterations": 1,
    "keep_last": 1,
    "keep_best": 1,
}


@pytest.mark.parametrize("damage", [one_broken, cut, all_gone])
def test_the_best_checkpoint_outlives_its_row(measured, tmp_path, damage):
    folder = tmp_path / "copy"
    shutil.copytree(measured, folder)
    path = folder / "runs/tiny/scalars.jsonl"
    values = {
        row["iteration"]: row["metric/kd_random"]
        for row in rows_in(folder, SCALARS)
        if "metric/kd_random" in row
    }
    best = min(values, key=values.get)
    assert best < 6 and best in checkpoints_in(folder)
    lines = path.read_bytes().splitlines(keepends=True)
    (number,) = [
        number
        for number, line in enumerate(lines, 1)
        if json.loads(line)["iteration"] == best and b"metric/kd_random" in line
    ]
    path.write_bytes(damage(lines, number))
    more = TRAINING | {"total_iterations": 8}
    train_in(folder, metrics=METRICS, training=more)
    assert best in checkpoints_in(folder)


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
    assert f"{name} is damaged and goes on" in capsys.readouterr().err


def test_the_first_session_warns_of_nothing(tmp_path, capsys):
    path = tmp_path / "sessions.json"
    for first in (0, 3):
        Sessions(path, first, "CPU", "a.yaml", None).write_progress(first + 3)
    assert [one["last_iteration"] for one in read_sessions(path)] == [3, 6]
    assert list(tmp_path.iterdir()) == [path]
    assert capsys.readouterr().err == ""


def test_sessions_that_cannot_even_be_copied_do_not_end_a_start(tmp_path, capsys):
    path = tmp_path / "sessions.json"
    path.mkdir()
    Sessions(path, 4, "CPU", "a.yaml", None)
    assert "sessions.json is damaged" in capsys.readouterr().err
