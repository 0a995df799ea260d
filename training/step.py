"""Does one iteration: an update of the discriminator, then one of the generator.

This and losses.py hold all the arithmetic of training. With real images x, generated
images G(z), both augmented, logits D(.) and the losses L_D and L_G of losses.py:

    D:  min  L_D(D(x), D(G(z))) + n * gamma / 2 * (R1 + R2)    penalties every nth time
    G:  min  L_G(D(x'), D(G(z')))                  on another batch, or on the same one

Penalties on both real and generated images follow R3GAN (arXiv:2501.05441, eq. 4);
computing them every nth iteration, scaled by n, follows StyleGAN2 (arXiv:1912.04958,
sec. 3.1). An approximate penalty follows arXiv:2501.08316. The augmentation probability
follows ADA (arXiv:2006.06676, sec. 3). Noise is an input because XLA would draw other
numbers.
"""

from collections.abc import Callable
from typing import NamedTuple

import keras
import tensorflow as tf

from data.augment import augment, horizontal_flip
from training.distribution.replicas import mean_over_replicas
from training.inputs import Inputs, UpdateInputs
from training.losses import (
    DISCRIMINATOR_LOSSES,
    GENERATOR_LOSSES,
    finite_difference_penalty,
    gradient_penalty,
    verdict_on_reals,
)
from training.recipe import Recipe
from training.state import State
from training.vitals import gradient_vitals

Scalars = dict[str, tf.Tensor]
Gradients = list[tf.Tensor]


class Updates(NamedTuple):
    """The updates of one state, which XLA can compile apart from the rest.

    Attributes:
        undone: The variables that `discriminator` changes.
        begin: Sets the learning rates, of discriminator and generator.
        discriminator: Updates the discriminator with its gradients.
        finish: Takes whether all gradients were usable, bool [], and the generator's
            gradients, the former values of `undone`, the decay of the average, whether
            to adjust the augmentation, and the mean sign of D's verdict on reals.
            Updates generator, average and augmentation, or undoes the discriminator.
    """

    undone: list[tf.Variable]
    begin: Callable[[tf.Tensor, tf.Tensor], None]
    discriminator: Callable[[Gradients], None]
    finish: Callable[..., None]


def train_step(
    state: State, recipe: Recipe, updates: Updates, inputs: Inputs, with_penalty: bool
) -> Scalars:
    """Does one iteration, or undoes it if a gradient is unusable.

    Returns:
        float32 [] scalars by name; "usable/<network>" is 0 if its gradient was not.
    """
    updates.begin(inputs.discriminator.learning_rate, inputs.generator.learning_rate)
    before = [tf.identity(variable) for variable in updates.undone]

    fake, tape = generated(state, recipe, inputs.discriminator)
    gradients, on_real, scalars = discriminator_gradients(
        state, recipe, inputs, fake, with_penalty
    )
    usable, vitals = gradient_vitals(
        "discriminator",
        gradients,
        recipe,
        state.discriminator_optimizer,
        state.discriminator.trainable_variables,
    )
    scalars |= vitals
    updates.discriminator(gradients)

    if not recipe.shares_batch:
        fake, tape = generated(state, recipe, inputs.generator)
        on_real = logits_of_reals(state, recipe, inputs.generator)
    gradients, loss = generator_gradients(
        state, recipe, inputs.generator, fake, tape, on_real
    )
    generator_usable, vitals = gradient_vitals(
        "generator",
        gradients,
        recipe,
        state.generator_optimizer,
        state.generator.trainable_variables,
    )
    scalars |= vitals | {"loss/generator": loss}
    updates.finish(
        tf.logical_and(usable, generator_usable),
        gradients,
        before,
        inputs.ema_decay,
        inputs.adjust,
        scalars["discriminator/real_sign"],
    )
    return scalars


def generated(
    state: State, recipe: Recipe, inputs: UpdateInputs
) -> tuple[tf.Tensor, tf.GradientTape]:
    """Returns generated images, and the tape that recorded how they depend on G."""
    latents = conditioned(inputs.latents, classes_of(recipe, inputs))
    with tf.GradientTape() as tape:
        fake = state.generator(latents, training=True)
    return fake, tape


