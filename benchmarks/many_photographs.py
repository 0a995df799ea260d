"""Measures starts with many photographs: the first, a killed one continued, the second.

    python -m benchmarks.many_photographs FOLDER [--count 200000]

makes that many small JPEGs in FOLDER (about 4 KB each), prepares them there at 64 px in
processes of their own, and reads batches in random order. Writes
benchmarks/results/many_photographs.json and the table in docs/photographs.md. FOLDER
also takes two caches and is not deleted; photographs that are there already are used.
"""

import argparse
import contextlib
import functools
import itertools
import json
import multiprocessing
import pathlib
import platform
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time

import numpy as np
from PIL import Image

import data
from benchmarks.results_page import markers_of, write_between
from benchmarks.turns import medians, timer_of, times_in_turn
from data import workers
from data.cached_images import CachedImages
from data.folder import opener
from files.atomic import write_text

IMAGE_SIZE = 64
BATCH = 32
ROUNDS = 3
NUM_DECODED = 10_000  # photographs a round, in threads and in processes
NUM_BATCHES = 1000  # a round, by pread and by memory map
FOLDERS = 100
RESULTS = pathlib.Path("benchmarks/results/many_photographs.json")
PAGE = pathlib.Path("docs/photographs.md")
MARKERS = markers_of("python -m benchmarks.many_photographs")
START = "--one-start"  # what this program runs itself with


