"""A copy of a run, taken while it trains as docs/runs.md says, continues exactly."""

import re
import shlex
import shutil
import subprocess
import time

import pytest
from tiny_run import (
    NAME,
    REPOSITORY,
    assert_same_run,
    checkpoints_in,
    command,
    train_in_process,
    user_environment,
    write_config,
)

TOTAL = 160
VANISHED = 24  # rsync's status if a file was gone before it could be copied
SECTIONS = {
    "training": {
        "total_iterations": TOTAL,
        "log_every_iterations": 1,
        "checkpoint_every_iterations": 2,
        "sample_every_iterations": 4,
    },
    "debug": {
        "inject_spikes": [
            {"iteration": at, "network": "generator", "factor": float("inf")}
            for at in range(9, TOTAL, 29)
        ]
    },
}


def documented_copy() -> list[str]:
    """Returns the commands of docs/runs.md that copy a run, of the tiny one."""
    text = (REPOSITORY / "docs/runs.md").read_text(encoding="utf-8")
    lines = re.findall(r"^    (rsync .*)$", text, re.MULTILINE)
    names = {"/mine": f"/{NAME}", "BACKUP": "../copy"}
    return [re.sub("/mine|BACKUP", lambda found: names[found[0]], one) for one in lines]


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("rsync"), reason="needs rsync")
def test_copies_taken_while_a_run_trains_continue_as_the_run_itself(tmp_path):
    trained, copied = tmp_path / "trained", tmp_path / "copy"
    trained.mkdir()
    write_config(trained, **SECTIONS)
    lines = documented_copy()
    assert len(lines) == 2
    copies = {}
    with subprocess.Popen(
        command(),
        cwd=trained,
        env=user_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        while process.poll() is None:
            if not checkpoints_in(trained):
                time.sleep(0.1)
                continue
            for line in lines:
                status = subprocess.run(shlex.split(line), cwd=trained).returncode
                assert status in (0, VANISHED)
                time.sleep(1)  # some iterations, as on a slow disk
            newest = max(checkpoints_in(copied), default=0)
            if 0 < newest < TOTAL and newest // 20 not in copies:
                copies[newest // 20] = kept = tmp_path / f"kept-{newest}"
                shutil.copytree(copied, kept)
    assert process.returncode == 0
    assert len(copies) >= 2
    for kept in list(copies.values())[:4]:
        write_config(kept, **SECTIONS)
        assert train_in_process(kept).returncode == 0
        assert_same_run(kept, trained, TOTAL)
