"""The page in which a generator runs: pictures to draw, move, mix and keep."""

import base64
import gzip
import json
import pathlib
from collections.abc import Sequence

import numpy as np

from gallery.pages import script_hash, write_page

ENGINE = pathlib.Path(__file__).parent / "engine"
# Which package and version the files are from, and the SHA-256 of each, unpacked.
ENGINE_ORIGIN = ENGINE / "engine.json"
EXPLORER = "explore.html"  # in the folder of the run
SCRIPTS = (
    "explore_latents.js",
    "explore_engine.js",
    "explore_seen.js",
    "explore_walk.js",
    "explore_classes.js",
    "explore_mix.js",
    "explore.js",
)
SIGNIFICANT_DIGITS = 6
MANY_CLASSES = 12  # from which on a field finds their names


def write_explore_page(
    path: pathlib.Path,
    *,
    name: str,
    iteration: int,
    image_size: int,
    latent_dim: int,
    model: bytes,
    directions: list[tuple[float, np.ndarray]],
    seed: int,
    truncation: float | None,
    classes: Sequence[str] = (),
    label: int = 0,
    average: str = "",
) -> pathlib.Path:
    """Writes a page that draws pictures by itself, from disk and without a network.

    ONNX Runtime Web, compiled to WebAssembly, is part of the page (gallery/engine).

    Args:
        path: of the page.
        name: of the run.
        iteration: iterations done.
        image_size: pixels along one side.
        latent_dim: length of a latent.
        model: ONNX: "latents", float32 [batch, latent_dim], standard normal, to
            "images", float32 [batch, image_size, image_size, 3] in [-1, 1].
        directions: for each a share of the variance, in [0, 1], and a latent of length
            1, [latent_dim]; those that change most first.
        seed: of the first picture, in [0, 2^32).
        truncation: of the first picture; None: no limit.
        classes: their names, if the model takes "classes" too, float32 [batch,
            classes], their weights.
        label: the class of the first picture.
        average: what the generator is a longer average of, in words; "" if it is the
            run's own.

    Raises:
        OSError: If the page cannot be written, or gallery/engine is incomplete.
    """
    data = {
        "name": name,
        "iteration": iteration,
        "imageSize": image_size,
        "latentDim": latent_dim,
        "seed": seed,
        "truncation": truncation,
        "classes": list(classes),
        "label": label,
        "directions": [
            {"share": share, "vector": [_short(value) for value in vector]}
            for share, vector in directions
        ],
    }
    return write_page(
        path,
        "explore.html",
        name=name,
        iteration=iteration,
        average=average,
        data=data,
        engine=_engine(),
        many_classes=MANY_CLASSES,
        model=_base64(gzip.compress(model, mtime=0)),
        scripts=SCRIPTS,
        script_hash=script_hash(*SCRIPTS),
    )


def engine_file(name: str) -> bytes:
    """Returns a file of the engine, gzip-compressed."""
    return (ENGINE / f"{name}.gz").read_bytes()


def _engine() -> dict[str, str]:
    """Returns the engine's files and licence, as the page holds them."""
    origin = json.loads(ENGINE_ORIGIN.read_text(encoding="utf-8"))
    return {
        "package": origin["package"],
        "version": origin["version"],
        "licence": (ENGINE / "LICENSE").read_text(encoding="utf-8"),
        "script": _base64(engine_file(origin["script"])),
        "binary": _base64(engine_file(origin["binary"])),
    }


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _short(value: float) -> float:
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}")
