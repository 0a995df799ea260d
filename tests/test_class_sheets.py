"""The sheets of classes on a run's page: one row at a time, named in real text."""

import json
import os
import re

import numpy as np
import pytest
from PIL import Image

browser_tests = pytest.importorskip("test_page_in_browser")

from selenium.webdriver.support.ui import Select  # noqa: E402

from gallery.class_sheets import (  # noqa: E402
    class_sheets_in,
    sheet_name,
    small_name,
    write_rows,
)
from gallery.share import self_contained  # noqa: E402
from gallery.sheets import labelled_sheet, letters_of  # noqa: E402
from records.rollback import move_later  # noqa: E402

chromium, write_run, Page = (
    browser_tests.chromium,
    browser_tests.write_run,
    browser_tests.Page,
)
HOSTILE, ITERATIONS = browser_tests.HOSTILE, browser_tests.ITERATIONS
ROWS = [("rose", 258), ("银莲花", 120), (HOSTILE, 1200), ("tulip", 40)]
LATER = [("tulip", 40), ("rose", 258)]  # of a run that continued with other rows
CHANGED = 9000
SIZE = 24


def colour_of(iteration, name):
    """Returns a colour like no other sheet's and class's."""
    label = [one for one, _ in ROWS].index(name)
    return (iteration // 1000 * 20, label * 80, 255 - label * 80)


def rows_at(iteration):
    return ROWS if iteration < CHANGED else LATER


def write_sheet(folder, iteration):
    """Writes a sheet as training does, each class in a colour of its own."""
    rows = rows_at(iteration)
    images = np.empty((len(rows), 8, SIZE, SIZE, 3), np.uint8)
    for row, (name, _) in enumerate(rows):
        images[row] = colour_of(iteration, name)
    beside = [letters_of(name, 7)[:40] for name, _ in rows]
    labelled_sheet(images, [""] * 8, beside, 64).save(folder / sheet_name(iteration))
    write_rows(folder, iteration, rows)


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    folder = tmp_path_factory.mktemp("samples")
    (folder / "run").mkdir()
    for iteration in ITERATIONS:
        write_sheet(folder / "run", iteration)
    write_run(folder / "run")
    return folder


@pytest.fixture
def page(chromium, samples):
    return Page(chromium, samples / "run/index.html")


def names_shown(page):
    return page.run(
        "return [...document.querySelectorAll('#class-rows li > :first-child')]"
        ".map((one) => one.textContent)"
    )


def shows(page, *expected):
    """Returns whether rows have these colours, at both ends of each strip."""
    strips = page.browser.find_elements("css selector", "#class-rows i")
    if len(strips) < len(expected):
        return False
    for strip, colour in zip(strips, expected, strict=False):
        page.run("arguments[0].scrollIntoView({behavior: 'instant'})", strip)
        png = strip.screenshot_as_png
        with Image.open(browser_tests.io.BytesIO(png)) as image:
            seen = np.asarray(image.convert("RGB")).astype(int)
        middle = seen[:, 4:-4][len(seen) // 8 : -len(seen) // 8]
        if np.abs(middle - colour).max() > browser_tests.COLOUR_TOLERANCE:
            return False
    return True


def choose(page, name):
    Select(page.find("#one-class")).select_by_visible_text(name)


def test_the_newest_sheet_is_shown_with_names_and_counts(page):
    page.wait_until(lambda: names_shown(page) == ["tulip 40", "rose 258"])
    page.wait_until(
        lambda: shows(page, colour_of(12_000, "tulip"), colour_of(12_000, "rose"))
    )
    assert page.find("#class-caption").text == "iteration 12,000"
    assert page.console() == []
    # The large sheet is for those without scripts.
    assert not any("/classes-" in url and ".png" in url for url in page.requests())


def test_sheets_follow_the_slider_and_keep_the_rows_they_were_written_with(page):
    page.find("#slider").send_keys(browser_tests.Keys.HOME)
    page.wait_until(lambda: len(names_shown(page)) == 4)
    assert names_shown(page) == [
        "rose 258",
        "银莲花 120",
        f"{HOSTILE} 1,200",
        "tulip 40",
    ]
    page.wait_until(lambda: shows(page, *(colour_of(1000, name) for name, _ in ROWS)))
    assert page.run("return window.hacked") is None


def test_one_class_is_shown_through_training_newest_first(page):
    options = [one.text for one in Select(page.find("#one-class")).options]
    assert options == ["all of these", "tulip", "rose", "银莲花", HOSTILE]
    choose(page, "rose")
    page.wait_until(lambda: len(names_shown(page)) == len(ITERATIONS))
    assert names_shown(page)[:2] == ["12,000", "11,000"]
    colours = [colour_of(iteration, "rose") for iteration in reversed(ITERATIONS)]
    page.wait_until(lambda: shows(page, *colours))
    page.run("document.querySelectorAll('#class-rows a')[8].click()")
    assert page.iteration() == 4000
    assert len(names_shown(page)) == len(ITERATIONS)
    choose(page, HOSTILE)
    page.wait_until(lambda: len(names_shown(page)) == 8)
    choose(page, "all of these")
    page.wait_until(lambda: names_shown(page)[0] == "rose 258")


def test_of_many_sheets_one_class_shows_some_both_ends_among_them(page):
    page.run(
        "data.sheets.iterations = Array.from({length: 300}, (_, i) => 10 * (i + 1));"
        "data.sheets.kind_of = new Array(300).fill(0)"
    )
    choose(page, "rose")
    page.wait_until(lambda: len(names_shown(page)) == 24)
    assert (names_shown(page)[0], names_shown(page)[-1]) == ("3,000", "10")


def test_a_new_sheet_is_taken_up(page):
    page.run(
        "const link = document.createElement('a'); link.id = 'live-reload';"
        "document.body.append(link);"  # as in a run that says how it stands
        "const sheets = {...data.sheets, iterations: [1000, 2000], kind_of: [0, 0]};"
        "takeData({...data, written: data.written + 1, iterations: [...iterations],"
        " sheets})"
    )
    page.wait_until(lambda: page.find("#class-caption").text == "iteration 2,000")


@pytest.mark.parametrize("size", browser_tests.SIZES)
def test_rows_fit_every_window(chromium, samples, size):
    page = Page(chromium, samples / "run/index.html", size)
    page.wait_until(lambda: names_shown(page))  # once their picture is decoded
    assert page.run("return document.documentElement.scrollWidth") <= size[0]
    width = page.run(
        "return document.querySelector('#class-rows i').getBoundingClientRect().width"
    )
    assert width > 300
    assert page.find("#one-class").accessible_name == "Show"


def test_a_shared_page_has_the_sheets_inside(chromium, samples, tmp_path):
    folder = samples / "run"
    path = tmp_path / "shared.html"
    path.write_text(
        self_contained(folder, (folder / "index.html").read_text("utf-8")), "utf-8"
    )
    page = Page(chromium, path)
    page.wait_until(
        lambda: shows(page, colour_of(12_000, "tulip"), colour_of(12_000, "rose"))
    )
    choose(page, "tulip")
    page.wait_until(lambda: len(names_shown(page)) == len(ITERATIONS))
    assert {url.partition(":")[0] for url in page.requests()} <= {"file", "data"}


def test_without_scripts_the_newest_sheet_is_shown_as_it_is(chromium, samples):
    command = "Emulation.setScriptExecutionDisabled"
    chromium.execute_cdp_cmd(command, {"value": True})
    try:
        page = Page(chromium, samples / "run/index.html")
        sheet = page.find("#class-sheet")
        assert sheet.is_displayed()
        assert sheet.get_attribute("src").endswith("classes-0012000.png")
        assert not page.find("#one-class").is_displayed()
    finally:
        chromium.execute_cdp_cmd(command, {"value": False})


# --- without a browser


def test_small_copies_have_no_margins_and_are_written_once(tmp_path):
    write_sheet(tmp_path, 1000)
    found = class_sheets_in(tmp_path, 5000)
    assert (found.iterations, found.kinds, found.kind_of) == ([1000], [ROWS], [0])
    with Image.open(tmp_path / small_name(1000)) as opened:
        small = np.asarray(opened.convert("RGB")).astype(int)
    assert small.shape == (4 * 64, 8 * 64, 3)
    for row, (name, _) in enumerate(ROWS):
        strip = small[64 * row + 4 : 64 * row + 60]
        assert np.abs(strip - colour_of(1000, name)).max() <= 10
    before = (tmp_path / small_name(1000)).stat().st_mtime_ns
    class_sheets_in(tmp_path, 5000)
    assert (tmp_path / small_name(1000)).stat().st_mtime_ns == before
    os.utime(tmp_path / sheet_name(1000))
    class_sheets_in(tmp_path, 5000)
    assert (tmp_path / small_name(1000)).stat().st_mtime_ns > before


def test_sheets_past_the_run_or_damaged_or_without_rows_are_left_out(tmp_path):
    for iteration in (1000, 2000, 3000, 4000):
        write_sheet(tmp_path, iteration)
    (tmp_path / sheet_name(1000)).write_bytes(b"no picture")
    (tmp_path / "classes-0002000.json").write_text('{"a": 1')
    assert class_sheets_in(tmp_path, 3500).iterations == [3000]
    assert class_sheets_in(tmp_path, 2500) is None
    move_later(tmp_path, tmp_path / "aside", 2500)
    left = {path.name for path in tmp_path.glob("classes-*")}
    assert not any(re.search("3000|4000", name) for name in left)
    assert (tmp_path / "aside/classes-0003000.json").exists()


def test_a_sheet_whose_rows_are_unknown_is_shown_as_it_is(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    write_sheet(folder, 1000)
    (folder / "classes-0001000.json").unlink()
    write_run(folder)
    text = (folder / "index.html").read_text("utf-8")
    assert 'id="class-sheet" src="classes-0001000.png"' in text
    assert 'id="one-class"' not in text
    (folder / sheet_name(1000)).unlink()
    write_run(folder)
    assert 'id="classes"' not in (folder / "index.html").read_text("utf-8")


def test_rows_are_written_as_json(tmp_path):
    write_rows(tmp_path, 30, ROWS)
    found = json.loads((tmp_path / "classes-0000030.json").read_text("utf-8"))
    assert found == [list(row) for row in ROWS]
