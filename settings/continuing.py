"""Compares the config that a run started with to the one it is to continue with.

Free to change are the run's length, what it writes and when, what it keeps, how it
handles divergence, its metrics, its distribution over devices, and where the same data
is. `auto` matches whatever it was resolved to when the run started. Changing anything
else would make it another run.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from settings.config import Config
from settings.metrics import MetricsConfig
from settings.optimizer import (
    NETWORKS,
    OPTIMIZER_KEYS,
    Network,
    OptimizerKeys,
)

FREE_KEYS = {
    "data": {"path", "cache_dir", "data_dir"},
    "training": {
        "total_iterations",
        "max_minutes",
        "sample_every_iterations",
        "sample_classes",
        "checkpoint_every_iterations",
        "log_every_iterations",
        "keep_every_iterations",
        "keep_last",
        "keep_best",
        "max_checkpoint_gib",
        "divergence_iterations",
        "max_rollbacks",
    },
    "runtime": {"distribution"},
    "metrics": set(MetricsConfig.model_fields),
}
PLACE_KEYS = {"path", "data_dir"}  # free only if the data there is the same
SOURCE_KEYS = {
    "tfds": {"name", "data_dir", "splits"},
    "folder": {"path"},
    "drawn": {"num_images"},
}
SCHEDULE_KEYS = {
    "constant": set(),
    "cosine": {"schedule_iterations", "final_learning_rate"},
}
RATE_SCALING_KEYS = {"none": set(), "fan_in": {"bias_rate"}}


@dataclass(frozen=True)
class Difference:
    """A key, with its YAML values in the run and in the new config."""

    key: str
    stored: str
    new: str


def difference(
    stored: Config,
    new: Config,
    *,
    stored_data_fingerprint: str,
    new_data_fingerprint: str | None,
) -> list[Difference]:
    """Returns the differences that keep a run from continuing with a new config.

    `new_data_fingerprint` is None if the photographs are not loaded yet; then neither
    they nor their location are compared.
    """
    is_other_data = new_data_fingerprint not in (None, stored_data_fingerprint)
    differences: list[Difference] = []
    for section in Config.model_fields:
        if section == "optimizer":
            differences += _optimizer_differences(stored, new)
        else:
            differences += _section_differences(section, stored, new, is_other_data)
    if is_other_data:
        fingerprints = (stored_data_fingerprint, str(new_data_fingerprint))
        differences.append(Difference("data", *fingerprints))
    return differences


def merged(stored: Config, new: Config) -> Config:
    """Returns the stored config with the new one's free keys; `auto` stays resolved.

    There must be no `difference` between the two.
    """
    sections = {}
    for section, keys in FREE_KEYS.items():
        given = {key: getattr(getattr(new, section), key) for key in keys}
        sections[section] = getattr(stored, section).model_copy(update=given)
    return stored.model_copy(update=sections)


def difference_text(
    run_name: str, iteration: int, differences: list[Difference]
) -> str:
    """Explains why a run cannot continue, and the alternatives."""
    lines = [f"run {run_name}, at iteration {iteration}, was started otherwise:"]
    for one in differences:
        if one.key == "data":
            lines.append("  data: the photographs are not the same ones")
        else:
            lines.append(f"  {one.key}: {one.stored} in the run, {one.new} now")
    return "\n".join(lines) + (
        "\nIt goes on only as it was started. Set these back (the run's own are in"
        f"\nruns/{run_name}/config.yaml), or choose:"
        f"\n  --from {run_name} --set run.name=NEW   a new run, which starts from what"
        " this one has learnt"
        "\n  --fresh   the same name from the start; this run is moved aside, not"
        " deleted"
    )


def _section_differences(
    section: str, stored: Config, new: Config, is_other_data: bool
) -> Iterator[Difference]:
    before, after = _meaning(stored, section), _meaning(new, section)
    free = FREE_KEYS.get(section, set())
    if is_other_data:
        free = free - PLACE_KEYS
    for key in [key for key in before if key in after and key not in free]:
        is_kept = section == "runtime" and after[key] == "auto"
        is_kept |= key == "classes" and after[key] == "null"
        if before[key] != after[key] and not is_kept:
            yield Difference(f"{section}.{key}", before[key], after[key])


def _optimizer_differences(stored: Config, new: Config) -> Iterator[Difference]:
    """Yields differences by network, or once if they are the same for both."""
    before = {network: _optimizer_meaning(stored, network) for network in NETWORKS}
    after = {network: _optimizer_meaning(new, network) for network in NETWORKS}
    for key in OptimizerKeys.model_fields:
        changes = {
            network: (before[network][key], after[network][key])
            for network in NETWORKS
            if key in before[network] and key in after[network]
        }
        changes = {one: change for one, change in changes.items() if len({*change}) > 1}
        if len(changes) == len(NETWORKS) and len({*changes.values()}) == 1:
            yield Difference(f"optimizer.{key}", *changes[NETWORKS[0]])
            continue
        for network, change in changes.items():
            yield Difference(f"optimizer.{network}.{key}", *change)


def _meaning(config: Config, section: str) -> dict[str, str]:
    """Returns the keys of a section that are in use, with their values as text."""
    values = getattr(config, section).model_dump()
    if section == "data":
        unused = set().union(*SOURCE_KEYS.values()) - SOURCE_KEYS[config.data.source]
        values = {key: value for key, value in values.items() if key not in unused}
    if section == "model" and not config.model.conditional:
        del values["classes"]
    if section == "loss" and config.loss.final_gamma is None:
        del values["gamma_iterations"]
    if section == "loss" and config.loss.penalty_method == "exact":
        del values["penalty_step"]
    return {key: one_line(value) for key, value in values.items()}


def _optimizer_meaning(config: Config, network: Network) -> dict[str, str]:
    """Returns the keys that one network's optimizer uses, with values as text."""
    optimizer = config.optimizer.for_network(network)
    used = {
        *OPTIMIZER_KEYS[optimizer.name],
        *SCHEDULE_KEYS[optimizer.schedule],
        *RATE_SCALING_KEYS[optimizer.rate_scaling],
    }
    tables = (OPTIMIZER_KEYS, SCHEDULE_KEYS, RATE_SCALING_KEYS)
    special = {key for table in tables for keys in table.values() for key in keys}
    values = optimizer.model_dump(exclude=special - used)
    return {key: one_line(value) for key, value in values.items()}


def one_line(value: Any) -> str:
    """Writes a value on one line, as YAML does."""
    line = yaml.safe_dump(
        value, sort_keys=False, default_flow_style=True, width=float("inf")
    )
    return line.removesuffix("...\n").strip()
