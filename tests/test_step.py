"""One iteration: what changes, what it equals, and what happens to bad gradients."""

import contextlib
import dataclasses
import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny_run import eagerly, image_set

from optim import LogSGD
from settings.config import Config
from settings.optimizer import OPTIMIZER_KEYS
from training.build import (
    OPTIMIZERS,
    build_optimizer,
    build_state,
    build_step,
)
from training.inputs import inputs_at, penalty_at
from training.recipe import LARGEST_SQUARED_GRADIENT, build_recipe
from training.state import State, state_arrays
from training.step import penalized_logits, real_images
from training.vitals import finite_magnitudes, gradient_vitals

IMAGES = image_set(np.random.default_rng(0).integers(0, 256, (32, 32, 32, 3), np.uint8))
TINY = {
    "run": {"name": "tiny"},
    "data": {"source": "drawn", "image_size": 32},
    # The shallowest pair of this size: compiling is most of the time.
    "model": {
        "num_layers": 22,
        "base_channels": 2,
        "max_channels": 8,
        "latent_dim": 8,
    },
    "optimizer": {"damping_scale": 1e-3},
    "augment": {"policy": "fixed"},
    "training": {"batch_size": 4},
    "loss": {"penalty_every_iterations": 2},
    "runtime": {"precision": "float32", "compile": "graph", "deterministic": True},
}


def config_with(**sections):
    merged = {key: value | sections.get(key, {}) for key, value in TINY.items()}
    extra = {key: value for key, value in sections.items() if key not in TINY}
    return Config(**merged, **extra)


def run_iterations(config, count, state=None, traced=False):
    """Runs iterations; returns the state and each one's scalars.

    Without tracing them, which takes longer than a few iterations do.
    """
    state = state or build_state(config)
    step = build_step(config, state)
    rows = []
    with contextlib.nullcontext() if traced else eagerly():
        for iteration in range(state.iteration, state.iteration + count):
            inputs = inputs_at(config, IMAGES, 0, iteration)
            scalars = step(inputs, penalty_at(config, iteration))
            rows.append({name: float(value) for name, value in scalars.items()})
            state.iteration += 1
    return state, rows


def run_once(config, state, inputs, with_penalty):
    """Runs the step on these inputs, without tracing; returns its scalars."""
    with eagerly():
        return build_step(config, state)(inputs, with_penalty)


def changed(before, after):
    """Returns which fields of the state differ."""
    return {
        name.split("/")[0] for name in before if (before[name] != after[name]).any()
    }


def test_an_iteration_changes_both_networks_their_moments_and_the_average():
    config = config_with()
    state = build_state(config)
    before = state_arrays(state)
    run_iterations(config, 1, state)
    assert changed(before, state_arrays(state)) == {
        "generator",
        "discriminator",
        "ema_generator",
        "generator_optimizer",
        "discriminator_optimizer",
        "iteration",
    }


def test_the_same_seed_gives_the_same_state_and_another_seed_another():
    first, again = (state_arrays(build_state(config_with())) for _ in range(2))
    assert not changed(first, again)
    other = state_arrays(build_state(config_with(run={"name": "tiny", "seed": 1})))
    assert changed(first, other) == {"generator", "discriminator", "ema_generator"}


@pytest.mark.parametrize(
    "compiled",
    [
        "xla_update",
        # XLA takes a minute to compile the whole step on a CPU.
        pytest.param("xla", marks=pytest.mark.slow),
    ],
)
def test_graph_and_xla_agree_over_several_iterations(compiled):
    spikes = [{"iteration": 2, "network": "generator", "factor": math.inf}]
    model = TINY["model"] | {"generator_norm": "rms", "stddev_group": 2}
    results = []
    for mode in ("graph", compiled):
        config = config_with(
            model=model,
            loss={"penalty_every_iterations": 1},  # one kind of step to compile
            runtime=TINY["runtime"] | {"compile": mode},
            debug={"inject_spikes": spikes},
        )
        state, rows = run_iterations(config, 3, traced=True)
        results.append((state_arrays(state), rows))
    (graph, graph_rows), (xla, xla_rows) = results
    assert xla_rows[1]["penalty/r1"] == pytest.approx(
        graph_rows[1]["penalty/r1"], rel=1e-3
    )
    for name in graph:
        if name.startswith(("generator/", "discriminator/", "ema_generator/")):
            np.testing.assert_allclose(xla[name], graph[name], atol=2e-3, err_msg=name)


