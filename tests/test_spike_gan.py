"""The GAN of the spike benchmark: its spikes, twins and files, and its table."""

import dataclasses
import types

import numpy as np
import pytest

from benchmarks.spikes import gan_pictures, gan_runs, report
from benchmarks.spikes.cells import read_cells, run_plan
from benchmarks.spikes.gan import GAN_ROWS, Gan, spikes_of
from benchmarks.spikes.gan_methods import GAN_METHODS
from benchmarks.spikes.gan_runs import Trainings
from benchmarks.spikes.plans import Plan
from benchmarks.spikes.rows import Row
from benchmarks.spikes.runs import Curves, Run

METHODS = {method.name: method for method in GAN_METHODS}
ROWS = {row.name: row for row in GAN_ROWS}
CLEAN, ON_DISCRIMINATOR, ON_GENERATOR = GAN_ROWS
NUM_STEPS = 20
SPIKED = Run(ON_GENERATOR, 0, 1e-3, 2.0)


@pytest.fixture(scope="module")
def problem(tmp_path_factory):
    """Returns the GAN on 64 flowers, for a few iterations."""
    cache = str(tmp_path_factory.mktemp("cache"))
    return Gan(NUM_STEPS, num_images=64, num_scored=64, cache_dir=cache)


@pytest.fixture(scope="module")
def curves(problem, tmp_path_factory):
    """Returns a spiked run of ZClip, its twin, and another seed trained between."""
    trainings = Trainings(tmp_path_factory.mktemp("trainings"))
    method = METHODS["Adam ZClip"]
    runs = [SPIKED, dataclasses.replace(SPIKED, seed=1), SPIKED.twin]
    return dict(zip(runs, trainings(problem, method, runs), strict=True))


def test_spikes_go_to_the_network_of_the_row_in_one_percent_of_iterations():
    run = Run(ON_DISCRIMINATOR, 3, 1e-3, 1.0)
    spiked = spikes_of(run, 800)
    assert len({spike["iteration"] for spike in spiked}) == 8
    assert all(spike["network"] == "discriminator" for spike in spiked)
    assert all(spike["factor"] == 1e4 for spike in spiked)
    other_settings = dataclasses.replace(run, learning_rate=1.0, threshold=5.0)
    assert spikes_of(other_settings, 800) == spiked
    assert not spikes_of(run.twin, 800)


def test_every_method_of_the_gan_gets_four_tries_and_a_config():
    for method in GAN_METHODS:
        tries = set(method.settings(Gan))
        assert len(tries) == 4
        for rate, threshold in tries:
            config = Gan().config(method, Run(ON_GENERATOR, 0, rate, threshold))
            assert config.optimizer.learning_rate == rate
            if method.threshold_key:
                assert getattr(config.optimizer, method.threshold_key) == threshold


@pytest.mark.slow  # trains the benchmark's GAN
def test_a_run_of_the_gan_equals_its_twin_until_the_spike(curves):
    first = spikes_of(SPIKED, NUM_STEPS)[0]["iteration"]
    mine, twin = curves[SPIKED], curves[SPIKED.twin]
    np.testing.assert_array_equal(mine.losses[:first], twin.losses[:first])
    np.testing.assert_array_equal(mine.moves[: first - 1], twin.moves[: first - 1])
    assert mine.losses[first] != twin.losses[first]
    assert mine.moves[first - 1] != twin.moves[first - 1]


@pytest.mark.slow  # trains the benchmark's GAN
def test_a_training_does_not_depend_on_those_before_it(problem, curves, tmp_path):
    # The step is compiled once and its state put back: nothing may be left over.
    again = Trainings(tmp_path)(problem, METHODS["Adam ZClip"], [SPIKED])[0]
    np.testing.assert_array_equal(again.losses, curves[SPIKED].losses)
    np.testing.assert_array_equal(again.moves, curves[SPIKED].moves)
    assert again.measures == curves[SPIKED].measures
    other = curves[dataclasses.replace(SPIKED, seed=1)]
    assert other.measures["score"] != again.measures["score"]


@pytest.mark.slow  # trains the benchmark's GAN
def test_the_score_lies_above_the_floor(curves):
    measures = curves[SPIKED.twin].measures
    assert 0 < measures["floor"] < measures["score"]
    assert measures["skipped"] == 0


