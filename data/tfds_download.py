"""Imports TFDS, translates its errors, and downloads if the host can be reached."""

import contextlib
import difflib
import logging
import os
import sys
import urllib.parse
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from data.source import DataError
from files.download import why_unreachable


def download(root: Path, name: str, say: Callable[[str], None]) -> None:
    """Downloads and prepares a data set in the TFDS data directory `root`.

    Without a network TFDS itself would retry for minutes, so this first checks whether
    the host answers.

    Raises:
        DataError: If there is no such data set, or it cannot be downloaded or prepared.
    """
    tfds = import_tfds()
    builder = _builder(tfds, root, name)
    urls = builder.url_infos
    size = sum(int(about.size or 0) for about in urls.values())
    mebibytes = f"{size / 2**20:,.0f} MiB"
    cure = _cure(name, mebibytes)
    for host, url in {urllib.parse.urlsplit(url).netloc: url for url in urls}.items():
        problem = why_unreachable(url)
        if problem:
            raise DataError(
                f"the TFDS data set {name} is not on this machine, and its host "
                f"cannot be reached\n"
                f"  looked in:  {root.absolute()} (data.data_dir)\n"
                f"  host:       {host}: {problem}\n"
                f"  what to do: {cure}"
            )
    say(f"downloading the TFDS data set {name}, {mebibytes}, into {root}")
    with tfds_errors(f"TFDS could not download and prepare {name} in {root}", cure):
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(try_download_gcs=False)
        )


def _builder(tfds: Any, root: Path, name: str) -> Any:
    """Returns TFDS's builder of a data set."""
    with tfds_errors(f"TFDS cannot prepare {name}", "see data.name"):
        try:
            return tfds.builder(name, data_dir=root)
        except tfds.core.DatasetNotFoundError as error:
            names = set(tfds.list_builders(with_community_datasets=False))
            nearest = difflib.get_close_matches(name, sorted(names), n=3)
            raise DataError(
                f"data.name: TFDS has no data set of this name, nor is one in {root}\n"
                f"  found:    {name}\n"
                f"  nearest:  {', '.join(nearest) or 'none'}"
            ) from error


def _cure(name: str, size: str) -> str:
    dataset = name.split("/")[0].split(":")[0]
    return (
        f"one of these\n"
        f"    connect this machine to the network once and start again ({size})\n"
        f"    set data.data_dir to a directory in which TFDS has prepared it, one that "
        f"holds {dataset}/\n"
        f"    set data.source to folder and data.path to a folder of photographs"
    )


def import_tfds() -> ModuleType:
    """Imports TFDS and silences its messages."""
    # TensorFlow, which TFDS imports later, reads this only once.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import tensorflow_datasets as tfds
    logging.getLogger("absl").setLevel(logging.ERROR)
    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    return tfds


@contextlib.contextmanager
def tfds_errors(what: str, cure: str = "") -> Iterator[None]:
    """Turns any exception of TFDS and TensorFlow into DataError."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise DataError(
            f"{what}\n"
            f"  found:      {lines[0]}\n"
            f"  what to do: "
            f"{cure or 'copy or download the data set again, it may be incomplete'}"
        ) from error
