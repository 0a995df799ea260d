"""Tests runs that go wrong on purpose: warned of, taken back, or ended."""

import numpy as np
import pytest
from tiny_run import (
    NAME,
    TINY,
    arrays_at,
    assert_same_run,
    checkpoints_in,
    rows_in,
    train_here,
    write_config,
)

import records.checkpoint
import records.rollback
from records.rows import read_rows
from settings.messages import Problem
from training import divergence

LAST = 40
# The generator's weights are thrown far away, where no gradient leads back.
SPIKE = {"iteration": 18, "network": "generator", "factor": 1e4}


def prepare(folder, monkeypatch, spikes=(SPIKE,), **training):
    """Prepares a run of 40 iterations that diverges at 18."""
    folder.mkdir(exist_ok=True)
    write_config(
        folder,
        data={"num_images": 64},
        debug={"inject_spikes": list(spikes)},
        optimizer={"name": "sgd", "learning_rate": 1e-3},
        training=TINY["training"]
        | {
            "total_iterations": LAST,
            "sample_every_iterations": 8,
            "checkpoint_every_iterations": 4,
            "divergence_iterations": 5,
            "max_rollbacks": 2,
        }
        | training,
    )
    monkeypatch.chdir(folder)
    monkeypatch.setattr(divergence, "WARM_UP_ITERATIONS", 8)
    monkeypatch.setattr(divergence, "AVERAGING_ITERATIONS", 4)
    monkeypatch.setattr(divergence, "LEVEL_SHARE", 0.5)


@pytest.fixture(scope="module")
def rolled_back(tmp_path_factory):
    """A run that went back once and came to its end."""
    folder = tmp_path_factory.mktemp("rolled-back") / "run"
    with pytest.MonkeyPatch.context() as monkeypatch:
        prepare(folder, monkeypatch)
        assert train_here() == 0
    return folder


def events_in(folder):
    return read_rows(folder / "runs" / NAME / "events.jsonl")


def test_a_run_that_diverges_goes_back_with_other_noise_and_comes_to_its_end(
    rolled_back,
):
    (event,) = events_in(rolled_back)
    back = event["iteration"]
    assert back in (8, 12, 16)
    assert 18 + 5 <= event["from_iteration"] < 32
    assert event["rollbacks"] == 1
    assert "for 5 iterations; before it was" in event["because"]
    last = arrays_at(rolled_back, LAST)
    assert last["rollbacks"] == 1
    assert last["iterations_out"].max() < 5
    assert all(np.isfinite(array).all() for array in last.values())
    rows = rows_in(rolled_back, "scalars.jsonl")
    logged = [row["iteration"] for row in rows if "loss/generator" in row]
    assert logged == list(range(1, LAST + 1))
    assert max(row.get("loss/generator", 0) for row in rows) < 1e3


def test_what_went_wrong_is_put_aside_and_can_be_looked_at(rolled_back):
    (event,) = events_in(rolled_back)
    aside = rolled_back / "runs" / NAME / "rolled-back-1"
    last = read_rows(aside / "scalars.jsonl")[-1]
    assert last["iteration"] == event["from_iteration"] - 1
    assert last["loss/generator"] > 3
    grids = (rolled_back / "samples" / NAME / "rolled-back-1").glob("*.png")
    expected = [
        f"grid-{iteration:07d}.png"
        for iteration in range(8, event["from_iteration"], 8)
        if iteration > event["iteration"]
    ]
    assert sorted(path.name for path in grids) == expected
    page = (rolled_back / "samples" / NAME / "index.html").read_text()
    assert f"rolled back to here from {event['from_iteration']}" in page


@pytest.mark.parametrize(
    "stop",
    [
        pytest.param(17, marks=pytest.mark.slow),
        21,
        pytest.param(27, marks=pytest.mark.slow),
    ],
)
def test_a_run_stopped_before_amid_or_after_a_rollback_equals_the_unbroken_one(
    rolled_back, tmp_path, monkeypatch, stop
):
    folder = tmp_path / "broken"
    prepare(folder, monkeypatch)
    with monkeypatch.context() as patched:  # no grid that the other would not have
        patched.setattr("training.output.Output.write_grid", no_extra_grid(stop))
        assert train_here("--set", f"training.total_iterations={stop}") == 0
    assert train_here() == 0
    assert_same_run(rolled_back, folder, LAST)
    assert events_in(folder) == events_in(rolled_back)


