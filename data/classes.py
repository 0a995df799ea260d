"""The classes of an image set: which images have one, and whether they will do."""

import difflib
import hashlib
import json
import unicodedata
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from data.source import NO_CLASS, DataError, Source

FEWEST, MOST = 2, 9_000  # classes that one can tell apart, and that a config can name
SHOWN = 8  # classes with a row of their own in a sheet


class Classes(NamedTuple):
    """The classes of some images.

    Attributes:
        names: In the order of their labels; each has an image.
        labels: int32 [count], indices of `names`, or NO_CLASS.
    """

    names: tuple[str, ...]
    labels: np.ndarray

    def fingerprint(self, of_images: str) -> str:
        """Returns a SHA-256 of these classes and of the images' own fingerprint."""
        parts = [of_images, self.names, self.labels.tolist()]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def counts(self) -> np.ndarray:
        """Returns how many images each class has, int64 [classes]."""
        return np.bincount(
            self.labels[self.labels != NO_CLASS], minlength=len(self.names)
        )


def classes_of(names: tuple[str, ...], labels: Iterable[int]) -> Classes:
    """Returns the classes of which there is an image, numbered anew in their order."""
    given = np.fromiter(labels, np.int32)
    used = np.unique(given[given != NO_CLASS])
    renumbered = np.searchsorted(used, given).astype(np.int32)
    kept = tuple(names[label] for label in used)
    return Classes(kept, np.where(given == NO_CLASS, np.int32(NO_CLASS), renumbered))


def printable(name: str) -> str:
    """Returns the name of a folder as one writes it: composed, escaped if need be."""
    name = unicodedata.normalize("NFC", name)
    return name if name.isprintable() else ascii(name)


def label_of(name: str, names: Sequence[str]) -> int:
    """Returns the label of a class by its name, in upper or lower case.

    Raises:
        DataError: If there is none of that name; it names the nearest ones.
    """
    lower = [known.casefold() for known in names]
    wanted = printable(name).casefold()
    if name in names:
        return names.index(name)
    if wanted in lower:
        return lower.index(wanted)
    near = difflib.get_close_matches(wanted, lower, n=3, cutoff=0.5)
    if wanted:
        near += [known for known in lower if wanted in known and known not in near][:3]
    shown = [names[lower.index(known)] for known in near] or list(names[:5])
    others = len(names) - len(shown)
    raise DataError(
        f"no class of this name: {name!r}\n"
        f"  {'nearest: ' if near else 'known:   '} {', '.join(shown)}"
        + (f" (of {len(names)})" if others else "")
    )


def shown_labels(classes: Classes, names: list[str] | None) -> list[int]:
    """Returns the labels of some classes: of these names, or else of SHOWN.

    Those are evenly spaced from the class with most images to the one with fewest.

    Raises:
        DataError: If there is no class of a name.
    """
    if names is not None:
        return [label_of(name, classes.names) for name in names]
    order = np.argsort(-classes.counts(), kind="stable")
    places = np.linspace(0, len(order) - 1, min(SHOWN, len(order))).round().astype(int)
    return [int(label) for label in order[places]]


def check_class_names(source: Source) -> None:
    """Checks that a source has several classes, without reading its images.

    Raises:
        DataError: If not, or if they are more than a config can name.
    """
    names = source.class_names()
    if len(names) < FEWEST:
        raise _too_few(names, source)
    if len(names) > MOST:
        raise DataError(
            f"too many classes in {source.description}\n"
            f"  expected:   at most {MOST:,}\n"
            f"  found:      {len(names):,}, from {names[0]} to {names[-1]}\n"
            f"  what to do: put them into fewer sub-folders"
        )


def check_classes(classes: Classes | None, source: Source) -> None:
    """Checks that every image has a class, and that there are several.

    Args:
        classes: Of all images; None: they have none.
        source: Of the images.

    Raises:
        DataError: If not.
    """
    names, labels = classes or Classes((), np.empty(0, np.int32))
    if len(names) < FEWEST:
        raise _too_few(names, source)
    without = int((labels == NO_CLASS).sum())
    if not without:
        return
    is_one = without == 1
    have = "has" if is_one else "have"
    files = source.outside()
    where = f"\n  found:      {_first(files)}" if files else ""
    cure = "set model.conditional to false, or choose data of which all have a class"
    if files:
        them = "it" if is_one else "them"
        cure = (
            f"move {them} into the sub-folder of a class, or elsewhere, or set "
            "model.conditional to false"
        )
    raise DataError(
        f"model.conditional: {without:,} of {len(labels):,} images {have} no class in "
        f"{source.description}{where}\n"
        f"  what to do: {cure}"
    )


def _too_few(names: tuple[str, ...], source: Source) -> DataError:
    expected = "two classes or more, and a class for every image"
    cure = "set model.conditional to false, or choose a data set with classes"
    if source.name == "folder":
        expected = "two sub-folders or more, each with the photographs of one class"
        cure = (
            "sort the photographs into sub-folders, one a class (folders within them "
            "belong to the same class), or set model.conditional to false"
        )
    found = f"{len(names)} ({_first(names)})" if names else "none"
    return DataError(
        f"model.conditional: no classes to learn in {source.description}\n"
        f"  expected:   {expected}\n"
        f"  found:      {found}\n"
        f"  what to do: {cure}"
    )


def _first(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
