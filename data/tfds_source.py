"""A TensorFlow Datasets data set as a source of images.

TensorFlow and TFDS are imported only to read or download a data set, not when its
images are already in the cache.
"""

import collections
import functools
import hashlib
import io
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from data.source import NO_CLASS, DataError, Prepared, Skipped
from data.tfds_download import download, import_tfds, tfds_errors
from data.workers import prepare_all

NAME = re.compile(r"([a-z]\w*)(?:/([\w.+-]+))?(?::(\d+\.\d+\.\d+))?")
VERSION = re.compile(r"\d+\.\d+\.\d+")


class TfdsSource:
    """The images of some splits of a data set, in the order of its files."""

    name = "tfds"

    def __init__(
        self,
        name: str,
        data_dir: str | os.PathLike | None,
        splits: str,
        say: Callable[[str], None],
    ) -> None:
        """Finds the prepared data set, or downloads and prepares it.

        Args:
            name: TFDS name, `name`, `name/config` or `name/config:1.2.3`.
            data_dir: TFDS data directory; None for TFDS's own default.
            splits: In TFDS's notation, e.g. `train+validation[:64]`.
            say: Receives a message before a download.

        Raises:
            DataError: If the data set is unknown, or missing and not downloadable.
        """
        root = Path(
            data_dir or os.environ.get("TFDS_DATA_DIR", "~/tensorflow_datasets")
        ).expanduser()
        folder = find_prepared(root, name)
        if folder is None:
            download(root, name, say)
            folder = find_prepared(root, name)
        if folder is None:
            raise DataError(f"TFDS has prepared {name}, but it is not under {root}")
        self._folder = folder
        self._name, self._splits = name, splits
        self.description = f"TFDS data set {name} ({splits})"

    def key(self) -> str:
        """Returns a digest of the data set's identity, splits and files."""
        with tfds_errors(f"cannot read {self._folder}"):
            about = json.loads((self._folder / "dataset_info.json").read_bytes())
            files = sorted(self._folder.glob("*record*"))
            states = [
                (file.name, file.stat().st_size, file.stat().st_mtime_ns)
                for file in files
            ]
            identity = (about["name"], about.get("configName"), about["version"])
        text = repr((identity, self._splits, states))
        return hashlib.sha256(text.encode()).hexdigest()

    @functools.cached_property
    def max_count(self) -> int:
        """Returns the number of examples in the splits."""
        splits = self._builder.info.splits
        try:
            count = splits[self._splits].num_examples
            problem = "no examples in them"
        except (KeyError, ValueError) as error:
            count = 0
            problem = str(error).splitlines()[0]
        if not count:
            sizes = ", ".join(f"{key} ({splits[key].num_examples:,})" for key in splits)
            raise DataError(
                f"data.splits: {self._splits!r} names no images of {self._name}\n"
                f"  expected: one or more of {sizes}, joined by +\n"
                f"  found:    {problem}"
            )
        return count

    def images(self, image_size: int, start: int = 0) -> Iterator[Prepared | Skipped]:
        """Yields every image, or why it was skipped, in the order of the files."""
        labels: collections.deque[int] = collections.deque()  # of those read ahead
        encoded = self.encoded(labels, start)
        for item in prepare_all(encoded, image_size, self.max_count - start):
            label = labels.popleft()
            yield item.labelled(label) if isinstance(item, Prepared) else item

    def class_names(self) -> tuple[str, ...]:
        """Returns the names of the data set's classes, () if it has none."""
        features = self._builder.info.features
        key = label_feature(features)
        return tuple(features[key].names) if key else ()

    def outside(self) -> list[str]:
        """Returns nothing: examples have no names."""
        return []

    @functools.cached_property
    def _builder(self) -> Any:
        tfds = import_tfds()
        with tfds_errors(f"cannot open the TFDS data set in {self._folder}"):
            return tfds.builder_from_directory(self._folder)

    def encoded(
        self, labels: collections.deque[int], start: int = 0
    ) -> Iterator[tuple[str, Callable[[], io.BytesIO]]]:
        """Yields each example's name and its image file, still encoded, from one on.

        Pillow decodes it, so a photograph gives the same pixels as from a folder. Each
        one's label is appended to `labels`.
        """
        tfds = import_tfds()
        features = self._builder.info.features
        key, label_key = image_feature(features, self._name), label_feature(features)
        wanted = {name: True for name in (key, label_key) if name is not None}
        with tfds_errors(f"cannot read the TFDS data set in {self._folder}"):
            dataset = self._builder.as_dataset(
                split=self._splits,
                shuffle_files=False,
                # One file after another, whatever TFDS's default becomes.
                read_config=tfds.ReadConfig(interleave_cycle_length=1),
                decoders=tfds.decode.PartialDecoding(
                    wanted, decoders={key: tfds.decode.SkipDecoding()}
                ),
            )
            examples = dataset.skip(start).as_numpy_iterator()
            for place, example in enumerate(examples, start):
                labels.append(int(example[label_key]) if label_key else NO_CLASS)
                yield f"example {place}", functools.partial(io.BytesIO, example[key])