def no_extra_grid(stop):
    from training.output import Output

    write_grid = Output.write_grid

    def write_unless_at_the_stop(self):
        return ("", {}) if self._state.iteration == stop else write_grid(self)

    return write_unless_at_the_stop


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("write_rows", marks=pytest.mark.slow),
        pytest.param("move_later", marks=pytest.mark.slow),
        "write_checkpoint",
    ],
)
def test_a_run_killed_amid_a_rollback_equals_the_unbroken_one(
    rolled_back, tmp_path, monkeypatch, name
):
    folder = tmp_path / "killed"
    prepare(folder, monkeypatch)

    class Killed(BaseException):
        pass

    original = getattr(records.rollback, name)

    def kill(*arguments):
        original(*arguments)
        raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(records.rollback, name, kill)
        train_here()
    assert train_here() == 0
    assert_same_run(rolled_back, folder, LAST)
    assert events_in(folder) == events_in(rolled_back)


def test_where_it_may_not_go_back_a_run_warns_once_and_goes_on(
    tmp_path, monkeypatch, capsys
):
    prepare(tmp_path, monkeypatch, max_rollbacks=0)
    assert train_here() == 0
    (event,) = events_in(tmp_path)
    assert 18 + 5 <= event["iteration"] < 32
    assert event["good_checkpoint"] == 16
    assert 16 in checkpoints_in(tmp_path)
    assert f"warning: at {event['iteration']} the " in capsys.readouterr().err
    assert arrays_at(tmp_path, LAST)["rollbacks"] == 0
    page = (tmp_path / "samples" / NAME / "index.html").read_text()
    assert "Warnings and rollbacks" in page


def test_after_the_last_rollback_the_run_ends_with_3_and_keeps_what_was_good(
    tmp_path, monkeypatch, capsys
):
    changes = {"max_rollbacks": 1, "keep_last": 1, "max_skipped_iterations": 4}
    prepare(tmp_path, monkeypatch, **changes)
    # It goes wrong with any noise.
    monkeypatch.setattr(
        "training.inputs.spike_factor_at",
        lambda config, network, rollbacks, iteration: (
            float("nan") if iteration >= 17 else 1.0
        ),
    )
    assert train_here() == 3
    message = capsys.readouterr().err
    (event,) = events_in(tmp_path)
    back = event["iteration"]
    assert back == 16
    assert "training went numerically bad: 4 iterations in a row had" in message
    assert "rollbacks so far (training.max_rollbacks): 1" in message
    assert f"checkpoint {back}, from before it, is kept" in message
    assert f"--from {NAME}@{back}" in message
    assert back in checkpoints_in(tmp_path)
    told = (tmp_path / "samples" / NAME / "live.js").read_text()
    assert '"because":"training went numerically bad' in told
    assert train_here() == 3  # and not on and on
    assert train_here("--from", f"{NAME}@{back}", "--set", "run.name=other") == 3


def test_a_run_that_went_bad_before_its_first_checkpoint_ends_with_3(
    tmp_path, monkeypatch, capsys
):
    prepare(tmp_path, monkeypatch, checkpoint_every_iterations=100)
    assert train_here() == 3
    message = capsys.readouterr().err
    assert "no checkpoint is from before it" in message
    assert "--fresh" in message
    assert "--from" not in message


def test_gradients_that_cannot_be_used_are_gone_back_from_too(tmp_path, monkeypatch):
    spikes = [
        {"iteration": iteration, "network": "discriminator", "factor": float("nan")}
        for iteration in range(11, 20)
    ]
    prepare(tmp_path, monkeypatch, spikes, max_skipped_iterations=4)
    assert train_here() == 0
    (event,) = events_in(tmp_path)
    assert (event["iteration"], event["from_iteration"]) == (8, 14)
    assert event["because"].startswith("4 iterations in a row had gradients of the")
    aside = tmp_path / "runs" / NAME / "rolled-back-1" / "spikes.jsonl"
    found = [row["iteration"] for row in read_rows(aside)]
    assert found == [11, 12, 13, 14]
    assert rows_in(tmp_path, "spikes.jsonl") == []


