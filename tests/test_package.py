"""What `pip install .` gives: optim/ as the package magnetosphere, and nothing else."""

import ast
import importlib.metadata
import os
import pathlib
import subprocess
import sys
import zipfile

import pytest

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
FOLDER = REPOSITORY / "optim"
PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
# No network: what builds the wheel is in requirements-dev.txt.
OFFLINE = ["--no-index", "--no-deps"]

FINDS = """
import data, optim
assert (data.MINE, optim.MINE) == ("data", "optim")
import magnetosphere
assert magnetosphere.LogAdam(damping_scale=1e-3).damping_scale == 1e-3
"""
TRAINS_AND_SAVES = """
import data, keras, numpy, optim
from magnetosphere import LogAdam, LogDamped, SpikeLedger

model = keras.Sequential([keras.Input([3]), keras.layers.Dense(1)])
model.compile(LogAdam(0.1, damping_scale=1e-3), "mse", run_eagerly=True)
before = model.get_weights()[0]
x = numpy.ones((4, 3))
model.fit(x, x[:, :1], verbose=0, callbacks=[SpikeLedger()])
assert not numpy.array_equal(model.get_weights()[0], before)
assert LogDamped(keras.optimizers.Nadam).__name__ == "LogNadam"
model.save("model.keras")
"""
LOADS = """
import keras
try:
    keras.models.load_model("model.keras")
except TypeError as error:
    assert "Could not locate class 'LogAdam'" in str(error), error
else:
    raise SystemExit("loaded without the import that README.md asks for")
import magnetosphere

optimizer = keras.models.load_model("model.keras").optimizer
assert type(optimizer) is magnetosphere.LogAdam
assert (optimizer.damping_scale, int(optimizer.iterations)) == (1e-3, 1)
"""


def files_in_tree():
    """Returns the files of the repository, also those that git ignores."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--directory"],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
        text=True,
    )
    return {name for name in listed.stdout.splitlines() if "__pycache__" not in name}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Builds the wheel of this repository; returns its path."""
    folder, before = tmp_path_factory.mktemp("wheel"), files_in_tree()
    build = ["wheel", *OFFLINE, "--no-build-isolation", "--wheel-dir", folder]
    subprocess.run([*PIP, *build, REPOSITORY], check=True)
    assert files_in_tree() == before
    (wheel,) = folder.iterdir()
    return wheel


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Installs the wheel into a folder of its own; returns the folder."""
    folder = tmp_path_factory.mktemp("installed")
    install = ["install", *OFFLINE, "--no-compile", "--target", folder, wheel]
    subprocess.run([*PIP, *install], check=True)
    return folder


def test_the_wheel_is_the_files_of_optim_under_the_name_of_the_project(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    (metadata,) = {n.split("/")[0] for n in names if ".dist-info/" in n}
    assert metadata.startswith("magnetosphere-")
    own = {n for n in names if not n.startswith(f"{metadata}/")}
    files = {path.name for path in FOLDER.iterdir() if path.name != "__pycache__"}
    assert own == {f"magnetosphere/{name}" for name in files}
    assert f"{metadata}/licenses/LICENSE" in names


def test_the_package_depends_on_keras_alone(installed):
    (distribution,) = importlib.metadata.distributions(path=[str(installed)])
    (requirement,) = distribution.requires
    assert requirement.startswith("keras>=3")
    imported = set()
    for file in FOLDER.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                imported.add(node.module.split(".")[0])
    assert imported - sys.stdlib_module_names == {"keras"}


@pytest.fixture
def run_beside(installed, tmp_path):
    """Runs code in a folder that has an optim and a data of its own."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data/__init__.py").write_text("MINE = 'data'\n")
    (tmp_path / "optim.py").write_text("MINE = 'optim'\n")
    environment = os.environ | {"PYTHONPATH": str(installed)}

    def run(code):
        (tmp_path / "program.py").write_text(code)
        program = [sys.executable, "program.py"]
        subprocess.run(program, cwd=tmp_path, env=environment, check=True)

    return run


def test_a_program_keeps_an_optim_and_a_data_of_its_own(run_beside):
    run_beside(FINDS)


@pytest.mark.slow
def test_a_program_trains_saves_and_loads_with_the_package(run_beside):
    run_beside(TRAINS_AND_SAVES)
    run_beside(LOADS)
