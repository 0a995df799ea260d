"""Tests a page in a browser while its run trains, stops or dies."""

import shutil
import time

import pytest
from test_page_in_browser import Page, chromium, colour_of, write_run

from gallery.live import Live, write_live
from gallery.run_page import RunPage, write_run_page
from gallery.runs_page import write_runs_page
from gallery.scalars import Scalars

__all__ = ["chromium"]  # a fixture
COMMAND = "python train.py --config configs/demo.yaml"


def training(seconds_ago=0.0, **changes):
    """Returns the sign of life of a run that trains."""
    usual = {
        "state": "training",
        "iteration": 12_000,
        "total_iterations": 20_000,
        "seen": time.time() - seconds_ago,
        "patience_seconds": 60.0,
        "seconds_left": 600.0,
        "command": COMMAND,
    }
    return Live(**usual | changes)


def write_page(folder, last=12_000, **changes):
    """Writes the page of a run in training, anew."""
    usual = {
        "name": "run",
        "iteration": last,
        "total_iterations": 20_000,
        "scalars": Scalars(
            {"iteration": n, "loss/generator": 1.0} for n in range(1, last, 50)
        ),
        "spikes": [],
        "events": [],
        "config_text": "long\n" * 200,
        "preset": None,
        "differences": None,
        "facts": [],
        "checkpoints": [],
        "metric": None,
        "live": training(iteration=last),
    }
    write_run_page(folder, RunPage(**usual | changes))
    write_runs_page(folder.parent)


@pytest.fixture
def folder(tmp_path):
    """Returns the folder of a run in training that has twelve grids."""
    folder = tmp_path / "samples" / "run"
    write_run(folder)
    write_page(folder)
    return folder


def add_grid(folder):
    """Does what training does with a new grid, at iteration 13,000."""
    shutil.copy(folder / "grid-0001000.png", folder / "grid-0013000.png")
    write_page(folder, 13_000)
    write_live(folder, training(iteration=13_000, written=time.time()))


def ask(page):
    """Lets the page ask at once; returns what it says of the run."""
    page.run("askedAt = 0; askIfDue()")
    return page.find("#live-text").text


def test_a_new_grid_is_taken_up_and_shown_and_nothing_moves(chromium, folder):
    page = Page(chromium, folder / "index.html")
    assert ask(page) == "Training, 10 min left"
    page.run(
        "window.shift = 0; new PerformanceObserver((list) => list.getEntries().forEach("
        "(one) => { shift += one.value; })).observe({ type: 'layout-shift' });"
        "document.querySelector('pre').scrollIntoView({ behavior: 'instant' })"
    )
    before = page.run("return scrollY")
    add_grid(folder)
    ask(page)
    page.wait_until(lambda: page.iteration() == 13_000)
    page.wait_until(lambda: page.shows(colour_of(1000, 0), 0.02, 0.02))
    assert page.find("#done").get_attribute("textContent") == "13,000"
    assert page.find("#slider").get_attribute("max") == "12"
    assert page.run("return [scrollY, shift]") == [before, 0]
    assert page.console() == []


def test_an_older_grid_or_a_playback_that_is_looked_at_stays(chromium, folder):
    page = Page(chromium, folder / "index.html")
    page.run("moveTo(4)")
    add_grid(folder)
    ask(page)
    page.wait_until(lambda: page.find("#slider").get_attribute("max") == "12")
    assert page.iteration() == 5000
    page.wait_until(lambda: page.shows_grid(5000))


def test_charts_grow_and_new_ones_come_last(chromium, folder):
    page = Page(chromium, folder / "index.html")
    page.wait_until(lambda: page.run("return Boolean(window.Plotly) && figures.size"))
    page.run("redraw([...figures.values()])")
    rows = [
        {"iteration": n, "loss/generator": 1.0, "metric/kd_x": 2.0}
        for n in (100, 17_000)
    ]
    write_page(folder, scalars=Scalars(rows))
    write_live(folder, training(written=time.time()))
    ask(page)
    page.wait_until(lambda: page.run("return figures.size") == 2)
    titles = page.run(
        "return [...document.querySelectorAll('.chart h3')].map((h) => h.textContent)"
    )
    assert titles == ["Losses", "Kernel distance"]
    assert page.run("return document.querySelector('#plot-0').data[0].x") == [
        100,
        17_000,
    ]