def test_a_damaged_checkpoint_is_passed_over_on_the_way_back(
    rolled_back, tmp_path, monkeypatch
):
    (event,) = events_in(rolled_back)
    prepare(tmp_path, monkeypatch, keep_last=9)
    original = records.rollback.read_checkpoint

    def damaged(folder, iteration):
        if iteration == event["iteration"]:
            raise records.rollback.DamagedCheckpoint
        return original(folder, iteration)

    monkeypatch.setattr(records.rollback, "read_checkpoint", damaged)
    assert train_here() == 0
    assert events_in(tmp_path)[0]["iteration"] == event["iteration"] - 4


def prepare_collapse(folder, monkeypatch, *grids, **training):
    """Prepares a run whose grids are as diverse as a test says."""
    diversities = iter([0.5, *grids])  # of photographs, then of grids
    monkeypatch.setattr(
        "training.output.pixel_diversity", lambda images: next(diversities)
    )
    prepare(folder, monkeypatch, spikes=(), **training)


def test_a_grid_that_collapses_is_gone_back_from(tmp_path, monkeypatch):
    prepare_collapse(tmp_path, monkeypatch, 1.0, 1.0, 0.1, 1.0, 1.0, 1.0)
    assert train_here() == 0
    (event,) = events_in(tmp_path)
    assert (event["iteration"], event["from_iteration"]) == (16, 24)
    assert "diversity is 0.2, and usually was 2" in event["because"]


def test_a_run_does_not_go_back_twice_to_the_same_checkpoint(tmp_path, monkeypatch):
    prepare_collapse(tmp_path, monkeypatch, 1, 1, 0.1, 0.1, 1, 1, 1, 1)
    assert train_here() == 0
    assert [event["iteration"] for event in events_in(tmp_path)] == [16, 12]
    assert arrays_at(tmp_path, LAST)["rollbacks"] == 2


def test_what_goes_nowhere_and_then_to_nan_is_one_trouble(tmp_path, monkeypatch):
    nan = [SPIKE | {"iteration": i, "factor": float("nan")} for i in range(26, 40)]
    prepare(
        tmp_path,
        monkeypatch,
        [SPIKE, *nan],
        divergence_iterations=20,
        max_skipped_iterations=4,
    )
    assert train_here() == 0
    (event,) = events_in(tmp_path)
    assert event["because"].startswith("4 iterations in a row")
    assert event["from_iteration"] == 29
    assert event["iteration"] == 16  # not 24, which has no NaN


def test_a_rollback_for_which_there_is_no_room_ends_with_2_and_loses_nothing(
    tmp_path, monkeypatch, capsys
):
    def fail(*arguments):
        raise Problem("no room")

    prepare(tmp_path, monkeypatch)
    with monkeypatch.context() as patched:
        patched.setattr(records.rollback, "write_checkpoint", fail)
        assert train_here() == 2
    assert "no room" in capsys.readouterr().err
    assert {16, 20, 24} <= {*checkpoints_in(tmp_path)}
    assert train_here() == 0
    assert [event["rollbacks"] for event in events_in(tmp_path)] == [1]


def test_milestones_and_best_ones_gone_wrong_are_put_aside(tmp_path, monkeypatch):
    prepare(tmp_path, monkeypatch, keep_every_iterations=20)
    assert train_here() == 0
    aside = tmp_path / "runs" / NAME / "rolled-back-1"
    assert [path.name for path in aside.glob("*.safetensors")] == [
        "0000020.safetensors"
    ]


@pytest.mark.slow  # a variant of one above, and of where it may not go back
def test_a_grid_that_collapses_is_warned_of(tmp_path, monkeypatch, capsys):
    prepare_collapse(tmp_path, monkeypatch, 1.0, 1.0, 0.1, 0.1, 0.1, max_rollbacks=0)
    assert train_here() == 0
    (event,) = events_in(tmp_path)
    assert event["iteration"] == 24
    assert event["good_checkpoint"] == 16
    assert 16 in checkpoints_in(tmp_path)  # though three newer ones are kept
    assert "diversity is 0.2, and usually was 2" in event["warning"]
    rows = rows_in(tmp_path, "scalars.jsonl")
    found = {r["iteration"]: r["grid/diversity"] for r in rows if "grid/diversity" in r}
    assert found == {8: 2.0, 16: 2.0, 24: 0.2, 32: 0.2, 40: 0.2}


def test_the_diversity_of_photographs_is_that_of_one_another(rolled_back):
    rows = rows_in(rolled_back, "scalars.jsonl")
    found = [row["grid/diversity"] for row in rows if "grid/diversity" in row]
    assert len(found) == LAST // 8
    assert all(0 < share < 2 for share in found)
