"""The benchmark of the step: its operations, its parts, its rivals and its tables."""

import contextlib
import importlib.util
import json
import os
import sys

import keras
import numpy as np
import pytest
from tiny_run import eagerly, write_config

from benchmarks import step_report
from benchmarks.flops import iteration_flops, layer_flops, network_flops, pass_flops
from benchmarks.rivals import race
from benchmarks.rivals.contestants import (
    CONTESTANTS,
    NUM_IMAGES,
    Contestant,
    check_fair,
    random_labels,
)
from benchmarks.rivals.race import LeftOut, check_same_weights, worker_environment
from benchmarks.step_ceiling import ceiling_flops, middle_stage
from benchmarks.step_parts import parts_of
from benchmarks.turns import times_in_turn
from commands.quiet import ONEDNN
from settings.messages import Problem
from training.networks import (
    build_discriminator,
    build_ema_generator,
    build_generator,
)

PENALIZED = {"penalty": "r1_r2", "penalty_every_iterations": 4}
needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="only the benchmark needs PyTorch"
)


def small_pair():
    """Returns a generator of two layers and a discriminator of three."""
    latents = keras.Input((5,))
    features = keras.layers.Dense(4 * 4 * 2)(latents)  # 2 * 5 * 32 = 320
    features = keras.layers.Reshape((4, 4, 2))(features)
    features = keras.layers.Conv2D(3, 3, padding="same")(features)  # 2*16*3*9*2 = 1728
    generator = keras.Model(latents, features)
    images = keras.Input((4, 4, 3))
    features = keras.layers.Conv2D(2, 3, padding="same")(images)  # 2*16*2*9*3 = 1728
    features = keras.layers.LeakyReLU(0.2)(features)
    features = keras.layers.Conv2D(6, 4)(features)  # 2 * 6 * 16 * 2 = 384
    features = keras.layers.Flatten()(features)
    logits = keras.layers.Dense(1, use_bias=False)(features)  # 2 * 6 = 12
    return generator, keras.Model(images, logits)


def test_operations_of_small_networks_are_those_counted_by_hand():
    generator, discriminator = small_pair()
    assert network_flops(generator) == (320 + 1728, 320, 1728)
    assert network_flops(discriminator) == (1728 + 384 + 12, 1728, 12)
    strided = keras.layers.Conv2D(1, 2, strides=2)
    strided(np.zeros((1, 4, 4, 1)))
    model = keras.Sequential([keras.Input((4, 4, 1)), strided])
    assert layer_flops(model.layers[0]) == 2 * 4 * 4  # four pixels of a 2 x 2 kernel


def test_operations_of_an_iteration_are_those_counted_by_hand(tmp_path):
    config = write_config(tmp_path, training={"batch_size": 7})
    passes = pass_flops(*small_pair(), config)
    assert passes == {
        "generator forward": 7 * 2 * 2048,
        "discriminator forward": 7 * 4 * 2124,
        "discriminator backward": 14 * (2124 + 396),
        "generator backward": 7 * (2124 + 2048 + 1728),
        "gradient penalty": 14 * (2124 + 2124 + 2112),
    }
    plain = 7 * (4096 + 8496 + 2 * 2520 + 5900)
    assert iteration_flops(passes, 0.0) == plain
    assert iteration_flops(passes, 0.25) == plain + 0.25 * 14 * 6360


def test_operations_saved_are_those_counted_by_hand(tmp_path):
    config = write_config(
        tmp_path,
        training={"batch_size": 8, "generator_batch": "same"},
        loss={"penalty_method": "finite_difference", "penalty_batch": 0.25},
    )
    passes = pass_flops(*small_pair(), config)
    assert passes["generator forward"] == 8 * 2048
    assert passes["discriminator forward"] == 8 * 3 * 2124
    assert passes["gradient penalty"] == 2 * 2 * (2124 + 2124 + 396)


def test_a_layer_without_a_formula_is_refused():
    layer = keras.layers.DepthwiseConv2D(3)
    layer.build((None, 4, 4, 2))
    with pytest.raises(ValueError, match="Received: DepthwiseConv2D"):
        layer_flops(layer)


class Untracked(contextlib.nullcontext):
    """Tells PyTorch's counter of operations that all modules are one."""

    parents = {"Global"}


@needs_torch
def test_pytorch_counts_the_same_operations(tmp_path):
    from torch.utils.flop_counter import FlopCounterMode

    from benchmarks.rivals.pytorch import Step

    config = write_config(tmp_path, loss=PENALIZED)
    step = Step(config, is_compiled=False, precision="float32", device="cpu")
    networks = build_generator(config), build_discriminator(config)
    passes = pass_flops(*networks, config)
    for with_penalty in (False, True):
        counter = FlopCounterMode(display=False)
        counter.mod_tracker = Untracked()  # the real one fails on a gradient by images
        with counter:
            step.iterate(with_penalty)
        expected = iteration_flops(passes, float(with_penalty))
        assert counter.get_total_flops() == expected


