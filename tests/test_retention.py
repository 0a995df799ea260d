"""Tests which checkpoints stay, and which a run that went wrong goes back to."""

import pytest

from records.checkpoint import superseded
from records.retention import good_iterations, retention_of
from settings.config import Config

ROWS = [
    {"iteration": 2, "metric/kd_random": 0.5},
    {"iteration": 4, "metric/kd_random": -0.1},
    {"iteration": 6, "metric/kd_random": 0.2},
]


def config(every=10, metrics_every=None, **training):
    training["checkpoint_every_iterations"] = every
    metrics = {"extractor": "random", "every_iterations": metrics_every}
    return Config(run={"name": "kept"}, training=training, metrics=metrics)


@pytest.mark.parametrize(("keep_best", "best"), [(0, ()), (1, (4,)), (2, (4, 6))])
def test_the_best_ones_stay(keep_best, best):
    kept = retention_of(config(2, keep_best=keep_best), [2, 4, 6], ROWS)
    assert kept.best == best


def test_the_newest_good_one_stays_and_the_next_that_may_become_it():
    iterations = [10, 20, 23, 30, 40]
    assert retention_of(config(), iterations, [], 25).good == (20, 30)
    assert retention_of(config(), iterations, [], 9).good == (10,)
    assert retention_of(config(), iterations, []).good == (40,)


def ways_back(stops, keep_last):
    """Returns where a run would go back to, at each iteration that is due."""
    young, kept, found = 25, [], {}  # what is younger is not yet known to be good
    for iteration in range(1, 200):
        if iteration % 10 and iteration not in stops:
            continue
        kept.append(iteration)
        retention = retention_of(
            config(keep_last=keep_last), kept, [], iteration - young
        )
        kept = [i for i in kept if i not in superseded(kept, retention)]
        if iteration % 10 == 0:
            good = good_iterations(config(), kept, iteration - young)
            found[iteration] = good[0] if good else None
    assert len(kept) <= 2 * keep_last + 2
    return found


@pytest.mark.parametrize("keep_last", [1, 3])
@pytest.mark.parametrize("stops", [[17, 18, 19], [51, 52, 53, 54], [95, 96]])
def test_there_is_always_one_from_before_whatever_stops_came_amid(stops, keep_last):
    unbroken = ways_back([], keep_last)
    assert all(back >= one - 60 for one, back in unbroken.items() if one >= 40)
    assert ways_back(stops, keep_last) == unbroken


def test_what_the_first_and_the_last_warning_named_stays():
    events = [{"iteration": 9, "warning": "", "good_checkpoint": n} for n in (1, 2, 3)]
    events.insert(1, {"iteration": 9, "warning": ""})
    kept = retention_of(config(), [1, 2, 3, 10, 20], [], events=events)
    assert kept.good == (20, 1, 3)
    assert superseded([1, 2, 3, 10, 20, 30, 40, 50], kept) == [2, 10]


def test_one_that_a_stop_left_displaces_no_other():
    def gone(kept, keep_last):
        return superseded(kept, retention_of(config(keep_last=keep_last), kept, []))

    assert gone([10, 20, 27], 2) == []
    assert gone([10, 20, 27], 1) == [10]
    assert gone([10, 20, 27, 30], 3) == []
    assert gone([10, 20, 27, 30], 2) == [10]
    assert gone([10, 20, 27, 30], 1) == [10, 20, 27]


def test_a_run_goes_back_to_the_newest_that_was_due_and_not_where_it_was_before():
    kept = [10, 20, 23, 26, 30]
    assert good_iterations(config(), kept, 29) == [20, 10, 26, 23]
    assert good_iterations(config(metrics_every=13), kept, 29) == [26, 20, 10, 23]
    assert good_iterations(config(), kept, 29, frozenset({20})) == [10, 26, 23, 20]
    assert good_iterations(config(), kept, 9) == []