def find_prepared(root: Path, name: str) -> Path | None:
    """Returns the folder of a data set's newest prepared version, or None.

    Raises:
        DataError: If the name is malformed or ambiguous, or a folder cannot be listed.
    """
    match = NAME.fullmatch(name)
    if not match:
        raise DataError(
            f"data.name: not the name of a TFDS data set\n"
            f"  expected: name, name/config or name/config:1.2.3\n"
            f"  found:    {name!r}"
        )
    dataset, config, version = match.groups()
    base = root / dataset
    with tfds_errors(f"cannot look for the TFDS data set in {base}"):
        if config or not base.is_dir():
            return _newest(base / (config or ""), version)
        newest = _newest(base, version)
        configs = [_newest(folder, version) for folder in sorted(base.iterdir())]
        found = [newest] if newest else [folder for folder in configs if folder]
    if len(found) > 1:
        raise DataError(
            f"data.name: several configurations of {dataset} are in {base}\n"
            f"  expected: one of "
            f"{', '.join(f'{dataset}/{path.parent.name}' for path in found)}\n"
            f"  found:    {name}"
        )
    return found[0] if found else None


def _newest(folder: Path, version: str | None) -> Path | None:
    """Returns the highest complete version below a folder, or the requested one."""
    if not folder.is_dir():
        return None
    versions = [
        path
        for path in folder.iterdir()
        if VERSION.fullmatch(path.name)
        and version in (None, path.name)
        and (path / "dataset_info.json").is_file()
    ]
    return max(
        versions,
        key=lambda path: [int(part) for part in path.name.split(".")],
        default=None,
    )


def image_feature(features: Any, name: str) -> str:
    """Returns the name of the image feature in a data set's TFDS features.

    Raises:
        DataError: If there is none, or more than one and none is called `image`.
    """
    tfds = import_tfds()
    is_dict = isinstance(features, tfds.features.FeaturesDict)
    names = [
        key
        for key, feature in (features.items() if is_dict else ())
        # No subclass, because LabeledImage holds class numbers; and no float32, whose
        # bytes TFDS packs into the channels of a PNG.
        if type(feature) is tfds.features.Image
        and np.dtype(feature.np_dtype) in (np.uint8, np.uint16)
    ]
    if "image" in names:
        return "image"
    if len(names) != 1:
        raise DataError(
            f"data.name: {name} does not say which images to learn\n"
            f"  expected: a data set with a feature `image`, or just one of images\n"
            f"  found:    {', '.join(names) or 'no feature of 8 or 16 bit images'}"
        )
    return names[0]


def label_feature(features: Any) -> str | None:
    """Returns the name of the feature that holds each image's class, None if none.

    It is the one called `label`, or the only one of its kind.
    """
    tfds = import_tfds()
    is_dict = isinstance(features, tfds.features.FeaturesDict)
    names = [
        key
        for key, feature in (features.items() if is_dict else ())
        if isinstance(feature, tfds.features.ClassLabel)
    ]
    if "label" in names:
        return "label"
    return names[0] if len(names) == 1 else None
