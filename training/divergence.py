"""Detects divergence: training that left its usual range and did not return.

For each network, the log of the largest gradient and the loss are averaged over about
a hundred iterations (the level) and about a thousand (the usual value). A level is out
of range where

    |log gradient - usual log gradient| > log 10,  or the gradient is 0
    |loss - usual loss| > 10 * (usual distance of a recent loss from the usual loss)

and the usual values are frozen while it is. Neither a spike nor a burst of spikes moves
a level that far. Separately, the averaged generator has collapsed when the diversity of
its grid falls below a fifth of the usual diversity.
"""

import dataclasses
import math

import numpy as np

from records.rows import Row
from settings.config import Config
from settings.optimizer import NETWORKS
from training.state import State

WARM_UP_ITERATIONS = 1000  # until the usual values are reliable
EARLY_ITERATIONS = 100  # whose losses are not clipped
LEVEL_SHARE = 0.01  # weight of an iteration in a level
USUAL_SHARE = 0.001  # weight of an iteration in a usual value
GRADIENT_FACTOR = 10.0
LOSS_DISTANCES = 10.0
COUNTED_DISTANCES = 3.0  # clips a loss's share in the usual distance
AVERAGING_ITERATIONS = 200  # that a level takes to show a change
COLLAPSED_SHARE = 0.2  # of the median diversity of earlier grids
DIVERSE_SHARE = 0.5
WATCHED = ("gradients", "loss")

DIVERSITY = "grid/diversity"


@dataclasses.dataclass(frozen=True)
class Trouble:
    """A sign that training is failing.

    Attributes:
        what: A description, as a clause.
        good_until: The last iteration at which all was well.
    """

    what: str
    good_until: float


class DivergenceWatch:
    """Checks each iteration; its averages are part of the state."""

    def __init__(self, config: Config, state: State) -> None:
        self._limit = config.training.divergence_iterations
        self._state = state

    def note(self, scalars: dict[str, float]) -> Trouble | None:
        """Updates the averages with an iteration that was not skipped.

        Must follow the spike ledger, which averages gradients and keeps losses.

        Returns:
            What has been out of range for too long, or None.
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
        """Counts a skipped iteration as out of range for whatever already was."""
        self._state.iterations_out[self._state.iterations_out > 0] += 1

    def good_until(self) -> int:
        """Returns the last iteration at which all was well.

        This allows for the delay before the averages show trouble.
        """
        state, is_watched = self._state, self._is_warm() and self._limit is not None
        out = int(state.iterations_out.max()) + AVERAGING_ITERATIONS * is_watched
        return max(state.iteration - max(out, state.skipped_in_a_row), 0)

    def accept(self) -> None:
        """Restarts the averages, so that current values become the usual ones."""
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
        # A burst of huge losses must not move the averages far.
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
        """Counts consecutive iterations out of range; returns whether this one is."""
        counts = self._state.iterations_out[place]
        is_out = is_out and self._is_warm()
        counts[WATCHED.index(watched)] = is_out * (counts[WATCHED.index(watched)] + 1)
        return is_out

    def _is_warm(self) -> bool:
        return self._state.watched_iterations > WARM_UP_ITERATIONS

    def _share(self, share: float) -> float:
        """Returns an iteration's weight in an average; early ones weigh the same."""
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
    """Returns trouble if this grid has collapsed and the one before had not.

    `rows` are those of scalars.jsonl. Without a grid at `iteration`, returns None.
    """
    grids = [row for row in rows if DIVERSITY in row]
    if len(grids) < 2 or grids[-1]["iteration"] != iteration:
        return None
    *before, now = [row[DIVERSITY] for row in grids]
    usual = float(np.median(before))
    limit = COLLAPSED_SHARE * usual
    if now >= limit or before[-1] < limit:  # reported already
        return None
    return Trouble(
        f"the pictures of the grid are nearly the same: their diversity is {now:.3g}, "
        f"and usually was {usual:.3g}",
        diverse_until(grids),
    )


def diverse_until(rows: list[Row]) -> float:
    """Returns the iteration of the last diverse grid, or infinity if there is none."""
    grids = {row["iteration"]: row[DIVERSITY] for row in rows if DIVERSITY in row}
    usual = np.median([*grids.values()]) if grids else 0.0
    diverse = [one for one in grids if grids[one] >= DIVERSE_SHARE * usual]
    return diverse[-1] if diverse else math.inf
