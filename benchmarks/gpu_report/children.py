"""Runs a command as a child process with a hard limit."""

import contextlib
import dataclasses
import os
import pathlib
import signal
import subprocess
import tempfile
import time

from benchmarks.gpu_report.plan import REPOSITORY

LEAST_SECONDS = 1.0  # with less, a child is not begun
MOST_GRACE_SECONDS = 15.0  # from SIGTERM, on which training saves, to SIGKILL
GRACE_SHARE = 0.2  # of the limit
TAIL_LINES = 6
# A refusal, a mistake on the command line: what was printed says it all.
USER_ERROR = 2


@dataclasses.dataclass(frozen=True)
class Ended:
    """How a child ended.

    Attributes:
        status: Its exit status, negative for a signal; None if it was not begun.
        is_late: Whether it was ended because its time was over.
        limit_seconds: What it was given.
        output: Its stdout.
        errors: Its stderr.
    """

    status: int | None
    is_late: bool
    limit_seconds: float
    output: str = ""
    errors: str = ""

    @property
    def trouble(self) -> list[str]:
        """What went wrong, in words: one item, or none."""
        if self.status is None:
            return ["not begun: no time was left"]
        if self.is_late:
            return [f"stopped, as its {self.limit_seconds:.0f} s were running out"]
        if self.status == 0:
            return []
        lines = (self.errors or self.output).strip().splitlines()
        if self.status == USER_ERROR:
            return ["\n".join(lines)]
        return ["\n".join([f"ended with {self._status_text}", *lines[-TAIL_LINES:]])]

    @property
    def _status_text(self) -> str:
        if self.status is not None and self.status < 0:
            with contextlib.suppress(ValueError):  # a signal without a name
                return signal.Signals(-self.status).name
        return f"status {self.status}"


def run_child(
    command: list[str],
    seconds: float,
    device: str,
    folder: pathlib.Path = REPOSITORY,
) -> Ended:
    """Runs a command; ends it, and what it started, when its time is over.

    Args:
        command: The program and its arguments.
        seconds: Its limit; towards the end of it the child gets a SIGTERM to save what
            it has.
        device: "cpu" hides all GPUs from it.
        folder: Its working directory.
    """
    if seconds < LEAST_SECONDS:
        return Ended(None, False, seconds)
    grace = min(MOST_GRACE_SECONDS, GRACE_SHARE * seconds)
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment(device),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            start_new_session=True,
        )
        is_late = False
        try:
            process.wait(seconds - grace)
        except subprocess.TimeoutExpired:
            is_late = True
        finally:
            end_group(process, grace if is_late else 0.0)
        texts = []
        for file in (output, errors):
            file.seek(0)
            texts.append(file.read().decode("utf-8", "replace"))
    return Ended(process.returncode, is_late, seconds, *texts)


def end_group(process: subprocess.Popen, grace_seconds: float) -> None:
    """Ends a child that still runs and all it started: asks first, then kills."""
    if process.poll() is None and grace_seconds:
        os.killpg(process.pid, signal.SIGTERM)
        deadline = time.monotonic() + grace_seconds
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(max(deadline - time.monotonic(), 0))
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # also what outlived the child
    process.wait()


def environment(device: str) -> dict[str, str]:
    """Returns a child's environment.

    Tests and measurements share the card, so none may take all of its memory.
    """
    changes = {"TF_FORCE_GPU_ALLOW_GROWTH": "true", "MAGNETOSPHERE_DEVICE": device}
    if device == "cpu":
        changes["CUDA_VISIBLE_DEVICES"] = ""
    return os.environ | changes
