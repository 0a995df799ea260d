"""The report of a GPU: its time, its parts that fail, and its page; on the CPU here."""

import json
import sys
import time

import pytest
import tensorflow as tf
from tiny_run import eagerly, train_here, write_config

from benchmarks.gpu_report import __main__ as command
from benchmarks.gpu_report import measure, parts, plan, training
from benchmarks.gpu_report.children import Ended, run_child
from benchmarks.gpu_report.page import cell, file_name, page_text, words
from benchmarks.gpu_report.plan import Budget, Part, Setting, run_part, seconds_of
from settings.messages import Problem

# One grid and one checkpoint, at the end.
ONCE = ("total_iterations", "sample_every_iterations", "checkpoint_every_iterations")
REFUSAL = "this TensorFlow cannot use the card\n  found:    a card"
# What pytest 9 prints with -v.
PYTEST_OUTPUT = """\
tests/test_step.py::test_one PASSED                      [ 20%]
tests/test_step.py::test_two[a b] FAILED                 [ 40%]
tests/test_losses.py::test_three SKIPPED (no such thing) [ 60%]
tests/test_losses.py::test_four ERROR                    [ 80%]
tests/test_losses.py::test_five """


def python(code, seconds=30.0):
    """Runs some code as a child."""
    return run_child([sys.executable, "-S", "-c", code], seconds, "cpu")


@pytest.fixture
def setting(tmp_path):
    write_config(tmp_path, data={"num_images": 16, "cache_dir": str(tmp_path)})
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return Setting("cpu", tmp_path / "tiny.yaml", (), (32,), scratch)


def part_of(run, name="a", share=1.0):
    """Returns a part that does what `run` does."""
    return Part(name, name.upper(), "About it.", share, run)


def test_the_time_is_shared_and_what_is_left_over_goes_to_the_rest():
    some = [part_of(None, share=share) for share in (2, 3, 5)]
    assert seconds_of(some, 600.0) == 120.0
    assert seconds_of(some[1:], 480.0) == 180.0  # the first one took all of its time
    assert seconds_of(some[1:], 590.0) == pytest.approx(221.25)  # it took 10 s
    assert seconds_of(some[2:], 77.0) == 77.0
    assert seconds_of(some[2:], 0.0) == 0.0


def test_a_budget_runs_out_and_is_never_below_zero(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(plan.time, "monotonic", lambda: now[0])
    budget = Budget(8.0)
    now[0] = 105.0
    assert budget.left == 3.0
    now[0] = 109.0
    assert budget.left == 0.0


def test_a_child_that_hangs_is_ended_with_all_it_started(tmp_path):
    mark = tmp_path / "mark"
    grandchild = (
        f"import time, pathlib; time.sleep(3); pathlib.Path({str(mark)!r}).touch()"
    )
    code = f"""
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen([sys.executable, "-S", "-c", {grandchild!r}])
print("begun", flush=True)
time.sleep(60)"""
    began = time.monotonic()
    ended = python(code, 2.0)
    assert time.monotonic() - began < 10.0
    assert ended.is_late and ended.output == "begun\n"
    assert ended.trouble == ["stopped, as its 2 s were running out"]
    time.sleep(2.0)
    assert not mark.exists()


def test_a_child_out_of_time_may_save_first():
    code = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (print("saved"), sys.exit(75)))