def classes_of(recipe: Recipe, inputs: UpdateInputs) -> tf.Tensor:
    """Returns the weights of an update's classes, float32 [batch, classes or 0]."""
    return tf.one_hot(inputs.labels, recipe.num_classes)


def conditioned(first: tf.Tensor, classes: tf.Tensor) -> tf.Tensor | list[tf.Tensor]:
    """Returns what a network takes: latents or images, and classes if it knows any."""
    return [first, classes] if classes.shape[1] else first


def discriminator_gradients(
    state: State, recipe: Recipe, inputs: Inputs, fake: tf.Tensor, with_penalty: bool
) -> tuple[Gradients, tf.Tensor, Scalars]:
    """Returns the gradients of D's loss, the logits of its reals, and the loss's parts.

    With the images [batch, size, size, 3] that G generated for this update.
    """
    half = inputs.discriminator
    both = tf.concat([real_images(half), fake], 0)
    uniforms = tf.concat([half.real_uniforms, half.fake_uniforms], 0)
    both = augment(both, uniforms, state.augment_probability, recipe.operations)
    both = tf.stop_gradient(both)
    classes = tf.tile(classes_of(recipe, half), [2, 1])
    with tf.GradientTape() as tape:
        penalty, penalties = 0.0, {}
        if with_penalty:
            on_real, on_fake, r1, r2 = penalized_logits(
                state.discriminator, recipe, both, classes, inputs.penalty_noise
            )
            weights = [inputs.penalty_weight * share for share in recipe.penalized]
            penalty = weights[0] * r1 + weights[1] * r2
            penalties = {"penalty/r1": r1, "penalty/r2": r2}
        else:
            logits = judged(state.discriminator, both, classes)
            on_real, on_fake = tf.split(logits, 2)
        loss = DISCRIMINATOR_LOSSES[recipe.loss](on_real, on_fake)
        total = loss + penalty
    sign = verdict_on_reals(recipe.loss, on_real, on_fake)
    losses = {"loss/discriminator": loss, "discriminator/real_sign": sign} | penalties
    gradients, means = gradients_by(
        state.discriminator, tape, total, half.spike_factor, [*losses.values()]
    )
    return gradients, on_real, dict(zip(losses, means, strict=True))


