"""Several replicas train as one does, up to the order of sums of floats."""

import subprocess
import sys

import numpy as np
import pytest
from replicas import NUM_ITERATIONS
from tiny_run import REPOSITORY, user_environment

# Of the order of float32's rounding, grown by Adam and by a spike of 10,000 in a few
# iterations; what a change of arithmetic makes is a hundred times larger.
RELATIVE, ABSOLUTE = 2e-4, 1e-6
SKIPPED = NUM_ITERATIONS - 2  # its gradients are infinite


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Returns a function that trains cases with some replicas, each count once."""
    folder = tmp_path_factory.mktemp("replicas")

    def train(count, *cases):
        wanted = [one for one in cases if not (folder / f"{one}-{count}.npz").exists()]
        script = str(REPOSITORY / "tests" / "replicas.py")
        if wanted:
            subprocess.run(
                [sys.executable, script, str(folder), str(count), *wanted],
                env=user_environment() | {"PYTHONPATH": str(REPOSITORY)},
                check=True,
                stdout=subprocess.DEVNULL,
            )
        return [dict(np.load(folder / f"{one}-{count}.npz")) for one in cases]

    return train


def assert_equal(one, several):
    """Asserts that states and scalars are equal up to the order of sums."""
    assert one.keys() == several.keys()
    for name, array in one.items():
        if name.endswith(f"above_knee/{SKIPPED}"):
            continue  # infinities of both signs are no number together
        np.testing.assert_allclose(
            several[name], array, rtol=RELATIVE, atol=ABSOLUTE, err_msg=name
        )


# Over a few seconds, as a process must divide its CPU before it uses TensorFlow.
def test_two_replicas_train_as_one_and_skip_what_one_of_them_must(trained):
    (one,) = trained(1, "exact")
    two, skipped = trained(2, "exact", "skipped")
    assert_equal(one, two)
    usable = [one[f"scalar/usable/generator/{i}"] for i in range(NUM_ITERATIONS)]
    assert usable == [1, 1, 0, 1]
    assert one["augment_probability"] != 0.5  # it was adapted
    changed = {
        name.split("/")[0]
        for name in skipped
        if f"after/{name}" in skipped
        and (skipped[name] != skipped[f"after/{name}"]).any()
        and not name.endswith("learning_rate")
    }
    assert changed == set()


@pytest.mark.slow
def test_four_replicas_train_as_one(trained):
    assert_equal(*trained(1, "exact"), *trained(4, "exact"))


@pytest.mark.slow
def test_groups_clipping_decay_and_approximate_penalties_are_as_with_one(trained):
    cases = ("groups", "approximate")
    for one, two in zip(trained(1, *cases), trained(2, *cases), strict=True):
        assert_equal(one, two)


@pytest.mark.slow
def test_replicas_learn_the_classes_as_one_does(trained):
    (one,), (two,) = trained(1, "classes"), trained(2, "classes")
    assert_equal(one, two)
    learnt = [array for name, array in one.items() if "class_embedding" in name]
    assert learnt and all(array.any() for array in learnt)  # they start at zero
