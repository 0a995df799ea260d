"""Too little memory is an answer that names a batch size, not a death."""

import pytest
import tensorflow as tf

from training import memory
from training.build import build_state
from training.config import Config
from training.device import Device
from training.problem import Problem

CPU = Device("cpu", "a processor", True)
GPU = Device("gpu", "a card", True)
CONFIG = Config(
    run={"name": "m"},
    data={"image_size": 32},
    model={"num_layers": 22, "base_channels": 2, "max_channels": 8},
    training={"batch_size": 4096},
    runtime={"precision": "float32", "compile": "graph", "deterministic": True},
)


@pytest.fixture(scope="module")
def state():
    return build_state(CONFIG)


def test_a_cpu_with_too_little_memory_is_told_the_largest_batch(state, monkeypatch):
    enough = memory.predicted_bytes(state, CONFIG, 37)
    monkeypatch.setattr(memory, "available_bytes", lambda: enough)
    with pytest.raises(Problem) as refused:
        memory.within_memory(CONFIG, CPU, state, lambda: pytest.fail("was run"))
    assert "training.batch_size" in str(refused.value)
    assert "37 fits" in str(refused.value)
    assert "4096 does not" in str(refused.value)
    assert refused.value.status == 2


def test_a_cpu_too_small_for_one_image_is_told_so(state, monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: 10)
    with pytest.raises(Problem, match="lower model.base_channels"):
        memory.within_memory(CONFIG, CPU, state, lambda: None)


@pytest.mark.parametrize("available", [None, 10**15])
def test_enough_or_unknown_memory_lets_the_action_run(state, monkeypatch, available):
    monkeypatch.setattr(memory, "available_bytes", lambda: available)
    assert memory.within_memory(CONFIG, CPU, state, lambda: 7) == 7


def test_a_gpu_that_ran_out_is_tried_with_half_the_batch_until_it_fits(
    state, monkeypatch
):
    tried = []

    def one_iteration(config, batch_size):
        tried.append(batch_size)
        if batch_size > 600:
            raise tf.errors.ResourceExhaustedError(None, None, "OOM")

    def action():
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating")

    monkeypatch.setattr(memory, "try_one_iteration", one_iteration)
    with pytest.raises(Problem, match="512 fits"):
        memory.within_memory(CONFIG, GPU, state, action)
    assert tried == [2048, 1024, 512]


def test_other_errors_are_not_taken_for_too_little_memory(state):
    def action():
        raise tf.errors.InvalidArgumentError(None, None, "a bug")

    with pytest.raises(tf.errors.InvalidArgumentError):
        memory.within_memory(CONFIG, GPU, state, action)


def test_the_machines_free_memory_is_read():
    available = memory.available_bytes()
    assert available is None or 10**8 < available < 10**14
