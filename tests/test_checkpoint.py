"""Checkpoints: whole or not at all, checked when read, and which ones stay."""

import errno
import json
import os
import pickle
import resource
import shutil
import types

import numpy as np
import pytest
import safetensors.numpy

from records.checkpoint import (
    DamagedCheckpoint,
    Retention,
    checkpoint_path,
    digest,
    list_checkpoints,
    make_room,
    read_checkpoint,
    set_damaged_aside,
    superseded,
    write_checkpoint,
)
from settings.messages import Problem

KEEP_ALL = Retention(keep_last=100, keep_every_iterations=1)
PLENTY = 2**40


def arrays_of(iteration, num_numbers=6):
    """Returns a small state of every kind of array that a run has."""
    weights = np.arange(num_numbers, dtype=np.float32).reshape(2, -1) + iteration
    return {
        "generator/000-dense.kernel": weights,
        "generator_optimizer/000-iteration": np.array(iteration, np.int32),
        "odd values": np.float32([np.nan, np.inf, -0.0, 1e-45]),
        "empty": np.zeros((0, 3), np.float32),
        "iteration": np.array(iteration, np.int64),
    }


def write(folder, *iterations, retention=KEEP_ALL, num_numbers=6):
    for iteration in iterations:
        arrays = arrays_of(iteration, num_numbers)
        write_checkpoint(folder, iteration, arrays, retention)


def same(left, right):
    """Tells whether names, shapes, types and bits agree."""
    return left.keys() == right.keys() and all(
        left[name].dtype == right[name].dtype
        and left[name].shape == right[name].shape
        and left[name].tobytes() == right[name].tobytes()
        for name in left
    )


def are_whole(folder, *iterations):
    """Tells whether exactly these are there, each as written, and nothing else."""
    names = {checkpoint_path(folder, iteration).name for iteration in iterations}
    return names == set(os.listdir(folder)) and all(
        same(read_checkpoint(folder, iteration), arrays_of(iteration))
        for iteration in iterations
    )


def set_free_bytes(monkeypatch, folder, total):
    """Lets the disk be one of `total` bytes that holds nothing but the folder."""

    def disk_usage(path):
        used = sum(file.stat().st_size for file in folder.iterdir())
        return types.SimpleNamespace(free=total - used)

    monkeypatch.setattr(shutil, "disk_usage", disk_usage)


def test_what_is_read_is_what_was_written_to_the_bit(tmp_path):
    path = write_checkpoint(tmp_path / "new", 7, arrays_of(7), KEEP_ALL)
    assert path == tmp_path / "new/0000007.safetensors"
    assert are_whole(tmp_path / "new", 7)


def test_checkpoints_are_listed_by_iteration(tmp_path):
    assert list_checkpoints(tmp_path / "missing") == []
    write(tmp_path, 10_000_000, 9, 9_999_999)
    for other in ("0000010.writing", "10.safetensors", "notes.txt"):
        (tmp_path / other).write_text("not a checkpoint")
    assert list_checkpoints(tmp_path) == [9, 9_999_999, 10_000_000]


def test_a_flipped_bit_is_noticed_wherever_it_is(tmp_path):
    write(tmp_path, 7)
    path = checkpoint_path(tmp_path, 7)
    whole = path.read_bytes()
    unnoticed = []
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        try:
            arrays = read_checkpoint(tmp_path, 7)
        except DamagedCheckpoint as error:
            assert str(path) in str(error)
        else:
            unnoticed.append(place)
            # Only what does not count may pass, such as the format's number.
            assert same(arrays, arrays_of(7)), place
    header = 8 + int.from_bytes(whole[:8], "little")
    assert all(place < header for place in unnoticed)


def test_a_file_cut_short_anywhere_is_damaged(tmp_path):
    write(tmp_path, 7)
    path = checkpoint_path(tmp_path, 7)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(DamagedCheckpoint, match="0000007.safetensors"):
            read_checkpoint(tmp_path, 7)


