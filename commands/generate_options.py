"""What generate.py is asked for, checked before TensorFlow is imported."""

import dataclasses
import math
import os
import pathlib
import tempfile

from commands.chosen import Chosen
from gallery import EncoderMissing, check_encoder
from gallery.walks import GIF_MAX_FRAMES_PER_SECOND
from settings.key_types import LARGEST_SEED
from settings.messages import Problem

NUM_IMAGES = {"images": 64, "grid": 64, "walk": 8, "keras": 64}
SUFFIXES = {"grid": ".png", "walk": ".webp", "keras": ".keras"}
LEAST_FRAMES_PER_SECOND = 0.1  # GIF cannot show a frame for longer than 655 seconds
MOST_FRAMES_PER_SECOND = 120  # as screens do
MOST_IMAGES = 100_000  # their names have five digits
MOST_PIXEL_BYTES = 2 * 2**30  # a film or a grid lies in memory twice while written


@dataclasses.dataclass(frozen=True)
class Request:
    """What to make, and where.

    Attributes:
        kind: "images", "grid", "walk" or "keras".
        num_images: Images, or stations of a walk; None: as usual for the kind.
        seed: Of the latents.
        truncation: Largest number of a latent either way; None: no limit.
        frames: Frames of a walk strictly between a station and the next.
        frames_per_second: Of a walk.
        out: A folder for images, else a file; None: a name that says what it holds.
    """

    kind: str
    num_images: int | None
    seed: int
    truncation: float | None
    frames: int
    frames_per_second: float
    out: pathlib.Path | None

    @property
    def num_frames(self) -> int:
        """Images that lie in one picture or film together."""
        return self.num_images * (self.frames + 1 if self.kind == "walk" else 1)


def checked_request(request: Request) -> Request:
    """Returns the request with its number of images.

    Raises:
        Problem: With every mistake in it that can be found without the run.
    """
    if request.num_images is None:
        request = dataclasses.replace(request, num_images=NUM_IMAGES[request.kind])
    fastest = MOST_FRAMES_PER_SECOND
    if request.kind == "walk" and _suffix(request) == ".gif":
        fastest = GIF_MAX_FRAMES_PER_SECOND
    least = 2 if request.kind == "walk" else 1
    limit, rate = request.truncation, request.frames_per_second
    limit_is_valid = limit is None or 0 < limit < math.inf
    rate_is_valid = LEAST_FRAMES_PER_SECOND <= rate <= fastest
    counts = f"a whole number from {least} to {MOST_IMAGES}"
    rates = f"a number from {LEAST_FRAMES_PER_SECOND} to {fastest}"
    seeds = f"a whole number from 0 to {LARGEST_SEED}"
    rules = {
        "num_images": (least <= request.num_images <= MOST_IMAGES, counts),
        "seed": (0 <= request.seed <= LARGEST_SEED, seeds),
        "truncation": (limit_is_valid, "a number above 0"),
        "frames": (request.frames >= 0, "a whole number, 0 or more"),
        "frames_per_second": (rate_is_valid, rates),
    }
    mistakes = [
        f"--{name}\n  expected: {expected}\n  found:    {getattr(request, name)}"
        for name, (is_valid, expected) in rules.items()
        if not is_valid
    ]
    mistakes += _name_mistakes(request)
    if mistakes:
        raise Problem("\n".join(mistakes))
    return request


def prepared_out(request: Request, chosen: Chosen) -> pathlib.Path:
    """Returns where to write, the folder made and tried.

    Args:
        request: Checked.
        chosen: What it is made from.

    Raises:
        Problem: If nothing can be written there, or the picture or film is too large.
    """
    size = chosen.config.data.image_size
    num_bytes = request.num_frames * size**2 * 3
    if request.kind in ("grid", "walk") and num_bytes > MOST_PIXEL_BYTES:
        option = "--num_images" if request.kind == "grid" else "--num_images, --frames"
        raise Problem(
            f"{option}\n  expected: at most {MOST_PIXEL_BYTES // (size**2 * 3)} images "
            f"of {size} px in one {request.kind}\n  found:    {request.num_frames}"
        )
    out = request.out or default_out(request, chosen)
    folder = out if request.kind == "images" else out.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return out
    except OSError as error:
        raise Problem(
            f"--out {out}\n  expected: a place to write to\n"
            f"  found:    {folder}: {error.strerror}"
        ) from error


def default_out(request: Request, chosen: Chosen) -> pathlib.Path:
    """Returns a place of its own for each checkpoint, count, seed and truncation."""
    iteration, count = f"{chosen.iteration:07d}", request.num_images
    latents = f"seed-{request.seed}"
    if request.truncation is not None:
        latents += f"-truncation-{request.truncation}"
    name = {
        "images": f"images-{iteration}-{latents}",
        "grid": f"grid-{iteration}-{latents}-{count}-images",
        "walk": f"walk-{iteration}-{latents}-{count}-stations",
        "keras": f"generator-{iteration}",
    }[request.kind]
    return chosen.run.samples / "generated" / (name + SUFFIXES.get(request.kind, ""))


def _suffix(request: Request) -> str:
    return request.out.suffix.lower() if request.out else SUFFIXES[request.kind]


def _name_mistakes(request: Request) -> list[str]:
    """Tells what is wrong with --out, of the kind that a look at its name finds."""
    kind, out = request.kind, request.out
    if out is None:
        return []
    if kind == "images":
        if os.path.exists(out) and not os.path.isdir(out):
            return [
                f"--out {out}\n  expected: a folder for the images\n  found:    a file"
            ]
        return []
    if os.path.isdir(out):
        return [f"--out {out}\n  expected: the name of a file\n  found:    a folder"]
    if kind == "walk":
        try:
            check_encoder(out)
        except EncoderMissing as error:
            return [str(error)]
        except ValueError:
            return [_suffix_mistake(out, ".webp, .gif or .mp4")]
    elif _suffix(request) != SUFFIXES[kind]:
        return [_suffix_mistake(out, SUFFIXES[kind])]
    return []


def _suffix_mistake(out: pathlib.Path, expected: str) -> str:
    found = out.suffix or "none"
    return f"--out {out}\n  expected: a name ending in {expected}\n  found:    {found}"
