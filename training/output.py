"""Writes the files of a session: rows, grids, checkpoints and pages."""

import math
import time

import numpy as np

from data import ImageSet
from gallery.class_sheets import sheet_name, write_rows
from gallery.grids import grid_image, write_png
from gallery.thumbnails import grid_name
from metrics.diversity import pixel_diversity
from records.checkpoint import write_checkpoint
from records.damage import events_to_keep_by
from records.live import Pulse
from records.page import write_pages
from records.retention import retention_of
from records.rollback import roll_back
from records.rows import EVENTS, Row, append_row
from records.run_folder import RunFolder
from records.run_log import RunLog
from records.scalars import scalars_of
from records.sessions import Sessions
from settings.config import Config
from settings.messages import say
from settings.optimizer import NETWORKS
from training.divergence import DIVERSITY
from training.inputs import gamma_at, learning_rate_at
from training.pictures import (
    ClassSheet,
    Painter,
    class_weights,
    grid_labels,
    grid_latents,
    grid_reals,
)
from training.state import State, assign_arrays, state_arrays
from training.variables import field_variables


class Output:
    """Writes the files of a run during a session.

    Attributes:
        because: Why the run ends early, if nobody asked it to.
        painter: Generates images with the averaged generator.
        pulse: Tells open pages how the run stands.
    """

    def __init__(
        self,
        config: Config,
        run: RunFolder,
        state: State,
        images: ImageSet,
        sessions: Sessions,
    ) -> None:
        """Opens the logs of a run.

        Args:
            config: With every `auto` resolved.
            run: The run's folders; the caller holds the lock.
            state: At the iteration to continue from; only `roll_back` changes it.
            images: All photographs.
            sessions: The run's sessions; this is the last.
        """
        self._config = config
        self._run = run
        self._state = state
        self._sessions = sessions
        self._diversity_of_reals = pixel_diversity(grid_reals(images, config.run.seed))
        self.because: str | None = None
        self.painter = Painter(state.ema_generator)
        labels = grid_labels(images, config.run.seed)
        self._grid_classes = class_weights(labels, config.model.num_classes)
        self._class_sheet = class_sheet(config, images)
        total = config.training.total_iterations
        self.pulse = Pulse(run, state.iteration, total)
        self._open()

    def _open(self) -> None:
        self._log = RunLog(self._run.root, self._state.iteration)
        self._saved = self._state.iteration if self._run.iterations() else None

    @property
    def is_saved(self) -> bool:
        """Whether this iteration has a checkpoint."""
        return self._state.iteration == self._saved

    def write_scalars(self, row: dict[str, float]) -> None:
        """Writes a row of scalars for this iteration."""
        self._log.write_scalars(self._state.iteration, row, time.time())

    def write_spike(self, row: Row) -> None:
        """Writes a row of the spike ledger."""
        self._log.write_spike(row)

    def write_event(self, row: Row) -> None:
        """Writes a row of events.jsonl: rollbacks and warnings, for the user."""
        append_row(self._run.root / EVENTS, row)

    def write_grid(self) -> tuple[str, dict[str, float]]:
        """Writes a grid, also to TensorBoard, with histograms of the weights.

        Returns:
            The grid's path, and its scalars: the images' diversity relative to that of
            the photographs.
        """
        config, run, iteration = self._config, self._run, self._state.iteration
        latents = grid_latents(config.run.seed, config.model.latent_dim)
        path = run.samples / grid_name(iteration)
        run.samples.mkdir(parents=True, exist_ok=True)
        images = self.painter.images_of(latents, self._grid_classes)
        write_png(grid_image(images), path)
        if self._class_sheet is not None:
            sheet = self._class_sheet.draw(self.painter)
            write_rows(run.samples, iteration, self._class_sheet.rows)
            write_png(sheet, run.samples / sheet_name(iteration))
        now, scalars = time.time(), {}
        if self._diversity_of_reals:
            scalars[DIVERSITY] = pixel_diversity(images) / self._diversity_of_reals
        self._log.write_grid(iteration, path.read_bytes(), now)
        self._log.write_histograms(iteration, weight_arrays(self._state), now)
        return str(path), scalars

    def save(self, good_until: float = math.inf) -> None:
        """Saves the state, unless this iteration is saved already.

        Args:
            good_until: The last iteration at which all was well.

        Raises:
            Problem: If there is no room.
        """
        iteration = self._state.iteration
        if iteration in (0, self._saved):
            return
        self._log.sync()
        rows = scalars_of(self._run).decisive
        iterations = [*self._run.iterations(), iteration]
        events = events_to_keep_by(self._run.root / EVENTS, iteration)
        retention = retention_of(self._config, iterations, rows, good_until, events)
        arrays = state_arrays(self._state)
        write_checkpoint(self._run.checkpoints, iteration, arrays, retention)
        self._saved = iteration

    def write_pages(self) -> None:
        """Writes the pages; an error here must not end the run."""
        try:
            self._sessions.write_progress(self._state.iteration)
            self.pulse.reach(self._state.iteration)
            write_pages(self._run, self.pulse.live)
            self.pulse.page_written()
        except Exception as error:  # noqa: BLE001 (a night's training is worth more)
            words = f"{type(error).__name__}: {error}"
            say(f"warning: no page this time ({words})")

    def roll_back(self, arrays: dict[str, np.ndarray], event: Row) -> None:
        """Returns to a checkpoint, moving aside what the run wrote after it.

        Args:
            arrays: The checkpoint with the new number of rollbacks, for the state.
            event: The row for events.jsonl.

        Raises:
            Problem: If there is no room.
        """
        self._log.close()
        roll_back(self._config, self._run, arrays, event)
        assign_arrays(self._state, arrays)
        self._open()

    def close(self) -> None:
        """Closes the logs and writes the pages a last time."""
        self._log.close()
        self.pulse.end(self._state.iteration, self.because)
        self.write_pages()


def class_sheet(config: Config, images: ImageSet) -> ClassSheet | None:
    """Returns what draws the sheet of classes, None if there are no classes."""
    if images.classes is None:
        return None
    shown = config.training.sample_classes
    return ClassSheet(images.classes, shown, config.run.seed)


def row_of(
    config: Config,
    state: State,
    scalars: dict[str, float],
    seconds: float,
    spikes: list[Row],
) -> dict[str, float]:
    """Returns the row of scalars.jsonl for the iteration just done.

    `scalars` are those of the step, `seconds` its duration, `spikes` its ledger rows.
    """
    hidden = ("usable/", "_nonfinite")
    row = {k: v for k, v in scalars.items() if not any(h in k for h in hidden)}
    row["augment/probability"] = float(state.augment_probability.numpy())
    for network in NETWORKS:
        rate = learning_rate_at(
            config.optimizer.for_network(network), state.iteration - 1
        )
        row[f"learning_rate/{network}"] = rate
    if config.loss.final_gamma is not None:
        row["penalty/gamma"] = gamma_at(config.loss, state.iteration - 1)
    for spike in spikes:
        if "times_usual" in spike:
            row[f"spike/{spike['network']}"] = spike["times_usual"]
    row["speed/images_per_second"] = config.training.batch_size / seconds
    return row


def weight_arrays(state: State) -> dict[str, np.ndarray]:
    """Returns the weights of both networks by name, as TensorBoard groups them."""
    arrays = {}
    for network in NETWORKS:
        for name, variable in field_variables(network, getattr(state, network)).items():
            arrays[f"weights/{name}"] = np.asarray(variable)
    return arrays
