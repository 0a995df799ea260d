"""Writes the photographs of species of Oxford Flowers, each into a folder.

    python -m benchmarks.species petunia sunflower --data_dir FOLDER
    python -m benchmarks.species               lists the species with their numbers

A small set of photographs of one kind, for fine-tuning (docs/few-photographs.md). Each
species gets a folder cache/species/NAME, with the JPEGs as they are in the data set of
TFDS; --data_dir says where that is, otherwise it is found or downloaded as for a run.
"""

import argparse
import collections
import pathlib
import sys

from commands.exit_status import exit_status, path_of
from commands.quiet import import_tensorflow
from data.tfds_source import TfdsSource
from files.atomic import written_aside
from settings.messages import Problem, say

NAME, SPLITS = "oxford_flowers102", "train+validation+test"
OUT = pathlib.Path("cache/species")


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("species", nargs="*", help="names; none: list all")
    parser.add_argument(
        "--data_dir", type=path_of, metavar="FOLDER", help="as data.data_dir"
    )
    parser.add_argument(
        "--out", type=path_of, default=OUT, metavar="FOLDER", help=f"default: {OUT}"
    )
    return parser.parse_args(arguments)


def write_species(options: argparse.Namespace) -> None:
    """Writes the folders of some species, or lists all.

    Raises:
        Problem: If there is no species of a name, or its folder has other files.
        DataError: If the data set is missing, or cannot be read.
    """
    import_tensorflow()
    source = TfdsSource(NAME, options.data_dir, SPLITS, say)
    names = source.class_names()
    unknown = [one for one in options.species if one not in names]
    if unknown:
        raise Problem(
            f"no species {', '.join(unknown)}\n  expected: one of {', '.join(names)}"
        )
    found: dict[str, list[bytes]] = {name: [] for name in options.species or names}
    labels: collections.deque[int] = collections.deque()
    for _, open_file in source.encoded(labels):
        name = names[labels.popleft()]
        if name in found:
            found[name].append(open_file().getvalue())
    for name, photographs in sorted(found.items(), key=lambda one: -len(one[1])):
        if options.species:
            write_folder(options.out / name, photographs)
        say(f"{len(photographs):4d} {name}")


def write_folder(folder: pathlib.Path, photographs: list[bytes]) -> None:
    """Writes photographs that are not there yet, by their number.

    Raises:
        Problem: If there are other files.
    """
    files = {f"{n:04d}.jpg": jpeg for n, jpeg in enumerate(photographs, 1)}
    folder.mkdir(parents=True, exist_ok=True)
    others = sorted(path.name for path in folder.iterdir() if path.name not in files)
    if others:
        raise Problem(
            f"{folder}: has other files\n  expected: a folder of its own\n"
            f"  found:    {', '.join(others[:5])}"
        )
    for name, jpeg in files.items():
        path = folder / name
        if not path.exists() or path.read_bytes() != jpeg:
            with written_aside(path) as aside:
                aside.write_bytes(jpeg)


if __name__ == "__main__":
    chosen = parse_arguments()
    sys.exit(exit_status(lambda: write_species(chosen)))
