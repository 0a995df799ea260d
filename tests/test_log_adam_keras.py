"""LogAdam in the places where Keras touches gradients: what comes before damping."""

import concurrent.futures
import multiprocessing

import keras
import numpy as np
import pytest
import tensorflow as tf
from linear_model import IMAGES, TARGETS, fit, linear_model

from optim import LogAdam, LogSGD

# Damping shows in single steps of Adam only where epsilon is of the gradients' size.
VISIBLE = {"learning_rate": 0.05, "epsilon": 1.0}


def damped(gradient, damping_scale=1.0):
    """The formula in float64."""
    logarithm = np.log1p(np.abs(gradient) / damping_scale)
    return damping_scale * np.sign(gradient) * logarithm


def fitted_by_hand(num_steps=20, loss_scale=1.0):
    """What `fit` must come to, in float64: gradients of the mean squared error by hand.

    With another `loss_scale`, what it would come to were gradients damped too early.
    """
    weights, m, v = np.zeros((3, 3, 2))
    images, targets = IMAGES.astype(np.float64), TARGETS.astype(np.float64)
    for t in range(1, num_steps + 1):
        gradient = 2 / targets.size * images.T @ (images @ weights - targets)
        gradient = damped(gradient * loss_scale) / loss_scale
        m = 0.9 * m + 0.1 * gradient
        v = 0.999 * v + 0.001 * gradient**2
        step = VISIBLE["learning_rate"] * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        weights -= step * m / (np.sqrt(v) + VISIBLE["epsilon"])
    return weights


@pytest.mark.parametrize(
    "how", [{"jit_compile": True}, {"jit_compile": False}, {"run_eagerly": True}]
)
def test_model_fit_with_log_adam_is_the_computation_by_hand(how):
    weights = fit(linear_model(LogAdam(**VISIBLE), **how))
    np.testing.assert_allclose(weights, fitted_by_hand(), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "dtype_policy", ["mixed_bfloat16", "mixed_float16"], indirect=True
)
@pytest.mark.parametrize("jit_compile", [True, False])
def test_mixed_precision_damps_the_unscaled_gradient(dtype_policy, jit_compile):
    model = linear_model(LogAdam(**VISIBLE), jit_compile=jit_compile)
    # The layer computes in 8 or 11 bits: its weights and gradients are rounded to them.
    tolerance = {"mixed_bfloat16": 4e-3, "mixed_float16": 5e-4}[dtype_policy]
    np.testing.assert_allclose(fit(model), fitted_by_hand(), rtol=0, atol=tolerance)
    too_early = np.abs(fitted_by_hand(loss_scale=2.0**15) - fitted_by_hand()).max()
    assert too_early > 10 * tolerance
    if dtype_policy == "mixed_float16":
        assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
        assert isinstance(model.optimizer.inner_optimizer, LogAdam)
        assert int(model.optimizer.iterations) == 20


def test_a_loss_scale_factor_is_divided_out_before_damping():
    weights = step(LogSGD(1.0, loss_scale_factor=1024.0), [3 * 1024.0])
    np.testing.assert_allclose(weights, [-np.log(4)], 1e-6)


def step(optimizer, *gradients, initial=0.0):
    """Applies gradients to one variable of their shape; returns its value."""
    variable = keras.Variable(np.full(np.shape(gradients[0]), initial, np.float32))
    for gradient in gradients:
        optimizer.apply([tf.constant(gradient, tf.float32)], [variable])
    return variable.numpy()


def test_accumulated_gradients_are_damped_once_as_their_mean():
    optimizer = LogSGD(1.0, gradient_accumulation_steps=3)
    weights = step(optimizer, [9.0, 0.0], [-3.0, 0.0], [3.0, 6.0])
    np.testing.assert_allclose(weights, [-np.log(4), -np.log(3)], 1e-6)


def test_gradients_are_clipped_before_they_are_damped():
    by_norm = step(LogSGD(1.0, clipnorm=1.0), [3.0, 4.0])
    np.testing.assert_allclose(by_norm, [-np.log(1.6), -np.log(1.8)], 1e-6)
    by_value = step(LogSGD(1.0, clipvalue=2.0), [1.0, -50.0])
    np.testing.assert_allclose(by_value, [-np.log(2), np.log(3)], 1e-6)


def test_weight_decay_is_not_damped():
    weights = step(LogSGD(0.5, weight_decay=0.1), [np.e - 1], initial=4.0)
    np.testing.assert_allclose(weights, [4 - 0.5 * 0.1 * 4 - 0.5], 1e-6)


