"""SIGTERM, SIGUSR1 and Ctrl-C, sent to real processes."""

import contextlib
import os
import pathlib
import pty
import select
import signal
import subprocess
import sys
import time

import pytest
from tiny_run import (
    NAME,
    REPOSITORY,
    arrays_at,
    assert_same_arrays,
    assert_same_run,
    checkpoints_in,
    command,
    rows_in,
    train_here,
    train_in_process,
    tree,
    user_environment,
    write_config,
)

from records.run_folder import RunFolder, only_writer
from training.signals import EXIT_STATUS

pytestmark = pytest.mark.fault("signals, a lost terminal")
RUN = RunFolder(NAME)
BUT_HANGUP = set(EXIT_STATUS) - {signal.SIGHUP}  # which nohup ignores on purpose
PATIENCE_SECONDS = 300  # other programs may be busy on this machine
ENDLESS = {
    "training": {
        "total_iterations": 100_000,
        "sample_every_iterations": 1000,
        "checkpoint_every_iterations": 1000,
    },
}


@contextlib.contextmanager
def running(folder, *arguments, ignored=()):
    """Starts train.py with some signals ignored, and ends it whatever happens."""

    def ignore():
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # else as nohup leaves it
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)

    with (
        open(folder / "stdout", "w") as stdout,
        open(folder / "stderr", "w") as stderr,
        subprocess.Popen(
            command(*arguments),
            cwd=folder,
            env=user_environment(),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            preexec_fn=ignore,
        ) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


def wait_until(process, is_so):
    """Waits until something is so of a running process."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert process.poll() is None, "the process ended"
        assert time.monotonic() < deadline
        time.sleep(0.01)


def catches(process, numbers=tuple(BUT_HANGUP)):
    """Tells whether a process has handlers of its own for the signals."""
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("SigCgt"))
    mask = int(line.split()[1], base=16)
    return all(mask >> (number - 1) & 1 for number in numbers)


def imports_tensorflow(process):
    """Tells whether a process has begun to load TensorFlow's libraries."""
    maps = pathlib.Path(f"/proc/{process.pid}/maps").read_text()
    return "/tensorflow/" in maps


def has_rows(folder, count):
    def is_so():
        path = folder / RUN.root / "scalars.jsonl"
        return path.exists() and len(path.read_bytes().splitlines()) >= count

    return is_so


def says(folder, text):
    return lambda: text in (folder / "stdout").read_text()


def complains(folder, text):
    return lambda: text in (folder / "stderr").read_text()


def stopped_after(folder, number, num_rows, ignored=()):
    """Lets a process train some rows further, and stops it with a signal.

    Returns:
        Its status and the iteration of the checkpoint that it saved.
    """
    with running(folder, ignored=ignored) as process:
        wait_until(process, has_rows(folder, num_rows))
        process.send_signal(number)
        status = process.wait(PATIENCE_SECONDS)
    assert f"{number.name}: saving after this iteration" in (
        (folder / "stderr").read_text()
    )
    return status, checkpoints_in(folder)[-1]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (signal.SIGINT, signal.SIGTERM),
        pytest.param(signal.SIGUSR1, signal.SIGINT, marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, signal.SIGHUP, marks=pytest.mark.slow),
    ],
    ids=lambda number: number.name,
)
def test_a_signal_saves_that_iteration_and_the_same_command_continues(
    tmp_path, monkeypatch, first, second
):
    stopped, unbroken = tmp_path / "stopped", tmp_path / "unbroken"
    stopped.mkdir()
    unbroken.mkdir()
    write_config(stopped, **ENDLESS)
    # Started as a shell's background job is: with SIGINT ignored.
    status, at = stopped_after(stopped, first, num_rows=7, ignored=[signal.SIGINT])
    assert status == EXIT_STATUS[first]
    assert [row["iteration"] for row in rows_in(stopped, "scalars.jsonl")] == [
        *range(1, at + 1)
    ]
    said = (stopped / "stdout").read_text()
    assert f"stopped after {at} iterations, saved; the same command continues" in said

    status, end = stopped_after(stopped, second, num_rows=at + 7)
    assert status == EXIT_STATUS[second]
    assert end > at
    assert f"iteration {at} of 100000" in (stopped / "stdout").read_text()
    assert checkpoints_in(stopped) == [at, end]

    training = ENDLESS["training"] | {
        "total_iterations": end,
        "checkpoint_every_iterations": at,
        "keep_last": 1000,
    }
    write_config(unbroken, training=training)
    monkeypatch.chdir(unbroken)
    assert train_here() == 0
    assert_same_arrays(arrays_at(stopped, at), arrays_at(unbroken, at))
    for grid in (unbroken / RUN.samples).glob("grid-*.png"):
        grid.unlink()  # of the end, where the other did not know it was
    assert_same_run(stopped, unbroken, end)


