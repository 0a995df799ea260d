"""The loop: iterations, and what is written between them."""

import contextlib
import math
import sys
import time

import numpy as np
import tqdm

from gallery.grids import grid_image, write_png
from gallery.thumbnails import grid_name
from training.best import deciding_metric, retention_of, values_of
from training.build import build_step, inputs_at, learning_rate_of, penalty_at
from training.checkpoint import DiskFull, write_checkpoint
from training.config import Config
from training.meter import Meter
from training.optimizer_config import NETWORKS
from training.page import write_pages
from training.pictures import Painter, grid_latents
from training.problem import Problem
from training.record import Record
from training.rows import SCALARS, read_rows
from training.run_folder import RunFolder
from training.signals import StopRequest
from training.sittings import Sittings
from training.state import State, field_variables, state_arrays
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
        deadline = time.monotonic() + SECONDS_PER_MINUTE * (
            self._config.training.max_minutes or math.inf
        )
        inputs = self._inputs()
        with contextlib.closing(record), self._progress() as progress:
            self._measure_if_due(record)  # a kill may have come before it
            while state.iteration < total and self._stop.status is None:
                began = time.perf_counter()
                scalars = step(inputs, penalty_at(self._config, state.iteration))
                state.iteration += 1
                inputs = self._inputs()  # made while a GPU is still at the step
                scalars = {name: float(value) for name, value in scalars.items()}
                seconds = time.perf_counter() - began
                self._count_skipped(record, scalars)
                self._write_what_is_due(record, scalars, seconds, progress)
                if time.monotonic() > deadline:
                    break
            self._save(record)
            self._write_pages()
        return self._ending(total)

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

    def _count_skipped(self, record: Record, scalars: dict[str, float]) -> None:
        """Writes gradients that could not be used to the ledger; stops at too many."""
        state = self._state
        bad = [network for network in NETWORKS if not scalars[f"usable/{network}"]]
        if "discriminator" in bad:
            bad = ["discriminator"]  # the generator's came from a broken one
        state.skipped_in_a_row = state.skipped_in_a_row + 1 if bad else 0
        for network in bad:
            record.write_spike(
                {
                    "iteration": state.iteration,
                    "network": network,
                    "skipped": True,
                    "largest_finite": scalars[f"gradient/{network}_max"],
                    "not_finite": int(scalars[f"gradient/{network}_nonfinite"]),
                }
            )
        if state.skipped_in_a_row >= self._config.training.max_skipped_iterations:
            raise Problem(self._gone_bad(bad[0]), status=3)

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
        scalars: dict[str, float],
        seconds: float,
        progress: tqdm.tqdm,
    ) -> None:
        training, iteration = self._config.training, self._state.iteration
        finished = iteration == training.total_iterations
        progress.set_postfix_str(bar_text(scalars, self._state), refresh=False)
        progress.update()
        if iteration % training.log_every_iterations == 0:
            row = self._row(scalars, seconds)
            record.write_scalars(iteration, row, time.time())
        is_sampled = iteration % training.sample_every_iterations == 0 or finished
        if is_sampled:
            path = self._sample(record)
            if progress.disable:
                tell(
                    f"{iteration} iterations, {bar_text(scalars, self._state)}: {path}"
                )
        if iteration % training.checkpoint_every_iterations == 0:
            self._save(record)
        self._measure_if_due(record)
        if is_sampled:
            self._write_pages()

    def _measure_if_due(self, record: Record) -> None:
        """Takes the metrics of this iteration, unless a row has them already.

        The checkpoint is saved first: a signal breaks a measurement off, a kill ends
        it, and the continued run takes it then.

        Raises:
            Problem: With status 3, if the config asks to stop at what they say.
        """
        iteration, metrics = self._state.iteration, self._config.metrics
        if self._meter is None or iteration % metrics.every_iterations or not iteration:
            return
        rows = read_rows(self._run.root / SCALARS)
        if iteration in values_of(deciding_metric(metrics), rows):
            return
        self._save(record)
        row = self._meter.measure(self._painter, lambda: self._stop.status is not None)
        if row is None:
            return
        record.write_scalars(iteration, row, time.time())
        shown = ", ".join(
            f"{name.removeprefix('metric/')} {value:.4g}" for name, value in row.items()
        )
        tell(f"{iteration} iterations: {shown}")
        self._write_pages()
        check_metrics(metrics, [*rows, {"iteration": iteration} | row], self._run.name)

    def _write_pages(self) -> None:
        """Writes the pages; a failure is told and does not end the run."""
        try:
            self._sittings.note(self._state.iteration)
            write_pages(self._run)
        except OSError as error:
            print(f"warning: no page this time ({error})", file=sys.stderr)

    def _row(self, scalars: dict[str, float], seconds: float) -> dict[str, float]:
        """Returns what a row of scalars.jsonl says of the iteration just done."""
        hidden = ("usable/", "_nonfinite")
        row = {k: v for k, v in scalars.items() if not any(h in k for h in hidden)}
        row["augment/probability"] = float(self._state.augment_probability.numpy())
        for network in NETWORKS:
            rate = learning_rate_of(self._config, network, self._state.iteration - 1)
            row[f"learning_rate/{network}"] = rate
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
        if done >= total:
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


def tell(line: str) -> None:
    """Prints a line for people; a run goes on when nobody listens any more."""
    with contextlib.suppress(OSError):
        tqdm.tqdm.write(line)  # above a bar, if there is one
        sys.stdout.flush()


def weight_arrays(state: State) -> dict[str, np.ndarray]:
    """Returns the weights of both networks by name, as TensorBoard groups them."""
    arrays = {}
    for network in NETWORKS:
        for name, variable in field_variables(network, getattr(state, network)).items():
            arrays[f"weights/{name}"] = np.asarray(variable)
    return arrays


def bar_text(scalars: dict[str, float], state: State) -> str:
    """Writes the few numbers that a person watches."""
    text = (
        f"D {scalars['loss/discriminator']:.3f} G {scalars['loss/generator']:.3f}, "
        f"gradient D {scalars['gradient/discriminator_max']:.2g} "
        f"G {scalars['gradient/generator_max']:.2g}"
    )
    if state.skipped_in_a_row:
        text += f", SKIPPED {state.skipped_in_a_row} in a row"
    return text
