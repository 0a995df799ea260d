"""LogAdam against the formula and the Adam paper, in float64 NumPy."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from optim import LogAdam, LogSGD, damp

MODES = {
    "eager": lambda function: function,
    "graph": tf.function,
    "xla": functools.partial(tf.function, jit_compile=True),
}
SCALES = [1e-37, 1e-30, 1e-3, 0.5, 1.0, 7.0, 1e30, 1e37]
EXTREME_SCALES = [5e-324, 1e-300, *SCALES, 1e300]
LARGEST = float(np.finfo(np.float32).max)
# log and log1p of float32 are right to about 2e-7 (a few units in the last place).
FLOAT32_TOLERANCE = 1e-6


@pytest.fixture(params=MODES)
def in_mode(request):
    """How a function is run: eagerly, as a graph, or compiled by XLA."""
    return MODES[request.param]


def damped(gradient, damping_scale=1.0):
    """The formula in float64; right while |g| / scale is below 1e308."""
    gradient = np.asarray(gradient, np.float64)
    logarithm = np.log1p(np.abs(gradient) / damping_scale)
    return damping_scale * np.sign(gradient) * logarithm


def adam_of_the_paper(
    weights,
    gradients,
    learning_rate=0.001,
    beta_1=0.9,
    beta_2=0.999,
    epsilon=1e-7,
    amsgrad=False,
    weight_decay=0.0,
):
    """Section 2 of arXiv:1412.6980 with Keras' epsilon ("epsilon hat"), in float64."""
    weights = weights.astype(np.float64)
    m, v, v_hat = np.zeros((3, *weights.shape))
    for t, gradient in enumerate(gradients, start=1):
        weights = weights - learning_rate * weight_decay * weights
        m = beta_1 * m + (1 - beta_1) * gradient
        v = beta_2 * v + (1 - beta_2) * gradient**2
        v_hat = np.maximum(v_hat, v) if amsgrad else v
        alpha = learning_rate * np.sqrt(1 - beta_2**t) / (1 - beta_1**t)
        weights = weights - alpha * m / (np.sqrt(v_hat) + epsilon)
    return weights


def gradients_of_every_size():
    """Float32 [60, 24] in 1e-9 to 1e3, with two spikes of 1e15."""
    generator = np.random.default_rng(3)
    gradients = generator.normal(size=(60, 24)) * np.geomspace(1e-9, 1e3, 24)
    gradients[20, ::3] = 1e15
    gradients[40, 1::3] = -1e15
    return gradients.astype(np.float32)


def trained(optimizer, gradients, in_mode, initial=0.0):
    """Applies gradients one after the other; returns the weights at the end."""
    variable = tf.Variable(np.broadcast_to(np.float32(initial), gradients.shape[1:]))
    optimizer.build([variable])
    update = in_mode(lambda gradient: optimizer.apply([gradient], [variable]))
    for gradient in gradients:
        update(tf.constant(gradient))
    return variable.numpy()


@pytest.mark.parametrize("scale", SCALES)
def test_damp_is_the_formula_at_every_size_and_scale(in_mode, scale):
    sizes = np.geomspace(1e-30, LARGEST, 300).astype(np.float32)
    gradient = np.concatenate([-sizes, sizes])
    result = in_mode(damp)(tf.constant(gradient), scale).numpy()
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, damped(gradient, scale), FLOAT32_TOLERANCE)


def test_damp_at_the_knee_of_the_article_by_hand():
    result = damp(tf.constant([np.e - 1, 1.0, -(np.e**2 - 1), 10_000.0]), 1.0)
    np.testing.assert_allclose(result, [1, np.log(2), -2, 9.21044], 1e-6)


def test_a_tiny_gradient_is_not_flushed_to_zero(in_mode):
    # log(1 + x) gives 0 here, in eager mode and XLA; Grappler may hide it in graphs.
    result = in_mode(damp)(tf.constant([1e-9, -1e-9]), 1.0)
    np.testing.assert_allclose(result, [1e-9, -1e-9], FLOAT32_TOLERANCE)
    weights = trained(LogSGD(learning_rate=1.0), np.float32([[1e-9]]), in_mode)
    np.testing.assert_allclose(weights, [-1e-9], FLOAT32_TOLERANCE)


@pytest.mark.parametrize("scale", EXTREME_SCALES)
def test_a_finite_gradient_never_becomes_infinite_or_larger(in_mode, scale):
    gradient = np.float32([LARGEST, 1e20, 1.0, 1e-20, 2e-38, 1e-40, 1e-45, 0.0])
    result = in_mode(damp)(tf.constant(gradient), scale).numpy()
    assert np.isfinite(result).all()
    assert (result >= 0).all()
    assert (result <= np.float64(gradient) * (1 + FLOAT32_TOLERANCE)).all()
    assert np.array_equal(in_mode(damp)(tf.constant(-gradient), scale), -result)


@pytest.mark.parametrize("scale", [1e30, 1e300])
def test_a_huge_knee_leaves_gradients_as_they_are(in_mode, scale):
    gradient = np.float32([1e-30, 1e-9, -1e-3, 1.0, 1e20])
    result = in_mode(damp)(tf.constant(gradient), scale)
    np.testing.assert_allclose(result, gradient, FLOAT32_TOLERANCE)


