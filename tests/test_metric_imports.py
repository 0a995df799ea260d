"""What the package imports."""

import ast
import pathlib
import subprocess
import sys

import metrics

FOLDER = pathlib.Path(metrics.__file__).parent
ROOMS = {"training", "data", "gallery", "models", "optim"}


def test_numbers_need_neither_keras_nor_tensorflow():
    code = (
        "import sys, metrics; "
        "loaded = {'keras', 'tensorflow', 'tensorboard'} & set(sys.modules); "
        "sys.exit(f'imported: {loaded}' if loaded else 0)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=FOLDER.parent, check=True)


def test_the_package_imports_no_other_room():
    imported = set()
    for file in FOLDER.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(node.module.split(".")[0])
    assert {"numpy", "keras"} <= imported
    assert not imported & (ROOMS | {"tensorflow"})
