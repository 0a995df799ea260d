"""Times several things in turn, so that a machine whose speed drifts is fair to all."""

import statistics
import time
from collections.abc import Callable

Action = Callable[[], object]
Timer = Callable[[], float]


def timer_of(action: Action) -> Timer:
    """Returns a function that runs the action and returns the seconds it took."""

    def timer() -> float:
        began = time.perf_counter()
        action()
        return time.perf_counter() - began

    return timer


def times_in_turn(timers: dict[str, Timer], rounds: int) -> dict[str, list[float]]:
    """Calls all timers in each round; returns each one's seconds, round by round.

    Raises:
        ValueError: If there are no rounds.
    """
    if rounds < 1:
        raise ValueError(f"Expected rounds >= 1. Received: rounds={rounds}")
    times: dict[str, list[float]] = {name: [] for name in timers}
    for _ in range(rounds):
        for name, timer in timers.items():
            times[name].append(timer())
    return times


def medians(times: dict[str, list[float]]) -> dict[str, float]:
    """Returns the median of each list."""
    return {name: statistics.median(values) for name, values in times.items()}


def weighted(plain: float, with_penalty: float, penalty_share: float) -> float:
    """Returns the mean over iterations without and with penalties."""
    return (1 - penalty_share) * plain + penalty_share * with_penalty
