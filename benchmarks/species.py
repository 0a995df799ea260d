"""Writes the photographs of one species of Oxford Flowers into a folder.

    python -m benchmarks.species petunia sunflower --data_dir FOLDER
    python -m benchmarks.species               lists the species with their numbers

A small set of photographs of one kind, for fine-tuning (docs/few-photographs.md). Each
species gets a folder cache/species/NAME, with the JPEGs as they are in the data set of
TFDS; --data_dir says where that is, otherwise TFDS finds or downloads it.
"""

import argparse
import collections
import pathlib
import sys
from collections.abc import Iterator

from commands.exit_status import exit_status, path_of
from commands.quiet import import_tensorflow
from files.atomic import written_aside
from settings.messages import Problem, say

NAME, SPLITS = "oxford_flowers102", "train+validation+test"
OUT = pathlib.Path("cache/species")


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("species", nargs="*", help="names; none: list all")
    parser.add_argument("--data_dir", type=path_of, metavar="FOLDER")
    parser.add_argument("--out", type=path_of, default=OUT, metavar="FOLDER")
    return parser.parse_args(arguments)


def write_species(options: argparse.Namespace) -> None:
    """Writes the folders of some species, or lists all.

    Raises:
        Problem: If there is no species of a name, or a folder has other files.
    """
    names, photographs = read_data_set(options.data_dir)
    unknown = [one for one in options.species if one not in names]
    if unknown:
        raise Problem(
            f"no species {', '.join(unknown)}\n  expected: one of {', '.join(names)}"
        )
    counts: collections.Counter[str] = collections.Counter()
    for label, jpeg in photographs:
        name = names[label]
        counts[name] += 1
        if name in options.species:
            path = options.out / name / f"{counts[name]:04d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists() or path.read_bytes() != jpeg:
                with written_aside(path) as aside:
                    aside.write_bytes(jpeg)
    for name, count in counts.most_common():
        if not options.species or name in options.species:
            folder = options.out / name
            say(f"{count:4d} {folder if options.species else name}")


def read_data_set(
    data_dir: pathlib.Path | None,
) -> tuple[list[str], Iterator[tuple[int, bytes]]]:
    """Returns the species, and every photograph's label and JPEG, in a fixed order."""
    import tensorflow_datasets as tfds

    dataset, info = tfds.load(
        NAME,
        split=SPLITS,
        data_dir=data_dir,
        with_info=True,
        decoders={"image": tfds.decode.SkipDecoding()},
        read_config=tfds.ReadConfig(interleave_cycle_length=1),
    )
    examples = dataset.as_numpy_iterator()
    return info.features["label"].names, (
        (int(one["label"]), one["image"]) for one in examples
    )


if __name__ == "__main__":
    chosen = parse_arguments()
    import_tensorflow()
    sys.exit(exit_status(lambda: write_species(chosen)))
