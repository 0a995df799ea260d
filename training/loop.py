"""The loop: iterations, and what is written between them."""

import contextlib
import math
import sys
import time
from collections.abc import Iterator

import numpy as np
import tqdm

from gallery.grids import grid_image, write_png
from gallery.thumbnails import grid_name
from training.best import is_measured, retention_of
from training.build import build_step, inputs_at, learning_rate_of, penalty_at
from training.checkpoint import DiskFull, write_checkpoint
from training.config import Config
from training.ledger import Ledger, Row
from training.meter import Meter
from training.optimizer_config import NETWORKS
from training.page import write_pages
from training.pictures import Painter, grid_latents
from training.problem import Problem
from training.record import Record
from training.rows import SCALARS, SPIKES, read_rows
from training.run_folder import RunFolder
from training.signals import StopRequest
from training.sittings import Sittings
from training.state import State, field_variables, state_arrays
from training.telling import Telling, metrics_text, tell
from training.watch import check_metrics

SECONDS_PER_MINUTE = 60


class Loop:
    """One sitting of a run."""

    def __init__(
        self,
        config: Config,
        run: RunFolder,
        state: State,
        images: np.ndarray,
        stop: StopRequest,
        meter: Meter | None,
        sittings: Sittings,
    ) -> None:
        """Takes a run and its state.

        Args:
            config: With every `auto` resolved.
            run: Its folders; the caller holds the lock.
            state: At the iteration to go on from; changed by `train`.
            images: uint8 [count, size, size, 3].
            stop: Looked at after each iteration.
            meter: Takes the metrics, if they are on.
            sittings: The last one is this.
        """
        self._config = config
        self._run = run
        self._state = state
        self._images = images
        self._stop = stop
        self._told = Telling()
        self._meter = meter
        self._sittings = sittings
        self._painter = Painter(state.ema_generator)
        self._saved = state.iteration if run.iterations() else None

    def train(self) -> int:
        """Trains until the end, a limit or a signal, and saves.

        Returns:
            The exit status: 0, or that of the signal.

        Raises:
            Problem: If training went numerically bad, or the disk is full.
        """
        state, total = self._state, self._config.training.total_iterations
        step = build_step(self._config, state)
        record = Record(self._run.root, state.iteration)
        self._ledger = Ledger(state, read_rows(self._run.root / SPIKES))
        deadline = time.monotonic() + SECONDS_PER_MINUTE * (
            self._config.training.max_minutes or math.inf
        )
        inputs = self._inputs()
        with self._closing(record), self._progress() as progress:
            self._measure_if_due(record)  # a kill may have come before it
            self._check_metrics()
            while state.iteration < total and self._stop.status is None:
                began = time.perf_counter()
                scalars = step(inputs, penalty_at(self._config, state.iteration))
                state.iteration += 1
                inputs = self._inputs()  # made while a GPU is still at the step
                scalars = {name: float(value) for name, value in scalars.items()}
                seconds = time.perf_counter() - began
                spikes = self._note_spikes(record, scalars)
                row = self._row(scalars, seconds, spikes)
                self._write_what_is_due(record, row, bool(spikes), progress)
                if time.monotonic() > deadline:
                    break
            self._save(record)
        return self._ending(total)

    @contextlib.contextmanager
    def _closing(self, record: Record) -> Iterator[None]:
        """Closes the record and writes the pages, however the sitting ends."""
        try:
            yield
        finally:
            record.close()
            self._write_pages()

    def _inputs(self) -> object:
        state = self._state
        return inputs_at(self._config, self._images, state.rollbacks, state.iteration)

    def _progress(self) -> tqdm.tqdm:
        return tqdm.tqdm(
            total=self._config.training.total_iterations,
            initial=self._state.iteration,
            unit="it",
            dynamic_ncols=True,
            smoothing=0.05,
            disable=not sys.stdout.isatty(),
        )

    def _note_spikes(self, record: Record, scalars: dict[str, float]) -> list[Row]:
        """Writes the spikes of this iteration to the ledger; stops at too many.

        Returns:
            Their rows.
        """
        state = self._state
        rows = self._ledger.rows_of(scalars)
        for row in rows:
            record.write_spike(row)
            self._told.spike(row)
        spikes = [row for row in rows if "largest_finite" in row]
        skipped = [row["network"] for row in spikes if row["skipped"]]
        state.skipped_in_a_row = state.skipped_in_a_row + 1 if skipped else 0
        if state.skipped_in_a_row >= self._config.training.max_skipped_iterations:
            raise Problem(self._gone_bad(skipped[0]), status=3)
        return spikes

    def _gone_bad(self, network: str) -> str:
        saved = self._run.iterations()
        kept = f"checkpoint {saved[-1]} is kept" if saved else "nothing was saved yet"
        return (
            f"training went numerically bad: {self._state.skipped_in_a_row} iterations "
            f"in a row with gradients of the {network} that cannot be used\n"
            f"  the weights are as they were before the first of them; {kept}\n"
            f"  {self._run.root / 'spikes.jsonl'} names each\n"
            f"  to go on with other settings (a lower optimizer.learning_rate, "
            f"a higher loss.gamma, log_adam):\n"
            f"  --from {self._run.name} --set run.name=... --set ..."
        )

    def _write_what_is_due(
        self,
        record: Record,
        row: dict[str, float],
        is_spike: bool,
        progress: tqdm.tqdm,
    ) -> None:
        training, iteration = self._config.training, self._state.iteration
        finished = iteration == training.total_iterations
        text = self._told.bar_text(row, self._state)
        progress.set_postfix_str(text, refresh=False)
        progress.update()
        if iteration % training.log_every_iterations == 0 or is_spike:
            record.write_scalars(iteration, row, time.time())
        is_sampled = iteration % training.sample_every_iterations == 0 or finished
        if is_sampled:
            path = self._sample(record)
            if progress.disable:
                tell(f"{iteration} iterations, {text}: {path}")
        if iteration % training.checkpoint_every_iterations == 0:
            self._save(record)
        is_measured = self._measure_if_due(record)
        if is_sampled or is_measured:
            self._write_pages()
        if is_measured:
            self._check_metrics()

    def _measure_if_due(self, record: Record) -> bool:
        """Takes the metrics of this iteration, unless a row has them already.

        The checkpoint is saved first: a signal breaks a measurement off, a kill ends
        it, and the continued run takes it then.

        Returns:
            Whether it took them.
        """
        iteration = self._state.iteration
        if self._meter is None or not iteration or self._is_measured():
            return False
        self._save(record)
        row = self._meter.measure(self._painter, lambda: self._stop.status is not None)
        if row is None:
            return False
        record.write_scalars(iteration, row, time.time())
        tell(f"{iteration} iterations: {metrics_text(row)}")
        return True

    def _is_measured(self) -> bool:
        path = self._run.root / SCALARS
        return is_measured(self._config.metrics, path, self._state.iteration)

    def _check_metrics(self) -> None:
        """Ends the run, with status 3, if the config asks to at what the metrics say.

        Raises:
            Problem: Then.
        """
        if self._meter is not None:
            rows = read_rows(self._run.root / SCALARS)
            check_metrics(self._config.metrics, rows, self._run)

    def _write_pages(self) -> None:
        """Writes the pages; whatever is wrong with them does not end the run."""
        try:
            self._sittings.note(self._state.iteration)
            write_pages(self._run)
        except Exception as error:  # noqa: BLE001 (a night's training is worth more)
            words = f"{type(error).__name__}: {error}"
            print(f"warning: no page this time ({words})", file=sys.stderr)

    def _row(
        self, scalars: dict[str, float], seconds: float, spikes: list[Row]
    ) -> dict[str, float]:
        """Returns what a row of scalars.jsonl says of the iteration just done."""
        hidden = ("usable/", "_nonfinite")
        row = {k: v for k, v in scalars.items() if not any(h in k for h in hidden)}
        row["augment/probability"] = float(self._state.augment_probability.numpy())
        for network in NETWORKS:
            rate = learning_rate_of(self._config, network, self._state.iteration - 1)
            row[f"learning_rate/{network}"] = rate
        for spike in spikes:
            if "times_usual" in spike:
                row[f"spike/{spike['network']}"] = spike["times_usual"]
        row["speed/images_per_second"] = self._config.training.batch_size / seconds
        return row

    def _sample(self, record: Record) -> str:
        config, run = self._config, self._run
        latents = grid_latents(config.run.seed, config.model.latent_dim)
        path = run.samples / grid_name(self._state.iteration)
        run.samples.mkdir(parents=True, exist_ok=True)
        write_png(grid_image(self._painter.images_of(latents)), path)
        now, iteration = time.time(), self._state.iteration
        record.write_grid(iteration, path.read_bytes(), now)
        record.write_histograms(iteration, weight_arrays(self._state), now)
        return str(path)

    def _save(self, record: Record) -> None:
        """Saves the state, unless this iteration is saved already."""
        iteration = self._state.iteration
        if iteration in (0, self._saved):
            return
        record.sync()
        arrays = state_arrays(self._state)
        rows = read_rows(self._run.root / SCALARS)
        retention = retention_of(self._config, self._run.iterations(), rows)
        try:
            write_checkpoint(self._run.checkpoints, iteration, arrays, retention)
        except DiskFull as error:
            raise Problem(str(error)) from error
        self._saved = iteration

    def _ending(self, total: int) -> int:
        done, samples = self._state.iteration, self._run.samples
        if done >= total and self._is_measured():
            tell(f"finished: {done} iterations; look at {samples}")
            return 0
        if self._stop.status is not None:
            saved = ", saved" if done == self._saved else ""
            tell(f"stopped after {done} iterations{saved}; the same command continues")
            return self._stop.status
        tell(
            f"training.max_minutes is over after {done} iterations, saved; "
            "the same command continues"
        )
        return 0


def weight_arrays(state: State) -> dict[str, np.ndarray]:
    """Returns the weights of both networks by name, as TensorBoard groups them."""
    arrays = {}
    for network in NETWORKS:
        for name, variable in field_variables(network, getattr(state, network)).items():
            arrays[f"weights/{name}"] = np.asarray(variable)
    return arrays
