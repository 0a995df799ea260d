"""Tests the knee that follows a variable's gradients, against float64 NumPy."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from optim import LogAdam, LogDamped, LogSGD, damp

MODES = {
    "eager": lambda function: function,
    "graph": tf.function,
    "xla": functools.partial(tf.function, jit_compile=True),
}
SGD = {"learning_rate": 1.0, "damping_scale": "adaptive"}


def damped_by_hand(gradients):
    """The rule of adaptive_knee.py in float64: yields what reaches the optimizer."""
    usual = 0.0
    for step, gradient in enumerate(np.asarray(gradients, np.float64), start=1):
        sizes = np.abs(gradient[gradient != 0])
        size = sizes.mean() if sizes.size else usual
        if usual == 0:
            yield np.zeros_like(gradient)
            usual = size
            continue
        knee = 3 * usual / np.log1p(max(1.0, size / (3 * usual)))
        yield knee * np.sign(gradient) * np.log1p(np.abs(gradient) / knee)
        usual *= (size / usual) ** max(0.01, 1 / step)


def ordinary_gradients(steps=80, seed=0):
    """Float32 [steps, 24] of one scale, some elements of them always 0."""
    draw = np.random.default_rng(seed)
    gradients = draw.normal(0, 0.01, (steps, 24)).astype(np.float32)
    gradients[:, :3] = 0
    return gradients


def updates_of(optimizer, gradients, mode="eager"):
    """Returns what each gradient changes the weights by, float32 [steps, 24]."""
    variable = keras.Variable(np.zeros(gradients.shape[1], np.float32))
    optimizer.build([variable])

    @MODES[mode]
    def step(gradient):
        optimizer.apply([gradient], [variable])
        return tf.identity(variable.value)

    weights = np.stack([step(tf.constant(gradient)) for gradient in gradients])
    return np.diff(weights, axis=0, prepend=0 * weights[:1])


def let_through(gradients, mode="eager"):
    """Returns the damped gradients, each used by an optimizer that adds nothing."""
    out = []
    optimizer = LogSGD(**SGD)
    variable = keras.Variable(np.zeros(gradients.shape[1], np.float32))
    optimizer.build([variable])

    @MODES[mode]
    def step(gradient):
        variable.assign(tf.zeros_like(variable.value))
        optimizer.apply([gradient], [variable])
        return tf.identity(variable.value)

    out = [-step(tf.constant(gradient)).numpy() for gradient in gradients]
    return np.stack(out)


@pytest.mark.parametrize("mode", MODES)
def test_it_is_the_rule_in_float64(mode):
    gradients = ordinary_gradients()
    gradients[20] *= 1e4
    gradients[40:43] *= 1e9
    gradients[60, 7] = 1e20
    expected = np.stack(list(damped_by_hand(gradients)))
    # exp and log of float32, some sixty times in a row.
    np.testing.assert_allclose(let_through(gradients, mode), expected, rtol=1e-4)


def test_ordinary_gradients_are_hardly_damped():
    gradients = ordinary_gradients()
    ratio = let_through(gradients)[1:, 3:] / gradients[1:, 3:]
    # log(1 + x) / x at 3.5 and 0.67 standard deviations, the knee being 3.5 of them.
    assert 0.65 < ratio.min() and ratio.max() <= 1 and np.median(ratio) > 0.9


@pytest.mark.parametrize("size", [30, 1e4, 1e8, 1e20, 1e36])
def test_a_spike_of_any_size_is_a_few_usual_gradients(size):
    gradients = ordinary_gradients()
    usual = np.abs(gradients[:, 3:]).mean()
    gradients[50] *= size
    through = let_through(gradients)
    assert np.abs(through[50]).mean() < 6 * usual
    after = np.abs(through[51:, 3:]).mean() / np.abs(gradients[51:, 3:]).mean()
    assert 0.85 < after <= 1  # as without the spike


@pytest.mark.parametrize(
    "factor", [1e-30, pytest.param(0.01, marks=pytest.mark.slow), 100.0, 1e30]
)
@pytest.mark.parametrize("mode", MODES)
def test_the_scale_of_the_loss_does_not_matter(mode, factor):
    gradients = ordinary_gradients()
    gradients[30] *= 1e4
    same = updates_of(LogAdam(0.01, epsilon=1e-30, damping_scale="adaptive"), gradients)
    factor = np.float32(factor)
    optimizer = LogAdam(0.01, epsilon=1e-30, damping_scale="adaptive")
    # Adam squares: at 1e-30 and 1e30 moments leave float32, so look at the damping.
    if not 1e-3 < factor < 1e3:
        through = let_through(gradients * factor, mode)
        expected = let_through(gradients).astype(np.float64) * factor
        np.testing.assert_allclose(through, expected, rtol=1e-4)
        return
    np.testing.assert_allclose(
        updates_of(optimizer, gradients * factor, mode), same, rtol=2e-3, atol=2e-6
    )


def test_a_fixed_knee_does_depend_on_the_scale_of_the_loss():
    gradients = ordinary_gradients()
    same = updates_of(LogAdam(0.01, epsilon=1e-30, damping_scale=1e-3), gradients)
    other = updates_of(
        LogAdam(0.01, epsilon=1e-30, damping_scale=1e-3), gradients * 100
    )
    assert np.abs(other - same).max() > 1e-3


def test_the_first_gradient_is_only_looked_at():
    gradients = ordinary_gradients(3)
    gradients[0] *= 1e4
    through = let_through(gradients)
    assert not through[0].any() and through[1].any()


def test_gradients_of_zero_leave_the_usual_size_alone():
    gradients = ordinary_gradients(12)
    gradients[[0, 1, 6]] = 0
    through = let_through(gradients)
    assert not through[[0, 1, 2, 6]].any()  # the third is the first that tells a size
    assert through[3:6, 3:].all() and through[7:, 3:].all()


@pytest.mark.parametrize("place", [0, 5])
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_what_is_not_finite_is_not_hidden_and_harms_no_knee(place, value):
    gradients = ordinary_gradients(10)
    gradients[place, 4] = value
    through = let_through(gradients)
    assert not np.isfinite(through[place, 4])
    assert np.isfinite(np.delete(through[place], 4)).all()
    assert np.isfinite(np.delete(through, place, axis=0)).all()
    assert through[place + 2 :, 3:].all()


def test_each_variable_has_its_own_knee():
    optimizer = LogSGD(**SGD)
    variables = [keras.Variable(np.zeros(24, np.float32)) for _ in range(2)]
    optimizer.build(variables)
    for gradient in ordinary_gradients(5):
        optimizer.apply([gradient, gradient * 1e6], variables)
    small, large = (np.array(variable) for variable in variables)
    np.testing.assert_allclose(large[3:], small[3:] * 1e6, rtol=1e-4)


def test_a_tensor_of_a_knee_damps_as_the_number_does():
    gradients = np.float32([0, -1e-9, 1e-3, -1.0, 1e4, 3e38])
    for scale in (1e-30, 1e-3, 1.0, 7.0, 1e30):
        with_tensor = damp(gradients, tf.constant(scale, tf.float32))
        np.testing.assert_allclose(with_tensor, damp(gradients, scale), rtol=1e-6)


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_it_trains_in_fit(precision):
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(precision)
    try:
        model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1)])
        model.compile(LogAdam(0.05, damping_scale="adaptive"), "mse")
        x = np.random.default_rng(0).normal(size=(256, 4)).astype(np.float32)
        losses = model.fit(x, x.sum(1), epochs=10, verbose=0).history["loss"]
    finally:
        keras.config.set_dtype_policy("float32")
    assert losses[-1] < 0.1 * losses[0]


def test_training_goes_on_bit_for_bit_after_a_keras_file(tmp_path):
    x = np.random.default_rng(0).normal(size=(64, 4)).astype(np.float32)
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1)])
    model.compile(LogAdam(0.05, damping_scale="adaptive"), "mse")
    model.fit(x, x.sum(1), epochs=2, shuffle=False, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.optimizer.damping_scale == "adaptive"
    for one in (model, loaded):
        one.fit(x, x.sum(1), epochs=2, shuffle=False, verbose=0)
    for own, other in zip(model.weights, loaded.weights, strict=True):
        assert np.array(own).tobytes() == np.array(other).tobytes()
    names = [variable.name for variable in loaded.optimizer.variables]
    assert [name for name in names if "usual_size" in name]


def test_rows_given_twice_are_summed_before_their_size_is_taken():
    def run(as_slices):
        optimizer = LogSGD(**SGD)
        table = keras.Variable(np.zeros((4, 2), np.float32))
        optimizer.build([table])
        for gradient in ordinary_gradients(6)[:, 3:9].reshape(6, 3, 2):
            values, rows = tf.constant(gradient), tf.constant([1, 3, 1])
            slices = tf.IndexedSlices(values, rows, tf.constant([4, 2]))
            used = slices if as_slices else tf.convert_to_tensor(slices)
            optimizer.apply([used], [table])
        return np.array(table)

    np.testing.assert_allclose(run(True), run(False), rtol=1e-6)


def test_a_float_knee_needs_no_variables_of_its_own():
    variable = keras.Variable(np.zeros(3, np.float32))
    counts = []
    for scale in (1.0, "adaptive"):
        optimizer = LogDamped(keras.optimizers.Adam)(damping_scale=scale)
        optimizer.build([variable])
        counts.append(len(optimizer.variables))
    assert counts[1] == counts[0] + 1
    with pytest.raises(ValueError, match='or "adaptive"'):
        LogAdam(damping_scale="adaptve")
