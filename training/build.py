"""Builds the optimizers, the state and the compiled training step."""

import contextlib
import functools
from collections.abc import Callable

import keras
import tensorflow as tf

import optim
from settings.config import Config
from settings.optimizer import OPTIMIZER_KEYS, OptimizerConfig
from training.distribution.replicas import assigning_locally, in_each_replica
from training.inputs import Inputs
from training.networks import (
    build_discriminator,
    build_ema_generator,
    build_generator,
)
from training.recipe import Recipe, build_recipe
from training.state import State
from training.step import (
    Gradients,
    Scalars,
    Updates,
    adapt_augmentation,
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
    if tf.distribute.has_strategy():
        optimizer_class = assigning_locally(optimizer_class)
    optimizer = optimizer_class(
        learning_rate=settings.learning_rate,
        name=f"{network.name}_optimizer",
        **arguments,
    )
    optimizer.build(network.trainable_variables)
    return optimizer


def build_state(
    config: Config, strategy: tf.distribute.Strategy | None = None
) -> State:
    """Builds the state at iteration 0; its weights are determined by the seed.

    `runtime.precision` must be resolved. With a strategy, every replica has a copy.
    """
    with contextlib.nullcontext() if strategy is None else strategy.scope():
        return _build_state(config)


def _build_state(config: Config) -> State:
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


def build_updates(state: State, recipe: Recipe, by_xla: bool) -> Updates:
    """Builds the updates of a state; XLA fuses what they do with each weight."""
    optimizer = state.discriminator_optimizer
    owned = state.discriminator.trainable_variables + optimizer.variables
    undone = [variable.value for variable in owned]

    def begin(discriminator_rate: tf.Tensor, generator_rate: tf.Tensor) -> None:
        state.discriminator_optimizer.learning_rate = discriminator_rate
        state.generator_optimizer.learning_rate = generator_rate

    def update_discriminator(gradients: Gradients) -> None:
        optimizer.apply(gradients, state.discriminator.trainable_variables)

    def update_generator(gradients: Gradients, ema_decay: tf.Tensor) -> None:
        variables = state.generator.trainable_variables
        state.generator_optimizer.apply(gradients, variables)
        average_generator(state, ema_decay)

    if by_xla:
        compiled = functools.partial(tf.function, autograph=False, jit_compile=True)
        update_discriminator = compiled(update_discriminator)
        update_generator = compiled(update_generator)

    def finish(
        usable: tf.Tensor,
        gradients: Gradients,
        before: list[tf.Tensor],
        ema_decay: tf.Tensor,
        adjust: tf.Tensor,
        real_sign: tf.Tensor,
    ) -> None:
        def keep() -> None:
            update_generator(gradients, ema_decay)
            adapt_augmentation(state, recipe, adjust, real_sign)

        def undo() -> None:
            for variable, old in zip(undone, before, strict=True):
                variable.assign(old)

        tf.cond(usable, keep, undo)

    everywhere = functools.partial(
        functools.partial, in_each_replica, state.augment_probability
    )
    return Updates(
        undone, everywhere(begin), everywhere(update_discriminator), everywhere(finish)
    )


def average_generator(state: State, decay: tf.Tensor) -> None:
    """Moves each averaged weight by (1 - decay) towards the generator's."""
    pairs = zip(state.ema_generator.variables, state.generator.variables, strict=True)
    for average, variable in pairs:
        average.assign_add((variable - average) * (1.0 - decay))


def build_step(
    config: Config, state: State, strategy: tf.distribute.Strategy | None = None
) -> Callable[[Inputs, bool], Scalars]:
    """Compiles the step for one state; it takes inputs and `with_penalty`.

    With a strategy, that of the state, inputs are as from `distribute`.
    """
    recipe, compiler = build_recipe(config), config.runtime.compile
    if strategy is not None:
        return _build_distributed_step(state, recipe, strategy, compiler != "graph")
    updates = build_updates(state, recipe, compiler == "xla_update")
    # A closure, as TensorFlow would look through a partial's arguments in every call.
    return tf.function(
        lambda inputs, with_penalty: train_step(
            state, recipe, updates, inputs, with_penalty
        ),
        autograph=False,
        jit_compile=compiler == "xla",
    )


def _build_distributed_step(
    state: State, recipe: Recipe, strategy: tf.distribute.Strategy, by_xla: bool
) -> Callable[[Inputs, bool], Scalars]:
    """Compiles a step that every replica does; its scalars are the same in all."""
    share = recipe.num_penalized // strategy.num_replicas_in_sync
    recipe = recipe._replace(num_penalized=share)
    updates = build_updates(state, recipe, by_xla)

    def step(inputs: Inputs, with_penalty: bool) -> Scalars:
        of_all = strategy.run(
            lambda own: train_step(state, recipe, updates, own, with_penalty), (inputs,)
        )
        local = {n: strategy.experimental_local_results(v) for n, v in of_all.items()}
        return {name: values[0] for name, values in local.items()}

    return tf.function(step, autograph=False)