def test_trainings_that_are_there_are_not_done_again(tmp_path, monkeypatch):
    done = []

    def train_to_file(problem, method, run, path):
        done.append(run)
        measures = {"measure_score": run.learning_rate, "measure_untrained": 1.0}
        np.savez(path, losses=[1.0], moves=[1.0], **measures)
        return 0.0

    monkeypatch.setattr(gan_runs, "train_to_file", train_to_file)
    trainings, method = Trainings(tmp_path), METHODS["Adam ZClip"]
    runs = [Run(CLEAN, s, rate, 2.0) for s in (0, 1) for rate in (1e-3, 2e-3)]
    first = trainings(Gan(), method, runs)
    assert [c.measures["score"] for c in first] == [1e-3, 2e-3, 1e-3, 2e-3]
    trainings.path(Gan(), method, runs[2]).unlink()
    trainings(Gan(), method, runs)
    assert done == [*runs, runs[2]]


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"threshold": 3.0},
        {"learning_rate": 1e-2},
        {"row": CLEAN},
        {"row": Row("generator", 1e5, "1 %")},
    ],
)
def test_the_file_of_a_training_is_named_for_all_it_depends_on(tmp_path, change):
    trainings, method = Trainings(tmp_path), METHODS["Adam ZClip"]
    path = trainings.path(Gan(), method, SPIKED)
    assert trainings.path(Gan(cache_dir="elsewhere"), method, SPIKED) == path
    assert trainings.path(Gan(), METHODS["Adam clip 3 r"], SPIKED) != path
    assert trainings.path(Gan(num_steps=9), method, SPIKED) != path
    changed = dataclasses.replace(SPIKED, **change)
    assert trainings.path(Gan(), method, changed) != path


def made_up(run):
    """Returns curves as if a run had been trained: 0.2 worse with spikes."""
    off_best = abs(run.learning_rate - 1e-3)
    measures = {
        "score": 0.1 + 0.01 * (run.seed % 10) + 0.2 * run.row.spiky + off_best,
        "final": 0.5,
        "skipped": 3.0,
        "floor": 0.05,
        "untrained": 0.9,
    }
    return Curves(np.ones(NUM_STEPS), np.ones(NUM_STEPS), measures, 0.9)


@pytest.fixture
def cells(tmp_path):
    """Returns the cells of two methods on three seeds, without any training."""
    problem = types.SimpleNamespace(name="gan", learning_rate=1e-3)
    train = lambda problem, method, runs: [made_up(run) for run in runs]  # noqa: E731
    plan = Plan(problem, GAN_ROWS, 1, 3, GAN_METHODS, (), train, ("clean",))
    run_plan(plan, list(GAN_METHODS[:2]), tmp_path)
    return read_cells(tmp_path / "gan.jsonl")


def test_the_table_of_the_gan_tells_floor_seeds_and_cost(cells, tmp_path):
    pytest.importorskip("matplotlib", reason="only the benchmark needs matplotlib")
    report.write("gan", cells, tmp_path)
    text = (tmp_path / "gan.md").read_text()
    assert "real against real: 0.05; untrained: 0.9" in text
    assert "seeds: 3 at most" in text
    assert "| 0.11 [0.1, 0.12] |" in text  # clean: seeds 0, 1, 2
    assert "| +0.2 [+0.2, +0.2] |" in text
    assert "tuned under" not in text  # none was


def test_the_sheet_of_pictures_finds_the_trainings_of_its_cells(cells, tmp_path):
    pytest.importorskip("matplotlib", reason="only the benchmark needs matplotlib")
    trainings = Trainings(tmp_path)
    pictures = np.zeros((8, 32, 32, 3), np.uint8)
    for cell in cells[1:]:
        rate = cell["clean"]["learning_rate"]
        for seed in range(3):
            run = Run(ROWS[cell["row"]], seed, rate, 1.0)
            path = trainings.path(Gan(), METHODS[cell["method"]], run)
            np.savez(path, pictures=pictures)
    kept = gan_pictures.kept_trainings(cells, Gan(), trainings)
    assert [one.cell for one in kept] == cells[1:]
    gan_pictures.draw(kept, tmp_path / "sheet.png")
    found = [[0.1 + k + seed for seed in range(3)] for k in range(len(kept))]
    gan_pictures.write_distances(kept, found, tmp_path / "found.md")
    assert (tmp_path / "sheet.png").stat().st_size > 0
    assert "| 1.1 |" in (tmp_path / "found.md").read_text()
