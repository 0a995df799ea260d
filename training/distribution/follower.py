"""What the workers besides the chief do, and how the chief leads them.

Before each iteration the workers exchange rows. A row says what stop the worker was
asked for (an exit status, or 0), and the chief's also where it stands and, in the last
one, how it ended. So all stop after the same iteration, whoever got the signal, and
follow the chief when it goes back to an older checkpoint. The chief alone writes.
"""

import contextlib
from collections.abc import Callable
from typing import NamedTuple

from data import ImageSet
from records.checkpoint import DamagedCheckpoint, read_checkpoint
from records.run_folder import RunFolder
from settings.config import Config
from settings.messages import Problem, say
from training.build import build_step
from training.device import Device
from training.distribution.shares import distribute
from training.distribution.workers import Workers, lost_as_problem
from training.inputs import Inputs, inputs_at, penalty_at
from training.signals import StopRequest
from training.state import State, assign_arrays

MISTAKE = 2  # the exit status after a file could not be read or written


class Row(NamedTuple):
    """What a worker tells the others before an iteration.

    Attributes:
        stop: Exit status of the signal that it got, or 0.
        iteration: Iterations done.
        rollbacks: How often the run went back.
        has_ended: 1 if it will do no other iteration; only the chief decides that.
        status: The exit status, once it has ended.
    """

    stop: float
    iteration: float
    rollbacks: float
    has_ended: float = 0.0
    status: float = 0.0


def exchanged(
    workers: Workers, state: State, stop: StopRequest, *ending: float
) -> list[Row]:
    """Tells the others where this worker stands, and returns all rows.

    Raises:
        Problem: If a worker is lost.
    """
    row = Row(stop.status or 0, state.iteration, state.rollbacks, *ending)
    return [Row(*one) for one in workers.exchange(list(row))]


def may_go_on(workers: Workers | None, state: State, stop: StopRequest) -> bool:
    """Tells, to the loop of the chief, whether nobody was asked to stop.

    Otherwise `stop` has the status afterwards.

    Raises:
        Problem: If a worker is lost.
    """
    if workers is None:
        return stop.status is None
    workers.are_training = True
    status = max(int(row.stop) for row in exchanged(workers, state, stop))
    if status and stop.status is None:
        stop.status = status
        say("another worker was asked to stop")
    return not status


def lead(
    workers: Workers | None, state: State, stop: StopRequest, train: Callable[[], int]
) -> int:
    """Trains as the chief, and tells the others how it ended; returns the status."""
    if workers is None:
        return train()
    status = 0
    try:
        status = train()
        return status
    except Problem as problem:
        status = problem.status
        raise
    except OSError:
        status = MISTAKE
        raise
    except BaseException:
        workers.is_broken = True  # in the middle of an iteration, perhaps
        raise
    finally:
        if not workers.is_broken:
            with contextlib.suppress(Problem):  # who is lost now need not be told
                exchanged(workers, state, stop, 1.0, status)


def follow(
    config: Config,
    run: RunFolder,
    state: State,
    images: ImageSet,
    device: Device,
    stop: StopRequest,
) -> int:
    """Trains as a worker that writes nothing; returns the chief's exit status.

    Raises:
        Problem: If a worker is lost, or the chief's checkpoint cannot be read.
    """
    workers, strategy = device.workers, device.strategy
    if workers is None:
        raise ValueError("Expected a device of several workers.")
    step = build_step(config, state, strategy)

    def inputs_of(iteration: int) -> Inputs:
        inputs = inputs_at(config, images, state.rollbacks, iteration)
        return distribute(config, inputs, strategy)

    inputs = inputs_of(state.iteration)
    workers.are_training = True
    while True:
        rows = exchanged(workers, state, stop)
        chief = rows[0]
        if chief.has_ended:
            say(f"the chief ended after iteration {int(chief.iteration)}")
            return int(chief.status)
        if any(row.stop for row in rows):
            continue  # the chief saves, and then says that it has ended
        if (chief.iteration, chief.rollbacks) != (state.iteration, state.rollbacks):
            go_back(state, run, chief)
            inputs = inputs_of(state.iteration)
        with lost_as_problem(workers):
            scalars = step(inputs, penalty_at(config, state.iteration))
            inputs = inputs_of(state.iteration + 1)  # while a GPU still computes
            float(scalars["loss/generator"])  # until the iteration is done
        state.iteration += 1


def go_back(state: State, run: RunFolder, chief: Row) -> None:
    """Restores the checkpoint to which the chief went back.

    Raises:
        Problem: If it cannot be read, or is not where the chief is.
    """
    iteration = int(chief.iteration)
    try:
        assign_arrays(state, read_checkpoint(run.checkpoints, iteration))
    except (OSError, DamagedCheckpoint) as error:
        raise Problem(
            f"{run.checkpoints}: the chief went back to checkpoint {iteration}, which "
            f"this worker cannot read ({error})"
        ) from error
    if (state.iteration, state.rollbacks) != (iteration, int(chief.rollbacks)):
        raise Problem(
            f"{run.checkpoints}: checkpoint {iteration} is not the one that the chief "
            "went back to; the workers need one folder of runs between them"
        )
