"""Tests the way between latents by its geometry, and films by reading them back."""

import os

import av
import numpy as np
import pytest
from PIL import Image

from gallery.walks import walk_latents, write_walk


def latents_of(count, latent_dim=128):
    rng = np.random.default_rng(0)
    return rng.standard_normal((count, latent_dim)).astype(np.float32)


def moving_frames(count=12, height=32, width=32):
    """Returns uint8 frames of a bright bar on green that moves, all different."""
    frames = np.zeros((count, height, width, 3), np.uint8)
    frames[..., 1] = np.linspace(0, 120, width, dtype=np.uint8)
    for k in range(count):
        frames[k, :, 2 * k : 2 * k + 6] = 220, 40, 160
    return frames


def read_film(path):
    """Returns the frames, the milliseconds of each and the number of repeats."""
    frames, durations = [], []
    with Image.open(path) as film:
        for k in range(film.n_frames):
            film.seek(k)
            frames.append(np.asarray(film.convert("RGB")))
            durations.append(film.info["duration"])
        return np.stack(frames), durations, film.info["loop"]


def test_a_quarter_turn_is_walked_in_equal_angles():
    walk = walk_latents(np.float32([[2, 0], [0, 2]]), frames_between=2)[:4]
    root = np.sqrt(3)
    np.testing.assert_allclose(walk, [[2, 0], [root, 1], [1, root], [0, 2]], atol=1e-6)


def test_an_eased_walk_slows_down_towards_its_anchors():
    walk = walk_latents(np.float32([[2, 0], [0, 2]]), 3, is_eased=True)[:4]
    # 3 t^2 - 2 t^3 of a right angle at t = 1/4, 1/2, 3/4.
    angles = np.degrees(np.arctan2(walk[:, 1], walk[:, 0]))
    np.testing.assert_allclose(angles, [0, 14.0625, 45, 75.9375], rtol=1e-6)


def test_lengths_change_linearly():
    walk = walk_latents(np.float32([[1, 0, 0], [0, 0, 3]]), 3)[:5]
    np.testing.assert_allclose(
        np.linalg.norm(walk, axis=1), [1, 1.5, 2, 2.5, 3], rtol=1e-6
    )


def test_a_walk_passes_through_every_anchor_exactly():
    anchors = latents_of(5)
    loop = walk_latents(anchors, frames_between=7)
    assert loop.shape == (5 * 8, 128) and loop.dtype == np.float32
    np.testing.assert_array_equal(loop[::8], anchors)
    np.testing.assert_array_equal(walk_latents(anchors, 0), anchors)


def test_a_loop_closes_with_a_step_like_all_others():
    anchors = latents_of(4)
    walk = walk_latents(anchors, frames_between=9)
    steps = np.linalg.norm(np.roll(walk, -1, axis=0) - walk, axis=1)
    segments = steps.reshape(4, 10)
    # Within a segment steps differ only as the length of the latent does.
    assert (segments.max(axis=1) < 1.25 * segments.min(axis=1)).all()
    np.testing.assert_array_equal(walk[-9:], walk_latents(anchors[[3, 0]], 9)[1:10])


def test_a_walk_stays_as_long_as_its_latents():
    lengths = np.linalg.norm(walk_latents(latents_of(6), 12), axis=1)
    # Normal latents of 128 numbers: sqrt(128) = 11.3; a straight line falls to 8.
    assert lengths.min() > 10


@pytest.mark.parametrize("scale", [1, 1e-30, 1e15])
@pytest.mark.parametrize("latent_dim", [1, 2, 128])
def test_equal_latents_stay_and_opposite_ones_are_gone_around(latent_dim, scale):
    latent = latents_of(1, latent_dim)[0] * np.float32(scale)
    still = walk_latents(np.stack([latent, latent]), 4)
    np.testing.assert_allclose(still, np.tile(latent, (10, 1)), rtol=1e-6)
    around = walk_latents(np.stack([latent, -latent]), 4)
    assert np.isfinite(around).all()
    if latent_dim > 1:
        length = np.linalg.norm(latent.astype(np.float64))
        lengths = np.linalg.norm(around.astype(np.float64), axis=1)
        np.testing.assert_allclose(lengths, length, rtol=1e-6)


def test_nearly_equal_and_nearly_opposite_latents_give_no_leap():
    latent = latents_of(1)[0]
    near = np.nextafter(latent, np.float32(9))
    np.testing.assert_allclose(
        walk_latents(np.stack([latent, near]), 4), np.tile(latent, (10, 1)), atol=1e-5
    )
    around = walk_latents(np.stack([latent, -near]), 19)[:21]
    steps = np.linalg.norm(np.diff(around, axis=0), axis=1)
    np.testing.assert_allclose(steps, steps[0], rtol=1e-3)


def test_from_a_zero_latent_the_way_is_straight():
    walk = walk_latents(np.float32([[0, 0], [4, 2]]), 1)
    np.testing.assert_array_equal(walk, [[0, 0], [2, 1], [4, 2], [2, 1]])
    assert not walk_latents(np.zeros((2, 8)), 3).any()