time.sleep(60)"""
    ended = python(code, 3.0)
    assert ended.status == 75 and ended.is_late and ended.output == "saved\n"


def test_a_child_that_crashes_or_fails_or_refuses_is_told_in_words():
    crashed = python("import os; os.kill(os.getpid(), 11)")
    assert crashed.trouble == ["ended with SIGSEGV"]
    failed = python("raise ValueError('no such kernel')").trouble
    assert failed[0].startswith("ended with status 1\n")
    assert failed[0].endswith("ValueError: no such kernel")
    refused = python(f"import sys; print({REFUSAL!r}, file=sys.stderr); sys.exit(2)")
    assert refused.trouble == [REFUSAL]
    assert python("print(1)").trouble == []


def test_without_time_no_child_is_begun():
    assert python("print(1)", 0.5).trouble == ["not begun: no time was left"]


def test_a_cpu_report_hides_the_cards():
    code = "import os; print(repr(os.environ['CUDA_VISIBLE_DEVICES']))"
    assert python(code).output == "''\n"


def test_a_part_that_raises_is_told_and_stops_nobody(setting):
    def run(setting, budget):
        raise KeyError("rows")

    result = run_part(part_of(run), setting, 5.0)
    assert "KeyError: 'rows' (run, line" in result["trouble"][0]
    assert result["limit_seconds"] == 5.0


def test_tests_are_counted_up_to_the_one_that_hung():
    found = parts.test_result(Ended(-9, True, 30.0, PYTEST_OUTPUT))
    assert found["rows"] == [
        {"tests": "tests/test_step.py", "passed": 1, "skipped": 0, "failed": 1},
        {"tests": "tests/test_losses.py", "passed": 0, "skipped": 1, "failed": 1},
    ]
    assert found["trouble"] == [
        "tests/test_step.py::test_two[a b] failed",
        "tests/test_losses.py::test_four failed",
        "stopped, as its 30 s were running out",
    ]


def test_what_the_program_says_of_a_card_is_passed_on(setting, monkeypatch, capsys):
    ended = Ended(0, False, 9.0, "H100: the first start takes minutes\n")
    monkeypatch.setattr(parts, "measured", lambda *_: (ended, {"facts": {}}))
    found = parts.describe_card(setting, Budget(9.0))
    assert found["text"] == "H100: the first start takes minutes"
    assert capsys.readouterr().out == "H100: the first start takes minutes\n"


def test_the_listed_tests_exist():
    assert [name for name in parts.TESTS if not (plan.REPOSITORY / name).exists()] == []


def test_values_and_names_are_written_for_people():
    assert [cell(v) for v in (None, True, 0.12345, 1234.5, 7, "a|b\nc")] == [
        *("not known", "yes", "0.123", "1,234", "7"),
        r"a\|b c",
    ]
    assert words("peak_gib") == "peak GiB"
    assert file_name("NVIDIA H100 80GB HBM3") == "nvidia-h100-80gb-hbm3"


def test_the_page_says_first_what_went_wrong():
    part = {
        "title": "Steps",
        "about": "About it.",
        "seconds": 3.2,
        "limit_seconds": 9.0,
    }
    part |= {"rows": [{"way": "xla", "ms": 1.5}], "trouble": ["a crash\nits tail"]}
    about = {"date": "today"}
    page = page_text({"title": "A card", "about": about, "parts": {"steps": part}})
    assert page.startswith("# A card\n\n| | |\n|---|---|\n| date | today |\n\nNot all")
    assert "About it. Took 3 of at most 9 seconds." in page
    assert "| way | ms |\n| --- | --- |\n| xla | 1.5 |" in page
    assert "**Went wrong:** a crash\n\n    its tail\n" in page


def test_photographs_that_cannot_be_had_are_replaced_and_that_is_said(
    setting, monkeypatch
):
    def measured(*_):
        return Ended(2, False, 9.0), {"trouble": ["its host cannot be reached"]}

    monkeypatch.setattr(training, "measured", measured)
    config = write_config(
        setting.scratch, data={"source": "tfds", "cache_dir": "cache"}
    )
    changes, told = training.photographs(setting, config, 9.0)
    assert changes == ["data.source=drawn", "data.num_images=1024"]
    assert "drawn flowers" in told[0] and "cannot be reached" in told[0]
    absolute = training.absolute_paths(config)
    assert absolute == [f"data.cache_dir={plan.REPOSITORY / 'cache'}"]


def test_a_device_that_cannot_be_used_ends_the_command_with_its_words(
    setting, tmp_path, monkeypatch, capsys
):
    def refuse(setting, budget):
        return {"raw": 2, "trouble": [REFUSAL]}

    never = part_of(lambda *_: pytest.fail("went on"), "next")
    monkeypatch.setattr(command, "PARTS", [part_of(refuse, "card"), never])
    arguments = command.parse_arguments(
        ["--config", str(setting.config), "--sizes", "32", "--out", str(tmp_path / "o")]
    )
    with pytest.raises(Problem) as refused:
        command.measure_all(arguments)
    assert str(refused.value) == REFUSAL and refused.value.status == 2
    assert list((tmp_path / "o").iterdir()) == []


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["--device", "cpu"], "expected --out DIR too"),
        (["--minutes", "0"], "expected more than 0"),
        (["--minutes", "nan"], "expected more than 0"),
    ],
)
def test_mistakes_on_the_command_line_are_told(argv, told, capsys):
    with pytest.raises(SystemExit):
        command.parse_arguments(argv)
    assert told in capsys.readouterr().err


def crash(setting, budget):
    """A part whose child dies."""
    return {"trouble": python("import os; os.abort()").trouble}


def measure_here(argv, *_):
    """Measures in this process what a child would."""
    assert argv[1:3] == ["-m", "benchmarks.gpu_report.measure"]
    measure.run(measure.parse_arguments(argv[3:]))
    return Ended(0, False, 9.0)


def report_in(folder, setting):
    """Runs the command; returns the path of the JSON, and the page."""
    argv = ["--device", "cpu", "--minutes", "9", "--out", str(folder), "--sizes", "32"]
    argv += ["--config", str(setting.config)]
    command.measure_all(command.parse_arguments(argv))
    (path,) = folder.glob("*.json")
    return path, path.with_suffix(".md").read_text()


def test_a_report_of_real_measurements_is_written_whatever_crashes(
    setting, tmp_path, monkeypatch
):
    by_name = {part.name: part for part in parts.PARTS}
    some = [by_name["card"], part_of(crash, "crash"), by_name["memory"]]
    monkeypatch.setattr(command, "PARTS", some)
    monkeypatch.setattr(training, "run_child", measure_here)
    with eagerly():
        path, page = report_in(tmp_path / "out", setting)
    found = json.loads(path.read_text())["parts"]
    assert path.stem == file_name(found["card"]["facts"]["device"])
    assert found["card"]["facts"]["tensorflow"] == tf.__version__
    assert found["crash"]["trouble"] == ["ended with SIGABRT"]
    (row,) = found["memory"]["rows"]
    assert (row["image_size"], row["batch_size"]) == (32, 4)
    assert 0.1 < row["peak_gib"] < 100  # this process has imported TensorFlow
    assert "Not all went well; see CRASH." in page
    assert "| image size | batch size |" in page


def test_each_way_is_timed_and_one_that_fails_leaves_the_others(setting, monkeypatch):
    switched = []
    experimental = tf.config.experimental
    monkeypatch.setattr(
        experimental, "enable_op_determinism", lambda: switched.append(1)
    )
    monkeypatch.setattr(training, "run_child", measure_here)
    monkeypatch.setattr(measure, "WAYS", [("float99", "xla"), ("float32", "graph")])
    monkeypatch.setattr(measure, "LEAST_ROUNDS", 1)
    monkeypatch.setattr(measure, "TIMED_SECONDS", 0.0)
    with eagerly():
        found = parts.time_steps(setting, Budget(9.0))
    assert [row["deterministic"] for row in found["rows"]] == [True, False]
    assert switched == [1]
    for row in found["rows"]:  # the tiny pair has no penalties
        assert row["milliseconds_per_iteration"] == row["without_penalties"] > 0
        assert row["images_per_second"] == pytest.approx(
            4 * 1000 / row["without_penalties"]
        )
    starts = [words.split(": KeyError")[0] for words in found["trouble"]]
    assert starts == [
        "deterministic: float99, xla",
        "not deterministic: float99, xla",
    ]


def test_what_a_run_says_of_itself_is_read_from_its_files(tmp_path, monkeypatch):
    spike = {"iteration": 3, "network": "generator", "factor": float("inf")}
    write_config(
        tmp_path,
        run={"name": training.NAME},
        data={"num_images": 8},
        training={name: 3 for name in ONCE},
        debug={"inject_spikes": [spike]},
    )
    monkeypatch.chdir(tmp_path)
    assert training.training_facts(tmp_path) == {}
    with eagerly():
        assert train_here() == 0
    facts = training.training_facts(tmp_path)
    assert (facts["iterations"], facts["image_size"]) == (3, 32)
    assert (facts["spikes"], facts["skipped_iterations"]) == (0, 1)
    # Three iterations may all have compiled.
    assert facts["iterations_per_second"] is None
    assert facts["hours_for_the_whole_config"] is None


def test_the_speed_is_that_of_all_iterations_once_compiled():
    speeds = [0.1] * 5 + [40.0, 40.0, 40.0, 10.0]  # a fourth of them with penalties
    rows = [{"speed/images_per_second": speed} for speed in speeds]
    # Three of 0.1 s and one of 0.4 s.
    assert training.iterations_per_second(rows, 4) == pytest.approx(4 / 0.7)
    assert training.iterations_per_second(rows[:5], 4) is None


@pytest.mark.slow
def test_the_whole_report_in_processes_of_its_own(setting, tmp_path, monkeypatch):
    names = ("card", "first_start", "memory", "training")  # XLA takes minutes on a CPU
    some = [part for part in parts.PARTS if part.name in names]
    monkeypatch.setattr(command, "PARTS", some)
    monkeypatch.setattr(training, "LOOP_SHARE", 0.001)  # an iteration, and the end
    path, page = report_in(tmp_path / "out", setting)
    found = json.loads(path.read_text())["parts"]
    assert [found[name]["trouble"] for name in names] == [[]] * len(names)
    assert found["training"]["facts"]["iterations"] >= 1
    assert f"({path.stem}.webp)" in page
    assert path.with_suffix(".webp").read_bytes()[8:12] == b"WEBP"
