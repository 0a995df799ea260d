"""Detects the device, and the precision, compilation and memory it allows."""

import contextlib
import dataclasses
import os
import pathlib
import platform
import re
import resource
from typing import Any

import tensorflow as tf

from files.counted import counted
from settings.config import RuntimeConfig
from settings.messages import Problem, say
from training.distribution.workers import Workers

CPU_DETAILS = pathlib.Path("/proc/cpuinfo")
BFLOAT16_COMPUTE_CAPABILITY = (8, 0)  # Ampere; older cards emulate bfloat16 slowly
# A card's device file, or the driver that WSL provides.
NVIDIA_MARKS = ("dev/nvidia[0-9]*", "usr/lib/wsl/lib/libcuda.so.1")

# Where CUDA keeps what it compiles for a card, and how much of it; its default, 1 GiB,
# is less than TensorFlow's kernels take.
CACHE_SIZE = "CUDA_CACHE_MAXSIZE"
WANTED_CACHE_BYTES = 4 * 2**30
LEAST_CACHE_BYTES = 2 * 2**30
BLACKWELL = (10, 0)
# TensorFlow's wheels up to this version fail on Blackwell with INVALID_PTX, being built
# for a CUDA older than the one that introduced it.
LAST_VERSION_BEFORE_BLACKWELL = (2, 21)
FIRST_CUDA_FOR_BLACKWELL = (12, 8)

OUT_OF_MEMORY = (tf.errors.ResourceExhaustedError, MemoryError)

NO_GPU_CURE = """\
this machine has an NVIDIA card that TensorFlow cannot use
  expected: tf.config.list_physical_devices("GPU") to name it
  found:    no GPU
  cure:     .venv/bin/pip install -r requirements-gpu.lock (and a driver of version 525
            or newer: `nvidia-smi` shows it); or train on the CPU all the same with
            --set runtime.device=cpu"""

CARD_CURE = """\
this TensorFlow cannot use the card
  expected: compute capability {expected}
            (TensorFlow {version}, built for CUDA {cuda})
  found:    {name}, compute capability {found}
  cure:     {newer}another card (CUDA_VISIBLE_DEVICES chooses); or the CPU:
            --set runtime.device=cpu, or CUDA_VISIBLE_DEVICES= before any command"""
NEWER_CURE = """\
a TensorFlow, or a container with one, made for CUDA 12.8 or newer; or
            """


@dataclasses.dataclass(frozen=True)
class Device:
    """A device to train on.

    Attributes:
        kind: "cpu" or "gpu".
        name: A human-readable name.
        fast_bfloat16: Whether bfloat16 is faster than float32.
        strategy: Of tf.distribute, if there are several replicas.
        workers: The processes that train together, if there are several.
    """

    kind: str
    name: str
    fast_bfloat16: bool
    strategy: tf.distribute.Strategy | None = None
    workers: Workers | None = None

    @property
    def num_replicas(self) -> int:
        """How many replicas share a batch."""
        return 1 if self.strategy is None else self.strategy.num_replicas_in_sync


def has_nvidia_card() -> bool:
    """Tells whether there is an NVIDIA card, whether or not TensorFlow sees it."""
    return any(any(pathlib.Path("/").glob(mark)) for mark in NVIDIA_MARKS)


def find_device(wanted: str, all_gpus: bool = False) -> Device:
    """Finds the device to train on; `wanted` is "auto", "cpu" or "gpu".

    `all_gpus` leaves all of them visible, not the first alone.

    Raises:
        Problem: If a GPU is wanted, or present and not ruled out by "cpu", but
            TensorFlow cannot use it.
    """
    if wanted == "cpu":
        tf.config.set_visible_devices([], "GPU")
        return _cpu()
    device = usable_device(all_gpus)
    if device.kind == "gpu":
        details = card_details()
        refuse_unusable_card(details)
        say_first_start(details)
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


def usable_device(all_gpus: bool = False) -> Device:
    """Returns the GPU if TensorFlow sees one, else the CPU; never raises."""
    keep_compiled_kernels()
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return _cpu()
    with contextlib.suppress(RuntimeError):  # too late once a GPU is in use
        used = gpus if all_gpus else gpus[:1]
        tf.config.set_visible_devices(used, "GPU")
        for gpu in used:
            tf.config.experimental.set_memory_growth(gpu, True)
    details = card_details()
    capability = details.get("compute_capability", (0, 0))
    name = details.get("device_name", gpus[0].name)
    return Device("gpu", name, capability >= BFLOAT16_COMPUTE_CAPABILITY)


def card_details() -> dict[str, Any]:
    """Returns what TensorFlow knows of the first GPU; empty without one."""
    gpus = tf.config.list_physical_devices("GPU")
    return dict(tf.config.experimental.get_device_details(gpus[0])) if gpus else {}


def keep_compiled_kernels() -> None:
    """Lets CUDA keep all kernels that it compiles, unless the user chose a size.

    CUDA reads the size when it starts, which is when TensorFlow first looks for GPUs.
    """
    if has_nvidia_card():
        os.environ.setdefault(CACHE_SIZE, str(WANTED_CACHE_BYTES))


