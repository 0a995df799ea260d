"""Formats what a run prints while training: progress bar, spikes and metrics."""

import contextlib
import sys
from collections.abc import Iterator

import tqdm

from records.rows import Row
from settings.messages import say
from training.state import State

SHOWN_ITERATIONS = 500  # that a spike stays in the bar
QUIET_ITERATIONS = 100  # at least, between two lines about spikes
BUILDING = "building the step (half a minute, or some minutes), {n_fmt}/{total_fmt}"


def progress_bar(total: int, done: int) -> tqdm.tqdm:
    """Returns the bar of a run, which shows on terminals only."""
    return tqdm.tqdm(
        total=total,
        initial=done,
        unit="it",
        dynamic_ncols=True,
        smoothing=0.05,
        disable=sys.stdout is None or not sys.stdout.isatty(),
    )


@contextlib.contextmanager
def building(progress: tqdm.tqdm) -> Iterator[None]:
    """Shows during an iteration that the step is being built.

    What that takes is left out of the bar's speed, and so of its time to the end.
    """
    progress.bar_format = BUILDING
    progress.unpause()
    progress.refresh()
    yield
    progress.bar_format = None
    progress.unpause()


class ProgressText:
    """Formats the progress bar, and reports spikes."""

    def __init__(self) -> None:
        self._shown: Row | None = None
        self._next_line = 0

    def note_spike(self, row: Row) -> None:
        """Notes a row of the ledger; prints spikes, but not too often."""
        iteration = row["iteration"]
        if "largest_finite" not in row:
            return
        self._shown = row
        if iteration >= self._next_line:
            say(spike_text(row))
            self._next_line = iteration + QUIET_ITERATIONS

    def bar_text(self, row: dict[str, float], state: State) -> str:
        """Returns the text of the progress bar."""
        text = (
            f"D {row['loss/discriminator']:.3f} G {row['loss/generator']:.3f}, "
            f"gradient D {row['gradient/discriminator_max']:.2g} "
            f"G {row['gradient/generator_max']:.2g}"
        )
        if state.skipped_in_a_row:
            return f"{text}, SKIPPED {state.skipped_in_a_row} in a row"
        spike = self._shown
        if spike and state.iteration < spike["iteration"] + SHOWN_ITERATIONS:
            initial = spike["network"][0].upper()
            text += f", SPIKE {initial}{times_text(spike)} at {spike['iteration']}"
        return text


def spike_text(row: Row) -> str:
    """Returns a line about a spike."""
    what = f"spike at {row['iteration']}: {row['network']} gradient "
    if row["not_finite"]:
        what += f"with {row['not_finite']} elements that are not finite"
    else:
        what += f"{row['largest_finite']:.4g}{times_text(row)} the usual"
    if row["skipped"]:
        return f"{what}; the iteration was skipped"
    if "damped_to" in row:
        return f"{what}; damped to {row['damped_to']:.2g}"
    return f"{what}; nothing damps it"


def times_text(row: Row) -> str:
    """Returns how many times the usual gradient a spike was, if known."""
    return f" x{row['times_usual']:,.0f}" if "times_usual" in row else ""


def metrics_text(row: dict[str, float]) -> str:
    """Formats the metrics of a row, each with its floor."""
    floors = {name for name in row if name.endswith("_floor")}
    return ", ".join(
        f"{name.removeprefix('metric/')} {value:.4g} (floor {row[name + '_floor']:.4g})"
        for name, value in row.items()
        if f"{name}_floor" in floors
    )