def test_the_penalty_enters_every_nth_iteration_times_n():
    _, rows = run_iterations(config_with(), 4)
    assert ["penalty/r1" in row for row in rows] == [False, True, False, True]
    config = config_with(loss={"gamma": 3.0, "penalty": "r1"})
    assert inputs_at(config, IMAGES, 0, 0).penalty_weight == 3.0  # gamma / 2 * 2
    assert build_recipe(config).penalized == (1, 0)


def test_the_same_batch_again_gives_the_generator_its_gradient():
    config = config_with(
        training={"batch_size": 4, "generator_batch": "same"},
        optimizer={"name": "sgd", "learning_rate": 0.25},
        augment={"policy": "none"},
    )
    state = build_state(config)
    inputs = inputs_at(config, IMAGES, 0, 0)
    before = [variable.numpy() for variable in state.generator.trainable_variables]
    on_real = state.discriminator(real_images(inputs.discriminator))[:, 0]
    run_once(config, state, inputs, False)
    now = [variable.numpy() for variable in state.generator.trainable_variables]
    # By the updated D, from the generator as it was, with D's latents.
    for variable, old in zip(state.generator.trainable_variables, before, strict=True):
        variable.assign(old)
    with tf.GradientTape() as tape:
        fake = state.generator(inputs.discriminator.latents)
        on_fake = state.discriminator(fake)[:, 0]
        loss = tf.reduce_mean(tf.math.softplus(on_real - on_fake))
    gradients = tape.gradient(
        loss, [v.value for v in state.generator.trainable_weights]
    )
    for old, new, gradient in zip(before, now, gradients, strict=True):
        np.testing.assert_allclose(new, old - 0.25 * gradient, atol=1e-6)


def test_a_penalty_counts_for_its_own_kind_of_images_only():
    weights = {}
    for penalty in ("none", "r1", "r2"):
        config = config_with(
            loss={"penalty": penalty, "penalty_every_iterations": 1, "gamma": 50.0},
            optimizer={"name": "sgd", "learning_rate": 1e-3},
            augment={"policy": "none"},
        )
        state = build_state(config)
        rng = np.random.default_rng(3)
        for variable in state.discriminator.trainable_variables:
            noise = rng.standard_normal(variable.shape).astype("float32")
            variable.assign_add(0.1 * noise)
        inputs = inputs_at(config, IMAGES, 0, 0)
        fake = state.generator(inputs.discriminator.latents)
        images = {"r1": real_images(inputs.discriminator), "r2": fake}.get(penalty)
        expected = None
        if images is not None:
            with tf.GradientTape() as tape:
                with tf.GradientTape(watch_accessed_variables=False) as image_tape:
                    image_tape.watch(images)
                    logits = state.discriminator(images)
                slopes = image_tape.gradient(logits, images)
                squares = tf.reduce_sum(tf.square(slopes), axis=(1, 2, 3))
                total = 50.0 / 2 * tf.reduce_mean(squares)
            values = [v.value for v in state.discriminator.trainable_variables]
            expected = tape.gradient(total, values)
        run_once(config, state, inputs, penalty != "none")
        now = [v.numpy() for v in state.discriminator.trainable_variables]
        weights[penalty] = now, expected
    for penalty in ("r1", "r2"):
        now, expected = weights[penalty]
        # What the penalty adds to the step of the same D without one.
        for plain, moved, gradient in zip(
            weights["none"][0], now, expected, strict=True
        ):
            change = 0.0 if gradient is None else -1e-3 * gradient.numpy()
            np.testing.assert_allclose(moved - plain, change, rtol=1e-2, atol=2e-6)


