"""What a run in training remembers of its rows, against reading all of them again."""

import json
import os

import numpy as np
import pytest

from gallery.scalars import MOST_KEPT, Course, Scalars
from records import scalars as following
from records.best import deciding_metric, values_of
from records.retention import retention_of
from records.rows import drop_rows_past, read_rows, write_rows
from records.run_folder import RunFolder
from records.scalars import scalars_of, spike_rows_of
from settings.config import Config
from training.divergence import DIVERSITY, collapse, diverse_until

RUN = RunFolder("run")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Works in a folder of its own, with the folder of a run."""
    monkeypatch.chdir(tmp_path)
    RUN.root.mkdir(parents=True)


def rows_until(last, first=1):
    """Returns rows as training writes them: some with diversity, some of metrics."""
    draw = np.random.default_rng(first)
    rows = []
    for n in range(first, last + 1):
        row = {"iteration": n, "loss/generator": draw.normal()}
        if n % 5 == 0:
            row[DIVERSITY] = draw.uniform()
        if n % 7 == 0:
            row["spike/generator"] = 50.0
        rows.append(row)
        if n % 10 == 0:
            rows.append({"iteration": n, "metric/kid": draw.uniform()})
    return rows


def append(rows, end="\n"):
    with open(RUN.root / "scalars.jsonl", "a") as file:
        file.write("\n".join(json.dumps(row) for row in rows) + end)


def drawn(scalars):
    return {
        (name, calm): tuple(one.tolist() for one in scalars.points(name, calm))
        for name in scalars.names
        for calm in (False, True)
    }


def assert_up_to_date():
    """Asserts that what is remembered is what a reader of all rows finds."""
    rows = read_rows(RUN.root / "scalars.jsonl")
    found = scalars_of(RUN)
    assert drawn(found.drawn) == drawn(Scalars(rows))
    config = Config(run={"name": "run"}, metrics={"every_iterations": 10})
    metric = deciding_metric(config.metrics, rows)
    assert deciding_metric(config.metrics, found.decisive) == metric
    assert values_of(metric, found.decisive) == values_of(metric, rows)
    kept = [10, 20, 25, 30, 40]
    assert retention_of(config, kept, found.decisive) == retention_of(
        config, kept, rows
    )
    assert diverse_until(found.decisive) == diverse_until(rows)
    for n in (5, 6, 40):
        assert collapse(found.decisive, n) == collapse(rows, n)


def test_each_row_is_read_once_and_decides_as_if_all_were_read(monkeypatch):
    parsed, row_in = [], following.row_in

    def counted(line, name):
        parsed.append(line)
        return row_in(line, name)

    monkeypatch.setattr(following, "row_in", counted)
    assert_up_to_date()  # of no file
    for last in range(0, 60, 3):
        append(rows_until(last + 3, last + 1))
        assert_up_to_date()
    assert len(parsed) == len(set(parsed)) == 60 + 6


def test_a_row_that_is_being_written_is_read_once_it_is_whole():
    append(rows_until(9), end="")
    assert_up_to_date()
    assert len(scalars_of(RUN).drawn.points("loss/generator")[0]) == 8
    append([], end="\n")
    assert_up_to_date()
    assert len(scalars_of(RUN).drawn.points("loss/generator")[0]) == 9


def test_a_file_that_was_written_anew_is_read_anew():
    append(rows_until(40))
    assert_up_to_date()
    drop_rows_past(RUN.root / "scalars.jsonl", 22)  # as a rollback does
    assert_up_to_date()
    append(rows_until(50, 23))
    assert_up_to_date()
    write_rows(RUN.root / "scalars.jsonl", rows_until(50, 2))
    assert_up_to_date()
    (RUN.root / "scalars.jsonl").unlink()
    assert_up_to_date()


def test_a_file_that_was_changed_in_place_is_read_anew():
    append(rows_until(20))
    assert_up_to_date()
    os.truncate(RUN.root / "scalars.jsonl", 500)
    append([], end="\n")
    append(rows_until(60, 10))
    assert_up_to_date()


def test_lines_that_hold_no_row_are_passed_over():
    append(rows_until(10))
    append(["not a row", {"iteration": 11, "loss/generator": "much"}, 5])
    append(rows_until(20, 12))
    assert_up_to_date()


def test_a_ledger_is_followed_too():
    rows = [{"iteration": n, "network": "generator"} for n in range(5)]
    assert spike_rows_of(RUN) == []
    for row in rows:
        with open(RUN.root / "spikes.jsonl", "a") as file:
            file.write(json.dumps(row) + "\n")
        assert spike_rows_of(RUN) == read_rows(RUN.root / "spikes.jsonl")
    assert spike_rows_of(RUN) == rows


def test_what_is_drawn_of_many_points_is_bounded_and_has_all_extremes():
    draw, course = np.random.default_rng(0), Course()
    y = draw.normal(size=200_000)
    y[[5, 123_457, 177_777]] = 9.0, -9.0, 8.0
    for some in np.array_split(np.arange(len(y)), 77):
        course.extend([(n + 1, y[n], n != 5) for n in some])
    x, kept = course.points()
    at_once = Course()
    at_once.extend([(n + 1, value, n != 5) for n, value in enumerate(y)])
    np.testing.assert_array_equal(at_once.points(), (x, kept))
    assert MOST_KEPT // 4 < len(x) < 2 * MOST_KEPT
    assert (np.diff(x) > 0).all()
    np.testing.assert_array_equal(kept, y[x - 1])
    assert {6, 123_458, 177_778, 1, len(y)} <= set(x.tolist())
    densities, _ = np.histogram(x, 20)
    assert densities.max() < 1.05 * densities.min()
    assert len(course.points(calm_only=True)[0]) == len(x) - 1
    # Neither the centre nor the spread of a part is far from that of all its points.
    for part in np.array_split(np.arange(len(y)), 20):
        inside = kept[(x > part[0]) & (x <= part[-1])]
        # Some 150 of them stand for the centre: four standard errors.
        assert abs(np.median(inside) - np.median(y[part])) < 0.4
        lowest, highest = y[part].min(), y[part].max()
        assert (inside.min(), inside.max()) == (lowest, highest)