@pytest.mark.parametrize("scale", EXTREME_SCALES)
def test_zero_infinity_and_nan_come_out_as_they_went_in(in_mode, scale):
    gradient = np.float32([0, np.inf, -np.inf, np.nan])
    result = in_mode(damp)(tf.constant(gradient), scale)
    np.testing.assert_array_equal(result, gradient)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_no_infinity_arises_inside_from_a_gradient_of_zero(scale):
    gradient = tf.zeros([2])
    with tf.GradientTape() as tape:
        tape.watch(gradient)
        result = damp(gradient, scale)
    assert np.isfinite(tape.gradient(result, gradient)).all()


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("scale", [1e-3, 1.0])
def test_half_precision_is_damped_in_float32_and_keeps_its_dtype(in_mode, dtype, scale):
    gradient = tf.cast(np.geomspace(1e-3, 6e4, 200), dtype)
    result = in_mode(damp)(gradient, scale)
    exact = damped(tf.cast(gradient, "float64"), scale)
    assert result.dtype == dtype
    # One rounding, at the end, to 8 and 11 bits.
    rounding = {"bfloat16": 2**-8, "float16": 2**-11}[dtype]
    np.testing.assert_allclose(tf.cast(result, "float64"), exact, 1.01 * rounding)


def test_float64_stays_float64(in_mode):
    for scale in (1e-300, 1e-3, 1.0, 1e3):
        gradient = np.float64([1e-12, -1.0, 1e5, 1e300])
        result = in_mode(damp)(tf.constant(gradient), scale).numpy()
        assert result.dtype == np.float64
        exact = damped(gradient[:3], scale)
        np.testing.assert_allclose(result[:3], exact, 1e-14)
        expected = scale * (np.log(1e300) - np.log(scale))
        np.testing.assert_allclose(result[3], expected, 1e-13)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"learning_rate": 4e-4, "beta_1": 0.0, "beta_2": 0.99, "epsilon": 1e-8},
        {"amsgrad": True},
        {"weight_decay": 0.1},
        {"damping_scale": 1e-3, "epsilon": 1e-5},
        {"damping_scale": 1e3},
    ],
    ids=str,
)
def test_log_adam_is_adam_of_the_paper_on_damped_gradients(in_mode, arguments):
    gradients = gradients_of_every_size()
    weights = trained(LogAdam(**arguments), gradients, in_mode, initial=0.5)
    scale = arguments.get("damping_scale", 1.0)
    arguments = {k: v for k, v in arguments.items() if k != "damping_scale"}
    expected = adam_of_the_paper(
        np.full(24, 0.5), damped(gradients, scale), **arguments
    )
    # 60 roundings of a weight near 0.5 in float32, 3e-8 each.
    np.testing.assert_allclose(weights, expected, rtol=0, atol=2e-6)


def test_a_finite_spike_of_1e20_kills_adam_and_not_log_adam(in_mode):
    gradients = np.ones((30, 1), np.float32)
    gradients[10] = 1e20
    stock = trained(tf.keras.optimizers.Adam(0.01), gradients, in_mode)
    ours = trained(LogAdam(0.01), gradients, in_mode)
    expected = adam_of_the_paper(np.zeros(1), damped(gradients), 0.01)
    assert np.isnan(stock).all()
    np.testing.assert_allclose(ours, expected, 1e-5)


def test_far_below_the_knee_log_adam_is_adam(in_mode):
    gradients = np.random.default_rng(5).normal(size=(50, 4)).astype(np.float32) * 1e-4
    ours = trained(LogAdam(0.01), gradients, in_mode)
    stock = trained(tf.keras.optimizers.Adam(0.01), gradients, in_mode)
    np.testing.assert_allclose(ours, stock, rtol=0, atol=1e-4 * 50 * 0.01)


def test_a_second_call_does_not_retrace():
    optimizer, variable = LogAdam(), tf.Variable(tf.zeros([3]))
    optimizer.build([variable])
    update = tf.function(lambda gradient: optimizer.apply([gradient], [variable]))
    for size in (1.0, 1e10, -3.0):
        update(tf.fill([3], size))
    assert update.experimental_get_tracing_count() == 1


@pytest.mark.parametrize("scale", [0.0, -1.0, float("inf"), float("nan")])
@pytest.mark.parametrize(
    "take", [LogAdam, lambda damping_scale: damp(1.0, damping_scale)]
)
def test_a_scale_out_of_range_is_refused(take, scale):
    message = r"Expected damping_scale > 0 and finite\. Received: damping_scale="
    with pytest.raises(ValueError, match=message + str(scale)):
        take(damping_scale=scale)


@pytest.mark.parametrize("scale", [True, 1, "1e-3", None, np.float32(1)])
def test_a_scale_that_is_no_float_is_refused(scale):
    message = r'to be a float, or "adaptive"\. Received: damping_scale='
    with pytest.raises(ValueError, match=message):
        LogAdam(damping_scale=scale)
