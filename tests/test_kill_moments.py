"""Training that is killed before, within and after each change of a file.

One run is killed more than a hundred times, ever further on, and ends as the unbroken
one: see killing.py for how the moments are found.
"""

import json
from collections import Counter

import pytest
from killing import killed_everywhere, output_of, run, unfinished_below
from PIL import Image
from tiny_run import (
    NAME,
    TINY,
    assert_same_arrays,
    assert_same_run,
    checkpoints_in,
    rows_in,
    write_config,
)

from records.checkpoint import list_checkpoints, read_checkpoint
from records.run_folder import RunFolder

TOTAL = 12
COMMAND = ("train", "--config", "tiny.yaml")
# Three gradients in a row that cannot be used take the run back, once.
SPIKES = [
    {"iteration": iteration, "network": "generator", "factor": float("inf")}
    for iteration in (7, 8, 9)
]
SECTIONS = {
    "model": {"conditional": True},
    "optimizer": {"name": "sgd", "learning_rate": 1e-3},
    "training": TINY["training"]
    | {
        "total_iterations": TOTAL,
        "checkpoint_every_iterations": 1,
        "keep_last": 2,
        "max_rollbacks": 2,
        "max_skipped_iterations": 3,
    },
    "metrics": {"every_iterations": 4, "extractor": "random", "num_images": 20},
    "debug": {"inject_spikes": SPIKES},
}
# What a moment belongs to, by what is in the paths: the first that fits.
KINDS = {
    "rollback": ("rolled-back-", "events.jsonl"),
    "caching": ("cache/drawn-",),
    "metrics": ("features-", "metrics.json"),
    "save": ("checkpoints",),
    "page": (".html", "live.js", "page-data.js", "summary.json", "thumbn", ".assets"),
    "grid": ("grid-", "classes-", "reals.png"),
    "rows": ("scalars.jsonl", "spikes.jsonl"),
    "start": ("",),
}
# Fewer would mean that something is no longer seen.
LEAST = {
    "rollback": 9,
    "caching": 8,
    "metrics": 6,
    "save": 5,
    "page": 25,
    "grid": 6,
    "rows": 6,
    "start": 15,
}


def kind_of(moment):
    """Returns what a program was doing when it was killed."""
    return next(
        kind for kind, parts in KINDS.items() if any(part in moment for part in parts)
    )


def assert_no_half_files(folder):
    """Asserts that whatever has its final name is whole, also right after a kill."""
    for root in ("runs", "samples"):
        for path in (folder / root).rglob("*.*"):
            if path.name.startswith(".") or not path.is_file():
                continue
            if path.suffix in (".png", ".webp"):
                with Image.open(path) as picture:
                    picture.load()
            elif path.suffix == ".json":
                json.loads(path.read_text())
            elif path.suffix == ".html":
                assert path.read_text().rstrip().endswith("</html>"), path
    checkpoints = folder / RunFolder(NAME).checkpoints
    for iteration in list_checkpoints(checkpoints):
        read_checkpoint(checkpoints, iteration)


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """Returns a run killed at all moments, its unbroken twin, and the kills by kind."""
    folders = [tmp_path_factory.mktemp(name) / "run" for name in ("killed", "unbroken")]
    for folder in folders:
        folder.mkdir()
        write_config(folder, **SECTIONS)
    broken, unbroken = folders
    assert run(unbroken, *COMMAND) == 0, output_of(unbroken)
    kills = Counter()
    for moment in killed_everywhere(broken, *COMMAND):
        assert_no_half_files(broken)
        kills[kind_of(moment)] += 1
    return broken, unbroken, kills


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, marks=pytest.mark.fault(f"kill: {kind}")) for kind in KINDS],
)
def test_a_run_killed_at_each_moment_ends_as_the_unbroken_one(killed, kind, tries):
    broken, unbroken, kills = killed
    assert kills[kind] >= LEAST[kind]
    with tries.nothing_lost(kills[kind]):
        assert_same_run(broken, unbroken, TOTAL)
        assert checkpoints_in(broken) == checkpoints_in(unbroken)
        assert rows_in(broken, "events.jsonl") == rows_in(unbroken, "events.jsonl")
        assert len(rows_in(broken, "events.jsonl")) == 1
        for iteration in checkpoints_in(unbroken):
            places = [one / RunFolder(NAME).checkpoints for one in (broken, unbroken)]
            assert_same_arrays(*(read_checkpoint(one, iteration) for one in places))
    assert unfinished_below(broken) == unfinished_below(unbroken) == []
    tries.add(kills[kind])