def test_what_is_no_checkpoint_of_this_iteration_is_damaged(tmp_path):
    path = checkpoint_path(tmp_path, 7)
    with pytest.raises(DamagedCheckpoint, match="cannot be read"):
        read_checkpoint(tmp_path, 7)
    path.write_bytes(pickle.dumps(arrays_of(7)))
    with pytest.raises(DamagedCheckpoint, match="cannot be read"):
        read_checkpoint(tmp_path, 7)
    safetensors.numpy.save_file(arrays_of(7), path)  # nobody's: without a checksum
    with pytest.raises(DamagedCheckpoint, match="checksum"):
        read_checkpoint(tmp_path, 7)
    path.unlink()
    write(tmp_path, 8)
    os.rename(checkpoint_path(tmp_path, 8), path)  # whole, but of another iteration
    with pytest.raises(DamagedCheckpoint, match="checksum"):
        read_checkpoint(tmp_path, 7)
    path.unlink()
    path.mkdir()
    with pytest.raises(DamagedCheckpoint, match="cannot be read"):
        read_checkpoint(tmp_path, 7)


def test_a_file_that_cannot_be_opened_is_not_taken_for_damaged(tmp_path, monkeypatch):
    # To pass it over would be to lose it: the disk, or the rights, can be mended.
    write(tmp_path, 7)
    monkeypatch.setattr(safetensors, "safe_open", failing_with(errno.EACCES))
    with pytest.raises(PermissionError):
        read_checkpoint(tmp_path, 7)


def test_the_checksum_covers_names_shapes_types_values_and_iteration():
    array = np.zeros((2, 3), np.float32)
    one = np.float32([[0, 0, 0], [0, 0, 1e-45]])
    variants = [
        ({"a": array}, 1),
        ({"b": array}, 1),
        ({"a": array.reshape(3, 2)}, 1),
        ({"a": array.ravel()}, 1),
        ({"a": array.view(np.int32)}, 1),
        ({"a": one}, 1),
        ({"a": -array}, 1),
        ({"a": array, "b": array[:0]}, 1),
        ({}, 1),
        ({"a": array}, 2),
    ]
    digests = {digest(arrays, iteration) for arrays, iteration in variants}
    assert len(digests) == len(variants)
    assert digest({"a": one, "b": array}, 1) == digest({"b": array, "a": one}, 1)
    # Bits in another order in memory are the same array.
    assert digest({"a": np.asfortranarray(one)}, 1) == digest({"a": one}, 1)


@pytest.mark.parametrize(
    ("iterations", "keep_last", "every", "expected"),
    [
        ([], 3, 10, []),
        ([2, 4], 3, 10, []),
        ([2, 4, 6, 8], 3, 10, [2]),
        ([2, 4, 6, 8], 1, 10, [2, 4, 6]),
        ([8, 10, 12, 20, 22], 1, 10, [8, 12]),
        ([8, 9, 10], 2, 4, []),
        ([3, 5, 7], 1, 1, []),
        ([0, 5, 10], 1, 5, [0]),
    ],
)
def test_the_newest_and_the_milestones_stay(iterations, keep_last, every, expected):
    assert superseded(iterations, Retention(keep_last, every)) == expected


def test_the_best_ones_stay_too():
    retention = Retention(1, 100, best=(4, 2))
    assert superseded([2, 4, 6, 8], retention) == [6]


def test_for_room_the_worst_of_the_best_goes_last_but_the_very_best(tmp_path):
    write(tmp_path, 2, 4, 6, 8)
    size = checkpoint_path(tmp_path, 8).stat().st_size
    for room, kept in ((3.5, (2, 6, 8)), (2.5, (2, 8)), (1.5, (8,))):
        retention = Retention(9, 100, int(room * size), best=(2, 6))
        make_room(tmp_path, 9, 0, retention)
        assert are_whole(tmp_path, *kept)


