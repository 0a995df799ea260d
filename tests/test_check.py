"""The durations that --check tells."""

import numpy as np
import pytest

from commands.preflight.check import time_text
from commands.preflight.timing import Seconds, _count, _range_of


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        ((3, 2, 4), "minutes to the end: less than 1"),
        ((90, 60, 120), "minutes to the end: 1.5 (1 to 2)"),
        ((7200, 6600, 8400), "minutes to the end: 120 (110 to 140)"),
        ((36000, 32400, 43200), "hours to the end: 10 (9 to 12)"),
        ((720000, 684000, 756000), "hours to the end: 200 (190 to 210)"),
    ],
)
def test_a_time_to_the_end_has_a_unit_of_its_size_and_is_never_0(seconds, text):
    assert time_text(Seconds(*seconds)) == text


def test_a_range_is_of_percentiles_but_never_narrower_than_a_tenth():
    assert _range_of([1.0, 2, 3, 4, 5, 6]) == pytest.approx((3.5, 2, 5))
    assert _range_of([2.0] * 9) == pytest.approx((2, 1.9, 2.1))
    assert _range_of([1.0, 1, 1, 1, 9])[0] == np.mean([1, 1, 1, 1, 9])


def test_slow_iterations_are_timed_a_few_times_and_fast_ones_not_for_ever():
    assert [_count(10, usual) for usual in (100, 1, 0.0001, 0)] == [4, 10, 200, 200]


def test_seconds_add_up():
    total = Seconds(1, 2, 3).times(10).plus(Seconds(5, 5, 5))
    assert total == (15, 25, 35)
