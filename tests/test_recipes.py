"""The recipe benchmark: its queue, its rows, its page, and how it stops and resumes."""

import json
import math
import pathlib
import signal
import statistics
import subprocess
import sys
import time

import numpy as np
import pytest
from tiny_run import REPOSITORY, tree, user_environment, write_config

from benchmarks.recipes import __main__ as recipes
from benchmarks.recipes.children import Children, Stopped
from benchmarks.recipes.curves import draw, median_points
from benchmarks.recipes.plan import Mark
from benchmarks.recipes.queue_file import read_queue
from benchmarks.recipes.report import MARKERS, values_at, write_report
from benchmarks.recipes.rows import DIVERGED, FAILED, FINISHED, Results, read_rows
from benchmarks.recipes.trials import (
    Options,
    Progress,
    Runner,
    iteration_of,
    length_to,
    num_bursts,
    observed,
)
from records.run_folder import RunFolder
from records.weights import Weights, weights_bytes
from settings.config_file import load_config
from settings.messages import Problem

BEGIN, END = MARKERS
PATIENCE_SECONDS = 300  # other programs may be busy on this machine
QUEUE = """
defaults:
  config: tiny.yaml
  seeds: [0, 1]
  iterations: [2, 4]
  extractor: random
  num_images: 20
  set:
    optimizer.learning_rate: 2e-4
    loss.gamma: 1.0
settings:
  calm:
    reason: the preset
  wild:
    reason: ten times the rate
    seeds: [0, 1, 7]
    minutes: [0.5]
    set:
      optimizer.learning_rate: 2e-3
      augment.operations: [cutout]
"""


def write_queue(folder, text=QUEUE):
    """Writes queue.yaml in a folder and returns its path."""
    path = folder / "queue.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def trials(tmp_path, monkeypatch):
    """Returns the runs of the queue, in a working directory of their own."""
    monkeypatch.chdir(tmp_path)
    write_config(tmp_path)
    return read_queue(write_queue(tmp_path)).trials()


def row(setting, seed, kds, **others):
    """Returns a row with kernel distances by mark; fd is a hundred times as large."""
    scores = [
        {
            "mark": mark,
            "kd": kd,
            "fd": 100 * kd,
            "iterations": int(mark.split()[0]),
            "minutes": 0.5 * int(mark.split()[0]),
        }
        for mark, kd in kds.items()
    ]
    told = {"state": FINISHED, "note": "", "reason": "why|not", "config": "a.yaml"}
    told |= {"overrides": {"loss.gamma": "2"}, "extractor": "random", "num_images": 20}
    told |= {"start": ""}
    return told | {"setting": setting, "seed": seed, "scores": scores} | others


def test_every_setting_gets_its_first_seed_first(trials):
    names = [trial.name.removeprefix("queue-") for trial in trials]
    assert names == [
        *("calm-seed0", "wild-seed0", "calm-seed1", "wild-seed1", "wild-seed7")
    ]


def test_overrides_are_merged_and_keep_their_text(trials):
    calm, wild = trials[0].setting, trials[1].setting
    assert calm.overrides == {"optimizer.learning_rate": "2e-4", "loss.gamma": "1.0"}
    assert wild.overrides["optimizer.learning_rate"] == "2e-3"
    assert wild.overrides["augment.operations"] == '["cutout"]'
    assert [str(mark) for mark in wild.marks] == [
        *("2 iterations", "4 iterations", "0.5 minutes")
    ]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("  seeds: [0, 1]\n", "", "settings.calm.seeds: missing"),
        ("seeds: [0, 1]", "seeds: []", "yaml:4: defaults.seeds"),
        ("seeds: [0, 1]", "seeds: [1, 1]", "defaults.seeds"),
        ("seeds: [0, 1]", "seeds: [-1]", "found:    [-1]"),
        ("  config", "  konfig", "yaml:3: defaults.konfig: unknown key"),
        ("    minutes", "    hours", "settings.wild.hours: unknown key"),
        ("settings:", "extra: 1\nsettings:", "extra: unknown key"),
        ("  wild:", "  calm:", "settings.calm: given twice"),
        ("    reason: the preset", "    seeds: [0]", "settings.calm.reason: missing"),
        ("extractor: random", "extractor: VGG", "one of inception-fid"),
        ("num_images: 20", "num_images: 9", "10 or more"),
        ("[2, 4]", "[2, 2]", "defaults.iterations"),
        ("[2, 4]", "[]", "settings.calm: is never measured"),
        ("[0.5]", "[0]", "settings.wild.minutes"),
        ("    minutes: [0.5]", "    from: 5", "wild.from\n  expected: the path"),
        ("loss.gamma: 1.0", "run.seed: 1", "defaults.set.run.seed: set by the queue"),
        ("  calm:\n    reason: the preset\n", "  calm:\n", "settings.calm"),
        ("settings:\n", "settings: []\nother:\n", "settings\n  expected: keys"),
        ("[0, 1]", "[0, 1", "not valid YAML"),
    ],
)
def test_a_mistake_in_a_queue_is_named(tmp_path, old, new, words):
    assert old in QUEUE
    with pytest.raises(Problem) as caught:
        read_queue(write_queue(tmp_path, QUEUE.replace(old, new, 1)))
    assert words in str(caught.value)


