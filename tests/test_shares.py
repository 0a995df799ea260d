"""How a batch is shared out among replicas."""

import numpy as np
import pytest
import tensorflow as tf
from replicas import IMAGES, config_of

from settings.config import Config
from settings.messages import Problem
from training.distribution.shares import refuse_uneven_shares, share_of
from training.inputs import UpdateInputs, inputs_at


def config_with(
    batch_size, group=1, penalty_batch=1.0, penalty="r1_r2", method="exact"
):
    return Config(
        run={"name": "tiny"},
        model={"stddev_group": group},
        training={"batch_size": batch_size},
        loss={"penalty": penalty, "penalty_batch": penalty_batch},
    )


def places(config, replica, count):
    """Returns the positions in the batch that a replica takes, and its noise's."""
    size = config.training.batch_size
    positions = tf.range(size)
    scalar = tf.constant(1.0)
    update = UpdateInputs(
        **{name: positions for name in UpdateInputs._fields}
        | {"learning_rate": scalar, "spike_factor": scalar}
    )
    whole = inputs_at(config_of("exact"), IMAGES, 0, 0)._replace(
        discriminator=update, generator=update, penalty_noise=tf.range(2 * size)
    )
    share = share_of(config, whole, replica, count)
    assert share.discriminator.learning_rate is scalar
    for one in (share.discriminator, share.generator):
        for name in set(UpdateInputs._fields) - {"learning_rate", "spike_factor"}:
            np.testing.assert_array_equal(getattr(one, name), share.generator.images)
    return share.generator.images.numpy().tolist(), share.penalty_noise.numpy().tolist()


def test_replicas_take_consecutive_parts_of_the_batch_and_of_the_noise():
    assert places(config_with(8), 0, 2) == ([0, 1, 2, 3], [0, 1, 2, 3, 8, 9, 10, 11])
    assert places(config_with(8), 3, 4) == ([6, 7], [6, 7, 14, 15])


def test_images_with_a_penalty_are_shared_out_by_themselves():
    config = config_with(8, penalty_batch=0.5)
    assert places(config, 0, 2)[0] == [0, 1, 4, 5]
    assert places(config, 1, 2)[0] == [2, 3, 6, 7]
    assert places(config_with(8, penalty_batch=0.5, penalty="none"), 1, 2)[0] == [
        *(4, 5, 6, 7)
    ]


def test_a_batch_that_cannot_be_shared_out_is_refused_with_sizes_that_can():
    refuse_uneven_shares(config_with(8), 4)
    refuse_uneven_shares(config_with(8, group=2), 4)
    with pytest.raises(Problem) as caught:
        refuse_uneven_shares(config_with(10), 4)
    assert caught.value.status == 2
    assert "a multiple of 4" in str(caught.value) and "8 or 12" in str(caught.value)
    with pytest.raises(Problem, match="of groups of 4 images, such as 16"):
        refuse_uneven_shares(config_with(8, group=4), 4)
    with pytest.raises(Problem, match="loss.penalty_batch") as caught:
        refuse_uneven_shares(config_with(8, penalty_batch=0.25), 4)
    assert "a multiple of 4 images" in str(caught.value)
    refuse_uneven_shares(config_with(8, penalty_batch=0.25, penalty="none"), 4)
