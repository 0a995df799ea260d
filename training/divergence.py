"""Watches whether training has left its own recent range, and not come back.

For each network two things have a level, averaged over about a hundred iterations,
and a usual one, averaged over about a thousand: the logarithm of the largest gradient,
and the loss. A level is out of range where

    |log gradient - usual log gradient| > log 10,  or the gradient is 0
    |loss - usual loss| > 10 * (usual distance of a recent loss from the usual loss)

and while it is out, what is usual stays as it was. No spike and no burst of them moves
a level that far. Beside them, the grid of the averaged generator has collapsed where
its diversity has fallen below a fifth of what it usually was.
"""

import dataclasses
import math

import numpy as np

from records.rows import Row
from settings.config import Config
from settings.optimizer import NETWORKS
from training.state import State

WARM_UP_ITERATIONS = 1000  # before them nothing is usual yet
EARLY_ITERATIONS = 100  # whose losses count whatever they are
LEVEL_SHARE = 0.01  # of an iteration in a level
USUAL_SHARE = 0.001  # of an iteration in what is usual
GRADIENT_FACTOR = 10.0
LOSS_DISTANCES = 10.0
COUNTED_DISTANCES = 3.0  # of a loss, at most, in what the usual distance is
AVERAGING_ITERATIONS = 200  # which a level needs to show a change
COLLAPSED_SHARE = 0.2  # of the median diversity of the grids before
DIVERSE_SHARE = 0.5
WATCHED = ("gradients", "loss")

DIVERSITY = "grid/diversity"


@dataclasses.dataclass(frozen=True)
class Trouble:
    """What was seen of a run that goes wrong.

    Attributes:
        what: A clause for people.
        good_until: Iterations done when all was well for the last time.
    """

    what: str
    good_until: float


class DivergenceWatch:
    """Looks at each iteration; what it remembers is in the state."""

    def __init__(self, config: Config, state: State) -> None:
        """Takes the config, for its limit, and the state, whose averages it changes."""
        self._limit = config.training.divergence_iterations
        self._state = state

    def note(self, scalars: dict[str, float]) -> Trouble | None:
        """Averages an iteration in that was not skipped.

        Called after the spike ledger, which averages gradients and keeps losses.

        Returns:
            What has been out of range for too long, None if nothing has.
        """
        self._state.watched_iterations += 1
        for place, network in enumerate(NETWORKS):
            self._note_gradient(place, scalars[f"gradient/{network}_max"])
            self._note_loss(place)
        out = self._state.iterations_out
        if self._limit is None or out.max() < self._limit:
            return None
        place, watched = map(int, np.unravel_index(out.argmax(), out.shape))
        largest = scalars[f"gradient/{NETWORKS[place]}_max"]
        return Trouble(self._words(place, watched, largest), self.good_until())

    def note_skipped(self) -> None:
        """Counts an iteration that was skipped: what was out of range stays out."""
        self._state.iterations_out[self._state.iterations_out > 0] += 1

    def good_until(self) -> int:
        """Returns the iterations done when all was well for the last time.

        A watched run may have begun to go wrong without having shown it.
        """
        state, is_watched = self._state, self._is_warm() and self._limit is not None
        out = int(state.iterations_out.max()) + AVERAGING_ITERATIONS * is_watched
        return max(state.iteration - max(out, state.skipped_in_a_row), 0)

    def accept(self) -> None:
        """Forgets what was usual: what comes now will be."""
        self._state.watched_iterations = 0
        self._state.iterations_out[...] = 0

    def _note_gradient(self, place: int, largest: float) -> None:
        state = self._state
        away = state.log_gradients[place] - state.usual_log_gradients[place]
        is_out = largest == 0 or abs(away) > math.log(GRADIENT_FACTOR)
        if not self._count(place, "gradients", is_out):
            state.usual_log_gradients[place] += self._share(USUAL_SHARE) * away

    def _note_loss(self, place: int) -> None:
        state = self._state
        usual = state.usual_losses[place]
        widest = LOSS_DISTANCES * state.loss_distances[place]
        away = np.median(state.recent_losses[place]) - usual
        distance = state.loss_distances[place]
        counted = abs(away)
        # A burst of huge losses must not carry anything far.
        if self._state.watched_iterations > EARLY_ITERATIONS:
            away = np.clip(away, -2 * widest, 2 * widest)
            counted = min(counted, COUNTED_DISTANCES * distance)
        level = state.loss_levels[place]
        level += self._share(LEVEL_SHARE) * (usual + away - level)
        state.loss_levels[place] = level
        if not self._count(place, "loss", abs(level - usual) > widest):
            share = self._share(USUAL_SHARE)
            state.usual_losses[place] += share * (level - usual)
            state.loss_distances[place] += share * (counted - distance)

    def _count(self, place: int, watched: str, is_out: bool) -> bool:
        """Counts iterations out of range in a row; returns whether this one is."""
        counts = self._state.iterations_out[place]
        is_out = is_out and self._is_warm()
        counts[WATCHED.index(watched)] = is_out * (counts[WATCHED.index(watched)] + 1)
        return is_out

    def _is_warm(self) -> bool:
        return self._state.watched_iterations > WARM_UP_ITERATIONS

    def _share(self, share: float) -> float:
        """Returns an iteration's share in an average; the first ones count alike."""
        return max(1 / self._state.watched_iterations, share)

    def _words(self, place: int, watched: int, largest: float) -> str:
        state, count = self._state, self._state.iterations_out[place, watched]
        network, losses = NETWORKS[place], state.recent_losses[place]
        if WATCHED[watched] == "loss":
            return (
                f"the {network}'s loss has been about {np.median(losses):.3g} "
                f"for {count} iterations; before it was "
                f"{state.usual_losses[place]:.3g} give or take "
                f"{state.loss_distances[place]:.2g}"
            )
        now = math.exp(state.log_gradients[place]) if largest else 0.0
        before = math.exp(state.usual_log_gradients[place])
        return (
            f"the {network}'s largest gradient has been about {now:.3g} for {count} "
            f"iterations; before it was {before:.3g}"
        )


def collapse(rows: list[Row], iteration: int) -> Trouble | None:
    """Tells whether the newest grid is a collapsed one, and the one before was not.

    Args:
        rows: Of scalars.jsonl.
        iteration: Iterations done; the row of a grid before them was looked at then.
    """
    grids = [row for row in rows if DIVERSITY in row]
    if len(grids) < 2 or grids[-1]["iteration"] != iteration:
        return None
    *before, now = [row[DIVERSITY] for row in grids]
    usual = float(np.median(before))
    limit = COLLAPSED_SHARE * usual
    if now >= limit or before[-1] < limit:  # told already
        return None
    return Trouble(
        f"the pictures of the grid are nearly the same: their diversity is {now:.3g}, "
        f"and usually was {usual:.3g}",
        diverse_until(grids),
    )


def diverse_until(rows: list[Row]) -> float:
    """Returns the iteration of the last diverse grid; infinity where there is none."""
    grids = {row["iteration"]: row[DIVERSITY] for row in rows if DIVERSITY in row}
    usual = np.median([*grids.values()]) if grids else 0.0
    diverse = [one for one in grids if grids[one] >= DIVERSE_SHARE * usual]
    return diverse[-1] if diverse else math.inf