def small_discriminator():
    """A D of 4 x 4 images that is curved, with weights that are not small."""
    keras.utils.set_random_seed(2)
    layers = [
        keras.Input([4, 4, 3]),
        keras.layers.Conv2D(6, 3, activation="tanh"),
        keras.layers.Flatten(),
        keras.layers.Dense(1, bias_initializer="ones"),
    ]
    return keras.Sequential(layers)


def judged(images, count, penalty_step=None):
    """Returns logits and penalties of images [2 * batch, 4, 4, 3], as arrays."""
    recipe, noise = build_recipe(config_with())._replace(num_penalized=count), None
    if penalty_step is not None:
        recipe = recipe._replace(penalty_step=penalty_step)
        noise = np.random.default_rng(8).standard_normal((2 * count, 4, 4, 3))
        noise = tf.constant(noise, tf.float32)
    images = tf.constant(images)
    classes = tf.zeros((images.shape[0], 0))
    found = penalized_logits(small_discriminator(), recipe, images, classes, noise)
    return [tensor.numpy() for tensor in found]


def test_penalties_of_a_part_are_those_of_its_images_and_all_are_judged():
    images = np.random.default_rng(4).normal(size=(8, 4, 4, 3)).astype("float32")
    on_real, on_fake, r1, r2 = judged(images, 4)
    first_two = images[[0, 1, 4, 5]]
    *_, part_r1, part_r2 = judged(first_two, 2)
    assert abs(part_r1 - r1) > 0.01 * r1
    for step in (None, 0.01):
        ours = judged(images, 2, step)
        np.testing.assert_allclose(ours[0], on_real, rtol=1e-5)
        np.testing.assert_allclose(ours[1], on_fake, rtol=1e-5)
    np.testing.assert_allclose(judged(images, 2)[2:], [part_r1, part_r2], rtol=1e-5)


def test_finite_differences_are_on_average_the_exact_penalties():
    pair = np.random.default_rng(4).normal(size=(2, 4, 4, 3)).astype("float32")
    pair[1] *= 3.0  # where D is flatter
    exact = judged(pair, 1)[2:]
    times = 20_000
    found = judged(np.repeat(pair, times, axis=0), times, 0.01)[2:]
    # The mean of 20,000 draws is within 5 % (5 sigma); the two differ by more.
    np.testing.assert_allclose(found, exact, rtol=0.05)
    assert abs(exact[0] - exact[1]) > 0.1 * exact[0]


def test_noise_is_drawn_only_for_approximate_penalties():
    finite = {"penalty_method": "finite_difference", "penalty_batch": 0.5}
    assert inputs_at(config_with(), IMAGES, 0, 0).penalty_noise is None
    unpenalized = config_with(loss=finite | {"penalty": "none"})
    assert inputs_at(unpenalized, IMAGES, 0, 0).penalty_noise is None
    noise = inputs_at(config_with(loss=finite), IMAGES, 0, 0).penalty_noise
    assert noise.shape == (4, 32, 32, 3)
    fewest = config_with(loss={"penalty_batch": 0.01})
    assert build_recipe(fewest).num_penalized == 1
    in_groups = config_with(loss={"penalty_batch": 0.01}, model={"stddev_group": 2})
    assert build_recipe(in_groups).num_penalized == 2


def test_an_approximate_penalty_of_half_the_batch_trains():
    finite = {"penalty_method": "finite_difference", "penalty_batch": 0.5}
    config = config_with(loss=finite | {"penalty_every_iterations": 1})
    _, rows = run_iterations(config, 2)
    assert all(0 < row["penalty/r1"] < math.inf for row in rows)
    assert all(row["usable/discriminator"] for row in rows)


def discriminator_after_a_penalty(**loss):
    """Returns D's weights after an iteration of plain gradients with a penalty."""
    sgd = {"name": "sgd", "learning_rate": 1.0}
    state = build_state(config_with(optimizer=sgd, loss={"penalty": "none"}))
    for variable in state.discriminator.trainable_variables:
        noise = np.random.default_rng(1).standard_normal(variable.shape)
        variable.assign_add(0.1 * noise.astype("float32"))
    config = config_with(optimizer=sgd, loss={"penalty_every_iterations": 1} | loss)
    state.iteration = loss.get("gamma_iterations", 0)
    run_iterations(config, 1, state)
    return [v.numpy() for v in state.discriminator.trainable_variables]


