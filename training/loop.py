"""Runs the training loop: iterations, and what is due between them."""

import contextlib
import math
import time
from collections.abc import Callable

import tqdm

from data import DataError, ImageSet
from files.counted import counted
from records.best import is_measured
from records.live import page_address
from records.rows import SPIKES, Row, read_rows
from records.run_folder import RunFolder
from records.scalars import scalars_of
from settings.config import Config
from settings.messages import Problem, say
from training.build import build_step
from training.device import Device
from training.distribution.follower import may_go_on
from training.distribution.shares import distribute
from training.distribution.workers import lost_as_problem
from training.early_stop import check_metrics
from training.inputs import Inputs, inputs_at, penalty_at
from training.ledger import Ledger
from training.output import Output, row_of
from training.progress import ProgressText, building, metrics_text, progress_bar
from training.protection import Diverged, Protection
from training.run_metrics import RunMetrics
from training.signals import StopRequest
from training.state import State

SECONDS_PER_MINUTE = 60


class Loop:
    """Runs one session of a run."""

    def __init__(
        self,
        config: Config,
        run: RunFolder,
        state: State,
        images: ImageSet,
        output: Output,
        stop: StopRequest,
        metrics: RunMetrics | None,
        device: Device,
    ) -> None:
        """Initializes the session.

        Args:
            config: With every `auto` resolved.
            run: The run's folders; the caller holds the lock.
            state: At the iteration to continue from; `train` changes it.
            images: All photographs.
            output: Writes the run's files; `train` closes it.
            stop: Checked after each iteration.
            metrics: None if metrics are off.
            device: What to train on, with its replicas.
        """
        self._config = config
        self._run = run
        self._state = state
        self._images = images
        self._output = output
        self._stop = stop
        self._metrics = metrics
        self._strategy = device.strategy
        self._workers = device.workers
        self._built: set[bool] = set()  # steps: with penalties, without

    def train(self) -> int:
        """Trains until the last iteration, the time limit or a signal, and saves.

        Returns:
            The exit status: 0, or that of the signal.

        Raises:
            Problem: If training diverged, the metrics end it, or the disk is full.
        """
        state, total = self._state, self._config.training.total_iterations
        self._output.pulse.announce("building the networks", state.iteration)
        self._output.write_pages()
        say(f"its page: {page_address(self._run)}")
        step = build_step(self._config, state, self._strategy)
        self._protection = Protection(self._config, self._run, state, self._output)
        self._begin()
        bar = progress_bar(total, state.iteration)
        deadline = time.monotonic() + SECONDS_PER_MINUTE * (
            self._config.training.max_minutes or math.inf
        )
        with contextlib.closing(self._output), bar as progress:
            try:
                self._iterate_until(deadline, step, progress)
            except (Problem, DataError) as problem:
                self._output.because = str(problem).partition("\n")[0]
                raise
        status = self._ending(total)
        say(f"its page: {page_address(self._run)}")
        return status

    def _iterate_until(
        self, deadline: float, step: Callable, progress: tqdm.tqdm
    ) -> None:
        """Iterates to the end, the deadline or a signal, and saves."""
        state, total = self._state, self._config.training.total_iterations
        self._measure_if_due()  # if the last session was killed before it
        self._check_metrics()
        while state.iteration < total and self._may_go_on():
            try:
                self._iterate(step, progress)
            except Diverged as diverged:
                self._protection.go_back(diverged.trouble)
                self._begin()
                progress.update(state.iteration - progress.n)
            self._output.pulse.beat(state.iteration)
            if time.monotonic() > deadline:
                self._output.because = "training.max_minutes is over"
                break
        self._save()

    def _begin(self) -> None:
        """Sets up what is derived from the state: at the start and after a rollback."""
        self._text = ProgressText()
        self._ledger = Ledger(self._state, read_rows(self._run.root / SPIKES))
        self._inputs = self._inputs_at(self._state.iteration)

    def _iterate(self, step: Callable, progress: tqdm.tqdm) -> None:
        """Does one iteration and what is due after it."""
        state = self._state
        began = time.perf_counter()
        with_penalty = penalty_at(self._config, state.iteration)
        is_built = with_penalty in self._built
        with lost_as_problem(self._workers):
            with contextlib.nullcontext() if is_built else building(progress):
                scalars = step(self._inputs, with_penalty)
            self._built.add(with_penalty)
            # Prepared while a GPU still computes.
            self._inputs = self._inputs_at(state.iteration + 1)
            scalars = {name: float(value) for name, value in scalars.items()}
        state.iteration += 1
        seconds = time.perf_counter() - began
        spikes = self._note_spikes(scalars)
        skipped = [row["network"] for row in spikes if row["skipped"]]
        self._protection.note(scalars, skipped[0] if skipped else None)
        row = row_of(self._config, state, scalars, seconds, spikes)
        self._write_what_is_due(row, bool(spikes), progress)

    def _may_go_on(self) -> bool:
        """Tells whether no worker was asked to stop."""
        return may_go_on(self._workers, self._state, self._stop)

    def _inputs_at(self, iteration: int) -> Inputs:
        rollbacks = self._state.rollbacks
        whole = inputs_at(self._config, self._images, rollbacks, iteration)
        return distribute(self._config, whole, self._strategy)

    def _note_spikes(self, scalars: dict[str, float]) -> list[Row]:
        """Writes this iteration's rows of the ledger; returns those of spikes."""
        rows = self._ledger.rows_of(scalars)
        for row in rows:
            self._output.write_spike(row)
            self._text.note_spike(row)
        return [row for row in rows if "largest_finite" in row]

    def _write_what_is_due(
        self, row: dict[str, float], is_spike: bool, progress: tqdm.tqdm
    ) -> None:
        training, iteration = self._config.training, self._state.iteration
        finished = iteration == training.total_iterations
        text = self._text.bar_text(row, self._state)
        progress.set_postfix_str(text, refresh=False)
        progress.update()
        is_logged = iteration % training.log_every_iterations == 0 or is_spike
        scalars = row if is_logged else {}
        is_due = iteration % training.sample_every_iterations == 0
        if is_due or finished:
            path, of_grid = self._output.write_grid()
            # A longer run would not have a final grid that was not due.
            scalars = scalars | of_grid if is_due else scalars
            if progress.disable:
                say(f"{counted(iteration, 'iteration')}, {text}: {path}")
        if scalars:
            self._output.write_scalars(scalars)
        if is_due:
            self._protection.note_grid()
        if iteration % training.checkpoint_every_iterations == 0:
            self._save()
        is_measured = self._measure_if_due()
        if is_due or finished or is_measured:
            self._output.write_pages()
        if is_measured:
            self._check_metrics()

    def _save(self) -> None:
        """Saves the state, and keeps a checkpoint from before any looming trouble."""
        self._output.save(self._protection.good_until())

    def _measure_if_due(self) -> bool:
        """Measures the metrics if due and not yet logged; returns whether it did.

        The checkpoint is saved first, so that an interrupted measurement is made when
        the run continues.
        """
        iteration, output = self._state.iteration, self._output
        if self._metrics is None or not iteration or self._is_measured():
            return False
        self._save()
        output.pulse.announce("measuring its pictures", iteration)
        row = self._metrics.measure(
            output.painter, lambda: self._stop.status is not None
        )
        if row is None:
            return False
        output.write_scalars(row)
        say(f"{counted(iteration, 'iteration')}: {metrics_text(row)}")
        return True

    def _is_measured(self) -> bool:
        return is_measured(self._config.metrics, self._run, self._state.iteration)

    def _check_metrics(self) -> None:
        """Ends the run if its metrics exceed the config's limits.

        Raises:
            Problem: With status 3.
        """
        if self._metrics is not None:
            rows = scalars_of(self._run).decisive
            check_metrics(self._config.metrics, rows, self._run)

    def _ending(self, total: int) -> int:
        done, samples = self._state.iteration, self._run.samples
        iterations = counted(done, "iteration")
        if done >= total and self._is_measured():
            say(f"finished: {iterations}; look at {samples}")
            return 0
        if self._stop.status is not None:
            saved = ", saved" if self._output.is_saved else ""
            say(f"stopped after {iterations}{saved}; the same command continues")
            return self._stop.status
        say(
            f"training.max_minutes is over after {iterations}, saved; "
            "the same command continues"
        )
        return 0
