"""Latent walks: interpolates between latents, and writes the film."""

from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from files.atomic import written_aside

# GIF counts time in hundredths of a second, and viewers slow down delays under two.
GIF_MAX_FRAMES_PER_SECOND = 50
WEBP_QUALITY = 80
# x264's constant rate factor: 0 is lossless, 23 its default, 18 hard to tell apart.
MP4_RATE_FACTOR = 18


def walk_latents(
    anchors: np.ndarray, frames_between: int, is_eased: bool = False
) -> np.ndarray:
    """Returns the latents of a walk that visits every anchor and returns to the first.

    Between two anchors the direction turns at a constant rate along the great circle
    (slerp) and the length changes linearly, because normal latents lie near a sphere
    and the straight line between two of them crosses its improbable interior.

    Args:
        anchors: floating point [num_anchors, latent_dim].
        frames_between: latents strictly between an anchor and the next.
        is_eased: whether to slow down towards each anchor, 3 t^2 - 2 t^3 of the way at
            time t, so that no anchor is a corner and every one can be looked at.

    Returns:
        float32 [num_frames, latent_dim]; every `frames_between + 1`-th is an anchor.
        The first is not repeated at the end, because the film loops.

    Raises:
        ValueError: If there are fewer than two anchors, or `frames_between` is
            negative.
    """
    anchors = np.asarray(anchors, np.float32)
    if anchors.ndim != 2 or len(anchors) < 2:
        raise ValueError(
            "Expected anchors [num_anchors, latent_dim], two or more. "
            f"Received: {list(anchors.shape)}"
        )
    times = _times(frames_between, is_eased)
    ends = np.roll(anchors, -1, axis=0)
    parts = []
    for start, end in zip(anchors, ends, strict=True):
        parts += [start[None], _slerp(start, end, times)]
    return np.concatenate(parts)


def walk_weights(
    anchors: np.ndarray, frames_between: int, is_eased: bool = False
) -> np.ndarray:
    """Returns the weights of classes on the walk that `walk_latents` takes.

    From an anchor to the next they change along the straight line, at the same time as
    the latents: half way between two classes, each has a weight of 1/2.

    Args:
        anchors: floating point [num_anchors, classes].
        frames_between: As for `walk_latents`.
        is_eased: As for `walk_latents`.

    Returns:
        float32 [num_frames, classes].
    """
    times = _times(frames_between, is_eased)[:, None]
    parts = []
    for start, end in zip(anchors, np.roll(anchors, -1, axis=0), strict=True):
        parts += [start[None], (1 - times) * start + times * end]
    return np.concatenate(parts).astype(np.float32)


def check_suffix(path: str | Path) -> None:
    """Checks that `write_walk` can write a film of this name.

    Raises:
        ValueError: If the suffix is none of .gif, .webp, .mp4.
    """
    if Path(path).suffix.lower() not in _WRITERS:
        raise ValueError(
            f"Expected a path ending in {', '.join(_WRITERS)}. Received: {path}"
        )


def write_walk(frames: np.ndarray, path: str | Path, frames_per_second: float) -> None:
    """Writes a film in the format of the path's suffix, all or nothing.

    .gif and .webp loop forever. No format keeps colours exact: GIF has 256 per frame;
    WebP and MP4 are lossy, at a quality where it is hard to see.

    Args:
        frames: uint8 [num_frames, height, width, 3].
        path: ends in .gif, .webp or .mp4.
        frames_per_second: above 0; in a GIF at most 50.

    Raises:
        ValueError: If an argument is not as described.
        OSError: If the file cannot be written.
    """
    check_suffix(path)
    frames = np.asarray(frames)
    _check(frames, frames_per_second)
    with written_aside(path, durable=False) as aside:
        _WRITERS[Path(path).suffix.lower()](frames, aside, frames_per_second)


def _times(frames_between: int, is_eased: bool) -> np.ndarray:
    """Returns the times strictly between an anchor, at 0, and the next, at 1."""
    if frames_between < 0:
        raise ValueError(
            f"Expected frames_between >= 0. Received: frames_between={frames_between}"
        )
    times = np.arange(1, frames_between + 1) / (frames_between + 1)
    return times**2 * (3 - 2 * times) if is_eased else times


