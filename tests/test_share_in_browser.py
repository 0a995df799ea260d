"""Tests a run's page as one file, in a real browser, after it was sent elsewhere."""

import time

import numpy as np
import pytest
from PIL import Image
from test_live_page import training, write_page
from test_page_in_browser import (  # skips itself where there is no selenium
    Page,
    chromium,  # noqa: F401
    write_run,
)

from gallery.grids import write_png
from gallery.share import self_contained

# The width of each picture, 0 for one that does not load.
WIDTHS = """
const done = arguments[0];
Promise.all([...document.images].map((image) => {
  image.loading = "eager";
  return image.decode().then(() => image.naturalWidth, () => 0);
})).then(done);
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Returns a run's folder in which something was made."""
    folder = tmp_path_factory.mktemp("samples") / "run"
    write_run(folder)
    (folder / "generated/images-1").mkdir(parents=True)
    picture = Image.fromarray(np.full((40, 60, 3), 90, np.uint8))
    write_png(picture, folder / "generated/a #1.png")
    write_png(picture, folder / "generated/images-1/image-00000.png")
    (folder / "generated/flowers.keras").write_bytes(b"12345")
    write_run(folder)
    return folder


@pytest.fixture(scope="module")
def shared(folder, tmp_path_factory):
    """Returns the shared page, the only file in a folder of its own."""
    page = (folder / "index.html").read_text(encoding="utf-8")
    path = tmp_path_factory.mktemp("elsewhere") / "run.html"
    path.write_text(self_contained(folder, page), encoding="utf-8")
    return path


def test_a_shared_page_shows_all_and_asks_for_nothing(chromium, shared):  # noqa: F811
    page = Page(chromium, shared)
    page.find("#slider").send_keys("\ue011")  # Home
    page.wait_until(lambda: page.shows_grid(1000))
    page.scroll_to_charts()
    widths = chromium.execute_async_script(WIDTHS)
    assert len(widths) == 2 and min(widths) > 0  # grid and photographs
    assert not page.browser.find_elements("css selector", "#made, #checkpoints")
    page.run("document.querySelectorAll('#cells button')[9].click()")
    assert page.console() == []
    asked = page.requests()
    assert shared.as_uri() in asked
    outside = [url for url in asked if not url.startswith(("data:", "blob:"))]
    assert set(outside) == {shared.as_uri()}
    links = page.run(
        "return [...document.querySelectorAll('a[href]')].map(a => a.href)"
    )
    assert all(link.startswith(f"{shared.as_uri()}#") for link in links)


def test_a_page_shared_in_training_neither_promises_nor_asks(
    chromium,  # noqa: F811
    tmp_path,
):
    folder = tmp_path / "samples/run"
    write_run(folder)
    (folder / "explore.html").touch()
    write_page(folder, live=training(iteration=12_000))
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert "In training when" in page and "Explore the generator" in page
    path = tmp_path / "run.html"
    path.write_text(self_contained(folder, page), encoding="utf-8")
    shared = Page(chromium, path)
    shared.scroll_to_charts()
    shared.wait_until(lambda: shared.shows_grid(12_000))
    text = shared.find("header").text
    assert "12,000 of 20,000" in text
    assert "raining" not in text and "Explore" not in text and "All runs" not in text
    time.sleep(0.5)  # a page that follows its run has asked by then
    assert shared.console() == []
    assert not [url for url in shared.requests() if "live.js" in url]


def test_the_run_s_page_shows_what_was_made_and_opens_it(chromium, folder):  # noqa: F811
    page = Page(chromium, folder / "index.html")
    texts = page.run(
        "return [...document.querySelectorAll('#made li')].map(one => one.innerText)"
    )
    assert {text.split("\n")[-1].strip() for text in texts} >= {"5 bytes"}
    assert sorted(chromium.execute_async_script(WIDTHS))[:2] == [60, 60]
    page.run("document.querySelector('#made a[href*=\"a%20%231\"]').click()")
    page.wait_until(lambda: chromium.current_url.endswith("generated/a%20%231.png"))
    assert page.run("return document.images[0].naturalWidth") == 60
