"""FanInScaled: each weight's rate by its fan-in, for any optimizer of Keras."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import optimizers
from linear_model import IMAGES, TARGETS, fit, linear_model

import optim
from optim import FanInAdam, FanInLogAdam, FanInScaled, LogAdam, LogDamped

CLASSES = [
    optimizers.SGD,
    optimizers.RMSprop,
    optimizers.Adagrad,
    optimizers.Adadelta,
    optimizers.Adam,
    optimizers.AdamW,
    optimizers.Adamax,
    optimizers.Nadam,
    optimizers.Lion,
    optimizers.Muon,
    optimizers.ScheduleFreeAdamW,
    optim.LogAdam,
    optim.LogSGD,
]
SHAPE = (2, 2, 4, 3)  # a fan-in of 16, whose root is 4


def moved(optimizer, shape):
    """Applies a few gradients to a variable; returns by how much it moved."""
    initial = np.random.default_rng(6).normal(size=shape).astype(np.float32)
    variable = keras.Variable(initial, name="variable")
    for gradient in np.random.default_rng(7).normal(size=(5, *shape)):
        optimizer.apply([tf.constant(gradient, tf.float32)], [variable])
    return variable.numpy() - initial


@pytest.mark.parametrize("shape", [(16, 3), SHAPE])
@pytest.mark.parametrize("cls", CLASSES)
def test_every_optimizer_is_the_plain_one_at_another_rate(cls, shape):
    keys = {"weight_decay": 0.0}
    if cls is optimizers.Muon:
        keys |= {"adam_weight_decay": 0.0}
    kernel = moved(FanInScaled(cls)(0.1, **keys), shape)
    np.testing.assert_allclose(kernel, moved(cls(0.1 / 4, **keys), shape), atol=1e-6)
    bias = moved(FanInScaled(cls)(0.1, bias_rate=0.5, **keys), [3])
    np.testing.assert_allclose(bias, moved(cls(0.1 / 2, **keys), [3]), atol=1e-6)
    assert np.abs(kernel - moved(cls(0.1, **keys), shape)).max() > 1e-5


def test_lamb_is_the_plain_one_at_another_rate_for_a_step():
    # Its next step depends on the size that the first one left.
    initial = keras.Variable(np.ones(SHAPE, np.float32))
    FanInScaled(optimizers.Lamb)(0.1).apply([tf.ones(SHAPE)], [initial])
    np.testing.assert_allclose(initial, np.full(SHAPE, 1 - 0.1 / 4), atol=1e-5)


def test_every_optimizer_of_keras_is_either_scaled_or_refused():
    found = [value for value in vars(optimizers).values() if isinstance(value, type)]
    found = {cls for cls in found if issubclass(cls, optimizers.Optimizer)}
    refused = {
        optimizers.Optimizer,
        optimizers.LossScaleOptimizer,
        optimizers.MultiOptimizer,
        optimizers.Ftrl,
        optimizers.Adafactor,
    }
    assert found == {*CLASSES, *refused, optimizers.Lamb} - {LogAdam, optim.LogSGD}
    for cls in refused:
        with pytest.raises(TypeError):
            FanInScaled(cls)


@pytest.mark.parametrize(
    ("shape", "factor"),
    [
        ((), 0.25),
        ((7,), 0.25),
        ((16, 5), 1 / 4),  # dense
        ((9, 4, 5), 1 / 6),  # one-dimensional convolution
        ((3, 3, 16, 5), 1 / 12),
        ((3, 3, 256, 5), 1 / 48),
        ((0, 5), 1.0),
    ],
)
def test_the_factor_is_one_over_the_root_of_all_dimensions_but_the_last(shape, factor):
    variable = keras.Variable(np.zeros(shape, np.float32))
    assert FanInAdam().rate_factor_of(variable) == pytest.approx(factor)


@pytest.mark.parametrize(
    ("layer", "fan_in"),
    [
        (keras.layers.Dense(5), 8),
        (keras.layers.Conv2D(5, 3), 9 * 8),
        (keras.layers.SimpleRNN(5), 8),
    ],
)
def test_the_kernels_of_stock_layers_have_the_fan_in_of_keras(layer, fan_in):
    rank = {"Dense": 2, "SimpleRNN": 3, "Conv2D": 4}[type(layer).__name__]
    layer.build([None, 10, 10, 8][-rank:] if rank > 2 else [None, 8])
    kernel = layer.trainable_variables[0]
    assert FanInAdam().rate_factor_of(kernel) == pytest.approx(1 / math.sqrt(fan_in))


def fitted_with_equalized_rate(factor=3**-0.5):
    """Returns W of Adam on V in y = x (factor V), in float64."""
    v, m, s = np.zeros((3, 3, 2))
    images, targets = IMAGES.astype(np.float64), TARGETS.astype(np.float64)
    for t in range(1, 21):
        gradient = 2 / targets.size * images.T @ (images @ (factor * v) - targets)
        m = 0.9 * m + 0.1 * gradient * factor
        s = 0.999 * s + 0.001 * (gradient * factor) ** 2
        v -= 0.05 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t) * m / np.sqrt(s)
    return factor * v


@pytest.mark.parametrize(
    "how", [{"jit_compile": True}, {"jit_compile": False}, {"run_eagerly": True}]
)
def test_model_fit_is_adam_with_an_equalized_learning_rate(how):
    weights = fit(linear_model(FanInAdam(0.05, epsilon=1e-30), **how))
    expected = fitted_with_equalized_rate()
    # In float32, 1 - 0.999 of the first steps has four digits.
    np.testing.assert_allclose(weights, expected, rtol=0, atol=1e-5)
    assert np.abs(fitted_with_equalized_rate(1.0) - expected).max() > 0.1


@pytest.mark.parametrize(
    "dtype_policy", ["mixed_bfloat16", "mixed_float16"], indirect=True
)
def test_mixed_precision_is_the_same_but_for_rounding(dtype_policy):
    weights = fit(linear_model(FanInAdam(0.05, epsilon=1e-30)))
    # Gradients are rounded to 8 or 11 bits, and Adam's steps follow their ratios.
    expected = fitted_with_equalized_rate()
    np.testing.assert_allclose(weights, expected, rtol=0, atol=0.01)


def test_damping_and_scaling_go_together_in_either_order():
    knee = {"damping_scale": "adaptive"}
    one = moved(FanInScaled(LogAdam)(0.1, **knee), SHAPE)
    other = moved(LogDamped(FanInAdam)(0.1, **knee), SHAPE)
    np.testing.assert_array_equal(one, other)
    assert FanInScaled(LogDamped(FanInAdam)) is LogDamped(FanInAdam)
    assert FanInScaled(LogAdam) is FanInLogAdam
    variable = keras.Variable(np.zeros(SHAPE, np.float32))
    assert FanInLogAdam(damping_scale=0.5).knee_of(tf.ones(SHAPE), variable) == 0.5


def test_weight_decay_keeps_the_unscaled_rate():
    variable = keras.Variable(np.full((4, 1), 4.0, np.float32))
    optimizer = FanInScaled(optimizers.SGD)(0.5, weight_decay=0.1)
    optimizer.apply([tf.ones((4, 1))], [variable])
    np.testing.assert_allclose(
        variable, np.full((4, 1), 4 - 0.5 * 0.1 * 4 - 0.25), 1e-6
    )


def test_a_schedule_of_keras_is_scaled_too():
    schedule = optimizers.schedules.PiecewiseConstantDecay([0], [1.0, 0.5])
    variable = keras.Variable(np.zeros((4, 1), np.float32))
    optimizer = FanInScaled(optimizers.SGD)(schedule)
    for _ in range(2):
        optimizer.apply([tf.ones((4, 1))], [variable])
    np.testing.assert_allclose(variable, np.full((4, 1), -0.5 - 0.25), 1e-6)


@pytest.mark.parametrize("name", ["FanInAdam", "FanInLogAdam"])
def test_a_named_class_is_registered_and_comes_back_from_its_config(name):
    cls = getattr(optim, name)
    assert keras.saving.get_registered_object(f"magnetosphere>{name}") is cls
    read = optimizers.deserialize(optimizers.serialize(cls(0.125, bias_rate=1)))
    assert type(read) is cls
    assert (read.bias_rate, float(read.learning_rate)) == (1.0, 0.125)
    assert cls().get_config()["bias_rate"] == 0.25


def test_training_goes_on_bit_for_bit_after_a_keras_file(tmp_path):
    model = linear_model(FanInLogAdam(0.01, damping_scale=0.5, bias_rate=0.5))
    fit(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded.optimizer) is FanInLogAdam
    assert loaded.optimizer.get_config() == model.optimizer.get_config()
    assert np.array_equal(fit(loaded), fit(model))


@pytest.mark.parametrize("rate", [-0.5, math.inf, math.nan, "1", None, True])
def test_a_rate_of_biases_that_is_none_is_refused(rate):
    with pytest.raises(ValueError, match=r"number, 0 or more.*bias_rate="):
        FanInAdam(bias_rate=rate)


@pytest.mark.parametrize(
    ("cls", "message"),
    [
        (optimizers.SGD(), r"FanInScaled\(SGD\)\(\.\.\.\)\. Received an instance"),
        (keras.layers.Dense, r"Expected a Keras optimizer class.*Dense"),
        (optimizers.LossScaleOptimizer, r"LossScaleOptimizer\(FanInScaled\(cls\)\("),
        (optimizers.Optimizer, r"which has none and could go unscaled"),
        (optimizers.Ftrl, r"proportional.*Ftrl, which solves for the weights"),
        (optimizers.Adafactor, r"proportional.*Adafactor, which caps the rate"),
        (LogDamped(optimizers.Ftrl), r"proportional.*LogFtrl, which solves"),
    ],
)
def test_what_cannot_be_scaled_is_refused_in_words(cls, message):
    with pytest.raises(TypeError, match=message):
        FanInScaled(cls)