def _slerp(start: np.ndarray, end: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Returns float32 [times, latent_dim] on the great circle from start to end.

    direction(t) = cos(t angle) u + sin(t angle) v, with u the direction of `start` and
    v the direction perpendicular to u in their plane. Unlike the form that divides by
    sin(angle), this stays exact near latents that are equal or opposite.
    """
    start, end = start.astype(np.float64), end.astype(np.float64)
    times = times[:, None]
    start_length, end_length = np.linalg.norm(start), np.linalg.norm(end)
    lengths = (1 - times) * start_length + times * end_length
    if start_length == 0 or end_length == 0:
        # A zero latent has no direction: the straight line keeps that of the other.
        return ((1 - times) * start + times * end).astype(np.float32)
    u, target = start / start_length, end / end_length
    cosine = u @ target
    across = target - cosine * u
    sine = np.linalg.norm(across)
    # Below this, `across` is rounding error of float32 latents, not a direction.
    is_aligned = sine < np.finfo(np.float32).eps
    v = _any_perpendicular(u) if is_aligned else across / sine
    angle = np.arctan2(sine, cosine)
    directions = np.cos(times * angle) * u + np.sin(times * angle) * v
    return (lengths * directions).astype(np.float32)


def _any_perpendicular(direction: np.ndarray) -> np.ndarray:
    """Returns a perpendicular unit vector, the same for the same direction."""
    axis = np.zeros_like(direction)
    axis[np.argmin(np.abs(direction))] = 1
    axis -= (axis @ direction) * direction
    length = np.linalg.norm(axis)
    return axis / length if length > 0 else axis  # One dimension has none.


def _check(frames: np.ndarray, frames_per_second: float) -> None:
    """Raises ValueError unless the frames and their rate make a film."""
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3:
        raise ValueError(
            "Expected frames uint8 [num_frames, height, width, 3]. "
            f"Received: {frames.dtype} {list(frames.shape)}"
        )
    if not len(frames):
        raise ValueError("Expected at least one frame. Received: none")
    if not frames_per_second > 0:
        raise ValueError(
            "Expected frames_per_second > 0. "
            f"Received: frames_per_second={frames_per_second}"
        )


def _durations(num_frames: int, frames_per_second: float, unit: int) -> list[int]:
    """Returns milliseconds per frame, in whole units whose sum keeps the rate."""
    ends = np.arange(num_frames + 1) * 1000 / (frames_per_second * unit)
    return (np.diff(np.rint(ends)).astype(int) * unit).tolist()


def _write_gif(frames: np.ndarray, path: Path, frames_per_second: float) -> None:
    if frames_per_second > GIF_MAX_FRAMES_PER_SECOND:
        raise ValueError(
            f"Expected frames_per_second <= {GIF_MAX_FRAMES_PER_SECOND} for .gif. "
            f"Received: frames_per_second={frames_per_second}"
        )
    # A palette per frame: with a shared or dithered one, photographs look worse.
    pictures = [
        Image.fromarray(frame).quantize(method=Image.Quantize.MEDIANCUT)
        for frame in frames
    ]
    pictures[0].save(
        path,
        format="GIF",
        save_all=True,
        append_images=pictures[1:],
        duration=_durations(len(frames), frames_per_second, unit=10),
        loop=0,
    )


def _write_webp(frames: np.ndarray, path: Path, frames_per_second: float) -> None:
    pictures = [Image.fromarray(frame) for frame in frames]
    pictures[0].save(
        path,
        format="WEBP",
        save_all=True,
        append_images=pictures[1:],
        duration=_durations(len(frames), frames_per_second, unit=1),
        loop=0,
        quality=WEBP_QUALITY,
    )


def _write_mp4(frames: np.ndarray, path: Path, frames_per_second: float) -> None:
    import av  # large libraries, which training should not load

    # Every player accepts only 4:2:0 chroma subsampling, which needs even sides.
    odd = [(0, 0), *((0, side % 2) for side in frames.shape[1:3]), (0, 0)]
    frames = np.pad(frames, odd, mode="edge")
    height, width = frames.shape[1:3]
    rate = Fraction(frames_per_second).limit_denominator(1000)
    options = {"movflags": "+faststart"}
    try:
        with av.open(str(path), "w", format="mp4", options=options) as film:
            stream = film.add_stream("libx264", rate, {"crf": str(MP4_RATE_FACTOR)})
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            for frame in frames:
                picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
                film.mux(stream.encode(picture))
            film.mux(stream.encode())
    except av.FFmpegError as error:
        raise OSError(f"MP4 could not be encoded: {error}") from error


_WRITERS = {".gif": _write_gif, ".webp": _write_webp, ".mp4": _write_mp4}
