"""Paints petals, discs and backgrounds on float32 [size, size, 3] in [0, 1].

Arrays go only through operations that IEEE 754 defines exactly (+ - * / and square
root), so that every machine paints the same picture.
"""

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

Colour = tuple[float, float, float]
Vector = tuple[float, float]


def from_hex(value: int) -> Colour:
    """Converts 0xRRGGBB to three numbers in [0, 1]."""
    return (value >> 16) / 255, (value >> 8 & 255) / 255, (value & 255) / 255


@dataclass(frozen=True)
class Shape:
    """The outline and marks of a petal or leaf.

    Attributes:
        bluntness: 0 pointed, 1 broad at the tip.
        notch: Depth of a heart-shaped notch at the tip, relative to the length.
        ruffle: Waviness of the edge, relative to the half-width.
        veins: Darkness of the lines along it.
        blotch: Extent of the blotch at its base, relative to the length; 0 for none.
        spots: Darkness of the freckles.
    """

    bluntness: float = 1.0
    notch: float = 0.0
    ruffle: float = 0.0
    veins: float = 0.0
    blotch: float = 0.0
    spots: float = 0.0


@dataclass(frozen=True)
class Plane:
    """A disc in space as the picture shows it: rotated and foreshortened.

    Attributes:
        x: Its centre, in pixels.
        y: Its centre, in pixels.
        squash: Length of the short axis relative to the long one.
        turn: Direction of the long axis, in radians.
    """

    x: float
    y: float
    squash: float = 1.0
    turn: float = 0.0

    def axes(self, angle: float) -> tuple[Vector, Vector]:
        """Returns the unit vectors along and across a direction in the plane."""
        cos, sin = math.cos(angle), math.sin(angle)
        return self._shown(cos, sin), self._shown(-sin, cos)

    def at(self, angle: float, distance: float) -> Vector:
        """Returns the x and y in the picture of a point in the plane."""
        (x, y), _ = self.axes(angle)
        return self.x + distance * x, self.y + distance * y

    def _shown(self, x: float, y: float) -> Vector:
        cos, sin = math.cos(self.turn), math.sin(self.turn)
        long = cos * x + sin * y
        short = self.squash * (cos * y - sin * x)
        return cos * long - sin * short, sin * long + cos * short


def paint_petal(
    canvas: np.ndarray,
    plane: Plane,
    angle: float,
    length: float,
    half_width: float,
    shape: Shape,
    colours: tuple[Colour, Colour, Colour],
    light: float = 1.0,
) -> None:
    """Paints one petal from the plane's centre outwards, with a soft shadow below it.

    Args:
        canvas: float32 [size, size, 3] in [0, 1], changed in place.
        plane: Position and tilt of the blossom.
        angle: Direction of the petal in the plane, in radians.
        length: In pixels.
        half_width: Half of the greatest width, in pixels.
        shape: Outline and marks.
        colours: At the base, at the tip, and of the blotch.
        light: Brightness, a factor on the colours.
    """
    origin = plane.x, plane.y
    (a, b), (c, d) = plane.axes(angle)
    corners = [
        (origin[0] + p * a + q * c, origin[1] + p * b + q * d)
        for p in (0, length)
        for q in (-half_width, half_width)
    ]
    patch, x, y = _patch(canvas, corners, margin=0.04 * len(canvas))
    if patch.size == 0:
        return
    along, across = _inside_out(x - origin[0], y - origin[1], (a, b), (c, d))
    along, across = along / length, np.abs(across) / half_width
    inside = _outline(along, across, shape) - across
    edge = inside * np.float32(half_width * max(plane.squash, 0.5))
    # Beyond the tip the distance to it counts, or the axis would cast a shadow.
    near = edge - np.maximum(along - 1, 0) * length
    shadow = np.clip(near / (0.03 * len(canvas)) + 1, 0, 1) * (along > 0)
    patch *= 1 - 0.3 * (shadow * shadow)[..., None]
    cover = np.clip(edge + 0.5, 0, 1) * ((along > 0) & (along < 1))
    _blend(patch, _petal_colour(along, across, shape, colours, light), cover)


def _outline(along: np.ndarray, across: np.ndarray, shape: Shape) -> np.ndarray:
    """Returns the half-width, 1 at the widest, at each point along a petal."""
    if shape.notch:
        along = along + shape.notch * np.clip(1 - 2 * across, 0, 1) * along
    u = np.clip(along, 0, 1)
    square = u * u
    # The constants scale the maximum of each curve to 1.
    pointed = np.sqrt(u) * (1 - u) * 2.6
    blunt = u * np.sqrt(1 - square * square) * 1.61
    width = pointed + (blunt - pointed) * shape.bluntness
    if shape.ruffle:
        width = width * (1 + shape.ruffle * (_zigzag(u * 5) * u - 0.5))
    return width