@pytest.mark.parametrize(
    ("anchors", "frames_between", "expected"),
    [
        (np.zeros((1, 8)), 4, r"two or more. Received: \[1, 8\]"),
        (np.zeros(8), 4, r"two or more. Received: \[8\]"),
        (np.zeros((2, 8)), -1, ">= 0. Received: frames_between=-1"),
    ],
)
def test_what_is_no_walk_is_refused(anchors, frames_between, expected):
    with pytest.raises(ValueError, match=expected):
        walk_latents(anchors, frames_between)


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".GIF"])
def test_a_film_reads_back_frame_by_frame_and_repeats_for_ever(tmp_path, suffix):
    path = tmp_path / f"walk{suffix}"
    frames = moving_frames()
    write_walk(frames, path, 25)
    read, durations, loop = read_film(path)
    assert read.shape == frames.shape
    assert durations == [40] * 12
    assert loop == 0
    # Lossy, but the bar of each frame is where it was.
    assert np.abs(read.astype(int) - frames).mean() < 6
    assert os.listdir(tmp_path) == [path.name]


def test_a_gif_of_few_colours_is_exact(tmp_path):
    frames = moving_frames()
    frames[:, ::2, 20:24] = 7, 8, 9
    write_walk(frames, tmp_path / "walk.gif", 10)
    np.testing.assert_array_equal(read_film(tmp_path / "walk.gif")[0], frames)


def test_each_frame_of_a_gif_has_its_own_colours(tmp_path):
    # 200 colours a frame and 800 in all: one palette of 256 could not hold them.
    colours = np.random.default_rng(0).integers(0, 256, (4, 200, 3), np.uint8)
    frames = colours[:, np.arange(1600) % 200].reshape(4, 40, 40, 3)
    write_walk(frames, tmp_path / "walk.gif", 10)
    np.testing.assert_array_equal(read_film(tmp_path / "walk.gif")[0], frames)


@pytest.mark.parametrize(("suffix", "unit"), [(".gif", 10), (".webp", 1)])
def test_a_rate_that_is_no_whole_unit_is_kept_on_the_whole(tmp_path, suffix, unit):
    path = tmp_path / f"walk{suffix}"
    write_walk(moving_frames(), path, 30)
    durations = read_film(path)[1]
    assert sum(durations) == 400  # 12 frames at 30 a second.
    assert max(durations) - min(durations) == unit


def test_a_film_of_one_frame_is_a_picture(tmp_path):
    for name in ("walk.gif", "walk.webp"):
        write_walk(moving_frames(1), tmp_path / name, 25)
        with Image.open(tmp_path / name) as film:
            assert film.size == (32, 32) and film.n_frames == 1


@pytest.mark.parametrize(("height", "width"), [(64, 64), (31, 33)])
def test_an_mp4_decodes_to_its_frames(tmp_path, height, width):
    path = tmp_path / "walk.mp4"
    frames = moving_frames(height=height, width=width)
    write_walk(frames, path, 10)
    assert os.listdir(tmp_path) == [path.name]
    with av.open(str(path)) as film:
        stream = film.streams.video[0]
        assert (stream.codec.name, stream.pix_fmt) == ("h264", "yuv420p")
        assert stream.average_rate == 10
        read = [frame.to_ndarray(format="rgb24") for frame in film.decode(stream)]
    read = np.stack(read)
    assert read.shape[1:3] == (height + height % 2, width + width % 2)
    assert len(read) == len(frames)
    difference = np.abs(read[:, :height, :width].astype(int) - frames)
    assert difference.mean() < 8


def test_a_film_that_cannot_be_encoded_leaves_the_old_one(tmp_path, monkeypatch):
    def full(*arguments, **options):
        raise av.FFmpegError(28, "No space left on device")

    path = tmp_path / "walk.mp4"
    path.write_bytes(b"old")
    monkeypatch.setattr(av, "open", full)
    with pytest.raises(OSError, match="could not be encoded: .*No space left"):
        write_walk(moving_frames(), path, 25)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("name", ["walk.avi", "walk", "gif"])
def test_another_format_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match=r"in .gif, .webp, .mp4. Received: .*" + name):
        write_walk(moving_frames(), tmp_path / name, 25)


@pytest.mark.parametrize(
    ("frames", "rate", "expected"),
    [
        (np.zeros((2, 4, 4, 3)), 25, r"Received: float64 \[2, 4, 4, 3\]"),
        (np.zeros((4, 4, 3), np.uint8), 25, r"Received: uint8 \[4, 4, 3\]"),
        (np.zeros((0, 4, 4, 3), np.uint8), 25, "at least one frame. Received: none"),
        (np.zeros((2, 4, 4, 3), np.uint8), 0, "> 0. Received: frames_per_second=0"),
        (np.zeros((2, 4, 4, 3), np.uint8), 60, "<= 50 for .gif. Received: .*=60"),
    ],
)
def test_what_is_no_film_is_refused(tmp_path, frames, rate, expected):
    with pytest.raises(ValueError, match=expected):
        write_walk(frames, tmp_path / "walk.gif", rate)
    assert os.listdir(tmp_path) == []
