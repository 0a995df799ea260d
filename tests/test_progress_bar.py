"""The bar while the step is built, and the time to the end that it tells then."""

import contextlib
import io
from unittest import mock

import tqdm
from tiny_run import eagerly, train_here, write_config

from training import loop
from training.progress import building


def test_the_bar_says_building_and_leaves_that_time_out_of_its_speed():
    now, terminal = [100.0], io.StringIO()
    with mock.patch("tqdm.std.time", lambda: now[0]):
        bar = tqdm.tqdm(total=1000, file=terminal, smoothing=0.05, mininterval=0)
        bar._time = lambda: now[0]
        with building(bar):
            assert (
                "building the step (half a minute, or some minutes), 0/1000"
                in terminal.getvalue()
            )
            now[0] += 60
        bar.update()
        assert "building" not in str(bar)
        assert "?" in str(bar)  # nothing is known of the speed yet
        for _ in range(20):
            now[0] += 0.5
            bar.update()
        assert "2.00it/s" in str(bar)
        assert "<08:09" in str(bar)  # 979 iterations of 0.5 s


def test_a_run_says_so_once_for_each_kind_of_iteration(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_config(tmp_path, loss={"penalty": "r1_r2", "penalty_every_iterations": 2})
    built = []

    @contextlib.contextmanager
    def noting(bar):
        built.append(bar.n)
        yield

    monkeypatch.setattr(loop, "building", noting)
    with eagerly():
        assert train_here() == 0
    assert len(built) == 2
