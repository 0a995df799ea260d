"""Detects the device, and the precision, compilation and memory it allows."""

import contextlib
import dataclasses
import os
import pathlib
import platform
import resource

import tensorflow as tf

from settings.config import RuntimeConfig
from settings.messages import Problem

BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16"}
BFLOAT16_COMPUTE_CAPABILITY = (8, 0)  # Ampere; older cards emulate bfloat16 slowly
# A card's device file, or the driver that WSL provides.
NVIDIA_MARKS = ("dev/nvidia[0-9]*", "usr/lib/wsl/lib/libcuda.so.1")

OUT_OF_MEMORY = (tf.errors.ResourceExhaustedError, MemoryError)

NO_GPU_CURE = """\
this machine has an NVIDIA card that TensorFlow cannot use
  expected: tf.config.list_physical_devices("GPU") to name it
  found:    no GPU
  cure:     .venv/bin/pip install -r requirements-gpu.lock (and a driver of version 525
            or newer: `nvidia-smi` shows it); or train on the CPU all the same with
            --set runtime.device=cpu"""


@dataclasses.dataclass(frozen=True)
class Device:
    """A device to train on.

    Attributes:
        kind: "cpu" or "gpu".
        name: A human-readable name.
        fast_bfloat16: Whether bfloat16 is faster than float32.
    """

    kind: str
    name: str
    fast_bfloat16: bool


def has_nvidia_card() -> bool:
    """Tells whether there is an NVIDIA card, whether or not TensorFlow sees it."""
    return any(any(pathlib.Path("/").glob(mark)) for mark in NVIDIA_MARKS)


def find_device(wanted: str) -> Device:
    """Finds the device to train on; `wanted` is "auto", "cpu" or "gpu".

    Raises:
        Problem: If a GPU is wanted, or present and not ruled out by "cpu", but
            TensorFlow cannot use it.
    """
    if wanted == "cpu":
        tf.config.set_visible_devices([], "GPU")
        return _cpu()
    device = usable_device()
    if device.kind == "gpu":
        return device
    if has_nvidia_card():
        raise Problem(NO_GPU_CURE)
    if wanted == "gpu":
        raise Problem(
            "runtime.device\n  expected: a GPU that TensorFlow can use\n"
            "  found:    none on this machine; a new run trains on the CPU with `auto` "
            "or `cpu`, and one that began on a GPU branches off to it with --from"
        )
    return device


def usable_device() -> Device:
    """Returns the GPU if TensorFlow can use one, else the CPU; never raises."""
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return _cpu()
    with contextlib.suppress(RuntimeError):  # too late once a GPU is in use
        tf.config.set_visible_devices(gpus[:1], "GPU")
        tf.config.experimental.set_memory_growth(gpus[0], True)
    details = tf.config.experimental.get_device_details(gpus[0])
    capability = details.get("compute_capability", (0, 0))
    name = details.get("device_name", gpus[0].name)
    return Device("gpu", name, capability >= BFLOAT16_COMPUTE_CAPABILITY)


def share_gpu() -> None:
    """Leaves GPU memory to runs in training, and makes images reproducible."""
    for gpu in tf.config.list_physical_devices("GPU"):
        with contextlib.suppress(RuntimeError):  # too late once a GPU is in use
            tf.config.experimental.set_memory_growth(gpu, True)
        tf.config.experimental.enable_op_determinism()


def _cpu() -> Device:
    try:
        text = pathlib.Path("/proc/cpuinfo").read_text()
    except OSError:
        text = ""
    pairs = [line.partition(":") for line in text.splitlines()]
    fields = {key.strip(): value.strip() for key, _, value in pairs}
    flags = set(fields.get("flags", "").split())
    has_affinity = hasattr(os, "sched_getaffinity")  # as on Linux
    cores = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count()
    name = fields.get("model name") or platform.processor() or "CPU"
    return Device("cpu", f"{name}, {cores} cores", bool(flags & BFLOAT16_FLAGS))


def resolved_runtime(runtime: RuntimeConfig, device: Device) -> RuntimeConfig:
    """Replaces every `auto` with the fastest choice for the device.

    On a CPU, convolutions are three to four times slower with XLA, the update of the
    weights is faster, and bfloat16 is up to twice as fast where supported
    (benchmarks/precision_and_compile.py). On a GPU, XLA should win by fusing optimizer
    and augmentation; not measured there yet.
    """
    chosen = {
        "precision": "bfloat16" if device.fast_bfloat16 else "float32",
        "compile": "xla" if device.kind == "gpu" else "xla_update",
        "device": device.kind,
        "deterministic": True,
    }
    changes = {k: v for k, v in chosen.items() if getattr(runtime, k) == "auto"}
    return runtime.model_copy(update=changes)


def peak_memory_gib(device: Device) -> float:
    """Returns the peak memory use so far: of the GPU, or of this process."""
    if device.kind == "gpu":
        return tf.config.experimental.get_memory_info("GPU:0")["peak"] / 2**30
    unit = 1 if platform.system() == "Darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30
