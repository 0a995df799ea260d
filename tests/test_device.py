"""Cards that TensorFlow fails on are refused, and slow first starts announced."""

import pytest
import tensorflow as tf
from tiny_run import DEVICE, train_in

from settings.config import RuntimeConfig
from settings.messages import Problem
from training import device

# What TensorFlow 2.21.0's own wheel says of itself.
WHEEL = {
    "cuda_version": "12.5.1",
    "cuda_compute_capabilities": ["sm_60", "sm_70", "sm_80", "sm_89", "compute_90"],
}
# What NVIDIA and TensorFlow call them.
GTX_980 = ("NVIDIA GeForce GTX 980", (5, 2))
P100 = ("Tesla P100-PCIE-16GB", (6, 0))
RTX_3090 = ("NVIDIA GeForce RTX 3090", (8, 6))
RTX_4090 = ("NVIDIA GeForce RTX 4090", (8, 9))
H100 = ("NVIDIA H100 80GB HBM3", (9, 0))
B200 = ("NVIDIA B200", (10, 0))
RTX_5090 = ("NVIDIA GeForce RTX 5090", (12, 0))


def unset_cache_size(monkeypatch):
    """Removes the variable; set before, so that it is put back as it was."""
    monkeypatch.setenv(device.CACHE_SIZE, "")
    monkeypatch.delenv(device.CACHE_SIZE)


@pytest.fixture
def put_in(monkeypatch):
    """Returns a function that puts a card into this machine, and a TensorFlow."""
    unset_cache_size(monkeypatch)

    def put(card, version="2.21.0", build=WHEEL):
        gpu = tf.config.PhysicalDevice("/physical_device:GPU:0", "GPU")
        name, capability = card
        details = {"device_name": name, "compute_capability": capability}
        experimental = tf.config.experimental
        monkeypatch.setattr(device, "has_nvidia_card", lambda: True)
        monkeypatch.setattr(tf.config, "list_physical_devices", lambda _: [gpu])
        monkeypatch.setattr(tf.config, "set_visible_devices", lambda *_: None)
        monkeypatch.setattr(experimental, "set_memory_growth", lambda *_: None)
        monkeypatch.setattr(experimental, "enable_op_determinism", lambda: None)
        monkeypatch.setattr(experimental, "get_device_details", lambda _: details)
        monkeypatch.setattr(tf.sysconfig, "get_build_info", lambda: build)
        monkeypatch.setattr(tf, "__version__", version)

    return put


@pytest.mark.parametrize("card", [B200, RTX_5090])
@pytest.mark.parametrize("wanted", ["auto", "gpu"])
def test_a_blackwell_card_is_refused_with_what_to_do(put_in, card, wanted):
    put_in(card)
    with pytest.raises(Problem) as refused:
        device.find_device(wanted)
    assert refused.value.status == 2
    words = str(refused.value)
    assert card[0] in words and ".".join(map(str, card[1])) in words
    assert "compute capability below 10.0" in words
    assert "TensorFlow 2.21.0, built for CUDA 12.5.1" in words
    assert "CUDA 12.8 or newer" in words and "--set runtime.device=cpu" in words


def test_a_blackwell_card_is_refused_for_generating_too(put_in):
    put_in(RTX_5090)
    with pytest.raises(Problem, match="CUDA_VISIBLE_DEVICES= before any command"):
        device.share_gpu()


def test_a_card_ruled_out_is_not_refused(put_in):
    put_in(RTX_5090)
    assert device.find_device("cpu").kind == "cpu"


@pytest.mark.parametrize(
    ("version", "build"),
    [
        ("2.22.0", WHEEL),
        ("2.22.0-rc1", WHEEL),
        ("3.0.0", {}),
        ("2.21.0", WHEEL | {"cuda_version": "12.8"}),
        ("2.17.0", WHEEL | {"cuda_version": "13.0.1"}),
    ],
)
def test_a_tensorflow_that_may_know_blackwell_is_let_try(put_in, version, build):
    put_in(RTX_5090, version, build)
    assert device.find_device("auto").name == RTX_5090[0]


def test_a_card_older_than_all_kernels_is_refused(put_in):
    put_in(GTX_980)
    with pytest.raises(Problem) as refused:
        device.find_device("auto")
    words = str(refused.value)
    assert "compute capability 6.0 up" in words and "GTX 980" in words
    assert "CUDA 12.8" not in words


@pytest.mark.parametrize("card", [P100, RTX_3090, RTX_4090])
def test_a_card_that_kernels_are_built_for_is_used_without_a_word(put_in, card, capsys):
    put_in(card)
    assert device.find_device("auto").name == card[0]
    assert capsys.readouterr() == ("", "")


def test_a_card_of_unknown_capability_is_used_without_a_word(put_in, capsys):
    put_in(H100)
    unknown = {"device_name": "a card"}
    device.refuse_unusable_card(unknown)
    device.say_first_start(unknown)
    assert capsys.readouterr() == ("", "")


