"""Reads the file of the 2015 Inception graph, and its constants.

TensorFlow 2 cannot run the graph inside a function, because it no longer has the batch
normalisation used there (BatchNormWithGlobalNormalization). So only the constants are
read, for a network built in Keras, which is checked against the rest of the graph.
"""

import hashlib
import io
import tarfile
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from google.protobuf.message import DecodeError
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.compat.proto.node_def_pb2 import NodeDef
from tensorboard.compat.proto.types_pb2 import DT_FLOAT, DataType

from metrics.errors import FeaturesError
from metrics.weights_file import bounded_content

URL = "https://download.tensorflow.org/models/image/imagenet/inception-2015-12-05.tgz"
MEMBER = "classify_image_graph_def.pb"
# The graph has 91 MiB, and so has its archive, unpacked; nothing larger is read.
MAX_GRAPH_BYTES = 2**27
GZIP_BEGIN, GZIP_WINDOW = b"\x1f\x8b", 31  # zlib's word for gzip


class Graph(NamedTuple):
    """The contents of a GraphDef.

    nodes: by name.
    sha256: of the serialised graph, with or without an archive around it.
    """

    nodes: dict[str, NodeDef]
    sha256: str


def read_graph(path: Path) -> Graph:
    """Reads the graph from the .tgz or the .pb.

    Raises:
        FeaturesError: If the file is neither.
    """
    content = _content(path)
    graph = GraphDef()
    try:
        graph.ParseFromString(content)
    except DecodeError as error:
        raise _wrong(path, "no graph", "no GraphDef could be read") from error
    nodes = {node.name: node for node in graph.node}
    return Graph(nodes, hashlib.sha256(content).hexdigest())


def constant(graph: Graph, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Returns a float32 constant of the graph.

    Raises:
        FeaturesError: If there is none of that name and shape.
    """
    node = graph.nodes.get(name)
    if node is None or node.op != "Const":
        found = "nothing" if node is None else f"an operation {node.op}"
        raise FeaturesError(
            f"this is not the 2015 graph of Inception\n"
            f"  expected: a constant {name}\n"
            f"  found:    {found}"
        )
    tensor = node.attr["value"].tensor
    found_shape = tuple(dimension.size for dimension in tensor.tensor_shape.dim)
    values = (
        np.frombuffer(tensor.tensor_content, "<f4")
        if tensor.tensor_content
        else (np.array(tensor.float_val, np.float32))
    )
    is_whole = values.size == np.prod(shape)
    if tensor.dtype != DT_FLOAT or found_shape != shape or not is_whole:
        raise FeaturesError(
            f"this is not the 2015 graph of Inception\n"
            f"  expected: {name}, float32 {list(shape)}\n"
            f"  found:    {DataType.Name(tensor.dtype)} {list(found_shape)}, "
            f"{values.size} numbers"
        )
    return values.reshape(shape)


def _content(path: Path) -> bytes:
    """Returns the serialised graph, without unpacking it to disk."""
    content = bounded_content(path, MAX_GRAPH_BYTES)
    is_zipped = content.startswith(GZIP_BEGIN)
    if is_zipped:
        content = _unzipped(path, content)
    try:
        # Not compressed in other ways: tarfile would unpack any amount.
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
            for member in archive:
                if Path(member.name).name == MEMBER and member.isfile():
                    return _unpacked(path, archive, member)
    except (tarfile.TarError, EOFError) as error:
        if not is_zipped:
            return content
        raise _wrong(path, "an archive", f"a damaged archive ({error})") from error
    raise _wrong(path, f"an archive with {MEMBER}", "an archive without it")


def _unzipped(path: Path, content: bytes) -> bytes:
    """Returns what was zipped, if it is not too much: a few MiB may become many GiB."""
    unzip = zlib.decompressobj(GZIP_WINDOW)
    try:
        content = unzip.decompress(content, MAX_GRAPH_BYTES)
    except zlib.error as error:
        raise _wrong(path, "an archive", f"a damaged archive ({error})") from error
    if unzip.unconsumed_tail:
        most = MAX_GRAPH_BYTES >> 20
        raise _wrong(path, "an archive of 91 MiB", f"one of more than {most} MiB")
    if not unzip.eof:
        raise _wrong(path, "a whole archive", "a truncated one")
    return content


def _unpacked(path: Path, archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    content = file.read() if file else b""
    if len(content) != member.size:
        raise _wrong(path, "a whole archive", "a truncated one")
    return content


def _wrong(path: Path, expected: str, found: str) -> FeaturesError:
    return FeaturesError(
        f"{path.absolute()} is not the 2015 graph of Inception\n"
        f"  expected:   {expected}\n"
        f"  found:      {found}\n"
        f"  what to do: remove the file and get it again: {URL}"
    )
