"""Builds what the config asks for: networks, optimizers, state, recipe, step."""

import functools
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

import optim
from data.augment import num_uniforms
from models import build_discriminator, build_generator
from settings.config import Config, OptimizerConfig
from settings.optimizer import NETWORKS, OPTIMIZER_KEYS
from training.chance import image_indices_at, noise_at
from training.recipe import Inputs, Recipe
from training.schedules import ema_decay_at, learning_rate_at
from training.state import State
from training.step import train_step
from training.vitals import largest_usable_gradient

PRECISION_POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}
PENALIZED = {"r1_r2": (1, 1), "r1": (1, 0), "r2": (0, 1), "none": (0, 0)}

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
    """Builds an optimizer with its moments for the weights of one network."""
    keys = OPTIMIZER_KEYS[settings.name] + COMMON_KEYS
    arguments = {key: getattr(settings, key) for key in keys}
    optimizer = OPTIMIZERS[settings.name](
        learning_rate=settings.learning_rate,
        name=f"{network.name}_optimizer",
        **arguments,
    )
    optimizer.build(network.trainable_variables)
    return optimizer


def build_ema_generator(config: Config) -> keras.Model:
    """Builds the generator that grids and exports show, in float32."""
    return build_generator(
        config.data.image_size, **config.model.model_dump(), name="ema_generator"
    )


def build_state(config: Config) -> State:
    """Builds the state at iteration 0; its weights are a function of the seed.

    Args:
        config: With `runtime.precision` resolved.
    """
    keras.utils.set_random_seed(config.run.seed)
    dtype = PRECISION_POLICIES[config.runtime.precision]
    size, model = config.data.image_size, config.model.model_dump()
    generator = build_generator(size, **model, dtype=dtype)
    del model["latent_dim"]
    discriminator = build_discriminator(size, **model, dtype=dtype)
    ema_generator = build_ema_generator(config)
    ema_generator.set_weights(generator.get_weights())
    for_network = config.optimizer.for_network
    probability = 0.0 if config.augment.policy == "none" else config.augment.probability
    return State(
        generator=generator,
        discriminator=discriminator,
        ema_generator=ema_generator,
        generator_optimizer=build_optimizer(for_network("generator"), generator),
        discriminator_optimizer=build_optimizer(
            for_network("discriminator"), discriminator
        ),
        augment_probability=tf.Variable(probability, dtype=tf.float32),
        real_sign_sum=tf.Variable(0.0, dtype=tf.float32),
    )


def operations_of(config: Config) -> tuple[str, ...]:
    """Returns the augmentations to apply, none where the policy is none."""
    return () if config.augment.policy == "none" else tuple(config.augment.operations)


def build_recipe(config: Config) -> Recipe:
    """Collects what stays the same through a run."""
    every = config.loss.penalty_every_iterations
    weight = config.loss.gamma / 2 * every
    on_real, on_fake = PENALIZED[config.loss.penalty]
    settings = {network: config.optimizer.for_network(network) for network in NETWORKS}
    damps = {n: s.name.startswith("log_") for n, s in settings.items()}
    knees = {n: s.damping_scale if damps[n] else None for n, s in settings.items()}
    clipped = {n: bool(s.clipnorm or s.global_clipnorm) for n, s in settings.items()}
    augment = config.augment
    images = config.training.batch_size * augment.adjust_every_iterations
    adaptive = augment.policy == "adaptive"
    return Recipe(
        loss=config.loss.name,
        penalty_weights=(weight * on_real, weight * on_fake),
        operations=operations_of(config),
        max_probability=augment.max_probability,
        target=augment.target,
        adjustment=images / (augment.kimg_to_full * 1000) if adaptive else 0.0,
        damps=damps,
        largest_gradients={
            n: largest_usable_gradient(knees[n], clipped[n]) for n in NETWORKS
        },
    )


def inputs_at(
    config: Config, images: np.ndarray, rollbacks: int, iteration: int
) -> Inputs:
    """Returns what one iteration is given, a function of its position alone.

    Args:
        config: Of the run.
        images: uint8 [count, size, size, 3], all photographs.
        rollbacks: How often the run was rolled back.
        iteration: Iterations done before, counted from 0.
    """
    seed, batch_size = config.run.seed, config.training.batch_size
    indices = image_indices_at(seed, rollbacks, iteration, batch_size, len(images))
    noise = noise_at(
        seed,
        rollbacks,
        iteration,
        batch_size,
        config.model.latent_dim,
        num_uniforms(operations_of(config)),
        config.data.horizontal_flip,
    )
    training = config.training
    decay = ema_decay_at(
        iteration, batch_size, training.ema_half_life_kimg, training.ema_ramp_up
    )
    rates = [learning_rate_of(config, network, iteration) for network in NETWORKS]
    spikes = [
        spike_factor_of(config, network, rollbacks, iteration) for network in NETWORKS
    ]
    adjust = (iteration + 1) % config.augment.adjust_every_iterations == 0
    return Inputs(
        images=tf.constant(
            images[indices.ravel()].reshape(*indices.shape, *images.shape[1:])
        ),
        latents=tf.constant(noise.latents),
        flips=tf.constant(noise.flips),
        uniforms=tf.constant(noise.uniforms),
        learning_rates=tf.constant(rates, tf.float32),
        spike_factors=tf.constant(spikes, tf.float32),
        ema_decay=tf.constant(decay, tf.float32),
        adjust=tf.constant(adjust),
    )


def learning_rate_of(config: Config, network: str, iteration: int) -> float:
    """Returns one network's learning rate at an iteration (counted from 0)."""
    settings = config.optimizer.for_network(network)
    return learning_rate_at(
        iteration,
        settings.learning_rate,
        settings.schedule,
        settings.schedule_iterations,
        settings.final_learning_rate,
        settings.warmup_iterations,
    )


def spike_factor_of(
    config: Config, network: str, rollbacks: int, iteration: int
) -> float:
    """Returns what debug.inject_spikes multiplies a network's gradients by, else 1.

    It happens once: not again after the run was rolled back.
    """
    for spike in config.debug.inject_spikes if rollbacks == 0 else []:
        if spike.network == network and spike.iteration == iteration + 1:
            return spike.factor
    return 1.0


def penalty_share(config: Config) -> float:
    """Returns the share of iterations that compute the gradient penalties."""
    if config.loss.penalty == "none" or config.loss.gamma == 0:
        return 0.0
    return 1 / config.loss.penalty_every_iterations


def penalty_at(config: Config, iteration: int) -> bool:
    """Tells whether an iteration (counted from 0) computes the gradient penalties.

    It is the last of each interval, so that rows written at multiples show them.
    """
    due = (iteration + 1) % config.loss.penalty_every_iterations == 0
    return due and penalty_share(config) > 0


def build_step(config: Config, state: State) -> Callable[[Inputs, bool], dict]:
    """Compiles the step for one state; it takes inputs and whether to penalize."""
    step = functools.partial(train_step, state, build_recipe(config))
    return tf.function(
        lambda inputs, with_penalty: step(inputs, with_penalty),
        autograph=False,
        jit_compile=config.runtime.compile == "xla",
    )