def test_hopper_is_told_that_its_first_start_compiles_and_the_cache_is_set(
    put_in, capsys
):
    put_in(H100)
    assert device.find_device("auto").fast_bfloat16
    said = capsys.readouterr().out
    assert said.startswith(H100[0]) and said.count("\n") == 1
    assert "minutes" in said and "keeps them for the next" in said
    assert device.os.environ["CUDA_CACHE_MAXSIZE"] == "4294967296"


@pytest.mark.parametrize("size", ["1073741824", "", "many"])
def test_hopper_with_too_small_a_cache_is_warned_and_it_stays(
    put_in, capsys, monkeypatch, size
):
    put_in(H100)
    monkeypatch.setenv("CUDA_CACHE_MAXSIZE", size)
    device.find_device("auto")
    warned = capsys.readouterr().err
    assert warned.startswith("warning: ") and warned.count("\n") == 1
    assert f"CUDA_CACHE_MAXSIZE={size} is too small" in warned
    assert "4294967296" in warned
    assert device.os.environ["CUDA_CACHE_MAXSIZE"] == size


def test_hopper_with_kernels_of_its_own_is_told_nothing(put_in, capsys):
    put_in(H100, build=WHEEL | {"cuda_compute_capabilities": ["sm_80", "sm_90a"]})
    device.find_device("auto")
    assert capsys.readouterr() == ("", "")


def test_of_all_this_nothing_is_said_on_a_cpu(capsys, monkeypatch):
    monkeypatch.setattr(device, "has_nvidia_card", lambda: False)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda _: [])
    unset_cache_size(monkeypatch)
    assert device.find_device("auto").kind == "cpu"
    device.share_gpu()
    assert capsys.readouterr() == ("", "")
    assert device.CACHE_SIZE not in device.os.environ


def test_auto_is_what_is_fastest_on_the_device():
    cpu = device.resolved_runtime(RuntimeConfig(), device.Device("cpu", "", False))
    assert (cpu.compile, cpu.precision) == ("xla_update", "float32")
    gpu = device.resolved_runtime(RuntimeConfig(), device.Device("gpu", "", True))
    assert (gpu.compile, gpu.precision) == ("xla", "bfloat16")
    chosen = RuntimeConfig(compile="graph", precision="float32")
    kept = device.resolved_runtime(chosen, device.Device("gpu", "", True))
    assert (kept.compile, kept.precision) == ("graph", "float32")


AVX512 = "fpu avx2 avx512f avx512_bf16"


@pytest.mark.parametrize(
    ("vendor", "flags", "fast"),
    [
        ("AuthenticAMD", "fpu avx2", False),
        ("AuthenticAMD", AVX512, True),
        ("GenuineIntel", AVX512, False),
        ("GenuineIntel", f"{AVX512} amx_bf16 amx_tile", True),
    ],
)
def test_bfloat16_is_chosen_on_the_processors_that_it_is_fast_on(
    tmp_path, monkeypatch, vendor, flags, fast
):
    details = tmp_path / "cpuinfo"
    details.write_text(f"vendor_id\t: {vendor}\nmodel name\t: X\nflags\t\t: {flags}\n")
    monkeypatch.setattr(device, "CPU_DETAILS", details)
    found = device.find_device("cpu")
    assert found.fast_bfloat16 == fast
    chosen = device.resolved_runtime(RuntimeConfig(), found).precision
    assert chosen == ("bfloat16" if fast else "float32")


NO_REWRITING = {"disable_meta_optimizer": True}
DETERMINISM = "op determinism"


@pytest.mark.parametrize(
    ("kind", "deterministic", "expected"),
    [
        ("cpu", "auto", [NO_REWRITING]),
        ("cpu", False, [NO_REWRITING]),
        ("gpu", "auto", [DETERMINISM]),
        ("gpu", True, [DETERMINISM]),
        ("gpu", False, []),
    ],
)
def test_graphs_are_not_rewritten_on_a_cpu_and_kernels_reproducible_on_a_gpu(
    monkeypatch, kind, deterministic, expected
):
    chosen, config = [], tf.config
    monkeypatch.setattr(
        config.experimental, "enable_op_determinism", lambda: chosen.append(DETERMINISM)
    )
    monkeypatch.setattr(config.optimizer, "set_experimental_options", chosen.append)
    runtime = RuntimeConfig(deterministic=deterministic)
    device.configure_tensorflow(runtime, device.Device(kind, "", False))
    assert chosen == expected


@pytest.mark.skipif(DEVICE != "cpu", reason="tests train on a GPU")
def test_training_on_a_cpu_goes_without_rewriting_graphs(tmp_path):
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False})
    train_in(tmp_path, training={"total_iterations": 1})
    options = tf.config.optimizer.get_experimental_options()
    assert options["disable_meta_optimizer"]
