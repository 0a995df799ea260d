"""The classes that --class names: their labels, and what they are called in files.

Nothing here imports TensorFlow.
"""

import dataclasses
import hashlib
import unicodedata
from collections.abc import Sequence

from commands.chosen import Chosen
from commands.generate_options import (
    CLASSES,
    LEAST_STATIONS,
    PAGE,
    PROJECT,
    TRUNCATION,
    GenerateOptions,
)
from data import DataError, label_of
from settings.messages import Problem

ALL = "all"  # as --class: every class
OF_ONE_CLASS = (PROJECT, PAGE, "keras", "onnx")
A_ROW, A_STRIP = 8, 4  # images of a class in a grid and in a sheet of all classes
MOST_BYTES = 80  # of the names of classes in a file's name
MOST_SAID = 5


def class_names(chosen: Chosen) -> tuple[str, ...]:
    """Returns the names of the classes that a generator knows, () if none."""
    model = chosen.config.model
    return tuple(model.classes or ()) if model.num_classes else ()


def with_classes(options: GenerateOptions, chosen: Chosen) -> GenerateOptions:
    """Returns the options with the labels of the classes, and how many images of them.

    Of a run without classes the options stay as they are.

    Raises:
        Problem: If there is no class of a name, or the kind cannot show these.
    """
    names, asked = class_names(chosen), options.class_names
    if not asked and options.kind != CLASSES:
        return options
    if not names:
        option = f"--class {asked[0]}" if asked else f"--kind {CLASSES}"
        raise Problem(
            f"{option}\n  expected: a run that has learnt classes "
            f"(model.conditional: true)\n  found:    {chosen.named}, which has none"
        )
    try:
        labels = _labels_of(asked or (ALL,), names)
    except DataError as error:
        raise Problem(f"--class: {error}") from error
    if len(labels) > 1 and options.kind in OF_ONE_CLASS:
        raise Problem(
            f"--class\n  expected: one class with --kind {options.kind}\n"
            f"  found:    {len(labels)}"
        )
    count = _count(options, len(labels))
    if options.kind == "walk" and count < LEAST_STATIONS:
        raise Problem(
            "--seeds, --class\n  expected: two or more of either for a walk\n"
            "  found:    one of each"
        )
    return dataclasses.replace(options, labels=labels, num_images=count)


def _labels_of(asked: Sequence[str], names: Sequence[str]) -> tuple[int, ...]:
    labels: list[int] = []
    for name in asked:
        is_all = name.casefold() == ALL and name not in names
        labels += range(len(names)) if is_all else [label_of(name, names)]
    return tuple(dict.fromkeys(labels))  # each once, in their order


def _count(options: GenerateOptions, num_classes: int) -> int:
    """Returns how many images, rows or stations there are of so many classes.

    Seeds and classes go side by side, and the shorter list begins again. In a grid and
    a sheet, where a class has a row, seeds are columns.
    """
    seeds, kind = options.seeds, options.kind
    if is_sheet(kind, num_classes):
        of_a_class = A_STRIP if kind == CLASSES else A_ROW
        return options.num_images if seeds or options.is_counted else of_a_class
    if kind not in ("images", "walk", TRUNCATION) or num_classes == 1:
        return options.num_images
    if seeds or kind == "images":
        is_fixed = not seeds and options.is_counted
        return options.num_images if is_fixed else max(options.num_images, num_classes)
    return options.num_images if options.is_counted else num_classes


def is_sheet(kind: str, num_classes: int) -> bool:
    """Returns whether pictures of a kind have a row for each class."""
    return kind == CLASSES or (kind == "grid" and num_classes > 1)


def said_classes(options: GenerateOptions, names: Sequence[str]) -> str:
    """Returns the classes in words, for a line that tells what is made."""
    if not names:
        return ""
    if not options.labels:
        return f", {len(names)} classes"
    if len(options.labels) == len(names):
        return f", all {len(names)} classes"
    if len(options.labels) > MOST_SAID:
        return f", {len(options.labels)} of {len(names)} classes"
    return f", {', '.join(names[label] for label in options.labels)}"


def in_file_name(labels: Sequence[int], names: Sequence[str]) -> str:
    """Returns text that names some classes in a file's name; "" for none of them.

    It holds letters and digits of any script, and hyphens, and is another one for other
    classes, in upper or lower case.
    """
    if not labels:
        return ""
    if len(labels) > 1 and list(labels) == list(range(len(names))):
        return "all-classes"
    plain = [_hyphenated(name) for name in names]
    words = []
    for label in labels:
        word = plain[label]
        is_ambiguous = not word or plain.count(word) > 1
        words.append(f"{word or 'class'}-{label}" if is_ambiguous else word)
    text = "-".join(words)
    if len(text.encode()) <= MOST_BYTES:
        return text
    digest = hashlib.sha256(repr(tuple(labels)).encode()).hexdigest()[:8]
    if len(labels) > 1:
        return f"{len(labels)}-classes-{digest}"
    return f"{text.encode()[:MOST_BYTES].decode(errors='ignore')}-{digest}"


def _hyphenated(name: str) -> str:
    """Returns the letters and digits of a name, lower case, with hyphens for others."""
    kept = "".join(
        letter if unicodedata.category(letter)[0] in "LNM" else " "
        for letter in name.casefold()
    )
    return "-".join(kept.split())
