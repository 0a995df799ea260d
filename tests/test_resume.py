"""A run that was stopped and continued is the unbroken run, bit for bit."""

import dataclasses
import gc
import itertools
import random
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny_run import (
    NAME,
    arrays_at,
    assert_same_arrays,
    assert_same_run,
    checkpoints_in,
    eagerly,
    grids_in,
    image_set,
    rows_in,
    train_here,
    write_config,
)

from records.checkpoint import checkpoint_path
from records.run_folder import RunFolder
from settings.config_file import load_stored_config
from training.build import build_state, build_step
from training.inputs import inputs_at
from training.state import (
    State,
    assign_arrays,
    state_arrays,
    state_variables,
)

STOP, END = 5, 9
# Everything that a run can change moves; the checkpoint at 5 lies between two
# adjustments, two penalties and two grids, in the cosine, just after a skipped update.
EVERYTHING_MOVES = {
    "optimizer": {
        "learning_rate": 2e-3,
        "schedule": "cosine",
        "schedule_iterations": 30,
        "warmup_iterations": 2,
    },
    "loss": {"penalty": "r1_r2", "penalty_every_iterations": 2},
    "augment": {
        "policy": "adaptive",
        "probability": 0.5,
        "adjust_every_iterations": 3,
        "kimg_to_full": 0.1,
        "operations": ["brightness"],
    },
    "training": {
        "total_iterations": END,
        "checkpoint_every_iterations": STOP,
        "sample_every_iterations": 2,
    },
    "debug": {
        "inject_spikes": [
            {"iteration": STOP, "network": "generator", "factor": float("inf")},
            {"iteration": 7, "network": "discriminator", "factor": float("inf")},
        ]
    },
}


KINDS = {
    # What auto is on a CPU without bfloat16.
    "float32": {"runtime": {"precision": "float32", "compile": "xla_update"}},
    "bfloat16 with classes": {
        "runtime": {"precision": "bfloat16", "compile": "graph"},
        "model": {"conditional": True},
    },
}


@pytest.fixture(
    scope="module",
    params=[
        KINDS["float32"],
        pytest.param(KINDS["bfloat16 with classes"], marks=pytest.mark.slow),
    ],
    ids=KINDS.keys(),
)
def unbroken(request, tmp_path_factory):
    """Trains from 0 to END in one session; returns the folder and the config."""
    folder = tmp_path_factory.mktemp("unbroken")
    sections = EVERYTHING_MOVES | request.param
    write_config(folder, **sections)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert train_here() == 0
        config = load_stored_config(RunFolder(NAME).config)  # with names of classes
    assert checkpoints_in(folder) == [STOP, END]
    return folder, config


def test_a_resumed_run_equals_the_unbroken_one_bit_for_bit(
    unbroken, tmp_path, monkeypatch
):
    original, _ = unbroken
    folder = shutil.copytree(original, tmp_path / "resumed")
    # As a process leaves it that was killed after its last row and grid.
    checkpoint_path(folder / RunFolder(NAME).checkpoints, END).unlink()
    for name in grids_in(folder):
        (folder / RunFolder(NAME).samples / name).write_bytes(b"cut short")
    for iteration in (2, 4):
        name = f"grid-{iteration:07d}.png"
        (folder / RunFolder(NAME).samples / name).write_bytes(grids_in(original)[name])
    monkeypatch.chdir(folder)
    assert train_here() == 0
    assert_same_run(original, folder, END)
    assert checkpoints_in(folder) == [STOP, END]


def test_the_run_that_was_compared_is_one_in_which_everything_moves(unbroken):
    folder, _ = unbroken
    rows = rows_in(folder, "scalars.jsonl")
    assert [row["iteration"] for row in rows] == list(range(1, END + 1))
    with_penalty = [row["iteration"] for row in rows if "penalty/r1" in row]
    assert with_penalty == [2, 4, 6, 8]
    probabilities = [row["augment/probability"] for row in rows]
    assert len({*probabilities[:STOP]}) > 1
    assert len({*probabilities[STOP:]}) > 1
    rates = [row["learning_rate/generator"] for row in rows]
    assert rates[:3] == [1e-3, 2e-3, 2e-3]
    assert all(later < earlier for earlier, later in itertools.pairwise(rates[2:]))
    spikes = rows_in(folder, "spikes.jsonl")
    found = [(row["iteration"], row["network"]) for row in spikes]
    assert found == [(STOP, "generator"), (7, "discriminator")]
    names = [f"grid-{iteration:07d}.png" for iteration in (2, 4, 6, 8, END)]
    assert list(grids_in(folder)) == names
    assert len({*grids_in(folder).values()}) == len(names)


def test_every_part_of_the_state_is_changed_by_training_and_is_in_the_checkpoint(
    unbroken,
):
    folder, config = unbroken
    before = state_arrays(build_state(config))
    after = arrays_at(folder, STOP)
    assert after.keys() == before.keys()
    both = [after, arrays_at(folder, END)]
    same = {
        name
        for name in before
        if all(np.array_equal(before[name], arrays[name]) for arrays in both)
    }
    assert same == {"rollbacks", "iterations_out"}  # see test_rollback.py
    fields = {name.split("/")[0] for name in after}
    assert fields == {field.name for field in dataclasses.fields(State)}
    assert after["iteration"] == STOP
    assert after["skipped_in_a_row"] == 1