@pytest.mark.parametrize(
    ("seconds_ago", "changes", "words", "asks"),
    [
        (0, {}, "Training, 10 min left", False),
        (0, {"doing": "building", "seconds_left": None}, "Training: building", False),
        (3600, {}, "No sign of life for 1 h 0", True),
        (3600, {"patience_seconds": 7200.0}, "Training", False),
        (0, {"state": "stopped"}, "Stopped; continue with", True),
        (0, {"state": "stopped", "command": None}, "Stopped", False),
        (0, {"state": "stopped", "because": "no luck"}, "Stopped: no luck; con", True),
        (0, {"state": "finished"}, "Finished.", False),
    ],
)
def test_a_page_says_how_its_run_stands(
    chromium, folder, seconds_ago, changes, words, asks
):
    write_page(folder)
    page = Page(chromium, folder / "index.html")
    height = page.find("#live").size["height"]
    write_live(folder, training(seconds_ago, **changes))
    page.wait_until(lambda: ask(page).startswith(words))
    command = page.find("#live-command")
    assert command.is_displayed() == asks
    if asks:
        assert command.text == COMMAND
    assert page.find("#live").size["height"] == height


@pytest.mark.parametrize("size", [(390, 844), (820, 1180)])
def test_the_longest_message_moves_nothing(chromium, folder, size):
    page = Page(chromium, folder / "index.html", size)
    height = page.find("#live").size["height"]
    add_grid(folder)
    write_live(folder, training(9e7, command=COMMAND * 4, written=time.time()))
    page.wait_until(lambda: ask(page).startswith("No sign of life"))
    page.wait_until(lambda: page.find("#live-reload").is_displayed())
    assert page.find("#live").size["height"] == height
    assert page.run("return document.documentElement.scrollWidth") <= size[0]


def test_a_copy_from_another_day_does_not_claim_to_train(chromium, folder):
    write_page(folder, live=training(86_400 * 3))
    (folder / "live.js").unlink()
    page = Page(chromium, folder / "index.html")
    page.wait_until(
        lambda: page.find("#live-text").text.startswith("No sign of life for 3 days")
    )


def test_the_page_of_all_runs_follows_a_run_in_training(chromium, folder):
    page = Page(chromium, folder.parent / "index.html")
    write_live(folder, training(iteration=14_000))
    page.run("askAll()")
    page.wait_until(lambda: page.find(".state").text == "Training, 10 min left")
    assert page.find(".done").text == "14,000"
    write_live(folder, training(999, iteration=14_000))
    page.run("askAll()")
    page.wait_until(lambda: page.find(".state").text.startswith("No sign of life"))


def test_without_scripts_a_page_claims_only_what_was_so(chromium, folder):
    disable = "Emulation.setScriptExecutionDisabled"
    chromium.execute_cdp_cmd(disable, {"value": True})
    try:
        page = Page(chromium, folder / "index.html")
        said = page.find("#live-text").text
        assert said.startswith("In training when this page was written, 20")
    finally:
        chromium.execute_cdp_cmd(disable, {"value": False})


def test_printing_draws_every_chart(chromium, folder):
    page = Page(chromium, folder / "index.html", (390, 844))  # they are far below
    page.wait_until(lambda: page.run("return Boolean(window.Plotly) && figures.size"))
    assert page.run("return drawnFigures().length") == 0
    page.run("window.dispatchEvent(new Event('beforeprint'))")
    assert page.run("return drawnFigures().length") == page.run("return figures.size")