def test_a_gamma_that_has_fallen_is_that_gamma():
    fallen = {"gamma": 5.0, "final_gamma": 0.5, "gamma_iterations": 7}
    sevenths = {"gamma": 0.5, "gamma_iterations": 7}
    ours = discriminator_after_a_penalty(**fallen)
    expected = discriminator_after_a_penalty(**sevenths)
    before = discriminator_after_a_penalty(**sevenths | {"gamma": 5.0})
    for one, other in zip(ours, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    assert any((one != other).any() for one, other in zip(ours, before, strict=True))


@pytest.mark.slow  # a variant of one below, with a constant gamma
def test_a_falling_gamma_compiles_the_step_once_for_each_kind_of_iteration():
    loss = {"final_gamma": 0.0, "gamma_iterations": 5}
    config = config_with(loss=loss)
    state, kinds = build_state(config), []
    step = build_step(config, state)
    for iteration in range(6):
        kinds.append(penalty_at(config, iteration))
        step(inputs_at(config, IMAGES, 0, iteration), kinds[-1])
    # Gamma is 0 from the sixth iteration on: its penalty would count for nothing.
    assert kinds == [False, True, False, True, False, False]
    assert step.experimental_get_tracing_count() == 2


def test_the_penalty_is_the_gradient_of_the_logits_by_the_images():
    config = config_with(augment={"policy": "none"}, data={"horizontal_flip": False})
    state = build_state(config)
    state.iteration = 1
    for variable in state.discriminator.trainable_variables:
        noise = np.random.default_rng(1).standard_normal(variable.shape)
        variable.assign_add(0.1 * noise.astype("float32"))
    inputs = inputs_at(config, IMAGES, 0, 1)
    images = inputs.discriminator.images.numpy() / 127.5 - 1
    discriminator = state.discriminator
    # Central differences: D(x + h u) - D(x - h u) = 2 h <g, u> for a direction u.
    x = tf.constant(images, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(x)
        logits = discriminator(x)
    gradient = tape.gradient(logits, x).numpy()
    expected = np.square(gradient).sum(axis=(1, 2, 3)).mean()
    direction = np.random.default_rng(2).standard_normal(images.shape).astype("float32")
    above = discriminator(x + 1e-2 * direction).numpy()
    below = discriminator(x - 1e-2 * direction).numpy()
    slope = (above - below)[:, 0] / 2e-2
    along = (gradient * direction).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(slope, along, rtol=0.05, atol=0.05)
    scalars = run_once(config, state, inputs, True)
    assert float(scalars["penalty/r1"]) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    "network, factor", [("generator", math.inf), ("discriminator", math.nan)]
)
def test_a_gradient_that_is_not_finite_leaves_everything_as_it_was(network, factor):
    config = config_with(
        debug={
            "inject_spikes": [{"iteration": 2, "network": network, "factor": factor}]
        },
        augment={"policy": "adaptive", "adjust_every_iterations": 1},
    )
    state, _ = run_iterations(config, 1)
    before = state_arrays(state)
    _, rows = run_iterations(config, 1, state)
    assert changed(before, state_arrays(state)) == {"iteration"}
    assert rows[0][f"usable/{network}"] == 0.0
    assert rows[0][f"gradient/{network}_nonfinite"] > 0
    run_iterations(config, 1, state)
    assert "generator" in changed(before, state_arrays(state))


def test_training_goes_on_as_if_a_skipped_iteration_had_not_been():
    spikes = [{"iteration": 1, "network": "generator", "factor": math.inf}]
    config = config_with(debug={"inject_spikes": spikes})
    state, _ = run_iterations(config, 2)
    clean = build_state(config_with())
    clean.iteration = 1
    run_iterations(config_with(), 1, clean)
    assert not changed(state_arrays(state), state_arrays(clean))


@pytest.mark.parametrize("name", ["log_adam", "adam"])
def test_a_huge_finite_gradient_is_damped_or_where_nothing_damps_skipped(name):
    spikes = [{"iteration": 1, "network": "discriminator", "factor": 1e30}]
    config = config_with(
        debug={"inject_spikes": spikes}, optimizer={"name": name, "damping_scale": 1e-3}
    )
    state, rows = run_iterations(config, 2)
    assert rows[0]["gradient/discriminator_max"] > LARGEST_SQUARED_GRADIENT
    assert rows[0]["usable/discriminator"] == (name == "log_adam")
    arrays = state_arrays(state)
    assert all(np.isfinite(array).all() for array in arrays.values())


def test_vitals_are_the_largest_the_share_above_the_knee_and_the_bad_ones():
    recipe = build_recipe(config_with())._replace(damps={"generator": True})
    optimizer = LogSGD(damping_scale=0.5)
    gradients = [tf.constant([[0.1, -2.0]]), tf.constant([math.inf, math.nan, 0.6])]
    variables = [tf.Variable(tf.zeros_like(gradient)) for gradient in gradients]
    usable, scalars = gradient_vitals(
        "generator", gradients, recipe, optimizer, variables
    )
    assert not usable
    assert float(scalars["gradient/generator_max"]) == 2.0
    assert float(scalars["gradient/generator_nonfinite"]) == 2.0
    # Above 0.5: 2.0, inf and 0.6, of five; NaN is not above anything.
    assert float(scalars["gradient/generator_above_knee"]) == pytest.approx(0.6)
    damped = 0.5 * math.log1p(2.0 / 0.5)
    assert float(scalars["gradient/generator_max_damped"]) == pytest.approx(damped)


def test_vitals_of_finite_gradients_are_those_of_their_magnitudes():
    gradients = [tf.constant([[0.5, -3.0]]), tf.constant([1e30, -2e30])]
    largest, num_finite = finite_magnitudes(gradients[:1], 2)
    assert (largest.numpy().tolist(), int(num_finite)) == ([3.0], 2)
    # Their squares overflow, but they are finite.
    largest, num_finite = finite_magnitudes(gradients, 4)
    np.testing.assert_allclose(largest, [3.0, 2e30])
    assert int(num_finite) == 4


def test_vitals_of_an_adaptive_knee_are_those_of_each_variable():
    recipe = build_recipe(config_with())._replace(damps={"generator": True})
    optimizer = LogSGD(damping_scale="adaptive")
    variables = [tf.Variable([0.0, 0.0]), tf.Variable([0.0, 0.0])]
    optimizer.build(variables)
    usual = [tf.constant([1.0, -1.0]), tf.constant([1e-6, 1e-6])]
    optimizer.apply(usual, variables)
    # A spike of the second variable alone, below the usual size of the first.
    gradients = [usual[0], usual[1] * 1000]
    usable, scalars = gradient_vitals(
        "generator", gradients, recipe, optimizer, variables
    )
    assert usable
    assert float(scalars["gradient/generator_above_knee"]) == 0.5
    knee = 3 / math.log(2)
    assert float(scalars["gradient/generator_max_damped"]) == pytest.approx(
        knee * math.log1p(1 / knee), rel=1e-5
    )


@pytest.mark.parametrize("sign, moved", [(1.0, 0.3), (-1.0, 0.1)])
def test_adaptive_augmentation_rises_while_d_is_sure_and_falls_else(sign, moved):
    config = config_with(
        augment={
            "policy": "adaptive",
            "probability": 0.2,
            "min_probability": 0.05,
            "max_probability": 0.8,
        }
    )
    state = build_state(config)
    from training.step import adapt_augmentation

    recipe = build_recipe(config)._replace(adjustment=0.1)
    real_sign = tf.constant(sign)
    adapt_augmentation(state, recipe, tf.constant(False), real_sign)
    assert float(state.augment_probability) == pytest.approx(0.2)
    adapt_augmentation(state, recipe, tf.constant(True), real_sign)
    assert float(state.augment_probability) == pytest.approx(moved)
    assert float(state.real_sign_sum) == 0.0
    for _ in range(20):
        adapt_augmentation(state, recipe, tf.constant(True), real_sign)
    limit = 0.8 if sign > 0 else 0.05
    assert float(state.augment_probability) == pytest.approx(limit)


def test_adaptive_augmentation_goes_from_0_to_1_in_kimg_to_full():
    augment = {"policy": "adaptive", "adjust_every_iterations": 4, "kimg_to_full": 500}
    recipe = build_recipe(config_with(augment=augment))
    images_an_adjustment = 4 * TINY["training"]["batch_size"]
    assert recipe.adjustment * 500_000 / images_an_adjustment == pytest.approx(1.0)


@pytest.mark.parametrize("loss", ["non_saturating", "hinge", "wasserstein"])
def test_every_loss_trains(loss):
    state, rows = run_iterations(config_with(loss={"name": loss}), 2)
    assert all(math.isfinite(row["loss/generator"]) for row in rows)
    assert all(row["usable/generator"] for row in rows)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_takes_its_own_keys(name):
    values = {"name": name, "beta_1": 0.5, "weight_decay": 1e-4, "clipnorm": 1.0}
    config = config_with(optimizer=values | {"damping_scale": 0.25, "momentum": 0.125})
    network = build_state(config).generator
    optimizer = build_optimizer(config.optimizer.for_network("generator"), network)
    settings = optimizer.get_config()
    expected = {key: getattr(config.optimizer, key) for key in OPTIMIZER_KEYS[name]}
    assert expected == {key: settings[key] for key in expected}
    assert (settings["clipnorm"], settings["weight_decay"]) == (1.0, 1e-4)
    assert type(optimizer).__name__.lower() == name.replace("_", "")


def test_a_network_of_which_rates_are_scaled_moves_by_its_fan_in():
    overrides = {"discriminator": {"rate_scaling": "fan_in", "bias_rate": 0.5}}
    plain = {"name": "adam", "learning_rate": 0.125, "epsilon": 1e-30}
    config = config_with(optimizer=plain | overrides)
    state = build_state(config)
    networks = {"generator": state.generator, "discriminator": state.discriminator}
    before = {name: network.get_weights() for name, network in networks.items()}
    run_iterations(config, 1, state)
    for name, network in networks.items():
        moved = 0
        for old, variable in zip(before[name], network.variables, strict=True):
            step = np.abs(variable.numpy() - old).max()
            if name == "generator":
                expected = 0.125
            elif old.ndim == 1:
                expected = 0.125 * 0.5
            else:
                expected = 0.125 / math.sqrt(np.prod(old.shape[:-1]))
            if step > 0:  # behind a last convolution of zeros nothing moves yet
                assert step == pytest.approx(expected, rel=1e-4), variable.path
                moved += 1
        assert moved >= 4


def test_the_step_is_compiled_once_for_each_kind_of_iteration():
    config = config_with()
    state = build_state(config)
    step = build_step(config, state)
    for iteration in range(6):
        step(inputs_at(config, IMAGES, 0, iteration), penalty_at(config, iteration))
    assert step.experimental_get_tracing_count() == 2


def test_the_average_follows_the_generator_by_the_decay():
    config = config_with(training={"batch_size": 4, "ema_ramp_up": None})
    state = build_state(config)
    before = state.ema_generator.get_weights()
    run_iterations(config, 1, state)
    decay = 0.5 ** (4 / 10_000)
    for old, now, average in zip(
        before,
        state.generator.get_weights(),
        state.ema_generator.get_weights(),
        strict=True,
    ):
        np.testing.assert_allclose(average, decay * old + (1 - decay) * now, atol=1e-6)


def test_every_field_of_the_state_is_a_known_kind():
    state = build_state(config_with())
    names = {name.split("/")[0] for name in state_arrays(state)}
    assert names == {field.name for field in dataclasses.fields(State)}
