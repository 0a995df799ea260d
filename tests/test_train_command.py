"""python train.py as a user meets it: exit statuses, messages, files."""

import errno
import json
import os
import pathlib
import re
import resource
import shutil
import subprocess
import sys
from unittest import mock

import numpy as np
import pytest
import yaml
from PIL import Image
from tiny_run import (
    NAME,
    REPOSITORY,
    TINY,
    arrays_at,
    assert_same_arrays,
    checkpoints_in,
    eagerly,
    rows_in,
    train_here,
    train_in_process,
    tree,
    user_environment,
    write_config,
)

from records.checkpoint import checkpoint_path
from records.run_folder import RunFolder, only_writer

RUN = RunFolder(NAME)
NUM_PHOTOGRAPHS = 1000  # with fewer there is a warning
NO_TENSORFLOW = "raise RuntimeError('TensorFlow was imported')\n"


@pytest.fixture(scope="session")
def photographs(tmp_path_factory):
    """Writes as many photographs as training does not warn of."""
    folder = tmp_path_factory.mktemp("photographs")
    rng = np.random.default_rng(0)
    for number in range(NUM_PHOTOGRAPHS):
        pixels = rng.integers(0, 256, (32, 32, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:04d}.png", compress_level=0)
    return folder


@pytest.fixture(scope="session")
def finished(photographs, tmp_path_factory):
    """Runs the command once to the end; returns its folder and what it wrote."""
    folder = tmp_path_factory.mktemp("finished")
    write_config(folder, data={"source": "folder", "path": str(photographs)})
    return folder, train_in_process(folder)


@pytest.fixture
def run(finished, tmp_path, monkeypatch):
    """Copies the finished run into a working directory of its own."""
    folder = shutil.copytree(finished[0], tmp_path / "copy")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def no_tensorflow(tmp_path):
    """Makes a folder that, put before all others, forbids to import TensorFlow."""
    folder = tmp_path / "forbidden"
    for module in ("tensorflow", "keras"):
        (folder / module).mkdir(parents=True)
        (folder / module / "__init__.py").write_text(NO_TENSORFLOW)
    return str(folder)


def refused(capsys, *arguments):
    """Trains here, expects status 2 and nothing lost; returns the message."""
    before = tree(pathlib.Path("runs"))
    assert train_here(*arguments) == 2
    after = tree(pathlib.Path("runs"))
    assert {name: after[name] for name in before} == before
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    return captured.err


def trained(capsys, *arguments):
    """Trains here to status 0; returns what was said."""
    with eagerly():
        assert train_here(*arguments) == 0
    return capsys.readouterr()


def damage(folder, iteration):
    path = checkpoint_path(folder / RUN.checkpoints, iteration)
    whole = bytearray(path.read_bytes())
    whole[-1] ^= 1
    path.write_bytes(whole)


def test_a_run_ends_with_0_and_nothing_on_stderr(finished):
    folder, process = finished
    assert process.stderr == ""
    assert process.returncode == 0
    lines = process.stdout.splitlines()
    assert lines[-2] == "finished: 4 iterations; look at samples/tiny"
    address = (folder / "samples/tiny/index.html").as_uri()
    assert lines[-1] == f"its page: {address}"
    assert any("1,000 images of 32 px, batch 4, float32, graph" in one for one in lines)
    # Without a terminal there is no bar, only a line for each grid.
    assert "\r" not in process.stdout
    assert "it/s" not in process.stdout
    assert [one.split()[0] for one in lines if "grid-" in one] == ["2", "4"]


def test_a_run_leaves_the_files_that_are_promised(finished):
    folder, _ = finished
    names = {name.replace("\\", "/") for name in tree(folder)}
    shown = {name for name in names if name.startswith("samples/")}
    assert {name for name in shown if "/.assets/plotly-" not in name} == {
        "samples/index.html",
        "samples/tiny/index.html",
        "samples/tiny/summary.json",
        "samples/tiny/page-data.js",
        "samples/tiny/live.js",
        "samples/tiny/reals.png",
        "samples/tiny/grid-0000002.png",
        "samples/tiny/grid-0000004.png",
        "samples/tiny/thumbnails/grid-0000002.webp",
        "samples/tiny/thumbnails/grid-0000004.webp",
    }
    program = {name for name in names if name.startswith("runs/tiny/")}
    events = {name for name in program if "events.out.tfevents" in name}
    assert len(events) == 1
    assert program - events == {
        "runs/tiny/config.yaml",
        "runs/tiny/origin.json",
        "runs/tiny/sessions.json",
        "runs/tiny/scalars.jsonl",
        "runs/tiny/spikes.jsonl",
        "runs/tiny/checkpoints/0000002.safetensors",
        "runs/tiny/checkpoints/0000004.safetensors",
    }
    origin = json.loads((folder / RUN.origin).read_text())
    assert origin["parent"] is None
    assert origin["versions"].keys() == {"python", "tensorflow", "keras", "numpy"}
    stored = yaml.safe_load((folder / RUN.config).read_text())
    assert stored["training"]["total_iterations"] == 4
    assert stored["runtime"]["deterministic"] is True  # auto was resolved
    with Image.open(folder / "samples/tiny/grid-0000004.png") as grid:
        assert grid.size == (8 * 32, 8 * 32)


def test_a_row_says_what_is_promised_of_that_iteration(finished):
    rows = rows_in(finished[0], "scalars.jsonl")
    assert [row["iteration"] for row in rows] == [1, 2, 3, 4]
    promised = {"iteration", "loss/generator", "loss/discriminator"}
    for network in ("generator", "discriminator"):
        promised |= {f"gradient/{network}_max", f"gradient/{network}_max_damped"}
        promised |= {f"gradient/{network}_above_knee", f"learning_rate/{network}"}
    promised |= {"discriminator/real_sign", "augment/probability"}
    of_grids = {2: {"grid/diversity"}, 4: {"grid/diversity"}}
    for row in rows:  # no penalty was computed
        assert row.keys() == promised | of_grids.get(row["iteration"], set())


def test_a_finished_run_says_so_without_tensorflow(run, no_tensorflow):
    before = tree(run)
    process = train_in_process(run, PYTHONPATH=no_tensorflow)
    assert process.stderr == ""
    page = (run / "samples/tiny/index.html").as_uri()
    assert process.stdout == f"tiny is finished: 4 of 4 iterations\nits page: {page}\n"
    assert process.returncode == 0
    assert tree(run) == before


def test_a_finished_run_goes_on_with_a_larger_total(run, capsys):
    said = trained(capsys, "--set", "training.total_iterations=5").out
    assert "iteration 4 of 5" in said
    assert "finished: 5 iterations" in said
    assert [row["iteration"] for row in rows_in(run, "scalars.jsonl")] == [*range(1, 6)]


def cpu_seconds_of(*command, **options):
    """Runs a command; returns its processor seconds and the finished process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = subprocess.run(command, capture_output=True, text=True, **options)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, process


def test_all_mistakes_of_a_config_are_told_within_two_seconds(tmp_path, no_tensorflow):
    (tmp_path / "bad.yaml").write_text(
        "run:\n  name: bad\noptimizer:\n  lerning_rate: 2e-4\n"
        "training:\n  batch_size: many\n"
    )
    # Seconds of the processor: other programs may be busy on this machine.
    seconds, process = cpu_seconds_of(
        sys.executable,
        str(REPOSITORY / "train.py"),
        "--config",
        "bad.yaml",
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": no_tensorflow},
    )
    assert process.returncode == 2
    assert process.stdout == ""
    assert "bad.yaml:4: optimizer.lerning_rate: unknown key" in process.stderr
    assert "nearest:  optimizer.learning_rate" in process.stderr
    assert "bad.yaml:6: training.batch_size" in process.stderr
    assert "found:    text 'many'" in process.stderr
    assert "Traceback" not in process.stderr
    assert seconds < 2
    assert [path.name for path in tmp_path.iterdir()] != ["runs"]
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("users, expected", [(None, "1"), ("0", "0")])
def test_onednn_is_on_unless_the_user_turns_it_off(users, expected):
    variable = "TF_ENABLE_ONEDNN_OPTS"
    environment = user_environment() | ({variable: users} if users else {})
    script = (
        "from commands.quiet import import_tensorflow; import_tensorflow(); "
        f"import os; print(os.environ[{variable!r}])"
    )
    found = subprocess.run(
        [sys.executable, "-c", script],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.split() == [expected]


def test_a_missing_config_is_refused(run, capsys):
    os.remove("tiny.yaml")
    assert "tiny.yaml: no such file" in refused(capsys)


@pytest.mark.parametrize(
    "keys",
    [
        ["data.path=nowhere"],
        [
            "metrics.every_iterations=2",
            "metrics.extractor=mobilenetv2",
            "metrics.weights=nowhere",
        ],
    ],
)
def test_missing_photographs_or_weights_are_refused_at_once(run, no_tensorflow, keys):
    for command in (["--check"], []):
        settings = [part for key in keys for part in ("--set", key)]
        new = ["--set", "run.name=new", *settings, *command]
        process = train_in_process(run, *new, PYTHONPATH=no_tensorflow)
        assert process.returncode == 2
        assert f"nothing at {run / 'nowhere'}" in process.stderr
        assert "Traceback" not in process.stderr
        assert not RunFolder("new").root.exists()


def test_fewer_images_than_a_batch_are_refused_with_both_numbers(run, capsys):
    new = ("--set", "run.name=new", "--set", "training.batch_size=1001")
    text = refused(capsys, *new)
    assert "training.batch_size" in text
    assert "1000" in text
    assert "1001" in text
    assert not RunFolder("new").root.exists()


def test_a_run_in_use_is_refused_at_once(run, no_tensorflow):
    before = tree(run)
    with only_writer(RUN):
        process = train_in_process(run, PYTHONPATH=no_tensorflow)
    assert process.returncode == 2
    assert "runs/tiny: another process is training this run" in process.stderr
    assert "Traceback" not in process.stderr
    assert process.stdout == ""
    assert tree(run) == before


def test_a_changed_meaning_is_refused_at_once_with_the_ways_out(run, no_tensorflow):
    before = tree(run)
    changed = ("--set", "optimizer.learning_rate=1e-3")
    process = train_in_process(run, *changed, PYTHONPATH=no_tensorflow)
    assert process.returncode == 2
    assert process.stdout == ""
    assert "optimizer.learning_rate: 0.0004 in the run, 0.001 now" in process.stderr
    assert "--from tiny --set run.name=" in process.stderr
    assert "--fresh" in process.stderr
    assert "Traceback" not in process.stderr
    assert tree(run) == before


def test_other_photographs_are_refused(run, photographs, tmp_path, capsys):
    others = shutil.copytree(photographs, tmp_path / "others")
    shutil.copy(others / "0000.png", others / "0001.png")
    more = ("--set", "training.total_iterations=6")
    text = refused(capsys, "--set", f"data.path={others}", *more)
    assert "the photographs are not the same ones" in text
    assert "--fresh" in text
    same = shutil.copytree(photographs, tmp_path / "same")
    assert (
        "iteration 4 of 6" in trained(capsys, "--set", f"data.path={same}", *more).out
    )


def test_a_damaged_checkpoint_is_passed_over_and_named(run, capsys):
    damage(run, 4)
    said = trained(capsys)
    assert "0000004.safetensors: its checksum does not match" in said.err
    assert "renamed to runs/tiny/checkpoints/0000004.damaged" in said.err
    assert "iteration 2 of 4" in said.out
    assert arrays_at(run, 4)["iteration"] == 4  # whole again
    assert [row["iteration"] for row in rows_in(run, "scalars.jsonl")] == [1, 2, 3, 4]


def test_a_disk_that_fills_up_ends_with_2_and_the_same_command_goes_on(run, capsys):
    def fail(image, path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    more = ("--set", "training.total_iterations=6")
    with eagerly(), mock.patch("training.output.write_png", fail):
        assert train_here(*more) == 2
    text = capsys.readouterr().err
    assert "Traceback" not in text
    assert "samples/tiny/grid-0000006.png: No space left on device" in text
    assert "checkpoints are whole" in text
    assert "finished: 6 iterations" in trained(capsys, *more).out


def test_without_a_whole_checkpoint_nothing_is_guessed(run, capsys):
    damage(run, 4)
    damage(run, 2)
    text = refused(capsys)
    assert "no whole checkpoint" in text
    assert "--fresh" in text


def test_a_missing_parent_is_refused(run, capsys):
    text = refused(capsys, "--set", "run.name=new", "--from", "tinny")
    assert "--from tinny: no such run" in text
    assert "tiny" in text.splitlines()[-1]


def test_a_gpu_that_is_not_there_is_refused(run, capsys):
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        pytest.skip("this machine has a GPU")
    new = ("--set", "run.name=new", "--set", "runtime.device=gpu")
    assert "GPU" in refused(capsys, *new)
    assert not RunFolder("new").root.exists()


@pytest.mark.parametrize("network", ["generator", "discriminator"])
def test_too_many_gradients_that_are_not_numbers_end_with_3(
    run, photographs, capsys, network
):
    spikes = [
        {"iteration": iteration, "network": network, "factor": float("nan")}
        for iteration in (1, *range(3, 10))  # one that is survived, and then too many
    ]
    write_config(
        run,
        run={"name": "bad"},
        data={"source": "folder", "path": str(photographs)},
        training={"total_iterations": 20, "max_skipped_iterations": 3},
        debug={"inject_spikes": spikes},
    )
    with eagerly():
        assert train_here() == 3
    message = capsys.readouterr().err
    assert "training went numerically bad: 3 iterations in a row" in message
    assert f"gradients of the {network}" in message
    assert "checkpoint 2, from before it, is kept" in message
    assert "--from bad@2 --set" in message
    assert "Traceback" not in message
    skipped = rows_in(run, "spikes.jsonl", "bad")
    found = [(row["iteration"], row["network"]) for row in skipped]
    assert found == [(iteration, network) for iteration in (1, 3, 4, 5)]
    assert all(row["not_finite"] > 1000 for row in skipped)
    # What was saved amid the trouble is what was there before it.
    assert checkpoints_in(run, "bad") == [2, 4]
    good, kept = arrays_at(run, 2, "bad"), arrays_at(run, 4, "bad")
    counts = {"iteration": 4, "skipped_in_a_row": 2}
    assert {name: int(kept[name]) for name in counts} == counts
    assert_same_arrays(
        {name: array for name, array in good.items() if name not in counts},
        {name: array for name, array in kept.items() if name not in counts},
    )
    assert all(np.isfinite(array).all() for array in kept.values())


def test_check_shows_what_a_run_would_be_and_writes_only_the_cache(
    tmp_path, photographs, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    model = {"num_layers": 46, "base_channels": 1, "max_channels": 2}
    data = {"source": "folder", "path": str(photographs)}
    write_config(tmp_path, data=data, model=model)
    before = tree(tmp_path)
    with mock.patch("commands.preflight.timing.TIMED_SECONDS", 0):
        said = trained(capsys, "--check", "--verbose")
    assert said.err == ""
    new = {name for name in tree(tmp_path) if name not in before}
    assert new
    assert all(name.startswith("cache/") for name in new)
    assert sorted(os.listdir(tmp_path)) == ["cache", "tiny.yaml"]
    lines = said.out.splitlines()
    assert "generator 23 + discriminator 23 = 46 layers" in lines
    for label in ("peak memory: ", "seconds per iteration: "):
        said_of = [line.removeprefix(label) for line in lines if label in line]
        assert len(said_of) == 1
        assert float(said_of[0].split()[0]) >= 0
    (to_end,) = [line for line in lines if line.startswith("minutes to the end: ")]
    assert to_end.endswith(" s of building and 2 grids included")
    assert lines[-2:] == ["would start tiny anew", "verdict: it fits"]
    first, last = said.out.index("# The whole config"), said.out.index("generator\n")
    shown = yaml.safe_load(said.out[first:last])
    unset = {"name": "residual", "generator_norm": "none", "stddev_group": 1}
    unset |= {"conditional": False, "classes": None}
    assert shown["model"] == unset | TINY["model"] | model
    assert shown["training"]["batch_size"] == 4
    assert "auto" not in shown["runtime"].values()


def test_check_answers_in_ten_lines_and_times_last(run, capsys):
    with mock.patch("commands.preflight.timing.TIMED_SECONDS", 0):
        said = trained(capsys, "--check", "--set", "run.name=new").out
    labels = [line.split(":")[0] for line in said.splitlines() if ": " in line]
    assert labels == [
        *("parameters", "device", "disk"),
        *("peak memory", "seconds per iteration", "minutes to the end", "verdict"),
    ]
    assert len(said.splitlines()) == 11  # the line about timing is a bar on a terminal
    assert said.index("disk: ") < said.index("timing") < said.index("peak memory")


def test_check_of_an_existing_run_says_where_it_would_go_on(run, capsys):
    before = tree(run)
    more = ("--set", "training.total_iterations=8")
    with mock.patch("commands.preflight.timing.TIMED_SECONDS", 0):
        assert "would continue at 4" in trained(capsys, "--check", *more).out
    assert "optimizer.name: log_adam in the run, adam now" in refused(
        capsys, "--check", "--set", "optimizer.name=adam"
    )
    assert tree(run) == before


def test_fresh_moves_the_run_aside_and_loses_nothing(run, capsys):
    before = tree(run)
    with eagerly():
        assert train_here("--fresh", "--set", "run.seed=1") == 0
    said = capsys.readouterr().out
    aside = next(path.name for path in pathlib.Path("runs").glob("tiny.before-*"))
    assert f"moved the older tiny to runs/{aside} and samples/{aside}" in said
    after = tree(run)
    before.pop("samples/index.html")  # of all runs; it tells of both now
    before.pop("samples/tiny/summary.json")
    before.pop("samples/tiny/live.js")
    before.pop("samples/tiny/page-data.js")
    assert f'"name":"{aside}"' in after[f"samples/{aside}/live.js"].decode()
    page = before.pop("samples/tiny/index.html").decode()
    links = re.findall(r'href="(\.\./\.\./runs/[^"]+)"', page)
    assert links
    moved_page = after[f"samples/{aside}/index.html"].decode()
    for link in links:
        assert link.replace("/tiny/", f"/{aside}/") in moved_page
    for name, content in before.items():
        room, _, rest = name.partition("/")
        if rest.startswith("tiny/"):
            name = f"{room}/{aside}/{rest.removeprefix('tiny/')}"
        assert after[name] == content
    assert "iteration 0 of 4" in said
    assert "seed: 1" in RUN.config.read_text()
    assert checkpoints_in(run) == [2, 4]


def test_a_refused_fresh_start_moves_nothing(run, capsys):
    before = tree(run)
    refused(capsys, "--fresh", "--set", "data.path=nowhere")
    assert tree(run) == before


def test_too_little_memory_is_told_before_anything_moves(run, capsys, monkeypatch):
    before = tree(run)
    monkeypatch.setattr("commands.memory.available_bytes", lambda: 10)
    assert "too little memory" in refused(capsys, "--fresh")
    assert tree(run) == before


def test_what_was_killed_before_its_first_checkpoint_is_not_mixed_with_the_next(
    run, capsys
):
    for path in RUN.checkpoints.iterdir():
        path.unlink()
    old_grid = (RUN.samples / "grid-0000004.png").read_bytes()
    said = trained(
        capsys, "--set", "run.seed=1", "--set", "training.total_iterations=3"
    )
    aside = said.out.split("moved the older tiny to runs/")[1].split()[0]
    kept = pathlib.Path("samples", aside, "grid-0000004.png")
    assert kept.read_bytes() == old_grid
    assert [path.name for path in sorted(RUN.samples.glob("grid-*"))] == [
        "grid-0000002.png",
        "grid-0000003.png",
    ]
    assert len(json.loads(RUN.sessions.read_text())) == 1


def test_from_starts_a_run_from_another_and_the_same_command_continues_it(run, capsys):
    tuned = ("--from", "tiny@2", "--set", "run.name=tuned")
    tuned += ("--set", "optimizer.learning_rate=0")
    two = trained(capsys, *tuned, "--set", "training.total_iterations=2").out
    assert "starts from tiny at iteration 2" in two
    assert "the generator's moments, the discriminator's moments" in two
    origin = json.loads(RunFolder("tuned").origin.read_text())
    parent = {"requested": "tiny@2", "run": "tiny", "iteration": 2, "average": ""}
    assert origin["parent"] == parent
    # Without a learning rate the weights are still the parent's; the moments move.
    parent, child = arrays_at(run, 2), arrays_at(run, 2, "tuned")
    for name in parent:
        if name.startswith(("generator/", "discriminator/")):
            assert np.array_equal(parent[name], child[name]), name
    count = next(name for name in parent if name.endswith("optimizer/000-iteration"))
    assert child[count] == parent[count] + 2

    three = trained(capsys, *tuned, "--set", "training.total_iterations=3").out
    assert "iteration 2 of 3" in three
    assert "starts from" not in three
    rows = rows_in(run, "scalars.jsonl", "tuned")
    assert [row["iteration"] for row in rows] == [1, 2, 3]


def test_from_a_run_without_a_number_takes_its_newest_checkpoint(run, capsys):
    new = ("--from", "tiny", "--set", "run.name=new")
    said = trained(capsys, *new, "--set", "training.total_iterations=1").out
    assert "starts from tiny at iteration 4" in said
    origin = json.loads(RunFolder("new").origin.read_text())
    parent = {"requested": "tiny", "run": "tiny", "iteration": 4, "average": ""}
    assert origin["parent"] == parent


def test_max_minutes_ends_a_session_with_0_and_the_next_one_goes_on(run, capsys):
    new = ("--set", "run.name=new", "--set", "training.total_iterations=2")
    said = trained(capsys, *new, "--set", "training.max_minutes=1e-6").out
    assert "training.max_minutes is over after 1 iteration, saved" in said
    assert checkpoints_in(run, "new") == [1]
    told = (run / "samples/new/live.js").read_text()
    assert '"because":"training.max_minutes is over"' in told
    said = trained(capsys, *new).out
    assert "iteration 1 of 2" in said
    assert "finished: 2 iterations" in said


def test_a_budget_too_small_for_two_checkpoints_is_refused(run, capsys):
    new = ("--set", "run.name=new", "--set", "training.max_checkpoint_gib=1e-4")
    text = refused(capsys, *new)
    assert "training.max_checkpoint_gib" in text
    assert "two checkpoints" in text
    assert not RunFolder("new").root.exists()


def test_what_a_killed_run_left_unfinished_goes_when_it_continues(run, capsys):
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    name = f".{ended.pid}.writing"
    folders = (RUN.root, RUN.samples, RUN.samples / "thumbnails")
    left = [folder / f"{name}.grid-0000002.png" for folder in folders]
    for path in left:
        path.parent.mkdir(exist_ok=True)
        path.touch()
    # Of an older version; it had the name that sessions.json has now.
    RUN.sessions.rename(RUN.root / "sittings.json")
    trained(capsys, "--set", "training.total_iterations=5")
    assert not [path for path in left if path.exists()]
    sessions = json.loads(RUN.sessions.read_text())
    assert [one["last_iteration"] for one in sessions] == [4, 5]


def test_sessions_of_a_start_that_never_saved_are_forgotten(run, capsys):
    new = RunFolder("new")
    new.root.mkdir()
    (new.root / "sittings.json").write_bytes(RUN.sessions.read_bytes())
    more = ("--set", "run.name=new", "--set", "training.total_iterations=1")
    trained(capsys, *more)
    sessions = json.loads(new.sessions.read_text())
    assert [one["last_iteration"] for one in sessions] == [1]
