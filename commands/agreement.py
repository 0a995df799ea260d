"""Checks that the workers of a run start the same thing."""

import hashlib

from commands.start import Start
from records.sessions import versions
from settings.config import Config
from training.distribution.workers import Workers

# Where a worker finds the same data may differ from worker to worker.
PLACES = {"data.path", "data.data_dir", "data.cache_dir", "metrics.weights"}


def compare_starts(workers: Workers, start: Start, config: Config) -> None:
    """Checks that all workers start the same run, in the same way.

    Raises:
        Problem: Says which worker differs in what.
    """
    values = comparable(config)
    program = versions() | {"the keys of a config": " ".join(values)}
    workers.compare("the program", program)
    workers.compare("the config", values)
    workers.compare(f"the run {start.run.name}", state_to_start_from(start))


def comparable(config: Config) -> dict[str, str]:
    """Returns what all workers must have in common, by dotted key."""
    values = {
        f"{section}.{key}": str(value)
        for section, keys in config.model_dump().items()
        for key, value in keys.items()
    }
    return {key: value for key, value in values.items() if key not in PLACES}


def state_to_start_from(start: Start) -> dict[str, str]:
    """Returns the checkpoint that a worker found, as an iteration and a checksum."""
    digest = hashlib.sha256()
    for owner in (start, start.parent):
        arrays = (owner.arrays if owner else None) or {}
        for name in sorted(arrays):
            digest.update(name.encode() + arrays[name].tobytes())
    return {"iterations done": str(start.iteration), "checkpoint": digest.hexdigest()}
