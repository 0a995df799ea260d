"""Fixtures shared by the tests, and the table of faults."""

import os
import pathlib

import pytest
from fault_table import (  # noqa: F401 (hooks and a fixture, which pytest finds here)
    pytest_addoption,
    pytest_runtest_makereport,
    pytest_terminal_summary,
    tries,
)

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # as commands/quiet.py does

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def flowers_folder():
    """Returns the folder of real flowers (tfds/ and originals/), or skips."""
    folder = pathlib.Path(
        os.environ.get("MAGNETOSPHERE_FLOWERS", REPOSITORY.parent / "shared/flowers")
    )
    if not (folder / "tfds").is_dir():
        pytest.skip("no real flowers: set MAGNETOSPHERE_FLOWERS to their folder")
    return folder


@pytest.fixture
def dtype_policy(request):
    """Sets Keras' dtype policy for one test; returns its name."""
    import keras  # not above: most tests of settings do without

    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_dtype_policy("float32")