def test_the_queues_in_the_repository_can_be_read():
    paths = sorted((REPOSITORY / "benchmarks/queues").glob("*.yaml"))
    assert paths and all(read_queue(path).trials() for path in paths)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--set", "loss.gamma=2"], "--set loss.gamma=2\n  expected: KEY=VALUE with"),
        (["--jobs", "1000"], "--jobs 1000\n  expected: 1 to"),
        (["--weights", "lost.h5"], "--weights lost.h5: no such file"),
    ],
)
def test_a_mistake_on_the_command_line_is_named(trials, arguments, words, capsys):
    assert recipes.main(["queue.yaml", *arguments, "--results", "rows"]) == 2
    assert words in capsys.readouterr().err


def test_a_setting_that_no_config_can_have_is_found_before_anything_runs(
    trials, tmp_path, capsys
):
    text = QUEUE.replace("loss.gamma: 1.0", "loss.gama: 1.0")
    write_queue(tmp_path, text)
    assert recipes.main(["queue.yaml", "--results", "rows"]) == 2
    error = capsys.readouterr().err
    assert error.count("nearest:  loss.gamma") == 2  # once for each setting
    assert not (tmp_path / "rows").exists()


def test_an_extractor_without_its_weights_is_refused(trials, tmp_path, capsys):
    write_queue(tmp_path, QUEUE.replace("random", "mobilenetv2"))
    assert recipes.main(["queue.yaml", "--results", "rows"]) == 2
    assert "--weights\n  expected: the path" in capsys.readouterr().err


def test_a_row_is_updated_in_place_and_no_other_is_lost(trials, tmp_path):
    path = tmp_path / "rows.jsonl"
    gone = json.dumps(row("gone", 5, {"2 iterations": 0.5}))
    path.write_text(gone + "\n")
    results = Results(path, trials)
    for trial in reversed(trials[:3]):
        results.update(results.row_of(trial))
    results.update(results.row_of(trials[1]) | {"state": FINISHED})
    rows = read_rows(path)
    assert [(one["setting"], one["seed"]) for one in rows] == [
        *(("gone", 5), ("calm", 0), ("wild", 0), ("calm", 1))
    ]
    assert rows[0] == json.loads(gone)
    assert [one["state"] for one in rows[1:]] == ["unfinished", FINISHED, "unfinished"]


def test_other_overrides_under_a_known_name_are_refused(trials, tmp_path):
    path = tmp_path / "rows.jsonl"
    results = Results(path, trials)
    results.update(results.row_of(trials[0]))
    changed = read_queue(write_queue(tmp_path, QUEUE.replace("2e-4", "3e-4"))).trials()
    with pytest.raises(Problem, match="rows of calm with another config, overrides"):
        Results(path, changed)


def test_a_config_file_that_changed_under_a_known_name_is_refused(tmp_path, trials):
    path = tmp_path / "rows.jsonl"
    queue = read_queue(tmp_path / "queue.yaml")
    options = recipes.parse_arguments(["queue.yaml"])
    before = recipes.check(queue, options, 2)
    results = Results(path, before.trials())
    results.update(results.row_of(before.trials()[0]))
    write_config(tmp_path, training={"total_iterations": 8})  # the runner's own
    Results(path, recipes.check(queue, options, 2).trials())
    write_config(tmp_path, loss={"penalty_every_iterations": 3})
    with pytest.raises(Problem, match="rows of calm with another config"):
        Results(path, recipes.check(queue, options, 2).trials())


def test_a_run_cut_before_its_last_word_is_finished(trials, tmp_path):
    results = Results(tmp_path / "rows.jsonl", trials)
    results.update(results.row_of(trials[0]) | {"state": FAILED, "note": "cut"})
    results.update(results.row_of(trials[1]) | {"state": DIVERGED, "note": "status"})
    results.finish(trials[:2])
    states = [(results.row_of(t)["state"], results.row_of(t)["note"]) for t in trials]
    assert states[:2] == [(FINISHED, ""), (DIVERGED, "status")]


