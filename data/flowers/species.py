"""The species of flowers that the program can draw."""

from dataclasses import dataclass

from data.flowers.paint import Colour, Shape, from_hex


def _colours(*pairs: tuple[int, int]) -> tuple[tuple[Colour, Colour], ...]:
    return tuple((from_hex(first), from_hex(second)) for first, second in pairs)


@dataclass(frozen=True)
class Species:
    """How one species is built; pairs of numbers are ranges.

    Attributes:
        num_petals: Per layer.
        shape: Outline and marks of a petal.
        palettes: To choose from: colours of a petal at its base and at its tip.
        disc: Colours of the disc at its centre and at its rim.
        num_layers: Layers of petals.
        shrink: Length of a layer's petals relative to the next outer layer.
        overlap: Width of a petal relative to the room it has; above 1 they overlap.
        disc_radius: Relative to the length of the outermost petals; 0 for none.
        grainy: Whether the disc looks like many florets.
        num_stamens: Around the disc.
        stamen_length: Relative to the length of the outermost petals.
        blotch: Colour at the base of the petals, where the shape has blotch or spots.
        from_the_side: Whether it is a cup seen from the side.
    """

    num_petals: tuple[int, int]
    shape: Shape
    palettes: tuple[tuple[Colour, Colour], ...]
    disc: tuple[Colour, Colour] = _colours((0xF2D648, 0xC98F1C))[0]
    num_layers: tuple[int, int] = (1, 1)
    shrink: float = 0.8
    overlap: float = 1.1
    disc_radius: tuple[float, float] = (0.0, 0.0)
    grainy: bool = False
    num_stamens: tuple[int, int] = (0, 0)
    stamen_length: float = 0.4
    blotch: Colour = from_hex(0x2A0A18)
    from_the_side: bool = False


WHITES = _colours((0xE9EBDD, 0xFCFCFA), (0xF6E9EC, 0xFFFFFF))
PINKS = _colours((0xF7D3DD, 0xE75C9A), (0xC81E6E, 0xF58FBC), (0xF9C4D2, 0xF4A7BE))
REDS = _colours((0x9C0F1C, 0xE02A2A), (0xE8502A, 0xC31522))
YELLOWS = _colours((0xF0B20E, 0xFCE23A), (0xF3D21C, 0xFFF07A))
ORANGES = _colours((0xF9B02B, 0xEE5F14), (0xE0480E, 0xFBA62A))
PURPLES = _colours((0x5A2391, 0x9A5AD0), (0xD9B8EE, 0x7C3DB5), (0x8A1F86, 0xC04CC0))
BLUES = _colours((0xDDE6FA, 0x5B7BE0), (0x3548B8, 0x7FA0F2))

# Dark at the base of the petals, light at their tips.
ROSES = _colours(
    (0x6E0614, 0xE23A46), (0xA3124A, 0xF57FA8), (0xD98A2B, 0xFFEFA0),
    (0xD9A58C, 0xFDF1E4), (0xC0421E, 0xFBA86A),
)  # fmt: skip

