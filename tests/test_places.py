"""Photographs do not lie where the program writes."""

import os
import pathlib

import pytest

from commands.places import refuse_unusable_paths
from records.run_folder import RunFolder
from settings.config import Config
from settings.messages import Problem


@pytest.fixture(autouse=True)
def working_directory(tmp_path, monkeypatch):
    """Puts relative paths under a folder of the test's own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def config_of(name, **sections):
    return Config(run={"name": name}, **sections)


@pytest.mark.parametrize("cache_dir", ["/proc", "file", "file/below"])
def test_a_cache_that_has_no_place_is_told_before_tensorflow_is_imported(
    working_directory, cache_dir
):
    (working_directory / "file").touch()
    config = config_of("flowers", data={"source": "drawn", "cache_dir": cache_dir})
    with pytest.raises(Problem, match="data.cache_dir: no place for files"):
        refuse_unusable_paths(config, RunFolder("flowers"))


@pytest.mark.parametrize(
    ("path", "cache_dir", "words"),
    [
        (".", "cache", "in which this program writes"),
        ("..", "cache", "in which this program writes"),
        ("photographs", "photographs/cache", "set data.cache_dir to another folder"),
        ("photographs", "photographs", "set data.cache_dir to another folder"),
        ("samples", "cache", "in which this program writes"),
        ("samples/flowers", "cache", "where run flowers writes"),
        ("linked", "cache", "in which this program writes"),
    ],
)
def test_photographs_among_our_own_files_are_refused(
    working_directory, path, cache_dir, words
):
    for folder in ("photographs", "samples/flowers"):
        pathlib.Path(folder).mkdir(parents=True)
    os.symlink("samples", "linked")
    data = {"source": "folder", "path": path, "cache_dir": cache_dir}
    with pytest.raises(Problem) as caught:
        refuse_unusable_paths(config_of("flowers", data=data), RunFolder("flowers"))
    assert words in str(caught.value)


def test_folders_of_ours_that_are_links_are_still_found(working_directory):
    elsewhere = working_directory / "elsewhere"
    here = working_directory / "here"
    for folder in (elsewhere, here):
        folder.mkdir()
    os.symlink(elsewhere, here / "samples")
    os.chdir(here)
    data = {"source": "folder", "path": "."}
    config = config_of("flowers", data=data | {"cache_dir": str(elsewhere / "cache")})
    os.symlink(elsewhere, here / "runs")
    with pytest.raises(Problem, match="this program writes .*/here/runs"):
        refuse_unusable_paths(config, RunFolder("flowers"))


def test_photographs_beside_our_own_files_are_taken(working_directory):
    for path in ("photographs", "samples/older"):
        pathlib.Path(path).mkdir(parents=True)
        data = {"source": "folder", "path": path}
        refuse_unusable_paths(config_of("flowers", data=data), RunFolder("flowers"))
    # Hidden folders are not looked into.
    data = {"source": "folder", "path": "photographs"}
    data["cache_dir"] = "photographs/.cache"
    refuse_unusable_paths(config_of("flowers", data=data), RunFolder("flowers"))
