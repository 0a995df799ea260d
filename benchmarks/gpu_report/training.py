"""Trains the config for a while, through train.py, as a user does."""

import json
import pathlib
import sys

from PIL import Image

from benchmarks.gpu_report.children import Ended, run_child
from benchmarks.gpu_report.plan import REPOSITORY, Budget, Result, Setting
from files.atomic import written_aside
from records.rows import SCALARS, SPIKES, Row, read_rows
from records.run_folder import RunFolder
from records.sessions import read_sessions
from settings.config import Config
from settings.config_file import load_config, load_stored_config
from training.signals import EXIT_STATUS

NAME = "gpu-report"
GRID = "grid.png"
FEWER_DRAWN = 1024  # than a real run needs: they are drawn in the report's time
# Shares of the part's time: photographs; then of what is left, iterations, and until
# training is ended; the grid has the rest.
IMAGES_SHARE = 0.4
LOOP_SHARE, TRAINING_SHARE = 0.55, 0.8
WARM_UPS = 5  # iterations that may compile: the first one, the first with penalties
SECONDS_PER_MINUTE, SECONDS_PER_HOUR = 60, 3600
WEBP_QUALITY = 85


def measured(
    setting: Setting, seconds: float, what: str, *options: str
) -> tuple[Ended, Result]:
    """Runs measure.py; returns how it ended, and all that it found until then."""
    path = setting.scratch / f"{what}.json"
    path.unlink(missing_ok=True)
    command = [sys.executable, "-m", "benchmarks.gpu_report.measure", what]
    command += [f"--config={setting.config}", f"--json={path}"]
    ended = run_child([*command, *setting.options, *options], seconds, setting.device)
    found: Result = {"facts": {}, "rows": [], "trouble": []}
    if path.exists():
        found = json.loads(path.read_text(encoding="utf-8"))
    return ended, found | {"trouble": found["trouble"] + ended.trouble}


def train_for_a_while(setting: Setting, budget: Budget) -> Result:
    """Trains, and draws a grid of the state it ended in; "raw" is the grid's path."""
    config = load_config(setting.config, list(setting.overrides))
    changes, trouble = photographs(setting, config, budget.left * IMAGES_SHARE)
    left = budget.left
    minutes = LOOP_SHARE * left / SECONDS_PER_MINUTE
    own = [f"run.name={NAME}", f"training.max_minutes={minutes}"]
    own += ["training.log_every_iterations=1", *absolute_paths(config)]
    command = [sys.executable, str(REPOSITORY / "train.py")]
    command += ["--config", str(setting.config), *setting.options]
    command += [f"--set={one}" for one in (*changes, *own)]
    folder = setting.scratch
    ended = run_child(command, TRAINING_SHARE * left, setting.device, folder)
    if ended.status not in (0, *EXIT_STATUS.values()):  # it saved when asked to stop
        trouble += [f"train.py: {one}" for one in ended.trouble]
    result = {"facts": training_facts(folder), "trouble": trouble}
    if not result["facts"]:
        trouble.append("no iteration was saved in this time")
        return result
    result["raw"] = draw_grid(setting, budget, trouble)
    return result


def photographs(
    setting: Setting, config: Config, seconds: float
) -> tuple[list[str], list[str]]:
    """Prepares the config's photographs, or chooses drawn flowers instead.

    Returns:
        The overrides to train with, and what went wrong, in words.
    """
    absolute = [f"--set={one}" for one in absolute_paths(config)]
    ended, result = measured(setting, seconds, "images", *absolute)
    if ended.status == 0 or config.data.source == "drawn":
        return [], [f"photographs: {one}" for one in result["trouble"]]
    words = (
        "the config's photographs cannot be had, so this is on drawn flowers of the "
    )
    words += "same size: " + " ".join(result["trouble"])
    return ["data.source=drawn", f"data.num_images={FEWER_DRAWN}"], [words]


def absolute_paths(config: Config) -> list[str]:
    """Returns the paths of the data as overrides that hold in any folder."""
    paths = {
        key: getattr(config.data, key) for key in ("cache_dir", "data_dir", "path")
    }
    return [
        f"data.{key}={(REPOSITORY / pathlib.Path(path).expanduser())}"
        for key, path in paths.items()
        if path is not None
    ]


def training_facts(folder: pathlib.Path) -> dict[str, object]:
    """Returns what the run in a folder says of itself; empty if it saved nothing."""
    run = RunFolder(NAME)
    root, sessions = folder / run.root, read_sessions(folder / run.sessions)
    rows = read_rows(root / SCALARS)
    if not rows or not sessions:
        return {}
    config = load_stored_config(folder / run.config)
    per_second = iterations_per_second(rows, config.training.batch_size)
    ledger = [row for row in read_rows(root / SPIKES) if "largest_finite" in row]
    total = config.training.total_iterations
    return {
        "photographs": config.data.source,
        "image_size": config.data.image_size,
        "batch_size": config.training.batch_size,
        "runtime": f"{config.runtime.precision}, {config.runtime.compile}",
        "iterations": rows[-1]["iteration"],
        "seconds_with_start_and_compiling": sessions[-1]["seconds"],
        "iterations_per_second": per_second,
        "hours_for_the_whole_config": per_second
        and total / per_second / SECONDS_PER_HOUR,
        "spikes": sum(not row["skipped"] for row in ledger),
        "skipped_iterations": sum(row["skipped"] for row in ledger),
        "loss_of_the_discriminator": rows[-1]["loss/discriminator"],
        "loss_of_the_generator": rows[-1]["loss/generator"],
    }


def iterations_per_second(rows: list[Row], batch_size: int) -> float | None:
    """Returns the mean speed once all is compiled; None for too few iterations.

    `rows` are those of every iteration.
    """
    speeds = [row["speed/images_per_second"] for row in rows[WARM_UPS:]]
    if not speeds:
        return None
    return len(speeds) / sum(batch_size / speed for speed in speeds)


def draw_grid(setting: Setting, budget: Budget, trouble: list[str]) -> str | None:
    """Draws samples of the last checkpoint; returns the PNG's path, None without."""
    path = setting.scratch / GRID
    command = [sys.executable, str(REPOSITORY / "generate.py"), NAME]
    command += ["--kind", "grid", "--out", str(path)]
    ended = run_child(command, budget.left, setting.device, setting.scratch)
    trouble += [f"the grid: {one}" for one in ended.trouble]
    return str(path) if path.exists() else None


def write_webp(png: pathlib.Path, path: pathlib.Path) -> None:
    """Writes a grid as WebP."""
    with Image.open(png) as image, written_aside(path) as aside:
        image.save(aside, format="WEBP", quality=WEBP_QUALITY)
