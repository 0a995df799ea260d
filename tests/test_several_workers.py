"""Several processes on the loopback train one run together."""

import contextlib
import json
import signal
import socket
import subprocess
import time

import numpy as np
import pytest
from tiny_run import (
    NAME,
    arrays_at,
    assert_same_run,
    checkpoints_in,
    command,
    rows_in,
    train_in_process,
    tree,
    user_environment,
    write_config,
)

from records.run_folder import RunFolder

PATIENCE_SECONDS = 300  # other programs may be busy on this machine
LOST_SECONDS = 60  # until the others have ended, once one was killed
END = 20
SECTIONS = {
    "optimizer": {
        "damping_scale": 1e-3,
        "schedule": "cosine",
        "schedule_iterations": 9,
    },
    "loss": {"penalty": "r1_r2", "penalty_every_iterations": 1},
    "augment": {
        "policy": "adaptive",
        "probability": 0.5,
        "adjust_every_iterations": 3,
        "kimg_to_full": 0.1,
        "operations": ["brightness"],
    },
    "training": {
        "total_iterations": END,
        "checkpoint_every_iterations": 3,
        "sample_every_iterations": 4,
    },
    "debug": {
        "inject_spikes": [
            {"iteration": 2, "network": "discriminator", "factor": 1e4},
            {"iteration": 5, "network": "generator", "factor": float("inf")},
        ]
    },
    "runtime": {"distribution": "multi_worker"},
}


