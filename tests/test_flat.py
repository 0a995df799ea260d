"""A long run takes no more memory, files and threads than a short one.

50,000 iterations take ten minutes alone, thirty beside other work:
MAGNETOSPHERE_ITERATIONS=50000.
"""

import os
import pathlib
import subprocess
import time

import pytest
from tiny_run import NAME, TINY, command, user_environment, write_config

from records.run_folder import RunFolder

TOTAL = int(os.environ.get("MAGNETOSPHERE_ITERATIONS", "3000"))
EVERY = 100  # iterations: a grid, a checkpoint and a page
WARM_UP = 0.3  # of the run; after that, nothing may grow
# What a page draws of a row stays in memory until there are 16,384: 400 bytes a row.
MOST_BYTES_A_ROW = 1000
SLACK_BYTES = 20 * 2**20  # the allocator's, and of caches that fill slowly
SECTIONS = {
    "optimizer": {"name": "sgd", "learning_rate": 1e-4},  # learns next to nothing
    "training": TINY["training"]
    | {
        "total_iterations": TOTAL,
        "sample_every_iterations": EVERY,
        "checkpoint_every_iterations": EVERY,
    },
}


def taken_by(process):
    """Returns resident bytes, open files and threads of a process."""
    folder = pathlib.Path("/proc", str(process.pid))
    lines = (folder / "status").read_text().splitlines()
    status = dict(line.split(":", 1) for line in lines)
    num_files = len(os.listdir(folder / "fd"))
    num_bytes = 1024 * int(status["VmRSS"].split()[0])
    return num_bytes, num_files, int(status["Threads"])


@pytest.mark.slow
@pytest.mark.fault("many iterations: memory, files, threads")
def test_memory_files_and_threads_are_the_same_after_many_iterations(tmp_path):
    write_config(tmp_path, **SECTIONS)
    checkpoints = tmp_path / RunFolder(NAME).checkpoints
    seen = {}
    with subprocess.Popen(
        command(),
        cwd=tmp_path,
        env=user_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as process:
        while process.poll() is None:
            done = max((int(p.stem) for p in checkpoints.glob("0*.*")), default=0)
            if WARM_UP * TOTAL < done < TOTAL and done not in seen:
                try:
                    seen[done] = taken_by(process)
                except (OSError, KeyError):
                    break  # it has just ended
            time.sleep(0.05)
        complained = process.stderr.read()
    assert process.returncode == 0, complained
    first, last = min(seen), max(seen)
    assert last - first > 0.5 * TOTAL
    for place, name in ((1, "files"), (2, "threads")):
        usual = sorted(taken[place] for taken in seen.values())[len(seen) // 2]
        assert seen[last][place] <= usual + 1, (name, seen)
    grown = seen[last][0] - seen[first][0]
    assert grown < SLACK_BYTES + MOST_BYTES_A_ROW * (last - first), seen