def refuse_unusable_card(details: dict[str, Any]) -> None:
    """Refuses a card that this TensorFlow is known to fail on, too new or too old.

    `details` is as `card_details` returns it. A card of unknown compute capability is
    not refused.

    Raises:
        Problem: Says which card, and what to do.
    """
    found = details.get("compute_capability")
    if found is None:
        return
    built_for = [capability for _, capability in built_capabilities()]
    is_too_new = tuple(found) >= BLACKWELL and not is_made_for_blackwell()
    is_too_old = bool(built_for) and tuple(found) < min(built_for)
    if not (is_too_new or is_too_old):
        return
    oldest = _dotted(min(built_for)) if built_for else "any"
    raise Problem(
        CARD_CURE.format(
            expected=f"below {_dotted(BLACKWELL)}" if is_too_new else f"{oldest} up",
            version=tf.__version__,
            cuda=tf.sysconfig.get_build_info().get(
                "cuda_version", "of unknown version"
            ),
            name=details.get("device_name", "a card"),
            found=_dotted(found),
            newer=NEWER_CURE if is_too_new else "",
        )
    )


def say_first_start(details: dict[str, Any]) -> None:
    """Says that the first start takes minutes, if CUDA must compile for the card.

    It must where TensorFlow brings PTX for the card's generation, but no machine code.
    """
    found = tuple(details.get("compute_capability", ()))
    compiled = [capability for kind, capability in built_capabilities() if kind == "sm"]
    if not found or not compiled or found[0] in {major for major, _ in compiled}:
        return
    line = (
        f"{details.get('device_name', 'this card')}: at the first start CUDA compiles "
        "TensorFlow's kernels, which takes minutes, for some half an hour"
    )
    size = os.environ.get(CACHE_SIZE, "")
    if size.isdecimal() and int(size) >= LEAST_CACHE_BYTES:
        say(f"{line}; it keeps them for the next")
    else:
        say(
            f"warning: {line}, and {CACHE_SIZE}={size} is too small to keep them for "
            f"the next: unset it, or set it to {WANTED_CACHE_BYTES}"
        )


def built_capabilities() -> list[tuple[str, tuple[int, int]]]:
    """Returns what TensorFlow's kernels are built for, empty if it does not say.

    Each is "sm" (machine code) or "compute" (PTX, which CUDA compiles for the card),
    and the compute capability: ("sm", (8, 9)).
    """
    names = tf.sysconfig.get_build_info().get("cuda_compute_capabilities", [])
    parts = [re.match(r"(sm|compute)_(\d+)(\d)", name) for name in names]
    return [(p[1], (int(p[2]), int(p[3]))) for p in parts if p]


def is_made_for_blackwell() -> bool:
    """Tells whether this TensorFlow may know compute capability 10.0 and above."""
    cuda = tf.sysconfig.get_build_info().get("cuda_version", "")
    return (
        _first_two(tf.__version__) > LAST_VERSION_BEFORE_BLACKWELL
        or _first_two(cuda) >= FIRST_CUDA_FOR_BLACKWELL
    )


def _first_two(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2])


def _dotted(capability: tuple[int, ...]) -> str:
    return ".".join(map(str, capability))


def share_gpu() -> None:
    """Leaves GPU memory to runs in training, and makes images reproducible.

    Raises:
        Problem: If TensorFlow cannot use the card.
    """
    keep_compiled_kernels()
    refuse_unusable_card(card_details())
    for gpu in tf.config.list_physical_devices("GPU"):
        with contextlib.suppress(RuntimeError):  # too late once a GPU is in use
            tf.config.experimental.set_memory_growth(gpu, True)
        tf.config.experimental.enable_op_determinism()


def _cpu() -> Device:
    try:
        text = CPU_DETAILS.read_text()
    except OSError:
        text = ""
    pairs = [line.partition(":") for line in text.splitlines()]
    fields = {key.strip(): value.strip() for key, _, value in pairs}
    flags = set(fields.get("flags", "").split())
    has_affinity = hasattr(os, "sched_getaffinity")  # as on Linux
    cores = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count()
    name = fields.get("model name") or platform.processor() or "CPU"
    where = f"{name}, {counted(cores or 1, 'core')}"
    # Intel's AVX512-BF16 without AMX is slower than float32 (docs/performance.md).
    by_avx512 = "avx512_bf16" in flags and fields.get("vendor_id") == "AuthenticAMD"
    return Device("cpu", where, by_avx512 or "amx_bf16" in flags)


def resolved_runtime(runtime: RuntimeConfig, device: Device) -> RuntimeConfig:
    """Replaces every `auto` with the fastest choice for the device.

    On a CPU, XLA is three to four times slower at convolutions and faster at the update
    of the weights (docs/performance.md), and bfloat16 was up to twice as fast on some
    that support it, in measurements whose rows were not kept. On a GPU, XLA should win
    by fusing optimizer and augmentation; not measured there yet. With several replicas
    the step is more than XLA can compile, which knows one device.
    """
    by_xla = device.kind == "gpu" and device.num_replicas == 1
    chosen = {
        "precision": "bfloat16" if device.fast_bfloat16 else "float32",
        "compile": "xla" if by_xla else "xla_update",
        "device": device.kind,
        "deterministic": True,
    }
    changes = {k: v for k, v in chosen.items() if getattr(runtime, k) == "auto"}
    return runtime.model_copy(update=changes)


def configure_tensorflow(runtime: RuntimeConfig, device: Device) -> None:
    """Chooses how TensorFlow computes in this process.

    On a GPU by reproducible kernels, if the runtime wants it. On a CPU without
    rewriting graphs (Grappler), which took a quarter or more of the first iterations'
    time and made later ones no faster (docs/performance.md).
    """
    if device.kind == "cpu":
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    elif runtime.deterministic:
        tf.config.experimental.enable_op_determinism()


def peak_memory_gib(device: Device) -> float:
    """Returns the peak memory use so far: of the GPU, or of this process."""
    if device.kind == "gpu":
        return tf.config.experimental.get_memory_info("GPU:0")["peak"] / 2**30
    unit = 1 if platform.system() == "Darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30