@pytest.fixture(scope="module")
def tiny_config(tmp_path_factory):
    return write_config(tmp_path_factory.mktemp("config"), **EVERYTHING_MOVES)


def variables_below(start):
    """Finds every variable that can be reached through attributes and containers."""
    found, seen, ahead = [], set(), [start]
    while ahead:
        item = ahead.pop()
        if id(item) in seen or isinstance(item, type | str | bytes | np.ndarray):
            continue
        seen.add(id(item))
        if isinstance(item, keras.Variable | tf.Variable):
            found.append(tensor_of(item))
        elif isinstance(item, dict):
            ahead += item.values()
        elif isinstance(item, list | tuple | set | frozenset):
            ahead += item
        elif hasattr(item, "__dict__") and not callable_only(item):
            ahead += vars(item).values()
    return {id(variable): variable for variable in found}


def callable_only(item):
    """Tells whether it is a function or module, whose globals lead everywhere."""
    return hasattr(item, "__globals__") or hasattr(item, "__spec__")


def tensor_of(variable):
    """Returns TensorFlow's own variable of a Keras variable."""
    return variable.value if isinstance(variable, keras.Variable) else variable


def test_every_variable_that_the_state_reaches_is_in_the_checkpoint(tiny_config):
    state = build_state(tiny_config)
    saved = {id(tensor_of(v)) for v in state_variables(state).values()}
    reached = variables_below(state)
    assert len(saved) > 100
    missed = [reached[one].name for one in reached.keys() - saved]
    assert missed == []
    assert saved <= reached.keys()
    counts = {"iteration", "rollbacks", "skipped_in_a_row"}
    counts |= {"averaged_iterations", "watched_iterations"}
    fields = {f.name: getattr(state, f.name) for f in dataclasses.fields(state)}
    assert {n for n, value in fields.items() if isinstance(value, int)} == counts


def test_an_iteration_changes_no_variable_and_no_chance_outside_the_state(tiny_config):
    state = build_state(tiny_config)
    step = build_step(tiny_config, state)
    images = image_set(np.zeros((8, 32, 32, 3), np.uint8))

    def iterate(iteration):
        step(inputs_at(tiny_config, images, 0, iteration), iteration % 2 == 1)

    saved = {id(tensor_of(v)) for v in state_variables(state).values()}
    with eagerly():
        iterate(0)  # whatever is made at the first call is there now
        variables = [v for v in gc.get_objects() if isinstance(v, tf.Variable)]
        before = [np.array(variable) for variable in variables]
        chance = [random.getstate(), str(np.random.get_state())]
        iterate(1)
    changed = {
        id(variable)
        for variable, old in zip(variables, before, strict=True)
        if not np.array_equal(variable, old, equal_nan=old.dtype.kind == "f")
    }
    assert changed <= saved
    assert len(changed) > 0.9 * len(saved)
    assert [random.getstate(), str(np.random.get_state())] == chance
    count = len([v for v in gc.get_objects() if isinstance(v, tf.Variable)])
    assert count == len(variables)


def test_a_state_takes_back_all_of_its_arrays_or_is_not_changed(tiny_config):
    state = build_state(tiny_config)
    before = state_arrays(state)
    # No two numbers of it are the same, and none is what it was.
    arrays, first = {}, 1000
    for name, array in before.items():
        numbers = np.arange(first, first + array.size)
        arrays[name] = numbers.astype(array.dtype).reshape(array.shape)
        first += array.size
    name = next(name for name, array in arrays.items() if array.ndim == 2)
    wrong = [
        {key: array for key, array in arrays.items() if key != name},
        {key: array for key, array in arrays.items() if key != "rollbacks"},
        arrays | {"unknown": arrays[name]},
        arrays | {name: arrays[name].T},
        arrays | {name: arrays[name].astype(np.float64)},
    ]
    for one in wrong:
        with pytest.raises(ValueError, match="1 that are missing, unknown"):
            assign_arrays(state, one)
        assert_same_arrays(state_arrays(state), before)
    assign_arrays(state, arrays)
    assert_same_arrays(state_arrays(state), arrays)
    assert state.iteration == arrays["iteration"]


def same_inputs(left, right):
    pairs = zip(tf.nest.flatten(left), tf.nest.flatten(right), strict=True)
    return all(np.array_equal(*pair) for pair in pairs)


def test_all_inputs_of_an_iteration_are_a_function_of_its_position(tiny_config):
    images = np.random.default_rng(0).integers(0, 256, (10, 32, 32, 3), np.uint8)
    images = image_set(images)
    in_order = [inputs_at(tiny_config, images, 0, k) for k in range(END)]
    for iteration in (7, 2):
        alone = inputs_at(tiny_config, images, 0, iteration)
        assert same_inputs(alone, in_order[iteration])
    assert not same_inputs(in_order[2], in_order[7])
