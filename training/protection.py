"""Responds to failing training with a warning, a rollback, or the end of the run."""

import numpy as np

from records.retention import GOOD_CHECKPOINT, good_iterations
from records.rollback import good_checkpoint
from records.rows import ROLLBACKS, SPIKES
from records.run_folder import RunFolder
from records.scalars import scalars_of
from settings.config import Config
from settings.messages import Problem, say
from training.divergence import DivergenceWatch, Trouble, collapse, diverse_until
from training.output import Output
from training.state import State


class Diverged(Exception):
    """Training failed such that it cannot, or should not, continue from here."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble.what)
        self.trouble = trouble


class Protection:
    """Checks each iteration and grid, and responds to trouble as configured."""

    def __init__(
        self, config: Config, run: RunFolder, state: State, output: Output
    ) -> None:
        self._config = config
        self._training = config.training
        self._run = run
        self._state = state
        self._output = output
        self._watch = DivergenceWatch(config, state)

    def note(self, scalars: dict[str, float], skipped: str | None) -> None:
        """Checks the iteration just done; must follow the spike ledger.

        Args:
            scalars: The scalars of the step.
            skipped: The network whose gradients were unusable, or None.

        Raises:
            Diverged: If too many iterations in a row were skipped, or training was out
                of range for too long and the config allows rollbacks.
        """
        state = self._state
        if skipped is None:
            state.skipped_in_a_row = 0
            trouble = self._watch.note(scalars)
            if trouble is not None:
                self._meet(trouble)
                self._watch.accept()
            return
        state.skipped_in_a_row += 1
        self._watch.note_skipped()
        if state.skipped_in_a_row >= self._training.max_skipped_iterations:
            raise Diverged(too_many_skipped(state, skipped))

    def note_grid(self) -> None:
        """Checks the diversity of the newest grid.

        Raises:
            Diverged: If it collapsed and the config allows rollbacks.
        """
        if self._training.divergence_iterations is not None:
            rows = scalars_of(self._run).decisive
            trouble = collapse(rows, self._state.iteration)
            if trouble is not None:
                self._meet(trouble)

    def good_until(self) -> float:
        """Returns the last iteration at which all was well."""
        rows = scalars_of(self._run).decisive
        return min(self._watch.good_until(), diverse_until(rows))

    def go_back(self, trouble: Trouble) -> None:
        """Restores the last good checkpoint, to continue with other random draws.

        Raises:
            Problem: With status 3, if there is none, or no rollbacks are left.
        """
        state, most = self._state, self._training.max_rollbacks
        good_until = min(trouble.good_until, self.good_until())
        found = good_checkpoint(self._config, self._run, good_until, state.rollbacks)
        if found is None or state.rollbacks >= most:
            kept = None if found is None else found[0]
            raise Problem(gone_bad(self._run, state, trouble, kept), status=3)
        iteration, arrays = found
        number, left = state.rollbacks + 1, state.iteration
        arrays[ROLLBACKS] = np.array(number, np.int64)
        event = {
            "iteration": iteration,
            ROLLBACKS: number,
            "from_iteration": left,
            "because": trouble.what,
        }
        self._output.roll_back(arrays, event)
        say(
            f"training went bad at {left}: {trouble.what}\n"
            f"  rolled back to checkpoint {iteration}, going on with other noise "
            f"({number} of at most {most} times)"
        )
        self._output.write_pages()

    def _meet(self, trouble: Trouble) -> None:
        """Warns of trouble.

        Raises:
            Diverged: Instead, if the config allows rollbacks.
        """
        if self._training.max_rollbacks:
            raise Diverged(trouble)
        iteration = self._state.iteration
        good_until = min(trouble.good_until, self.good_until())
        good = good_iterations(self._config, self._run.iterations(), good_until)
        event = {"iteration": iteration, "warning": trouble.what}
        words = f"warning: at {iteration} {trouble.what}"
        if good:
            event[GOOD_CHECKPOINT] = good[0]
            words += f"; checkpoint {good[0]}, from before it, is kept"
        say(words)
        self._output.write_event(event)


def too_many_skipped(state: State, network: str) -> Trouble:
    """Describes a run whose last iterations were all skipped."""
    count = state.skipped_in_a_row
    return Trouble(
        f"{count} iterations in a row had gradients of the {network} that cannot be "
        "used",
        state.iteration - count,
    )


def gone_bad(run: RunFolder, state: State, trouble: Trouble, kept: int | None) -> str:
    """Returns a message on why a run ends early, and what to do."""
    lines = [f"training went numerically bad: {trouble.what}"]
    if state.rollbacks:
        lines.append(f"  rollbacks so far (training.max_rollbacks): {state.rollbacks}")
    settings = "other settings (a lower optimizer.learning_rate, a higher loss.gamma, "
    if kept is None:
        lines += [
            "  no checkpoint is from before it",
            f"  to start anew with {settings}log_adam):",
            "  --fresh --set ...",
        ]
    else:
        lines += [
            f"  checkpoint {kept}, from before it, is kept",
            f"  to go on from it with {settings}log_adam):",
            f"  --from {run.name}@{kept} --set run.name=... --set ...",
        ]
    return "\n".join([*lines, f"  {run.root / SPIKES} names each spike"])
