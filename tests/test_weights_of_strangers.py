"""Weights that somebody else gave: nothing is run, and nothing too large is read."""

import gzip
import json
import lzma
import os
import re
import tarfile
import time

import h5py
import keras
import numpy as np
import pytest
import safetensors.numpy
from test_imports import sources

import metrics.graph_file
from metrics.errors import FeaturesError
from metrics.features import KERAS_URL, load_extractor
from metrics.graph_file import MEMBER, read_graph
from metrics.hdf5_file import check_hdf5
from records.weights import FORMAT, read_weights
from settings.messages import Problem

pytestmark = pytest.mark.fault("weights from strangers")
SECONDS = 5  # of the processor
GIB = 2**30


@pytest.fixture(autouse=True)
def in_time():
    """Reading 20 GB, or unpacking them, takes longer."""
    began = time.process_time()
    yield
    assert time.process_time() - began < SECONDS


# --- weights files of this program


def test_a_weights_file_with_holes_of_200_gb_is_refused_unread(tmp_path):
    path = tmp_path / "flowers.safetensors"
    about = {"dtype": "F16", "shape": [100 * GIB], "data_offsets": [0, 200 * GIB]}
    claims = {"__metadata__": {"format": FORMAT}, "discriminator/000-a": about}
    header = json.dumps(claims).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(Problem, match="cannot be read"):  # without the bytes
        read_weights(path)
    os.truncate(path, 8 + len(header) + 200 * GIB)
    with pytest.raises(Problem, match="too large .*\n.*at most 4 GiB\n.*200.0 GiB"):
        read_weights(path)


@pytest.mark.parametrize("dtype", ["float64", "float32", "int8", "bool"])
def test_a_weights_file_of_another_type_is_refused(tmp_path, dtype):
    path = tmp_path / "flowers.safetensors"
    arrays = {"discriminator/000-a": np.zeros(3, dtype)}
    safetensors.numpy.save_file(arrays, path, {"format": FORMAT, "iteration": "1"})
    with pytest.raises(Problem, match=f"float16\n  found:    {dtype}"):
        read_weights(path)


# --- weights of Keras, in HDF5


def claim(path, size=20 * GIB):
    """Writes a file of a kilobyte or two that holds an array of zeros of that size."""
    with h5py.File(path, "w") as file:
        group = file.create_group("layers/conv/vars")
        group.create_dataset("0", (size,), "uint8", chunks=(min(size, 2**20),))


def test_an_array_that_is_claimed_but_not_written_is_not_read(tmp_path):
    path = tmp_path / "a.weights.h5"
    claim(path)
    assert path.stat().st_size < 10_000
    with pytest.raises(FeaturesError, match="at most 256 MiB\n  found:    20,480 MiB"):
        check_hdf5(path, 2**28)
    check_hdf5(path, 20 * GIB)


def test_a_file_with_holes_is_not_read(tmp_path):
    path = tmp_path / "a.weights.h5"
    claim(path, 3)
    os.truncate(path, 20 * GIB)
    with pytest.raises(FeaturesError, match="found:    20,480 MiB"):
        check_hdf5(path, 2**28)


def test_weights_that_lie_in_another_file_are_refused(tmp_path):
    claim(tmp_path / "other.h5", 3)
    (tmp_path / "raw").write_bytes(bytes(10))
    path = tmp_path / "a.weights.h5"

    def external_link(file):
        file["a"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "/layers")

    def soft_link(file):
        file["a"] = h5py.SoftLink("/nowhere")

    def external_data(file):
        file.create_dataset("a", (10,), "uint8", external=str(tmp_path / "raw"))

    def virtual_data(file):
        layout = h5py.VirtualLayout((3,), "uint8")
        layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "0", (3,))
        file.create_virtual_dataset("a", layout)

    for make in (external_link, soft_link, external_data, virtual_data):
        with h5py.File(path, "w") as file:
            make(file)
        with pytest.raises(FeaturesError, match="a, which is in another file"):
            check_hdf5(path, 2**28)


