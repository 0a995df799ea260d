"""Finds the replicas that a run trains with."""

import dataclasses
import signal
import threading
import time

import tensorflow as tf
from tensorflow.compiler.xla.tsl.protobuf import coordination_config_pb2
from tensorflow.python.distribute import multi_worker_util
from tensorflow.python.eager import context

from files.counted import counted
from settings.config import Config
from settings.messages import Problem, say
from training.device import Device
from training.distribution.cluster import Cluster
from training.distribution.workers import LOST, LOST_STATUS, Workers, reason_of
from training.signals import EXIT_STATUS

# Slow enough for a queue that starts one machine well after another.
PATIENCE_SECONDS = 600
ANNOUNCED_SECONDS = 5
# TensorFlow's own ten seconds may be too few for a machine that is overloaded.
HEARTBEAT_SECONDS = 30

XLA_CURE = """\
runtime.compile
  expected: auto, xla_update or graph, with {count} replicas: XLA compiles for one
            device, and their all-reduce is part of the step
  found:    xla"""


def with_replicas(
    device: Device, distribution: str, cluster: Cluster | None = None
) -> Device:
    """Returns a device with the strategy that `runtime.distribution` asks for.

    Args:
        device: One of those to train on.
        distribution: "none", "mirrored" or "multi_worker".
        cluster: Of several workers.

    Raises:
        Problem: If the workers do not meet.
    """
    if cluster is not None and len(cluster.addresses) > 1:
        strategy = meet(cluster)
        workers = Workers(strategy, cluster)
        count = strategy.num_replicas_in_sync
        name = f"{counted(count, 'replica')} of {device.name}"
        return dataclasses.replace(
            device, name=name, strategy=strategy, workers=workers
        )
    if distribution == "none":
        return device
    names = [one.name for one in tf.config.list_logical_devices(device.kind.upper())]
    if len(names) == 1:
        return device
    strategy = tf.distribute.MirroredStrategy(names)
    return dataclasses.replace(
        device, name=f"{len(names)} x {device.name}", strategy=strategy
    )


def refuse_xla(config: Config, count: int) -> None:
    """Refuses to compile the whole step of several replicas.

    Raises:
        Problem: If the config wants it.
    """
    if count > 1 and config.runtime.compile == "xla":
        raise Problem(XLA_CURE.format(count=count))


def meet(cluster: Cluster) -> tf.distribute.Strategy:
    """Waits for the other workers, and returns the strategy of all of them.

    TensorFlow waits in another thread, as no signal is handled while it does. It also
    takes SIGTERM for itself, and must give it back.

    Raises:
        Problem: If they do not come, or this worker is not expected.
    """
    made: list[tf.distribute.Strategy] = []
    failed: list[Exception] = []

    def wait() -> None:
        try:
            expect_heartbeats(cluster)
            made.append(tf.distribute.MultiWorkerMirroredStrategy())
        except (*LOST, tf.errors.OpError, RuntimeError, ValueError) as error:
            failed.append(error)

    handlers = {number: signal.getsignal(number) for number in EXIT_STATUS}
    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    began, is_announced = time.monotonic(), False
    own = f"{cluster.name_of(cluster.number)} of {len(cluster.addresses)}"
    while thread.is_alive():
        thread.join(0.1)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        seconds = time.monotonic() - began
        if seconds > ANNOUNCED_SECONDS and not is_announced:
            say(f"{own}: waiting for the others")
            is_announced = True
        if seconds > PATIENCE_SECONDS:
            raise not_met(own, f"nothing from them in {PATIENCE_SECONDS} seconds")
    if failed:
        raise not_met(own, reason_of(failed[0])) from failed[0]
    return made[0]


def expect_heartbeats(cluster: Cluster) -> None:
    """Sets after which silence a worker is lost; tf.distribute itself has no option.

    The rest is as tf.distribute has it.
    """
    spec = tf.train.ClusterSpec(cluster.jobs)
    leader = multi_worker_util.coordination_leader(spec)
    jobs = [
        coordination_config_pb2.CoordinatedJob(name=job, num_tasks=len(addresses))
        for job, addresses in cluster.jobs.items()
    ]
    context.context().configure_coordination_service(
        service_type="standalone",
        service_leader=leader,
        coordinated_jobs=jobs,
        heartbeat_timeout_in_ms=1000 * HEARTBEAT_SECONDS,
    )


def not_met(own: str, found: str) -> Problem:
    """Returns the problem of a worker that the others do not meet."""
    return Problem(
        f"{own}: the workers do not meet\n"
        "  expected: all workers of TF_CONFIG, started within ten minutes of each "
        "other\n"
        f"  found:    {found}\n"
        "  what to do: see that TF_CONFIG names all workers by addresses that they "
        "reach.\n"
        "  A worker that is started late, or again, cannot join the others: once they "
        "have\n"
        "  ended, start all of them; the same command continues",
        status=LOST_STATUS,
    )