@needs_torch
def test_the_pair_in_pytorch_computes_what_the_keras_pair_does(tmp_path):
    import torch

    from benchmarks.rivals.pytorch_pair import Discriminator, Generator

    config = write_config(tmp_path, model={"stddev_group": 2, "generator_norm": "rms"})
    rng = np.random.default_rng(0)
    pairs = [
        (build_generator(config), Generator(config), (4, 8)),
        (build_discriminator(config), Discriminator(config), (4, 32, 32, 3)),
    ]
    for network, rival, shape in pairs:
        assert sum(p.numel() for p in rival.parameters()) == network.count_params()
        copy_weights(network, rival, rng)
        # Large, so that the images of a group differ much.
        inputs = 100 * rng.standard_normal(shape).astype(np.float32)
        channels_first = np.moveaxis(inputs, -1, 1) if len(shape) == 4 else inputs
        with torch.no_grad():
            found = rival(torch.from_numpy(channels_first.copy())).numpy()
        found = np.moveaxis(found, 1, -1) if found.ndim == 4 else found
        # Float32 sums of some hundred products, in another order.
        np.testing.assert_allclose(found, network(inputs), rtol=1e-3, atol=1e-4)


def copy_weights(network, rival, rng):
    """Gives random weights to a Keras network, and the same to its PyTorch rival."""
    import torch

    layers = [layer for layer in network.layers if layer.weights]
    for layer in layers:
        parts = layer.name.split("_")
        name = layer.name
        if name.startswith("stage"):
            name = f"blocks.{parts[0]}_{parts[1]}.{'_'.join(parts[2:])}"
        module = rival.get_submodule(name)
        kernel, *bias = (rng.standard_normal(w.shape) * 0.1 for w in layer.weights)
        layer.set_weights([kernel, *bias])
        order = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}[kernel.ndim]
        with torch.no_grad():
            module.weight.copy_(torch.from_numpy(kernel.transpose(order).copy()))
            if bias:
                module.bias.copy_(torch.from_numpy(bias[0]))
    assert len(layers) == sum(hasattr(m, "weight") for m in rival.modules())


@needs_torch
def test_the_first_weights_in_pytorch_vary_as_those_in_keras(tmp_path):
    from benchmarks.rivals.pytorch_pair import Discriminator

    model = {"base_channels": 16, "max_channels": 64}
    config = write_config(tmp_path, model=model)
    network, rival = build_discriminator(config), Discriminator(config)
    for name, place in [
        ("conv", "conv"),
        ("stage4_block0_conv1", "blocks.stage4_block0.conv1"),
        ("stage4_block0_conv2", "blocks.stage4_block0.conv2"),
        ("stage8_block0_projection", "blocks.stage8_block0.projection"),
    ]:
        expected = float(np.std(network.get_layer(name).kernel))
        found = float(rival.get_submodule(place).weight.detach().std())
        assert found == pytest.approx(expected, rel=0.1)  # of 2,048 draws or more


def test_contestants_take_turns():
    calls = []
    timers = {name: lambda name=name: calls.append(name) or 1.0 for name in "abc"}
    assert times_in_turn(timers, 2) == {name: [1.0, 1.0] for name in "abc"}
    assert "".join(calls) == "abcabc"
    with pytest.raises(ValueError, match="Received: rounds=0"):
        times_in_turn(timers, 0)


def test_parts_are_differences_of_pieces_and_add_up(tmp_path):
    config = write_config(tmp_path, loss=PENALIZED)
    pieces = {
        "inputs": 1,
        "generator": 10,
        "discriminator, one batch": 7,
        "discriminator, two batches": 13,
        "augmentation": 2,
        "discriminator's gradients": 60,
        "discriminator's gradients, penalty": 160,
        "generator's gradients": 70,
        "discriminator's update": 9,
        "generator's update": 8,
        "discriminator's undamped update": 5,
        "generator's undamped update": 4,
        "discriminator's update, copy kept": 12,
        "vitals": 3,
        "average": 1.5,
        "telemetry": 0.5,
        "row": 0.25,
        "page": 40,
        "grid": 50,
        "checkpoint": 20,
        "iteration": 180,
        "iteration, penalty": 280,
    }
    found = parts_of({name: ms / 1000 for name, ms in pieces.items()}, config)
    # The config logs each iteration; grid, page and checkpoint are due every second.
    assert found.parts == pytest.approx(
        {
            "data and draws": 1,
            "flips and augmentation": 4,
            "generator forward": 20,
            "discriminator forward": 27,
            "discriminator backward": 35,
            "generator backward": 44,
            "gradient penalty": 25,
            "damping": 8,
            "optimizer": 9,
            "copy kept for undoing": 3,
            "vitals": 3,
            "average of the generator": 1.5,
            "telemetry": 0.75,
            "page": 20,
            "grid": 25,
            "checkpoint": 10,
        }
    )
    assert found.whole == pytest.approx(205 + 0.25 + 55)
    assert found.not_explained == pytest.approx(260.25 - 236.25)


