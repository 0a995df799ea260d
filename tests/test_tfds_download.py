"""Tests of downloading a TFDS data set, and mostly of not being able to."""

import http.server
import socket
import threading
import time
import urllib.error
import urllib.request

import pytest

import data
from data import tfds_download
from data.tfds_download import import_tfds, why_unreachable

FLOWERS = "oxford_flowers102"


def load(folder, name=FLOWERS, say=lambda line: None):
    return data.load_images(
        "tfds",
        image_size=8,
        cache_dir=folder / "cache",
        name=name,
        data_dir=folder / "tfds",
        say=say,
    )


@pytest.fixture
def no_download(monkeypatch):
    """Fails the test if TFDS is asked to download."""

    def fail(*_, **__):
        raise AssertionError("a download was started")

    builder_class = import_tfds().core.DatasetBuilder
    monkeypatch.setattr(builder_class, "download_and_prepare", fail)


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_, **__):
        raise urllib.error.URLError("Temporary failure in name resolution")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)


def test_without_network_it_says_what_is_missing_and_what_to_do(
    tmp_path, no_download, no_network
):
    started = time.monotonic()
    with pytest.raises(data.DataError, match="is not on this machine") as caught:
        load(tmp_path)
    # A second where the machine is idle; TFDS's own retries take minutes.
    assert time.monotonic() - started < 30
    message = str(caught.value)
    assert FLOWERS in message
    assert f"looked in:  {tmp_path / 'tfds'}" in message
    assert "www.robots.ox.ac.uk: Temporary failure in name resolution" in message
    assert "329 MiB" in message
    assert "set data.data_dir to a directory" in message
    assert "set data.source to folder" in message
    assert not (tmp_path / "cache").exists()


def test_an_unknown_data_set_is_refused_with_the_nearest(tmp_path, no_download):
    with pytest.raises(data.DataError, match="has no data set of this name") as caught:
        load(tmp_path, name="oxford_flower102")
    assert f"nearest:  {FLOWERS}" in str(caught.value)


def test_a_version_tfds_cannot_prepare_is_refused(tmp_path, no_download):
    with pytest.raises(data.DataError, match="2.1.1"):
        load(tmp_path, name=f"{FLOWERS}:1.0.0")


def test_a_download_that_fails_says_what_else_can_be_done(tmp_path, monkeypatch):
    monkeypatch.setattr(tfds_download, "why_unreachable", lambda url: None)

    def fail(*_, **__):
        raise ValueError("Checksums do not match.\nDetails\nof them")

    builder_class = import_tfds().core.DatasetBuilder
    monkeypatch.setattr(builder_class, "download_and_prepare", fail)
    said = []
    with pytest.raises(data.DataError, match="could not download") as caught:
        load(tmp_path, say=said.append)
    assert "found:      Checksums do not match.\n" in str(caught.value)
    assert "set data.source to folder" in str(caught.value)
    assert said == [
        f"downloading the TFDS data set {FLOWERS}, 329 MiB, into {tmp_path / 'tfds'}"
    ]


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
    monkeypatch.setattr(tfds_download, "CONNECT_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server:
        problem = why_unreachable(f"http://127.0.0.1:{server.getsockname()[1]}/")
    assert "no answer" in problem or "timed out" in problem


def test_a_name_server_that_never_answers_is_not_waited_for(monkeypatch):
    end = threading.Event()

    def wait(*_, **__):
        end.wait(10)
        raise OSError("nobody is listening any more")

    monkeypatch.setattr(tfds_download, "CONNECT_SECONDS", 0.1)
    monkeypatch.setattr(urllib.request, "urlopen", wait)
    started = time.monotonic()
    problem = why_unreachable("http://flowers.example/")
    seconds = time.monotonic() - started
    monkeypatch.undo()
    end.set()
    assert problem == "no answer within 0.1 seconds"
    assert seconds < 5
