"""Starts the contestants' processes, and lets them take turns, iteration by iteration.

All have the same processors. One that waits is blocked in a read, and the next turn
begins only after its library's threads have stopped spinning, so that it takes nothing
from the one that runs.
"""

import contextlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from benchmarks.rivals.contestants import CONTESTANTS, OURS, Contestant
from benchmarks.rivals.worker import PENALTY, PLAIN
from benchmarks.turns import Timer, medians, times_in_turn, weighted
from settings.messages import Problem

STOPPING_SECONDS = 20
CALM_SECONDS = 0.1  # OpenMP's threads spin for some milliseconds after their work


class LeftOut(Exception):
    """A contestant cannot take part; the message says why."""


class Result(NamedTuple):
    """What one contestant needed.

    Attributes:
        plain: Seconds of each iteration without penalties.
        penalty: Seconds of each iteration with penalties; empty if none has any.
        seconds: The medians of both, weighted as the config does.
        num_weights: Trainable numbers in the pair.
        note: What is particular to it.
        versions: Of its libraries.
    """

    plain: list[float]
    penalty: list[float]
    seconds: float
    num_weights: int
    note: str
    versions: dict[str, str]


class Worker:
    """The process of one contestant."""

    def __init__(
        self, name: str, arguments: list[str], environment: dict[str, str]
    ) -> None:
        """Starts the process; returns when it is ready.

        Args:
            name: Of the contestant.
            arguments: For worker.py, after the name.
            environment: Of this process, before any library changed it.

        Raises:
            LeftOut: If it failed to start.
        """
        self._name = name
        self._stderr = tempfile.TemporaryFile()
        command = [sys.executable, "-m", "benchmarks.rivals.worker", name, *arguments]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env=worker_environment(CONTESTANTS[name], environment),
            text=True,
        )
        try:
            self.facts = self._answer()
        except LeftOut:
            self.close()
            raise

    def timer(self, kind: str) -> Timer:
        """Returns a function that has one iteration done and returns its seconds."""

        def ask() -> float:
            time.sleep(CALM_SECONDS)
            try:
                self._process.stdin.write(kind + "\n")
                self._process.stdin.flush()
                return self._answer()["seconds"]
            except OSError:
                words = self._last_words()
                raise LeftOut(f"{self._name}: it ended: {words}") from None
            except LeftOut as error:
                raise LeftOut(f"{self._name}: {error}") from error

        return ask

    def close(self) -> None:
        """Ends the process."""
        with contextlib.suppress(OSError):
            self._process.stdin.close()  # at which it ends by itself
        try:
            self._process.wait(STOPPING_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._stderr.close()

    def _answer(self) -> dict[str, Any]:
        line = self._process.stdout.readline()
        if not line:
            raise LeftOut(f"it ended: {self._last_words()}")
        answer = json.loads(line)
        if "failed" in answer:
            raise LeftOut(answer["failed"])
        return answer

    def _last_words(self) -> str:
        self._stderr.seek(0)
        lines = self._stderr.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"status {self._process.wait()}, without a word"


def worker_environment(
    contestant: Contestant, environment: dict[str, str]
) -> dict[str, str]:
    """Returns the environment of a contestant's process."""
    changed = environment | {"OMP_NUM_THREADS": str(num_cores())}
    for name, value in contestant.environment.items():
        changed.pop(name, None)
        if value is not None:
            changed[name] = value
    return changed


def num_cores() -> int:
    """Returns the number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # as on Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def absent_reason(contestant: Contestant, fast_bfloat16: bool) -> str | None:
    """Returns why a contestant cannot, or should not, take part; None if it can."""
    if importlib.util.find_spec(contestant.library) is None:
        return f"{contestant.library} is not installed (requirements-bench.txt)"
    if contestant.needs_bfloat16 and not fast_bfloat16:
        return "this processor is not known to be fast at bfloat16 (--all: try it)"
    return None


@contextlib.contextmanager
def started(
    names: list[str], arguments: list[str], environment: dict[str, str]
) -> Iterator[tuple[dict[str, Worker], dict[str, str]]]:
    """Starts workers one after the other; gives them, and why others are left out."""
    workers: dict[str, Worker] = {}
    left_out = {}
    with contextlib.ExitStack() as stack:
        for name in names:
            print(f"starting {name}", file=sys.stderr, flush=True)
            try:
                workers[name] = Worker(name, arguments, environment)
                stack.callback(workers[name].close)
            except LeftOut as reason:
                left_out[name] = str(reason)
        yield workers, left_out


def race(
    names: list[str],
    arguments: list[str],
    environment: dict[str, str],
    rounds: int,
    penalty_share: float,
) -> tuple[dict[str, Result], dict[str, str]]:
    """Times iterations of all contestants in turn.

    Args:
        names: Of the contestants.
        arguments: The config file and its overrides, for worker.py.
        environment: Of this process, before any library changed it.
        rounds: Iterations of each kind and contestant.
        penalty_share: The fraction of iterations with penalties, in [0, 1].

    Returns:
        Results by name, and why others are left out.

    Raises:
        Problem: If the pairs differ in their number of weights, or one fails midway.
    """
    kinds = [PLAIN, PENALTY] if penalty_share else [PLAIN]
    if not penalty_share:
        arguments = [*arguments, "--no_penalty"]
    with started(names, arguments, environment) as (workers, left_out):
        check_same_weights({n: w.facts["num_weights"] for n, w in workers.items()})
        timers = {
            f"{name} {kind}": worker.timer(kind)
            for kind in kinds
            for name, worker in workers.items()
        }
        try:
            times = times_in_turn(timers, rounds)
        except LeftOut as error:
            raise Problem(f"a contestant failed in the race: {error}") from error
        facts = {name: worker.facts for name, worker in workers.items()}
    results = {name: result_of(name, times, penalty_share, facts) for name in facts}
    return results, left_out


def result_of(
    name: str,
    times: dict[str, list[float]],
    penalty_share: float,
    facts: dict[str, dict[str, Any]],
) -> Result:
    """Collects what one contestant needed."""
    plain, penalty = times[f"{name} {PLAIN}"], times.get(f"{name} {PENALTY}", [])
    middle = medians({PLAIN: plain, PENALTY: penalty or plain})
    seconds = weighted(middle[PLAIN], middle[PENALTY], penalty_share)
    return Result(plain, penalty, seconds, **facts[name])


def check_same_weights(counts: dict[str, int]) -> None:
    """Checks that all contestants train as many weights as ours.

    Raises:
        Problem: If one does not.
    """
    expected = counts.get(OURS, next(iter(counts.values()), 0))
    for name, count in counts.items():
        if count != expected:
            raise Problem(
                f"{name}: not the same pair\n  expected: {expected:,} weights\n"
                f"  found:    {count:,}"
            )
