"""Tests what a run's page looks like in windows of several sizes, and while loading."""

import time

import numpy as np
import pytest
from test_live_page import training
from test_page_in_browser import SIZES, Page, chromium, row_at, write_run

from gallery.run_page import RunPage, write_run_page
from gallery.scalars import Scalars

__all__ = ["chromium"]  # a fixture
SPIKE = {
    "iteration": 4300,
    "network": "generator",
    "times_usual": 940.25,
    "largest_finite": 61_250.0,
    "damped_to": 11.023,
    "usual": 65.1,
    "not_finite": 0,
    "skipped": False,
    "above_knee": 0.8125,
    "loss_before": 1.0625,
    "loss": 1.125,
    "recovered_after": 14,
}
SHIFT = """
const done = arguments[0];
let sum = 0;
const add = (list) => list.getEntries().forEach((one) => { sum += one.value; });
new PerformanceObserver(add).observe({ type: "layout-shift", buffered: true });
setTimeout(() => done(sum), 500);
"""


def write_page(folder, rows, spikes=(), live=None):
    """Writes a run's pictures, and a page with such rows and spikes."""
    write_run(folder)
    page = RunPage(
        name="run",
        iteration=12_000,
        total_iterations=20_000,
        scalars=Scalars(rows),
        spikes=list(spikes),
        events=[],
        config_text="run: {}\n",
        preset=None,
        differences=None,
        facts=[("Device", "a card")] * 20,
        checkpoints=[],
        metric="metric/kd_x",
        live=live,
    )
    write_run_page(folder, page)
    return folder / "index.html"


@pytest.fixture(scope="module")
def spiked(tmp_path_factory):
    """Returns a page of a run that met three spikes."""
    folder = tmp_path_factory.mktemp("samples") / "run"
    rows = [row_at(n) for n in range(100, 12_001, 100)]
    return write_page(folder, rows, [SPIKE] * 3)


@pytest.mark.parametrize("size", SIZES)
def test_when_a_spike_recovered_is_in_sight(chromium, spiked, size):
    page = Page(chromium, spiked, size)
    right = page.run(
        "const right = (one) => one.getBoundingClientRect().right;"
        "const table = document.querySelector('#spikes .scroll');"
        "const head = [...table.querySelectorAll('th')].find("
        "(one) => one.innerText === 'loss recovered after');"
        "return right(table) - right(head)"
    )
    assert right >= 0


# Slowed down by 15 it is painted before its scripts have run; a laptop's window then
# takes half a minute for all its charts.
@pytest.mark.parametrize(
    "size, slower", [(SIZES[0], 1), (SIZES[1], 15), (SIZES[2], 15)]
)
def test_a_page_does_not_move_while_it_loads(chromium, spiked, size, slower):
    throttle = "Emulation.setCPUThrottlingRate"
    chromium.execute_cdp_cmd(throttle, {"rate": slower})
    try:
        page = Page(chromium, spiked, size)
        page.wait_until(
            lambda: page.run("return document.querySelector('#charts figure')")
        )
        assert chromium.execute_async_script(SHIFT) < 0.02
    finally:
        chromium.execute_cdp_cmd(throttle, {"rate": 1})


def test_without_scripts_there_is_no_room_for_charts(chromium, spiked):
    scripts = "Emulation.setScriptExecutionDisabled"
    chromium.execute_cdp_cmd(scripts, {"value": True})
    try:
        page = Page(chromium, spiked, SIZES[0])
        assert "need JavaScript" in page.find("#curves").text
        assert not page.find("#charts").is_displayed()
        assert not page.find("#charts-note").is_displayed()
    finally:
        chromium.execute_cdp_cmd(scripts, {"value": False})


def test_turning_a_phone_keeps_the_film_s_frame_in_sight(chromium, spiked):
    page = Page(chromium, spiked, (844, 390))
    page.run("follow(9, false)")
    for size in ((390, 844), (844, 390), (390, 844)):
        page.resize(*size)
        page.wait_until(lambda: page.run("return isInSight(view.index)"))
    page.run("document.querySelector('#reel').scrollLeft = 0")
    page.wait_until(lambda: not page.run("return wasInSight"))
    page.resize(844, 390)
    time.sleep(0.3)
    assert page.run("return document.querySelector('#reel').scrollLeft") == 0


def test_a_single_measurement_has_its_floor_as_a_line(chromium, tmp_path):
    path = write_page(tmp_path / "run", [row_at(12_000)])
    page = Page(chromium, path)
    page.scroll_to_charts()
    plotted = page.run(
        "const hasFloor = (one) => one.data?.some((t) => t.line.dash === 'dash');"
        "const metric = [...document.querySelectorAll('.plot')].find(hasFloor);"
        "return metric.data.map((trace) => [trace.x, trace.y])"
    )
    assert [[0, 12_000], [0.01, 0.01]] in plotted
    assert [[12_000], [pytest.approx(1 / 12, rel=1e-3)]] in plotted


def test_ticks_of_a_curve_that_hardly_changes_are_short(chromium, tmp_path):
    rows = [
        {"iteration": n, "learning_rate/generator": 0.01 - n * 1e-9}
        for n in range(100, 12_001, 100)
    ]
    page = Page(chromium, write_page(tmp_path / "run", rows))
    page.scroll_to_charts()
    ticks = page.run(
        "return [...document.querySelectorAll('.plot .ytick text, .plot .y2tick text')]"
        ".map((one) => one.textContent)"
    )
    assert ticks and max(map(len, ticks)) <= 6


def test_a_printed_spike_table_is_whole(chromium, spiked):
    page = Page(chromium, spiked)
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        page.resize(718, 1000)  # a page of A4, without margins
        widths = page.run(
            "const table = document.querySelector('#spikes table');"
            "return [table.scrollWidth, table.parentElement.clientWidth]"
        )
    finally:
        chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert widths[0] <= widths[1]
    assert np.all(np.array(widths) <= 718)


@pytest.mark.parametrize("state", ["training", "finished"])
@pytest.mark.parametrize("size", [(1440, 900), (1366, 768)])
def test_grid_and_controls_fit_a_laptop_s_window(chromium, tmp_path, size, state):
    live = training(iteration=12_000, state=state)
    path = write_page(tmp_path / "run", [row_at(12_000)], live=live)
    page = Page(chromium, path, size)
    bottom = page.run(
        "return document.querySelector('#hint').getBoundingClientRect().bottom"
    )
    assert bottom <= size[1]
