"""What the workers of a run tell each other between iterations.

Everything goes through one operation, `exchange`: each worker gives a row of numbers,
and all get all rows. A worker that is lost makes it fail in the others, within half a
minute or so.
"""

import contextlib
import hashlib
from collections.abc import Iterator, Mapping

import numpy as np
import tensorflow as tf

from settings.messages import Problem
from training.distribution.cluster import Cluster

# What collectives raise once a worker is gone, by whoever notices first.
LOST = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
    tf.errors.InternalError,
    tf.errors.UnavailableError,
    tf.errors.UnknownError,
)
HASH_DIGITS = 12  # hexadecimal; float64 holds 13 exactly
ABORTED = "Collective ops is aborted by:"  # comes before the reason
GENERAL = "Graph execution error:"  # comes before the code that failed
LOST_STATUS = 75  # to be started again by the same command


class Workers:
    """The workers of a run, as one of them sees them.

    Attributes:
        cluster: Who they are.
        are_training: Whether the first iteration was begun.
        is_broken: Whether no exchange is possible any more.
    """

    def __init__(self, strategy: tf.distribute.Strategy, cluster: Cluster) -> None:
        """Begins with workers that have met: `strategy` is of all of them."""
        self.cluster = cluster
        self.are_training = False
        self.is_broken = False
        self._strategy = strategy
        self._num_local = strategy.num_replicas_in_sync // len(cluster.addresses)
        self._sum = tf.function(
            lambda values: strategy.run(_sum_over_replicas, (values,)), autograph=False
        )

    @property
    def count(self) -> int:
        """How many workers there are."""
        return len(self.cluster.addresses)

    @property
    def is_chief(self) -> bool:
        """Whether this process writes the run."""
        return self.cluster.is_chief

    def exchange(self, row: list[float]) -> np.ndarray:
        """Returns the rows of all workers, float64 [workers, len(row)].

        Raises:
            Problem: If a worker is lost.
        """
        own = np.zeros((len(self.cluster.addresses), len(row)))
        own[self.cluster.number] = row
        with lost_as_problem(self):
            values = self._strategy.experimental_distribute_values_from_function(
                lambda replica: tf.constant(
                    own * (replica.replica_id_in_sync_group % self._num_local == 0)
                )
            )
            sums = self._strategy.experimental_local_results(self._sum(values))
            return sums[0].numpy()

    def compare(self, what: str, values: Mapping[str, str]) -> None:
        """Checks that all workers have the same values, in the same order.

        Raises:
            Problem: In all of them, saying which worker differs in what.
        """
        rows = self.exchange([_number_of(value) for value in values.values()])
        lines = []
        for number, row in enumerate(rows):
            pairs = zip(values, row != rows[0], strict=True)
            others = [name for name, is_other in pairs if is_other]
            if others:
                lines.append(f"  {self.cluster.name_of(number)}: {', '.join(others)}")
        if lines:
            raise Problem(
                f"the workers do not agree on {what}; different from "
                f"{self.cluster.name_of(0)} is\n"
                + "\n".join(lines)
                + "\n  start all workers with the same program, command and files"
            )


@contextlib.contextmanager
def lost_as_problem(workers: Workers | None) -> Iterator[None]:
    """Turns what TensorFlow raises when a worker is lost into a message.

    Raises:
        Problem: With status 75. If it is the worker that had a mistake to mend, that
            one ends with 2.
    """
    if workers is None:
        yield
        return
    try:
        yield
    except LOST as error:
        workers.is_broken = True
        reason = reason_of(error)
        if not workers.are_training:
            raise Problem(
                "a worker ended before the first iteration; what it said there tells "
                f"why\n  TensorFlow says: {reason}",
                status=LOST_STATUS,
            ) from error
        raise Problem(
            "a worker was lost, and with it the iteration that it was part of\n"
            f"  TensorFlow says: {reason}\n"
            "  start all workers again: the same command continues from the last "
            "checkpoint",
            status=LOST_STATUS,
        ) from error


def reason_of(error: Exception) -> str:
    """Returns the line of TensorFlow's message that says what happened."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if ABORTED in line]
    lines = telling or [one for one in lines if one != GENERAL] or [GENERAL]
    return lines[0].rpartition(ABORTED)[2].strip()


def _sum_over_replicas(values: tf.Tensor) -> tf.Tensor:
    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.identity(values))


def _number_of(text: str) -> float:
    """Returns a number that is another one for another text."""
    return float(int(hashlib.sha256(text.encode()).hexdigest()[:HASH_DIGITS], 16))
