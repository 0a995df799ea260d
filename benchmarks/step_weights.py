"""The pieces of an iteration that go through all weights, or all gradients."""

from typing import TYPE_CHECKING

import tensorflow as tf

from benchmarks.turns import Action
from settings.optimizer import NETWORKS, Network
from training.build import average_generator, build_optimizer
from training.vitals import gradient_vitals

if TYPE_CHECKING:
    from benchmarks.step_pieces import Bench


def update(bench: "Bench", network: Network, is_damped: bool) -> Action:
    """Returns one update of a network's optimizer, or of its undamped twin.

    With learning rate 0, which costs the same: the weights stay where they are.
    """
    settings = bench.config.optimizer.for_network(network)
    name = settings.name if is_damped else settings.name.removeprefix("log_")
    settings = settings.model_copy(update={"name": name, "learning_rate": 0.0})
    optimizer = build_optimizer(settings, bench.network(network))
    variables = bench.network(network).trainable_variables

    def apply(gradients: list[tf.Tensor]) -> tf.Tensor:
        optimizer.apply(gradients, variables)
        return optimizer.iterations.value

    run = bench.compiled_update(apply)
    return lambda: run(bench.gradients[network])


def update_that_can_be_undone(bench: "Bench") -> Action:
    """Returns the discriminator's update with a copy kept, as train_step keeps it.

    The copy is made when the update writes, so it cannot be timed alone.
    """
    settings = bench.config.optimizer.for_network("discriminator")
    settings = settings.model_copy(update={"learning_rate": 0.0})
    optimizer = build_optimizer(settings, bench.state.discriminator)
    variables = bench.state.discriminator.trainable_variables
    changing = [v.value for v in variables + optimizer.variables]
    apply_all = bench.compiled_update(lambda all: optimizer.apply(all, variables))

    def apply(gradients: list[tf.Tensor], is_kept: tf.Tensor) -> tf.Tensor:
        before = [tf.identity(variable) for variable in changing]
        apply_all(gradients)

        def undo() -> None:
            for variable, old in zip(changing, before, strict=True):
                variable.assign(old)

        tf.cond(is_kept, lambda: None, undo)
        return optimizer.iterations.value

    run, is_kept = bench.compiled(apply), tf.constant(True)
    return lambda: run(bench.gradients["discriminator"], is_kept)


def vitals(bench: "Bench") -> Action:
    """Returns the vitals of both gradients."""

    def measure(gradients: dict[str, list[tf.Tensor]]) -> list:
        return [
            gradient_vitals(
                network,
                gradients[network],
                bench.recipe,
                getattr(bench.state, f"{network}_optimizer"),
                bench.network(network).trainable_variables,
            )
            for network in NETWORKS
        ]

    run = bench.compiled(measure)
    return lambda: run(bench.gradients)


def average(bench: "Bench") -> Action:
    """Returns one move of the averaged generator."""

    def move(decay: tf.Tensor) -> tf.Tensor:
        average_generator(bench.state, decay)
        return bench.state.ema_generator.variables[-1].value

    run = bench.compiled_update(move)
    return lambda: run(bench.inputs.ema_decay)
