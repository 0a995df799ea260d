"""Keeps the spike ledger: gradient spikes, and when the loss recovered from them."""

import math

import numpy as np

from optim import spikes
from records.rows import Row
from settings.optimizer import NETWORKS
from training.state import State

Scalars = dict[str, float]


class Ledger:
    """Detects spikes and the loss's recovery from them, iteration by iteration.

    Its averages are part of the state, and unrecovered spikes are in spikes.jsonl, so
    that a continued run finds the same as an uninterrupted one.
    """

    def __init__(self, state: State, rows: list[Row]) -> None:
        self._state = state
        recovered = {(row["network"], row.get("recovered_from")) for row in rows}
        self._open = [
            row
            for row in rows
            if "loss_before" in row
            and (row["network"], row["iteration"]) not in recovered
        ]

    def rows_of(self, scalars: Scalars) -> list[Row]:
        """Returns the new rows of the ledger for the iteration just done."""
        bad = [network for network in NETWORKS if not scalars[f"usable/{network}"]]
        if "discriminator" in bad:
            bad = ["discriminator"]  # it gave the generator its gradients
        rows = []
        for network in NETWORKS:
            if network in bad or (not bad and self._is_spike(network, scalars)):
                rows.append(self._spike(network, scalars, network in bad))
        self._open += [row for row in rows if "loss_before" in row]
        if not bad:
            for network in NETWORKS:
                self._remember(network, scalars)
            self._state.averaged_iterations += 1
        return rows + self._recoveries()

    def _is_spike(self, network: str, scalars: Scalars) -> bool:
        return spikes.is_spike(scalars[f"gradient/{network}_max"], self._usual(network))

    def _usual(self, network: str) -> float | None:
        """Returns a network's usual largest gradient, or None early in a run."""
        level = self._state.log_gradients[NETWORKS.index(network)]
        return spikes.usual_gradient(level, self._state.averaged_iterations)

    def _spike(self, network: str, scalars: Scalars, is_skipped: bool) -> Row:
        usual, loss = self._usual(network), scalars[f"loss/{network}"]
        position = {"iteration": self._state.iteration, "network": network}
        damping = losses = None
        damped = scalars.get(f"gradient/{network}_max_damped")
        if not is_skipped and damped is not None:
            damping = damped, scalars[f"gradient/{network}_above_knee"]
        if usual and math.isfinite(loss):
            losses = self._loss_before(network), loss
        return spikes.spike_row(
            {**position, "skipped": is_skipped},
            scalars[f"gradient/{network}_max"],
            int(scalars[f"gradient/{network}_nonfinite"]),
            usual,
            damping,
            losses,
        )

    def _loss_before(self, network: str) -> float:
        """Returns the loss before the first spike that has not been recovered from."""
        still_open = [row for row in self._open if row["network"] == network]
        return (
            still_open[0]["loss_before"] if still_open else self._recent_loss(network)
        )

    def _recent_loss(self, network: str) -> float:
        """Returns the median of recent losses, which a single spike does not move."""
        return float(np.median(self._state.recent_losses[NETWORKS.index(network)]))

    def _remember(self, network: str, scalars: Scalars) -> None:
        """Updates the averages, in which the first iterations weigh the same."""
        state, place = self._state, NETWORKS.index(network)
        if math.isfinite(scalars[f"loss/{network}"]):  # JSON has no infinity
            state.recent_losses[place, :-1] = state.recent_losses[place, 1:]
            state.recent_losses[place, -1] = scalars[f"loss/{network}"]
        state.log_gradients[place] = spikes.next_log_level(
            state.log_gradients[place],
            scalars[f"gradient/{network}_max"],
            state.averaged_iterations,
        )

    def _recoveries(self) -> list[Row]:
        """Returns a row for each spike from which the loss has just recovered."""
        rows = []
        names = {spike["network"] for spike in self._open}
        recent = {network: self._recent_loss(network) for network in names}
        for spike in list(self._open):
            network = spike["network"]
            position = {"iteration": self._state.iteration, "network": network}
            row = spikes.recovery_row(position, spike, recent[network], "iteration")
            if row:
                self._open.remove(spike)
                rows.append(row)
        return rows