def test_marks_are_told_apart_whatever_their_size():
    marks = [Mark("iterations", 1_234_567), Mark("iterations", 1_234_568)]
    assert [str(mark) for mark in marks] == ["1234567 iterations", "1234568 iterations"]
    assert str(Mark("minutes", 0.5)) == "0.5 minutes"


def test_a_broken_line_of_rows_is_named(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row("a", 0, {})) + '\n{"setting": "a"}\n')
    with pytest.raises(Problem, match=r"rows.jsonl:2: not a row"):
        read_rows(path)


def test_bursts_are_spikes_less_than_100_iterations_apart():
    assert num_bursts([]) == 0
    assert num_bursts([500]) == 1
    assert num_bursts([740, 500, 599, 641, 599]) == 1
    assert num_bursts([500, 600, 699, 900]) == 3


def test_spikes_are_counted_from_the_ledgers_once_each(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = RunFolder("spiky")
    aside = run.root / "rolled-back-1"
    aside.mkdir(parents=True)
    spike = {"iteration": 200, "network": "generator", "largest_finite": 8.5}
    other = spike | {"network": "discriminator", "largest_finite": 3.0}
    late = spike | {"iteration": 400, "largest_finite": 9.5}
    recovery = {"iteration": 210, "network": "generator", "recovered_from": 200}
    recovery["after_iterations"] = 10
    back = {"iteration": 250, "rollbacks": 1, "from_iteration": 420, "because": "w"}

    def lines(*rows):
        return "".join(json.dumps(one) + "\n" for one in rows)

    (run.root / "spikes.jsonl").write_text(lines(spike, recovery, other))
    (aside / "spikes.jsonl").write_text(lines(spike, recovery, other, late))
    (run.root / "events.jsonl").write_text(lines(back))
    found = observed(run)
    assert (found["spikes"], found["bursts"], found["rollbacks"]) == (3, 2, 1)
    assert found["largest_gradient"] == 9.5


def test_a_run_is_trained_to_the_next_mark():
    marks = [Mark("iterations", 4), Mark("iterations", 2), Mark("minutes", 30)]
    assert length_to(marks, Progress(0, 10.0)) == [
        *("training.total_iterations=2", "training.max_minutes=20.0")
    ]
    assert length_to(marks[:1], Progress(3, 40.0))[1] == "training.max_minutes=null"
    assert length_to(marks[2:], Progress(9, 0.0))[0] == (
        "training.total_iterations=1000000000"
    )


def test_a_mark_in_minutes_is_measured_where_the_run_stopped_or_not_at_all():
    mark = Mark("minutes", 30)
    assert iteration_of(mark, Progress(1234, 30.02)) == 1234
    assert iteration_of(mark, Progress(1234, 45.0)) is None


class Pretence:
    """Child processes that only leave behind what train.py and evaluate.py would."""

    def __init__(self, statuses):
        self.statuses = statuses
        self.commands = []

    def run(self, arguments, log):
        self.commands.append(arguments)
        run = RunFolder(next(a for a in arguments if "queue-" in a).split("=")[-1])
        if arguments[1].endswith("evaluate.py"):
            iteration = int(arguments[arguments.index("--checkpoint") + 1])
            run.samples.mkdir(parents=True, exist_ok=True)
            metrics = {"kd_random": 1 / iteration, "fd_random": 100 / iteration}
            path = run.samples / f"card-{iteration:07d}-random-20.json"
            path.write_text(json.dumps({"metrics": metrics}))
            return 0
        status = self.statuses.pop(0) if self.statuses else 0
        if status == 0:
            self._train(run, arguments)
        return status

    def _train(self, run, arguments):
        total = next(a for a in arguments if a.startswith("training.total"))
        run.checkpoints.mkdir(parents=True, exist_ok=True)
        done = int(total.split("=")[1])
        (run.checkpoints / f"{done:07d}.safetensors").touch()
        session = {"last_iteration": done, "seconds": 60.0, "device": "CPU"}
        session |= {"versions": {}}
        run.sessions.write_text(json.dumps([session]))


def carry_out(trials, statuses=()):
    """Carries out runs with pretended commands; returns them and the rows."""
    children, path = Pretence(list(statuses)), pathlib.Path("rows.jsonl")
    runner = Runner(children, Results(path, trials), Options((), None))
    for trial in trials:
        runner.carry_out(trial)
    return children.commands, read_rows(path)


def test_a_run_is_measured_at_each_mark_before_it_goes_on(trials):
    commands, (row,) = carry_out(trials[:1])
    scripts = [pathlib.Path(one[1]).stem for one in commands]
    assert scripts == ["train", "evaluate"] * 2
    assert "optimizer.learning_rate=2e-4" in commands[0]
    assert [s["kd"] for s in row["scores"]] == [1 / 2, 1 / 4]
    assert (row["state"], row["iterations"], row["minutes"]) == (FINISHED, 4, 1.0)


def write_weights(path, iteration):
    """Writes a weights file of the tiny config, with a single weight."""
    config = load_config("tiny.yaml", [])
    arrays = {"discriminator/a": np.ones(2, np.float32)}
    given = Weights("parent", iteration, config, "", "", 0, f"{iteration}" * 64, arrays)
    path.write_bytes(weights_bytes(given))


def test_a_setting_may_start_from_a_weights_file(trials, tmp_path):
    write_queue(
        tmp_path, QUEUE.replace("extractor", "from: b.safetensors\n  extractor")
    )
    rows = []
    for iteration in (4, 5):
        write_weights(tmp_path / "b.safetensors", iteration)
        options = recipes.parse_arguments(["queue.yaml"])
        queue = recipes.check(read_queue(options.queue), options, 1)
        if iteration == 4:
            commands, rows = carry_out(queue.trials()[:1])
    assert commands[0][-2:] == ["--from", "b.safetensors"]
    assert rows[0]["start"] == "parent at 4 iterations, SHA-256 444444444444"
    with pytest.raises(Problem, match="rows of calm with another .*start"):
        Results(pathlib.Path("rows.jsonl"), queue.trials())


def test_a_weights_file_that_is_missing_is_found_before_anything_runs(
    trials, tmp_path, capsys
):
    write_queue(
        tmp_path, QUEUE.replace("extractor", "from: b.safetensors\n  extractor")
    )
    assert recipes.main(["queue.yaml", "--results", "rows"]) == 2
    assert "setting calm: b.safetensors" in capsys.readouterr().err
    assert not (tmp_path / "rows").exists()


def test_rows_from_before_a_queue_could_name_weights_are_continued(trials, tmp_path):
    path = tmp_path / "rows.jsonl"
    old = row("gone", 5, {"2 iterations": 0.5})
    old.pop("start")
    path.write_text(json.dumps(old) + "\n")
    assert read_rows(path)[0]["start"] == ""
    assert Results(path, trials).row_of(trials[0])["start"] == ""


def test_a_run_that_fails_or_diverges_has_that_in_its_row_and_others_go_on(trials):
    chosen = [trials[0], trials[2]]
    _, rows = carry_out(chosen, [0, 3, 2])
    assert [one["state"] for one in rows] == [DIVERGED, FAILED]
    assert [len(one["scores"]) for one in rows] == [1, 0]
    commands, rows = carry_out(chosen[1:])
    assert len(commands) == 4 and [one["state"] for one in rows] == [DIVERGED, FINISHED]


def test_a_train_command_that_does_nothing_is_not_repeated_forever(trials):
    class Idle(Pretence):
        def _train(self, run, arguments):
            pass

    path = pathlib.Path("rows.jsonl")
    Runner(Idle([]), Results(path, trials), Options((), None)).carry_out(trials[0])
    assert read_rows(path)[0]["state"] == FAILED


def test_a_diverged_run_counts_as_the_worst_and_a_missing_one_not_at_all():
    rows = [
        row("a", 1, {"2 iterations": 0.5}),
        row("a", 0, {"2 iterations": 0.7}),
        row("a", 2, {}, state=DIVERGED),
        row("a", 3, {}),
    ]
    values = values_at(rows, "2 iterations", "kd")
    assert values == [0.7, 0.5, math.inf]
    assert statistics.median(values) == 0.7


def test_the_report_stands_between_the_markers_and_leaves_the_rest(tmp_path):
    pytest.importorskip("matplotlib", reason="only benchmarks need it")
    page, results = tmp_path / "page.md", tmp_path / "rows"
    results.mkdir()
    rows = [
        row("a", 0, {"2 iterations": 0.9, "10 iterations": 0.5}, spikes=3, bursts=2),
        row("a", 1, {"2 iterations": 0.8, "10 iterations": 0.25}),
        row("a", 2, {"2 iterations": 0.8, "10 iterations": 0.375}),
        row("b", 0, {}, state=DIVERGED, note="status 3 of train.py"),
    ]
    text = "".join(json.dumps(one) + "\n" for one in rows)
    (results / "first.jsonl").write_text(text)
    page.write_text(f"# Top\n\n{BEGIN}\nold\n{END}\n\nbelow\n")
    write_report(results, page)
    written = page.read_text()
    assert written.startswith(f"# Top\n\n{BEGIN}\n") and "old" not in written
    assert written.endswith(f"{END}\n\nbelow\n")
    line = (
        "| 10 iterations | a | **0.375** | 0.500 | 0.500, 0.250, 0.375 | 37.5 | 50.0 |"
    )
    assert line in written
    assert written.index("| 2 iterations") < written.index("| 10 iterations")
    assert "| b | 0 | diverged, status 3 of train.py |" in written
    assert "3 in 2" in written and r"why\|not" in written
    assert "](page-first.webp)" in written
    assert 1000 < (tmp_path / "page-first.webp").stat().st_size < 200_000
    write_report(results, page)
    assert page.read_text() == written


@pytest.mark.parametrize("text", ["", BEGIN, f"{END}{BEGIN}", f"{BEGIN}{END}{END}"])
def test_a_page_without_the_two_markers_is_left_as_it_is(tmp_path, text):
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises(Problem, match="no place for the results"):
        write_report(tmp_path, page)
    assert page.read_text() == text


def test_the_page_in_the_repository_has_its_place_for_results():
    page = (REPOSITORY / "docs/experiments.md").read_text(encoding="utf-8")
    assert page.count(BEGIN) == page.count(END) == 1


def test_the_median_curve_has_only_marks_that_all_runs_have():
    rows = [
        row("a", 0, {"2 iterations": 3.0, "4 iterations": 2.0}),
        row("a", 1, {"2 iterations": 1.0}),
        row("a", 2, {"2 iterations": 1.5}),
    ]
    assert median_points(rows, "iterations") == [(2, 1.5)]
    assert median_points(rows, "minutes") == [(1.0, 1.5)]
    assert draw([row("a", 0, {})], "nowhere.webp") is False


def test_a_signal_is_passed_on_and_nothing_starts_after_it(tmp_path):
    children, log = Children(), tmp_path / "log"
    program = (
        "import os, signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))\n"
        "print('ready', flush=True)\n"
        "os.kill(os.getppid(), signal.SIGTERM)\n"
        "time.sleep(100)"
    )
    old = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    usual = signal.getsignal(signal.SIGUSR1)
    children.install()
    try:
        with pytest.raises(Stopped):
            children.run([sys.executable, "-c", program], log)
        with pytest.raises(Stopped):
            children.run(["never started"], log)
    finally:
        signal.signal(signal.SIGTERM, old[0])
        signal.signal(signal.SIGINT, old[1])
        signal.signal(signal.SIGUSR1, usual)
    assert children.status == 75
    assert log.read_text() == "ready\n"


@pytest.mark.slow
def test_a_stopped_queue_continues_and_ends_as_an_unbroken_one(tmp_path):
    endless = {"checkpoint_every_iterations": 1000, "sample_every_iterations": 1000}
    text = QUEUE.replace("[2, 4]", "[60, 120]").replace("    minutes: [0.5]\n", "")
    text = text.replace("[0, 1, 7]", "[0]").replace("seeds: [0, 1]", "seeds: [0]")
    command = [sys.executable, "-m", "benchmarks.recipes", "queue.yaml"]
    command += ["--results", "rows"]
    environment = user_environment(PYTHONPATH=str(REPOSITORY))
    rows = {}
    for name in ("broken", "whole"):
        folder = tmp_path / name
        folder.mkdir()
        write_config(folder, training=endless)
        write_queue(folder, text)
        if name == "broken":
            started = subprocess.Popen(command, cwd=folder, env=environment)
            wait_for_rows(started, folder / "runs/queue-calm-seed0/scalars.jsonl")
            started.send_signal(signal.SIGTERM)
            assert started.wait(PATIENCE_SECONDS) == 75
            (first, *_) = read_rows(folder / "rows/queue.jsonl")
            assert first["state"] == "unfinished" and first["iterations"] > 0
        assert subprocess.run(command, cwd=folder, env=environment).returncode == 0
        before = tree(folder / "runs")
        assert subprocess.run(command, cwd=folder, env=environment).returncode == 0
        assert tree(folder / "runs") == before  # nothing is left to do
        rows[name] = read_rows(folder / "rows/queue.jsonl")
    for broken, whole in zip(*rows.values(), strict=True):
        assert broken["state"] == FINISHED
        for left, right in zip(broken["scores"], whole["scores"], strict=True):
            assert left | {"minutes": 0} == right | {"minutes": 0}


def wait_for_rows(process, path):
    """Waits until a run that a process trains has logged something."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (path.exists() and path.stat().st_size):
        assert process.poll() is None, "the process ended"
        assert time.monotonic() < deadline
        time.sleep(0.05)