def _petal_colour(
    along: np.ndarray,
    across: np.ndarray,
    shape: Shape,
    colours: tuple[Colour, Colour, Colour],
    light: float,
) -> np.ndarray:
    """Returns a petal's colour at each pixel, float32 [height, width, 3]."""
    base, tip, blotch = (np.array(colour, np.float32) for colour in colours)
    colour = base + (tip - base) * _smooth(along * 1.25 - 0.1)[..., None]
    if shape.blotch:
        mark = 1 - _smooth((along - shape.blotch) * 6 + 0.5 + across)
        colour = colour + (blotch - colour) * mark[..., None]
    if shape.spots:
        freckle = _smooth((_zigzag(along * 8) + _zigzag(across * 3.3) - 1.25) * 2)
        freckle = freckle * _smooth(2.2 - 3.2 * along)
        colour = colour + (blotch - colour) * (shape.spots * freckle)[..., None]
    shade = light * (1.06 - 0.3 * across * across)
    if shape.veins:
        shade = shade * (1 - shape.veins * _zigzag(across * 3.5) * (1.1 - along))
        shade = shade * (1 - shape.veins * _smooth(1 - 9 * across))
    return colour * shade[..., None]


def paint_disc(
    canvas: np.ndarray,
    plane: Plane,
    radius: float,
    inner: Colour,
    outer: Colour,
    grain: np.ndarray | None = None,
) -> None:
    """Paints the disc of a blossom: a round cushion, lit from above.

    Args:
        canvas: float32 [size, size, 3] in [0, 1], changed in place.
        plane: Position and tilt.
        radius: In pixels.
        inner: Colour at the centre.
        outer: Colour at the rim.
        grain: float32 [n, n] in [0, 1], the texture; None for a smooth disc.
    """
    corners = [
        (plane.x - radius, plane.y - radius),
        (plane.x + radius, plane.y + radius),
    ]
    patch, x, y = _patch(canvas, corners, margin=2)
    if patch.size == 0:
        return
    u, v = _inside_out(x - plane.x, y - plane.y, *plane.axes(0.0))
    u, v = u / radius, v / radius
    distance = np.sqrt(u * u + v * v)
    middle, rim = (np.array(one, np.float32) for one in (inner, outer))
    colour = middle + (rim - middle) * (_smooth(distance)[..., None])
    shade = 1.08 - 0.25 * distance * distance - 0.12 * v
    if grain is not None:
        last = len(grain) - 1
        row = np.clip((v + 1) * 0.5 * last, 0, last).astype(np.int64)
        column = np.clip((u + 1) * 0.5 * last, 0, last).astype(np.int64)
        shade = shade * (0.7 + 0.55 * grain[row, column])
    cover = np.clip((1 - distance) * np.float32(radius) + 0.5, 0, 1)
    _blend(patch, colour * shade[..., None], cover)


def soft_background(
    size: int, corners: np.ndarray, blobs: list[tuple[float, float, float, Colour]]
) -> np.ndarray:
    """Returns a canvas that looks like a background out of focus.

    Args:
        size: Side of the canvas in pixels.
        corners: float [2, 2, 3] in [0, 1], the colours in the four corners.
        blobs: (x, y, radius, colour) of soft spots, relative to the side.
    """
    coarse = 32  # pixels, painted first; enlarging them blurs them
    y, x = np.mgrid[0:coarse, 0:coarse].astype(np.float32) / (coarse - 1)
    x, y = x[..., None], y[..., None]
    corners = corners.astype(np.float32)
    above = corners[0, 0] + (corners[0, 1] - corners[0, 0]) * x
    below = corners[1, 0] + (corners[1, 1] - corners[1, 0]) * x
    canvas = above + (below - above) * y
    for centre_x, centre_y, radius, colour in blobs:
        dx = (x - np.float32(centre_x)) / np.float32(radius)
        dy = (y - np.float32(centre_y)) / np.float32(radius)
        cover = _smooth(1.2 - dx * dx - dy * dy)
        canvas = canvas + (np.array(colour, np.float32) - canvas) * cover
    image = Image.fromarray(to_bytes(canvas))
    image = image.resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(image).astype(np.float32) / 255


def to_bytes(canvas: np.ndarray) -> np.ndarray:
    """Returns a canvas as uint8 [size, size, 3]."""
    return (np.clip(canvas, 0, 1) * 255 + 0.5).astype(np.uint8)


def _patch(
    canvas: np.ndarray, points: list[Vector], margin: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the part of a canvas around some points, and its pixels' x and y."""
    spans = []
    for places in zip(*points, strict=True):
        low = min(max(math.floor(min(places) - margin), 0), len(canvas))
        high = min(max(math.ceil(max(places) + margin), 0), len(canvas))
        spans.append(slice(low, high))
    x, y = (np.arange(span.start, span.stop, dtype=np.float32) + 0.5 for span in spans)
    return canvas[spans[1], spans[0]], x[None, :], y[:, None]


def _inside_out(
    x: np.ndarray, y: np.ndarray, first: Vector, second: Vector
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the coordinates of (x, y) in the basis of two vectors."""
    (a, b), (c, d) = first, second
    area = a * d - b * c
    return x * (d / area) - y * (c / area), y * (a / area) - x * (b / area)


def _blend(patch: np.ndarray, colour: np.ndarray, cover: np.ndarray) -> None:
    patch += (colour - patch) * cover.astype(np.float32)[..., None]


def _smooth(x: np.ndarray) -> np.ndarray:
    """Returns 0 below 0, 1 above 1, and a smooth step between."""
    x = np.clip(x, 0, 1)
    return x * x * (3 - 2 * x)


def _zigzag(x: np.ndarray) -> np.ndarray:
    """Returns a triangle wave of period 1 in [0, 1], 0 at whole numbers."""
    return 1 - np.abs(x - np.floor(x) - 0.5) * 2
