"""Tests the time-lapse of a run by the pixels of its grids."""

import pathlib

import numpy as np
import pytest
from PIL import Image
from tiny_run import empty_run

import generate
from gallery.grids import LEAST_SIDE, grid_image, write_png
from gallery.thumbnails import grid_name
from gallery.timelapse import chosen_grids, grids_until

RUN = "tiny.1"
LEVELS = {2: 40, 4: 120, 10: 200}  # of the first image of each grid


def grid_of(level, count=64, size=32):
    """Returns a grid whose n-th image is n levels brighter than the first."""
    levels = level + np.arange(count, dtype=np.uint8)
    shape = (count, size, size, 3)
    return grid_image(np.broadcast_to(levels[:, None, None, None], shape))


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Works beside a run with grids at 2, 4 and 10, and a checkpoint at 9."""
    monkeypatch.chdir(tmp_path)
    run = empty_run(RUN, 9, 12)
    run.samples.mkdir(parents=True)
    for iteration, level in LEVELS.items():
        write_png(grid_of(level), run.samples / grid_name(iteration))
    return run


def film_of(*arguments, out="film.webp"):
    """Returns a time-lapse's frames and the milliseconds of each."""
    command = [RUN, "--kind", "timelapse", "--out", out, *map(str, arguments)]
    assert generate.main(command) == 0
    frames, durations = [], []
    with Image.open(out) as film:
        for number in range(film.n_frames):
            film.seek(number)
            frames.append(np.asarray(film.convert("RGB")).astype(int))
            durations.append(film.info["duration"])
    return np.stack(frames), durations


def test_every_grid_is_a_frame_and_the_last_one_stays(run):
    frames, durations = film_of("--num_images", 4)
    assert frames.shape[:2] == (3, LEAST_SIDE + 28)
    # In the middle of the four images: 256 pixels each, enlarged from 32.
    for frame, level in zip(frames, LEVELS.values(), strict=True):
        found = [frame[y, x].mean() for y in (128, 384) for x in (128, 384)]
        np.testing.assert_allclose(found, level + np.arange(4), atol=3)
        caption = frame[LEAST_SIDE:]
        assert caption.max() > 200 and np.median(caption) < 10
    assert durations[:2] == [125, 125]
    assert durations[2] == pytest.approx(2125, abs=2)


def test_the_caption_tells_the_iteration(run):
    frames, _ = film_of()
    captions = frames[:, LEAST_SIDE:]
    assert np.abs(captions[0] - captions[1]).max() > 100


def test_it_ends_at_the_chosen_checkpoint(run):
    frames, durations = film_of("--checkpoint", 9, "--frames_per_second", 4)
    assert len(frames) == 2 and durations[0] == 250


def test_a_gif_can_be_written_too(run):
    frames, _ = film_of(out="film.gif")
    assert len(frames) >= 3


def test_an_mp4_shows_the_same_frames_and_stays_as_long(run):
    import av

    command = [RUN, "--kind", "timelapse", "--out", "film.mp4"]
    assert generate.main(command) == 0
    with av.open("film.mp4") as film:
        stream = film.streams.video[0]
        read = [frame.to_ndarray(format="rgb24") for frame in film.decode(stream)]
    assert len(read) == len(LEVELS) + 2 * 8  # two seconds more of the last one
    for frame, level in zip(read, LEVELS.values(), strict=False):
        assert abs(frame[10:100, 10:100].mean() - level) < 4


def test_a_damaged_grid_is_left_out_and_said(run, capsys):
    (run.samples / grid_name(4)).write_bytes(b"no picture")
    write_png(grid_of(9, count=1, size=64), run.samples / grid_name(11))
    frames, _ = film_of("--num_images", 16)
    assert len(frames) == 2
    err = capsys.readouterr().err
    assert f"{grid_name(4)} is damaged" in err and grid_name(11) in err


def test_long_runs_keep_both_ends(run):
    every = list(range(500, 140001, 100))
    chosen = chosen_grids(every, 300)
    assert len(chosen) == 300
    assert (chosen[0], chosen[-1]) == (500, 140000)
    steps = np.diff(chosen)
    assert steps.max() - steps.min() <= 100
    assert chosen_grids(every[:7], 7) == every[:7]


def test_a_film_of_fewer_frames_keeps_the_first_grid_and_the_last(run):
    frames, durations = film_of("--num_images", 1, "--frames", 2)
    levels = [frame[LEAST_SIDE // 2, LEAST_SIDE // 2].mean() for frame in frames]
    np.testing.assert_allclose(levels, (LEVELS[2], LEVELS[10]), atol=3)
    assert len(durations) == 2


def test_only_grids_up_to_the_last_iteration_count(run):
    (run.samples / "grid-overview.png").touch()
    assert grids_until(run.samples, 4) == [2, 4]


def refusal(capsys, *arguments):
    assert generate.main([RUN, "--kind", "timelapse", *arguments]) == 2
    return capsys.readouterr().err


def test_mistakes_are_said(run, capsys):
    assert "ending in .webp, .gif or .mp4" in refusal(capsys, "--out", "a.png")
    assert "from 0.1 to 50" in refusal(
        capsys, "--out", "a.gif", "--frames_per_second", "60"
    )
    for path in run.samples.glob("grid-*.png"):
        path.write_bytes(b"")
    assert "no grid can be read" in refusal(capsys)
    for path in run.samples.glob("grid-*.png"):
        path.unlink()
    message = refusal(capsys)
    assert f"{run.samples}: no grids up to iteration 12" in message
    assert "training.sample_every_iterations" in message
    assert not list(pathlib.Path().glob("*.webp"))
