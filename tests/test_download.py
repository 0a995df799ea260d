"""Downloads: whole or not at all, and no waiting for a network that is not there."""

import functools
import http.server
import socket
import threading
import time
import urllib.request

import pytest

import files.download
from files.download import download, why_unreachable


class Unusable(Exception):
    """What a check raises."""


@pytest.fixture
def server(tmp_path):
    """Serves a folder on this machine; yields the folder and its address."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_HEAD(self):
            if self.path == "/slow":
                time.sleep(1)
            super().do_HEAD()

        def do_GET(self):
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


def do_nothing(_):
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
    [("missing", "404"), ("short", "95 more expected")],
)
def test_a_failed_download_leaves_nothing(server, tmp_path, page, words):
    path = tmp_path / "cache/weights"
    with pytest.raises(OSError, match=words):
        download(f"{server[1]}/{page}", path, do_nothing, do_nothing)
    assert not list(path.parent.iterdir())


def test_a_file_that_fails_its_check_is_not_kept(server, tmp_path):
    folder, address = server
    (folder / "weights").write_bytes(b"log in first")

    def check(_):
        raise Unusable("no weights")

    path = tmp_path / "cache/weights"
    with pytest.raises(Unusable, match="no weights"):
        download(f"{address}/weights", path, check, do_nothing)
    assert not list(path.parent.iterdir())


def test_a_host_that_does_not_answer_is_given_up_in_time(server, tmp_path, monkeypatch):
    monkeypatch.setattr(files.download, "CONNECT_SECONDS", 0.2)
    start = time.monotonic()
    with pytest.raises(OSError, match="no answer within 0.2 seconds|timed out"):
        download(f"{server[1]}/slow", tmp_path / "weights", do_nothing, do_nothing)
    assert time.monotonic() - start < 0.9


class Answer404(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self):  # noqa: N802, the name http.server calls
        self.send_error(404)

    def log_message(self, *_):
        pass


@pytest.fixture
def direct(monkeypatch):
    """Keeps the proxies of the environment out of requests to this machine."""
    monkeypatch.setenv("no_proxy", "*")


def test_a_host_that_answers_anything_is_reachable(direct):
    with http.server.HTTPServer(("127.0.0.1", 0), Answer404) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        assert why_unreachable(f"http://127.0.0.1:{server.server_port}/") is None
        thread.join()


def test_a_host_that_refuses_is_out_of_reach(direct):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert "refused" in why_unreachable(f"http://127.0.0.1:{port}/")


def test_a_host_that_never_answers_is_out_of_reach_soon(direct, monkeypatch):
    monkeypatch.setattr(files.download, "CONNECT_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server:
        problem = why_unreachable(f"http://127.0.0.1:{server.getsockname()[1]}/")
    assert "no answer" in problem or "timed out" in problem


def test_a_name_server_that_never_answers_is_not_waited_for(monkeypatch):
    end = threading.Event()

    def wait(*_, **__):
        end.wait(10)
        raise OSError("nobody is listening any more")

    monkeypatch.setattr(files.download, "CONNECT_SECONDS", 0.1)
    monkeypatch.setattr(urllib.request, "urlopen", wait)
    started = time.monotonic()
    problem = why_unreachable("http://flowers.example/")
    seconds = time.monotonic() - started
    monkeypatch.undo()
    end.set()
    assert problem == "no answer within 0.1 seconds"
    assert seconds < 5
