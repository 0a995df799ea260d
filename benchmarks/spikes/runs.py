"""Runs methods on a problem side by side and measures them against their twins."""

import dataclasses
from collections import defaultdict

import numpy as np
from scipy import signal

from benchmarks.spikes.methods import Method
from benchmarks.spikes.optimizers import Step
from benchmarks.spikes.rows import Row, spike, steps_with_spikes

# Over about ten steps of a curve: long enough to even out the noise of batches.
SMOOTHING = 0.9
WEIGHTS_AT_ONCE = 250_000  # more, and the arrays leave the cache
LATE = 0.8  # share of the steps after which weights are averaged, if they are


@dataclasses.dataclass(frozen=True)
class Run:
    """One training: the row of spikes, the seed, and the two settings."""

    row: Row
    seed: int
    learning_rate: float
    threshold: float

    @property
    def twin(self) -> "Run":
        """The same run without spikes."""
        return dataclasses.replace(self, row=Row(scale=self.row.scale))


@dataclasses.dataclass(frozen=True)
class Curves:
    """What came of one run.

    Attributes:
        losses: [steps].
        moves: RMS of the update, [steps].
        measures: The score and whatever else the problem tells.
        worst_score: A run that ends above it diverged, and counts as having it.
    """

    losses: np.ndarray
    moves: np.ndarray
    measures: dict
    worst_score: float


class Spikes:
    """Which of many runs have a spike at which step, grouped by row and seed."""

    def __init__(self, runs: list[Run], num_steps: int):
        """Works out the steps of every group."""
        places = defaultdict(list)
        for place, run in enumerate(runs):
            places[run.row, run.seed].append(place)
        self.at_step = defaultdict(list)
        for (row, seed), members in places.items():
            for step in np.flatnonzero(steps_with_spikes(row, seed, num_steps)):
                self.at_step[int(step)].append((row, seed, members))

    def added(self, gradient: np.ndarray, step: int, layout: object) -> np.ndarray:
        """Returns the gradients [runs, weights] with the spikes of the step."""
        for row, seed, members in self.at_step.get(step, []):
            gradient[members] = spike(gradient[members], row, seed, step, layout)
        return gradient


def train(problem_class: type, method: Method, runs: list[Run]) -> list[Curves]:
    """Returns the curves of all runs, trained as many at once as fit the cache."""
    num_weights = int(problem_class.layout.variable_sizes.sum())
    size = max(1, WEIGHTS_AT_ONCE // num_weights)
    chunks = [runs[start : start + size] for start in range(0, len(runs), size)]
    with np.errstate(all="ignore"):  # overflow is what is measured
        curves = [train_side_by_side(problem_class, method, c) for c in chunks]
    return [curve for chunk in curves for curve in chunk]


def train_side_by_side(
    problem_class: type, method: Method, runs: list[Run]
) -> list[Curves]:
    """Trains runs as rows of one array [runs, weights]."""
    problem = problem_class(np.array([run.seed for run in runs]))
    spikes = Spikes(runs, problem.num_steps)
    weights, state = problem.start, {}
    column = [(r.learning_rate, r.threshold, r.row.scale) for r in runs]
    rate, threshold, scale = np.array(column, np.float32).T[:, :, None]
    losses, moves = np.empty((2, problem.num_steps, len(runs)), np.float32)
    late_weights, num_late = np.zeros_like(weights), 0
    for number in range(1, problem.num_steps + 1):
        losses[number - 1], gradient = problem.loss_and_gradient(weights, number)
        gradient = spikes.added(gradient * scale, number, problem.layout)
        step = Step(number, weights, threshold, problem.layout)
        for rule in method.rules:
            gradient, state = rule(gradient, state, step)
        moved = weights - rate * gradient
        if problem.domain is not None:
            moved = np.clip(moved, *problem.domain)
        moves[number - 1] = np.sqrt(np.mean(np.square(moved - weights), axis=1))
        weights = moved
        if problem.averaged and number > LATE * problem.num_steps:
            late_weights, num_late = late_weights + weights, num_late + 1
    late_weights = late_weights / num_late if num_late else weights
    measures = problem.measures(losses, late_weights)
    measures_of = [
        {k: float(v[i]) for k, v in measures.items()} for i in range(len(runs))
    ]
    return [
        Curves(losses[:, i], moves[:, i], measures_of[i], problem.worst_score)
        for i in range(len(runs))
    ]


def smoothed(values: np.ndarray) -> np.ndarray:
    """Returns the running average of values [steps], corrected for its start at 0."""
    age = np.arange(1, len(values) + 1)
    average = signal.lfilter([1 - SMOOTHING], [1, -SMOOTHING], values.astype(float))
    return average / (1 - SMOOTHING**age)


def against_twin(run: Run, curves: dict[Run, Curves]) -> dict:
    """Returns peak, recovery and freeze of a run with spikes; nothing for one without.

    peak      the highest smoothed loss above the twin's from the first spike on
    recovery  steps from the first spike to the last at which the smoothed loss is above
              1.1 of that before the spike while the twin's is not
    freeze    steps whose smoothed update is below half the twin's, from the spike on
    """
    mine, twin = curves[run], curves[run.twin]
    hit = np.flatnonzero(steps_with_spikes(run.row, run.seed, len(mine.losses)))
    if not len(hit):
        return {}
    first = hit[0]  # counted from 1: as an index of losses, the step after the spike
    with np.errstate(all="ignore"):
        loss, twin_loss = smoothed(mine.losses), smoothed(twin.losses)
        usual = 1.1 * loss[max(first - 1, 0)] + 1e-6
        above = ~(loss[first:] <= usual) & (twin_loss[first:] <= usual)
        excess = loss[first:] - twin_loss[first:]
        moved = smoothed(mine.moves)[first:] >= smoothed(twin.moves)[first:] / 2
    steps_above = np.flatnonzero(above)
    return {
        "peak": np.inf if np.isnan(excess).any() else max(0.0, excess.max()),
        "recovery": int(steps_above[-1]) + 1 if len(steps_above) else 0,
        "freeze": int(np.sum(~moved)),
    }
