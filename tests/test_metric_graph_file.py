"""The file of the 2015 graph: where it is found, and what is read from it."""

import io
import tarfile

import numpy as np
import pytest
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.compat.proto.types_pb2 import DT_FLOAT, DT_HALF

import metrics.graph_file
from metrics.errors import FeaturesError
from metrics.graph_file import MEMBER, constant, read_graph


def add_constant(graph, name, values):
    """Adds a constant as TensorFlow of 2015 wrote it."""
    node = graph.node.add(name=name, op="Const")
    node.attr["dtype"].type = DT_FLOAT
    tensor = node.attr["value"].tensor
    tensor.dtype = DT_FLOAT
    for size in values.shape:
        tensor.tensor_shape.dim.add(size=size)
    tensor.tensor_content = values.astype("<f4").tobytes()
    return node


def small_graph():
    graph = GraphDef()
    values = np.arange(6, dtype=np.float32).reshape(1, 2, 3)
    add_constant(graph, "conv/conv2d_params", values)
    graph.node.add(name="conv", op="Relu")
    return graph


def write_archive(path, content, member=MEMBER):
    with tarfile.open(path, "w:gz") as archive:
        for name, data in (("LICENSE", b"words"), (member, content)):
            about = tarfile.TarInfo(name)
            about.size = len(data)
            archive.addfile(about, io.BytesIO(data))


@pytest.fixture
def content():
    return small_graph().SerializeToString()


@pytest.mark.parametrize("kind", ["pb", "tgz"])
def test_a_constant_is_read_from_the_graph_and_from_its_archive(
    tmp_path, content, kind
):
    path = tmp_path / f"graph.{kind}"
    if kind == "pb":
        path.write_bytes(content)
    else:
        write_archive(path, content)
    graph = read_graph(path)
    values = constant(graph, "conv/conv2d_params", (1, 2, 3))
    assert values.tolist() == [[[0, 1, 2], [3, 4, 5]]] and values.dtype == np.float32
    assert list(tmp_path.iterdir()) == [path]  # nothing was unpacked to disk


def test_graph_and_archive_have_the_sha256_of_the_graph(tmp_path, content):
    (tmp_path / "graph.pb").write_bytes(content)
    write_archive(tmp_path / "graph.tgz", content)
    one, other = (read_graph(tmp_path / name) for name in ("graph.pb", "graph.tgz"))
    assert one.sha256 == other.sha256 and len(one.sha256) == 64


def test_numbers_written_one_by_one_are_read_too(tmp_path):
    graph = GraphDef()
    tensor = add_constant(graph, "beta", np.zeros(2)).attr["value"].tensor
    tensor.tensor_content = b""
    tensor.float_val.extend([1.5, -2])
    (tmp_path / "graph.pb").write_bytes(graph.SerializeToString())
    values = constant(read_graph(tmp_path / "graph.pb"), "beta", (2,))
    assert values.tolist() == [1.5, -2]


@pytest.mark.parametrize(
    ("name", "shape", "words"),
    [
        ("conv_1/conv2d_params", (1,), "constant conv_1/.*\n  found: +nothing"),
        ("conv", (1,), "constant conv\n  found: +an operation Relu"),
        ("conv/conv2d_params", (3, 2, 1), r"\[3, 2, 1\]\n.*DT_FLOAT \[1, 2, 3\], 6"),
    ],
)
def test_a_graph_without_the_constant_is_not_the_right_one(
    tmp_path, content, name, shape, words
):
    (tmp_path / "graph.pb").write_bytes(content)
    graph = read_graph(tmp_path / "graph.pb")
    with pytest.raises(FeaturesError, match=words):
        constant(graph, name, shape)


def test_other_kinds_of_numbers_are_refused(tmp_path):
    graph = small_graph()
    graph.node[0].attr["value"].tensor.dtype = DT_HALF
    (tmp_path / "graph.pb").write_bytes(graph.SerializeToString())
    with pytest.raises(FeaturesError, match="found: +DT_HALF"):
        constant(read_graph(tmp_path / "graph.pb"), "conv/conv2d_params", (1, 2, 3))


def test_files_that_are_no_graph_are_refused(tmp_path, content):
    path = tmp_path / "graph"
    path.write_bytes(b"<html>log in first</html>")
    with pytest.raises(FeaturesError, match="no GraphDef could be read"):
        read_graph(path)
    write_archive(path, content, member="other.pb")
    with pytest.raises(FeaturesError, match="found: +an archive without it"):
        read_graph(path)
    noise = np.random.default_rng(0).bytes(100_000)
    write_archive(path, noise)
    path.write_bytes(path.read_bytes()[:50_000])
    with pytest.raises(FeaturesError, match="damaged archive|truncated"):
        read_graph(path)


def test_a_file_that_is_too_large_is_not_unpacked(tmp_path, content, monkeypatch):
    write_archive(tmp_path / "graph.tgz", content)
    monkeypatch.setattr(metrics.graph_file, "MAX_GRAPH_BYTES", len(content) - 1)
    with pytest.raises(FeaturesError, match="too large to be a file of weights"):
        read_graph(tmp_path / "graph.tgz")