def test_one_that_stays_for_two_reasons_is_deleted_once(tmp_path):
    write(tmp_path, 2, 4, 6)
    size = checkpoint_path(tmp_path, 6).stat().st_size
    retention = Retention(9, 100, int(1.5 * size), best=(4, 2), good=(2, 4))
    assert retention.treasured == (2, 4)
    make_room(tmp_path, 9, 0, retention)
    assert are_whole(tmp_path, 6)


def test_one_that_is_written_anew_is_not_deleted_for_its_own_room(tmp_path):
    write(tmp_path, 2, 4, 6, 8)
    size = checkpoint_path(tmp_path, 8).stat().st_size
    make_room(tmp_path, 4, size, Retention(9, 100, int(2.5 * size)))
    assert are_whole(tmp_path, 4)
    with pytest.raises(Problem):
        make_room(tmp_path, 4, size, Retention(9, 100, int(1.5 * size)))
    assert are_whole(tmp_path, 4)


def test_saving_removes_what_is_superseded_after_the_new_one_is_in_place(
    tmp_path, monkeypatch
):
    retention = Retention(keep_last=2, keep_every_iterations=6)
    write(tmp_path, 2, 4, 6, 8, retention=retention)
    assert are_whole(tmp_path, 6, 8)
    monkeypatch.setattr(os, "replace", failing_with(errno.EIO))
    with pytest.raises(Problem):
        write(tmp_path, 10, retention=retention)
    monkeypatch.undo()
    write(tmp_path, 10, 12, 14, retention=retention)
    assert are_whole(tmp_path, 6, 12, 14)


def test_a_budget_takes_the_superseded_before_the_milestones(tmp_path):
    write(tmp_path, 5, 6, 7, 8)
    size = checkpoint_path(tmp_path, 8).stat().st_size
    most = Retention(keep_last=1, keep_every_iterations=5, max_bytes=3 * size)
    write(tmp_path, 9, retention=most)
    assert are_whole(tmp_path, 5, 9)
    write(tmp_path, 10, 15, 16, retention=most)
    assert are_whole(tmp_path, 10, 15, 16)  # three milestones would leave no room


def test_a_budget_for_one_is_refused_and_the_newest_stays(tmp_path):
    write(tmp_path, 1, 2)
    size = checkpoint_path(tmp_path, 2).stat().st_size
    one = Retention(keep_last=1, keep_every_iterations=5, max_bytes=size + 10)
    with pytest.raises(Problem, match="training.max_checkpoint_gib"):
        write(tmp_path, 3, retention=one)
    assert 2 in list_checkpoints(tmp_path)
    assert same(read_checkpoint(tmp_path, 2), arrays_of(2))


def test_a_full_disk_costs_old_checkpoints_first_and_never_the_newest(
    tmp_path, monkeypatch
):
    write(tmp_path, 1, 2, 3, num_numbers=2000)
    size = checkpoint_path(tmp_path, 3).stat().st_size
    set_free_bytes(monkeypatch, tmp_path, int(3.5 * size))
    write(tmp_path, 4, num_numbers=2000)
    assert list_checkpoints(tmp_path) == [2, 3, 4]
    set_free_bytes(monkeypatch, tmp_path, int(1.5 * size))
    with pytest.raises(Problem) as caught:
        write(tmp_path, 5, num_numbers=2000)
    assert list_checkpoints(tmp_path) == [4]
    assert same(read_checkpoint(tmp_path, 4), arrays_of(4, 2000))
    assert "free some space and run the same command again" in str(caught.value)


def failing_with(number):
    def fail(*arguments, **options):
        raise OSError(number, os.strerror(number))

    return fail


def test_a_file_that_may_not_be_read_is_not_called_damaged(tmp_path, monkeypatch):
    write(tmp_path, 1)
    monkeypatch.setattr("builtins.open", failing_with(errno.EACCES))
    with pytest.raises(PermissionError, match="Permission denied"):
        read_checkpoint(tmp_path, 1)


