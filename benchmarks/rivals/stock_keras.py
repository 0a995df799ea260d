"""The pair in stock Keras, float32, trained by a plain step: no vitals, no undoing.

What a competent user would write: tf.data, one tf.function, Keras' Adam. The networks
are those of models/, which are stock layers anyway.
"""

import importlib.metadata

from benchmarks.rivals.contestants import (
    Ready,
    average_decay,
    penalty_weight,
    random_images,
)
from settings.config import Config
from settings.optimizer import Network


def build(config: Config) -> Ready:
    """Builds the pair, its optimizers, its data and its step."""
    import keras  # not by import_tensorflow, which turns oneDNN on

    from training.device import find_device
    from training.networks import (
        build_discriminator,
        build_ema_generator,
        build_generator,
    )

    find_device(config.runtime.device)
    keras.utils.set_random_seed(config.run.seed)
    runtime = config.runtime.model_copy(update={"precision": "float32"})
    config = config.model_copy(update={"runtime": runtime})
    generator, discriminator = build_generator(config), build_discriminator(config)
    average = build_ema_generator(config)
    average.set_weights(generator.get_weights())
    step = build_step(config, generator, discriminator, average)
    batches = iter(build_batches(config))

    def iterate(with_penalty: bool) -> float:
        return float(step(next(batches), next(batches), with_penalty))

    return Ready(
        iterate,
        generator.count_params() + discriminator.count_params(),
        "float32",
        {name: importlib.metadata.version(name) for name in ("tensorflow", "keras")},
    )


def build_batches(config: Config) -> object:
    """Returns endless float32 [batch, size, size, 3] in [-1, 1], randomly mirrored."""
    import tensorflow as tf

    def prepared(images: tf.Tensor) -> tf.Tensor:
        images = tf.cast(images, tf.float32) / 127.5 - 1.0
        flips = config.data.horizontal_flip
        return tf.image.random_flip_left_right(images) if flips else images

    images = random_images(config.data.image_size)
    photographs = tf.data.Dataset.from_tensor_slices(images)
    photographs = photographs.shuffle(len(images)).repeat()
    batches = photographs.batch(config.training.batch_size, drop_remainder=True)
    return batches.map(prepared).prefetch(2)


def build_adam(config: Config, network: Network) -> object:
    """Returns Keras' Adam with a network's settings."""
    import keras

    settings = config.optimizer.for_network(network)
    return keras.optimizers.Adam(
        settings.learning_rate,
        beta_1=settings.beta_1,
        beta_2=settings.beta_2,
        epsilon=settings.epsilon,
    )


def build_step(
    config: Config, generator: object, discriminator: object, average: object
) -> object:
    """Returns a compiled step of two batches that returns the generator's loss []."""
    import tensorflow as tf

    discriminator_adam = build_adam(config, "discriminator")
    generator_adam = build_adam(config, "generator")
    # Made before tracing, in which Keras may not make variables twice.
    discriminator_adam.build(discriminator.trainable_variables)
    generator_adam.build(generator.trainable_variables)
    shape = (config.training.batch_size, config.model.latent_dim)
    decay, weight = average_decay(config), penalty_weight(config)

    def penalty_of(gradients: tf.Tensor) -> tf.Tensor:
        """Returns R1 + R2, the mean squared norms over both halves of a batch."""
        return 2 * tf.reduce_mean(tf.reduce_sum(tf.square(gradients), (1, 2, 3)))

    def update_discriminator(real: tf.Tensor, with_penalty: bool) -> None:
        fake = generator(tf.random.normal(shape), training=True)
        both = tf.stop_gradient(tf.concat([real, fake], 0))
        with tf.GradientTape() as tape:
            if with_penalty:
                with tf.GradientTape(watch_accessed_variables=False) as image_tape:
                    image_tape.watch(both)
                    logits = discriminator(both, training=True)
                penalty = weight * penalty_of(image_tape.gradient(logits, both))
            else:
                logits, penalty = discriminator(both, training=True), 0.0
            on_real, on_fake = tf.split(logits, 2)
            loss = tf.reduce_mean(tf.nn.softplus(on_fake - on_real)) + penalty
        variables = discriminator.trainable_variables
        gradients = tape.gradient(loss, variables)
        discriminator_adam.apply_gradients(zip(gradients, variables, strict=True))

    def update_generator(real: tf.Tensor) -> tf.Tensor:
        on_real = discriminator(real, training=True)
        variables = generator.trainable_variables
        with tf.GradientTape() as tape:
            fake = generator(tf.random.normal(shape), training=True)
            on_fake = discriminator(fake, training=True)
            loss = tf.reduce_mean(tf.nn.softplus(on_real - on_fake))
        gradients = tape.gradient(loss, variables)
        generator_adam.apply_gradients(zip(gradients, variables, strict=True))
        pairs = zip(average.variables, generator.variables, strict=True)
        for mean, variable in pairs:
            mean.assign(decay * mean + (1 - decay) * variable)
        return loss

    @tf.function
    def step(real: tf.Tensor, other: tf.Tensor, with_penalty: bool) -> tf.Tensor:
        update_discriminator(real, with_penalty)
        return update_generator(other)

    return step
