"""Finds photographs that are the same, or nearly so.

A difference hash: each pixel of a small grey copy is compared with its right-hand
neighbour, so that size, compression and brightness matter little, and the bits in which
two hashes differ are counted. Mirrored and differently cropped copies are not found.
"""

from collections.abc import Iterator

import numpy as np
from PIL import Image

HASH_SIDE = 16  # 16 x 16 comparisons: 256 bits, four words
NUM_WORDS = HASH_SIDE * HASH_SIDE // 64
# Of 256; unrelated photographs differ in half. In Oxford Flowers 102, all 24 pairs
# within this are copies, developed differently, or taken a moment later.
MOST_DIFFERENT = 40
ROWS_AT_ONCE = 256


def difference_hash(pixels: np.ndarray) -> np.ndarray:
    """Returns the hash of one image, uint64 [4], from uint8 [height, width, 3]."""
    size = (HASH_SIDE + 1, HASH_SIDE)
    grey = Image.fromarray(pixels).convert("L").resize(size, Image.Resampling.BOX)
    values = np.asarray(grey, np.int16)
    bits = values[:, 1:] > values[:, :-1]
    return np.packbits(bits).view(np.uint64)


def near_pairs(hashes: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yields pairs of positions, the lower first, whose hashes hardly differ.

    Args:
        hashes: uint64 [count, 4]. Time grows with the square of the count.
    """
    for first in range(0, len(hashes), ROWS_AT_ONCE):
        rows, others = hashes[first : first + ROWS_AT_ONCE], hashes[first:]
        different = np.zeros((len(rows), len(others)), np.uint16)
        for word in range(NUM_WORDS):
            different += np.bitwise_count(rows[:, word, None] ^ others[None, :, word])
        for row, other in np.argwhere(different <= MOST_DIFFERENT):
            if row < other:
                yield first + int(row), first + int(other)


def groups_of(pairs: Iterator[tuple[int, int]]) -> list[list[int]]:
    """Joins pairs that share a member; returns groups and members in order."""
    group_of: dict[int, list[int]] = {}
    for one, other in pairs:
        left, right = group_of.get(one, [one]), group_of.get(other, [other])
        joined = left if left is right else left + right
        group_of |= dict.fromkeys(joined, joined)
    unique = {id(group): sorted(group) for group in group_of.values()}
    return sorted(unique.values())
