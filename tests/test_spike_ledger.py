"""Tests the callback that writes down the spikes of model.fit."""

import json

import keras
import numpy as np
import pytest

from optim import LogAdam, LogSGD, SpikeLedger, spikes

STEPS, SPIKE_AT = 40, 25


@pytest.fixture(autouse=True)
def short_warm_up(monkeypatch):
    monkeypatch.setattr(spikes, "WARM_UP_STEPS", 10)


def batches(factor):
    """Returns inputs [640, 3] and targets of one scale, but for one batch of 16."""
    draw = np.random.default_rng(0)
    x = draw.normal(size=(16 * STEPS, 3)).astype(np.float32)
    y = x.sum(1, keepdims=True) + draw.normal(0, 1, (len(x), 1)).astype(np.float32)
    y[16 * (SPIKE_AT - 1) : 16 * SPIKE_AT] *= factor
    return x, y


def fitted(optimizer, ledger, factor=1e4, epochs=1, jit_compile=False, eager=False):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, name="one")])
    model.layers[-1].set_weights([np.ones((3, 1)), np.zeros(1)])
    model.compile(optimizer, "mse", jit_compile=jit_compile, run_eagerly=eager)
    arguments = {"batch_size": 16, "shuffle": False, "verbose": 0}
    model.fit(*batches(factor), epochs=epochs, callbacks=[ledger], **arguments)
    return model


def gradient_by_hand(factor):
    """Returns the largest gradient of the spike's batch, with weights of one."""
    rows = slice(16 * (SPIKE_AT - 1), 16 * SPIKE_AT)
    x, y = (part[rows].astype(np.float64) for part in batches(factor))
    error = x.sum(1, keepdims=True) - y
    return max(np.abs(2 * (error * x).mean(0)).max(), abs(2 * error.mean()))


@pytest.mark.parametrize("how", [{}, {"jit_compile": True}, {"eager": True}])
def test_a_spike_has_a_row_with_its_gradient_loss_and_damping(how):
    ledger = SpikeLedger()
    fitted(LogSGD(0.0, damping_scale=0.5), ledger, **how)
    spike, recovery = ledger.rows
    assert (spike["step"], spike["not_finite"]) == (SPIKE_AT, 0)
    largest = gradient_by_hand(1e4)
    assert spike["largest_finite"] == pytest.approx(largest, rel=1e-4)
    assert spike["damped_to"] == pytest.approx(0.5 * np.log1p(largest / 0.5), rel=1e-4)
    assert spike["above_knee"] == 1.0
    assert spike["times_usual"] == pytest.approx(largest / spike["usual"], rel=1e-4)
    assert 0.1 < spike["usual"] < 3
    assert 0.3 < spike["loss_before"] < 3
    assert spike["loss"] > 1e6
    keys = "step largest_finite not_finite usual times_usual damped_to above_knee"
    assert [*spike] == [*keys.split(), "loss_before", "loss"]  # as in the file
    assert [*recovery] == ["step", "recovered_from", "after_steps", "recent_loss"]
    assert recovery["recovered_from"] == SPIKE_AT
    assert recovery["after_steps"] >= 5
    assert recovery["recent_loss"] <= 1.1 * spike["loss_before"]


def test_a_clean_run_has_no_rows_and_trains_as_without_the_callback():
    ledger = SpikeLedger()
    watched = fitted(LogAdam(0.01), ledger, factor=1, epochs=3)
    plain = fitted(LogAdam(0.01), keras.callbacks.Callback(), factor=1, epochs=3)
    assert ledger.rows == []
    for one, other in zip(watched.get_weights(), plain.get_weights(), strict=True):
        assert one.tobytes() == other.tobytes()


def test_an_undamped_optimizer_is_watched_too_and_left_as_it_was():
    ledger, optimizer = SpikeLedger(), keras.optimizers.SGD(0.0)
    model = fitted(optimizer, ledger)
    assert "damped_to" not in ledger.rows[0]
    assert "update_step" not in vars(optimizer)
    model.fit(*batches(1e4), batch_size=16, shuffle=False, verbose=0)
    assert len(ledger.rows) == 2


def test_a_model_that_was_fitted_before_is_watched():
    model = fitted(keras.optimizers.SGD(0.0), keras.callbacks.Callback(), factor=1)
    ledger = SpikeLedger()
    model.fit(*batches(1e4), 16, shuffle=False, verbose=0, callbacks=[ledger])
    assert ledger.rows[0]["step"] == SPIKE_AT


def test_an_adaptive_knee_is_told_too():
    ledger = SpikeLedger()
    fitted(LogSGD(0.0, damping_scale="adaptive"), ledger)
    spike = ledger.rows[0]
    assert spike["usual"] < spike["damped_to"] < 20 * spike["usual"]


def test_unscaled_gradients_are_what_counts():
    ledger = SpikeLedger()
    inner = LogSGD(0.0, damping_scale=0.5)
    fitted(keras.optimizers.LossScaleOptimizer(inner, initial_scale=1024.0), ledger)
    largest = gradient_by_hand(1e4)
    assert ledger.rows[0]["largest_finite"] == pytest.approx(largest, rel=1e-4)


def test_a_gradient_that_is_not_finite_has_a_row_even_in_the_first_steps(tmp_path):
    path = tmp_path / "spikes.jsonl"
    ledger = SpikeLedger(path)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile(LogSGD(0.0, damping_scale=0.5), "mse")
    x, y = batches(1)
    y[:16] = np.inf
    model.fit(x[:64], y[:64], 16, shuffle=False, verbose=0, callbacks=[ledger])
    # The weights are lost then, and every later gradient too: one row tells it.
    (row,) = ledger.rows
    assert (row["step"], row["not_finite"], row["largest_finite"]) == (1, 4, 0.0)
    assert "loss" not in row
    lines = path.read_text().splitlines()
    assert [json.loads(line) for line in lines] == ledger.rows