def main() -> None:
    """Measures, and writes the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--count", type=int, default=200_000)
    parser.add_argument(START, metavar="CACHE", dest="cache", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    photographs = arguments.folder / "photographs"
    if arguments.cache:
        one_start(photographs, arguments.folder / arguments.cache)
        return
    make_photographs(photographs, arguments.count)
    for name in ("unbroken", "killed"):
        shutil.rmtree(arguments.folder / name, ignore_errors=True)
    results = {
        "machine": f"{platform.machine()}, {workers.num_cores()} cores",
        "count": arguments.count,
        "image_size": IMAGE_SIZE,
        "first": start(arguments.folder, "unbroken"),
        "killed": killed_start(arguments.folder, "killed", arguments.count),
        "continued": start(arguments.folder, "killed"),
        "second": start(arguments.folder, "killed"),
        "equal": same_files(arguments.folder / "unbroken", arguments.folder / "killed"),
        "decoding": decoding_rates(photographs),
        "reading": reading_rates(arguments.folder / "killed"),
    }
    write_text(RESULTS, json.dumps(results, indent=2) + "\n")
    write_between(PAGE, table(results), MARKERS)
    print(table(results))


def make_photographs(folder: pathlib.Path, count: int) -> None:
    """Writes JPEGs into sub-folders, unless the last of them is there."""
    for number in range(FOLDERS):
        (folder / f"{number:02}").mkdir(parents=True, exist_ok=True)
    if photograph_at(folder, count - 1).exists():
        return
    print(f"making {count:,} photographs in {folder}", flush=True)
    with multiprocessing.get_context("spawn").Pool() as pool:
        make = functools.partial(make_photograph, folder)
        for _ in pool.imap_unordered(make, range(count), chunksize=500):
            pass


def photograph_at(folder: pathlib.Path, number: int) -> pathlib.Path:
    """Returns the path of a photograph."""
    return folder / f"{number % FOLDERS:02}" / f"{number:07}.jpg"


def make_photograph(folder: pathlib.Path, number: int) -> None:
    """Writes soft random colours, 96 to 127 px wide and high."""
    rng = np.random.default_rng(number)
    colours = Image.fromarray(rng.integers(0, 256, (14, 14, 3), np.uint8))
    size = tuple(rng.integers(96, 128, 2).tolist())
    path = photograph_at(folder, number)
    colours.resize(size, Image.Resampling.BICUBIC).save(path, quality=88)


def one_start(photographs: pathlib.Path, cache: pathlib.Path) -> None:
    """Loads the photographs as a start does; prints what it took, as JSON."""
    began = time.perf_counter()
    of_workers = [0]
    threading.Thread(target=watch_workers, args=(of_workers,), daemon=True).start()
    images = data.load_images(
        "folder", image_size=IMAGE_SIZE, cache_dir=cache, path=photographs
    )
    seconds = time.perf_counter() - began
    print(
        json.dumps(
            {
                "seconds": round(seconds, 1),
                "mib": peak_mib(),
                "mib_of_a_worker": max(of_workers),
                "count": images.count,
            }
        )
    )


def peak_mib() -> int:
    """Returns the peak memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def watch_workers(peaks: list[int]) -> None:
    """Adds the peak memory of every process that decodes, again and again.

    What the system says of processes that have ended includes the memory of the one
    that started them.
    """
    while True:
        for process in multiprocessing.active_children():
            with contextlib.suppress(OSError, StopIteration):
                lines = open(f"/proc/{process.pid}/status").read().splitlines()
                peak = next(line for line in lines if line.startswith("VmHWM"))
                peaks.append(int(peak.split()[1]) // 1024)
        time.sleep(0.5)


def command(folder: pathlib.Path, cache: str) -> list[str]:
    """Returns the command of one start."""
    module = "benchmarks.many_photographs"
    return [sys.executable, "-m", module, str(folder), START, cache]


def start(folder: pathlib.Path, cache: str) -> dict:
    """Starts in a process of its own, and returns what it took."""
    ended = subprocess.run(
        command(folder, cache), check=True, stdout=subprocess.PIPE, text=True
    )
    *said, last = ended.stdout.splitlines()
    print("\n".join([*said, last]), flush=True)
    return json.loads(last)


def killed_start(folder: pathlib.Path, cache: str, count: int) -> dict:
    """Starts, and kills the process (SIGKILL) when half of the pixels are written."""
    half = count * IMAGE_SIZE**2 * 3 // 2
    began = time.perf_counter()
    process = subprocess.Popen(command(folder, cache), stdout=subprocess.DEVNULL)
    while sum(path.stat().st_size for path in unfinished(folder / cache)) < half:
        if process.poll() is not None:
            raise RuntimeError(f"it ended by itself, with status {process.returncode}")
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    return {"seconds": round(time.perf_counter() - began, 1)}


def unfinished(cache: pathlib.Path) -> list[pathlib.Path]:
    """Returns the files of pixels that are being written."""
    return list(cache.glob("[!.]*.npy.unfinished"))


def same_files(left: pathlib.Path, right: pathlib.Path) -> bool:
    """Tells whether two caches have the same files, byte for byte."""
    names = [
        sorted(path.name for path in side.glob("*.[nj]*")) for side in (left, right)
    ]
    return names[0] == names[1] and all(
        (left / name).read_bytes() == (right / name).read_bytes() for name in names[0]
    )


def decoding_rates(photographs: pathlib.Path) -> dict[str, float]:
    """Returns the photographs a second in threads and in processes, in turn."""
    found = itertools.islice(sorted(photographs.glob("*/*.jpg")), NUM_DECODED)
    files = [(path.name, opener(path)) for path in found]

    def decode(max_count: int) -> int:
        return sum(1 for _ in workers.prepare_all(files, IMAGE_SIZE, max_count))

    times = times_in_turn(
        {
            "threads": timer_of(lambda: decode(0)),
            "processes": timer_of(lambda: decode(len(files))),
        },
        ROUNDS,
    )
    return {name: len(files) / seconds for name, seconds in medians(times).items()}


def reading_rates(cache: pathlib.Path) -> dict[str, float]:
    """Returns the images a second in random batches, in turn, and the memory added.

    The file is in the system's page cache, as far as it fits.
    """
    (path,) = cache.glob("*.npy")
    about = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    pread = CachedImages(path, about["checksums"])
    mapped = np.load(path, mmap_mode="r")
    rng = np.random.default_rng(0)

    def read(images: object) -> None:
        for batch in rng.permutation(len(pread))[: NUM_BATCHES * BATCH].reshape(
            -1, BATCH
        ):
            images[batch]

    before = peak_mib()
    read(pread)
    added = peak_mib() - before
    times = times_in_turn(
        {
            "pread": timer_of(lambda: read(pread)),
            "memory map": timer_of(lambda: read(mapped)),
        },
        ROUNDS,
    )
    rates = {
        name: NUM_BATCHES * BATCH / seconds for name, seconds in medians(times).items()
    }
    return rates | {"mib_added": added}


def table(results: dict) -> str:
    """Returns the results as Markdown."""
    count, decoding, reading = (results[k] for k in ("count", "decoding", "reading"))
    rows = [
        ("first start", results["first"]),
        ("first start, killed half way (SIGKILL)", results["killed"]),
        ("the same, continued", results["continued"]),
        ("second start", results["second"]),
    ]
    lines = [
        f"{count:,} JPEGs of about 110 px, prepared at {results['image_size']} px "
        f"({results['machine']}). The cache that was continued is "
        f"{'equal to' if results['equal'] else 'DIFFERENT FROM'} the unbroken one, "
        "byte for byte.",
        "",
        "| | seconds | peak memory | of each process that decodes |",
        "| --- | ---: | ---: | ---: |",
    ]
    for name, row in rows:
        memory = [f"{row[key]} MiB" if row.get(key) else "" for key in MEMORY]
        lines.append(f"| {name} | {row['seconds']:.1f} | {' | '.join(memory)} |")
    ratio = decoding["processes"] / decoding["threads"]
    each = 1e6 / reading["pread"]
    lines += [
        "",
        f"Decoding, medians of {ROUNDS} rounds in turn: {decoding['processes']:,.0f} "
        f"photographs a second in processes, {decoding['threads']:,.0f} in threads: "
        f"{ratio:.2f} times as many.",
        "",
        f"Reading batches of {BATCH} in random order: {reading['pread']:,.0f} images a "
        f"second, checksums included ({each:.0f} microseconds each); through a memory "
        f"map, which checks nothing, {reading['memory map']:,.0f}. Memory grew by "
        f"{reading['mib_added']:.0f} MiB while {NUM_BATCHES * BATCH:,} were read.",
    ]
    return "\n".join(lines)


MEMORY = ("mib", "mib_of_a_worker")


if __name__ == "__main__":
    main()
