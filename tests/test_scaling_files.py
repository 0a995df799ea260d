"""The files to copy for Slurm and Kubernetes, with stand-ins for both."""

import json
import os
import pathlib
import signal
import subprocess
import sys

import pytest
import yaml
from test_several_workers import PATIENCE_SECONDS, free_ports, wait_for_rows
from tiny_run import (
    NAME,
    REPOSITORY,
    checkpoints_in,
    rows_in,
    user_environment,
    write_config,
)

from training.distribution.cluster import read_cluster

FILES = REPOSITORY / "docs" / "scaling"
# Starts the workers of a step on this machine, each at a port of its own; returns the
# highest status, as srun does. On SIGTERM it stops all, as Slurm does.
SRUN = """\
#!{python}
import json, os, signal, subprocess, sys
cluster = json.loads(os.environ["CLUSTER"])
ports = os.environ["PORTS"].split()
cluster["worker"] = [f"127.0.0.1:{{port}}" for port in ports]
command = sys.argv[2:]
workers = [
    subprocess.Popen(
        command,
        env=os.environ | {{"CLUSTER": json.dumps(cluster), "SLURM_PROCID": str(i)}},
        start_new_session=True,
    )
    for i in range(len(ports))
]
def stop(*_):
    for worker in workers:
        os.killpg(worker.pid, signal.SIGTERM)
signal.signal(signal.SIGTERM, stop)
open("srun.pid", "w").write(str(os.getpid()))
statuses = [worker.wait() for worker in workers]
sys.exit(max(128 - one if one < 0 else one for one in statuses))
"""
SCONTROL = """\
#!/bin/sh
case $1 in
    show) echo one; echo two ;;
    requeue) echo "$2" > requeued ;;
esac
"""
# Stands for Python: writes its TF_CONFIG and ends with the status of its number.
PYTHON = """\
#!/bin/sh
printf '%s' "$TF_CONFIG" > "config-$SLURM_PROCID"
echo "$@" > "arguments-$SLURM_PROCID"
exit "$(echo $STATUSES | cut -d ' ' -f $((SLURM_PROCID + 1)))"
"""


def slurm(folder: pathlib.Path, **variables: str) -> subprocess.Popen:
    """Starts the Slurm file in a folder, with stand-ins."""
    for name, text in {"srun": SRUN, "scontrol": SCONTROL, "python": PYTHON}.items():
        path = folder / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text.format(python=sys.executable) if name == "srun" else text)
        path.chmod(0o755)
    variables = {
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        "PORTS": " ".join(map(str, free_ports(2))),
        "SLURM_JOB_ID": "12345",
        "SLURM_JOB_NODELIST": "two of them",
        "PYTHON": str(folder / "bin" / "python"),
    } | variables
    return subprocess.Popen(
        ["bash", str(FILES / "train.slurm"), "tiny.yaml", "--set", "run.seed=3"],
        cwd=folder,
        env=user_environment() | variables,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.parametrize(
    ("statuses", "restarts", "ended", "is_requeued"),
    [
        ("0 0", "0", 0, False),
        ("75 75", "0", 0, True),
        ("75 137", "3", 0, True),  # the second was killed
        ("75 75", "50", 75, False),
        ("75 2", "0", 2, False),  # the second had a mistake, and left the first alone
        ("3 3", "0", 3, False),
    ],
)
def test_the_slurm_file_queues_a_run_again_that_the_same_command_continues(
    tmp_path, statuses, restarts, ended, is_requeued
):
    process = slurm(tmp_path, STATUSES=statuses, SLURM_RESTART_COUNT=restarts)
    assert process.wait(60) == ended
    assert (tmp_path / "requeued").exists() == is_requeued
    for number in (0, 1):
        config = json.loads((tmp_path / f"config-{number}").read_text())
        assert config["task"] == {"type": "worker", "index": number}
        assert len(config["cluster"]["worker"]) == 2
        assert (tmp_path / f"arguments-{number}").read_text() == (
            "train.py --config tiny.yaml --set runtime.distribution=multi_worker "
            "--set run.seed=3\n"
        )


def test_the_slurm_file_names_each_machine_once(tmp_path):
    process = slurm(tmp_path, STATUSES="0 0")  # puts the stand-ins there
    process.wait(60)
    (tmp_path / "bin" / "srun").write_text('#!/bin/sh\necho "$CLUSTER" > cluster\n')
    subprocess.run(process.args, cwd=tmp_path, env=environment_of(tmp_path), check=True)
    found = json.loads((tmp_path / "cluster").read_text())
    assert found == {"worker": ["one:22345", "two:22345"]}


def environment_of(folder):
    return user_environment() | {
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        "SLURM_JOB_ID": "12345",
        "SLURM_JOB_NODELIST": "two of them",
    }


@pytest.mark.slow
def test_the_slurm_file_stops_a_run_in_time_and_the_next_start_finishes_it(tmp_path):
    sections = {
        "training": {
            "total_iterations": 100_000,
            "sample_every_iterations": 1000,
            "checkpoint_every_iterations": 1000,
        }
    }
    write_config(tmp_path, **sections, run={"name": NAME, "seed": 3})
    (tmp_path / "train.py").symlink_to(REPOSITORY / "train.py")
    process = slurm(tmp_path, PYTHON=sys.executable)
    wait_for_rows(tmp_path, 2, [process])
    os.kill(int((tmp_path / "srun.pid").read_text()), signal.SIGTERM)
    assert process.wait(PATIENCE_SECONDS) == 0
    assert (tmp_path / "requeued").read_text() == "12345\n"
    (stopped,) = checkpoints_in(tmp_path)
    assert rows_in(tmp_path, "scalars.jsonl")[-1]["iteration"] == stopped

    sections["training"]["total_iterations"] = stopped + 3
    write_config(tmp_path, **sections, run={"name": NAME, "seed": 3})
    (tmp_path / "requeued").unlink()
    assert slurm(tmp_path, PYTHON=sys.executable).wait(PATIENCE_SECONDS) == 0
    assert not (tmp_path / "requeued").exists()
    assert checkpoints_in(tmp_path)[-1] == stopped + 3


def test_the_pods_of_the_kubernetes_job_are_the_workers_of_one_cluster(monkeypatch):
    documents = list(yaml.safe_load_all((FILES / "job.yaml").read_text()))
    job = {one["kind"]: one for one in documents}["Job"]["spec"]
    (container,) = job["template"]["spec"]["containers"]
    script = container["args"][0].replace("exec ", "exec true ")
    script = script.replace("exec true", 'printf "%s" "$TF_CONFIG"; exec true')
    for number in range(job["completions"]):
        text = subprocess.run(
            ["bash", "-c", script],
            env=os.environ | {"JOB_COMPLETION_INDEX": str(number)},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        monkeypatch.setenv("TF_CONFIG", text)
        cluster = read_cluster()
        assert cluster.number == number
        assert cluster.addresses == tuple(
            f"magnetosphere-{one}.magnetosphere:2222"
            for one in range(job["completions"])
        )
    rules = job["podFailurePolicy"]["rules"]
    by_status = {
        status: rule["action"]
        for rule in rules
        for status in rule.get("onExitCodes", {}).get("values", [])
    }
    assert by_status == {2: "FailJob", 3: "FailJob", 75: "Ignore"}
