"""Disks that are full, or become read-only, at every moment of a run.

runs/, samples/ or cache/ is a disk of its own (tmpfs), which the test fills to its last
byte just before the program writes something. Once there is room again, the same
command has to end as a run that always had room.
"""

import contextlib
import functools
import math
import os
import pathlib
import pkgutil
import subprocess
from unittest import mock

import pytest
from tiny_run import (
    TINY,
    assert_same_run,
    eagerly,
    train_here,
    train_in,
    write_config,
)

from files.atomic import unfinished_in

pytestmark = pytest.mark.fault("a full or read-only disk")
TOTAL = 4
SECTIONS = {
    "training": {
        "total_iterations": TOTAL,
        "checkpoint_every_iterations": 2,
        "sample_every_iterations": 2,
        "keep_last": 9,
    },
    "metrics": {"every_iterations": 2, "extractor": "random", "num_images": 8},
    "debug": {
        "inject_spikes": [{"iteration": 3, "network": "generator", "factor": math.inf}]
    },
}
FILLER = "filler"
PLACES = ("runs", "samples", "cache")
# What is about to happen when the disk becomes full, and how often it has before.
MOMENTS = {
    "start": ("commands.train.write_beginning", 0),
    "caching": ("data.build._write", 0),
    "features": ("training.run_metrics.load_reference", 0),
    "row": ("records.run_log.RunLog.write_scalars", 2),
    "spike": ("records.run_log.RunLog.write_spike", 0),
    "events": ("records.run_log.TensorBoardEvents.add", 4),
    "grid": ("training.output.Output.write_grid", 1),
    "page": ("training.output.Output.write_pages", 1),
    "save": ("training.output.Output.save", 1),
    "checkpoint": ("records.checkpoint.make_room", 1),
    "metrics": ("training.run_metrics.RunMetrics.measure", 1),
}

OF_CACHE = ("caching", "features")  # after which nothing is written there


def mounted(*arguments):
    """Runs mount; returns whether it could."""
    done = subprocess.run(["mount", *map(str, arguments)], capture_output=True)
    return done.returncode == 0


@contextlib.contextmanager
def own_disk(folder):
    """Gives a folder a disk of its own."""
    folder.mkdir()
    if not mounted("-t", "tmpfs", "-o", "size=16m", "tmpfs", folder):
        pytest.skip("needs the right to mount")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(folder):
    """Fills a disk to its last byte."""
    with open(folder / FILLER, "ab", buffering=0) as file:
        for size in (2**20, 2**12, 1):
            with contextlib.suppress(OSError):
                while file.write(bytes(size)) == size:
                    pass


def remount(folder, how):
    """Makes a disk read-only ("ro"), or writable again ("rw")."""
    assert mounted("-o", f"remount,{how}", folder)


@contextlib.contextmanager
def before(moment, action):
    """Does something just before a moment of the run."""
    path, patience = MOMENTS[moment]
    owner, name = path.rpartition(".")[::2]
    original, seen = pkgutil.resolve_name(path), []

    @functools.wraps(original)
    def acting(*arguments, **named):
        seen.append(moment)
        if len(seen) == patience + 1:
            action()
        return original(*arguments, **named)

    with mock.patch.object(pkgutil.resolve_name(owner), name, acting):
        yield
    assert len(seen) > patience, f"{moment} never came"


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """Returns the folder of a run that had room."""
    folder = tmp_path_factory.mktemp("unbroken")
    train_in(folder, **SECTIONS)
    return folder


def unfinished(folder):
    """Returns the files below a folder that are not whole."""
    folders = [pathlib.Path(root) for root, _, _ in os.walk(folder)]
    return [path for one in folders for path in unfinished_in(one)]


def check_that_it_goes_on(unbroken, folder, place, action, mend, capsys):
    """Trains with a disk that fails at some moment, and again once it is mended."""
    write_config(folder, **SECTIONS)
    disk = folder / place
    with own_disk(disk), contextlib.chdir(folder), eagerly():
        with action(disk):
            status = train_here()
        told = capsys.readouterr().err
        assert status in (0, 2)
        assert "Traceback" not in told
        if status:  # else a warning, or nothing more was to be written there
            warned = f"only {TINY['data']['num_images']} images"
            assert f"{place}/" in told[told.rindex(warned) :]
        mend(disk)
        assert unfinished(folder) == []
        assert train_here() == 0
        assert_same_run(folder, unbroken, TOTAL)
        assert unfinished(folder) == []


FULL = [
    (moment, place)
    for place in PLACES
    for moment in MOMENTS
    if place != "cache" or moment in OF_CACHE
]


@pytest.mark.slow
@pytest.mark.parametrize(("moment", "place"), FULL)
def test_a_run_goes_on_once_a_full_disk_has_room(
    unbroken, tmp_path, capsys, moment, place
):
    check_that_it_goes_on(
        unbroken,
        tmp_path,
        place,
        lambda disk: before(moment, lambda: fill(disk)),
        lambda disk: (disk / FILLER).unlink(),
        capsys,
    )


# A disk on which a file is open for writing cannot become read-only.
READ_ONLY = [
    (moment, place)
    for place in ("samples", "cache")
    for moment in MOMENTS
    if (moment, place) != ("caching", "cache")
    and (place != "cache" or moment in OF_CACHE)
]


@pytest.mark.slow
@pytest.mark.parametrize(("moment", "place"), READ_ONLY)
def test_a_run_goes_on_once_a_read_only_disk_is_writable(
    unbroken, tmp_path, capsys, moment, place
):
    check_that_it_goes_on(
        unbroken,
        tmp_path,
        place,
        lambda disk: before(moment, lambda: remount(disk, "ro")),
        lambda disk: remount(disk, "rw"),
        capsys,
    )


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
def test_a_disk_that_is_read_only_from_the_start_is_told(
    unbroken, tmp_path, capsys, place
):
    @contextlib.contextmanager
    def read_only(disk):
        remount(disk, "ro")
        yield

    check_that_it_goes_on(
        unbroken, tmp_path, place, read_only, lambda disk: remount(disk, "rw"), capsys
    )
