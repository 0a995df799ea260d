"""A pair that trains in seconds, and runs of it: in processes, or in this one."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from unittest import mock

import numpy as np
import yaml

from data import ImageSet
from files.atomic import write_text
from records.checkpoint import Retention, read_checkpoint, write_checkpoint
from records.rows import read_rows
from records.run_folder import RunFolder
from settings.config import Config
from settings.config_file import resolved_yaml
from training.signals import EXIT_STATUS

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
NAME = "tiny"
# What tests/conftest.py sets for this process, and a user's shell does not.
OURS = ("TF_CPP_MIN_LOG_LEVEL", "KERAS_BACKEND", "TF_ENABLE_ONEDNN_OPTS")
# Tests train on the CPU, unless a GPU is to be tried: MAGNETOSPHERE_DEVICE=gpu.
DEVICE = os.environ.get("MAGNETOSPHERE_DEVICE", "cpu")

TINY = {
    "run": {"name": NAME},
    "data": {"source": "drawn", "image_size": 32, "num_images": 32},
    "model": {"num_layers": 22, "latent_dim": 8, "base_channels": 2, "max_channels": 8},
    "loss": {"penalty": "none"},
    "augment": {"policy": "none"},
    "training": {
        "total_iterations": 4,
        "batch_size": 4,
        "ema_half_life_kimg": 0.1,
        "log_every_iterations": 1,
        "sample_every_iterations": 2,
        "checkpoint_every_iterations": 2,
    },
    "runtime": {"precision": "float32", "compile": "graph", "device": DEVICE},
}


def write_config(folder: pathlib.Path, **sections: dict[str, Any]) -> Config:
    """Writes tiny.yaml: the tiny pair with other keys in some sections."""
    names = TINY | sections
    values = {name: TINY.get(name, {}) | sections.get(name, {}) for name in names}
    text = yaml.safe_dump(values)
    (folder / "tiny.yaml").write_text(text, encoding="utf-8")
    return Config.model_validate(values)


def image_set(images: np.ndarray) -> ImageSet:
    """Returns uint8 [count, size, size, 3] as the photographs of a run."""
    return ImageSet(images, "none", pathlib.Path())


def train_here(*arguments: str) -> int:
    """Runs train.py's main in this process, on tiny.yaml of the working directory."""
    import train

    handlers = {number: signal.getsignal(number) for number in EXIT_STATUS}
    argv = ["train.py", "--config", "tiny.yaml", *arguments]
    try:
        with mock.patch.object(sys, "argv", argv):
            return train.main()
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def eagerly() -> Iterator[None]:
    """Trains without tracing, which takes seconds; for a few iterations only."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)


def train_in(folder: pathlib.Path, **sections: dict[str, Any]) -> None:
    """Writes a config into a folder and trains its run there, in this process."""
    write_config(folder, **sections)
    with contextlib.chdir(folder), eagerly():
        assert train_here() == 0


def empty_run(name: str, *iterations: int) -> RunFolder:
    """Writes a run of 32 px whose checkpoints hold next to nothing."""
    run, keep = RunFolder(name), Retention(keep_last=9, keep_every_iterations=1)
    config = Config(run={"name": name}, data={"source": "drawn", "image_size": 32})
    write_text(run.config, resolved_yaml(config))
    for iteration in iterations:
        write_checkpoint(run.checkpoints, iteration, {"nothing": np.zeros(1)}, keep)
    return run


def command(*arguments: str) -> list[str]:
    """Returns the command line of `train_here` as a user would type it."""
    script = str(REPOSITORY / "train.py")
    return [sys.executable, script, "--config", "tiny.yaml", *arguments]


def user_environment(**changes: str) -> dict[str, str]:
    """Returns this process's environment without what only tests set."""
    return {k: v for k, v in os.environ.items() if k not in OURS} | changes


def train_in_process(
    folder: pathlib.Path, *arguments: str, **environment: str
) -> subprocess.CompletedProcess:
    """Runs train.py as a user does, in a folder that has a tiny.yaml."""
    return subprocess.run(
        command(*arguments),
        cwd=folder,
        env=user_environment(**environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


def tree(folder: pathlib.Path) -> dict[str, bytes]:
    """Returns the bytes of all files below a folder, by path."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def arrays_at(
    folder: pathlib.Path, iteration: int, name: str = NAME
) -> dict[str, np.ndarray]:
    """Reads the checkpoint that a run in a folder has of an iteration."""
    return read_checkpoint(folder / RunFolder(name).checkpoints, iteration)


def checkpoints_in(folder: pathlib.Path, name: str = NAME) -> list[int]:
    """Returns the iterations of which a run in a folder has a checkpoint."""
    with contextlib.chdir(folder):
        return RunFolder(name).iterations()


def rows_in(folder: pathlib.Path, file: str, name: str = NAME) -> list[dict[str, Any]]:
    """Reads scalars.jsonl or spikes.jsonl of a run in a folder, without the speed."""
    rows = read_rows(folder / RunFolder(name).root / file)
    return [
        {key: value for key, value in row.items() if not key.startswith("speed/")}
        for row in rows
    ]


def grids_in(folder: pathlib.Path, name: str = NAME) -> dict[str, bytes]:
    """Returns the bytes of a run's grids, by file name."""
    grids = (folder / RunFolder(name).samples).glob("grid-*.png")
    return {path.name: path.read_bytes() for path in sorted(grids)}


def assert_same_arrays(
    left: dict[str, np.ndarray], right: dict[str, np.ndarray]
) -> None:
    """Asserts that names, types and bits agree."""
    assert left.keys() == right.keys()
    for name, array in left.items():
        assert array.dtype == right[name].dtype, name
        assert array.tobytes() == right[name].tobytes(), name


def assert_same_run(left: pathlib.Path, right: pathlib.Path, iteration: int) -> None:
    """Asserts that two runs agree to the bit in all that they show and keep."""
    assert_same_arrays(arrays_at(left, iteration), arrays_at(right, iteration))
    for file in ("scalars.jsonl", "spikes.jsonl"):
        rows = [json.dumps(row) for row in rows_in(left, file)]
        assert rows == [json.dumps(row) for row in rows_in(right, file)]
    grids = grids_in(left)
    assert grids.keys() == grids_in(right).keys()
    different = [n for n, png in grids_in(right).items() if grids[n] != png]
    assert not different
