"""Too little memory is an answer that names a batch size, not a death."""

import pytest
import tensorflow as tf

from commands import memory
from settings.config import Config
from settings.messages import Problem
from training.build import build_state
from training.device import Device

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
        memory.check_memory(CONFIG, CPU, state)
    assert "training.batch_size" in str(refused.value)
    assert "37 fits" in str(refused.value)
    assert "4096 does not" in str(refused.value)
    assert refused.value.status == 2


def test_a_cpu_too_small_for_one_image_is_told_so(state, monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: 10)
    with pytest.raises(Problem, match="lower model.base_channels"):
        memory.check_memory(CONFIG, CPU, state)


@pytest.mark.parametrize("available", [None, 10**15])
def test_enough_or_unknown_memory_is_not_refused(state, monkeypatch, available):
    monkeypatch.setattr(memory, "available_bytes", lambda: available)
    memory.check_memory(CONFIG, CPU, state)


def test_the_memory_of_a_gpu_is_not_guessed(state, monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: 10)
    memory.check_memory(CONFIG, GPU, state)
    assert memory.within_memory(CONFIG, GPU, lambda: 7) == 7


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
        memory.within_memory(CONFIG, GPU, action)
    assert tried == [2048, 1024, 512]


def test_only_whole_groups_are_tried_and_named(state, monkeypatch):
    model = CONFIG.model.model_copy(update={"stddev_group": 12})
    config = CONFIG.model_copy(update={"model": model})
    tried = []

    def one_iteration(config, batch_size):
        tried.append(batch_size)
        raise tf.errors.ResourceExhaustedError(None, None, "OOM")

    monkeypatch.setattr(memory, "try_one_iteration", one_iteration)
    assert memory.batch_size_that_fits(config) is None
    assert tried == [2040, 1020, 504, 252, 120, 60, 24, 12]
    enough = memory.predicted_bytes(state, config, 37)
    assert memory.largest_batch(state, config, enough) == 36
    monkeypatch.setattr(memory, "available_bytes", lambda: 10)
    with pytest.raises(Problem, match="at least one group of 12 images"):
        memory.check_memory(config, CPU, state)


def test_other_errors_are_not_taken_for_too_little_memory(state):
    def action():
        raise tf.errors.InvalidArgumentError(None, None, "a bug")

    with pytest.raises(tf.errors.InvalidArgumentError):
        memory.within_memory(CONFIG, GPU, action)


def test_the_machines_free_memory_is_read():
    available = memory.available_bytes()
    assert available is None or 10**8 < available < 10**14


@pytest.fixture
def control_groups(tmp_path, monkeypatch):
    """Returns a folder that is taken for the file system of control groups."""
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    monkeypatch.setattr(memory, "OWN_CGROUPS", tmp_path / "own")
    return tmp_path


def write_group(folder, limit, usage, cached, names=("max", "current")):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"memory.{names[0]}").write_text(f"{limit}\n")
    (folder / f"memory.{names[1]}").write_text(f"{usage}\n")
    text = f"anon 5\ninactive_file {cached}\nactive_file 1\n"
    (folder / "memory.stat").write_text(text)


def test_the_tightest_control_group_around_the_process_counts(control_groups):
    (control_groups / "own").write_text("0::/slurm/job\n")
    write_group(control_groups / "slurm", 9000, 1000, 10)
    write_group(control_groups / "slurm/job", "max", 500, 0)
    assert memory.available_bytes() == 9000 - 1000 + 11
    write_group(control_groups / "slurm/job", 2000, 500, 0)
    assert memory.available_bytes() == 2000 - 500 + 1


@pytest.mark.parametrize("controllers", ["memory", "cpuset,memory"])
def test_control_groups_of_version_1_count(control_groups, controllers):
    (control_groups / "own").write_text(f"5:cpu:/job\n4:{controllers}:/job\n0::/\n")
    names = ("limit_in_bytes", "usage_in_bytes")
    write_group(control_groups / "memory/job", 2000, 500, 100, names)
    assert memory.available_bytes() == 2000 - 500 + 101


def test_in_version_1_the_files_that_groups_below_have_cached_count(control_groups):
    (control_groups / "own").write_text("4:memory:/job/step\n")
    names = ("limit_in_bytes", "usage_in_bytes")
    write_group(control_groups / "memory/job", 2000, 1500, 0, names)
    with (control_groups / "memory/job/memory.stat").open("a") as file:
        file.write("total_inactive_file 700\ntotal_active_file 200\n")
    assert memory.available_bytes() == 2000 - 1500 + 900


@pytest.mark.parametrize("text", ["", "\n", "nonsense\n", "0::/\xff\n"])
def test_odd_control_groups_are_passed_over(control_groups, text):
    (control_groups / "own").write_bytes(text.encode("latin-1"))
    assert memory.available_bytes() > 10**8


def test_a_container_sees_its_group_as_the_topmost(control_groups):
    (control_groups / "own").write_text("0::/docker/0123\n")
    write_group(control_groups, 7000, 500, 0)
    assert memory.available_bytes() == 7000 - 500 + 1


def test_without_control_groups_the_machine_counts(control_groups):
    assert memory.available_bytes() > 10**8
