"""Rejects paths of photographs and weights that cannot be right.

Nothing here imports TensorFlow, so that errors take a second to show, not ten.
"""

import os
import pathlib

from data.cache import check_folder
from data.folder import checked_folder
from data.source import DataError
from metrics.errors import FeaturesError
from metrics.weights_file import existing_file
from records.run_folder import RUNS, SAMPLES, RunFolder
from settings.config import Config
from settings.messages import Problem


def refuse_unusable_paths(config: Config, run: RunFolder) -> None:
    """Rejects a config whose photographs or weights are missing or misplaced.

    Raises:
        Problem: If there is no such folder or file, or no place for the cache, or this
            program writes into the folder of photographs.
    """
    try:
        check_folder(pathlib.Path(config.data.cache_dir))
        if config.data.source == "folder":
            photographs = checked_folder(config.data.path)
            refuse_own_files(photographs, config.data.cache_dir, run)
        metrics = config.metrics
        if metrics.every_iterations is not None and metrics.weights is not None:
            existing_file(metrics.weights, metrics.extractor)
    except (DataError, FeaturesError) as error:
        raise Problem(str(error)) from error


def refuse_own_files(photographs: pathlib.Path, cache_dir: str, run: RunFolder) -> None:
    """Rejects a folder of photographs that grids or cache files would be written into.

    They would count as photographs, different ones at each start.

    Raises:
        Problem: Names the program's folder, and what to do.
    """
    away = (
        "move the photographs to a folder of their own, or start the program elsewhere"
    )
    cures = {
        RUNS: away,
        SAMPLES: away,
        pathlib.Path(cache_dir): "set data.cache_dir to another folder",
    }
    for own, cure in cures.items():
        if is_visible_in(photographs, own):
            raise Problem(
                "data.path\n  expected: a folder with nothing but photographs\n"
                f"  found:    {photographs.absolute()}, in which this program writes "
                f"{own.absolute()}\n  what to do: {cure}"
            )
    for own in (run.root, run.samples):
        if is_visible_in(own, photographs):
            raise Problem(
                "data.path\n  expected: other pictures than the run's own\n"
                f"  found:    {photographs.absolute()}, where run {run.name} writes"
            )


def is_visible_in(folder: pathlib.Path, path: pathlib.Path) -> bool:
    """Tells whether a path, or what it links to, is in a folder, hidden ones aside."""
    for place in (pathlib.Path(os.path.abspath(path)), path.resolve()):
        for root in (pathlib.Path(os.path.abspath(folder)), folder.resolve()):
            if place.is_relative_to(root):
                parts = place.relative_to(root).parts
                return not any(part.startswith(".") for part in parts)
    return False