def test_groups_in_a_circle_are_looked_at_once(tmp_path):
    path = tmp_path / "a.weights.h5"
    claim(path, 2**20)
    with h5py.File(path, "a") as file:
        file["layers/conv/back"] = file["layers"]
    check_hdf5(path, 2**20)


def test_a_downloaded_file_is_compared_with_its_pinned_checksum_at_each_use(tmp_path):
    (tmp_path / KERAS_URL.rpartition("/")[2]).write_bytes(b"another network")
    with pytest.raises(FeaturesError, match="expected: +MD5 bcbd6486424b2319ff4ef7d5"):
        load_extractor("inception-keras-299", cache_dir=tmp_path)


def test_what_is_no_hdf5_is_refused(tmp_path):
    path = tmp_path / "a.weights.h5"
    path.write_bytes(b"PK\x03\x04, a .keras file")
    with pytest.raises(FeaturesError, match="HDF5, as Keras writes it"):
        check_hdf5(path, 2**28)


def test_the_loader_looks_before_keras_does(tmp_path, monkeypatch):
    path = tmp_path / "a.weights.h5"
    claim(path)

    def read(*_, **__):
        raise AssertionError("Keras has read it")

    monkeypatch.setattr(keras.Model, "load_weights", read)
    monkeypatch.setattr(
        keras.applications, "MobileNetV2", lambda **_: keras.Sequential()
    )
    with pytest.raises(FeaturesError, match="20,480 MiB"):
        load_extractor("mobilenetv2", weights=path)


# --- the graph of 2015


def test_a_graph_with_holes_is_not_read(tmp_path):
    path = tmp_path / MEMBER
    path.touch()
    os.truncate(path, 20 * GIB)
    with pytest.raises(FeaturesError, match="at most 128 MiB\n  found:    20,480 MiB"):
        read_graph(path)


def test_an_archive_that_unpacks_to_very_much_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(metrics.graph_file, "MAX_GRAPH_BYTES", 2**20)
    path = tmp_path / "inception.tgz"
    with gzip.open(path, "wb") as file:
        about = tarfile.TarInfo("before it")
        about.size = 100 * 2**20
        file.write(about.tobuf() + bytes(about.size))
    assert path.stat().st_size < 2**20
    with pytest.raises(FeaturesError, match="archive of 91 MiB.*\n.*more than 1 MiB"):
        read_graph(path)


def test_a_header_that_claims_very_much_takes_no_memory(tmp_path):
    path = tmp_path / "inception.tgz"
    about = tarfile.TarInfo("long")
    about.type, about.size = tarfile.XHDTYPE, 8 * GIB  # read whole, if it were there
    with gzip.open(path, "wb") as file:
        file.write(about.tobuf() + bytes(10_000))
    with pytest.raises(FeaturesError, match="damaged archive|without it"):
        read_graph(path)


def test_an_archive_compressed_in_another_way_is_not_unpacked(tmp_path):
    path = tmp_path / "inception.tar.xz"
    with lzma.open(path, "wb") as file:
        about = tarfile.TarInfo(MEMBER)
        about.size = 10 * 2**20
        file.write(about.tobuf() + bytes(about.size))
    with pytest.raises(FeaturesError, match="no GraphDef could be read"):
        read_graph(path)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "graph.pb")
    with pytest.raises(FeaturesError, match="not a regular file"):
        read_graph(tmp_path / "graph.pb")


# --- nothing that can run code is ever opened


def test_no_file_is_opened_in_a_format_that_can_run_code():
    runs_code = re.compile(
        r"load_model\((?!file\))|import pickle|pickle\.load|allow_pickle|joblib"
        r"|torch\.load|safe_mode=False|enable_unsafe|yaml\.(unsafe_|full_)?load\("
        r"|\beval\(|\bexec\(|marshal"
    )
    found = {path for path, text in sources().items() if runs_code.search(text)}
    assert found == set()
