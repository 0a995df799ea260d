"""A run killed again and again, also inside a save, ends as the unbroken one."""

import random
import signal
import subprocess
import time

import pytest
from tiny_run import (
    NAME,
    assert_same_run,
    checkpoints_in,
    command,
    rows_in,
    train_in_process,
    user_environment,
    write_config,
)

from files.atomic import unfinished_in
from records.run_folder import RunFolder

TOTAL = 400
NUM_KILLS = 24
NUM_KILLS_AT_START = 4
SPIKES = [
    {"iteration": iteration, "network": network, "factor": float("inf")}
    for network in ("generator", "discriminator")
    for iteration in range(7 + len(network), TOTAL, 29)
]
SECTIONS = {
    "optimizer": {"schedule": "cosine", "schedule_iterations": 500},
    "loss": {"penalty": "r1_r2", "penalty_every_iterations": 2},
    "augment": {
        "policy": "adaptive",
        "adjust_every_iterations": 3,
        "kimg_to_full": 1,
        "operations": ["brightness", "translation"],
    },
    "training": {
        "total_iterations": TOTAL,
        "checkpoint_every_iterations": 2,
        "sample_every_iterations": 5,
    },
    "debug": {"inject_spikes": SPIKES},
    "runtime": {"precision": "bfloat16"},
}


def leftovers(folder):
    """Returns what an interrupted save left among the checkpoints."""
    return list(unfinished_in(folder / RunFolder(NAME).checkpoints))


def newest_in(folder):
    return max(checkpoints_in(folder), default=0)


def wait_for(process, is_so, seconds):
    """Waits, without a pause, until something is so or the process or time is over."""
    deadline = time.monotonic() + seconds
    while not is_so() and process.poll() is None and time.monotonic() < deadline:
        pass


def kill(process, folder, rng, kind):
    """Kills a process at its start, some iterations on, or while it saves."""
    if kind == "start":
        time.sleep(rng.uniform(0, 10))  # it imports, reads its data, traces
    else:
        goal = newest_in(folder) + rng.randint(1, 10)
        wait_for(process, lambda: newest_in(folder) >= goal, 600)
    if kind == "saving":
        wait_for(process, lambda: leftovers(folder), 60)
    elif kind == "training":
        time.sleep(rng.uniform(0, 0.2))
    process.kill()
    return process.wait()


@pytest.mark.slow
@pytest.mark.fault("kill: at random, real processes")
def test_a_run_killed_at_any_moment_ends_as_the_unbroken_one_bit_for_bit(
    tmp_path, tries
):
    killed, unbroken = tmp_path / "killed", tmp_path / "unbroken"
    for folder in (killed, unbroken):
        (folder / RunFolder(NAME).checkpoints).mkdir(parents=True)
        write_config(folder, **SECTIONS)
    assert train_in_process(unbroken).returncode == 0
    assert len(rows_in(unbroken, "spikes.jsonl")) > 20

    rng = random.Random(0)
    kinds = ["start"] * NUM_KILLS_AT_START
    kinds += ["training", "saving"] * ((NUM_KILLS - len(kinds)) // 2)
    rng.shuffle(kinds)
    num_inside_a_save = 0
    for kind in kinds:
        with subprocess.Popen(
            command(),
            cwd=killed,
            env=user_environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            assert kill(process, killed, rng, kind) == -signal.SIGKILL
        num_inside_a_save += bool(leftovers(killed))
    assert 0 < newest_in(killed) < TOTAL
    assert num_inside_a_save >= 3
    assert train_in_process(killed).returncode == 0
    with tries.nothing_lost(NUM_KILLS):
        assert_same_run(killed, unbroken, TOTAL)
        assert checkpoints_in(killed) == checkpoints_in(unbroken)
    assert leftovers(killed) == []
    tries.add(NUM_KILLS)
