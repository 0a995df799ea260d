"""Weights in files: downloads, and their SHA-256."""

import functools
import hashlib
import http.server
import os
import threading
import time

import pytest

import metrics.weights_file
from metrics import FeaturesError
from metrics.weights_file import download, known_sha256


@pytest.fixture
def server(tmp_path):
    """Serves a folder on this machine; yields the folder and its address."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            if self.path == "/slow":
                time.sleep(1)
            if self.path == "/short":
                self.send_response(200)
                self.send_header("Content-Length", "100")
                self.end_headers()
                self.wfile.write(b"a few")
                return
            super().do_GET()

    handler = functools.partial(Quiet, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as serving:
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{serving.server_port}"
        serving.shutdown()
        thread.join()


def no_check(_):
    pass


def test_a_download_is_whole_checked_and_told(server, tmp_path):
    folder, address = server
    (folder / "weights").write_bytes(b"1234")
    path, checked, said = tmp_path / "a/b/weights", [], []

    def check(aside):
        checked.append((aside.read_bytes(), path.exists()))

    download(f"{address}/weights", path, check, said.append)
    assert path.read_bytes() == b"1234"
    assert checked == [(b"1234", False)]
    assert len(said) == 1 and f"{address}/weights" in said[0]
    assert [file.name for file in path.parent.iterdir()] == ["weights"]


@pytest.mark.parametrize(
    ("page", "words"),
    [("missing", "404"), ("short", "5 of 100 bytes came")],
)
def test_a_failed_download_leaves_nothing(server, tmp_path, page, words):
    path = tmp_path / "cache/weights"
    with pytest.raises(OSError, match=words):
        download(f"{server[1]}/{page}", path, no_check, no_check)
    assert not list(path.parent.iterdir())


def test_a_file_that_fails_its_check_is_not_kept(server, tmp_path):
    folder, address = server
    (folder / "weights").write_bytes(b"log in first")

    def check(_):
        raise FeaturesError("no weights")

    path = tmp_path / "cache/weights"
    with pytest.raises(FeaturesError, match="no weights"):
        download(f"{address}/weights", path, check, no_check)
    assert not list(path.parent.iterdir())


def test_a_host_that_does_not_answer_is_given_up_in_time(server, tmp_path, monkeypatch):
    monkeypatch.setattr(metrics.weights_file, "CONNECT_SECONDS", 0.2)
    start = time.monotonic()
    with pytest.raises(OSError, match="no answer within 0.2 seconds"):
        download(f"{server[1]}/slow", tmp_path / "weights", no_check, no_check)
    assert time.monotonic() - start < 0.9


def test_the_sha256_of_the_first_use_is_kept_as_sha256sum_writes_it(tmp_path):
    path = tmp_path / "weights.pb"
    path.write_bytes(b"abc")
    # FIPS 180-2, appendix B.1.
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert known_sha256(path, no_check) == expected
    beside = tmp_path / "weights.pb.sha256"
    assert beside.read_text() == f"{expected}  weights.pb\n"
    assert known_sha256(path, no_check) == expected
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("damage", ["file", "kept"])
def test_a_file_that_changed_since_its_first_use_is_refused(tmp_path, damage):
    path, beside = tmp_path / "weights.pb", tmp_path / "weights.pb.sha256"
    path.write_bytes(b"abc")
    kept = known_sha256(path, no_check)
    if damage == "file":
        path.write_bytes(b"abd")
    else:
        beside.write_text("")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    words = f"(?s)expected: .*{kept if damage == 'file' else 'none'}.*found: .*{found}"
    with pytest.raises(FeaturesError, match=words):
        known_sha256(path, no_check)


def test_a_folder_that_cannot_be_written_to_is_warned_about(tmp_path):
    path, said = tmp_path / "weights.pb", []
    path.write_bytes(b"abc")
    # A folder in the way of the file written aside stops even root.
    (tmp_path / f".weights.pb.sha256.{os.getpid()}.tmp").mkdir()
    assert known_sha256(path, said.append).startswith("ba7816bf")
    assert len(said) == 1 and "weights.pb.sha256 could not be written" in said[0]