def free_ports(count):
    """Returns ports that nobody listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def tf_config(ports, index):
    addresses = [f"127.0.0.1:{port}" for port in ports]
    task = {"type": "worker", "index": index}
    return json.dumps({"cluster": {"worker": addresses}, "task": task})


@contextlib.contextmanager
def started(folder, *each, ports=None):
    """Starts two workers with arguments of their own, and ends them."""
    ports = ports or free_ports(2)
    with contextlib.ExitStack() as stack:
        processes = []
        for index, arguments in enumerate(each or ([], [])):
            output = stack.enter_context(open(folder / f"worker-{index}", "w"))
            process = subprocess.Popen(
                command(*arguments),
                cwd=folder,
                env=user_environment() | {"TF_CONFIG": tf_config(ports, index)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
            stack.callback(process.wait)
            stack.callback(process.kill)
            processes.append(process)
        yield processes


def said(folder, index):
    return (folder / f"worker-{index}").read_text()


def statuses(processes, seconds=PATIENCE_SECONDS):
    return [process.wait(seconds) for process in processes]


def train_together(folder, *each):
    with started(folder, *each) as processes:
        assert statuses(processes) == [0, 0], [said(folder, i) for i in (0, 1)]


def wait_for_rows(folder, count, processes):
    deadline = time.monotonic() + PATIENCE_SECONDS
    path = folder / RunFolder(NAME).root / "scalars.jsonl"
    while not path.exists() or len(path.read_bytes().splitlines()) < count:
        assert all(process.poll() is None for process in processes)
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """Trains with two workers in one go; returns the folder."""
    folder = tmp_path_factory.mktemp("unbroken")
    write_config(folder, **SECTIONS)
    train_together(folder)
    return folder


# All slow, as processes start TensorFlow and meet; tests/test_replicas.py has replicas
# in one process.
@pytest.mark.slow
def test_two_workers_train_as_one_process_and_the_chief_alone_writes(
    unbroken, tmp_path
):
    write_config(tmp_path, **SECTIONS | {"runtime": {"distribution": "none"}})
    assert train_in_process(tmp_path).returncode == 0
    for name, array in arrays_at(tmp_path, END).items():
        np.testing.assert_allclose(
            arrays_at(unbroken, END)[name], array, rtol=2e-4, atol=2e-6, err_msg=name
        )
    assert [row["iteration"] for row in rows_in(unbroken, "spikes.jsonl")] == [5]
    expected = {n for n in tree(tmp_path) if "events.out" not in n and "/." not in n}
    found = {n for n in tree(unbroken) if "events.out" not in n and "/." not in n}
    assert found - expected == {"worker-0", "worker-1"}
    assert "the chief ended after iteration 20" in said(unbroken, 1)
    assert "2 in each of 2 replicas" in said(unbroken, 0)


@pytest.mark.slow
def test_a_worker_with_another_config_is_told_so(tmp_path):
    write_config(tmp_path, **SECTIONS)
    with started(tmp_path, [], ["--set", "optimizer.beta_2=0.9"]) as processes:
        assert statuses(processes) == [2, 2]
    for index in (0, 1):
        text = said(tmp_path, index)
        assert "Traceback" not in text
        assert "the workers do not agree on the config" in text
        assert "optimizer.beta_2\n" in text
    assert not (tmp_path / RunFolder(NAME).checkpoints).exists()


@pytest.mark.slow
@pytest.mark.parametrize("index", [0, 1])
def test_a_signal_to_any_worker_stops_all_and_they_continue_bit_for_bit(
    unbroken, tmp_path, index
):
    training = SECTIONS["training"] | {"total_iterations": 100_000}
    write_config(tmp_path, **SECTIONS | {"training": training})
    with started(tmp_path) as processes:
        wait_for_rows(tmp_path, 1, processes)
        processes[index].send_signal(signal.SIGTERM)
        assert statuses(processes) == [75, 75]
    stopped = checkpoints_in(tmp_path)[-1]
    assert rows_in(tmp_path, "scalars.jsonl")[-1]["iteration"] == stopped
    assert f"stopped after {stopped} iteration" in said(tmp_path, 0)
    assert f"the chief ended after iteration {stopped}" in said(tmp_path, 1)
    assert 0 < stopped < END
    write_config(tmp_path, **SECTIONS)
    train_together(tmp_path)
    assert_same_run(unbroken, tmp_path, END)


@pytest.mark.slow
@pytest.mark.parametrize("index", [0, 1])
def test_a_killed_worker_ends_the_others_and_they_continue_bit_for_bit(
    unbroken, tmp_path, index
):
    write_config(tmp_path, **SECTIONS)
    with started(tmp_path) as processes:
        wait_for_rows(tmp_path, 4, processes)
        processes[index].kill()
        other = processes[1 - index]
        assert other.wait(LOST_SECONDS) == 75
    text = said(tmp_path, 1 - index)
    assert "a worker was lost" in text and "Traceback" not in text
    assert checkpoints_in(tmp_path)
    train_together(tmp_path)
    assert_same_run(unbroken, tmp_path, END)


@pytest.mark.slow
def test_workers_follow_the_chief_back_and_end_with_its_status(tmp_path):
    spikes = [
        {"iteration": iteration, "network": "generator", "factor": float("inf")}
        for iteration in (3, 4)
    ]
    training = SECTIONS["training"] | {
        "checkpoint_every_iterations": 2,
        "max_skipped_iterations": 2,
        "max_rollbacks": 1,
    }
    sections = SECTIONS | {"training": training, "debug": {"inject_spikes": spikes}}
    write_config(tmp_path, **sections)
    train_together(tmp_path)
    assert "rolled back to checkpoint 2" in said(tmp_path, 0)
    assert arrays_at(tmp_path, END)["rollbacks"] == 1

    with_none = tmp_path / "gone-bad"
    with_none.mkdir()
    training = training | {"max_rollbacks": 0}
    write_config(with_none, **sections | {"training": training})
    with started(with_none) as processes:
        assert statuses(processes) == [3, 3]


@pytest.mark.slow
def test_continuing_with_another_number_of_replicas_is_said_not_to_be_exact(tmp_path):
    training = SECTIONS["training"] | {"total_iterations": 3}
    write_config(tmp_path, **SECTIONS | {"training": training})
    train_together(tmp_path)
    runtime = {"distribution": "none"}
    write_config(tmp_path, **SECTIONS | {"runtime": runtime})
    ended = train_in_process(tmp_path)
    assert ended.returncode == 0
    assert "1 replica in place of 2: equal up to the order of sums" in ended.stdout


@pytest.mark.slow
def test_a_worker_that_comes_late_is_told_so(tmp_path):
    training = SECTIONS["training"] | {"total_iterations": 100_000}
    write_config(tmp_path, **SECTIONS | {"training": training})
    ports = free_ports(2)
    with started(tmp_path, ports=ports) as processes:
        wait_for_rows(tmp_path, 1, processes)
        late = subprocess.run(
            command(),
            cwd=tmp_path,
            env=user_environment() | {"TF_CONFIG": tf_config(ports, 1)},
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
        )
        assert late.returncode == 75
        assert "the workers do not meet" in late.stderr
        assert "Traceback" not in late.stderr
        wait_for_rows(tmp_path, 3, processes)  # the others go on
