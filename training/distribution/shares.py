"""Shares a batch out to replicas.

A draw belongs to a position in the whole batch, so that the number of replicas decides
only who computes what. Each replica takes an equal part of the images that a penalty is
computed on, and of the others; images that D compares with each other stay together.
"""

import tensorflow as tf

from settings.config import Config
from settings.messages import Problem
from training.inputs import Inputs, UpdateInputs, penalty_share
from training.recipe import num_penalized


def distribute(
    config: Config, inputs: Inputs, strategy: tf.distribute.Strategy | None
) -> Inputs:
    """Returns an iteration's inputs with each replica's share in place of the batch.

    Without a strategy, they are the inputs themselves.
    """
    if strategy is None:
        return inputs
    return strategy.experimental_distribute_values_from_function(
        lambda replica: share_of(
            config,
            inputs,
            replica.replica_id_in_sync_group,
            replica.num_replicas_in_sync,
        )
    )


def share_of(config: Config, inputs: Inputs, replica: int, count: int) -> Inputs:
    """Returns the inputs of one of `count` replicas.

    Every field of UpdateInputs that is not a scalar has the batch for its first axis.
    """
    first = first_part(config)

    def part(values: tf.Tensor) -> tf.Tensor:
        size = len(values) // count
        return values[replica * size : (replica + 1) * size]

    def of_batch(values: tf.Tensor) -> tf.Tensor:
        if first in (0, len(values)):
            return part(values)
        return tf.concat([part(values[:first]), part(values[first:])], 0)

    def of_update(update: UpdateInputs) -> UpdateInputs:
        return UpdateInputs(*(of_batch(v) if v.shape.rank else v for v in update))

    noise = inputs.penalty_noise
    if noise is not None:  # of the real images, then of as many generated ones
        noise = tf.concat([part(half) for half in tf.split(noise, 2)], 0)
    return inputs._replace(
        discriminator=of_update(inputs.discriminator),
        generator=of_update(inputs.generator),
        penalty_noise=noise,
    )


def first_part(config: Config) -> int:
    """Returns how many images at the beginning of a batch are shared out by themselves.

    They are those that a penalty is computed on.
    """
    return num_penalized(config) if penalty_share(config) else 0


def refuse_uneven_shares(config: Config, count: int) -> None:
    """Refuses a batch that cannot be shared out equally.

    Raises:
        Problem: Says which sizes can.
    """
    group, batch_size = config.model.stddev_group, config.training.batch_size
    least = count * group
    groups = f" groups of {group} images" if group > 1 else ""
    if batch_size % least:
        below = batch_size - batch_size % least
        sizes = [str(size) for size in (below, below + least) if size]
        raise Problem(
            f"training.batch_size\n  expected: a multiple of {least}, for {count} "
            f"replicas to take equal shares{' of' if groups else ''}{groups}, such as "
            f"{' or '.join(sizes)}\n  found:    {batch_size}"
        )
    penalized = first_part(config)
    if penalized % least:
        raise Problem(
            f"loss.penalty_batch\n  expected: a share of the {batch_size} images that "
            f"{count} replicas can take equally: a multiple of {least} images\n"
            f"  found:    {config.loss.penalty_batch}, which is {penalized} images"
        )
