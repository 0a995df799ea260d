"""Builds the optimizers, the state and the compiled training step."""

import functools
from collections.abc import Callable

import keras
import tensorflow as tf

import optim
from settings.config import Config
from settings.optimizer import OPTIMIZER_KEYS, OptimizerConfig
from training.inputs import Inputs
from training.networks import (
    build_discriminator,
    build_ema_generator,
    build_generator,
)
from training.recipe import build_recipe
from training.state import State
from training.step import (
    Gradients,
    Scalars,
    Updates,
    average_generator,
    train_step,
)

OPTIMIZERS = {
    "adam": keras.optimizers.Adam,
    "adamw": keras.optimizers.AdamW,
    "sgd": keras.optimizers.SGD,
    "rmsprop": keras.optimizers.RMSprop,
    "lion": keras.optimizers.Lion,
    "log_adam": optim.LogAdam,
    "log_adamw": optim.LogAdamW,
    "log_sgd": optim.LogSGD,
    "log_rmsprop": optim.LogRMSprop,
    "log_lion": optim.LogLion,
}
COMMON_KEYS = ("weight_decay", "clipnorm", "clipvalue", "global_clipnorm")


def build_optimizer(
    settings: OptimizerConfig, network: keras.Model
) -> keras.optimizers.Optimizer:
    """Builds an optimizer and its slot variables for one network's weights."""
    keys = OPTIMIZER_KEYS[settings.name] + COMMON_KEYS
    arguments = {key: getattr(settings, key) for key in keys}
    optimizer_class = OPTIMIZERS[settings.name]
    if settings.rate_scaling == "fan_in":
        optimizer_class = optim.FanInScaled(optimizer_class)
        arguments["bias_rate"] = settings.bias_rate
    optimizer = optimizer_class(
        learning_rate=settings.learning_rate,
        name=f"{network.name}_optimizer",
        **arguments,
    )
    optimizer.build(network.trainable_variables)
    return optimizer


def build_state(config: Config) -> State:
    """Builds the state at iteration 0; its weights are determined by the seed.

    `runtime.precision` must be resolved.
    """
    keras.utils.set_random_seed(config.run.seed)
    generator = build_generator(config)
    discriminator = build_discriminator(config)
    ema_generator = build_ema_generator(config)
    ema_generator.set_weights(generator.get_weights())
    settings = config.optimizer.for_network
    probability = 0.0 if config.augment.policy == "none" else config.augment.probability
    return State(
        generator=generator,
        discriminator=discriminator,
        ema_generator=ema_generator,
        generator_optimizer=build_optimizer(settings("generator"), generator),
        discriminator_optimizer=build_optimizer(
            settings("discriminator"), discriminator
        ),
        augment_probability=tf.Variable(probability, dtype=tf.float32),
        real_sign_sum=tf.Variable(0.0, dtype=tf.float32),
    )


def build_updates(state: State, by_xla: bool) -> Updates:
    """Builds the updates of both networks; XLA fuses what they do with each weight."""

    def update_discriminator(gradients: Gradients) -> None:
        variables = state.discriminator.trainable_variables
        state.discriminator_optimizer.apply(gradients, variables)

    def update_generator(gradients: Gradients, ema_decay: tf.Tensor) -> None:
        variables = state.generator.trainable_variables
        state.generator_optimizer.apply(gradients, variables)
        average_generator(state, ema_decay)

    if not by_xla:
        return Updates(update_discriminator, update_generator)
    compiled = functools.partial(tf.function, autograph=False, jit_compile=True)
    return Updates(compiled(update_discriminator), compiled(update_generator))


def build_step(config: Config, state: State) -> Callable[[Inputs, bool], Scalars]:
    """Compiles the step for one state; it takes inputs and `with_penalty`."""
    recipe, compiler = build_recipe(config), config.runtime.compile
    updates = build_updates(state, by_xla=compiler == "xla_update")
    # A closure, as TensorFlow would look through a partial's arguments in every call.
    return tf.function(
        lambda inputs, with_penalty: train_step(
            state, recipe, updates, inputs, with_penalty
        ),
        autograph=False,
        jit_compile=compiler == "xla",
    )