def penalized_logits(
    discriminator: keras.Model,
    recipe: Recipe,
    both: tf.Tensor,
    classes: tf.Tensor,
    noise: tf.Tensor | None,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns the logits of real and of generated images [batch], and R1 and R2 [].

    Args:
        discriminator: Compares at most the images of a group, which are consecutive.
        recipe: Says how many images of each kind are penalized.
        both: float32 [2 * batch, size, size, 3], the real images first.
        classes: float32 [2 * batch, classes or 0], the weights of their classes.
        noise: As in Inputs; None: the penalties are exact.
    """
    count = recipe.num_penalized
    real, fake = tf.split(both, 2)
    is_all = count == real.shape[0]
    images = both if is_all else tf.concat([real[:count], fake[:count]], 0)
    some = classes if is_all else tf.tile(classes[:count], [2, 1])
    if noise is not None:
        step = recipe.penalty_step
        moved = images + step * noise
        logits = judged(
            discriminator, tf.concat([both, moved], 0), tf.concat([classes, some], 0)
        )
        on_real, on_fake = tf.split(logits[: both.shape[0]], 2)
        moved_real, moved_fake = tf.split(logits[both.shape[0] :], 2)
        r1 = finite_difference_penalty(on_real[:count], moved_real, step)
        r2 = finite_difference_penalty(on_fake[:count], moved_fake, step)
        return on_real, on_fake, r1, r2
    with tf.GradientTape(watch_accessed_variables=False) as image_tape:
        image_tape.watch(images)
        logits = judged(discriminator, images, some)
    by_real, by_fake = tf.split(image_tape.gradient(logits, images), 2)
    r1, r2 = gradient_penalty(by_real), gradient_penalty(by_fake)
    on_real, on_fake = tf.split(logits, 2)
    if not is_all:  # apart, as a gradient is computed for all of a batch or none
        rest = tf.concat([real[count:], fake[count:]], 0)
        others = tf.tile(classes[count : real.shape[0]], [2, 1])
        more = judged(discriminator, rest, others)
        more_real, more_fake = tf.split(more, 2)
        on_real = tf.concat([on_real, more_real], 0)
        on_fake = tf.concat([on_fake, more_fake], 0)
    return on_real, on_fake, r1, r2


def logits_of_reals(state: State, recipe: Recipe, inputs: UpdateInputs) -> tf.Tensor:
    """Returns the logits [batch] of an update's photographs, augmented."""
    real, uniforms = real_images(inputs), inputs.real_uniforms
    real = augment(real, uniforms, state.augment_probability, recipe.operations)
    return judged(state.discriminator, real, classes_of(recipe, inputs))


def judged(
    discriminator: keras.Model, images: tf.Tensor, classes: tf.Tensor
) -> tf.Tensor:
    """Returns the logits [count] of images as ones of their classes."""
    return discriminator(conditioned(images, classes), training=True)[:, 0]


def generator_gradients(
    state: State,
    recipe: Recipe,
    inputs: UpdateInputs,
    fake: tf.Tensor,
    tape: tf.GradientTape,
    on_real: tf.Tensor,
) -> tuple[Gradients, tf.Tensor]:
    """Returns the gradients of the generator's loss, and the loss [].

    Args:
        state: With the discriminator updated.
        recipe: The constants of the step.
        inputs: Of this update.
        fake: Generated images, float32 [batch, size, size, 3].
        tape: Recorded how they were generated, and goes on recording.
        on_real: Logits of as many photographs; the loss is not differentiated by them.
    """
    probability, operations = state.augment_probability, recipe.operations
    with tape:
        fake = augment(fake, inputs.fake_uniforms, probability, operations)
        on_fake = judged(state.discriminator, fake, classes_of(recipe, inputs))
        loss = GENERATOR_LOSSES[recipe.loss](tf.stop_gradient(on_real), on_fake)
    gradients, means = gradients_by(
        state.generator, tape, loss, inputs.spike_factor, [loss]
    )
    return gradients, means[0]


def real_images(inputs: UpdateInputs) -> tf.Tensor:
    """Returns an update's photographs, float32 [batch, size, size, 3] in [-1, 1]."""
    images = tf.cast(inputs.images, tf.float32) / 127.5 - 1.0
    return horizontal_flip(images, inputs.flips)


def gradients_by(
    network: keras.Model,
    tape: tf.GradientTape,
    loss: tf.Tensor,
    factor: tf.Tensor,
    scalars: list[tf.Tensor],
) -> tuple[Gradients, list[tf.Tensor]]:
    """Returns the gradients of a loss by a network's weights, times a factor.

    Every replica has an equal share of the batch and a loss that is a mean, so that the
    mean of the replicas' gradients is the gradient of the whole. It is taken here,
    before gradients are looked at, damped or clipped; and along with them that of
    scalars, float32 [].
    """
    weights = [variable.value for variable in network.trainable_variables]
    gradients = [gradient * factor for gradient in tape.gradient(loss, weights)]
    means = mean_over_replicas(gradients + scalars)
    return means[: len(gradients)], means[len(gradients) :]


def adapt_augmentation(
    state: State, recipe: Recipe, adjust: tf.Tensor, real_sign: tf.Tensor
) -> None:
    """Raises the probability while D is too sure of reals, else lowers it (ADA)."""
    if recipe.adjustment == 0:
        return
    total = state.real_sign_sum + (real_sign - recipe.target)
    moved = state.augment_probability + tf.sign(total) * recipe.adjustment
    moved = tf.clip_by_value(moved, *recipe.probability_limits)
    probability = tf.where(adjust, moved, state.augment_probability)
    state.augment_probability.assign(probability)
    state.real_sign_sum.assign(tf.where(adjust, 0.0, total))
