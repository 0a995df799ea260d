"""generate.py and evaluate.py, killed at each change of a file: see killing.py.

Nothing half-written is ever found under its final name, the same command makes what is
missing, and nothing unfinished is left in the end.
"""

import json
import zipfile

import av
import numpy as np
import onnx
import pytest
import safetensors.numpy
from killing import killed_everywhere, output_of, run, unfinished_below
from PIL import Image
from tiny_run import NAME, write_config

from records.run_folder import RunFolder

SAMPLES = RunFolder(NAME).samples
TRAINING = {"total_iterations": 2, "checkpoint_every_iterations": 1}
PICTURES = (".png", ".webp", ".gif")
WALK = "--kind walk --num_images 2 --frames 2 --walks 1"
# A name for each output, and the command; the first of them also writes pages.
OUTPUTS = {
    "grid": "generate --kind grid --num_images 4",
    "images": "generate --kind images --num_images 3",
    "truncation": "generate --kind truncation --num_images 2",
    "classes": "generate --kind classes --num_images 1",
    "webp": f"generate {WALK}",
    "gif": f"generate {WALK} --force --out walk.gif",
    "mp4": f"generate {WALK} --force --out walk.mp4",
    "timelapse": "generate --kind timelapse",
    "keras": "generate --kind keras",
    "onnx": "generate --kind onnx",
    "page": "generate --kind page",
    "share": "generate --kind share",
    "weights": "generate --kind weights",
    "card": "evaluate --extractor random --num_images 20 --per_class 0",
}
# These have the time in them, or ids that differ from one process to another.
DIFFER = (".html", ".js", ".json", ".md", ".keras", ".onnx")
LEAST_KILLS = 3  # within the writing, and before and after the renaming


def frames_of(path):
    with av.open(str(path)) as film:
        return sum(1 for _ in film.decode(video=0))


def assert_whole(path):
    """Asserts that a file can be read to its end."""
    suffix = path.suffix
    if suffix in PICTURES:
        with Image.open(path) as picture:
            for frame in range(getattr(picture, "n_frames", 1)):
                picture.seek(frame)
                picture.load()
    elif suffix == ".mp4":
        assert frames_of(path) > 4
    elif suffix == ".keras":
        with zipfile.ZipFile(path) as archive:
            assert archive.testzip() is None
            assert "model.weights.h5" in archive.namelist()
    elif suffix == ".onnx":
        onnx.checker.check_model(onnx.load(path))
    elif suffix == ".safetensors":
        assert safetensors.numpy.load_file(path)
    elif suffix == ".json":
        json.loads(path.read_text())
    elif suffix == ".html":
        assert path.read_text().rstrip().endswith("</html>")
    elif suffix == ".npy":
        np.load(path)
    else:
        assert suffix in (".md", ".js", ".jsonl"), path
        assert path.read_bytes().endswith(b"\n") or suffix == ".js"


def outputs_in(folder):
    """Returns the files that the commands wrote, but for unfinished ones."""
    found = [*(folder / SAMPLES).rglob("*.*"), *folder.glob("walk.*")]
    return [path for path in found if path.is_file() and not path.name.startswith(".")]


def lasting(folder):
    """Returns the bytes of the outputs that do not depend on the time."""
    return {
        path.relative_to(folder): path.read_bytes()
        for path in outputs_in(folder)
        if path.suffix not in DIFFER
    }


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Returns two folders in which the same run was trained, to be written to."""
    folders = [tmp_path_factory.mktemp(name) / "run" for name in ("killed", "unbroken")]
    for folder in folders:
        folder.mkdir()
        write_config(folder, model={"conditional": True}, training=TRAINING)
        assert run(folder, "train", "--config", "tiny.yaml") == 0, output_of(folder)
    return folders


@pytest.fixture(scope="module")
def spent():
    """Returns the moments at which a command was killed; pages are common to all."""
    return set()


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            name,
            marks=pytest.mark.fault(f"kill: {command.split()[0]}.py"),
        )
        for name, command in OUTPUTS.items()
    ],
)
def test_no_half_output_has_its_final_name_and_the_next_start_makes_it(
    trained, spent, name, tries
):
    broken, unbroken = trained
    script, *arguments = OUTPUTS[name].split()
    before = {path: path.read_bytes() for path in (broken / "runs").rglob("*.json*")}
    kills = 0
    for moment in killed_everywhere(
        broken, script, NAME, *arguments, spent=frozenset(spent)
    ):
        spent.add(moment)
        kills += 1
        with tries.nothing_lost():
            for path in outputs_in(broken):
                assert_whole(path)
        tries.add()
        if name == "weights":  # whose card, which may have been completed, must go
            for card in (broken / SAMPLES).glob("generated/*.safetensors.md"):
                card.unlink()
    assert kills >= LEAST_KILLS
    assert run(unbroken, script, NAME, *arguments) == 0, output_of(unbroken)
    assert lasting(broken) == lasting(unbroken)
    assert {path.relative_to(broken) for path in outputs_in(broken)} == {
        path.relative_to(unbroken) for path in outputs_in(unbroken)
    }
    assert unfinished_below(broken) == []
    assert before == {path: path.read_bytes() for path in before}