def test_a_second_ctrl_c_stops_at_once_without_saving(tmp_path):
    # Before the first iteration of so deep a pair lie many seconds of tracing.
    write_config(tmp_path, **ENDLESS, model={"num_layers": 46})
    with running(tmp_path) as process:
        wait_until(process, says(tmp_path, "iteration 0 of 100000"))
        time.sleep(0.5)  # from that line into the iteration
        process.send_signal(signal.SIGINT)
        wait_until(process, complains(tmp_path, "SIGINT: saving after this iteration"))
        # Nobody else writes to a run that is still being stopped.
        other = train_in_process(tmp_path)
        assert other.returncode == 2
        assert "another process is training this run" in other.stderr
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_SECONDS) == 130
    assert complains(tmp_path, "second Ctrl-C: stopped at once, without saving")()
    assert checkpoints_in(tmp_path) == []
    assert rows_in(tmp_path, "scalars.jsonl") == []


@pytest.mark.parametrize(
    ("number", "ready"),
    [
        (signal.SIGTERM, catches),
        (signal.SIGUSR1, imports_tensorflow),
        (signal.SIGINT, imports_tensorflow),
        (signal.SIGHUP, catches),
        pytest.param(signal.SIGINT, catches, marks=pytest.mark.slow),
        pytest.param(signal.SIGUSR1, catches, marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, imports_tensorflow, marks=pytest.mark.slow),
    ],
)
def test_a_signal_before_the_first_iteration_gives_the_same_status(
    tmp_path, number, ready
):
    write_config(tmp_path, **ENDLESS)
    before = tree(tmp_path)
    with running(tmp_path, ignored=BUT_HANGUP) as process:
        wait_until(process, lambda: ready(process))
        process.send_signal(number)
        assert process.wait(PATIENCE_SECONDS) == EXIT_STATUS[number]
    after = tree(tmp_path)
    of_this_test = {"stdout", "stderr", "runs/.tiny.lock"}
    assert {name: after[name] for name in after.keys() - of_this_test} == before
    assert "Traceback" not in (tmp_path / "stderr").read_text()
    with contextlib.chdir(tmp_path), only_writer(RUN):
        pass  # the lock is free


def test_the_statuses_are_those_of_the_contract():
    expected = {
        signal.SIGTERM: 75,
        signal.SIGUSR1: 75,
        signal.SIGHUP: 75,
        signal.SIGINT: 130,
    }
    assert expected == EXIT_STATUS


def test_nohup_keeps_a_run_from_ending_with_its_terminal():
    shown = "import training.signals as s; print(len(s.signals_to_handle()))"
    numbers = [
        subprocess.run(
            [*prefix, sys.executable, "-c", shown],
            cwd=REPOSITORY,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
            preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
        ).stdout.strip()
        for prefix in ([], ["nohup"])
    ]
    assert numbers == ["4", "3"]


@pytest.mark.slow
def test_a_lost_terminal_saves_and_ends_as_sigterm_does(tmp_path):
    write_config(tmp_path, **ENDLESS)
    child, terminal = pty.fork()
    if not child:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        os.chdir(tmp_path)
        os.execve(sys.executable, command(), user_environment())
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not has_rows(tmp_path, 7)() and time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.1)[0]:
            os.read(terminal, 4096)
    os.close(terminal)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 75
    (at,) = checkpoints_in(tmp_path)
    assert len(rows_in(tmp_path, "scalars.jsonl")) == at