@pytest.mark.parametrize("function", ["replace", "fsync"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_write_that_fails_leaves_the_older_ones_whole_and_no_trace(
    tmp_path, monkeypatch, function, number
):
    write(tmp_path, 1, 2)
    strict = Retention(keep_last=1, keep_every_iterations=100)
    monkeypatch.setattr(os, function, failing_with(number))
    with pytest.raises(Problem, match="0000003.safetensors: could not be written"):
        write(tmp_path, 3, retention=strict)
    assert are_whole(tmp_path, 1, 2)


def test_a_disk_that_takes_only_part_of_the_file_leaves_no_trace(tmp_path):
    write(tmp_path, 1)
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, old[1]))
    try:
        with pytest.raises(Problem, match="could not be written"):
            write(tmp_path, 2, num_numbers=20_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert are_whole(tmp_path, 1)


def test_what_a_killed_save_left_is_no_checkpoint_and_goes_with_the_next(tmp_path):
    write(tmp_path, 1)
    whole = checkpoint_path(tmp_path, 1).read_bytes()
    (tmp_path / ".17.writing.0000002.safetensors").write_bytes(whole[:-5])
    (tmp_path / "0000002.writing").write_bytes(whole[:-5])  # as older versions did
    assert list_checkpoints(tmp_path) == [1]
    write(tmp_path, 3)
    assert are_whole(tmp_path, 1, 3)


def test_an_interrupted_save_leaves_nothing(tmp_path, monkeypatch):
    names = set()

    def interrupted(*arguments):
        names.update(os.listdir(tmp_path))
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path, 2)
    monkeypatch.undo()
    assert len(names) == 1 and ".writing." in names.pop()
    assert not os.listdir(tmp_path)
    write(tmp_path, 3)
    assert are_whole(tmp_path, 3)


def test_others_may_read_a_checkpoint_as_they_may_other_files(tmp_path):
    write(tmp_path, 1)
    (tmp_path / "other").touch()
    path = checkpoint_path(tmp_path, 1)
    assert path.stat().st_mode == (tmp_path / "other").stat().st_mode


def test_a_damaged_newer_checkpoint_does_not_cost_the_whole_ones(tmp_path):
    # A run that passed over a damaged checkpoint 8 goes on from 4 and saves 6.
    write(tmp_path, 4, 8, num_numbers=2000)
    damaged = checkpoint_path(tmp_path, 8)
    damaged.write_bytes(damaged.read_bytes()[:-1])
    only_one = Retention(keep_last=1, keep_every_iterations=100)
    write(tmp_path, 6, retention=only_one, num_numbers=2000)
    assert list_checkpoints(tmp_path) == [6, 8]
    assert same(read_checkpoint(tmp_path, 6), arrays_of(6, 2000))
    budget = Retention(1, 100, max_bytes=int(1.5 * damaged.stat().st_size))
    with pytest.raises(Problem):
        write(tmp_path, 7, retention=budget, num_numbers=2000)
    assert list_checkpoints(tmp_path) == [6]
    assert same(read_checkpoint(tmp_path, 6), arrays_of(6, 2000))


def test_the_metadata_is_readable_text_and_names_the_iteration(tmp_path):
    write(tmp_path, 7)
    whole = checkpoint_path(tmp_path, 7).read_bytes()
    length = int.from_bytes(whole[:8], "little")
    metadata = json.loads(whole[8 : 8 + length])["__metadata__"]
    assert metadata == {
        "format": "1",
        "iteration": "7",
        "sha256": digest(arrays_of(7), 7),
    }


def test_damaged_checkpoints_past_the_one_in_use_are_set_aside(tmp_path):
    write(tmp_path, 4, 8)
    assert [path.name for path in set_damaged_aside(tmp_path, 4)] == ["0000008.damaged"]
    assert list_checkpoints(tmp_path) == [4]
    assert (tmp_path / "0000008.damaged").exists()
