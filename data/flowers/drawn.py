"""Draws flowers: a source of images that needs no download."""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image

from data.crop import resize_square
from data.flowers.paint import (
    Colour,
    Plane,
    Shape,
    from_hex,
    paint_disc,
    paint_petal,
    soft_background,
    to_bytes,
)
from data.flowers.species import SPECIES, Species
from data.source import Prepared, Skipped

# Raise this when the pictures change: every cache of them is then rebuilt.
DRAWING_VERSION = 1
SEED = 0  # of the flowers, the same for every run

# Flowers are drawn this many times larger than requested, on MIN_CANVAS pixels or more.
SUPERSAMPLING = 2
MIN_CANVAS = 128

# Colours of a background: (upper corners, lower corners), and its blobs.
BACKGROUNDS = {
    "meadow": ((0x6E9A45, 0x3E6B2A), (0x86B04F, 0x2C5220, 0xA9C46A, 0x4F7D35)),
    "wood": ((0x24401F, 0x14260F), (0x2F5A26, 0x0C180A, 0x41702F)),
    "sky": ((0x8FB7E0, 0x7FA35A), (0xBFD7EE, 0x9CC07A, 0x6F9A52)),
    "soil": ((0x5A4A36, 0x3A2C1E), (0x6F8A45, 0x2A2018, 0x7C6A50)),
    "haze": ((0xB9C4AE, 0x8FA088), (0xD2D8C6, 0x7F9370, 0xA7B596)),
    "night": ((0x0E120E, 0x080A08), (0x18261A, 0x101410)),
}
LEAF = ((0.16, 0.34, 0.11), (0.36, 0.55, 0.22), (0.10, 0.22, 0.08))


class DrawnSource:
    """As many drawn flowers as requested."""

    name = "drawn"
    description = "flowers drawn by the program"

    def __init__(self, num_images: int) -> None:
        self.max_count = num_images

    def key(self) -> str:
        """Returns everything the pictures depend on, as text."""
        return f"{DRAWING_VERSION} {self.max_count} {SEED}"

    def images(self, image_size: int, start: int = 0) -> Iterator[Prepared | Skipped]:
        """Yields flower 0, 1, 2, ..., or from `start` on."""
        for index in range(start, self.max_count):
            yield draw_flower(SEED, index, image_size)

    def class_names(self) -> tuple[str, ...]:
        """Returns the names of the species."""
        return tuple(SPECIES)

    def outside(self) -> list[str]:
        """Returns nothing: every flower is of a species."""
        return []


def draw_flower(seed: int, index: int, image_size: int) -> Prepared:
    """Draws one flower on its background, labelled with its species.

    The picture is a function of `seed` and `index`; sizes differ only in detail.
    """
    rng = np.random.default_rng((seed, index))
    size = max(SUPERSAMPLING * image_size, MIN_CANVAS)
    canvas = _background(rng, size)
    label = int(rng.integers(len(SPECIES)))
    species = list(SPECIES.values())[label]
    palette = _pick(rng, species.palettes)
    palette = tuple(_varied(rng, colour) for colour in palette)
    x, y = rng.uniform(0.44, 0.56, size=2).tolist()
    radius = rng.uniform(0.31, 0.46)
    for angle in _companions(rng):
        far = radius + rng.uniform(0.1, 0.2)
        plane = _plane(rng, size, x + far * math.cos(angle), y + far * math.sin(angle))
        _flower(rng, canvas, plane, species, palette, 0.5 * radius * size)
    _flower(rng, canvas, _plane(rng, size, x, y), species, palette, radius * size)
    canvas *= rng.uniform(0.88, 1.08)
    square = resize_square(Image.fromarray(to_bytes(canvas)), image_size)
    return Prepared(np.asarray(square), label=label)


def _background(rng: np.random.Generator, size: int) -> np.ndarray:
    """Returns a canvas with a blurred background: meadow, wood, sky, soil, ..."""
    ends, blobs = BACKGROUNDS[_pick(rng, tuple(BACKGROUNDS))]
    above, below = (from_hex(colour) for colour in ends)
    corners = np.array(
        [[_varied(rng, colour) for _ in range(2)] for colour in (above, below)]
    )
    spots = [
        (
            *rng.uniform(-0.1, 1.1, size=2).tolist(),
            rng.uniform(0.08, 0.3),
            _varied(rng, from_hex(_pick(rng, blobs))),
        )
        for _ in range(int(rng.integers(6, 14)))
    ]
    return soft_background(size, corners, spots)


def _companions(rng: np.random.Generator) -> list[float]:
    """Returns the directions of the smaller blossoms behind the large one."""
    count = int(rng.choice(3, p=(0.75, 0.17, 0.08)))
    first = rng.uniform(0, math.tau)
    return [first + place * rng.uniform(1.8, 2.6) for place in range(count)]


def _plane(rng: np.random.Generator, size: int, x: float, y: float) -> Plane:
    """Returns the position and a random tilt of a blossom."""
    squash = 1 - 0.4 * rng.uniform() ** 2
    return Plane(x * size, y * size, squash, rng.uniform(-0.7, 0.7))


def _flower(
    rng: np.random.Generator,
    canvas: np.ndarray,
    plane: Plane,
    species: Species,
    palette: tuple[Colour, Colour],
    radius: float,
) -> None:
    """Paints a flower from back to front."""
    if species.from_the_side:
        _cup(rng, canvas, plane, species, palette, radius)
        return
    _stem(rng, canvas, plane, radius)
    _leaves(rng, canvas, plane, radius)
    _petals(rng, canvas, plane, species, palette, radius)
    _middle(rng, canvas, plane, species, radius)