SPECIES: dict[str, Species] = {
    "daisy": Species(
        num_petals=(14, 22),
        shape=Shape(bluntness=0.75, veins=0.1),
        palettes=WHITES + PINKS[:1],
        overlap=0.95,
        disc_radius=(0.24, 0.34),
        grainy=True,
    ),
    "sunflower": Species(
        num_petals=(16, 24),
        shape=Shape(bluntness=0.25, veins=0.15),
        palettes=YELLOWS + ORANGES[:1],
        disc=_colours((0x2E1A0C, 0x6B3D14))[0],
        num_layers=(1, 2),
        shrink=0.88,
        overlap=1.3,
        disc_radius=(0.36, 0.48),
        grainy=True,
    ),
    "poppy": Species(
        num_petals=(4, 6),
        shape=Shape(bluntness=1.0, ruffle=0.15, veins=0.12, blotch=0.3),
        palettes=REDS + ORANGES[1:] + PINKS[:1],
        disc=_colours((0x9DB36A, 0x2B2418))[0],
        overlap=1.25,
        disc_radius=(0.12, 0.17),
        num_stamens=(16, 24),
        stamen_length=0.3,
    ),
    "gerbera": Species(
        num_petals=(18, 26),
        shape=Shape(bluntness=0.7, veins=0.12),
        palettes=PINKS + ORANGES + REDS + YELLOWS,
        disc=_colours((0x3A2A16, 0xC9A03A))[0],
        num_layers=(2, 3),
        shrink=0.74,
        disc_radius=(0.2, 0.26),
        grainy=True,
    ),
    "lily": Species(
        num_petals=(6, 6),
        shape=Shape(bluntness=0.15, veins=0.22, spots=0.8),
        palettes=ORANGES + PINKS[:1] + WHITES + YELLOWS[:1],
        overlap=0.95,
        num_stamens=(6, 6),
        stamen_length=0.5,
        blotch=from_hex(0x7A1C12),
        disc=_colours((0x8C3A12, 0x6B2410))[0],
    ),
    "rose": Species(
        num_petals=(5, 6),
        shape=Shape(bluntness=0.8, ruffle=0.06),
        palettes=ROSES,
        num_layers=(5, 6),
        shrink=0.74,
        overlap=1.7,
    ),
    "dahlia": Species(
        num_petals=(12, 16),
        shape=Shape(bluntness=0.45, veins=0.12),
        palettes=PURPLES[2:] + REDS + PINKS[:2] + ORANGES,
        num_layers=(4, 5),
        shrink=0.78,
        overlap=1.15,
        disc_radius=(0.1, 0.14),
        grainy=True,
    ),
    "primrose": Species(
        num_petals=(5, 6),
        shape=Shape(bluntness=1.0, notch=0.14, blotch=0.22),
        palettes=YELLOWS[1:] + PINKS + PURPLES[:2] + BLUES[1:],
        overlap=1.0,
        disc_radius=(0.08, 0.12),
        blotch=from_hex(0xF2B71E),
    ),
    "pansy": Species(
        num_petals=(5, 5),
        shape=Shape(bluntness=0.9, ruffle=0.2, veins=0.25, blotch=0.4),
        palettes=PURPLES + YELLOWS + BLUES[1:],
        overlap=1.25,
        disc_radius=(0.07, 0.1),
        blotch=from_hex(0x24082E),
    ),
    "cosmos": Species(
        num_petals=(8, 8),
        shape=Shape(bluntness=1.0, notch=0.06, veins=0.16),
        palettes=PINKS + WHITES + PURPLES[2:],
        overlap=1.05,
        disc_radius=(0.15, 0.2),
        grainy=True,
    ),
    "hibiscus": Species(
        num_petals=(5, 5),
        shape=Shape(bluntness=0.95, ruffle=0.18, veins=0.2, blotch=0.25),
        palettes=PINKS + REDS + ORANGES[1:] + WHITES,
        overlap=1.2,
        num_stamens=(1, 1),
        stamen_length=0.75,
        blotch=from_hex(0x8A0F32),
    ),
    "clematis": Species(
        num_petals=(6, 8),
        shape=Shape(bluntness=0.3, veins=0.28),
        palettes=PURPLES + BLUES,
        overlap=1.15,
        disc=_colours((0xE9E6B8, 0xB7B97A))[0],
        disc_radius=(0.1, 0.14),
        num_stamens=(18, 26),
        stamen_length=0.3,
    ),
    "water lily": Species(
        num_petals=(9, 12),
        shape=Shape(bluntness=0.3, veins=0.08),
        palettes=PINKS[:1] + WHITES + PURPLES[1:2],
        num_layers=(3, 3),
        shrink=0.76,
        overlap=1.2,
        disc_radius=(0.16, 0.2),
        grainy=True,
    ),
    "marigold": Species(
        num_petals=(9, 12),
        shape=Shape(bluntness=1.0, ruffle=0.35),
        palettes=ORANGES + YELLOWS[:1],
        num_layers=(5, 6),
        shrink=0.79,
        overlap=1.7,
    ),
    "tulip": Species(
        num_petals=(5, 5),
        shape=Shape(bluntness=0.5, veins=0.15),
        palettes=REDS + YELLOWS + PINKS + PURPLES[:2] + WHITES[:1],
        from_the_side=True,
    ),
}