def test_the_ceiling_is_a_convolution_of_the_middle_stage(tmp_path):
    config = write_config(tmp_path)  # 4, 8, 16 and 32 px of 8, 8, 4 and 2 channels
    assert middle_stage(config) == (16, 4)
    pixels = 8 * 16 * 16
    assert ceiling_flops(config)["convolution"] == 2 * pixels * 4 * 9 * 4


def test_the_environment_of_a_contestant_is_the_users_with_its_own_changes():
    user = {ONEDNN: "1", "HOME": "/home/user"}
    plain = worker_environment(CONTESTANTS["stock Keras"], user)
    assert ONEDNN not in plain and plain["HOME"] == "/home/user"
    assert int(plain["OMP_NUM_THREADS"]) == race.num_cores()
    with_onednn = worker_environment(CONTESTANTS["stock Keras, oneDNN"], {})
    assert with_onednn[ONEDNN] == "1"
    assert worker_environment(CONTESTANTS["ours"], user)[ONEDNN] == "1"


def test_pairs_of_different_size_do_not_race():
    check_same_weights({"ours": 1000, "stock Keras": 1000})
    with pytest.raises(Problem, match="expected: 1,000 weights\n  found:    999"):
        check_same_weights({"ours": 1000, "PyTorch eager": 999})


def test_a_config_that_the_rivals_do_not_know_is_refused(tmp_path):
    check_fair(write_config(tmp_path, optimizer={"name": "adam"}))
    with pytest.raises(Problem, match="loss.name\n  expected: relativistic"):
        check_fair(write_config(tmp_path, loss={"name": "hinge"}))
    with pytest.raises(Problem, match="model.conditional\n  expected: False"):
        check_fair(write_config(tmp_path, model={"conditional": True}))
    with pytest.raises(Problem, match="optimizer.clipnorm of the generator"):
        check_fair(write_config(tmp_path, optimizer={"clipnorm": 1.0}))
    with pytest.raises(Problem, match="optimizer.name of the generator"):
        check_fair(write_config(tmp_path, optimizer={"name": "log_sgd"}))


def test_a_contestant_whose_library_is_missing_is_left_out_with_a_sentence():
    missing = Contestant("pytorch", library="no_such_library")
    assert "no_such_library is not installed" in race.absent_reason(missing, True)
    narrow = Contestant("ours", needs_bfloat16=True)
    assert "bfloat16" in race.absent_reason(narrow, False)
    assert race.absent_reason(narrow, True) is None


def test_a_contestant_that_cannot_start_says_why(tmp_path):
    with pytest.raises(LeftOut, match="ConfigError: .*absent.yaml"):
        race.Worker("ours", [str(tmp_path / "absent.yaml")], dict(os.environ))


def test_a_contestant_that_fails_in_the_race_is_named(tmp_path, monkeypatch):
    program = tmp_path / "python"
    program.write_text(
        "#!/bin/sh\necho '{}'\nread kind\necho '{\"failed\": \"no number\"}'\n"
    )
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    worker = race.Worker("stock Keras", [], dict(os.environ))
    try:
        with pytest.raises(LeftOut, match="^stock Keras: no number$"):
            worker.timer("plain")()
    finally:
        worker.close()


@pytest.mark.slow  # processes with a library to import each
@needs_torch
def test_a_race_times_both_kinds_of_iteration_of_each(tmp_path):
    write_config(tmp_path, loss=PENALIZED)
    names = ["ours", "ours, 102 classes", "PyTorch eager"]
    results, left_out = race.race(
        names, [str(tmp_path / "tiny.yaml")], dict(os.environ), 2, 0.25
    )
    assert left_out == {} and list(results) == names
    for one in results.values():
        assert len(one.plain) == len(one.penalty) == 2
        mean = 0.75 * np.median(one.plain) + 0.25 * np.median(one.penalty)
        assert one.seconds == pytest.approx(mean)
        assert one.num_weights > 0


def test_a_pair_told_its_classes_trains_and_counts_as_before(tmp_path):
    from benchmarks.rivals import ours

    config = write_config(tmp_path)
    contestant = CONTESTANTS["ours, 102 classes"]
    with eagerly():
        plain, told = ours.build(config), ours.build(config, **contestant.options)
        assert np.isfinite([told.iterate(False), told.iterate(True)]).all()
    assert told.num_weights == plain.num_weights
    assert "102 classes" in told.note and "classes" not in plain.note
    labels = random_labels(3)
    assert set(labels) == {0, 1, 2} and len(labels) == NUM_IMAGES


