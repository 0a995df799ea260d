"""Reads from TF_CONFIG which workers there are; TensorFlow is not needed for it."""

import json
import os
from typing import Any, NamedTuple

from settings.config import RuntimeConfig
from settings.messages import Problem

VARIABLE = "TF_CONFIG"
EXAMPLE = (
    '{"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]}, '
    '"task": {"type": "worker", "index": 0}}'
)
JOBS = ("chief", "worker")  # in the order in which their tasks are counted


class Cluster(NamedTuple):
    """The workers of a run, and which of them this process is.

    Attributes:
        addresses: "host:port" of each; the first one is the chief.
        number: This process's place among them.
        jobs: The addresses by TensorFlow's names of what they do.
    """

    addresses: tuple[str, ...]
    number: int
    jobs: dict[str, list[str]]

    @property
    def is_chief(self) -> bool:
        """Whether this process writes the run."""
        return self.number == 0

    def name_of(self, number: int) -> str:
        """Names a worker in a message."""
        role = ", the chief" if number == 0 else ""
        return f"worker {number}{role} ({self.addresses[number]})"


def cluster_of(runtime: RuntimeConfig) -> Cluster | None:
    """Returns the workers of a run; None if it is not distributed over any.

    Raises:
        Problem: If TF_CONFIG is missing or not as expected.
    """
    return read_cluster() if runtime.distribution == "multi_worker" else None


def read_cluster() -> Cluster:
    """Reads TF_CONFIG, as Keras documents it.

    Raises:
        Problem: If it is missing or not as expected.
    """
    text = os.environ.get(VARIABLE, "")
    if not text.strip():
        raise _problem("nothing: the variable is not set")
    try:
        value = json.loads(text)
    except ValueError as error:
        raise _problem(f"text that is not JSON ({error})") from error
    try:
        given: dict[str, list[str]] = value["cluster"]
        task_type, index = value["task"]["type"], int(value["task"]["index"])
    except (KeyError, TypeError, ValueError) as error:
        raise _problem(f"{text}\n            without a valid {error}") from error
    others = sorted(set(given) - set(JOBS)) if isinstance(given, dict) else ["a list"]
    if others:
        raise _problem(f"a cluster with {', '.join(others)}")
    tasks = {job: _addresses(given.get(job, [])) for job in JOBS}
    if len(tasks["chief"]) > 1:
        raise _problem("a cluster with several chiefs")
    if task_type not in JOBS or not 0 <= index < len(tasks[task_type]):
        raise _problem(f"the task {task_type} {index}, which is not in the cluster")
    addresses = (*tasks["chief"], *tasks["worker"])
    doubled = sorted({one for one in addresses if addresses.count(one) > 1})
    if doubled:
        raise _problem(f"{', '.join(doubled)} more than once")
    before = len(tasks["chief"]) if task_type == "worker" else 0
    jobs = {job: addresses for job, addresses in tasks.items() if addresses}
    return Cluster(addresses, before + index, jobs)


def _addresses(value: Any) -> list[str]:
    """Returns a job's addresses.

    Raises:
        Problem: If one is not "host:port".
    """
    if not isinstance(value, list):
        raise _problem(f"{value!r} in place of a list of addresses")
    for one in value:
        host, _, port = str(one).rpartition(":")
        if not host or not port.isdecimal():
            raise _problem(f"{one!r} in place of an address, host:port")
    return [str(one) for one in value]


def _problem(found: str) -> Problem:
    return Problem(
        f"{VARIABLE}, which runtime.distribution=multi_worker needs\n"
        f"  expected: the same cluster in every worker, and its own task, such as\n"
        f"            {VARIABLE}='{EXAMPLE}'\n"
        f"  found:    {found}"
    )