def test_variables_overwritten_by_their_gradient_are_not_damped():
    variable = keras.Variable(np.float32([1.0]))
    variable.overwrite_with_gradient = True
    other = keras.Variable(np.float32([0.0]))
    LogSGD(1.0).apply([tf.constant([7.0]), tf.constant([7.0])], [variable, other])
    np.testing.assert_allclose([variable[0], other[0]], [7.0, -np.log(8)], 1e-6)


def test_the_moving_average_is_of_the_weights():
    optimizer = LogSGD(1.0, use_ema=True, ema_momentum=0.75)
    first, second = -np.log(4), -np.log(4) - np.log(8)
    weights = step(optimizer, [3.0], [7.0])
    np.testing.assert_allclose(weights, [second], 1e-6)
    average = optimizer._model_variables_moving_average[0].numpy()
    np.testing.assert_allclose(average, [0.75 * first + 0.25 * second], 1e-6)


@pytest.mark.parametrize("jit_compile", [None, False, True])
def test_rows_given_twice_in_indexed_slices_are_summed_before_damping(jit_compile):
    table = keras.Variable(np.zeros((4, 2), np.float32))
    optimizer = LogSGD(1.0)
    optimizer.build([table])

    def update(rows):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.gather(table.value, rows) * [1.0, -2.0])
        gradient = tape.gradient(loss, table.value)
        assert isinstance(gradient, tf.IndexedSlices)
        optimizer.apply([gradient], [table])

    if jit_compile is not None:
        update = tf.function(update, jit_compile=jit_compile)
    update(tf.constant([2, 0, 2, 2]))
    counts = np.array([[1], [0], [3], [0]])
    np.testing.assert_allclose(table, -damped(counts * [1.0, -2.0]), 1e-6)


def test_an_embedding_trains_in_fit():
    embedding = keras.layers.Embedding(3, 1, embeddings_initializer="zeros")
    model = keras.Sequential([keras.Input([2], dtype="int32"), embedding])
    model.compile(LogSGD(1.0), lambda true, predicted: keras.ops.sum(predicted))
    model.fit(np.int32([[1, 1], [1, 2]]), np.zeros((2, 2, 1)), 2, verbose=0)
    np.testing.assert_allclose(model.get_weights()[0][:, 0], -damped([0, 3, 1]), 1e-6)


@pytest.mark.parametrize("jit_compile", [True, False])
def test_training_goes_on_bit_for_bit_after_a_keras_file(tmp_path, jit_compile):
    optimizer = LogAdam(0.01, damping_scale=0.5, weight_decay=0.1, use_ema=True)
    model = linear_model(optimizer, jit_compile=jit_compile)
    fit(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded.optimizer) is LogAdam
    assert loaded.optimizer.get_config() == model.optimizer.get_config()
    assert np.array_equal(fit(loaded), fit(model))
    ours, theirs = loaded.optimizer.variables, model.optimizer.variables
    assert len(ours) == len(theirs) == 2 + 3
    for one, other in zip(ours, theirs, strict=True):
        assert np.array_equal(one, other)
    assert int(loaded.optimizer.iterations) == 40


def on_two_replicas():
    """Runs in a process of its own: returns what two replicas make of gradients.

    Returns:
        Weights after LogSGD with momentum took the gradients (3, -1) and (-5, 6) on
        its replicas; and W of `fit`.
    """
    cpu = tf.config.list_physical_devices("CPU")[0]
    two = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(cpu, two)
    strategy = tf.distribute.MirroredStrategy(["cpu:0", "cpu:1"])
    with strategy.scope():
        model = linear_model(LogAdam(**VISIBLE), jit_compile=False)
        variable = keras.Variable(np.zeros(1, np.float32))
        optimizer = LogSGD(1.0, momentum=0.5)
        optimizer.build([variable])

    @tf.function
    def update(gradients):
        def replica():
            place = tf.distribute.get_replica_context().replica_id_in_sync_group
            optimizer.apply([tf.gather(gradients, [place])], [variable])

        strategy.run(replica)

    update(tf.constant([3.0, -1.0]))
    update(tf.constant([-5.0, 6.0]))
    return variable.numpy(), fit(model)


def test_two_replicas_damp_the_sum_of_their_gradients():
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=spawn) as process:
        weights, fitted = process.submit(on_two_replicas).result()
    first = -np.log(3)
    second = 0.5 * first - np.log(2)
    np.testing.assert_allclose(weights, [first + second], 1e-6)
    np.testing.assert_allclose(fitted, fitted_by_hand(), rtol=0, atol=1e-6)
