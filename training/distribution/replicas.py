"""Does, inside a step, what several replicas must do together.

A replica is one device with its own copy of every variable. Without tf.distribute, or
with one replica, nothing here does anything.
"""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf


def mean_over_replicas(tensors: list[tf.Tensor]) -> list[tf.Tensor]:
    """Returns the means of the replicas' float32 tensors, by a single all-reduce.

    A mean is the same, bit for bit, in every replica.
    """
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync == 1:
        return tensors
    flat = tf.concat([tf.reshape(tensor, [-1]) for tensor in tensors], 0)
    means = context.all_reduce(tf.distribute.ReduceOp.MEAN, flat)
    sizes = [tensor.shape.num_elements() for tensor in tensors]
    parts = zip(tensors, tf.split(means, sizes), strict=True)
    return [tf.reshape(part, tensor.shape) for tensor, part in parts]


def in_each_replica(
    anchor: tf.Variable, assign: Callable[..., None], *arguments: Any
) -> None:
    """Calls a function in each replica such that it may assign to variables.

    What it assigns must be the same in all of them. In a replica, tf.distribute lets a
    step assign a variable only together with the other replicas, and not where it
    branches; here every replica assigns its own copies.

    Args:
        anchor: Any variable of the state.
        assign: The function.
        arguments: Its arguments, tensors or lists of them; it must use no tensor of
            this replica that is not among them.
    """
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync == 1:
        assign(*arguments)
        return

    def assign_here(_: tf.Variable, *own: Any) -> tf.Tensor:
        assign(*own)
        return tf.constant(0)  # a result, for the replicas' results to be grouped

    def assign_everywhere(strategy: tf.distribute.Strategy, *of_all: Any) -> Any:
        return strategy.extended.update(anchor, assign_here, args=of_all)

    context.merge_call(assign_everywhere, args=arguments)


def assigning_locally(
    optimizer_class: type[keras.optimizers.Optimizer],
) -> type[keras.optimizers.Optimizer]:
    """Returns an optimizer class whose `apply` works within `in_each_replica`.

    Keras' own sums the gradients over the replicas, which `mean_over_replicas` has done
    already, and assigns through the strategy. These two methods are how Keras has them
    without tf.distribute.
    """
    methods = {
        "_backend_update_step": _update_step_by_step,
        "_apply_weight_decay": _apply_weight_decay,
    }
    return type(optimizer_class.__name__, (optimizer_class,), methods)


def _update_step_by_step(
    self: Any,
    grads: list[tf.Tensor],
    trainable_variables: list[keras.Variable],
    learning_rate: tf.Tensor,
) -> None:
    for gradient, variable in zip(grads, trainable_variables, strict=True):
        self.update_step(gradient, variable, learning_rate)


def _apply_weight_decay(self: Any, variables: list[keras.Variable]) -> None:
    for variable in variables if self.weight_decay is not None else []:
        if self._use_weight_decay(variable):
            variable.assign_sub(variable * self.weight_decay * self.learning_rate)
