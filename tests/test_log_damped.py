"""LogDamped: any Keras optimizer, and what it refuses."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import optimizers

import optim
from optim import LogAdam, LogDamped

CLASSES = [
    optimizers.SGD,
    optimizers.RMSprop,
    optimizers.Adagrad,
    optimizers.Adadelta,
    optimizers.Adam,
    optimizers.AdamW,
    optimizers.Adamax,
    optimizers.Nadam,
    optimizers.Ftrl,
    optimizers.Lion,
    optimizers.Lamb,
    optimizers.Adafactor,
    optimizers.Muon,
    optimizers.ScheduleFreeAdamW,
]


def trained(optimizer, gradients):
    """Applies gradients to a matrix, one after the other; returns the matrix."""
    matrix = keras.Variable(np.full((3, 4), 0.5, np.float32), name="matrix")
    for gradient in gradients:
        optimizer.apply([tf.constant(gradient, tf.float32)], [matrix])
    return matrix.numpy()


@pytest.mark.parametrize("cls", CLASSES)
def test_every_optimizer_is_the_plain_one_on_gradients_damped_before(cls):
    gradients = np.random.default_rng(7).normal(size=(6, 3, 4)) * 30
    gradients[2] *= 1e6
    damped = np.sign(gradients) * 2 * np.log1p(np.abs(gradients) / 2)
    ours = trained(LogDamped(cls)(0.01, damping_scale=2.0), gradients)
    plain = trained(cls(0.01), damped)
    np.testing.assert_allclose(ours, plain, rtol=0, atol=1e-6)
    undamped = trained(cls(0.01), gradients)
    assert np.abs(undamped - plain).max() > 1e-5


def test_every_optimizer_of_keras_is_either_damped_here_or_refused():
    found = [value for value in vars(optimizers).values() if isinstance(value, type)]
    found = {cls for cls in found if issubclass(cls, optimizers.Optimizer)}
    refused = {
        optimizers.Optimizer,
        optimizers.LossScaleOptimizer,
        optimizers.MultiOptimizer,
    }
    assert found == set(CLASSES) | refused
    for cls in refused:
        with pytest.raises(TypeError):
            LogDamped(cls)


def test_the_same_class_comes_out_each_time():
    assert LogDamped(optimizers.Adam) is LogAdam
    assert LogDamped(optimizers.SGD) is LogDamped(optimizers.SGD) is optim.LogSGD
    assert LogDamped(optimizers.Nadam) is LogDamped(optimizers.Nadam)
    assert LogDamped(optimizers.Nadam).__name__ == "LogNadam"


def test_a_damped_class_is_its_own_damped_class():
    assert LogDamped(LogAdam) is LogAdam


@pytest.mark.parametrize(
    ("name", "cls"),
    [
        ("LogAdam", optimizers.Adam),
        ("LogAdamW", optimizers.AdamW),
        ("LogSGD", optimizers.SGD),
        ("LogRMSprop", optimizers.RMSprop),
        ("LogLion", optimizers.Lion),
    ],
)
def test_named_classes_are_registered_and_come_back_from_their_config(name, cls):
    damped = getattr(optim, name)
    assert issubclass(damped, cls)
    assert keras.saving.get_registered_object(f"magnetosphere>{name}") is damped
    written = optimizers.serialize(damped(0.125, damping_scale=1e-3, clipnorm=2.0))
    read = optimizers.deserialize(written)
    assert type(read) is damped
    assert read.damping_scale == 1e-3
    assert read.clipnorm == 2.0
    assert float(read.learning_rate) == 0.125


def test_the_default_knee_is_that_of_the_article():
    assert LogAdam().damping_scale == 1.0
    assert optim.LogSGD().get_config()["damping_scale"] == 1.0


def test_arguments_keep_the_order_of_the_plain_class():
    optimizer = LogAdam(0.5, 0.1, 0.2, 0.3, True)
    config = optimizer.get_config()
    names = ["learning_rate", "beta_1", "beta_2", "epsilon", "amsgrad"]
    assert [config[name] for name in names] == [0.5, 0.1, 0.2, 0.3, True]


class Halving(optimizers.SGD):
    """Comes to update_step, but not by Keras' own methods alone."""

    def apply(self, grads, trainable_variables=None):
        super().apply([gradient / 2 for gradient in grads], trainable_variables)


class WithADecayOfItsOwn(optimizers.SGD):
    """Overrides a method that is not on the way to update_step, as Muon does."""

    def _apply_weight_decay(self, variables):
        for variable in variables:
            variable.assign(variable * 0.5)


class OwnArithmetic(optimizers.SGD):
    """Has the update_step of SGD and never comes to it."""

    def apply(self, grads, trainable_variables=None):
        for gradient, variable in zip(grads, trainable_variables, strict=True):
            variable.assign_sub(gradient * self.learning_rate)


class ManyAtOnce(optimizers.Adam):
    """Updates all variables in one go, as Keras' own classes for PyTorch do."""

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        self._parallel_update_step(grads, trainable_variables, learning_rate)

    def _parallel_update_step(self, grads, variables, learning_rate):
        for gradient, variable in zip(grads, variables, strict=True):
            variable.assign_sub(gradient * learning_rate)


class OwnAppliedGradients(optimizers.SGD):
    """Does its arithmetic where `model.fit` comes in."""

    def apply_gradients(self, grads_and_vars):
        for gradient, variable in grads_and_vars:
            variable.assign_sub(gradient * self.learning_rate)


def test_a_class_that_overrides_what_is_not_on_the_way_is_damped():
    gradient = np.full((1, 3, 4), np.e - 1)
    weights = trained(LogDamped(WithADecayOfItsOwn)(0.125), gradient)
    np.testing.assert_allclose(weights, np.full((3, 4), 0.25 - 0.125), 1e-6)


@pytest.mark.parametrize(
    ("cls", "message"),
    [
        (optimizers.SGD(), r"LogDamped\(SGD\)\(\.\.\.\)\. Received an instance of SGD"),
        (keras.layers.Dense, r"Expected a Keras optimizer class.*Dense"),
        ("sgd", r"Expected a Keras optimizer class.*'sgd'"),
        (optimizers.LossScaleOptimizer, r"LossScaleOptimizer\(LogDamped\(cls\)\("),
        (
            optimizers.MultiOptimizer,
            r"MultiOptimizer, which overrides.*change what is inside",
        ),
        (optimizers.Optimizer, r"\.Optimizer, which has none and could go undamped"),
        (OwnArithmetic, r"\.OwnArithmetic, which overrides apply\(\) and could go"),
        (OwnAppliedGradients, r"which overrides apply_gradients\(\) and could"),
        (Halving, r"\.Halving, which overrides apply\(\) and could go undamped"),
        (ManyAtOnce, r"overrides _backend_update_step\(\).*keras\.optimizers\.Adam"),
    ],
)
def test_what_cannot_be_damped_is_refused_in_words(cls, message):
    with pytest.raises(TypeError, match=message):
        LogDamped(cls)
