"""Imports lead downwards from room to room, and never in a circle."""

import ast
import pathlib
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter

import pytest
from tiny_run import REPOSITORY, user_environment

# What each room may import, beside itself. The commands at the top are files.
PLAIN = {"data", "files", "gallery", "metrics", "models", "optim"}
MAY_IMPORT = {
    "train": {"commands", "training", "records", "settings"} | PLAIN,
    "generate": {"commands", "training", "records", "settings"} | PLAIN,
    "evaluate": {"commands", "training", "records", "settings"} | PLAIN,
    "commands": {"training", "records", "settings"} | PLAIN,
    "training": {"records", "settings"} | PLAIN,
    "records": {"settings"} | PLAIN,
    "settings": PLAIN,
    "data": {"files"},
    "gallery": {"files"},
    "metrics": {"files"},
    "models": set(),
    "optim": set(),
    "files": set(),
}
# Where a library may be imported at all, as a beginning of the file's path.
LIBRARIES = {
    "tensorflow": ("training/", "commands/"),
    "tensorflow_datasets": ("data/tfds_download.py",),
    "keras": (
        "training/",
        "commands/",
        "models/",
        "optim/",
        "metrics/",
        "data/augment",
    ),
    "pydantic": ("settings/", "records/"),
    "tensorboard": ("records/run_log.py", "metrics/graph_file.py"),
}
KERAS_ONLY = ("training/losses.py", "data/augment.py")  # of the files above
LARGEST_ROOM = 22  # files, so that a stranger can read the list


def sources():
    """Returns the text of every file of the product by its path."""
    rooms = [name for name in MAY_IMPORT if (REPOSITORY / name).is_dir()]
    paths = [REPOSITORY / f"{name}.py" for name in ("train", "generate", "evaluate")]
    paths += [path for room in rooms for path in (REPOSITORY / room).rglob("*.py")]
    return {
        path.relative_to(REPOSITORY).as_posix(): path.read_text(encoding="utf-8")
        for path in paths
    }


def modules_in(path, text, known):
    """Returns the modules that a file imports, at its top or inside a function.

    A name imported from a package is its module of that name, if it is a known one.
    """
    package = pathlib.PurePosixPath(path).parent.parts
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*above, *filter(None, [node.module])])
            for alias in node.names:
                module = f"{base}.{alias.name}"
                found.add(module if module in known else base)
    return found


def complaints(files):
    """Returns what is wrong with the imports of some files, in words."""
    wrong, arrows = [], {}
    names = {
        path.removesuffix(".py").removesuffix("/__init__").replace("/", "."): path
        for path in files
    }
    for path, text in files.items():
        room = path.split("/")[0].removesuffix(".py")
        modules = modules_in(path, text, names)
        arrows[path] = {names[m] for m in modules if m in names} - {path}
        for name in sorted({module.split(".")[0] for module in modules}):
            if name in MAY_IMPORT and name not in MAY_IMPORT[room] | {room}:
                wrong.append(f"{path} imports {name}, which is not below {room}")
            places = LIBRARIES.get(name, ("",))
            if not path.startswith(places) or (
                name == "tensorflow" and path in KERAS_ONLY
            ):
                wrong.append(f"{path} imports {name}, whose place is {places}")
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        wrong.append("a circle: " + " -> ".join(error.args[1]))
    return wrong


def test_imports_lead_downwards_and_in_no_circle():
    assert complaints(sources()) == []


@pytest.mark.parametrize(
    ("path", "line", "words"),
    [
        ("records/rows.py", "from training.state import State", "not below records"),
        ("settings/config.py", "import records.rows", "not below settings"),
        ("training/step.py", "from commands import start", "not below training"),
        ("gallery/grids.py", "def f():\n    import metrics", "not below gallery"),
        ("optim/damp.py", "from files import atomic", "not below optim"),
        ("models/depth.py", "from settings.config import Config", "not below models"),
        ("files/atomic.py", "import data.crop", "not below files"),
        ("records/run_log.py", "import tensorflow as tf", "imports tensorflow"),
        ("training/losses.py", "import tensorflow as tf", "imports tensorflow"),
        ("models/blocks.py", "from tensorflow import nn", "imports tensorflow"),
        ("settings/messages.py", "import keras", "imports keras"),
        ("data/crop.py", "import tensorflow_datasets", "imports tensorflow_datasets"),
        ("records/rows.py", "import records.retention", "a circle: "),
        ("optim/damp.py", "from .log_adam import LogAdam", "a circle: "),
        ("data/crop.py", "from data import ImageSet", "a circle: "),
    ],
)
def test_a_planted_arrow_is_found(path, line, words):
    files = sources()
    files[path] += f"\n{line}\n"
    found = complaints(files)
    assert found and any(words in one for one in found)


def test_no_room_is_too_large_to_look_around_in():
    rooms = {}
    for path in sources():
        folder = pathlib.PurePosixPath(path).parent
        rooms.setdefault(folder, []).append(path)
    large = {str(room): len(found) for room, found in rooms.items()}
    assert max(large.values()) <= LARGEST_ROOM, large


@pytest.mark.parametrize(
    ("modules", "absent"),
    [
        ("settings.config_file, settings.continuing", "tensorflow keras"),
        ("records.run_log, records.page, records.rollback", "tensorflow keras"),
        ("commands.start, commands.places, commands.chosen", "tensorflow keras"),
        ("commands.generate_options, commands.evaluate_options", "tensorflow keras"),
        ("metrics, metrics.networks, models.depth", "tensorflow keras tensorboard"),
        ("data, files.download", "tensorflow keras tensorflow_datasets pooch"),
        ("commands.generate, commands.evaluate", "training.step training.build optim"),
    ],
)
def test_what_is_not_needed_is_not_loaded(modules, absent):
    code = f"import sys, {modules}\nprint(*set('{absent}'.split()) & set(sys.modules))"
    ended = subprocess.run(
        [sys.executable, "-c", code],
        cwd=REPOSITORY,
        env=user_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    assert ended.stdout.split() == []
