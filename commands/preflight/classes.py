"""What `--check`, `--doctor` and the first lines of a run say about classes."""

import collections

from data import Classes
from data.classes import printable
from data.examine import Seen
from data.folder import class_of
from files.counted import counted

FEW = 20  # photographs, of which networks learn little about a class


def classes_text(classes: Classes) -> str:
    """Returns how many classes there are, and the rarest and commonest, in words."""
    counts = dict(zip(classes.names, classes.counts().tolist(), strict=True))
    return range_text(counts)


def range_text(counts: dict[str, int]) -> str:
    """Returns the same of the number of photographs by class."""
    rarest = min(counts, key=lambda name: counts[name])
    commonest = max(counts, key=lambda name: counts[name])
    if counts[rarest] == counts[commonest]:
        return f"{len(counts)} classes of {counted(counts[rarest], 'image')} each"
    return (
        f"{len(counts)} classes, from {counts[rarest]:,} images ({rarest}) to "
        f"{counts[commonest]:,} ({commonest})"
    )


def counts_in_folder(usable: list[Seen]) -> tuple[dict[str, int], list[str]]:
    """Returns how many photographs each sub-folder has, and those outside of any."""
    outside = [one.name for one in usable if not class_of(one.name)]
    inside = collections.Counter(class_of(one.name) for one in usable)
    counts = {printable(name): count for name, count in inside.items() if name}
    return counts, outside
