"""Tests of decoding on all cores: the same in processes as in threads, in order."""

import functools
import io
import os
import signal
import time

import numpy as np
import pytest
from PIL import Image

from data import DataError, workers
from data.source import Prepared, Skipped

SIZE = 8


def encoded(number):
    """Returns a small photograph, every tenth of them broken."""
    rng = np.random.default_rng(number)
    pixels = rng.integers(0, 256, (20, 20 + number % 5, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG")
    return file.getvalue()[: 150 if number % 10 == 3 else None]


def files(count):
    return [
        (f"{n}.jpg", functools.partial(io.BytesIO, encoded(n))) for n in range(count)
    ]


def failing():
    raise OSError(5, "Input/output error")


def kill_self():
    os.kill(os.getpid(), signal.SIGKILL)


def plain(results):
    """Returns results as values that can be compared."""
    return [
        (one.name, one.reason)
        if isinstance(one, Skipped)
        else (one.pixels.tobytes(), one.enlarged)
        for one in results
    ]


@pytest.fixture
def in_processes(monkeypatch):
    """Decodes even a few photographs in processes, three at once."""
    monkeypatch.setattr(workers, "FEWEST_FOR_PROCESSES", 1)
    monkeypatch.setattr(workers, "MAX_CHUNK", 3)
    monkeypatch.setattr(workers, "num_cores", lambda: 2)


def test_processes_yield_what_threads_do_in_the_order_of_the_files(in_processes):
    some = files(40)
    one_by_one = [workers.prepare(open_file, name, SIZE) for name, open_file in some]
    found = list(workers.prepare_all(some, SIZE, len(some)))
    assert plain(found) == plain(one_by_one)
    assert sum(isinstance(one, Skipped) for one in found) == 4


def test_threads_are_used_for_few_photographs_processes_for_many(monkeypatch):
    class Refused(Exception):
        pass

    def refuse(*_):
        raise Refused

    monkeypatch.setattr(workers, "num_cores", lambda: 2)
    monkeypatch.setattr(workers, "Processes", refuse)
    few = workers.FEWEST_FOR_PROCESSES - 1
    assert len(list(workers.prepare_all(files(5), SIZE, few))) == 5
    with pytest.raises(Refused):
        list(workers.prepare_all(files(5), SIZE, few + 1))
    monkeypatch.setattr(workers, "num_cores", lambda: 1)
    assert len(list(workers.prepare_all(files(5), SIZE, few + 1))) == 5


@pytest.mark.parametrize("fewest", [1, 1000])
def test_an_error_of_the_disk_comes_after_all_before_it(
    in_processes, monkeypatch, fewest
):
    monkeypatch.setattr(workers, "FEWEST_FOR_PROCESSES", fewest)
    some = files(20)
    some[10] = ("bad.jpg", failing)
    found = []
    with pytest.raises(DataError, match="cannot read bad.jpg: Input/output error"):
        for one in workers.prepare_all(some, SIZE, len(some)):
            found.append(one)
    assert len(found) == 10


def test_a_process_that_dies_is_an_error_that_names_what_it_was_at(in_processes):
    some = files(20)
    some[10] = ("deadly.jpg", kill_self)
    with pytest.raises(DataError, match="has died, at 9.jpg to 11.jpg"):
        list(workers.prepare_all(some, SIZE, len(some)))


def test_the_processes_end_with_the_reading_even_before_its_end(in_processes):
    pids = set()
    some = [(str(n), functools.partial(own_pid, n)) for n in range(200)]
    reading = workers.prepare_all(some, SIZE, len(some))
    for _, one in zip(range(12), reading, strict=False):
        assert isinstance(one, Prepared)
        pids.add(int(np.frombuffer(one.pixels[0, :2].tobytes()[:4], "<i4")[0]))
    assert pids and os.getpid() not in pids
    reading.close()
    deadline = time.monotonic() + 30
    while any(os.path.exists(f"/proc/{pid}") for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def own_pid(number):
    """Opens a picture that tells the number of the process that decodes it."""
    pixels = np.zeros((SIZE, SIZE, 3), np.uint8)
    told = np.frombuffer(np.array([os.getpid(), number], "<i4").tobytes()[:6], np.uint8)
    pixels[0, :2] = told.reshape(2, 3)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    file.seek(0)
    return file


def test_what_is_on_its_way_stays_within_bounds():
    for size in (32, 64, 128, 256, 512):
        chunk = workers.chunk_size(size)
        assert 1 <= chunk <= workers.MAX_CHUNK
        assert chunk * 3 * size**2 <= workers.CHUNK_BYTES
    assert workers.chunk_size(4096) == 1