def test_a_stock_keras_step_trains_every_weight(tmp_path):
    from benchmarks.rivals.stock_keras import build_batches, build_step

    config = write_config(tmp_path, loss=PENALIZED)
    networks = [build_generator(config), build_discriminator(config)]
    networks.append(build_ema_generator(config))
    before = [network.get_weights() for network in networks]
    step, batches = build_step(config, *networks), iter(build_batches(config))
    # A branch's first convolution learns from the second iteration on.
    losses = [float(step(next(batches), next(batches), p)) for p in (False, True, True)]
    assert np.isfinite(losses).all()
    for network, arrays in zip(networks, before, strict=True):
        pairs = zip(arrays, network.get_weights(), strict=True)
        assert not any(np.array_equal(old, new) for old, new in pairs), network.name


@needs_torch
def test_a_pytorch_step_trains_every_weight(tmp_path):
    import torch

    from benchmarks.rivals.pytorch import Step

    config = write_config(tmp_path, loss=PENALIZED)
    step = Step(config, is_compiled=False, precision="float32", device="cpu")
    networks = [step.generator, step.discriminator, step.average.module]
    before = [[p.detach().clone() for p in net.parameters()] for net in networks]
    # The average is a copy after one iteration, and moves after that.
    assert np.isfinite([step.iterate(p) for p in (False, True, True)]).all()
    for network, tensors in zip(networks, before, strict=True):
        pairs = zip(tensors, network.parameters(), strict=True)
        assert not any(torch.equal(old, new) for old, new in pairs)


def test_tables_say_times_shares_and_ratios():
    parts = step_report.parts_table({"vitals": 1.0, "damping": 2.0}, 4.0, 1.0)
    assert parts.splitlines()[2] == "| vitals (both gradients) | 1.00 | 25.0% |"
    assert parts.splitlines()[-1] == "| whole iteration | 4.00 | 100.0% |"
    report = {
        "gflop": {"generator forward": 3.0, "gradient penalty": 0.0, "whole": 8.0},
        "parts_ms": {"generator forward": 60.0, "gradient penalty": 0.0},
        "whole_ms": 200.0,
        "ceiling_gflops_per_second": {"matrix product": 100.0},
    }
    rows = step_report.passes_table(report).splitlines()[2:]
    assert rows == [
        "| generator forward | 3.00 | 60.0 | 50.0 | 50% |",
        "| whole iteration | 8.00 | 200.0 | 40.0 | 40% |",
        "| ceiling: matrix product |  |  | 100.0 | 100% |",
    ]
    ours = {"seconds": 0.5, "plain_median": 0.4, "penalty_median": 0.8, "note": "x"}
    other = ours | {"seconds": 0.75, "penalty_median": None, "note": "y"}
    rows = step_report.contestants_table({"ours": ours, "b": other}, "ours")
    assert rows.splitlines()[2:] == [
        "| ours | 400 | 800 | 500 | 1.00 | x |",
        "| b | 400 |  | 750 | 1.50 | y |",
    ]


@pytest.mark.slow  # compiles every piece
def test_the_command_times_every_piece_and_writes_its_report(
    tmp_path, monkeypatch, capsys
):
    from benchmarks import step, step_pieces

    monkeypatch.setattr(step_pieces, "NUM_ROWS", 3)
    model = {"max_channels": 4}
    optimizer = {"name": "log_adam"}
    write_config(tmp_path, model=model, optimizer=optimizer, loss=PENALIZED)
    line = "step tiny.yaml --rounds 2 --json step.json --markdown step.md --contestants"
    monkeypatch.setattr(sys, "argv", line.split())
    with contextlib.chdir(tmp_path):
        step.measure(step.parse_arguments())
        assert os.getcwd() == str(tmp_path)
    printed = capsys.readouterr().out
    assert (tmp_path / "step.md").read_text(encoding="utf-8") == printed
    report = json.loads((tmp_path / "step.json").read_text(encoding="utf-8"))
    assert report["contestants"] == {} and report["rounds"] == 2
    assert f"{report['whole_ms']:.2f}" in printed
    assert all(len(times) == 2 for times in report["pieces_seconds"].values())
    assert min(min(times) for times in report["pieces_seconds"].values()) > 0
    rest = report["whole_ms"] - sum(report["parts_ms"].values())
    assert report["not_explained_ms"] == pytest.approx(rest)
    assert min(report["ceiling_gflops_per_second"].values()) > 0
    assert not {"runs", "samples"} & {path.name for path in tmp_path.iterdir()}
