"""Tests averages of a run's checkpoints."""

import argparse

import numpy as np
import pytest

from benchmarks.averaging import half_life_of
from records.checkpoint import Retention, checkpoint_path, write_checkpoint
from records.longer_average import average_in_words, longer_average
from records.run_folder import RunFolder
from settings.messages import Problem

VALUES = {2: 8.0, 4: 4.0, 6: 1.0, 8: 100.0}


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Returns a run whose averaged generator is one value at each checkpoint."""
    monkeypatch.chdir(tmp_path)
    run, keep = RunFolder("averaged"), Retention(keep_last=9, keep_every_iterations=1)
    for iteration, value in VALUES.items():
        arrays = {"ema_generator/a": np.float32([value, -value])}
        arrays |= {"generator/a": np.float32([7, 7]), "iteration": np.array(iteration)}
        write_checkpoint(run.checkpoints, iteration, arrays, keep)
    return run


def test_shares_halve_with_each_half_life_of_age(run):
    averaged, used = longer_average(run, 6, 2)
    assert used == [2, 4, 6]  # none that came later
    assert list(averaged) == ["ema_generator/a"]
    value = (1 * 1 + 4 / 2 + 8 / 4) / (1 + 1 / 2 + 1 / 4)
    assert averaged["ema_generator/a"].dtype == np.float32
    np.testing.assert_allclose(averaged["ema_generator/a"], [value, -value], 1e-6)


def test_a_very_long_half_life_is_the_mean_and_a_short_one_the_last(run):
    for half_life, value in ((1e9, np.mean(list(VALUES.values()))), (1e-4, 100)):
        averaged, used = longer_average(run, 8, half_life)
        assert used == [2, 4, 6, 8]
        np.testing.assert_allclose(averaged["ema_generator/a"], [value, -value], 1e-6)


def test_a_damaged_checkpoint_is_left_out_and_said(run, capsys):
    path = checkpoint_path(run.checkpoints, 4)
    path.write_bytes(path.read_bytes()[:-1])
    averaged, used = longer_average(run, 6, 1e9)
    assert used == [2, 6]
    np.testing.assert_allclose(averaged["ema_generator/a"], [4.5, -4.5], 1e-6)
    said = capsys.readouterr()
    assert "left out of the average" in said.out + said.err


def test_one_that_is_removed_meanwhile_is_left_out(run, monkeypatch):
    found = run.iterations()
    monkeypatch.setattr(RunFolder, "iterations", lambda self: found)
    checkpoint_path(run.checkpoints, 4).unlink()
    assert longer_average(run, 6, 1e9)[1] == [2, 6]


@pytest.mark.parametrize("half_life", [1e-4, 1e9])
@pytest.mark.parametrize("is_gone", [True, False])
def test_the_newest_is_not_left_out(run, half_life, is_gone):
    path = checkpoint_path(run.checkpoints, 6)
    contents = path.read_bytes()
    path.unlink()
    if not is_gone:
        path.write_bytes(contents[:-1])
    with pytest.raises(Problem, match=r"0000006\.safetensors"):
        longer_average(run, 6, half_life)


@pytest.mark.parametrize(
    "half_life, words", [(1234567, "1,234,567"), (1e6, "1,000,000"), (0.5, "0.5")]
)
def test_the_words_name_the_half_life_in_full(half_life, words):
    said = average_in_words([5000, 10000, 40000], half_life)
    assert "3 checkpoints from 5,000 to 40,000 iterations" in said
    assert f"of one {words} iterations later" in said


def test_the_words_tell_the_mean_age_whatever_the_distances():
    said = average_in_words([1000, 3000, 3500, 4000], 1000)
    shares, ages = [1 / 8, 1 / 2, 0.5**0.5, 1], [3000, 1000, 500, 0]
    age = sum(s * a for s, a in zip(shares, ages, strict=True)) / sum(shares)
    assert said.endswith(f"; their mean age is {age:.0f} iterations")


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "long"])
def test_half_lives_of_the_benchmarks_are_above_0(text):
    with pytest.raises(argparse.ArgumentTypeError, match=f"above 0, found: {text}"):
        half_life_of(text)
    assert half_life_of("0.25") == 0.25


def test_one_checkpoint_is_no_average(run):
    with pytest.raises(Problem) as raised:
        longer_average(run, 2, 1000)
    assert "--average 1000\n  expected: two checkpoints or more" in str(raised.value)
    assert "found:    2" in str(raised.value)
