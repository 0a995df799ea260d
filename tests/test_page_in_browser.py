"""Tests the gallery's pages in a real browser, opened from disk."""

import base64
import io
import json
import shutil
import time

import numpy as np
import pytest
from PIL import Image

from gallery.grids import grid_image
from gallery.run_page import RunPage, write_run_page
from gallery.runs_page import write_runs_page
from gallery.scalars import Scalars

pytest.importorskip("selenium", reason="no selenium: pip install selenium")

from selenium import webdriver  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

HOSTILE = "</script><img src=x onerror=window.hacked=1>"
ITERATIONS = list(range(1000, 13_000, 1000))
SPIKE = 4300
SIZES = [(1440, 900), (820, 1180), (390, 844)]
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--hide-scrollbars",
    "--disable-dev-shm-usage",
    # Else a click may fall where an element was before the page had scrolled to it.
    "--force-prefers-reduced-motion",
)
# A busy machine may need long; an idle one takes a fraction of a second.
PATIENCE_SECONDS = 20
# WebP and colour management leave a plain colour within a few steps of 256.
COLOUR_TOLERANCE = 10


def colour_of(iteration, cell):
    """Returns the colour that an image of the test's grids has, unlike any other."""
    return (iteration // 1000 * 20, cell * 4, 255 - cell * 4)


def write_run(folder):
    """Writes a run whose grids are plain colours and whose texts are hostile."""
    folder.mkdir(parents=True, exist_ok=True)
    for iteration in ITERATIONS:
        colours = [colour_of(iteration, cell) for cell in range(64)]
        images = np.uint8(colours)[:, None, None, :].repeat(16, 1).repeat(16, 2)
        grid_image(images).save(folder / f"grid-{iteration:07d}.png")
    shutil.copy(folder / "grid-0001000.png", folder / "reals.png")
    card = {"iteration": 2000, "metrics": {HOSTILE: 0.5}, "extractor": HOSTILE}
    (folder / "card-1.json").write_text(json.dumps(card))
    page = RunPage(
        name=HOSTILE,
        iteration=12_000,
        total_iterations=20_000,
        scalars=Scalars(row_at(n) for n in range(100, 12_001, 100)),
        spikes=[{"iteration": SPIKE, "network": "generator", HOSTILE: HOSTILE}],
        events=[(SPIKE, HOSTILE)],
        config_text=f"run:\n  name: {HOSTILE}\n" + "long " * 100,
        preset="configs/flowers.yaml",
        differences=[("data.data_dir", "null", "/a/very/long/path" * 20)],
        facts=[(HOSTILE, "x" * 500)],
        checkpoints=[],
        metric="metric/kd_x",
    )
    write_run_page(folder, page)


def row_at(iteration):
    """Returns a row as training writes it."""
    row = {"iteration": iteration, "loss/generator": 1.0, "loss/discriminator": 0.5}
    for network in ("generator", "discriminator"):
        row[f"gradient/{network}_max"] = 6e4 if iteration == SPIKE else 1.0
        row[f"gradient/{network}_max_damped"] = 0.01
        row[f"gradient/{network}_above_knee"] = 0.1
    if iteration % 1000 == 0:
        row |= {"metric/kd_x": 1000 / iteration, "metric/kd_x_floor": 0.01}
    return row


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    """Returns a folder of samples with one run and the page of all runs."""
    folder = tmp_path_factory.mktemp("samples")
    write_run(folder / "run")
    write_runs_page(folder)
    return folder


@pytest.fixture(scope="module")
def chromium():
    """Returns a running browser, or skips."""
    binary = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if not binary or not driver:
        pytest.skip("no browser: apt install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in FLAGS:
        options.add_argument(flag)
    logs = {"browser": "ALL", "performance": "ALL"}
    options.set_capability("goog:loggingPrefs", logs)
    service = webdriver.ChromeService(driver)
    browser = webdriver.Chrome(options=options, service=service)
    yield browser
    browser.quit()


class Page:
    """A page in the browser, as a person has it before them."""

    def __init__(self, browser, path, size=SIZES[0]):
        self.browser = browser
        self.resize(*size)
        # What was logged before is another test's.
        for kind in ("browser", "performance"):
            browser.get_log(kind)
        browser.get(path.as_uri())

    def resize(self, width, height):
        """Sets the size of the window's inside, a phone's too."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1}
        self.browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride", metrics | {"mobile": width < 600}
        )

    def find(self, selector):
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def run(self, script, *arguments):
        return self.browser.execute_script(script, *arguments)

    def wait_until(self, condition):
        """Waits until a function of nothing returns something true, and returns it."""
        return WebDriverWait(self.browser, PATIENCE_SECONDS, 0.05).until(
            lambda _: condition()
        )

    def press(self, *keys):
        webdriver.ActionChains(self.browser).send_keys(*keys).perform()

    def iteration(self):
        return int(self.find("#iteration").text.replace(",", ""))

    def stage_pixels(self):
        """Returns what is seen of the generated images, int [height, width, 3]."""
        png = base64.b64decode(self.find(".fakes .stage").screenshot_as_base64)
        return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)

    def shows(self, colour, row=0.5, column=0.5):
        """Returns whether a place of the stage, told in [0, 1], has this colour."""
        pixels = self.stage_pixels()
        seen = pixels[int(row * len(pixels)), int(column * pixels.shape[1])]
        return bool((abs(seen - colour) <= COLOUR_TOLERANCE).all())

    def shows_grid(self, iteration):
        """Returns whether the stage shows the grid of an iteration."""
        # The middles of the images 9 and 63.
        return self.shows(colour_of(iteration, 9), 1.5 / 8, 1.5 / 8) and self.shows(
            colour_of(iteration, 63), 7.5 / 8, 7.5 / 8
        )

    def scroll_to_charts(self):
        """Brings each chart into sight, and waits until all are drawn."""
        self.wait_until(lambda: self.run("return typeof Plotly === 'object'"))
        for plot in self.browser.find_elements(By.CSS_SELECTOR, ".plot"):
            self.run("arguments[0].scrollIntoView({behavior: 'instant'})", plot)
            self.wait_until(lambda plot=plot: plot.get_attribute("class") != "plot")

    def console(self):
        return [entry["message"] for entry in self.browser.get_log("browser")]

    def requests(self):
        """Returns the addresses of all that was asked for."""
        messages = [
            json.loads(entry["message"])["message"]
            for entry in self.browser.get_log("performance")
        ]
        return [
            message["params"]["request"]["url"]
            for message in messages
            if message["method"] == "Network.requestWillBeSent"
        ]


@pytest.fixture
def page(chromium, samples):
    """Returns the run's page, freshly opened on a laptop."""
    return Page(chromium, samples / "run/index.html")


def test_the_page_is_quiet_and_asks_for_files_only(page):
    page.find("#slider").send_keys(Keys.HOME)
    page.run("document.querySelectorAll('#cells button')[9].click()")
    page.scroll_to_charts()
    assert page.console() == []
    asked = page.requests()
    assert any("plotly" in url for url in asked)
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []


def test_thousands_of_grids_are_not_fetched_at_once(page):
    page.scroll_to_charts()
    pictures = {url.rpartition("/")[2] for url in page.requests() if "grid-" in url}
    assert pictures == {"grid-0012000.png"}


def test_the_slider_moves_the_picture(page):
    assert page.shows_grid(12_000)
    slider = page.find("#slider")
    page.run(
        "arguments[0].value = 4; arguments[0].dispatchEvent(new Event('input'))", slider
    )
    assert page.iteration() == 5000
    page.wait_until(lambda: page.shows_grid(5000))
    assert slider.get_attribute("aria-valuetext") == "iteration 5,000"
    assert "iteration 5,000" in page.find("#grid").get_attribute("alt")
    page.wait_until(
        lambda: page.find("#grid").get_attribute("src").endswith("grid-0005000.png")
    )


@pytest.mark.parametrize("focused", ["body", "slider"])
def test_keys_move_through_time(page, focused):
    if focused == "slider":
        page.run("document.getElementById('slider').focus()")
    steps = [
        (Keys.ARROW_LEFT, 11_000),
        (Keys.ARROW_LEFT, 10_000),
        (Keys.ARROW_RIGHT, 11_000),
        (Keys.HOME, 1000),
        (Keys.ARROW_LEFT, 1000),
        (Keys.END, 12_000),
    ]
    for key, expected in steps:
        page.press(key)
        assert page.iteration() == expected
    page.press(Keys.HOME)
    page.wait_until(lambda: page.shows_grid(1000))


def test_play_goes_through_all_grids_and_begins_anew(page):
    page.run("document.getElementById('speed').value = '15'")
    page.find("#play").click()
    for _ in range(2):
        page.wait_until(lambda: 1000 < page.iteration() < 12_000)
        assert page.find("#play").text == "Pause"
        page.wait_until(lambda: page.iteration() == 12_000)
    page.find("#play").click()
    assert page.find("#play").text == "Play"
    page.wait_until(lambda: page.shows_grid(page.iteration()))


def test_play_can_be_paused(page):
    page.run("document.getElementById('speed').value = '2'")
    page.press(Keys.SPACE)
    page.wait_until(lambda: 1000 < page.iteration() < 12_000)
    page.press(Keys.SPACE)
    at = page.iteration()
    time.sleep(1.2)  # More than two frames' time.
    assert page.iteration() == at
    page.wait_until(lambda: page.shows_grid(at))


def test_a_click_on_an_image_follows_it_and_escape_goes_back(page):
    page.browser.find_elements(By.CSS_SELECTOR, "#cells button")[37].click()
    for row, column in ((0.02, 0.02), (0.5, 0.5), (0.98, 0.98)):
        page.wait_until(
            lambda row=row, column=column: page.shows(
                colour_of(12_000, 37), row, column
            )
        )
    assert page.find("#caption").text == "image 38, iteration 12,000"
    page.press(Keys.HOME)
    page.wait_until(lambda: page.shows(colour_of(1000, 37)))
    film = page.browser.find_elements(By.CSS_SELECTOR, "#reel button")
    assert len(film) == 12
    assert [frame.text for frame in film][:2] == ["1,000", "2,000"]
    film[2].click()
    page.wait_until(lambda: page.shows(colour_of(3000, 37)))
    page.press(Keys.ESCAPE)
    page.wait_until(lambda: page.shows_grid(3000))
    assert not page.find("#film").is_displayed()


def test_the_film_strip_shows_the_image_in_every_grid(page):
    page.browser.find_elements(By.CSS_SELECTOR, "#cells button")[37].click()
    for place in (0, 5, 11):
        frame = page.browser.find_elements(By.CSS_SELECTOR, "#reel i")[place]

        def is_right(frame=frame, place=place):
            png = Image.open(io.BytesIO(frame.screenshot_as_png)).convert("RGB")
            seen = np.asarray(png).astype(int)[20:-20, 20:-20].reshape(-1, 3)
            return (abs(seen - colour_of(ITERATIONS[place], 37)) <= 14).all()

        page.wait_until(is_right)


def test_keys_alone_choose_an_image_and_come_back_to_it(page):
    page.run("document.querySelector('#cells button').focus()")
    page.press(Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.ARROW_RIGHT, Keys.ENTER)
    page.wait_until(lambda: page.shows(colour_of(12_000, 17)))
    # Arrow keys now mean time again.
    page.press(Keys.ARROW_LEFT)
    assert page.find("#caption").text == "image 18, iteration 11,000"
    page.press(Keys.ESCAPE)
    label = page.run("return document.activeElement.getAttribute('aria-label')")
    assert label == "Follow image 18"


def test_texts_are_shown_and_never_run(page):
    page.scroll_to_charts()
    assert page.run("return window.hacked") is None
    assert not page.browser.find_elements(By.CSS_SELECTOR, "img[src=x]")
    assert page.find("h1").text == HOSTILE
    assert page.browser.title == f"{HOSTILE} - Magnetosphere"
    assert HOSTILE in page.find("pre").get_attribute("textContent")
    assert HOSTILE in page.find("#spikes tbody").text
    assert HOSTILE in page.find("#cards tbody").text
    assert HOSTILE in page.find("#cards h3").text


def test_charts_are_drawn_with_the_spike_marked_in_each(page):
    page.scroll_to_charts()
    plots = page.browser.find_elements(By.CSS_SELECTOR, ".plot")
    # kd, losses, two of gradients, share above the knee.
    assert len(plots) == 5
    for plot in plots:
        assert plot.find_elements(By.CSS_SELECTOR, ".scatterlayer .js-line")
        traces = page.run(
            "return arguments[0].data.filter((t) => t.name === 'spike')"
            ".map((t) => t.x)",
            plot,
        )
        assert traces == [[SPIKE, SPIKE, None], [SPIKE]]
        marks = plot.find_elements(By.CSS_SELECTOR, ".overplot .point, .points .point")
        assert marks
    floor = plots[0].find_elements(By.CSS_SELECTOR, "path[style*='stroke-dasharray']")
    assert any("0px" not in line.get_attribute("style") for line in floor)
    assert page.run("return arguments[0].layout.yaxis2.type", plots[2]) == "log"


def test_a_click_on_a_chart_moves_the_grids_and_the_line_that_says_where(page):
    page.scroll_to_charts()
    plot = page.find("#plot-1")
    page.run(
        "arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", plot
    )
    before = page.find("#plot-1 .now").location["x"]
    webdriver.ActionChains(page.browser).move_to_element(plot).pause(
        0.3
    ).click().perform()
    page.wait_until(lambda: page.iteration() != 12_000)
    # The middle of the chart is near the middle of 12,000 iterations.
    assert 5000 <= page.iteration() <= 7000
    now = page.find("#plot-1 .now").location["x"]
    assert abs(now - (plot.location["x"] + plot.size["width"] / 2)) < 60
    assert before - now > 100


def test_a_link_of_the_ledger_moves_to_the_nearest_grid(page):
    page.find("#spikes a[data-iteration]").click()
    assert page.iteration() == 4000


@pytest.mark.parametrize("size", SIZES)
def test_nothing_sticks_out_sideways(chromium, samples, size):
    page = Page(chromium, samples / "run/index.html", size)
    page.scroll_to_charts()
    page.run("document.querySelector('details').open = true")
    page.run("document.querySelectorAll('#cells button')[9].click()")
    assert page.run("return document.documentElement.scrollWidth") <= size[0]
    fakes, reals = page.find(".fakes .stage"), page.find(".reals .stage")
    assert fakes.size == reals.size
    beside = fakes.location["y"] == reals.location["y"]
    assert beside == (size[0] > 700)
    page = Page(chromium, samples / "index.html", size)
    assert page.run("return document.documentElement.scrollWidth") <= size[0]


def test_the_page_of_all_runs_leads_to_a_run(chromium, samples):
    page = Page(chromium, samples / "index.html")
    picture = page.find("img")
    page.wait_until(lambda: int(picture.get_attribute("naturalWidth")) == 128)
    assert page.console() == []
    picture.click()
    page.wait_until(lambda: page.browser.title == f"{HOSTILE} - Magnetosphere")


def test_without_plotly_everything_else_works(chromium, samples, tmp_path):
    shutil.copytree(samples / "run", tmp_path / "run")
    page = Page(chromium, tmp_path / "run/index.html")
    page.wait_until(lambda: "cannot be shown" in page.find("#charts-note").text)
    page.press(Keys.HOME)
    page.wait_until(lambda: page.shows_grid(1000))


def test_without_javascript_the_latest_grid_and_the_config_are_there(chromium, samples):
    disable = "Emulation.setScriptExecutionDisabled"
    chromium.execute_cdp_cmd(disable, {"value": True})
    try:
        page = Page(chromium, samples / "run/index.html")
        page.wait_until(lambda: page.shows_grid(12_000))
        assert page.find(".reals img").is_displayed()
        assert not page.find("#controls").is_displayed()
        page.find("summary").click()
        assert HOSTILE in page.find("pre").text
    finally:
        chromium.execute_cdp_cmd(disable, {"value": False})