def _stem(
    rng: np.random.Generator, canvas: np.ndarray, plane: Plane, radius: float
) -> None:
    upright = Plane(plane.x, plane.y)
    direction = math.pi / 2 + rng.uniform(-0.35, 0.35)
    length = 1.5 * len(canvas)
    stalk = Shape(bluntness=1.0)
    paint_petal(
        canvas,
        upright,
        direction,
        length,
        0.09 * radius,
        stalk,
        LEAF,
        rng.uniform(0.8, 1.2),
    )


def _leaves(
    rng: np.random.Generator, canvas: np.ndarray, plane: Plane, radius: float
) -> None:
    """Paints a few leaves that show behind the blossom."""
    for _ in range(int(rng.integers(0, 5))):
        paint_petal(
            canvas,
            Plane(plane.x, plane.y),
            rng.uniform(0, math.tau),
            radius * rng.uniform(1.3, 1.9),
            radius * rng.uniform(0.2, 0.4),
            Shape(bluntness=rng.uniform(0.1, 0.5), veins=0.2),
            LEAF,
            rng.uniform(0.7, 1.25),
        )


def _petals(
    rng: np.random.Generator,
    canvas: np.ndarray,
    plane: Plane,
    species: Species,
    palette: tuple[Colour, Colour],
    radius: float,
) -> None:
    """Paints the layers of petals, the outermost first."""
    count = int(rng.integers(species.num_petals[0], species.num_petals[1] + 1))
    num_layers = int(rng.integers(species.num_layers[0], species.num_layers[1] + 1))
    sun = rng.uniform(0, math.tau)
    turn = rng.uniform(0, math.tau)
    base, tip = palette
    for layer in range(num_layers):
        # Inner layers lie deeper in the blossom and get slightly less light.
        depth = 1 - 0.07 * layer
        length = radius * species.shrink**layer
        # A petal is widest at 0.6 of its length, and this is the room it has there.
        half_width = species.overlap * 0.62 * length * math.tan(math.pi / max(count, 4))
        half_width = min(half_width, 0.75 * length)
        for petal in range(count):
            angle = turn + math.tau * (petal + rng.uniform(-0.12, 0.12)) / count
            light = depth * (
                1 + 0.13 * math.cos(angle - sun) + rng.uniform(-0.06, 0.06)
            )
            paint_petal(
                canvas,
                plane,
                angle,
                length * rng.uniform(0.93, 1.05),
                half_width * rng.uniform(0.93, 1.05),
                species.shape,
                (base, tip, species.blotch),
                light,
            )
        turn += math.pi / count + rng.uniform(-0.1, 0.1)


def _middle(
    rng: np.random.Generator,
    canvas: np.ndarray,
    plane: Plane,
    species: Species,
    radius: float,
) -> None:
    """Paints the disc, and the stamens with their anthers on or around it."""
    size = radius * rng.uniform(*species.disc_radius)
    grain = rng.random((24, 24), dtype=np.float32) if species.grainy else None
    if size:
        paint_disc(canvas, plane, size, *species.disc, grain)
    count = int(rng.integers(species.num_stamens[0], species.num_stamens[1] + 1))
    anther, filament = species.disc
    first = rng.uniform(0, math.tau)
    for stamen in range(count):
        angle = first + math.tau * (stamen + rng.uniform(-0.2, 0.2)) / count
        length = radius * species.stamen_length * rng.uniform(0.8, 1.1)
        thread = (filament, anther, anther)
        paint_petal(canvas, plane, angle, length, 0.035 * radius, Shape(), thread)
        x, y = plane.at(angle, length)
        paint_disc(canvas, replace(plane, x=x, y=y), 0.055 * radius, anther, filament)


def _cup(
    rng: np.random.Generator,
    canvas: np.ndarray,
    plane: Plane,
    species: Species,
    palette: tuple[Colour, Colour],
    radius: float,
) -> None:
    """Paints a cup seen from the side, on its stem between two leaves."""
    foot = Plane(plane.x, plane.y + 0.75 * radius)
    up = -math.pi / 2 + rng.uniform(-0.15, 0.15)
    _stem(rng, canvas, foot, radius)
    for side in (-1, 1):
        paint_petal(
            canvas,
            Plane(foot.x, foot.y + 1.2 * radius),
            up + side * rng.uniform(0.25, 0.6),
            radius * rng.uniform(1.5, 2.2),
            radius * rng.uniform(0.14, 0.22),
            Shape(bluntness=0.2, veins=0.2),
            LEAF,
            rng.uniform(0.8, 1.2),
        )
    base, tip = palette
    for lean, width, light in (
        (-0.22, 0.36, 0.72), (0.22, 0.36, 0.76),
        (-0.5, 0.34, 0.9), (0.5, 0.34, 1.0), (0.0, 0.44, 1.06),
    ):  # fmt: skip
        paint_petal(
            canvas,
            foot,
            up + lean * rng.uniform(0.8, 1.2),
            1.6 * radius * rng.uniform(0.94, 1.04),
            1.1 * width * radius,
            species.shape,
            (base, tip, species.blotch),
            light,
        )


def _pick(rng: np.random.Generator, choices: tuple) -> Any:
    return choices[int(rng.integers(len(choices)))]


def _varied(rng: np.random.Generator, colour: Colour) -> Colour:
    """Returns a colour a little lighter or darker, warmer or cooler."""
    light = rng.uniform(0.88, 1.12)
    red, green, blue = (
        min(max(light * channel + rng.uniform(-0.04, 0.04), 0.0), 1.0)
        for channel in colour
    )
    return red, green, blue
